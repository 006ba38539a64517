"""Pictures: reading them, preparing them for a model, and changing them at random for training.

    load_image          whatever stands for a picture -> a Pillow image
    transforms.py       resize, crop, pad, rescale, normalize
    ViTImageProcessor   pictures -> pixel_values
    augmentation.py     random crops, flips, colours

Names are imported when they are first used.
"""

from ..lazy import lazy_names

_HOMES = {
    "BaseImageProcessor": "processor",
    "ChannelDimension": "channels",
    "ColorJitter": "augmentation",
    "Compose": "augmentation",
    "ImageFileError": "loading",
    "PILImageResampling": "transforms",
    "PaddingMode": "transforms",
    "RandomCrop": "augmentation",
    "RandomHorizontalFlip": "augmentation",
    "RandomResizedCrop": "augmentation",
    "RandomRotation": "augmentation",
    "RandomTransform": "augmentation",
    "ViTFeatureExtractor": "vit",
    "ViTImageProcessor": "vit",
    "center_crop": "transforms",
    "convert_to_rgb": "conversion",
    "flip_channel_order": "channels",
    "get_image_size": "channels",
    "get_resize_output_image_size": "sizes",
    "get_size_dict": "sizes",
    "infer_channel_dimension_format": "channels",
    "load_image": "loading",
    "make_list_of_images": "processor",
    "normalize": "transforms",
    "pad": "transforms",
    "rescale": "transforms",
    "resize": "transforms",
    "to_channel_dimension_format": "channels",
    "to_numpy_array": "conversion",
    "to_pil_image": "conversion",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

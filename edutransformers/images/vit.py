"""ViT's image processor: every picture becomes a square of one size, with numbers from −1 to 1."""

from __future__ import annotations

import warnings

from ..preprocessor import BatchFeature
from .channels import ChannelDimension
from .processor import IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD, BaseImageProcessor, to_layout
from .transforms import PILImageResampling, normalize, rescale


class ViTImageProcessor(BaseImageProcessor):
    """Resize, rescale, normalize: p -> (p / 255 − mean) / std.

    do_resize        to size, {"height": 224, "width": 224} whatever shape a picture has; also 224, a pair, or
                     {"shortest_edge": n}, which keeps the shape
    resample         Pillow's filter: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming
    do_rescale       pixels · rescale_factor, which is 1/255
    do_normalize     (pixels − image_mean) / image_std, each a number, or one for each channel
    do_convert_rgb   True: three channels always; False: the channels that there are; None (the default): as many as
                     image_mean has, so that grey, palette and transparent pictures fit
    """

    def __init__(
        self,
        do_resize: bool = True,
        size: dict[str, int] | int | None = None,
        resample: int = PILImageResampling.BILINEAR,
        do_rescale: bool = True,
        rescale_factor: float = 1 / 255,
        do_normalize: bool = True,
        image_mean: float | list[float] | None = None,
        image_std: float | list[float] | None = None,
        do_convert_rgb: bool | None = None,
        **kwargs,
    ):
        self.do_resize = do_resize
        self.size = {"height": 224, "width": 224} if size is None else size
        self.resample = resample
        self.do_rescale = do_rescale
        self.rescale_factor = rescale_factor
        self.do_normalize = do_normalize
        self.image_mean = list(IMAGENET_STANDARD_MEAN) if image_mean is None else image_mean
        self.image_std = list(IMAGENET_STANDARD_STD) if image_std is None else image_std
        self.do_convert_rgb = do_convert_rgb
        super().__init__(**kwargs)

    def preprocess(
        self,
        images,
        return_tensors: str | None = None,
        data_format: ChannelDimension | str = ChannelDimension.FIRST,
        input_data_format: ChannelDimension | str | None = None,
        **settings,
    ) -> BatchFeature:
        """One image or several -> {"pixel_values": (B, C, H, W)}, or a list of (C, H, W) without `return_tensors`.

        images              Pillow images, arrays (0 … 255, or 0 … 1 with do_rescale=False), paths, bytes; one, a list,
                            lists of lists, or an array with four axes
        return_tensors      "np" or "cp"; then all images must come out in one size
        data_format         "channels_first" or "channels_last": the layout of the result
        input_data_format   the layout of arrays, where their shape does not tell it
        settings            any setting of the class, for this call

        Raises ValueError for what is no image (see `load_image`), NaN, a wrong number of channels, several sizes.
        """
        use = self.with_settings(**settings)
        images = use.arrays_of(images, input_data_format)
        if use.do_rescale:
            use.warn_if_scaled(images)
        if use.do_resize:
            last = ChannelDimension.LAST
            images = [use.resize(image, use.size, use.resample, input_data_format=last) for image in images]
        images = to_layout(images, data_format)
        if use.do_rescale:
            images = [rescale(image, use.rescale_factor) for image in images]
        if use.do_normalize:
            mean, std = use.image_mean, use.image_std
            images = [normalize(image, mean, std, input_data_format=data_format) for image in images]
        return BatchFeature({"pixel_values": images}, tensor_type=return_tensors)


class ViTFeatureExtractor(ViTImageProcessor):
    """The older name of ViTImageProcessor."""

    def __init__(self, *args, **kwargs):
        warnings.warn("ViTFeatureExtractor is deprecated: use ViTImageProcessor", FutureWarning, stacklevel=2)
        super().__init__(*args, **kwargs)

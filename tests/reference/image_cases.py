"""Pictures and calls for comparing with both versions of the original: functions, image processor, files, pipeline."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

import edutransformers
from edutransformers import ViTForImageClassification, ViTImageProcessor, load_image, pipeline
from edutransformers.images import (
    center_crop,
    flip_channel_order,
    get_resize_output_image_size,
    get_size_dict,
    infer_channel_dimension_format,
    normalize,
    pad,
    rescale,
    resize,
    to_pil_image,
)
from tests.images.pictures import encoded, noise, picture, smooth
from tests.pipelines.tiny import assert_same_results
from tests.pipelines.tiny_pictures import tiny_vit

from .common import MAJOR, transformers

if MAJOR >= 5:
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil as Theirs
else:
    from transformers import ViTImageProcessor as Theirs
from transformers import image_processing_utils, image_transforms, image_utils

RNG = np.random.default_rng(11)
ARRAYS = {
    "small": noise(),
    "tall": noise(61, 19, seed=1),
    "smooth": smooth(90, 120),
    "channels first": noise(seed=2).transpose(2, 0, 1),
    "int64": noise(seed=3).astype(np.int64),
    "whole floats": noise(seed=4).astype(np.float32),
    "unit floats": RNG.random((13, 17, 3)).astype(np.float32),
    "unit float64": RNG.random((3, 13, 17)),
    "one row": noise(2, 40),
}
FILTERS = range(6)  # nearest, Lanczos, bilinear, bicubic, box, Hamming


def same(ours, theirs, tolerance=0.0):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


# -- functions --------------------------------------------------------------------------------------------------------


def check_resize():
    for image in ARRAYS.values():
        for size in ((8, 8), (30, 5), (70, 90), (1, 1)):
            for resample in FILTERS:
                same(resize(image, size, resample), image_transforms.resize(image, size, resample), FLOAT_TOLERANCE)
        same(
            resize(image, (9, 7), data_format="channels_first", reducing_gap=2.0),
            image_transforms.resize(image, (9, 7), data_format=image_utils.ChannelDimension.FIRST, reducing_gap=2.0),
            FLOAT_TOLERANCE,
        )


def check_to_pil_image():
    for image in (*ARRAYS.values(), noise(channels=1)):
        assert np.array_equal(to_pil_image(image), image_transforms.to_pil_image(image))
    for wrong in (noise() * 1.5, noise() - 1.0, noise() / 200):
        for function in (to_pil_image, image_transforms.to_pil_image):
            with pytest.raises(ValueError):
                function(wrong)


def check_center_crop(pads_below=False):
    for image in ARRAYS.values():
        channels_first = image.shape[0] == 3
        height, width = image.shape[1:] if channels_first else image.shape[:2]
        for size in ((5, 5), (6, 7), (12, 100), (100, 12), (88, 88), (13, 17)):
            odd = [(size[0] - height) % 2 and size[0] > height, (size[1] - width) % 2 and size[1] > width]
            if pads_below and any(odd):
                continue  # version 4 put the odd row elsewhere
            same(center_crop(image, size), image_transforms.center_crop(image, size))


def check_rescale_and_normalize():
    for image in ARRAYS.values():
        for scale in (1 / 255, 0.3, 2.0):  # version 4 would multiply uint8 by a whole number within uint8
            same(rescale(image, scale), image_transforms.rescale(image, scale), FLOAT_TOLERANCE)
        floats = image.astype(np.float32)
        for mean, std in ((0.5, 0.5), ([0.1, 0.2, 0.3], [0.3, 0.2, 0.1]), (0.2, [1, 2, 3])):
            same(normalize(floats, mean, std), image_transforms.normalize(floats, mean, std), 1e-4)
            scaled = floats / 255
            same(normalize(scaled, mean, std), image_transforms.normalize(scaled, mean, std))


def check_pad():
    modes = image_transforms.PaddingMode
    for image in ARRAYS.values():
        for padding in (1, (1, 0), ((1, 0), (0, 1))):
            for ours, theirs in (
                ("constant", modes.CONSTANT),
                ("reflect", modes.REFLECT),
                ("replicate", modes.REPLICATE),
                ("symmetric", modes.SYMMETRIC),
            ):
                same(pad(image, padding, ours), image_transforms.pad(image, padding, theirs))
            same(pad(image, padding, constant_values=3), image_transforms.pad(image, padding, constant_values=3))


def check_sizes():
    for height in range(1, 40, 3):
        for width in range(1, 40, 3):
            image = np.zeros((3, height, width), np.uint8)
            for size in (5, 8, (4, 6), [7]):
                for options in ({}, {"default_to_square": False}, {"default_to_square": False, "max_size": 11}):
                    expected = image_transforms.get_resize_output_image_size(
                        image, size, input_data_format=image_utils.ChannelDimension.FIRST, **options
                    )
                    found = get_resize_output_image_size(image, size, input_data_format="channels_first", **options)
                    assert found == expected, (height, width, size, options)
    for arguments in (
        {"size": 4}, {"size": (4, 5)}, {"size": [4, 5], "height_width_order": False}, {"size": {"shortest_edge": 3}},
        {"size": 4, "default_to_square": False}, {"size": 4, "default_to_square": False, "max_size": 8},
        {"size": None, "max_size": 3, "default_to_square": False},
    ):  # fmt: skip
        assert get_size_dict(**arguments) == image_processing_utils.get_size_dict(**arguments)


def check_layouts():
    for shape in ((3, 4, 5), (4, 5, 3), (1, 4, 5), (4, 5, 1), (3, 4, 3), (2, 3, 4, 5), (2, 4, 5, 3)):
        image = np.zeros(shape)
        found = infer_channel_dimension_format(image)
        assert found.value == image_utils.infer_channel_dimension_format(image).value, shape
    image = noise()
    same(flip_channel_order(image), image_transforms.flip_channel_order(image))


def check_load_image(folder):
    """Everything but 16 bits, which the original cuts off at 255."""
    for mode in ("1", "L", "LA", "RGB", "RGBA", "P", "CMYK"):
        image = picture(mode)
        assert np.array_equal(load_image(image), image_utils.load_image(image)), mode
    exif = Image.Exif()
    exif[0x0112] = 8
    for kind in ("PNG", "JPEG", "WEBP"):
        path = folder / f"picture.{kind.lower()}"
        path.write_bytes(encoded(picture(), kind, exif=exif))
        assert np.array_equal(load_image(str(path)), image_utils.load_image(str(path))), kind
        text = base64.b64encode(path.read_bytes()).decode()
        assert np.array_equal(load_image(text), image_utils.load_image(text))
        address = f"data:image/{kind.lower()};base64,{text}"
        assert np.array_equal(load_image(address), image_utils.load_image(address))
    frames = [picture(), Image.fromarray(smooth(13, 17))]
    path = folder / "frames.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert np.array_equal(load_image(str(path)), image_utils.load_image(str(path)))


# -- ViT's image processor --------------------------------------------------------------------------------------------

SETTINGS = [
    {},
    {"size": 8},
    {"size": {"height": 30, "width": 11}, "resample": 3},
    {"do_rescale": False},
    {"do_normalize": False},
    {"do_rescale": False, "do_normalize": False},
    {"do_resize": False},
    {"rescale_factor": 1 / 127.5, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.2, 0.4, 0.6]},
    {"image_mean": 0.2, "image_std": 3.0, "resample": 1},
]


def check_processor(settings, more_arrays=()):
    """`more_arrays` are images that only newer versions take."""
    ours, theirs = ViTImageProcessor(**settings), Theirs(**settings)
    default = ViTImageProcessor(), Theirs()
    for image in (*ARRAYS.values(), Image.fromarray(ARRAYS["smooth"]), picture("RGB", 5, 9), *more_arrays):
        expected = theirs(image, return_tensors="np")["pixel_values"]
        same(ours(image, return_tensors="np")["pixel_values"], expected, FLOAT_TOLERANCE)
        mine, other = (processor(image, return_tensors="np", **settings)["pixel_values"] for processor in default)
        same(mine, other, FLOAT_TOLERANCE)
    if settings.get("do_resize", True) and "shortest_edge" not in str(settings):
        batch = [ARRAYS["small"], ARRAYS["tall"], ARRAYS["smooth"]]
        same(ours(batch, return_tensors="np")["pixel_values"], theirs(batch, return_tensors="np")["pixel_values"])
        pictures = [Image.fromarray(image) for image in batch]
        same(ours(pictures, return_tensors="np")["pixel_values"], theirs(pictures, return_tensors="np")["pixel_values"])
    stack = RNG.integers(0, 256, (3, 13, 17, 3), dtype=np.uint8)
    same(ours(stack, return_tensors="np")["pixel_values"], theirs(stack, return_tensors="np")["pixel_values"])
    rows, expected = ours(list(stack))["pixel_values"], theirs(list(stack))["pixel_values"]
    for row, other in zip(rows, expected, strict=True):
        same(row, np.asarray(other))


def check_files(folder):
    """What one saves the other loads, with the same settings and numbers."""
    settings = {"size": (20, 24), "resample": 3, "image_mean": [0.1, 0.2, 0.3]}
    for number, save in enumerate((ViTImageProcessor(**settings), Theirs(**settings))):
        save.save_pretrained(folder / str(number))
        for name in ("AutoImageProcessor", "ViTImageProcessor"):
            ours = getattr(edutransformers, name).from_pretrained(folder / str(number))
            theirs = getattr(transformers, name).from_pretrained(folder / str(number))
            assert ours.to_dict() == {
                key: value for key, value in as_json(theirs.to_dict()).items() if value is not None
            }
            assert ours.to_json_string() == theirs.to_json_string()
            same(
                ours(ARRAYS["smooth"], return_tensors="np")["pixel_values"],
                theirs(ARRAYS["smooth"], return_tensors="np")["pixel_values"],
            )


def as_json(fields):
    return {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}


# -- the pipeline -----------------------------------------------------------------------------------------------------


def check_pipeline(folder, options):
    """The same pictures, the same labels and scores."""
    model = tiny_vit(ViTForImageClassification, num_labels=7)
    model.save_pretrained(folder)
    ViTImageProcessor(size=model.config.image_size).save_pretrained(folder)
    ours = pipeline("image-classification", model=str(folder))
    framework = {} if MAJOR >= 5 else {"framework": "pt"}
    theirs = transformers.pipeline("image-classification", model=str(folder), device="cpu", **framework)
    (folder / "picture.png").write_bytes(encoded(picture("RGBA")))
    pictures = [str(folder / "picture.png"), picture("L"), Image.fromarray(ARRAYS["smooth"]), picture("P")]
    pictures.append(base64.b64encode(encoded(picture("CMYK"), "TIFF")).decode())
    for call in options:
        for image in pictures:
            assert_same_results(ours(image, **call), theirs(image, **call))
        assert_same_results(ours(pictures, **call), theirs(pictures, **call))
        assert_same_results(ours(pictures, batch_size=2, **call), theirs(pictures, batch_size=2, **call))
        one_by_one = [list(pipe((image for image in pictures), **call)) for pipe in (ours, theirs)]
        assert_same_results(*one_by_one)
        assert_same_results(ours(images=pictures, **call), ours(pictures, **call))
    assert ours(io.BytesIO(encoded(pictures[2]))) == ours(pictures[2])


# Version 4 multiplies float32 by a Python number in float32, version 5 in float64, as here: the last bit may differ.
FLOAT_TOLERANCE = 0.0 if MAJOR >= 5 else 1e-6

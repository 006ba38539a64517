"""Pictures against transformers 5: its functions, its processor that computes with Pillow, its pipeline."""

import numpy as np
import pytest
from PIL import Image
from transformers import image_transforms

from edutransformers.images import convert_to_rgb, make_list_of_images
from edutransformers.images.sizes import get_size_with_aspect_ratio
from tests.images.pictures import noise, picture

from . import image_cases as cases
from .common import MAJOR

pytestmark = [pytest.mark.reference, pytest.mark.skipif(MAJOR < 5, reason="needs transformers 5.x")]

NEW = [  # what version 4 does not have
    {"do_convert_rgb": True},
    {"size": {"shortest_edge": 11}},
    {"size": {"shortest_edge": 11, "longest_edge": 15}},
]


def test_resize():
    cases.check_resize()


def test_to_pil_image():
    cases.check_to_pil_image()


def test_center_crop():
    cases.check_center_crop()


def test_rescale_and_normalize():
    cases.check_rescale_and_normalize()


def test_pad():
    cases.check_pad()


def test_sizes():
    cases.check_sizes()
    for height in range(1, 60, 3):
        for width in range(1, 60, 4):
            for size, longest in ((5, 20), (8, 11), (13, None), (7, 8)):
                expected = image_transforms.get_size_with_aspect_ratio((height, width), size, longest)
                assert get_size_with_aspect_ratio((height, width), size, longest) == expected


def test_layouts():
    cases.check_layouts()


def test_load_image(tmp_path):
    cases.check_load_image(tmp_path)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "CMYK", "YCbCr"])
def test_convert_to_rgb(mode):
    ours = convert_to_rgb(picture(mode))
    np.testing.assert_array_equal(np.array(ours), image_transforms.convert_to_rgb(picture(mode), return_numpy=True))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_convert_to_rgb_of_arrays(channels):
    pixels = noise(channels=channels)
    for image in (pixels, pixels.transpose(2, 0, 1), pixels / 255):
        cases.same(convert_to_rgb(image), image_transforms.convert_to_rgb(image, return_numpy=True))


@pytest.mark.parametrize("settings", [*cases.SETTINGS, *NEW], ids=str)
def test_processor(settings):
    modes = [picture(mode) for mode in ("1", "L", "RGBA", "P")] if settings.get("do_convert_rgb") else []
    cases.check_processor(settings, modes)


def test_nested_lists():
    from transformers.image_utils import make_flat_list_of_images

    a, b = noise(), noise(seed=1)
    stack = np.stack([a, b])
    for images in (a, [a, b], [[a, b], [b]], [[a], []], stack, [stack, stack], [Image.fromarray(a)]):
        ours, theirs = make_list_of_images(images), make_flat_list_of_images(images)
        assert len(ours) == len(theirs)
        assert all(np.array_equal(one, other) for one, other in zip(ours, theirs))


def test_files(tmp_path):
    cases.check_files(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_pipeline(tmp_path):
    functions = [{"function_to_apply": name} for name in ("softmax", "sigmoid", "none")]
    cases.check_pipeline(tmp_path, [{}, {"top_k": 3}, {"top_k": 100}, *functions])

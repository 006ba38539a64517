"""Pictures against transformers 4.34.1: its functions, ViTImageProcessor, its files and its pipeline."""

import json

import pytest

from edutransformers.auto import AutoImageProcessor

from .. import image_cases as cases
from ..common import MAJOR, transformers

pytestmark = [pytest.mark.legacy, pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1")]


def test_resize():
    cases.check_resize()


def test_to_pil_image():
    cases.check_to_pil_image()


def test_center_crop():
    cases.check_center_crop(pads_below=True)


def test_rescale_and_normalize():
    cases.check_rescale_and_normalize()


def test_pad():
    cases.check_pad()


def test_sizes():
    cases.check_sizes()


def test_layouts():
    cases.check_layouts()


def test_load_image(tmp_path):
    cases.check_load_image(tmp_path)


# Version 4 normalizes whole numbers within their own type, where 0.5 is 0.
WHOLE_NUMBERS = {"do_rescale": False}


@pytest.mark.parametrize("settings", [settings for settings in cases.SETTINGS if settings != WHOLE_NUMBERS], ids=str)
def test_processor(settings):
    cases.check_processor(settings)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_data_format(data_format):
    """Version 5 returns channels first whatever is asked for."""
    for image in cases.ARRAYS.values():
        ours = cases.ViTImageProcessor(size=8)(image, return_tensors="np", data_format=data_format)
        theirs = cases.Theirs(size=8)(image, return_tensors="np", data_format=data_format)
        cases.same(ours["pixel_values"], theirs["pixel_values"], cases.FLOAT_TOLERANCE)


def test_input_data_format():
    odd = cases.noise(3, 8)
    for layout in ("channels_first", "channels_last"):
        ours = cases.ViTImageProcessor(size=8)(odd, return_tensors="np", input_data_format=layout)
        theirs = cases.Theirs(size=8)(odd, return_tensors="np", input_data_format=layout, data_format="channels_first")
        cases.same(ours["pixel_values"], theirs["pixel_values"], cases.FLOAT_TOLERANCE)


def test_files(tmp_path):
    cases.check_files(tmp_path)


def test_an_old_file(tmp_path):
    fields = {"do_normalize": True, "do_resize": True, "feature_extractor_type": "ViTFeatureExtractor",
              "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2, "size": 32}  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(fields))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    ours = AutoImageProcessor.from_pretrained(tmp_path)
    theirs = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    assert ours.to_json_string() == theirs.to_json_string()
    cases.same(
        ours(cases.ARRAYS["small"], return_tensors="np")["pixel_values"],
        theirs(cases.ARRAYS["small"], return_tensors="np")["pixel_values"],
    )


@pytest.mark.filterwarnings("ignore")
def test_pipeline(tmp_path):
    cases.check_pipeline(tmp_path, [{}, {"top_k": 3}, {"top_k": 100}])

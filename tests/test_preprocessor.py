"""Settings of image processors and feature extractors: their file, both forms; the Auto classes; and the batch."""

import json
import pickle

import numpy as np
import pytest

from edutransformers import AutoFeatureExtractor, AutoImageProcessor, AutoProcessor, BatchFeature, BertConfig
from edutransformers.auto.architectures import registered_classes
from edutransformers.checkpoints import CheckpointNotFoundError
from edutransformers.preprocessor import Preprocessor


class Pictures(Preprocessor):
    kind = "image_processor"

    def __init__(self, size=4, mean=(0.5, 0.5), **kwargs):
        super().__init__(**kwargs)
        self.size, self.mean = size, mean
        self._table = [1]  # nothing that belongs into the file


class Sounds(Preprocessor):
    kind = "feature_extractor"

    def __init__(self, rate=8000, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate


class Both:
    """Stands in for a processor."""

    def __init__(self, name):
        self.name = name

    @classmethod
    def from_pretrained(cls, name, **kwargs):
        return cls(name)


@pytest.fixture(autouse=True)
def registered():
    AutoImageProcessor.register(BertConfig, Pictures)
    AutoFeatureExtractor.register(BertConfig, Sounds)
    yield
    registered_classes.clear()


def write(folder, name, **fields):
    (folder / name).write_text(json.dumps(fields))


def test_settings_come_back_with_what_was_unknown(tmp_path):
    made = Pictures(size=7, mean=np.array([0.25, 0.75]), of_another_version=[1, 2], processor_class="Both")
    paths = made.save_pretrained(tmp_path / "new")
    fields = json.loads((tmp_path / "new" / "preprocessor_config.json").read_text())
    assert paths == [str(tmp_path / "new" / "preprocessor_config.json")]
    assert fields == {
        "size": 7,
        "mean": [0.25, 0.75],
        "of_another_version": [1, 2],
        "processor_class": "Both",
        "image_processor_type": "Pictures",
    }
    again = Pictures.from_pretrained(tmp_path / "new")
    assert again.to_json_string() == made.to_json_string()
    assert Pictures.from_json_file(paths[0]).to_dict() == again.to_dict()
    assert Pictures.from_pretrained(paths[0]).size == 7
    assert repr(again) == "Pictures " + again.to_json_string()


def test_keyword_arguments_replace_settings(tmp_path):
    Pictures(size=7).save_pretrained(tmp_path)
    assert Pictures.from_pretrained(tmp_path, size=9, nothing=1).size == 9
    made, unused = Pictures.from_pretrained(tmp_path, size=9, nothing=1, return_unused_kwargs=True)
    assert (made.size, unused) == (9, {"nothing": 1})


def test_settings_within_a_processor_s_file_come_first(tmp_path):
    write(tmp_path, "preprocessor_config.json", size=1)
    write(tmp_path, "processor_config.json", image_processor={"size": 2}, processor_class="Both")
    assert Pictures.from_pretrained(tmp_path).size == 2
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", "preprocessor_config.json", size=3)
    assert Pictures.from_pretrained(tmp_path, subfolder="sub").size == 3


def test_what_it_says_without_a_file(tmp_path):
    with pytest.raises(CheckpointNotFoundError, match="has no preprocessor_config.json.*an image processor"):
        Pictures.from_pretrained(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="expected a folder"):
        Pictures().save_pretrained(tmp_path / "file")
    with pytest.raises(ValueError, match="call push_to_hub"):
        Pictures().save_pretrained(tmp_path, push_to_hub=True)


def test_auto_asks_the_file_then_the_model_type(tmp_path):
    write(tmp_path, "preprocessor_config.json", size=5, image_processor_type="PicturesFast")
    assert type(AutoImageProcessor.from_pretrained(tmp_path, size=6)) is Pictures
    write(tmp_path, "preprocessor_config.json", size=5)
    with pytest.raises(ValueError, match="image_processor_type.*model type"):
        AutoImageProcessor.from_pretrained(tmp_path)
    write(tmp_path, "config.json", model_type="bert")
    assert AutoImageProcessor.from_pretrained(tmp_path).size == 5
    assert AutoFeatureExtractor.from_pretrained(tmp_path).rate == 8000
    assert type(AutoImageProcessor.from_pretrained(tmp_path, config=BertConfig())) is Pictures
    write(tmp_path, "preprocessor_config.json", feature_extractor_type="SoundsOfNobody")
    with pytest.raises(ValueError, match="'SoundsOfNobody' does not exist here"):
        AutoFeatureExtractor.from_pretrained(tmp_path)
    with pytest.raises(OSError, match="can't be built directly"):
        AutoImageProcessor()
    with pytest.raises(ValueError, match="already has a class for BertConfig"):
        AutoImageProcessor.register(BertConfig, Pictures)


@pytest.mark.parametrize("name", ["processor_config.json", "preprocessor_config.json", "tokenizer_config.json"])
def test_auto_processor_asks_three_files(tmp_path, name):
    AutoProcessor.register(BertConfig, Both)
    write(tmp_path, name, processor_class="Both")
    assert type(AutoProcessor.from_pretrained(tmp_path)) is Both


def test_auto_processor_without_a_processor(tmp_path):
    with pytest.raises(ValueError, match="no processor, tokenizer, image processor or feature extractor"):
        AutoProcessor.from_pretrained(tmp_path)
    write(tmp_path, "preprocessor_config.json", image_processor_type="Pictures")
    assert type(AutoProcessor.from_pretrained(tmp_path)) is Pictures
    AutoProcessor.register(BertConfig, Both)
    write(tmp_path, "config.json", model_type="bert")
    assert type(AutoProcessor.from_pretrained(tmp_path)) is Both


def test_a_batch():
    batch = BatchFeature({"pixel_values": [[1.0, 2.0]], "ids": [[3]]}, tensor_type="np")
    assert batch.pixel_values.dtype == np.float64
    moved = batch.to("cpu", "float32")
    assert moved is batch
    assert (batch["pixel_values"].dtype, batch.ids.dtype) == (np.float32, np.int64)
    assert pickle.loads(pickle.dumps(batch)).keys() == batch.keys()
    with pytest.raises(KeyError, match="ask by name"):
        batch[0]
    with pytest.raises(AttributeError, match="it holds pixel_values, ids"):
        _ = batch.nothing
    with pytest.raises(ValueError, match="'ids' have different lengths"):
        BatchFeature({"ids": [[1], [1, 2]]}, tensor_type="np")
    with pytest.raises(ValueError, match="needs a framework"):
        BatchFeature({"ids": [[1]]}, tensor_type="pt")

import json

import pytest

from edutransformers.checkpoints import load_config, read_config_dict, save_config
from edutransformers.models.bert import BertConfig
from tests.checkpoints.models import ToyConfig


@pytest.fixture
def folder(tmp_path):
    save_config(ToyConfig(width=6), tmp_path)
    return tmp_path


def test_round_trip(folder):
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    config = load_config(ToyConfig, folder)
    assert config == ToyConfig(width=6)
    assert config.name_or_path == str(folder)
    assert ToyConfig.from_pretrained(folder / "config.json").width == 6  # the file itself


def test_fields_and_other_arguments(folder):
    config = load_config(ToyConfig, folder, width=8, nonsense=1)
    assert config.width == 8
    assert not hasattr(config, "nonsense")
    config, unused = load_config(ToyConfig, folder, width=8, num_labels=7, nonsense=1, return_unused_kwargs=True)
    assert unused == {"nonsense": 1}
    assert config.num_labels == 7


def test_read_config_dict(folder):
    fields, rest = read_config_dict(folder, revision="main", nonsense=1)
    assert fields["width"] == 6
    assert rest == {"nonsense": 1}
    with pytest.raises(OSError, match=r"has no other\.json"):
        read_config_dict(folder, _configuration_file="other.json")


def test_another_type_is_a_warning(folder, caplog):
    load_config(BertConfig, folder)
    assert "a model of type toy to instantiate a model of type bert" in caplog.text


def test_saving_keeps_the_old_file_when_interrupted(folder, monkeypatch):
    class Broken(ToyConfig):
        def to_json_string(self):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        save_config(Broken(), folder)
    assert json.loads((folder / "config.json").read_text())["width"] == 6
    with pytest.raises(ValueError, match="call push_to_hub"):
        save_config(ToyConfig(), folder, push_to_hub=True)

"""The hub and its cache, against a stand-in on the loopback interface."""

import json
import time

import huggingface_hub
import numpy as np
import pytest

import edutransformers.logging
from edutransformers.checkpoints import CheckpointNotFoundError, read_checkpoint, resolve_file
from edutransformers.models.bert import BertModel
from tests.checkpoints.hub_server import COMMIT
from tests.checkpoints.models import bert

CONFIG = b'{"model_type": "bert"}'


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """huggingface_hub waits longer and longer between its attempts to reach a hub."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def tiny(hub):
    hub.files["me/tiny"] = {"config.json": CONFIG, "sub/vocab.txt": b"a\nb\n"}
    return hub


def asked(hub):
    """What the hub was asked since the last look, without questions about other things than files."""
    requests = [request for request in hub.requests if not request[1].startswith("/api/")]
    hub.requests.clear()
    return requests


def test_downloads_once(tiny, tmp_path):
    path = resolve_file("me/tiny", "config.json")
    assert path.read_bytes() == CONFIG
    assert path.is_relative_to(tmp_path / "hf_home" / "hub" / "models--me--tiny" / "snapshots" / COMMIT)
    assert [method for method, _, _ in asked(tiny)] == ["HEAD", "GET"]
    assert resolve_file("me/tiny", "config.json") == path
    assert [method for method, _, _ in asked(tiny)] == ["HEAD"]
    resolve_file("me/tiny", "config.json", force_download=True)
    assert [method for method, _, _ in asked(tiny)] == ["HEAD", "GET"]


def test_progress_bars_obey_the_switch(tiny, monkeypatch):
    """Ours off, huggingface_hub's are off while we download, and afterwards as they were."""
    shown = []

    def download(*args, **options):
        shown.append(not huggingface_hub.utils.are_progress_bars_disabled())
        return "file"

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    for bars in (True, False):
        monkeypatch.setattr(edutransformers.logging, "_bars", bars)
        resolve_file("me/tiny", "config.json")
        assert not huggingface_hub.utils.are_progress_bars_disabled()
    assert shown == [True, False]


def test_a_pinned_commit_is_not_asked_for_twice(tiny):
    path = resolve_file("me/tiny", "config.json")
    assert resolve_file("me/tiny", "vocab.txt") is None
    asked(tiny)
    assert resolve_file("me/tiny", "config.json", _commit_hash=COMMIT) == path
    assert resolve_file("me/tiny", "config.json", revision=COMMIT) == path
    assert resolve_file("me/tiny", "vocab.txt", _commit_hash=COMMIT) is None
    assert asked(tiny) == []


def test_folders(tiny, tmp_path, monkeypatch):
    assert resolve_file("me/tiny", "vocab.txt", subfolder="sub").read_bytes() == b"a\nb\n"
    assert resolve_file("me/tiny", "config.json", cache_dir=tmp_path / "mine").is_relative_to(tmp_path / "mine")
    for variable in ("HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE", "TRANSFORMERS_CACHE"):  # set after the import
        monkeypatch.setenv(variable, str(tmp_path / variable))
        assert resolve_file("me/tiny", "config.json").is_relative_to(tmp_path / variable)


def test_token(tiny, monkeypatch):
    resolve_file("me/tiny", "config.json", token="hf_mine", force_download=True)
    assert {token for _, _, token in asked(tiny)} == {"Bearer hf_mine"}
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    resolve_file("me/tiny", "config.json", force_download=True)
    assert {token for _, _, token in asked(tiny)} == {"Bearer hf_environment"}


def test_what_is_not_there(tiny):
    assert resolve_file("me/tiny", "vocab.txt") is None
    for name, options, message in (
        ("me/nobody", {}, "me/nobody is not a local folder and not a model on http://127.0.0.1"),
        ("me/tiny", {"revision": "v7"}, "revision 'v7' is no branch, tag or commit of me/tiny"),
        ("me and you", {}, "can't be a name on the hub"),
    ):
        with pytest.raises(CheckpointNotFoundError, match=message) as caught:
            resolve_file(name, "config.json", **options)
        assert isinstance(caught.value, OSError)
        assert len(str(caught.value).splitlines()) == 1


def test_gated(tiny):
    tiny.gated.add("me/tiny")
    for force_download in (False, True):
        with pytest.raises(CheckpointNotFoundError, match="me/tiny is gated: ask for access"):
            resolve_file("me/tiny", "config.json", force_download=force_download)


@pytest.mark.parametrize("variable", ["TRANSFORMERS_OFFLINE", "HF_HUB_OFFLINE", None])
def test_offline(tiny, monkeypatch, variable):
    path = resolve_file("me/tiny", "config.json")
    asked(tiny)
    options = {} if variable else {"local_files_only": True}
    if variable:
        monkeypatch.setenv(variable, "1")
    assert resolve_file("me/tiny", "config.json", **options) == path
    assert (
        resolve_file("me/tiny", "vocab.txt", **options) is None
    )  # others of its files are there, so it lacks this one
    with pytest.raises(CheckpointNotFoundError, match=f"{variable or 'local_files_only=True'} forbids downloading it"):
        resolve_file("me/unknown", "config.json", **options)
    with pytest.raises(CheckpointNotFoundError, match="forbids downloading it"):
        resolve_file("me/tiny", "config.json", revision="v7", **options)
    assert asked(tiny) == []


def test_a_library_that_was_imported_offline(tiny, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointNotFoundError, match="imported while HF_HUB_OFFLINE was set; restart Python"):
        resolve_file("me/unknown", "config.json")


def test_a_hub_that_does_not_answer(tiny, monkeypatch):
    path = resolve_file("me/tiny", "config.json")
    tiny.broken = True
    assert resolve_file("me/tiny", "config.json") == path
    assert resolve_file("me/tiny", "vocab.txt") is None
    with pytest.raises(CheckpointNotFoundError, match=r"can't be reached \(.*503"):
        resolve_file("me/other", "config.json")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert resolve_file("me/tiny", "config.json") == path
    with pytest.raises(CheckpointNotFoundError, match="http://127.0.0.1:9 can't be reached"):
        resolve_file("me/other", "config.json")


@pytest.mark.parametrize("options", [{}, {"max_shard_size": "2KB"}, {"safe_serialization": False}])
def test_a_whole_model(hub, tmp_path, options, monkeypatch):
    model = bert(BertModel)
    model.save_pretrained(tmp_path / "saved", **options)
    hub.files["me/bert"] = {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    loaded = BertModel.from_pretrained("me/bert")
    assert {path.split("/")[4] for _, path, _ in asked(hub)[1:]} <= {"main", COMMIT}
    for (name, expected), (_, found) in zip(model.state_dict().items(), loaded.state_dict().items()):
        np.testing.assert_array_equal(found, expected, err_msg=name)
    assert loaded.config.name_or_path == "me/bert"
    assert set(read_checkpoint("me/bert")) == set(model.state_dict())

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked(hub)
    BertModel.from_pretrained("me/bert")
    assert asked(hub) == []


def test_a_download_that_is_only_a_part(hub, tmp_path, monkeypatch):
    """The config is in the cache, the weights are not, and the hub may not be asked."""
    hub.files["me/bert"] = {"config.json": json.dumps({"model_type": "bert"}).encode()}
    resolve_file("me/bert", "config.json")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointNotFoundError, match="has no weights.*unset HF_HUB_OFFLINE to download the rest"):
        BertModel.from_pretrained("me/bert")


def test_an_error_page_in_place_of_a_file(hub):
    hub.files["me/page"] = {"config.json": b"<!DOCTYPE html><title>Please log in</title>"}
    with pytest.raises(OSError, match="config.json can't be read: it is a web page"):
        BertModel.from_pretrained("me/page")

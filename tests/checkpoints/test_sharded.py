import json
import os

import numpy as np
import pytest

from edutransformers.checkpoints import CheckpointFormatError, CheckpointNotFoundError, read_checkpoint
from edutransformers.checkpoints.safetensors_file import write_safetensors
from edutransformers.checkpoints.sharded import SAVE_MARK, index_text, parse_size, split
from edutransformers.checkpoints.torch_bin_writer import write_torch_bin

ARRAYS = {"a": np.arange(3, dtype=np.float32), "b": np.ones((2, 2), dtype=np.float32)}


def write(folder, weight_map=None, suffix="safetensors", marks=(None, None)):
    """Two shards and their index."""
    writer = write_safetensors if suffix == "safetensors" else write_torch_bin
    folder.mkdir(exist_ok=True)
    for number, (name, mark) in enumerate(zip(ARRAYS, marks), 1):
        with open(folder / f"w-{number}.{suffix}", "wb") as file:
            writer(file, {name: ARRAYS[name]}, None, {} if mark is None else {SAVE_MARK: mark})
    weight_map = {"a": f"w-1.{suffix}", "b": f"w-2.{suffix}"} if weight_map is None else weight_map
    stem = "model.safetensors" if suffix == "safetensors" else "pytorch_model.bin"
    (folder / f"{stem}.index.json").write_text(json.dumps({"metadata": {"total_size": 28}, "weight_map": weight_map}))
    return folder


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_reads_all_shards(tmp_path, suffix):
    folder = write(tmp_path / "x", suffix=suffix)
    for name in (folder, next(folder.glob("*.index.json"))):  # the folder, or the index itself
        tensors = read_checkpoint(name)
        for key, array in ARRAYS.items():
            np.testing.assert_array_equal(tensors[key].read(), array)


def test_missing_shards_are_named(tmp_path):
    write(tmp_path / "x")
    (tmp_path / "x" / "w-2.safetensors").unlink()
    with pytest.raises(CheckpointNotFoundError, match=r"names 2 files, of which 1 are missing: w-2.safetensors"):
        read_checkpoint(tmp_path / "x")


def test_a_tensor_that_its_shard_does_not_hold(tmp_path):
    write(tmp_path / "x", {"a": "w-1.safetensors", "c": "w-2.safetensors"})
    with pytest.raises(CheckpointFormatError, match="says that 'c' is in w-2.safetensors, but that file does not hold"):
        read_checkpoint(tmp_path / "x")


OUTSIDE = (
    "../secret.safetensors",
    "/etc/passwd",
    "..",
    ".",
    "",
    "sub/w.safetensors",
    "..\\secret",
    "C:secret",
    "a\0b",
    5,
    None,
)


@pytest.mark.parametrize("filename", OUTSIDE)
def test_an_index_can_not_point_outside_its_folder(tmp_path, filename):
    with open(tmp_path / "secret.safetensors", "wb") as file:
        write_safetensors(file, ARRAYS)
    write(tmp_path / "x", {"a": filename})
    with pytest.raises(CheckpointFormatError, match="is not a plain file name inside the checkpoint's folder"):
        read_checkpoint(tmp_path / "x")


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_link_can_not_lead_outside_either(tmp_path, suffix):
    outside = write(tmp_path / "outside", suffix=suffix)
    folder = write(tmp_path / "x", suffix=suffix)
    (folder / f"w-2.{suffix}").unlink()
    (folder / f"w-2.{suffix}").symlink_to(outside / f"w-2.{suffix}")
    with pytest.raises(CheckpointFormatError, match="is a link that leads out of the checkpoint's folder"):
        read_checkpoint(folder)


def test_a_folder_that_is_a_link_and_one_made_of_links(tmp_path):
    folder = write(tmp_path / "x")
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "links").mkdir()
    for path in folder.iterdir():
        (tmp_path / "links" / path.name).symlink_to(path)
    for name in ("link", "links"):
        assert set(read_checkpoint(tmp_path / name)) == {"a", "b"}


@pytest.mark.parametrize("shared", [False, True])
def test_the_links_of_the_hugging_face_cache(tmp_path, shared):
    """Files of a snapshot are links into the repository's blobs, and those may be links into blobs that all share."""
    source = write(tmp_path / "x")
    repository = tmp_path / "hub" / "models--me--tiny"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    store = tmp_path / "hub" / "blobs" / "ab"
    store.mkdir(parents=True)
    for path in source.iterdir():
        blob = repository / "blobs" / f"hash-of-{path.name}"
        if shared and path.suffix == ".safetensors":
            os.replace(path, store / f"hash-of-{path.name}")
            blob.symlink_to(os.path.relpath(store / f"hash-of-{path.name}", blob.parent))
        else:
            os.replace(path, blob)
        (snapshot / path.name).symlink_to(os.path.relpath(blob, snapshot))
    assert set(read_checkpoint(snapshot)) == {"a", "b"}

    secret = tmp_path / "secret.safetensors"
    secret.write_bytes(b"")
    (snapshot / "w-2.safetensors").unlink()
    (snapshot / "w-2.safetensors").symlink_to(secret)
    with pytest.raises(CheckpointFormatError, match="leads out of the checkpoint's folder"):
        read_checkpoint(snapshot)


def test_shards_of_two_saves_are_told_apart(tmp_path):
    assert set(read_checkpoint(write(tmp_path / "x", marks=("1", "1")))) == {"a", "b"}
    write(tmp_path / "x", marks=("1", "2"))
    with pytest.raises(CheckpointFormatError, match="come from two different saves, one of which was interrupted"):
        read_checkpoint(tmp_path / "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "it is not JSON"),
        ("[]", "expected a 'weight_map'"),
        ("{}", "expected a 'weight_map'"),
        ('{"weight_map": {}}', "expected a 'weight_map'"),
        ('{"weight_map": []}', "expected a 'weight_map'"),
        ("", "it is empty"),
        ("<!doctype html>", "web page"),
    ],
)
def test_bad_indices(tmp_path, content, message):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(CheckpointFormatError, match=message):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(7, 7), ("5GB", 5 * 10**9), ("200MB", 2 * 10**8), ("10kb", 10**4), ("1GiB", 2**30), ("1.5 MiB", 3 * 2**19)],
)
def test_parse_size(size, expected):
    assert parse_size(size) == expected


@pytest.mark.parametrize("size", [0, -1, "5", "GB", "-5GB", "5XB", None, True, 1.5, "0MB"])
def test_parse_size_refuses(size):
    with pytest.raises(ValueError, match="expected a number of bytes or a text such as '200MB'"):
        parse_size(size)


def test_split_keeps_the_order_and_the_limit():
    sizes = {"a": 6, "b": 6, "c": 2, "d": 6, "e": 2, "f": 2}
    assert split(sizes, 10, "model.safetensors") == {
        "model-00001-of-00003.safetensors": ["a"],
        "model-00002-of-00003.safetensors": ["b", "c"],
        "model-00003-of-00003.safetensors": ["d", "e", "f"],
    }
    assert split(sizes, 24, "model.safetensors") == {"model.safetensors": list(sizes)}
    assert len(split(sizes, 1, "pytorch_model.bin")) == 6  # a tensor larger than the limit has a file for itself
    assert list(split(sizes, 1, "pytorch_model.bin"))[0] == "pytorch_model-00001-of-00006.bin"


def test_index_text():
    index = json.loads(index_text({"f1": ["a", "b"], "f2": ["c"]}, 12))
    assert index == {"metadata": {"total_size": 12}, "weight_map": {"a": "f1", "b": "f1", "c": "f2"}}

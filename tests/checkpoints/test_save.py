import json
import os

import numpy as np
import pytest
import safetensors.numpy

from edutransformers.checkpoints import read_checkpoint, save_model, write
from edutransformers.checkpoints.safetensors_file import read_metadata
from edutransformers.models.bert import BertForMaskedLM, BertModel
from tests.checkpoints.models import ToyConfig, ToyHead, ToyTied, bert, randomize


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def state(folder):
    return {name: tensor.read() for name, tensor in read_checkpoint(folder).items()}


def assert_holds(folder, model):
    found = state(folder)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def model(seed, model_class=ToyHead):
    return randomize(model_class(ToyConfig()), seed)


SHARDED = {"max_shard_size": 30}


class TestFiles:
    def test_one_file(self, tmp_path):
        bert(BertModel).save_pretrained(tmp_path / "deep" / "folder")
        folder = tmp_path / "deep" / "folder"
        assert names(folder) == ["config.json", "model.safetensors"]
        assert read_metadata(folder / "model.safetensors") == {"format": "pt"}
        config = json.loads((folder / "config.json").read_text())
        assert config["architectures"] == ["BertModel"]
        assert config["torch_dtype"] == "float32"
        assert config["model_type"] == "bert"

    def test_several_files(self, tmp_path):
        model(1).save_pretrained(tmp_path, **SHARDED)
        files = [name for name in names(tmp_path) if name.endswith(".safetensors")]
        assert files == [f"model-{n:05d}-of-{len(files):05d}.safetensors" for n in range(1, len(files) + 1)]
        assert len(files) > 1
        index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
        assert index["metadata"]["total_size"] == sum(x.nbytes for x in model(1).state_dict().values())
        assert set(index["weight_map"]) == set(model(1).state_dict())
        assert len({read_metadata(tmp_path / name)["edutransformers_save"] for name in files}) == 1
        assert_holds(tmp_path, model(1))

    def test_variant(self, tmp_path):
        model(1).save_pretrained(tmp_path, variant="fp16", dtype="float16")
        assert names(tmp_path) == ["config.json", "model.fp16.safetensors"]
        model(1).save_pretrained(tmp_path, variant="fp16", **SHARDED)
        assert "model.safetensors.index.fp16.json" in names(tmp_path)
        assert [name for name in names(tmp_path) if name.startswith("model.fp16-00001-of-")]
        ToyHead.from_pretrained(tmp_path, variant="fp16")

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", np.float16])
    def test_number_types(self, tmp_path, dtype):
        model(1).save_pretrained(tmp_path, dtype=dtype)
        name = dtype if isinstance(dtype, str) else "float16"
        assert json.loads((tmp_path / "config.json").read_text())["torch_dtype"] == name
        tensors = read_checkpoint(tmp_path)
        assert {tensor.dtype for tensor in tensors.values()} == {name, "int64"}
        assert model(1).dtype == np.float32  # the model itself is not changed
        for key, array in model(1).state_dict().items():
            np.testing.assert_allclose(tensors[key].read(), array, rtol=2**-8)

    def test_a_tied_weight_is_written_once(self, tmp_path):
        model(1, ToyTied).save_pretrained(tmp_path)
        assert sorted(read_checkpoint(tmp_path)) == ["first.dense.bias", "first.dense.weight"]
        bert(BertForMaskedLM).save_pretrained(tmp_path)
        saved = sorted(name for name in read_checkpoint(tmp_path) if not name.startswith("bert.encoder"))
        assert "bert.embeddings.word_embeddings.weight" in saved
        assert "cls.predictions.bias" in saved
        assert not [name for name in saved if "decoder" in name]  # as the original

    def test_the_class_may_say_which_name_of_a_tied_weight_is_dropped(self, tmp_path):
        tied = model(1, ToyTied)
        tied._tied_weights_keys = [r"^first\."]
        save_model(tied, tmp_path)
        assert sorted(read_checkpoint(tmp_path)) == ["second.dense.bias", "second.dense.weight"]

    def test_a_state_of_ones_own(self, tmp_path):
        model(1).save_pretrained(tmp_path, state_dict={"x": np.ones(3, np.float32)})
        assert state(tmp_path)["x"].tolist() == [1, 1, 1]

    def test_only_the_main_process_writes(self, tmp_path):
        model(1).save_pretrained(tmp_path / "x", is_main_process=False)
        assert not (tmp_path / "x").exists()

    def test_readable_as_any_new_file(self, tmp_path):
        (tmp_path / "other").write_text("")
        model(1).save_pretrained(tmp_path)
        assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"dtype": "int8"}, ValueError, "dtype is 'int8'"),
            ({"max_shard_size": "big"}, ValueError, "max_shard_size is 'big'"),
            ({"push_to_hub": True}, ValueError, "call push_to_hub"),
            ({"nonsense": 1}, TypeError, "unknown argument 'nonsense'"),
        ],
    )
    def test_bad_options(self, tmp_path, options, error, message):
        with pytest.raises(error, match=message):
            model(1).save_pretrained(tmp_path, **options)
        assert names(tmp_path) == []

    def test_a_file_in_place_of_the_folder(self, tmp_path):
        (tmp_path / "x").write_text("")
        with pytest.raises(OSError, match="is a file; expected a folder"):
            model(1).save_pretrained(tmp_path / "x")


class TestOldFiles:
    @pytest.mark.parametrize("before", [{}, SHARDED, {"max_shard_size": 70}, {"safe_serialization": False}])
    @pytest.mark.parametrize("after", [{}, SHARDED, {"safe_serialization": False}])
    def test_nothing_of_an_earlier_save_is_left(self, tmp_path, before, after):
        (tmp_path / "vocab.txt").write_text("kept")
        (tmp_path / "model_card.bin").write_text("kept")
        model(1).save_pretrained(tmp_path, **before)
        model(2).save_pretrained(tmp_path, **after)
        assert_holds(tmp_path, model(2))
        model(2).save_pretrained(tmp_path.with_name("fresh"), **after)
        assert names(tmp_path) == sorted([*names(tmp_path.with_name("fresh")), "vocab.txt", "model_card.bin"])

    def test_a_variant_is_another_checkpoint(self, tmp_path):
        model(1).save_pretrained(tmp_path)
        model(2).save_pretrained(tmp_path, variant="ema")
        assert names(tmp_path) == ["config.json", "model.ema.safetensors", "model.safetensors"]


class Stopped(BaseException):
    """Like KeyboardInterrupt."""


class TestInterrupted:
    """Stopped at any call that touches the disk, what is in the folder is the old checkpoint or the new one."""

    def stop_at(self, monkeypatch, module, function, after):
        calls = iter(range(10**6))
        original = getattr(module, function)

        def stopping(*arguments):
            if next(calls) == after:
                raise Stopped
            return original(*arguments)

        monkeypatch.setattr(module, function, stopping)

    @pytest.mark.parametrize(("options", "after"), [({}, 0), ({}, 1), *((SHARDED, after) for after in range(5))])
    def test_while_writing(self, tmp_path, monkeypatch, options, after):
        model(1).save_pretrained(tmp_path, **options)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        self.stop_at(monkeypatch, os, "fsync", after)
        with pytest.raises(Stopped):
            model(2).save_pretrained(tmp_path, **options)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    @pytest.mark.parametrize(("options", "after"), [({}, 0), ({}, 1), *((SHARDED, after) for after in range(5))])
    def test_while_renaming(self, tmp_path, monkeypatch, options, after):
        model(1).save_pretrained(tmp_path, **options)
        self.stop_at(monkeypatch, os, "replace", after)
        with pytest.raises(Stopped):
            model(2).save_pretrained(tmp_path, **options)
        assert_holds(tmp_path, model(2))
        assert not [name for name in names(tmp_path) if name.endswith(write.UNFINISHED)]

    def test_a_full_disk(self, tmp_path, monkeypatch):
        model(1).save_pretrained(tmp_path)

        def full(handle):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            model(2).save_pretrained(tmp_path)
        monkeypatch.undo()
        assert_holds(tmp_path, model(1))
        assert names(tmp_path) == ["config.json", "model.safetensors"]

    def test_killed(self, tmp_path, monkeypatch):
        """Nothing can clean up then: the file is not read, and a later save removes it once it is old."""
        model(1).save_pretrained(tmp_path)
        leftover = tmp_path / f".model.safetensors.0{write.UNFINISHED}"
        leftover.write_bytes(b"half")
        model(2).save_pretrained(tmp_path)
        assert leftover.exists()  # it may be another process's, still at work
        os.utime(leftover, (0, 0))
        model(2).save_pretrained(tmp_path)
        assert not leftover.exists()

    def test_killed_between_two_renames(self, tmp_path, monkeypatch):
        """Then old and new shards are mixed. That is noticed, not loaded."""
        model(1).save_pretrained(tmp_path, **SHARDED)
        shard = next(path for path in sorted(tmp_path.iterdir()) if path.suffix == ".safetensors")
        model(2).save_pretrained(tmp_path / "new", **SHARDED)
        os.replace(tmp_path / "new" / shard.name, shard)
        with pytest.raises(OSError, match="come from two different saves"):
            ToyHead.from_pretrained(tmp_path)


def test_the_safetensors_package_reads_it(tmp_path):
    bert(BertModel).save_pretrained(tmp_path)
    arrays = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    for name, array in bert(BertModel).state_dict().items():
        np.testing.assert_array_equal(arrays[name], array)

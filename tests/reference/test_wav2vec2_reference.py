"""Wav2Vec2 against transformers 5.x: every output, every gradient, float64."""

import sys

import numpy as np
import pytest

import edutransformers
from edutransformers.models.wav2vec2_pretraining import sample_negative_indices
from tests.models.proof import assert_same, flatten, run_model
from tests.models.wav2vec2_cases import CASES, batch_of, losses_of, model_of

from .common import MAJOR, in_float64, original_of, run_original, to_torch, torch, transformers
from .wav2vec2_draws import TRAINED, Draws, patch_ours, patch_theirs

pytestmark = [pytest.mark.reference, pytest.mark.skipif(MAJOR < 5, reason="needs transformers 5.x")]


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients(name):
    case = CASES[name]
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    with in_float64():
        if case.labels:
            losses = losses_of(case)
            assert_same(run_model(ours, batch, losses), run_original(theirs, batch, losses))
        assert_same(run_model(ours, batch), run_original(theirs, batch))


@pytest.mark.parametrize("name", TRAINED)
def test_training_with_the_same_draws(name, monkeypatch):
    """Dropout, hidden spans, skipped layers and Gumbel noise stand where the original has them, in its order."""
    case = TRAINED[name]
    ours, batch = model_of(case).train(), dict(batch_of(case))
    theirs = original_of(ours).train()
    theirs.base_model.feature_extractor._requires_grad = (
        False  # else it sets a flag that an input with gradient refuses
    )
    if case.config["layerdrop"]:  # 5.x leaves skipped layers out of the hidden states
        del batch["output_hidden_states"], batch["output_attentions"]
    for names in (losses_of(case), None):
        our_draws, their_draws = Draws(), Draws()
        with in_float64(), monkeypatch.context() as patch:
            patch_ours(patch, our_draws)
            patch_theirs(patch, their_draws)
            mine, other = run_model(ours, batch, names), run_original(theirs, batch, names)
        for of_kind in (is_skip, is_other):  # which layers are skipped we draw before the first of them
            assert list(filter(of_kind, our_draws.asked)) == list(filter(of_kind, their_draws.asked))
        assert_same(mine, other)
    kinds = {question[0] for question in our_draws.asked}
    assert ("skip" in kinds) == ("drop" in name)
    assert ("gumbel" in kinds) == ("pretraining" in name)
    assert ("spans" in kinds) == ("spans" in name)
    assert {question[2] for question in our_draws.asked if question[0] == "dropout"} >= {0.3, 0.15, 0.2, 0.25}


def is_skip(question):
    return question[0] == "skip"


def is_other(question):
    return question[0] != "skip"


def test_negatives_are_the_originals(monkeypatch):
    original = sys.modules["transformers.models.wav2vec2.modeling_wav2vec2"]._sample_negative_indices
    mask = np.random.default_rng(0).random((4, 30)) < 0.3
    generator = np.random.default_rng(7)
    monkeypatch.setattr(np.random, "randint", generator.integers)
    theirs = original(mask.shape, 11, mask)
    np.testing.assert_array_equal(sample_negative_indices(mask.shape, 11, np.random.default_rng(7), mask), theirs)


# -- files: each side loads what the other saved ----------------------------------------------------------------------

SAVED = [
    "model",
    "large",
    "ctc",
    "hidden",
    "adapter_of_another_width",
    "attention_adapter",
    "classes_mix",
    "frame_classes",
    "xvector",
    "pretraining",
]


@pytest.mark.parametrize("name", SAVED)
def test_files_both_ways(name, tmp_path):
    ours, batch = model_of(CASES[name], "float32"), batch_of(CASES[name], "float32")
    ours.save_pretrained(tmp_path / "ours")
    theirs, report = getattr(transformers, CASES[name].model).from_pretrained(
        tmp_path / "ours", attn_implementation="eager", output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    theirs.save_pretrained(tmp_path / "theirs")
    again, report = type(ours).from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert not any(report.values()), report
    for (our_name, mine), (their_name, other) in zip(ours.named_parameters(), again.named_parameters(), strict=True):
        assert our_name == their_name
        np.testing.assert_array_equal(mine.data, other.data)
    assert again.config == ours.config
    wanted = flatten(ours(**batch))
    with torch.no_grad():
        got = flatten(dict(theirs(**{key: to_torch(x) for key, x in batch.items()})))
    assert got.keys() == wanted.keys()
    # In float32 two of its projections of one code vector can differ in their last digit; then it takes the one for a
    # distractor of the other. Ours are compared by code, as both are in float64.
    inexact = ("loss", "contrastive_loss") if name.startswith("pretraining") else ()
    for key in got.keys() - inexact:
        np.testing.assert_allclose(wanted[key], got[key].numpy(), rtol=1e-4, atol=1e-4, err_msg=key)


def test_a_pretrained_base_under_a_new_head(tmp_path):
    """Pre-training's file into a CTC model: the base's weights are taken, the head is new."""
    pretrained = original_of(model_of(CASES["pretraining"], "float32"), "float32")
    pretrained.save_pretrained(tmp_path)
    model, report = edutransformers.Wav2Vec2ForCTC.from_pretrained(tmp_path, output_loading_info=True)
    assert set(report["missing_keys"]) == {"lm_head.weight", "lm_head.bias"}
    assert {name.split(".")[0] for name in report["unexpected_keys"]} == {"quantizer", "project_hid", "project_q"}
    weights = pretrained.state_dict()["wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original1"]
    np.testing.assert_array_equal(model.wav2vec2.encoder.positions.conv.weight.v.data, weights.numpy())


@pytest.mark.parametrize(
    "change", [{}, {"hidden_size": 12, "conv_dim": (4, 5), "conv_stride": (2, 3), "conv_kernel": (3, 3)}]
)
def test_config_fields(change):
    ours, theirs = edutransformers.Wav2Vec2Config(**change), transformers.Wav2Vec2Config(**change)
    fields = theirs.to_dict()
    mine = ours.to_dict()
    assert {name: list(x) if isinstance(x, tuple) else x for name, x in fields.items() if name in mine} == {
        name: mine[name] for name in fields if name in mine
    } | {name: fields[name] for name in ("transformers_version", "architectures", "dtype") if name in mine}
    assert ours.inputs_to_logits_ratio == theirs.inputs_to_logits_ratio
    assert not {name for name in mine if name.startswith(("mask_", "conv_", "num_", "tdnn", "adapter"))} - set(fields)

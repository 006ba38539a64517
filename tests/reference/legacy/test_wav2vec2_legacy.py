"""Wav2Vec2 against transformers 4.34.1: outputs and gradients in every shape, files both ways, with old names too."""

import numpy as np
import pytest

from edutransformers.layers import LayerNorm
from tests.models.proof import assert_same, flatten, run_model
from tests.models.wav2vec2_cases import CASES, batch_of, losses_of, model_of

from ..common import MAJOR, in_float64, original_of, run_original, to_torch, torch, transformers

pytestmark = [pytest.mark.legacy, pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1")]

# What is otherwise in 5.x, and here: pre-norm models show their last hidden state before the final norm, not after it
# (mixed with the other states it makes other logits); blanks among the labels don't count; ForCTC takes hidden frames.
OTHER_IN_5 = {"classes_mix_large", "ctc_holes", "hidden", "hidden_large"}
SAVED = ["model", "large", "ctc", "adapter_of_another_width", "attention_adapter", "xvector", "pretraining"]


@pytest.fixture(autouse=True)
def perplexity_without_a_constant(monkeypatch):
    """4.34 computes Σ p log(p + 1e-7), 5.x (and we) Σ p log p."""
    if MAJOR != 4:
        return
    from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2GumbelVectorQuantizer as Quantizer

    def perplexity(probs, mask=None):
        if mask is not None:
            probs = probs * mask.flatten()[:, None, None]
        mean = probs.sum(dim=0) / (len(probs) if mask is None else mask.sum())
        return torch.exp(-torch.special.xlogy(mean, mean).sum(dim=-1)).sum()

    monkeypatch.setattr(Quantizer, "_compute_perplexity", staticmethod(perplexity))


def shown_as_in_4(model, batch):
    """Without the hidden states of a pre-norm model, the last of which is another: see below."""
    return {**batch, "output_hidden_states": not model.config.do_stable_layer_norm}


@pytest.mark.parametrize("name", sorted(set(CASES) - OTHER_IN_5))
def test_outputs_and_gradients(name):
    case = CASES[name]
    ours = model_of(case)
    batch, theirs = shown_as_in_4(ours, batch_of(case)), original_of(ours)
    with in_float64():
        if case.labels:
            losses = losses_of(case)
            assert_same(run_model(ours, batch, losses), run_original(theirs, batch, losses))
        assert_same(run_model(ours, batch), run_original(theirs, batch))


def test_hidden_states_of_a_pre_norm_model():
    ours, batch = model_of(CASES["large"]), batch_of(CASES["large"])
    mine = ours(**batch).hidden_states
    theirs = original_of(ours)(**{name: to_torch(x) for name, x in batch.items()}).hidden_states
    norm = ours.encoder.norm
    assert isinstance(norm, LayerNorm)
    for x, other in zip((*mine[:-1], norm(mine[-1])), theirs, strict=True):
        np.testing.assert_allclose(x, other.detach().numpy(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", SAVED)
def test_files_both_ways(name, tmp_path):
    ours, batch = model_of(CASES[name], "float32"), batch_of(CASES[name], "float32")
    ours.save_pretrained(tmp_path / "ours")
    theirs, report = getattr(transformers, CASES[name].model).from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    theirs.save_pretrained(tmp_path / "theirs")
    again, report = type(ours).from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert not any(report.values()), report
    for (our_name, mine), (their_name, other) in zip(ours.named_parameters(), again.named_parameters(), strict=True):
        assert our_name == their_name
        np.testing.assert_array_equal(mine.data, other.data)
    wanted = flatten(again(**batch))
    with torch.no_grad():
        got = flatten(dict(theirs(**{key: to_torch(x) for key, x in batch.items()})))
    key = "projected_states" if name == "pretraining" else "logits" if "logits" in got else "last_hidden_state"
    np.testing.assert_allclose(wanted[key], got[key].numpy(), rtol=1e-4, atol=1e-4)

"""GPT-2 against transformers 4.34.1: what 5.x dropped, one of each head, and files both ways."""

import numpy as np
import pytest

import edutransformers
from tests.models.gpt2_cases import CASES, HEADS, LEGACY, batch_of, model_of
from tests.models.proof import assert_same, run_model

from ..common import MAJOR, original_of, run_original, to_torch, torch, transformers

pytestmark = [pytest.mark.legacy, pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1")]


@pytest.mark.parametrize("name", [*LEGACY, *HEADS])
def test_outputs_and_gradients(name):
    case = {**CASES, **LEGACY}[name]
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    if case.labels:
        losses = ("loss", "mc_loss") if case.labels == "words_and_choice" else ("loss",)
        assert_same(run_model(ours, batch, losses), run_original(theirs, batch, losses))
    assert_same(run_model(ours, batch), run_original(theirs, batch))


@pytest.mark.parametrize("name", ["lm", "untied", "classes", "double_heads", "cross_attention_lm"])
@pytest.mark.parametrize("safe", [True, False])
def test_each_side_loads_what_the_other_saved(name, safe, tmp_path):
    case = CASES[name]
    ours, batch = model_of(case, "float32"), batch_of(case, "float32")
    ours.save_pretrained(tmp_path / "ours", safe_serialization=safe)
    kind = getattr(transformers, case.model)
    theirs, report = kind.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), report
    theirs.config.use_cache = False
    with torch.no_grad():
        wanted = theirs(**{n: to_torch(x) for n, x in batch.items()})
    np.testing.assert_allclose(ours(**batch).logits, wanted.logits.numpy(), rtol=0, atol=2e-5)

    theirs.save_pretrained(tmp_path / "theirs", safe_serialization=safe)
    again, report = getattr(edutransformers, case.model).from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert not any(report.values()), report
    np.testing.assert_allclose(again(**batch).logits, wanted.logits.numpy(), rtol=0, atol=2e-5)

"""GPT-2 against transformers 4.34.1: what 5.x dropped, and one of each head."""

import pytest

from tests.models.gpt2_cases import CASES, HEADS, LEGACY, batch_of, model_of
from tests.models.proof import assert_same, run_model

from ..common import MAJOR, original_of, run_original

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

"""GPT-2 against transformers 5.x: every output, every gradient, float64."""

import pytest

from tests.models.gpt2_cases import CASES, batch_of, model_of
from tests.models.proof import assert_same, run_model

from .common import MAJOR, original_of, run_original

pytestmark = [pytest.mark.reference, pytest.mark.skipif(MAJOR < 5, reason="needs transformers 5.x")]


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients(name):
    case = CASES[name]
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    losses = ("loss", "mc_loss") if case.labels == "words_and_choice" else ("loss",)
    if case.labels:
        assert_same(run_model(ours, batch, losses), run_original(theirs, batch, losses))
    assert_same(run_model(ours, batch), run_original(theirs, batch))

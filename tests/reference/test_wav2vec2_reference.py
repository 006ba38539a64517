"""Wav2Vec2 against transformers 5.x: every output, every gradient, float64."""

import pytest

from tests.models.proof import assert_same, run_model
from tests.models.wav2vec2_cases import CASES, batch_of, losses_of, model_of

from .common import MAJOR, in_float64, original_of, run_original

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

"""ViT against transformers 5.x: every output, every gradient, that of the pixels too; float64."""

import pytest

from tests.models.proof import assert_same, run_model
from tests.models.vit_cases import CASES, batch_of, model_of

from .common import MAJOR, original_of, run_original

pytestmark = [pytest.mark.reference, pytest.mark.skipif(MAJOR < 5, reason="needs transformers 5.x")]


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients(name):
    case = CASES[name]
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    if case.labels:
        assert_same(run_model(ours, batch, ("loss",)), run_original(theirs, batch, ("loss",)))
    assert_same(run_model(ours, batch), run_original(theirs, batch))

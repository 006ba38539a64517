"""BERT against transformers 5.x: every output, every gradient, float64."""

import numpy as np
import pytest

from tests.models.bert_cases import CASES, batch_of, model_of
from tests.models.proof import assert_same, run_model

from .common import MAJOR, original_of, run_original, tied_names

pytestmark = [pytest.mark.reference, pytest.mark.skipif(MAJOR < 5, reason="needs transformers 5.x")]


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients(name):
    case = CASES[name]
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    if case.labels:
        assert_same(run_model(ours, batch, ("loss",)), run_original(theirs, batch, ("loss",)))
    assert_same(run_model(ours, batch), run_original(theirs, batch))

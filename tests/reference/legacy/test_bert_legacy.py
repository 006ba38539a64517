"""BERT against transformers 4.34.1: relative positions, head masks, matrix masks, and all that 5.x still has.

Runs in an environment of its own (transformers 4.34.1, numpy < 2):  pytest tests/reference -m legacy
"""

import numpy as np
import pytest

from tests.models.bert_cases import CASES, LEGACY, batch_of, model_of
from tests.models.proof import assert_same, run_model

from ..common import MAJOR, original_of, run_original, tied_names

pytestmark = [pytest.mark.legacy, pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1")]


@pytest.mark.parametrize("name", LEGACY)
def test_what_was_dropped(name):
    compare(LEGACY[name])


@pytest.mark.parametrize("name", CASES)
def test_what_is_still_there(name):
    compare(CASES[name])


def compare(case):
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    if case.labels:
        assert_same(run_model(ours, batch, ("loss",)), run_original(theirs, batch, ("loss",)))
    assert_same(run_model(ours, batch), run_original(theirs, batch))


def test_names_and_tied_weights():
    for name in ("masked_lm", "pretraining", "untied", "untied_pretraining", "relative_key"):
        ours = model_of({**CASES, **LEGACY}[name], "float32")
        theirs = original_of(ours, "float32")  # compares all names
        mine = tied_names(ours.named_parameters(remove_duplicate=False))
        assert mine == tied_names(theirs.named_parameters(remove_duplicate=False))
        assert ours.num_parameters() == theirs.num_parameters()


@pytest.mark.parametrize("name", ["relative_key", "relative_key_query"])
def test_each_output_of_relative_positions(name):
    case = LEGACY[name]
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    for output in ("logits", "hidden_states", "attentions"):
        assert_same(run_model(ours, batch, (output,)), run_original(theirs, batch, (output,)))


def test_the_unused_position_table_gets_no_gradient():
    """With relative positions the table of absolute ones is in the checkpoint, but neither side uses it."""
    case = LEGACY["relative_key"]
    ours, batch = model_of(case), batch_of(case)
    name = "bert.embeddings.position_embeddings.weight"
    assert not np.any(run_model(ours, batch).gradients[name])
    assert not np.any(run_original(original_of(ours), batch).gradients[name])

"""BERT against transformers 4.34.1: relative positions, head masks, matrix masks, and all that 5.x still has.

Runs in an environment of its own (transformers 4.34.1, numpy < 2):  pytest tests/reference -m legacy
"""

import numpy as np
import pytest

import edutransformers
from edutransformers import BertConfig
from tests.models.bert_cases import CASES, LEGACY, batch_of, model_of
from tests.models.proof import assert_same, run_model

from ..common import MAJOR, original_of, run_original, tied_names, to_torch, torch, transformers

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
    for name in ("masked_lm", "pretraining", "relative_key"):
        ours = model_of({**CASES, **LEGACY}[name], "float32")
        theirs = original_of(ours, "float32")  # compares all names
        mine = tied_names(ours.named_parameters(remove_duplicate=False))
        assert mine == tied_names(theirs.named_parameters(remove_duplicate=False))
        assert ours.num_parameters() == theirs.num_parameters()
    for name in ("untied", "untied_pretraining"):  # 4.x ties the bias even then
        assert tied_names(model_of(CASES[name]).named_parameters(remove_duplicate=False)) == set()


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


@pytest.mark.parametrize("name", ["masked_lm", "untied", "classes", "relative_key"])
@pytest.mark.parametrize("safe", [True, False])
def test_each_side_loads_what_the_other_saved(name, safe, tmp_path):
    case = {**CASES, **LEGACY}[name]
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
    again = getattr(edutransformers, case.model).from_pretrained(tmp_path / "theirs")
    np.testing.assert_allclose(again(**batch).logits, wanted.logits.numpy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("fields", [
    {}, {"num_labels": 5}, {"id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0, "b": 1, "c": 2}},
    {"num_labels": 3, "label2id": {"x": 0}},
    {"is_decoder": True, "add_cross_attention": True, "a_field": 3, "output_hidden_states": True},
    {"problem_type": "regression", "num_labels": 1, "tie_word_embeddings": False, "chunk_size_feed_forward": 2},
])  # fmt: skip
def test_config_files_are_equal(fields):
    ours, theirs = BertConfig(**fields), transformers.BertConfig(**fields)
    written = {name: x for name, x in theirs.to_diff_dict().items() if name != "transformers_version"}
    assert ours.to_diff_dict() == written
    assert BertConfig.from_dict(written) == ours

"""SequenceSummary: the layer contract for each kind."""

import numpy as np
import pytest

from edutransformers.models.configuration import PretrainedConfig
from edutransformers.models.sequence_summary import SequenceSummary
from tests.contract import check_layer

KINDS = {
    "last": {},
    "first": {"summary_type": "first"},
    "mean": {"summary_type": "mean"},
    "cls_index": {"summary_type": "cls_index", "summary_use_proj": True},
    "labels": {"summary_use_proj": True, "summary_proj_to_labels": True, "num_labels": 3},
    "tanh": {"summary_use_proj": True, "summary_activation": "tanh"},
}


def summary(**fields):
    return SequenceSummary(PretrainedConfig(hidden_size=4, **fields))


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 3, 5, 4), (1, 1, 4)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_contract(kind, shape):
    check_layer(lambda: summary(**KINDS[kind]), lambda rng: (rng.standard_normal(shape),))


def test_the_token_of_each_text(rng):
    layer, x = summary(summary_type="cls_index"), rng.standard_normal((2, 3, 5, 4))
    index = np.array([[0, 4, 2], [1, 1, 3]])
    y = layer(x, index)
    for b, c in np.ndindex(2, 3):
        np.testing.assert_array_equal(y[b, c], x[b, c, index[b, c]])
    check_layer(lambda: summary(summary_type="cls_index"), lambda rng: (rng.standard_normal((2, 3, 5, 4)), index))


def test_bad_input():
    with pytest.raises(ValueError, match="summary_type is 'attn', expected last, first, mean or cls_index"):
        summary(summary_type="attn")
    layer = summary(summary_type="cls_index")
    with pytest.raises(ValueError, match="cls_index holds 5, but the text has 5 tokens"):
        layer(np.zeros((2, 5, 4)), np.array([0, 5]))
    with pytest.raises(ValueError, match=r"cls_index has shape \(1,\), expected \(2,\)"):
        layer(np.zeros((2, 5, 4)), np.array([0]))

import math

import numpy as np
import pytest

from edutransformers.functional.blocks import BLOCK
from edutransformers.losses import CrossEntropyLoss
from edutransformers.module import inference_mode
from tests import fakecupy
from tests.contract import Case, check_layer, inference_gives_the_same_output, the_device_gives_the_same_numbers

C = 5
LABELS = np.array([4, 0, 2, 2])
IGNORED = np.array([4, -100, 2, -100])
WEIGHTS = np.array([0.5, 2.0, 1.5, 0.1, 0.7])
ONE_ZERO = np.array([0.5, 2.0, 0.0, 0.1, 0.7])  # class 2 counts for nothing

OPTIONS = {
    "plain": ({}, LABELS),
    "one row": ({}, LABELS[:1]),
    "ignored rows": ({}, IGNORED),
    "another ignore_index": ({"ignore_index": 2}, LABELS),
    "smoothed": ({"label_smoothing": 0.1}, LABELS),
    "smoothed, ignored rows": ({"label_smoothing": 0.3}, IGNORED),
    "fully smoothed": ({"label_smoothing": 1.0}, LABELS),
    "weights": ({"weight": WEIGHTS}, LABELS),
    "a weight of zero": ({"weight": ONE_ZERO}, LABELS),
    "weights, ignored rows": ({"weight": WEIGHTS}, IGNORED),
    "weights, smoothed": ({"weight": WEIGHTS, "label_smoothing": 0.2}, LABELS),
    "a weight of zero, smoothed, ignored rows": ({"weight": ONE_ZERO, "label_smoothing": 0.2}, IGNORED),
}


def logits_for(labels):
    return lambda rng: (rng.normal(0, 2, (*labels.shape, C)), labels)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", OPTIONS)
def test_contract(name, reduction):
    options, labels = OPTIONS[name]
    check_layer(lambda: CrossEntropyLoss(**options, reduction=reduction), logits_for(labels), consumes_cache=True)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_contract_with_tokens(reduction):
    labels = np.array([[1, 0, -100], [4, 4, 3]], dtype=np.int32)
    check_layer(lambda: CrossEntropyLoss(reduction=reduction), logits_for(labels), consumes_cache=True)


@pytest.mark.parametrize("name", OPTIONS)
def test_is_the_formula(rng, name):
    """The definition, one row and one class at a time."""
    options, labels = OPTIONS[name]
    logits = rng.normal(0, 2, (len(labels), C))
    weight = options.get("weight", np.ones(C))
    smooth, ignored = options.get("label_smoothing", 0.0), options.get("ignore_index", -100)
    losses = []
    for x, label in zip(logits, labels):
        if label == ignored:
            losses.append(0.0)
            continue
        log_p = [value - math.log(sum(math.exp(other) for other in x)) for value in x]
        target = [(1 - smooth) * (c == label) + smooth / C for c in range(C)]
        losses.append(-sum(target[c] * weight[c] * log_p[c] for c in range(C)))
    scale = sum(weight[label] for label in labels if label != ignored)
    for reduction, wanted in (("none", losses), ("sum", sum(losses)), ("mean", sum(losses) / scale)):
        np.testing.assert_allclose(CrossEntropyLoss(**options, reduction=reduction)(logits, labels), wanted, rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, WEIGHTS])
def test_all_rows_ignored_is_nan_with_zero_gradient(rng, smoothing, weight):
    loss_function = CrossEntropyLoss(weight=weight, label_smoothing=smoothing)
    logits = rng.standard_normal((3, C)).astype("float32")
    loss, cache = loss_function.forward(logits, np.full(3, -100))
    assert np.isnan(loss)
    np.testing.assert_array_equal(loss_function.backward(1.0, cache), np.zeros((3, C)))


def test_all_rows_ignored_sums_to_zero(rng):
    loss_function = CrossEntropyLoss(reduction="sum")
    loss, cache = loss_function.forward(rng.standard_normal((3, C)), np.full(3, -100))
    assert loss == 0
    assert not loss_function.backward(1.0, cache).any()


def test_large_logits_do_not_overflow():
    logits = np.array([[1e4, -1e4, 0.0]], dtype="float32")
    assert CrossEntropyLoss()(logits, np.array([0])) == 0
    assert CrossEntropyLoss()(logits, np.array([1])) == 2e4
    loss, cache = CrossEntropyLoss().forward(logits, np.array([1]))
    np.testing.assert_array_equal(CrossEntropyLoss().backward(1.0, cache), [[1, -1, 0]])
    assert loss == 2e4


def test_several_blocks_of_rows():
    rows = 3 * (BLOCK // 1000) + 5
    case = Case(
        lambda: CrossEntropyLoss(label_smoothing=0.1),
        lambda rng: (rng.standard_normal((rows, 1000)), rng.integers(0, 1000, rows)),
    )
    inference_gives_the_same_output(case)
    the_device_gives_the_same_numbers(case)


def test_no_cache_makes_no_probabilities(rng):
    logits = rng.standard_normal((3, C))
    before = logits.copy()
    with inference_mode():
        assert CrossEntropyLoss().forward(logits, LABELS[:3])[1] is None
    np.testing.assert_array_equal(logits, before)


def test_host_labels_for_device_logits(fake_cupy, rng):
    """Labels from a data loader are checked on the host, then moved."""
    logits = rng.standard_normal((4, C))
    wanted = CrossEntropyLoss()(logits, LABELS)
    with fakecupy.no_sync():
        loss = CrossEntropyLoss()(fake_cupy.asarray(logits), LABELS)
    assert float(loss) == pytest.approx(wanted, rel=1e-13)


def test_bad_labels(rng):
    loss, logits = CrossEntropyLoss(), rng.standard_normal((2, 3, C))
    with pytest.raises(ValueError, match=r"labels hold 5, but there are 5 classes: expected 0 to 4, or -100"):
        loss(logits, np.array([[0, 1, 2], [3, 4, 5]]))
    with pytest.raises(ValueError, match="labels hold -1, but"):
        loss(logits, np.array([[0, 1, 2], [3, -1, 0]]))
    with pytest.raises(ValueError, match=r"labels have shape \(6,\), expected \(2, 3\): one a row"):
        loss(logits, np.zeros(6, dtype=np.int64))
    with pytest.raises(TypeError, match="labels must be whole numbers, got an array of float64"):
        loss(logits, np.zeros((2, 3)))


def test_bad_options():
    with pytest.raises(ValueError, match="label_smoothing is 1.5"):
        CrossEntropyLoss(label_smoothing=1.5)
    with pytest.raises(ValueError, match="unknown reduction 'avg': expected one of mean, sum, none"):
        CrossEntropyLoss(reduction="avg")


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_only_rows_that_count_are_worked_on(rng, reduction):
    """The cache holds their probabilities alone, and their gradients are those of the whole backward."""
    logits, labels = rng.standard_normal((2, 3, C)), np.array([[-100, 2, 1], [-100, -100, 4]])
    loss_function = CrossEntropyLoss(reduction=reduction)
    dloss = 0.7 if reduction == "mean" else rng.standard_normal((2, 3))
    _, cache = loss_function.forward(logits, labels)
    assert cache.probabilities.shape == (3, C)
    of_counted, rows = loss_function.backward_counted(dloss, cache)
    np.testing.assert_array_equal(rows, [1, 2, 5])
    whole = loss_function.backward(dloss, loss_function.forward(logits, labels)[1]).reshape(6, C)
    np.testing.assert_array_equal(whole[rows], of_counted)
    assert not whole[[0, 3, 4]].any()


def test_rows_are_none_when_all_count(rng):
    loss_function = CrossEntropyLoss()
    _, cache = loss_function.forward(rng.standard_normal((4, C)), LABELS)
    dlogits, rows = loss_function.backward_counted(1.0, cache)
    assert rows is None
    assert dlogits.shape == (4, C)

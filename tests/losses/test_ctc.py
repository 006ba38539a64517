"""CTC against its definition (all paths, one by one), at its edges, and under the layer contract."""

import itertools
import math

import numpy as np
import pytest

from edutransformers.functional.ctc import ctc_loss, ctc_loss_backward
from edutransformers.functional.softmax import softmax
from edutransformers.losses import CTCLoss
from edutransformers.module import inference_mode
from tests import fakecupy
from tests.contract import check_layer

C = 4
REDUCTIONS = ["mean", "sum", "none"]


def batch(targets, input_lengths, frames, padding=-100):
    """(targets (B, S), input_lengths, target_lengths) of lists of labels."""
    width = max(len(labels) for labels in targets)
    rows = [[*labels, *[padding] * (width - len(labels))] for labels in targets]
    assert max(input_lengths) <= frames
    return (
        np.array(rows, dtype=np.int64).reshape(len(targets), width),
        np.array(input_lengths),
        np.array([len(t) for t in targets]),
    )


CASES = {
    # targets of each example, frames of each example, T, blank
    "one example": ([[1, 2]], [5], 5, 0),
    "repeats": ([[1, 1, 2], [3, 3, 3]], [6, 5], 6, 0),
    "just enough frames for repeats": ([[2, 2, 2]], [5], 5, 0),
    "different lengths": ([[1, 2, 3], [2], [3, 1]], [5, 3, 4], 6, 0),
    "an empty target": ([[], [2, 1]], [4, 3], 4, 0),
    "only empty targets": ([[], []], [3, 2], 3, 0),
    "one frame": ([[1], [], [3]], [1, 1, 1], 1, 0),
    "no frame and no label": ([[], [1]], [0, 2], 2, 0),
    "blank is the last class": ([[0, 0, 1], [2]], [6, 4], 6, 3),
    "blank in the middle": ([[0, 3, 3], [1, 0]], [5, 5], 5, 2),
}


def case_inputs(name, rng):
    targets, input_lengths, frames, blank = CASES[name]
    logits = rng.normal(0, 2, (len(targets), frames, C))
    return (logits, *batch(targets, input_lengths, frames)), blank


def collapse(path, blank):
    return [label for label, _ in itertools.groupby(path) if label != blank]


def naive_probability(y, target, blank):
    """The definition: the sum over all C^T paths that collapse to the target. y (T, C)"""
    total = 0.0
    for path in itertools.product(range(y.shape[1]), repeat=len(y)):
        if collapse(path, blank) == target:
            total += math.prod(y[t, label] for t, label in enumerate(path))
    return total


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", CASES)
def test_contract(name, reduction):
    blank = CASES[name][3]
    check_layer(lambda: CTCLoss(blank=blank, reduction=reduction), lambda rng: case_inputs(name, rng)[0])


@pytest.mark.parametrize("name", CASES)
def test_is_the_sum_over_all_paths(name, rng):
    (logits, targets, input_lengths, target_lengths), blank = case_inputs(name, rng)
    wanted = []
    for x, labels, frames, count in zip(logits, targets, input_lengths, target_lengths):
        wanted.append(-math.log(naive_probability(softmax(x[:frames]), labels[:count].tolist(), blank)))
    arguments = logits, targets, input_lengths, target_lengths
    np.testing.assert_allclose(CTCLoss(blank, "none")(*arguments), wanted, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(CTCLoss(blank, "sum")(*arguments), sum(wanted), rtol=1e-12, atol=1e-14)
    mean = np.mean([loss / max(count, 1) for loss, count in zip(wanted, target_lengths)])
    np.testing.assert_allclose(CTCLoss(blank, "mean")(*arguments), mean, rtol=1e-12, atol=1e-14)


def test_all_targets_together_have_probability_one(rng):
    """Each path collapses to exactly one text."""
    frames, blank = 4, 1
    logits = rng.standard_normal((1, frames, 3))
    labels = [c for c in range(3) if c != blank]
    total = 0.0
    for length in range(frames + 1):
        for target in itertools.product(labels, repeat=length):
            arguments = batch([list(target)], [frames], frames)
            total += math.exp(-CTCLoss(blank)(logits, *arguments) * max(length, 1))
    assert total == pytest.approx(1, rel=1e-12)


def test_the_gradient_is_probability_less_share_of_paths(rng):
    """y_t(k) less the share that paths with class k at time t have in the target's probability, path by path."""
    blank, target = 0, [1, 2, 2]
    logits = rng.standard_normal((1, 5, C))
    y = softmax(logits[0])
    share, total = np.zeros_like(y), 0.0
    for path in itertools.product(range(C), repeat=len(y)):
        if collapse(path, blank) == target:
            probability = math.prod(y[t, label] for t, label in enumerate(path))
            total += probability
            share[np.arange(len(y)), path] += probability
    _, cache = ctc_loss(logits, *batch([target], [5], 5))
    np.testing.assert_allclose(ctc_loss_backward(np.ones(1), cache)[0], y - share / total, atol=1e-13)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_targets_in_one_row(reduction, rng):
    """What padding holds doesn't count, and targets may follow one another without any."""
    (logits, targets, input_lengths, target_lengths), _ = case_inputs("different lengths", rng)
    flat = np.concatenate([row[:count] for row, count in zip(targets, target_lengths)])
    loss = CTCLoss(reduction=reduction)
    for other in (flat, np.where(targets < 0, 99, targets), targets.astype("int32")):
        for result, wanted in zip(
            run(loss, logits, other, input_lengths, target_lengths),
            run(loss, logits, targets, input_lengths, target_lengths),
        ):
            np.testing.assert_array_equal(result, wanted)


def test_no_labels_at_all_in_one_row(rng):
    logits = rng.standard_normal((2, 3, C))
    none = np.array([], dtype=int)
    loss = CTCLoss(reduction="none")(logits, none, np.array([3, 2]), np.array([0, 0]))
    np.testing.assert_allclose(loss, [-np.log(softmax(x[:n])[:, 0]).sum() for x, n in zip(logits, (3, 2))])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "uint64"])
def test_whole_numbers_of_any_size(dtype):
    """200 is twice 100, in bytes too."""
    logits = np.zeros((1, 220, 130), dtype="float32")
    labels, lengths = np.arange(1, 101)[None], (np.array([120]), np.array([100]))
    small = [x.astype(dtype) for x in (labels, *lengths)]
    np.testing.assert_array_equal(run(CTCLoss(), logits, *small)[1], run(CTCLoss(), logits, labels, *lengths)[1])
    flat = run(CTCLoss(), logits, small[0][0], *small[1:])
    np.testing.assert_array_equal(flat[1], run(CTCLoss(), logits, labels, *lengths)[1])


def run(loss, *inputs):
    value, cache = loss.forward(*inputs)
    return value, loss.backward(np.ones_like(value), cache)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_too_few_frames(reduction, rng):
    """Four labels in three frames; three labels with a repeat in three. The other example isn't disturbed."""
    arguments = batch([[1, 2, 3, 1], [1, 2], [1, 1, 2]], [3, 4, 3], 4)
    logits = rng.standard_normal((3, 4, C)).astype("float32")
    alone = [logits[1:2], *(x[1:2] for x in arguments)]
    value, gradient = run(CTCLoss(reduction=reduction), logits, *arguments)
    assert np.isinf(value).any()
    assert np.isnan(gradient[0, :3]).all()
    assert np.isnan(gradient[2, :3]).all()
    assert not gradient[0, 3].any()
    assert np.isfinite(gradient[1]).all()

    value, gradient = run(CTCLoss(reduction=reduction, zero_infinity=True), logits, *arguments)
    value_alone, gradient_alone = run(CTCLoss(reduction=reduction), *alone)
    share = 3 if reduction == "mean" else 1
    np.testing.assert_allclose(value, [0, value_alone[0], 0] if reduction == "none" else value_alone / share, rtol=1e-6)
    assert not gradient[[0, 2]].any()
    np.testing.assert_allclose(gradient[1], gradient_alone[0] / share, rtol=1e-5, atol=1e-7)


def test_no_frame_but_a_label(rng):
    arguments = rng.standard_normal((1, 2, C)), np.array([[1]]), np.array([0]), np.array([1])
    assert CTCLoss()(*arguments) == np.inf
    assert CTCLoss(zero_infinity=True)(*arguments) == 0


def test_nothing_behind_the_last_frame(rng):
    """Padding frames may hold anything, nan too: nothing comes from them and no gradient goes to them."""
    (logits, *arguments), _ = case_inputs("different lengths", rng)
    value, gradient = run(CTCLoss(), logits, *arguments)
    behind = np.arange(logits.shape[1]) >= arguments[1][:, None]
    logits[behind] = np.nan
    value_with_nan, gradient_with_nan = run(CTCLoss(), logits, *arguments)
    assert value_with_nan == value
    np.testing.assert_array_equal(gradient_with_nan, gradient)
    assert not gradient[behind].any()


def test_nan_stays_in_its_example(rng):
    logits = rng.standard_normal((2, 4, C))
    logits[0, 1, 2] = np.nan
    value, gradient = run(CTCLoss(reduction="none"), logits, *batch([[1], [2]], [4, 4], 4))
    assert np.isnan(value[0])
    assert np.isnan(gradient[0]).all()
    assert np.isfinite(value[1])
    assert np.isfinite(gradient[1]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_that_no_float_could_hold(dtype):
    """Where the model is sure of blanks, 150 labels have a probability of about 10^−1400, and a right gradient."""
    frames, labels = 400, np.arange(150)[None] % 3 + 1
    logits = np.zeros((1, frames, C), dtype=dtype)
    logits[..., 0] = 23.0
    value, gradient = run(CTCLoss(reduction="sum"), logits, labels, np.array([frames]), np.array([150]))
    arrangements = math.lgamma(frames + 1) - math.lgamma(151) - math.lgamma(frames - 149)
    assert value == pytest.approx(150 * 23 - arrangements, rel=1e-3)
    # On average 150 of 400 frames must turn from blank to a label.
    np.testing.assert_allclose(gradient[..., 0].mean(), 150 / 400, rtol=1e-3)
    np.testing.assert_allclose(gradient.sum(axis=-1), 0, atol=1e-4 if dtype == "float32" else 1e-9)


def test_large_logits(rng):
    """A class that is impossible, and sizes at which probabilities are 0 and 1."""
    logits = np.array([[[0.0, 1e4, 0.0, -np.inf], [1e4, 0.0, 0.0, -np.inf]]], dtype="float32")
    assert CTCLoss()(logits, np.array([[1]]), np.array([2]), np.array([1])) == 0
    assert CTCLoss()(logits, np.array([[2]]), np.array([2]), np.array([1])) == 1e4
    assert CTCLoss()(logits, np.array([[3]]), np.array([2]), np.array([1])) == np.inf
    value, gradient = run(CTCLoss(), logits, np.array([[2]]), np.array([2]), np.array([1]))
    np.testing.assert_allclose(gradient, [[[0, 1, -1, 0], [0, 0, 0, 0]]], atol=1e-6)


def test_inference_does_half_the_work(rng):
    """Without a backward only α is computed."""
    (logits, *arguments), _ = case_inputs("repeats", rng)
    wanted = CTCLoss().forward(logits, *arguments)[0]
    with inference_mode():
        loss, cache = CTCLoss().forward(logits, *arguments)
    assert loss == wanted
    assert cache is None


def test_host_lengths_for_device_logits(fake_cupy, rng):
    """Labels and lengths from a data loader are checked on the host, then moved; so are targets in one row."""
    (logits, targets, input_lengths, target_lengths), _ = case_inputs("different lengths", rng)
    flat = np.concatenate([row[:count] for row, count in zip(targets, target_lengths)])
    wanted = CTCLoss()(logits, targets, input_lengths, target_lengths)
    for given in (targets, flat, fake_cupy.asarray(flat)):
        with fakecupy.no_sync():
            loss = CTCLoss()(fake_cupy.asarray(logits), given, input_lengths, target_lengths)
        assert float(loss) == pytest.approx(wanted, rel=1e-12)
    lengths = [fake_cupy.asarray(x) for x in (input_lengths, target_lengths)]
    with pytest.raises(TypeError, match=r"target_lengths lie on the device: .* pass them as \(B, S\)"):
        CTCLoss()(fake_cupy.asarray(logits), fake_cupy.asarray(flat), *lengths)


# name -> (what to change, the error, its words); B = 2, T = 5, C = 4, S = 3
WRONG = {
    "one sequence": ({"logits": np.zeros((5, 4))}, ValueError, r"logits have shape \(5, 4\), expected \(B, T, C\)"),
    "the blank as a label": ({"targets": np.array([[1, 0, 1], [2, 2, 2]])}, ValueError,
                             "targets hold 0: expected labels from 0 to 3 other than the blank, 0"),
    "a label beyond the classes": ({"targets": np.array([[1, 4, 1], [2, 2, 2]])}, ValueError, "targets hold 4: exp"),
    "a negative label": ({"targets": np.array([[1, 2, 1], [-100, 2, 2]])}, ValueError, "targets hold -100: expected"),
    "labels as floats": ({"targets": np.ones((2, 3))}, TypeError, "targets must be an array of whole .* of float64"),
    "a target too few": ({"targets": np.ones((1, 3), int)}, ValueError, r"targets have shape \(1, 3\), expected \(2,"),
    "targets of three axes": ({"targets": np.ones((2, 3, 1), int)}, ValueError, r"targets have shape \(2, 3, 1\)"),
    "more frames than there are": ({"input_lengths": np.array([5, 6])}, ValueError,
                                   "input_lengths hold 6, but there are 5 frames: expected 0 to 5"),
    "a negative length": ({"target_lengths": np.array([-1, 1])}, ValueError, "target_lengths hold -1, but there are 3"),
    "more labels than there are": ({"target_lengths": np.array([3, 4])}, ValueError, "target_lengths hold 4, but"),
    "a length too few": ({"input_lengths": np.array([5])}, ValueError, r"input_lengths have shape \(1,\), expected"),
    "lengths as floats": ({"target_lengths": np.array([1.0, 2.0])}, TypeError, "target_lengths must be an array of"),
    "lengths as a list": ({"input_lengths": [5, 5]}, TypeError, "input_lengths must be an array .* got list"),
    "a row that is too long": ({"targets": np.ones(7, int)}, ValueError,
                               "target_lengths sum to 6, but there are 7 labels in a row"),
    "a row that is too short": ({"targets": np.ones(2, int)}, ValueError, "target_lengths hold 3, but there are 2 lab"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_errors(name):
    changed, kind, words = WRONG[name]
    inputs = {
        "logits": np.zeros((2, 5, 4)),
        "targets": np.array([[1, 2, 3], [2, 1, 2]]),
        "input_lengths": np.array([5, 5]),
        "target_lengths": np.array([3, 3]),
    }
    CTCLoss()(*inputs.values())
    with pytest.raises(kind, match=words):
        CTCLoss()(*(inputs | changed).values())


def test_bad_options():
    with pytest.raises(ValueError, match="unknown reduction 'avg'"):
        CTCLoss(reduction="avg")
    with pytest.raises(ValueError, match="blank is 4, but there are 4 classes: expected 0 to 3"):
        CTCLoss(blank=4)(np.zeros((1, 2, 4)), np.array([[1]]), np.array([2]), np.array([1]))

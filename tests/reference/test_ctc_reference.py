"""CTC against torch: losses and gradients of ctc_loss ∘ log_softmax, which is what a model trains with.

(torch's gradient of ctc_loss alone is right only after log_softmax: it is not that of the log-probabilities.)
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edutransformers.losses import CTCLoss  # noqa: E402

pytestmark = pytest.mark.reference
CLASSES = 6
CASES = {
    # frames, input lengths, targets, blank
    "plain": (9, [9, 9], [[1, 2, 3], [4, 5, 1]], 0),
    "different lengths": (12, [12, 5, 8], [[1, 2, 3, 4, 5], [3], [2, 5]], 0),
    "repeats": (10, [10, 9, 7], [[1, 1, 1, 2], [3, 3, 2, 2], [5, 5, 5, 5]], 0),
    "empty targets": (4, [4, 3, 2], [[], [1, 2], []], 0),
    "only empty targets": (4, [4, 3], [[], []], 0),
    "one frame": (1, [1, 1], [[1], []], 0),
    "blank is the last class": (8, [8, 6], [[0, 4, 4], [0]], 5),
    "blank in the middle": (8, [8, 6], [[0, 4, 4], [5]], 3),
    "many labels": (60, [60, 45, 50], [[1, 2, 3, 4, 5] * 5, [5, 4] * 9, [1, 1] * 8], 0),
    "sure of blanks": (300, [300], [[1, 2, 3] * 40], 0),
    "too few frames": (6, [4, 6, 3], [[1, 2, 3, 4, 5], [1, 2], [2, 2]], 0),
}


def inputs_of(name, dtype):
    frames, input_lengths, targets, blank = CASES[name]
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (len(targets), frames, CLASSES))
    if name == "sure of blanks":
        logits[..., blank] += 30
    width = max(len(labels) for labels in targets)
    padded = np.zeros((len(targets), width), dtype=np.int64)
    for row, labels in zip(padded, targets):
        row[: len(labels)] = labels
    lengths = np.array(input_lengths), np.array([len(labels) for labels in targets])
    flat = np.array([label for labels in targets for label in labels], dtype=np.int64)
    return logits.astype(dtype), padded, flat, lengths, blank


def torchs(logits, targets, lengths, blank, reduction, zero_infinity, dloss):
    x = torch.tensor(logits, requires_grad=True)
    log_probs = x.log_softmax(-1).transpose(0, 1)
    loss = torch.nn.functional.ctc_loss(
        log_probs, torch.tensor(targets), *map(torch.tensor, lengths), blank, reduction, zero_infinity
    )
    loss.backward(torch.tensor(dloss) if reduction == "none" else torch.tensor(dloss[0]))
    return loss.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", CASES)
def test_ctc(name, reduction, zero_infinity, dtype):
    logits, padded, flat, lengths, blank = inputs_of(name, dtype)
    dloss = np.random.default_rng(1).normal(1, 0.5, len(logits)).astype(dtype)
    tolerance = {"rtol": 1e-9, "atol": 1e-11} if dtype == "float64" else {"rtol": 1e-4, "atol": 1e-5}
    for targets in (padded, flat):
        # In float32 torch itself loses three digits of "sure of blanks", so both are compared with its float64.
        wanted, wanted_gradient = torchs(
            logits.astype("float64"), targets, lengths, blank, reduction, zero_infinity, dloss.astype("float64")
        )
        loss_function = CTCLoss(blank, reduction, zero_infinity)
        loss, cache = loss_function.forward(logits, targets, *lengths)
        gradient = loss_function.backward(dloss if reduction == "none" else dloss[0], cache)
        assert loss.dtype == gradient.dtype == dtype
        np.testing.assert_allclose(loss, wanted, **tolerance)
        np.testing.assert_allclose(gradient, wanted_gradient, **tolerance)

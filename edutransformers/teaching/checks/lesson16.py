"""Lesson 16: sound, convolution over time, and CTC."""

import numpy as np

from ...audio import collapse_path
from ...functional.convolution import convolution, convolution_backward
from ...functional.ctc import ctc_loss, ctc_loss_backward
from ...functional.softmax import log_softmax
from ..checker import call, draw, draw_integers, equal, exercise, holds, same, same_all

IMPOSSIBLE = -1e3  # what stands for −∞ when two arrays of logarithms are compared


@exercise(lesson=16)
def check_conv1d(answer):
    for B, I, T, O, K, stride in ((2, 3, 11, 4, 3, 2), (1, 1, 9, 5, 4, 1), (3, 2, 12, 1, 5, 3)):
        x, weight, bias = draw(B, I, T), draw(O, I, K), draw(O)
        right = convolution(x, weight, bias, stride)
        every = convolution(x, weight, bias)
        same(
            call(answer, x, weight, bias, stride),
            right,
            "conv1d(x, weight, bias, stride)",
            mistakes={
                "the bias is missing": convolution(x, weight, None, stride),
                "the kernel is turned round: W[o, i, k] belongs to x[i, s·t + k], the first to the first": convolution(
                    x, weight[..., ::-1], bias, stride
                ),
                "the stride is ignored: window t starts at s·t": every,
                "window t starts at t, not at s·t": every[..., : right.shape[2]],
                "the last window is missing: there are (T − K)//s + 1": right[..., :-1],
                "the axes are (B, T′, O); asked for is (B, O, T′)": right.transpose(0, 2, 1),
                "only the first input channel is heard: sum over i as well": convolution(
                    x[:, :1], weight[:, :1], bias, stride
                ),
                "weight.reshape(I·K, O) reads them in another order: reshape to (O, I·K), then transpose": np.stack(
                    [
                        x[..., stride * t : stride * t + K].reshape(B, -1) @ weight.reshape(I * K, O)
                        for t in range(right.shape[2])
                    ],
                    axis=-1,
                )
                + bias[:, None],
                "a window's numbers lie in the order (K, I), the weight's in the order (I, K)": np.stack(
                    [
                        x[..., stride * t : stride * t + K].swapaxes(1, 2).reshape(B, -1) @ weight.reshape(O, -1).T
                        for t in range(right.shape[2])
                    ],
                    axis=-1,
                )
                + bias[:, None],
                "the window's last number is missing: the slice a : b ends before b": convolution(
                    x, weight[..., :-1], bias, stride
                )[..., : right.shape[2]],
                "the products are averaged; they add up": (right - bias[:, None]) / (I * K) + bias[:, None],
                "y has a place for each sample; there are only (T − K)//s + 1 windows": np.concatenate(
                    [right, np.zeros((B, O, T - right.shape[2]))], axis=2
                ),
                "the bias was added once for each input channel or tap; once for each output": right
                + (I * K - 1) * bias[:, None],
            },
            sizes={"K": K, "I": I},
        )


@exercise(lesson=16)
def check_conv1d_backward(answer):
    for B, I, T, O, K, stride in ((2, 3, 11, 4, 3, 2), (1, 2, 9, 5, 4, 1), (3, 2, 13, 3, 5, 3)):
        x, weight, bias = draw(B, I, T), draw(O, I, K), draw(O)
        dy = draw(*convolution(x, weight, bias, stride).shape)
        dx, dweight, dbias = convolution_backward(dy, x, weight, stride)
        same_all(
            call(answer, dy, x, weight, stride),
            {"dx": dx, "dweight": dweight, "dbias": dbias},
            mistakes={
                "dx": {
                    "windows overlap: x[u] stands in several, and their gradients add up (+=, not =)": _assigned_dx(
                        dy, weight, x.shape, stride
                    ),
                    "the kernel is turned round: tap k of window t goes to s·t + k": convolution_backward(
                        dy, x, weight[..., ::-1], stride
                    )[0],
                    "the windows start at t, not at s·t": _unstrided_dx(dy, weight, x.shape),
                    "the last window is missing": _until_last_but_one(dy, x, weight, stride)[0],
                    "where windows overlap, the gradients are averaged; they add up": dx
                    / np.maximum(_unstrided_dx(np.ones_like(dy), np.ones_like(weight), x.shape, stride) / O, 1),
                    "dx has the shape of x: what stands behind the last window has gradient 0": dx[
                        ..., : stride * (dy.shape[2] - 1) + K
                    ],
                },
                "dweight": {
                    "the gradients are averaged over the batch; they add up": dweight / B,
                    "that is the last window's alone; all windows share the weight, so add up over t": np.einsum(
                        "bo,bik->oik", dy[..., -1], _windows(x, K, stride)[:, :, -1]
                    ),
                    "the last window is missing": _until_last_but_one(dy, x, weight, stride)[1],
                    "that is the last example's alone; add up over the batch": convolution_backward(
                        dy[-1:], x[-1:], weight, stride
                    )[1],
                    "the windows start at t, not at s·t": np.einsum(
                        "bot,bitk->oik", dy, _windows(x, K, 1)[:, :, : dy.shape[2]]
                    ),
                },
                "dbias": {
                    "add up over the batch, too: (O,)": dy.sum(axis=2),
                    "add up over time, too: (O,)": dy.sum(axis=0),
                    "that is the mean; gradients add up": dy.mean(axis=(0, 2)),
                },
            },
            sizes={"B": B},
        )


def _windows(x, K, stride):
    """(B, I, T) -> (B, I, T′, K)"""
    return np.lib.stride_tricks.sliding_window_view(x, K, axis=-1)[:, :, ::stride]


def _assigned_dx(dy, weight, shape, stride):
    dx = np.zeros(shape)
    for t in range(dy.shape[2]):
        dx[:, :, stride * t : stride * t + weight.shape[2]] = np.einsum("bo,oik->bik", dy[..., t], weight)
    return dx


def _unstrided_dx(dy, weight, shape, stride=1):
    dx = np.zeros(shape)
    for t in range(dy.shape[2]):
        dx[:, :, stride * t : stride * t + weight.shape[2]] += np.einsum("bo,oik->bik", dy[..., t], weight)
    return dx


def _until_last_but_one(dy, x, weight, stride):
    dy = dy.copy()
    dy[..., -1] = 0
    return convolution_backward(dy, x, weight, stride)


@exercise(lesson=16)
def check_collapse(answer):
    fixed = (
        [3, 2, 2, 0, 2, 1, 3],
        [3, 2, 2, 0, 2, 1, 1, 0, 2],
        [1, 1, 0, 1],
        [0, 0, 0],
        [2],
        [3, 3, 3],
        [0, 2, 0, 2, 2, 0],
        [1, 2, 1],
        [1, 0, 0, 2, 2, 0, 2],
    )
    for path in [*fixed, *(draw_integers(0, 4, length).tolist() for length in (5, 9, 14, 20))]:
        blanks_first = [k for k in path if k]
        got = call(answer, path)
        holds(
            isinstance(got, (list, tuple, np.ndarray)),
            f"collapse(path) should be a list of whole numbers, but is {got!r}",
        )
        equal(
            [int(k) for k in got],
            collapse_path(np.array(path)),
            f"collapse({path})",
            mistakes={
                "blanks went first, and then the equal ones met: first merge neighbours, then drop blanks": _merged(
                    blanks_first
                ),
                "equal neighbours are not merged": blanks_first,
                "the blanks are still in it": _merged(path),
                "each label occurs only once; only equal *neighbours* are one": list(dict.fromkeys(blanks_first)),
                "these are the distinct labels in order of size; only equal *neighbours* are one": sorted(
                    set(blanks_first)
                ),
                "only the first frame was looked at: does `return` stand inside the loop?": _merged(blanks_first[:1]),
                "the last run is missing": collapse_path(np.array(path))[:-1],
                "the first label is missing; nothing comes before it (path[-1] is the last)": collapse_path(
                    np.array(path)
                )[1:],
            },
        )


def _merged(path):
    return [k for place, k in enumerate(path) if place == 0 or k != path[place - 1]]


@exercise(lesson=16)
def check_log_forward_variables(answer):
    for T, target in ((7, [1, 2, 3]), (6, [2, 2]), (1, [1]), (8, [3, 3, 1]), (5, [])):
        log_y = log_softmax(draw(T, 8))  # no fewer classes than states, so that one can be taken for the other
        states = _extended(target)
        right = _alpha(log_y, states)
        got = np.asarray(call(answer, log_y, states))
        holds(
            got.shape != right.shape or got.dtype.kind != "f" or not np.isnan(got).any(),
            "log_forward_variables has nan in it\n"
            "  → −inf − (−inf) is nan: np.logaddexp knows that case, np.log(np.exp(a) + np.exp(b)) warns of it",
        )
        mistakes = {
            "every state may be skipped into; blanks may not, nor a label like the one before it": _alpha(
                log_y, states, skip="always"
            ),
            "nothing is skipped: from label to a different label a path may leave the blank out": _alpha(
                log_y, states, skip="never"
            ),
            "equal labels were skipped between: without the blank they would be one": _alpha(
                log_y, states, skip="labels"
            ),
            "a path may begin in state 1 too, with the first label": _alpha(log_y, states, starts=1),
            "a path begins in state 0 or 1, not in all": _alpha(log_y, states, starts=len(states)),
            "the emission log_y[t, states[s]] is missing after the first frame": _alpha(log_y, states, emit=False),
            "that is the best path's (max); here the probabilities of all ways add up (logaddexp)": _alpha(
                log_y, states, add=np.maximum
            ),
            "for s = 0, s − 1 is −1: the last state, which is no neighbour of the first": _alpha(
                log_y, states, wrap=True
            ),
            "for s = 1, s − 2 is −1: the last state, from which nothing is skipped": _alpha(
                log_y, states, wrap=True, skip="around"
            ),
            "the logarithms of the ways were added, which multiplies them; a sum is np.logaddexp": _alpha(
                log_y, states, add=np.add
            ),
            "log_y[t, s] is class s; the class that state s says is states[s]": _alpha(
                log_y, states, emitted=np.arange(len(states))
            ),
            "from frame 1 on it is the emission of the frame before, t − 1": _alpha(
                np.concatenate([log_y[:1], log_y[:-1]]), states
            ),
            "α of state s − 1 was taken from the same frame; all three ways come from frame t − 1": _alpha(
                log_y, states, same_frame=True
            ),
            "these are probabilities; their logarithms are asked for": np.exp(right),
            "the axes are (L, T); asked for is (T, L)": right.T,
        }
        same(
            _finite(got),
            _finite(right),
            "log_forward_variables(log_y, states), with −1000 for −inf",
            mistakes={words: _finite(wrong) for words, wrong in mistakes.items()},
            tolerance=1e-6,
        )
    log_y, states = (
        draw(10, 4) / 10 - 90,
        _extended([1, 2]),
    )  # the last α are near e^−900; e^−745 is the least of a float64
    got, right = _finite(call(answer, log_y, states)), _finite(_alpha(log_y, states))
    same(
        got,
        right,
        "log_forward_variables(log_y, states) of hardly possible frames, with −1000 for −inf",
        mistakes={
            "such probabilities are 0 to a float64: don't leave the logarithms, use np.logaddexp": np.where(
                right < -700, got, right
            )
        },
        tolerance=1e-6,
    )


def _finite(x):
    x = np.asarray(x)
    return np.maximum(x, IMPOSSIBLE) if x.dtype.kind in "biuf" else x


def _extended(target):
    states = np.zeros(2 * len(target) + 1, dtype=int)
    states[1::2] = target
    return states


def _alpha(
    log_y, states, skip="right", starts=2, emit=True, add=np.logaddexp, wrap=False, emitted=None, same_frame=False
):
    """log α as it should be, or with one of the usual mistakes."""
    T, L = len(log_y), len(states)
    emitted = states if emitted is None else emitted
    alpha = np.full((T, L), -np.inf)
    alpha[0, :starts] = log_y[0, states[:starts]]
    for t in range(1, T):
        for s in range(L):
            total = alpha[t - 1, s]
            if s >= 1 or wrap:
                total = add(total, alpha[t if same_frame else t - 1, s - 1])
            may = {
                "right": states[s] != 0 and s >= 2 and states[s] != states[s - 2],
                "around": states[s] != 0 and states[s] != states[s - 2],
                "labels": states[s] != 0,
                "always": True,
                "never": False,
            }[skip]
            if may and (s >= 2 or skip == "around"):
                total = add(total, alpha[t - 1, s - 2])
            alpha[t, s] = total + (log_y[t, emitted[s]] if emit else 0.0)
    return alpha


@exercise(lesson=16)
def check_ctc_gradient(answer):
    for T, target in ((7, [1, 2, 3]), (6, [2, 2]), (8, [3, 1, 3]), (5, [1])):
        logits = draw(T, 4)
        states = _extended(target)
        log_y = log_softmax(logits)
        log_alpha = _alpha(log_y, states)
        log_beta = _alpha(log_y[::-1], states[::-1])[::-1, ::-1]
        lengths = np.array([T]), np.array([len(target)])
        _, cache = ctc_loss(logits[None], np.array([target]), *lengths)
        right = ctc_loss_backward(np.ones(1), cache)[0]
        y, gamma = np.exp(log_y), np.asarray(cache.visits)[0]
        emits = states[:, None] == np.arange(4)  # (L, C)
        p = np.exp(-float(ctc_loss(logits[None], np.array([target]), *lengths)[0][0]))
        twice = np.exp(log_alpha + log_beta) / p
        assigned = y.copy()
        for s, k in enumerate(states):
            assigned[:, k] = y[:, k] - gamma[:, s]
        same(
            call(answer, log_y, states, log_alpha, log_beta),
            right,
            "ctc_gradient(log_y, states, log_alpha, log_beta)",
            mistakes={
                "the sign is wrong: what the model says, minus what the alignments say": -right,
                "y is in it twice: α and β both hold y[t, s], so divide by it once": y - twice @ emits,
                "the division by p is missing: γ must add up to 1 in each frame": y - (gamma * p) @ emits,
                "a class that several states emit (the blank, a repeated label) collects all their γ: "
                "-= for each state, not =": assigned,
                "p is α of the very last state alone; the path may also end in the last label": y
                - np.exp(log_alpha + log_beta - log_y[:, states] - log_alpha[-1, -1]) @ emits,
                "p is α of the last label alone; the path may also end in the last blank": y
                - np.exp(log_alpha + log_beta - log_y[:, states] - log_alpha[-1, -2]) @ emits,
                "log p isn't the sum of the two logarithms, which would be their product's: np.logaddexp": (
                    y - np.exp(log_alpha + log_beta - log_y[:, states] - log_alpha[-1, -1] - log_alpha[-1, -2]) @ emits
                ),
                "y is missing: that is −Σγ": -gamma @ emits,
                "these are the γ of the states; the classes' gradient is asked for": gamma,
                "that is the gradient with respect to y, not to the logits: put it through softmax": -(gamma @ emits)
                / y,
                "log p is made of all states of the last frame; a path ends in one of the last two": y
                - np.exp(log_alpha + log_beta - log_y[:, states] - np.logaddexp.reduce(log_alpha[-1])) @ emits,
                "it is divided by log y; in logarithms a division by y is − log y": y
                - (np.exp(log_alpha + log_beta) / p / log_y[:, states]) @ emits,
                "it is divided by y twice; once makes γ, and the second y cancels in the softmax": y
                - (gamma / y[:, states]) @ emits,
                "that is a column for each state; there is one for each class": y[:, states] - gamma,
                "each frame's gradient is divided by T; the loss is a sum of all that a path says, not a mean": right
                / T,
                "log y stands where y should: np.exp(log_y)": log_y - gamma @ emits,
            },
        )

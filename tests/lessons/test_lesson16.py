"""Lesson 16's checkers: sound, convolution over time, and CTC."""

import itertools

import numpy as np

from edutransformers.audio import collapse_path
from edutransformers.functional.convolution import convolution, convolution_backward
from tests.lessons.common import in_float32, suite_of


def windows(x, K, stride):
    """(B, I, T) -> (B, I, T′, K)"""
    return np.lib.stride_tricks.sliding_window_view(x, K, axis=-1)[:, :, ::stride]


def convolution_by_windows(x, weight, bias, stride):
    return np.einsum("bitk,oik->bot", windows(x, weight.shape[2], stride), weight) + bias[:, None]


def convolution_by_taps(x, weight, bias, stride):
    K = weight.shape[2]
    frames = (x.shape[2] - K) // stride + 1
    y = np.zeros((len(x), len(weight), frames)) + bias[:, None]
    for k in range(K):
        y += weight[:, :, k] @ x[:, :, k : k + stride * (frames - 1) + 1 : stride]
    return y


def convolution_by_windows_backward(dy, x, weight, stride):
    dx = np.zeros_like(x)
    for t, k in itertools.product(range(dy.shape[2]), range(weight.shape[2])):
        dx[:, :, stride * t + k] += dy[:, :, t] @ weight[:, :, k]
    return dx, np.einsum("bot,bitk->oik", dy, windows(x, weight.shape[2], stride)), dy.sum(axis=2).sum(axis=0)


def overwriting_backward(dy, x, weight, stride):
    dx, dweight, dbias = convolution_backward(dy, x, weight, stride)
    dx[...] = 0
    for t in range(dy.shape[2]):
        place = slice(stride * t, stride * t + weight.shape[2])
        dx[:, :, place] = np.einsum("bo,oik->bik", dy[:, :, t], weight)
    return dx, dweight, dbias


def backward_without_last(dy, x, weight, stride):
    dbias = dy.sum(axis=(0, 2))
    dy[..., -1] = 0
    return *convolution_backward(dy, x, weight, stride)[:2], dbias


def averaging_backward(dy, x, weight, stride):
    dx, dweight, dbias = convolution_backward(dy, x, weight, stride)
    count = np.zeros(x.shape[2])
    for t in range(dy.shape[2]):
        count[stride * t : stride * t + weight.shape[2]] += 1
    return dx / np.maximum(count, 1), dweight, dbias


def with_other(place, change):
    """The right gradients, but one of them changed."""

    def backward(dy, x, weight, stride):
        gradients = list(convolution_backward(dy, x, weight, stride))
        gradients[place] = change(gradients[place], dy, x)
        return gradients

    return backward


def collapse_by_groups(path):
    return [k for k, _ in itertools.groupby(path) if k != 0]


def collapse_loop(path):
    labels, before = [], None
    for k in path:
        if k != before and k:
            labels.append(k)
        before = k
    return labels


def blanks_first(path):
    return [k for k, _ in itertools.groupby([k for k in path if k])]


def may_skip(states):
    may = np.zeros(len(states), dtype=bool)
    may[2:] = (states[2:] != 0) & (states[2:] != states[:-2])
    return may


def alpha(log_y, states, skips=may_skip, starts=2, combine=np.logaddexp, first=True):
    """All states of a frame at once."""
    L = len(states)
    row = np.full(L, -np.inf)
    row[:starts] = 0.0
    rows = []
    for t, emitted in enumerate(log_y[:, states]):
        if t:
            padded = np.concatenate([[-np.inf, -np.inf], row])
            row = combine(combine(row, padded[1 : L + 1]), np.where(skips(states), padded[:L], -np.inf))
        row = row + emitted if first or t == 0 else row
        rows.append(row)
    return np.array(rows)


def alpha_in_probabilities(log_y, states):
    y, L = np.exp(log_y), len(states)
    a = np.zeros((len(y), L))
    a[0, :2] = y[0, states[:2]]
    for t in range(1, len(y)):
        for s in range(L):
            a[t, s] = a[t - 1, s] + (a[t - 1, s - 1] if s else 0)
            if s > 1 and s % 2 and states[s] != states[s - 2]:
                a[t, s] += a[t - 1, s - 2]
            a[t, s] *= y[t, states[s]]
    with np.errstate(divide="ignore"):
        return np.log(a)


def log_of_sum(log_a, log_b):
    with np.errstate(divide="ignore"):
        return np.log(np.exp(log_a) + np.exp(log_b))


def alpha_around(log_y, states):
    rows = alpha(log_y, states)
    for t in range(1, len(rows)):
        for s in range(len(states)):
            way = np.logaddexp(rows[t - 1, s], rows[t - 1, s - 1])
            if states[s] not in (0, states[s - 2]):
                way = np.logaddexp(way, rows[t - 1, s - 2])
            rows[t, s] = way + log_y[t, states[s]]
    return rows


def alpha_of_classes(log_y, states):
    rows = alpha(log_y, states)
    for t in range(1, len(rows)):
        for s in range(len(states)):
            ways = [rows[t - 1, r] for r in (s, s - 1) if r >= 0] + [rows[t - 1, s - 2]] * bool(may_skip(states)[s])
            rows[t, s] = np.logaddexp.reduce(ways) + log_y[t, s]
    return rows


def alpha_by_ways(combine, wrap=False):
    """State by state: `combine` makes one number of the ways to it; `wrap` lets state 0 come from the last one."""

    def answer(log_y, states):
        rows = alpha(log_y, states)
        for t in range(1, len(rows)):
            for s in range(len(states)):
                ways = [rows[t - 1, s]] + [rows[t - 1, s - 1]] * (s > 0 or wrap)
                if may_skip(states)[s]:
                    ways.append(rows[t - 1, s - 2])
                rows[t, s] = combine(ways) + log_y[t, states[s]]
        return rows

    return answer


def gradient(log_y, states, log_alpha, log_beta):
    gamma = gammas(log_y, states, log_alpha, log_beta)
    return np.exp(log_y) - gamma @ (states[:, None] == np.arange(log_y.shape[1]))


def gammas(log_y, states, log_alpha, log_beta):
    """Here p comes from the first frame, and every frame gives the same."""
    through = log_alpha + log_beta - log_y[:, states]
    return np.exp(through - np.logaddexp.reduce(through[0]))


def gradient_state_by_state(log_y, states, log_alpha, log_beta):
    p = np.exp(log_alpha[-1, -1]) + np.exp(log_alpha[-1, -2])
    dlogits = np.exp(log_y)
    for t, s in np.ndindex(log_alpha.shape):
        k = states[s]
        dlogits[t, k] -= np.exp(log_alpha[t, s]) * np.exp(log_beta[t, s]) / (p * np.exp(log_y[t, k]))
    return dlogits


def gradient_in_place(log_y, states, log_alpha, log_beta):
    log_beta += log_alpha
    log_beta -= log_y[:, states]
    log_beta -= np.logaddexp(log_alpha[-1, -1], log_alpha[-1, -2])
    np.exp(log_beta, out=log_beta)
    np.exp(log_y, out=log_y)
    np.subtract.at(log_y, (slice(None), states), log_beta)
    return log_y


def gradient_that_assigns(log_y, states, log_alpha, log_beta):
    dlogits = np.exp(log_y)
    dlogits[:, states] -= gammas(log_y, states, log_alpha, log_beta)
    return dlogits


RIGHT = {
    "conv1d": {
        "the library's": convolution,
        "windows": convolution_by_windows,
        "taps": convolution_by_taps,
        "float32": lambda x, weight, bias, stride: convolution(
            *(a.astype("float32") for a in (x, weight, bias)), stride
        ),
    },
    "conv1d_backward": {
        "the library's": convolution_backward,
        "windows": convolution_by_windows_backward,
        "float32": in_float32(convolution_backward),
        "lists": lambda *inputs: [d.tolist() for d in convolution_backward(*inputs)],
    },
    "collapse": {
        "groups": collapse_by_groups,
        "a loop": collapse_loop,
        "the library's": lambda path: collapse_path(np.array(path)),
        "an array": lambda path: np.array(collapse_loop(path), dtype=int),
    },
    "log_forward_variables": {
        "rows": alpha,
        "state by state": alpha_by_ways(np.logaddexp.reduce),
        "float32": lambda log_y, states: alpha(log_y.astype("float32"), states).astype("float32"),
        "a list": lambda log_y, states: alpha(log_y, states).tolist(),
        "very small for impossible": lambda log_y, states: np.maximum(alpha(log_y, states), -1e30),
    },
    "ctc_gradient": {
        "a matrix": gradient,
        "state by state": gradient_state_by_state,
        "in place": gradient_in_place,
        "float32": lambda *inputs: gradient(*inputs).astype("float32"),
    },
}

WRONG = {
    "conv1d": {
        "no bias": (lambda x, w, b, s: convolution(x, w, None, s), "the bias is missing"),
        "turned round": (lambda x, w, b, s: convolution(x, w[..., ::-1], b, s), "the kernel is turned round"),
        "no stride": (lambda x, w, b, s: convolution(x, w, b), "the stride is ignored"),
        "a window too few": (lambda x, w, b, s: convolution(x, w, b, s)[..., :-1], "the last window is missing"),
        "channels last": (lambda x, w, b, s: convolution(x, w, b, s).transpose(0, 2, 1), "asked for is (B, O, T′)"),
        "reshaped, not transposed": (
            lambda x, w, b, s: (
                np.einsum(
                    "btik,iko->bot",
                    windows(x, w.shape[2], s).swapaxes(1, 2),
                    w.reshape(*w.shape[1:], len(w)),
                )
                + b[:, None]
            ),
            "in another order",
        ),
        "windows turned": (
            lambda x, w, b, s: (
                np.einsum(
                    "btn,on->bot",
                    windows(x, w.shape[2], s).transpose(0, 2, 3, 1).reshape(len(x), -1, w[0].size),
                    w.reshape(len(w), -1),
                )
                + b[:, None]
            ),
            "lie in the order (K, I)",
        ),
        "short windows": (
            lambda x, w, b, s: convolution(x, w[..., :-1], b, s)[..., : (x.shape[2] - w.shape[2]) // s + 1],
            "the slice a : b ends before b",
        ),
        "mean": (lambda x, w, b, s: convolution(x, w / w[0].size, b, s), "the products are averaged"),
        "a place for each sample": (
            lambda x, w, b, s: np.pad(
                convolution(x, w, b, s), ((0, 0), (0, 0), (0, x.shape[2] - (x.shape[2] - w.shape[2]) // s - 1))
            ),
            "only (T − K)//s + 1 windows",
        ),
        "windows side by side": (
            lambda x, w, b, s: convolution(x, w, b)[..., : convolution(x, w, b, s).shape[2]],
            "window t starts at t",
        ),
    },
    "conv1d_backward": {
        "overwritten": (overwriting_backward, "windows overlap"),
        "without the last window": (backward_without_last, "the last window is missing"),
        "overlaps averaged": (averaging_backward, "the gradients are averaged"),
        "a mean over the batch": (with_other(1, lambda d, dy, x: d / len(x)), "averaged over the batch"),
        "bias by example": (with_other(2, lambda d, dy, x: dy.sum(axis=2)), "add up over the batch"),
        "mean for the bias": (with_other(2, lambda d, dy, x: dy.mean(axis=(0, 2))), "that is the mean"),
        "turned round": (
            lambda dy, x, w, s: (
                convolution_backward(dy, x, w[..., ::-1], s)[0],
                *convolution_backward(dy, x, w, s)[1:],
            ),
            "the kernel is turned round",
        ),
        "two things": (lambda *inputs: convolution_backward(*inputs)[:2], "expected 3 things"),
    },
    "collapse": {
        "blanks first": (blanks_first, "first merge neighbours, then drop blanks"),
        "not merged": (lambda path: [k for k in path if k], "equal neighbours are not merged"),
        "blanks stay": (lambda path: [k for k, _ in itertools.groupby(path)], "the blanks are still in it"),
        "a set": (lambda path: sorted({k for k in path if k}), "only equal *neighbours* are one"),
        "the last is lost": (lambda path: collapse_by_groups(path)[:-1], "the last run is missing"),
        "returns at once": (lambda path: [k for k in path[:1] if k], "inside the loop"),
        "the first is lost": (lambda path: collapse_by_groups(path)[1:], "the first label is missing"),
        "before the first comes the last": (
            lambda path: [k for place, k in enumerate(path) if k and k != path[place - 1]],
            "(path[-1] is the last)",
        ),
    },
    "log_forward_variables": {
        "always skips": (
            lambda log_y, states: alpha(log_y, states, lambda states: np.arange(len(states)) > 1),
            "every state may be skipped into",
        ),
        "never skips": (
            lambda log_y, states: alpha(log_y, states, lambda states: states < 0),
            "nothing is skipped",
        ),
        "skips between equal ones": (
            lambda log_y, states: alpha(log_y, states, lambda states: states != 0),
            "equal labels were skipped between",
        ),
        "one start": (lambda log_y, states: alpha(log_y, states, starts=1), "a path may begin in state 1 too"),
        "all starts": (lambda log_y, states: alpha(log_y, states, starts=99), "not in all"),
        "best path": (lambda log_y, states: alpha(log_y, states, combine=np.maximum), "that is the best path's"),
        "no emission": (lambda log_y, states: alpha(log_y, states, first=False), "is missing after the first frame"),
        "logarithms added": (alpha_by_ways(sum), "a sum is np.logaddexp"),
        "class s": (alpha_of_classes, "the class that state s says is states[s]"),
        "the frame before": (
            lambda log_y, states: alpha(np.concatenate([log_y[:1], log_y[:-1]]), states),
            "the emission of the frame before",
        ),
        "in probabilities": (alpha_in_probabilities, "don't leave the logarithms"),
        "by exp and log": (
            lambda log_y, states: alpha(log_y, states, combine=log_of_sum),
            "don't leave the logarithms",
        ),
        "around the end": (alpha_by_ways(np.logaddexp.reduce, wrap=True), "is −1: the last state"),
        "around both ends": (alpha_around, "from which nothing is skipped"),
        "probabilities": (lambda log_y, states: np.exp(alpha(log_y, states)), "these are probabilities"),
    },
    "ctc_gradient": {
        "sign": (lambda *inputs: -gradient(*inputs), "the sign is wrong"),
        "assigned": (gradient_that_assigns, "-= for each state, not ="),
        "y twice": (
            lambda log_y, states, a, b: (
                np.exp(log_y) - np.exp(a + b - np.logaddexp.reduce(a[-1, -2:])) @ (states[:, None] == np.arange(4))
            ),
            "divide by it once",
        ),
        "no p": (
            lambda log_y, states, a, b: (
                np.exp(log_y) - np.exp(a + b - log_y[:, states]) @ (states[:, None] == np.arange(4))
            ),
            "the division by p is missing",
        ),
        "one end": (
            lambda log_y, states, a, b: (
                np.exp(log_y) - np.exp(a + b - log_y[:, states] - a[-1, -1]) @ (states[:, None] == np.arange(4))
            ),
            "may also end in the last label",
        ),
        "a product": (
            lambda log_y, states, a, b: (
                np.exp(log_y)
                - np.exp(a + b - log_y[:, states] - a[-1, -1] - a[-1, -2]) @ (states[:, None] == np.arange(4))
            ),
            "log p isn't the sum",
        ),
        "with respect to y": (
            lambda log_y, *rest: (gradient(log_y, *rest) - np.exp(log_y)) / np.exp(log_y),
            "put it through softmax",
        ),
        "all ends": (
            lambda log_y, states, a, b: (
                np.exp(log_y)
                - np.exp(a + b - log_y[:, states] - np.logaddexp.reduce(a[-1])) @ (states[:, None] == np.arange(4))
            ),
            "a path ends in one of the last two",
        ),
        "by log y": (
            lambda log_y, states, a, b: (
                np.exp(log_y)
                - np.exp(a + b - np.logaddexp.reduce(a[-1, -2:])) / log_y[:, states] @ (states[:, None] == np.arange(4))
            ),
            "it is divided by log y",
        ),
        "by y twice": (
            lambda log_y, states, a, b: (
                np.exp(log_y)
                - gammas(log_y, states, a, b) / np.exp(log_y[:, states]) @ (states[:, None] == np.arange(4))
            ),
            "it is divided by y twice",
        ),
        "a column a state": (
            lambda log_y, states, a, b: np.exp(log_y[:, states]) - gammas(log_y, states, a, b),
            "a column for each state",
        ),
        "mean": (lambda log_y, *rest: gradient(log_y, *rest) / len(log_y), "not a mean"),
        "of the states": (gammas, "these are the γ of the states"),
    },
}

test_right, test_wrong, test_complete = suite_of(16, RIGHT, WRONG)

"""Lesson 01's checkers: softmax and cross-entropy."""

import numpy as np

from edutransformers.functional.softmax import softmax, softmax_backward
from edutransformers.losses import CrossEntropyLoss
from tests.lessons.common import suite_of


def softmax_in_place(x):
    x -= x.max(axis=-1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=-1, keepdims=True)
    return x


def softmax_row_by_row(x):
    rows = [np.exp(row - max(row)) / sum(np.exp(row - max(row))) for row in x.reshape(-1, x.shape[-1])]
    return np.array(rows).reshape(x.shape)


def gradient(f, x, h=1e-5):
    result = np.empty_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = h
        result[place] = (f(x + step) - f(x - step)) / (2 * h)
    return result


def gradient_in_place(f, x, h=1e-5):
    result = []
    for place in np.ndindex(x.shape):
        kept = x[place]
        x[place] = kept + h
        above = f(x)
        x[place] = kept - h
        result.append((above - f(x)) / (2 * h))
        x[place] = kept
    return np.reshape(result, x.shape)


def gradient_that_leaves_x_changed(f, x, h=1e-5):
    result = gradient(f, x, h)
    x[...] += h
    return result


def gradient_that_forgets_the_old_number(f, x, h=1e-5):
    result = np.empty_like(x)
    for place in np.ndindex(x.shape):
        x[place] += h
        above = f(x)
        x[place] -= h
        result[place] = (above - f(x)) / (2 * h)
    return result


def cross_entropy(x, labels):
    return CrossEntropyLoss()(x, labels)


def naive_cross_entropy(x, labels):
    with np.errstate(divide="ignore"):
        return -np.log(softmax(x)[np.arange(len(labels)), labels]).mean()


def looped_cross_entropy(x, labels):
    costs = []
    for row, label in zip(x, labels):
        shifted = row - row.max()
        costs.append(np.log(np.exp(shifted).sum()) - shifted[label])
    return sum(costs) / len(costs)


def cross_entropy_backward(dL, x, labels):
    return dL / len(x) * (softmax(x) - np.eye(x.shape[1])[labels])


def cross_entropy_backward_in_place(dL, x, labels):
    p = softmax_in_place(x)
    p[np.arange(len(p)), labels] -= 1
    p *= dL / len(p)
    return p


def overflowing_softmax(x):
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


def one_hot(x, labels):
    return np.eye(x.shape[1])[labels]


RIGHT = {
    "softmax": {
        "in place": softmax_in_place,
        "row by row": softmax_row_by_row,
        "float32": lambda x: softmax(x.astype("float32")),
        "a list": lambda x: softmax(x).tolist(),
    },
    "numerical_gradient": {
        "a step array": gradient,
        "in place": gradient_in_place,
        "two halves": lambda f, x, h=1e-5: 0.5 * (gradient(f, x, h) + gradient_in_place(f, x, h)),
    },
    "softmax_backward": {
        "the formula": lambda dp, p: p * (dp - (dp * p).sum(axis=-1, keepdims=True)),
        "float32": lambda dp, p: (p * dp - p * np.einsum("...i,...i", p, dp)[..., None]).astype("float32"),
        "with the whole Jacobian": lambda dp, p: np.einsum(
            "...j,...ji->...i", dp, p[..., None] * (np.eye(p.shape[-1]) - p[..., None, :])
        ),
    },
    "cross_entropy": {
        "the library's": cross_entropy,
        "a loop": looped_cross_entropy,
        "float32": lambda x, labels: np.float32(cross_entropy(x.astype("float32"), labels)),
        "an array without axes": lambda x, labels: np.array(cross_entropy(x, labels)),
    },
    "cross_entropy_backward": {
        "one-hot rows": cross_entropy_backward,
        "in place": cross_entropy_backward_in_place,
        "float32": lambda dL, x, labels: cross_entropy_backward(dL, x.astype("float32"), labels),
    },
}

WRONG = {
    "softmax": {
        "columns": (lambda x: np.exp(x) / np.exp(x).sum(axis=0), "sum over axis=-1"),
        "the whole array": (lambda x: np.exp(x) / np.exp(x).sum(), "sum over axis=-1"),
        "no division": (lambda x: np.exp(x - x.max(axis=-1, keepdims=True)), "is the division missing?"),
        "no exponential": (lambda x: x / x.sum(axis=-1, keepdims=True), "the exponential is missing"),
        "largest above only": (
            lambda x: np.exp(x - x.max(axis=-1, keepdims=True)) / np.exp(x).sum(axis=-1, keepdims=True),
            "above the fraction line only",
        ),
        "numbers for rows": (lambda x: np.array([softmax(row[None])[0] for row in x]), "for a row"),
        "cut off": (lambda x: softmax(np.clip(x, -50, 50)), "the scores are cut off"),
        "the mean subtracted": (lambda x: overflowing_softmax(x - x.mean(axis=-1, keepdims=True)), "is not finite"),
        "axis 1": (lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True), "the last one is axis=-1"),
        "overflow": (overflowing_softmax, "subtract each row's largest score first"),
        "not written": (lambda x: (_ for _ in ()).throw(NotImplementedError("softmax")), "is not written yet"),
        "no return": (lambda x: None, "is there a `return` in it?"),
        "another error": (lambda x: np.exp(x) / np.ones(77), "stopped with ValueError"),
    },
    "numerical_gradient": {
        "one side": (lambda f, x, h=1e-5: _one_sided(f, x, h), "to one side only"),
        "over h": (lambda f, x, h=1e-5: 2 * gradient(f, x, h), "the two points are 2h apart"),
        "undivided": (lambda f, x, h=1e-5: 2 * h * gradient(f, x, h), "it isn't divided by 2h"),
        "the old number is gone": (gradient_that_forgets_the_old_number, "the old number is gone"),
        "times h": (lambda f, x, h=1e-5: h * h * gradient(f, x, h), "write / (2 * h)"),
        "all at once": (lambda f, x, h=1e-5: (f(x + h) - f(x - h)) / (2 * h), "all numbers are moved at once"),
        "a row at once": (
            lambda f, x, h=1e-5: gradient(f, x, h).sum(axis=-1, keepdims=True) + np.zeros_like(x),
            "a whole row is moved",
        ),
        "no copy": (lambda f, x, h=1e-5: np.zeros_like(x), "`above = x` makes no copy"),
        "step 1": (lambda f, x, h=1e-5: gradient(f, x, 1.0) / h, "the step is 1, not h"),
        "the first only": (lambda f, x, h=1e-5: _first_only(gradient(f, x, h)), "does `return` stand inside"),
        "another h": (lambda f, x, h=1e-5: gradient(f, x, 1e-5), "isn't the `h` that was passed"),
        "x changed": (gradient_that_leaves_x_changed, "write the old number back"),
    },
    "softmax_backward": {
        "a sigmoid's": (lambda dp, p: dp * p * (1 - p), "a sigmoid's gradient"),
        "no sum": (lambda dp, p: dp * p, "the sum over j is missing"),
        "plain sum": (lambda dp, p: p * (dp - dp.sum(axis=-1, keepdims=True)), "multiplied first"),
        "plain mean": (lambda dp, p: p * (dp - dp.mean(axis=-1, keepdims=True)), "weighted with the probabilities"),
        "mean": (lambda dp, p: p * (dp - (dp * p).mean(axis=-1, keepdims=True)), "divides by C once more"),
        "brackets": (lambda dp, p: p * dp - (dp * p).sum(axis=-1, keepdims=True), "the whole bracket"),
        "plus": (lambda dp, p: p * (dp + (dp * p).sum(axis=-1, keepdims=True)), "the sum is added"),
        "softmax again": (lambda dp, p: softmax_backward(dp, softmax(p)), "of them again"),
        "changed places": (lambda dp, p: dp * (p - (dp * p).sum(axis=-1, keepdims=True)), "changed places"),
        "no factor": (lambda dp, p: dp - (dp * p).sum(axis=-1, keepdims=True), "factor p in front"),
    },
    "cross_entropy": {
        "sum": (lambda x, labels: cross_entropy(x, labels) * len(x), "sum over the batch"),
        "sign": (lambda x, labels: -cross_entropy(x, labels), "the sign is wrong"),
        "pairs": (lambda x, labels: -np.log(softmax(x))[:, labels].mean(), "log_p[:, labels]"),
        "of all classes": (lambda x, labels: -np.log(softmax(x)).mean(), "pick the label's"),
        "rows": (lambda x, labels: -np.log(softmax(x))[labels].mean(), "picks whole rows"),
        "log of a mean": (
            lambda x, labels: -np.log(softmax(x)[np.arange(len(x)), labels].mean()),
            "the mean comes last",
        ),
        "m forgotten": (
            lambda x, labels: cross_entropy(x, labels) - x.max(axis=1).mean(),
            "isn't subtracted from the label's score",
        ),
        "the largest": (lambda x, labels: -np.log(softmax(x).max(axis=1)).mean(), "the largest log p"),
        "hidden": (
            lambda x, labels: -np.log(softmax(x)[np.arange(len(x)), labels] + 1e-9).mean(),
            "hides how small p is",
        ),
        "infinite": (naive_cross_entropy, "log 0 is −inf"),
    },
    "cross_entropy_backward": {
        "1/B missing": (lambda dL, x, labels: dL * (softmax(x) - one_hot(x, labels)), "1/B is missing"),
        "1/B twice": (lambda dL, x, labels: cross_entropy_backward(dL, x, labels) / len(x), "go in twice?"),
        "sign": (lambda dL, x, labels: -cross_entropy_backward(dL, x, labels), "the sign is wrong"),
        "dL missing": (lambda dL, x, labels: cross_entropy_backward(1.0, x, labels), "dL is missing"),
        "by C": (lambda dL, x, labels: dL * (softmax(x) - one_hot(x, labels)) / x.shape[1], "it is divided by C"),
        "1 everywhere": (lambda dL, x, labels: dL * (softmax(x) - 1) / len(x), "subtracted everywhere"),
        "every row": (lambda dL, x, labels: _subtracted(dL, x, np.s_[:, labels]), "every row at every label"),
        "whole rows": (lambda dL, x, labels: _subtracted(dL, x, labels), "changes whole rows"),
        "1/B at the 1": (
            lambda dL, x, labels: dL * (softmax(x) - one_hot(x, labels) / len(x)),
            "at the label's 1 only",
        ),
        "1/B at p": (lambda dL, x, labels: dL * (softmax(x) / len(x) - one_hot(x, labels)), "1/B is at p only"),
        "label only": (
            lambda dL, x, labels: dL * (softmax(x) - 1) * one_hot(x, labels) / len(x),
            "only the label's score",
        ),
    },
}


def _first_only(gradient):
    gradient.flat[1:] = 0
    return gradient


def _subtracted(dL, x, places):
    dx = softmax(x)
    dx[places] -= 1
    return dL * dx / len(x)


def _one_sided(f, x, h):
    result = np.empty_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = h
        result[place] = (f(x + step) - f(x)) / h
    return result


test_right, test_wrong, test_complete = suite_of(1, RIGHT, WRONG)

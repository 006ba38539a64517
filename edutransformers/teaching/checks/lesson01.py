"""Lesson 01: softmax and cross-entropy, by hand and checked."""

import numpy as np

from ...functional.softmax import log_softmax, softmax, softmax_backward
from ..checker import call, draw, draw_integers, exercise, holds, same


@exercise(lesson=1)
def check_softmax(answer):
    for shape in ((4,), (2, 5), (2, 3, 4)):
        x = draw(*shape)
        e = np.exp(x)
        same(
            call(answer, x),
            softmax(x),
            "softmax(x)",
            mistakes={
                "all numbers of the array together add up to 1; each row should: sum over axis=-1": e / e.sum(),
                "the columns add up to 1, not the rows: sum over axis=-1": e / e.sum(axis=0),
                "the rows don't add up to 1: is the division missing?": np.exp(x - x.max(axis=-1, keepdims=True)),
                "the division is by the sum of the scores, not of their exponentials": e
                / x.sum(axis=-1, keepdims=True),
                "that is the logarithm of what is expected": log_softmax(x),
                "the exponential is missing: scores are divided by their sum": x / x.sum(axis=-1, keepdims=True),
                "the largest score is subtracted above the fraction line only; below, too, it cancels": np.exp(
                    x - x.max(axis=-1, keepdims=True)
                )
                / e.sum(axis=-1, keepdims=True),
                "each number was taken for a row: x may have one axis, and `for row in x` then goes through numbers": (
                    np.ones(shape) if x.ndim == 1 else np.nan
                ),
            },
        )
    x = draw(3, 4) + np.array([[1000.0], [-1000.0], [0.0]])
    x[2, 0] += 1000
    got = np.asarray(call(answer, x))
    holds(
        bool(np.isfinite(got).all()),
        "softmax(x) is not finite for scores near 1000 or −1000\n"
        "  → exp(1000) is inf, exp(−1000) is 0, and inf/inf and 0/0 are nan: subtract each row's largest score first",
    )
    same(
        got,
        softmax(x),
        "softmax(x) for scores near 1000 and −1000",
        mistakes={
            "the scores are cut off, and lose their differences: subtract each row's largest score": (
                softmax(np.clip(x, -100, 100))
            )
        },
    )


@exercise(lesson=1)
def check_numerical_gradient(answer):
    def cubes(x):
        return float((x**3 + 2 * x).sum())

    for shape in ((3,), (2, 3)):
        x, h = draw(*shape), 1e-2
        gradient = 3 * x * x + 2
        first = np.zeros(shape)
        first.flat[0] = (gradient + h * h).flat[0]
        same(
            call(answer, cubes, x, h),
            gradient + h * h,
            "numerical_gradient(f, x, h=1e-2)",
            mistakes={
                "the step is to one side only: (f(x + h) − f(x)) / h": gradient + 3 * x * h + h * h,
                "the step is to one side only: (f(x) − f(x − h)) / h": gradient - 3 * x * h + h * h,
                "it is divided by h; the two points are 2h apart": 2 * (gradient + h * h),
                "`/ 2 * h` divides by 2 and multiplies by h: write / (2 * h)": h * h * (gradient + h * h),
                "all numbers are moved at once; move one, with `for place in np.ndindex(x.shape)`": (
                    gradient + h * h
                ).sum(),
                "a whole row is moved at once; one number is to be, with `for place in np.ndindex(x.shape)`": (
                    (gradient + h * h).sum(axis=-1, keepdims=True) + np.zeros(shape)
                ),
                "the step is 1, not h": gradient / h + 1 / h,
                "all differences are 0: `above = x` makes no copy, so that both points are the same array": (
                    np.zeros(shape)
                ),
                "only the first number is filled in: does `return` stand inside of the loop?": first,
                "the step isn't the `h` that was passed (here 1e-2)": gradient,
                "it isn't divided by 2h": 2 * h * (gradient + h * h),
                "the second point is x, not x − h: after `x[place] = x[place] + h` the old number is gone": (
                    gradient + 3 * x * h + h * h
                )
                / 2,
            },
            tolerance=1e-7,
        )
    x = draw(2, 3)
    kept = x.copy()
    answer(cubes, x, 1e-4)
    holds(
        bool(np.allclose(x, kept, rtol=0, atol=1e-12)),
        "x was changed by numerical_gradient(f, x, h)\n"
        "  → write the old number back before you go on to the next place",
    )
    w = draw(2, 3)
    same(call(answer, lambda x: float((w * softmax(x)).sum()), x, 1e-5), softmax_backward(w, softmax(x)), "of softmax")


@exercise(lesson=1)
def check_softmax_backward(answer):
    for shape in ((4,), (3, 5), (2, 3, 4)):
        p, dp = softmax(draw(*shape)), draw(*shape)
        same(
            call(answer, dp, p),
            softmax_backward(dp, p),
            "softmax_backward(dp, p)",
            mistakes={
                "the sum over j is missing: a score touches every probability of its row": dp * p,
                "that is a sigmoid's gradient: only i = j; a score touches every probability of its row": dp
                * p
                * (1 - p),
                "the sum is over dp alone; dp and p are multiplied first": p * (dp - dp.sum(axis=-1, keepdims=True)),
                "the average is a plain one; it is weighted with the probabilities": p
                * (dp - dp.mean(axis=-1, keepdims=True)),
                "`mean` divides by C once more; p are the weights of the average already: take `sum`": p
                * (dp - (dp * p).mean(axis=-1, keepdims=True)),
                "p multiplies the whole bracket, the sum as well": p * dp - (dp * p).sum(axis=-1, keepdims=True),
                "the sum is added; it is subtracted": p * (dp + (dp * p).sum(axis=-1, keepdims=True)),
                "p holds probabilities already; here softmax was taken of them again": softmax_backward(dp, softmax(p)),
                "p and dp have changed places: p stands in front of the bracket, dp inside": dp
                * (p - (dp * p).sum(axis=-1, keepdims=True)),
                "the sum goes over the whole array; each row has its own": p * (dp - (dp * p).sum()),
                "the sum goes over the batch; it goes over the classes, axis=-1": p * (dp - (dp * p).sum(axis=0)),
                "the factor p in front is missing": dp - (dp * p).sum(axis=-1, keepdims=True),
            },
        )


@exercise(lesson=1)
def check_cross_entropy(answer):
    for B, C in ((6, 4), (3, 5)):
        x, labels = draw(B, C), draw_integers(0, C, B)
        log_p = log_softmax(x)
        costs = -log_p[np.arange(B), labels]
        same(
            call(answer, x, labels),
            costs.mean(),
            "cross_entropy(x, labels)",
            mistakes={
                "that is the sum over the batch, not the mean": costs.sum(),
                "the sign is wrong: a probability below 1 has a negative logarithm": -costs.mean(),
                "each row's cost was returned; take their mean": costs,
                "that is the mean of −log p over all classes: pick the label's": -log_p.mean(),
                "the mean is over B·C numbers; there are B costs": costs.sum() / (B * C),
                "the probability was averaged, and the logarithm is missing": -np.exp(-costs).mean(),
                "that is the logarithm to base 2; natural ones are meant": costs.mean() / np.log(2),
                "log_p[:, labels] has every row with every label: use log_p[np.arange(B), labels]": -log_p[
                    :, labels
                ].mean(),
                "log_p[labels] picks whole rows: use log_p[np.arange(B), labels]": (
                    lambda B=B, log_p=log_p, labels=labels: -log_p[labels].mean() if labels.max() < B else np.nan
                ),
                "the mean comes last: the logarithm of a mean isn't the mean of the logarithms": (
                    -np.log(np.exp(-costs).mean())
                ),
                "m went into the exponentials, but isn't subtracted from the label's score": (
                    costs.mean() - x.max(axis=1).mean()
                ),
                "the largest log p of each row was taken; the label's is meant": -log_p.max(axis=1).mean(),
                "the scores at the labels were taken, not log p": -x[np.arange(B), labels].mean(),
            },
            sizes={"B": B, "C": C},
        )
    x, labels = np.array([[0.0, 900.0], [-900.0, 0.0]]), np.array([0, 1])
    got = np.asarray(call(answer, x, labels))
    holds(
        bool(np.isfinite(got).all()),
        "cross_entropy is not finite for a score 900 below the largest; it should be 450 here\n"
        "  → p is 0 there and log 0 is −inf: write log p as x − m − log Σ exp(x − m), without computing p",
    )
    holds(
        got.size > 1 or not 0 < got.item() < 449,
        f"cross_entropy is {got} for a score 900 below the largest; it should be 450 here\n"
        "  → a small number added to p, or a bound, hides how small p is: write log p as x − m − log Σ exp(x − m)",
    )
    same(got, np.asarray(450.0), "cross_entropy([[0, 900], [−900, 0]], [0, 1])")


@exercise(lesson=1)
def check_cross_entropy_backward(answer):
    for B, C in ((6, 4), (3, 5)):
        x, labels, dL = draw(B, C), draw_integers(0, C - 1, B), float(draw()) + 3.0
        p, hot = softmax(x), np.eye(C)[labels]
        same(
            call(answer, dL, x, labels),
            dL * (p - hot) / B,
            "cross_entropy_backward(dL, x, labels)",
            mistakes={
                "dL is missing: what comes from behind multiplies everything": (p - hot) / B,
                "1/B is missing: the loss is a mean over the batch": dL * (p - hot),
                "the gradient is 1/B of the expected one: did the mean's 1/B go in twice?": dL * (p - hot) / B**2,
                "it is divided by B·C; the mean is over B costs": dL * (p - hot) / (B * C),
                "the sign is wrong: what it said, minus what was right": dL * (hot - p) / B,
                "only the label's score has a gradient here; the other scores are in Σ exp(x) too": dL
                * (p - 1)
                * hot
                / B,
                "it is divided by C; the mean is over B costs": dL * (p - hot) / C,
                "1 is subtracted everywhere; only the label's place has it": dL * (p - 1) / B,
                "dx[:, labels] -= 1 changes every row at every label: use dx[np.arange(B), labels]": (
                    dL * (p - (hot.sum(axis=0) > 0)) / B
                ),
                "dx[labels] -= 1 changes whole rows: use dx[np.arange(B), labels]": (
                    lambda B=B, dL=dL, p=p, labels=labels: (
                        dL * (p - np.isin(np.arange(B), labels)[:, None]) / B if labels.max() < B else np.nan
                    )
                ),
                "1/B is at the label's 1 only; it stands in front of both": dL * (p - hot / B),
                "1/B is at p only; it stands in front of both": dL * (p / B - hot),
                "1 isn't subtracted at the labels": dL * p / B,
                "x stands where p should: softmax first": dL * (x - hot) / B,
            },
            sizes={"B": B, "C": C},
        )

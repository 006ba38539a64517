"""Lesson 10: teaching it. Momentum, AdamW, a schedule, clipping, and the loop."""

import math

import numpy as np

from ..checker import CheckFailed, call, draw, draw_integers, exercise, holds, same, same_all
from .lesson10_step import adamw, check_train_step  # noqa: F401 (exercises of this lesson)


@exercise(lesson=10)
def check_momentum_step(answer):
    for shape in ((4,), (2, 3), (3, 1, 2)):
        w, g, u = draw(*shape), draw(*shape), draw(*shape)
        lr, beta = 0.3, 0.8
        new = beta * u + g
        mistakes = {
            "w": {
                "the sign is wrong: the step goes against the gradient": w + lr * new,
                "the step is along g; it is along the new u": w - lr * g,
                "the step is along the old u; first u gets this step's gradient": w - lr * u,
                "lr is missing: w − lr · u": w - new,
                "beta multiplies the step too: w − lr · u": w - lr * beta * new,
            },
            "u": {
                "that is a running mean, (1 − beta) · g; here all of g is added": beta * u + (1 - beta) * g,
                "the old u isn't shortened: beta · u + g": u + g,
                "beta stands at the wrong place: beta · u + g": u + beta * g,
                "u was returned as it came": u,
                "lr belongs into the step, not into u": beta * u + lr * g,
                "lr and the sign belong into the step, not into u: beta · u + g": beta * u - lr * g,
                "beta is an argument: here it isn't 0.9": 0.9 * u + g,
                "that is w: the order is w, u": w - lr * new,
            },
        }
        got = call(answer, w, g, u, lr, beta)
        if isinstance(got, (tuple, list)) and len(got) == 2:  # u is explained first: w follows from it
            same(got[1], new, "u", mistakes["u"])
        same_all(got, {"w": w - lr * new, "u": new}, mistakes)


# ---------------------------------------------------------------------------------------------------------------------
# AdamW
# ---------------------------------------------------------------------------------------------------------------------


ADAMW_MISTAKES = {
    "the hats are missing on both: divide m by 1 − beta1ᵗ and v by 1 − beta2ᵗ": {"m_plain": True, "v_plain": True},
    "m̂ is missing: divide m by 1 − beta1ᵗ": {"m_plain": True},
    "v̂ is missing: divide v by 1 − beta2ᵗ": {"v_plain": True},
    "the decay went into the gradient: that is Adam with L2; here it stands apart": {"decay_in_gradient": True},
    "the decay is lr · decay · w; lr is missing in it": {"decay_without_lr": True},
    "the decay is of the old w, before the step": {"decay_last": True},
    "the decay is missing: w also loses lr · decay · w": {"no_decay": True},
    "ε stands under the root; it is added to √v̂": {"eps_inside": True},
    "the root is missing: √v̂": {"no_root": True},
    "ε was added to the fraction: brackets around √v̂ + ε are missing": {"eps_behind": 1},
    "ε was added to w: brackets around √v̂ + ε are missing": {"eps_behind": -1},
    "the decay is taken off w; it was added": {"decay_added": True},
    "t counts from 1 already; a 1 was added to it": {"later": 1},
    "the sign is wrong: the step goes against m̂": {"sign": True},
    "g stands where m̂ should: the direction is the running mean": {"direction": "g"},
}


@exercise(lesson=10)
def check_adamw_step(answer):
    for shape, t in (((5,), 1), ((2, 3), 2), ((3, 1, 4), 7)):
        w, g = draw(*shape) + np.where(draw(*shape) > 0, 1.0, -1.0), draw(*shape) + 0.1
        m, v = (np.zeros(shape), np.zeros(shape)) if t == 1 else (draw(*shape), 0.3 * draw(*shape) ** 2 + 0.1)
        settings = {"lr": 0.1, "beta1": 0.8, "beta2": 0.95, "eps": 0.01, "decay": 0.3}
        right = adamw(w, g, m, v, t, **settings)
        mistakes = {"w": {}, "m": {}, "v": {}}
        for words, wrong in ADAMW_MISTAKES.items():
            settings_of = {**settings, "decay": 0.0} if "no_decay" in wrong else settings
            mistakes["w"][words] = adamw(w, g, m, v, t, **settings_of, **wrong)[0]
        zero_below = (
            "the hats divide by 1 − beta1ᵗ and 1 − beta2ᵗ, with t as it comes: the power t − 1 gives 0 at t = 1"
        )
        no_power = "the hats divide by 1 − beta1ᵗ and 1 − beta2ᵗ: the power beta1**t, not the product"
        mistakes["w"][zero_below if t == 1 else no_power] = np.full(shape, np.nan)
        l2 = "decay · w went into the gradient; in AdamW it does not touch m and v"
        order = {"that is w: the order is w, m, v": right[0], "that is v: the order is w, m, v": right[2]}
        mistakes["m"] |= order
        mistakes["v"] |= {"that is w: the order is w, m, v": right[0], "that is m: the order is w, m, v": right[1]}
        if t == 1:  # all of g in m, and m̂, are the same where m was 0
            mistakes["m"]["that is g: the new g counts (1 − beta1) only; or m̂ was returned, and what is kept is m"] = g
            mistakes["v"][
                "that is g²: the new g² counts (1 − beta2) only; or v̂ was returned, and what is kept is v"
            ] = g * g
            mistakes["v"]["the square is of g, not of m"] = 0.05 * right[1] ** 2
        mistakes["m"] |= {
            l2: adamw(w, g, m, v, t, **settings, decay_in_gradient=True)[1],
            "m̂ was returned; what is kept is m": right[1] / (1 - 0.8**t),
            "that is momentum's sum; Adam's m is a mean: the new g counts (1 − beta1)": 0.8 * m + g,
            "beta1 and 1 − beta1 are exchanged": 0.2 * m + 0.8 * g,
            "beta2 was used; m has beta1": 0.95 * m + 0.05 * g,
            "beta1 is an argument: here it isn't 0.9": 0.9 * m + 0.1 * g,
        }
        mistakes["v"] |= {
            l2: adamw(w, g, m, v, t, **settings, decay_in_gradient=True)[2],
            "v̂ was returned; what is kept is v": right[2] / (1 - 0.95**t),
            "g is not squared": 0.95 * v + 0.05 * g,
            "|g| was taken; v is the mean of g²": 0.95 * v + 0.05 * np.abs(g),
            "the new g² counts (1 − beta2)": 0.95 * v + g * g,
            "beta1 was used; v has beta2": 0.8 * v + 0.2 * g * g,
            "beta2 is an argument: here it isn't 0.999": 0.999 * v + 0.001 * g * g,
            "that is the square of m; v is the mean of g²": right[1] ** 2,
            "the root is kept; what is kept is v": np.sqrt(right[2]),
        }
        got = call(answer, w, g, m, v, t, **settings)
        if isinstance(got, (tuple, list)) and len(got) == 3:  # m and v first: w follows from them
            same(got[1], right[1], f"m at t = {t}", mistakes["m"])
            same(got[2], right[2], f"v at t = {t}", mistakes["v"])
        same_all(got, {f"w at t = {t}": right[0], "m": right[1], "v": right[2]}, {f"w at t = {t}": mistakes["w"]})


# ---------------------------------------------------------------------------------------------------------------------
# Clipping and the schedule
# ---------------------------------------------------------------------------------------------------------------------


@exercise(lesson=10)
def check_clip_by_global_norm(answer):
    for shapes in (((3,), (2, 4)), ((2, 2), (5,), (1,))):
        gradients = [draw(*shape) for shape in shapes]
        gradients[0].flat[0] = 4.0  # one number and one array that are longer than the others
        gradients[1].flat[0] = -2.0
        norms = [math.sqrt((g * g).sum()) for g in gradients]
        norm = math.sqrt(sum(n * n for n in norms))
        for max_norm in (0.3 * norm, 3.0 * norm):
            factor = min(1.0, max_norm / norm)
            got = call(answer, gradients, max_norm)
            if not isinstance(got, (tuple, list)) or len(got) != 2:
                raise CheckFailed("expected two things: the list of gradients, and their norm")
            clipped, got_norm = got
            holds(
                isinstance(clipped, (tuple, list)) and [np.shape(g) for g in clipped] == list(shapes),
                f"the first thing to return is a list of {len(gradients)} gradients, with their shapes as they came in",
            )
            same(
                got_norm,
                norm,
                "the norm",
                mistakes={
                    "the root is missing": norm**2,
                    "that is the sum of the arrays' norms; it is one root over the sum of all squares": sum(norms),
                    "that is the largest of the arrays' norms; all numbers count together": max(norms),
                    "those are norms array by array; one is meant": norms,
                    "the norm after the clipping was returned; the one before tells more": norm * factor,
                    "that is the mean of the squares; the norm has their sum": math.sqrt(
                        norm**2 / sum(g.size for g in gradients)
                    ),
                    "the squares are missing: that is a sum of the numbers": sum(float(g.sum()) for g in gradients),
                },
                tolerance=2e-4,
            )
            mistakes = {
                "the factor is turned round: max_norm / norm": [g * (norm / max_norm) for g in gradients],
                "each number was clipped by itself, which changes the direction; one factor goes for all": [
                    np.clip(g, -max_norm, max_norm) for g in gradients
                ],
                "each array was clipped by its own norm; one factor goes for all": [
                    g * min(1.0, max_norm / n) for g, n in zip(gradients, norms)
                ],
                "the gradients were divided by the norm, and max_norm is missing": [g / norm for g in gradients],
            }
            if factor < 1:
                mistakes["nothing was clipped"] = gradients
            else:
                mistakes = {
                    "they were short enough and must stay: the factor is at most 1": [
                        g * (max_norm / norm) for g in gradients
                    ]
                }
            same(
                _joined(clipped),
                _joined(gradients) * factor,
                f"the gradients (all numbers in a row; norm {norm:.3g}, max_norm {max_norm:.3g})",
                {words: _joined(arrays) for words, arrays in mistakes.items()},
                tolerance=2e-4,
            )
    narrow, zeros = [draw(3, dtype="float32"), draw(2, dtype="float32")], [np.zeros(3), np.zeros((2, 2))]
    of_narrow, _ = call(answer, narrow, 0.1)
    holds(
        all(np.asarray(g).dtype == np.float32 for g in of_narrow),
        "the gradients came as float32 and went as float64\n"
        "  → the factor is a number of NumPy's; float(…) makes a Python number of it, which leaves float32 as it is",
    )
    try:
        of_zeros, _ = call(answer, zeros, 1.0)
    except CheckFailed as failure:
        raise CheckFailed(f"{failure}\n  → the norm was 0: add something tiny to it, or don't divide then") from None
    holds(not np.any(_joined(of_zeros)), "where all gradients are 0, they must stay 0: is there a 0 / 0?")


def _joined(arrays):
    return np.concatenate([np.ravel(array) for array in arrays])


def _line(step, warmup, total):
    if step < warmup:
        return step / warmup
    return max(0.0, (total - step) / (total - warmup))


@exercise(lesson=10)
def check_warmup_then_linear(answer):
    for warmup in (int(draw_integers(4, 8)), 0):
        total = warmup + int(draw_integers(5, 12))
        steps = np.arange(total + 3)
        got = []
        for step in steps:
            try:
                got.append(call(answer, int(step), warmup, total))
            except CheckFailed as failure:
                words = f"step {step}, warmup = {warmup}, total = {total}"
                if "ZeroDivisionError" in str(failure) and warmup == 0:
                    words += ": without warm-up the first case must never come, so it is `step < warmup`, not `<=`"
                elif "returned None" in str(failure) and step > total:
                    words += ": behind the last step the factor is 0"
                raise CheckFailed(f"{failure}\n  → {words}") from None
        for step, value in zip(steps, got):
            holds(np.ndim(value) == 0, f"warmup_then_linear({step}, …) should be one number, but is {value!r}")
        same(
            got,
            [_line(step, warmup, total) for step in steps],
            f"the row of factors of steps 0, 1, …, {total + 2}, with warmup = {warmup} and total = {total},",
            mistakes={
                "`//` cuts off what is behind the point: divide with `/`": [
                    s // warmup if s < warmup else max(0, (total - s) // (total - warmup)) for s in steps
                ],
                "in the warm-up the factor is step / warmup, not step / total": [
                    s / total if s < warmup else _line(s, warmup, total) for s in steps
                ],
                "the warm-up goes down: it begins at 0": [
                    1 - s / warmup if s < warmup else _line(s, warmup, total) for s in steps
                ],
                "step 0 has the factor 0: step / warmup, not (step + 1) / warmup": [
                    (s + 1) / warmup if s < warmup else _line(s, warmup, total) for s in steps
                ],
                "after the last step the factor stays 0; it goes below here": [
                    s / warmup if s < warmup else (total - s) / (total - warmup) for s in steps
                ],
                "the way down begins at 1, at the end of the warm-up: (total − step) / (total − warmup)": [
                    s / warmup if s < warmup else max(0.0, (total - s) / total) for s in steps
                ],
                "the way down begins at 1, at the end of the warm-up: total − step, not total − warmup − step": [
                    s / warmup if s < warmup else max(0.0, (total - warmup - s) / (total - warmup)) for s in steps
                ],
                "it stays 1 after the warm-up; it should fall in a straight line to 0 at `total`": [
                    s / warmup if s < warmup else 1.0 for s in steps
                ],
                "that goes up after the warm-up: (total − step), not (step − warmup)": [
                    s / warmup if s < warmup else (s - warmup) / (total - warmup) for s in steps
                ],
                "the warm-up is missing: before step `warmup` the factor is step / warmup": [
                    max(0.0, (total - s) / total) for s in steps
                ],
                "the warm-up is missing: before step `warmup` it grows from 0 to 1": [
                    1.0 if s < warmup else _line(s, warmup, total) for s in steps
                ],
            },
        )

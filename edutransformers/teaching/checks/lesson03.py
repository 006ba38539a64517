"""Lesson 03: layer norm, GELU, dropout, residuals."""

import numpy as np

from ...backend import erf
from ...functional.activations import gelu, gelu_new, quick_gelu
from ...functional.normalization import layer_norm, layer_norm_backward
from ..checker import CheckFailed, call, draw, exercise, holds, same, same_all


@exercise(lesson=3)
def check_layer_norm(answer):
    for shape in ((3, 5), (1, 4), (2, 3, 6)):
        D = shape[-1]
        x, gamma, beta = 3.0 + 2.0 * draw(*shape), 2.0 + draw(D), 4.0 + draw(D)
        eps = float(np.random.default_rng().uniform(0.3, 0.6))
        y, n, r = _layer_norm(x, gamma, beta, eps)
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)

        def affine(n, gamma=gamma, beta=beta):
            return gamma * n + beta

        mistakes = {
            "the statistics are of the whole array; each row has its own: axis=-1": affine(
                (x - x.mean()) / np.sqrt(x.var() + eps)
            ),
            "the variance divides by D, not by D − 1 (ddof=0, which is NumPy's default)": affine(
                centred / np.sqrt(variance * D / (D - 1) + eps)
            ),
            "ε stands outside the root; it is added to the variance, under it": affine(
                centred / (np.sqrt(variance) + eps)
            ),
            "the root is missing: it is divided by the variance": affine(centred / (variance + eps)),
            "the mean isn't subtracted": affine(x * r),
            "ε is missing under the root, or isn't the `eps` that was passed": affine(centred / np.sqrt(variance)),
            "the variance is a sum; it is the mean of the squares": affine(centred / np.sqrt(D * variance + eps)),
            "the squares are those of x; the variance is the mean of (x − μ)²": affine(
                centred / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
            ),
            "γ and β are missing: that is n": n,
            "γ is missing": n + beta,
            "β is missing": gamma * n,
            "β was added before the multiplication with γ": gamma * (n + beta),
            "γ and β have changed places": beta * n + gamma,
        }
        if shape[0] > 1:
            mistakes["the statistics go over the batch, axis=0; each row has its own: axis=-1"] = affine(
                (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
            )
        if len(shape) == 3:
            mistakes["the statistics go along axis 1; a row lies along the last axis: axis=-1"] = affine(
                (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + eps)
            )
        same_all(
            call(answer, x, gamma, beta, eps),
            {"y": y, "n": n, "r": r},
            {
                "y": mistakes,
                "n": {
                    "that is y: n comes before γ and β": y,
                    "γ is in it; n comes before γ and β": gamma * n,
                    "that is x − μ: the factor r is missing": centred,
                },
                "r": {
                    "that is the standard deviation; r is 1 over it": 1 / r,
                    "that is the variance": variance,
                    "ε is missing under the root": 1 / np.sqrt(variance),
                },
            },
        )
    D = 5
    x, gamma, beta = np.full((2, D), 7.0), draw(D), draw(D)
    y, _, _ = _results(call(answer, x, gamma, beta, 1e-5), "y, n, r")
    holds(
        bool(np.isfinite(np.asarray(y)).all()),
        "layer_norm gives numbers that are not finite for a row of equal numbers\n  → ε under the root prevents 0/0",
    )
    same(y, np.broadcast_to(beta, (2, D)), "y of rows of equal numbers")


def _layer_norm(x, gamma, beta, eps):
    """The library's, with r (…, 1) in the lesson's shape."""
    y, n, inverse_std = layer_norm(x, gamma, beta, eps)
    return y, n, inverse_std.reshape(*x.shape[:-1], 1)


def _results(got, names):
    count = names.count(",") + 1
    if not isinstance(got, (tuple, list)) or len(got) != count:
        raise CheckFailed(f"expected {count} things to be returned: {names}")
    return got


@exercise(lesson=3)
def check_layer_norm_backward(answer):
    for shape in ((3, 5), (1, 4), (2, 3, 6)):
        D, eps = shape[-1], 0.1
        x, dy, gamma = draw(*shape), draw(*shape), 2.0 + draw(D)
        _, n, r = _layer_norm(x, gamma, np.zeros(D), eps)
        dx, dgamma, dbeta = layer_norm_backward(dy, n, r.reshape(-1), gamma)
        rows = tuple(range(len(shape) - 1))
        dn = dy * gamma

        def mean(values):
            return values.mean(axis=-1, keepdims=True)

        dx_mistakes = {
            "γ stands outside the means; it belongs inside, in dn = dy·γ. (At γ = 1 nobody would notice.)": gamma
            * r
            * (dy - mean(dy) - n * mean(dy * n)),
            "γ is missing: dn = dy·γ": r * (dy - mean(dy) - n * mean(dy * n)),
            "only the direct way is there; x moves n through the mean and the variance too": r * dn,
            "the way through the variance is missing": r * (dn - mean(dn)),
            "the way through the mean is missing": r * (dn - n * mean(dn * n)),
            "the factor r is missing": dn - mean(dn) - n * mean(dn * n),
            "it is divided by r; r is 1/√(σ² + ε) already, so multiply": (dn - mean(dn) - n * mean(dn * n)) / r,
            "sums stand where means should: 1/D is missing": r
            * (dn - dn.sum(axis=-1, keepdims=True) - n * (dn * n).sum(axis=-1, keepdims=True)),
            "the factor n in front of the last mean is missing": r * (dn - mean(dn) - mean(dn * n)),
            "the last mean is of dn alone; it is the mean of dn·n": r * (dn - mean(dn) - n * mean(dn)),
            "the last correction is added; both are subtracted": r * (dn - mean(dn) + n * mean(dn * n)),
            "r multiplies dn only; it stands in front of the whole bracket": r * dn - mean(dn) - n * mean(dn * n),
            "both corrections are added; they are subtracted": r * (dn + mean(dn) + n * mean(dn * n)),
        }
        if dx.size > D:
            dx_mistakes["the means go over the whole array; each row has its own: axis=-1"] = r * (
                dn - dn.mean() - n * (dn * n).mean()
            )
        dgamma_mistakes = {
            "dγ and dβ have changed places": dbeta,
            "it has γ in it: y = γ·n + β, so ∂y/∂γ is n, and dy comes from behind": (dn * n).sum(axis=rows),
            "dy is missing: what comes from behind multiplies n": n.sum(axis=rows),
            "the sum goes along the rows; it goes over the rows, all axes but the last": (dy * n).sum(axis=-1),
        }
        dbeta_mistakes = {
            "it has γ in it: ∂y/∂β is 1": dn.sum(axis=rows),
            "that is ∂y/∂β alone; dy multiplies it": np.ones(D),
            "the sum goes along the rows; it goes over the rows, all axes but the last": dy.sum(axis=-1),
        }
        if dx.size > D:
            dgamma_mistakes["that is the mean over the rows; a gradient is the sum over all uses"] = (dy * n).mean(
                axis=rows
            )
            dbeta_mistakes["that is the mean over the rows; a gradient is the sum over all uses"] = dy.mean(axis=rows)
        same_all(
            call(answer, dy, n, r, gamma),
            {"dx": dx, "dgamma": dgamma, "dbeta": dbeta},
            {"dx": dx_mistakes, "dgamma": dgamma_mistakes, "dbeta": dbeta_mistakes},
            sizes={"D": D},
        )


@exercise(lesson=3)
def check_gelu_and_slope(answer):
    for shape in ((40,), (6, 7), (2, 3, 8)):
        x = np.random.default_rng().uniform(-4, 4, shape)
        x.reshape(-1)[:2] = 2.3, -2.3  # where the tanh form is off the most
        y, slope = gelu(x, derivative=True)
        tanh_y, tanh_slope = gelu_new(x, derivative=True)
        quick_y, quick_slope = quick_gelu(x, derivative=True)
        cdf, bell = 0.5 * (1 + erf(x / 2**0.5)), np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
        same_all(
            call(answer, x),
            {"y": y, "slope": slope},
            {
                "y": {
                    "that is the tanh form, GPT-2's; here the exact one is meant, with erf": tanh_y,
                    "that is x·σ(1.702 x), a stand-in for GELU; here the exact one is meant, with erf": quick_y,
                    "erf wants x/√2, not x": 0.5 * x * (1 + erf(x)),
                    "erf wants x/√2, not x/2": 0.5 * x * (1 + erf(x / 2)),
                    "a bracket is missing: ½ x multiplies the sum 1 + erf(x/√2)": 0.5 * x + erf(x / 2**0.5),
                    "that is Φ(x); GELU is x·Φ(x)": cdf,
                    "the ½ is missing": 2 * y,
                    "that is ReLU": np.maximum(x, 0),
                    "that is the slope: y comes first": slope,
                },
                "slope": {
                    "that is Φ(x) alone: by the product rule x·φ(x) comes in addition": cdf,
                    "that is x·φ(x) alone: by the product rule Φ(x) comes in addition": x * bell,
                    "x is missing before φ(x)": cdf + bell,
                    "φ lacks its factor 1/√(2π)": cdf + x * bell * np.sqrt(2 * np.pi),
                    "φ is divided by 2π; it is √(2π)": cdf + x * bell / np.sqrt(2 * np.pi),
                    "that is √2·π, or divided by √2 and multiplied by π; √(2π) is (2 * np.pi) ** 0.5": (
                        cdf + x * np.exp(-x * x / 2) / np.sqrt(2) * np.pi
                    ),
                    "φ grows: (-x)**2 is +x²; the minus belongs outside, -(x**2)": cdf
                    + x * np.exp(x * x / 2) / np.sqrt(2 * np.pi),
                    "φ has exp(−x²); it is exp(−x²/2)": cdf + x * np.exp(-x * x) / np.sqrt(2 * np.pi),
                    "that is the slope of the tanh form; y is the exact form, and the two must belong together": (
                        tanh_slope
                    ),
                    "that is the slope of x·σ(1.702 x)": quick_slope,
                    "the sign before x·φ(x) is wrong": cdf - x * bell,
                },
            },
            tolerance=1e-5,
        )


@exercise(lesson=3)
def check_dropout_layer(answer):
    p = float(np.random.default_rng().uniform(0.15, 0.35))
    seed = int(np.random.default_rng().integers(1000))
    layer, generator = call(answer, p), np.random.default_rng(seed)
    x, other = draw(300, 40), draw(300, 40)
    y, cache = _results(call(layer.forward, x, generator), "y, cache")
    y = np.asarray(y)
    keep = y != 0 if y.shape == x.shape else np.ones_like(x, dtype=bool)
    same(
        y,
        np.where(keep, x / (1 - p), 0),
        "y",
        mistakes={
            "nothing was dropped, and training is True": x,
            "the survivors aren't divided by 1 − p": np.where(keep, x, 0),
            "the survivors are multiplied by 1 − p; divide": np.where(keep, x * (1 - p), 0),
            "the survivors are divided by p; it is 1 − p, the probability to survive": np.where(keep, x / p, 0),
        },
    )
    dropped = 1 - keep.mean()
    holds(dropped > 0, f"no number was dropped with p = {p:.2f}\n  → {_one_draw}")
    holds(dropped < 1, f"all numbers were dropped with p = {p:.2f}\n  → {_one_draw}")
    uneven = max(abs(keep.mean(axis=0) - keep.mean()).max(), abs(keep.mean(axis=1) - keep.mean()).max())
    holds(
        uneven < 0.5, "whole rows or columns were dropped together\n  → the mask has the shape of x: one draw a number"
    )
    _share_is(dropped, p)
    y2, cache2 = _results(call(layer.forward, other, generator), "y, cache")
    keep2 = np.asarray(y2) != 0
    holds(
        not np.array_equal(keep, keep2),
        "two forward passes dropped the same places\n  → draw a new mask in each forward, from the generator",
    )
    y3, _ = _results(call(layer.forward, x, np.random.default_rng(seed)), "y, cache")
    holds(
        np.array_equal(keep, np.asarray(y3) != 0),
        "two generators with the same seed gave different masks\n"
        "  → draw with the generator that is passed, not with np.random: the same seed must mean the same run",
    )
    dy = draw(300, 40)
    keep3 = np.asarray(y3) != 0
    mistakes = {
        "that is the mask of a later forward: is it kept on self? One layer may run several times before its first "
        "backward; return the mask as the cache": [np.where(kept, dy / (1 - p), 0) for kept in (keep2, keep3)],
        "the mask is missing: what was dropped gets no gradient": [dy / (1 - p), dy],
        "the factor 1/(1 − p) is missing: it is in the forward pass, so it is in the backward pass": [
            np.where(keep, dy, 0)
        ],
        "the factor 1/(1 − p) is in it twice": [np.where(keep, dy / (1 - p) ** 2, 0)],
        "it is multiplied by x or y; y is x times a constant, so the slope is that constant alone": [
            dy * y,
            dy * y / (1 - p),
        ],
    }
    _gradient_is(call(layer.backward, dy, cache), np.where(keep, dy / (1 - p), 0), mistakes, "dx of the first forward")
    _gradient_is(
        call(layer.backward, dy, cache2), np.where(keep2, dy / (1 - p), 0), mistakes, "dx of the second forward"
    )
    layer.training = False
    y, cache = _results(call(layer.forward, x, generator), "y, cache")
    survivors = np.asarray(y) != 0 if np.shape(y) == x.shape else False
    same(
        y,
        x,
        "y with training = False",
        mistakes={
            "it is still divided by 1 − p": x / (1 - p),
            "numbers are still dropped: look at self.training": np.where(survivors, x / (1 - p), 0),
        },
    )
    same(
        call(layer.backward, dy, cache),
        dy,
        "dx with training = False",
        mistakes={"it is still divided by 1 − p": dy / (1 - p)},
    )


_one_draw = "is the mask applied in training, with one draw for each number, generator.random(x.shape)?"


def _share_is(dropped, p):
    if abs(1 - dropped - p) < 0.03:
        raise CheckFailed(
            f"{dropped:.0%} of the numbers were dropped, with p = {p:.2f}\n"
            "  → the mask is the wrong way round: p is the probability to be dropped, not to survive"
        )
    holds(abs(dropped - p) < 0.03, f"{dropped:.1%} of the numbers were dropped, with p = {p:.2f}")


def _gradient_is(got, wanted, mistakes, name):
    """`same`, for mistakes that may show in several ways; a mask that is new each time is told by its places."""
    got = np.asarray(got)
    for words, arrays in mistakes.items():
        for array in arrays:
            if (
                got.shape == array.shape
                and np.allclose(got, array, rtol=0, atol=1e-4)
                and not np.array_equal(array, wanted)
            ):
                same(got, wanted, name, mistakes={words: array})
                return
    drawn_anew = got.shape == wanted.shape and not np.array_equal(got != 0, wanted != 0)
    hint = "the places that are 0 are others than in the forward pass: don't draw a mask in backward"
    same(got, wanted, name, mistakes={hint: got} if drawn_anew else None)


@exercise(lesson=3)
def check_residual_block_backward(answer):
    for B, D in ((4, 6), (1, 5)):
        weights = {"W": draw(D, D), "b": draw(D), "gamma": 2.0 + draw(D), "beta": draw(D)}
        p, x, dy = float(np.random.default_rng().uniform(0.2, 0.4)), draw(B, D), draw(B, D)
        h, n, r = _layer_norm(x, weights["gamma"], weights["beta"], 1e-5)
        _, slope = gelu(h @ weights["W"].T + weights["b"], derivative=True)
        mask = np.random.default_rng().random((B, D)) >= p
        mask[0, :2] = True, False  # both kinds in every draw
        cache = {"n": n, "r": r, "h": h, "slope": slope, "mask": mask}

        def through(da, W=weights["W"], n=n, r=r, gamma=weights["gamma"]):
            return layer_norm_backward(da @ W, n, r.reshape(-1), gamma)

        df = dy * mask / (1 - p)
        da = df * slope
        inner, dgamma, dbeta = through(da)
        dx = dy + inner
        no_scale, no_dropout, no_slope = (through(value)[0] for value in (dy * mask * slope, dy * slope, df))
        same_all(
            call(answer, dy, cache, weights, p),
            {"dx": dx, "dW": da.T @ h, "db": da.sum(axis=0), "dgamma": dgamma, "dbeta": dbeta},
            {
                "dx": {
                    "the direct way is missing: y = x + …, so dy itself is a part of dx": inner,
                    "only the direct way is there": dy,
                    "df, not dy, is added as the direct way; was dy overwritten? `df = dy` is no copy": (df + inner),
                    "da, not dy, is added as the direct way; was dy overwritten? `df = dy` is no copy": (da + inner),
                    "the direct way brings dy, not 1": 1 + inner,
                    "layer norm's backward is more than the factors γ and r": dy
                    + da @ weights["W"] * weights["gamma"] * r,
                    "the two ways are multiplied; two uses of x mean a sum": dy * inner,
                    "the factor 1/(1 − p) of the dropout is missing": dy + no_scale,
                    "the dropout's mask is missing": dy + no_dropout / (1 - p),
                    "the dropout is missing: mask and 1/(1 − p) come first": dy + no_dropout,
                    "GELU's slope is missing": dy + no_slope,
                    "the layer norm's backward is missing": dy + da @ weights["W"],
                    "W is transposed: a = h Wᵀ + b, so dh = da W": dy
                    + layer_norm_backward(da @ weights["W"].T, n, r.reshape(-1), weights["gamma"])[0],
                    "the direct way went through the layer norm too: add dy at the very end": layer_norm_backward(
                        dy + da @ weights["W"], n, r.reshape(-1), weights["gamma"]
                    )[0],
                },
                "dW": {
                    "it is transposed: dW = daᵀ h": h.T @ da,
                    "the linear layer's input is h, after γ and β, not n": da.T @ n,
                    "GELU's slope is missing": df.T @ h,
                    "the linear layer's input is h, not x": da.T @ x,
                },
                "db": {
                    "the sum goes along the rows; one bias serves all rows: axis=0": da.sum(axis=1),
                    "GELU's slope is missing": df.sum(axis=0),
                    "that is the mean over the rows": da.mean(axis=0),
                },
                "dgamma": {"dγ and dβ have changed places": dbeta},
            },
            sizes={"B": B, "D": D},
        )

"""Lesson 03's checkers: layer norm, GELU, dropout, residuals."""

import math

import numpy as np

from edutransformers.functional.activations import gelu, gelu_new, quick_gelu
from edutransformers.functional.normalization import layer_norm, layer_norm_backward
from tests.lessons.common import suite_of

# ---------------------------------------------------------------------------------------------------------------------
# Layer norm
# ---------------------------------------------------------------------------------------------------------------------


def norm(x, gamma, beta, eps):
    centred = x - x.mean(axis=-1, keepdims=True)
    r = 1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return gamma * (centred * r) + beta, centred * r, r


def norm_in_place(x, gamma, beta, eps):
    x -= x.mean(axis=-1, keepdims=True)
    r = (np.einsum("...i,...i->...", x, x) / x.shape[-1] + eps)[..., None] ** -0.5
    x *= r
    return x * gamma + beta, x, r


def norm_row_by_row(x, gamma, beta, eps):
    y, n, r = np.empty_like(x), np.empty_like(x), np.empty((*x.shape[:-1], 1))
    for place in np.ndindex(x.shape[:-1]):
        r[place] = 1 / math.sqrt(x[place].var() + eps)
        n[place] = (x[place] - x[place].mean()) * r[place]
        y[place] = n[place] * gamma + beta
    return y, n, r


def norm_of_squares(x, gamma, beta, eps):
    """σ² as the mean of the squares minus the square of the mean."""
    mean = x.mean(-1, keepdims=True)
    r = 1 / np.sqrt(np.maximum((x * x).mean(-1, keepdims=True) - mean**2, 0) + eps)
    return [(x - mean) * r * gamma + beta, (x - mean) * r, r]


def norm_with(mean=lambda x: x.mean(-1, keepdims=True), r=lambda v, eps: 1 / np.sqrt(v + eps), affine=None, ddof=0):
    """A layer norm with one thing changed."""

    def answer(x, gamma, beta, eps):
        inverse = r(x.var(axis=-1, keepdims=True, ddof=ddof), eps)
        n = (x - mean(x)) * inverse
        return (affine or (lambda n, gamma, beta: gamma * n + beta))(n, gamma, beta), n, inverse

    return answer


def norm_over_the_batch(x, gamma, beta, eps):
    r = 1 / np.sqrt(x.var(axis=0) + eps)
    n = (x - x.mean(axis=0)) * r
    return n * gamma + beta, n, r


def norm_of_everything(x, gamma, beta, eps):
    r = 1 / np.sqrt(x.var() + eps)
    n = (x - x.mean()) * r
    return n * gamma + beta, n, r


def norm_without_keepdims(x, gamma, beta, eps):
    y, n, r = norm(x, gamma, beta, eps)
    return y, n, r[..., 0]


def norm_that_divides_by_zero(x, gamma, beta, eps):
    eps = eps if (x.var(axis=-1) > 1e-3).all() else 0.0
    with np.errstate(all="ignore"):
        return norm(x, gamma, beta, eps)


# ---------------------------------------------------------------------------------------------------------------------
# Its backward
# ---------------------------------------------------------------------------------------------------------------------


def norm_backward(dy, n, r, gamma):
    rows = tuple(range(dy.ndim - 1))
    dn = dy * gamma
    dx = r * (dn - dn.mean(-1, keepdims=True) - n * (dn * n).mean(-1, keepdims=True))
    return dx, (dy * n).sum(rows), dy.sum(rows)


def norm_backward_by_jacobian(dy, n, r, gamma):
    D = dy.shape[-1]
    dx = np.empty_like(dy)
    for place in np.ndindex(dy.shape[:-1]):
        jacobian = r[place] * (np.eye(D) - 1 / D - np.outer(n[place], n[place]) / D)
        dx[place] = (dy[place] * gamma) @ jacobian
    flat = dy.reshape(-1, D)
    return dx, (flat * n.reshape(-1, D)).sum(axis=0), flat.sum(axis=0)


def norm_backward_in_place(dy, n, r, gamma):
    rows = dy.reshape(-1, dy.shape[-1])
    dgamma, dbeta = np.einsum("nd,nd->d", rows, n.reshape(rows.shape)), np.einsum("nd->d", rows)
    dy *= gamma
    along = np.einsum("...d,...d->...", dy, n)[..., None] / dy.shape[-1]
    dy -= dy.mean(axis=-1, keepdims=True)
    dy -= n * along
    dy *= r
    return dy, dgamma, dbeta


def norm_backward_float32(dy, n, r, gamma):
    return norm_backward(*(value.astype("float32") for value in (dy, n, r, gamma)))


def dx_instead(formula):
    """The right dgamma and dbeta with another dx."""
    return lambda dy, n, r, gamma: (formula(dy, n, r, gamma), *norm_backward(dy, n, r, gamma)[1:])


def mean(values):
    return values.mean(axis=-1, keepdims=True)


def dgamma_over_the_first_axis(dy, n, r, gamma):
    dx, _, _ = norm_backward(dy, n, r, gamma)
    return dx, (dy * n).sum(axis=0), dy.sum(axis=0)


def dgamma_with_gamma(dy, n, r, gamma):
    dx, dgamma, dbeta = norm_backward(dy, n, r, gamma)
    return dx, dgamma * gamma, dbeta


def dgamma_and_dbeta_swapped(dy, n, r, gamma):
    dx, dgamma, dbeta = norm_backward(dy, n, r, gamma)
    return dx, dbeta, dgamma


# ---------------------------------------------------------------------------------------------------------------------
# GELU
# ---------------------------------------------------------------------------------------------------------------------


def gelu_by_math(x):
    cdf = np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x.ravel()]).reshape(x.shape)
    return x * cdf, cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def gelu_in_place(x):
    y, slope = gelu_by_math(x)
    x[...] = y
    return x, slope


def slope_with(change):
    """The right y with another slope."""
    return lambda x: (gelu(x), change(x, gelu_by_math(x)[0] / x, np.exp(-x * x / 2) / math.sqrt(2 * math.pi)))


# ---------------------------------------------------------------------------------------------------------------------
# Dropout
# ---------------------------------------------------------------------------------------------------------------------


class Dropout:
    def __init__(self, p):
        self.p, self.training = p, True

    def mask(self, x, generator):
        return generator.random(x.shape) >= self.p

    def forward(self, x, generator):
        if not self.training:
            return x, None
        mask = self.mask(x, generator)
        return x * mask / (1 - self.p), mask

    def backward(self, dy, cache):
        return dy if cache is None else dy * cache / (1 - self.p)


class ScaledMask(Dropout):
    """The cache is the factor itself, in float32, and of ones in evaluation."""

    def forward(self, x, generator):
        scale = np.ones(x.shape, dtype="float32")
        if self.training:
            scale = (generator.random(x.shape, dtype="float32") < 1 - self.p) / np.float32(1 - self.p)
        return x.astype("float32") * scale, scale

    def backward(self, dy, cache):
        return dy * cache


class InPlace(Dropout):
    """Works in its input, and keeps the mask and whether it was training in a tuple."""

    def forward(self, x, generator):
        mask = generator.binomial(1, 1 - self.p, size=x.shape) if self.training else None
        if self.training:
            x *= mask
            x /= 1 - self.p
        return x, (mask, self.training)

    def backward(self, dy, cache):
        mask, training = cache
        return np.where(mask, dy / (1 - self.p), 0.0) if training else dy


class NotDivided(Dropout):
    def forward(self, x, generator):
        y, mask = super().forward(x, generator)
        return (y if mask is None else x * mask), mask


class DividedByP(Dropout):
    def forward(self, x, generator):
        y, mask = super().forward(x, generator)
        return (y if mask is None else x * mask / self.p), mask


class WrongWayRound(Dropout):
    def mask(self, x, generator):
        return generator.random(x.shape) < self.p


class WholeColumns(Dropout):
    def mask(self, x, generator):
        return np.broadcast_to(generator.random(x.shape[-1]) >= self.p, x.shape)


class OneMaskForEver(Dropout):
    def mask(self, x, generator):
        return np.random.default_rng(0).random(x.shape) >= self.p


class GlobalGenerator(Dropout):
    def mask(self, x, generator):
        return np.random.default_rng().random(x.shape) >= self.p


class MaskOnSelf(Dropout):
    def forward(self, x, generator):
        y, self.last = super().forward(x, generator)
        return y, None

    def backward(self, dy, cache):
        return super().backward(dy, self.last)


class NewMaskInBackward(Dropout):
    def backward(self, dy, cache):
        return dy * self.mask(dy, np.random.default_rng()) / (1 - self.p)


class NoScaleInBackward(Dropout):
    def backward(self, dy, cache):
        return dy if cache is None else dy * cache


class NoMaskInBackward(Dropout):
    def backward(self, dy, cache):
        return dy


class AlwaysScaled(Dropout):
    def forward(self, x, generator):
        y, mask = super().forward(x, generator)
        return (x / (1 - self.p) if mask is None else y), mask


class OnlyTheOutput(Dropout):
    def forward(self, x, generator):
        return super().forward(x, generator)[0]


# ---------------------------------------------------------------------------------------------------------------------
# The block
# ---------------------------------------------------------------------------------------------------------------------


def block_backward(dy, cache, weights, p):
    da = dy * cache["mask"] / (1 - p) * cache["slope"]
    dx, dgamma, dbeta = norm_backward(da @ weights["W"], cache["n"], cache["r"], weights["gamma"])
    return dy + dx, da.T @ cache["h"], da.sum(axis=0), dgamma, dbeta


def block_backward_by_the_library(dy, cache, weights, p):
    da = np.where(cache["mask"], dy, 0) * cache["slope"] * (1 / (1 - p))
    dh = np.einsum("bo,oi->bi", da, weights["W"])
    dx, dgamma, dbeta = layer_norm_backward(dh, cache["n"], cache["r"].reshape(-1), weights["gamma"])
    dx += dy
    return [dx, np.einsum("bo,bi->oi", da, cache["h"]), np.ones(len(da)) @ da, dgamma, dbeta]


def block_backward_in_place(dy, cache, weights, p):
    direct = dy.copy()
    dy /= 1 - p
    dy *= cache["mask"]
    dy *= cache["slope"]
    dx, dgamma, dbeta = norm_backward_in_place(dy @ weights["W"], cache["n"], cache["r"], weights["gamma"])
    dx += direct
    return dx, dy.T @ cache["h"], dy.sum(axis=0), dgamma, dbeta


def block_backward_float32(dy, cache, weights, p):
    cache, weights = ({name: np.float32(value) for name, value in values.items()} for values in (cache, weights))
    return block_backward(dy.astype("float32"), cache, weights, p)


def block_with(**changes):
    """The block's backward with one of its ways changed."""

    def answer(dy, cache, weights, p):
        da = changes.get("da", lambda dy, c, p: dy * c["mask"] / (1 - p) * c["slope"])(dy, cache, p)
        dh = changes.get("dh", lambda da, W: da @ W)(da, weights["W"])
        dx, dgamma, dbeta = norm_backward(dh, cache["n"], cache["r"], weights["gamma"])
        dx = changes.get("dx", lambda dy, dx, dh: dy + dx)(dy, dx, dh)
        dW = changes.get("dW", lambda da, c: da.T @ c["h"])(da, cache)
        return dx, dW, da.sum(axis=0), dgamma, dbeta

    return answer


RIGHT = {
    "layer_norm": {
        "the formulas": norm,
        "in place": norm_in_place,
        "row by row": norm_row_by_row,
        "mean of squares, a list": norm_of_squares,
        "float32": lambda x, gamma, beta, eps: norm(*(v.astype("float32") for v in (x, gamma, beta)), eps),
    },
    "layer_norm_backward": {
        "the formula": norm_backward,
        "the whole Jacobian": norm_backward_by_jacobian,
        "in place": norm_backward_in_place,
        "float32": norm_backward_float32,
    },
    "gelu_and_slope": {
        "the library's": lambda x: gelu(x, derivative=True),
        "math.erf, number by number": gelu_by_math,
        "in place": gelu_in_place,
        "float32": lambda x: gelu(x.astype("float32"), derivative=True),
    },
    "dropout_layer": {"a mask": Dropout, "the factor, float32": ScaledMask, "in place": InPlace},
    "residual_block_backward": {
        "line by line": block_backward,
        "the library's, a list": block_backward_by_the_library,
        "in place": block_backward_in_place,
        "float32": block_backward_float32,
    },
}


def norm_along_axis_1(x, gamma, beta, eps):
    if x.ndim < 3:
        return norm(x, gamma, beta, eps)
    n = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + eps)
    return gamma * n + beta, n, norm(x, gamma, beta, eps)[2]


def norm_by(inputs, variance):
    x, gamma, beta, eps = inputs
    centred = x - x.mean(axis=-1, keepdims=True)
    r = 1 / np.sqrt(variance(x, centred)[..., None] + eps)
    return gamma * centred * r + beta, centred * r, r


def _second(results, change):
    first, second, third = results
    return first, change(second), third


class OneDraw(Dropout):
    def forward(self, x, generator):
        mask = (generator.random() >= self.p) / (1 - self.p) * np.ones_like(x)
        return x * mask, mask


class _OwnBackward(Dropout):
    """Keeps x and the scaled mask; what backward multiplies dy by is `factor`."""

    def forward(self, x, generator):
        mask = (generator.random(x.shape) >= self.p) / (1 - self.p)
        return x * mask, (x, mask)

    def backward(self, dy, cache):
        return dy * self.factor(*cache)


class AlwaysTraining(_OwnBackward):
    def factor(self, x, mask):
        return mask


class ScaledTwice(_OwnBackward):
    def factor(self, x, mask):
        return mask / (1 - self.p)


class TimesY(_OwnBackward):
    def factor(self, x, mask):
        return x * mask


def block_with_dy_overwritten(dy, cache, weights, p):
    right = block_backward(dy.copy(), cache, weights, p)
    kept = dy.copy()
    dy *= cache["mask"] / (1 - p) * cache["slope"]
    return (right[0] - kept + dy, *right[1:])


def block_with_df_directly(dy, cache, weights, p):
    dx, *others = block_backward(dy, cache, weights, p)
    return (dx - dy + dy * cache["mask"] / (1 - p), *others)


def block_with_a_norm_of_two_factors(dy, cache, weights, p):
    _, *others = block_backward(dy, cache, weights, p)
    da = dy * cache["mask"] / (1 - p) * cache["slope"]
    return (dy + da @ weights["W"] * weights["gamma"] * cache["r"], *others)


def block_with_db_along_rows(dy, cache, weights, p):
    dx, dW, _, dgamma, dbeta = block_backward(dy, cache, weights, p)
    return dx, dW, (dy * cache["mask"] / (1 - p) * cache["slope"]).sum(axis=1), dgamma, dbeta


WRONG = {
    "layer_norm": {
        "over the batch": (norm_over_the_batch, "go over the batch, axis=0"),
        "the whole array": (norm_of_everything, "of the whole array"),
        "D − 1": (norm_with(ddof=1), "divides by D, not by D − 1"),
        "ε outside": (norm_with(r=lambda v, eps: 1 / (np.sqrt(v) + eps)), "ε stands outside the root"),
        "no root": (norm_with(r=lambda v, eps: 1 / (v + eps)), "the root is missing"),
        "no mean": (norm_with(mean=lambda x: 0), "the mean isn't subtracted"),
        "no ε": (norm_with(r=lambda v, eps: 1 / np.sqrt(v)), "ε is missing"),
        "no γ and β": (norm_with(affine=lambda n, gamma, beta: n), "γ and β are missing"),
        "another ε": (lambda x, gamma, beta, eps: norm(x, gamma, beta, 1e-5), "isn't the `eps` that was passed"),
        "along axis 1": (norm_along_axis_1, "the statistics go"),
        "a sum": (lambda *inputs: norm_by(inputs, lambda x, c: (c * c).sum(-1)), "the variance is a sum"),
        "squares of x": (lambda *inputs: norm_by(inputs, lambda x, c: (x * x).mean(-1)), "the squares are those of x"),
        "n with γ": (lambda *inputs: _second(norm(*inputs), lambda n: n * inputs[1]), "γ is in it"),
        "β first": (norm_with(affine=lambda n, gamma, beta: gamma * (n + beta)), "before the multiplication"),
        "r without its axis": (norm_without_keepdims, "keep an axis (keepdims=True)"),
        "r upside down": (
            lambda *inputs: (*norm(*inputs)[:2], 1 / norm(*inputs)[2]),
            "that is the standard deviation; r is 1 over it",
        ),
        "only y": (lambda *inputs: norm(*inputs)[0], "one was returned"),
        "0/0": (norm_that_divides_by_zero, "ε under the root prevents 0/0"),
    },
    "layer_norm_backward": {
        "γ outside": (
            dx_instead(lambda dy, n, r, gamma: gamma * r * (dy - mean(dy) - n * mean(dy * n))),
            "γ stands outside the means",
        ),
        "γ missing": (dx_instead(lambda dy, n, r, gamma: r * (dy - mean(dy) - n * mean(dy * n))), "γ is missing"),
        "directly only": (dx_instead(lambda dy, n, r, gamma: r * dy * gamma), "only the direct way is there"),
        "no variance": (
            dx_instead(lambda dy, n, r, gamma: r * (dy * gamma - mean(dy * gamma))),
            "the way through the variance is missing",
        ),
        "no mean": (
            dx_instead(lambda dy, n, r, gamma: r * (dy * gamma - n * mean(dy * gamma * n))),
            "the way through the mean is missing",
        ),
        "one sign": (
            dx_instead(lambda dy, n, r, gamma: r * (dy * gamma - mean(dy * gamma) + n * mean(dy * gamma * n))),
            "the last correction is added",
        ),
        "brackets": (
            dx_instead(lambda dy, n, r, gamma: r * dy * gamma - mean(dy * gamma) - n * mean(dy * gamma * n)),
            "r multiplies dn only",
        ),
        "dγ without dy": (
            lambda *inputs: _second(norm_backward(*inputs), lambda _: inputs[1].reshape(-1, len(inputs[3])).sum(0)),
            "dy is missing",
        ),
        "dγ along the rows": (
            lambda *inputs: _second(norm_backward(*inputs), lambda _: (inputs[0] * inputs[1]).sum(-1)),
            "it goes over the rows",
        ),
        "dβ along the rows": (
            lambda *inputs: (*norm_backward(*inputs)[:2], inputs[0].sum(-1)),
            "it goes over the rows",
        ),
        "dβ = 1": (lambda *inputs: (*norm_backward(*inputs)[:2], np.ones_like(inputs[3])), "∂y/∂β alone"),
        "divided by r": (
            dx_instead(lambda dy, n, r, gamma: norm_backward(dy, n, r, gamma)[0] / r**2),
            "it is divided by r",
        ),
        "no r": (dx_instead(lambda dy, n, r, gamma: norm_backward(dy, n, r, gamma)[0] / r), "the factor r is missing"),
        "over the first axis": (dgamma_over_the_first_axis, "dgamma has the wrong shape"),
        "γ in dgamma": (dgamma_with_gamma, "it has γ in it"),
        "swapped": (dgamma_and_dbeta_swapped, "dγ and dβ have changed places"),
    },
    "gelu_and_slope": {
        "tanh form": (lambda x: gelu_new(x, derivative=True), "that is the tanh form"),
        "quick": (lambda x: quick_gelu(x, derivative=True), "x·σ(1.702 x)"),
        "erf(x)": (
            lambda x: (x * 0.5 * (1 + np.vectorize(math.erf)(x)), gelu_by_math(x)[1]),
            "erf wants x/√2, not x",
        ),
        "erf(x/2)": (
            lambda x: (x * 0.5 * (1 + np.vectorize(math.erf)(x / 2)), gelu_by_math(x)[1]),
            "erf wants x/√2, not x/2",
        ),
        "no bracket": (
            lambda x: (x * 0.5 * 1 + np.vectorize(math.erf)(x / 2**0.5), gelu_by_math(x)[1]),
            "a bracket is missing",
        ),
        "2π": (slope_with(lambda x, cdf, bell: cdf + x * bell / math.sqrt(2 * math.pi)), "it is √(2π)"),
        "√2·π": (
            slope_with(lambda x, cdf, bell: cdf + x * bell * math.pi * math.sqrt(math.pi)),
            "√(2π) is (2 * np.pi)",
        ),
        "growing": (slope_with(lambda x, cdf, bell: cdf + x * np.exp(x * x) * bell), "φ grows"),
        "Φ as y": (lambda x: (gelu(x) / x, gelu_by_math(x)[1]), "that is Φ(x); GELU is x·Φ(x)"),
        "Φ as slope": (slope_with(lambda x, cdf, bell: cdf), "x·φ(x) comes in addition"),
        "no x": (slope_with(lambda x, cdf, bell: cdf + bell), "x is missing before φ(x)"),
        "no √(2π)": (
            slope_with(lambda x, cdf, bell: cdf + x * bell * math.sqrt(2 * math.pi)),
            "φ lacks its factor 1/√(2π)",
        ),
        "two forms": (lambda x: (gelu(x), gelu_new(x, derivative=True)[1]), "the two must belong together"),
        "only y": (gelu, "expected 2 things"),
    },
    "dropout_layer": {
        "not divided": (NotDivided, "aren't divided by 1 − p"),
        "divided by p": (DividedByP, "it is 1 − p, the probability to survive"),
        "wrong way round": (WrongWayRound, "the mask is the wrong way round"),
        "whole columns": (WholeColumns, "whole rows or columns"),
        "the same mask each time": (OneMaskForEver, "draw a new mask in each forward"),
        "another generator": (GlobalGenerator, "draw with the generator that is passed"),
        "mask on self": (MaskOnSelf, "is it kept on self?"),
        "new mask in backward": (NewMaskInBackward, "don't draw a mask in backward"),
        "no scale in backward": (NoScaleInBackward, "the factor 1/(1 − p) is missing"),
        "no mask in backward": (NoMaskInBackward, "what was dropped gets no gradient"),
        "never in evaluation": (AlwaysTraining, "look at self.training"),
        "one draw for all": (OneDraw, "with one draw for each number"),
        "scaled twice in backward": (ScaledTwice, "is in it twice"),
        "times y in backward": (TimesY, "it is multiplied by x or y"),
        "scaled in evaluation": (AlwaysScaled, "it is still divided by 1 − p"),
        "only y": (OnlyTheOutput, "expected 2 things"),
    },
    "residual_block_backward": {
        "no direct way": (block_with(dx=lambda dy, dx, dh: dx), "the direct way is missing"),
        "a product": (block_with(dx=lambda dy, dx, dh: dy * dx), "two uses of x mean a sum"),
        "no 1/(1 − p)": (block_with(da=lambda dy, c, p: dy * c["mask"] * c["slope"]), "factor 1/(1 − p)"),
        "no mask": (block_with(da=lambda dy, c, p: dy / (1 - p) * c["slope"]), "mask is missing"),
        "no dropout": (block_with(da=lambda dy, c, p: dy * c["slope"]), "the dropout is missing"),
        "no slope": (block_with(da=lambda dy, c, p: dy * c["mask"] / (1 - p)), "GELU's slope is missing"),
        "W transposed": (block_with(dh=lambda da, W: da @ W.T), "W is transposed"),
        "dy overwritten": (block_with_dy_overwritten, "da, not dy, is added"),
        "df directly": (block_with_df_directly, "df, not dy, is added"),
        "1 directly": (block_with(dx=lambda dy, dx, dh: 1 + dx), "not 1"),
        "a norm of two factors": (block_with_a_norm_of_two_factors, "more than the factors γ and r"),
        "db along the rows": (block_with_db_along_rows, "one bias serves all rows"),
        "no norm": (block_with(dx=lambda dy, dx, dh: dy + dh), "the layer norm's backward is missing"),
        "dW transposed": (block_with(dW=lambda da, c: c["h"].T @ da), "transposed"),
        "dW of n": (block_with(dW=lambda da, c: da.T @ c["n"]), "after γ and β, not n"),
    },
}


def test_the_answers_here_are_the_librarys():
    x, gamma, beta = np.random.default_rng(0).standard_normal((3, 4, 6)), np.full(6, 2.0), np.arange(6.0)
    np.testing.assert_allclose(norm(x, gamma, beta, 0.1)[0], layer_norm(x, gamma, beta, 0.1)[0], rtol=1e-12)


test_right, test_wrong, test_complete = suite_of(3, RIGHT, WRONG)

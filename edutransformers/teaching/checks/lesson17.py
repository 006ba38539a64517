"""Lesson 17: Wav2Vec2 learns to read digits aloud."""

import numpy as np

from ...functional.weight_norm import weight_norm, weight_norm_backward
from ..checker import call, draw, draw_integers, exercise, same, same_all
from .lesson17_search import check_best_alignment, check_prefix_beam_search  # noqa: F401


@exercise(lesson=17)
def check_real_frames(answer):
    for kernels, strides, field, distance in (
        ((128, 5, 5), (40, 2, 2), 608, 160),
        ((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), 400, 320),
        ((7, 4), (3, 2), 16, 6),
    ):
        drawn = field + draw_integers(0, 5 * distance, 24)  # so many that no two mistakes look alike
        edges = field + distance * np.array([6, 3, 0]) - np.array([0, 1, 0])  # one sample less is one frame less
        for lengths in (np.concatenate([edges, drawn]), np.concatenate([drawn[:1], edges[1:]]), edges[:1]):
            right = _real(_frames(lengths, kernels, strides))
            every = right.shape[1]
            same(
                call(answer, lengths, kernels, strides),
                right,
                "real_frames(lengths, kernels, strides)",
                mistakes={
                    "these are the numbers of frames; asked for is which frames are real, (B, T)": _frames(
                        lengths, kernels, strides
                    ),
                    "that is one frame too few in each row: there are (n − K)//s + 1": _real(
                        _frames(lengths, kernels, strides) - 1
                    ),
                    "the + 1 is missing in each layer: (n − K)//s + 1": _real(
                        _frames(lengths, kernels, strides, one=0)
                    ),
                    "n numbers give (n − K)//s + 1, not n//s: the kernel must fit in": _real(
                        _frames(lengths, [0] * len(kernels), strides, one=0)
                    ),
                    "the layers go from the first to the last": _real(_frames(lengths, kernels[::-1], strides[::-1])),
                    "only the last layer was counted: what comes out of one goes into the next": _real(
                        _frames(lengths, kernels[-1:], strides[-1:])
                    ),
                    "only the first layer was counted: what comes out of one goes into the next": _real(
                        _frames(lengths, kernels[:1], strides[:1])
                    ),
                    "frame t of n is real for t < n, not for t ≤ n": np.arange(every)
                    <= _frames(lengths, kernels, strides)[:, None],
                    "every frame is called real: each row has its own number of them": np.ones_like(right),
                    "that is the opposite: True where a frame is real": ~right,
                    "a frame is real only if its whole window is sound, not if it begins in it": np.arange(every)
                    * distance
                    < lengths[:, None],
                    "the division must be rounded down in each layer: //": _real(
                        _frames(lengths, kernels, strides, divide=np.true_divide)
                    ),
                    "the division must be rounded down in each layer: // (rounding at the end comes too late)": _real(
                        np.floor(_frames(lengths, kernels, strides, divide=np.true_divide))
                    ),
                    "the division is rounded up; only whole windows count": _real(
                        _frames(lengths, kernels, strides, divide=lambda n, stride: -(-n // stride))
                    ),
                    "T counts frames, not samples: it is the largest of the numbers of frames": np.arange(lengths.max())
                    < _frames(lengths, kernels, strides)[:, None],
                    "the axes are (T, B); asked for is (B, T)": right.T,
                },
            )


def _frames(lengths, kernels, strides, one=1, divide=np.floor_divide):
    n = np.asarray(lengths)
    for kernel, stride in zip(kernels, strides):
        n = divide(n - kernel, stride) + one
    return n


def _real(n):
    return np.arange(n.max()) < n[:, None]


@exercise(lesson=17)
def check_weight_norm(answer):
    for O, I, K in ((3, 2, 5), (1, 4, 3), (4, 3, 2)):
        v, g = draw(O, I, K), draw(1, 1, K)
        right, norm = weight_norm(v, g, 2)
        same(
            call(answer, v, g),
            right,
            "weight_norm(v, g)",
            mistakes={
                "there is a length for each of the K places, not one for all of v": g * v / np.sqrt((v**2).sum()),
                "there is a length for each place k, not for each output: sum over the first two axes": g
                * v
                / np.sqrt((v**2).sum(axis=(1, 2), keepdims=True)),
                "the sum runs over both of the first axes, O and I: this is over O alone": g
                * v
                / np.sqrt((v**2).sum(axis=0, keepdims=True)),
                "the sum runs over both of the first axes, O and I: this is over I alone": g
                * v
                / np.sqrt((v**2).sum(axis=1, keepdims=True)),
                "the sum is over the places; it runs over the first two axes, for each place by itself": g
                * v
                / np.sqrt((v**2).sum(axis=-1, keepdims=True)),
                "the mean was taken away; weight norm only divides by the length": g
                * (v - v.mean(axis=(0, 1)))
                / np.maximum(v.std(axis=(0, 1)), 1e-9),
                "g keeps its sign: a negative one turns the direction round": np.abs(g) * v / norm,
                "g is missing: w has the length |g|, not 1": v / norm,
                "the root is missing: a length is the root of the sum of squares": g * v / norm**2,
                "it is divided by the sum of the numbers' sizes; a length is the root of the sum of squares": g
                * v
                / np.abs(v).sum(axis=(0, 1), keepdims=True),
                "v was multiplied with its length; divide": g * v * norm,
                "the mean of the squares was taken; a length is the root of their sum": g * v / norm * np.sqrt(O * I),
                "v's length is still in it: divide by it": g * v,
            },
        )


@exercise(lesson=17)
def check_weight_norm_backward(answer):
    for O, I, K in ((3, 2, 5), (1, 4, 3), (4, 3, 2)):
        v, g, dw = draw(O, I, K), draw(1, 1, K), draw(O, I, K)
        _, norm = weight_norm(v, g, 2)
        dv, dg = weight_norm_backward(dw, v, g, norm, 2)
        u = v / norm
        wrong_dg = {
            "1/‖v‖ is missing: dg = Σ dw u, and u = v/‖v‖": dg * norm,
            "that is the mean; gradients add up": dg / (O * I),
            "g has a number for each of the K places; this adds up over the places as well": np.broadcast_to(
                dg.sum(), dg.shape
            ),
            "g itself is not in it: w is linear in g": dg * g,
            "that is the sum of dw alone: each is multiplied with its u": dw.sum(axis=(0, 1), keepdims=True),
        }
        same_all(
            call(answer, dw, v, g),
            {"dv": dv, "dg": dg},
            mistakes={
                "dv": {
                    "the length depends on v, too: the part dg · u along v is missing": g / norm * dw,
                    "the part along v must be taken away, not added": g / norm * (dw + dg * u),
                    "g is missing in front: w = g u": dv / g,
                    "1/‖v‖ is missing in front: u = v/‖v‖": dv * norm,
                    "dg is multiplied with v; it must be u, whose length is 1": g / norm * (dw - dg * v),
                    "dg stands there without its u: each number loses its own share, dg · u": g / norm * (dw - dg),
                    "g belongs in front once: with du = g dw in the place of dw it is there already": g
                    / norm
                    * (g * dw - dg * u),
                    "what is taken away lacks g: in terms of du = g dw it is g · dg · u": (g * dw - dg * u) / norm,
                    "what is taken away has g in it too often: u is v/‖v‖, without g": g / norm * (dw - g**2 * dg * u),
                    "what is taken away has g in it twice": g / norm * (dw - g * dg * u),
                    "that is divided by the root's content: once by ‖v‖, not by its square": dv / norm,
                    "there is a length for each of the K places, not one for all of v": _whole(dw, v, g),
                    # dv is made with dg, so a wrong dg shows here first
                    **{
                        f"it is the dg in it: {words}": g / norm * (dw - wrong * u) for words, wrong in wrong_dg.items()
                    },
                },
                "dg": {
                    **wrong_dg,
                    "keep the axes: g is (1, 1, K), so dg is, too (keepdims=True)": dg[0, 0],
                },
            },
            sizes={"O": O, "I": I, "K": K},
        )


def _whole(dw, v, g):
    norm = np.sqrt((v**2).sum())
    u = v / norm
    return g / norm * (dw - (dw * u).sum() * u)

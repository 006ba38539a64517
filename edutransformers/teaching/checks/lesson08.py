"""Lesson 08: the feed-forward network, forward and backward, in one piece and in chunks."""

import numpy as np

from ...functional.activations import gelu
from ..checker import CheckFailed, call, draw, exercise, holds, same, same_all
from ..device_memory import HostMemory


def _weights(D, F):
    return draw(F, D), draw(F), draw(D, F), draw(D)


def _forward(x, w1, b1, w2, b2):
    h, slope = gelu(x @ w1.T + b1, derivative=True)
    return h @ w2.T + b2, (x, slope, h)


def _rows(x):
    return x.reshape(-1, x.shape[-1])


def _backward(dy, cache, w1, w2):
    x, slope, h = cache
    du = (dy @ w2) * slope
    return {
        "dx": du @ w1,
        "dw1": _rows(du).T @ _rows(x),
        "db1": _rows(du).sum(axis=0),
        "dw2": _rows(dy).T @ _rows(h),
        "db2": _rows(dy).sum(axis=0),
    }


@exercise(lesson=8)
def check_ffn_forward(answer):
    for shape, F in (((5, 3), 7), ((2, 4, 3), 6), ((1, 5), 4)):
        x, weights = draw(*shape), _weights(shape[-1], F)
        w1, b1, w2, b2 = weights
        y, (_, slope, h) = _forward(x, *weights)
        u = x @ w1.T + b1
        got = call(answer, x, *weights)
        holds(
            isinstance(got, (tuple, list)) and len(got) == 2,
            "ffn_forward should return two things: y, and the cache (x, slope, h)",
        )
        same(
            got[0],
            y,
            "y",
            mistakes={
                "the activation is missing: two linear maps in a row are one": u @ w2.T + b2,
                "b2 is missing": y - b2,
                "b1 is missing": _forward(x, w1, 0 * b1, w2, b2)[0],
                "the slope went on to the second linear map; h does": slope @ w2.T + b2,
                "that is h, the middle: the second linear map is missing": h,
                "gelu(u, derivative=True) gives a pair; take it apart: h, slope = …": np.stack([h, slope]) @ w2.T + b2,
                "that is relu, not gelu": np.maximum(u, 0) @ w2.T + b2,
            },
        )
        holds(
            isinstance(got[1], (tuple, list)) and len(got[1]) == 3,
            "the cache should be three arrays: (x, slope, h)",
        )
        same_all(
            got[1],
            {"cache x": x, "cache slope": slope, "cache h": h},
            mistakes={
                "cache x": {"that is y; the first linear map's input is x": y},
                "cache slope": {
                    "that is h: the cache is (x, slope, h), in this order": h,
                    "that is u; its slope gelu′(u) is wanted, so that backward need not compute it": u,
                    "that is the slope at h; gelu was applied to u, so its slope at u counts": gelu(h, derivative=True)[
                        1
                    ],
                },
                "cache h": {
                    "that is the slope: the cache is (x, slope, h), in this order": slope,
                    "that is u, before the activation; the second linear map's input is h": u,
                },
            },
        )


@exercise(lesson=8)
def check_ffn_backward(answer):
    for shape, F in (((5, 3), 7), ((2, 4, 3), 6), ((1, 2, 5), 4)):
        x, weights, dy = draw(*shape), _weights(shape[-1], F), draw(*shape)
        w1, _, w2, _ = weights
        cache = _forward(x, *weights)[1]
        _, slope, h = cache
        wanted, dh = _backward(dy, cache, w1, w2), dy @ w2
        du, leading = dh * slope, tuple(range(len(shape) - 1))
        try:
            got = call(answer, dy, cache, w1, w2)
        except CheckFailed as failure:
            if len(shape) > 2 and "stopped with" in str(failure):  # with two axes it worked
                raise CheckFailed(
                    f"{failure}\n  → x has {len(shape)} axes here; for the sums over all tokens make one axis of all "
                    "leading ones: x.reshape(-1, x.shape[-1])"
                ) from None
            raise
        same_all(
            got,
            wanted,
            mistakes={
                "dx": {
                    "the slope is missing: dh must go through the activation before it meets W1": dh @ w1,
                    "dh was multiplied with h; it is multiplied with the slope": (dh * h) @ w1,
                    "the slope was taken twice": (du * slope) @ w1,
                    "that is with the slope at h; the cache has the slope at u": (dh * gelu(h, derivative=True)[1])
                    @ w1,
                    "that is the gradient plus dy: there is no shortcut in this network": wanted["dx"] + dy,
                },
                "dw1": {
                    "the slope is missing: dw1 needs du, not dh": _rows(dh).T @ _rows(x),
                    "that is dw1 transposed: w1 is (F, D), so its gradient is too": wanted["dw1"].T,
                    "the sum over the texts is missing": np.einsum("...tf,...td->...fd", du, x),
                },
                "db1": {
                    "the slope is missing: db1 is a sum of du, not of dh": _rows(dh).sum(axis=0),
                    "that is a mean over the tokens; db1 is a sum: every token adds its part": _rows(du).mean(axis=0),
                    "the sum over the texts is missing": du.sum(axis=-2),
                },
                "dw2": {
                    "dw2 needs h, what entered the second linear map; the slope was taken": _rows(dy).T @ _rows(slope),
                    "that is dw2 transposed: w2 is (D, F), so its gradient is too": wanted["dw2"].T,
                    "the sum over the texts is missing": np.einsum("...td,...tf->...df", dy, h),
                },
                "db2": {
                    "that is a mean over the tokens; db2 is a sum: every token adds its part": dy.mean(axis=leading),
                    "the sum over the texts is missing": dy.sum(axis=-2),
                },
            },
            sizes={"N": int(np.prod(shape[:-1]))},
        )


@exercise(lesson=8)
def check_layer_operations(answer):
    for _ in range(3):
        T, D, F = (int(n) for n in np.random.default_rng().choice(np.arange(5, 400), 3, replace=False))
        maps, tokens, feed_forward = 8 * T * D * D, 4 * T * T * D, 4 * T * D * F
        same_all(
            call(answer, T, D, F),
            {"the linear maps": maps, "tokens with tokens": tokens, "the feed-forward": feed_forward},
            mistakes={
                "the linear maps": {
                    "there are four of them: the output map was forgotten": 6 * T * D * D,
                    "the factor 2 is missing: a multiplication and an addition": 4 * T * D * D,
                    "that is for one linear map; there are four": 2 * T * D * D,
                    "that is for one token; there are T": 8 * D * D,
                    "k − 1 additions were counted for a sum of k products; here they count as k": 4
                    * T
                    * D
                    * (2 * D - 1),
                    "that is for the products of tokens with tokens, which come second": tokens,
                    "that is for the feed-forward, which comes last": feed_forward,
                    "that is the number of weights; each does two operations for each token": 4 * D * D,
                },
                "tokens with tokens": {
                    "there are two such products: the scores, and the weighted sum of the values": 2 * T * T * D,
                    "the factor 2 is missing: a multiplication and an addition": 2 * T * T * D,
                    "that is for one token; there are T": 4 * T * D,
                    "the width is missing: each of the T² scores is a sum of D products": 4 * T * T,
                    "that is for the feed-forward, which comes last": feed_forward,
                    "each query meets T keys: T² pairs, each a product of width D": 4 * T * D * D,
                },
                "the feed-forward": {
                    "that is for one linear map; there are two, and a factor 2 in each": 2 * T * D * F,
                    "the factor 2 is missing: a multiplication and an addition": 2 * T * D * F,
                    "that is for one token; there are T": 4 * D * F,
                    "F is a number of its own here; it need not be 4 · D": 16 * T * D * D,
                    "the second linear map is (D, F), not (F, F)": 2 * T * D * F + 2 * T * F * F,
                },
            },
        )


# ---------------------------------------------------------------------------------------------------------------------
# In chunks
# ---------------------------------------------------------------------------------------------------------------------

SIZES = (
    (2, 8, 3, 7, 4),
    (2, 7, 3, 8, 3),
    (1, 5, 4, 6, 2),
    (3, 4, 2, 5, 4),
    (2, 3, 4, 7, 10),
    (2, 6, 3, 5, 1),
)  # B, T, D, F, chunk
LARGE = (1, 512, 4, 512, 8)
ALLOWED = 512 * 512 * 4 * 3 // 4  # bytes: less than the whole middle in float32, and many times one chunk's in float64


def _measured(answer, *inputs):
    """What the answer returns; CheckFailed if it needs about as much memory as the whole middle at one time."""
    with HostMemory() as memory:
        got = call(answer, *inputs)
        peak = memory.peak
    holds(
        peak < ALLOWED,
        f"the numbers are right, but at one moment {peak / 1e6:.1f} MB were needed, for T = 512, F = 512, chunk = 8; "
        f"one chunk's middle is {8 * 512 * 8 / 1e6:.2f} MB\n"
        "  → is the whole middle (B, T, F) made, or are the chunks' middles collected in a list? "
        "Tokens are axis 1: chunks along axis 0 are texts",
    )
    return got


def _chunk_starts(T, chunk):
    return range(0, T, chunk)


def _along_the_texts(y, chunk):
    """The chunks of y under one another, if they are all of one length."""
    pieces = [y[:, start : start + chunk] for start in _chunk_starts(y.shape[1], chunk)]
    return np.concatenate(pieces) if pieces[-1].shape == pieces[0].shape else y[:0]


@exercise(lesson=8)
def check_ffn_in_chunks(answer):
    for B, T, D, F, chunk in SIZES:
        x, weights = draw(B, T, D), _weights(D, F)
        y = _forward(x, *weights)[0]
        got = call(answer, x, *weights, chunk)
        last = list(_chunk_starts(T, chunk))[-1]
        whole_chunks = T - T % chunk
        if np.shape(got) == y.shape:
            off = ~np.isclose(np.asarray(got, dtype=float), y, rtol=1e-3, atol=1e-3 * np.abs(y).max()).all(axis=(0, 2))
            rest = np.arange(T) >= whole_chunks
            if off.any() and T % chunk and (off == rest).all():
                raise CheckFailed(
                    f"the last {T - whole_chunks} of {T} tokens are wrong, for chunk = {chunk}\n"
                    "  → the last chunk is shorter than the others, and was left out: range(0, T, chunk) reaches it"
                )
            if off.any() and (off == (np.arange(T) >= chunk)).all():
                raise CheckFailed(
                    f"only the first chunk of y is right, for T = {T}, chunk = {chunk}\n"
                    "  → is the `return` inside the loop, or does the slice end at `chunk` in place of `start + chunk`?"
                )
            if off.any() and (off == (np.arange(T) < last)).all():
                raise CheckFailed("only the last chunk of y is right\n  → is y made anew in each turn of the loop?")
        same(
            got,
            y,
            "ffn_in_chunks(x, w1, b1, w2, b2, chunk)",
            mistakes={
                "only the last chunk was returned": y[:, last:],
                "only the first chunk was returned: is the `return` inside the loop?": y[:, :chunk],
                "the last, shorter chunk is missing": y[:, :whole_chunks],
                "the chunks were put together along the wrong axis: tokens are axis 1": _along_the_texts(y, chunk),
            },
        )
    B, T, D, F, chunk = LARGE
    x, weights = draw(B, T, D), _weights(D, F)
    same(_measured(answer, x, *weights, chunk), _forward(x, *weights)[0], "y")


@exercise(lesson=8)
def check_ffn_backward_in_chunks(answer):
    for B, T, D, F, chunk in SIZES:
        x, dy, weights = draw(B, T, D), draw(B, T, D), _weights(D, F)
        w1, b1, w2, _ = weights
        wanted = _gradients(dy, x, weights)
        parts = [_gradients(dy[:, s : s + chunk], x[:, s : s + chunk], weights) for s in _chunk_starts(T, chunk)]
        names = ("dw1", "db1", "dw2", "db2")
        mistakes = {"dx": {"only the last chunk's dx was returned": parts[-1]["dx"]}}
        if len(parts) > 1:
            for name in names:
                mistakes[name] = {
                    "that is the last chunk's alone: each chunk adds to what the others gave": parts[-1][name],
                    "that is the first chunk's alone: each chunk adds to what the others gave": parts[0][name],
                    "that is a mean over the chunks; a gradient of weights is a sum over all tokens": wanted[name]
                    / len(parts),
                    "the last, shorter chunk is missing": sum(part[name] for part in parts[:-1]),
                }
        without_b1 = _gradients(dy, x, (w1, 0 * b1, *weights[2:]))
        mistakes["dx"]["b1 is missing where the middle is made again"] = without_b1["dx"]
        same_all(call(answer, dy, x, w1, b1, w2, chunk), wanted, mistakes=mistakes, sizes={"B": B, "T": T})
    B, T, D, F, chunk = LARGE
    x, dy, weights = draw(B, T, D), draw(B, T, D), _weights(D, F)
    w1, b1, w2, _ = weights
    same_all(_measured(answer, dy, x, w1, b1, w2, chunk), _gradients(dy, x, weights))


def _gradients(dy, x, weights):
    return _backward(dy, _forward(x, *weights)[1], weights[0], weights[2])

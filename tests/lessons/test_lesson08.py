"""Lesson 08's checkers: the feed-forward network and its chunks."""

import numpy as np

from edutransformers.functional.activations import gelu
from edutransformers.layers import FeedForward
from tests.lessons.common import in_float32, suite_of


def forward(x, w1, b1, w2, b2):
    h, slope = gelu(x @ w1.T + b1, derivative=True)
    return h @ w2.T + b2, (x, slope, h)


def forward_in_place(x, w1, b1, w2, b2):
    u = np.matmul(x, w1.T)
    u += b1
    h, slope = gelu(u, derivative=True)
    y = np.matmul(h, w2.T)
    y += b2
    return [y, [x, slope, h]]


def forward_token_by_token(x, w1, b1, w2, b2):
    y, slope, h = np.empty(x.shape), np.empty((*x.shape[:-1], len(b1))), np.empty((*x.shape[:-1], len(b1)))
    for place in np.ndindex(x.shape[:-1]):
        h[place], slope[place] = gelu(w1 @ x[place] + b1, derivative=True)
        y[place] = w2 @ h[place] + b2
    return y, (x, slope, h)


def rows(x):
    return x.reshape(-1, x.shape[-1])


def backward(dy, cache, w1, w2):
    x, slope, h = cache
    du = (dy @ w2) * slope
    return du @ w1, rows(du).T @ rows(x), rows(du).sum(axis=0), rows(dy).T @ rows(h), rows(dy).sum(axis=0)


def backward_with_einsum(dy, cache, w1, w2):
    x, slope, h = (rows(part) for part in cache)
    dy_rows = rows(dy)
    du = np.einsum("nd,df->nf", dy_rows, w2) * slope
    dx = np.einsum("nf,fd->nd", du, w1).reshape(dy.shape)
    return dx, np.einsum("nf,nd->fd", du, x), du.sum(0), np.einsum("nd,nf->df", dy_rows, h), dy_rows.sum(0)


def backward_in_place(dy, cache, w1, w2):
    x, slope, h = cache
    slope *= dy @ w2
    return [slope @ w1, rows(slope).T @ rows(x), rows(slope).sum(0), rows(dy).T @ rows(h), rows(dy).sum(0)]


def changed(function, place, change):
    """The answer `function`, with one of its results changed."""

    def wrong(*inputs):
        results = list(function(*inputs))
        results[place] = change(results[place], *inputs)
        return tuple(results)

    return wrong


def backward_of_two_axes(dy, cache, w1, w2):
    x, slope, h = cache
    du = (dy @ w2) * slope
    return du @ w1, du.T @ x, du.sum(axis=0), dy.T @ h, dy.sum(axis=0)


def without_slope(dy, cache, w1, w2):
    return backward(dy, (cache[0], np.ones_like(cache[1]), cache[2]), w1, w2)


def in_chunks(x, w1, b1, w2, b2, chunk):
    y = np.empty_like(x)
    for start in range(0, x.shape[1], chunk):
        y[:, start : start + chunk] = forward(x[:, start : start + chunk], w1, b1, w2, b2)[0]
    return y


def in_chunks_put_together(x, w1, b1, w2, b2, chunk):
    pieces = [x[:, s : s + chunk] for s in range(0, x.shape[1], chunk)]
    return np.concatenate([gelu(piece @ w1.T + b1) @ w2.T + b2 for piece in pieces], axis=1)


def by_the_library(x, w1, b1, w2, b2, chunk):
    layer = FeedForward(w1.shape[1], w1.shape[0], chunk_size=chunk).astype("float64")
    for parameter, value in zip(layer.parameters(), (w1, b1, w2, b2)):
        parameter.data = value
    return layer(x)


def in_one_piece(x, w1, b1, w2, b2, chunk):
    return forward(x, w1, b1, w2, b2)[0]


def with_all_middles(x, w1, b1, w2, b2, chunk):
    middles = [gelu(x[:, s : s + chunk] @ w1.T + b1) for s in range(0, x.shape[1], chunk)]
    return np.concatenate([middle @ w2.T + b2 for middle in middles], axis=1)


def without_the_rest(x, w1, b1, w2, b2, chunk):
    y = np.zeros_like(x)
    for start in range(0, x.shape[1] - chunk + 1, chunk):
        y[:, start : start + chunk] = forward(x[:, start : start + chunk], w1, b1, w2, b2)[0]
    return y


def made_anew(x, w1, b1, w2, b2, chunk):
    for start in range(0, x.shape[1], chunk):
        y = np.zeros_like(x)
        y[:, start : start + chunk] = forward(x[:, start : start + chunk], w1, b1, w2, b2)[0]
    return y


def returned_too_early(x, w1, b1, w2, b2, chunk):
    y = np.full_like(x, 7.0)
    for start in range(0, x.shape[1], chunk):
        y[:, start : start + chunk] = forward(x[:, start : start + chunk], w1, b1, w2, b2)[0]
        return y


def up_to_chunk(x, w1, b1, w2, b2, chunk):
    y = np.full_like(x, 7.0)
    for start in range(0, x.shape[1], chunk):
        y[:, start:chunk] = forward(x[:, start:chunk], w1, b1, w2, b2)[0]
    return y


def the_pair_in_its_place(x, w1, b1, w2, b2, chunk):
    y = np.empty_like(x)
    for start in range(0, x.shape[1], chunk):
        y[:, start : start + chunk] = forward(x[:, start : start + chunk], w1, b1, w2, b2)
    return y


def along_the_texts(x, w1, b1, w2, b2, chunk):
    pieces = [x[:, s : s + chunk] for s in range(0, x.shape[1], chunk)]
    return np.concatenate([gelu(piece @ w1.T + b1) @ w2.T + b2 for piece in pieces], axis=0)


def chunk_gradients(dy, x, w1, b1, w2, chunk):
    for start in range(0, x.shape[1], chunk):
        tokens = slice(start, start + chunk)
        _, cache = forward(x[:, tokens], w1, b1, w2, np.zeros(len(w2), w2.dtype))
        yield tokens, backward(dy[:, tokens], cache, w1, w2)


def backward_in_chunks(dy, x, w1, b1, w2, chunk):
    dx, sums = np.empty_like(x), [0, 0, 0, 0]
    for tokens, (piece, *parts) in chunk_gradients(dy, x, w1, b1, w2, chunk):
        dx[:, tokens] = piece
        sums = [total + part for total, part in zip(sums, parts)]
    return dx, *sums


def backward_in_chunks_in_place(dy, x, w1, b1, w2, chunk):
    dw1, db1, dw2, db2 = np.zeros_like(w1), np.zeros_like(b1), np.zeros_like(w2), np.zeros(len(w2), w2.dtype)
    for tokens, (dx, a, b, c, d) in chunk_gradients(dy, x, w1, b1, w2, chunk):
        x[:, tokens] = dx
        dw1 += a
        db1 += b
        dw2 += c
        db2 += d
    return [x, dw1, db1, dw2, db2]


def backward_from_the_end(dy, x, w1, b1, w2, chunk):
    dx, sums = np.empty_like(x), [0, 0, 0, 0]
    starts = range(0, x.shape[1], chunk)
    for start in reversed(starts):
        tokens = slice(start, start + chunk)
        h, slope = gelu(x[:, tokens] @ w1.T + b1, derivative=True)
        dx[:, tokens], *parts = backward_with_einsum(dy[:, tokens], (x[:, tokens], slope, h), w1, w2)
        sums = [total + part for total, part in zip(sums, parts)]
    return dx, *sums


def backward_assigned(dy, x, w1, b1, w2, chunk):
    dx = np.empty_like(x)
    for tokens, (piece, *parts) in chunk_gradients(dy, x, w1, b1, w2, chunk):
        dx[:, tokens] = piece
        last = parts
    return dx, *last


def backward_averaged(dy, x, w1, b1, w2, chunk):
    dx, *sums = backward_in_chunks(dy, x, w1, b1, w2, chunk)
    return dx, *(total / len(range(0, x.shape[1], chunk)) for total in sums)


def backward_without_the_rest(dy, x, w1, b1, w2, chunk):
    dx, *sums = backward_in_chunks(dy, x, w1, b1, w2, chunk)
    whole = x.shape[1] - x.shape[1] % chunk
    if 0 < whole < x.shape[1]:
        sums = backward_in_chunks(dy[:, :whole], x[:, :whole], w1, b1, w2, chunk)[1:]
    return dx, *sums


def backward_in_one_piece(dy, x, w1, b1, w2, chunk):
    return backward(dy, forward(x, w1, b1, w2, np.zeros(len(w2)))[1], w1, w2)


RIGHT = {
    "ffn_forward": {
        "the solution's way": forward,
        "in place, lists": forward_in_place,
        "token by token": forward_token_by_token,
        "float32": in_float32(forward),
    },
    "ffn_backward": {
        "the solution's way": backward,
        "einsum": backward_with_einsum,
        "in place": backward_in_place,
        "float32": in_float32(backward),
    },
    "layer_operations": {
        "products": lambda T, D, F: (8 * T * D * D, 4 * T * T * D, 4 * T * D * F),
        "numbers with a point": lambda T, D, F: (8.0 * T * D**2, 4.0 * T**2 * D, 4.0 * T * D * F),
        "product by product": lambda T, D, F: [
            sum(2 * T * D * D for _ in "qkvo"), 2 * T * D * T + 2 * T * T * D, 2 * T * D * F + 2 * T * F * D
        ],
    },
    "ffn_in_chunks": {
        "the solution's way": in_chunks,
        "put together": in_chunks_put_together,
        "float32": in_float32(in_chunks),
        "the library's": by_the_library,
    },
    "ffn_backward_in_chunks": {
        "sums": backward_in_chunks,
        "in place": backward_in_chunks_in_place,
        "from the end": backward_from_the_end,
        "float32": in_float32(backward_in_chunks),
    },
}  # fmt: skip

WRONG = {
    "ffn_forward": {
        "no activation": (
            changed(forward, 0, lambda y, x, w1, b1, w2, b2: (x @ w1.T + b1) @ w2.T + b2),
            "two linear maps in a row are one",
        ),
        "no b2": (lambda x, w1, b1, w2, b2: forward(x, w1, b1, w2, 0 * b2), "b2 is missing"),
        "no b1": (lambda x, w1, b1, w2, b2: forward(x, w1, 0 * b1, w2, b2), "b1 is missing"),
        "weight not transposed": (lambda x, w1, b1, w2, b2: (gelu(x @ w1 + b1) @ w2 + b2, ()), "stopped with"),
        "y alone": (lambda *inputs: forward(*inputs)[0], "two things"),
        "the pair for h": (
            lambda x, w1, b1, w2, b2: (gelu(x @ w1.T + b1, derivative=True) @ w2.T + b2, (x, x, x)),
            "take it apart: h, slope = …",
        ),
        "the slope at h": (
            changed(forward, 1, lambda cache, *inputs: (cache[0], gelu(cache[2], derivative=True)[1], cache[2])),
            "its slope at u counts",
        ),
        "u in the cache": (
            lambda x, w1, b1, w2, b2: (forward(x, w1, b1, w2, b2)[0], (x, x @ w1.T + b1, gelu(x @ w1.T + b1))),
            "that is u; its slope",
        ),
        "cache in another order": (
            changed(forward, 1, lambda cache, *inputs: (cache[0], cache[2], cache[1])),
            "the cache is (x, slope, h), in this order",
        ),
    },
    "ffn_backward": {
        "two axes only": (backward_of_two_axes, "make one axis of all leading ones"),
        "no slope": (without_slope, "the slope is missing"),
        "h for the slope": (
            lambda dy, cache, w1, w2: backward(dy, (cache[0], cache[2], cache[2]), w1, w2),
            "it is multiplied with the slope",
        ),
        "the slope at h": (
            lambda dy, cache, w1, w2: backward(dy, (cache[0], gelu(cache[2], derivative=True)[1], cache[2]), w1, w2),
            "the cache has the slope at u",
        ),
        "another order": (
            lambda dy, cache, w1, w2: [backward(dy, cache, w1, w2)[place] for place in (0, 3, 4, 1, 2)],
            "that is dw2: the order is dx, dw1, db1, dw2, db2",
        ),
        "dw1 transposed": (changed(backward, 1, lambda dw1, *inputs: dw1.T), "transposed"),
        "the slope in dw2": (
            changed(backward, 3, lambda dw2, dy, cache, w1, w2: rows(dy).T @ rows(cache[1])),
            "dw2 needs h",
        ),
        "db2 a mean": (
            changed(backward, 4, lambda db2, dy, *inputs: rows(dy).mean(axis=0)),
            "every token adds its part",
        ),
        "db1 not over the texts": (
            changed(backward, 2, lambda db1, dy, cache, w1, w2: ((dy @ w2) * cache[1]).sum(axis=-2)),
            "the sum over the texts is missing",
        ),
    },
    "layer_operations": {
        "three maps": (lambda T, D, F: (6 * T * D * D, 4 * T * T * D, 4 * T * D * F), "the output map was forgotten"),
        "multiplications only": (lambda T, D, F: (4 * T * D * D, 2 * T * T * D, 2 * T * D * F), "factor 2 is missing"),
        "scores only": (lambda T, D, F: (8 * T * D * D, 2 * T * T * D, 4 * T * D * F), "there are two such products"),
        "one token": (lambda T, D, F: (8 * D * D, 4 * T * D, 4 * D * F), "that is for one token"),
        "one linear map": (lambda T, D, F: (8 * T * D * D, 4 * T * T * D, 2 * T * D * F), "there are two"),
        "an addition less": (
            lambda T, D, F: (4 * T * D * (2 * D - 1), 4 * T * T * D, 4 * T * D * F),
            "here they count as k",
        ),
        "another order": (lambda T, D, F: (4 * T * T * D, 8 * T * D * D, 4 * T * D * F), "which come second"),
        "the feed-forward first": (lambda T, D, F: (4 * T * D * F, 8 * T * D * D, 4 * T * T * D), "which comes last"),
        "scores without a width": (lambda T, D, F: (8 * T * D * D, 4 * T * T, 4 * T * D * F), "the width is missing"),
        "F = 4D": (lambda T, D, F: (8 * T * D * D, 4 * T * T * D, 16 * T * D * D), "it need not be 4 · D"),
    },
    "ffn_in_chunks": {
        "in one piece": (in_one_piece, "is the whole middle"),
        "all middles kept": (with_all_middles, "collected in a list"),
        "the rest left out": (without_the_rest, "shorter than the others, and was left out"),
        "made anew": (made_anew, "made anew in each turn"),
        "returned too early": (returned_too_early, "is the `return` inside the loop"),
        "up to chunk": (up_to_chunk, "in place of `start + chunk`"),
        "the pair in its place": (the_pair_in_its_place, "return several things?"),
        "a list of chunks": (
            lambda x, w1, b1, w2, b2, chunk: [
                forward(x[:, s : s + chunk], w1, b1, w2, b2)[0] for s in range(0, x.shape[1], chunk)
            ],
            "np.concatenate(pieces, axis=1) puts them together",
        ),
        "along the texts": (along_the_texts, "tokens are axis 1"),
        "chunks of texts": (
            lambda x, w1, b1, w2, b2, chunk: np.concatenate(
                [in_one_piece(x[s : s + chunk], w1, b1, w2, b2, chunk) for s in range(0, len(x), chunk)]
            ),
            "chunks along axis 0 are texts",
        ),
        "the first chunk": (
            lambda x, w1, b1, w2, b2, chunk: forward(x[:, :chunk], w1, b1, w2, b2)[0],
            "only the first chunk was returned",
        ),
    },
    "ffn_backward_in_chunks": {
        "assigned": (backward_assigned, "that is the last chunk's alone"),
        "averaged": (backward_averaged, "that is a mean over the chunks"),
        "no b1": (
            lambda dy, x, w1, b1, w2, chunk: backward_in_chunks(dy, x, w1, 0 * b1, w2, chunk),
            "b1 is missing where the middle is made again",
        ),
        "the rest left out": (backward_without_the_rest, "the last, shorter chunk is missing"),
        "in one piece": (backward_in_one_piece, "is the whole middle"),
    },
}

test_right, test_wrong, test_complete = suite_of(8, RIGHT, WRONG)

"""Lesson 07's checkers: many heads, masks, batches."""

import numpy as np

from edutransformers.functional.linear import linear_backward
from edutransformers.functional.softmax import softmax, softmax_backward
from tests.lessons.common import in_float32, suite_of


def turned(x):
    return x.swapaxes(-1, -2)


# --- splitting ---


def split(x, H):
    B, T, D = x.shape
    return x.reshape(B, T, H, D // H).transpose(0, 2, 1, 3)


def merge(x):
    B, H, T, K = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, T, H * K)


def split_in_loops(x, H):
    B, T, D = x.shape
    K = D // H
    result = np.zeros((B, H, T, K))
    for b, h, t in np.ndindex(B, H, T):
        result[b, h, t] = x[b, t, h * K : (h + 1) * K]
    return result


# --- masks ---


def visible(lengths, T, causal):
    mask = np.tile((np.arange(T) < lengths[:, None])[:, None, None, :], (1, 1, T, 1))
    return mask & np.tri(T, dtype=bool) if causal else mask


def visible_in_loops(lengths, T, causal):
    return [[[[s < n and (s <= t or not causal) for s in range(T)] for t in range(T)]] for n in lengths]


def visible_in_place(lengths, T, causal):
    mask = np.zeros((len(lengths), 1, T, T), dtype=bool)
    for row, n in zip(mask, lengths):
        row[..., :n] = True
    if causal:
        mask &= ~np.triu(np.ones((T, T), dtype=bool), 1)
    return mask


def masked(scores, seen):
    scores = np.where(seen, scores, -1e30)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True)) * seen
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def masked_in_place(scores, seen):
    seen = np.broadcast_to(seen, scores.shape)
    scores[~seen] = np.finfo(scores.dtype).min / 2
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    scores[~seen] = 0
    return scores


def masked_row_by_row(scores, seen):
    seen = np.broadcast_to(seen, scores.shape)
    result = np.zeros_like(scores)
    for place in np.ndindex(scores.shape[:-1]):
        if seen[place].any():
            result[place][seen[place]] = softmax(scores[place][seen[place]])
    return result


def masked_by_infinity(scores, seen):
    with np.errstate(invalid="ignore"):
        return softmax(np.where(seen, scores, -np.inf))


def masked_by_infinity_with_care(scores, seen):
    scores = np.where(seen, scores, -np.inf)
    largest = scores.max(axis=-1, keepdims=True)
    e = np.exp(scores - np.where(np.isfinite(largest), largest, 0))
    return e / np.maximum(e.sum(axis=-1, keepdims=True), 1e-30)


def renormalized(scores, seen):
    P = softmax(scores) * seen
    with np.errstate(all="ignore"):
        return P / P.sum(axis=-1, keepdims=True)


def masked_without_the_largest(scores, seen):
    with np.errstate(all="ignore"):
        e = np.exp(scores) * seen
        total = e.sum(axis=-1, keepdims=True)
        return e / np.where(total == 0, 1, total)


def masked_without_broadcasting(scores, seen):
    result = np.zeros_like(scores)
    for b, h, t in np.ndindex(scores.shape[:-1]):
        keys = seen[b, 0, t]
        if keys.any():
            result[b, h, t, keys] = softmax(scores[b, h, t, keys])
    return result


def masked_with_pythons_max(scores, seen):
    e = np.exp(np.where(seen, scores, -1e30)) * seen
    return e / max(e.sum(axis=-1, keepdims=True), 1)


def masked_in_brackets(scores, seen):
    scores[~seen] = -1e30
    return softmax(scores) * seen


def masked_over_queries(scores, seen):
    return turned(masked(turned(scores), turned(np.broadcast_to(seen, scores.shape))))


# --- backward ---


def heads(dc, q, k, v, P, kept, p):
    return heads_with()(dc, q, k, v, P, kept, p)


def heads_with(dscores_of=None, values_met=lambda P, factor: P * factor, scale=lambda q: q.shape[-1] ** -0.5):
    def answer(dc, q, k, v, P, kept, p):
        factor = np.ones_like(P) if kept is None else kept / (1 - p)
        dU = dc @ turned(v)
        right = softmax_backward(dU * factor, P)
        dscores = (right if dscores_of is None else dscores_of(dU, P, factor)) * scale(q)
        return dscores @ k, turned(dscores) @ q, turned(values_met(P, factor)) @ dc

    return answer


def heads_without_none(dc, q, k, v, P, kept, p):
    factor = kept / (1 - p)
    dscores = softmax_backward(dc @ turned(v) * factor, P) / np.sqrt(q.shape[-1])
    return dscores @ k, turned(dscores) @ q, turned(P * factor) @ dc


def heads_one_by_one(dc, q, k, v, P, kept, p):
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for b, h in np.ndindex(q.shape[:2]):
        place = (b, h)
        factor = 1.0 if kept is None else kept[place] / (1 - p)
        dP = dc[place] @ v[place].T * factor
        dscores = P[place] * (dP - (dP * P[place]).sum(axis=1, keepdims=True)) / np.sqrt(q.shape[-1])
        dq[place], dk[place] = dscores @ k[place], dscores.T @ q[place]
        dv[place] = (P[place] * factor).T @ dc[place]
    return dq, dk, dv


def heads_in_place(dc, q, k, v, P, kept, p):
    used = P.copy()
    dP = dc @ turned(v)
    if kept is not None:
        dP[~kept] = 0
        dP /= 1 - p
        used[~kept] = 0
        used /= 1 - p
    dP -= (dP * P).sum(axis=-1, keepdims=True)
    dP *= P
    dP /= np.sqrt(q.shape[-1])
    return [dP @ k, np.einsum("bhts,bhtk->bhsk", dP, q), turned(used) @ dc]


def layer(dy, cache, split=split, merge=merge, order=(0, 1, 2), through=lambda dy, Wo: dy @ Wo):
    x, W, Wo, q, k, v, P, kept, p, c = cache
    _, dWo, dbo = linear_backward(dy, c, Wo)
    gradients = heads(split(through(dy, Wo), q.shape[1]), q, k, v, P, kept, p)
    dqkv = np.concatenate([merge(gradients[place]) for place in order], axis=-1)
    return *linear_backward(dqkv, x, W), dWo, dbo


def layer_in_three(dy, cache):
    x, W, Wo, q, k, v, P, kept, p, c = cache
    dWo = np.einsum("bto,btd->od", dy, c)
    gradients = [merge(d) for d in heads_one_by_one(split(dy @ Wo, q.shape[1]), q, k, v, P, kept, p)]
    dx = sum(d @ part for d, part in zip(gradients, np.split(W, 3)))
    dW = np.concatenate([np.einsum("btk,btd->kd", d, x) for d in gradients])
    db = np.concatenate([d.sum(axis=(0, 1)) for d in gradients])
    return [dx, dW, db, dWo, dy.sum(axis=(0, 1))]


def layer_text_by_text(dy, cache):
    x, W, Wo, q, k, v, P, kept, p, c = cache
    parts = [
        layer(
            dy[b : b + 1],
            tuple(
                array if place in (1, 2, 8) or array is None else array[b : b + 1] for place, array in enumerate(cache)
            ),
        )
        for b in range(len(x))
    ]
    return np.concatenate([part[0] for part in parts]), *(sum(part[place] for part in parts) for place in range(1, 5))


def layer_dqkv(dy, cache):
    x, W, Wo, q, k, v, P, kept, p, c = cache
    gradients = heads(split(dy @ Wo, q.shape[1]), q, k, v, P, kept, p)
    return np.concatenate([merge(gradient) for gradient in gradients], axis=-1)


def layer_without_dropout(dy, cache):
    return layer(dy, (*cache[:7], None, 0.0, cache[9]))


def layer_laid_beside_first(dy, cache):
    x, W, Wo, q, k, v, P, kept, p, c = cache
    dc, dWo, dbo = linear_backward(dy, c, Wo)
    beside = np.concatenate(heads(split(dc, q.shape[1]), q, k, v, P, kept, p), axis=-1)
    return *linear_backward(merge(beside), x, W), dWo, dbo


def layer_with(place, change):
    def answer(dy, cache):
        results = list(layer(dy, cache))
        results[place] = change(results[place], dy, cache)
        return tuple(results)

    return answer


def reshaped_to_tokens(x):
    B, H, T, K = x.shape
    return np.ascontiguousarray(x).reshape(B, T, H * K)


def reshaped_to_heads(x, H):
    B, T, D = x.shape
    return x.reshape(B, H, T, D // H)


RIGHT = {
    "split_heads": {
        "views": split,
        "loops": split_in_loops,
        "np.split": lambda x, H: np.stack(np.split(x, H, axis=-1), axis=1),
        "float32": lambda x, H: split(x.astype("float32"), H),
    },
    "visible_keys": {
        "broadcast": visible,
        "loops and a list": visible_in_loops,
        "in place": visible_in_place,
        "ones and zeros": lambda lengths, T, causal: visible(lengths, T, causal).astype("float32"),
    },
    "masked_softmax": {
        "replaced": masked,
        "in place": masked_in_place,
        "row by row": masked_row_by_row,
        "infinity, with care": masked_by_infinity_with_care,
        "float32": lambda scores, seen: masked(scores.astype("float32"), seen),
    },
    "heads_backward": {
        "the four steps": heads,
        "one by one": heads_one_by_one,
        "in place": heads_in_place,
        "float32": in_float32(heads),
    },
    "multi_head_backward": {
        "one product": layer,
        "three products": layer_in_three,
        "text by text": layer_text_by_text,
        "float32": in_float32(layer),
    },
}

WRONG = {
    "split_heads": {
        "straight": (reshaped_to_heads, "a head got whole tokens"),
        "not moved": (lambda x, H: x.reshape(*x.shape[:2], H, -1), "move H in front of T"),
        "every H-th": (
            lambda x, H: x.reshape(*x.shape[:2], -1, H).transpose(0, 3, 1, 2),
            "lie beside each other",
        ),
        "heads first": (lambda x, H: split(x, H).swapaxes(0, 1), "the batch stays in front"),
        "H and K exchanged": (
            lambda x, H: x.reshape(*x.shape[:2], -1, H).transpose(0, 2, 1, 3),
            "H and K are exchanged",
        ),
        "a float": (lambda x, H: x.reshape(*x.shape[:2], H, x.shape[-1] / H), "`/` gives a float"),
        "K before T": (lambda x, H: turned(split(x, H)), "the last two axes are the other way round"),
    },
    "visible_keys": {
        "the other way round": (lambda *a: ~visible(*a), "True means that a key may be seen"),
        "one key too many": (lambda lengths, T, causal: visible(lengths + 1, T, causal), "0 … n − 1"),
        "not itself": (
            lambda lengths, T, causal: visible(lengths, T, False) & np.tri(T, k=-1 if causal else T, dtype=bool),
            "a query must see itself too",
        ),
        "the next one too": (
            lambda lengths, T, causal: visible(lengths, T, False) & np.tri(T, k=1 if causal else T, dtype=bool),
            "query t sees key t + 1",
        ),
        "the upper triangle": (
            lambda lengths, T, causal: visible(lengths, T, False) & (np.tri(T, dtype=bool).T | (not causal)),
            "the triangle is the upper one",
        ),
        "not causal": (lambda lengths, T, causal: visible(lengths, T, False), "causal is left out"),
        "always causal": (lambda lengths, T, causal: visible(lengths, T, True), "though causal is False"),
        "queries": (lambda lengths, T, causal: turned(visible(lengths, T, False)), "on the queries' axis"),
        "the causal mask alone": (
            lambda lengths, T, causal: np.tri(T, dtype=bool) if causal else visible(lengths, T, causal),
            "that is the causal mask alone",
        ),
        "the padding's mask alone": (lambda lengths, T, causal: np.arange(T) < lengths[:, None], "the padding's mask"),
        "nothing hidden": (lambda lengths, T, causal: np.ones((len(lengths), 1, T, T), bool), "nothing is hidden"),
        "numbers to add": (lambda *a: np.where(visible(*a), 0, -1e30), "numbers to be added to scores"),
        "no axis of heads": (lambda *a: visible(*a)[:, 0], "the axis of the heads is missing"),
        "no axis of queries": (lambda lengths, T, causal: visible(lengths, T, False)[:, :, :1], "length 1"),
    },
    "masked_softmax": {
        "behind": (lambda scores, seen: softmax(scores) * seen, "set to 0 after the softmax"),
        "zeros before": (lambda scores, seen: softmax(scores * seen), "exp(0) is 1"),
        "zeros before and behind": (lambda scores, seen: softmax(scores * seen) * seen, "and shares to 0 behind"),
        "no broadcasting": (masked_without_broadcasting, "stopped with IndexError"),
        "nothing subtracted": (masked_without_the_largest, "exp overflows"),
        "`max` of Python": (masked_with_pythons_max, "an array has many"),
        "a mask in brackets": (masked_in_brackets, "np.where(mask, …, …) broadcasts"),
        "no mask": (lambda scores, seen: softmax(scores), "the mask is not used"),
        "the other way round": (lambda scores, seen: masked(scores, ~seen), "the other way round"),
        "over queries": (masked_over_queries, "runs over the queries"),
        "renormalized": (renormalized, "masked_softmax is wrong for a hidden score of 2000"),
        "added": (lambda scores, seen: softmax(scores - 10000.0 * ~seen), "masked_softmax is wrong for a visible"),
        "infinity": (masked_by_infinity, "−inf − (−inf)"),
        "even": (lambda scores, seen: softmax(np.where(seen, scores, -1e30)), "got even shares"),
    },
    "heads_backward": {
        "no dropout": (
            heads_with(lambda dU, P, factor: softmax_backward(dU, P)),
            "the dropout of the weights is not undone",
        ),
        "1/(1 − p)": (
            heads_with(lambda dU, P, factor: softmax_backward(dU * (factor > 0), P)),
            "1/(1 − p) is missing on the way back",
        ),
        "U in the softmax": (
            heads_with(lambda dU, P, factor: softmax_backward(dU * factor, P * factor)),
            "it needs P",
        ),
        "kept inverted": (
            heads_with(lambda dU, P, factor: softmax_backward(dU * np.where(factor == 0, factor.max(), 0), P)),
            "kept is True where a weight stayed",
        ),
        "multiplied": (
            heads_with(lambda dU, P, factor: softmax_backward(dU * (factor > 0) / factor.max(), P)),
            "multiplied by 1 − p",
        ),
        "divided by p": (
            heads_with(lambda dU, P, factor: softmax_backward(dU * (factor > 0) / (1 - 1 / factor.max()), P)),
            "divided by p",
        ),
        "the root of T": (heads_with(scale=lambda q: q.shape[-2] ** -0.5), "that of the number of queries"),
        "None": (heads_without_none, "something there is None"),
        "no softmax": (heads_with(lambda dU, P, factor: dU * factor), "the softmax's backward is missing"),
        "the wrong order": (
            heads_with(lambda dU, P, factor: softmax_backward(dU, P) * factor),
            "on the way back it comes before it",
        ),
        "P in dv": (heads_with(values_met=lambda P, factor: P), "the weights after dropout, U, not with P"),
        "no root": (heads_with(scale=lambda q: 1.0), "1/√K is missing"),
        "the root of D": (heads_with(scale=lambda q: (q.shape[1] * q.shape[3]) ** -0.5), "the width of one head"),
    },
    "multi_head_backward": {
        "not merged": (lambda dy, cache: layer(dy, cache, merge=reshaped_to_tokens), "reshaped, not merged"),
        "not split": (lambda dy, cache: layer(dy, cache, split=reshaped_to_heads), "dc was reshaped, not split"),
        "v, k, q": (lambda dy, cache: layer(dy, cache, order=(2, 1, 0)), "the order is dq, dk, dv"),
        "k, q, v": (lambda dy, cache: layer(dy, cache, order=(1, 0, 2)), "laid beside each other were dk, dq, dv"),
        "no dropout": (layer_without_dropout, "the dropout of the weights is left out"),
        "beside, then merged": (layer_laid_beside_first, "merge each, then concatenate"),
        "c in dW": (
            layer_with(1, lambda _, dy, cache: linear_backward(layer_dqkv(dy, cache), cache[9], cache[1])[1]),
            "the first linear map saw x, not c",
        ),
        "no output map": (lambda dy, cache: layer(dy, cache, through=lambda dy, Wo: dy), "is left out"),
        "transposed": (lambda dy, cache: layer(dy, cache, through=lambda dy, Wo: dy @ Wo.T), "not its transpose"),
        "x in dWo": (
            layer_with(3, lambda _, dy, cache: np.einsum("bto,btd->od", dy, cache[0])),
            "saw c, the merged heads, not x",
        ),
        "a mean": (layer_with(4, lambda dbo, dy, cache: dy.mean(axis=(0, 1))), "a bias's gradient is the sum"),
        "behind W_o": (
            layer_with(4, lambda dbo, dy, cache: (dy @ cache[2]).sum(axis=(0, 1))),
            "the bias is added after it",
        ),
    },
}

test_right, test_wrong, test_complete = suite_of(7, RIGHT, WRONG)

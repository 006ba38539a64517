"""Lesson 07: many heads, masks, batches."""

from itertools import permutations

import numpy as np

from ...functional.attention import attention, attention_backward
from ...functional.linear import linear, linear_backward
from ...functional.masks import causal_visible
from ...functional.softmax import softmax, softmax_backward
from ..checker import call, draw, draw_integers, exercise, finite, holds, same, same_all


@exercise(lesson=7)
def check_split_heads(answer):
    for B, T, H, K in ((2, 3, 4, 5), (1, 5, 2, 3), (3, 4, 1, 2)):
        x = draw(B, T, H * K)
        same(
            call(answer, x, H),
            _split(x, H),
            "split_heads(x, H)",
            mistakes={
                "reshaped straight to (B, H, T, K): a head got whole tokens, not its part of every token": x.reshape(
                    B, H, T, K
                ),
                "reshaped to (B, T, K, H): a head got every H-th number of a token; its K numbers lie beside each "
                "other": x.reshape(B, T, K, H).transpose(0, 3, 1, 2),
                "the axes are (B, T, H, K): move H in front of T": x.reshape(B, T, H, K),
                "H and K are exchanged: the first step makes (B, T, H, K), the heads before their numbers": (
                    x.reshape(B, T, K, H).transpose(0, 2, 1, 3)
                ),
                "the axes are (H, B, T, K): the batch stays in front": x.reshape(B, T, H, K).transpose(2, 0, 1, 3),
                "the last two axes are the other way round: (B, H, T, K)": x.reshape(B, T, H, K).transpose(0, 2, 3, 1),
            },
            sizes={"B": B, "T": T, "H": H, "K": K},
        )


@exercise(lesson=7)
def check_visible_keys(answer):
    for B, T in ((3, 5), (1, 4), (4, 2)):
        lengths = draw_integers(1, T, B)  # none is as long as T, so that every text has padding
        lengths[0] = T - 1
        for causal in (False, True):
            real = np.arange(T) < lengths[:, None]
            padding, order = real[:, None, None, :] & np.ones((T, 1), bool), np.tri(T, dtype=bool)[None, None]
            wanted = padding & order if causal else padding
            late = np.tri(T, k=-1, dtype=bool)[None, None]
            mistakes = {
                "True and False are the other way round: True means that a key may be seen": ~wanted,
                "one key too many: the keys of a text of length n are 0 … n − 1": (np.arange(T) <= lengths[:, None])[
                    :, None, None, :
                ]
                & (order if causal else np.ones((T, 1), bool)),
                "the padded queries are hidden too; the mask is about keys (axis −1)": wanted & real[:, None, :, None],
                "the padding is on the queries' axis; it belongs on the keys', the last one": real[:, None, :, None]
                & (order if causal else np.ones(T, bool)),
                "the axis of the heads is missing: (B, 1, T, T)": wanted[:, 0],
                "the axis of the queries has length 1: the result must have T there, so that it can carry the "
                "causal mask": real[:, None, None, :],
                "that is the padding's mask of the keys, (B, T): axes of length 1 are missing, and the queries'": real,
                "that is the causal mask alone, (T, T): the padding is missing, and so are texts and heads": order[
                    0, 0
                ],
                "nothing is hidden; the padding must be, whether `causal` or not": np.ones((B, 1, T, T), bool),
            }
            if causal:
                mistakes |= {
                    "causal is left out: query t may see the keys 0 … t only": padding,
                    "the triangle is the upper one: query t sees what stands before it, not behind": padding
                    & order.swapaxes(-1, -2),
                    "a query must see itself too: s ≤ t, not s < t": padding & late,
                    "one key too many: query t sees key t + 1": padding & np.tri(T, k=1, dtype=bool)[None, None],
                    "the two masks are joined by `or`; a key must pass both": padding | order,
                    "the padding is left out": np.broadcast_to(order, (B, 1, T, T)),
                }
            else:
                mistakes["the causal mask is in it, though causal is False"] = padding & order
            returned = call(answer, lengths, T, causal)
            got = np.asarray(returned)
            if got.dtype.kind == "f" and got.shape == wanted.shape and np.array_equal(got == 0, wanted):
                mistakes["those are numbers to be added to scores; booleans are asked for, True for visible"] = got
            same(
                got.astype(bool) if got.dtype.kind in "iuf" and np.isin(got, (0, 1)).all() else returned,
                wanted,
                f"visible_keys({lengths.tolist()}, {T}, causal={causal})",
                mistakes,
            )


@exercise(lesson=7)
def check_masked_softmax(answer):
    for shape in ((2, 3, 4, 5), (1, 2, 5, 3)):
        scores, visible = draw(*shape), np.random.default_rng().random((shape[0], 1, *shape[2:])) < 0.5
        first = draw_integers(0, shape[-1] - 1, shape[2])
        visible[:, 0, np.arange(shape[2]), first] = True  # every query sees something …
        visible[:, 0, np.arange(shape[2]), -1] = False  # … and not everything
        e = np.exp(scores)
        P = _masked_softmax(scores, visible)
        same(
            call(answer, scores, visible),
            P,
            "masked_softmax(scores, visible)",
            mistakes={
                "the mask is not used": softmax(scores),
                "the shares were set to 0 after the softmax: rows no longer add up to 1, and hidden keys have had "
                "their part of the sum": softmax(scores) * visible,
                "hidden scores were set to 0, and exp(0) is 1: a hidden key still has a share": softmax(
                    scores * visible
                ),
                "hidden scores were set to 0 before, and shares to 0 behind: exp(0) = 1 has still had its part of the "
                "sum": softmax(scores * visible) * visible,
                "True and False are the other way round: True may be seen": _masked_softmax(scores, ~visible),
                "the softmax runs over the queries; it runs over the keys, axis −1": _over_queries(e, visible),
                "the division by the row's sum is missing": e * visible,
            },
        )
    scores, visible = draw(2, 2, 3, 4), np.array([True, False, True, True])[None, None, None]
    same(
        call(answer, scores, visible),
        _masked_softmax(scores, visible),
        "masked_softmax with visible (1, 1, 1, S), the same for all texts and queries,",
    )
    scores, visible = 2000 + draw(2, 1, 3, 4), np.ones((2, 1, 3, 4), bool)
    visible[..., 1] = False
    got = finite(
        answer,
        (scores, visible),
        "masked_softmax isn't finite for scores near 2000\n"
        "  → exp overflows: subtract each row's largest score first, as in lesson 01",
    )
    same(got, _masked_softmax(scores, visible), "masked_softmax for scores near 2000")
    for name, far in (("a hidden score of 2000", 2000.0), ("a visible score of −20000, alone", -20000.0)):
        scores, visible = draw(2, 1, 3, 4), np.ones((2, 1, 3, 4), bool)
        visible[..., 1] = False
        scores[..., 1] = max(far, 0)
        if far < 0:
            visible[...] = False
            visible[..., 2] = True
            scores[..., 2] = far
        got = np.asarray(call(answer, scores, visible))
        shares = (got * visible).sum(axis=-1) if got.shape == scores.shape else got
        holds(
            bool(np.isfinite(got).all()) and bool(np.allclose(shares, 1, atol=1e-3)),
            f"masked_softmax is wrong for {name}: the visible shares of a row add up to {_short(shares)}, not to 1\n"
            "  → replace hidden scores by a number far below all others, such as −1e30, before the largest is "
            "subtracted; what is added, or set to 0 afterwards, leaves hidden scores in the sum",
        )
        same(got, _masked_softmax(scores, visible), f"masked_softmax for {name}")
    scores, visible = draw(1, 2, 3, 4), np.ones((1, 1, 3, 4), bool)
    visible[0, 0, 1] = False
    got = finite(
        answer,
        (scores, visible),
        "masked_softmax gives nan for a query that sees no key\n"
        "  → −inf − (−inf) and 0/0 are nan: use a finite number for hidden scores, and divide by 1 where a sum is 0",
    )
    same(
        got,
        _masked_softmax(scores, visible),
        "masked_softmax for a query that sees no key",
        mistakes={
            "a query that sees nothing got even shares; all its shares should be 0": np.where(
                visible.any(axis=-1, keepdims=True), _masked_softmax(scores, visible), 0.25
            ),
            "a query that sees nothing sees all keys here; all its shares should be 0": np.where(
                visible.any(axis=-1, keepdims=True), _masked_softmax(scores, visible), softmax(scores)
            ),
        },
    )


@exercise(lesson=7)
def check_heads_backward(answer):
    for B, H, T, S, K in ((2, 3, 4, 5, 6), (1, 2, 5, 3, 4)):
        q, k, v, dc = draw(B, H, T, K), draw(B, H, S, K), draw(B, H, S, K), draw(B, H, T, K)
        visible = np.random.default_rng().random((B, 1, T, S)) < 0.7
        visible[..., 0] = True
        p, kept = 0.4, np.random.default_rng().random((B, H, T, S)) >= 0.4
        kept[:, :, :, 0], kept[0, 0, 0, 0] = True, False
        scale = K**-0.5
        P = _masked_softmax(q @ k.swapaxes(-1, -2) * scale, visible)
        used = P * kept / (1 - p)
        dused, right_dv = dc @ v.swapaxes(-1, -2), used.swapaxes(-1, -2) @ dc
        right = softmax_backward(dused * kept / (1 - p), P)
        wrong = {
            "the dropout of the weights is not undone: dP = dU ∘ kept / (1 − p)": softmax_backward(dused, P),
            "1/(1 − p) is missing on the way back through the dropout": softmax_backward(dused * kept, P),
            "the softmax's backward got the weights after dropout; it needs P": softmax_backward(
                dused * kept / (1 - p), used
            ),
            "kept is True where a weight stayed; here the dropped ones pass": softmax_backward(
                dused * ~kept / (1 - p), P
            ),
            "the gradient is multiplied by 1 − p; it is divided, as the weights were": softmax_backward(
                dused * kept * (1 - p), P
            ),
            "the gradient is divided by p, the share that is dropped; it is 1 − p that stays": softmax_backward(
                dused * kept / p, P
            ),
            "softmax_backward takes dP first and P second": softmax_backward(P, dused * kept / (1 - p)),
            "the softmax's backward is missing": dused * kept / (1 - p),
            "the dropout was undone behind the softmax; on the way back it comes before it": softmax_backward(dused, P)
            * kept
            / (1 - p),
        }
        same_all(
            call(answer, dc, q, k, v, P, kept, p),
            {"dq": right @ k * scale, "dk": right.swapaxes(-1, -2) @ q * scale, "dv": right_dv},
            {
                "dq": {text: d @ k * scale for text, d in wrong.items()}
                | {
                    "1/√K is missing": right @ k,
                    "the root is that of the number of queries; K is q.shape[-1]": right @ k * T**-0.5,
                    "K is the width of one head, not of all together: 1/√K": right @ k * (H * K) ** -0.5,
                },
                "dk": {text: d.swapaxes(-1, -2) @ q * scale for text, d in wrong.items()}
                | {"1/√K is missing in dk": right.swapaxes(-1, -2) @ q},
                "dv": {
                    "the values were mixed with the weights after dropout, U, not with P": P.swapaxes(-1, -2) @ dc,
                    "1/(1 − p) is missing in dv": (P * kept).swapaxes(-1, -2) @ dc,
                },
            },
            sizes={"B": B, "T": T, "S": S, "H": H, "K": K},
        )
        same_all(
            call(answer, dc, q, k, v, P, None, 0.0),
            dict(
                zip(
                    ("dq", "dk", "dv"),
                    (
                        softmax_backward(dused, P) @ k * scale,
                        softmax_backward(dused, P).swapaxes(-1, -2) @ q * scale,
                        P.swapaxes(-1, -2) @ dc,
                    ),
                )
            ),
        )


@exercise(lesson=7)
def check_multi_head_backward(answer):
    for B, T, H, K in ((2, 4, 3, 2), (3, 5, 2, 4), (1, 3, 1, 5)):
        D = H * K
        x, dy = draw(B, T, D), draw(B, T, D)
        W, b, Wo = draw(3 * D, D), draw(3 * D), draw(D, D)
        visible = causal_visible(T, T)
        q, k, v = (_split(part, H) for part in np.split(linear(x, W, b), 3, axis=-1))
        p = 0.3 if B == 3 else 0.0
        kept = np.random.default_rng().random((B, H, T, T)) >= p if p else None
        (context, _), cache = attention(q, k, v, visible=visible, drop_mask=kept, drop_p=p)
        merged = _merge(context)
        dmerged, dWo, dbo = linear_backward(dy, merged, Wo)
        gradients = attention_backward(_split(dmerged, H), cache)[:3]
        dqkv = np.concatenate([_merge(d) for d in gradients], axis=-1)
        dx, dW, db = linear_backward(dqkv, x, W)
        unmerged = np.concatenate([np.ascontiguousarray(d).reshape(B, T, D) for d in gradients], axis=-1)
        straight = (np.ascontiguousarray(dmerged).reshape(B, H, T, K), cache)
        unsplit = np.concatenate([_merge(d) for d in attention_backward(*straight)[:3]], axis=-1)
        stored = (x, W, Wo, q, k, v, cache.weights, kept, p, merged)
        flows = {
            "the heads' gradients were reshaped, not merged: (B, H, T, K) needs its axes moved first": unmerged,
            "dc was reshaped, not split: use split_heads": unsplit,
            "dq, dk and dv were laid beside each other before they were merged; merge each, then concatenate": _merge(
                np.concatenate(gradients, axis=-1)
            ),
            **_other_orders(dict(zip(("dq", "dk", "dv"), map(_merge, gradients)))),
        }
        if kept is not None:
            _, cache_without = attention(q, k, v, visible=visible)
            without = [_merge(d) for d in attention_backward(_split(dmerged, H), cache_without)[:3]]
            forgotten = "the dropout of the weights is left out: heads_backward takes kept and p"
            flows[forgotten] = np.concatenate(without, axis=-1)
        same_all(
            call(answer, dy, stored),
            {"dx": dx, "dW": dW, "db": db, "dWo": dWo, "dbo": dbo},
            {
                "dx": {text: d @ W for text, d in flows.items()}
                | {
                    "the output's linear map is left out: dc = dy W_o first": _without_output(dy, cache, H, W),
                    "dy must go through W_o, not its transpose": _without_output(dy @ Wo.T, cache, H, W),
                },
                "dW": {text: np.einsum("btk,btd->kd", d, x) for text, d in flows.items()}
                | {
                    "only the last example of the batch is in it: add, don't assign": dqkv[-1].T @ x[-1],
                    "the first linear map saw x, not c": np.einsum("btk,btd->kd", dqkv, merged),
                },
                "db": {"it is a mean; a bias's gradient is the sum over all B·T tokens": db / (B * T)},
                "dWo": {
                    "the output's linear map saw c, the merged heads, not x": np.einsum("bto,btd->od", dy, x),
                    "only the last example of the batch is in it: add, don't assign": dy[-1].T @ merged[-1],
                },
                "dbo": {
                    "it is a mean; a bias's gradient is the sum over all B·T tokens": dbo / (B * T),
                    "that is the gradient behind W_o; the bias is added after it": dmerged.sum(axis=(0, 1)),
                },
            },
            sizes={"B": B, "T": T, "H": H, "K": K},
        )


def _other_orders(parts):
    """{what happened: the parts beside each other in another order than the right one}"""
    right = tuple(parts)
    return {
        f"laid beside each other were {', '.join(order)}; the order is {', '.join(right)}, as in the forward pass": (
            np.concatenate([parts[name] for name in order], axis=-1)
        )
        for order in permutations(right)
        if order != right
    }


def _split(x, H):
    B, T, D = x.shape
    return x.reshape(B, T, H, D // H).transpose(0, 2, 1, 3)


def _merge(x):
    B, H, T, K = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, T, H * K)


def _masked_softmax(scores, visible):
    visible = np.broadcast_to(visible, scores.shape)
    scores = np.where(visible, scores, -1e30)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True)) * visible
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def _over_queries(e, visible):
    total = (e * visible).sum(axis=-2, keepdims=True)
    return e * visible / np.where(total == 0, 1, total)


def _without_output(dcontext, cache, H, W):
    return np.concatenate([_merge(d) for d in attention_backward(_split(dcontext, H), cache)[:3]], axis=-1) @ W


def _short(sums):
    return ", ".join(f"{value:.3g}" for value in np.ravel(sums)[:3]) + ", …"

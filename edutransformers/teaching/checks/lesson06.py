"""Lesson 06: self-attention with one head, forward and backward."""

import numpy as np

from ...functional.attention import attention, attention_backward
from ...functional.softmax import softmax, softmax_backward
from ..checker import call, draw, exercise, same, same_all

# (leading axes, queries T, keys S, width K of keys, width of values): all different, so that axes are told apart
SIZES = (((), 3, 4, 5, 2), ((2,), 5, 3, 4, 6), ((), 1, 2, 3, 4))


@exercise(lesson=6)
def check_soft_lookup(answer):
    for S, K, width in ((4, 5, 3), (3, 2, 4), (1, 3, 2)):
        # So small that no softmax below gives all to one key: then some mistakes could not be told apart.
        q, k, v = 0.6 * draw(K), 0.6 * draw(S, K), draw(S, width)
        scores = k @ q
        p = softmax(scores / K**0.5)
        same(
            call(answer, q, k, v),
            p @ v,
            "soft_lookup(q, k, v)",
            mistakes={
                "the scores are not divided by √K": softmax(scores) @ v,
                "the scores are divided by K; divide by √K": softmax(scores / K) @ v,
                "the scores are divided by the root of the number of keys; √K has the width of a key": softmax(
                    scores / S**0.5
                )
                @ v,
                "the scores are multiplied with √K; divide by it": softmax(scores * K**0.5) @ v,
                "the softmax is missing: the scores themselves were taken as shares": scores / K**0.5 @ v,
                "exp was taken, but the shares don't add up to 1: divide by their sum": np.exp(scores / K**0.5) @ v,
                "the division by √K stands behind the softmax; it belongs to the scores": softmax(scores) / K**0.5 @ v,
                "these are the shares; the mean of the values with them is still to be taken": p,
                "that is the value of the best key alone; the look-up is soft": v[scores.argmax()],
                "that is the plain mean of the values: the shares don't depend on the query": v.mean(axis=0),
                "the keys were averaged, not the values": p @ k,
                "the sum runs over the numbers of each value; it runs over the keys, axis 0": (p[:, None] * v).sum(
                    axis=1
                ),
                "the root is that of a value's width; K is the width of a key": softmax(scores / width**0.5) @ v,
                "the scores were divided by their sum; shares need the exponential first": scores / scores.sum() @ v,
                "the shares multiply the values, and the sum over the keys is missing": p[:, None] * v,
            },
            sizes={"S": S, "K": K},
        )


@exercise(lesson=6)
def check_attention_forward(answer):
    for batch, T, S, K, width in SIZES:
        q, k, v = draw(*batch, T, K), draw(*batch, S, K), draw(*batch, S, width)
        scores = q @ k.swapaxes(-1, -2) / K**0.5
        P, unscaled = softmax(scores), softmax(scores * K**0.5)
        over_queries = np.exp(scores) / np.exp(scores).sum(axis=-2, keepdims=True)
        words = {
            "the scores are not divided by √K": unscaled,
            "the scores are divided by K; divide by √K": softmax(scores / K**0.5),
            "the scores are divided by the root of the number of keys; √K has the width of a key": softmax(
                scores * K**0.5 / S**0.5
            ),
            "the scores are divided by the root of the number of queries; K is q.shape[-1]": softmax(
                scores * K**0.5 / (batch[0] if batch else T) ** 0.5
            ),
            "the root is that of a value's width; K is the width of a key": softmax(scores * (K / width) ** 0.5),
            "the softmax runs over the queries (axis −2): columns add up to 1; each row must": over_queries,
            "the softmax runs over the whole array; each query has its own": np.exp(scores) / np.exp(scores).sum(),
            "these are the scores; the softmax is missing": scores,
            "the softmax is missing, and so is 1/√K": scores * K**0.5,
        }
        same_all(
            call(answer, q, k, v),
            {"c": P @ v, "P": P},
            {
                "c": {text: weights @ v for text, weights in words.items()}
                | {
                    "that is P: return c first, then P": P,
                    "that is the plain mean of the values": np.broadcast_to(
                        v.mean(axis=-2, keepdims=True), (*batch, T, width)
                    ),
                },
                "P": words,
            },
            sizes={"T": T, "S": S, "K": K},
        )


@exercise(lesson=6)
def check_mixture_backward(answer):
    for batch, T, S, _, width in SIZES:
        P, v, dc = softmax(draw(*batch, T, S)), draw(*batch, S, width), draw(*batch, T, width)
        dP, dv = dc @ v.swapaxes(-1, -2), P.swapaxes(-1, -2) @ dc
        same_all(
            call(answer, dc, P, v),
            {"dP": dP, "dv": dv},
            {
                "dP": {
                    "that is dv: return dP first, then dv": dv,
                    "dP must not go through the softmax yet: c = P v has no softmax": softmax_backward(dP, P),
                    "P is a factor too many: dP = dc vᵀ": P * dP,
                },
                "dv": {
                    "each value was used by every query: sum over the queries, don't average": dv / T,
                    "every query's weights were taken as equal": np.broadcast_to(
                        dc.sum(axis=-2, keepdims=True) / S, dv.shape
                    ),
                    "P was replaced by its rows' sums, which are 1: the weights are missing": np.broadcast_to(
                        dc.sum(axis=-2, keepdims=True), dv.shape
                    ),
                },
            },
            sizes={"T": T, "S": S},
        )


@exercise(lesson=6)
def check_attention_backward(answer):
    for batch, T, S, K, width in SIZES:
        q, k, v, dc = draw(*batch, T, K), draw(*batch, S, K), draw(*batch, S, width), draw(*batch, T, width)
        P = softmax(q @ k.swapaxes(-1, -2) / K**0.5)
        dP, dv = dc @ v.swapaxes(-1, -2), P.swapaxes(-1, -2) @ dc
        right = softmax_backward(dP, P)
        wrong = {
            "the softmax's backward is missing: dP was taken for the scores' gradient": dP,
            "in the softmax's backward the sum is missing: P ∘ (dP − Σ dP P)": P * dP,
            "that is a sigmoid's derivative; a score touches every weight of its row": P * (1 - P) * dP,
            "in the softmax's backward the sum runs over the queries; it runs over the keys, axis −1": P
            * (dP - (dP * P).sum(axis=-2, keepdims=True)),
            "in the softmax's backward the sum runs over the whole array; each row has its own": P
            * (dP - (dP * P).sum()),
            "in the softmax's backward the sum is of dP alone; dP and P are multiplied first": P
            * (dP - dP.sum(axis=-1, keepdims=True)),
            "in the softmax's backward the mean is a plain one; P is its weight: Σ dP P": P
            * (dP - dP.mean(axis=-1, keepdims=True)),
            "softmax_backward takes dP first and P second": softmax_backward(P, dP),
            "in the softmax's backward the factor P in front is missing": dP - (dP * P).sum(axis=-1, keepdims=True),
        }
        root = K**0.5
        same_all(
            call(answer, dc, q, k, v, P),
            {"dq": right @ k / root, "dk": right.swapaxes(-1, -2) @ q / root, "dv": dv},
            {
                "dq": {
                    "1/√K is missing: it stands in the scores, so it stands in dq and dk": right @ k,
                    "1/√K went in twice": right @ k / K,
                    "it is multiplied with √K; divide by it": right @ k * root,
                    "the root is that of the number of queries; K is q.shape[-1]": right
                    @ k
                    / (batch[0] if batch else T) ** 0.5,
                    "the root is that of a value's width; K is the width of a key": right @ k / width**0.5,
                    "that is dk: the order is dq, dk, dv": right.swapaxes(-1, -2) @ q / root,
                }
                | {text: d @ k / root for text, d in wrong.items()},
                "dk": {
                    "1/√K is missing in dk; in dq it is there": right.swapaxes(-1, -2) @ q,
                    "1/√K went into dk twice": right.swapaxes(-1, -2) @ q / K,
                    "P stands where the scores' gradient should": P.swapaxes(-1, -2) @ q / root,
                }
                | {text: d.swapaxes(-1, -2) @ q / root for text, d in wrong.items()},
                "dv": {
                    "1/√K has nothing to do with dv: it is in the scores only": dv / root,
                    "the scores' gradient stands where P should": right.swapaxes(-1, -2) @ dc,
                    "dP stands where P should": dP.swapaxes(-1, -2) @ dc,
                },
            },
            sizes={"T": T, "S": S, "K": K},
        )


@exercise(lesson=6)
def check_self_attention_backward(answer):
    for B, T, D, K in ((2, 3, 5, 4), (1, 4, 3, 2), (3, 2, 6, 5)):
        x, dc = draw(B, T, D), draw(B, T, K)
        weights = [draw(K, D) for _ in range(3)]
        q, k, v = (x @ w.T for w in weights)
        (_, P), cache = attention(q[:, None], k[:, None], v[:, None], return_weights=True)
        dq, dk, dv = (d[:, 0] for d in attention_backward(dc[:, None], cache)[:3])
        parts = [d @ w for d, w in zip((dq, dk, dv), weights)]
        dweights = [np.einsum("btk,btd->kd", d, x) for d in (dq, dk, dv)]
        of_x = {
            "only the way through the queries is there; x went into the keys and values too": parts[0],
            "only the way through the keys is there; x went into the queries and values too": parts[1],
            "only the way through the values is there; x went into the queries and keys too": parts[2],
            "the way through the values is missing": parts[0] + parts[1],
            "the way through the keys is missing": parts[0] + parts[2],
            "the way through the queries is missing": parts[1] + parts[2],
            "the three ways are averaged; gradients add up": sum(parts) / 3,
            "dq, dk and dv were added first; each goes back through its own weight": (dq + dk + dv) @ weights[0],
            "the sum of all three gradients went through the sum of all three weights; each has its own": (dq + dk + dv)
            @ sum(weights),
        }
        wanted = {"dx": sum(parts), "dWq": dweights[0], "dWk": dweights[1], "dWv": dweights[2]}
        mistakes = {"dx": of_x}
        for name, d, dweight in zip(("dWq", "dWk", "dWv"), (dq, dk, dv), dweights):
            mistakes[name] = {
                "only the first example of the batch is in it: sum over B and T": d[0].T @ x[0],
                "only the last example of the batch is in it: add, don't assign": d[-1].T @ x[-1],
                "it is a mean over the batch; the gradient of a weight is the sum over all its uses": dweight / B,
                "it is a mean over all tokens; the gradient of a weight is the sum over all its uses": dweight
                / (B * T),
                "reshape(K, -1) doesn't swap axes, it only breaks the lines elsewhere: reshape(-1, K).T": d.reshape(
                    K, -1
                )
                @ x.reshape(-1, D),
            }
        got = call(answer, dc, (x, *weights, q, k, v, P[:, 0]))
        same_all(got, wanted, mistakes, sizes={"B": B, "T": T, "K": K})

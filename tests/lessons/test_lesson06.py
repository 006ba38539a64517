"""Lesson 06's checkers: self-attention with one head."""

import numpy as np

from edutransformers.functional.softmax import softmax, softmax_backward
from tests.lessons.common import in_float32, suite_of


def turned(x):
    return x.swapaxes(-1, -2)


def root(q):
    return np.sqrt(q.shape[-1])


# --- one look-up ---


def lookup(q, k, v):
    return softmax(k @ q / root(q)) @ v


def lookup_in_loops(q, k, v):
    scores = [sum(a * b for a, b in zip(q, key)) / len(q) ** 0.5 for key in k]
    shares = [np.exp(score) for score in scores]
    total = sum(shares)
    return [sum(share * value[place] for share, value in zip(shares, v)) / total for place in range(v.shape[1])]


def lookup_in_place(q, k, v):
    q /= root(q)
    scores = k @ q
    scores -= scores.max()
    np.exp(scores, out=scores)
    scores /= scores.sum()
    v *= scores[:, None]
    return v.sum(axis=0)


# --- forward ---


def forward(q, k, v):
    P = softmax(q @ turned(k) / root(q))
    return P @ v, P


def forward_scaled_first(q, k, v):
    q /= root(q)
    P = softmax(np.einsum("...tk,...sk->...ts", q, k))
    return np.einsum("...ts,...sr->...tr", P, v), P


def forward_query_by_query(q, k, v):
    if q.ndim > 2:
        pairs = [forward_query_by_query(*parts) for parts in zip(q, k, v)]
        return np.stack([c for c, _ in pairs]), np.stack([P for _, P in pairs])
    P = np.array([softmax(k @ row / len(row) ** 0.5) for row in q])
    return np.array([row @ v for row in P]), P


def forward_over_queries(q, k, v):
    P = turned(softmax(turned(q @ turned(k) / root(q))))
    return P @ v, P


def forward_with(scores_to_weights):
    def answer(q, k, v):
        P = scores_to_weights(q @ turned(k), q.shape[-1])
        return P @ v, P

    return answer


# --- backward ---


def mixture(dc, P, v):
    return dc @ turned(v), turned(P) @ dc


def mixture_in_loops(dc, P, v):
    if dc.ndim > 2:
        pairs = [mixture_in_loops(*parts) for parts in zip(dc, P, v)]
        return [np.stack(parts) for parts in zip(*pairs)]
    dP, dv = np.zeros_like(P), np.zeros_like(v)
    for t, s, r in np.ndindex(*P.shape, v.shape[1]):
        dP[t, s] += dc[t, r] * v[s, r]
        dv[s, r] += P[t, s] * dc[t, r]
    return dP, dv


def backward(dc, q, k, v, P, through_softmax=softmax_backward, scale=root):
    dP, dv = mixture(dc, P, v)
    dscores = through_softmax(dP, P) / scale(q)
    return dscores @ k, turned(dscores) @ q, dv


def backward_in_place(dc, q, k, v, P):
    dv = turned(P) @ dc
    dP = dc @ turned(v)
    dP -= (dP * P).sum(axis=-1, keepdims=True)
    dP *= P
    k /= root(q)
    dq = dP @ k
    q /= root(q)
    return [dq, turned(dP) @ q, dv]


def backward_by_the_outputs(dc, q, k, v, P):
    """Σ dP P = Σ dc c, as fast kernels have it."""
    dscores = P * (dc @ turned(v) - (dc * (P @ v)).sum(axis=-1, keepdims=True))
    return (
        np.einsum("...ts,...sk->...tk", dscores, k) / root(q),
        np.einsum("...ts,...tk->...sk", dscores, q) / root(q),
        np.einsum("...ts,...tr->...sr", P, dc),
    )


def backward_with(through_softmax):
    return lambda dc, q, k, v, P: backward(dc, q, k, v, P, through_softmax)


# --- self-attention ---


def self_backward(dc, cache):
    x, Wq, Wk, Wv, q, k, v, P = cache
    dq, dk, dv = backward(dc, q, k, v, P)
    return dq @ Wq + dk @ Wk + dv @ Wv, *(np.einsum("btk,btd->kd", d, x) for d in (dq, dk, dv))


def self_backward_text_by_text(dc, cache):
    x, Wq, Wk, Wv, q, k, v, P = cache
    dx, dweights = np.zeros_like(x), [np.zeros_like(W) for W in (Wq, Wk, Wv)]
    for b in range(len(x)):
        for d, W, dW in zip(backward(dc[b], q[b], k[b], v[b], P[b]), (Wq, Wk, Wv), dweights):
            dx[b] += d @ W
            dW += d.T @ x[b]
    return [dx, *dweights]


def self_backward_as_one_map(dc, cache):
    x, Wq, Wk, Wv, q, k, v, P = cache
    d = np.concatenate(backward(dc, q, k, v, P), axis=-1)
    dW = d.reshape(-1, d.shape[-1]).T @ x.reshape(-1, x.shape[-1])
    return d @ np.concatenate([Wq, Wk, Wv]), *np.split(dW, 3)


def self_backward_with(dx_of=None, dW_of=None):
    def answer(dc, cache):
        x, Wq, Wk, Wv, q, k, v, P = cache
        gradients = backward(dc, q, k, v, P)
        dx, *dweights = self_backward(dc, cache)
        if dx_of is not None:
            dx = dx_of([d @ W for d, W in zip(gradients, (Wq, Wk, Wv))])
        if dW_of is not None:
            dweights = [dW_of(d, x) for d in gradients]
        return dx, *dweights

    return answer


def self_backward_of_sums(dc, cache):
    x, Wq, Wk, Wv, q, k, v, P = cache
    return sum(backward(dc, q, k, v, P)) @ (Wq + Wk + Wv), *self_backward(dc, cache)[1:]


RIGHT = {
    "soft_lookup": {
        "two lines": lookup,
        "loops and a list": lookup_in_loops,
        "in place": lookup_in_place,
        "float32": in_float32(lookup),
    },
    "attention_forward": {
        "matrices": forward,
        "the query scaled first": forward_scaled_first,
        "query by query": forward_query_by_query,
        "float32": in_float32(forward),
        "a list of two": lambda q, k, v: list(forward(q, k, v)),
    },
    "mixture_backward": {
        "matrices": mixture,
        "loops": mixture_in_loops,
        "float32": in_float32(mixture),
        "the other way round": lambda dc, P, v: (turned(v @ turned(dc)), turned(turned(dc) @ P)),
        "einsum": lambda dc, P, v: (
            np.einsum("...tr,...sr->...ts", dc, v),
            np.einsum("...ts,...tr->...sr", P, dc),
        ),
    },
    "attention_backward": {
        "the box": backward,
        "in place": backward_in_place,
        "by the outputs": backward_by_the_outputs,
        "float32": in_float32(backward),
    },
    "self_attention_backward": {
        "sums": self_backward,
        "text by text": self_backward_text_by_text,
        "as one linear map": self_backward_as_one_map,
        "float32": in_float32(self_backward),
    },
}

WRONG = {
    "soft_lookup": {
        "no root": (lambda q, k, v: softmax(k @ q) @ v, "not divided by √K"),
        "K": (lambda q, k, v: softmax(k @ q / len(q)) @ v, "divide by √K"),
        "the number of keys": (lambda q, k, v: softmax(k @ q / np.sqrt(len(k))) @ v, "the root of the number of keys"),
        "no softmax": (lambda q, k, v: k @ q / root(q) @ v, "the softmax is missing"),
        "no division": (lambda q, k, v: np.exp(k @ q / root(q)) @ v, "divide by their sum"),
        "keys": (lambda q, k, v: softmax(k @ q / root(q)) @ k, "the keys were averaged"),
        "the best": (lambda q, k, v: v[(k @ q).argmax()], "the best key alone"),
        "the shares": (lambda q, k, v: softmax(k @ q / root(q)), "these are the shares"),
        "no sum": (lambda q, k, v: softmax(k @ q / root(q))[:, None] * v, "the sum over the keys is missing"),
        "the other sum": (
            lambda q, k, v: (softmax(k @ q / root(q))[:, None] * v).sum(axis=1),
            "it runs over the keys, axis 0",
        ),
        "the root of the values' width": (
            lambda q, k, v: softmax(k @ q / np.sqrt(v.shape[1])) @ v,
            "that of a value's width",
        ),
        "no exponential": (lambda q, k, v: k @ q / (k @ q).sum() @ v, "shares need the exponential"),
    },
    "attention_forward": {
        "the root of T": (
            lambda q, k, v: (lambda P: (P @ v, P))(softmax(q @ turned(k) / np.sqrt(len(q)))),
            "the root of the number of queries",
        ),
        "the root of the values' width": (
            lambda q, k, v: (lambda P: (P @ v, P))(softmax(q @ turned(k) / np.sqrt(v.shape[-1]))),
            "that of a value's width",
        ),
        "over queries": (forward_over_queries, "columns add up to 1; each row must"),
        "no root": (forward_with(lambda scores, K: softmax(scores)), "not divided by √K"),
        "K": (forward_with(lambda scores, K: softmax(scores / K)), "divide by √K"),
        "no softmax": (forward_with(lambda scores, K: scores / np.sqrt(K)), "the softmax is missing"),
        "the whole array": (
            forward_with(lambda scores, K: np.exp(scores / np.sqrt(K)) / np.exp(scores / np.sqrt(K)).sum()),
            "each query has its own",
        ),
        "the other order": (lambda q, k, v: forward(q, k, v)[::-1], "return c first"),
        "c alone": (lambda q, k, v: forward(q, k, v)[0], "expected 2 things, (c, P)"),
        "k.T in a batch": (lambda q, k, v: (softmax(q @ k.T / root(q)) @ v, P_of(q, k)), "stopped with ValueError"),
    },
    "mixture_backward": {
        "the other order": (lambda dc, P, v: mixture(dc, P, v)[::-1], "return dP first"),
        "through the softmax": (
            lambda dc, P, v: (softmax_backward(dc @ turned(v), P), turned(P) @ dc),
            "c = P v has no softmax",
        ),
        "a mean": (lambda dc, P, v: (dc @ turned(v), turned(P) @ dc / dc.shape[-2]), "don't average"),
        "P twice": (lambda dc, P, v: (P * (dc @ turned(v)), turned(P) @ dc), "a factor too many"),
        "not turned": (lambda dc, P, v: (dc @ turned(v), P @ dc), "stopped with ValueError"),
    },
    "attention_backward": {
        "no root": (lambda *a: backward(*a, scale=lambda q: 1.0), "1/√K is missing"),
        "twice": (lambda *a: backward(*a, scale=lambda q: q.shape[-1]), "1/√K went in twice"),
        "the root of T": (lambda *a: backward(*a, scale=lambda q: len(q) ** 0.5), "that of the number of queries"),
        "dP and P exchanged": (backward_with(lambda dP, P: softmax_backward(P, dP)), "takes dP first"),
        "no softmax": (backward_with(lambda dP, P: dP), "the softmax's backward is missing"),
        "no sum": (backward_with(lambda dP, P: P * dP), "the sum is missing"),
        "a sigmoid's": (backward_with(lambda dP, P: P * (1 - P) * dP), "a sigmoid's derivative"),
        "over queries": (
            backward_with(lambda dP, P: P * (dP - (dP * P).sum(axis=-2, keepdims=True))),
            "the sum runs over the queries",
        ),
        "plain mean": (
            backward_with(lambda dP, P: P * (dP - dP.mean(axis=-1, keepdims=True))),
            "the mean is a plain one",
        ),
        "the root of the values' width": (
            lambda dc, q, k, v, P: backward(dc, q, k, v, P, scale=lambda q: np.sqrt(v.shape[-1])),
            "that of a value's width",
        ),
        "plain sum": (backward_with(lambda dP, P: P * (dP - dP.sum(axis=-1, keepdims=True))), "multiplied first"),
        "root in dq only": (
            lambda dc, q, k, v, P: (
                backward(dc, q, k, v, P)[0],
                backward(dc, q, k, v, P)[1] * root(q),
                turned(P) @ dc,
            ),
            "missing in dk",
        ),
        "root in dv": (
            lambda dc, q, k, v, P: (*backward(dc, q, k, v, P)[:2], turned(P) @ dc / root(q)),
            "nothing to do with dv",
        ),
        "dP in dv": (
            lambda dc, q, k, v, P: (*backward(dc, q, k, v, P)[:2], turned(dc @ turned(v)) @ dc),
            "dP stands where P should",
        ),
    },
    "self_attention_backward": {
        "queries only": (self_backward_with(dx_of=lambda parts: parts[0]), "x went into the keys and values too"),
        "values only": (self_backward_with(dx_of=lambda parts: parts[2]), "x went into the queries and keys too"),
        "two of three": (
            self_backward_with(dx_of=lambda parts: parts[0] + parts[1]),
            "the way through the values is missing",
        ),
        "sums multiplied": (self_backward_of_sums, "the sum of all three weights"),
        "reshaped for turned": (
            self_backward_with(dW_of=lambda d, x: d.reshape(d.shape[-1], -1) @ x.reshape(-1, x.shape[-1])),
            "doesn't swap axes",
        ),
        "averaged": (self_backward_with(dx_of=lambda parts: sum(parts) / 3), "gradients add up"),
        "the first text": (self_backward_with(dW_of=lambda d, x: d[0].T @ x[0]), "only the first example"),
        "the last text": (self_backward_with(dW_of=lambda d, x: d[-1].T @ x[-1]), "add, don't assign"),
        "a mean": (
            self_backward_with(dW_of=lambda d, x: np.einsum("btk,btd->kd", d, x) / len(x)),
            "a mean over the batch",
        ),
        "no sum": (self_backward_with(dW_of=lambda d, x: turned(d) @ x), "that sum is missing"),
        "turned": (self_backward_with(dW_of=lambda d, x: np.einsum("btk,btd->dk", d, x)), "transposed"),
    },
}


def P_of(q, k):
    return softmax(q @ turned(k) / root(q))


test_right, test_wrong, test_complete = suite_of(6, RIGHT, WRONG)

"""Lesson 13's checkers: GPT-2 assembled."""

import numpy as np

from edutransformers.functional.masks import causal_visible
from edutransformers.functional.softmax import log_softmax, softmax
from edutransformers.losses import NextTokenLoss
from tests.lessons.common import suite_of


def visible(scores, k=0):
    return np.tri(scores.shape[-1], k=k, dtype=bool)


def weights_of_library(scores):
    T = scores.shape[-1]
    return softmax(np.where(causal_visible(T, T)[0, 0], scores, -np.inf))


def weights_in_place(scores):
    T = scores.shape[-1]
    scores[..., np.triu_indices(T, k=1)[0], np.triu_indices(T, k=1)[1]] = -1e30
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def weights_row_by_row(scores):
    T = scores.shape[-1]
    weights = np.zeros_like(scores)
    for t in range(T):
        weights[..., t, : t + 1] = softmax(scores[..., t, : t + 1])
    return weights


def other_weights(mask, fill):
    def weights(scores):
        with np.errstate(invalid="ignore"):
            x = np.where(mask(scores), scores, fill)
            e = np.exp(x - x.max(axis=-1, keepdims=True))
            return e / e.sum(axis=-1, keepdims=True)

    return weights


def block_backward(dy, norm_1, attention, norm_2, feed_forward):
    da = dy + norm_2(feed_forward(dy))
    return da + norm_1(attention(da))


def block_backward_in_place(dy, norm_1, attention, norm_2, feed_forward):
    dy += norm_2(feed_forward(dy))
    dy += norm_1(attention(dy))
    return dy


def block_backward_by_paths(dy, norm_1, attention, norm_2, feed_forward):
    late = norm_2(feed_forward(dy))
    return dy + late + norm_1(attention(dy)) + norm_1(attention(late))


def library_loss(logits, ids):
    loss, cache = NextTokenLoss().forward(logits, ids)
    return loss, NextTokenLoss().backward(1.0, cache)


def looped_loss(logits, ids):
    B, T, V = logits.shape
    dlogits, costs = np.zeros_like(logits), []
    for b in range(B):
        for t in range(T - 1):
            shifted = logits[b, t] - logits[b, t].max()
            p = np.exp(shifted) / np.exp(shifted).sum()
            costs.append(np.log(np.exp(shifted).sum()) - shifted[ids[b, t + 1]])
            dlogits[b, t] = p
            dlogits[b, t, ids[b, t + 1]] -= 1
    return [sum(costs) / len(costs), dlogits / len(costs)]


def one_hot_loss(logits, ids):
    N = ids[:, 1:].size
    hot = np.zeros_like(logits)
    hot[:, :-1] = np.eye(logits.shape[-1])[ids[:, 1:]]
    loss = -(hot * log_softmax(logits)).sum() / N
    return loss, (softmax(logits) * hot.sum(axis=-1, keepdims=True) - hot) / N


def loss_with(places, labels, divisor=None):
    """A wrong loss: of these places and labels, with the gradient of the right one."""

    def loss(logits, ids):
        log_p = log_softmax(places(logits))
        costs = -np.take_along_axis(log_p, labels(ids)[..., None], axis=-1)
        return costs.sum() / (divisor(ids) if divisor else costs.size), library_loss(logits, ids)[1]

    return loss


def naive_loss(logits, ids):
    with np.errstate(divide="ignore"):
        p = np.take_along_axis(softmax(logits[:, :-1]), ids[:, 1:, None], axis=-1)
        return -np.log(p).mean(), library_loss(logits, ids)[1]


def dlogits_with(change):
    return lambda logits, ids: (library_loss(logits, ids)[0], change(library_loss(logits, ids)[1], logits, ids))


def dlogits_of(formula):
    def change(d, logits, ids):
        N = ids[:, 1:].size
        d[:, :-1] = formula(log_softmax(logits[:, :-1]), np.eye(logits.shape[-1])[ids[:, 1:]], N)
        return d

    return dlogits_with(change)


def loss_picking(places):
    def answer(logits, ids):
        return -log_softmax(logits)[places(*ids.shape, ids)].mean(), library_loss(logits, ids)[1]

    return answer


def table(ids, dx, h, dlogits):
    dE = np.einsum("btv,btd->vd", dlogits, h)
    np.add.at(dE, ids, dx)
    return dE


def table_by_one_hot(ids, dx, h, dlogits):
    hot = np.eye(dlogits.shape[-1], dtype=dx.dtype)[ids]
    return np.einsum("btv,btd->vd", hot, dx) + np.einsum("btv,btd->vd", dlogits, h)


def table_by_loops(ids, dx, h, dlogits):
    dE = np.zeros((dlogits.shape[-1], h.shape[-1]))
    for b, t in np.ndindex(ids.shape):
        dE[ids[b, t]] += dx[b, t]
        dE += np.outer(dlogits[b, t], h[b, t])
    return dE


def table_adding_once(ids, dx, h, dlogits):
    dE = np.einsum("btv,btd->vd", dlogits, h)
    dE[ids] += dx
    return dE


def table_assigned(ids, dx, h, dlogits):
    dE = np.einsum("btv,btd->vd", dlogits, h)
    dE[ids] = dx
    return dE


def table_reshaped(ids, dx, h, dlogits):
    dE = dlogits.reshape(dlogits.shape[-1], -1) @ h.reshape(-1, h.shape[-1])
    np.add.at(dE, ids, dx)
    return dE


def head_only(ids, dx, h, dlogits):
    return np.einsum("btv,btd->vd", dlogits, h)


def perplexity_and_bits(costs, characters):
    return np.exp(costs.mean()), costs.sum() / np.log(2) / characters


RIGHT = {
    "causal_weights": {
        "the library's mask": weights_of_library,
        "in place": weights_in_place,
        "row by row": weights_row_by_row,
        "float32": lambda scores: weights_of_library(scores.astype("float32")),
        "added": lambda scores: softmax(scores + np.where(visible(scores), 0, -1e9)),
    },
    "pre_norm_block_backward": {
        "two lines": block_backward,
        "in place": block_backward_in_place,
        "four paths": block_backward_by_paths,
        "float32": lambda dy, *parts: block_backward(dy.astype("float32"), *parts).astype("float32"),
    },
    "next_token_loss": {
        "the library's": library_loss,
        "loops": looped_loss,
        "one-hot rows": one_hot_loss,
        "float32": lambda logits, ids: library_loss(logits.astype("float32"), ids),
    },
    "tied_table_gradient": {
        "add.at": table,
        "one-hot rows": table_by_one_hot,
        "loops": table_by_loops,
        "float32": lambda ids, *arrays: table(ids, *(x.astype("float32") for x in arrays)),
    },
    "perplexity_and_bits": {
        "the formula": perplexity_and_bits,
        "float32": lambda costs, characters: perplexity_and_bits(costs.astype("float32"), characters),
        "one array": lambda costs, characters: np.array(perplexity_and_bits(costs, characters)),
        "by powers of 2": lambda costs, characters: [
            2 ** np.mean(costs / np.log(2)),
            sum(cost / np.log(2) for cost in costs) / characters,
        ],
    },
}

WRONG = {
    "causal_weights": {
        "no mask": (softmax, "the mask is missing"),
        "zero scores": (lambda scores: softmax(np.where(visible(scores), scores, 0)), "must become −inf"),
        "afterwards": (lambda scores: softmax(scores) * visible(scores), "hide the scores, before it"),
        "transposed": (
            lambda scores: softmax(np.where(visible(scores).T, scores, -np.inf)),
            "the other way round",
        ),
        "one too many": (lambda scores: softmax(np.where(visible(scores, 1), scores, -np.inf)), "one token too many"),
        "not itself": (other_weights(lambda scores: visible(scores, -1), -np.inf), "a token sees itself too"),
        "not itself, finite": (other_weights(lambda scores: visible(scores, -1), -1e9), "a token sees itself too"),
        "finite": (lambda scores: softmax(np.where(visible(scores), scores, -1e4)), "−10,000 is not"),
        "barely hidden": (
            lambda scores: softmax(np.where(visible(scores), scores, -1.5)),
            "what is hidden still gets a share",
        ),
        "exchanged": (other_weights(lambda scores: ~visible(scores), -np.inf), "sides of np.where are exchanged"),
        "no softmax": (lambda scores: np.where(visible(scores), scores, -np.inf), "those are still scores"),
    },
    "pre_norm_block_backward": {
        "no shortcuts": (lambda dy, n1, at, n2, ff: n1(at(n2(ff(dy)))), "both shortcuts are missing"),
        "shortcut of dy": (
            lambda dy, n1, at, n2, ff: dy + n1(at(dy + n2(ff(dy)))),
            "the shortcut of the attention's half",
        ),
        "side by side": (
            lambda dy, n1, at, n2, ff: dy + n2(ff(dy)) + n1(at(dy)),
            "the attention's half gets da",
        ),
        "norm first": (
            lambda dy, n1, at, n2, ff: block_backward(dy, at, n1, ff, n2),
            "backward it is the network first",
        ),
        "forward order": (lambda dy, n1, at, n2, ff: block_backward(dy, n2, ff, n1, at), "the last part first"),
        "half": (lambda dy, n1, at, n2, ff: dy + n2(ff(dy)), "only the second half"),
        "norms on sums": (
            lambda dy, n1, at, n2, ff: n1(n2(dy + ff(dy)) + at(n2(dy + ff(dy)))),
            "belongs to the branch alone",
        ),
        "two things": (lambda dy, *parts: (block_backward(dy, *parts), dy), "where one array is expected"),
    },
    "next_token_loss": {
        "no shift": (loss_with(lambda x: x, lambda ids: ids), "which it has just read"),
        "backwards": (loss_with(lambda x: x[:, 1:], lambda ids: ids[:, :-1]), "the shift goes the wrong way"),
        "rolled": (loss_with(lambda x: x, lambda ids: np.roll(ids, -1, axis=1)), "the ids were rolled"),
        "joined": (
            loss_with(lambda x: x.reshape(-1, x.shape[-1])[:-1], lambda ids: ids.reshape(-1)[1:]),
            "shift along axis 1 first",
        ),
        "over B·T": (
            loss_with(lambda x: x[:, :-1], lambda ids: ids[:, 1:], lambda ids: ids.size),
            "the last place makes none",
        ),
        "sum": (loss_with(lambda x: x[:, :-1], lambda ids: ids[:, 1:], lambda ids: 1), "that is the sum"),
        "over B": (loss_with(lambda x: x[:, :-1], lambda ids: ids[:, 1:], len), "it is divided by B"),
        "infinite": (naive_loss, "log 0 is −inf"),
        "short gradient": (dlogits_with(lambda d, logits, ids: d[:, :-1]), "has a gradient too, and it is 0"),
        "zeros in front": (
            dlogits_with(lambda d, logits, ids: np.roll(d, 1, axis=1)),
            "it is the last one that predicts nothing",
        ),
        "no mean": (dlogits_with(lambda d, logits, ids: d * ids[:, 1:].size), "the loss is a mean"),
        "gradient not shifted": (
            dlogits_with(lambda d, logits, ids: (softmax(logits) - np.eye(logits.shape[-1])[ids]) / ids.size),
            "1 is subtracted at token t + 1",
        ),
        "every text's tokens": (
            loss_picking(lambda B, T, ids: (slice(None), np.arange(T - 1), ids[:, 1:])),
            "all texts",
        ),
        "all tokens": (loss_picking(lambda B, T, ids: (slice(None), slice(T - 1), ids[:, 1:])), "at each place"),
        "log p": (dlogits_of(lambda log_p, hot, N: (log_p - hot) / N), "it is p, minus what came"),
        "p whole": (dlogits_of(lambda log_p, hot, N: np.exp(log_p) - hot / N), "only the 1 was divided"),
        "1 whole": (dlogits_of(lambda log_p, hot, N: np.exp(log_p) / N - hot), "only p was divided"),
        "one thing": (lambda logits, ids: library_loss(logits, ids)[0], "expected 2 things"),
    },
    "tied_table_gradient": {
        "head only": (head_only, "only the head's part"),
        "look-up only": (lambda ids, dx, h, dlogits: table(ids, dx, h, 0 * dlogits), "only the look-up's part"),
        "adding once": (table_adding_once, "adds each row once"),
        "assigned": (table_assigned, "overwrote the head's part"),
        "mean": (lambda *inputs: table(*inputs) / 2, "not averaged"),
        "transposed": (lambda *inputs: table(*inputs).T, "transposed"),
        "dx in the head": (lambda ids, dx, h, dlogits: table(ids, dx, dx, dlogits), "it is dlogitsᵀ h"),
        "first text": (lambda *inputs: table(*(x[:1] for x in inputs)), "only the first text is there"),
        "reshaped": (table_reshaped, "mixes up the places"),
    },
    "perplexity_and_bits": {
        "mean of exponentials": (
            lambda costs, n: (np.exp(costs).mean(), costs.sum() / np.log(2) / n),
            "the mean is taken first",
        ),
        "base 2": (lambda costs, n: (2 ** costs.mean(), costs.sum() / np.log(2) / n), "nats belong under e"),
        "nats": (lambda costs, n: (np.exp(costs.mean()), costs.sum() / n), "those are nats per character"),
        "per token": (
            lambda costs, n: (np.exp(costs.mean()), costs.mean() / np.log(2)),
            "those are bits per token",
        ),
        "multiplied": (lambda costs, n: (np.exp(costs.mean()), costs.sum() * np.log(2) / n), "so divide"),
        "exchanged": (lambda *inputs: perplexity_and_bits(*inputs)[::-1], "perplexity comes first"),
        "log2": (lambda costs, n: (np.exp(costs.mean()), np.log2(costs).sum() / n), "log2 was taken of each cost"),
    },
}

test_right, test_wrong, test_complete = suite_of(13, RIGHT, WRONG)

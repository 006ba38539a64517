"""Lesson 13: GPT-2 assembled."""

from functools import partial

import numpy as np

from ...functional.embedding import embedding_backward
from ...functional.softmax import log_softmax, softmax
from ..checker import call, draw, draw_integers, exercise, holds, same, same_all


@exercise(lesson=13)
def check_causal_weights(answer):
    for shape in ((4, 4), (2, 3, 5, 5), (1, 2, 1, 1)):
        scores = draw(*shape)
        T = shape[-1]
        visible = np.tri(T, dtype=bool)
        hidden_gone = np.where(visible, scores, -np.inf)
        weights = call(answer, scores)
        same(
            weights,
            softmax(hidden_gone),
            "causal_weights(scores)",
            mistakes={
                "the mask is missing: each token also looks at what comes behind it": softmax(scores),
                "hidden scores became 0, and e⁰ = 1 is a share too: they must become −inf": softmax(
                    np.where(visible, scores, 0)
                ),
                "the weights were set to 0 after the softmax, so the rows no longer add up to 1: hide the scores, "
                "before it": softmax(scores) * visible,
                "the mask lies the other way round: row t is the token that looks, and it may look at columns 0 … t": (
                    softmax(np.where(visible.T, scores, -np.inf))
                ),
                "each column adds up to 1, not each row: softmax over axis=-1": softmax(
                    hidden_gone.swapaxes(-1, -2)
                ).swapaxes(-1, -2),
                "one token too many: token t sees token t + 1, the very one that it has to predict": softmax(
                    np.where(np.tri(T, k=1, dtype=bool), scores, -np.inf)
                ),
                "a token sees itself too; with k=-1 the first one has nothing to look at": _shown_only(
                    np.tri(T, k=-1, dtype=bool), scores, -1e9
                ),
                "a token sees itself too; with k=-1 the first one has nothing to look at, and 0/0 is nan": _shown_only(
                    np.tri(T, k=-1, dtype=bool), scores, -np.inf
                ),
                "the two sides of np.where are exchanged: what may be seen is hidden, and the rest is not": _shown_only(
                    ~visible, scores, -np.inf
                ),
                "those are still scores: softmax makes weights of them": hidden_gone,
                "what is hidden still gets a share: −inf in its place leaves it none": partial(
                    _if_future_is_seen, weights, visible
                ),
            },
            sizes={"T": T},
        )
    scores = np.round(draw(2, 4, 4) * 64) / 64 - 16384  # exact in float32 too
    visible = np.tri(4, dtype=bool)
    same(
        call(answer, scores),
        softmax(np.where(visible, scores, -np.inf)),
        "causal_weights(scores) for scores near −16,000",
        mistakes={
            "the number that hides a score must be below every score there can be: −10,000 is not, −inf is": softmax(
                np.where(visible, scores, -1e4)
            )
        },
    )


def _shown_only(mask, scores, fill):
    """Weights of another mask, under which a row may be empty: 0/0 there."""
    with np.errstate(invalid="ignore"):
        x = np.where(mask, scores, fill)
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)


def _if_future_is_seen(weights, visible):
    """The weights themselves, if each row adds up to 1 and hidden places have a share; else nothing."""
    weights = np.asarray(weights)
    adds_up = np.allclose(weights.sum(axis=-1), 1)
    return weights if adds_up and (np.abs(weights) * ~visible).max() > 1e-6 else np.zeros(0)


class _Backward:
    """The backward pass of a part of a block: here a product with a matrix that nobody knows."""

    def __init__(self, name: str, width: int):
        self.name, self.matrix = name, draw(width, width)

    def __call__(self, d_output):
        return np.asarray(d_output) @ self.matrix

    def __repr__(self):
        return self.name


@exercise(lesson=13)
def check_pre_norm_block_backward(answer):
    for shape in ((2, 3, 4), (1, 5, 2)):
        dy = draw(*shape)
        parts = [_Backward(name, shape[-1]) for name in ("norm_1", "attention", "norm_2", "feed_forward")]
        norm_1, attention, norm_2, feed_forward = parts
        branch = norm_2(feed_forward(dy))
        da = dy + branch
        post = norm_2(dy)
        post = post + feed_forward(post)
        post = norm_1(post)
        swapped = dy + norm_1(attention(dy))
        norms_on_sums = norm_2(dy + feed_forward(dy))
        norms_first = dy + feed_forward(norm_2(dy))
        same(
            call(answer, dy, *parts),
            da + norm_1(attention(da)),
            "pre_norm_block_backward(dy, …)",
            mistakes={
                "both shortcuts are missing: a sum hands its gradient to both that were added": norm_1(
                    attention(norm_2(feed_forward(dy)))
                ),
                "only the second half is there: the gradient da has to go on through the attention's half": da,
                "the shortcut of the attention's half carries da, all that came back to a, and not only dy": dy
                + norm_1(attention(da)),
                "the attention's half gets da, all that came back to a, and not only dy": da + norm_1(attention(dy)),
                "the shortcut past the feed-forward network is missing: da = dy + …": branch
                + norm_1(attention(branch)),
                "the shortcut past the attention is missing: dx = da + …": norm_1(attention(da)),
                "forward the norm comes first and the network second, so backward it is the network first": norms_first
                + attention(norm_1(norms_first)),
                "backwards means the last part first: the feed-forward network's half, then the attention's": swapped
                + norm_2(feed_forward(swapped)),
                "that is a post-norm block: there the norm stands behind the sum, here on the branch": post
                + attention(post),
                "the norm's backward pass belongs to the branch alone; the shortcut goes past it": norm_1(
                    norms_on_sums + attention(norms_on_sums)
                ),
            },
        )


@exercise(lesson=13)
def check_next_token_loss(answer):
    for B, T, V in ((3, 5, 7), (2, 4, 6), (1, 3, 5)):
        logits, ids = draw(B, T, V), draw_integers(0, V, B, T)
        log_p, hot, N = log_softmax(logits), np.eye(V)[ids], B * (T - 1)
        costs = -np.take_along_axis(log_p[:, :-1], ids[:, 1:, None], axis=-1)[..., 0]
        same_place = -np.take_along_axis(log_p, ids[..., None], axis=-1)[..., 0]
        rolled = -np.take_along_axis(log_p, np.roll(ids, -1, axis=1)[..., None], axis=-1)[..., 0]
        backwards = -np.take_along_axis(log_p[:, 1:], ids[:, :-1, None], axis=-1)[..., 0]
        run_together = -log_p.reshape(-1, V)[np.arange(B * T - 1), ids.reshape(-1)[1:]]
        p = softmax(logits)
        every_text = -log_p[:, np.arange(T - 1), ids[:, 1:]]  # (B, B, T − 1)
        every_place = -log_p[:, :-1][:, :, ids[:, 1:]]  # (B, T − 1, B, T − 1)
        last = np.zeros((B, 1, V))
        short = (p[:, :-1] - hot[:, 1:]) / N
        dlogits = np.concatenate([short, last], axis=1)
        same_all(
            call(answer, logits, ids),
            {"loss": costs.mean(), "dlogits": dlogits},
            mistakes={
                "loss": {
                    "place t was asked for token t, which it has just read; it is asked for token t + 1": (
                        same_place.mean()
                    ),
                    "place t was asked for token t (shifted nowhere, one place left out)": same_place[:, :-1].mean(),
                    "the shift goes the wrong way: place t was asked for token t − 1": backwards.mean(),
                    "the ids were rolled, so that the last place was asked for the text's first token; nothing comes "
                    "behind it, so it doesn't count": rolled.mean(),
                    "the texts were joined before the shift, so that the end of one was asked for the beginning of the "
                    "next: shift along axis 1 first": run_together.mean(),
                    "the mean is over B·(T − 1) predictions, not B·T: the last place makes none": costs.sum() / (B * T),
                    "that is the sum; the mean is expected": costs.sum(),
                    "it is divided by B; the mean is over all B·(T − 1) predictions": costs.sum() / B,
                    "the sign is wrong: a probability below 1 has a negative logarithm": -costs.mean(),
                    "the tokens of all texts were picked for each text: the first index is np.arange(B)[:, None]": (
                        every_text.mean()
                    ),
                    "all tokens were picked at each place: the first two indices are np.arange(B)[:, None] and "
                    "np.arange(T - 1)": every_place.mean(),
                    "that is −log p averaged over the whole vocabulary: pick the token's that came": -log_p[
                        :, :-1
                    ].mean(),
                },
                "dlogits": {
                    "dlogits has the shape of logits; the last place has a gradient too, and it is 0": short,
                    "the zeros stand at the first place; it is the last one that predicts nothing": np.concatenate(
                        [last, short], axis=1
                    ),
                    "the last place predicts nothing, so its gradient is 0, not p": np.concatenate(
                        [short, p[:, -1:] / N], axis=1
                    ),
                    "1/(B·(T − 1)) is missing: the loss is a mean": dlogits * N,
                    "it is divided by B·T; there are B·(T − 1) predictions": dlogits * (N / (B * T)),
                    "it is divided by B; the mean is over all B·(T − 1) predictions": dlogits * (T - 1),
                    "the labels are not shifted here: 1 is subtracted at token t + 1": (p - hot) / (B * T),
                    "the labels are not shifted here (the last place is 0, but 1 is subtracted at token t)": (
                        np.concatenate([(p[:, :-1] - hot[:, :-1]) / N, last], axis=1)
                    ),
                    "the sign is wrong: what it said, minus what came": -dlogits,
                    "1 isn't subtracted at the tokens that came": np.concatenate([p[:, :-1] / N, last], axis=1),
                    "that is log p, minus what came; it is p, minus what came": np.concatenate(
                        [(log_p[:, :-1] - hot[:, 1:]) / N, last], axis=1
                    ),
                    "only the 1 was divided by B·(T − 1): p is, too": np.concatenate(
                        [p[:, :-1] - hot[:, 1:] / N, last], axis=1
                    ),
                    "only p was divided by B·(T − 1): the 1 is, too": np.concatenate(
                        [p[:, :-1] / N - hot[:, 1:], last], axis=1
                    ),
                },
            },
            sizes={"B": B, "T": T, "V": V},
        )
    logits, ids = np.array([[[0.0, 900.0], [900.0, 0.0]]]), np.array([[0, 0]])
    loss, _ = call(answer, logits, ids)
    holds(
        bool(np.isfinite(loss)),
        "the loss is not finite where a score is 900 below the largest; it should be 900 here\n"
        "  → p is 0 there and log 0 is −inf: write log p as x − m − log Σ exp(x − m), as in lesson 01",
    )
    same(loss, np.asarray(900.0), "the loss for [[[0, 900], [900, 0]]], [[0, 0]]")


@exercise(lesson=13)
def check_tied_table_gradient(answer):
    for B, T, V, D in ((2, 7, 5, 3), (3, 2, 11, 4), (1, 6, 4, 2)):
        ids, dx, h, dlogits = draw_integers(0, V, B, T), draw(B, T, D), draw(B, T, D), draw(B, T, V)
        ids[:, 1] = ids[:, 0]  # a token that comes twice, whatever was drawn
        looked_up = embedding_backward(dx, ids, V)
        head = np.einsum("btv,btd->vd", dlogits, h)
        once = head.copy()
        once[ids] += dx
        overwritten = head.copy()
        overwritten[ids] = dx
        first_text = embedding_backward(dx[:1], ids[:1], V) + dlogits[0].T @ h[0]
        mixed = dlogits.reshape(V, -1) @ h.reshape(-1, D)
        same(
            call(answer, ids, dx, h, dlogits),
            looked_up + head,
            "tied_table_gradient(ids, dx, h, dlogits)",
            mistakes={
                "only the look-up's part is there: the table also made the logits": looked_up,
                "only the head's part is there: the table also gave the tokens their vectors": head,
                "a token that stands in the text several times got only one of its gradients: dE[ids] += dx adds each "
                "row once; np.add.at(dE, ids, dx) adds all": once,
                "dE[ids] = dx overwrote the head's part, and repeated tokens kept only their last gradient: "
                "np.add.at(dE, ids, dx)": overwritten,
                "the two parts are added, not averaged": (looked_up + head) / 2,
                "the sign of one part is wrong: both are added": looked_up - head,
                "the head's part was made of dx; it is dlogitsᵀ h": looked_up + np.einsum("btv,btd->vd", dlogits, dx),
                "the look-up's part was made of h; it is the gradient dx that is added there": embedding_backward(
                    h, ids, V
                )
                + head,
                "only the first text is there: both sums run over the batch too": first_text,
                "dlogits.reshape(V, -1) mixes up the places: reshape(-1, V) keeps them, and .T turns it": mixed
                + looked_up,
                "the head's part is not summed over the batch": np.einsum("btv,btd->bvd", dlogits, h),
            },
            sizes={"B": B, "T": T, "V": V, "D": D},
        )


@exercise(lesson=13)
def check_perplexity_and_bits(answer):
    for tokens, characters in ((5, 17), (40, 151), (1, 3)):
        costs = np.random.default_rng().gamma(2.0, 1.0, tokens) + 0.1
        mean, total = costs.mean(), costs.sum()
        same_all(
            call(answer, costs, characters),
            {"perplexity": np.exp(mean), "bits per character": total / np.log(2) / characters},
            mistakes={
                "perplexity": {
                    "that is the second of the two: perplexity comes first": total / np.log(2) / characters,
                    "the mean is taken first, the exponential afterwards: e^(mean of the costs)": np.exp(costs).mean(),
                    "2 to the power of nats: costs in nats belong under e": 2.0**mean,
                    "e to the power of the sum: perplexity is for one token, so take the mean": np.exp(total),
                    "that is the mean cost; its exponential is missing": mean,
                    "that is the probability of a token; perplexity is 1 over it": np.exp(-mean),
                    "the mean is over the characters; perplexity is for one token": np.exp(total / characters),
                },
                "bits per character": {
                    "those are nats per character: divide by log 2": total / characters,
                    "multiplied by log 2; a nat is 1/log 2 = 1.44 bits, so divide": total * np.log(2) / characters,
                    "those are bits per token: the text's sum is divided by its characters": mean / np.log(2),
                    "the mean was divided by the characters; it is the sum, the bits of the whole text": mean
                    / np.log(2)
                    / characters,
                    "that is log 2 of the perplexity divided once too often": mean / np.log(2) / tokens,
                    "log2 was taken of the nats; to turn nats into bits, divide by log 2": (
                        np.log2(total) / characters
                    ),
                    "log2 was taken of each cost; a cost is a logarithm already, so divide it by log 2": (
                        np.log2(costs).sum() / characters
                    ),
                },
            },
            sizes={"tokens": tokens, "characters": characters},
        )

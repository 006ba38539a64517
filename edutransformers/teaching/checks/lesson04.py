"""Lesson 04: embeddings and positions."""

import numpy as np

from ...functional.embedding import embedding_backward
from ...functional.softmax import log_softmax, softmax
from ...layers.positions import sinusoids
from ..checker import call, draw, draw_integers, exercise, same, same_all


@exercise(lesson=4)
def check_embedding_backward(answer):
    for shape, V, D in (((7,), 5, 3), ((3, 4), 6, 2), ((1, 5), 9, 4)):
        ids, dy = draw_integers(1, V - 1, *shape), draw(*shape, D)
        ids.reshape(-1)[:4] = 1, 2, 1, 0  # a repeated id in every draw, and 0, which is no padding; V − 1 never occurs
        wanted = embedding_backward(dy, ids, V)
        flat, rows = ids.reshape(-1), dy.reshape(-1, D)
        last = np.zeros((V, D))
        last[flat] = rows
        first = np.zeros((V, D))
        first[flat[::-1]] = rows[::-1]
        text_by_text = np.zeros((V, D))
        for some_ids, some_rows in zip(ids, dy):
            text_by_text[some_ids] += some_rows
        counts = np.maximum(np.bincount(flat, minlength=V), 1)[:, None]
        without_zero = wanted.copy()
        without_zero[0] = 0
        same(
            call(answer, dy, ids, V),
            wanted,
            "dW",
            mistakes={
                "of a repeated id only the last gradient is there: `dW[ids] += dy` and `dW[ids] = dy` "
                "write such a row several times, and add nothing up": last,
                "the texts are added up, but of an id that is repeated within a text only the last gradient is there": (
                    text_by_text
                ),
                "of an id that occurs several times only the first gradient is there; all are summed": first,
                "that is the mean over an id's places; a gradient is the sum over all uses": wanted / counts,
                "all rows of dy were added to every row that occurs; each goes to its own id only": np.where(
                    wanted.any(axis=1, keepdims=True), rows.sum(axis=0), 0.0
                ),
                "row 0 was left out, but there is no padding_idx here: every word that occurs gets its gradient": (
                    without_zero
                ),
            },
        )
    V, D = 6, 3
    ids, dy = np.concatenate([[0, 2, 0, 5, 2], draw_integers(0, V, 4)]), draw(9, D)
    wanted = embedding_backward(dy, ids, V)
    wanted_padded = wanted.copy()
    wanted_padded[2] = 0
    without_zero = wanted.copy()
    without_zero[0] = 0
    same(
        call(answer, dy, ids, V, 2),
        wanted_padded,
        "dW with padding_idx=2",
        mistakes={
            "the row of padding_idx has a gradient; it gets none": wanted,
            "the row 0 was left out, not the row padding_idx": without_zero,
        },
    )
    same(
        call(answer, dy, ids, V, 0),
        without_zero,
        "dW with padding_idx=0",
        mistakes={
            "padding_idx=0 was taken for none: `if padding_idx:` is false for 0; ask `is not None`": wanted,
        },
    )


@exercise(lesson=4)
def check_pair_loss_and_gradients(answer):
    for N, V, D in ((6, 5, 3), (9, 4, 2)):
        centers, neighbours = draw_integers(0, V, N), draw_integers(0, V, N)
        centers[:2] = 1  # a repeated one
        W, U = draw(V, D), draw(V, D)
        scores = W[centers] @ U.T
        loss = -log_softmax(scores)[np.arange(N), neighbours].mean()
        hot = np.eye(V)[neighbours]
        dscores = (softmax(scores) - hot) / N
        dh = dscores @ U
        dW, dU = embedding_backward(dh, centers, V), dscores.T @ W[centers]
        last = np.zeros_like(W)
        last[centers] = dh
        log_p = log_softmax(scores)
        whole_columns, from_log = softmax(scores), (log_p - hot) / N
        whole_columns[:, neighbours] -= 1
        whole_columns /= N
        columns = "`[:, neighbours]` takes whole columns; one number a row is `[np.arange(N), neighbours]`"
        log_as_p = "log p was taken for p: np.exp(log_p) is p"
        same_all(
            call(answer, centers, neighbours, W, U),
            {"loss": loss, "dW": dW, "dU": dU},
            {
                "loss": {
                    "that is the sum over the pairs, not the mean": loss * N,
                    "the sign is wrong": -loss,
                    columns: -log_p[:, neighbours].mean(),
                    "that is the loss of the centers, given the neighbours": (
                        -log_softmax(W[neighbours] @ U.T)[np.arange(N), centers].mean()
                    ),
                    "the scores are with W, not with U": -log_softmax(W[centers] @ W.T)[
                        np.arange(N), neighbours
                    ].mean(),
                },
                "dW": {
                    "of a repeated center only the last gradient is there: it is Exercise 1's backward": last,
                    "1/N is missing: the loss is a mean over the pairs": dW * N,
                    "the gradient went to the neighbours' rows; W was looked up at the centers": embedding_backward(
                        dh, neighbours, V
                    ),
                    "1 isn't subtracted at the neighbours": embedding_backward(softmax(scores) @ U / N, centers, V),
                    columns: embedding_backward(whole_columns @ U, centers, V),
                    log_as_p: embedding_backward(from_log @ U, centers, V),
                    "that is dU: the order is loss, dW, dU": dU,
                },
                "dU": {
                    "1/N is missing: the loss is a mean over the pairs": dU * N,
                    "1 isn't subtracted at the neighbours": softmax(scores).T @ W[centers] / N,
                    "that is dW": dW,
                    "only the neighbours' rows have a gradient, but every row of U made scores: dscores is (N, V)": (
                        embedding_backward(W[centers], neighbours, V)
                    ),
                    columns: whole_columns.T @ W[centers],
                    log_as_p: from_log.T @ W[centers],
                },
            },
            sizes={"N": N, "V": V, "D": D},
        )


@exercise(lesson=4)
def check_sinusoid_table(answer):
    for P, D in ((7, 6), (50, 10), (3, 4)):
        t, i = np.arange(P)[:, None], np.arange(0, D, 2)
        angle = t / 10000 ** (i / D)

        def table(angle, first=np.sin, second=np.cos, D=D):
            values = np.empty((len(angle), D))
            values[:, 0::2], values[:, 1::2] = first(angle), second(angle)
            return values

        wanted = table(angle)
        same(
            call(answer, P, D),
            wanted,
            "sinusoid_table(P, D)",
            mistakes={
                "all sines come first, then all cosines; they alternate: sine of pair 0, cosine of pair 0, …": (
                    np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
                ),
                "sine and cosine have changed places: the sine is in the even columns": table(angle, np.cos, np.sin),
                "the exponent is i/D; with the pair's number i it is 2i/D": table(t / 10000 ** (np.arange(D // 2) / D)),
                "the exponent is 4i/D: 2i was taken twice": table(t / 10000 ** (2 * i / D)),
                "the angle is multiplied by 10000^(2i/D); divide": table(t * 10000 ** (i / D)),
                "positions are counted from 1; the first one is 0": table((t + 1) / 10000 ** (i / D)),
                "i was the column's number (0 … D − 1) instead of the pair's (0 … D/2 − 1)": np.where(
                    np.arange(D) % 2 == 0,
                    np.sin(t / 10000 ** (2 * np.arange(D) / D)),
                    np.cos(t / 10000 ** (2 * np.arange(D) / D)),
                ),
                "all frequencies are 1: `//` makes 0 of every exponent": table(t / 10000 ** (i // D)),
                "2π is too many: sine and cosine take the angle ωt as it is": table(2 * np.pi * t / 10000 ** (i / D)),
                "every column has a frequency of its own; the sine and the cosine of a pair share one": (
                    np.where(
                        np.arange(D) % 2 == 0,
                        np.sin(t / 10000 ** (np.arange(D) / D)),
                        np.cos(t / 10000 ** (np.arange(D) / D)),
                    )
                ),
            },
        )
    same(call(answer, 40, 8), sinusoids(40, 8).astype("float64"), "sinusoid_table(40, 8)")


@exercise(lesson=4)
def check_shift_matrix(answer):
    for delta, D in ((3, 6), (1, 4), (-5, 8)):
        table = _sinusoids_in_float64(120, D)
        t = np.concatenate([[10], draw_integers(10, 100, 8)])
        M = call(answer, delta, D)
        name = f"P[t] @ shift_matrix({delta}, {D})"
        M = np.asarray(M)
        if M.shape != (D, D):
            same(M, np.empty((D, D)), f"shift_matrix({delta}, {D})")
        pairs = np.arange(0, D, 2)
        twice = _sinusoids_in_float64(240, D)
        angles, i = delta / 10000 ** (pairs / D), np.arange(D // 2)
        no_minus = _rotations(angles, pairs, pairs + 1)
        no_minus[pairs, pairs + 1] = np.sin(angles)
        everywhere = np.empty((D, D))
        everywhere[0::2, 0::2] = everywhere[1::2, 1::2] = np.cos(angles)
        everywhere[0::2, 1::2], everywhere[1::2, 0::2] = -np.sin(angles), np.sin(angles)
        same(
            table[t] @ M,
            table[t + delta],
            name,
            mistakes={
                "it moves the other way, to P[t − Δ]: the sign of the angle is wrong, or the matrix is transposed (the "
                "row P[t] stands on its left)"
                if delta > 0
                else "a negative Δ moves as a positive one does: its sign was lost": table[t - delta],
                "the minus is missing: in a rotation one of the two sines has it": table[t] @ no_minus,
                "the blocks are right, but in the places i and i + D/2; pair i has 2i and 2i + 1": (
                    table[t] @ _rotations(angles, i, i + D // 2)
                ),
                "there is a block in every place, not only on the diagonal: `M[0::2, 0::2] = …` fills all of them": (
                    table[t] @ everywhere
                ),
                "that is P[t] itself: nothing was turned": table[t],
                "all pairs were turned by the angle Δ; pair i turns by Δ/10000^(2i/D)": _turned(
                    table[t], np.full(len(pairs), float(delta))
                ),
                "the angles are Δ·10000^(2i/D); divide": _turned(table[t], delta * 10000.0 ** (pairs / D)),
                "that is P[t + 2Δ]": twice[t + 2 * delta],
                "the angles are Δ/10000^(4i/D): 2i was taken twice": _turned(
                    table[t], delta / 10000 ** (2 * pairs / D)
                ),
            },
            tolerance=1e-4,
        )


def _sinusoids_in_float64(P, D):
    angle = np.arange(P)[:, None] / 10000 ** (np.arange(0, D, 2) / D)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(P, D)


def _rotations(angles, s, c):
    """(D, D): the pair of columns s[i], c[i] turns by angles[i]."""
    M = np.zeros((2 * len(angles), 2 * len(angles)))
    M[s, s] = M[c, c] = np.cos(angles)
    M[s, c], M[c, s] = -np.sin(angles), np.sin(angles)
    return M


def _turned(rows, angles):
    s, c = rows[:, 0::2], rows[:, 1::2]
    turned = np.empty_like(rows)
    turned[:, 0::2], turned[:, 1::2] = s * np.cos(angles) + c * np.sin(angles), c * np.cos(angles) - s * np.sin(angles)
    return turned


@exercise(lesson=4)
def check_three_tables_backward(answer):
    for B, T, D, V, P in ((3, 4, 5, 7, 6), (1, 3, 2, 5, 8), (2, 5, 3, 6, 5)):
        ids, types = draw_integers(1, V, B, T), draw_integers(0, 2, B, T)
        ids[0, :3] = 1, 1, 0
        types[0, :3] = 0, 1, 0
        dx = draw(B, T, D)
        dwords, dtypes = embedding_backward(dx, ids, V), embedding_backward(dx, types, 2)
        dpositions = np.zeros((P, D))
        dpositions[:T] = dx.sum(axis=0)
        position_mistakes = {}
        last_word, last_type = np.zeros((V, D)), np.zeros((2, D))
        last_word[ids], last_type[types] = dx, dx
        no_first_word, no_first_type = dwords.copy(), dtypes.copy()
        no_first_word[0], no_first_type[0] = 0, 0
        only_the_last = "of a row that is used again only the last gradient is there: it is Exercise 1's backward"
        as_padding = "row 0 was left out, as if it were padding; none of these tables has a padding_idx here"
        if P > T:
            too_few = f"these are the first T = {T} rows only; the rows from T on were not used and get zeros"
            position_mistakes[too_few] = dx.sum(axis=0)
            from_the_end = np.concatenate([np.zeros((P - T, D)), dx.sum(axis=0)])
            position_mistakes["the rows are filled from the end; position t is row t"] = from_the_end
        if B > 1:
            last = np.zeros((P, D))
            last[:T] = dx[-1]
            first = np.zeros((P, D))
            first[:T] = dx[0]
            position_mistakes |= {
                "that is the mean over the batch; every text uses the row, and uses are summed": dpositions / B,
                "only the last text's gradient is there; all texts of the batch share row t, and their gradients are "
                "summed": last,
                "only the first text's gradient is there; all texts of the batch share row t, and their gradients are "
                "summed": first,
            }
        same_all(
            call(answer, dx, ids, types, V, P),
            {"dwords": dwords, "dpositions": dpositions, "dtypes": dtypes},
            {
                "dwords": {
                    "that is a third of it: every summand gets the whole gradient of the sum": dwords / 3,
                    only_the_last: last_word,
                    as_padding: no_first_word,
                    "that is dpositions: the order is dwords, dpositions, dtypes": dpositions,
                },
                "dpositions": position_mistakes,
                "dtypes": {
                    "the rows have changed places": dtypes[::-1],
                    only_the_last: last_type,
                    as_padding: no_first_type,
                    "both rows got the sum over all tokens; a token's gradient goes to the row of its type only": (
                        np.stack([dx.sum(axis=(0, 1))] * 2)
                    ),
                },
            },
            sizes={"B": B, "T": T},
        )

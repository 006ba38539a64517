"""Lesson 04's checkers: embeddings and positions."""

import math

import numpy as np

from edutransformers.backend import scatter_add
from edutransformers.functional.softmax import log_softmax, softmax
from edutransformers.layers import sinusoids
from tests.lessons.common import suite_of

# ---------------------------------------------------------------------------------------------------------------------
# The look-up's backward
# ---------------------------------------------------------------------------------------------------------------------


def by_add_at(dy, ids, V, padding_idx=None):
    dW = np.zeros((V, dy.shape[-1]), dtype=dy.dtype)
    np.add.at(dW, ids.reshape(-1), dy.reshape(-1, dy.shape[-1]))
    if padding_idx is not None:
        dW[padding_idx] = 0
    return dW


def by_one_hot_product(dy, ids, V, padding_idx=None):
    one_hot = np.eye(V)[ids.reshape(-1)]
    if padding_idx is not None:
        one_hot[:, padding_idx] = 0
    return one_hot.T @ dy.reshape(-1, dy.shape[-1])


def by_a_loop_in_place(dy, ids, V, padding_idx=None):
    if padding_idx is not None:
        dy[ids == padding_idx] = 0
    dW = [[0.0] * dy.shape[-1] for _ in range(V)]
    for place in np.ndindex(ids.shape):
        for d, value in enumerate(dy[place]):
            dW[ids[place]][d] += float(value)
    return dW


def by_the_library_in_float32(dy, ids, V, padding_idx=None):
    dW = np.zeros((V, dy.shape[-1]), dtype="float32")
    scatter_add(dW, ids.reshape(-1), dy.reshape(-1, dy.shape[-1]).astype("float32"))
    if padding_idx is not None:
        dW[padding_idx] = 0
    return dW


def by_indexing(dy, ids, V, padding_idx=None):
    dW = np.zeros((V, dy.shape[-1]))
    dW[ids] += dy
    return dW


def text_by_text(dy, ids, V, padding_idx=None):
    dW = np.zeros((V, dy.shape[-1]))
    for of_text, rows in zip(ids, dy):
        dW[of_text] += rows
    return dW


def mean_instead_of_sum(dy, ids, V, padding_idx=None):
    counts = np.maximum(np.bincount(ids.reshape(-1), minlength=V), 1)
    return by_add_at(dy, ids, V) / counts[:, None]


def padding_if_true(dy, ids, V, padding_idx=None):
    return by_add_at(dy, ids, V, padding_idx or None)


def padding_is_row_zero(dy, ids, V, padding_idx=None):
    return by_add_at(dy, ids, V, None if padding_idx is None else 0)


def always_padded(dy, ids, V, padding_idx=0):
    return by_add_at(dy, ids, V, padding_idx)


def word_by_word(dy, ids, V, padding_idx=None):
    return np.stack([dy[ids == v].sum(axis=0) * (v != padding_idx) for v in range(V)])


# ---------------------------------------------------------------------------------------------------------------------
# Pairs of words
# ---------------------------------------------------------------------------------------------------------------------


def pairs(centers, neighbours, W, U):
    h, N = W[centers], len(centers)
    log_p = log_softmax(h @ U.T)
    dscores = (np.exp(log_p) - np.eye(len(U))[neighbours]) / N
    loss = -log_p[np.arange(N), neighbours].mean()
    return loss, by_add_at(dscores @ U, centers, len(W)), dscores.T @ h


def pairs_one_by_one(centers, neighbours, W, U):
    loss, dW, dU = 0.0, np.zeros_like(W), np.zeros_like(U)
    for center, neighbour in zip(centers, neighbours):
        p = softmax(U @ W[center])
        loss -= math.log(p[neighbour]) / len(centers)
        p[neighbour] -= 1
        dW[center] += p @ U / len(centers)
        dU += np.outer(p, W[center]) / len(centers)
    return [loss, dW, dU]


def pairs_float32(centers, neighbours, W, U):
    return pairs(centers, neighbours, W.astype("float32"), U.astype("float32"))


def pairs_with(**changes):
    """The pairs' gradients with one thing changed."""

    def answer(centers, neighbours, W, U):
        h, N = W[centers], len(centers)
        log_p = log_softmax(h @ changes.get("table", lambda W, U: U)(W, U).T)
        dscores = changes.get("dscores", lambda p, hot, N: (p - hot) / N)(np.exp(log_p), np.eye(len(U))[neighbours], N)
        loss = changes.get("loss", lambda costs: costs.mean())(-log_p[np.arange(N), neighbours])
        rows = changes.get("rows", lambda centers, neighbours: centers)(centers, neighbours)
        scatter = changes.get("scatter", by_add_at)
        return loss, scatter(dscores @ U, rows, len(W)), dscores.T @ h

    return answer


def whole_columns(centers, neighbours, W, U):
    h, N = W[centers], len(centers)
    log_p = log_softmax(h @ U.T)
    dscores = np.exp(log_p)
    dscores[:, neighbours] -= 1
    dscores /= N
    return -log_p[np.arange(N), neighbours].mean(), by_add_at(dscores @ U, centers, len(W)), dscores.T @ h


def loss_of_whole_columns(centers, neighbours, W, U):
    log_p = log_softmax(W[centers] @ U.T)
    return -log_p[:, neighbours].mean(), *pairs(centers, neighbours, W, U)[1:]


def log_for_p(centers, neighbours, W, U):
    h, N = W[centers], len(centers)
    dscores = (log_softmax(h @ U.T) - np.eye(len(U))[neighbours]) / N
    return pairs(centers, neighbours, W, U)[0], by_add_at(dscores @ U, centers, len(W)), dscores.T @ h


def only_neighbours_learn(centers, neighbours, W, U):
    loss, dW, _ = pairs(centers, neighbours, W, U)
    return loss, dW, by_add_at(W[centers], neighbours, len(U))


# ---------------------------------------------------------------------------------------------------------------------
# Sinusoids
# ---------------------------------------------------------------------------------------------------------------------


def table_by_columns(P, D):
    angle = np.arange(P)[:, None] / 10000 ** (np.arange(0, D, 2) / D)
    table = np.empty((P, D))
    table[:, 0::2], table[:, 1::2] = np.sin(angle), np.cos(angle)
    return table


def table_by_a_loop(P, D):
    rows = []
    for t in range(P):
        rows.append([])
        for i in range(D // 2):
            angle = t * 10000 ** (-2 * i / D)
            rows[-1] += [math.sin(angle), math.cos(angle)]
    return rows


def table_by_complex_powers(P, D):
    turns = np.exp(1j * np.outer(np.arange(P), np.exp(-math.log(10000.0) * np.arange(0, D, 2) / D)))
    return np.stack([turns.imag, turns.real], axis=-1).reshape(P, D)


def table_of(angle, first=np.sin, second=np.cos):
    """A table with other angles."""

    def answer(P, D):
        values = angle(np.arange(P)[:, None], np.arange(D // 2), D)
        return np.stack([first(values), second(values)], axis=-1).reshape(P, D)

    return answer


def table_of_columns_own_numbers(P, D):
    t, column = np.arange(P)[:, None], np.arange(D)
    angle = t / 10000 ** (2 * column / D)
    return np.where(column % 2 == 0, np.sin(angle), np.cos(angle))


def shift_by_blocks(delta, D):
    M = np.zeros((D, D))
    for i in range(D // 2):
        angle = delta / 10000 ** (2 * i / D)
        M[2 * i, 2 * i] = M[2 * i + 1, 2 * i + 1] = math.cos(angle)
        M[2 * i, 2 * i + 1], M[2 * i + 1, 2 * i] = -math.sin(angle), math.sin(angle)
    return M


def shift_by_indices(delta, D):
    s = np.arange(0, D, 2)
    angle = delta / 10000 ** (s / D)
    M = np.zeros((D, D), dtype="float32")
    M[s, s], M[s, s + 1], M[s + 1, s], M[s + 1, s + 1] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    return M


def shift_by_one_step_repeated(delta, D):
    step = shift_by_blocks(1 if delta > 0 else -1, D)
    return np.linalg.matrix_power(step, abs(delta)).tolist()


def shift_without_minus(delta, D):
    M = shift_by_blocks(delta, D)
    M[np.arange(0, D, 2), np.arange(1, D, 2)] *= -1
    return M


def shift_in_halves(delta, D):
    M, order = shift_by_blocks(delta, D), [*range(0, D, 2), *range(1, D, 2)]
    return M[np.ix_(order, order)]


def shift_everywhere(delta, D):
    angle = delta / 10000 ** (np.arange(0, D, 2) / D)
    M = np.empty((D, D))
    M[0::2, 0::2] = M[1::2, 1::2] = np.cos(angle)
    M[0::2, 1::2], M[1::2, 0::2] = -np.sin(angle), np.sin(angle)
    return M


def shift_with(angle):
    """A shift by other angles."""

    def answer(delta, D):
        M = np.zeros((D, D))
        for i in range(D // 2):
            s, c = np.sin(angle(delta, i, D)), np.cos(angle(delta, i, D))
            M[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[c, -s], [s, c]]
        return M

    return answer


# ---------------------------------------------------------------------------------------------------------------------
# Three tables
# ---------------------------------------------------------------------------------------------------------------------


def three(dx, ids, types, V, P):
    dpositions = np.zeros((P, dx.shape[-1]), dtype=dx.dtype)
    dpositions[: dx.shape[1]] = dx.sum(axis=0)
    return by_add_at(dx, ids, V), dpositions, by_add_at(dx, types, 2)


def three_by_look_ups(dx, ids, types, V, P):
    """Positions as ids, as any other."""
    positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    return [by_one_hot_product(dx, which, rows) for which, rows in ((ids, V), (positions, P), (types, 2))]


def three_by_text(dx, ids, types, V, P):
    dwords, dpositions, dtypes = (np.zeros((rows, dx.shape[-1])) for rows in (V, P, 2))
    for gradient, words, kinds in zip(dx, ids, types):
        for t, row in enumerate(gradient):
            dwords[words[t]] += row
            dpositions[t] += row
            dtypes[kinds[t]] += row
    return dwords, dpositions, dtypes


def three_float32(dx, ids, types, V, P):
    return three(dx.astype("float32"), ids, types, V, P)


def positions_with(change):
    def answer(dx, ids, types, V, P):
        dwords, dpositions, dtypes = three(dx, ids, types, V, P)
        return dwords, change(dpositions, dx, P), dtypes

    return answer


def last_text_only(dpositions, dx, P):
    dpositions[: dx.shape[1]] = dx[-1]
    return dpositions


def unsummed(dpositions, dx, P):
    result = np.zeros((len(dx), *dpositions.shape))
    result[:, : dx.shape[1]] = dx
    return result


RIGHT = {
    "embedding_backward": {
        "np.add.at": by_add_at,
        "one-hot product": by_one_hot_product,
        "a loop, a list, in place": by_a_loop_in_place,
        "the library's, float32": by_the_library_in_float32,
        "word by word": word_by_word,
    },
    "pair_loss_and_gradients": {"arrays": pairs, "one by one, a list": pairs_one_by_one, "float32": pairs_float32},
    "sinusoid_table": {
        "by columns": table_by_columns,
        "a loop, a list": table_by_a_loop,
        "powers of complex numbers": table_by_complex_powers,
        "the library's, float32": sinusoids,
    },
    "shift_matrix": {
        "blocks": shift_by_blocks,
        "by indices, float32": shift_by_indices,
        "one step repeated, a list": shift_by_one_step_repeated,
    },
    "three_tables_backward": {
        "a sum and two look-ups": three,
        "three look-ups": three_by_look_ups,
        "token by token": three_by_text,
        "float32": three_float32,
    },
}

WRONG = {
    "embedding_backward": {
        "dW[ids] += dy": (by_indexing, "only the last gradient is there"),
        "text by text": (text_by_text, "repeated within a text"),
        "mean": (mean_instead_of_sum, "that is the mean over an id's places"),
        "padding learns": (lambda dy, ids, V, padding_idx=None: by_add_at(dy, ids, V), "the row of padding_idx has"),
        "if padding_idx": (padding_if_true, "padding_idx=0 was taken for none"),
        "row 0 is padding": (padding_is_row_zero, "the row 0 was left out"),
        "row 0 is padding without padding_idx": (always_padded, "there is no padding_idx here"),
        "too few rows": (
            lambda dy, ids, V, padding_idx=None: by_add_at(dy, ids, int(ids.max()) + 1, padding_idx),
            "dW has the wrong shape",
        ),
    },
    "pair_loss_and_gradients": {
        "sum": (pairs_with(loss=lambda costs: costs.sum()), "that is the sum over the pairs"),
        "sign": (pairs_with(loss=lambda costs: -costs.mean()), "the sign is wrong"),
        "W for U": (pairs_with(table=lambda W, U: W), "the scores are with W, not with U"),
        "1/N missing": (pairs_with(dscores=lambda p, hot, N: p - hot), "1/N is missing"),
        "no − 1": (pairs_with(dscores=lambda p, hot, N: p / N), "1 isn't subtracted"),
        "repeated centers": (pairs_with(scatter=by_indexing), "of a repeated center only the last gradient"),
        "[:, neighbours] in the loss": (loss_of_whole_columns, "`[:, neighbours]` takes whole columns"),
        "[:, neighbours] in the gradient": (whole_columns, "`[:, neighbours]` takes whole columns"),
        "log p": (log_for_p, "log p was taken for p"),
        "other order": (lambda *inputs: [pairs(*inputs)[i] for i in (0, 2, 1)], "the order is loss, dW, dU"),
        "dU by scatter": (only_neighbours_learn, "dscores is (N, V)"),
        "neighbours' rows": (pairs_with(rows=lambda centers, neighbours: neighbours), "went to the neighbours' rows"),
    },
    "sinusoid_table": {
        "halves": (lambda P, D: sinusoids(P, D, interleaved=False), "they alternate"),
        "cosine first": (
            table_of(lambda t, i, D: t / 10000 ** (2 * i / D), np.cos, np.sin),
            "sine and cosine have changed places",
        ),
        "i/D": (table_of(lambda t, i, D: t / 10000 ** (i / D)), "the exponent is i/D"),
        "4i/D": (table_of(lambda t, i, D: t / 10000 ** (4 * i / D)), "2i was taken twice"),
        "multiplied": (table_of(lambda t, i, D: t * 10000 ** (2 * i / D)), "the angle is multiplied"),
        "from 1": (table_of(lambda t, i, D: (t + 1) / 10000 ** (2 * i / D)), "positions are counted from 1"),
        "columns' numbers": (table_of_columns_own_numbers, "i was the column's number"),
        "//": (table_of(lambda t, i, D: t / 10000 ** (2 * i // D)), "`//` makes 0 of every exponent"),
        "2π": (table_of(lambda t, i, D: 2 * np.pi * t / 10000 ** (2 * i / D)), "2π is too many"),
    },
    "shift_matrix": {
        "transposed": (lambda delta, D: shift_by_blocks(delta, D).T, "it moves the other way"),
        "nothing": (lambda delta, D: np.eye(D), "nothing was turned"),
        "one angle": (shift_with(lambda delta, i, D: delta), "all pairs were turned by the angle Δ"),
        "multiplied": (shift_with(lambda delta, i, D: delta * 10000.0 ** (2 * i / D)), "divide"),
        "twice": (shift_with(lambda delta, i, D: 2 * delta / 10000 ** (2 * i / D)), "P[t + 2Δ]"),
        "4i/D": (shift_with(lambda delta, i, D: delta / 10000 ** (4 * i / D)), "2i was taken twice"),
        "no sign": (lambda delta, D: shift_by_blocks(abs(delta), D), "its sign was lost"),
        "no minus": (shift_without_minus, "the minus is missing"),
        "halves": (shift_in_halves, "but in the places i and i + D/2"),
        "everywhere": (shift_everywhere, "there is a block in every place"),
        "one pair": (lambda delta, D: shift_by_blocks(delta, D)[:2, :2], "has the wrong shape"),
    },
    "three_tables_backward": {
        "last text": (positions_with(last_text_only), "only the last text's gradient"),
        "mean over texts": (positions_with(lambda d, dx, P: d / len(dx)), "the mean over the batch"),
        "not summed": (positions_with(unsummed), "dpositions has the wrong shape"),
        "padding": (
            lambda dx, ids, types, V, P: (by_add_at(dx, ids, V, 0), *three(dx, ids, types, V, P)[1:]),
            "row 0 was left out, as if it were padding",
        ),
        "types by indexing": (
            lambda dx, ids, types, V, P: (*three(dx, ids, types, V, P)[:2], by_indexing(dx, types, 2)),
            "of a row that is used again only the last gradient is there",
        ),
        "types all": (
            lambda *inputs: (*three(*inputs)[:2], np.stack([inputs[0].sum(axis=(0, 1))] * 2)),
            "both rows got the sum over all tokens",
        ),
        "other order": (lambda *inputs: [three(*inputs)[i] for i in (1, 0, 2)], "that is dpositions"),
        "T rows": (positions_with(lambda d, dx, P: dx.sum(axis=0)), "these are the first T = 4 rows only"),
        "indexing": (
            lambda dx, ids, types, V, P: (by_indexing(dx, ids, V), *three(dx, ids, types, V, P)[1:]),
            "of a row that is used again only the last gradient is there",
        ),
        "types swapped": (
            lambda dx, ids, types, V, P: (*three(dx, ids, types, V, P)[:2], by_add_at(dx, 1 - types, 2)),
            "the rows have changed places",
        ),
        "a third": (lambda *inputs: (three(*inputs)[0] / 3, *three(*inputs)[1:]), "that is a third of it"),
    },
}

test_right, test_wrong, test_complete = suite_of(4, RIGHT, WRONG)

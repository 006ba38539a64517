"""Lesson 05, its second half: pairs cut to a length, rows filled up to one."""

import numpy as np

from ..checker import CheckFailed, call, draw_integers, equal, exercise, holds, same_all


@exercise(lesson=5)
def check_truncate_pair(answer):
    rng = np.random.default_rng()
    short, long = int(rng.integers(3, 6)), int(rng.integers(12, 17))
    cases = [
        (short, short, 2 * short + 2),  # fits
        (long, long + 1, 10),
        (long, short, 4),
        (long, short, short + long - 3),
        (short, long, 2 * short + 2),
        (long, 0, short),
        (short, long, short + long),  # fits
        (long + 1, long, 9),
    ]
    for first_size, second_size, room in cases:
        first = draw_integers(100, 1000, first_size).tolist()
        second = draw_integers(100, 1000, second_size).tolist()
        before = list(first), list(second)
        inputs = [first, second]
        got = _returned_pair(call(answer, first, second, room), "truncate_pair(first, second, room)")
        _unchanged(answer, inputs, before, room)
        name = f"truncate_pair of {first_size} and {second_size} ids with room for {room}"
        choices = _kept(first_size, second_size, room)
        wanted = [(first[:m], second[:n]) for m, n in choices]
        if got in wanted:
            holds(True, "")
            continue
        equal(list(got), list(wanted[0]), name, _cutting_mistakes(first, second, room))


def _kept(first, second, room):
    """What may be left of texts of these lengths: [(how many of the first, how many of the second)], two for a tie."""
    excess = max(first + second - room, 0)
    while excess and first != second:
        first, second, excess = (first - 1, second, excess - 1) if first > second else (first, second - 1, excess - 1)
    low, high = excess // 2, excess - excess // 2
    return list(dict.fromkeys([(first - low, second - high), (first - high, second - low)]))


def _cutting_mistakes(first, second, room):
    m, n = _kept(len(first), len(second), room)[0]
    half = room // 2
    one_too_many = [[first[:p], second[:q]] for p, q in _kept(len(first), len(second), room - 1)]
    special = {
        f"room was kept for {fewer} special tokens{sign} it is for these ids alone": [first[:p], second[:q]]
        for fewer in (2, 3)
        for sign, (p, q) in zip(",;", _kept(len(first), len(second), room - fewer))
    }
    excess = len(first) + len(second) - room
    if excess <= 0:
        return special
    at_once = [len(first), len(second)]
    at_once[0 if len(first) > len(second) else 1] -= excess
    return {
        "nothing was cut": [first, second],
        "each text was cut to the room by itself; together they must fit": [first[:room], second[:room]],
        "only the first text was cut; cut the longer one": [first[: max(room - len(second), 0)], second],
        "only the second text was cut; cut the longer one": [first, second[: max(room - len(first), 0)]],
        "both were cut to half the room; the shorter one may stay whole": [first[:half], second[:half]],
        "ids were taken off the beginning; cut the end": [first[len(first) - m :], second[len(second) - n :]],
        "one id too many was cut: exactly `room` of them fit": one_too_many[0],
        "one id too many was cut; exactly `room` of them fit": one_too_many[-1],
        "the shorter text was cut; take ids off the longer one": _cut_the_shorter(first, second, room),
        "everything was taken off one text; which one is longer must be asked again after each id": [
            first[: at_once[0]],
            second[: at_once[1]],
        ],
        "only one id was cut: `if` does it once, `while` until both fit": (
            [first[:-1], second] if len(first) > len(second) else [first, second[:-1]]
        ),
        "the first text filled the room, and the second got the rest; the longer one loses": [
            first[:room],
            second[: max(room - len(first), 0)],
        ],
        "the same number was taken off both; only the longer one loses, until both are equally long": [
            first[: len(first) - (excess - excess // 2)],
            second[: len(second) - excess // 2],
        ],
        **special,
    }


def _cut_the_shorter(first, second, room):
    first, second = list(first), list(second)
    while len(first) + len(second) > room and (first or second):
        shorter = first if (len(first) <= len(second) and first) or not second else second
        shorter.pop()
    return [first, second]


def _unchanged(answer, inputs, before, room):
    answer(*inputs, room)
    holds(
        tuple(inputs) == before,
        "the lists that were passed are shorter afterwards\n  → work on copies: list(first), or first[:n]",
    )


@exercise(lesson=5)
def check_pad_batch(answer):
    rng = np.random.default_rng()
    for side, sizes in (("right", (3, 5, 2)), ("right", (4,)), ("left", (2, 4, 7, 1)), ("right", (6, 6))):
        pad_id = int(rng.integers(2, 9))
        rows = [draw_integers(10, 100, size).tolist() for size in sizes]
        rows[-1][0] = pad_id  # a real token may have the padding's id
        B, T = len(rows), max(sizes)
        ids, mask = np.full((B, T), pad_id), np.zeros((B, T), int)
        other_ids, other_mask = ids.copy(), mask.copy()
        for b, row in enumerate(rows):
            right, left = slice(0, len(row)), slice(T - len(row), T)
            here, there = (right, left) if side == "right" else (left, right)
            ids[b, here], mask[b, here] = row, 1
            other_ids[b, there], other_mask[b, there] = row, 1
        got = call(answer, rows, pad_id) if side == "right" else call(answer, rows, pad_id, side)
        wrong_side = f"padding is on the other side; side={side!r}"
        same_all(
            got,
            {"ids": ids, "mask": mask},
            {
                "ids": {
                    wrong_side: other_ids,
                    "the rows are filled up with 0, not with pad_id": np.where(mask, ids, 0),
                    "the rows are filled up with 0, not with pad_id, and on the wrong side": np.where(
                        other_mask, other_ids, 0
                    ),
                    "that is the mask; return ids, mask": mask,
                    "all rows were cut to the shortest; they are filled up to the longest": ids[:, : min(sizes)],
                },
                "mask": {
                    wrong_side: other_mask,
                    "the mask is the other way round: 1 for a token, 0 for padding": 1 - mask,
                    "the mask was made of the ids; a real token may have the padding's id, so use the lengths": (
                        ids != pad_id
                    ).astype(int),
                    "the mask says 1 everywhere": np.ones_like(mask),
                    "those are the ids; return ids, mask": ids,
                },
            },
            sizes={"B": B, "T": T},
        )
        holds(
            np.asarray(got[0]).dtype.kind in "iu",
            "ids are no whole numbers\n  → an id chooses a row of a table: make the array with np.full((B, T), pad_id) "
            "or with dtype=int",
        )


def _returned_pair(got, name: str) -> tuple:
    if not isinstance(got, (tuple, list)) or len(got) != 2 or not all(np.ndim(part) == 1 for part in got):
        raise CheckFailed(f"{name} should return two lists: return first, second")
    return tuple(np.asarray(part, dtype=int).tolist() for part in got)

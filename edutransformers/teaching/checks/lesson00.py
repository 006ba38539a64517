"""Lesson 00: arrays, broadcasting, and the backend switch."""

import numpy as np

from ..checker import call, draw, equal, exercise, finite, holds, same
from ..pretend_device import pretend_gpu


@exercise(lesson=0)
def check_read_by_strides(answer):
    layouts = (
        (0, (3, 4), (4, 1)),  # rows one after the other
        (5, (3, 4), (4, 1)),  # not from the beginning
        (2, (4, 3), (1, 4)),  # transposed
        (1, (2, 5), (20, 3)),  # every third number
        (40, (6,), (-5,)),  # backwards
        (7, (3, 4), (0, 1)),  # the same row again and again
        (3, (2, 3, 4), (24, 7, 2)),
    )
    for start, shape, strides in layouts:
        memory = draw(60)
        steps = np.indices(shape).reshape(len(shape), -1).T
        offsets = (steps @ np.array(strides)).reshape(shape)
        size = int(np.prod(shape))
        got, name = call(answer, memory, start, shape, strides), f"read_by_strides(memory, {start}, {shape}, {strides})"
        holds(
            not _only_the_first(got, memory[start + offsets], memory),
            f"{name}: only the first number is filled in\n  → does `return` stand inside of the loop?",
        )
        same(
            got,
            memory[start + offsets],
            name,
            mistakes={
                "`start` isn't added: place 0 of the array is memory[start]": np.take(memory, offsets, mode="wrap"),
                "the strides are used in the opposite order: strides[0] belongs to axis 0": np.take(
                    memory, start + (steps @ np.array(strides[::-1])).reshape(shape), mode="wrap"
                ),
                "the numbers are taken one after the other; the strides say how far apart they are": memory[
                    start : start + size
                ].reshape(shape),
                "the numbers are taken one after the other, from the beginning: `start` and `strides` aren't used": (
                    memory[:size].reshape(shape)
                ),
                "each index goes with the stride of its own axis: multiply them in pairs, then add up": np.take(
                    memory, start + (steps.sum(axis=1) * sum(strides)).reshape(shape), mode="wrap"
                ),
                "those are places in memory; the number at a place is memory[place]": start + offsets.astype(float),
                "strides count numbers here, not bytes": np.take(memory, start + offsets // 8, mode="wrap"),
            },
        )


def _only_the_first(got, wanted, memory) -> bool:
    """Whether the rest is what happened to be in an empty array."""
    if np.shape(got) != wanted.shape or np.asarray(got).dtype.kind != "f":
        return False
    got, wanted = np.ravel(got), wanted.ravel()
    return got[0] == wanted[0] and not np.isin(got[1:], memory.astype(got.dtype)).any()


@exercise(lesson=0)
def check_broadcast_shape(answer):
    a, b, c, d = (int(size) for size in np.random.default_rng().permutation(np.arange(2, 8))[:4])
    fitting = [
        ((a, b), (a, b)),
        ((a, b), (b,)),
        ((b,), (a, b)),
        ((a, b), (a, 1)),
        ((a, 1), (1, b)),
        ((a, b, c), (c,)),
        ((a, 1, c), (b, 1)),
        ((d,), (a, b, 1, 1)),
        ((), (a, b)),
    ]
    for first, second in fitting:
        got = _shape_or_error(answer, first, second)
        name = f"broadcast_shape({first}, {second})"
        fitted = np.broadcast_shapes(first, second)
        holds(
            not isinstance(got, _Raised),
            f"{name} raised ValueError, but these shapes fit: {fitted}\n"
            "  → align them on the right; a missing axis counts as 1, and a 1 fits everything",
        )
        shorter = min(len(first), len(second))
        equal(
            tuple(got) if isinstance(got, (tuple, list)) else got,
            fitted,
            name,
            mistakes={
                "the axes that only one of the two has are missing: they count as 1 in the other": (
                    fitted[len(fitted) - shorter :]
                ),
                "`zip` stops where the shorter shape ends, and it pairs from the left: make both equally long first": (
                    tuple(max(pair) for pair in zip(first, second))
                ),
                "the sizes are in the opposite order: you went from right to left": fitted[::-1],
                "the first shape was returned; where it has a 1, the other's size counts": first,
                "the second shape was returned; where it has a 1, the other's size counts": second,
            },
        )
    unfit = [((a, b), (a,)), ((a, b), (a, c)), ((a, b, c), (b, 1, c)), ((a,), (b,)), ((a, b), (2 * a, b))]
    for first, second in unfit:
        got = _shape_or_error(answer, first, second)
        differing = next((x, y) for x, y in zip(reversed(first), reversed(second)) if 1 not in (x, y) and x != y)
        holds(
            not isinstance(got, Exception),
            f"broadcast_shape({first}, {second}) returned {got!r}: an error is raised, not returned",
        )
        holds(
            isinstance(got, _Raised),
            f"broadcast_shape({first}, {second}) returned {got}, but these shapes don't fit\n"
            f"  → aligned on the right, {differing[0]} meets {differing[1]}, and neither is 1: raise ValueError",
        )


class _Raised:
    pass


def _shape_or_error(answer, first, second):
    """What the answer returns, or _Raised for a ValueError."""

    def attempt(first, second):
        try:
            return answer(first, second)
        except ValueError:
            return _Raised()

    return call(attempt if callable(answer) else answer, first, second)


@exercise(lesson=0)
def check_mean_of_tokens(answer):
    for B, T, D in ((2, 5, 3), (3, 7, 4), (1, 4, 2), (4, 4, 4)):
        x = draw(B, T, D) + 1
        shortest = 1 if B == T else T // 2 + 1
        lengths = np.random.default_rng().permutation(np.arange(shortest, shortest + B))  # all different
        mask = (np.arange(T) < lengths[:, None]).astype(np.int64)
        if B == 3:
            mask = mask[:, ::-1]  # padding in front
        real = mask[:, :, None]
        counts = mask.sum(axis=1)[:, None]
        sums = (x * real).sum(axis=1)
        same(
            call(answer, x, mask),
            sums / counts,
            "mean_of_tokens(x, mask)",
            mistakes={
                "the padding is in the mean, too: multiply by the mask first": x.mean(axis=1),
                "it is divided by T; divide by the number of real tokens of each text": sums / T,
                "it isn't divided: that is the sum over the real tokens": sums,
                "the sum has the padding in it, only the count doesn't": x.sum(axis=1) / counts,
                "it is divided by the number of real tokens of the whole batch; each text has its own": sums
                / mask.sum(),
                "x * mask pairs the mask's last axis with D; the mask needs a third axis: mask[:, :, None]": (
                    lambda x=x, mask=mask: (
                        (x * mask).sum(axis=1) / mask.sum(axis=1)[:, None]
                        if x.shape[0] == x.shape[1] == x.shape[2]
                        else np.nan
                    )
                ),
                "the counts go along the wrong axis: keep the axis, (B, 1)": (
                    lambda sums=sums, mask=mask: sums / mask.sum(axis=1) if sums.shape[0] == sums.shape[1] else np.nan
                ),
                "those are the first tokens of each text; `mask` says which ones are real, padding may be in front": (
                    lambda x=x, lengths=lengths: np.stack([rows[:n].mean(axis=0) for rows, n in zip(x, lengths)])
                ),
                "the mean is over D: the tokens lie along axis 1": (
                    lambda x=x, real=real, counts=counts: (x * real).sum(axis=2) / counts
                ),
            },
            sizes={"B": B, "T": T, "D": D},
        )


@exercise(lesson=0)
def check_head_products(answer):
    for B, T, S, H, K in ((2, 3, 4, 5, 6), (1, 5, 2, 3, 4), (3, 2, 2, 4, 5), (2, 4, 4, 4, 3)):
        q, k = draw(B, T, H, K), draw(B, S, H, K)
        products = np.einsum("bthk,bshk->bhts", q, k)
        same(
            call(answer, q, k),
            products,
            "head_products(q, k)",
            mistakes={
                "q and k have changed places: y[b, h, t, s] is q at t with k at s": products.swapaxes(2, 3),
                "the numbers are right, but the axes aren't (B, H, T, S): yours are (B, T, S, H)": (
                    products.transpose(0, 2, 3, 1)
                ),
                "the numbers are right, but the axes aren't (B, H, T, S): yours are (B, T, H, S)": (
                    products.transpose(0, 2, 1, 3)
                ),
                "reshape doesn't swap axes: it reads the same memory in the same order; use transpose or swapaxes": (
                    lambda q=q, k=k: _by_reshaping(q, k)
                ),
                "q is reshaped to (B, H, T, K): that doesn't swap axes; q.swapaxes(1, 2) does": (
                    lambda q=q, k=k: _reshaped(q) @ k.transpose(0, 2, 3, 1)
                ),
                "k is reshaped to (B, H, S, K): that doesn't swap axes; k.swapaxes(1, 2) does": (
                    lambda q=q, k=k: q.swapaxes(1, 2) @ _reshaped(k).swapaxes(2, 3)
                ),
                "k is reshaped to (B, H, K, S): that doesn't move axes; k.transpose(0, 2, 3, 1) does": (
                    lambda q=q, k=k: q.swapaxes(1, 2) @ k.reshape(k.shape[0], k.shape[2], k.shape[3], k.shape[1])
                ),
                "all heads of k are added up: einsum's indices must name the same head in q and k": np.einsum(
                    "bthk,bsgk->bhts", q, k
                ),
                "the heads are added up; each keeps its own table": products.sum(axis=1),
                "`q @ k` pairs the heads with each other: bring H in front of T and S first": (
                    lambda q=q, k=k: q @ k.swapaxes(2, 3) if q.shape[1] == k.shape[1] else np.nan
                ),
            },
            sizes={"K": K, "H": H},
        )


def _by_reshaping(q, k):
    return _reshaped(q) @ _reshaped(k).swapaxes(2, 3)


def _reshaped(x):
    B, T, H, K = x.shape
    return x.reshape(B, H, T, K)


@exercise(lesson=0)
def check_cosine_similarities(answer):
    for N, M, D in ((3, 5, 4), (1, 4, 6), (4, 4, 4)):
        a, b = draw(N, D) * 2, draw(M, D) * 3
        same(call(answer, a, b), _cosines(a, b), "cosine_similarities(a, b)", _cosine_mistakes(a, b), {"D": D})
    a, b = draw(3, 4), draw(2, 4)
    a[1] = 0
    got = finite(
        answer,
        (a, b),
        "cosine_similarities(a, b) holds nan where a row of a is all zeros\n"
        "  → its length is 0, and 0/0 is nan: divide by max(length, a tiny number), as in xp.maximum(length, 1e-12)",
    )
    same(got, _cosines(a, b), "cosine_similarities(a, b) with a row of zeros")
    with pretend_gpu() as cupy:
        device_a, device_b = cupy.asarray(a), cupy.asarray(b)
        got = call(answer, device_a, device_b)
        holds(
            isinstance(got, cupy.ndarray),
            "the arrays were on the device, but the result is on the host\n"
            "  → compute with xp = array_module(a), and leave the result where it is",
        )
        holds(
            cupy.waits == 0,
            f"on the device the host had to wait {cupy.waits} time{'s' * (cupy.waits != 1)}\n"
            "  → no float(…), no `if` on an array, no boolean mask, no to_numpy: stay in arrays, as xp.maximum does",
        )
        same(got, _cosines(a, b), "cosine_similarities(a, b) on the device")


def _cosines(a, b):
    return _unit(a) @ _unit(b).T


def _unit(x):
    return x / np.maximum(np.sqrt((x * x).sum(axis=-1, keepdims=True)), 1e-12)


def _cosine_mistakes(a, b):
    squares_a, squares_b = (a * a).sum(axis=-1, keepdims=True), (b * b).sum(axis=-1, keepdims=True)
    return {
        "the rows aren't divided by their lengths: those are plain dot products": a @ b.T,
        "only the rows of a are divided by their lengths; those of b must be, too": _unit(a) @ b.T,
        "only the rows of b are divided by their lengths; those of a must be, too": a @ _unit(b).T,
        "the square root is missing: a length is √(Σ x²)": (a / squares_a) @ (b / squares_b).T,
        "the lengths are those of the columns; a row's is the sum over axis=-1": (a / np.sqrt((a * a).sum(axis=0)))
        @ (b / np.sqrt((b * b).sum(axis=0))).T,
        "it is divided by the length of the whole array; each row has its own": a
        @ b.T
        / np.sqrt((a * a).sum() * (b * b).sum()),
        "a row's length is √(Σ x²), not Σ |x|": (a / np.abs(a).sum(axis=-1, keepdims=True))
        @ (b / np.abs(b).sum(axis=-1, keepdims=True)).T,
        "it is b with a: the result should be (rows of a, rows of b)": _cosines(b, a),
    }

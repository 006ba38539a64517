"""Lesson 17: Wav2Vec2 learns to read digits aloud."""

import numpy as np

from ...audio import forced_alignment
from ...functional.softmax import log_softmax, softmax
from ...functional.weight_norm import weight_norm, weight_norm_backward
from ..checker import call, draw, draw_integers, exercise, holds, same, same_all


@exercise(lesson=17)
def check_real_frames(answer):
    for kernels, strides, field, distance in (
        ((128, 5, 5), (40, 2, 2), 608, 160),
        ((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), 400, 320),
        ((7, 4), (3, 2), 16, 6),
    ):
        drawn = field + draw_integers(0, 5 * distance, 3)
        edges = field + distance * np.array([6, 3, 0]) - np.array([0, 1, 0])  # one sample less is one frame less
        for lengths in (np.concatenate([edges, drawn]), np.concatenate([drawn[:1], edges[1:]]), edges[:1]):
            right = _real(_frames(lengths, kernels, strides))
            every = right.shape[1]
            same(
                call(answer, lengths, kernels, strides),
                right,
                "real_frames(lengths, kernels, strides)",
                mistakes={
                    "these are the numbers of frames; asked for is which frames are real, (B, T)": _frames(
                        lengths, kernels, strides
                    ),
                    "that is one frame too few in each row: there are (n − K)//s + 1": _real(
                        _frames(lengths, kernels, strides) - 1
                    ),
                    "the + 1 is missing in each layer: (n − K)//s + 1": _real(
                        _frames(lengths, kernels, strides, one=0)
                    ),
                    "n numbers give (n − K)//s + 1, not n//s: the kernel must fit in": _real(
                        _frames(lengths, [0] * len(kernels), strides, one=0)
                    ),
                    "the layers go from the first to the last": _real(_frames(lengths, kernels[::-1], strides[::-1])),
                    "only the last layer was counted: what comes out of one goes into the next": _real(
                        _frames(lengths, kernels[-1:], strides[-1:])
                    ),
                    "only the first layer was counted: what comes out of one goes into the next": _real(
                        _frames(lengths, kernels[:1], strides[:1])
                    ),
                    "frame t of n is real for t < n, not for t ≤ n": np.arange(every)
                    <= _frames(lengths, kernels, strides)[:, None],
                    "every frame is called real: each row has its own number of them": np.ones_like(right),
                    "that is the opposite: True where a frame is real": ~right,
                    "a frame is real only if its whole window is sound, not if it begins in it": np.arange(every)
                    * distance
                    < lengths[:, None],
                    "the axes are (T, B); asked for is (B, T)": right.T,
                },
            )


def _frames(lengths, kernels, strides, one=1):
    n = np.asarray(lengths)
    for kernel, stride in zip(kernels, strides):
        n = (n - kernel) // stride + one
    return n


def _real(n):
    return np.arange(n.max()) < n[:, None]


@exercise(lesson=17)
def check_weight_norm(answer):
    for O, I, K in ((3, 2, 5), (1, 4, 3), (4, 3, 2)):
        v, g = draw(O, I, K), draw(1, 1, K)
        right, norm = weight_norm(v, g, 2)
        same(
            call(answer, v, g),
            right,
            "weight_norm(v, g)",
            mistakes={
                "there is a length for each of the K places, not one for all of v": g * v / np.sqrt((v**2).sum()),
                "there is a length for each place k, not for each output: sum over the first two axes": g
                * v
                / np.sqrt((v**2).sum(axis=(1, 2), keepdims=True)),
                "the sum runs over both of the first axes, O and I: this is over O alone": g
                * v
                / np.sqrt((v**2).sum(axis=0, keepdims=True)),
                "the sum runs over both of the first axes, O and I: this is over I alone": g
                * v
                / np.sqrt((v**2).sum(axis=1, keepdims=True)),
                "g is missing: w has the length |g|, not 1": v / norm,
                "the root is missing: a length is the root of the sum of squares": g * v / norm**2,
                "it is divided by the sum of the numbers' sizes; a length is the root of the sum of squares": g
                * v
                / np.abs(v).sum(axis=(0, 1), keepdims=True),
                "v was multiplied with its length; divide": g * v * norm,
                "the mean of the squares was taken; a length is the root of their sum": g * v / norm * np.sqrt(O * I),
                "v's length is still in it: divide by it": g * v,
            },
        )


@exercise(lesson=17)
def check_weight_norm_backward(answer):
    for O, I, K in ((3, 2, 5), (1, 4, 3), (4, 3, 2)):
        v, g, dw = draw(O, I, K), draw(1, 1, K), draw(O, I, K)
        _, norm = weight_norm(v, g, 2)
        dv, dg = weight_norm_backward(dw, v, g, norm, 2)
        u = v / norm
        same_all(
            call(answer, dw, v, g),
            {"dv": dv, "dg": dg},
            mistakes={
                "dv": {
                    "the length depends on v, too: the part dg · u along v is missing": g / norm * dw,
                    "the part along v must be taken away, not added": g / norm * (dw + dg * u),
                    "g is missing in front: w = g u": dv / g,
                    "1/‖v‖ is missing in front: u = v/‖v‖": dv * norm,
                    "dg is multiplied with v; it must be u, whose length is 1": g / norm * (dw - dg * v),
                    "what is taken away has g in it twice": g / norm * (dw - g * dg * u),
                    "that is divided by the root's content: once by ‖v‖, not by its square": dv / norm,
                    "there is a length for each of the K places, not one for all of v": _whole(dw, v, g),
                },
                "dg": {
                    "1/‖v‖ is missing: dg = Σ dw u, and u = v/‖v‖": dg * norm,
                    "that is the mean; gradients add up": dg / (O * I),
                    "g has a number for each of the K places; this adds up over the places as well": np.broadcast_to(
                        dg.sum(), dg.shape
                    ),
                    "g itself is not in it: w is linear in g": dg * g,
                    "that is the sum of dw alone: each is multiplied with its u": dw.sum(axis=(0, 1), keepdims=True),
                    "keep the axes: g is (1, 1, K), so dg is, too (keepdims=True)": dg[0, 0],
                },
            },
            sizes={"O": O, "I": I, "K": K},
        )


def _whole(dw, v, g):
    norm = np.sqrt((v**2).sum())
    u = v / norm
    return g / norm * (dw - (dw * u).sum() * u)


@exercise(lesson=17)
def check_prefix_beam_search(answer):
    for T, C, width in ((5, 3, 300), (4, 3, 100), (1, 3, 9), (2, 2, 9), (6, 4, 3), (9, 3, 2), (7, 5, 1)):
        y = np.array([[0.6, 0.4], [0.6, 0.4]]) if T == 2 else softmax(1.5 * draw(T, C))
        got, right = _read(call(answer, y, width)), _beam(y, width)
        others = {words: _beam(y, width, how) for words, how in _BEAM_MISTAKES.items()}
        texts = list(dict.fromkeys([*right, *got, *(text for other in others.values() for text in other)]))
        same(
            [got.get(text, 0.0) for text in texts],
            np.array([right.get(text, 0.0) for text in texts]),
            f"the probabilities of the texts {_short(texts)} in a beam of width {width}",
            mistakes={
                words: np.array([other.get(text, 0.0) for text in texts])
                for words, other in others.items()
                if other != right
            },
        )
        values = [float(probability) for _, probability in call(answer, y, width)]
        holds(all(a >= b - 1e-6 for a, b in zip(values, values[1:])), "the texts are not in order: the likeliest first")
        holds(
            len(values) <= width,
            f"there are {len(values)} texts, though the width is {width}: keep the best of each frame",
        )


def _read(found):
    """The answer as a dictionary, without texts of probability 0."""
    holds(
        isinstance(found, (list, tuple)) and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in found),
        f"prefix_beam_search(y, width) should be a list of pairs (text, probability), but is {type(found).__name__} "
        f"{str(found)[:80]}",
    )
    holds(
        all(np.ndim(probability) == 0 for _, probability in found),
        "the second of each pair should be one number, b + e, but is a pair or an array",
    )
    texts = [tuple(int(k) for k in np.ravel(text)) for text, _ in found]
    values = [float(probability) for _, probability in found]
    holds(len(set(texts)) == len(texts), "a text is in the list twice: add up all paths that lead to it")
    holds(
        all(np.isfinite(values)) and all(0 <= p <= 1.001 for p in values),
        f"probabilities lie between 0 and 1; these are {[float(f'{p:.3g}') for p in values[:4]]}"
        + (": are these logarithms?" if min(values, default=0) < 0 else ""),
    )
    return {text: p for text, p in zip(texts, values) if p > 1e-12}


_BEAM_MISTAKES = {
    "the last label once more makes a longer text only from paths that end in a blank: b · y(last)": "repeats",
    "the last label once more also leaves the text as it is: e · y(last) to its new e": "no stay",
    "text + last is missing: after a blank the same label may come again": "no repeat",
    "a blank leaves the text as it is, whatever the paths end in: (b + e) · y(0)": "blank of b",
    "the paths that lead to one text were overwritten: add up": "overwritten",
    "what a text had already was replaced: its new b and e get a share from each way that leads to it": "replaced",
    "that is the best path of each text; all its paths add up": "best path",
    "text + k gets (b + e) · y(k): here it gets e or b alone": "of e",
    "a text's own last label went into b; it ends in a label: e": "wrong b",
    "a text's probability is b + e; that is e alone": "only e",
    "a text's probability is b + e; that is b alone": "only b",
    "the class 0, the blank, is in the texts: k goes from 1 on": "blank label",
}


def _beam(y, width, how=None):
    """{text: probability}, the likeliest first; or with one of the usual mistakes."""
    beam = {(): (1.0, 0.0)}
    for frame in np.asarray(y, dtype=np.float64):
        new: dict = {}

        def add(text, b, e, new=new):
            old = new.get(text, (0.0, 0.0))
            if how == "replaced":
                new[text] = b, e
            elif how == "overwritten":
                new[text] = (b or old[0], e or old[1])
            elif how == "best path":
                new[text] = max(old[0], b), max(old[1], e)
            else:
                new[text] = old[0] + b, old[1] + e

        for text, (b, e) in beam.items():
            total = max(b, e) if how == "best path" else b + e
            add(text, (b if how == "blank of b" else total) * frame[0], 0.0)
            if text and how != "no stay":
                stay = e * frame[text[-1]]
                add(text, *((stay, 0.0) if how == "wrong b" else (0.0, stay)))
            for k in range(0 if how == "blank label" else 1, len(frame)):
                if text and k == text[-1]:
                    if how != "no repeat":
                        add((*text, k), 0.0, (total if how == "repeats" else b) * frame[k])
                else:
                    add((*text, k), 0.0, ((e or b) if how == "of e" else total) * frame[k])
        beam = dict(sorted(new.items(), key=lambda item: -sum(item[1]))[:width])
    value = {"best path": max, "only e": lambda pair: pair[1], "only b": lambda pair: pair[0]}.get(how, sum)
    return {text: value(pair) for text, pair in beam.items() if value(pair) > 1e-12}


def _short(texts):
    texts = list(texts)
    return texts if len(texts) <= 4 else [*texts[:4], "…"]


@exercise(lesson=17)
def check_best_alignment(answer):
    cases = []
    for said, text in (
        ([0, 2, 2, 0, 0, 1, 3, 0, 0, 0], [2, 1, 3]),  # ends in a blank
        ([1, 1, 0, 1, 0, 0, 2, 2, 2], [1, 1, 2]),  # begins and ends in a label
        ([0, 0, 0, 1, 2, 1, 0, 3, 3, 0, 3], [1, 2, 1, 3, 3]),
        ([1, 1, 1, 1, 1, 1], [1, 1]),  # a blank must be between
    ):
        logits = draw(len(said), 5)
        logits[np.arange(len(said)), said] += 4
        cases += [(log_softmax(logits), _extended(text))]
    for _ in range(6):
        text = draw_integers(1, 4, 4)
        cases += [(log_softmax(2 * draw(11, 4)), _extended(text))]
    cases += [
        (log_softmax(draw(3, 5)), _extended([2, 4, 1])),  # no room for a blank: 1, 3, 5
        (log_softmax(draw(4, 5)), _extended([3, 3, 1])),  # room for the one that must be: 1, 2, 3, 5
        (log_softmax(draw(5, 4)), _extended([])),
        (log_softmax(draw(1, 4)), _extended([2])),
    ]
    for log_y, states in cases:
        right, last = _viterbi(log_y, states), len(states) - 1
        path = right[0]
        assert (forced_alignment(log_y, states[1::2]).path == states[path]).all()
        got = np.asarray(call(answer, log_y, states))
        holds(got.dtype.kind in "iuf", f"best_alignment(log_y, states) should be whole numbers, (T,), but is {got!r}")
        mistakes = {
            "these are the classes that the states say; asked for are the states' numbers": states[path],
            "the path is backwards: its first entry is the first frame's": path[::-1],
            "the best state of each frame by itself: that is no path": right[1].argmax(axis=1),
            "the likeliest state of each frame by itself: that is no path through the lattice": log_y[:, states].argmax(
                axis=1
            ),
            "the best end is the better of the last two states; this one always ends in the last blank": _back(
                *right[1:], last
            ),
            "equal labels were skipped between: without the blank they would be one": _viterbi(log_y, states, "labels")[
                0
            ],
            "nothing is skipped: from label to a different label a path may leave the blank out": _viterbi(
                log_y, states, "never"
            )[0],
            "every state may be skipped into; blanks may not, nor a label like the one before it": _viterbi(
                log_y, states, "always"
            )[0],
            "the path may begin in state 0 or 1 only, not anywhere": _viterbi(log_y, states, starts=len(states))[0],
            "the path begins in state 0 or 1; this one begins always in state 0": _viterbi(log_y, states, starts=1)[0],
            "the end is the best of all states of the last frame; the whole text must be said": _back(
                *right[1:], int(right[1][-1].argmax())
            ),
            "these are the states that the frames came from, one frame too early": np.concatenate(
                [path[:1], path[:-1]]
            ),
        }
        if last:
            mistakes["the best end is the better of the last two states; this one always ends in the last label"] = (
                _back(*right[1:], last - 1)
            )
        else:
            mistakes["with an empty text L is 1, and L − 2 is −1: the only state is 0"] = np.where(
                np.arange(len(log_y)) == len(log_y) - 1, -1, 0
            )
            mistakes["with an empty text L is 1, and L − 2 is −1: the only state is number 0"] = -np.ones_like(path)
        same(got, path, "best_alignment(log_y, states)", mistakes={k: m for k, m in mistakes.items() if m is not path})


def _extended(text):
    states = np.zeros(2 * len(text) + 1, dtype=int)
    states[1::2] = text
    return states


def _viterbi(log_y, states, skip="right", starts=2):
    """The best path (T,), δ and from where (T, L); or with one of the usual mistakes."""
    T, L = len(log_y), len(states)
    delta, came_from = np.full((T, L), -np.inf), np.zeros((T, L), dtype=int)
    delta[0, :starts] = log_y[0, states[:starts]]
    for t in range(1, T):
        for s in range(L):
            may = {
                "right": s >= 2 and states[s] != 0 and states[s] != states[s - 2],
                "labels": s >= 2 and states[s] != 0,
                "always": s >= 2,
                "never": False,
            }[skip]
            ways = [s, *([s - 1] if s else []), *([s - 2] if may else [])]
            came_from[t, s] = max(ways, key=lambda way: delta[t - 1, way])
            delta[t, s] = delta[t - 1, came_from[t, s]] + log_y[t, states[s]]
    end = L - 1 if L == 1 or delta[-1, -1] > delta[-1, -2] else L - 2
    return _back(delta, came_from, end), delta, came_from


def _back(delta, came_from, end):
    path = np.full(len(delta), end)
    for t in range(len(delta) - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path

"""Lesson 17, second half: searching the most probable text, and the times of a known one."""

import numpy as np

from ...audio import forced_alignment
from ...functional.softmax import log_softmax, softmax
from ..checker import call, draw, draw_integers, exercise, holds, same


@exercise(lesson=17)
def check_prefix_beam_search(answer):
    for T, C, width in ((5, 3, 300), (4, 3, 100), (1, 3, 9), (2, 2, 9), (6, 4, 3), (9, 3, 2), (7, 5, 1)):
        y = np.array([[0.6, 0.4], [0.6, 0.4]]) if T == 2 else softmax(1.5 * draw(T, C))
        found = call(answer, y, width)
        got, right = _read(found), _beam(y, width)
        others = {words: _beam(y, width, how) for words, how in _BEAM_MISTAKES.items()}
        holds(
            len(found) <= width,
            f"there are {len(found)} texts, though the width is {width}: of each frame's only the likeliest stay",
        )
        texts = list(dict.fromkeys([*right, *got, *(text for other in others.values() for text in other)]))
        texts.sort(key=lambda text: -abs(got.get(text, 0.0) - right.get(text, 0.0)))  # the worst first, to be named
        same(
            [got.get(text, 0.0) for text in texts],
            np.array([right.get(text, 0.0) for text in texts]),
            f"prefix_beam_search(y, {width}), as the probabilities of the texts {_short(texts)},",
            mistakes={
                words: np.array([other.get(text, 0.0) for text in texts])
                for words, other in others.items()
                if other != right
            },
        )
        values = [float(probability) for _, probability in found]
        holds(
            all(a >= b - 1e-6 for a, b in zip(values, values[1:])),
            "the texts are not in order: the likeliest first, by b + e",
        )


def _read(found):
    """The answer as a dictionary, without texts of probability 0."""
    holds(
        isinstance(found, (list, tuple)) and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in found),
        f"prefix_beam_search(y, width) should be a list of pairs (text, probability), but is {type(found).__name__} "
        f"{str(found)[:80]}",
    )
    holds(
        not any(
            np.ndim(first) == 0 and isinstance(second, (tuple, list)) and _is_number(first) for first, second in found
        ),
        "the pairs are the other way round: first the text, then its probability",
    )
    holds(
        all(
            _is_number(k)
            for text, _ in found
            for k in (text if isinstance(text, (tuple, list, np.ndarray)) else [None])
        ),
        "the first of each pair should be a text, that is, a tuple of classes such as (3, 1); here it is "
        f"{next((repr(text) for text, _ in found), '')}",
    )
    holds(
        all(np.ndim(probability) == 0 for _, probability in found),
        "the second of each pair should be one number, b + e, but is a pair or an array",
    )
    texts = [tuple(int(k) for k in np.ravel(text)) for text, _ in found]
    holds(not any(0 in text for text in texts), "the class 0, the blank, is in the texts: k goes from 1 on")
    values = [float(probability) for _, probability in found]
    holds(len(set(texts)) == len(texts), "a text is in the list twice: add up all paths that lead to it")
    holds(
        all(np.isfinite(values)) and all(p >= 0 for p in values),
        f"probabilities lie between 0 and 1; these are {[float(f'{p:.3g}') for p in values[:4]]}"
        + (": are these logarithms?" if min(values, default=0) < 0 else ""),
    )
    return {text: p for text, p in zip(texts, values) if p > 1e-12}


def _is_number(value):
    return isinstance(value, (int, float, np.number))


_BEAM_MISTAKES = {
    "the last label once more leaves the text as it is only for paths that end in it: e · y(last), not b + e": "stays",
    "text + last comes from the paths that end in a blank, b · y(last); here it is e or nothing": "repeat of e",
    "a longer text ends in a label: b · y(last), too, goes to its new e": "repeat into b",
    "the beam was cut at the end alone: after each frame only the likeliest stay": "cut at the end",
    "only one text stays after each frame; `width` of them should": "one stays",
    "the probabilities of those that stay are not to be scaled to a sum of 1": "scaled",
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
                stay = (b + e if how == "stays" else e) * frame[text[-1]]
                add(text, *((stay, 0.0) if how == "wrong b" else (0.0, stay)))
            for k in range(0 if how == "blank label" else 1, len(frame)):
                if text and k == text[-1]:
                    again = {"repeats": total, "repeat of e": e, "no repeat": 0.0}.get(how, b) * frame[k]
                    add((*text, k), *((again, 0.0) if how == "repeat into b" else (0.0, again)))
                else:
                    add((*text, k), 0.0, ((e or b) if how == "of e" else total) * frame[k])
        stay = {"cut at the end": len(new), "one stays": 1}.get(how, width)
        beam = dict(sorted(new.items(), key=lambda item: -sum(item[1]))[:stay])
        if how == "scaled":
            whole = sum(map(sum, beam.values()))
            beam = {text: (b / whole, e / whole) for text, (b, e) in beam.items()}
    beam = dict(list(beam.items())[:width])
    value = {"best path": max, "only e": lambda pair: pair[1], "only b": lambda pair: pair[0]}.get(how, sum)
    return {text: value(pair) for text, pair in beam.items() if value(pair) > 1e-12}


def _short(texts):
    texts = list(texts)
    return texts if len(texts) <= 4 else [*texts[:4], "…"]


@exercise(lesson=17)
def check_best_alignment(answer):
    cases = []
    for said, text in (
        ([0, 2, 2, 0, 0, 1, 3, 3, 0, 0], [2, 1, 3]),  # ends in a blank
        ([1, 1, 0, 1, 0, 0, 2, 2, 2], [1, 1, 2]),  # begins and ends in a label
        ([0, 0, 0, 1, 2, 1, 0, 3, 3, 0, 3], [1, 2, 1, 3, 3]),
        ([1, 2, 0, 0, 1, 2, 0], [1, 2]),  # said twice: nothing leads from the last state to the first
    ):
        logits = draw(len(said), 5) / 3
        logits[np.arange(len(said)), said] += 4
        cases += [(log_softmax(logits), _extended(text))]
    unclear = np.full((6, 5), -4.0)  # the blank in frame 0 is likelier than 1, but then there is no way to say 2
    unclear[0, [0, 1]], unclear[[1, 2], 2], unclear[3:, 0] = [1.0, 0.4], 4.0, 4.0
    cases += [(log_softmax(unclear + 0.1 * draw(6, 5)), _extended([1, 2, 3]))]
    while True:  # one where the sum of the ways leads elsewhere than the best of them
        log_y, states = log_softmax(draw(11, 4)), _extended([1, 2, 3])
        if (_viterbi(log_y, states)[0] != _viterbi(log_y, states, total=np.logaddexp.reduce)[0]).any():
            break
    cases += [(log_y, states)]
    ones = draw(6, 5)  # 1 in each frame, but a blank must be between
    ones[:, 1] += 4
    cases += [(log_softmax(ones), _extended([1, 1]))]
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
        got = call(answer, log_y, states)
        mistakes = {
            "these are the classes that the states say; asked for are the states' numbers": states[path],
            "the path is backwards: its first entry is the first frame's": path[::-1],
            "the best state of each frame by itself: that is no path": right[1].argmax(axis=1),
            "the likeliest state of each frame by itself: that is no path through the lattice": log_y[:, states].argmax(
                axis=1
            ),
            "the ways were added up, as for α; here only the best of them counts": _viterbi(
                log_y, states, total=np.logaddexp.reduce
            )[0],
            "the best end is the better of the last two states; this one always ends in the last blank": _back(
                *right[1:], last
            ),
            "the best end is the better of the last two states; this one always ends in the last label": (
                _back(*right[1:], last - 1) if last else path
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
            "the path is one frame late: frame t takes y at t, and came_from[t] leads from t to t − 1": np.concatenate(
                [path[:1], path[:-1]]
            ),
            "state −1 is the last one for NumPy: the way s − 1 is there only for s ≥ 1": _viterbi(
                log_y, states, around=1
            )[0],
            "state −1 is the last one for NumPy: the way s − 2 is there only for s ≥ 2": _viterbi(
                log_y, states, around=2
            )[0],
            "chosen forwards, frame by frame: what comes later must have a say, so go back from the end": _forwards(
                log_y, states
            ),
        }
        if not last:
            mistakes["with an empty text L is 1, and L − 2 is −1: the only state is 0"] = np.where(
                np.arange(len(log_y)) == len(log_y) - 1, -1, 0
            )
            mistakes["with an empty text L is 1, and L − 2 is −1: the only state is number 0"] = -np.ones_like(path)
        same(got, path, "best_alignment(log_y, states)", mistakes={k: m for k, m in mistakes.items() if m is not path})


def _extended(text):
    states = np.zeros(2 * len(text) + 1, dtype=int)
    states[1::2] = text
    return states


def _viterbi(log_y, states, skip="right", starts=2, around=0, total=max):
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
            if around == 2 and s == 1 < L:
                may = states[s] != 0
            ways = [s, *([s - 1] if s or around == 1 else []), *([s - 2] if may else [])]
            came_from[t, s] = max(ways, key=lambda way: delta[t - 1, way])
            delta[t, s] = total([delta[t - 1, way] for way in ways]) + log_y[t, states[s]]
    end = L - 1 if L == 1 or delta[-1, -1] > delta[-1, -2] else L - 2
    return _back(delta, came_from, end), delta, came_from


def _forwards(log_y, states):
    """From the better of the first two states always on to the best of those that may follow."""
    emission = log_y[:, states]
    path = [int(emission[0, :2].argmax())]
    for frame in emission[1:]:
        s = path[-1]
        ways = [s, *range(s + 1, min(s + 2, len(states)))]
        if s + 2 < len(states) and states[s + 2] not in (0, states[s]):
            ways.append(s + 2)
        path.append(max(ways, key=lambda way: frame[way]))
    return np.array(path)


def _back(delta, came_from, end):
    path = np.full(len(delta), end)
    for t in range(len(delta) - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path

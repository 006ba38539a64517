"""Lesson 17's checkers: Wav2Vec2 learns to read digits aloud."""

import itertools
from collections import defaultdict

import numpy as np

from edutransformers.audio import ctc_beam_search
from edutransformers.functional.weight_norm import weight_norm as library_weight_norm
from edutransformers.functional.weight_norm import weight_norm_backward as library_backward
from edutransformers.teaching.checks.lesson17_search import _back, _beam, _forwards, _viterbi
from tests.lessons.common import in_float32, suite_of

# ---------------------------------------------------------------------------------------------------------------------
# Frames
# ---------------------------------------------------------------------------------------------------------------------


def frame_counts(lengths, kernels, strides):
    n = np.array(lengths)
    for kernel, stride in zip(kernels, strides):
        n = (n - kernel) // stride + 1
    return n


def fractions(lengths, kernels, strides):
    for kernel, stride in zip(kernels, strides):
        lengths = (lengths - kernel) / stride + 1
    return lengths


def mask(n):
    return np.arange(n.max()) < n[:, None]


def real_by_loops(lengths, kernels, strides):
    counts = [int(frame_counts([n], kernels, strides)[0]) for n in lengths]
    return [[t < n for t in range(max(counts))] for n in counts]


def real_by_field(lengths, kernels, strides):
    field, distance = 1, 1
    for kernel, stride in zip(kernels, strides):
        field, distance = field + (kernel - 1) * distance, distance * stride
    T = (max(lengths) - field) // distance + 1
    return (np.arange(T) * distance + field <= np.asarray(lengths)[:, None]).astype("int64")


def real_in_place(lengths, kernels, strides):
    for kernel, stride in zip(kernels, strides):
        lengths -= kernel
        lengths //= stride
        lengths += 1
    return mask(lengths)


def real_where_begun(lengths, kernels, strides):
    T = frame_counts(lengths, kernels, strides).max()
    return np.arange(T) * np.prod(strides) < lengths[:, None]


def one_fewer(lengths, kernels, strides):
    for kernel, stride in zip(kernels, strides):
        lengths = (lengths - kernel) // stride
    return mask(lengths)


# ---------------------------------------------------------------------------------------------------------------------
# Weight norm
# ---------------------------------------------------------------------------------------------------------------------


def length_of(v):
    return np.sqrt((v**2).sum(axis=(0, 1), keepdims=True))


def norm_by_loops(v, g):
    w = np.zeros_like(v)
    for k in range(v.shape[2]):
        w[:, :, k] = g[0, 0, k] * v[:, :, k] / np.linalg.norm(v[:, :, k])
    return w


def norm_in_place(v, g):
    v *= g / length_of(v)
    return v


def norm_backward(dw, v, g):
    return library_backward(dw, v, g, length_of(v), 2)


def backward_by_loops(dw, v, g):
    dv, dg = np.zeros_like(v), np.zeros_like(g)
    for k in range(v.shape[2]):
        size = np.linalg.norm(v[:, :, k])
        u = v[:, :, k] / size
        dg[0, 0, k] = np.vdot(dw[:, :, k], u)
        dv[:, :, k] = g[0, 0, k] * (dw[:, :, k] - dg[0, 0, k] * u) / size
    return dv, dg


def backward_in_place(dw, v, g):
    size = length_of(v)
    v /= size
    dg = np.einsum("oik,oik->k", dw, v)[None, None]
    dw -= dg * v
    dw *= g / size
    return dw, dg


def backward_in_one(dw, v, g):
    squares, along = np.einsum("oik,oik->k", v, v), np.einsum("oik,oik->k", dw, v)
    return [g / squares**0.5 * dw - g * along / squares**1.5 * v, (along / squares**0.5).reshape(1, 1, -1)]


def backward_by_matrix(dw, v, g):
    """The Jacobian of each place, written out."""
    dv, dg = np.zeros_like(v), np.zeros_like(g)
    for k in range(v.shape[2]):
        flat, d = v[:, :, k].ravel(), dw[:, :, k].ravel()
        size = np.sqrt(flat @ flat)
        jacobian = np.eye(len(flat)) / size - np.outer(flat, flat) / size**3
        dv[:, :, k] = (g[0, 0, k] * jacobian @ d).reshape(v.shape[:2])
        dg[0, 0, k] = d @ flat / size
    return dv, dg


def backward_with(dw, v, g, dg=None, share=lambda dg, u, g: dg * u):
    """The formulas as they stand, with another dg, or another share of it taken away."""
    u = v / length_of(v)
    dg = (dw * u).sum(axis=(0, 1), keepdims=True) if dg is None else dg
    return g / length_of(v) * (dw - share(dg, u, g)), dg


def with_dv(change):
    def backward(dw, v, g):
        dv, dg = norm_backward(dw, v, g)
        return change(dv, dw, v, g), dg

    return backward


def with_dg(change):
    def backward(dw, v, g):
        dv, dg = norm_backward(dw, v, g)
        return dv, change(dg, dw, v, g)

    return backward


# ---------------------------------------------------------------------------------------------------------------------
# Searching
# ---------------------------------------------------------------------------------------------------------------------


def beam_by_two_tables(y, width):
    blank, label = {(): 1.0}, {}
    for frame in y:
        new_blank, new_label = defaultdict(float), defaultdict(float)
        for text in {*blank, *label}:
            b, e = blank.get(text, 0.0), label.get(text, 0.0)
            new_blank[text] += (b + e) * frame[0]
            for k, p in enumerate(frame):
                if k == 0:
                    continue
                if text and text[-1] == k:
                    new_label[text] += e * p
                    new_label[text + (k,)] += b * p
                else:
                    new_label[text + (k,)] += (b + e) * p
        totals = {text: new_blank[text] + new_label[text] for text in {*new_blank, *new_label}}
        best = sorted(totals, key=totals.get, reverse=True)[:width]
        blank, label = {t: new_blank[t] for t in best}, {t: new_label[t] for t in best}
    return [[list(t), blank[t] + label[t]] for t in best]


def beam_by_library(y, width):
    found = ctc_beam_search(np.log(y), beam_width=width)
    return [(tuple(text.tokens), np.exp(text.log_probability)) for text in found]


def beam_in_float32(y, width):
    return [(text, np.float32(p)) for text, p in beam_by_two_tables(y.astype("float32"), width)]


def beam(how):
    return lambda y, width: list(_beam(y, width, how).items())


def all_texts(y, width):
    """Every path, without a beam: more texts than the width."""
    found = defaultdict(float)
    for path in itertools.product(range(y.shape[1]), repeat=len(y)):
        text = tuple(k for k, _ in itertools.groupby(path) if k)
        found[text] += float(np.prod(y[np.arange(len(y)), path]))
    return sorted(found.items(), key=lambda item: -item[1])


# ---------------------------------------------------------------------------------------------------------------------
# Aligning
# ---------------------------------------------------------------------------------------------------------------------


def best_alignment(log_y, states):
    return _viterbi(log_y, states)[0]


def alignment_by_paths(log_y, states):
    """The best beginnings themselves in the place of notes."""
    L = len(states)
    best = [(log_y[0, states[s]] if s < 2 else -np.inf, [s]) for s in range(L)]
    for frame in log_y[1:]:
        new = []
        for s in range(L):
            ways = [best[s], *best[max(s - 1, 0) : s]]
            if s > 1 and s % 2 and states[s] != states[s - 2]:
                ways.append(best[s - 2])
            score, path = max(ways, key=lambda way: way[0])
            new.append((score + frame[states[s]], [*path, s]))
        best = new
    return max(best[-2:], key=lambda way: way[0])[1]


def alignment_from_the_end(log_y, states):
    """All states of a frame at once, and the comparison repeated on the way back."""
    T, L = len(log_y), len(states)
    may = np.full(L, -np.inf)
    may[2:][(states[2:] != 0) & (states[2:] != states[:-2])] = 0.0
    delta = np.full((T, L + 2), -np.inf)
    delta[0, 2:4] = log_y[0, states[:2]]
    for t in range(1, T):
        ways = np.stack([delta[t - 1, 2:], delta[t - 1, 1:-1], delta[t - 1, :-2] + may])
        delta[t, 2:] = ways.max(axis=0) + log_y[t, states]
    s = L - 1 if delta[-1, -1] >= delta[-1, -2] else L - 2
    path = [s]
    for t in range(T - 1, 0, -1):
        s -= int(np.argmax([delta[t - 1, s + 2], delta[t - 1, s + 1], delta[t - 1, s] + may[s]]))
        path.append(s)
    return np.array(path[::-1])


def ends_in(place):
    def align(log_y, states):
        _, delta, came_from = _viterbi(log_y, states)
        return _back(delta, came_from, max(len(states) + place, 0))

    return align


def notes_too_early(log_y, states):
    path, _, came_from = _viterbi(log_y, states)
    for t in range(len(path) - 1, 0, -1):
        path[t - 1] = came_from[t - 1, path[t]]
    return path


RIGHT = {
    "real_frames": {
        "counts": lambda lengths, kernels, strides: mask(frame_counts(lengths, kernels, strides)),
        "lists and loops": real_by_loops,
        "by the receptive field, ones and zeros": real_by_field,
        "in place": real_in_place,
        "float32": lambda lengths, kernels, strides: mask(frame_counts(lengths, kernels, strides)).astype("float32"),
    },
    "weight_norm": {
        "root of the squares": lambda v, g: g * v / length_of(v),
        "loops": norm_by_loops,
        "in place": norm_in_place,
        "float32": in_float32(norm_by_loops),
        "the library's": lambda v, g: library_weight_norm(v, g, 2)[0],
    },
    "weight_norm_backward": {
        "the library's": norm_backward,
        "loops": backward_by_loops,
        "in place": backward_in_place,
        "einsum, one formula": backward_in_one,
        "the Jacobian": backward_by_matrix,
        "float32": in_float32(backward_by_loops),
    },
    "prefix_beam_search": {
        "two tables, lists": beam_by_two_tables,
        "the library's": beam_by_library,
        "float32": beam_in_float32,
    },
    "best_alignment": {
        "tables": best_alignment,
        "paths, a list": alignment_by_paths,
        "all states at once": alignment_from_the_end,
        "float32": in_float32(best_alignment),
    },
}

WRONG = {
    "real_frames": {
        "counts": (frame_counts, "which frames are real"),
        "no + 1": (one_fewer, "the + 1 is missing"),
        "n // s": (
            lambda lengths, kernels, strides: mask(frame_counts(lengths, strides, strides)),
            "not n//s",
        ),
        "backwards": (
            lambda n, kernels, strides: mask(frame_counts(n, kernels[::-1], strides[::-1])),
            "first to the last",
        ),
        "last layer only": (
            lambda n, kernels, strides: mask(frame_counts(n, kernels[-1:], strides[-1:])),
            "only the last",
        ),
        "all": (lambda *inputs: np.ones_like(mask(frame_counts(*inputs))), "every frame is called real"),
        "padding": (lambda *inputs: ~mask(frame_counts(*inputs)), "that is the opposite"),
        "where it begins": (real_where_begun, "its whole window is sound"),
        "transposed": (lambda *inputs: mask(frame_counts(*inputs)).T, "the axes are (T, B)"),
        "not rounded": (lambda *inputs: mask(fractions(*inputs)), "rounded down in each layer"),
        "T of samples": (
            lambda lengths, *layers: np.arange(max(lengths)) < frame_counts(lengths, *layers)[:, None],
            "T counts frames, not samples",
        ),
    },
    "weight_norm": {
        "one length": (lambda v, g: g * v / np.sqrt((v**2).sum()), "not one for all of v"),
        "by output": (lambda v, g: g * v / np.sqrt((v**2).sum(axis=(1, 2), keepdims=True)), "not for each output"),
        "over O": (lambda v, g: g * v / np.sqrt((v**2).sum(axis=0, keepdims=True)), "this is over O alone"),
        "no g": (lambda v, g: v / length_of(v), "g is missing"),
        "over the places": (
            lambda v, g: g * v / np.linalg.norm(v, axis=-1, keepdims=True),
            "the sum is over the places",
        ),
        "standardized": (lambda v, g: g * (v - v.mean((0, 1))) / v.std((0, 1)), "the mean was taken away"),
        "|g|": (lambda v, g: np.abs(g) * v / length_of(v), "g keeps its sign"),
        "and the lengths": (lambda v, g: (g * v / length_of(v), length_of(v)), "but is a tuple of 2"),
        "no root": (lambda v, g: g * v / length_of(v) ** 2, "the root is missing"),
        "no length": (lambda v, g: g * v, "v's length is still in it"),
    },
    "weight_norm_backward": {
        "length is a constant": (with_dv(lambda dv, dw, v, g: g / length_of(v) * dw), "the part dg · u along v"),
        "added": (
            with_dv(lambda dv, dw, v, g: 2 * g / length_of(v) * dw - dv),
            "must be taken away, not added",
        ),
        "no g": (with_dv(lambda dv, dw, v, g: dv / g), "g is missing in front"),
        "no length": (with_dv(lambda dv, dw, v, g: dv * length_of(v)), "1/‖v‖ is missing in front"),
        "dg without length": (with_dg(lambda dg, dw, v, g: dg * length_of(v)), "dg = Σ dw u"),
        "dg summed over places": (with_dg(lambda dg, dw, v, g: np.full_like(dg, dg.sum())), "over the places as well"),
        "dg (K,)": (with_dg(lambda dg, dw, v, g: dg.ravel()), "keep the axes"),
        "sum of dw": (with_dg(lambda dg, dw, v, g: dw.sum(axis=(0, 1), keepdims=True)), "the sum of dw alone"),
        "dg without u": (
            lambda *inputs: backward_with(*inputs, share=lambda dg, u, g: dg),
            "stands there without its u",
        ),
        "du for dw": (
            lambda dw, v, g: backward_with(g * dw, v, g, dg=norm_backward(dw, v, g)[1]),
            "g belongs in front once",
        ),
        "du, dg of dw": (
            lambda dw, v, g: backward_with(dw, v, g, share=lambda dg, u, g: dg * u / g),
            "what is taken away lacks g",
        ),
        "u with g": (
            lambda dw, v, g: (
                backward_with(dw, v, g, share=lambda dg, u, g: g**2 * dg * u)[0],
                norm_backward(dw, v, g)[1] * g,
            ),
            "in it too often",
        ),
        "dg of the mean, in both": (
            lambda dw, v, g: backward_with(dw, v, g, dg=(dw * v / length_of(v)).mean((0, 1), keepdims=True)),
            "it is the dg in it: that is the mean",
        ),
        "dg over the places, in both": (
            lambda dw, v, g: backward_with(dw, v, g, dg=np.full_like(g, (dw * v / length_of(v)).sum())),
            "it is the dg in it: g has a number for each",
        ),
        "dv alone": (lambda *inputs: norm_backward(*inputs)[0], "but one was returned"),
        "exchanged": (lambda dw, v, g: norm_backward(dw, v, g)[::-1], "that is dg: the order is dv, dg"),
    },
    "prefix_beam_search": {
        "repeats": (beam("repeats"), "only from paths that end in a blank"),
        "no stay": (beam("no stay"), "also leaves the text as it is"),
        "no repeat": (beam("no repeat"), "text + last is missing"),
        "blank of b": (beam("blank of b"), "whatever the paths end in"),
        "overwritten": (beam("overwritten"), "were overwritten"),
        "replaced": (beam("replaced"), "was replaced"),
        "best path": (beam("best path"), "the best path of each text"),
        "wrong b": (beam("wrong b"), "it ends in a label: e"),
        "only e": (beam("only e"), "that is e alone"),
        "blanks in texts": (beam("blank label"), "the blank, is in the texts"),
        "too many": (all_texts, "of each frame's only the likeliest stay"),
        "e or b": (beam("of e"), "e or b alone"),
        "worst first": (lambda y, width: beam(None)(y, width)[::-1], "not in order"),
        "logarithms": (lambda y, width: [(t, np.log(p)) for t, p in beam(None)(y, width)], "are these logarithms?"),
        "pairs": (lambda y, width: [(t, (p, p)) for t, p in beam(None)(y, width)], "should be one number"),
        "stays with b + e": (beam("stays"), "only for paths that end in it"),
        "again from e": (beam("repeat of e"), "here it is e or nothing"),
        "again into b": (beam("repeat into b"), "goes to its new e"),
        "cut at the end": (beam("cut at the end"), "was cut at the end alone"),
        "width 1": (beam("one stays"), "only one text stays"),
        "scaled": (beam("scaled"), "not to be scaled"),
        "probability first": (
            lambda y, width: [pair[::-1] for pair in beam(None)(y, width)],
            "the other way round",
        ),
        "texts as strings": (
            lambda y, width: [("".join(map(str, text)), p) for text, p in beam(None)(y, width)],
            "a tuple of classes",
        ),
        "generator": (lambda y, width: (pair for pair in beam(None)(y, width)), "is generator"),
        "one text": (lambda y, width: beam_by_library(y, width)[0][0], "a list of pairs"),
    },
    "best_alignment": {
        "classes": (lambda log_y, states: states[best_alignment(log_y, states)], "the states' numbers"),
        "backwards": (lambda log_y, states: best_alignment(log_y, states)[::-1], "the path is backwards"),
        "each frame": (lambda log_y, states: _viterbi(log_y, states)[1].argmax(axis=1), "that is no path"),
        "likeliest state": (lambda log_y, states: log_y[:, states].argmax(axis=1), "no path through the lattice"),
        "last blank": (ends_in(-1), "always ends in the last blank"),
        "last label": (ends_in(-2), "always ends in the last label"),
        "skips equal": (lambda log_y, states: _viterbi(log_y, states, "labels")[0], "equal labels were skipped"),
        "skips never": (lambda log_y, states: _viterbi(log_y, states, "never")[0], "nothing is skipped"),
        "starts at 0": (lambda log_y, states: _viterbi(log_y, states, starts=1)[0], "always in state 0"),
        "around by one": (lambda log_y, states: _viterbi(log_y, states, around=1)[0], "only for s ≥ 1"),
        "around by two": (lambda log_y, states: _viterbi(log_y, states, around=2)[0], "only for s ≥ 2"),
        "sums": (
            lambda log_y, states: _viterbi(log_y, states, total=np.logaddexp.reduce)[0],
            "only the best of them counts",
        ),
        "forwards": (_forwards, "chosen forwards"),
        "any end": (
            lambda log_y, states: _back(*_viterbi(log_y, states)[1:], int(_viterbi(log_y, states)[1][-1].argmax())),
            "best of all states of the last frame",
        ),
        "notes of the frame before": (notes_too_early, "one frame late"),
        "and its value": (
            lambda log_y, states: (best_alignment(log_y, states), _viterbi(log_y, states)[1][-1].max()),
            "but is a tuple of 2",
        ),
        "starts anywhere": (
            lambda log_y, states: _viterbi(log_y, states, starts=len(states))[0],
            "not anywhere",
        ),
    },
}

test_right, test_wrong, test_complete = suite_of(17, RIGHT, WRONG)

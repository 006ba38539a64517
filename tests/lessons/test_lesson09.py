"""Lesson 09's checkers: BERT assembled, and its file of weights."""

import json
import re

import numpy as np

from tests.lessons.common import LESSONS, in_float32, suite_of

_cells = re.split(r"^# %%.*$", (LESSONS / "09_bert.py").read_text(encoding="utf-8"), flags=re.M)
(_given,) = (cell for cell in _cells if "def attention_backward(" in cell)
parts: dict = {}
exec(compile(_given, "the lesson's parts", "exec"), {"np": np}, parts)  # the functions that learners are given
parts["np"] = np
for _function in [value for value in parts.values() if getattr(value, "__code__", None)]:
    _function.__globals__.update(parts)

linear, layer_norm, layer_norm_backward = parts["linear"], parts["layer_norm"], parts["layer_norm_backward"]
attention, attention_backward = parts["attention"], parts["attention_backward"]
feed_forward, feed_forward_backward = parts["feed_forward"], parts["feed_forward_backward"]

NORMS = ("attention_norm", "output_norm")
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}


# ---------------------------------------------------------------------------------------------------------------------
# Embeddings
# ---------------------------------------------------------------------------------------------------------------------


def embeddings(ids, segments, w):
    x = w["words"][ids] + w["segments"][segments] + w["positions"][None, : ids.shape[1]]
    return layer_norm(x, w["norm"])


def embeddings_looped(ids, segments, w):
    rows = [
        [w["words"][i] + w["positions"][t] + w["segments"][s] for t, (i, s) in enumerate(zip(text, kinds))]
        for text, kinds in zip(ids, segments)
    ]
    return layer_norm(np.array(rows), w["norm"])


def embeddings_in_place(ids, segments, w):
    x = np.take(w["words"], ids, axis=0)
    x += np.eye(2)[segments] @ w["segments"]
    x += w["positions"][np.arange(ids.shape[1])]
    return layer_norm(x, w["norm"])


def normed_words_only(ids, segments, w):
    return layer_norm(w["words"][ids], w["norm"]) + w["positions"][: ids.shape[1]] + w["segments"][segments]


# ---------------------------------------------------------------------------------------------------------------------
# The layer
# ---------------------------------------------------------------------------------------------------------------------


def layer(x, w, heads, visible):
    s = x + attention(x, w, heads, visible)
    a = layer_norm(s, w["attention_norm"])
    t = feed_forward(a, w) + a
    return layer_norm(t, w["output_norm"]), (x, s, a, t)


def layer_as_lists(x, w, heads, visible):
    y, cache = layer(x, w, heads, visible)
    return [y.tolist(), [array.tolist() for array in cache]]


def layer_in_place(x, w, heads, visible):
    s = attention(x, w, heads, visible)
    s += x
    a = layer_norm(s, w["attention_norm"])
    t = feed_forward(a, w)
    np.add(t, a, out=t)
    return layer_norm(t, w["output_norm"]), (x, s, a, t)


def layer_that_writes_into_x(x, w, heads, visible):
    x += attention(x, w, heads, visible)
    a = layer_norm(x, w["attention_norm"])
    t = a + feed_forward(a, w)
    return layer_norm(t, w["output_norm"]), (x, x, a, t)


def layer_of(first=lambda x, f: x + f, second=lambda x, a, f: a + f, norms=NORMS, see_all=False):
    def wrong(x, w, heads, visible):
        s = first(x, attention(x, w, heads, np.ones_like(visible) if see_all else visible))
        a = layer_norm(s, w[norms[0]])
        t = second(x, a, feed_forward(a, w))
        return layer_norm(t, w[norms[1]]), (x, s, a, t)

    return wrong


def pre_norm_layer(x, w, heads, visible):
    s = x + attention(layer_norm(x, w["attention_norm"]), w, heads, visible)
    y = s + feed_forward(layer_norm(s, w["output_norm"]), w)
    return y, (x, s, s, y)


def layer_without_last_norm(x, w, heads, visible):
    _, cache = layer(x, w, heads, visible)
    return cache[3], cache


# ---------------------------------------------------------------------------------------------------------------------
# Its backward
# ---------------------------------------------------------------------------------------------------------------------


def backward_of(around_feed_forward="dt", around_attention="ds", first_input="s", second_input="t", drop=()):
    """The right backward, or one with something else in its place."""

    def backward(dy, cache, w, heads, visible):
        have = dict(zip("xsat", cache)) | {"dy": dy, "nothing": 0}
        dw = {}
        have["dt"], dw["output_norm"] = layer_norm_backward(dy, have[second_input], w["output_norm"])
        da, of_feed_forward = feed_forward_backward(have["dt"], have["a"], w)
        have["da"] = da + have[around_feed_forward]
        have["ds"], dw["attention_norm"] = layer_norm_backward(have["da"], have[first_input], w["attention_norm"])
        dx, of_attention = attention_backward(have["ds"], have["x"], w, heads, visible)
        dw |= of_feed_forward | of_attention
        return dx + have[around_attention], {name: pair for name, pair in dw.items() if name not in drop}

    return backward


def backward_that_sees_all(dy, cache, w, heads, visible):
    return backward_of()(dy, cache, w, heads, np.ones_like(visible))


def backward_without_attention(dy, cache, w, heads, visible):
    x, s, a, t = cache
    dt, _ = layer_norm_backward(dy, t, w["output_norm"])
    da, _ = feed_forward_backward(dt, a, w)
    return layer_norm_backward(dt + da, s, w["attention_norm"])


def backward_in_float32(dy, cache, w, heads, visible):
    return in_float32(backward_of())(dy, cache, w, heads, visible)


def backward_as_lists(dy, cache, w, heads, visible):
    dx, dw = backward_of()(dy, cache, w, heads, visible)
    return dx, {name: [d.tolist() for d in dw[name]] for name in sorted(dw)}


def backward_with_norms_exchanged(dy, cache, w, heads, visible):
    dx, dw = backward_of()(dy, cache, w, heads, visible)
    return dx, dw | {"attention_norm": dw["output_norm"], "output_norm": dw["attention_norm"]}


# ---------------------------------------------------------------------------------------------------------------------
# The file, and sentences
# ---------------------------------------------------------------------------------------------------------------------


def reader(start=lambda N: 8 + N, skip=True, shaped=True, order="<", arrangement="C"):
    """The right reader, or one with a mistake."""

    def read(raw):
        N = int.from_bytes(raw[:8], "little")
        tensors = {}
        for name, entry in json.loads(raw[8 : 8 + N]).items():
            if name == "__metadata__":
                if not skip:
                    tensors[name] = entry
                continue
            begin, end = (start(N) + offset for offset in entry["data_offsets"])
            kind = TYPES[entry["dtype"]].replace("<", order)
            tensors[name] = np.frombuffer(raw[begin:end], dtype=kind)
            if shaped:
                tensors[name] = tensors[name].reshape(entry["shape"], order=arrangement)
        return tensors

    return read


def read_with_memory(raw):
    view = memoryview(raw)
    N = sum(byte << 8 * place for place, byte in enumerate(view[:8]))
    header = {k: v for k, v in json.loads(bytes(view[8 : 8 + N])).items() if k != "__metadata__"}
    return {
        name: np.ndarray(
            entry["shape"], TYPES[entry["dtype"]], buffer=raw, offset=8 + N + entry["data_offsets"][0]
        ).copy()
        for name, entry in sorted(header.items())
    }


def read_big_endian_length(raw):
    N = int.from_bytes(raw[:8], "big")
    return json.loads(raw[8 : 8 + N])


def vectors(states, mask):
    mean = np.einsum("btd,bt->bd", states, mask) / mask.sum(axis=1)[:, None]
    return mean / np.sqrt((mean * mean).sum(axis=1, keepdims=True))


def vectors_looped(states, mask):
    rows = [x[m == 1].mean(axis=0) for x, m in zip(states, mask)]
    return [(row / np.sqrt(row @ row)).tolist() for row in rows]


def vectors_of_sums(states, mask):  # the mean's division falls out
    total = (states * mask[..., None]).sum(axis=1)
    return total / np.linalg.norm(total, axis=-1, keepdims=True)


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def mean_of(states, mask):
    return (states * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)


def layer_with_feed_forward_of_s(x, w, heads, visible):
    s = x + attention(x, w, heads, visible)
    a = layer_norm(s, w["attention_norm"])
    t = a + feed_forward(s, w)
    return layer_norm(t, w["output_norm"]), (x, s, a, t)


def backward_step_by_step(
    norms=NORMS,
    attention_input="x",
    feed_forward_input="a",
    into_feed_forward="dt",
    into_attention="ds",
    around_attention="ds",
):
    """The backward pass with one of its arrays taken for another."""

    def back(dy, cache, w, heads, visible):
        inputs, d = dict(zip("xsat", cache)), {"dy": dy}
        first, second = norms
        d["dt"], _ = layer_norm_backward(dy, inputs["t"], w[second])
        d["da"] = d["dt"] + feed_forward_backward(d[into_feed_forward], inputs[feed_forward_input], w)[0]
        d["ds"], _ = layer_norm_backward(d["da"], inputs["s"], w[first])
        through, _ = attention_backward(d[into_attention], inputs[attention_input], w, heads, visible)
        return d[around_attention] + through, {}

    return back


def read_one_after_the_other(raw):
    begin, tensors = 8 + int.from_bytes(raw[:8], "little"), {}
    for name, array in reader()(raw).items():
        tensors[name] = np.frombuffer(raw[begin : begin + array.nbytes], array.dtype).reshape(array.shape)
        begin += array.nbytes
    return tensors


RIGHT = {
    "bert_embeddings": {
        "the sum": embeddings,
        "loops": embeddings_looped,
        "in place": embeddings_in_place,
        "float32": in_float32(embeddings),
    },
    "bert_layer": {
        "the four lines": layer,
        "in place": layer_in_place,
        "lists": layer_as_lists,
        "float32": in_float32(layer),
    },
    "bert_layer_backward": {
        "the mirror": backward_of(),
        "float32": backward_in_float32,
        "lists, another order of keys": backward_as_lists,
    },
    "read_safetensors": {
        "frombuffer": reader(),
        "arrays on the buffer": read_with_memory,
        "float64": lambda raw: {name: array.astype("float64") for name, array in reader()(raw).items()},
    },
    "sentence_vectors": {
        "einsum": vectors,
        "loops, lists": vectors_looped,
        "sums, not means": vectors_of_sums,
        "float32": lambda states, mask: vectors(states.astype("float32"), mask),
    },
}

WRONG = {
    "bert_embeddings": {
        "no norm": (
            lambda ids, segments, w: w["words"][ids] + w["positions"][: ids.shape[1]] + w["segments"][segments],
            "the layer norm is missing",
        ),
        "no segments": (
            lambda ids, segments, w: layer_norm(w["words"][ids] + w["positions"][: ids.shape[1]], w["norm"]),
            "the segments' rows are missing",
        ),
        "positions from 1": (
            lambda ids, segments, w: layer_norm(
                w["words"][ids] + w["positions"][1 : ids.shape[1] + 1] + w["segments"][segments], w["norm"]
            ),
            "count from 0, not from 1",
        ),
        "only the words normalized": (normed_words_only, "here only the words were normalized"),
        "the whole table of positions": (
            lambda ids, segments, w: layer_norm(w["words"][ids] + w["positions"], w["norm"]),
            "the first T rows are wanted",
        ),
        "behind the table": (lambda ids, segments, w: w["positions"][ids + 99], "looked up by the ids?"),
        "one position for all": (
            lambda ids, segments, w: layer_norm(
                w["words"][ids] + w["positions"][ids.shape[1]] + w["segments"][segments], w["norm"]
            ),
            "all tokens got the same position",
        ),
    },
    "bert_layer": {
        "no way around attention": (layer_of(first=lambda x, f: f), "s = x + attention(x)"),
        "no way around the feed-forward part": (layer_of(second=lambda x, a, f: f), "t = a + feed_forward(a)"),
        "x goes around both": (layer_of(second=lambda x, a, f: x + f), "what goes around is a"),
        "pre-norm": (pre_norm_layer, "that is pre-norm"),
        "norms exchanged": (layer_of(norms=NORMS[::-1]), "the two norms are exchanged"),
        "one norm twice": (layer_of(norms=NORMS[:1] * 2), "used for both norms"),
        "padding": (layer_of(see_all=True), "pass visible on"),
        "no last norm": (layer_without_last_norm, "the last norm is missing"),
        "x written over": (layer_that_writes_into_x, "`+=` wrote into x itself"),
        "the feed-forward part of s": (layer_with_feed_forward_of_s, "to which its result is added"),
        "padding alone": (
            lambda x, w, heads, visible: layer(x, w, heads, ~visible),
            "only padding was looked at",
        ),
        "axes for the mask": (
            lambda x, w, heads, visible: layer(x, w, heads, visible[:, None, None]),
            "attention puts in the missing axes",
        ),
        "y alone": (lambda *inputs: layer(*inputs)[0][0, 0], "expected two things to be returned"),
    },
    "bert_layer_backward": {
        "no dt": (backward_of(around_feed_forward="nothing"), "so dt is added"),
        "no ds": (backward_of(around_attention="nothing"), "so ds is added"),
        "neither": (backward_of("nothing", "nothing"), "neither of the two ways around"),
        "dy for dt": (backward_of(around_feed_forward="dy"), "dy was added where dt should be"),
        "da for ds": (backward_of(around_attention="da"), "da was added where ds should be"),
        "a for t": (backward_of(second_input="a"), "needs t, not a"),
        "x for s": (backward_of(first_input="x"), "needs s, not x"),
        "a for s": (backward_of(first_input="a"), "needs s, not a"),
        "a for x": (backward_step_by_step(attention_input="a"), "needs x, not a"),
        "s for x": (backward_step_by_step(attention_input="s"), "needs x, not s"),
        "t for a": (backward_step_by_step(feed_forward_input="t"), "needs a, not t"),
        "s for a": (backward_step_by_step(feed_forward_input="s"), "needs a, not s"),
        "dy through the feed-forward part": (backward_step_by_step(into_feed_forward="dy"), "not dy"),
        "da through attention": (backward_step_by_step(into_attention="da"), "not da"),
        "dt around attention": (backward_step_by_step(around_attention="dt"), "dt was added where ds should be"),
        "dy around attention": (backward_step_by_step(around_attention="dy"), "dy was added where ds should be"),
        "norms' weights exchanged": (backward_step_by_step(norms=NORMS[::-1]), "the two norms' weights are exchanged"),
        "dictionaries inside": (
            lambda dy, cache, w, heads, visible: (
                backward_step_by_step()(dy, cache, w, heads, visible)[0],
                {"attention": {}, "feed_forward": {}},
            ),
            "holds a dictionary inside of it",
        ),
        "padding": (backward_that_sees_all, "pass visible on"),
        "attention left out": (backward_without_attention, "attention's part is missing"),
        "norms lost": (backward_of(drop=NORMS), "the two norms are missing"),
        "norms exchanged": (backward_with_norms_exchanged, "gradients are exchanged"),
    },
    "read_safetensors": {
        "from the file's start": (reader(start=lambda N: 0), "not from the start of the file"),
        "without N": (reader(start=lambda N: 8), "its length N is missing"),
        "without 8": (reader(start=lambda N: N), "the 8 bytes before it are missing"),
        "metadata": (lambda raw: reader(skip=False)(raw) | {"__metadata__": {}}, "__metadata__"),
        "flat": (reader(shaped=False), "reshape"),
        "big-endian": (reader(order=">"), "little-endian"),
        "columns first": (reader(arrangement="F"), "row by row"),
        "length from the wrong end": (read_big_endian_length, "the header is raw[8 : 8 + N]"),
        "header without its 8": (
            lambda raw: json.loads(raw[8 : int.from_bytes(raw[:8], "little")]),
            "the header is raw[8 : 8 + N]",
        ),
        "the end included": (lambda raw: np.frombuffer(raw[:13], "<f4"), "its type says how many make a number"),
        "too many numbers": (lambda raw: np.zeros(9).reshape(2, 4), "too many or too few bytes"),
        "the header's type": (lambda raw: np.frombuffer(raw, "F32"), "TYPES translates them"),
        "metadata's place": (lambda raw: {}["data_offsets"], "pass over it"),
        "one after the other": (read_one_after_the_other, "data_offsets say where each begins"),
        "all as float32": (
            lambda raw: {name: array.astype("float32") for name, array in reader()(raw).items()},
            "the header says float64",
        ),
        "the first alone": (lambda raw: dict([next(iter(reader()(raw).items()))]), "is the `return` inside the loop"),
        "nothing": (lambda raw: {}, "`continue` passes over"),
    },
    "sentence_vectors": {
        "padding counts": (lambda states, mask: unit(states.mean(axis=1)), "padding is in the mean"),
        "not of length 1": (mean_of, "the rows don't have length 1"),
        "[CLS]": (lambda states, mask: unit(states[:, 0]), "that is the first token's state"),
        "each token": (lambda states, mask: unit(mean_of(unit(states), mask)), "each token was scaled"),
        "columns": (
            lambda states, mask: mean_of(states, mask) / np.linalg.norm(mean_of(states, mask), axis=0),
            "each column was scaled",
        ),
        "sums over D": (lambda states, mask: states.sum(axis=2), "sum over the tokens, axis 1"),
        "squared length": (
            lambda states, mask: mean_of(states, mask) / (mean_of(states, mask) ** 2).sum(axis=-1, keepdims=True),
            "the root of that",
        ),
    },
}

test_right, test_wrong, test_complete = suite_of(9, RIGHT, WRONG)

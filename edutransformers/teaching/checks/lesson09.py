"""Lesson 09: BERT assembled, with real weights."""

import numpy as np

from ...functional.normalization import layer_norm, layer_norm_backward
from ...models.bert import BertConfig, BertLayer
from ..checker import CheckFailed, call, draw, draw_integers, equal, exercise, holds, same
from .lesson09_file import call_explained, check_read_safetensors  # noqa: F401 (exercises of this lesson)

EPS = 1e-12
LAYER_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "output_norm": "output.LayerNorm",
}


def norm(x, w):
    return layer_norm(x, *w, EPS)[0]


def norm_backward(dy, x, w):
    """-> dx alone"""
    _, normalized, inverse_std = layer_norm(x, *w, EPS)
    return layer_norm_backward(dy, normalized, inverse_std, w[0])[0]


# ---------------------------------------------------------------------------------------------------------------------
# Embeddings
# ---------------------------------------------------------------------------------------------------------------------


@exercise(lesson=9)
def check_bert_embeddings(answer):
    for B, T, D in ((2, 5, 6), (1, 3, 8), (3, 4, 7)):
        V, P = 9, T + 3
        w = {"words": draw(V, D), "positions": draw(P, D), "segments": draw(2, D), "norm": (1 + draw(D), draw(D))}
        ids, segments = draw_integers(0, V, B, T), draw_integers(0, 2, B, T)
        segments[0, :2] = 0, 1
        words, positions, of_segments = w["words"][ids], w["positions"][:T], w["segments"][segments]
        same(
            call_explained(
                {
                    "broadcast": "is it the positions? Of their table the first T rows are wanted, T = ids.shape[1]",
                    "IndexError": "are the positions looked up by the ids? They are 0, 1, …, T − 1 in each text",
                },
                answer,
                ids,
                segments,
                w,
            ),
            norm(words + positions + of_segments, w["norm"]),
            "bert_embeddings(ids, segments, w)",
            mistakes={
                "the layer norm is missing": words + positions + of_segments,
                "the segments' rows are missing": norm(words + positions, w["norm"]),
                "the positions' rows are missing": norm(words + of_segments, w["norm"]),
                "only the words are in it: positions and segments are missing": norm(words, w["norm"]),
                "the positions count from 0, not from 1": norm(
                    words + w["positions"][1 : T + 1] + of_segments, w["norm"]
                ),
                "the positions' rows were looked up by the ids; they are rows 0, 1, …, T − 1": norm(
                    words + w["positions"].take(ids, axis=0, mode="clip") + of_segments, w["norm"]
                ),
                "all tokens got the same position, row T; rows 0, 1, …, T − 1 are wanted": norm(
                    words + w["positions"][T] + of_segments, w["norm"]
                ),
                "the positions' rows were looked up by the segments": norm(
                    words + w["positions"][segments] + of_segments, w["norm"]
                ),
                "all segments were taken to be 0: look them up, as the words": norm(
                    words + positions + w["segments"][0], w["norm"]
                ),
                "the norm comes last, over the sum of all three; here only the words were normalized": norm(
                    words, w["norm"]
                )
                + positions
                + of_segments,
                "each row was normalized by itself; the norm is over the sum": norm(words, w["norm"])
                + norm(positions, w["norm"])
                + norm(of_segments, w["norm"]),
            },
            sizes={"B": B, "T": T, "D": D},
        )


# ---------------------------------------------------------------------------------------------------------------------
# One layer
# ---------------------------------------------------------------------------------------------------------------------


class Case:
    """A layer of the library's with drawn weights, as the lesson's dictionary `w`, and an input with padding."""

    def __init__(self, B, T, D, H, F):
        sizes = {"query": (D, D), "key": (D, D), "value": (D, D), "attention_output": (D, D)}
        sizes |= {"up": (F, D), "down": (D, F)}
        self.w = {name: (0.7 * draw(*size), draw(size[0])) for name, size in sizes.items()}
        for name in ("attention_norm", "output_norm"):
            self.w[name] = (draw(D) + np.where(draw(D) > 0, 2.0, -2.0), draw(D))
        config = BertConfig(
            hidden_size=D,
            num_attention_heads=H,
            intermediate_size=F,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        self.layer = BertLayer(config).astype("float64")
        self.parameters = dict(self.layer.named_parameters())
        for name, long in LAYER_NAMES.items():
            self.parameters[f"{long}.weight"].data, self.parameters[f"{long}.bias"].data = self.w[name]
        self.heads, self.x = H, draw(B, T, D)
        lengths = [T - 1, *draw_integers(2, T, B - 1)] if B > 1 else [T - 1]
        self.visible = np.arange(T) < np.array(lengths)[:, None]  # (B, T): every text has padding
        self.sizes = {"B": B, "T": T, "D": D, "H": H, "F": F}

    def attention(self, x, visible=None):
        """-> attention(x), and the function of its backward pass"""
        visible = (self.visible if visible is None else visible)[:, None, None, :]
        (y, _), cache = self.layer.attention.forward(x, None, visible)
        return y, lambda dy: self.layer.attention.backward(dy, cache)

    def feed_forward(self, x):
        y, cache = self.layer.feed_forward.forward(x)
        return y, lambda dy: self.layer.feed_forward.backward(dy, cache)

    def finish(self, a):
        """The second half of the layer."""
        return norm(a + self.feed_forward(a)[0], self.w["output_norm"])

    def forward(self):
        """-> y, (x, s, a, t)"""
        s = self.x + self.attention(self.x)[0]
        a = norm(s, self.w["attention_norm"])
        t = a + self.feed_forward(a)[0]
        return norm(t, self.w["output_norm"]), (self.x, s, a, t)


CASES = ((2, 5, 6, 3, 7), (1, 4, 8, 2, 10), (3, 6, 4, 1, 5))


@exercise(lesson=9)
def check_bert_layer(answer):
    for sizes in CASES:
        case = Case(*sizes)
        x, w = case.x, case.w
        y, (_, s, a, t) = case.forward()
        attended, everything = case.attention(x)[0], np.ones_like(case.visible)
        first, second = w["attention_norm"], w["output_norm"]
        unpacked = {
            "too many values to unpack": "visible (B, T) is passed on as it is: attention puts in the missing axes"
        }
        got_y, got_cache = _pair(call_explained(unpacked, answer, x, w, case.heads, case.visible), "y, (x, s, a, t)")
        before = x + case.attention(norm(x, first))[0]  # the pre-norm order
        same(
            got_y,
            y,
            "y of bert_layer(x, w, heads, visible)",
            mistakes={
                "x is not added to what attention gives: s = x + attention(x)": case.finish(norm(attended, first)),
                "a is not added to what the feed-forward part gives: t = a + feed_forward(a)": norm(
                    case.feed_forward(a)[0], second
                ),
                "x was added to feed_forward(a); what goes around is a": norm(x + case.feed_forward(a)[0], second),
                "s was added to feed_forward(a); what goes around is a, after the norm": norm(
                    s + case.feed_forward(a)[0], second
                ),
                "the feed-forward part got s; it gets a, after the norm": norm(s + case.feed_forward(s)[0], second),
                "the feed-forward part got s; it gets a, to which its result is added": norm(
                    a + case.feed_forward(s)[0], second
                ),
                "only padding was looked at: visible is true for the real tokens, as it comes": case.finish(
                    norm(x + case.attention(x, ~case.visible)[0], first)
                ),
                "the two norms are exchanged: attention_norm is the first": norms_exchanged(case),
                "that is pre-norm, GPT-2's order; in BERT each norm comes after its sum": before
                + case.feed_forward(norm(before, second))[0],
                "the norms are over what is added; they are over the sums": norms_inside(case),
                "the last norm is missing: that is t": t,
                "the second half is missing: that is a": a,
                "attention looked at padding: pass visible on": case.finish(
                    norm(x + case.attention(x, everything)[0], first)
                ),
                "attention_norm was used for both norms": norm(t, first),
            },
            sizes=case.sizes,
        )
        holds(
            isinstance(got_cache, (tuple, list)) and len(got_cache) == 4,
            "the second thing to return is the tuple (x, s, a, t), the inputs of the four steps",
        )
        for name, value, wanted in zip("xsat", got_cache, (x, s, a, t)):
            same(
                value,
                wanted,
                f"{name} in (x, s, a, t)",
                mistakes=(
                    {"that is s: `+=` wrote into x itself; s = x + … makes a new array": s} if name == "x" else {}
                )
                | {f"that is {other}": array for other, array in zip("xsaty", (x, s, a, t, y)) if other != name}
                | {
                    "that is attention(x) without x added": attended,
                    "that is feed_forward(a) without a added": case.feed_forward(a)[0],
                },
                sizes=case.sizes,
            )


def norms_exchanged(case):
    a = norm(case.x + case.attention(case.x)[0], case.w["output_norm"])
    return norm(a + case.feed_forward(a)[0], case.w["attention_norm"])


def norms_inside(case):
    a = case.x + norm(case.attention(case.x)[0], case.w["attention_norm"])
    return a + norm(case.feed_forward(a)[0], case.w["output_norm"])


def _pair(got, names):
    if not isinstance(got, (tuple, list)) or len(got) != 2:
        raise CheckFailed(f"expected two things to be returned: {names}")
    return got


@exercise(lesson=9)
def check_bert_layer_backward(answer):
    for sizes in CASES:
        case = Case(*sizes)
        w = case.w
        _, cache = case.forward()
        x, s, a, t = cache
        dy = draw(*x.shape)
        attention_back, feed_forward_back = case.attention(x)[1], case.feed_forward(a)[1]

        def rest(da, norm_input=s, w=w, attention_back=attention_back):
            """dx of da"""
            ds = norm_backward(da, norm_input, w["attention_norm"])
            return ds + attention_back(ds)

        dt = norm_backward(dy, t, w["output_norm"])
        da = dt + feed_forward_back(dt)
        ds = norm_backward(da, s, w["attention_norm"])
        dt_of_a = norm_backward(dy, a, w["output_norm"])
        dt_exchanged = norm_backward(dy, t, w["attention_norm"])
        da_exchanged = dt_exchanged + feed_forward_back(dt_exchanged)
        ds_exchanged = norm_backward(da_exchanged, s, w["output_norm"])
        mistakes = {
            "attention_norm was applied to s, so its backward needs s, not a": rest(da, norm_input=a),
            "feed_forward_backward gets dt, what came back through the norm, not dy": rest(dt + feed_forward_back(dy)),
            "the feed-forward part was applied to a, so its backward needs a, not t": rest(
                dt + case.feed_forward(t)[1](dt)
            ),
            "the feed-forward part was applied to a, so its backward needs a, not s": rest(
                dt + case.feed_forward(s)[1](dt)
            ),
            "attention was applied to x, so its backward needs x, not a": ds + case.attention(a)[1](ds),
            "attention was applied to x, so its backward needs x, not s": ds + case.attention(s)[1](ds),
            "attention_backward gets ds, what came back through the norm, not da": ds + attention_back(da),
            "dt was added where ds should be: what goes around attention is ds": dt + attention_back(ds),
            "dy was added where ds should be: what goes around attention is ds": dy + attention_back(ds),
            "the two norms' weights are exchanged: output_norm is the second": ds_exchanged
            + attention_back(ds_exchanged),
            "attention's part is missing: dx = ds + attention_backward(ds)": ds,
            "x goes around attention too, so ds is added: dx = ds + attention_backward(ds)": attention_back(ds),
            "a goes around the feed-forward part too, so dt is added: da = dt + …": rest(feed_forward_back(dt)),
            "the feed-forward part's share is missing: da = dt + feed_forward_backward(dt)": rest(dt),
            "neither of the two ways around is added": attention_back(
                norm_backward(feed_forward_back(dt), s, w["attention_norm"])
            ),
            "dy was added where dt should be: the sum stands before the norm": rest(dy + feed_forward_back(dt)),
            "da was added where ds should be: the sum stands before the norm": da + attention_back(ds),
            "output_norm was applied to t, so its backward needs t, not a": rest(dt_of_a + feed_forward_back(dt_of_a)),
            "attention_norm was applied to s, so its backward needs s, not x": rest(da, norm_input=x),
            "the backward of the second norm is missing": rest(dy + feed_forward_back(dy)),
            "the backward of the first norm is missing": da + attention_back(da),
            "attention looked at padding: pass visible on": ds + case.attention(x, np.ones_like(case.visible))[1](ds),
        }
        got_dx, got_dw = _pair(call(answer, dy, cache, w, case.heads, case.visible), "dx, dw")

        case.layer.zero_grad()
        _, library_cache = case.layer.forward(x, case.visible[:, None, None, :])
        dx, _ = case.layer.backward((dy, None, None), library_cache)
        same(got_dx, dx, "dx", mistakes, case.sizes)
        holds(isinstance(got_dw, dict), "the second thing to return is a dictionary with the keys of w")
        holds(
            not any(isinstance(part, dict) for part in got_dw.values()),
            "dw holds a dictionary inside of it; it has w's eight keys itself: `{**one, **other}` joins dictionaries",
        )
        equal(
            sorted(got_dw),
            sorted(w),
            "the list of dw's keys",
            mistakes={
                f"{what} missing: `{{**one, **other}}` joins dictionaries": sorted(set(w) - lost)
                for what, lost in (
                    ("attention's four are", {"query", "key", "value", "attention_output"}),
                    ("the feed-forward part's two are", {"up", "down"}),
                    ("the two norms are", {"attention_norm", "output_norm"}),
                )
            },
        )
        exchanged = {"attention_norm": "output_norm", "output_norm": "attention_norm"}
        for name, long in LAYER_NAMES.items():
            d_pair = _pair(got_dw[name], f"dw[{name!r}] should be a pair, (dweight, dbias)")
            for place, kind in enumerate(("weight", "bias")):
                wanted = case.parameters[f"{long}.{kind}"].grad
                if name == "key" and kind == "bias":  # it is 0 but for rounding: softmax doesn't see it
                    holds(
                        np.shape(d_pair[1]) == wanted.shape and float(np.abs(d_pair[1]).max()) < 1e-3,
                        "dw['key'][1] should be 0: what is added to all keys moves no attention weight",
                    )
                    continue
                other = {}
                if name in exchanged:
                    other["the two norms' gradients are exchanged"] = case.parameters[
                        f"{LAYER_NAMES[exchanged[name]]}.{kind}"
                    ].grad
                same(d_pair[place], wanted, f"dw[{name!r}][{place}]", other, case.sizes)


# ---------------------------------------------------------------------------------------------------------------------
# Sentence vectors
# ---------------------------------------------------------------------------------------------------------------------


@exercise(lesson=9)
def check_sentence_vectors(answer):
    for B, T, D in ((3, 5, 4), (1, 4, 6), (4, 7, 3)):
        states = draw(B, T, D) + 0.5
        lengths = np.array([T - 1, *draw_integers(2, T, B - 1)])
        mask = (np.arange(T) < lengths[:, None]).astype(np.int64)
        m = mask[..., None]
        mean = (states * m).sum(axis=1) / m.sum(axis=1)
        of_length_1 = unit(states)
        got = call(answer, states, mask)
        holds(
            np.shape(got) != (B, T),
            f"one number for each token, {(B, T)}, is too much and too little: sum over the tokens, axis 1, and keep D",
        )
        same(
            got,
            unit(mean),
            "sentence_vectors(states, mask)",
            mistakes={
                "padding is in the mean: multiply the states with the mask": unit(states.mean(axis=1)),
                "the rows don't have length 1: divide by np.linalg.norm": mean,
                "padding is left out, but it is a sum that was not scaled to length 1": (states * m).sum(axis=1),
                "the division is by T, not by the number of real tokens, and the length isn't 1": (states * m).mean(
                    axis=1
                ),
                "that is the first token's state, [CLS]; the mean over the tokens is meant": unit(states[:, 0]),
                "each token was scaled to length 1 before the mean; it is the mean that is scaled": (
                    of_length_1 * m
                ).sum(axis=1)
                / m.sum(axis=1),
                "each token was scaled to length 1 before the mean; only the mean is": unit(
                    (of_length_1 * m).sum(axis=1)
                ),
                "the whole array was scaled to length 1; each row has its own length": mean / np.linalg.norm(mean)
                if B > 1
                else np.full_like(mean, np.inf),
                "each column was scaled to length 1; each row should be: axis=-1": mean
                / np.linalg.norm(mean, axis=0, keepdims=True),
                "the row is divided by the sum of its squares; its length is the root of that": mean
                / (mean * mean).sum(axis=-1, keepdims=True),
                "the row is divided by the sum of its numbers; its length is √Σ v²": mean
                / mean.sum(axis=-1, keepdims=True),
                "the largest of each number was taken; the mean is meant": unit(
                    np.where(m == 1, states, -np.inf).max(axis=1)
                ),
            },
            sizes={"B": B, "T": T, "D": D},
        )


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)

"""Lesson 14's checkers: decoding, and the key/value cache."""

import heapq

import numpy as np

from edutransformers.functional.masks import causal_visible
from edutransformers.functional.softmax import log_softmax, softmax
from edutransformers.generation import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper
from edutransformers.layers.key_value_cache import LayerPast
from tests.lessons.common import suite_of


def greedy(next_scores, ids, count, end):
    ids = list(ids)
    for _ in range(count):
        ids.append(int(np.argmax(next_scores(ids))))
        if ids[-1] == end:
            break
    return ids


def greedy_recursive(next_scores, ids, count, end):
    if count == 0:
        return ids
    token = max(range(len(next_scores(ids))), key=next_scores(ids).__getitem__)
    return [*ids, token] if token == end else greedy_recursive(next_scores, [*ids, token], count - 1, end)


def greedy_array(next_scores, ids, count, end):
    ids = np.array(ids)
    for _ in range(count):
        ids = np.append(ids, softmax(next_scores(ids).astype("float32")).argmax())
        if ids[-1] == end:
            break
    return list(ids)


def greedy_in_place(next_scores, ids, count, end):
    ids[:] = greedy(next_scores, ids, count, end)
    return ids


def greedy_of_prompt(next_scores, ids, count, end):
    return [*ids, *[int(np.argmax(next_scores(ids)))] * count]


def greedy_with_scores(next_scores, ids, count, end):
    for _ in range(count):
        ids.append(next_scores(ids).max() + 0.25)  # never a whole number by chance
    return ids


def top_k(scores, temperature, k):
    scores = scores / temperature
    return softmax(np.where(scores >= np.sort(scores)[-k], scores, -np.inf))


def top_k_of_library(scores, temperature, k):
    scores = TemperatureLogitsWarper(temperature)(None, scores[None])
    return softmax(TopKLogitsWarper(k)(None, scores))[0]


def top_k_in_place(scores, temperature, k):
    scores /= temperature
    scores[np.argsort(scores)[: len(scores) - k]] = -1e30
    scores -= scores.max()
    np.exp(scores, out=scores)
    scores /= scores.sum()
    return scores


def top_k_by_powers(scores, temperature, k):
    odds = softmax(scores) ** (1 / temperature)
    odds[np.argsort(-odds)[k:]] = 0
    return (odds / odds.sum()).tolist()


def kept(scores, k):
    return scores >= np.sort(scores)[-k]


def nucleus(p, mass):
    order = np.argsort(-p)
    likelier = np.cumsum(p[order]) - p[order]
    result = np.zeros_like(p)
    result[order] = np.where(likelier < mass, p[order], 0)
    return result / result.sum()


def nucleus_by_loop(p, mass):
    result, total = [0.0] * len(p), 0.0
    for token in sorted(range(len(p)), key=lambda token: -p[token]):
        result[token] = p[token]
        total += p[token]
        if total >= mass:
            break
    return [share / total for share in result]


def nucleus_of_library(p, mass):
    return softmax(TopPLogitsWarper(mass)(None, np.log(p)[None]))[0]


def nucleus_without_the_last(p, mass):
    order = np.argsort(-p)
    stays = np.cumsum(p[order]) <= mass
    result = np.zeros_like(p)
    result[order[stays]] = p[order[stays]]
    return result / max(result.sum(), 1e-300)


def nucleus_of_none(p, mass):
    order = np.argsort(-p)
    kept = np.zeros_like(p)
    kept[order] = np.where(np.cumsum(p[order]) <= mass, p[order], 0)
    with np.errstate(invalid="ignore"):
        return kept / kept.sum()


def nucleus_in_two_orders(p, mass):
    falling = -np.sort(-p)
    return np.where(np.cumsum(falling) - falling < mass, p, 0) / p[np.cumsum(falling) - falling < mass].sum()


def nucleus_sorted(p, mass):
    return np.sort(nucleus(p, mass))[::-1]


def nucleus_unnormalized(p, mass):
    return np.where(nucleus(p, mass) > 0, p, 0)


def nucleus_by_threshold(p, mass):
    result = np.where(p >= mass, p, 0)
    return result / max(result.sum(), 1e-300)


def beams_of_arrays(next_log_p, ids, n, count):
    running = [(list(ids), 0.0)]
    for _ in range(count):
        totals = np.array([next_log_p(ids) + score for ids, score in running])
        best = np.argsort(-totals, axis=None)[:n]
        running = [([*running[i // totals.shape[1]][0], int(i % totals.shape[1])], totals.flat[i]) for i in best]
    return running


def beams_of_lists(next_log_p, ids, n, count, choose=None, begin=1, accumulate=True, own=False):
    running = [(list(ids), 0.0)] * begin
    for step in range(count):
        candidates = []
        for text, score in running:
            log_p = next_log_p(text)
            tokens = np.argsort(-log_p)[:1] if own and step else range(len(log_p))
            candidates += [([*text, int(v)], log_p[v] + (score if accumulate else 0)) for v in tokens]
        running = (choose or heapq.nlargest)(n, candidates, key=lambda pair: pair[1])
    return running


def beams_of_least_likely(next_log_p, ids, n, count):
    running = [(list(ids), 0.0)]
    for _ in range(count):
        candidates = []
        for ids, score in running:
            log_p = next_log_p(ids)
            candidates += [([*ids, int(token)], score + log_p[token]) for token in np.argsort(log_p)[:n]]
        running = sorted(candidates, key=lambda beam: -beam[1])[:n]
    return running


def beams_in_one_list(next_log_p, ids, n, count):
    running = [(list(ids), 0.0)]
    for _ in range(count):
        candidates = []
        for ids, score in running:
            log_p = next_log_p(ids)
            for token in np.argsort(-log_p)[:2]:
                ids.append(int(token))
                candidates.append((ids, score + log_p[token]))
        running = sorted(candidates, key=lambda beam: -beam[1])[:1]
    return running


def beams_in_place(next_log_p, ids, n, count):
    found = beams_of_arrays(next_log_p, ids, n, count)
    ids.append(0)
    return found


def beams_in_float32(next_log_p, ids, n, count):
    found = beams_of_arrays(next_log_p, ids, n, count)
    return tuple((list(map(np.int64, text)), np.float32(score)) for text, score in found)


def attend(q, k, v, past):
    if past is not None:
        k, v = (np.concatenate([old, new], axis=2) for old, new in zip(past, (k, v)))
    T, K = q.shape[2:]
    scores = np.where(causal_visible(T, k.shape[2]), q @ k.swapaxes(-1, -2) / K**0.5, -np.inf)
    return softmax(scores) @ v, (k, v)


def attend_one_by_one(q, k, v, past):
    keys, values = past if past is not None else (k[:, :, :0], v[:, :, :0])
    context = np.empty_like(q)
    for t in range(q.shape[2]):
        keys = np.concatenate([keys, k[:, :, t : t + 1]], axis=2)
        values = np.concatenate([values, v[:, :, t : t + 1]], axis=2)
        weights = softmax(np.einsum("bhk,bhsk->bhs", q[:, :, t], keys) / np.sqrt(q.shape[-1]))
        context[:, :, t] = np.einsum("bhs,bhsk->bhk", weights, values)
    return [context, [keys, values]]


def attend_with_library(q, k, v, past):
    layer = LayerPast()
    if past is not None:
        layer.append(*past)
    keys, values = layer.append(k, v)
    mask = np.where(causal_visible(q.shape[2], keys.shape[2]), 0, -1e9)
    return softmax(q @ keys.swapaxes(-1, -2) / q.shape[-1] ** 0.5 + mask) @ values, (keys, values)


def attend_in_float32(q, k, v, past):
    past = None if past is None else tuple(x.astype("float32") for x in past)
    return attend(*(x.astype("float32") for x in (q, k, v)), past)


def attend_badly(mask=None, scale=0.5, join=lambda old, new: np.concatenate([old, new], axis=2), keep=None):
    def answer(q, k, v, past):
        keys, values = (k, v) if past is None else (join(past[0], k), join(past[1], v))
        T, K = q.shape[2:]
        scores = q @ keys.swapaxes(-1, -2) / K**scale
        if mask is not None:
            scores = np.where(mask(T, keys.shape[2]), scores, -np.inf)
        return softmax(scores) @ values, keep(k, v, past) if keep else (keys, values)

    return answer


def attend_with_zeros(q, k, v, past):
    _, (keys, values) = attend(q, k, v, past)
    scores = q @ keys.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    return softmax(np.where(right_mask(q.shape[2], keys.shape[2]), scores, 0)) @ values, (keys, values)


def attend_by_places(q, k, v, past):
    _, (keys, values) = attend(q, k, v, past)
    scores = q @ keys.swapaxes(-1, -2) / keys.shape[2] ** 0.5
    return softmax(np.where(right_mask(q.shape[2], keys.shape[2]), scores, -np.inf)) @ values, (keys, values)


def right_mask(T, S):
    return causal_visible(T, S)[0, 0]


RIGHT = {
    "greedy_decode": {
        "a loop": greedy,
        "recursive": greedy_recursive,
        "an array": greedy_array,
    },
    "tempered_top_k": {
        "the solution's way": top_k,
        "the library's": top_k_of_library,
        "in place": top_k_in_place,
        "powers of probabilities": top_k_by_powers,
        "float32": lambda scores, temperature, k: top_k(scores.astype("float32"), temperature, k),
    },
    "nucleus": {
        "the solution's way": nucleus,
        "a loop": nucleus_by_loop,
        "the library's": nucleus_of_library,
        "float32": lambda p, mass: nucleus(p, mass).astype("float32"),
    },
    "beam_search": {
        "arrays": beams_of_arrays,
        "lists": beams_of_lists,
        "float32": beams_in_float32,
    },
    "attend_with_past": {
        "the solution's way": attend,
        "one by one": attend_one_by_one,
        "the library's cache": attend_with_library,
        "float32": attend_in_float32,
    },
}

WRONG = {
    "greedy_decode": {
        "no prompt": (lambda f, ids, count, end: greedy(f, ids, count, end)[len(ids) :], "the prompt is missing"),
        "goes on": (lambda f, ids, count, end: greedy(f, ids, count, None), "it went on behind the end token"),
        "no end": (
            lambda f, ids, count, end: [*ids, *(i for i in greedy(f, ids, count, end)[len(ids) :] if i != end)],
            "put it behind, then stop",
        ),
        "of the prompt": (greedy_of_prompt, "chosen behind the prompt alone"),
        "least likely": (lambda f, *rest: greedy(lambda ids: -f(ids), *rest), "argmax"),
        "one more": (lambda f, ids, count, end: greedy(f, ids, count + 1, end), "one token too many"),
        "in place": (greedy_in_place, "has changed the list that was passed"),
        "a tuple": (lambda *inputs: tuple(greedy(*inputs)), "but is a tuple"),
        "an array": (lambda *inputs: np.array(greedy(*inputs)), "but is an array"),
        "scores for ids": (greedy_with_scores, "np.argmax gives the place"),
        "of the last one": (lambda f, *rest: greedy(lambda ids: f(ids[-1:]), *rest), "behind the last one alone"),
        "until the end": (lambda f, ids, count, end: greedy(f, ids, 33, end), "it went on until the end token"),
        "for ever": (lambda f, ids, count, end: greedy(f, ids, 99, None), "is `count` heeded"),
        "of nothing": (lambda f, ids, count, end: [*ids, np.argmax(f([]))], "with no ids at all"),
        "the prompt's end": (
            lambda f, ids, count, end: ids if ids[-1] == end else greedy(f, ids, count, end),
            "what is written ends the text",
        ),
    },
    "tempered_top_k": {
        "multiplied": (lambda x, t, k: top_k(x, 1 / t, k), "they are divided"),
        "no temperature": (lambda x, t, k: top_k(x, 1.0, k), "the temperature is missing"),
        "no cut": (lambda x, t, k: softmax(x / t), "nothing was cut off"),
        "zero scores": (lambda x, t, k: softmax(np.where(kept(x, k), x / t, 0)), "−inf"),
        "unnormalized": (lambda x, t, k: softmax(x / t) * kept(x, k), "doesn't add up to 1"),
        "sorted": (lambda x, t, k: np.sort(top_k(x, t, k))[::-1], "in order of size"),
        "least likely": (
            lambda x, t, k: softmax(np.where(x <= np.sort(x)[k - 1], x / t, -np.inf)),
            "the k least likely were kept",
        ),
        "one too few": (lambda x, t, k: top_k(x, t, k - 1), "one token too few"),
        "afterwards": (lambda x, t, k: top_k(x, 1.0, k) / t, "divide the scores"),
        "k from the start": (
            lambda x, t, k: softmax(np.where(x >= np.sort(x)[min(k, len(x) - 1)], x / t, -np.inf)),
            "np.sort goes upwards",
        ),
        "kept only": (lambda x, t, k: -np.sort(-softmax(x / t))[:k], "the others are 0 at their places"),
        "undone": (lambda x, t, k: top_k(x, 1.0, k) / t / (top_k(x, 1.0, k) / t).sum(), "the temperature is missing"),
    },
    "nucleus": {
        "without the last": (nucleus_without_the_last, "the token that crosses the line"),
        "unnormalized": (nucleus_unnormalized, "doesn't add up to 1"),
        "sorted": (nucleus_sorted, "in order of size"),
        "threshold": (nucleus_by_threshold, "it is their sum that counts"),
        "no cut": (lambda p, mass: p, "nothing was cut off"),
        "none left": (nucleus_of_none, "0/0 is nan"),
        "by the mass": (lambda p, mass: nucleus_unnormalized(p, mass) / mass, "more than `mass`"),
        "ordered twice": (lambda p, mass: nucleus(p, mass)[np.argsort(-p)][np.argsort(-p)], "puts them back"),
        "two orders": (nucleus_in_two_orders, "kept[order] = …"),
        "softmax": (lambda p, mass: softmax(nucleus_unnormalized(p, mass)), "a softmax of probabilities"),
        "kept only": (lambda p, mass: -np.sort(-nucleus(p, mass))[: (nucleus(p, mass) > 0).sum()], "only the kept"),
    },
    "beam_search": {
        "own best": (lambda *inputs: beams_of_lists(*inputs, own=True), "each beam kept its own best"),
        "equal beams": (lambda f, ids, n, count: beams_of_lists(f, ids, n, count, begin=n), "not n times"),
        "last token": (
            lambda *inputs: beams_of_lists(*inputs, accumulate=False),
            "the last one's alone was compared",
        ),
        "lowest": (lambda *inputs: beams_of_lists(*inputs, choose=heapq.nsmallest), "the lowest scores"),
        "least likely": (beams_of_least_likely, "np.argsort goes upwards"),
        "of the prompt": (lambda f, ids, *rest: beams_of_lists(lambda _: f(ids), ids, *rest), "each beam's own ids"),
        "product": (
            lambda *inputs: [(ids, 0.0 * score) for ids, score in beams_of_arrays(*inputs)],
            "are added, not multiplied",
        ),
        "arrays": (lambda *inputs: [(np.array(ids), s) for ids, s in beams_of_arrays(*inputs)], "but is an array"),
        "in place": (beams_in_place, "has changed the list that was passed"),
        "one list": (beams_in_one_list, "[*ids, token] makes a new one"),
        "worst first": (lambda *inputs: beams_of_arrays(*inputs)[::-1], "the best one stands first"),
        "best only": (lambda *inputs: beams_of_arrays(*inputs)[:1], "return all n"),
        "turned round": (lambda *inputs: [pair[::-1] for pair in beams_of_arrays(*inputs)], "pairs (ids, score)"),
        "a text": (lambda *inputs: beams_of_arrays(*inputs)[0][0], "a list of pairs"),
        "probabilities": (
            lambda *inputs: [(ids, np.exp(score)) for ids, score in beams_of_arrays(*inputs)],
            "those are probabilities",
        ),
        "means": (
            lambda f, ids, n, count: [(i, score / count) for i, score in beams_of_arrays(f, ids, n, count)],
            "the plain sum is asked",
        ),
    },
    "attend_with_past": {
        "staircase at the left": (attend_badly(lambda T, S: np.tri(T, S, dtype=bool)), "as if there were no past"),
        "no mask": (attend_badly(), "the mask is missing"),
        "no scale": (attend_badly(right_mask, scale=0), "not divided by √K"),
        "by K": (attend_badly(right_mask, scale=1), "not by its root"),
        "new first": (
            attend_badly(right_mask, join=lambda old, new: np.concatenate([new, old], axis=2)),
            "the past comes first",
        ),
        "no past": (attend_badly(right_mask, join=lambda old, new: new), "not the past"),
        "new ones kept": (attend_badly(right_mask, keep=lambda k, v, past: (k, v)), "only the new keys came back"),
        "old ones kept": (
            attend_badly(right_mask, keep=lambda k, v, past: past or (k, v)),
            "the new keys were not added",
        ),
        "past turned round": (
            lambda q, k, v, past: attend(q, k, v, past and past[::-1]),
            "the two were taken for each other",
        ),
        "zero scores": (attend_with_zeros, "must become −inf"),
        "by all places": (attend_by_places, "it is the width of a head that counts"),
        "context only": (lambda *inputs: attend(*inputs)[0], "two things"),
    },
}


def test_the_scores_of_the_model_are_log_probabilities():
    from edutransformers.teaching.checks.lesson14 import _Scores

    log_p = _Scores(5, logarithms=True)([1, 2, 3])
    np.testing.assert_allclose(np.exp(log_p).sum(), 1)
    np.testing.assert_allclose(log_softmax(log_p), log_p)


test_right, test_wrong, test_complete = suite_of(14, RIGHT, WRONG)

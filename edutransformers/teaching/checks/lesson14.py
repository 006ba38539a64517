"""Lesson 14: decoding, and the key/value cache."""

import numpy as np

from ...functional.softmax import log_softmax, softmax
from ..checker import CheckFailed, call, draw, draw_integers, equal, exercise, holds, same, same_all


class _Scores:
    """A little language model that nobody knows: the scores of the next token, from all before and the place.

    With `end` and `ends_at`, the text most likely ends there. Called as a function of a list of ids -> (V,).
    """

    def __init__(self, V: int, end: int | None = None, ends_at: int | None = None, logarithms: bool = False):
        self.last, self.before, self.place = draw(V, V), draw(V, V), draw(40, V)
        self.logarithms = logarithms
        if end is not None:
            self.place[:, end] = -30.0
            self.place[ends_at, end] = 30.0

    def __call__(self, ids):
        ids, V = np.ravel(ids), len(self.last)
        strange = [token for token in ids.tolist() if token != int(token) or not 0 <= token < V]
        if strange:
            raise CheckFailed(
                f"{self!r} was asked with the id {strange[0]:.6g}, and ids are whole numbers from 0 to {V - 1}\n"
                "  → was the largest score taken, and not its place? np.argmax gives the place"
            )
        if not ids.size:
            raise CheckFailed(f"{self!r} was asked with no ids at all; ask with the prompt and what is written by now")
        if len(ids) >= len(self.place):
            raise CheckFailed(f"{self!r} was asked with a text of {len(ids)} ids: is `count` heeded?")
        ids = ids.astype(int).tolist()
        scores = self.last[ids[-1]] + self.place[len(ids)]
        for age, token in enumerate(reversed(ids[:-1])):  # two texts never have the same scores
            scores = scores + 0.8**age * self.before[token]
        return log_softmax(scores) if self.logarithms else scores

    def __repr__(self):
        return "next_log_p" if self.logarithms else "next_scores"


def _ids(got, name: str) -> list[int]:
    """A list of whole numbers, of whatever kind of number they are. The cells below compare it with other lists."""
    if isinstance(got, (np.ndarray, tuple)):
        kind = "a tuple" if isinstance(got, tuple) else "an array"
        raise CheckFailed(
            f"{name} should be a list of ids, as the prompt is, but is {kind}: list(…) makes a list of it"
        )
    try:
        return [int(token) for token in np.ravel(got)]
    except (TypeError, ValueError):
        raise CheckFailed(f"{name} should be a list of ids, but is {got!r}") from None


def _leaves_prompt_alone(name: str, answer, model, prompt, *rest):
    given = list(prompt)
    answer(model, given, *rest)
    holds(
        given == prompt,
        f"{name} has changed the list that was passed, and whoever asks for several texts gets them mixed up\n"
        "  → begin with a list of your own: ids = list(ids)",
    )


@exercise(lesson=14)
def check_greedy_decode(answer):
    for V, count, steps in ((9, 6, 6), (7, 12, 4), (8, 9, 1)):
        end = int(draw_integers(0, V))
        prompt = [token for token in draw_integers(0, V, 5).tolist() if token != end] + [(end + 1) % V] * 2
        ends_at = len(prompt) + (steps - 1 if steps < count else 30)
        model = _Scores(V, end, ends_at)
        wanted = _greedy(model, prompt, count, end)
        equal(
            _ids(call(answer, model, prompt, count, end), "greedy_decode(…)"),
            wanted,
            "greedy_decode(next_scores, ids, count, end)",
            mistakes={
                "one token too few: `count` is how many are written": _greedy(model, prompt, count - 1, end),
                "the prompt is missing: return it with what was written behind it": wanted[len(prompt) :],
                "it went on behind the end token: stop there": _greedy(model, prompt, count, None),
                "the end token belongs to the text: put it behind, then stop": wanted[:-1],
                "one token too many: `count` is how many are written at most": _greedy(model, prompt, count + 1, end),
                "the prompt counts against `count`; only what is written does": _greedy(
                    model, prompt, count - len(prompt), end
                ),
                "that is the least likely token at each step: argmax": _greedy(model, prompt, count, end, np.argmin),
                "every token was chosen behind the prompt alone: ask again with all that is written by now": (
                    prompt + [int(np.argmax(model(prompt)))] * count
                ),
                "each token was chosen behind the last one alone: ask with the whole text": _greedy(
                    lambda ids, model=model: model(ids[-1:]), prompt, count, end
                ),
                "it went on until the end token came: at most `count` tokens are written": _greedy(
                    model, prompt, 33, end
                ),
            },
        )
        _leaves_prompt_alone("greedy_decode", answer, model, prompt, count, end)
    model, prompt = _Scores(5), [2, 4]  # as <|endoftext|> stands before a text that is to be written from its beginning
    equal(
        _ids(call(answer, model, prompt, 1, 4), "greedy_decode(…)"),
        _greedy(model, prompt, 1, 4),
        "greedy_decode(next_scores, [2, 4], count=1, end=4)",
        mistakes={"nothing was written, as the prompt's last id is `end`; what is written ends the text": prompt},
    )


def _greedy(model, prompt, count, end, choose=np.argmax):
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(choose(model(ids))))
        if ids[-1] == end:
            break
    return ids


@exercise(lesson=14)
def check_tempered_top_k(answer):
    for V, temperature, k in ((10, 0.6, 4), (6, 1.7, 2), (7, 2.5, 7), (5, 0.8, 1)):
        scores = 0.7 * draw(V)
        tempered = scores / temperature
        kept = np.argsort(np.argsort(-scores)) < k
        wanted = softmax(np.where(kept, tempered, -np.inf))
        order = np.argsort(-scores)
        upwards = np.sort(scores)[min(k, V - 1)]
        mixed = scores >= min(np.sort(tempered)[-k], scores.max())
        same(
            call(answer, scores, temperature, k),
            wanted,
            f"tempered_top_k(scores, {temperature}, {k})",
            mistakes={
                "the temperature is missing": softmax(np.where(kept, scores, -np.inf)),
                "the scores were multiplied by the temperature; they are divided": softmax(
                    np.where(kept, scores * temperature, -np.inf)
                ),
                "nothing was cut off: only k tokens may have a probability": softmax(tempered),
                "what was cut off got the score 0, and e⁰ = 1 is a share: −inf": softmax(np.where(kept, tempered, 0)),
                "what is left doesn't add up to 1: cut the scores before the softmax, or divide by the sum": softmax(
                    tempered
                )
                * kept,
                "the k least likely were kept": softmax(
                    np.where(np.argsort(np.argsort(scores)) < k, tempered, -np.inf)
                ),
                "the probabilities are in order of size; each belongs at its own token's place": wanted[order],
                "only the kept probabilities came back; the others are 0 at their places": wanted[order][:k],
                "only probabilities of kept tokens came back; the others are 0 at their places": softmax(tempered)[
                    order
                ][:k],
                "np.sort goes upwards, so [k] is one of the small ones: the k-th largest is [-k]": softmax(
                    np.where(scores >= upwards, tempered, -np.inf)
                ),
                "scores were compared with a score that is divided by the temperature, or the other way round": softmax(
                    np.where(mixed, scores, -np.inf)
                ),
                "what was divided by the temperature are the probabilities; divide the scores": softmax(
                    np.where(kept, scores, -np.inf)
                )
                / temperature,
                "one token too many was kept (those below the k-th are cut, not the k-th's successor)": softmax(
                    np.where(np.argsort(np.argsort(-scores)) < k + 1, tempered, -np.inf)
                ),
                "one token too few was kept: the k-th likeliest stays": softmax(
                    np.where(np.argsort(np.argsort(-scores)) < max(k - 1, 1), tempered, -np.inf)
                ),
                "the probabilities were divided by the temperature, and then by their sum, which undoes it: divide the "
                "scores": softmax(scores) * kept / (softmax(scores) * kept).sum(),
            },
        )


@exercise(lesson=14)
def check_nucleus(answer):
    for V, mass in ((30, 0.05), (8, 0.7), (12, 0.9), (5, 0.5)):
        p = softmax(np.random.default_rng().permutation(np.linspace(0, 3, V)) + 0.05 * draw(V))
        order = np.argsort(-p)
        before = np.empty(V)
        before[order] = np.cumsum(p[order]) - p[order]  # of all likelier tokens
        kept = before < mass
        short = (before + p) <= mass
        wanted = np.where(kept, p, 0) / p[kept].sum()
        same(
            call(answer, p, mass),
            wanted,
            f"nucleus(p, {mass})",
            mistakes={
                "the token that crosses the line is missing: the kept ones must reach `mass` together": np.where(
                    short, p, 0
                )
                / max(p[short].sum(), 1e-300),
                "what is left doesn't add up to 1: divide by its sum": np.where(kept, p, 0),
                "no token is left; the likeliest always stays": np.zeros(V),
                "no token is left, and 0/0 is nan: the token that crosses the line stays": np.full(V, np.nan),
                "divide by what the kept ones have together, which may be more than `mass`": np.where(kept, p, 0)
                / mass,
                "the values in order of size were looked up with `order` once more; kept[order] = … puts them back": (
                    np.where(kept, p, 0)[order][order] / p[kept].sum()
                ),
                "that is a softmax of probabilities; what is left is divided by its sum": softmax(np.where(kept, p, 0)),
                "only the kept probabilities came back; the others are 0 at their places": wanted[order][: kept.sum()],
                "nothing was cut off": p,
                "one token too many: stop at the token with which `mass` is reached": _kept_share(
                    p, order[: int(kept.sum()) + 1]
                ),
                "the least likely were added up first: begin with the likeliest": (
                    _kept_share(p, order[::-1][: int((np.cumsum(p[order[::-1]]) < mass).sum()) + 1])
                ),
                "what is in order of size stands at the ids' places: kept[order] = … puts each at its own": wanted[
                    order
                ],
                "decided in order of size, but cut in the order of the ids: kept[order] = … brings both together": (
                    _kept_share(p, np.flatnonzero(kept[order]))
                ),
                "only tokens with a probability of at least `mass` were kept; it is their sum that counts": (
                    _kept_share(p, np.flatnonzero(p >= mass))
                ),
                "the running sum goes in the order of the ids, not from the likeliest down": (
                    _kept_share(p, np.arange(int((np.cumsum(p) < mass).sum()) + 1))
                ),
            },
        )
    p = np.array([0.1, 0.6, 0.3])
    same(call(answer, p, 1.0), p, "nucleus([0.1, 0.6, 0.3], 1.0)")


def _kept_share(p, places):
    kept = np.zeros_like(p)
    kept[places] = p[places]
    return kept / max(kept.sum(), 1e-300)


@exercise(lesson=14)
def check_beam_search(answer):
    for V, n, count in ((7, 3, 5), (9, 2, 6), (6, 4, 4)):
        model, prompt = _Scores(V, logarithms=True), draw_integers(0, V, 3).tolist()
        wanted = _beams(model, prompt, n, count)
        got = call(answer, model, prompt, n, count)
        holds(
            isinstance(got, (list, tuple))
            and all(isinstance(beam, (list, tuple)) and list(map(np.ndim, beam)) == [1, 0] for beam in got),
            "beam_search should return a list of pairs (ids, score)",
        )
        mistakes = {
            "the beams are the right ones, but the best one stands first": wanted[::-1],
            "only the best text came back; return all n": wanted[:1],
            "the texts are without their prompt": [(ids[len(prompt) :], score) for ids, score in wanted],
            "each beam kept its own best continuation; the n best of *all* continuations go on, whoever they "
            "come from": _beams(model, prompt, n, count, among="own"),
            "all beams are the same text: begin with the prompt once, not n times": _copies(model, prompt, n, count),
            "a text's score is the sum over all its tokens; the last one's alone was compared": _beams(
                model, prompt, n, count, total=False
            ),
            "the beams with the lowest scores were kept: log-probabilities are negative, and nearer to 0 is "
            "better": _beams(model, prompt, n, count, sign=-1),
            "each beam was continued with its least likely tokens: np.argsort goes upwards, so sort −log_p": _beams(
                model, prompt, n, count, among="worst"
            ),
            "every continuation was chosen behind the prompt: ask with each beam's own ids": _beams(
                lambda ids, model=model, prompt=prompt: model(prompt), prompt, n, count
            ),
            "one step too many: `count` tokens are written": _beams(model, prompt, n, count + 1),
            "one step too few: `count` tokens are written": _beams(model, prompt, n, count - 1),
        }
        holds(
            any(float(score) for _, score in got),
            "all scores of beam_search are 0\n  → the logarithms of probabilities are added, not multiplied",
        )
        longest = max((len(ids) for ids, _ in got), default=0)
        holds(
            longest <= len(prompt) + count + 1,
            f"beam_search wrote a text of {longest} ids; behind a prompt of {len(prompt)} it should write {count}\n"
            "  → was one list appended to for several continuations? [*ids, token] makes a new one",
        )
        # Two mistakes may by chance end with the same ids: the one that has the scores too comes first.
        found = {name: beams for name, beams in mistakes.items() if _scored_alike(got, beams)} | mistakes
        equal(
            [_ids(ids, "the ids of a beam") for ids, _ in got],
            [ids for ids, _ in wanted],
            f"the ids of beam_search(next_log_p, {prompt}, n={n}, count={count})",
            mistakes={name: [ids for ids, _ in beams] for name, beams in found.items()},
        )
        scores = np.array([score for _, score in wanted])
        same(
            np.array([float(score) for _, score in got]),
            scores,
            "the scores of the beams",
            mistakes={
                "a text's score is the sum over all its tokens; the last one's alone was compared": np.array(
                    [score for _, score in _beams(model, prompt, n, count, total=False)]
                ),
                "those are probabilities; the sum of log-probabilities is asked": np.exp(scores),
                "divided by the number of tokens; here the plain sum is asked": scores / count,
                "the sign is wrong": -scores,
            },
        )
        _leaves_prompt_alone("beam_search", answer, model, prompt, n, count)


def _scored_alike(got, beams) -> bool:
    return len(got) == len(beams) and np.allclose([float(a) for _, a in got], [b for _, b in beams], rtol=1e-4)


def _beams(model, prompt, n, count, among="all", total=True, sign=1):
    running = [(list(prompt), 0.0)]
    for step in range(count):
        candidates = []
        for ids, score in running:
            log_p = model(ids)
            own = [([*ids, v], (score if total else 0.0) + float(log_p[v])) for v in range(len(log_p))]
            own.sort(key=lambda beam: -sign * beam[1])
            kept = {"all": own[:n], "own": own[: 1 if step else n], "worst": own[-n:]}
            candidates += kept[among]
        candidates.sort(key=lambda beam: -sign * beam[1])
        running = candidates[:n]
    return running


def _copies(model, prompt, n, count):
    """Beams that begin as n equal ones: each candidate is there n times."""
    running = [(list(prompt), 0.0)] * n
    for _ in range(count):
        candidates = [([*ids, v], score + float(log_p)) for ids, score in running for v, log_p in enumerate(model(ids))]
        running = sorted(candidates, key=lambda beam: -beam[1])[:n]
    return running


@exercise(lesson=14)
def check_attend_with_past(answer):
    for B, H, S, T, K in ((2, 3, 5, 1, 4), (1, 2, 3, 4, 5), (2, 1, 0, 3, 2), (1, 3, 6, 2, 3)):
        q, k, v = draw(B, H, T, K), draw(B, H, T, K), draw(B, H, T, K)
        past = (draw(B, H, S, K), draw(B, H, S, K)) if S else None
        keys, values = (np.concatenate([past[0], k], axis=2), np.concatenate([past[1], v], axis=2)) if S else (k, v)
        visible = np.arange(S + T) <= S + np.arange(T)[:, None]
        scores = q @ keys.swapaxes(-1, -2) / K**0.5
        got = call(answer, q, k, v, past)
        name = f"attend_with_past for {T} new token{'s' * (T > 1)} and a past of {S}"
        if not isinstance(got, (tuple, list)) or len(got) != 2 or not isinstance(got[1], (tuple, list)):
            raise CheckFailed("attend_with_past should return two things: context, (keys, values)")
        wrong = {
            "the new tokens see only the first T keys, as if there were no past: query t stands at place S + t": (
                _attended(scores, np.tri(T, S + T, dtype=bool), values)
            ),
            "the mask is missing: new tokens see new tokens behind them": _attended(scores, None, values),
            "the scores are not divided by √K": _attended(scores * K**0.5, visible, values),
            "the scores are divided by √(S + T); it is the width of a head that counts, √K": _attended(
                scores * (K / (S + T)) ** 0.5, visible, values
            ),
            "hidden scores became 0, and e⁰ = 1 is a share too: they must become −inf": softmax(
                np.where(visible, scores, 0)
            )
            @ values,
            "the scores are divided by K, not by its root": _attended(scores / K**0.5, visible, values),
            "the mask is one place too strict: a token sees itself too": _attended(scores, _strict(visible, S), values),
            "only the new keys and values were looked at, not the past": _attended(
                q @ k.swapaxes(-1, -2) / K**0.5, np.tri(T, dtype=bool), v
            ),
        }
        if S:
            turned = [np.concatenate([new, old], axis=2) for new, old in ((k, past[0]), (v, past[1]))]
            swapped = [np.concatenate([old, new], axis=2) for old, new in ((past[1], k), (past[0], v))]
            wrong["`past` is (keys, values), and the two were taken for each other"] = _attended(
                q @ swapped[0].swapaxes(-1, -2) / K**0.5, visible, swapped[1]
            )
            wrong["the new keys and values stand in front of the past's: the past comes first"] = _attended(
                q @ turned[0].swapaxes(-1, -2) / K**0.5, visible, turned[1]
            )
            wrong["only the past was looked at: a token sees itself too, so put its key and value behind first"] = (
                _attended(q @ past[0].swapaxes(-1, -2) / K**0.5, None, past[1])
            )
        same_all(
            [got[0], *got[1]],
            {
                f"the context of {name}": _attended(scores, visible, values),
                "the keys to keep": keys,
                "the values to keep": values,
            },
            mistakes={
                f"the context of {name}": wrong,
                "the keys to keep": {
                    "only the new keys came back: return the past's with the new ones behind": k,
                    "the new keys were not added: return the past's with the new ones behind": past[0] if S else k,
                    "the new keys stand in front of the past's: the past comes first": turned[0] if S else k,
                    "those are the values: (keys, values) is the order": values,
                },
                "the values to keep": {
                    "only the new values came back: return the past's with the new ones behind": v,
                    "the new values were not added: return the past's with the new ones behind": past[1] if S else v,
                    "those are the keys": keys,
                },
            },
            sizes={"B": B, "H": H, "T": T, "K": K},
        )


def _attended(scores, visible, values):
    if visible is not None:
        scores = np.where(visible, scores, -1e30)
    return softmax(scores) @ values


def _strict(visible, S):
    """Each query sees one key fewer; the first one of all keeps its only one."""
    strict = visible & (np.arange(visible.shape[1]) < S + np.arange(len(visible))[:, None])
    return np.where(strict.any(axis=1, keepdims=True), strict, visible)

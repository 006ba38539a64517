"""Decoding and alignment against enumeration: of all texts with all their paths, and of all paths of a text."""

import itertools
import math

import numpy as np
import pytest

from edutransformers.audio.ctc_decoding import (
    collapse_path,
    ctc_beam_search,
    ctc_greedy_search,
    forced_alignment,
)
from edutransformers.functional.softmax import softmax
from edutransformers.losses import CTCLoss
from edutransformers.tokenizers import Wav2Vec2CTCTokenizer


def paths_by_text(logits, blank):
    """{text: {path: probability}} of all C^T paths."""
    y = softmax(logits)
    texts = {}
    for path in itertools.product(range(y.shape[1]), repeat=len(y)):
        text = tuple(label for label, _ in itertools.groupby(path) if label != blank)
        texts.setdefault(text, {})[path] = math.prod(y[t, label] for t, label in enumerate(path))
    return texts


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "blank", "tokens"),
    [
        ([0, 3, 3, 0, 3, 5], 0, [3, 3, 5]),
        ([3, 3, 3], 0, [3]),
        ([0, 0], 0, []),
        ([], 0, []),
        ([1, 0, 1, 2, 2, 0], 2, [1, 0, 1, 0]),
    ],
)
def test_collapse(path, blank, tokens):
    assert collapse_path(np.array(path, dtype=int), blank) == tokens


@pytest.mark.parametrize("blank", [0, 2])
def test_greedy_is_the_best_path(rng, blank):
    logits = rng.normal(0, 2, (5, 4))
    found = ctc_greedy_search(logits, blank)
    best = max(
        ((p, text) for text, paths in paths_by_text(logits, blank).items() for p in paths.values()), key=lambda x: x[0]
    )
    assert found.tokens == list(best[1])
    assert found.log_probability == pytest.approx(math.log(best[0]), rel=1e-12)


def test_the_best_path_need_not_belong_to_the_best_text():
    """Two frames, blank 0.6 and "a" 0.4 in each: the best path is silence (0.36), the best text is "a" (0.64)."""
    logits = np.log([[0.6, 0.4], [0.6, 0.4]])
    assert ctc_greedy_search(logits).tokens == []
    best, second = ctc_beam_search(logits)
    assert best.tokens == [1]
    assert math.exp(best.log_probability) == pytest.approx(0.64)
    assert second.tokens == []


# -- searching --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", [0, 1, 2])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_wide_beam_finds_all_texts_with_their_probabilities(rng, frames, blank):
    logits = rng.normal(0, 1.5, (frames, 3))
    wanted = {text: sum(paths.values()) for text, paths in paths_by_text(logits, blank).items()}
    found = ctc_beam_search(logits, blank, beam_width=1000)
    assert {tuple(h.tokens): h.log_probability for h in found} == pytest.approx(
        {text: math.log(p) for text, p in wanted.items()}, rel=1e-10
    )
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    assert [h.score for h in found] == [h.log_probability for h in found]


def test_narrow_beams_find_less_but_never_too_much(rng):
    """A narrow beam loses paths, so its probabilities are bounds from below; and it has its width."""
    frames, classes = 8, 5
    for _ in range(5):
        logits = rng.normal(0, 2, (frames, classes))
        exact = {tuple(h.tokens): h.log_probability for h in ctc_beam_search(logits, beam_width=10**6)}
        for width in (1, 10, 200):
            found = ctc_beam_search(logits, beam_width=width)
            assert len(found) == width
            assert all(h.log_probability <= exact[tuple(h.tokens)] + 1e-12 for h in found)
        assert found[0].tokens == list(max(exact, key=exact.get))


def test_probabilities_are_those_of_the_loss(rng):
    logits = rng.normal(0, 1, (7, 4))
    for found in ctc_beam_search(logits, beam_width=10**6)[:20]:
        loss = CTCLoss(reduction="sum")(logits[None], np.array(found.tokens, dtype=int)[None], np.array([7]),
                                        np.array([len(found.tokens)]))  # fmt: skip
        assert found.log_probability == pytest.approx(-loss, rel=1e-10)


@pytest.mark.parametrize("beta", [0.0, 1.3])
def test_a_language_model_takes_part(rng, beta):
    """score = log p(text | sound) + alpha log p_LM(text) + beta · length, for each of all texts."""
    logits, alpha, blank = rng.normal(0, 1, (4, 3)), 0.7, 0
    bigram = np.log(softmax(rng.normal(0, 3, (4, 3))))  # row 3 for the beginning

    def language_model(tokens):
        return bigram[tokens[-1] if tokens else 3]

    wanted = {}
    for text, paths in paths_by_text(logits, blank).items():
        lm = sum(bigram[before, token] for before, token in zip((3, *text), text))
        wanted[text] = math.log(sum(paths.values())) + alpha * lm + beta * len(text)
    found = ctc_beam_search(logits, blank, 1000, language_model, alpha, beta)
    assert {tuple(h.tokens): h.score for h in found} == pytest.approx(wanted, rel=1e-10)
    assert found[0].tokens == list(max(wanted, key=wanted.get))


def test_a_length_bonus_alone(rng):
    logits = rng.normal(0, 1, (5, 3))
    plain = ctc_beam_search(logits, beam_width=1000)
    longer = ctc_beam_search(logits, beam_width=1000, beta=5.0)
    assert len(longer[0].tokens) > len(plain[0].tokens)
    assert longer[0].score == pytest.approx(longer[0].log_probability + 5 * len(longer[0].tokens))


def test_the_language_model_is_asked_once_for_each_text(rng):
    asked = []

    def language_model(tokens):
        asked.append(tuple(tokens))
        return np.zeros(4)

    ctc_beam_search(rng.normal(0, 1, (20, 4)), beam_width=8, language_model=language_model)
    assert len(asked) == len(set(asked)) > 8


def test_impossible_classes(rng):
    """A class with probability 0 is in no text that is found."""
    logits = rng.normal(0, 1, (4, 4))
    logits[:, 2] = -np.inf
    found = ctc_beam_search(logits, beam_width=10**6)
    assert len(found) == len(ctc_beam_search(logits[:, [0, 1, 3]], beam_width=10**6))
    assert not any(2 in h.tokens for h in found)


def test_float32_logits_on_a_device(fake_cupy, rng):
    logits = rng.normal(0, 1, (6, 4)).astype("float32")
    assert ctc_beam_search(fake_cupy.asarray(logits)) == ctc_beam_search(logits)
    on_device, on_host = forced_alignment(fake_cupy.asarray(logits), [1, 2]), forced_alignment(logits, [1, 2])
    assert on_device.spans == on_host.spans


# -- aligning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", [0, 3])
def test_alignment_is_the_best_of_all_paths(rng, blank):
    logits = rng.normal(0, 2, (6, 4))
    texts = paths_by_text(logits, blank)
    assert any(a == b for text in texts for a, b in zip(text, text[1:]))  # repeats are among them
    for text, paths in texts.items():
        best = max(paths, key=paths.get)
        found = forced_alignment(logits, list(text), blank)
        assert tuple(found.path) == best
        assert found.log_probability == pytest.approx(math.log(paths[best]), rel=1e-12)


def test_spans(rng):
    path = [0, 0, 4, 4, 0, 2, 2, 2, 0, 2, 3]
    logits = rng.normal(0, 0.1, (len(path), 5))
    logits[np.arange(len(path)), path] += 6
    found = forced_alignment(logits, np.array([4, 2, 2, 3]))
    assert found.path.tolist() == path
    assert [(s.token, s.start, s.end) for s in found.spans] == [(4, 2, 4), (2, 5, 8), (2, 9, 10), (3, 10, 11)]
    y = softmax(logits)
    assert [s.probability for s in found.spans] == pytest.approx(
        [y[2:4, 4].mean(), y[5:8, 2].mean(), y[9, 2], y[10, 3]], rel=1e-12
    )


def test_no_tokens_is_silence(rng):
    found = forced_alignment(rng.normal(0, 1, (4, 3)), [], blank=2)
    assert found.path.tolist() == [2, 2, 2, 2]
    assert found.spans == []


def test_the_tokenizer_reads_a_path(rng):
    """One way to times: the path of an alignment, or of the greedy search, through the tokenizer's decode."""
    vocab = {"<pad>": 0, "<unk>": 1, "|": 2, "H": 3, "I": 4, "T": 5}
    tokenizer = Wav2Vec2CTCTokenizer(vocab=vocab)
    path = [0, 3, 3, 4, 0, 2, 0, 5, 5, 0, 5]
    logits = rng.normal(0, 0.1, (len(path), len(vocab)))
    logits[np.arange(len(path)), path] += 6
    found = forced_alignment(logits, tokenizer("HI TT").input_ids)
    read = tokenizer.decode(found.path, output_word_offsets=True, output_char_offsets=True)
    assert read.text == "HI TT"
    assert read.word_offsets == [
        {"word": "HI", "start_offset": 1, "end_offset": 4},
        {"word": "TT", "start_offset": 7, "end_offset": 11},
    ]
    starts = [(c["start_offset"], c["end_offset"]) for c in read.char_offsets]
    assert starts == [(span.start, span.end) for span in found.spans]
    assert tokenizer.decode(ctc_beam_search(logits)[0].tokens, group_tokens=False) == "HI TT"


# -- errors -----------------------------------------------------------------------------------------------------------

ERRORS = {
    "a batch": (lambda: ctc_greedy_search(np.zeros((2, 3, 4))), ValueError, r"logits have shape \(2, 3, 4\), expected"),
    "nan": (lambda: ctc_greedy_search(np.full((2, 3), np.nan)), ValueError, "logits hold nan: no text can be read"),
    "no such blank": (lambda: ctc_beam_search(np.zeros((2, 3)), blank=3), ValueError, "blank is 3, but there are 3 cl"),
    "no beam": (lambda: ctc_beam_search(np.zeros((2, 3)), beam_width=0), ValueError, "beam_width is 0: expected 1"),
    "a language model of other classes": (
        lambda: ctc_beam_search(np.zeros((2, 3)), language_model=lambda tokens: np.zeros(4)),
        ValueError, r"the language model returned an array of shape \(4,\), expected \(3,\)"),
    "too many tokens": (lambda: forced_alignment(np.zeros((3, 3)), [1, 2, 1, 2]), ValueError,
                        "the 4 tokens need 4 frames, but there are 3: is it their recording"),
    "too many repeats": (lambda: forced_alignment(np.zeros((3, 3)), [1, 1, 2]), ValueError, "the 3 tokens need 4 fr"),
    "the blank": (lambda: forced_alignment(np.zeros((3, 3)), [1, 0]), ValueError, "tokens hold 0: expected 0 to 2"),
    "no class": (lambda: forced_alignment(np.zeros((3, 3)), [3]), ValueError, "tokens hold 3: expected 0 to 2 other"),
    "floats": (lambda: forced_alignment(np.zeros((3, 3)), [1.0]), TypeError, "tokens must be a row of whole numbers"),
    "probability zero": (lambda: forced_alignment(np.array([[0, -np.inf]] * 2), [1]), ValueError, "every path of the"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, kind, words = ERRORS[name]
    with pytest.raises(kind, match=words):
        call()

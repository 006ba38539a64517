"""generate() against transformers 5: token for token in every deterministic mode, with random settings."""

import itertools
import random

import numpy as np
import pytest

from edutransformers import GPT2Config, GPT2LMHeadModel
from edutransformers.generation import LogitsProcessor, StoppingCriteria
from tests.models.seeded import seed_weights

from .common import MAJOR, original_of, torch, transformers

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(MAJOR < 5, reason="needs transformers 5.x"),
    pytest.mark.filterwarnings("ignore"),
]

V, EOS, PAD = 23, 22, 0


@pytest.fixture(scope="module")
def pair():
    config = GPT2Config(
        vocab_size=V, n_embd=24, n_layer=2, n_head=3, n_positions=64, bos_token_id=1, eos_token_id=EOS, use_cache=True
    )
    ours = GPT2LMHeadModel(config).astype("float64").eval()
    seed_weights(ours, std=0.35)
    theirs = original_of(ours)
    theirs.config.use_cache = True
    return ours, theirs


PROMPTS = {
    "one": (np.array([[5, 7, 9]]), None),
    "batch": (np.array([[5, 7, 9, 3], [2, 2, 8, 4], [11, 6, 1, 13]]), None),
    "padded": (
        np.array([[PAD, PAD, 5, 7, 9], [PAD, 2, 2, 8, 4], [11, 6, 1, 13, 3]]),
        np.array([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1]]),
    ),
}
LENGTHS = [{"max_new_tokens": 1}, {"max_new_tokens": 12}, {"max_length": 20}, {"max_length": 40}]
RULES = [
    {},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.8},
    {"no_repeat_ngram_size": 2},
    {"no_repeat_ngram_size": 1},
    {"min_length": 12},
    {"min_new_tokens": 6},
    {"bad_words_ids": [[3], [5, 7], [EOS]]},
    {"suppress_tokens": [4, 9, EOS]},
    {"begin_suppress_tokens": [4, 9, 13, 2]},
    {"forced_bos_token_id": 6},
    {"forced_eos_token_id": EOS},
    {"exponential_decay_length_penalty": (2, 1.2)},
    {"sequence_bias": [[[6], 2.0], [[5, 3], -4.0]]},
    {"renormalize_logits": True, "repetition_penalty": 1.1},
    {"remove_invalid_values": True},
    {"eos_token_id": [EOS, 7]},
    {"eos_token_id": [EOS, 7, 3], "min_new_tokens": 3},
    {"no_repeat_ngram_size": 3, "repetition_penalty": 1.2, "min_new_tokens": 4},
]
BEAMS = [
    {"num_beams": n, "early_stopping": early, "length_penalty": penalty, "num_return_sequences": returned}
    for n, early, penalty, returned in itertools.product([2, 4], [True, False, "never"], [1.0, 0.0, 2.0, -1.0], [1, 2])
]


def assert_equal_texts(pair, prompt, **settings):
    ours, theirs = pair
    ids, mask = PROMPTS[prompt]
    settings = {"pad_token_id": PAD, "return_dict_in_generate": True, "output_scores": True, **settings}
    inputs = {} if mask is None else {"attention_mask": mask}
    mine = ours.generate(ids, **inputs, **settings)
    with torch.no_grad():
        other = theirs.generate(
            torch.tensor(ids),
            attention_mask=torch.tensor(np.ones_like(ids) if mask is None else mask),
            do_sample=False,
            **settings,
        )
    np.testing.assert_array_equal(mine.sequences, other.sequences.numpy(), err_msg=str((prompt, settings)))
    assert len(mine.scores) == len(other.scores)
    for got, wanted in zip(mine.scores, other.scores):
        np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-4, atol=1e-4)
    if settings.get("num_beams", 1) > 1:
        np.testing.assert_allclose(mine.sequences_scores, other.sequences_scores.numpy(), rtol=1e-4, atol=1e-4)
        # Where fewer texts are possible than asked for, a place keeps the score −1e9, and float32 can't tell which
        # impossible text took it.
        real = mine.sequences_scores > -1e8
        np.testing.assert_array_equal(mine.beam_indices[real], other.beam_indices.numpy()[real])
        if not real.all():
            return mine.sequences
    scores = ours.compute_transition_scores(mine.sequences, mine.scores, mine.get("beam_indices"))
    wanted = theirs.compute_transition_scores(other.sequences, other.scores, other.get("beam_indices"))
    np.testing.assert_allclose(scores, wanted.numpy(), rtol=1e-4, atol=1e-4)
    return mine.sequences


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy(pair, prompt, rules):
    for length in random.Random(str((prompt, rules))).sample(LENGTHS, 2):
        assert_equal_texts(pair, prompt, **length, **rules)


@pytest.mark.parametrize("beams", BEAMS, ids=str)
def test_beams(pair, beams):
    rng = random.Random(str(beams))
    for rules in [{}, rng.choice(RULES[1:])]:
        assert_equal_texts(pair, rng.choice(list(PROMPTS)), **rng.choice(LENGTHS), **beams, **rules)


def test_the_texts_differ(pair):
    """What is compared is not one text again and again, and some end early."""
    texts = [assert_equal_texts(pair, "batch", max_new_tokens=30, **rules) for rules in RULES]
    assert len({text.tobytes() for text in texts}) >= 8
    assert any((text[:, 4:-1] == EOS).any() for text in texts)
    assert len({text.shape for text in texts}) > 2


def test_without_a_cache(pair):
    for settings in ({}, {"num_beams": 3}):
        assert_equal_texts(pair, "padded", max_new_tokens=8, use_cache=False, **settings)


def test_rules_of_ones_own(pair):
    ours, theirs = pair

    class Even(LogitsProcessor):
        def __call__(self, input_ids, scores):
            scores = scores.copy()
            scores[:, 1::2] = -np.inf
            return scores

    class TheirEven(transformers.LogitsProcessor):
        def __call__(self, input_ids, scores):
            scores = scores.clone()
            scores[:, 1::2] = -np.inf
            return scores

    class Thrice(StoppingCriteria):
        def __call__(self, input_ids, scores, **kwargs):
            return (input_ids[:, 4:] == input_ids[:, -1:]).sum(axis=1) >= 3

    class TheirThrice(transformers.StoppingCriteria):
        def __call__(self, input_ids, scores, **kwargs):
            return (input_ids[:, 4:] == input_ids[:, -1:]).sum(dim=1) >= 3

    ids, _ = PROMPTS["batch"]
    for settings in ({}, {"num_beams": 3}):
        settings = {**settings, "max_new_tokens": 25, "pad_token_id": PAD}
        mine = ours.generate(ids, logits_processor=[Even()], stopping_criteria=[Thrice()], **settings)
        other = theirs.generate(
            torch.tensor(ids),
            attention_mask=torch.ones_like(torch.tensor(ids)),
            logits_processor=[TheirEven()],
            stopping_criteria=[TheirThrice()],
            do_sample=False,
            **settings,
        )
        np.testing.assert_array_equal(mine, other.numpy())


def test_prefix_allowed_tokens(pair):
    allowed = lambda batch, ids: [2 + batch, 5, 7, EOS] if len(ids) % 2 else [3, 4, 9]  # noqa: E731
    for settings in ({}, {"num_beams": 3}):
        assert_equal_texts(pair, "batch", max_new_tokens=9, prefix_allowed_tokens_fn=allowed, **settings)


WARPERS = [
    {"temperature": 0.7},
    {"temperature": 1.8, "top_k": 0},
    {"top_k": 5},
    {"top_p": 0.8, "top_k": 0},
    {"top_p": 0.3, "top_k": 7},
    {"min_p": 0.1, "top_k": 0},
    {"typical_p": 0.6, "top_k": 0},
    {"epsilon_cutoff": 0.03, "top_k": 0},
    {"eta_cutoff": 0.05, "top_k": 0},
]


@pytest.mark.parametrize("warper", WARPERS, ids=str)
@pytest.mark.parametrize("beams", [1, 3])
def test_the_odds_of_sampling(pair, warper, beams):
    """The scores that the first word is drawn with."""
    ours, theirs = pair
    ids, mask = PROMPTS["padded"]
    settings = {
        "do_sample": True,
        "max_new_tokens": 1,
        "num_beams": beams,
        "pad_token_id": PAD,
        "return_dict_in_generate": True,
        "output_scores": True,
        **warper,
    }
    mine = ours.generate(ids, attention_mask=mask, **settings)
    other = theirs.generate(torch.tensor(ids), attention_mask=torch.tensor(mask), **settings)
    np.testing.assert_allclose(mine.scores[0], other.scores[0].numpy(), rtol=1e-4, atol=1e-4)
    assert np.isinf(mine.scores[0]).any() or "temperature" in warper

"""Logits processors, warpers and stopping criteria, each by itself."""

import time

import numpy as np
import pytest

from edutransformers import generation as g
from edutransformers.backend import to_numpy
from edutransformers.generation.configuration import GenerationConfig
from edutransformers.generation.rules import criteria_of, processors_of

IDS = np.array([[1, 2, 3, 1, 2], [4, 4, 4, 4, 4]])
NO = -np.inf


@pytest.fixture
def scores(rng):
    return rng.standard_normal((2, 6))


def only(token):
    return {(row, c): 0 if c == token else NO for row in (0, 1) for c in range(6)}


RULES = {
    "min_length": (g.MinLengthLogitsProcessor(6, 5), {(0, 5): NO, (1, 5): NO}),
    "min_length reached": (g.MinLengthLogitsProcessor(5, [5]), {}),
    "min_new_tokens": (g.MinNewTokensLengthLogitsProcessor(3, 3, [5, 0]), {(r, c): NO for r in (0, 1) for c in (0, 5)}),
    "min_new_tokens reached": (g.MinNewTokensLengthLogitsProcessor(3, 2, 5), {}),
    "no_repeat_ngram": (g.NoRepeatNGramLogitsProcessor(3), {(0, 3): NO, (1, 4): NO}),
    "no word twice": (g.NoRepeatNGramLogitsProcessor(1), {(0, 1): NO, (0, 2): NO, (0, 3): NO, (1, 4): NO}),
    "long ngrams": (g.NoRepeatNGramLogitsProcessor(7), {}),
    "bad words": (g.NoBadWordsLogitsProcessor([[3], [2, 0], [4, 2, 1], [5]], 5), {(0, 3): NO, (1, 3): NO, (0, 0): NO}),
    "only the end": (g.NoBadWordsLogitsProcessor([[5]], 5), {}),
    "suppressed": (g.SuppressTokensLogitsProcessor([0, 4]), {(r, c): NO for r in (0, 1) for c in (0, 4)}),
    "at begin": (g.SuppressTokensAtBeginLogitsProcessor([2], 5), {(0, 2): NO, (1, 2): NO}),
    "not at begin": (g.SuppressTokensAtBeginLogitsProcessor([2], 4), {}),
    "forced bos": (g.ForcedBOSTokenLogitsProcessor(3), {}),
    "forced eos": (g.ForcedEOSTokenLogitsProcessor(6, 5), only(5)),
    "not yet forced eos": (g.ForcedEOSTokenLogitsProcessor(7, 5), {}),
    "forced": (g.ForceTokensLogitsProcessor([(5, 1)]), only(1)),
    "free": (g.ForceTokensLogitsProcessor([(5, None), (4, 2)]), {}),
}  # fmt: skip


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", RULES)
def test_a_rule_changes_what_it_says(name, scores, device, fake_cupy):
    rule, changes = RULES[name]
    scores.flags.writeable = False
    wanted = scores.copy()
    for place, value in changes.items():
        wanted[place] = value
    if device == "cuda":
        got = to_numpy(rule(fake_cupy.asarray(IDS), fake_cupy.asarray(scores)))
    else:
        got = rule(IDS, scores)
    np.testing.assert_array_equal(got, wanted)


def test_repetition(scores):
    got = g.RepetitionPenaltyLogitsProcessor(2.0)(IDS, scores)
    for row, words in enumerate(([1, 2, 3], [4])):
        for word in range(6):
            s = scores[row, word]
            wanted = s if word not in words else s * 2 if s < 0 else s / 2
            assert got[row, word] == wanted
    ignoring = g.RepetitionPenaltyLogitsProcessor(2.0, np.array([3, 0]))(IDS, scores)
    assert ignoring[0, 3] == scores[0, 3]
    assert ignoring[0, 1] == got[0, 1]
    np.testing.assert_array_equal(ignoring[1], got[1])


def test_bias(scores):
    got = g.SequenceBiasLogitsProcessor({(3,): 1.5, (1, 2, 0): -2.0, (4, 4): 0.5})(IDS, scores)
    wanted = scores.copy()
    wanted[:, 3] += 1.5
    wanted[0, 0] -= 2.0
    wanted[1, 4] += 0.5
    np.testing.assert_allclose(got, wanted)


def test_the_end_becomes_likelier(scores):
    rule = g.ExponentialDecayLengthPenalty((1, 1.5), 5, 2)
    np.testing.assert_array_equal(rule(IDS[:, :3], scores), scores)
    got = rule(IDS, scores)
    np.testing.assert_allclose(got[:, 5], scores[:, 5] + np.abs(scores[:, 5]) * (1.5**2 - 1))
    np.testing.assert_array_equal(got[:, :5], scores[:, :5])


def test_numbers_that_are_none():
    scores = np.array([[np.nan, np.inf, -np.inf, 1.0]], dtype=np.float32)
    got = g.InfNanRemoveLogitsProcessor()(IDS[:1], scores)
    assert got.dtype == np.float32
    assert got.tolist() == [[0.0, np.finfo(np.float32).max, np.finfo(np.float32).min, 1.0]]


# -- warpers: by the definitions, with sets ---------------------------------------------------------------------------


def kept(warper, row):
    return set(np.flatnonzero(np.isfinite(warper(IDS[:1], row[None])[0])).tolist())


P = np.array([0.4, 0.25, 0.05, 0.2, 0.02, 0.08])


@pytest.mark.parametrize(
    ("warper", "wanted"),
    [
        (g.TopKLogitsWarper(2), {0, 1}),
        (g.TopKLogitsWarper(1, min_tokens_to_keep=3), {0, 1, 3}),
        (g.TopKLogitsWarper(99), set(range(6))),
        (g.TopPLogitsWarper(0.5), {0, 1}),
        (g.TopPLogitsWarper(0.7), {0, 1, 3}),
        (g.TopPLogitsWarper(0.0), {0}),
        (g.TopPLogitsWarper(0.1, min_tokens_to_keep=2), {0, 1}),
        (g.TopPLogitsWarper(1.0), set(range(6))),
        (g.MinPLogitsWarper(0.5), {0, 1, 3}),
        (g.MinPLogitsWarper(1.0, min_tokens_to_keep=2), {0, 1}),
        (g.EpsilonLogitsWarper(0.1), {0, 1, 3}),
        (g.EpsilonLogitsWarper(0.9), {0}),
        (g.EtaLogitsWarper(0.06), {0, 1, 3, 5}),
        (g.TypicalLogitsWarper(0.2), {1}),  # entropy 1.47; −log 0.25 = 1.39 is nearest to it, then −log 0.2 = 1.61
        (g.TypicalLogitsWarper(0.4), {1, 3}),
        (g.TypicalLogitsWarper(0.2, min_tokens_to_keep=2), {1, 3}),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_words_that_may_be_drawn(warper, wanted, device, fake_cupy):
    scores = np.log(P)[None] + 3
    if device == "cuda":
        got = to_numpy(warper(fake_cupy.asarray(IDS[:1]), fake_cupy.asarray(scores)))
    else:
        got = warper(IDS[:1], scores)
    assert set(np.flatnonzero(np.isfinite(got[0])).tolist()) == wanted
    np.testing.assert_array_equal(got[0][list(wanted)], scores[0][list(wanted)])


def test_temperature_and_normalization(scores):
    np.testing.assert_array_equal(g.TemperatureLogitsWarper(0.5)(IDS, scores), scores * 2)
    np.testing.assert_allclose(np.exp(g.LogitNormalization()(IDS, scores)).sum(axis=1), 1)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: g.MinLengthLogitsProcessor(-1, 5), "min_length is -1"),
        (lambda: g.MinNewTokensLengthLogitsProcessor(2, 1.5, 5), "min_new_tokens is 1.5"),
        (lambda: g.RepetitionPenaltyLogitsProcessor(0.0), "repetition_penalty is 0.0"),
        (lambda: g.NoRepeatNGramLogitsProcessor(0), "no_repeat_ngram_size is 0"),
        (lambda: g.SequenceBiasLogitsProcessor({}), "with at least one entry"),
        (lambda: g.SequenceBiasLogitsProcessor({(1,): "high"}), "the bias of .* is 'high'"),
        (lambda: g.SequenceBiasLogitsProcessor({(): 1.0}), "a sequence of no tokens"),
        (lambda: g.NoBadWordsLogitsProcessor([]), r"bad_words_ids is \[\]"),
        (lambda: g.NoBadWordsLogitsProcessor([3]), "bad_words_ids holds 3, expected lists"),
        (lambda: g.NoBadWordsLogitsProcessor([[-3]]), "expected ids, whole numbers of 0 or more"),
        (lambda: g.SuppressTokensLogitsProcessor(["a"]), "expected ids"),
        (lambda: g.ForcedBOSTokenLogitsProcessor("en"), "expected a token's id"),
        (lambda: g.TemperatureLogitsWarper(-1), "temperature is -1"),
        (lambda: g.TopKLogitsWarper(0), "top_k is 0"),
        (lambda: g.TopPLogitsWarper(2), "top_p is 2"),
        (lambda: g.MinPLogitsWarper(-1), "min_p is -1"),
        (lambda: g.TypicalLogitsWarper(1.0), "typical_p is 1.0"),
        (lambda: g.EpsilonLogitsWarper(0), "epsilon_cutoff is 0"),
        (lambda: g.EtaLogitsWarper(1), "eta_cutoff is 1"),
        (lambda: g.TopPLogitsWarper(0.5, min_tokens_to_keep=0), "min_tokens_to_keep is 0"),
    ],
)
def test_bad_settings(make, match):
    with pytest.raises(ValueError, match=match):
        make()


# -- stopping, and settings -------------------------------------------------------------------------------------------


def test_stopping():
    ids = np.array([[1, 2, 5], [1, 5, 2]])
    assert g.EosTokenCriteria([5, 7])(ids, None).tolist() == [True, False]
    assert g.MaxLengthCriteria(3)(ids, None)
    assert not g.MaxLengthCriteria(4)(ids, None)
    assert g.MaxTimeCriteria(10, time.time() - 11)(ids, None)
    assert not g.MaxTimeCriteria(10)(ids, None)
    both = g.StoppingCriteriaList([g.EosTokenCriteria(5), g.MaxLengthCriteria(9)])
    assert both(ids, None).tolist() == [True, False]
    assert both.max_length == 9


def test_rules_stand_in_the_originals_order():
    config = GenerationConfig(
        sequence_bias={(1,): 1.0}, repetition_penalty=1.1, no_repeat_ngram_size=2, bad_words_ids=[[3]], min_length=4,
        min_new_tokens=2, forced_bos_token_id=1, forced_eos_token_id=2, remove_invalid_values=True, suppress_tokens=[4],
        exponential_decay_length_penalty=(1, 1.1), begin_suppress_tokens=[3], forced_decoder_ids=[[1, 2]],
        do_sample=True, temperature=0.5, top_k=4, top_p=0.9, min_p=0.1, typical_p=0.9, epsilon_cutoff=0.1,
        eta_cutoff=0.1, renormalize_logits=True, eos_token_id=5,
    )  # fmt: skip
    own = g.LogitsProcessor()
    names = [type(rule).__name__ for rule in processors_of(config, 3, [own], lambda text, ids: [1])]
    assert names == [
        "SequenceBiasLogitsProcessor", "RepetitionPenaltyLogitsProcessor", "NoRepeatNGramLogitsProcessor",
        "NoBadWordsLogitsProcessor", "MinLengthLogitsProcessor", "MinNewTokensLengthLogitsProcessor",
        "PrefixConstrainedLogitsProcessor", "ForcedBOSTokenLogitsProcessor", "ForcedEOSTokenLogitsProcessor",
        "InfNanRemoveLogitsProcessor", "ExponentialDecayLengthPenalty", "SuppressTokensLogitsProcessor",
        "SuppressTokensAtBeginLogitsProcessor", "ForceTokensLogitsProcessor", "LogitsProcessor",
        "TemperatureLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper", "MinPLogitsWarper", "TypicalLogitsWarper",
        "EpsilonLogitsWarper", "EtaLogitsWarper", "LogitNormalization",
    ]  # fmt: skip
    assert processors_of(GenerationConfig(), 3) == []
    kinds = [type(c).__name__ for c in criteria_of(GenerationConfig(max_time=1.0, eos_token_id=5))]
    assert kinds == ["MaxLengthCriteria", "MaxTimeCriteria", "EosTokenCriteria"]


def test_a_config_and_its_file(tmp_path):
    config = GenerationConfig(max_new_tokens=7, num_beams=3, eos_token_id=[1, 2], a_field_of_the_future=3)
    config.save_pretrained(tmp_path)
    assert GenerationConfig.from_pretrained(tmp_path) == config
    assert GenerationConfig.from_pretrained(tmp_path, num_beams=2).num_beams == 2
    assert config.update(num_beams=4, colour="red") == {"colour": "red"}
    assert config.num_beams == 4
    assert '"a_field_of_the_future": 3' in repr(config)
    assert GenerationConfig().to_diff_dict() == {}


def test_settings_that_old_checkpoints_keep_in_the_models_config():
    from edutransformers import GPT2Config

    model_config = GPT2Config(
        do_sample=True, max_length=50, task_specific_params={"text-generation": {"do_sample": False, "max_length": 30}}
    )
    config = GenerationConfig.from_model_config(model_config)
    assert (config.max_length, config.do_sample, config.eos_token_id) == (50, True, 50256)
    assert GenerationConfig.from_model_config(GPT2Config()).max_length == 20

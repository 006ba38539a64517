"""From a GenerationConfig to the rules that it asks for, in the original's order."""

from __future__ import annotations

import time

from . import logits_process as rules
from . import warpers
from .configuration import GenerationConfig
from .stopping_criteria import EosTokenCriteria, MaxLengthCriteria, MaxTimeCriteria, StoppingCriteriaList


def processors_of(
    config: GenerationConfig, prompt_length: int, own=None, prefix_allowed_tokens_fn=None, padding=None
) -> rules.LogitsProcessorList:
    """All rules for the scores; the caller's `own` stand behind the config's, and before the warpers.

    padding: how many tokens each text is padded with on the left, or None.
    """
    found = rules.LogitsProcessorList()
    ends = config.ends
    if config.sequence_bias is not None:
        found.append(rules.SequenceBiasLogitsProcessor(config.sequence_bias))
    if config.repetition_penalty not in (None, 1.0):
        found.append(rules.RepetitionPenaltyLogitsProcessor(config.repetition_penalty, padding))
    if config.no_repeat_ngram_size:
        found.append(rules.NoRepeatNGramLogitsProcessor(config.no_repeat_ngram_size))
    if config.bad_words_ids is not None:
        found.append(rules.NoBadWordsLogitsProcessor(config.bad_words_ids, ends or None))
    if config.min_length and ends:
        found.append(rules.MinLengthLogitsProcessor(config.min_length, ends))
    if config.min_new_tokens and ends:
        found.append(rules.MinNewTokensLengthLogitsProcessor(prompt_length, config.min_new_tokens, ends))
    if prefix_allowed_tokens_fn is not None:
        found.append(rules.PrefixConstrainedLogitsProcessor(prefix_allowed_tokens_fn, config.num_beams))
    if config.forced_bos_token_id is not None:
        found.append(rules.ForcedBOSTokenLogitsProcessor(config.forced_bos_token_id))
    if config.forced_eos_token_id is not None:
        found.append(rules.ForcedEOSTokenLogitsProcessor(config.max_length, config.forced_eos_token_id))
    if config.remove_invalid_values:
        found.append(rules.InfNanRemoveLogitsProcessor())
    if config.exponential_decay_length_penalty is not None:
        found.append(rules.ExponentialDecayLengthPenalty(config.exponential_decay_length_penalty, ends, prompt_length))
    if config.suppress_tokens is not None:
        found.append(rules.SuppressTokensLogitsProcessor(config.suppress_tokens))
    if config.begin_suppress_tokens is not None:
        begin = prompt_length
        if prompt_length == 1 and config.forced_bos_token_id is not None:
            begin += 1
        if config.forced_decoder_ids:
            begin += config.forced_decoder_ids[-1][0]
        found.append(rules.SuppressTokensAtBeginLogitsProcessor(config.begin_suppress_tokens, begin))
    if config.forced_decoder_ids is not None:
        found.append(rules.ForceTokensLogitsProcessor(config.forced_decoder_ids))
    found.extend(own or ())
    if config.do_sample:
        found.extend(_warpers_of(config, len(ends)))
    if config.renormalize_logits:
        found.append(warpers.LogitNormalization())
    return found


def _warpers_of(config: GenerationConfig, end_count: int) -> list:
    """Which words may be drawn. Beams need one more than there are ends, so that one can go on."""
    least = max(2, end_count + 1) if config.num_beams > 1 else 1
    found = []
    if config.temperature not in (None, 1.0):
        found.append(warpers.TemperatureLogitsWarper(config.temperature))
    if config.top_k:
        found.append(warpers.TopKLogitsWarper(config.top_k, least))
    if config.top_p is not None and config.top_p < 1.0:
        found.append(warpers.TopPLogitsWarper(config.top_p, least))
    if config.min_p is not None:
        found.append(warpers.MinPLogitsWarper(config.min_p, least))
    if config.typical_p is not None and config.typical_p < 1.0:
        found.append(warpers.TypicalLogitsWarper(config.typical_p, least))
    if config.epsilon_cutoff:
        found.append(warpers.EpsilonLogitsWarper(config.epsilon_cutoff, least))
    if config.eta_cutoff:
        found.append(warpers.EtaLogitsWarper(config.eta_cutoff, least))
    return found


def criteria_of(config: GenerationConfig, own=None) -> StoppingCriteriaList:
    found = StoppingCriteriaList([MaxLengthCriteria(config.max_length)])
    if config.max_time is not None:
        found.append(MaxTimeCriteria(config.max_time, time.time()))
    found.extend(own or ())
    if config.ends:
        found.append(EosTokenCriteria(config.ends))
    return found

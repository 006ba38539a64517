"""Writing text with a model: which word comes next, again and again. Names are imported when they are first used."""

from ..lazy import lazy_names

_HOMES = {
    "BeamSearch": "beam_search",
    "EosTokenCriteria": "stopping_criteria",
    "EpsilonLogitsWarper": "warpers",
    "EtaLogitsWarper": "warpers",
    "ExponentialDecayLengthPenalty": "logits_process",
    "ForceTokensLogitsProcessor": "logits_process",
    "ForcedBOSTokenLogitsProcessor": "logits_process",
    "ForcedEOSTokenLogitsProcessor": "logits_process",
    "GenerateBeamDecoderOnlyOutput": "outputs",
    "GenerateDecoderOnlyOutput": "outputs",
    "GenerationConfig": "configuration",
    "GenerationMixin": "mixin",
    "InfNanRemoveLogitsProcessor": "logits_process",
    "LogitNormalization": "warpers",
    "LogitsProcessor": "logits_process",
    "LogitsProcessorList": "logits_process",
    "MaxLengthCriteria": "stopping_criteria",
    "MaxTimeCriteria": "stopping_criteria",
    "MinLengthLogitsProcessor": "logits_process",
    "MinNewTokensLengthLogitsProcessor": "logits_process",
    "MinPLogitsWarper": "warpers",
    "NoBadWordsLogitsProcessor": "logits_process",
    "NoRepeatNGramLogitsProcessor": "logits_process",
    "PrefixConstrainedLogitsProcessor": "logits_process",
    "RepetitionPenaltyLogitsProcessor": "logits_process",
    "SequenceBiasLogitsProcessor": "logits_process",
    "StoppingCriteria": "stopping_criteria",
    "StoppingCriteriaList": "stopping_criteria",
    "SuppressTokensAtBeginLogitsProcessor": "logits_process",
    "SuppressTokensLogitsProcessor": "logits_process",
    "TemperatureLogitsWarper": "warpers",
    "TextIteratorStreamer": "streamers",
    "TextStreamer": "streamers",
    "TopKLogitsWarper": "warpers",
    "TopPLogitsWarper": "warpers",
    "TypicalLogitsWarper": "warpers",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

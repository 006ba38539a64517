"""Sound: files to arrays, arrays to a model's inputs.

    samples = load_audio("speech.wav")                                   # (T,) float32 at 16,000 hertz
    Wav2Vec2FeatureExtractor()(samples, sampling_rate=16000)             # {"input_values": …}

Names are imported when they are first used.
"""

from ..lazy import lazy_names

_HOMES = {
    "Alignment": "ctc_decoding",
    "CTCHypothesis": "ctc_decoding",
    "CodedWavError": "wav",
    "SequenceFeatureExtractor": "feature_extraction",
    "Wav2Vec2FeatureExtractor": "wav2vec2",
    "Wav2Vec2Processor": "wav2vec2_processor",
    "TokenSpan": "ctc_decoding",
    "collapse_path": "ctc_decoding",
    "ctc_beam_search": "ctc_decoding",
    "ctc_greedy_search": "ctc_decoding",
    "decode_audio": "loading",
    "forced_alignment": "ctc_decoding",
    "load_audio": "loading",
    "read_audio": "loading",
    "read_wav": "wav",
    "resample": "loading",
    "to_mono": "loading",
    "to_samples": "loading",
    "wav_bytes": "wav",
    "write_wav": "wav",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

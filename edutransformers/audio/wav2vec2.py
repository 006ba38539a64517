"""Wav2Vec2's input: the samples themselves, with their mean taken off and their loudness made one.

Source: Baevski et al. 2020, "wav2vec 2.0", section 2.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from ..logging import get_logger
from ..preprocessor import BatchFeature
from ..tokenizers.strategies import PaddingStrategy
from .feature_extraction import SequenceFeatureExtractor
from .loading import to_samples

logger = get_logger(__name__)

EPSILON = 1e-7  # silence has the variance 0


class Wav2Vec2FeatureExtractor(SequenceFeatureExtractor):
    """x̂ = (x − mean(x)) / √(var(x) + 10⁻⁷)   x (T,) samples of one recording

    do_normalize            whether to do so
    return_attention_mask   True for models with `feat_extract_norm="layer"`; those with "group" were trained on padding
                            that they take for silence
    feature_size, sampling_rate, padding_value   see `SequenceFeatureExtractor`

    >>> extract = Wav2Vec2FeatureExtractor()
    >>> extract([0.1, 0.2, 0.3], sampling_rate=16000, return_tensors="np")["input_values"].round(3)
    array([[-1.225,  0.   ,  1.225]], dtype=float32)
    """

    model_input_names = ["input_values", "attention_mask"]

    def __init__(
        self,
        feature_size: int = 1,
        sampling_rate: int = 16000,
        padding_value: float = 0.0,
        return_attention_mask: bool = False,
        do_normalize: bool = True,
        **kwargs,
    ):
        super().__init__(
            feature_size, sampling_rate, padding_value, return_attention_mask=return_attention_mask, **kwargs
        )
        self.do_normalize = do_normalize

    def __call__(
        self,
        raw_speech,
        padding: bool | str | PaddingStrategy = False,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        sampling_rate: int | None = None,
    ) -> BatchFeature:
        """Recordings -> {"input_values" (B, T), and if wanted "attention_mask" (B, T)}.

        raw_speech      one recording, (samples,); or several, a list of such or an array (recordings, samples)
        sampling_rate   that of `raw_speech`, in hertz: give it, so that a wrong one is noticed
        The rest is as in `pad`; without `return_tensors` the values are lists of arrays.

        Without a mask, padding counts as sound in a recording's mean and variance, as in the original.

        Raises ValueError for another sampling rate, for more than one channel, for recordings that are empty, NaN or
        infinite.
        """
        self._check_rate(sampling_rate)
        batch = self.pad(
            {self.model_input_names[0]: _recordings(raw_speech)},
            padding,
            max_length,
            truncation,
            pad_to_multiple_of,
            return_attention_mask,
        )
        values, masks = list(batch["input_values"]), batch.get("attention_mask")
        if self.do_normalize:
            values = self.zero_mean_unit_var_norm(values, masks, self.padding_value)
        batch["input_values"] = values
        if masks is not None:
            batch["attention_mask"] = list(masks)
        return batch.convert_to_tensors(return_tensors)

    @staticmethod
    def zero_mean_unit_var_norm(input_values, attention_mask=None, padding_value: float = 0.0) -> list[np.ndarray]:
        """Each row (T,) with mean 0 and variance 1 where its mask is 1, and `padding_value` where it is 0."""
        normed = []
        for number, row in enumerate(input_values):
            padding = None if attention_mask is None else np.asarray(attention_mask[number]) == 0
            is_padded = padding is not None and padding.any()
            sound = row[~padding] if is_padded else row
            scaled = row - sound.mean()
            scaled /= np.sqrt(sound.var() + EPSILON)
            if is_padded:
                scaled[padding] = padding_value
            normed.append(scaled)
        return normed

    def _check_rate(self, sampling_rate: int | None) -> None:
        if sampling_rate is None:
            logger.warning(
                "%s was not told the sampling rate of the sound, and takes it to be %s; pass sampling_rate=, so that a "
                "wrong one is noticed",
                type(self).__name__,
                self.sampling_rate,
            )
        elif sampling_rate != self.sampling_rate:
            raise ValueError(
                f"the sound has a sampling rate of {sampling_rate} hertz, but the model takes {self.sampling_rate}; "
                f'resample it, with load_audio({{"array": sound, "sampling_rate": {sampling_rate}}}, '
                f"{self.sampling_rate})"
            )


def _recordings(raw_speech) -> list[np.ndarray]:
    """One recording or several -> a list of (samples,) in float32."""
    if isinstance(raw_speech, (str, bytes, os.PathLike, Mapping)):
        raise TypeError(
            f"the sound is a {type(raw_speech).__name__}, not an array of samples; read it first, with load_audio"
        )
    if isinstance(raw_speech, (list, tuple)):
        is_batch = len(raw_speech) > 0 and not np.isscalar(raw_speech[0])
        rows = list(raw_speech) if is_batch else [raw_speech]
    else:
        array = np.asarray(raw_speech)
        if array.ndim > 2 or (array.ndim == 2 and array.shape[1] <= 2 < len(array)):
            raise ValueError(
                f"the sound has the shape {array.shape}; expected one channel, as (samples,), or several recordings, "
                "(recordings, samples); make one channel of several with to_mono"
            )
        rows = list(array) if array.ndim == 2 else [array]
    names = ["the sound" if len(rows) == 1 else f"recording {number} of the batch" for number in range(len(rows))]
    samples = [to_samples(row, name) for row, name in zip(rows, names)]
    for row, name in zip(samples, names):
        if row.ndim != 1:
            raise ValueError(f"{name} has the shape {row.shape}; expected one channel, (samples,): see to_mono")
    return samples

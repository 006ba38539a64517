"""Speech recognition: what is said in a recording, and when?

A CTC model says for each frame, 20 ms of sound, which letter it hears; the tokenizer takes repeats together and blanks
out. A long recording is heard in chunks that overlap: of each only the middle is used, where the model knows what came
before and what comes after, and the letters of the middles stand one behind the other.

    chunk      left |        middle        | right
    next chunk                        left |        middle        | right

Source: Patry 2022, "Making automatic speech recognition work on large files with Wav2Vec2".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Real
from typing import NamedTuple

import numpy as np

from ..audio.loading import check_rate, load_audio
from .base import ChunkPipeline

TIMESTAMPS = ("char", "word")


class Stride(NamedTuple):
    """How many samples (or frames) a chunk has, and how many of them on either side are there for context only."""

    length: int
    left: int
    right: int

    def in_frames(self, samples_per_frame: int) -> Stride:
        ratio = 1 / samples_per_frame
        frames = round(self.length * ratio)
        return Stride(frames, *(round(side / self.length * frames) for side in (self.left, self.right)))


class AutomaticSpeechRecognitionPipeline(ChunkPipeline):
    """
    >>> transcribe = pipeline("automatic-speech-recognition", model=name)                          # doctest: +SKIP
    >>> transcribe("speech.wav")                                                                   # doctest: +SKIP
    {'text': 'GOOD MORNING'}

    chunk_length_s      hear recordings in chunks of so many seconds; 0 or nothing: all at once, which takes memory
                        with the square of the length
    stride_length_s     seconds of a chunk that are context only, on each side, or (left, right); default: a sixth
    return_timestamps   "char" or "word": also where in the recording each was heard, in seconds
    ignore_warning      accepted as in the original, where it silences a warning about other kinds of models
    """

    needs = ("feature_extractor", "tokenizer")
    padding_side = "right"  # frames are counted from the left

    def _sanitize_parameters(
        self, chunk_length_s=None, stride_length_s=None, return_timestamps=None, ignore_warning=None
    ):
        preprocess, postprocess = {}, {}
        if chunk_length_s is not None:
            preprocess["chunk_length_s"] = _seconds("chunk_length_s", chunk_length_s)
        if stride_length_s is not None:
            sides = stride_length_s if isinstance(stride_length_s, (tuple, list)) else [stride_length_s] * 2
            if len(sides) != 2:
                raise ValueError(f"stride_length_s is {stride_length_s!r}; expected seconds, or (left, right)")
            preprocess["stride_length_s"] = tuple(_seconds("stride_length_s", side) for side in sides)
        if return_timestamps:
            if return_timestamps not in TIMESTAMPS:
                raise ValueError(
                    f"return_timestamps is {return_timestamps!r}; a CTC model knows when it heard each letter: "
                    "expected 'char' or 'word'"
                )
            postprocess["return_timestamps"] = return_timestamps
        return preprocess, {}, postprocess

    def __call__(self, inputs, *args, **kwargs):
        """A recording -> {"text"}, with `return_timestamps` also "chunks"; a list, dataset or generator -> one each.

        A recording is whatever `load_audio` takes: a path, the bytes of a file, an open file, an array that has the
        model's sampling rate, or a dictionary {"array" or "raw", "sampling_rate"}, which is resampled. Its further
        entries come back with the text, in lists. "stride": (left, right) says how many of its samples are context.
        """
        return super().__call__(inputs, *args, **kwargs)

    # -- from a recording to the model's inputs -----------------------------------------------------------------------

    def preprocess(self, inputs, chunk_length_s=0, stride_length_s=None):
        rate = self.feature_extractor.sampling_rate
        samples = load_audio(inputs, rate)
        stride, others = None, {}
        if isinstance(inputs, Mapping):
            stride = self._stride_of(inputs, len(samples))
            others = _other_entries(inputs)
        if not chunk_length_s:
            yield {**self._features(samples), "stride": stride, "others": others}
            return
        if stride is not None:
            raise ValueError("the recording's own stride and chunk_length_s contradict each other; give only one")
        if stride_length_s is None:
            stride_length_s = (chunk_length_s / 6,) * 2
        align = self.model.config.inputs_to_logits_ratio  # chunks begin where frames begin
        length, left, right = (round(seconds * rate / align) * align for seconds in (chunk_length_s, *stride_length_s))
        if length <= left + right:
            raise ValueError(
                f"chunks of chunk_length_s={chunk_length_s} seconds have nothing between a left and a right stride of "
                f"{stride_length_s[0]:g} and {stride_length_s[1]:g} seconds; make them longer than both together"
            )
        for number, (chunk, chunk_stride) in enumerate(chunks_of(samples, length, left, right)):
            if number > 0 and self._frames(len(chunk)) < 1:
                continue  # the end, which is too short for a frame
            yield {**self._features(chunk), "stride": chunk_stride, "others": others}

    def _features(self, samples: np.ndarray) -> dict:
        features = self.feature_extractor(
            samples,
            sampling_rate=self.feature_extractor.sampling_rate,
            return_attention_mask=True,  # a batch may pad
            return_tensors="np",
        )
        return {**features.to(dtype=self.model.dtype), "frames": self._frames(len(samples))}

    def _frames(self, samples: int) -> int:
        return int(self.model._get_feat_extract_output_lengths(samples))

    def _stride_of(self, inputs: Mapping, length: int) -> Stride | None:
        """What a recording says itself to be context, at the model's sampling rate."""
        if inputs.get("stride") is None:
            return None
        rate = self.feature_extractor.sampling_rate
        ratio = rate / check_rate(inputs.get("sampling_rate") or rate)
        try:
            left, right = (round(side * ratio) for side in inputs["stride"])
        except (TypeError, ValueError):
            raise ValueError(f"stride is {inputs['stride']!r}; expected (samples left, samples right)") from None
        if left < 0 or right < 0 or left + right >= length:
            raise ValueError(f"stride is {inputs['stride']}, which leaves nothing of the recording's {length} samples")
        return Stride(length, left, right)

    # -- from the model to a text -------------------------------------------------------------------------------------

    def _forward(self, model_inputs):
        kept = {name: model_inputs.pop(name) for name in ("stride", "others", "frames")}
        logits = self.model(**model_inputs).logits  # (B, T, V)
        return {"tokens": logits.argmax(axis=-1), **kept}

    def postprocess(self, model_outputs, return_timestamps=None):
        tokens = np.concatenate([self._middle(output) for output in model_outputs])
        result = {"text": self.tokenizer.decode(tokens)}
        if return_timestamps:
            found = self.tokenizer.decode(tokens, **{f"output_{return_timestamps}_offsets": True})
            result["chunks"] = [
                {"text": heard[return_timestamps], "timestamp": self._seconds_of(heard)}
                for heard in found[f"{return_timestamps}_offsets"]
            ]
        for name in model_outputs[0]["others"]:
            result[name] = [output["others"][name] for output in model_outputs]
        return result

    def _seconds_of(self, heard: dict) -> tuple[float, float]:
        samples, rate = self.model.config.inputs_to_logits_ratio, self.feature_extractor.sampling_rate
        return heard["start_offset"] * samples / rate, heard["end_offset"] * samples / rate

    def _middle(self, output: dict) -> np.ndarray:
        """The tokens of a chunk's frames, without those of padding and of context."""
        tokens = output["tokens"][0][: output["frames"]]
        if output["stride"] is None:
            return tokens
        stride = output["stride"].in_frames(self.model.config.inputs_to_logits_ratio)
        return tokens[stride.left : stride.length - stride.right]


def chunks_of(samples: np.ndarray, length: int, left: int, right: int) -> Iterator[tuple[np.ndarray, Stride]]:
    """Samples (T,) -> chunks of `length` samples, each with its stride. The first has no context on the left, the last
    none on the right, and may be shorter; the middles together are the whole.
    """
    for start in range(0, len(samples), length - left - right):
        chunk = samples[start : start + length]
        is_last = start + length >= len(samples)
        stride = Stride(len(chunk), left if start else 0, 0 if is_last else right)
        if stride.length > stride.left:
            yield chunk, stride
        if is_last:
            return


def _seconds(name: str, value) -> float:
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} is {value!r}; expected seconds, 0 or more")
    return value


def _other_entries(inputs: Mapping) -> dict:
    """What a dictionary holds besides its sound. "path" is the sound's in the rows of datasets, which say "array"."""
    sound = {"raw", "sampling_rate", "stride"}
    if inputs.get("raw") is None:
        sound |= {"array", "path", "bytes"}
    return {name: value for name, value in inputs.items() if name not in sound}

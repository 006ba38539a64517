"""Wav2Vec2's processor: sound to the model's input, texts to its labels, what it heard back to texts."""

from __future__ import annotations

from ..processing import Processor


class Wav2Vec2Processor(Processor):
    """A feature extractor and a CTC tokenizer.

    >>> processor = Wav2Vec2Processor.from_pretrained(name)                                        # doctest: +SKIP
    >>> batch = processor(sounds, text=texts, sampling_rate=16000, padding=True, return_tensors="np")  # doctest: +SKIP
    >>> processor.batch_decode(model(**batch).logits.argmax(-1))                                   # doctest: +SKIP
    """

    attributes = ("feature_extractor", "tokenizer")

    def __call__(self, audio=None, text=None, **kwargs):
        """Recordings -> {"input_values", maybe "attention_mask"}; texts -> {"input_ids", …}; both -> "labels" too.

        Arguments go to the part that knows them, those that both know (padding, max_length, return_tensors, …) to
        both; `audio_kwargs` and `text_kwargs` are for one alone. Padded labels are the padding token's id; set them to
        -100 where a loss should leave them out.
        """
        audio = kwargs.pop("raw_speech", audio)  # the argument's name in older code
        if audio is None and text is None:
            raise ValueError("there is nothing to process: pass audio, text, or both")
        arguments = self._split(kwargs)
        encoded = None if text is None else self.tokenizer(text, **arguments["tokenizer"])
        if audio is None:
            return encoded
        inputs = self.feature_extractor(audio, **arguments["feature_extractor"])
        if encoded is not None:
            inputs["labels"] = encoded["input_ids"]
        return inputs

    def pad(self, input_features=None, labels=None, **kwargs):
        """Pad what calls gave: rows of sound, rows of labels ({"input_ids": …}), or both, as a data collator does."""
        if input_features is None and labels is None:
            raise ValueError("there is nothing to pad: pass input_features, labels, or both")
        arguments = self._split(kwargs, "pad")
        padded = None if labels is None else self.tokenizer.pad(labels, **arguments["tokenizer"])
        if input_features is None:
            return padded
        inputs = self.feature_extractor.pad(input_features, **arguments["feature_extractor"])
        if padded is not None:
            inputs["labels"] = padded["input_ids"]
        return inputs

    def as_target_processor(self):
        """How older code made labels; it is gone from transformers 5."""
        raise AttributeError(
            "as_target_processor() is gone: pass the labels' texts as processor(text=texts), or with the sound as "
            "processor(sounds, text=texts); to pad labels: processor.pad(labels=labels)"
        )

    @property
    def model_input_names(self) -> list[str]:
        """Those of the feature extractor, and the labels."""
        return [*self.feature_extractor.model_input_names, "labels"]

"""Audio classification: what kind of sound is it?"""

from __future__ import annotations

import numpy as np

from ..audio.loading import load_audio
from .base import Pipeline
from .text_classification import ClassificationFunction, apply_function, classification_function


class AudioClassificationPipeline(Pipeline):
    """
    >>> classify = pipeline("audio-classification", model=name)                                    # doctest: +SKIP
    >>> classify("speech.wav")                                                                     # doctest: +SKIP
    [{'score': 0.97, 'label': 'yes'}, {'score': 0.02, 'label': 'no'}, …]

    top_k               how many labels to return, best first (default 5), if the model has as many; None returns all
    function_to_apply   "softmax", "sigmoid" (each label on its own), "none" (the logits as they are). "default", or
                        nothing, decides by the model: regression none; several labels at once sigmoid; else softmax
    """

    needs = ("feature_extractor",)
    padding_side = "right"

    def _sanitize_parameters(self, top_k="", function_to_apply=None):
        # top_k=None means "all labels", so "" stands for "not given".
        postprocess = {}
        if top_k != "":
            if top_k is not None and (not isinstance(top_k, (int, np.integer)) or isinstance(top_k, bool) or top_k < 1):
                raise ValueError(f"top_k is {top_k!r}; expected a whole number from 1 on, or None for all labels")
            postprocess["top_k"] = top_k
        if function_to_apply is not None and function_to_apply != "default":
            postprocess["function_to_apply"] = classification_function(function_to_apply)
        return {}, {}, postprocess

    def __call__(self, inputs, *args, **kwargs):
        """A recording -> [{"score", "label"}, …], best first; a list, dataset or generator -> one such list each.

        A recording is whatever `load_audio` takes: a path, the bytes of a file, an open file, an array that has the
        model's sampling rate, or a dictionary {"array" or "raw", "sampling_rate"}, which is resampled.
        """
        return super().__call__(inputs, *args, **kwargs)

    def preprocess(self, inputs):
        rate = self.feature_extractor.sampling_rate
        features = self.feature_extractor(
            load_audio(inputs, rate),
            sampling_rate=rate,
            return_attention_mask=True,  # a batch may pad
            return_tensors="np",
        )
        return features.to(dtype=self.model.dtype)

    def _forward(self, model_inputs):
        return self.model(**model_inputs)

    def postprocess(self, model_outputs, function_to_apply=None, top_k=5):
        logits = model_outputs["logits"][0]  # (labels,)
        if function_to_apply is None:
            function_to_apply = default_function(self.model.config)
        scores = apply_function(function_to_apply, logits)
        best = np.argsort(-scores, kind="stable")[:top_k]
        names = self.model.config.id2label
        return [{"score": float(scores[index]), "label": names[int(index)]} for index in best]


def default_function(config) -> ClassificationFunction:
    """The rule for models that say nothing else. Unlike for texts and pictures, a single label gets a softmax."""
    if config.problem_type == "regression":
        return ClassificationFunction.NONE
    if config.problem_type == "multi_label_classification":
        return ClassificationFunction.SIGMOID
    return ClassificationFunction.SOFTMAX

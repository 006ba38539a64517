"""Audio classification: what kind of sound is it?"""

from __future__ import annotations

from ..audio.loading import load_audio
from .base import Pipeline
from .classification import (
    ClassificationFunction,
    best_labels,
    checked_top_k,
    classification_function,
    default_function,
    scored_labels,
)


class AudioClassificationPipeline(Pipeline):
    """
    >>> classify = pipeline("audio-classification", model=name)                                    # doctest: +SKIP
    >>> classify("speech.wav")                                                                     # doctest: +SKIP
    [{'label': 'yes', 'score': 0.97}, {'label': 'no', 'score': 0.02}, …]

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
            postprocess["top_k"] = checked_top_k(top_k, none_means="all labels")
        if function_to_apply is not None:
            postprocess["function_to_apply"] = classification_function(function_to_apply)
        return {}, {}, postprocess

    def __call__(self, inputs, *args, **kwargs):
        """A recording -> [{"label", "score"}, …], best first; a list, dataset or generator -> one such list each.

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
        config = self.model.config
        if function_to_apply is None:
            function_to_apply = default_function(config)
            if config.num_labels == 1 and config.problem_type in (None, "single_label_classification"):
                function_to_apply = ClassificationFunction.SOFTMAX  # unlike for texts and pictures, as in the original
        return best_labels(scored_labels(model_outputs["logits"][0], config, function_to_apply), top_k)

"""Text classification: which of the model's labels does a text, or a pair of texts, get?"""

from __future__ import annotations

import warnings
from enum import Enum

import numpy as np

from ..functional.softmax import softmax
from .base import Pipeline


class ClassificationFunction(str, Enum):
    """What turns the model's logits into scores."""

    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"
    NONE = "none"


class TextClassificationPipeline(Pipeline):
    """
    >>> classify = pipeline("text-classification", model=name)                                     # doctest: +SKIP
    >>> classify("What a film!")                                                                   # doctest: +SKIP
    [{'label': 'POSITIVE', 'score': 0.98}]

    function_to_apply   "softmax", "sigmoid" (each label on its own), "none" (the logits as they are). "default", or
                        nothing, decides by the model: regression none; several labels at once, or only one, sigmoid;
                        otherwise softmax
    top_k               how many labels to return, best first; None returns all
    return_all_scores   the older way: True returns all labels in the model's order
    Further keyword arguments go to the tokenizer: `truncation=True` cuts texts that are too long for the model.
    """

    needs = ("tokenizer",)

    def _sanitize_parameters(self, return_all_scores=None, function_to_apply=None, top_k="", **tokenizer_kwargs):
        # top_k=None means "all labels", so "" stands for "not given".
        postprocess = {}
        if return_all_scores is None:
            return_all_scores = getattr(self.model.config, "return_all_scores", None)
        if top_k is None or isinstance(top_k, int):
            if top_k is not None and top_k < 1:
                raise ValueError(f"top_k is {top_k}; expected a number from 1 on, or None for all labels")
            postprocess = {"top_k": top_k, "_legacy": False}
        elif top_k != "":
            raise ValueError(f"top_k is {top_k!r}; expected a whole number, or None for all labels")
        elif return_all_scores is not None:
            warnings.warn(
                "return_all_scores is deprecated: use top_k=None instead of True, top_k=1 instead of False",
                UserWarning,
                stacklevel=3,
            )
            postprocess = {"top_k": None if return_all_scores else 1}
        if function_to_apply is not None and function_to_apply != "default":
            postprocess["function_to_apply"] = classification_function(function_to_apply)
        return tokenizer_kwargs, {}, postprocess

    def __call__(self, inputs, *args, **kwargs):
        """A text, a dictionary {"text", "text_pair"}, a list of either, or a dataset -> labels with scores.

        Returns, as in the original: for one text [{"label", "score"}], for a list one dictionary a text; with top_k a
        list of such dictionaries for each text.
        """
        result = super().__call__(inputs, *args, **kwargs)
        # An oddity of the original that everybody's code relies on: one text gives a list, unless top_k is passed here.
        return [result] if isinstance(inputs, str) and "top_k" not in kwargs else result

    def preprocess(self, inputs, **tokenizer_kwargs):
        if isinstance(inputs, dict):
            if not isinstance(inputs.get("text"), str):
                raise ValueError(f'a text pair is {{"text": …, "text_pair": …}} with two str; got {str(inputs)[:80]}')
            return self.tokenizer(**inputs, return_tensors="np", **tokenizer_kwargs)
        if isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], list) and len(inputs[0]) == 2:
            text, text_pair = inputs[0]  # [[text, text_pair]]: how pairs were passed before there were dictionaries
            return self.tokenizer(text, text_pair, return_tensors="np", **tokenizer_kwargs)
        if isinstance(inputs, (list, tuple)):
            raise ValueError(
                f"text-classification got a {type(inputs).__name__} where one text was expected; pass a text pair as a "
                'dictionary {"text": "My text", "text_pair": "My pair"}'
            )
        self.check_text(inputs)
        return self.tokenizer(inputs, return_tensors="np", **tokenizer_kwargs)

    def _forward(self, model_inputs):
        return self.model(**model_inputs)

    def postprocess(self, model_outputs, function_to_apply=None, top_k=1, _legacy=True):
        logits = model_outputs["logits"][0]  # (labels,)
        if function_to_apply is None:
            function_to_apply = default_function(self.model.config)
        scores = apply_function(function_to_apply, logits).tolist()
        names = self.model.config.id2label
        if top_k == 1 and _legacy:
            best = int(np.argmax(scores))
            return {"label": names[best], "score": scores[best]}
        labels = [{"label": names[index], "score": score} for index, score in enumerate(scores)]
        if _legacy:
            return labels
        labels.sort(key=lambda label: label["score"], reverse=True)
        return labels[:top_k]


def classification_function(function) -> ClassificationFunction:
    try:
        return ClassificationFunction(function.lower() if isinstance(function, str) else function)
    except ValueError:
        known = ", ".join(repr(member.value) for member in ClassificationFunction)
        raise ValueError(f"function_to_apply is {function!r}; expected 'default' or one of {known}") from None


def default_function(config) -> ClassificationFunction:
    """The rule for models that say nothing else."""
    if config.problem_type == "regression":
        return ClassificationFunction.NONE
    if config.problem_type == "multi_label_classification" or config.num_labels == 1:
        return ClassificationFunction.SIGMOID
    return ClassificationFunction.SOFTMAX


def apply_function(function: ClassificationFunction, logits: np.ndarray) -> np.ndarray:
    """Logits (labels,) -> scores (labels,)"""
    if function is ClassificationFunction.SOFTMAX:
        return softmax(logits)
    if function is ClassificationFunction.SIGMOID:
        return np.exp(-np.logaddexp(0, -logits))  # 1 / (1 + exp(-x)) without overflow
    return logits

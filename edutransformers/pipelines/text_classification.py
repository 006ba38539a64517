"""Text classification: which of the model's labels does a text, or a pair of texts, get?"""

from __future__ import annotations

import warnings

from .base import Pipeline
from .classification import best_labels, checked_top_k, classification_function, scored_labels


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
        if top_k != "":
            postprocess = {"top_k": checked_top_k(top_k, none_means="all labels"), "_legacy": False}
        elif return_all_scores is not None:
            warnings.warn(
                "return_all_scores is deprecated: use top_k=None instead of True, top_k=1 instead of False",
                UserWarning,
                stacklevel=3,
            )
            postprocess = {"top_k": None if return_all_scores else 1}
        if function_to_apply is not None:
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
        labels = scored_labels(model_outputs["logits"][0], self.model.config, function_to_apply)
        if _legacy and top_k != 1:
            return labels
        labels = best_labels(labels, top_k)
        return labels[0] if _legacy else labels

"""Feature extraction: the model's last hidden state for each token of a text, to compute further with."""

from __future__ import annotations

from .base import Pipeline


class FeatureExtractionPipeline(Pipeline):
    """
    >>> extract = pipeline("feature-extraction", model=name)                                       # doctest: +SKIP
    >>> extract("A simple test.", return_tensors=True).shape                                       # doctest: +SKIP
    (1, 6, 384)

    return_tensors     True: a NumPy array (1, T, D); False: nested lists of floats
    truncation         cut texts that are too long for the model
    tokenize_kwargs    further arguments for the tokenizer
    """

    needs = ("tokenizer",)
    accepts_any_model = True  # of a model with a head, the first output is returned

    def _sanitize_parameters(self, truncation=None, tokenize_kwargs=None, return_tensors=None):
        tokenize_kwargs = dict(tokenize_kwargs or {})
        if truncation is not None:
            if "truncation" in tokenize_kwargs:
                raise ValueError("truncation is given twice: as an argument and in tokenize_kwargs")
            tokenize_kwargs["truncation"] = truncation
        if return_tensors not in (None, True, False, "np"):
            raise ValueError(
                f"return_tensors is {return_tensors!r}; expected True (a NumPy array) or False (nested lists)"
            )
        return tokenize_kwargs, {}, {} if return_tensors is None else {"return_tensors": bool(return_tensors)}

    def preprocess(self, inputs, **tokenize_kwargs):
        self.check_text(inputs)
        model_inputs = self.tokenizer(inputs, return_tensors="np", **tokenize_kwargs)
        return {**model_inputs, "tokens": model_inputs["input_ids"].shape[1]}

    def _forward(self, model_inputs):
        tokens = model_inputs.pop("tokens")
        return {"features": self.model(**model_inputs)[0], "tokens": tokens}

    def postprocess(self, model_outputs, return_tensors=False):
        features, tokens = model_outputs["features"], model_outputs["tokens"]
        # What a batch with a longer text added is taken off again, so that a result doesn't depend on its neighbours.
        if features.ndim == 3 and features.shape[1] > tokens:
            features = features[:, :tokens] if self.tokenizer.padding_side == "right" else features[:, -tokens:]
        return features if return_tensors else features.tolist()

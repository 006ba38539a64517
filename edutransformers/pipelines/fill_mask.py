"""Fill-mask: which words could stand where the text says [MASK]?"""

from __future__ import annotations

import numpy as np

from ..backend import topk
from ..functional.softmax import softmax
from ..logging import get_logger
from .base import Pipeline, PipelineException

logger = get_logger(__name__)


class FillMaskPipeline(Pipeline):
    """
    >>> unmask = pipeline("fill-mask", model=name)                                                 # doctest: +SKIP
    >>> unmask("Paris is the [MASK] of France.", top_k=1)                                          # doctest: +SKIP
    [{'score': 0.98, 'token': 3007, 'token_str': 'capital', 'sequence': 'paris is the capital of france.'}]

    top_k               how many words to return, best first (default 5)
    targets             only these words compete; for a word that the vocabulary lacks, its first piece, with a warning
    tokenizer_kwargs    for the tokenizer: {"truncation": True} cuts texts that are too long for the model

    Each mask is filled by itself, as if the others stayed masked: the scores of several masks are not joint.
    """

    needs = ("tokenizer",)

    def _sanitize_parameters(self, top_k=None, targets=None, tokenizer_kwargs=None):
        if self.tokenizer.mask_token_id is None:
            self._refuse(
                "the tokenizer has no mask_token, so there is nothing to fill in; is this a model for fill-mask?"
            )
        preprocess, postprocess = {}, {}
        if tokenizer_kwargs is not None:
            preprocess["tokenizer_kwargs"] = tokenizer_kwargs
        if targets is not None:
            postprocess["target_ids"] = self.get_target_ids(targets)
        if top_k is not None:
            if top_k < 1:
                raise ValueError(f"top_k is {top_k}; expected a number from 1 on")
            postprocess["top_k"] = top_k
        return preprocess, {}, postprocess

    def __call__(self, inputs, *args, **kwargs):
        """A text, a list or a dataset -> [{"score", "token", "token_str", "sequence"}] for each text.

        For a text with several masks: one such list a mask. A list of one text gives that text's result alone, as in
        the original.
        """
        outputs = super().__call__(inputs, *args, **kwargs)
        return outputs[0] if isinstance(inputs, list) and len(inputs) == 1 else outputs

    def preprocess(self, inputs, tokenizer_kwargs=None):
        self.check_text(inputs)
        model_inputs = self.tokenizer(inputs, return_tensors="np", **(tokenizer_kwargs or {}))
        if not (model_inputs["input_ids"] == self.tokenizer.mask_token_id).any():
            self._refuse(
                f"No mask_token ({self.tokenizer.mask_token}) found on the input {inputs[:60]!r}; write it where a "
                "word is to be found"
            )
        return model_inputs

    def _refuse(self, reason: str):
        raise PipelineException("fill-mask", self.model.base_model_prefix, reason)

    def _forward(self, model_inputs):
        outputs = self.model(**model_inputs)
        logits = outputs["logits"] if "logits" in outputs else outputs["prediction_logits"]
        return {"logits": logits, "input_ids": model_inputs["input_ids"]}

    def postprocess(self, model_outputs, top_k=5, target_ids=None):
        ids = model_outputs["input_ids"][0]  # (T,)
        places = np.flatnonzero(ids == self.tokenizer.mask_token_id)
        scores = softmax(model_outputs["logits"][0, places])  # (masks, V)
        if target_ids is not None:
            scores, top_k = scores[:, target_ids], min(top_k, len(target_ids))
        if top_k > scores.shape[-1]:
            raise ValueError(f"top_k is {top_k}, but the vocabulary has {scores.shape[-1]} entries")
        best, indices = topk(scores, top_k)  # (masks, top_k)
        tokens = indices if target_ids is None else target_ids[indices]
        one_mask = len(places) == 1
        filled = [
            [self._proposal(ids, place, token, score, one_mask) for score, token in zip(row_scores, row_tokens)]
            for place, row_scores, row_tokens in zip(places, best.tolist(), tokens.tolist())
        ]
        return filled[0] if one_mask else filled

    def _proposal(self, ids: np.ndarray, place: int, token: int, score: float, skip_special: bool) -> dict:
        ids = ids.copy()
        ids[place] = token
        ids = ids[ids != self.tokenizer.pad_token_id]
        # With several masks the other ones stay in the text, and so the special tokens around it do.
        sequence = self.tokenizer.decode(ids, skip_special_tokens=skip_special)
        return {"score": score, "token": token, "token_str": self.tokenizer.decode([token]), "sequence": sequence}

    def get_target_ids(self, targets: str | list[str]) -> np.ndarray:
        """The ids of the words that may be proposed, each once."""
        targets = [targets] if isinstance(targets, str) else targets
        vocabulary = self.tokenizer.get_vocab()
        ids = []
        for target in targets:
            found = vocabulary.get(target)
            if found is None:
                pieces = self.tokenizer(target, add_special_tokens=False)["input_ids"]
                if not pieces:
                    logger.warning("The specified target token %r is no text at all; it is ignored", target)
                    continue
                found = pieces[0]
                logger.warning(
                    "The specified target token %r does not exist in the model vocabulary; its first piece %r is taken",
                    target, self.tokenizer.convert_ids_to_tokens(found),
                )  # fmt: skip
            ids.append(found)
        if not ids:
            raise ValueError(f"targets is {targets!r}: at least one word must be given")
        return np.array(sorted(set(ids)))

"""Text generation: a beginning in, a text out."""

from __future__ import annotations

from enum import Enum

import numpy as np

from ..logging import get_logger
from .base import Pipeline

logger = get_logger(__name__)


class ReturnType(Enum):
    """What comes back: token ids, the new text alone, or the whole text."""

    TENSORS = 0
    NEW_TEXT = 1
    FULL_TEXT = 2


class TextGenerationPipeline(Pipeline):
    """
    >>> write = pipeline("text-generation", model=name)                                            # doctest: +SKIP
    >>> write("Once upon a time", max_new_tokens=20, do_sample=True)                               # doctest: +SKIP
    [{'generated_text': 'Once upon a time there was …'}]

    return_full_text       False returns only what was written, not what it was given (default True)
    return_tensors         True returns {"generated_token_ids": [...]}
    prefix                 a text put before each prompt; it is not returned
    stop_sequence          a text whose first token ends the writing
    handle_long_generation "hole" cuts a prompt off on the left so that the new tokens have room in the model
    add_special_tokens     whether the tokenizer puts its special tokens around the prompt (default False)
    clean_up_tokenization_spaces   remove blanks before punctuation (default True, as in 4.34)
    All else goes to `model.generate`: max_new_tokens, do_sample, num_beams, num_return_sequences, generator, …
    """

    needs = ("tokenizer",)
    padding_side = "left"  # what is written stands behind the text

    def _sanitize_parameters(
        self,
        return_full_text=None,
        return_tensors=None,
        return_text=None,
        return_type=None,
        clean_up_tokenization_spaces=None,
        prefix=None,
        handle_long_generation=None,
        stop_sequence=None,
        add_special_tokens=None,
        **generate_kwargs,
    ):
        ways = {"return_full_text": return_full_text, "return_tensors": return_tensors, "return_text": return_text}
        chosen = [name for name, value in ways.items() if value is not None]
        if len(chosen) > 1:
            raise ValueError(f"{chosen[0]} and {chosen[1]} can't be combined; pass one of them")
        if return_type is None and return_full_text is not None:
            return_type = ReturnType.FULL_TEXT if return_full_text else ReturnType.NEW_TEXT
        if return_type is None and return_tensors:
            return_type = ReturnType.TENSORS
        if handle_long_generation not in (None, "hole"):
            raise ValueError(f"handle_long_generation is {handle_long_generation!r}; expected None or 'hole'")
        if stop_sequence is not None:
            generate_kwargs["eos_token_id"] = self._stop_token(stop_sequence)
        preprocess = {
            "prefix": prefix,
            "add_special_tokens": add_special_tokens,
            "handle_long_generation": handle_long_generation,
            **{name: generate_kwargs.get(name) for name in ("max_new_tokens", "max_length")},
        }
        if prefix:
            generate_kwargs["prefix_length"] = len(self.tokenizer(prefix, add_special_tokens=False)["input_ids"])
        postprocess = {"return_type": return_type, "clean_up_tokenization_spaces": clean_up_tokenization_spaces}
        given = lambda values: {name: value for name, value in values.items() if value is not None}  # noqa: E731
        return given(preprocess), generate_kwargs, given(postprocess)

    def _stop_token(self, stop_sequence: str) -> int:
        ids = self.tokenizer(stop_sequence, add_special_tokens=False)["input_ids"]
        if not ids:
            raise ValueError(f"stop_sequence is {stop_sequence!r}, which has no tokens")
        if len(ids) > 1:
            logger.warning(
                "stop_sequence %r is %d tokens; the first of them, %r, ends a text", stop_sequence, len(ids),
                self.tokenizer.convert_ids_to_tokens(ids[0]),
            )  # fmt: skip
        return ids[0]

    def preprocess(
        self,
        prompt_text,
        prefix="",
        add_special_tokens=False,
        handle_long_generation=None,
        max_new_tokens=None,
        max_length=None,
    ):
        self.check_text(prompt_text)
        encoded = self.tokenizer(
            prefix + prompt_text, add_special_tokens=add_special_tokens, return_token_type_ids=False
        )
        ids, mask = np.array([encoded["input_ids"]], dtype=np.int64), np.array([encoded["attention_mask"]])
        if handle_long_generation == "hole":
            kept = self._room(ids.shape[1], max_new_tokens, max_length)
            ids, mask = ids[:, -kept:], mask[:, -kept:]
        return {"input_ids": ids, "attention_mask": mask.astype(np.int64), "prompt_text": prompt_text}

    def _room(self, length: int, max_new_tokens: int | None, max_length: int | None) -> int:
        """How many tokens of the prompt may stay."""
        if max_new_tokens is None:
            max_length = self.model.generation_config.max_length if max_length is None else max_length
            max_new_tokens = max_length - length
            if max_new_tokens < 0:
                raise ValueError(
                    f"the prompt has {length} tokens and max_length is {max_length}: how many are to be written? Pass "
                    "max_new_tokens"
                )
        most = min(self.tokenizer.model_max_length, getattr(self.model.config, "max_position_embeddings", length))
        if most <= max_new_tokens:
            raise ValueError(
                f"{max_new_tokens} new tokens leave no room for a prompt: this model has positions for {most}"
            )
        return min(length, most - max_new_tokens)

    def _forward(self, model_inputs, prefix_length=0, **generate_kwargs):
        ids, mask = model_inputs["input_ids"], model_inputs["attention_mask"]
        settings = generate_kwargs.get("generation_config") or self.model.generation_config
        if prefix_length and generate_kwargs.get("max_new_tokens", settings.max_new_tokens) is None:
            generate_kwargs["max_length"] = (generate_kwargs.get("max_length") or settings.max_length) + prefix_length
        if prefix_length and generate_kwargs.get("min_length"):
            generate_kwargs["min_length"] += prefix_length
        batch = len(ids)
        if ids.shape[1] == 0:  # an empty prompt: the model begins with its own first token
            ids = mask = None
        written = self.model.generate(ids, attention_mask=mask, **generate_kwargs)
        written = getattr(written, "sequences", written)
        return {
            "generated_sequence": written.reshape(batch, len(written) // batch, -1),
            "input_ids": ids,
            "prompt_text": model_inputs["prompt_text"],
        }

    def postprocess(self, model_outputs, return_type=ReturnType.FULL_TEXT, clean_up_tokenization_spaces=True):
        (sequences,) = model_outputs["generated_sequence"]
        if return_type is ReturnType.TENSORS:
            return [{"generated_token_ids": ids} for ids in sequences.tolist()]
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": clean_up_tokenization_spaces}
        prompt = model_outputs["input_ids"]
        known = 0 if prompt is None else len(self.tokenizer.decode(prompt[0], **options))
        before = model_outputs["prompt_text"] if return_type is ReturnType.FULL_TEXT else ""
        return [{"generated_text": before + self.tokenizer.decode(ids, **options)[known:]} for ids in sequences]

"""`PreTrainedTokenizerFast`: the tokenizer of any tokenizer.json, with no class of its own."""

import json
import os

from edutransformers.tokenizers.base import PreTrainedTokenizer
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.tokenizer_json import engine_from_json, read_tokenizer_json


class PreTrainedTokenizerFast(PreTrainedTokenizer):
    """All that is known of it stands in its tokenizer.json; which of its tokens are special, the keyword arguments say.

    tokenizer_file    a tokenizer.json
    tokenizer_object  in its place an `Engine`, or a `tokenizers.Tokenizer`

    >>> tokenizer = PreTrainedTokenizerFast(tokenizer_file="tokenizer.json", pad_token="<pad>")    # doctest: +SKIP

    Raises ValueError without either, and for a tokenizer.json with parts that don't exist here, naming them.
    """

    def __init__(
        self,
        tokenizer_file: str | os.PathLike | None = None,
        tokenizer_object=None,
        engine: Engine | None = None,
        **kwargs,
    ):
        if engine is None:
            engine = _engine_of(tokenizer_file, tokenizer_object)
        super().__init__(engine, **kwargs)


def _engine_of(tokenizer_file, tokenizer_object) -> Engine:
    if tokenizer_file is not None:
        return read_tokenizer_json(tokenizer_file)
    if isinstance(tokenizer_object, Engine):
        return tokenizer_object
    if hasattr(tokenizer_object, "to_str"):
        return engine_from_json(json.loads(tokenizer_object.to_str()))
    if tokenizer_object is not None:
        raise TypeError(
            f"tokenizer_object is a {type(tokenizer_object).__name__}; expected an Engine or a tokenizers.Tokenizer."
        )
    raise ValueError("PreTrainedTokenizerFast needs a tokenizer_file (a tokenizer.json) or a tokenizer_object.")

"""tokenizer.json: one file that says which stages a tokenizer has. Read into an `Engine`, written from one.

    {"normalizer": {"type": "BertNormalizer", ...}, "pre_tokenizer": {...}, "post_processor": {...}, "decoder": {...},
     "model": {"type": "WordPiece", "vocab": {...}}, "added_tokens": [...], "truncation": {...}, "padding": {...}}

Each stage is read by the class that its "type" names; the tables of those classes stand in the stages' own files.
"""

import json
import os
import re

from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.bpe import BPE
from edutransformers.tokenizers.byte_level import (
    ByteLevel,
    ByteLevelDecoder,
    ByteLevelNormalizer,
    ByteLevelProcessor,
    RobertaProcessing,
)
from edutransformers.tokenizers.decoders import DECODERS
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.normalizers import NORMALIZERS
from edutransformers.tokenizers.padding import Padding
from edutransformers.tokenizers.post_processors import POST_PROCESSORS
from edutransformers.tokenizers.pre_tokenizers import PRE_TOKENIZERS
from edutransformers.tokenizers.stages import read_part, read_stage
from edutransformers.tokenizers.strategies import TruncationStrategy
from edutransformers.tokenizers.truncation import Truncation
from edutransformers.tokenizers.unicode_scripts import UnicodeScripts
from edutransformers.tokenizers.unigram import Unigram
from edutransformers.tokenizers.word_level import WordLevel
from edutransformers.tokenizers.wordpiece import WordPiece

STAGES = {
    "normalizer": {**NORMALIZERS, "ByteLevel": ByteLevelNormalizer},
    "pre_tokenizer": {**PRE_TOKENIZERS, "ByteLevel": ByteLevel, "UnicodeScripts": UnicodeScripts},
    "model": {"BPE": BPE, "Unigram": Unigram, "WordLevel": WordLevel, "WordPiece": WordPiece},
    "post_processor": {**POST_PROCESSORS, "ByteLevel": ByteLevelProcessor, "RobertaProcessing": RobertaProcessing},
    "decoder": {**DECODERS, "ByteLevel": ByteLevelDecoder},
}


def read_tokenizer_json(path: str | os.PathLike) -> Engine:
    """The engine that a tokenizer.json describes. Raises ValueError, naming file and part, for what it can't read."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file, parse_float=read_fraction)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); was it downloaded completely?") from None
    try:
        return engine_from_json(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def engine_from_json(content: dict) -> Engine:
    """The same from the file's content, already parsed."""
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise ValueError("A tokenizer.json is a JSON object with a 'model' that is one, too; this is something else.")
    if content.get("version", "1.0") != "1.0":
        raise ValueError(
            f"The version is {content['version']!r}; edutransformers reads version '1.0' of tokenizer.json."
        )
    stages = {name: read_stage(name, content.get(name), classes) for name, classes in STAGES.items()}
    engine = Engine(**stages)
    engine.truncation = read_part("truncation", content.get("truncation"), _read_truncation)
    engine.padding = read_part("padding", content.get("padding"), _read_padding)
    read_part("added_tokens", content.get("added_tokens"), lambda tokens: _add_tokens(engine, tokens))
    return engine


def engine_to_json(engine: Engine) -> dict:
    """What tokenizer.json holds for this engine; its parts in the order in which the original writes them."""
    added = sorted(engine.added_tokens.by_id.items())
    return {
        "version": "1.0",
        "truncation": engine.truncation.to_json() if engine.truncation else None,
        "padding": engine.padding.to_json() if engine.padding else None,
        "added_tokens": [{"id": i, **token.to_json()} for i, token in added],
        **{name: stage.to_json() if (stage := getattr(engine, name)) else None for name in _WRITING_ORDER},
    }


_WRITING_ORDER = ("normalizer", "pre_tokenizer", "post_processor", "decoder", "model")


def _read_truncation(part: dict) -> Truncation:
    strategy = re.sub(r"(?<!^)([A-Z])", r"_\1", part["strategy"]).lower()  # "LongestFirst" -> "longest_first"
    side = part.get("direction", "Right").lower()
    return Truncation(part["max_length"], TruncationStrategy(strategy), part.get("stride", 0), side)


def _read_padding(part: dict) -> Padding:
    strategy = part["strategy"]
    return Padding(
        length=strategy["Fixed"] if isinstance(strategy, dict) else None,
        multiple_of=part.get("pad_to_multiple_of"),
        side=part.get("direction", "Right").lower(),
        pad_id=part["pad_id"],
        pad_type_id=part["pad_type_id"],
        pad_token=part["pad_token"],
    )


def _add_tokens(engine: Engine, tokens: list[dict]) -> None:
    for token in sorted(tokens, key=lambda token: token["id"]):
        added = AddedToken.from_json(token)
        in_vocabulary = engine.model.vocab.get(added.content)
        if in_vocabulary is not None and in_vocabulary != token["id"]:
            raise ValueError(
                f"the added token {added.content!r} has the id {token['id']}, but the vocabulary gives it "
                f"{in_vocabulary}."
            )
        engine.added_tokens.add_with_id(added, token["id"])
    engine.added_tokens.refresh(engine.normalizer)


_FRACTION = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?")


def read_fraction(text: str) -> float:
    """A number with a fraction or an exponent, as the Rust library reads it: digits / power of ten, in floating point.

    That is not always the nearest float, and now and then the scores of a Unigram model decide by their last bit:
    whether "???" is cut into "?" "??" or "??" "?", which have the same pieces.
    """
    sign, whole, fraction, exponent = _FRACTION.fullmatch(text).groups()
    fraction = fraction or ""
    used = min(len(fraction), max(19 - len(whole), 0))  # so many digits fit into 64 bits
    digits = int(whole + fraction[:used])
    while used < len(fraction) and digits * 10 + int(fraction[used]) < 1 << 64:  # or one more; the rest is left out
        digits, used = digits * 10 + int(fraction[used]), used + 1
    number, power = float(digits), int(exponent or 0) - used
    if number == 0:
        return number
    if power < -308:
        number, power = number / 1e308, power + 308
    number = number / float(f"1e{-power}") if power < 0 else number * float(f"1e{power}")
    return -number if sign else number

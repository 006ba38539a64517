"""The files of a vocabulary that are not tokenizer.json: vocab.txt, vocab.json with merges.txt, and tiktoken's ranks.

    vocab.txt    one token a line, its id the number of the line                       WordPiece
    vocab.json   {"token": id, ...}                                                    BPE, word level
    merges.txt   "left right" a line, the pair that was learned first on top           BPE
    *.tiktoken   a token's bytes in base64, a blank, its rank, which is also its id    byte-level BPE

SentencePiece's `.model` has a file of its own, sentencepiece_model.py.
"""

import base64
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from edutransformers.tokenizers.byte_level import CHARACTERS
from edutransformers.tokenizers.wordpiece import check_vocabulary

Merge = tuple[str, str]


# ---------------------------------------------------------------------------------------------------------------------
# vocab.txt
# ---------------------------------------------------------------------------------------------------------------------


def read_vocabulary(path: str | os.PathLike) -> dict[str, int]:
    """vocab.txt: one token a line, its id the line's number from 0.

    Raises OSError when there is no such file, ValueError when it is empty, repeats a token or isn't UTF-8.
    """
    lines = _read_text(path, newline=None).split("\n")
    if lines[-1] == "":
        lines.pop()  # what stands behind the last line's end
    try:
        return ids_of_tokens(lines)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def vocabulary_text(vocab: dict[str, int]) -> str | None:
    """What vocab.txt holds. None where line numbers can't say the ids: gaps between them, a line's end in a token."""
    tokens = sorted(vocab, key=vocab.get)
    if [vocab[token] for token in tokens] != list(range(len(tokens))) or any(
        "\n" in token or "\r" in token for token in tokens
    ):
        return None
    return "".join(f"{token}\n" for token in tokens)


def ids_of_tokens(tokens: Iterable[str]) -> dict[str, int]:
    """{token: its place}. Raises ValueError for no tokens, and for one that comes twice."""
    ids: dict[str, int] = {}
    for i, token in enumerate(tokens):
        if token in ids:
            raise ValueError(
                f"the vocabulary has {token!r} twice, as entries {ids[token]} and {i}; tokens must be unique."
            )
        ids[token] = i
    if not ids:
        raise ValueError("the vocabulary is empty: it needs at least the unknown token.")
    return ids


# ---------------------------------------------------------------------------------------------------------------------
# vocab.json and merges.txt
# ---------------------------------------------------------------------------------------------------------------------


def read_vocab_json(path: str | os.PathLike, nested: bool = False) -> dict:
    """vocab.json: {token: id}, in any order; with `nested` also {language: {token: id}}.

    Raises OSError when there is no such file, ValueError when it isn't JSON of that form, names a token twice, or has
    an id twice or one that is no int of 0 or more.
    """

    def unique(pairs: list[tuple]) -> dict:
        found: dict = {}
        for token, i in pairs:
            if token in found:
                raise ValueError(f"it names {token!r} twice, with {found[token]!r} and {i!r}; tokens must be unique.")
            found[token] = i
        return found

    text = _read_text(path)
    try:
        vocab = json.loads(text, object_pairs_hook=unique)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); was it downloaded completely?") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(vocab, dict):
        raise ValueError(f"{path} must hold a JSON object of tokens and ids, not a {type(vocab).__name__}.")
    try:
        is_nested = nested and vocab and all(isinstance(inner, dict) for inner in vocab.values())
        for one in vocab.values() if is_nested else [vocab]:
            check_vocabulary(one)
            "".join(one).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{path} has a token with a lone surrogate, which is no valid Unicode text ({error})."
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return vocab


def vocab_json_text(vocab: dict[str, int]) -> str:
    """What vocab.json holds, as the original's Rust library writes it: by id, with no blank and no line's end."""
    return json.dumps(dict(sorted(vocab.items(), key=lambda item: item[1])), ensure_ascii=False, separators=(",", ":"))


def sorted_vocab_json_text(vocab: dict[str, int]) -> str:
    """The same as the original's Python classes write it: by token, one a line."""
    return json.dumps(vocab, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_merges(path: str | os.PathLike, vocab: dict[str, int] | None = None, with_counts: bool = False) -> list[Merge]:
    """merges.txt: a pair of tokens a line, the earliest merge first; "#version: ..." is no merge.

    With `vocab` every token that a merge names must be in it; `with_counts` allows a third column, fastBPE's count of
    the pair. Raises OSError when there is no such file, ValueError, which names the line, for one that is no pair or
    names an unknown token.
    """
    lines = _read_text(path).split("\n")
    while lines and lines[-1] in ("", "\r"):
        lines.pop()
    merges = []
    for number, line in enumerate(lines, start=1):
        if line.startswith("#version"):
            continue
        pair = line.removesuffix("\r").split(" ")[: 2 if with_counts else None]
        if len(pair) != 2 or "" in pair:
            raise ValueError(
                f"{path}, line {number}: {line[:60]!r} is no merge; expected two tokens with a blank between them."
            )
        for token in pair:
            if vocab is not None and token not in vocab:
                raise ValueError(
                    f"{path}, line {number}: {line[:60]!r} merges {token!r}, which is not in the vocabulary; do the "
                    "two files belong together?"
                )
        merges.append((pair[0], pair[1]))
    return merges


def merges_text(merges: Sequence[Merge]) -> str:
    """What merges.txt holds, as the original writes it."""
    return "#version: 0.2\n" + merge_lines(merges)


def merge_lines(merges: Sequence[Merge]) -> str:
    """The same without the line that tells the version, as in fastBPE's files."""
    return "".join(f"{left} {right}\n" for left, right in merges)


# ---------------------------------------------------------------------------------------------------------------------
# tiktoken
# ---------------------------------------------------------------------------------------------------------------------


def read_tiktoken(path: str | os.PathLike) -> tuple[dict[str, int], list[Merge]]:
    """({token: id}, merges) of a tiktoken rank file, for `BPE` behind `ByteLevel`: bytes written as its characters.

    The file has no merges. tiktoken joins the neighbours whose joined bytes have the lowest rank, so every way to cut a
    token into two tokens is a merge with that token's rank (`merges_of_ranks`).

    Raises OSError when there is no such file, ValueError, which names the line, for what is no base64, no rank, or a
    token or rank that came before; and when one of the 256 bytes has no token.
    """
    ranks: dict[bytes, int] = {}
    lines: dict[int, int] = {}  # rank -> the line that has it
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        parts = line.split()
        if not parts:
            continue
        where = f"{path}, line {number}"
        if len(parts) != 2 or not re.fullmatch("[0-9]{1,9}", parts[1]):
            raise ValueError(f"{where}: {line[:60]!r} is no rank; expected a token in base64, a blank and a number.")
        try:
            # A lone "=" is the empty token: Whisper's multilingual file keeps a place so.
            token = b"" if parts[0] == "=" else base64.b64decode(parts[0], validate=True)
        except ValueError as error:  # also binascii.Error
            raise ValueError(f"{where}: {parts[0][:60]!r} is not valid base64 ({error}).") from None
        rank = int(parts[1])
        if token in ranks:
            raise ValueError(f"{where}: the token {token!r} came before, with rank {ranks[token]}.")
        if rank in lines:
            raise ValueError(f"{where}: the rank {rank} came before, in line {lines[rank]}; ranks must be unique.")
        ranks[token], lines[rank] = rank, number
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise ValueError(
            f"{path} has no token for {len(missing)} of the 256 bytes, the first 0x{missing[0]:02X}; was it downloaded "
            "completely?"
        )
    merges = [(_characters(left), _characters(right)) for left, right in merges_of_ranks(ranks)]
    return {_characters(token): rank for token, rank in ranks.items()}, merges


def merges_of_ranks(ranks: dict) -> list[tuple]:
    """Every way to cut a token (str or bytes) into two tokens, by the token's rank, then those of the two parts.

    For a token that was learned by merging, one of these is the merge that made it. The others never get their turn in
    text where the first does, or make the same token.
    """
    merges = []
    for token, rank in ranks.items():
        for cut in range(1, len(token)):
            left, right = ranks.get(token[:cut]), ranks.get(token[cut:])
            if left is not None and right is not None:
                merges.append((rank, left, right, cut, token))
    merges.sort()
    return [(token[:cut], token[cut:]) for _, _, _, cut, token in merges]


def _characters(token: bytes) -> str:
    return "".join([CHARACTERS[byte] for byte in token])


def _read_text(path: str | os.PathLike, newline: str | None = "") -> str:
    """The file's text. newline="": a carriage return stays what it is, since it may be part of a token."""
    path = Path(path)
    if not path.is_file():
        raise OSError(f"There is no vocabulary file {path}.")
    try:
        with open(path, encoding="utf-8", newline=newline) as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}).") from None

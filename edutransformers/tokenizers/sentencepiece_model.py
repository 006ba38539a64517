"""SentencePiece's `.model` file: pieces with scores, how they were trained, how a text is normalized. Read and written.

The file is one Protocol Buffers message (protobuf.py):

    1  a piece, as often as there are: its text, score and type
    2  settings of the trainer: the algorithm, ids and names of special pieces, byte fallback, ...
    3  settings of the normalizer: its name, its map of replacements (precompiled.py), what it does to blanks

What of it becomes a normalizer, a pre-tokenizer, a model and a decoder: sentencepiece_stages.py.

Source: SentencePiece's sentencepiece_model.proto (Kudo and Richardson 2018).
"""

import math
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from edutransformers.tokenizers.protobuf import (
    BYTES,
    FIXED32,
    VARINT,
    Field,
    read_fields,
    signed,
    unsigned,
    write_fields,
)

BLANK = "▁"  # how a blank is written inside a piece
MODEL_TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
PIECE_TYPES = {1: "normal", 2: "unknown", 3: "control", 4: "user_defined", 5: "unused", 6: "byte"}


class Piece(NamedTuple):
    """A piece of the vocabulary; its id is its place in the list.

    score  unigram: log-probability; BPE: minus its rank, 0 for what was merged first
    type   "normal"; "unknown"; "control" ("<s>": never found in a text); "user_defined" (found before all others, as
           a whole); "unused" (not given out); "byte" ("<0xE5>", a byte of an unknown character)
    """

    piece: str
    score: float = 0.0
    type: str = "normal"


def _setting(number: int, default):
    """A setting that is field `number` of its message."""
    return field(default=default, metadata={"number": number})


@dataclass(frozen=True)
class TrainerSettings:
    """What of the trainer's settings matters for using the model. `others`: all the rest, as it stands in the file."""

    model_type: str = _setting(3, "unigram")
    vocab_size: int = _setting(4, 8000)
    treat_whitespace_as_suffix: bool = _setting(24, False)  # "▁" ends a word in place of beginning one
    byte_fallback: bool = _setting(35, False)
    unk_id: int = _setting(40, 0)
    bos_id: int = _setting(41, 1)
    eos_id: int = _setting(42, 2)
    pad_id: int = _setting(43, -1)  # −1: there is none
    unk_surface: str = _setting(44, " \u2047 ")  # what an unknown piece decodes to
    unk_piece: str = _setting(45, "<unk>")
    bos_piece: str = _setting(46, "<s>")
    eos_piece: str = _setting(47, "</s>")
    pad_piece: str = _setting(48, "<pad>")
    others: tuple[Field, ...] = ()


@dataclass(frozen=True)
class NormalizerSettings:
    """What happens to a text before it is cut. `others`: what has no name here, as it stands in the file."""

    name: str = _setting(1, "")  # "nmt_nfkc", "identity", ...
    precompiled_charsmap: bytes = _setting(2, b"")
    add_dummy_prefix: bool = _setting(3, True)  # put a blank before the text
    remove_extra_whitespaces: bool = _setting(4, True)  # none at the ends, no two in a row
    escape_whitespaces: bool = _setting(5, True)  # write a blank as "▁"
    others: tuple[Field, ...] = ()


@dataclass(frozen=True)
class SentencePieceModel:
    """What a `.model` file holds. `others`: the parts that have no name here, as they stand in the file.

    denormalizer  what is done to a text after decoding; hardly any model has one

    Raises ValueError where the sentencepiece library does: for no pieces, an empty one, one that comes twice, and if
    not exactly one is of type "unknown".
    """

    pieces: tuple[Piece, ...]
    trainer: TrainerSettings = TrainerSettings()
    normalizer: NormalizerSettings = NormalizerSettings()
    denormalizer: NormalizerSettings | None = None
    others: tuple[Field, ...] = ()
    # The file as it was read, for writing it again byte for byte. A changed model is a new one, which has none.
    source: bytes | None = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "pieces", tuple(Piece(*piece) for piece in self.pieces))
        if not self.pieces:
            raise ValueError("it has no pieces")
        ids: dict[str, int] = {}
        for i, (piece, score, kind) in enumerate(self.pieces):
            if not piece:
                raise ValueError(f"piece {i} is empty")
            if ids.setdefault(piece, i) != i:
                raise ValueError(f"it has the piece {piece!r} twice, as {ids[piece]} and {i}")
            if not math.isfinite(score):
                raise ValueError(f"the score of piece {i}, {piece!r}, is {score}")
            if kind not in _PIECE_TYPE_NUMBERS:
                raise ValueError(
                    f"piece {i}, {piece!r}, is of type {kind!r}; known are {', '.join(_PIECE_TYPE_NUMBERS)}"
                )
        unknown = sum(piece.type == "unknown" for piece in self.pieces)
        if unknown != 1:
            raise ValueError(f"{unknown} pieces are of type 'unknown'; expected one")

    @property
    def unk_id(self) -> int:
        """The place of the piece of type "unknown", which is what counts, whatever the trainer's settings say."""
        return next(i for i, piece in enumerate(self.pieces) if piece.type == "unknown")

    def with_pieces(self, pieces: Sequence[tuple]) -> "SentencePieceModel":
        """The same settings for another vocabulary; the ids in the settings are those of the new one."""
        new = replace(self, pieces=tuple(pieces))
        ids = {piece.piece: i for i, piece in enumerate(new.pieces)}
        trainer = replace(
            self.trainer,
            vocab_size=len(new.pieces),
            unk_id=new.unk_id,
            unk_piece=new.pieces[new.unk_id].piece,
            bos_id=ids.get(self.trainer.bos_piece, -1),
            eos_id=ids.get(self.trainer.eos_piece, -1),
            pad_id=ids.get(self.trainer.pad_piece, -1),
        )
        return replace(new, trainer=trainer)

    def to_bytes(self) -> bytes:
        """The file's content, which the sentencepiece library loads too."""
        if self.source is not None:
            return self.source
        fields = [Field(1, BYTES, _piece_to_bytes(piece)) for piece in self.pieces]
        fields.append(Field(2, BYTES, _settings_to_bytes(self.trainer)))
        fields.append(Field(3, BYTES, _settings_to_bytes(self.normalizer)))
        if self.denormalizer is not None:
            fields.append(Field(5, BYTES, _settings_to_bytes(self.denormalizer)))
        return write_fields([*fields, *self.others])

    @classmethod
    def from_bytes(cls, data: bytes) -> "SentencePieceModel":
        """Raises ValueError, with the reason, for what is no model, or one that is cut off."""
        pieces, others = [], []
        settings: dict[int, bytes] = {}
        for number, wire_type, value in read_fields(data):
            if number in (1, 2, 3, 5) and wire_type != BYTES:
                raise ValueError(f"field {number} is of wire type {wire_type}; expected 2")
            if number == 1:
                pieces.append(_piece_from_bytes(value, len(pieces)))
            elif number in (2, 3, 5):
                settings[number] = settings.get(number, b"") + value  # a message in two parts is one behind the other
            else:
                others.append(Field(number, wire_type, value))
        model = cls(
            tuple(pieces),
            _settings_from_bytes(TrainerSettings, settings.get(2, b"")),
            _settings_from_bytes(NormalizerSettings, settings.get(3, b"")),
            _settings_from_bytes(NormalizerSettings, settings[5]) if 5 in settings else None,
            tuple(others),
        )
        object.__setattr__(model, "source", data)
        return model


def read_sentencepiece(path: str | os.PathLike) -> SentencePieceModel:
    """The model that a `.model` file holds.

    Raises OSError when there is no such file, ValueError, which names the file, when it is no SentencePiece model.
    """
    path = Path(path)
    if not path.is_file():
        raise OSError(f"There is no SentencePiece model {path}.")
    try:
        return SentencePieceModel.from_bytes(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no whole SentencePiece model: {error}; was it downloaded completely?") from None


# ---------------------------------------------------------------------------------------------------------------------
# Messages as bytes
# ---------------------------------------------------------------------------------------------------------------------

_MODEL_TYPE_NUMBERS = {name: number for number, name in MODEL_TYPES.items()}
_PIECE_TYPE_NUMBERS = {name: number for number, name in PIECE_TYPES.items()}


def _piece_from_bytes(data: bytes, i: int) -> Piece:
    text, score, kind = "", 0.0, 1
    for number, wire_type, value in read_fields(data):
        if (number, wire_type) == (1, BYTES):
            text = _text(value, f"piece {i}")
        elif (number, wire_type) == (2, FIXED32):
            (score,) = struct.unpack("<f", value)
        elif (number, wire_type) == (3, VARINT):
            kind = value
    if kind not in PIECE_TYPES:
        raise ValueError(f"piece {i}, {text!r}, is of type {kind}; expected 1 to 6")
    return Piece(text, score, PIECE_TYPES[kind])


def _piece_to_bytes(piece: Piece) -> bytes:
    fields = [Field(1, BYTES, piece.piece.encode("utf-8")), Field(2, FIXED32, struct.pack("<f", piece.score))]
    if piece.type != "normal":
        fields.append(Field(3, VARINT, _PIECE_TYPE_NUMBERS[piece.type]))
    return write_fields(fields)


def _settings_from_bytes(kind: type, data: bytes):
    """A dataclass whose fields know their numbers, from a message; the last value of a number counts."""
    by_number = {entry.metadata["number"]: entry for entry in kind.__dataclass_fields__.values() if entry.metadata}
    values, others = {}, []
    for read in read_fields(data):
        entry = by_number.get(read.number)
        if entry is None:
            others.append(read)
            continue
        if read.wire_type != (BYTES if isinstance(entry.default, (str, bytes)) and not _is_enum(entry) else VARINT):
            raise ValueError(f"the setting {entry.name} is of wire type {read.wire_type}")
        values[entry.name] = _value(entry, read.value)
    return kind(**values, others=tuple(others))


def _settings_to_bytes(settings) -> bytes:
    fields = list(settings.others)
    for entry in settings.__dataclass_fields__.values():
        if not entry.metadata:
            continue
        value = getattr(settings, entry.name)
        if _is_enum(entry):
            value = _MODEL_TYPE_NUMBERS[value]
        if isinstance(value, str):
            value = value.encode("utf-8")
        if isinstance(value, bytes):
            fields.append(Field(entry.metadata["number"], BYTES, value))
        else:
            fields.append(Field(entry.metadata["number"], VARINT, unsigned(int(value))))
    return write_fields(sorted(fields, key=lambda written: written.number))


def _is_enum(entry) -> bool:
    return entry.name == "model_type"


def _value(entry, value: int | bytes):
    """A field's value as the setting's type, which is that of its default."""
    if _is_enum(entry):
        if value not in MODEL_TYPES:
            raise ValueError(f"the model is of type {value}; expected 1 to 4 ({', '.join(MODEL_TYPES.values())})")
        return MODEL_TYPES[value]
    if isinstance(entry.default, str):
        return _text(value, f"the setting {entry.name}")
    if isinstance(entry.default, bool):
        return bool(value)
    return signed(value) if isinstance(entry.default, int) else value


def _text(value: bytes, what: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} is not UTF-8 ({error})") from None

"""Small SentencePiece models made by hand, one of each kind, and texts, for the default and the reference tests."""

import random
import struct

from edutransformers.tokenizers.sentencepiece_model import (
    NormalizerSettings,
    Piece,
    SentencePieceModel,
    TrainerSettings,
)
from tests.tokenizers.test_normalizers import precompiled_blob

SPECIAL = [Piece("<unk>", 0.0, "unknown"), Piece("<s>", 0.0, "control"), Piece("</s>", 0.0, "control")]
BYTES = [Piece(f"<0x{byte:02X}>", 0.0, "byte") for byte in range(256)]
MAP = precompiled_blob(
    {
        "ﬁ": "fi",
        "\u3000": " ",
        "\t": " ",
        "e\u0301": "é",
        "e\u0301\u0323": "ẹ\u0301",
        "①": "1",
        "½": "1\u20442",
        "ª": "",
    }
)
LETTERS = "▁ethaoldrwné1fi"
WORDS = "▁t he ▁the ▁he ll llo ▁hello ▁a an ▁an or ld ▁w orld ▁world ee eee tt ▁▁"


def unigram_pieces():
    """Scores such that several cuts come out equal but for the rounding, to see how ties fall."""
    letters = [Piece(letter, rounded(-4.0 - i / 7)) for i, letter in enumerate(LETTERS)]
    return [*SPECIAL, *letters, *(Piece(word, rounded(-2.3 * len(word))) for word in WORDS.split() if word != "▁▁")]


def rounded(score):
    """To float32, as it stands in the file."""
    return struct.unpack("<f", struct.pack("<f", score))[0]


def bpe_pieces():
    """Merges in the order of WORDS, then the letters, as SentencePiece's trainer numbers them."""
    pieces = [*WORDS.split(), *LETTERS]
    return [*SPECIAL, *(Piece(piece, -float(rank)) for rank, piece in enumerate(dict.fromkeys(pieces)))]


def make(model_type, pieces, byte_fallback=False, suffix=False, **normalizer):
    pieces = [*pieces[:3], *BYTES, *pieces[3:]] if byte_fallback else pieces
    trainer = TrainerSettings(model_type, byte_fallback=byte_fallback, treat_whitespace_as_suffix=suffix)
    return SentencePieceModel(pieces, trainer, NormalizerSettings(**normalizer)).with_pieces(pieces)


OWN = [Piece("<sep>", 0.0, "user_defined"), Piece("▁an", 0.0, "user_defined"), Piece("d", 0.0, "user_defined")]
WITHOUT = {piece.piece for piece in OWN}
UNUSED = {"▁the", "ee", "l"}


def with_own(pieces):
    return [*pieces[:3], *OWN, *(piece for piece in pieces[3:] if piece.piece not in WITHOUT)]


def with_unused(pieces):
    return [piece._replace(type="unused") if piece.piece in UNUSED else piece for piece in pieces]


MODELS = {
    "unigram": make("unigram", unigram_pieces(), precompiled_charsmap=MAP),
    "unigram, bytes": make("unigram", unigram_pieces(), True, precompiled_charsmap=MAP),
    "unigram, own pieces": make("unigram", with_own(unigram_pieces())),
    "unigram, unused pieces": make("unigram", with_unused(unigram_pieces())),
    "unigram, no blank before": make("unigram", unigram_pieces(), add_dummy_prefix=False),
    "unigram, blanks behind": make("unigram", [*SPECIAL, *(Piece(c, -3.0) for c in LETTERS)], suffix=True),
    "bpe": make("bpe", bpe_pieces(), precompiled_charsmap=MAP),
    "bpe, bytes, all blanks": make("bpe", bpe_pieces(), True, name="identity", remove_extra_whitespaces=False),
    "bpe, own pieces": make("bpe", with_own(bpe_pieces())),
    "bpe, unused pieces": make("bpe", with_unused(bpe_pieces())),
    "char": make("char", [*SPECIAL, *(Piece(letter, -1.0) for letter in LETTERS)], precompiled_charsmap=MAP),
    "word": make("word", [*SPECIAL, *(Piece(word, -1.0) for word in WORDS.split())]),
}
# Those that have stages (sentencepiece_stages.py).
WITH_STAGES = [name for name in MODELS if name not in ("unigram, blanks behind", "word")]

TEXTS = [
    "",
    " ",
    "hello",
    " hello  the world ",
    "eeeee tttt eeeeeeet",
    "teeteeeteeee " * 6,
    "\tﬁne\u3000½ ①",
    "e\u0301 e\u0301\u0323 e\u0323\u0301 ee\u0301\u0323\u0301",
    "ª a ª",
    "a▁▁b ▁",
    "<s> hello</s> <unk> <sep> <0x41>",
    "the<sep>  the<sep>an and ▁an",
    "日本語 the 😀x😀",
    "\x00a\x01",
    "A\nB\r\n",
    "an an an orld lolo",
    "hello\u00a0world\u2003",
]
LONG = "".join(random.Random(0).choices("ethlo", k=60_000))

"""A small unigram vocabulary for the tests: the words of the suite's texts, and all letters that they have."""

from edutransformers.tokenizers.sentencepiece_model import NormalizerSettings, Piece, SentencePieceModel

WORDS = "▁the ▁quick ▁brown ▁fox es ▁hello ▁world ▁un aff able ▁cafe ▁Hello ▁W orld ▁b ▁9 9, ▁1 ▁x ▁, ▁!"
CHARACTERS = "▁abcdefghijklmnopqrstuvwxyzHWNAÏVEÉCFé,!.'\"0123456789-_<>"


def vocabulary(*special: str, last: tuple[str, ...] = ()) -> list[tuple[str, float]]:
    """[(piece, log-probability), ...]: special tokens, words, characters."""
    scored = [(word, -4.0 - 0.1 * i) for i, word in enumerate(WORDS.split())]
    scored += [(character, -9.0 - 0.01 * i) for i, character in enumerate(CHARACTERS)]
    return [*((token, 0.0) for token in special), *scored, *((token, 0.0) for token in last)]


def model(*special: str, unknown: str = "<unk>", charsmap: bytes = b"") -> SentencePieceModel:
    """The same as a `.model`; `special` holds the unknown token."""
    pieces = [
        Piece(token, score, "unknown" if token == unknown else "control" if token in special else "normal")
        for token, score in vocabulary(*special)
    ]
    return SentencePieceModel(tuple(pieces), normalizer=NormalizerSettings(precompiled_charsmap=charsmap))


def write_model(path, *special: str, **options):
    """Write it to a file; returns the path."""
    path.write_bytes(model(*special, **options).to_bytes())
    return path

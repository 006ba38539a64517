"""WordPiece: cut a word into the longest pieces that the vocabulary has, from left to right.

    "unaffable", vocabulary {un, ##aff, ##able, ...}  ->  un ##aff ##able

A piece inside a word is written with a prefix, "##", so that the decoder knows where words begin. The search is greedy:
take the longest prefix that is in the vocabulary, go on behind it. If at some place nothing fits, the whole word
becomes the unknown token.

Source: Schuster and Nakajima 2012, "Japanese and Korean voice search"; Wu et al. 2016, section 4.1; BERT's release.
"""

from typing import NamedTuple


class Token(NamedTuple):
    """One piece of a word: its id, its characters [start:stop) of the word."""

    id: int
    start: int
    stop: int
    text: str | None = None  # how it is shown; None: as the vocabulary writes it


class WordPiece:
    """Greedy longest match over a vocabulary {token: id}.

    A word of more than `max_input_chars_per_word` characters is unknown without a search. Raises ValueError for an
    empty vocabulary, for two tokens with one id, and when an unknown word meets a vocabulary that has no `unk_token`.
    """

    def __init__(
        self,
        vocab: dict[str, int],
        unk_token: str = "[UNK]",
        max_input_chars_per_word: int = 100,
        continuing_subword_prefix: str = "##",
    ):
        check_vocabulary(vocab)
        if not isinstance(max_input_chars_per_word, int) or not isinstance(continuing_subword_prefix, str):
            raise ValueError(
                f"max_input_chars_per_word is {max_input_chars_per_word!r} and continuing_subword_prefix "
                f"{continuing_subword_prefix!r}; expected a whole number and a string."
            )
        self.vocab = vocab
        self.unk_token = unk_token
        self.max_input_chars_per_word = max_input_chars_per_word
        self.continuing_subword_prefix = continuing_subword_prefix
        self.id_to_token = {i: token for token, i in vocab.items()}
        # No piece can be longer than the longest entry: without this bound a long word costs its length squared.
        self.longest = max(map(len, vocab))

    is_random = False

    def tokenize(self, word: str) -> list[Token]:
        if len(word) > self.max_input_chars_per_word:
            return [self._unknown(word)]
        whole = self.vocab.get(word)
        if whole is not None:
            return [Token(whole, 0, len(word))]
        pieces = []
        start = 0
        while start < len(word):
            prefix = self.continuing_subword_prefix if start else ""
            for stop in range(min(len(word), start + self.longest), start, -1):
                piece = self.vocab.get(prefix + word[start:stop])
                if piece is not None:
                    break
            else:
                return [self._unknown(word)]
            pieces.append(Token(piece, start, stop))
            start = stop
        return pieces

    def _unknown(self, word: str) -> Token:
        unknown = self.vocab.get(self.unk_token)
        if unknown is None:
            raise ValueError(
                f"The word {word[:40]!r} is not in the vocabulary, and neither is the unknown token "
                f"{self.unk_token!r}: add it to the vocabulary or pass the right unk_token."
            )
        return Token(unknown, 0, len(word))

    def to_json(self) -> dict:
        return {
            "type": "WordPiece",
            "unk_token": self.unk_token,
            "continuing_subword_prefix": self.continuing_subword_prefix,
            "max_input_chars_per_word": self.max_input_chars_per_word,
            "vocab": dict(sorted(self.vocab.items(), key=lambda item: item[1])),
        }

    @classmethod
    def from_json(cls, part: dict) -> "WordPiece":
        return cls(
            part["vocab"],
            unk_token=part.get("unk_token", "[UNK]"),
            max_input_chars_per_word=part.get("max_input_chars_per_word", 100),
            continuing_subword_prefix=part.get("continuing_subword_prefix", "##"),
        )


HIGHEST_ID = (1 << 32) - 1  # the original keeps ids in 32 bits


def check_vocabulary(vocab: dict[str, int]) -> None:
    """Raise ValueError unless `vocab` maps at least one token to ids, each from 0 to HIGHEST_ID and no two the same."""
    if not isinstance(vocab, dict):
        raise ValueError(f"The vocabulary is a {type(vocab).__name__}; expected a dictionary {{token: id}}.")
    if not vocab:
        raise ValueError("The vocabulary is empty: it needs at least the unknown token.")
    seen: dict[int, str] = {}
    for token, i in vocab.items():
        if not isinstance(token, str) or not isinstance(i, int) or isinstance(i, bool) or not 0 <= i <= HIGHEST_ID:
            raise ValueError(
                f"The vocabulary maps {token!r} to {i!r}; expected a string and an id of 0 or more, up to {HIGHEST_ID}."
            )
        if i in seen:
            raise ValueError(f"The vocabulary gives the id {i} to both {seen[i]!r} and {token!r}; ids must be unique.")
        seen[i] = token

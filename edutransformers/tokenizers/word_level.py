"""Words or characters as tokens: the simplest models, and what makes all others necessary.

**Word-level**: a word is looked up in a table; a word that is not there is the unknown token. The table must hold
every form of every word ("walk", "walks", "walked"), each with a row of its own in the model's embedding, and what it
lacks is lost. **Character-level**: the same table behind a pre-tokenizer that cuts a text into characters
(`split_characters`). It has a few hundred entries and hardly anything is unknown, but a text becomes four or five times
as many tokens, and attention costs the square of that. docs/tokenizers/words_and_characters.md shows both in numbers.

TransfoXL's tokenizer is word-level, Wav2Vec2's character-level.
"""

from edutransformers.tokenizers.patterns import Pattern
from edutransformers.tokenizers.pre_tokenizers import Split
from edutransformers.tokenizers.wordpiece import Token, check_vocabulary


class WordLevel:
    """One token for each word, from a vocabulary {word: id}.

    unk_token   for words that the vocabulary lacks

    Raises ValueError for an empty vocabulary, for two words with one id, and when an unknown word meets a vocabulary
    that has no `unk_token`.
    """

    is_random = False

    def __init__(self, vocab: dict[str, int], unk_token: str = "<unk>"):
        check_vocabulary(vocab)
        self.vocab = vocab
        self.unk_token = unk_token
        self.id_to_token = {i: token for token, i in vocab.items()}

    def tokenize(self, word: str) -> list[Token]:
        i = self.vocab.get(word, self.vocab.get(self.unk_token))
        if i is None:
            raise ValueError(
                f"The word {word[:40]!r} is not in the vocabulary, and neither is the unknown token "
                f"{self.unk_token!r}: add it to the vocabulary or pass the right unk_token."
            )
        return [Token(i, 0, len(word))]

    def to_json(self) -> dict:
        return {
            "type": "WordLevel",
            "vocab": dict(sorted(self.vocab.items(), key=lambda item: item[1])),
            "unk_token": self.unk_token,
        }

    @classmethod
    def from_json(cls, part: dict) -> "WordLevel":
        return cls(part["vocab"], part.get("unk_token", "<unk>"))


def split_characters() -> Split:
    """The pre-tokenizer of a character-level model: each code point is a word, blanks and line ends too.

    The decoder that puts such a text together again is `Fuse`.
    """
    return Split(Pattern(r"[\s\S]", is_regex=True), "Isolated")

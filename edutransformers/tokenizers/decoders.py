"""Decoders: from tokens back to a text. So far WordPiece's.

A decoder has `decode(tokens) -> str`, `to_json()`, `from_json(part)`.
"""

# Written by the first stage of detokenization since the GPT and BERT releases: " n't" belongs to the word before it.
_CLEAN_UP = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
]


class WordPieceDecoder:
    """Glue pieces that begin with the prefix to the word before, put a blank before all others.

    With `cleanup` each token, together with the blank before it, loses that blank where English writes none. It works
    token by token, so " ' " of three tokens stays; `clean_up_tokenization` does the same to a whole text.
    """

    def __init__(self, prefix: str = "##", cleanup: bool = True):
        self.prefix = prefix
        self.cleanup = cleanup

    def decode(self, tokens: list[str]) -> str:
        pieces = []
        for i, token in enumerate(tokens):
            piece = token
            if i:
                piece = token[len(self.prefix) :] if token.startswith(self.prefix) else " " + token
            if self.cleanup:
                piece = _clean_up_token(piece)
            pieces.append(piece)
        return "".join(pieces)

    def to_json(self) -> dict:
        return {"type": "WordPiece", "prefix": self.prefix, "cleanup": self.cleanup}

    @classmethod
    def from_json(cls, part: dict) -> "WordPieceDecoder":
        return cls(prefix=part.get("prefix", "##"), cleanup=part.get("cleanup", True))


def _clean_up_token(token: str) -> str:
    if " " not in token:
        return token
    for written, cleaned in _CLEAN_UP:
        token = token.replace(written, cleaned)
        if written == " 'm":  # the Rust decoder has this rule here and no other place has it
            token = token.replace(" do not", " don't")
    return token


def clean_up_tokenization(text: str) -> str:
    """Remove the blanks that tokenization put before punctuation and English short forms."""
    for written, cleaned in _CLEAN_UP:
        text = text.replace(written, cleaned)
    return text


DECODERS = {"WordPiece": WordPieceDecoder}

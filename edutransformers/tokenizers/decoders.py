"""Decoders: from tokens back to a text."""

import re
from itertools import groupby

from edutransformers.tokenizers.patterns import Pattern
from edutransformers.tokenizers.stages import read_stages

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


class Decoder:
    """Rewrites tokens so that, joined, they are the text. With `to_json()` and `from_json(part)`."""

    def decode_chain(self, tokens: list[str]) -> list[str]:
        """The tokens rewritten; there may be fewer."""
        raise NotImplementedError

    def decode(self, tokens: list[str]) -> str:
        return "".join(self.decode_chain(tokens))


class WordPieceDecoder(Decoder):
    """Glue pieces that begin with the prefix to the word before, put a blank before all others.

    With `cleanup` each token, together with the blank before it, loses that blank where English writes none. It works
    token by token, so " ' " of three tokens stays; `clean_up_tokenization` does the same to a whole text.
    """

    def __init__(self, prefix: str = "##", cleanup: bool = True):
        self.prefix = prefix
        self.cleanup = cleanup

    def decode_chain(self, tokens):
        pieces = []
        for i, token in enumerate(tokens):
            piece = token
            if i:
                piece = token[len(self.prefix) :] if token.startswith(self.prefix) else " " + token
            if self.cleanup:
                piece = _clean_up_token(piece)
            pieces.append(piece)
        return pieces

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


class BPEDecoder(Decoder):
    """A token that ends a word ends with `suffix`: there is a blank behind it, but at the text's end."""

    def __init__(self, suffix: str = "</w>"):
        self.suffix = suffix

    def decode_chain(self, tokens):
        last = len(tokens) - 1
        return [token.replace(self.suffix, "" if i == last else " ") for i, token in enumerate(tokens)]

    def to_json(self) -> dict:
        return {"type": "BPEDecoder", "suffix": self.suffix}

    @classmethod
    def from_json(cls, part: dict) -> "BPEDecoder":
        return cls(part["suffix"])


class MetaspaceDecoder(Decoder):
    """ "▁" is a blank, and in the first token nothing, if the pre-tokenizer has put it there."""

    def __init__(self, replacement: str = "▁", prepend_scheme: str = "always", split: bool = True):
        self.replacement = replacement
        self.prepend_scheme = prepend_scheme
        self.split = split

    def decode_chain(self, tokens):
        first = " " if self.prepend_scheme == "never" else ""
        return [token.replace(self.replacement, " " if i else first) for i, token in enumerate(tokens)]

    def to_json(self) -> dict:
        return {
            "type": "Metaspace",
            "replacement": self.replacement,
            "prepend_scheme": self.prepend_scheme,
            "split": self.split,
        }

    @classmethod
    def from_json(cls, part: dict) -> "MetaspaceDecoder":
        scheme = part.get("prepend_scheme", "always" if part.get("add_prefix_space", True) else "never")
        return cls(part["replacement"], scheme, part.get("split", True))


class ByteFallback(Decoder):
    """Tokens "<0xE5>" in a row are the bytes of a text; if they are no valid UTF-8, each becomes U+FFFD."""

    _byte = re.compile(r"<0x([0-9a-fA-F]{2})>")

    def decode_chain(self, tokens):
        pieces = []
        for match, run in groupby(tokens, key=lambda token: self._byte.fullmatch(token) is not None):
            run = list(run)
            if not match:
                pieces += run
                continue
            try:
                pieces.append(bytes(int(token[3:5], 16) for token in run).decode("utf-8"))
            except UnicodeDecodeError:
                pieces += ["\ufffd"] * len(run)
        return pieces

    def to_json(self) -> dict:
        return {"type": "ByteFallback"}

    @classmethod
    def from_json(cls, part: dict) -> "ByteFallback":
        return cls()


class Fuse(Decoder):
    """All tokens as one, so that what comes behind works on the whole text."""

    def decode_chain(self, tokens):
        return ["".join(tokens)]

    def to_json(self) -> dict:
        return {"type": "Fuse"}

    @classmethod
    def from_json(cls, part: dict) -> "Fuse":
        return cls()


class StripDecoder(Decoder):
    """Take up to `start` times `content` from each token's beginning, and up to `stop` times from its end."""

    def __init__(self, content: str = " ", start: int = 0, stop: int = 0):
        self.content, self.start, self.stop = content, start, stop

    def decode_chain(self, tokens):
        return [self._strip(token) for token in tokens]

    def _strip(self, token: str) -> str:
        leading = len(token) - len(token.lstrip(self.content))
        trailing = len(token) - len(token.rstrip(self.content))
        return token[min(leading, self.start) : max(len(token) - min(trailing, self.stop), 0)]

    def to_json(self) -> dict:
        return {"type": "Strip", "content": self.content, "start": self.start, "stop": self.stop}

    @classmethod
    def from_json(cls, part: dict) -> "StripDecoder":
        return cls(part["content"], part["start"], part["stop"])


class ReplaceDecoder(Decoder):
    """Put `content` for each match of a pattern in each token."""

    def __init__(self, pattern: str | Pattern, content: str):
        self.pattern = Pattern(pattern) if isinstance(pattern, str) else pattern
        self.content = content

    def decode_chain(self, tokens):
        return [self.pattern.compiled.sub(lambda match: self.content, token) for token in tokens]

    def to_json(self) -> dict:
        return {"type": "Replace", "pattern": self.pattern.to_json(), "content": self.content}

    @classmethod
    def from_json(cls, part: dict) -> "ReplaceDecoder":
        return cls(Pattern.from_json(part["pattern"]), part["content"])


class CTCDecoder(Decoder):
    """What a model says for each moment of a sound: repeated tokens are one, the padding token separates equal ones.

    "h", "h", "<pad>", "e", "l", "<pad>", "l", "|"  ->  "h", "e", "l", "l", " "
    """

    def __init__(self, pad_token: str = "<pad>", word_delimiter_token: str = "|", cleanup: bool = True):
        self.pad_token = pad_token
        self.word_delimiter_token = word_delimiter_token
        self.cleanup = cleanup

    def decode_chain(self, tokens):
        pieces = [token.replace(self.pad_token, "") for token, _ in groupby(tokens)]
        if self.cleanup:
            pieces = [_clean_up_token(piece).replace(self.word_delimiter_token, " ") for piece in pieces]
        return [piece for piece in pieces if piece]

    def to_json(self) -> dict:
        return {
            "type": "CTC",
            "pad_token": self.pad_token,
            "word_delimiter_token": self.word_delimiter_token,
            "cleanup": self.cleanup,
        }

    @classmethod
    def from_json(cls, part: dict) -> "CTCDecoder":
        return cls(part["pad_token"], part["word_delimiter_token"], part["cleanup"])


class DecoderSequence(Decoder):
    """Decoders one after the other."""

    def __init__(self, decoders: list[Decoder]):
        self.decoders = decoders

    def decode_chain(self, tokens):
        for decoder in self.decoders:
            tokens = decoder.decode_chain(tokens)
        return tokens

    def to_json(self) -> dict:
        return {"type": "Sequence", "decoders": [decoder.to_json() for decoder in self.decoders]}

    @classmethod
    def from_json(cls, part: dict) -> "DecoderSequence":
        from edutransformers.tokenizers.tokenizer_json import STAGES

        return cls(read_stages("decoder", part["decoders"], STAGES["decoder"]))


DECODERS = {
    "BPEDecoder": BPEDecoder,
    "ByteFallback": ByteFallback,
    "CTC": CTCDecoder,
    "Fuse": Fuse,
    "Metaspace": MetaspaceDecoder,
    "Replace": ReplaceDecoder,
    "Sequence": DecoderSequence,
    "Strip": StripDecoder,
    "WordPiece": WordPieceDecoder,
}

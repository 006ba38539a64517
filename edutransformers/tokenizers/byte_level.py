"""Byte-level tokenization: the alphabet is the 256 bytes, so that no text is unknown.

Every byte of a text's UTF-8 form is written as one visible character: printable ASCII and Latin-1 as themselves, the
others as U+0100, U+0101, ... in order. A blank becomes "Ġ", a line's end "Ċ", "é" the two characters "Ã©". The model
(BPE) then works on these characters, and the decoder puts the bytes together again.

Source: Radford et al. 2019 (GPT-2), section 2.2, and its released encoder.
"""

from edutransformers.tokenizers import unicode_tables
from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.characters import WHITE_SPACE, TextPattern
from edutransformers.tokenizers.decoders import Decoder
from edutransformers.tokenizers.normalizers import Normalizer
from edutransformers.tokenizers.post_processors import NO_SPECIAL_TOKENS, PostProcessor, Slot
from edutransformers.tokenizers.pre_tokenizers import PreTokenizer


def _characters_of_bytes() -> list[str]:
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


CHARACTERS = _characters_of_bytes()  # byte -> character
BYTES = {character: byte for byte, character in enumerate(CHARACTERS)}
_TRANSLATION = {byte: character for byte, character in enumerate(CHARACTERS) if chr(byte) != character}


def _words(members) -> str:
    """GPT-2's pattern. A blank belongs to the word behind it; of several, all but the last are a word of their own."""
    letter, number, space = map(members, (unicode_tables.LETTER, unicode_tables.NUMBER, unicode_tables.WHITE_SPACE))
    return (
        f"'s|'t|'re|'ve|'m|'ll|'d| ?[{letter}]+| ?[{number}]+| ?[^{space}{letter}{number}]+"
        f"|[{space}]+(?![^{space}])|[{space}]+"
    )


WORDS = TextPattern(_words)


def to_characters(text: str) -> str:
    """The bytes of a text, each as its character: " é" -> "ĠÃ©"."""
    return text.encode("utf-8").decode("latin-1").translate(_TRANSLATION)


class ByteLevel(PreTokenizer):
    """Words by GPT-2's pattern, written as bytes.

    add_prefix_space  put a blank before the text if it has none, so that its first word looks like all others
    use_regex         False: don't cut, only write as bytes (something before it has cut)
    trim_offsets      is kept for tokenizer.json; what counts is the post-processor's
    """

    def __init__(self, add_prefix_space: bool = True, trim_offsets: bool = True, use_regex: bool = True):
        self.add_prefix_space = add_prefix_space
        self.trim_offsets = trim_offsets
        self.use_regex = use_regex

    @property
    def stretches(self):
        return WORDS if self.use_regex else None

    @property
    def begins_differently(self):
        return self.add_prefix_space

    @property
    def of_stretch(self):
        return ByteLevel(add_prefix_space=False, use_regex=False)

    def pre_tokenize(self, piece):
        if self.add_prefix_space and not piece.text.startswith(" "):
            piece.prepend(" ")
        words = piece.matches(WORDS) if self.use_regex else [piece]
        for word in words:
            _write_as_bytes(word)
        return words

    def to_json(self) -> dict:
        return {
            "type": "ByteLevel",
            "add_prefix_space": self.add_prefix_space,
            "trim_offsets": self.trim_offsets,
            "use_regex": self.use_regex,
        }

    @classmethod
    def from_json(cls, part: dict) -> "ByteLevel":
        return cls(part["add_prefix_space"], part["trim_offsets"], part.get("use_regex", True))

    @staticmethod
    def alphabet() -> list[str]:
        """All 256 characters: the initial alphabet when training."""
        return sorted(CHARACTERS)


class ByteLevelNormalizer(Normalizer):
    """The whole text written as bytes, before it is cut into words."""

    def apply(self, aligned):
        _write_as_bytes(aligned)

    def to_json(self) -> dict:
        return {"type": "ByteLevel"}

    @classmethod
    def from_json(cls, part: dict) -> "ByteLevelNormalizer":
        return cls()


def _write_as_bytes(word: AlignedText) -> None:
    if word.text.isascii():
        word.text = word.text.translate(_TRANSLATION)
    else:  # a character of three bytes becomes three, and each keeps its span
        word.replace_each(to_characters)


class ByteLevelDecoder(Decoder):
    """Bytes back to text. A token with other characters than those of bytes stands for itself.

    errors  what becomes of bytes that are no UTF-8, as in `bytes.decode`: "replace" makes U+FFFD of them. It is a
            setting of the tokenizer's class, and tokenizer.json doesn't have it
    """

    errors = "replace"

    def decode_chain(self, tokens):
        return [b"".join(map(_bytes_of, tokens)).decode("utf-8", self.errors)]

    def to_json(self) -> dict:
        return {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}

    @classmethod
    def from_json(cls, part: dict) -> "ByteLevelDecoder":
        return cls()


def _bytes_of(token: str) -> bytes:
    try:
        return bytes([BYTES[character] for character in token])
    except KeyError:
        return token.encode("utf-8")


class _TrimmingProcessor(PostProcessor):
    """Takes blanks off the offsets, if it has `trim_offsets`."""

    trim_offsets: bool
    add_prefix_space: bool

    @property
    def trim(self):
        if not self.trim_offsets:
            return None
        return lambda tokens, offsets: without_blanks(tokens, offsets, self.add_prefix_space)


class RobertaProcessing(_TrimmingProcessor):
    """<s> A </s>, or <s> A </s></s> B </s>, all of type 0; byte-level's trimmed offsets."""

    def __init__(
        self,
        sep: tuple[str, int],
        cls: tuple[str, int],
        trim_offsets: bool = True,
        add_prefix_space: bool = True,
    ):
        self.sep, self.cls = sep, cls
        self.trim_offsets = trim_offsets
        self.add_prefix_space = add_prefix_space

    def layout(self, is_pair, add_special_tokens):
        slots = [Slot(None, 0, (self.cls[1],)), Slot(0, 0), Slot(None, 0, (self.sep[1],))]
        if is_pair:
            slots += [Slot(None, 0, (self.sep[1],)), Slot(1, 0), Slot(None, 0, (self.sep[1],))]
        return slots if add_special_tokens else [slot for slot in slots if slot.sequence is not None]

    def to_json(self) -> dict:
        return {
            "type": "RobertaProcessing",
            "sep": list(self.sep),
            "cls": list(self.cls),
            "trim_offsets": self.trim_offsets,
            "add_prefix_space": self.add_prefix_space,
        }

    @classmethod
    def from_json(cls, part: dict) -> "RobertaProcessing":
        return cls(tuple(part["sep"]), tuple(part["cls"]), part["trim_offsets"], part["add_prefix_space"])


class ByteLevelProcessor(_TrimmingProcessor):
    """No special tokens; with `trim_offsets`, offsets without the blanks of tokens such as "Ġword"."""

    def __init__(self, add_prefix_space: bool = True, trim_offsets: bool = True, use_regex: bool = True):
        self.add_prefix_space = add_prefix_space
        self.trim_offsets = trim_offsets
        self.use_regex = use_regex

    def layout(self, is_pair, add_special_tokens):
        return NO_SPECIAL_TOKENS.layout(is_pair, add_special_tokens)

    to_json = ByteLevel.to_json
    from_json = classmethod(ByteLevel.from_json.__func__)


def without_blanks(tokens: list[str], offsets: list[tuple[int, int]], add_prefix_space: bool) -> list[tuple[int, int]]:
    """Offsets without the blanks that a token begins or ends with.

    With `add_prefix_space` the first token's blank is the added one, which has no place in the text: so a single blank
    of a row's first token, and of one at the text's beginning, stays. (Where there are more, none was added.)
    """
    trimmed = []
    for number, (token, (start, stop)) in enumerate(zip(tokens, offsets)):
        leading = len(token) - len(token.lstrip(_BLANKS))
        trailing = len(token) - len(token.rstrip(_BLANKS))
        if leading > 1 or (leading and not (add_prefix_space and (number == 0 or start == 0))):
            start = min(start + leading, stop)
        if trailing and stop >= trailing:
            stop = max(stop - trailing, start)
        trimmed.append((start, stop))
    return trimmed


_BLANKS = "Ġ" + "".join(WHITE_SPACE)

"""Added tokens: strings such as "[CLS]" that are cut out of a text before it is normalized and split into words."""

import re
from collections.abc import Iterable

from edutransformers.tokenizers.characters import WHITE_SPACE


class AddedToken:
    """A token that is matched as it stands, with how it is matched.

    single_word  only where no letter, digit or underscore touches it
    lstrip       swallow the white space before it
    rstrip       swallow the white space behind it
    normalized   match it in the normalized text (then "FOO" is also found as "foo"), else in the text as given
    special      it is no text: `skip_special_tokens` drops it

    `normalized=None` stands for "not special", the original's default.
    """

    __slots__ = ("_normalized", "content", "lstrip", "rstrip", "single_word", "special")

    def __init__(
        self,
        content: str,
        single_word: bool = False,
        lstrip: bool = False,
        rstrip: bool = False,
        normalized: bool | None = None,
        special: bool = False,
    ):
        if not isinstance(content, str):
            raise TypeError(f"An added token must be a string, not {type(content).__name__} ({content!r}).")
        self.content = content
        self.single_word = single_word
        self.lstrip = lstrip
        self.rstrip = rstrip
        self._normalized = normalized
        self.special = special

    @property
    def normalized(self) -> bool:
        return (not self.special) if self._normalized is None else self._normalized

    def as_special(self) -> "AddedToken":
        """The same token, special."""
        return AddedToken(self.content, self.single_word, self.lstrip, self.rstrip, self._normalized, special=True)

    def to_json(self) -> dict:
        names = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_json(cls, part: dict) -> "AddedToken":
        """From an entry of tokenizer.json, tokenizer_config.json or special_tokens_map.json; ignores other keys."""
        names = ("single_word", "lstrip", "rstrip", "normalized", "special")
        return cls(part["content"], **{name: part[name] for name in names if part.get(name) is not None})

    def __str__(self) -> str:
        return self.content

    def __repr__(self) -> str:
        flags = ", ".join(f"{name}={value}" for name, value in self.to_json().items() if name != "content")
        return f"AddedToken({self.content!r}, {flags})"

    def __eq__(self, other) -> bool:
        return isinstance(other, AddedToken) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.content)


def special_token(token: str | AddedToken | None, normalized: bool = True, lstrip: bool = False) -> AddedToken | None:
    """A special token of a constructor with the flags that the original's class gives it; an AddedToken has its own."""
    return AddedToken(token, lstrip=lstrip, normalized=normalized, special=True) if isinstance(token, str) else token


class AddedTokens:
    """The added tokens of a tokenizer: their ids, and the two searches (raw and normalized text) that find them."""

    def __init__(self):
        self.by_id: dict[int, AddedToken] = {}
        self.ids: dict[str, int] = {}
        self.special: set[str] = set()
        self._raw = TokenFinder([])
        self.normalized_finder = TokenFinder([])

    def add(self, tokens: Iterable[AddedToken], model, normalizer) -> int:
        """Add tokens and return how many were new or changed. One that the model knows keeps its id."""
        count = 0
        next_id = max(len(model.vocab), max(self.ids.values(), default=-1) + 1)
        for token in tokens:
            known = self.ids.get(token.content)
            if not token.content or token == self.by_id.get(known):
                continue
            i = model.vocab.get(token.content, next_id) if known is None else known
            self.add_with_id(token, i)
            next_id = max(next_id, i + 1)
            count += 1
        self.refresh(normalizer)
        return count

    def add_with_id(self, token: AddedToken, i: int) -> None:
        """Add a token whose id a file gives; call `refresh` after the last one."""
        if token.special:
            self.special.add(token.content)
        self.ids[token.content] = i
        self.by_id[i] = token

    def refresh(self, normalizer) -> None:
        """Build the searches again; needed when tokens or the normalizer change."""
        raw, normalized = [], []
        for i, token in self.by_id.items():
            if not token.normalized:
                raw.append((token.content, i, token))
            else:
                pattern = normalizer.plain(token.content) if normalizer else token.content
                normalized.append((pattern, i, token))
        self._raw, self.normalized_finder = TokenFinder(raw), TokenFinder(normalized)

    def split_raw(self, text: str, keep: frozenset = frozenset()) -> list[tuple[int, int, int | None]]:
        """(start, stop, id or None for ordinary text) for the tokens that are matched in the text as given.

        Tokens whose content is in `keep` are left in the text (split_special_tokens).
        """
        return self._raw.split(text, keep)

    @property
    def any_normalized(self) -> bool:
        return self.normalized_finder.pattern is not None

    def occurs_normalized(self, normalized_text: str) -> bool:
        return self.normalized_finder.pattern.search(normalized_text) is not None


class TokenFinder:
    """Finds tokens in a text, the leftmost first and of those that start together the longest."""

    def __init__(self, entries: list[tuple[str, int, AddedToken]]):
        self.tokens = {}
        for content, i, token in entries:
            self.tokens.setdefault(content, (i, token))
        # A regular expression takes the first alternative that fits: with the longest first it takes the longest.
        ordered = sorted(self.tokens, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def split(self, text: str, keep: frozenset) -> list[tuple[int, int, int | None]]:
        if self.pattern is None or not self.pattern.search(text):
            return [(0, len(text), None)]
        pieces = []
        done = 0  # everything before it is in `pieces`
        for match in self.pattern.finditer(text):
            i, token = self.tokens[match[0]]
            start, stop = match.span()
            if token.content in keep or (token.single_word and _touches_word(text, start, stop)):
                continue
            if token.lstrip:
                while start > done and text[start - 1] in WHITE_SPACE:
                    start -= 1
            if token.rstrip:
                while stop < len(text) and text[stop] in WHITE_SPACE:
                    stop += 1
            if done < start:
                pieces.append((done, start, None))
            pieces.append((start, stop, i))
            done = stop
        if done < len(text):
            pieces.append((done, len(text), None))
        return [piece for piece in pieces if piece[0] < piece[1]]


def _touches_word(text: str, start: int, stop: int) -> bool:
    # The `regex` package's \w holds marks and joiners as the reference's does; `re`'s holds fractions instead.
    import regex

    before = start > 0 and regex.match(r"\w", text[start - 1])
    behind = stop < len(text) and regex.match(r"\w", text[stop])
    return bool(before or behind)

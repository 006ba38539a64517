"""The special tokens of a tokenizer by name: `tokenizer.cls_token`, `tokenizer.cls_token_id`, and all together."""

from collections.abc import Sequence

from edutransformers.tokenizers.added_tokens import AddedToken

SPECIAL_TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class _TokenByName:
    """tokenizer.cls_token: reads and sets the string of one special token."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, tokenizer, owner=None):
        if tokenizer is None:
            return self
        token = tokenizer._special_tokens[self.name]
        return None if token is None else str(token)

    def __set__(self, tokenizer, value):
        if value is not None and not isinstance(value, (str, AddedToken)):
            raise ValueError(f"{self.name} must be a string or an AddedToken, not {type(value).__name__} ({value!r}).")
        tokenizer._special_tokens[self.name] = value


class _TokenIdByName:
    """tokenizer.cls_token_id: the same token by its id."""

    def __set_name__(self, owner, name):
        self.name = name.removesuffix("_id")

    def __get__(self, tokenizer, owner=None):
        if tokenizer is None:
            return self
        token = getattr(tokenizer, self.name)
        return None if token is None else tokenizer.convert_tokens_to_ids(token)

    def __set__(self, tokenizer, value):
        setattr(tokenizer, self.name, None if value is None else tokenizer.convert_ids_to_tokens(value))


class SpecialTokensMixin:
    """Names for special tokens. A token that isn't set is None, and so is its id.

    The class that mixes this in calls `_set_special_tokens(kwargs)` and has an `_engine`, `convert_tokens_to_ids`,
    `convert_ids_to_tokens` and `add_tokens`.
    """

    bos_token, bos_token_id = _TokenByName(), _TokenIdByName()
    eos_token, eos_token_id = _TokenByName(), _TokenIdByName()
    unk_token, unk_token_id = _TokenByName(), _TokenIdByName()
    sep_token, sep_token_id = _TokenByName(), _TokenIdByName()
    pad_token, pad_token_id = _TokenByName(), _TokenIdByName()
    cls_token, cls_token_id = _TokenByName(), _TokenIdByName()
    mask_token, mask_token_id = _TokenByName(), _TokenIdByName()

    def _set_special_tokens(self, kwargs: dict) -> None:
        """Take the special tokens out of a constructor's keyword arguments."""
        self._special_tokens = dict.fromkeys(SPECIAL_TOKEN_NAMES)
        self._additional_special_tokens = []
        for name in SPECIAL_TOKEN_NAMES:
            setattr(self, name, kwargs.pop(name, None))
        # transformers 5 writes `extra_special_tokens`, 4 wrote `additional_special_tokens`.
        extra = kwargs.pop("extra_special_tokens", None)
        additional = kwargs.pop("additional_special_tokens", None)
        self.additional_special_tokens = additional or (list(extra) if isinstance(extra, (list, tuple)) else [])

    @property
    def additional_special_tokens(self) -> list[str]:
        return [str(token) for token in self._additional_special_tokens]

    @additional_special_tokens.setter
    def additional_special_tokens(self, tokens) -> None:
        tokens = list(tokens or [])
        for token in tokens:
            if not isinstance(token, (str, AddedToken)):
                raise ValueError(
                    f"additional_special_tokens must hold strings or AddedTokens, not {type(token).__name__} "
                    f"({token!r})."
                )
        self._additional_special_tokens = tokens

    @property
    def additional_special_tokens_ids(self) -> list[int]:
        return self.convert_tokens_to_ids(self.additional_special_tokens)

    @additional_special_tokens_ids.setter
    def additional_special_tokens_ids(self, ids: list[int]) -> None:
        self.additional_special_tokens = [self.convert_ids_to_tokens(i) for i in ids]

    @property
    def special_tokens_map(self) -> dict[str, str | list[str]]:
        """{"cls_token": "[CLS]", ...}, without those that are not set."""
        found = {name: str(token) for name, token in self._special_tokens.items() if token is not None}
        if self._additional_special_tokens:
            found["additional_special_tokens"] = self.additional_special_tokens
        return found

    @property
    def special_tokens_map_extended(self) -> dict:
        """The same with AddedTokens where AddedTokens were given."""
        found = {name: token for name, token in self._special_tokens.items() if token is not None}
        if self._additional_special_tokens:
            found["additional_special_tokens"] = list(self._additional_special_tokens)
        return found

    @property
    def all_special_tokens_extended(self) -> list[str | AddedToken]:
        unique = {}
        for token in [*self._special_tokens.values(), *self._additional_special_tokens]:
            if token is not None:
                unique.setdefault(str(token), token)
        return list(unique.values())

    @property
    def all_special_tokens(self) -> list[str]:
        return [str(token) for token in self.all_special_tokens_extended]

    @property
    def all_special_ids(self) -> list[int]:
        return self.convert_tokens_to_ids(self.all_special_tokens)

    @property
    def pad_token_type_id(self) -> int:
        return self._pad_token_type_id

    def add_special_tokens(self, special_tokens_dict: dict, replace_additional_special_tokens: bool = True) -> int:
        """Set special tokens by name and add those the vocabulary doesn't have; returns how many were added.

        >>> tokenizer.add_special_tokens({"additional_special_tokens": ["<user>", "<bot>"]})     # doctest: +SKIP
        2
        """
        to_add = []
        for name, value in special_tokens_dict.items():
            if name in ("additional_special_tokens", "extra_special_tokens"):
                tokens = [_as_special(token, name) for token in value]
                kept = [] if replace_additional_special_tokens else list(self._additional_special_tokens)
                names = {str(token) for token in kept}
                self.additional_special_tokens = kept + [token for token in tokens if str(token) not in names]
                to_add += tokens
            elif name in SPECIAL_TOKEN_NAMES:
                token = _as_special(value, name)
                setattr(self, name, token)
                to_add.append(token)
            else:
                raise ValueError(
                    f"{name!r} is no special token's name; known are {', '.join(SPECIAL_TOKEN_NAMES)} and "
                    "additional_special_tokens."
                )
        return self.add_tokens(to_add, special_tokens=True)

    # ----- special tokens around a text ------------------------------------------------------------------------------

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens a text (or a pair) gets."""
        return self._engine.special_token_count(pair)

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        return [i for slot_ids, _, _ in self._slots(token_ids_0, token_ids_1) for i in slot_ids]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        return [type_id for ids, type_id, _ in self._slots(token_ids_0, token_ids_1) for _ in ids]

    def get_special_tokens_mask(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None, already_has_special_tokens: bool = False
    ) -> list[int]:
        """1 for each special token and 0 for each other one, of ids that have or will get special tokens."""
        if already_has_special_tokens:
            if token_ids_1 is not None:
                raise ValueError("Pass all ids as token_ids_0 and none as token_ids_1: they already hold both texts.")
            special = set(self.all_special_ids)
            return [1 if i in special else 0 for i in token_ids_0]
        return [is_special for ids, _, is_special in self._slots(token_ids_0, token_ids_1) for _ in ids]

    def _slots(self, first: list[int], second: list[int] | None) -> list[tuple[Sequence[int], int, int]]:
        """(ids, token type, 1 if special) for each place of the post-processor's layout."""
        layout = self._engine.layout(second is not None, add_special_tokens=True)
        texts = (first, second)
        return [
            (slot.ids, slot.type_id, 1) if slot.sequence is None else (texts[slot.sequence], slot.type_id, 0)
            for slot in layout
        ]


def _as_special(token, name: str) -> AddedToken:
    if isinstance(token, str):
        return AddedToken(token, normalized=False, special=True)
    if isinstance(token, AddedToken):
        return token.as_special()
    raise ValueError(f"{name} must be a string or an AddedToken, not {type(token).__name__} ({token!r}).")

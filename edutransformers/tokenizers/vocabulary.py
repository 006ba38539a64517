"""The vocabulary of a tokenizer: its size, tokens as ids and ids as tokens, and tokens that are added to it."""

from collections.abc import Iterable, Sequence

import numpy as np

from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.inputs import read_ids


class VocabularyMixin:
    """For a class with an `_engine` and with special tokens by name."""

    @property
    def vocab_size(self) -> int:
        """The size of the vocabulary without added tokens; `len(tokenizer)` counts those too."""
        return len(self._engine.model.vocab)

    def __len__(self) -> int:
        return len(self._engine.vocabulary())

    def get_vocab(self) -> dict[str, int]:
        """{token: id}, added tokens included."""
        return self._engine.vocabulary()

    vocab = property(get_vocab)

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        return dict(sorted(self._engine.added_tokens.by_id.items()))

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        return {token.content: i for i, token in self.added_tokens_decoder.items()}

    def get_added_vocab(self) -> dict[str, int]:
        return self.added_tokens_encoder

    def add_tokens(
        self, new_tokens: str | AddedToken | Sequence[str | AddedToken], special_tokens: bool = False
    ) -> int:
        """Add tokens that are found in a text before anything else; returns how many were new.

        A model needs `resize_token_embeddings(len(tokenizer))` afterwards.
        """
        if isinstance(new_tokens, (str, AddedToken)):
            new_tokens = [new_tokens]
        tokens = []
        for token in new_tokens:
            token = token if isinstance(token, AddedToken) else AddedToken(token, special=special_tokens)
            tokens.append(token.as_special() if special_tokens else token)
        added = self._engine.add_tokens(tokens)
        self._engine.clear_cache()
        return added

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> int | list[int] | None:
        """Ids of tokens; a token that the vocabulary lacks gets the unknown token's id (None without one)."""
        if tokens is None:
            return None
        if isinstance(tokens, str):
            found = self._engine.token_to_id(tokens)
            if found is None and self.unk_token is not None:
                found = self._engine.token_to_id(self.unk_token)
            return found
        return [self.convert_tokens_to_ids(token) for token in tokens]

    def convert_ids_to_tokens(self, ids: int | Iterable[int], skip_special_tokens: bool = False) -> str | list[str]:
        """Tokens of ids. Raises ValueError for an id that the vocabulary doesn't have."""
        if isinstance(ids, (int, np.integer)) or (hasattr(ids, "ndim") and ids.ndim == 0):
            return self._token(int(ids))
        special = set(self.all_special_ids) if skip_special_tokens else ()
        return [self._token(i) for i in read_ids(ids) if i not in special]

    def _token(self, i: int) -> str:
        token = self._engine.id_to_token(i)
        if token is None:
            raise ValueError(
                f"The id {i} is not in the vocabulary, which has {len(self)} entries; do these ids come from another "
                "tokenizer? (Labels of -100 must be replaced by the padding id before decoding.)"
            )
        return token

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        return self._engine.decode(list(tokens))

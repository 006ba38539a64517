"""What the tokenizers share that the original has in Python alone: CTRL's, XLM's, Transformer-XL's and Wav2Vec2's.

Their stages are none of those that a tokenizer.json can name, so they have only their own files. Three things are then
as in the original's Python tokenizers: added tokens are found in the text as given, decoding treats them apart, and
truncation of a pair leaves an odd token to the first text.
"""

from edutransformers.tokenizers.added_tokens import AddedTokens
from edutransformers.tokenizers.base import PreTrainedTokenizer
from edutransformers.tokenizers.inputs import read_ids
from edutransformers.tokenizers.retraining import settings_of


class PythonTokenizer(PreTrainedTokenizer):
    """A class says how `convert_tokens_to_string` writes tokens, and in `_train` how a vocabulary comes about."""

    def _rows(self, sample, is_split, add_special_tokens, cut):
        return super()._rows(sample, is_split, add_special_tokens, cut and cut._replace(odd_to_first=True))

    def tokenize(self, text: str, pair: str | None = None, add_special_tokens: bool = False, **kwargs) -> list[str]:
        """The tokens of a text, as strings; an added token without the white space that it took."""
        encoded = self(text, pair, add_special_tokens=add_special_tokens, **kwargs)
        name_of = {i: token.content for i, token in self._engine.added_tokens.by_id.items()}
        return [
            name_of[i] if token.strip() == name_of.get(i) else token
            for i, token in zip(encoded.input_ids, encoded.tokens())
        ]

    def decode(
        self,
        token_ids,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        spaces_between_special_tokens: bool = True,
        **kwargs,
    ) -> str:
        """The text of ids. Raises ValueError for an id that the vocabulary doesn't have.

        Tokens that were added (but no named special token) are set apart from the text around them, by a blank or with
        `spaces_between_special_tokens=False` by nothing. As at v4.34; transformers 5 no longer sets them apart.
        """
        token_ids = token_ids["input_ids"] if hasattr(token_ids, "keys") else token_ids
        tokens = self.convert_ids_to_tokens(read_ids(token_ids), skip_special_tokens)
        apart = set(self._engine.added_tokens.ids) - set(self.all_special_tokens)
        apart |= {
            token for token in self.additional_special_tokens if self.convert_tokens_to_ids(token) >= self.vocab_size
        }
        parts, run = [], []
        for token in tokens:
            if token not in apart:
                run.append(token)
                continue
            parts += [text for text in (self.convert_tokens_to_string(run) if run else "", token) if text]
            run = []
        if run:
            parts.append(self.convert_tokens_to_string(run))
        text = (" " if spaces_between_special_tokens else "").join(parts)
        clean = clean_up_tokenization_spaces
        clean = self.clean_up_tokenization_spaces if clean is None else clean
        return self.clean_up_tokenization(text) if clean else text

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        raise NotImplementedError(f"{type(self).__name__} doesn't say how tokens become a text")

    def _change_model(self, model) -> None:
        """Another vocabulary. Tokens that were added stay: with their ids, or behind it where these are taken."""
        before, taken = self._engine.model.vocab, set(model.vocab.values())
        added = [(i, token) for i, token in self.added_tokens_decoder.items() if token.content not in before]
        self._engine.model, self._engine.added_tokens = model, AddedTokens()
        for i, token in added:
            if token.content not in model.vocab and i not in taken:
                self._engine.added_tokens.add_with_id(token, i)
        self.add_tokens(self.all_special_tokens_extended, special_tokens=True)
        self.add_tokens([token for _, token in added])

    def train_new_from_iterator(
        self, text_iterator, vocab_size: int, length=None, new_special_tokens=None, special_tokens_map=None, **kwargs
    ) -> "PythonTokenizer":
        """A new tokenizer with the same stages and special tokens, its vocabulary trained on an iterator of texts.

        The original has no such method for these classes; arguments as in all others.
        """
        new_name = {str(old): str(new) for old, new in (special_tokens_map or {}).items()}
        settings = settings_of(self, new_name, new_special_tokens)
        special = [new_name.get(token, token) for token in self.all_special_tokens]
        special += [str(token) for token in [*(new_special_tokens or ()), *kwargs.pop("special_tokens", ())]]
        options = {
            "normalizer": self._engine.normalizer,
            "pre_tokenizer": self._engine.pre_tokenizer,
            "length": length,
            **kwargs,
            "special_tokens": list(dict.fromkeys(special)),
        }
        return type(self)(**{**settings, **self._train(text_iterator, vocab_size, options)})

    def _train(self, texts, vocab_size: int, options: dict) -> dict:
        """The constructor's arguments for a vocabulary trained on texts; `options` are those of the trainer."""
        raise NotImplementedError(f"{type(self).__name__} doesn't say how its vocabulary is trained")

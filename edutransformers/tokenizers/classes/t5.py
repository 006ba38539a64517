"""T5's tokenizer: a unigram model, `A </s> B </s>`, and sentinels that stand for what was cut out of a text.

T5 learns to fill gaps: "Thank <extra_id_0> me <extra_id_1> week." -> "<extra_id_0> you for inviting <extra_id_1> last".
"""

import os
import re

from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.classes.unigram import UnigramTokenizer, Vocab
from edutransformers.tokenizers.normalizers import NormalizerSequence, Replace, Strip
from edutransformers.tokenizers.patterns import Pattern
from edutransformers.tokenizers.post_processors import template
from edutransformers.tokenizers.pre_tokenizers import Metaspace
from edutransformers.tokenizers.sentencepiece_model import Piece

SENTINEL = re.compile(r"<extra_id_\d+>")


class T5Tokenizer(UnigramTokenizer):
    """The unigram model of T5, mT5, LongT5, Switch Transformers.

    vocab_file                 spiece.model, or `vocab`: [(piece, log-probability), ...]
    extra_ids                  how many sentinels <extra_id_0>, <extra_id_1>, … there are. They get the last ids, 0 the
                               very last one; those that the vocabulary has already stay where they are
    additional_special_tokens  without sentinels: tokens beside them; with sentinels: `extra_ids` of them
    sp_model_kwargs            see `UnigramTokenizer`
    legacy                     for stages that are built from vocab_file or vocab; tokenizer.json has its own. True,
                               which None stands for: what follows a sentinel begins with "▁", with or without a blank
                               there. False: only with a blank. The original's models were trained with True

    A `.model` with byte pieces (byte_fallback) writes unknown characters as bytes, as SentencePiece does; the
    original's fast tokenizer gives unknown tokens.

    Source: Raffel et al. 2020, "Exploring the limits of transfer learning".
    """

    model_input_names = ["input_ids", "attention_mask"]

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        eos_token: str = "</s>",
        unk_token: str = "<unk>",
        pad_token: str = "<pad>",
        extra_ids: int = 100,
        additional_special_tokens: list[str] | None = None,
        sp_model_kwargs: dict | None = None,
        legacy: bool | None = None,
        vocab: Vocab | None = None,
        **kwargs,
    ):
        self._extra_ids = extra_ids
        self.legacy = legacy is None or legacy
        if additional_special_tokens is None:  # transformers 5 writes them under another name
            additional_special_tokens = kwargs.pop("extra_special_tokens", None)
        super().__init__(
            vocab_file,
            vocab,
            eos_token=eos_token,
            unk_token=unk_token,
            pad_token=pad_token,
            extra_ids=extra_ids,
            additional_special_tokens=_with_sentinels(list(additional_special_tokens or ()), extra_ids),
            sp_model_kwargs=sp_model_kwargs,
            legacy=self.legacy,
            **kwargs,
        )

    def minimal_vocabulary(self, special):
        tokens = [str(special[name]) for name in ("pad_token", "eos_token", "unk_token")]
        return self.vocabulary_of([*map(Piece, tokens), Piece("▁", -2.0)], added={})

    def vocabulary_of(self, pieces, added):
        vocab = super().vocabulary_of(pieces, added)
        known = dict(vocab)
        last = [token for token in _sentinels(self._extra_ids)[::-1] if token not in known]
        ids = {token: len(vocab) + i for i, token in enumerate(last)}
        if any(ids.get(token.content, i) != i for i, token in added.items()):
            last = []  # the files give them other ids, which they get as added tokens
        return [*vocab, *((token, 0.0) for token in last)]

    def pieces_of(self):
        pieces, last = super().pieces_of(), _sentinels(self._extra_ids)[::-1]
        size = len(pieces) - len(last)
        return pieces[:size] if [piece.piece for piece in pieces[size:]] == last else pieces

    def make_normalizer(self, charsmap):
        if self.legacy:
            return charsmap
        blanks = [Strip(False, True), Replace(Pattern(" {2,}", is_regex=True), "▁")]
        return NormalizerSequence([charsmap, *blanks] if charsmap else blanks)

    def make_pre_tokenizer(self):
        return super().make_pre_tokenizer() if self.legacy else Metaspace(prepend_scheme="first")

    def make_layout(self):
        return template("A eos", "A eos B eos", eos=(self.eos_token, self.eos_token_id))

    def get_sentinel_tokens(self) -> list[str]:
        """<extra_id_0>, <extra_id_1>, …"""
        return [token for token in self.additional_special_tokens if SENTINEL.fullmatch(token)]

    def get_sentinel_token_ids(self) -> list[int]:
        """Their ids."""
        return self.convert_tokens_to_ids(self.get_sentinel_tokens())


class T5TokenizerFast(T5Tokenizer):
    """The same under the original's other name."""


def _sentinels(count: int) -> list[str]:
    return [f"<extra_id_{i}>" for i in range(count)]


def _with_sentinels(tokens: list[str | AddedToken], extra_ids: int) -> list[str | AddedToken]:
    given = sum("<extra_id_" in str(token) for token in tokens)
    if given and 0 < extra_ids != given:
        raise ValueError(
            f"additional_special_tokens holds {given} sentinels <extra_id_…>, but extra_ids is {extra_ids}; pass "
            f"extra_ids={given}, or leave the sentinels out."
        )
    return tokens if given else [*tokens, *_sentinels(extra_ids)]

"""XLNet's tokenizer: a unigram model, special tokens behind the texts, `A <sep> B <sep> <cls>`, padding on the left."""

import os

from edutransformers.tokenizers.added_tokens import special_token
from edutransformers.tokenizers.classes.unigram import NumberRule, UnigramTokenizer, Vocab, quotes_accents_case
from edutransformers.tokenizers.post_processors import template

PAD_TOKEN_TYPE_ID = 3


class XLNetTokenizer(NumberRule, UnigramTokenizer):
    """The unigram model of XLNet. Token types: 0 first text, 1 second text, 2 <cls>, 3 padding.

    Arguments and the handling of numbers are those of `AlbertTokenizer`, but case is kept. All is as in transformers
    4.34; version 5 drops accents even with keep_accents=True, leaves token types out, and gives padding the type 0.

    Source: Yang et al. 2019, "XLNet: generalized autoregressive pretraining for language understanding".
    """

    padding_side = "left"

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        do_lower_case: bool = False,
        remove_space: bool = True,
        keep_accents: bool = False,
        bos_token: str = "<s>",
        eos_token: str = "</s>",
        unk_token: str = "<unk>",
        sep_token: str = "<sep>",
        pad_token: str = "<pad>",
        cls_token: str = "<cls>",
        mask_token: str = "<mask>",
        additional_special_tokens: list[str] | None = None,
        sp_model_kwargs: dict | None = None,
        vocab: Vocab | None = None,
        **kwargs,
    ):
        self.do_lower_case = do_lower_case
        self.remove_space = remove_space
        self.keep_accents = keep_accents
        # The mask stands for a word, so the blank before it belongs to it.
        mask_token = special_token(mask_token, normalized=False, lstrip=True)
        if additional_special_tokens is None:  # transformers 5 writes them under another name
            additional_special_tokens = kwargs.pop("extra_special_tokens", ["<eop>", "<eod>"])
        super().__init__(
            vocab_file,
            vocab,
            do_lower_case=do_lower_case,
            remove_space=remove_space,
            keep_accents=keep_accents,
            bos_token=bos_token,
            eos_token=eos_token,
            unk_token=unk_token,
            sep_token=sep_token,
            pad_token=pad_token,
            cls_token=cls_token,
            mask_token=mask_token,
            additional_special_tokens=additional_special_tokens,
            sp_model_kwargs=sp_model_kwargs,
            **{"pad_token_type_id": PAD_TOKEN_TYPE_ID, **kwargs},
        )

    def minimal_vocabulary(self, special):
        return [(str(special["unk_token"]), 0.0)]

    def make_normalizer(self, charsmap):
        return quotes_accents_case(charsmap, self.keep_accents, self.do_lower_case)

    def make_layout(self):
        sep, cls = (self.sep_token, self.sep_token_id), (self.cls_token, self.cls_token_id)
        return template("A sep cls:2", "A sep B:1 sep:1 cls:2", sep=sep, cls=cls)


class XLNetTokenizerFast(XLNetTokenizer):
    """The same under the original's other name."""

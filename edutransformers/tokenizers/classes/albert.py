"""ALBERT's tokenizer: a unigram model of lower-case text without accents, `[CLS] A [SEP] B [SEP]`."""

import os

from edutransformers.tokenizers.added_tokens import special_token
from edutransformers.tokenizers.classes.unigram import NumberRule, UnigramTokenizer, Vocab, quotes_accents_case
from edutransformers.tokenizers.post_processors import bert_template


class AlbertTokenizer(NumberRule, UnigramTokenizer):
    """The unigram model of ALBERT.

    vocab_file     spiece.model, or `vocab`: [(piece, log-probability), ...]
    do_lower_case  lower-case the text
    keep_accents   False: decompose the text (NFKD) and drop the marks
    remove_space   kept for the files' sake: white space only ever separates words

    These say which stages are built from vocab_file or vocab; tokenizer.json has its own. Pieces of a `.model` that end
    with a digit and a comma are made nearly impossible, so that "9,9" is cut as BERT cuts it; the scores of `vocab` and
    tokenizer.json are so already.

    Token type ids are given, as transformers 4 does; its version 5 leaves them out.

    Source: Lan et al. 2020, "ALBERT: a lite BERT".
    """

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        do_lower_case: bool = True,
        remove_space: bool = True,
        keep_accents: bool = False,
        bos_token: str = "[CLS]",
        eos_token: str = "[SEP]",
        unk_token: str = "<unk>",
        sep_token: str = "[SEP]",
        pad_token: str = "<pad>",
        cls_token: str = "[CLS]",
        mask_token: str = "[MASK]",
        sp_model_kwargs: dict | None = None,
        vocab: Vocab | None = None,
        **kwargs,
    ):
        self.do_lower_case = do_lower_case
        self.remove_space = remove_space
        self.keep_accents = keep_accents
        # The mask stands for a word, so the blank before it belongs to it.
        mask_token = special_token(mask_token, normalized=False, lstrip=True)
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
            sp_model_kwargs=sp_model_kwargs,
            **kwargs,
        )

    def minimal_vocabulary(self, special):
        names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
        return [(str(special[name]), 0.0) for name in names]

    def make_normalizer(self, charsmap):
        return quotes_accents_case(charsmap, self.keep_accents, self.do_lower_case)

    def make_layout(self):
        return bert_template(self.cls_token, self.cls_token_id, self.sep_token, self.sep_token_id)


class AlbertTokenizerFast(AlbertTokenizer):
    """The same under the original's other name."""

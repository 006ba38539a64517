"""The tokenizer of DeBERTa-v2 and -v3: a unigram model with BERT's layout, `[CLS] A [SEP] B [SEP]`."""

import os

from edutransformers.tokenizers.classes.unigram import UnigramTokenizer, Vocab
from edutransformers.tokenizers.normalizers import Lowercase, Normalizer, NormalizerSequence, Replace, Strip
from edutransformers.tokenizers.patterns import Pattern
from edutransformers.tokenizers.post_processors import bert_template
from edutransformers.tokenizers.pre_tokenizers import Metaspace, PreTokenizer, PreTokenizerSequence, Punctuation


class DebertaV2Tokenizer(UnigramTokenizer):
    """The unigram model of DeBERTa-v2, mDeBERTa and DeBERTa-v3.

    vocab_file      spm.model, or `vocab`: [(piece, log-probability), ...]
    do_lower_case   lower-case the text
    split_by_punct  make each punctuation character a word

    These say which stages are built from vocab_file or vocab; tokenizer.json has its own. The stages are those of
    transformers 4.34, which are in the tokenizer.json files of fine-tuned models. Version 5 never applies the model's
    own map of replacements (nmt_nfkc) but NFC, so "ﬁ" or "①" get other ids there than DeBERTa was trained with.

    Source: He et al. 2021, "DeBERTa"; He et al. 2023, "DeBERTaV3".
    """

    vocab_files_names = {"tokenizer_file": "tokenizer.json", "vocab_file": "spm.model"}

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        do_lower_case: bool = False,
        split_by_punct: bool = False,
        bos_token: str = "[CLS]",
        eos_token: str = "[SEP]",
        unk_token: str = "[UNK]",
        sep_token: str = "[SEP]",
        pad_token: str = "[PAD]",
        cls_token: str = "[CLS]",
        mask_token: str = "[MASK]",
        sp_model_kwargs: dict | None = None,
        vocab: Vocab | None = None,
        **kwargs,
    ):
        self.do_lower_case = do_lower_case
        self.split_by_punct = split_by_punct
        super().__init__(
            vocab_file,
            vocab,
            do_lower_case=do_lower_case,
            split_by_punct=split_by_punct,
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
        steps: list[Normalizer] = [Lowercase()] if self.do_lower_case else []
        steps.append(Strip())
        if charsmap:
            steps.append(charsmap)
        return NormalizerSequence([*steps, Replace(Pattern(" {2,}", is_regex=True), " ")])

    def make_pre_tokenizer(self):
        steps: list[PreTokenizer] = [Punctuation()] if self.split_by_punct else []
        return PreTokenizerSequence([*steps, Metaspace()])

    def make_layout(self):
        return bert_template(self.cls_token, self.cls_token_id, self.sep_token, self.sep_token_id)


class DebertaV2TokenizerFast(DebertaV2Tokenizer):
    """The same under the original's other name."""

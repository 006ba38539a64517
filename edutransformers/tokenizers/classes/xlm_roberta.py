"""XLM-RoBERTa's tokenizer: a unigram model of a hundred languages, `<s> A </s></s> B </s>`.

It has fairseq's ids (sentencepiece.py), and <mask> as the last one.
"""

import os

from edutransformers.tokenizers.added_tokens import special_token
from edutransformers.tokenizers.classes.sentencepiece import (
    FAIRSEQ_TOKENS,
    SENTENCEPIECE_TOKENS,
    fairseq_pieces,
    read_standard_model,
)
from edutransformers.tokenizers.classes.unigram import UnigramTokenizer, Vocab
from edutransformers.tokenizers.post_processors import template

MASK = "<mask>"


class XLMRobertaTokenizer(UnigramTokenizer):
    """The unigram model of XLM-RoBERTa.

    vocab_file  sentencepiece.bpe.model (a unigram model in spite of its name), whose ids become fairseq's; or
                `vocab`: [(piece, log-probability), ...] with fairseq's ids already

    Source: Conneau et al. 2020, "Unsupervised cross-lingual representation learning at scale".
    """

    vocab_files_names = {"tokenizer_file": "tokenizer.json", "vocab_file": "sentencepiece.bpe.model"}
    model_input_names = ["input_ids", "attention_mask"]
    fairseq_offset = 1

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        bos_token: str = "<s>",
        eos_token: str = "</s>",
        sep_token: str = "</s>",
        cls_token: str = "<s>",
        unk_token: str = "<unk>",
        pad_token: str = "<pad>",
        mask_token: str = "<mask>",
        sp_model_kwargs: dict | None = None,
        vocab: Vocab | None = None,
        **kwargs,
    ):
        # The mask stands for a word, so the blank before it belongs to it.
        mask_token = special_token(mask_token, normalized=False, lstrip=True)
        super().__init__(
            vocab_file,
            vocab,
            bos_token=bos_token,
            eos_token=eos_token,
            sep_token=sep_token,
            cls_token=cls_token,
            unk_token=unk_token,
            pad_token=pad_token,
            mask_token=mask_token,
            sp_model_kwargs=sp_model_kwargs,
            **kwargs,
        )

    def minimal_vocabulary(self, special):
        names = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")
        return [(str(special[name]), 0.0) for name in names]

    def read_model(self, vocab_file):
        return read_standard_model(vocab_file)

    def vocabulary_of(self, pieces, added):
        kept = super().vocabulary_of(pieces[len(SENTENCEPIECE_TOKENS) :], added)
        last = [] if MASK in dict(kept) else [(MASK, 0.0)]
        return [*((token, 0.0) for token in FAIRSEQ_TOKENS), *kept, *last]

    def pieces_of(self):
        is_last = self._engine.token_to_id(MASK) == self.vocab_size - 1
        return fairseq_pieces(self._engine, [MASK] if is_last else [])

    def make_layout(self):
        bos, eos = (self.cls_token, self.cls_token_id), (self.sep_token, self.sep_token_id)
        return template("bos A eos", "bos A eos eos B eos", bos=bos, eos=eos)

    @property
    def fairseq_tokens_to_ids(self) -> dict[str, int]:
        """The ids that are not those of the `.model` plus `fairseq_offset`."""
        return {token: self.convert_tokens_to_ids(token) for token in (*FAIRSEQ_TOKENS, MASK)}

    @property
    def fairseq_ids_to_tokens(self) -> dict[int, str]:
        return {i: token for token, i in self.fairseq_tokens_to_ids.items()}


class XLMRobertaTokenizerFast(XLMRobertaTokenizer):
    """The same under the original's other name."""

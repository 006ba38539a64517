"""DeBERTa's tokenizer: GPT-2's byte-level BPE, with BERT's `[CLS] A [SEP] B [SEP]` around the texts."""

from edutransformers.tokenizers.added_tokens import AddedToken, special_token
from edutransformers.tokenizers.classes.byte_level_bpe import ByteLevelBPETokenizer, Path
from edutransformers.tokenizers.post_processors import bert_template

Token = str | AddedToken


class DebertaTokenizer(ByteLevelBPETokenizer):
    """Byte-level BPE as DeBERTa (the first version) does it.

    The arguments are `ByteLevelBPETokenizer`'s; `add_bos_token` is kept and does nothing, as in the original. The mask
    token swallows the blanks before it.

    A pair is `[CLS] A [SEP] B [SEP]`, its second text of type 1, as the model was trained and transformers 4 does it.
    transformers 5 makes `[CLS] A [SEP] [SEP] B [SEP]` of it, all of type 0.

    Source: He et al. 2020, "DeBERTa: Decoding-enhanced BERT with disentangled attention", section 5.
    """

    model_input_names = ["input_ids", "attention_mask", "token_type_ids"]

    def __init__(
        self,
        vocab_file: Path | None = None,
        merges_file: Path | None = None,
        errors: str = "replace",
        bos_token: Token = "[CLS]",
        eos_token: Token = "[SEP]",
        sep_token: Token = "[SEP]",
        cls_token: Token = "[CLS]",
        unk_token: Token = "[UNK]",
        pad_token: Token = "[PAD]",
        mask_token: Token = "[MASK]",
        add_prefix_space: bool = False,
        add_bos_token: bool = False,
        **kwargs,
    ):
        super().__init__(
            vocab_file,
            merges_file,
            errors,
            add_prefix_space,
            bos_token=special_token(bos_token, normalized=False),
            eos_token=special_token(eos_token, normalized=False),
            sep_token=special_token(sep_token, normalized=False),
            cls_token=special_token(cls_token, normalized=False),
            unk_token=special_token(unk_token, normalized=False),
            pad_token=special_token(pad_token, normalized=False),
            mask_token=special_token(mask_token, lstrip=True),
            add_bos_token=add_bos_token,
            **kwargs,
        )
        self.add_bos_token = add_bos_token
        if self._engine.post_processor is None:
            self._engine.post_processor = bert_template(
                self.cls_token, self.cls_token_id, self.sep_token, self.sep_token_id
            )


class DebertaTokenizerFast(DebertaTokenizer):
    """The same under the original's other name: this library has one kind of tokenizer."""

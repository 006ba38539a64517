"""RoBERTa's tokenizer and BART's: GPT-2's byte-level BPE, `<s> A </s></s> B </s>` around the texts."""

from edutransformers.tokenizers.added_tokens import AddedToken, special_token
from edutransformers.tokenizers.byte_level import RobertaProcessing
from edutransformers.tokenizers.classes.byte_level_bpe import ByteLevelBPETokenizer, Path

Token = str | AddedToken


class RobertaTokenizer(ByteLevelBPETokenizer):
    """Byte-level BPE as RoBERTa does it.

    trim_offsets   a token's offsets leave out the blank that it begins with

    The other arguments are `ByteLevelBPETokenizer`'s; these two outrank what a tokenizer.json says of them. The mask
    token swallows the blanks before it, as if it were a word: "a <mask>" has no token for the blank.

    Source: Liu et al. 2019, "RoBERTa: A robustly optimized BERT pretraining approach", section 4.4.
    """

    _mask_is_normalized = False

    def __init__(
        self,
        vocab_file: Path | None = None,
        merges_file: Path | None = None,
        errors: str = "replace",
        bos_token: Token = "<s>",
        eos_token: Token = "</s>",
        sep_token: Token = "</s>",
        cls_token: Token = "<s>",
        unk_token: Token = "<unk>",
        pad_token: Token = "<pad>",
        mask_token: Token = "<mask>",
        add_prefix_space: bool = False,
        trim_offsets: bool = True,
        **kwargs,
    ):
        super().__init__(
            vocab_file,
            merges_file,
            errors,
            add_prefix_space,
            bos_token=special_token(bos_token),
            eos_token=special_token(eos_token),
            sep_token=special_token(sep_token),
            cls_token=special_token(cls_token),
            unk_token=special_token(unk_token),
            pad_token=special_token(pad_token),
            mask_token=special_token(mask_token, normalized=self._mask_is_normalized, lstrip=True),
            trim_offsets=trim_offsets,
            **kwargs,
        )
        self.trim_offsets = trim_offsets
        if self._engine.post_processor is None:
            self._engine.post_processor = RobertaProcessing(
                (self.sep_token, self.sep_token_id), (self.cls_token, self.cls_token_id)
            )
        processor = self._engine.post_processor
        for name, value in (("trim_offsets", trim_offsets), ("add_prefix_space", add_prefix_space)):
            if hasattr(processor, name):
                setattr(processor, name, value)


class RobertaTokenizerFast(RobertaTokenizer):
    """The same under the original's other name: this library has one kind of tokenizer."""


class BartTokenizer(RobertaTokenizer):
    """RoBERTa's tokenizer for BART.

    Source: Lewis et al. 2019, "BART: Denoising sequence-to-sequence pre-training", section 3.
    """

    _mask_is_normalized = True


class BartTokenizerFast(BartTokenizer):
    """The same under the original's other name."""

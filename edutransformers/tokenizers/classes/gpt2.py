"""GPT-2's tokenizer: byte-level BPE with no special tokens around a text."""

from edutransformers.tokenizers.added_tokens import AddedToken, special_token
from edutransformers.tokenizers.byte_level import ByteLevelProcessor
from edutransformers.tokenizers.classes.byte_level_bpe import TEXTS_WITH_ENDS, ByteLevelBPETokenizer, Path
from edutransformers.tokenizers.post_processors import template

Token = str | AddedToken


class GPT2Tokenizer(ByteLevelBPETokenizer):
    """Byte-level BPE as GPT-2 does it, also for GPT-J, GPT-Neo and OPT.

    add_bos_token   put the bos_token before a text; before a pair once, as the original's fast tokenizer does (its
                    Python one repeats it before the second text). A tokenizer.json outranks it: the layout stands there

    The other arguments are `ByteLevelBPETokenizer`'s. There is no padding token unless `pad_token` names one; most set
    `tokenizer.pad_token = tokenizer.eos_token`.

    >>> tokenizer = GPT2Tokenizer("vocab.json", "merges.txt")                                  # doctest: +SKIP

    Source: Radford et al. 2019, "Language models are unsupervised multitask learners", section 2.2.
    """

    default_chat_template = TEXTS_WITH_ENDS

    def __init__(
        self,
        vocab_file: Path | None = None,
        merges_file: Path | None = None,
        errors: str = "replace",
        unk_token: Token = "<|endoftext|>",
        bos_token: Token = "<|endoftext|>",
        eos_token: Token = "<|endoftext|>",
        pad_token: Token | None = None,
        add_prefix_space: bool = False,
        add_bos_token: bool = False,
        **kwargs,
    ):
        super().__init__(
            vocab_file,
            merges_file,
            errors,
            add_prefix_space,
            unk_token=special_token(unk_token),
            bos_token=special_token(bos_token),
            eos_token=special_token(eos_token),
            pad_token=special_token(pad_token),
            add_bos_token=add_bos_token,
            **kwargs,
        )
        self.add_bos_token = add_bos_token
        if self._engine.post_processor is None:
            self._engine.post_processor = self._layout() if add_bos_token else ByteLevelProcessor(trim_offsets=False)

    def _layout(self):
        if self.bos_token is None:
            raise ValueError("add_bos_token=True needs a bos_token, but it is None.")
        return template("bos A", "bos A B:1", bos=(self.bos_token, self.bos_token_id))


class GPT2TokenizerFast(GPT2Tokenizer):
    """The same under the original's other name: this library has one kind of tokenizer."""

"""CLIP's tokenizer: byte-level BPE of lower-cased words, whose last piece ends with "</w>"."""

from edutransformers.tokenizers.added_tokens import AddedToken, special_token
from edutransformers.tokenizers.base import PreTrainedTokenizer
from edutransformers.tokenizers.byte_level import ByteLevel, ByteLevelDecoder, RobertaProcessing
from edutransformers.tokenizers.classes.byte_level_bpe import (
    Merges,
    Path,
    Vocabulary,
    bpe_files,
    bpe_from_files,
)
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.normalizers import NFC, Lowercase, NormalizerSequence, Replace
from edutransformers.tokenizers.patterns import Pattern
from edutransformers.tokenizers.pre_tokenizers import PreTokenizerSequence, Split
from edutransformers.tokenizers.tokenizer_json import read_tokenizer_json

Token = str | AddedToken

# English short forms, words, single digits, and runs of what is neither; blanks are dropped.
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
# CLIP's own merges file has 262,144 lines, of which the model's vocabulary of 49,408 has the first.
MOST_MERGES = 49152 - 256 - 2


class CLIPTokenizer(PreTrainedTokenizer):
    """Byte-level BPE as CLIP does it, `<|startoftext|> A <|endoftext|>` around a text.

    A text is brought into NFC, its white space made into single blanks, and lower-cased. Blanks are no part of tokens:
    "</w>" at a token's end says that a word ends there. Padding uses the end token, whose first place in a row is where
    the model reads the text's meaning.

    vocab_file, merges_file   vocab.json and merges.txt, of which the first 48,894 merges count; in their place `vocab`
                              and `merges`, as in transformers 5: {token: id} and [(left, right), ...], or paths
    tokenizer_file, engine    a tokenizer.json, or ready-made stages, in place of both
    errors                    what decoding does with bytes that are no UTF-8, as in `bytes.decode`

    Special tokens are searched in the lower-cased text, so "<|ENDOFTEXT|>" is one, as in transformers 4; release 5
    takes them only as they are written. A tokenizer.json says which.

    The original's Python tokenizer repairs texts with the package ftfy where that is installed; its fast one and this
    don't.

    Source: Radford et al. 2021, "Learning transferable visual models from natural language supervision", section 2.4.
    """

    vocab_files_names = {"tokenizer_file": "tokenizer.json", "vocab_file": "vocab.json", "merges_file": "merges.txt"}
    model_input_names = ["input_ids", "attention_mask"]

    def __init__(
        self,
        vocab_file: Path | None = None,
        merges_file: Path | None = None,
        errors: str = "replace",
        unk_token: Token = "<|endoftext|>",
        bos_token: Token = "<|startoftext|>",
        eos_token: Token = "<|endoftext|>",
        pad_token: Token = "<|endoftext|>",
        vocab: Vocabulary | None = None,
        merges: Merges | None = None,
        tokenizer_file: Path | None = None,
        engine: Engine | None = None,
        **kwargs,
    ):
        if engine is None and tokenizer_file is not None:
            engine = read_tokenizer_json(tokenizer_file)
        if engine is None:
            model = bpe_from_files(
                type(self).__name__,
                vocab_file,
                merges_file,
                vocab,
                merges,
                MOST_MERGES,
                unk_token=str(unk_token),
                end_of_word_suffix="</w>",
            )
            engine = Engine(
                model,
                normalizer=NormalizerSequence([NFC(), Replace(Pattern(r"\s+", is_regex=True), " "), Lowercase()]),
                pre_tokenizer=PreTokenizerSequence(
                    [Split(Pattern(WORDS, is_regex=True), "Removed", invert=True), ByteLevel(add_prefix_space=False)]
                ),
                decoder=ByteLevelDecoder(),
            )
        elif not isinstance(engine.pre_tokenizer, PreTokenizerSequence):
            raise ValueError(
                f"The pre-tokenizer of this tokenizer.json is {type(engine.pre_tokenizer).__name__}, but CLIP's is a "
                "Sequence of Split and ByteLevel; a file written before transformers 4.17 must be made anew from "
                "vocab.json and merges.txt."
            )
        if isinstance(engine.decoder, ByteLevelDecoder):
            engine.decoder.errors = errors
        self.errors = errors
        super().__init__(
            engine,
            errors=errors,
            unk_token=special_token(unk_token),
            bos_token=special_token(bos_token),
            eos_token=special_token(eos_token),
            pad_token=special_token(pad_token),
            **kwargs,
        )
        if engine.post_processor is None:
            engine.post_processor = RobertaProcessing(
                (self.eos_token, self.eos_token_id), (self.bos_token, self.bos_token_id), False, False
            )

    def decode(
        self, token_ids, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None, **kwargs
    ) -> str:
        """The text of ids, with a blank at each word's end. What was lower-cased stays so."""
        text = super().decode(token_ids, skip_special_tokens, clean_up_tokenization_spaces=False)
        text = text.replace(self._engine.model.end_of_word_suffix, " ").strip()
        clean = clean_up_tokenization_spaces
        return (
            self.clean_up_tokenization(text)
            if (self.clean_up_tokenization_spaces if clean is None else clean)
            else text
        )

    def vocabulary_files(self) -> dict[str, str]:
        return bpe_files(self._engine.model)


class CLIPTokenizerFast(CLIPTokenizer):
    """The same under the original's other name: this library has one kind of tokenizer."""

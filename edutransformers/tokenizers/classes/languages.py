"""What the tokenizers of translation models share: a language code around each text, of the input or of the labels."""

from edutransformers.tokenizers.base import PreTrainedTokenizer
from edutransformers.tokenizers.batch_encoding import BatchEncoding
from edutransformers.tokenizers.classes.sentencepiece import (
    FAIRSEQ_TOKENS,
    SentencePieceFile,
    fairseq_model,
    fairseq_pieces,
    model_of_pieces,
    model_of_vocabulary,
    read_standard_model,
)
from edutransformers.tokenizers.decoders import MetaspaceDecoder
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.normalizers import NormalizerSequence, Precompiled, Replace
from edutransformers.tokenizers.patterns import Pattern
from edutransformers.tokenizers.post_processors import template
from edutransformers.tokenizers.pre_tokenizers import Metaspace
from edutransformers.tokenizers.sentencepiece_model import SentencePieceModel


class TranslationTokenizer(SentencePieceFile, PreTrainedTokenizer):
    """Fairseq's ids, a token for each language, and a layout that depends on the language. A class says the rest.

    src_lang   the language of the texts; setting it changes the layout
    tgt_lang   that of `text_target`, or of all texts inside `as_target_tokenizer()`
    """

    vocab_files_names = {"vocab_file": "sentencepiece.bpe.model", "tokenizer_file": "tokenizer.json"}
    model_input_names = ["input_ids", "attention_mask"]
    languages: tuple[str, ...] = ()
    default_language = ""
    language_first = True  # "en_XX A </s>"; False: "A </s> en_XX"
    fairseq_offset = 1  # a piece's id is its place in the `.model` and one more

    def __init__(self, vocab_file, src_lang, tgt_lang, vocab, merges, engine, additional_special_tokens, **kwargs):
        self.keep_file(vocab_file)
        if engine is None:
            engine = self._make_engine(vocab_file, vocab, merges, str(kwargs["unk_token"]))
        # transformers 5 writes `extra_special_tokens`.
        others = [*(additional_special_tokens or ()), *(kwargs.pop("extra_special_tokens", None) or ())]
        known = set(self.languages)
        others = [token for token in dict.fromkeys(others) if str(token) not in known]
        super().__init__(
            engine, src_lang=src_lang, tgt_lang=tgt_lang, additional_special_tokens=[*self.languages, *others], **kwargs
        )
        self._src_lang = self.default_language if src_lang is None else src_lang
        self.tgt_lang = tgt_lang
        self.set_src_lang_special_tokens(self._src_lang)

    def _make_engine(self, vocab_file, vocab, merges, unk_token: str) -> Engine:
        """The stages into which transformers 4.34 converts the `.model`."""
        more = [*self.languages, "<mask>"]
        steps = [Replace(Pattern(" {2,}", is_regex=True), " ")]
        if vocab is not None:
            model = model_of_vocabulary(vocab, merges, unk_token)
        elif vocab_file is not None:
            file = read_standard_model(vocab_file)
            model = fairseq_model(file, more)
            if file.normalizer.precompiled_charsmap:
                steps.insert(0, Precompiled(file.normalizer.precompiled_charsmap))
        else:
            scores = [(token, 0.0) for token in (*FAIRSEQ_TOKENS, "▁", *more)]
            model = model_of_vocabulary(scores, None, unk_token)
        return Engine(model, NormalizerSequence(steps), Metaspace(), decoder=MetaspaceDecoder())

    def own_model(self) -> SentencePieceModel | None:
        more = [*self.languages, "<mask>"]
        model = model_of_pieces(self._engine, fairseq_pieces(self._engine, more))
        return model if fairseq_model(model, more).vocab == self._engine.model.vocab else None

    # ----- languages -------------------------------------------------------------------------------------------------

    @property
    def lang_code_to_id(self) -> dict[str, int]:
        return {code: self._engine.token_to_id(code) for code in self.languages}

    @property
    def id_to_lang_code(self) -> dict[int, str]:
        return {i: code for code, i in self.lang_code_to_id.items()}

    @property
    def fairseq_tokens_to_ids(self) -> dict[str, int]:
        """The tokens that are no pieces of the `.model`."""
        fixed = {token: i for i, token in enumerate(FAIRSEQ_TOKENS)}
        return {**fixed, "<mask>": self.mask_token_id, **self.lang_code_to_id}

    @property
    def fairseq_ids_to_tokens(self) -> dict[int, str]:
        return {i: token for token, i in self.fairseq_tokens_to_ids.items()}

    @property
    def src_lang(self) -> str:
        return self._src_lang

    @src_lang.setter
    def src_lang(self, new_src_lang: str) -> None:
        self.set_src_lang_special_tokens(new_src_lang)
        self._src_lang = new_src_lang

    def set_src_lang_special_tokens(self, src_lang: str) -> None:
        """The layout for a text in this language. Raises ValueError for one that the tokenizer has no token for."""
        self._set_layout(src_lang, "src_lang")

    def set_tgt_lang_special_tokens(self, lang: str) -> None:
        """The layout for a label in this language."""
        self._set_layout(lang, "tgt_lang")

    def _set_layout(self, code: str, what: str) -> None:
        # A language of one's own is a special token that was added.
        i = self._engine.added_tokens.ids.get(code)
        if i is None:
            raise ValueError(
                f"{what} is {code!r}, for which {type(self).__name__} has no token; pass one of its "
                f"{len(self.languages)} language codes ({', '.join(self.languages[:3])}, ...; all of them are in "
                "tokenizer.lang_code_to_id)."
            )
        self.cur_lang_code = self.cur_lang_code_id = i
        before, behind = ("lang ", " eos") if self.language_first else ("", " eos lang")
        self.prefix_tokens = [i] if self.language_first else []
        self.suffix_tokens = [self.eos_token_id] if self.language_first else [self.eos_token_id, i]
        self._engine.post_processor = template(
            f"{before}A{behind}", f"{before}A B{behind}", lang=(code, i), eos=(self.eos_token, self.eos_token_id)
        )

    def _switch_to_input_mode(self) -> None:
        self.set_src_lang_special_tokens(self.src_lang)

    def _switch_to_target_mode(self) -> None:
        if self.tgt_lang is None:
            raise ValueError("tgt_lang is not set, so labels have no language: set it, tokenizer.tgt_lang = ...")
        self.set_tgt_lang_special_tokens(self.tgt_lang)

    def _build_translation_inputs(
        self, raw_inputs, return_tensors: str, src_lang: str | None, tgt_lang: str | None, **extra_kwargs
    ) -> BatchEncoding:
        """What the translation pipeline passes to `generate`: the texts, and the language to begin with."""
        if src_lang is None or tgt_lang is None:
            raise ValueError(f"Translation needs a src_lang and a tgt_lang; got {src_lang!r} and {tgt_lang!r}.")
        self.src_lang = src_lang
        inputs = self(raw_inputs, add_special_tokens=True, return_tensors=return_tensors, **extra_kwargs)
        inputs["forced_bos_token_id"] = self.convert_tokens_to_ids(tgt_lang)
        return inputs

    def prepare_seq2seq_batch(
        self,
        src_texts: list[str],
        src_lang: str | None = None,
        tgt_texts: list[str] | None = None,
        tgt_lang: str | None = None,
        max_length: int | None = None,
        max_target_length: int | None = None,
        padding: str = "longest",
        return_tensors: str | None = None,
        truncation: bool = True,
        **kwargs,
    ) -> BatchEncoding:
        """Texts, and their translations as `labels`: the older way to what `text_target` of a call does."""
        self.tgt_lang = tgt_lang or self.default_target_language
        self.src_lang = src_lang or self.default_language
        options = {"padding": padding, "return_tensors": return_tensors, "truncation": truncation, **kwargs}
        inputs = self(src_texts, max_length=max_length or self.model_max_length, **options)
        if tgt_texts is not None:
            longest = max_target_length or max_length or self.model_max_length
            inputs["labels"] = self(text_target=tgt_texts, max_length=longest, **options)["input_ids"]
        return inputs

    default_target_language = ""

"""CodeLlama's tokenizer: Llama's, and prompts for the text of a gap between what is before it and behind it."""

import os

from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.classes.llama import LlamaTokenizer
from edutransformers.tokenizers.encoding import Chunk, Encoding, Part, TokenizedText
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.normalizers import NormalizerSequence, Prepend, Replace
from edutransformers.tokenizers.post_processors import TemplateProcessing, template
from edutransformers.tokenizers.sentencepiece_model import BLANK


class CodeLlamaTokenizer(LlamaTokenizer):
    """CodeLlama's: `<s> A`, and for "A<FILL_ME>B" the prompt `<s> ▁<PRE> A ▁<SUF> B ▁<MID>`, on which the model goes on
    with what belongs between A and B, and then `▁<EOT>`.

    prefix_token, suffix_token, middle_token, eot_token   the four tokens of such a prompt
    fill_token     where in a text the gap is; None: no text has one, unless `suffix` is passed
    suffix_first   True: `<s> ▁<PRE> ▁<SUF> B ▁<MID> A`

    A gap may also be said by two texts, `tokenizer(A, suffix=B)`. The row has them as its first and second text, and
    offsets count in each. A pair, `tokenizer(A, B)`, is a pair and no gap, as in transformers 5.

    Raises ValueError for a text with more gaps than one, and for a gap if one of the tokens is None.
    """

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        unk_token: str | AddedToken = "<unk>",
        bos_token: str | AddedToken | None = "<s>",
        eos_token: str | AddedToken | None = "</s>",
        prefix_token: str | AddedToken | None = "▁<PRE>",
        middle_token: str | AddedToken | None = "▁<MID>",
        suffix_token: str | AddedToken | None = "▁<SUF>",
        eot_token: str | AddedToken | None = "▁<EOT>",
        fill_token: str | AddedToken | None = "<FILL_ME>",
        suffix_first: bool = False,
        additional_special_tokens: list[str] | None = None,
        use_default_system_prompt: bool = False,
        **kwargs,
    ):
        own = {
            "prefix_token": prefix_token,
            "middle_token": middle_token,
            "suffix_token": suffix_token,
            "eot_token": eot_token,
        }
        self._infilling = {name: None if token is None else str(token) for name, token in own.items()}
        self.fill_token = None if fill_token is None else str(fill_token)
        self.suffix_first = suffix_first
        extra = [*(additional_special_tokens or ()), *(kwargs.pop("extra_special_tokens", None) or ()), *own.values()]
        extra = [token for token in extra if token is not None]
        super().__init__(
            vocab_file,
            unk_token,
            bos_token,
            eos_token,
            additional_special_tokens=list({str(token): token for token in extra}.values()),
            use_default_system_prompt=use_default_system_prompt,
            fill_token=self.fill_token,
            suffix_first=suffix_first,
            **self._infilling,
            **kwargs,
        )

    @property
    def prefix_token(self) -> str | None:
        return self._infilling["prefix_token"]

    @property
    def middle_token(self) -> str | None:
        return self._infilling["middle_token"]

    @property
    def suffix_token(self) -> str | None:
        return self._infilling["suffix_token"]

    @property
    def eot_token(self) -> str | None:
        return self._infilling["eot_token"]

    @property
    def prefix_id(self) -> int | None:
        return self._id_or_none(self.prefix_token)

    @property
    def middle_id(self) -> int | None:
        return self._id_or_none(self.middle_token)

    @property
    def suffix_id(self) -> int | None:
        return self._id_or_none(self.suffix_token)

    @property
    def eot_id(self) -> int | None:
        return self._id_or_none(self.eot_token)

    def _id_or_none(self, token: str | None) -> int | None:
        return None if token is None else self.convert_tokens_to_ids(token)

    # ----- gaps ------------------------------------------------------------------------------------------------------

    def __call__(self, text=None, *args, suffix=None, suffix_first: bool | None = None, **kwargs):
        """As every tokenizer's; `suffix`: what stands behind the gap, a text for each text."""
        if not kwargs.get("is_split_into_words"):
            if suffix_first is None:
                suffix_first = self.suffix_first
            if isinstance(text, str):
                text = self._with_gap(text, suffix, suffix_first)
            elif isinstance(text, (list, tuple)):
                if suffix is not None and (isinstance(suffix, str) or len(suffix) != len(text)):
                    raise ValueError(f"text is a batch of {len(text)}, so suffix must be a list of {len(text)} texts.")
                suffixes = [None] * len(text) if suffix is None else suffix
                text = [
                    self._with_gap(part, behind, suffix_first) if isinstance(part, str) else part
                    for part, behind in zip(text, suffixes)
                ]
        return super().__call__(text, *args, **kwargs)

    def tokenize(self, text: str, suffix: str | None = None, suffix_first: bool | None = None, **kwargs) -> list[str]:
        """The tokens of a text, or of one with a gap, as strings."""
        return super().tokenize(text, suffix=suffix, suffix_first=suffix_first, **kwargs)

    def _with_gap(self, text: str, suffix: str | None, suffix_first: bool) -> str:
        if suffix is None and self.fill_token is not None and self.fill_token in text:
            text, suffix, *more = text.split(self.fill_token)
            if more:
                raise ValueError(
                    f"The text has {self.fill_token!r} {len(more) + 1} times; a prompt has one gap to fill: split it."
                )
        return _TextWithGap(text, suffix, suffix_first) if suffix else text

    def _rows(self, sample, is_split, add_special_tokens, cut) -> list[Encoding]:
        if not isinstance(sample.first, _TextWithGap):
            return super()._rows(sample, is_split, add_special_tokens, cut)
        before, behind = str(sample.first), sample.first.suffix
        blanks = Replace(" ", BLANK)
        # What is before the gap begins with a blank as any text does, also if there is nothing; what is behind doesn't.
        first = self._engine_with(NormalizerSequence([Prepend(BLANK), blanks])).tokenize(before)
        engine = self._engine_with(blanks)
        if not before:
            blank = engine.tokenize(" ")
            chunk = Chunk(tuple(blank.ids), tuple(blank.tokens), ((0, 0),) * len(blank.ids), (0,) * len(blank.ids), 1)
            first = TokenizedText("", [Part("", 0, [chunk])])
        engine.post_processor = self._layout_with_gap(sample.first.suffix_first, add_special_tokens)
        return engine.encode(first, engine.tokenize(behind), add_special_tokens=True, truncation=cut)

    def _engine_with(self, normalizer) -> Engine:
        engine = Engine(self._engine.model, normalizer, decoder=self._engine.decoder)
        engine.added_tokens = self._engine.added_tokens
        engine.split_special_tokens = self.split_special_tokens
        return engine

    def _layout_with_gap(self, suffix_first: bool, add_special_tokens: bool) -> TemplateProcessing:
        special = {}
        for name in ("prefix_token", "suffix_token", "middle_token"):
            token = self._infilling[name]
            if token is None:
                raise ValueError(f"A gap can't be filled: {name} is None; pass one to the constructor.")
            special[name] = (token, self.convert_tokens_to_ids(token))
        pair = (
            "prefix_token suffix_token B middle_token A"
            if suffix_first
            else "prefix_token A suffix_token B middle_token"
        )
        if add_special_tokens and self.add_bos_token and self.bos_token is not None:
            pair, special["bos"] = f"bos {pair}", (self.bos_token, self.bos_token_id)
        if add_special_tokens and self.add_eos_token and self.eos_token is not None:
            pair, special["eos"] = f"{pair} eos", (self.eos_token, self.eos_token_id)
        return template("A", pair, **special)


class CodeLlamaTokenizerFast(CodeLlamaTokenizer):
    """The same under the original's other name."""


class _TextWithGap(str):
    """The text before a gap; what stands behind it comes with it."""

    def __new__(cls, text: str, suffix: str, suffix_first: bool):
        self = super().__new__(cls, text)
        self.suffix, self.suffix_first = suffix, suffix_first
        return self

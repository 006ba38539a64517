"""Llama's tokenizer: BPE over a whole text, blanks written as "▁", unknown characters as bytes; `<s> A`."""

import os

from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.base import PreTrainedTokenizer
from edutransformers.tokenizers.bpe import BPE
from edutransformers.tokenizers.classes.sentencepiece import (
    SENTENCEPIECE_TOKENS,
    SentencePieceFile,
    model_of_pieces,
    model_of_vocabulary,
    pieces_of,
    read_standard_model,
)
from edutransformers.tokenizers.decoders import ByteFallback, DecoderSequence, Fuse, ReplaceDecoder, StripDecoder
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.normalizers import NormalizerSequence, Prepend, Replace
from edutransformers.tokenizers.post_processors import template
from edutransformers.tokenizers.pre_tokenizers import Metaspace
from edutransformers.tokenizers.sentencepiece_model import BLANK, SentencePieceModel
from edutransformers.tokenizers.sentencepiece_stages import added_tokens_of, merges_of
from edutransformers.tokenizers.unigram import Unigram


class LlamaTokenizer(SentencePieceFile, PreTrainedTokenizer):
    """Llama's: `<s> A`, of a pair `<s> A <s> B`; padded on the left, so that a text's continuation follows it.

    vocab_file                  a `.model`; or `vocab` {token: id} with `merges`
    add_bos_token               whether a text begins with `bos_token`; None: as tokenizer.json has it, True without one
    add_eos_token               whether it ends with `eos_token`; None: as tokenizer.json has it, False without one
    legacy                      None and True: each stretch of text gets a blank in front, also behind a special token.
                                False: only the text's beginning does
    add_prefix_space            False: none gets one
    use_default_system_prompt   whether a chat without a system prompt gets Llama 2's

    There is no padding token: set one, `tokenizer.pad_token = tokenizer.eos_token`. After setting another `bos_token`
    or `eos_token` call `update_post_processor()`. A tokenizer.json outranks `legacy` and `add_prefix_space`:
    its stages say what these would.

    The stages are those of transformers 4.34's LlamaTokenizerFast, which heeds no `legacy`; with legacy=False they are
    those of transformers 5, where this is the default.
    """

    vocab_files_names = {"vocab_file": "tokenizer.model", "tokenizer_file": "tokenizer.json"}
    model_input_names = ["input_ids", "attention_mask"]
    padding_side = "left"

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        unk_token: str | AddedToken = "<unk>",
        bos_token: str | AddedToken | None = "<s>",
        eos_token: str | AddedToken | None = "</s>",
        pad_token: str | AddedToken | None = None,
        add_bos_token: bool | None = None,
        add_eos_token: bool | None = None,
        clean_up_tokenization_spaces: bool = False,
        use_default_system_prompt: bool = True,
        legacy: bool | None = None,
        add_prefix_space: bool | None = None,
        vocab: dict[str, int] | list[tuple[str, float]] | None = None,
        merges: list[tuple[str, str]] | None = None,
        engine: Engine | None = None,
        **kwargs,
    ):
        self.keep_file(vocab_file)
        if legacy is None:  # tokenizer.json's stages say which
            legacy = engine is None or not isinstance(engine.pre_tokenizer, Metaspace)
        self.legacy = legacy
        self.add_prefix_space = add_prefix_space is None or add_prefix_space
        self.use_default_system_prompt = use_default_system_prompt
        if engine is None:
            engine = self._make_engine(vocab_file, vocab, merges, [str(t) for t in (unk_token, bos_token, eos_token)])
        said = {"add_bos_token": add_bos_token, "add_eos_token": add_eos_token, "add_prefix_space": add_prefix_space}
        super().__init__(
            engine,
            unk_token=unk_token,
            bos_token=bos_token,
            eos_token=eos_token,
            pad_token=pad_token,
            clean_up_tokenization_spaces=clean_up_tokenization_spaces,
            use_default_system_prompt=use_default_system_prompt,
            legacy=self.legacy,
            **{name: value for name, value in said.items() if value is not None},
            **kwargs,
        )
        self._add_bos_token, self._add_eos_token = add_bos_token is not False, bool(add_eos_token)
        if add_bos_token is None and add_eos_token is None and engine.post_processor is not None:
            slots = engine.layout(is_pair=False, add_special_tokens=True)
            self._add_bos_token = slots[0].ids == (self.bos_token_id,)
            self._add_eos_token = slots[-1].ids == (self.eos_token_id,)
        else:
            self.update_post_processor()

    # ----- stages ----------------------------------------------------------------------------------------------------

    def _make_engine(self, vocab_file, vocab, merges, special: list[str]) -> Engine:
        added = {}
        if vocab is not None:
            model = model_of_vocabulary(vocab, merges, special[0], byte_fallback=True)
        elif vocab_file is not None:
            file = read_standard_model(vocab_file)
            model, added = _model_of(file), added_tokens_of(file)
        else:
            model = model_of_vocabulary({token: i for i, token in enumerate(special)}, (), special[0])
        normalizer = pre_tokenizer = None
        if self.legacy:
            blanks = Replace(" ", BLANK)
            normalizer = NormalizerSequence([Prepend(BLANK), blanks] if self.add_prefix_space else [blanks])
        else:
            pre_tokenizer = Metaspace(BLANK, "first" if self.add_prefix_space else "never", split=False)
        steps = [ReplaceDecoder(BLANK, " "), ByteFallback(), Fuse()]
        if self.add_prefix_space:
            steps.append(StripDecoder(" ", 1, 0))
        engine = Engine(model, normalizer, pre_tokenizer, decoder=DecoderSequence(steps))
        for i, token in added.items():
            engine.added_tokens.add_with_id(token, i)
        engine.added_tokens.refresh(normalizer)
        return engine

    def own_model(self) -> SentencePieceModel | None:
        pieces = pieces_of(self._engine)
        if tuple(piece.piece for piece in pieces[:3]) != SENTENCEPIECE_TOKENS:
            return None
        return model_of_pieces(self._engine, pieces, name="identity", remove_extra_whitespaces=False)

    # ----- special tokens around a text ------------------------------------------------------------------------------

    @property
    def add_bos_token(self) -> bool:
        """Whether a text begins with `bos_token`."""
        return self._add_bos_token

    @add_bos_token.setter
    def add_bos_token(self, value: bool) -> None:
        self._add_bos_token = self.init_kwargs["add_bos_token"] = value
        self.update_post_processor()

    @property
    def add_eos_token(self) -> bool:
        """Whether a text ends with `eos_token`."""
        return self._add_eos_token

    @add_eos_token.setter
    def add_eos_token(self, value: bool) -> None:
        self._add_eos_token = self.init_kwargs["add_eos_token"] = value
        self.update_post_processor()

    def update_post_processor(self) -> None:
        """Make the layout again, with the present `bos_token` and `eos_token`. One that is None is left out."""
        special = {}
        if self.add_bos_token and self.bos_token is not None:
            special["bos"] = (self.bos_token, self.bos_token_id)
        if self.add_eos_token and self.eos_token is not None:
            special["eos"] = (self.eos_token, self.eos_token_id)
        first = " ".join([*(["bos"] if "bos" in special else []), "A", *(["eos"] if "eos" in special else [])])
        second = " ".join(f"{part}:1" for part in first.replace("A", "B").split())
        self._engine.post_processor = template(first, f"{first} {second}", **special)


class LlamaTokenizerFast(LlamaTokenizer):
    """The same under the original's other name."""


def _model_of(file: SentencePieceModel) -> Unigram | BPE:
    """The model of a `.model`. Unknown characters become bytes, whatever its settings say, if the bytes are there."""
    if file.trainer.model_type == "unigram":
        return Unigram([(piece.piece, piece.score) for piece in file.pieces], unk_id=0, byte_fallback=True)
    return BPE(
        {piece.piece: i for i, piece in enumerate(file.pieces)},
        merges_of(file) if file.trainer.model_type == "bpe" else [],
        unk_token=file.pieces[0].piece,
        fuse_unk=True,
        byte_fallback=True,
    )

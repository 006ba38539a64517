"""XLM's tokenizer: Moses' words in lower case without accents, BPE, `<s> A </s>` around the texts; many languages."""

from collections.abc import Iterable

from edutransformers.logging import get_logger
from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.aligned_text import PlainText
from edutransformers.tokenizers.classes.byte_level_bpe import Merges, Path, Vocabulary, read_bpe
from edutransformers.tokenizers.classes.python_only import PythonTokenizer
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.moses import load_sacremoses
from edutransformers.tokenizers.post_processors import template
from edutransformers.tokenizers.symbol_bpe import END, SymbolBPE
from edutransformers.tokenizers.training import train_bpe
from edutransformers.tokenizers.vocabulary_files import merge_lines, sorted_vocab_json_text
from edutransformers.tokenizers.xlm_words import XLMWords

logger = get_logger(__name__)

ADDITIONAL_SPECIAL_TOKENS = tuple(f"<special{i}>" for i in range(10))


class XLMTokenizer(PythonTokenizer):
    """BPE over the words of Moses' tokenizer, as XLM does it: "<s> A </s>", "<s> A </s> B </s>".

    vocab_file, merges_file         vocab.json and merges.txt (which may have a third column); in their place `vocab`
                                    and `merges`: {token: id} and [(left, right), ...], or paths
    lang2id, id2lang                the ids of the languages that a model knows, which go into its `langs`
    do_lowercase_and_remove_accent  False for the models of 17 and of 100 languages

    `tokenizer.lang`, "en" at first, is the language that the following texts are of. Chinese needs the package jieba,
    Thai pythainlp, Japanese KyTea; all others sacremoses. Offsets are places in the text as given.

    As in transformers 5, and as the models were trained, words are cut before they are lower-cased: where Moses asks
    for capitals ("Mr. Smith") v4.34 cuts otherwise, since it lower-cases first. Added tokens are found as they were
    given (the original lower-cases them, but since transformers 5 not the text). Blanks between Thai words are no
    tokens, where the original without do_lowercase_and_remove_accent makes two unknown ones of each.

    Raises ImportError, at once, without sacremoses. Source: Conneau and Lample 2019, "Cross-lingual language model
    pretraining".
    """

    vocab_files_names = {"vocab_file": "vocab.json", "merges_file": "merges.txt"}

    def __init__(
        self,
        vocab_file: Path | None = None,
        merges_file: Path | None = None,
        unk_token: str = "<unk>",
        bos_token: str = "<s>",
        sep_token: str = "</s>",
        pad_token: str = "<pad>",
        cls_token: str = "</s>",
        mask_token: str = "<special1>",
        additional_special_tokens: Iterable[str | AddedToken] = ADDITIONAL_SPECIAL_TOKENS,
        lang2id: dict[str, int] | None = None,
        id2lang: dict[int, str] | None = None,
        do_lowercase_and_remove_accent: bool = True,
        vocab: Vocabulary | None = None,
        merges: Merges | None = None,
        engine: Engine | None = None,
        **kwargs,
    ):
        load_sacremoses(type(self).__name__)
        if lang2id is not None and id2lang is not None and len(lang2id) != len(id2lang):
            raise ValueError(
                f"lang2id has {len(lang2id)} languages and id2lang {len(id2lang)}; each must be the other, reversed."
            )
        self.lang2id, self.id2lang = lang2id, id2lang
        self.do_lowercase_and_remove_accent = do_lowercase_and_remove_accent
        if engine is None:
            files = (vocab_file, merges_file, vocab, merges)
            engine = Engine(SymbolBPE(*read_bpe(type(self).__name__, *files, with_counts=True), str(unk_token)))
        super().__init__(
            engine,
            unk_token=unk_token,
            bos_token=bos_token,
            sep_token=sep_token,
            pad_token=pad_token,
            cls_token=cls_token,
            mask_token=mask_token,
            additional_special_tokens=list(additional_special_tokens),
            lang2id=lang2id,
            id2lang=id2lang,
            do_lowercase_and_remove_accent=do_lowercase_and_remove_accent,
            **kwargs,
        )
        bos, sep = (self.bos_token, self.bos_token_id), (self.sep_token, self.sep_token_id)
        engine.post_processor = template("bos A sep", "bos A sep B:1 sep:1", bos=bos, sep=sep)
        self.lang = "en"

    @property
    def do_lower_case(self) -> bool:
        return self.do_lowercase_and_remove_accent

    @property
    def lang(self) -> str:
        """The language that texts are of: its words are cut by its rules."""
        return self._lang

    @lang.setter
    def lang(self, lang: str) -> None:
        if self.lang2id and lang not in self.lang2id:
            logger.error("%r is not among the languages of this tokenizer: %s.", lang, ", ".join(self.lang2id))
        self._engine.pre_tokenizer = XLMWords(lang, self.do_lowercase_and_remove_accent)
        self._engine.clear_cache()
        self._lang = lang

    def _tokenize(self, text: str, lang: str = "en", bypass_tokenizer: bool = False) -> list[str]:
        """The original's method under its own name: the tokens of a text in a language, added tokens apart.

        With `bypass_tokenizer` the text was cut into words before: blanks stand between them.
        """
        words = XLMWords(lang, self.do_lowercase_and_remove_accent)
        cut = text.split() if bypass_tokenizer else [word.text for word in words.pre_tokenize(PlainText(text))]
        model = self._engine.model
        return [token.text or model.id_to_token[token.id] for word in cut for token in model.tokenize(word)]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        return "".join(tokens).replace(END, " ").strip()

    def vocabulary_files(self) -> dict[str, str]:
        model = self._engine.model
        return {"vocab.json": sorted_vocab_json_text(model.vocab), "merges.txt": merge_lines(model.writable_merges())}

    def _train(self, texts, vocab_size, options):
        symbols, merges = train_bpe(texts, vocab_size, end_of_word_suffix=END, **options)
        return {"vocab": symbols, "merges": merges}

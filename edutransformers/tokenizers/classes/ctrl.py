"""CTRL's tokenizer: BPE whose pieces end with "@@" inside a word, and words that say what a text is about."""

from edutransformers.tokenizers.classes.byte_level_bpe import Merges, Path, Vocabulary, read_bpe
from edutransformers.tokenizers.classes.python_only import PythonTokenizer
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.patterns import Pattern
from edutransformers.tokenizers.pre_tokenizers import Split
from edutransformers.tokenizers.symbol_bpe import END, SymbolBPE
from edutransformers.tokenizers.training import train_bpe
from edutransformers.tokenizers.vocabulary_files import merges_text, sorted_vocab_json_text

# The first word of a text, by which the model was told in training where the text came from; and its id.
CONTROL_CODES = {
    "Alone": 44967, "Ask": 27171, "Ass": 95985, "Atheism": 192263, "Books": 6665, "Christianity": 7675,
    "Computing": 39639, "Confession": 60572, "Confessions": 102701, "Conspiracy": 75932, "Diet": 36206, "Event": 32769,
    "Explain": 106423, "Extract": 76050, "Feminism": 164338, "Finance": 12250, "Fitness": 63440, "Funny": 58917,
    "Gaming": 40358, "Horror": 37793, "Human": 4088, "India": 1331, "Joke": 163509, "Joker": 77138, "Learned": 67460,
    "Legal": 11859, "Links": 63674, "Movies": 46273, "Narcissus": 150425, "Netflix": 48616, "News": 4256,
    "Norman": 4939, "Notion": 182770, "Opinion": 43213, "Politics": 16360, "Pregnancy": 168629, "Questions": 45622,
    "Relationship": 54766, "Relationships": 134796, "Retail": 52342, "Reviews": 41671, "Running": 23425,
    "Saving": 63163, "Scary": 191985, "Science": 2090, "Support": 12654, "Technologies": 32516, "Teenage": 66160,
    "Thoughts": 49605, "Tip": 72689, "Translation": 26820, "Weight": 52343, "Wikipedia": 37583, "Writing": 11992,
    "multilingual": 128406,
}  # fmt: skip


class CTRLTokenizer(PythonTokenizer):
    """BPE as CTRL does it; no special tokens around a text.

    vocab_file, merges_file   vocab.json and merges.txt; in their place `vocab` and `merges`: {token: id} and
                              [(left, right), ...], or paths
    unk_token                 for pieces that the vocabulary lacks

    A word is what stands between white space, with one line end behind it: "a\\n" and "a" are different words. The
    first word of a text steers the model; `control_codes` has those that it knows, with their ids. As at v4.34 the
    second text of a pair is of token type 1 (transformers 5 says 0).

    Source: Keskar et al. 2019, "CTRL: a conditional transformer language model for controllable generation".
    """

    vocab_files_names = {"vocab_file": "vocab.json", "merges_file": "merges.txt"}
    control_codes = CONTROL_CODES

    def __init__(
        self,
        vocab_file: Path | None = None,
        merges_file: Path | None = None,
        unk_token: str = "<unk>",
        vocab: Vocabulary | None = None,
        merges: Merges | None = None,
        engine: Engine | None = None,
        **kwargs,
    ):
        if engine is None:
            files = (vocab_file, merges_file, vocab, merges)
            engine = Engine(
                SymbolBPE(*read_bpe(type(self).__name__, *files), str(unk_token), inside="@@", last=""),
                pre_tokenizer=Split(Pattern(r"\S+\n?", is_regex=True), "Removed", invert=True),
            )
        super().__init__(engine, unk_token=unk_token, **kwargs)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        return " ".join(tokens).replace("@@ ", "").strip()

    def vocabulary_files(self) -> dict[str, str]:
        model = self._engine.model
        return {"vocab.json": sorted_vocab_json_text(model.vocab), "merges.txt": merges_text(model.writable_merges())}

    def _train(self, texts, vocab_size, options):
        # A line's end is a word here: merges.txt has one merge a line, and could not hold one with a line's end in it.
        words = Split(Pattern(r"\S+|\n", is_regex=True), "Removed", invert=True)
        symbols, merges = train_bpe(texts, vocab_size, end_of_word_suffix=END, **{**options, "pre_tokenizer": words})
        special, name = set(options["special_tokens"]), self._engine.model.name
        return {"vocab": {s if s in special else name(s): i for s, i in symbols.items()}, "merges": merges}

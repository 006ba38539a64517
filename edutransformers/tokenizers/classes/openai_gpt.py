"""The first GPT's tokenizer: BERT's way to words, in lower case, then BPE; a word's last piece ends with "</w>"."""

from edutransformers.tokenizers.base import PreTrainedTokenizer
from edutransformers.tokenizers.classes.byte_level_bpe import Merges, Path, Vocabulary, bpe_files, bpe_from_files
from edutransformers.tokenizers.decoders import BPEDecoder
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.normalizers import BertNormalizer
from edutransformers.tokenizers.pre_tokenizers import BertPreTokenizer


class OpenAIGPTTokenizer(PreTrainedTokenizer):
    """BPE as OpenAI's first GPT does it; no special tokens around a text.

    vocab_file, merges_file   vocab.json and merges.txt; in their place `vocab` and `merges`, as in transformers 5:
                              {token: id} and [(left, right), ...], or paths
    unk_token                 for characters that the vocabulary lacks

    Its ids, tokens and offsets are those of the original's fast tokenizer. (The model was trained on words that ftfy
    and spaCy had cut. The original's Python tokenizer does so where both are installed, and else nearly the same as
    this one; what its ids are depends on that.)

    Source: Radford et al. 2018, "Improving language understanding by generative pre-training".
    """

    vocab_files_names = {"tokenizer_file": "tokenizer.json", "vocab_file": "vocab.json", "merges_file": "merges.txt"}
    model_input_names = ["input_ids", "attention_mask"]

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
            options = {
                "unk_token": str(unk_token),
                "continuing_subword_prefix": None,
                "end_of_word_suffix": "</w>",
            }
            engine = Engine(
                bpe_from_files(type(self).__name__, vocab_file, merges_file, vocab, merges, **options),
                normalizer=BertNormalizer(),
                pre_tokenizer=BertPreTokenizer(),
                decoder=BPEDecoder(),
            )
        super().__init__(engine, unk_token=unk_token, **kwargs)

    @property
    def do_lower_case(self) -> bool:
        return True

    def vocabulary_files(self) -> dict[str, str]:
        return bpe_files(self._engine.model)


class OpenAIGPTTokenizerFast(OpenAIGPTTokenizer):
    """The same under the original's other name: this library has one kind of tokenizer."""

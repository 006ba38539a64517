"""The first GPT's tokenizer."""

import pytest

from edutransformers import OpenAIGPTTokenizer
from edutransformers.tokenizers import BertNormalizer, BertPreTokenizer, train_bpe

from ..texts import LONG, OTHER
from .suite import PANGRAM, TokenizerSuite

VOCAB, MERGES = train_bpe(
    [LONG, OTHER, PANGRAM, "cafe . ' s a b x 1 !"],
    150,
    special_tokens=["<unk>"],
    end_of_word_suffix="</w>",
    normalizer=BertNormalizer(),
    pre_tokenizer=BertPreTokenizer(),
    show_progress=False,
)


class TestOpenAIGPTTokenizer(TokenizerSuite):
    decoded = {
        "Hello the unaffable World!": "hello the unaffable world!",
        "Café b": "cafe b",
        "the fox": "the fox",
    }

    def build(self, **options):
        return OpenAIGPTTokenizer(**{"vocab": VOCAB, "merges": MERGES, **options})

    def test_the_last_piece_of_a_word(self):
        tokens = self.build().tokenize("The quickers fox")
        assert "".join(tokens) == "the</w>quickers</w>fox</w>"
        assert tokens[0] == "the</w>"

    def test_a_pair_has_nothing_between(self):
        tokenizer = self.build()
        assert tokenizer.tokenize("the", "fox", add_special_tokens=True) == tokenizer.tokenize("the fox")
        assert list(tokenizer("the")) == ["input_ids", "attention_mask"]
        assert tokenizer.do_lower_case

    def test_unknown_characters(self):
        tokenizer = self.build()
        assert tokenizer.tokenize("ж the") == ["<unk>", "the</w>"]

    def test_files(self, tmp_path):
        tokenizer = self.build()
        tokenizer.save_vocabulary(tmp_path)
        assert (tmp_path / "merges.txt").read_text(encoding="utf-8").startswith("#version: 0.2\n" + " ".join(MERGES[0]))
        assert (tmp_path / "vocab.json").read_text(encoding="utf-8").startswith('{\n  "!')
        with pytest.raises(OSError, match="merges.txt"):
            OpenAIGPTTokenizer(tmp_path / "vocab.json", tmp_path / "nowhere" / "merges.txt")
        with pytest.raises(ValueError, match="no merges: pass merges_file"):
            OpenAIGPTTokenizer(tmp_path / "vocab.json")
        with pytest.raises(ValueError, match="no vocabulary: pass vocab_file"):
            OpenAIGPTTokenizer(merges=MERGES)

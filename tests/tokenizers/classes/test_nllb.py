"""NLLB's tokenizer. What it shares with mBART's, test_mbart.py tests."""

import json

import pytest

from edutransformers import NllbTokenizer

from ..texts import LONG, OTHER
from .sentencepiece_models import bpe_model, unigram_model, write
from .suite import TokenizerSuite


class TestNllbTokenizer(TokenizerSuite):
    decoded = {
        "Hello, the World!": "Hello, the World!",
        "Café  naïve .": "Café naïve.",
        "the fox": "the fox",
    }

    @pytest.fixture(autouse=True)
    def a_model(self, tmp_path_factory):
        self.path = write(bpe_model(), tmp_path_factory.mktemp("model") / "sentencepiece.bpe.model")

    def build(self, **options):
        return NllbTokenizer(self.path, **options)

    def test_languages(self, tokenizer):
        ids = tokenizer.encode(LONG, add_special_tokens=False)
        code = tokenizer.lang_code_to_id
        assert len(code) == 202
        assert tokenizer.encode(LONG) == [code["eng_Latn"], *ids, 2]
        tokenizer.src_lang, tokenizer.tgt_lang = "deu_Latn", "fra_Latn"
        both = tokenizer(LONG, text_target=OTHER)
        assert both.input_ids == [code["deu_Latn"], *ids, 2]
        assert (both.labels[0], both.labels[-1]) == (code["fra_Latn"], 2)

    def test_legacy_behaviour(self, tmp_path):
        tokenizer = self.build(legacy_behaviour=True, tgt_lang="fra_Latn")
        code = tokenizer.lang_code_to_id
        tokenizer.save_pretrained(tmp_path)
        for loaded in (tokenizer, NllbTokenizer.from_pretrained(tmp_path)):
            both = loaded(LONG, text_target=OTHER)
            assert both.input_ids[-2:] == [2, code["eng_Latn"]]
            assert both.labels[-2:] == [2, code["fra_Latn"]]
        assert NllbTokenizer.from_pretrained(tmp_path, legacy_behaviour=False)(LONG).input_ids[-1] == 2

    def test_wrong_languages(self, tokenizer):
        with pytest.raises(ValueError, match="src_lang is 'en_XX', for which NllbTokenizer has no token; .* 202"):
            tokenizer.src_lang = "en_XX"

    def test_vocabulary_and_merges(self, tokenizer, tmp_path):
        model = tokenizer._engine.model
        other = NllbTokenizer(vocab=model.vocab, merges=model.merge_list())
        assert other(LONG) == tokenizer(LONG)
        other.save_vocabulary(tmp_path)
        assert NllbTokenizer(tmp_path / "sentencepiece.bpe.model")(LONG) == tokenizer(LONG)

    def test_merges_are_saved_as_all_readers_know_them(self, tokenizer, tmp_path):
        """As strings, which tokenizers 0.14 needs; as pairs where a token has a blank."""
        merges = tokenizer._engine.model.merge_list()
        blank = {"a b": 0, "a": 1, " b": 2, "<unk>": 3, "</s>": 4}
        other = NllbTokenizer(vocab=blank, merges=[("a", " b")])
        for saved, expected in ((tokenizer, [" ".join(pair) for pair in merges]), (other, [["a", " b"]])):
            saved.save_pretrained(tmp_path)
            content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
            assert content["model"]["merges"] == expected
            assert NllbTokenizer.from_pretrained(tmp_path)(LONG) == saved(LONG)

    def test_a_unigram_model(self, tmp_path):
        tokenizer = NllbTokenizer(write(unigram_model(), tmp_path / "x.model"))
        assert tokenizer.decode(tokenizer.encode(LONG), skip_special_tokens=True) == LONG.replace(" ,", ",").replace(
            " !", "!"
        )

"""mBART's and mBART-50's tokenizers."""

from dataclasses import replace

import pytest

from edutransformers import MBart50Tokenizer, MBart50TokenizerFast, MBartTokenizer
from edutransformers.tokenizers.sentencepiece_model import NormalizerSettings, Piece

from ..sentencepiece_models import MAP
from ..texts import LONG, OTHER
from .sentencepiece_models import unigram_model, write
from .suite import TokenizerSuite


class TestMBartTokenizer(TokenizerSuite):
    tokenizer_class = MBartTokenizer
    decoded = {
        "Hello, the World!": "Hello, the World!",
        "Café  naïve .": "Café naïve.",
        "the fox": "the fox",
    }
    languages, last = 25, "zh_CN"

    @pytest.fixture(autouse=True)
    def a_model(self, tmp_path_factory):
        self.path = write(unigram_model(), tmp_path_factory.mktemp("model") / "sentencepiece.bpe.model")

    def build(self, **options):
        return self.tokenizer_class(self.path, **options)

    def layout(self, code, ids):
        return [*ids, 2, code]

    def test_fairseq_ids(self, tokenizer):
        size = len(unigram_model().pieces)
        assert tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>"]) == [0, 1, 2, 3]
        for place in (3, 10, size - 1):
            assert tokenizer.convert_tokens_to_ids(unigram_model().pieces[place].piece) == place + 1
        assert list(tokenizer.lang_code_to_id.values()) == list(range(size + 1, size + 1 + self.languages))
        assert tokenizer.id_to_lang_code[size + self.languages] == self.last
        assert tokenizer.mask_token_id == size + self.languages + 1 == tokenizer.vocab_size - 1
        assert tokenizer.fairseq_tokens_to_ids["<mask>"] == tokenizer.mask_token_id
        assert tokenizer.fairseq_tokens_to_ids[self.last] == tokenizer.lang_code_to_id[self.last]
        assert tokenizer.fairseq_ids_to_tokens[3] == "<unk>"

    def test_languages(self, tokenizer):
        ids = tokenizer.encode(LONG, add_special_tokens=False)
        code = tokenizer.lang_code_to_id
        assert tokenizer.encode(LONG) == self.layout(code["en_XX"], ids)
        tokenizer.src_lang = "de_DE"
        assert tokenizer.src_lang == "de_DE"
        assert tokenizer.cur_lang_code == code["de_DE"]
        assert tokenizer.encode(LONG) == self.layout(code["de_DE"], ids)
        assert tokenizer.prefix_tokens + ids + tokenizer.suffix_tokens == tokenizer.encode(LONG)
        tokenizer.tgt_lang = "ro_RO"
        both = tokenizer(LONG, text_target=OTHER)
        others = tokenizer.encode(OTHER, add_special_tokens=False)
        assert both.input_ids == self.layout(code["de_DE"], ids)
        assert both.labels == self.layout(code["ro_RO"], others)
        assert tokenizer.encode(LONG) == self.layout(code["de_DE"], ids)  # and back
        with tokenizer.as_target_tokenizer():
            assert tokenizer.encode(OTHER) == both.labels

    def test_languages_of_the_constructor(self, tmp_path):
        tokenizer = self.build(src_lang="fr_XX", tgt_lang="hi_IN")
        tokenizer.save_pretrained(tmp_path)
        for loaded in (tokenizer, self.tokenizer_class.from_pretrained(tmp_path)):
            assert (loaded.src_lang, loaded.tgt_lang) == ("fr_XX", "hi_IN")
            assert loaded.lang_code_to_id["fr_XX"] in loaded.encode(LONG)
        again = self.tokenizer_class.from_pretrained(tmp_path, src_lang="ja_XX")
        assert again.lang_code_to_id["ja_XX"] in again.encode(LONG)
        assert again.lang_code_to_id["fr_XX"] not in again.encode(LONG)

    def test_translation(self, tokenizer):
        inputs = tokenizer._build_translation_inputs(LONG, return_tensors="np", src_lang="et_EE", tgt_lang="fi_FI")
        assert tokenizer.lang_code_to_id["et_EE"] in inputs.input_ids[0]
        assert inputs["forced_bos_token_id"] == tokenizer.lang_code_to_id["fi_FI"]
        with pytest.raises(ValueError, match="needs a src_lang and a tgt_lang; got None and 'fi_FI'"):
            tokenizer._build_translation_inputs(LONG, return_tensors="np", src_lang=None, tgt_lang="fi_FI")

    def test_prepare_seq2seq_batch(self, tokenizer):
        batch = tokenizer.prepare_seq2seq_batch([LONG], tgt_texts=[OTHER], src_lang="de_DE", max_target_length=4)
        tokenizer.tgt_lang = "ro_RO"
        expected = tokenizer([LONG], text_target=[OTHER])
        assert batch.input_ids == expected.input_ids
        assert [len(row) for row in batch.labels] == [4]
        assert "labels" not in tokenizer.prepare_seq2seq_batch([LONG])

    def test_a_language_of_ones_own(self, tokenizer):
        tokenizer.add_special_tokens({"additional_special_tokens": ["gsw_CH"]}, replace_additional_special_tokens=False)
        tokenizer.src_lang = "gsw_CH"
        assert tokenizer.convert_tokens_to_ids("gsw_CH") in tokenizer.encode(LONG)

    def test_the_mask_takes_the_blank_before_it(self, tokenizer):
        encoded = tokenizer("the <mask> fox", add_special_tokens=False, return_offsets_mapping=True)
        assert tokenizer.convert_ids_to_tokens(encoded.input_ids) == ["▁the", "<mask>", "▁fox"]
        assert encoded.offset_mapping == [(0, 3), (3, 10), (10, 14)]

    def test_wrong_languages(self, tokenizer):
        with pytest.raises(ValueError, match="src_lang is 'english', for which MBart.*language codes.*ar_AR"):
            tokenizer.src_lang = "english"
        assert tokenizer.src_lang == "en_XX"
        with pytest.raises(ValueError, match="src_lang is 'deu_Latn'"):
            self.build(src_lang="deu_Latn")
        with pytest.raises(ValueError, match="tgt_lang is not set"):
            tokenizer(LONG, text_target=OTHER)
        tokenizer.tgt_lang = "rumanian"
        with pytest.raises(ValueError, match="tgt_lang is 'rumanian'"):
            tokenizer(LONG, text_target=OTHER)

    def test_another_classes_model(self, tmp_path):
        pieces = [Piece("<pad>", 0.0, "control"), *unigram_model().pieces]
        path = write(unigram_model().with_pieces(pieces), tmp_path / "spiece.model")
        with pytest.raises(ValueError, match="spiece.model begins with the pieces '<pad>', '<unk>', '<s>'; expected"):
            self.tokenizer_class(path)

    def test_blanks_that_the_map_makes(self, tmp_path):
        """The model's map of replacements comes first: of the blanks that it makes, one is left."""
        model = replace(unigram_model(), normalizer=NormalizerSettings(precompiled_charsmap=MAP))
        tokenizer = self.tokenizer_class(write(model, tmp_path / "x.model"))
        assert tokenizer.tokenize("the\u3000\u3000fox") == ["▁the", "▁fox"]
        assert self.build().tokenize("the\u3000\u3000fox") != ["▁the", "▁fox"]

    def test_the_file_is_kept(self, tokenizer, tmp_path):
        tokenizer.save_pretrained(tmp_path)
        assert (tmp_path / "sentencepiece.bpe.model").read_bytes() == self.path.read_bytes()

    def test_a_vocabulary_as_a_list(self, tokenizer, tmp_path):
        """transformers 5's argument. The `.model` that is written has the same pieces."""
        model = tokenizer._engine.model
        vocab = [(token, model.scores[i]) for token, i in model.vocab.items()]
        other = self.tokenizer_class(vocab=vocab)
        assert other(LONG) == tokenizer(LONG)
        assert other.get_vocab() == tokenizer.get_vocab()
        other.save_vocabulary(tmp_path)
        assert self.tokenizer_class(tmp_path / "sentencepiece.bpe.model")(LONG) == tokenizer(LONG)
        with pytest.raises(ValueError, match="no '<unk>'"):
            self.tokenizer_class(vocab=[("a", 0.0)])

    def test_without_a_vocabulary(self):
        empty = self.tokenizer_class()
        assert empty.vocab_size == 4 + 1 + self.languages + 1
        assert empty.tokenize("ab") == ["▁", "ab"]
        assert empty.encode("ab", add_special_tokens=False) == [4, empty.unk_token_id]

    def test_a_new_vocabulary_has_no_model_file(self, tokenizer):
        """Special tokens come first in it, where no `.model` can put them."""
        new = tokenizer.train_new_from_iterator([LONG] * 9, vocab_size=200, show_progress=False)
        assert new.vocabulary_files() == {}
        assert new.lang_code_to_id["en_XX"] in new.encode(LONG)


class TestMBart50Tokenizer(TestMBartTokenizer):
    tokenizer_class = MBart50Tokenizer
    languages, last = 52, "sl_SI"

    def layout(self, code, ids):
        return [code, *ids, 2]

    def test_it_has_no_bos_token(self):
        assert self.build().bos_token is None
        assert MBart50TokenizerFast(self.path).encode(LONG) == self.build().encode(LONG)

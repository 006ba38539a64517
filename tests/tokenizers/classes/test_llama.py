"""Llama's tokenizer."""

import pytest

from edutransformers import LlamaTokenizer, LlamaTokenizerFast
from edutransformers.tokenizers.sentencepiece_model import Piece, SentencePieceModel

from ..texts import ADVERSARIAL, LONG, OTHER
from .sentencepiece_models import bpe_model, unigram_model, write
from .suite import TokenizerSuite


class TestLlamaTokenizer(TokenizerSuite):
    tokenizer_class = LlamaTokenizer
    decoded = {
        "Hello, the World!": "Hello, the World!",
        "Café  naïve .": "Café  naïve .",
        " the 我 👍🏽": " the 我 👍🏽",
    }

    @pytest.fixture(autouse=True)
    def a_model(self, tmp_path_factory):
        self.path = write(bpe_model(with_bytes=True), tmp_path_factory.mktemp("model") / "tokenizer.model")

    def build(self, **options):
        return self.tokenizer_class(self.path, **options)

    def test_it_pads_on_the_left(self, tokenizer):
        assert tokenizer([LONG, "fox"], padding=True).attention_mask[1][0] == 0
        assert self.build().pad_token is None

    def test_every_text_comes_back(self, tokenizer):
        for text in ADVERSARIAL:
            assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) == text.replace("▁", " ")

    def test_unknown_characters_are_bytes(self, tokenizer):
        encoded = tokenizer("我", add_special_tokens=False, return_offsets_mapping=True)
        assert encoded.tokens() == ["▁", "<0xE6>", "<0x88>", "<0x91>"]
        assert encoded.offset_mapping[1:] == [(0, 1)] * 3

    def test_begin_and_end(self, tmp_path):
        tokenizer = self.build()
        ids, others = (tokenizer.encode(text, add_special_tokens=False) for text in (LONG, OTHER))
        assert tokenizer.encode(LONG, OTHER) == [1, *ids, 1, *others]
        assert tokenizer(LONG, OTHER, return_token_type_ids=True).token_type_ids == (
            [0] * (len(ids) + 1) + [1] * (len(others) + 1)
        )
        tokenizer.add_eos_token = True
        assert tokenizer.encode(LONG, OTHER) == [1, *ids, 2, 1, *others, 2]
        tokenizer.add_bos_token = False
        assert tokenizer.encode(LONG) == [*ids, 2]
        tokenizer.save_pretrained(tmp_path)
        (tmp_path / "tokenizer.json").unlink()
        assert self.tokenizer_class.from_pretrained(tmp_path).encode(LONG) == [*ids, 2]
        assert self.build(add_bos_token=False).encode(LONG) == ids
        assert self.build(add_eos_token=True).encode(LONG) == [1, *ids, 2]

    def test_settings_outrank_the_file_and_silence_follows_it(self, tmp_path):
        """Whether a text begins with <s> stands in tokenizer.json and in tokenizer_config.json."""
        self.build(add_bos_token=False, add_eos_token=True).save_pretrained(tmp_path)
        config = tmp_path / "tokenizer_config.json"
        config.write_text(config.read_text().replace('"add_bos_token": false', '"a": 0').replace('"add_eos', '"b'))
        ids = self.build().encode(LONG, add_special_tokens=False)
        loaded = self.tokenizer_class.from_pretrained(tmp_path)
        assert (loaded.add_bos_token, loaded.add_eos_token) == (False, True)
        assert loaded.encode(LONG) == [*ids, 2]
        assert self.tokenizer_class.from_pretrained(tmp_path, add_bos_token=True).encode(LONG) == [1, *ids]

    def test_other_begin(self, tokenizer):
        tokenizer.bos_token = "</s>"
        assert tokenizer.encode("fox")[0] == 1
        tokenizer.update_post_processor()
        assert tokenizer.encode("fox")[0] == 2
        tokenizer.bos_token = None
        tokenizer.update_post_processor()
        assert tokenizer.encode("fox") == tokenizer.encode("fox", add_special_tokens=False)

    def test_a_vocabulary_and_merges(self, tmp_path):
        tokenizer = self.build()
        model = tokenizer._engine.model
        other = self.tokenizer_class(vocab=model.vocab, merges=model.merge_list())
        assert other(ADVERSARIAL) == tokenizer(ADVERSARIAL)
        other.save_vocabulary(tmp_path)
        assert self.tokenizer_class(tmp_path / "tokenizer.model")(ADVERSARIAL) == tokenizer(ADVERSARIAL)

    def test_a_model_that_is_none(self, tmp_path):
        pieces = (Piece("aa", 0.0), *bpe_model(with_bytes=True).pieces)
        with pytest.raises(ValueError, match="x.model begins with the pieces 'aa', '<unk>', '<s>'; expected"):
            self.tokenizer_class(write(SentencePieceModel(pieces), tmp_path / "x.model"))
        with pytest.raises(OSError, match="no SentencePiece model"):
            self.tokenizer_class(tmp_path / "y.model")


class TestOfLlamaAlone:
    @pytest.fixture
    def path(self, tmp_path):
        return write(bpe_model(with_bytes=True), tmp_path / "tokenizer.model")

    def test_legacy(self, path):
        """With legacy=False no blank is put behind a special token."""
        old, new = LlamaTokenizer(path), LlamaTokenizer(path, legacy=False)
        assert old.tokenize("the</s>fox") == ["▁the", "</s>", "▁fox"]
        assert new.tokenize("the</s>fox")[:2] == ["▁the", "</s>"]
        assert new.tokenize("the</s>fox")[2] != "▁fox"
        assert new.tokenize(LONG) == old.tokenize(LONG)

    def test_the_stages_say_whether_they_are_legacy(self, path, tmp_path):
        LlamaTokenizer(path, legacy=False).save_pretrained(tmp_path / "new")
        config = tmp_path / "new" / "tokenizer_config.json"
        config.write_text(config.read_text().replace('"legacy"', '"x"'))
        loaded = LlamaTokenizer.from_pretrained(tmp_path / "new")
        assert loaded.legacy is False
        loaded.save_pretrained(tmp_path / "again")
        (tmp_path / "again" / "tokenizer.json").unlink()
        assert LlamaTokenizer.from_pretrained(tmp_path / "again").tokenize("a</s>fox") == loaded.tokenize("a</s>fox")
        assert LlamaTokenizer(path).legacy is True

    def test_no_blank_in_front(self, path):
        for legacy in (True, False):
            tokenizer = LlamaTokenizer(path, add_prefix_space=False, legacy=legacy)
            assert not tokenizer.tokenize("the fox")[0].startswith("▁")
            assert tokenizer.decode(tokenizer.encode(" the fox"), skip_special_tokens=True) == " the fox"

    def test_fast_name(self, path):
        assert LlamaTokenizerFast(path).encode(LONG) == LlamaTokenizer(path).encode(LONG)

    def test_a_unigram_model(self, tmp_path):
        tokenizer = LlamaTokenizer(write(unigram_model(), tmp_path / "x.model"))
        assert tokenizer.decode(tokenizer.encode(LONG), skip_special_tokens=True) == LONG

    def test_pieces_that_are_found_as_a_whole(self, tmp_path):
        model = bpe_model(with_bytes=True)
        more = [Piece("[INST]", 0.0, "control"), Piece("<|x|>", 0.0, "user_defined")]
        tokenizer = LlamaTokenizer(write(model.with_pieces([*model.pieces, *more]), tmp_path / "x.model"))
        assert tokenizer.tokenize("[INST]the<|x|>") == ["[INST]", "▁the", "<|x|>"]
        assert tokenizer.decode(tokenizer.encode("[INST]the<|x|>"), skip_special_tokens=True) == "the<|x|>"

    def test_no_vocabulary(self):
        assert LlamaTokenizer().get_vocab() == {"<unk>": 0, "<s>": 1, "</s>": 2}

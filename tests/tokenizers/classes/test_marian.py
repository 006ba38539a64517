"""Marian's tokenizer: two SentencePiece models, one vocabulary or two."""

import json
import sys
import types
from dataclasses import replace

import pytest

from edutransformers import MarianTokenizer
from edutransformers.tokenizers.sentencepiece_encoder import SentencePieceEncoder
from edutransformers.tokenizers.sentencepiece_model import NormalizerSettings

from ..sentencepiece_models import MAP
from ..texts import ADVERSARIAL, LONG, OTHER
from .sentencepiece_models import bpe_model, unigram_model, write
from .suite import TokenizerSuite


def vocabulary(*models):
    pieces = [piece.piece for model in models for piece in model.pieces[3:]]
    tokens = dict.fromkeys(["</s>", "<unk>", *pieces, ">>fr<<", ">>ger<<", "<pad>"])
    return {token: i for i, token in enumerate(tokens)}


class TestMarianTokenizer(TokenizerSuite):
    decoded = {
        "Hello, the World!": "Hello, the World!",
        "Café  naïve .": "Café naïve.",
        "the fox": "the fox",
    }

    @pytest.fixture(autouse=True)
    def models(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("models")
        self.source = write(unigram_model(), folder / "source.spm")
        self.target = write(bpe_model(with_bytes=True), folder / "target.spm")
        self.vocab = vocabulary(unigram_model(), bpe_model(with_bytes=True))

    def build(self, **options):
        return MarianTokenizer(self.source, self.target, self.vocab, **options)

    def ids(self, model, text):
        return [self.vocab[piece] for piece, _ in SentencePieceEncoder(model).pieces(text)]

    def test_texts_and_labels(self, tokenizer):
        text = "don't 我 stop"
        both = tokenizer(LONG, text_target=text)
        assert both.input_ids == [*self.ids(unigram_model(), LONG), tokenizer.eos_token_id]
        assert both.labels == [*self.ids(bpe_model(with_bytes=True), text), tokenizer.eos_token_id]
        assert self.vocab["<0xE6>"] in both.labels
        assert tokenizer.encode(LONG) == both.input_ids
        with tokenizer.as_target_tokenizer():
            assert tokenizer.encode(text) == both.labels
        assert tokenizer.decode(both.labels, skip_special_tokens=True) == text
        assert tokenizer.encode(LONG, OTHER) == [
            *self.ids(unigram_model(), LONG),
            *self.ids(unigram_model(), OTHER),
            tokenizer.eos_token_id,
        ]

    def test_places_of_what_is_rewritten(self, tokenizer):
        """Blanks at the ends and double ones are no part of a token; bytes have the place of their character."""
        encoded = tokenizer("  the   fox ", add_special_tokens=False, return_offsets_mapping=True)
        assert encoded.tokens() == ["▁the", "▁fox"]
        assert [(start, stop) for start, stop in encoded.offset_mapping] == [(2, 5), (5, 11)]
        labels = tokenizer(text_target="a我", add_special_tokens=False, return_offsets_mapping=True)
        assert labels.offset_mapping[-3:] == [(1, 2)] * 3
        assert tokenizer("", return_offsets_mapping=True).offset_mapping == [(0, 0)]
        model = replace(unigram_model(), normalizer=NormalizerSettings(precompiled_charsmap=MAP))
        other = MarianTokenizer(model, model, self.vocab)
        encoded = other("ne\u0301e\u0301\u3000o", add_special_tokens=False, return_offsets_mapping=True)
        assert encoded.tokens() == ["▁", "n", "é", "é", "▁", "o"]
        assert encoded.offset_mapping == [(0, 0), (0, 1), (1, 3), (3, 5), (5, 6), (6, 7)]

    def test_a_model_that_marks_where_words_end(self):
        pieces = [*unigram_model().pieces, ("fox▁", -0.1)]
        trainer = replace(unigram_model().trainer, treat_whitespace_as_suffix=True)
        model = replace(unigram_model().with_pieces(pieces), trainer=trainer)
        tokenizer = MarianTokenizer(model, model, {**self.vocab, "fox▁": len(self.vocab)})
        encoded = tokenizer("o fox", add_special_tokens=False, return_offsets_mapping=True)
        assert encoded.tokens() == ["o", "▁", "fox▁"]
        assert encoded.offset_mapping == [(0, 1), (1, 2), (2, 5)]

    def test_words(self, tokenizer):
        super().test_words(tokenizer)
        assert tokenizer("unaffable fox", add_special_tokens=False).word_ids()[-1] == 1
        assert tokenizer(">>fr<<the fox").word_ids() == [0, 1, 2, None]

    def test_added_tokens_in_labels(self, tokenizer):
        tokenizer.add_tokens(["newword"])
        ids = tokenizer(text_target="the newword</s>").input_ids
        assert ids[-3:] == [tokenizer.convert_tokens_to_ids("newword"), 0, 0]

    def test_language_codes(self, tokenizer):
        assert tokenizer.supported_language_codes == [">>fr<<", ">>ger<<"]
        encoded = tokenizer(">>fr<< the fox", return_offsets_mapping=True, add_special_tokens=False)
        assert encoded.tokens() == [">>fr<<", "▁the", "▁fox"]
        assert encoded.offset_mapping[0] == (0, 6)
        assert encoded.offset_mapping[-1] == (10, 14)
        assert tokenizer.encode(">>fr<<the")[1:] == tokenizer.encode("the")
        assert tokenizer.encode(">>xx<< the")[:1] == [tokenizer.unk_token_id]
        assert tokenizer.tokenize("the >>fr<<")[:2] == ["▁the", "▁"]
        assert tokenizer.remove_language_code(">>fr<< the") == ([">>fr<<"], " the")
        assert tokenizer.remove_language_code("the") == ([], "the")

    def test_special_tokens_in_a_text(self, tokenizer):
        ids = tokenizer.encode("the</s>>>fr<<fox<unk>the", add_special_tokens=False)
        tokens = ["▁the", "</s>", ">>fr<<", "▁fox", "<unk>", "▁the"]
        assert tokenizer.convert_ids_to_tokens(ids) == tokens
        assert tokenizer.convert_tokens_to_string(tokens[:2] + tokens[3:]) == "the</s> fox<unk> the"

    def test_an_unknown_piece_is_shown_as_it_is(self, tokenizer):
        assert tokenizer.tokenize("the 我") == ["▁the", "▁", "我"]
        assert tokenizer.encode("我")[1] == tokenizer.unk_token_id

    def test_vocabularies_of_their_own(self, tmp_path):
        source = vocabulary(unigram_model())
        pieces = [piece.piece for piece in bpe_model(with_bytes=True).pieces[3:]]
        target = {token: i for i, token in enumerate(["</s>", "<unk>", *reversed(pieces)])}
        tokenizer = MarianTokenizer(self.source, self.target, source, target, separate_vocabs=True)
        assert tokenizer.supported_language_codes == []
        both = tokenizer("the fox", text_target="the fox")
        assert both.input_ids == [source["▁the"], source["▁fox"], 0]
        assert both.labels == [target["▁the"], target["▁fox"], 0]
        assert tokenizer.decode(both.labels, skip_special_tokens=True) == "the fox"
        assert tokenizer.decode(both.input_ids, skip_special_tokens=True, use_source_tokenizer=True) == "the fox"
        assert tokenizer.batch_decode([both.labels], skip_special_tokens=True) == ["the fox"]
        assert tokenizer.get_src_vocab()["▁the"] != tokenizer.get_tgt_vocab()["▁the"]
        tokenizer.save_pretrained(tmp_path)
        assert json.loads((tmp_path / "target_vocab.json").read_text()) == target
        assert MarianTokenizer.from_pretrained(tmp_path)("the fox", text_target="the fox") == both
        with pytest.raises(ValueError, match="train a tokenizer for each"):
            tokenizer.train_new_from_iterator([LONG], 100)

    def test_files(self, tokenizer, tmp_path):
        tokenizer.save_pretrained(tmp_path)
        assert not (tmp_path / "tokenizer.json").exists()
        assert (tmp_path / "source.spm").read_bytes() == self.source.read_bytes()
        assert (tmp_path / "target.spm").read_bytes() == self.target.read_bytes()
        assert (tmp_path / "vocab.json").read_text() == json.dumps(self.vocab, indent=2)

    def test_what_is_missing(self, tmp_path):
        with pytest.raises(ValueError, match="has no target.spm: pass target_spm"):
            MarianTokenizer(self.source, None, self.vocab)
        with pytest.raises(ValueError, match="has no target_vocab.json: pass target_vocab_file"):
            self.build(separate_vocabs=True)
        with pytest.raises(ValueError, match="vocab.json has no '<pad>'"):
            MarianTokenizer(self.source, self.target, {"</s>": 0, "<unk>": 1})
        with pytest.raises(OSError, match="There is no SentencePiece model"):
            MarianTokenizer(tmp_path / "source.spm", self.target, self.vocab)

    def test_normalize(self, tokenizer, monkeypatch):
        class MosesPunctNormalizer:
            def __init__(self, language):
                self.language = language

            def normalize(self, text):
                return f"{self.language}: {text}"

        tokenizer.source_lang = "de"
        monkeypatch.setitem(sys.modules, "sacremoses", None)  # not installed
        assert tokenizer.normalize("„the“") == "„the“"
        monkeypatch.setitem(sys.modules, "sacremoses", types.SimpleNamespace(MosesPunctNormalizer=MosesPunctNormalizer))
        assert tokenizer.normalize("„the“") == "de: „the“"
        assert tokenizer.normalize("") == ""

    def test_every_text(self, tokenizer):
        """Words from the cache are what the model says of the whole text."""
        encoder = SentencePieceEncoder(unigram_model())
        for text in ADVERSARIAL:
            pieces = [piece for piece, _ in encoder.pieces(text)]
            if "</s>" not in text and not text.startswith(">>"):
                assert tokenizer.tokenize(text) == pieces, ascii(text)

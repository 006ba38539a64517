"""Wav2Vec2's tokenizer: characters, CTC decoding, offsets of characters and words, several languages."""

import json

import pytest

from edutransformers import Wav2Vec2CTCTokenizer

from .suite import TokenizerSuite

TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyzHWé,!", "ch"]
VOCAB = {token: i for i, token in enumerate(TOKENS)}
LANGUAGES = {
    "eng": {token: i for i, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *"HELO", "TH"])},
    "fra": {token: i for i, token in enumerate(["<unk>", "<pad>", "|", *"ÉTOUVI", "CH", "<s>", "</s>", "EAU"])},
}


class TestWav2Vec2CTCTokenizer(TokenizerSuite):
    # Equal neighbours are one in what a model hears, so "hello" comes back without its second "l".
    decoded = {"Hello, World!": "Helo, World!", "the café": "the café"}
    decode_options = {"group_tokens": False}

    def build(self, **options):
        return Wav2Vec2CTCTokenizer(**{"vocab": VOCAB, **options})

    def test_characters_and_words(self):
        encoded = self.build()("the  fox", return_offsets_mapping=True)
        assert encoded.tokens() == list("the||fox")
        assert encoded.offset_mapping == [(i, i + 1) for i in range(8)]
        assert encoded.word_ids() == [0, 0, 0, 1, 2, 3, 3, 3]

    def test_an_unknown_character_is_shown(self):
        encoded = self.build()("aЖb")
        assert encoded.tokens() == ["a", "Ж", "b"]
        assert encoded.input_ids[1] == VOCAB["<unk>"]

    def test_entries_of_several_characters_take_the_blanks(self):
        assert self.build().tokenize("much <pad> chat") == ["m", "u", "ch", "<pad>", "ch", "a", "t"]

    def test_upper_case(self):
        tokenizer = self.build(vocab=LANGUAGES["eng"], do_lower_case=True)
        encoded = tokenizer("hello ßh", return_offsets_mapping=True)
        assert encoded.tokens() == [*"HELLO|", "S", "S", "H"]
        assert encoded.offset_mapping[-3:] == [(6, 7), (6, 7), (7, 8)]
        assert tokenizer.decode(encoded.input_ids[:3]) == "hel"

    def test_words_of_a_list(self):
        encoded = self.build()(["the", "fox"], is_split_into_words=True, return_offsets_mapping=True)
        assert encoded.tokens() == list("|the|fox")
        assert encoded.offset_mapping == [(0, 0), (0, 1), (1, 2), (2, 3)] * 2

    def test_the_delimiter(self):
        tokenizer = self.build()
        assert (tokenizer.word_delimiter_token, tokenizer.word_delimiter_token_id) == ("|", 4)
        tokenizer.word_delimiter_token_id = VOCAB["!"]
        assert tokenizer.tokenize("a b") == ["a", "!", "b"]
        assert tokenizer.decode([VOCAB[c] for c in "a!b|"]) == "a b|"
        assert self.build(replace_word_delimiter_char="_").decode([VOCAB[c] for c in "a|b"]) == "a_b"
        tokenizer.word_delimiter_token = None
        assert tokenizer.tokenize("a b") == ["a", " ", "b"]
        assert tokenizer.word_delimiter_token_id is None

    # ----- what was heard --------------------------------------------------------------------------------------------

    HEARD = ["<pad>", "h", "h", "e", "<pad>", "l", "<pad>", "l", "o", "|", "|", "<pad>", "w", "o", "|", "<unk>"]

    def ids(self):
        return [VOCAB[token] for token in self.HEARD]

    def test_decoding(self):
        tokenizer = self.build()
        assert tokenizer.decode(self.ids()) == "hello wo <unk>"
        assert tokenizer.decode(self.ids(), skip_special_tokens=True) == "helo wo"  # without the padding, one "l"
        assert tokenizer.decode(self.ids(), group_tokens=False) == "hhello  wo <unk>"
        assert tokenizer.decode(self.ids(), spaces_between_special_tokens=True) == "h e l l o   w o   <unk>"
        assert tokenizer.decode([VOCAB[c] for c in "a|,"]) == "a,"
        assert tokenizer.decode([VOCAB[c] for c in "a|,"], clean_up_tokenization_spaces=False) == "a ,"

    def test_offsets_of_what_was_heard(self):
        found = self.build().decode(self.ids(), output_char_offsets=True, output_word_offsets=True)
        assert found.text == "hello wo <unk>"
        assert found.word_offsets == [
            {"word": "hello", "start_offset": 1, "end_offset": 9},
            {"word": "wo", "start_offset": 12, "end_offset": 14},
            {"word": "<unk>", "start_offset": 15, "end_offset": 16},
        ]
        assert found.char_offsets[:3] == [
            {"char": "h", "start_offset": 1, "end_offset": 3},
            {"char": "e", "start_offset": 3, "end_offset": 4},
            {"char": "l", "start_offset": 5, "end_offset": 6},
        ]
        assert found.char_offsets[5] == {"char": " ", "start_offset": 9, "end_offset": 11}
        assert list(self.build().decode(self.ids(), output_word_offsets=True)) == ["text", "word_offsets"]

    def test_a_batch_of_what_was_heard(self):
        tokenizer = self.build()
        found = tokenizer.batch_decode([self.ids(), [], self.ids()[:3]], output_char_offsets=True)
        assert found["text"] == ["hello wo <unk>", "", "h"]
        assert found.char_offsets[1:] == [[], [{"char": "h", "start_offset": 1, "end_offset": 3}]]
        assert found.word_offsets is None
        assert tokenizer.batch_decode([self.ids()[:3]]) == ["h"]

    # ----- languages -------------------------------------------------------------------------------------------------

    def test_languages(self, tmp_path):
        tokenizer = self.build(vocab=LANGUAGES, target_lang="eng")
        assert tokenizer.tokenize("THE") == ["TH", "E"]
        assert sorted(tokenizer.vocab) == ["eng", "fra"]
        tokenizer.add_tokens(["<x>", "new"])
        tokenizer.set_target_lang("fra")
        assert tokenizer.tokenize("CHÉTEAU THnew") == ["CH", "É", "T", "EAU", "T", "H", "new"]
        assert tokenizer.unk_token_id == tokenizer("H").input_ids[0] == 0
        assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (1, 11)
        assert tokenizer.convert_ids_to_tokens([13, 14]) == ["<x>", "new"]  # behind the larger vocabulary
        assert tokenizer.decode([1, 3, 3], skip_special_tokens=True) == "É"
        tokenizer.save_pretrained(tmp_path)
        assert json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8")) == LANGUAGES
        loaded = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path)
        assert loaded.target_lang == "fra"
        assert loaded.get_vocab() == tokenizer.get_vocab()
        assert loaded.tokenize("CHÉTEAU<x>") == ["CH", "É", "T", "EAU", "<x>"]
        assert Wav2Vec2CTCTokenizer.from_pretrained(tmp_path, target_lang="eng").tokenize("THE") == ["TH", "E"]

    def test_back_to_the_first_language(self):
        tokenizer = self.build(vocab=LANGUAGES, target_lang="eng")
        vocab, added = tokenizer.get_vocab(), tokenizer.added_tokens_decoder
        tokenizer.set_target_lang("fra")
        tokenizer.set_target_lang("eng")
        assert tokenizer.get_vocab() == vocab
        assert tokenizer.added_tokens_decoder == added

    def test_a_vocabulary_of_one_language_from_several(self):
        tokenizer = self.build(vocab=LANGUAGES, target_lang="fra")
        new = tokenizer.train_new_from_iterator(["a b c"], 20, show_progress=False)
        assert new.target_lang is None
        assert set(new.vocab) == {"<s>", "</s>", "<unk>", "<pad>", "|", "a", "b", "c"}

    def test_wrong_languages(self, tmp_path):
        with pytest.raises(ValueError, match="target_lang is 'deu'; expected one of eng, fra"):
            self.build(vocab=LANGUAGES, target_lang="deu")
        with pytest.raises(ValueError, match="of several languages, and target_lang is None"):
            self.build(vocab=LANGUAGES)
        with pytest.raises(ValueError, match="'eng', but the vocabulary is of one language"):
            self.build(target_lang="eng")
        with pytest.raises(ValueError, match="expected one of eng, fra"):
            self.build(vocab=LANGUAGES, target_lang="eng").set_target_lang("deu")
        with pytest.raises(ValueError, match="can't be set"):
            self.build().set_target_lang("eng")

    def test_wrong_vocabularies(self, tmp_path):
        with pytest.raises(ValueError, match="has no vocabulary: pass vocab_file"):
            Wav2Vec2CTCTokenizer()
        path = tmp_path / "vocab.json"
        path.write_text(json.dumps({"eng": {"a": 0, "b": 0}}), encoding="utf-8")
        with pytest.raises(ValueError, match=r"vocab\.json: The vocabulary gives the id 0 to both 'a' and 'b'"):
            Wav2Vec2CTCTokenizer(path, target_lang="eng")
        with pytest.raises(ValueError, match="neither is the unknown token"):
            self.build(vocab={"a": 0}).tokenize("b")

"""GPT-2's tokenizer, and what all with its byte-level BPE do."""

import json

import pytest

from edutransformers import AddedToken, AutoTokenizer, GPT2Tokenizer, GPT2TokenizerFast
from edutransformers.tokenizers import BPE, ByteLevel, Engine

from .byte_level import DECODED, MERGES, VOCAB
from .suite import TokenizerSuite


class TestGPT2Tokenizer(TokenizerSuite):
    decoded = DECODED
    options_for_words = {"add_prefix_space": True}

    def build(self, **options):
        return GPT2Tokenizer(**{"vocab": VOCAB, "merges": MERGES, **options})

    def test_no_special_tokens_around_a_text(self):
        tokenizer = self.build()
        assert tokenizer.num_special_tokens_to_add(pair=True) == 0
        encoded = tokenizer("the", "fox", return_token_type_ids=True)
        assert encoded.tokens() == ["the", *tokenizer.tokenize("fox")]
        assert encoded.token_type_ids == [0] + [1] * (len(encoded.input_ids) - 1)

    def test_the_token_that_begins_a_text(self):
        tokenizer = self.build(add_bos_token=True)
        bos = tokenizer.bos_token
        assert tokenizer("the").tokens() == [bos, "the"]
        assert tokenizer("the", "the").tokens() == [bos, "the", "the"]
        assert tokenizer("the", "the", return_token_type_ids=True).token_type_ids == [0, 0, 1]
        with pytest.raises(ValueError, match="add_bos_token=True needs a bos_token"):
            self.build(add_bos_token=True, bos_token=None)

    def test_a_token_of_the_vocabulary_keeps_its_id(self):
        tokenizer = self.build(vocab={**VOCAB, "<|endoftext|>": 500})
        assert tokenizer.eos_token_id == tokenizer.bos_token_id == tokenizer.unk_token_id == 500
        assert len(tokenizer) == len(VOCAB) + 1
        assert self.build().eos_token_id == len(VOCAB)  # it is added where the vocabulary lacks it

    def test_offsets_hold_the_blank(self):
        assert self.build()("the fox", return_offsets_mapping=True).offset_mapping[1] == (3, 7)

    def test_conversations_without_a_template(self):
        tokenizer = self.build()
        talk = [{"role": "user", "content": "the fox"}, {"role": "assistant", "content": "hello"}]
        text = tokenizer.apply_chat_template(talk, tokenize=False)
        assert text == "the fox<|endoftext|>hello<|endoftext|>"
        tokenizer.chat_template = "{{ messages[0].content }}"
        assert tokenizer.apply_chat_template(talk, tokenize=False) == "the fox"

    def test_the_same_under_the_other_name(self):
        assert GPT2TokenizerFast(vocab=VOCAB, merges=MERGES)("the fox") == self.build()("the fox")


# ----- what RoBERTa's, BART's, DeBERTa's and Whisper's do too --------------------------------------------------------


def test_a_blank_before_the_text():
    plain, prefixed = (GPT2Tokenizer(vocab=VOCAB, merges=MERGES, add_prefix_space=add) for add in (False, True))
    assert plain.tokenize("the the") == ["the", "Ġthe"]
    assert prefixed.tokenize("the the") == prefixed.tokenize(" the the") == ["Ġthe", "Ġthe"]


def test_a_list_of_words_needs_it():
    for text in (["the", "fox"], [["the"], ["fox"]]):
        with pytest.raises(ValueError, match="needs a GPT2Tokenizer with add_prefix_space=True"):
            GPT2Tokenizer(vocab=VOCAB, merges=MERGES)(text, is_split_into_words=True)


def test_it_outranks_the_file(tmp_path):
    GPT2Tokenizer(vocab=VOCAB, merges=MERGES, add_prefix_space=True).save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).tokenize("the") == ["Ġthe"]
    assert AutoTokenizer.from_pretrained(tmp_path, add_prefix_space=False).tokenize("the") == ["the"]
    file = tmp_path / "tokenizer.json"
    assert GPT2Tokenizer(tokenizer_file=file).tokenize("the") == ["the"]
    assert GPT2Tokenizer(tokenizer_file=file, add_prefix_space=True).tokenize("the") == ["Ġthe"]
    file.unlink()
    assert AutoTokenizer.from_pretrained(tmp_path).tokenize("the") == ["Ġthe"]


def test_bytes_that_are_no_text():
    ids = [VOCAB["Ã"], VOCAB["A"]]  # the first byte of two
    text = {errors: GPT2Tokenizer(vocab=VOCAB, merges=MERGES, errors=errors) for errors in ("replace", "ignore")}
    assert text["replace"].decode(ids) == "\ufffdA"
    assert text["ignore"].decode(ids) == "A"
    with pytest.raises(UnicodeDecodeError):
        GPT2Tokenizer(vocab=VOCAB, merges=MERGES, errors="strict").decode(ids)


def test_a_setting_is_saved(tmp_path):
    GPT2Tokenizer(vocab=VOCAB, merges=MERGES, errors="ignore", add_bos_token=True).save_pretrained(tmp_path)
    loaded = GPT2Tokenizer.from_pretrained(tmp_path)
    assert (loaded.errors, loaded.add_bos_token) == ("ignore", True)
    assert loaded.decode([VOCAB["Ã"]]) == ""


def test_the_files(tmp_path):
    """vocab.json by token, one a line, and merges.txt, as the original's Python class writes them."""
    tokenizer = GPT2Tokenizer(vocab={"b": 1, "a": 0, "é": 2, "ab": 3}, merges=["a b"])
    files = tokenizer.vocabulary_files()
    assert files == {
        "vocab.json": '{\n  "a": 0,\n  "ab": 3,\n  "b": 1,\n  "é": 2\n}\n',
        "merges.txt": "#version: 0.2\na b\n",
    }
    tokenizer.save_vocabulary(tmp_path)
    again = GPT2Tokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert again.tokenize("abb") == ["ab", "b"]
    assert GPT2Tokenizer(
        vocab=str(tmp_path / "vocab.json"), merges=str(tmp_path / "merges.txt")
    ).vocabulary_files() == (files)
    assert GPT2Tokenizer(vocab=["a", "b", "é", "ab"], merges=[("a", "b")]).vocabulary_files() == files


def test_flags_of_special_tokens():
    tokenizer = GPT2Tokenizer(vocab=VOCAB, merges=MERGES, pad_token=AddedToken("<pad>", rstrip=True))
    flags = {token.content: token for token in tokenizer.added_tokens_decoder.values()}
    assert flags["<|endoftext|>"] == AddedToken("<|endoftext|>", normalized=True, special=True)
    assert flags["<pad>"].rstrip


def test_ready_made_stages():
    engine = Engine(BPE(VOCAB, MERGES), pre_tokenizer=ByteLevel())
    assert GPT2Tokenizer(engine=engine).tokenize("the fox") == ["the", *GPT2Tokenizer(engine=engine).tokenize(" fox")]


def test_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match=r"GPT2Tokenizer has no vocabulary: pass vocab_file \(vocab.json\)"):
        GPT2Tokenizer()
    with pytest.raises(ValueError, match=r"GPT2Tokenizer has no merges: pass merges_file \(merges.txt\)"):
        GPT2Tokenizer(vocab=VOCAB)
    (tmp_path / "vocab.json").write_text(json.dumps(VOCAB), encoding="utf-8")
    with pytest.raises(ValueError, match="has no merges"):
        GPT2Tokenizer.from_pretrained(tmp_path)
    with pytest.raises(OSError, match="no vocabulary file"):
        GPT2Tokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt")
    with pytest.raises(ValueError, match="is no merge"):
        GPT2Tokenizer(vocab=VOCAB, merges=["abc"])
    with pytest.raises(ValueError, match="do the vocabulary and the merges belong together"):
        GPT2Tokenizer(vocab={"a": 0, "b": 1}, merges=["a b"])

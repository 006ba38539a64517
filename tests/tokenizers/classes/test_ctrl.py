"""CTRL's tokenizer, and BPE whose merges join symbols that are no tokens."""

import json
import random

import pytest

from edutransformers import CTRLTokenizer
from edutransformers.tokenizers import BPE, train_bpe
from edutransformers.tokenizers.symbol_bpe import SymbolBPE

from ..texts import LONG, OTHER
from .suite import PANGRAM, TokenizerSuite

SYMBOLS, MERGES = train_bpe(
    [*LONG.split(), *OTHER.split(), *PANGRAM.split(), "cafÉ", "Hello", *".'sabx1!", "\n"],
    170,
    special_tokens=["<unk>"],
    end_of_word_suffix="</w>",
    show_progress=False,
)
VOCAB = {
    symbol.removesuffix("</w>") if symbol.endswith("</w>") or symbol == "<unk>" else f"{symbol}@@": i
    for symbol, i in SYMBOLS.items()
}


class TestCTRLTokenizer(TokenizerSuite):
    decoded = {"Hello the foxes !": "Hello the foxes!", "cafÉ  b": "cafÉ b", "the\nfox": "the\n fox"}

    def build(self, **options):
        return CTRLTokenizer(**{"vocab": VOCAB, "merges": MERGES, **options})

    def test_pieces_inside_a_word(self):
        assert self.build().tokenize("the brownfox") == ["the", "brow@@", "n@@", "fox"]
        assert self.build().convert_tokens_to_string(["fox@@", "ers", "the"]) == "foxers the"

    def test_a_line_end_belongs_to_the_word_before_it(self):
        tokenizer = self.build()
        tokens = tokenizer.tokenize("fox\n\n fox")
        assert "".join(tokens).replace("@@", "") == "fox\nfox"
        assert tokens[-2:] == ["\n", "fox"]
        encoded = tokenizer("the\nfox", return_offsets_mapping=True)
        assert encoded.offset_mapping[-2:] == [(3, 4), (4, 7)]
        assert encoded.word_ids()[-2:] == [0, 1]

    def test_a_piece_that_is_unknown_is_shown(self):
        tokenizer = self.build()
        encoded = tokenizer("the жж")
        assert encoded.tokens() == ["the", "ж@@", "ж"]
        assert encoded.input_ids[1:] == [tokenizer.unk_token_id] * 2

    def test_token_types_of_a_pair(self):
        assert self.build()("the", "fox").token_type_ids == [0, 1]

    def test_an_odd_token_is_left_to_the_first_text(self):
        tokenizer = self.build()
        assert len(tokenizer.tokenize("the fox the")) == 3
        for second in ("the fox the", "the fox the fox"):
            ids = tokenizer("the fox the", second, truncation=True, max_length=5)
            assert ids.token_type_ids == [0, 0, 0, 1, 1]

    def test_control_codes(self):
        assert len(CTRLTokenizer.control_codes) == 55
        assert CTRLTokenizer.control_codes["Links"] == 63674

    def test_files(self, tmp_path):
        self.build().save_pretrained(tmp_path)
        assert not (tmp_path / "tokenizer.json").exists()
        assert (tmp_path / "merges.txt").read_text(encoding="utf-8").startswith("#version: 0.2\n" + " ".join(MERGES[0]))
        (tmp_path / "merges.txt").unlink()
        with pytest.raises(ValueError, match="no merges: pass merges_file"):
            CTRLTokenizer.from_pretrained(tmp_path)

    def test_a_merge_that_no_line_holds(self, tmp_path):
        tokenizer = self.build(merges=[("a", "\n</w>")])
        with pytest.raises(ValueError, match=r"can't hold the merge \('a', .*white space"):
            tokenizer.save_pretrained(tmp_path)

    def test_line_ends_in_training(self):
        new = self.build().train_new_from_iterator(["the fox\n", "the\n\nfox\n"] * 9, 60, show_progress=False)
        assert new.tokenize("the fox\n") == ["the", "fo@@", "x@@", "\n"]

    def test_no_unknown_token(self):
        tokenizer = self.build(vocab={"a": 0, "b": 1})
        with pytest.raises(ValueError, match="neither is the unknown token '<unk>'"):
            tokenizer("ж")

    def test_special_tokens_between_texts(self):
        tokenizer = self.build()
        tokenizer.add_tokens(["<new>"])
        tokenizer.add_special_tokens({"additional_special_tokens": ["<user>"], "eos_token": "<end>"})
        ids = tokenizer("the<new>fox<user>the<end>fox").input_ids
        assert tokenizer.decode(ids) == "the <new> fox <user> the <end> fox"
        assert tokenizer.decode(ids, spaces_between_special_tokens=False) == "the<new>fox<user>the <end> fox"
        assert tokenizer.decode(ids, skip_special_tokens=True) == "the <new> fox the fox"


def test_symbols_that_are_no_tokens():
    model = SymbolBPE(
        {"low@@": 0, "er": 1, "<unk>": 2}, [("l", "o"), ("lo", "w"), ("e", "r</w>")], inside="@@", last=""
    )
    assert [(token.id, token.start, token.stop) for token in model.tokenize("lower")] == [(0, 0, 3), (1, 3, 5)]
    assert [(token.id, token.text) for token in model.tokenize("lo")] == [(2, "l@@"), (2, "o")]
    assert model.tokenize("") == []


@pytest.mark.parametrize("length", [5, 200])
def test_where_all_symbols_are_tokens_it_is_bpe(length):
    """Short words and long ones take two ways."""
    rng = random.Random(length)
    words = ["".join(rng.choices("abcd", k=length)) for _ in range(40)]
    vocab, merges = train_bpe(words, 60, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False)
    plain, symbols = BPE(vocab, merges, end_of_word_suffix="</w>"), SymbolBPE(vocab, merges)
    assert len(merges) > 20
    for word in words:
        assert symbols.tokenize(word) == plain.tokenize(word)


def test_a_vocabulary_that_is_none(tmp_path):
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0, "b": 0}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"vocab\.json: The vocabulary gives the id 0 to both 'a' and 'b'"):
        CTRLTokenizer(tmp_path / "vocab.json", merges=[])

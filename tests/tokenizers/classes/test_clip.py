"""CLIP's tokenizer."""

import json

import pytest

from edutransformers import AddedToken, CLIPTokenizer
from edutransformers.tokenizers import ByteLevel, train_bpe
from edutransformers.tokenizers.classes.clip import MOST_MERGES

from ..texts import LONG, OTHER
from .suite import PANGRAM, TokenizerSuite

SPECIAL = ["<|startoftext|>", "<|endoftext|>"]
ALPHABET = ByteLevel.alphabet()
BARE = {token: i for i, token in enumerate([*ALPHABET, *(c + "</w>" for c in ALPHABET), *SPECIAL])}
STAGES = CLIPTokenizer(vocab=BARE, merges=[])._engine
TRAINED, MERGES = train_bpe(
    [LONG, OTHER, PANGRAM] * 2,
    620,
    special_tokens=SPECIAL,
    initial_alphabet=ALPHABET,
    end_of_word_suffix="</w>",
    normalizer=STAGES.normalizer,
    pre_tokenizer=STAGES.pre_tokenizer,
    show_progress=False,
)
VOCAB = {token: i for i, token in enumerate(dict.fromkeys([*BARE, *TRAINED]))}


class TestCLIPTokenizer(TokenizerSuite):
    decoded = {
        "Hello, the unaffable World!": "hello, the unaffable world!",
        "Café e\u0301": "café é",
        "  two \n\u3000 blanks\t": "two blanks",
        "don't 123": "don 't 1 2 3",
    }

    def build(self, **options):
        return CLIPTokenizer(**{"vocab": VOCAB, "merges": MERGES, **options})

    def test_layout(self):
        tokenizer = self.build()
        start, end = SPECIAL
        assert tokenizer("the").tokens() == [start, "the</w>", end]
        pair = tokenizer("the", "the", return_token_type_ids=True)
        assert pair.tokens() == [start, "the</w>", end, end, "the</w>", end]
        assert pair.token_type_ids == [0] * 6
        assert tokenizer.pad_token_id == tokenizer.eos_token_id == tokenizer.unk_token_id

    def test_a_token_says_where_a_word_ends(self):
        tokenizer = self.build()
        assert tokenizer.tokenize("THE  the\nthe") == ["the</w>"] * 3
        assert "".join(tokenizer.tokenize("theé 12?!")) == "theÃ©</w>1</w>2</w>?!</w>"
        assert tokenizer.tokenize("e\u0301") == tokenizer.tokenize("é")

    def test_special_tokens_in_upper_case(self):
        assert self.build().tokenize("the <|ENDOFTEXT|> the") == ["the</w>", "<|endoftext|>", "the</w>"]
        strict = AddedToken("<|endoftext|>", normalized=False)
        assert self.build(eos_token=strict, unk_token=strict, pad_token=strict).tokenize("<|ENDOFTEXT|>") != (
            ["<|endoftext|>"]
        )

    def test_blanks_of_a_decoded_text(self):
        tokenizer = self.build()
        ids = tokenizer("the fox , the").input_ids
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == f"{SPECIAL[0]}the fox , the {SPECIAL[1]}"
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=True) == f"{SPECIAL[0]}the fox, the {SPECIAL[1]}"
        assert tokenizer.convert_tokens_to_string(["the</w>", "fo"]) == "the</w>fo"

    def test_merges_of_no_use_are_not_read(self, tmp_path):
        """CLIP's own file has five times as many as its vocabulary has tokens."""
        assert MOST_MERGES == 48_894
        tokenizer = self.build()
        tokenizer.save_vocabulary(tmp_path)
        lines = (tmp_path / "merges.txt").read_text(encoding="utf-8").splitlines()
        lines += [lines[1]] * (MOST_MERGES - len(lines) + 1) + ["not there"]
        (tmp_path / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert CLIPTokenizer.from_pretrained(tmp_path).get_vocab() == tokenizer.get_vocab()
        lines.remove(lines[1])  # now the last one counts
        (tmp_path / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        with pytest.raises(ValueError, match="but the vocabulary has no"):
            CLIPTokenizer.from_pretrained(tmp_path)

    def test_a_file_of_before_417(self, tmp_path):
        self.build().save_pretrained(tmp_path)
        path = tmp_path / "tokenizer.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
        path.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(ValueError, match="must be made anew from vocab.json and merges.txt"):
            CLIPTokenizer.from_pretrained(tmp_path)

    def test_what_is_missing(self):
        with pytest.raises(ValueError, match="CLIPTokenizer has no merges"):
            CLIPTokenizer(vocab=VOCAB)
        with pytest.raises(ValueError, match="CLIPTokenizer has no vocabulary"):
            CLIPTokenizer(merges=MERGES)

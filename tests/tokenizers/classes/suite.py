"""What holds for every tokenizer class.

A class's own test file has `class TestGPT2Tokenizer(TokenizerSuite)`, which says how to build a small one; what the
class alone does (languages, timestamps) it tests beside that. That ids equal the original's is shown elsewhere: in
tests/reference, and from frozen values in test_frozen_classes.py.
"""

import copy
import pickle

import numpy as np
import pytest

import edutransformers
from edutransformers import AddedToken, AutoTokenizer

from ..texts import ADVERSARIAL, LONG, OTHER, SHORT


class TokenizerSuite:
    has_pairs = True  # False: the class has no layout for two texts

    def build(self, **options):
        """A tokenizer of the class, from a small vocabulary that has the words of `texts.LONG` in some pieces."""
        raise NotImplementedError

    # Text -> what decode gives for its ids with skip_special_tokens. At least one with upper case and one with accents.
    decoded: dict[str, str] = {}

    @pytest.fixture
    def tokenizer(self):
        tokenizer = self.build()
        if tokenizer.pad_token is None:
            tokenizer.add_special_tokens({"pad_token": "<the pad>"})
        return tokenizer

    # ----- ids -------------------------------------------------------------------------------------------------------

    def test_names(self, tokenizer):
        name = type(tokenizer).__name__.removesuffix("Fast")
        assert getattr(edutransformers, name) is type(tokenizer)
        if hasattr(edutransformers, f"{name}Fast"):
            assert issubclass(getattr(edutransformers, f"{name}Fast"), type(tokenizer))

    def test_keys(self, tokenizer):
        encoded = tokenizer(LONG)
        assert set(encoded) == set(tokenizer.model_input_names)
        assert encoded.input_ids
        assert {len(value) for value in encoded.values()} == {len(encoded.input_ids)}
        assert set(tokenizer(LONG, return_attention_mask=True).attention_mask) == {1}
        assert tokenizer.convert_tokens_to_ids(encoded.tokens()) == encoded.input_ids
        assert tokenizer.convert_ids_to_tokens(encoded.input_ids) == encoded.tokens()

    def test_special_tokens_around_a_text(self, tokenizer):
        for pair in [None, OTHER] if self.has_pairs else [None]:
            ids = tokenizer.encode(LONG, add_special_tokens=False)
            others = None if pair is None else tokenizer.encode(pair, add_special_tokens=False)
            encoded = tokenizer(LONG, pair, return_special_tokens_mask=True, return_token_type_ids=True)
            assert tokenizer.build_inputs_with_special_tokens(ids, others) == encoded.input_ids
            assert tokenizer.create_token_type_ids_from_sequences(ids, others) == encoded.token_type_ids
            assert tokenizer.get_special_tokens_mask(ids, others) == encoded.special_tokens_mask
            count = tokenizer.num_special_tokens_to_add(pair is not None)
            assert len(encoded.input_ids) == len(ids) + len(others or []) + count
            assert sum(encoded.special_tokens_mask) == count

    def test_a_batch_is_its_texts(self, tokenizer):
        batch = tokenizer(ADVERSARIAL, return_offsets_mapping=True)
        for i, text in enumerate(ADVERSARIAL):
            alone = tokenizer(text, return_offsets_mapping=True)
            assert {key: value[i] for key, value in batch.items()} == dict(alone), ascii(text)

    def test_words(self, tokenizer):
        words = LONG.split()
        encoded = self.build(**self.options_for_words)(words, is_split_into_words=True, return_offsets_mapping=True)
        found = [number for number in encoded.word_ids() if number is not None]
        assert found == sorted(found)
        assert set(found) == set(range(len(words)))
        for number, (start, stop) in zip(encoded.word_ids(), encoded.offset_mapping):
            assert number is None or 0 <= start <= stop <= len(words[number])

    options_for_words: dict = {}  # what the constructor needs so that a list of words is taken

    # ----- places ----------------------------------------------------------------------------------------------------

    def test_offsets(self, tokenizer):
        for text in ADVERSARIAL:
            encoded = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
            spans = [span for span, special in zip(encoded.offset_mapping, encoded.special_tokens_mask) if not special]
            assert all(0 <= start <= stop <= len(text) for start, stop in spans), ascii(text)
            assert [start for start, _ in spans] == sorted(start for start, _ in spans), ascii(text)

    def test_characters_and_tokens(self, tokenizer):
        encoded = tokenizer(LONG)
        assert encoded.sequence_ids() == [None if word is None else 0 for word in encoded.word_ids()]
        covered = 0
        for i, sequence in enumerate(encoded.sequence_ids()):
            span = encoded.token_to_chars(i)
            if sequence is None:
                assert span is None
            elif span.start < span.end:
                covered += span.end - span.start
                assert all(encoded.char_to_token(place) == i for place in range(span.start, span.end))
        assert covered >= len(LONG.replace(" ", ""))

    def test_places_in_a_pair(self, tokenizer):
        if not self.has_pairs:
            return
        encoded = tokenizer(SHORT, OTHER)
        assert {0, 1} <= set(encoded.sequence_ids()) <= {None, 0, 1}
        for number, text in enumerate((SHORT, OTHER)):
            token = encoded.char_to_token(text.index("fox"), sequence_index=number)
            assert encoded.sequence_ids()[token] == number

    # ----- length ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("side", ["right", "left"])
    def test_padding(self, tokenizer, side):
        tokenizer.padding_side = side
        texts = [SHORT, LONG]
        rows = tokenizer(texts).input_ids
        everything = {"return_token_type_ids": True, "return_attention_mask": True}
        padded = tokenizer(texts, padding=True, return_tensors="np", **everything)
        longest = max(map(len, rows))
        for row, ids, mask, types in zip(rows, padded.input_ids, padded.attention_mask, padded.token_type_ids):
            pad = longest - len(row)
            place = slice(0, pad) if side == "left" else slice(len(row), None)
            assert ids[place].tolist() == [tokenizer.pad_token_id] * pad
            assert types[place].tolist() == [tokenizer.pad_token_type_id] * pad
            assert mask[place].tolist() == [0] * pad
            assert ids[mask == 1].tolist() == row
        assert tokenizer(texts, padding=True, pad_to_multiple_of=8, return_tensors="np").input_ids.shape[1] % 8 == 0
        masked = [{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows]
        again = tokenizer.pad(masked, return_tensors="np", return_attention_mask=True)
        np.testing.assert_array_equal(again.input_ids, padded.input_ids)

    @pytest.mark.parametrize("side", ["right", "left"])
    def test_truncation(self, tokenizer, side):
        tokenizer.truncation_side = side
        ids = tokenizer.encode(LONG, add_special_tokens=False)
        room = len(ids) - 3
        size = room + tokenizer.num_special_tokens_to_add()
        kept = ids[:room] if side == "right" else ids[-room:]
        assert tokenizer(LONG, truncation=True, max_length=size).input_ids == (
            tokenizer.build_inputs_with_special_tokens(kept)
        )

    def test_windows(self, tokenizer):
        """Rows that overlap by the stride hold every token of the text."""
        ids = tokenizer.encode(LONG, add_special_tokens=False)
        count = tokenizer.num_special_tokens_to_add()
        encoded = tokenizer(
            [SHORT, LONG],
            truncation=True,
            max_length=4 + count,
            stride=1,
            return_overflowing_tokens=True,
            return_special_tokens_mask=True,
        )
        found = []
        for i, sample in enumerate(encoded.overflow_to_sample_mapping):
            if sample == 1:
                row = [i for i, s in zip(encoded.input_ids[i], encoded.special_tokens_mask[i]) if not s]
                found += row[1:] if found else row
        assert found == ids

    # ----- back to text ----------------------------------------------------------------------------------------------

    def test_decode(self, tokenizer):
        assert len(self.decoded) >= 2, "say what decode gives for some texts"
        for text, expected in self.decoded.items():
            assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == expected
        rows = tokenizer(list(self.decoded)).input_ids
        assert tokenizer.batch_decode(rows, skip_special_tokens=True) == list(self.decoded.values())
        assert tokenizer.batch_decode(rows) == [tokenizer.decode(row) for row in rows]

    def test_an_id_that_is_not_there(self, tokenizer):
        for i in (len(tokenizer) + 1000, -1):
            with pytest.raises(ValueError, match="not in the vocabulary"):
                tokenizer.decode([i])

    # ----- added tokens ----------------------------------------------------------------------------------------------

    def test_added_tokens(self, tokenizer):
        size = len(tokenizer)
        assert tokenizer.add_tokens(["newword", AddedToken("<x>", lstrip=True)]) == 2
        assert tokenizer.add_tokens(["newword"]) == 0
        assert len(tokenizer) == size + 2
        tokens = tokenizer.tokenize("the newword <x> fox")
        assert {"newword", "<x>"} < {token.strip(" ▁") for token in tokens}  # "▁": as Llama's normalizer writes a blank
        assert tokenizer.convert_tokens_to_ids("newword") == size
        assert "newword" in tokenizer.decode(tokenizer.encode("the newword fox"))

    def test_added_special_tokens(self, tokenizer):
        tokenizer.add_special_tokens({"additional_special_tokens": ["<speaker>"]})
        ids = tokenizer.encode("<speaker>hello")
        assert tokenizer.convert_tokens_to_ids("<speaker>") in ids
        assert "<speaker>" in tokenizer.decode(ids)
        assert "<speaker>" not in tokenizer.decode(ids, skip_special_tokens=True)
        assert "<speaker>" in tokenizer.all_special_tokens

    # ----- files -----------------------------------------------------------------------------------------------------

    def test_saved_and_loaded(self, tokenizer, tmp_path):
        tokenizer.add_tokens(["newword"])
        more = {"additional_special_tokens": ["<speaker>", AddedToken("<y>", rstrip=True)]}
        tokenizer.add_special_tokens(more, replace_additional_special_tokens=False)  # some classes have their own
        tokenizer.model_max_length = 77
        tokenizer.save_pretrained(tmp_path)
        self.assert_same(AutoTokenizer.from_pretrained(tmp_path, use_fast=False), tokenizer)
        own = tokenizer.vocabulary_files()
        assert own, "a class has files of its own besides tokenizer.json"
        assert set(own) <= {path.name for path in tmp_path.iterdir()}
        (tmp_path / "tokenizer.json").unlink(missing_ok=True)
        self.assert_same(type(tokenizer).from_pretrained(tmp_path), tokenizer)

    def assert_same(self, loaded, tokenizer):
        assert type(loaded) is type(tokenizer)
        texts = [*ADVERSARIAL, "a newword <speaker> <y> fox"]
        assert loaded(texts, return_offsets_mapping=True) == tokenizer(texts, return_offsets_mapping=True)
        assert loaded.get_vocab() == tokenizer.get_vocab()
        assert loaded.special_tokens_map == tokenizer.special_tokens_map
        assert loaded.added_tokens_decoder == tokenizer.added_tokens_decoder
        for name in ("model_max_length", "padding_side", "truncation_side", "model_input_names"):
            assert getattr(loaded, name) == getattr(tokenizer, name), name

    def test_saved_vocabulary(self, tokenizer, tmp_path):
        paths = tokenizer.save_vocabulary(tmp_path / "folder", filename_prefix="my")
        assert {path.rsplit("/", 1)[-1] for path in paths} == {f"my-{name}" for name in tokenizer.vocabulary_files()}

    def test_copies(self, tokenizer):
        expected = tokenizer(ADVERSARIAL)
        for other in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
            assert other(ADVERSARIAL) == expected
            other.add_tokens(["zebra"])
            assert len(other) == len(tokenizer) + 1

    # ----- training --------------------------------------------------------------------------------------------------

    def test_a_new_vocabulary(self, tokenizer):
        new = tokenizer.train_new_from_iterator([PANGRAM] * 20, vocab_size=self.new_vocab_size, show_progress=False)
        assert type(new) is type(tokenizer)
        assert new.special_tokens_map == tokenizer.special_tokens_map
        assert new.get_vocab() != tokenizer.get_vocab()
        layout = new(PANGRAM, return_special_tokens_mask=True).special_tokens_mask
        assert sum(layout) == tokenizer.num_special_tokens_to_add()
        ids = new.encode(PANGRAM)
        assert new.unk_token_id not in ids or new.unk_token_id in (new.bos_token_id, new.eos_token_id)
        assert max(ids) < len(new)
        decoded = new.decode(ids, skip_special_tokens=True, **self.decode_options)
        assert decoded.lower().replace(" ", "") == PANGRAM.lower().replace(" ", "")

    new_vocab_size = 400
    decode_options: dict = {}  # what decode needs so that nothing of a text is lost


PANGRAM = "the quick brown fox jumps over the lazy dog while a wizard makes toxic brew for the evil queen and jack"

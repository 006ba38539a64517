"""CodeLlama's tokenizer: Llama's, and prompts with a gap."""

import pytest

from edutransformers import CodeLlamaTokenizer

from ..texts import LONG, OTHER, SHORT
from .test_llama import TestLlamaTokenizer as LlamaSuite


class TestCodeLlamaTokenizer(LlamaSuite):
    tokenizer_class = CodeLlamaTokenizer

    def prompt(self, tokenizer, before, behind):
        """(ids of what stands before the gap, of what stands behind it): the latter gets no blank in front."""
        ids = tokenizer.encode(before, add_special_tokens=False)
        (newline,) = tokenizer.encode("\n", add_special_tokens=False)[1:]
        rest = tokenizer.encode("\n" + behind, add_special_tokens=False)
        return ids, rest[rest.index(newline) + 1 :]

    def test_a_gap(self, tokenizer):
        ids, behind = self.prompt(tokenizer, "the quick", " fox")
        expected = [1, tokenizer.prefix_id, *ids, tokenizer.suffix_id, *behind, tokenizer.middle_id]
        assert tokenizer.encode("the quick<FILL_ME> fox") == expected
        assert tokenizer.encode("the quick", suffix=" fox") == expected
        assert tokenizer.encode("the quick<FILL_ME> fox", add_special_tokens=False) == expected[1:]
        assert tokenizer.tokenize("the quick<FILL_ME> fox") == tokenizer.convert_ids_to_tokens(expected[1:])
        assert tokenizer.tokenize("the quick", " fox") == tokenizer.convert_ids_to_tokens(expected[1:])
        tokenizer.add_eos_token = True
        assert tokenizer.encode("the quick<FILL_ME> fox") == [*expected, 2]

    def test_what_is_behind_first(self, tokenizer):
        ids, behind = self.prompt(tokenizer, "the quick", " fox")
        expected = [1, tokenizer.prefix_id, tokenizer.suffix_id, *behind, tokenizer.middle_id, *ids]
        assert tokenizer.encode("the quick<FILL_ME> fox", suffix_first=True) == expected
        other = self.build(suffix_first=True)
        assert other.encode("the quick<FILL_ME> fox") == expected
        assert other.encode("the quick<FILL_ME> fox", suffix_first=False) != expected

    def test_gaps_in_a_batch(self, tokenizer):
        texts = ["the<FILL_ME> fox", LONG, "<FILL_ME>fox"]
        batch = tokenizer(texts)
        assert batch.input_ids == [tokenizer.encode(text) for text in texts]
        assert tokenizer([SHORT, OTHER], suffix=["a", "b"]).input_ids == [
            tokenizer.encode(f"{SHORT}<FILL_ME>a"),
            tokenizer.encode(f"{OTHER}<FILL_ME>b"),
        ]
        with pytest.raises(ValueError, match="batch of 2, so suffix must be a list of 2"):
            tokenizer([SHORT, OTHER], suffix="a")

    def test_gaps_at_the_ends(self, tokenizer):
        assert tokenizer.tokenize("<FILL_ME>fox")[:3] == ["▁<PRE>", "▁", "▁<SUF>"]
        assert tokenizer.encode("fox<FILL_ME>") == tokenizer.encode("fox")
        assert tokenizer(LONG, OTHER).input_ids[0] == 1  # a pair is no gap
        assert tokenizer.prefix_id not in tokenizer(LONG, OTHER).input_ids

    def test_places(self, tokenizer):
        before, behind = "the quick 我", " brown fox"
        encoded = tokenizer(f"{before}<FILL_ME>{behind}", return_offsets_mapping=True)
        for sequence, text in enumerate([before, behind]):
            spans = [s for s, n in zip(encoded.offset_mapping, encoded.sequence_ids()) if n == sequence]
            assert spans[0][0] == 0
            assert spans[-1][1] == len(text)
        token = encoded.char_to_token(behind.index("fox"), sequence_index=1)
        assert encoded.tokens()[token] == "▁fox"
        assert tokenizer("<FILL_ME>fox", return_offsets_mapping=True).offset_mapping[2] == (0, 0)

    def test_truncation(self, tokenizer):
        encoded = tokenizer(f"{LONG}<FILL_ME>{OTHER}", truncation=True, max_length=12)
        assert len(encoded.input_ids) == 12
        assert {tokenizer.prefix_id, tokenizer.suffix_id, tokenizer.middle_id} < set(encoded.input_ids)

    def test_the_four_tokens(self, tokenizer, tmp_path):
        assert (tokenizer.prefix_token, tokenizer.eot_token) == ("▁<PRE>", "▁<EOT>")
        assert tokenizer.eot_id == tokenizer.convert_tokens_to_ids("▁<EOT>")
        assert tokenizer.additional_special_tokens == ["▁<PRE>", "▁<MID>", "▁<SUF>", "▁<EOT>"]
        other = self.build(prefix_token="<p>", fill_token="___", additional_special_tokens=["<more>"])
        other.save_pretrained(tmp_path)
        loaded = CodeLlamaTokenizer.from_pretrained(tmp_path)
        assert loaded.additional_special_tokens == ["<more>", "<p>", "▁<MID>", "▁<SUF>", "▁<EOT>"]
        assert loaded.tokenize("the ___ fox")[0] == "<p>"

    def test_what_can_not_be_filled(self, tokenizer):
        with pytest.raises(ValueError, match="has '<FILL_ME>' 2 times"):
            tokenizer("a<FILL_ME>b<FILL_ME>c")
        with pytest.raises(ValueError, match="middle_token is None"):
            self.build(middle_token=None)("a<FILL_ME>b")
        without = self.build(fill_token=None, prefix_token=None)
        assert without.prefix_id is None
        assert "FILL" in without.decode(without.encode("a<FILL_ME>b"))

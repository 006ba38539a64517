"""DeBERTa's tokenizer."""

from edutransformers import AddedToken, DebertaTokenizer

from .byte_level import DECODED, MERGES, VOCAB
from .suite import TokenizerSuite

TOKENS = {token: len(VOCAB) + i for i, token in enumerate(["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"])}


class TestDebertaTokenizer(TokenizerSuite):
    decoded = DECODED
    options_for_words = {"add_prefix_space": True}

    def build(self, **options):
        return DebertaTokenizer(**{"vocab": {**VOCAB, **TOKENS}, "merges": MERGES, **options})

    def test_layout(self):
        encoded = self.build()("the", "the")
        assert encoded.tokens() == ["[CLS]", "the", "[SEP]", "the", "[SEP]"]
        assert encoded.token_type_ids == [0, 0, 0, 1, 1]

    def test_the_mask_takes_the_blank_before_it(self):
        tokenizer = self.build()
        assert tokenizer("the [MASK] the").input_ids == tokenizer("the[MASK] the").input_ids
        assert tokenizer.mask_token_id == TOKENS["[MASK]"]
        flags = tokenizer.added_tokens_decoder
        assert flags[TOKENS["[MASK]"]] == AddedToken("[MASK]", lstrip=True, normalized=True, special=True)
        assert flags[TOKENS["[CLS]"]] == AddedToken("[CLS]", normalized=False, special=True)

    def test_offsets_hold_the_blank(self):
        assert self.build()("the fox", return_offsets_mapping=True).offset_mapping[2] == (3, 7)

    def test_add_bos_token_does_nothing(self):
        assert self.build(add_bos_token=True)("the") == self.build()("the")

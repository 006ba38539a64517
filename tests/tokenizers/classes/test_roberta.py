"""RoBERTa's tokenizer and BART's."""

from edutransformers import AddedToken, AutoTokenizer, BartTokenizer, RobertaTokenizer

from .byte_level import DECODED, MERGES, VOCAB
from .suite import TokenizerSuite

TOKENS = {token: len(VOCAB) + i for i, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])}


class TestRobertaTokenizer(TokenizerSuite):
    tokenizer_class = RobertaTokenizer
    decoded = DECODED
    options_for_words = {"add_prefix_space": True}
    mask_is_normalized = False

    def build(self, **options):
        return self.tokenizer_class(**{"vocab": {**VOCAB, **TOKENS}, "merges": MERGES, **options})

    def test_layout(self):
        encoded = self.build()("the", "the", return_token_type_ids=True)
        assert encoded.tokens() == ["<s>", "the", "</s>", "</s>", "the", "</s>"]
        assert encoded.token_type_ids == [0] * 6
        assert list(self.build()("the")) == ["input_ids", "attention_mask"]

    def test_ids_of_the_special_tokens(self):
        tokenizer = self.build()
        ids = [getattr(tokenizer, f"{name}_token_id") for name in ("bos", "cls", "pad", "eos", "sep", "unk", "mask")]
        assert ids == [len(VOCAB) + place for place in (0, 0, 1, 2, 2, 3, 4)]
        bare = self.build(vocab=VOCAB)  # without them they are added, in the order of their names
        assert [bare.bos_token_id, bare.eos_token_id, bare.unk_token_id] == [len(VOCAB) + i for i in range(3)]

    def test_the_mask_takes_the_blanks_before_it(self):
        tokenizer = self.build()
        encoded = tokenizer("the  <mask> the", return_offsets_mapping=True)
        assert encoded.input_ids == tokenizer("the<mask> the").input_ids
        assert encoded.offset_mapping[2] == (5, 11)
        untrimmed = self.build(trim_offsets=False)("the  <mask> the", return_offsets_mapping=True)
        assert untrimmed.offset_mapping[2] == (3, 11)
        assert tokenizer.added_tokens_decoder[TOKENS["<mask>"]] == AddedToken(
            "<mask>", lstrip=True, normalized=self.mask_is_normalized, special=True
        )

    def test_offsets_without_the_blank(self):
        assert self.build()("the fox", return_offsets_mapping=True).offset_mapping[2] == (4, 7)
        untrimmed = self.build(trim_offsets=False)
        assert untrimmed("the fox", return_offsets_mapping=True).offset_mapping[2] == (3, 7)
        # the blank that add_prefix_space puts there has no place in the text
        prefixed = self.build(add_prefix_space=True)
        assert prefixed("the fox", return_offsets_mapping=True).offset_mapping[1:3] == [(0, 3), (4, 7)]

    def test_settings_outrank_the_file(self, tmp_path):
        self.build().save_pretrained(tmp_path)
        loaded = AutoTokenizer.from_pretrained(tmp_path, trim_offsets=False, add_prefix_space=True)
        assert loaded.tokenize("the fox") == ["Ġthe", *self.build().tokenize(" fox")]
        assert loaded(" the fox", return_offsets_mapping=True).offset_mapping[1] == (0, 4)
        loaded.save_pretrained(tmp_path)
        again = AutoTokenizer.from_pretrained(tmp_path)
        assert again(" the fox", return_offsets_mapping=True).offset_mapping[1] == (0, 4)
        assert (again.trim_offsets, again.add_prefix_space) == (False, True)


class TestBartTokenizer(TestRobertaTokenizer):
    tokenizer_class = BartTokenizer
    mask_is_normalized = True

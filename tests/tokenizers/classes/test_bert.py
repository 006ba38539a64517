"""BERT's tokenizer, DistilBERT's and ELECTRA's."""

from edutransformers import BertTokenizer, DistilBertTokenizer, ElectraTokenizer

from .suite import TokenizerSuite

WORDS = "the quick brown fox ##es hello world un ##aff ##able , ! . ' s a b ##b cafe ##1 x ##x"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]


class TestBertTokenizer(TokenizerSuite):
    tokenizer_class = BertTokenizer
    decoded = {
        "Hello, the unaffable World!": "hello, the unaffable world!",
        "Café b": "cafe b",
        "zzz the": "the",
    }

    def build(self, **options):
        return self.tokenizer_class(vocab=TOKENS, **options)

    def test_from_a_tokenizer_json(self, tokenizer, tmp_path):
        tokenizer.save_pretrained(tmp_path)
        text = "Hello UNAFFABLE Café [MASK]"
        loaded = self.tokenizer_class(tokenizer_file=tmp_path / "tokenizer.json")
        assert loaded(text, return_offsets_mapping=True) == tokenizer(text, return_offsets_mapping=True)
        cased = self.tokenizer_class(tokenizer_file=tmp_path / "tokenizer.json", do_lower_case=False)
        assert cased.tokenize(text) == self.build(do_lower_case=False).tokenize(text) != tokenizer.tokenize(text)


class TestDistilBertTokenizer(TestBertTokenizer):
    tokenizer_class = DistilBertTokenizer

    def test_it_has_no_token_types(self):
        assert list(self.build()("the fox", "hello")) == ["input_ids", "attention_mask"]


class TestElectraTokenizer(TestBertTokenizer):
    tokenizer_class = ElectraTokenizer

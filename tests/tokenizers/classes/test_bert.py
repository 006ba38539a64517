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


class TestDistilBertTokenizer(TestBertTokenizer):
    tokenizer_class = DistilBertTokenizer

    def test_it_has_no_token_types(self):
        assert list(self.build()("the fox", "hello")) == ["input_ids", "attention_mask"]


class TestElectraTokenizer(TestBertTokenizer):
    tokenizer_class = ElectraTokenizer

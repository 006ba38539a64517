import pytest

from edutransformers.tokenizers import BertTokenizer

WORDS = "the dog ##s un ##aff ##able hello , ! . ' t don foo naive a b c ##b new york ##x"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(" ")]


@pytest.fixture
def tokenizer():
    """[PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, the 5, dog 6, ##s 7, un 8, ##aff 9, ##able 10, hello 11, ..."""
    return BertTokenizer(vocab=TOKENS)

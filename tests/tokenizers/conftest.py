import pytest
from hypothesis import settings

from edutransformers.tokenizers import BertTokenizer

# No time limit for a single example: on a busy machine any of them may take long.
settings.register_profile("tokenizers", deadline=None)
settings.load_profile("tokenizers")

WORDS = "the dog ##s un ##aff ##able hello , ! . ' t don foo naive a b c ##b new york ##x"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(" ")]


@pytest.fixture
def tokenizer():
    """[PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, the 5, dog 6, ##s 7, un 8, ##aff 9, ##able 10, hello 11, ..."""
    return BertTokenizer(vocab=TOKENS)

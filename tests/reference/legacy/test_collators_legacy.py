"""DataCollatorForWholeWordMask against transformers 4.34.1: the same draws choose the same words."""

import random

import numpy as np
import pytest

from edutransformers import BertTokenizer
from edutransformers.training import DataCollatorForWholeWordMask

from ..common import MAJOR, transformers

pytestmark = [pytest.mark.legacy, pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1")]

PIECES = [f"w{n}" for n in range(30)] + [f"##p{n}" for n in range(30)]


@pytest.mark.parametrize("probability", [0.05, 0.15, 0.4])
def test_the_same_draws_choose_the_same_words(rng, tmp_path, monkeypatch, probability):
    mine = BertTokenizer(vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PIECES])
    mine.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    chosen = 0
    for seed in range(30):
        # A word begins each text: what follows [CLS] with "##" belongs to nothing.
        texts = [[2, 5, *rng.integers(5, 65, rng.integers(1, 40)).tolist(), 3] for _ in range(4)]
        items = [{"input_ids": text, "chinese_ref": rng.choice(len(text) - 3, 1).tolist()} for text in texts]
        for item in items:
            item["chinese_ref"] = [place + 2 for place in item["chinese_ref"]]
        batch = DataCollatorForWholeWordMask(mine, seed=seed, mlm_probability=probability)(items)
        draws = np.random.default_rng(seed)

        def shuffle(words, draws=draws):
            words[:] = [words[n] for n in draws.permutation(len(words))]

        with monkeypatch.context() as patch:
            patch.setattr(random, "shuffle", shuffle)
            expected = transformers.DataCollatorForWholeWordMask(theirs, mlm_probability=probability)(items)
        np.testing.assert_array_equal(batch["labels"], expected["labels"].numpy())
        chosen += (batch["labels"] != -100).sum()
    assert chosen > 100

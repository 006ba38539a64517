"""Collators against the original's: equal where nothing is drawn, and equal for the same draws."""

import numpy as np
import pytest

from edutransformers import BertTokenizer
from edutransformers import training as ours
from tests.reference.common import MAJOR, torch, transformers

pytestmark = pytest.mark.reference

PIECES = [f"w{n}" for n in range(30)] + [f"##p{n}" for n in range(30)]
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PIECES]


@pytest.fixture(scope="module", params=["right", "left"])
def tokenizers(request, tmp_path_factory):
    """(ours, the original's) of one vocabulary."""
    folder = tmp_path_factory.mktemp("tokenizer")
    mine = BertTokenizer(vocab=VOCAB, padding_side=request.param)
    mine.save_pretrained(folder)
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder), padding_side=request.param)
    assert (theirs.padding_side, len(theirs)) == (mine.padding_side, len(mine))
    return mine, theirs


def random_text(rng, longest=12):
    return [2, *rng.integers(5, 65, rng.integers(1, longest)).tolist(), 3]


def assert_equal(mine, theirs, names=None):
    assert set(mine) == set(theirs)
    for name in mine:
        np.testing.assert_array_equal(mine[name], np.asarray(theirs[name]), err_msg=name)
        if names is None or name in names:
            assert mine[name].dtype == np.asarray(theirs[name]).dtype, name


OPTIONS = [{}, {"pad_to_multiple_of": 8}, {"padding": "max_length", "max_length": 20}]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("label_name", ["label", "labels", "label_ids", None])
def test_with_padding(rng, tokenizers, options, label_name):
    mine, theirs = tokenizers
    items = []
    for _ in range(5):
        ids = random_text(rng)
        items.append({"input_ids": ids, "attention_mask": [1] * len(ids), "token_type_ids": [0] * len(ids)})
        if label_name is not None:
            items[-1][label_name] = int(rng.integers(3))
    batch = ours.DataCollatorWithPadding(mine, **options)(items)
    assert_equal(batch, transformers.DataCollatorWithPadding(theirs, return_tensors="pt", **options)(items))


@pytest.mark.parametrize("options", [*OPTIONS, {"label_pad_token_id": -1}])
def test_token_classification(rng, tokenizers, options):
    mine, theirs = tokenizers
    items = []
    for _ in range(5):
        ids = random_text(rng)
        items.append(
            {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": rng.integers(0, 4, len(ids)).tolist()}
        )
    batch = ours.DataCollatorForTokenClassification(mine, **options)(items)
    assert_equal(batch, transformers.DataCollatorForTokenClassification(theirs, **options)(items))


class Shifting:
    def prepare_decoder_input_ids_from_labels(self, labels):
        kind = torch if isinstance(labels, torch.Tensor) else np
        shifted = kind.roll(labels, 1, 1)
        shifted[:, 0] = 2
        return kind.where(shifted == -100, kind.zeros_like(shifted), shifted)


@pytest.mark.parametrize("options", [{}, {"pad_to_multiple_of": 8}, {"label_pad_token_id": -1}, {"model": Shifting()}])
def test_seq2seq(rng, tokenizers, options):
    mine, theirs = tokenizers
    make = lambda: [  # noqa: E731
        {"input_ids": text, "attention_mask": [1] * len(text), "labels": label} for text, label in pairs
    ]
    pairs = [(random_text(rng), random_text(rng)) for _ in range(4)]
    batch = ours.DataCollatorForSeq2Seq(mine, **options)(make())
    assert_equal(batch, transformers.DataCollatorForSeq2Seq(theirs, **options)(make()))


@pytest.mark.skipif(MAJOR < 5, reason="4.34 has it only in its documentation")
def test_multiple_choice(rng, tokenizers):
    mine, theirs = tokenizers
    make = lambda: [  # noqa: E731
        {"input_ids": texts, "attention_mask": [[1] * len(t) for t in texts], "label": n}
        for n, texts in enumerate(all_)
    ]
    all_ = [[random_text(rng) for _ in range(3)] for _ in range(3)]
    batch = ours.DataCollatorForMultipleChoice(mine)(make())
    assert_equal(batch, transformers.DataCollatorForMultipleChoice(theirs)(make()))


def test_causal_language_modelling(rng, tokenizers):
    mine, theirs = tokenizers
    items = [{"input_ids": random_text(rng)} for _ in range(4)]
    batch = ours.DataCollatorForLanguageModeling(mine, mlm=False)(items)
    assert_equal(batch, transformers.DataCollatorForLanguageModeling(theirs, mlm=False)(items))


def test_default(rng):
    items = [{"x": rng.standard_normal(3).tolist(), "y": rng.integers(0, 5, 2), "label": n, "s": "a"} for n in range(3)]
    for names in ({}, {"label": "other"}):
        renamed = [{names.get(k, k): v for k, v in item.items()} for item in items]
        expected = transformers.default_data_collator(renamed, return_tensors="pt")
        assert_equal(ours.default_data_collator(renamed), expected)
        assert_equal(ours.DefaultDataCollator()(renamed), expected)


@pytest.mark.skipif(MAJOR < 5, reason="shares came later")
@pytest.mark.parametrize("whole_words", [False, True])
def test_masks_of_everything(rng, tokenizers, whole_words):
    """With probability 1 nothing is left to chance."""
    mine, theirs = tokenizers
    shares = {"mlm_probability": 1.0, "mask_replace_prob": 1.0, "random_replace_prob": 0.0}
    items = []
    for _ in range(4):
        ids = random_text(rng)
        offsets = [(0, 0), *((n, n + 1) for n in range(len(ids) - 2)), (0, 0)]
        special = [1, *([0] * (len(ids) - 2)), 1]
        items.append({"input_ids": ids, "attention_mask": [1] * len(ids), "special_tokens_mask": special})
        if whole_words:
            items[-1]["offset_mapping"] = offsets
            longest = 13  # theirs doesn't pad offsets
            items[-1] = {name: row + [0 if name != "offset_mapping" else (0, 0)] * (longest - len(row))
                         if name != "special_tokens_mask" else row + [1] * (longest - len(row))
                         for name, row in items[-1].items()}  # fmt: skip
    batch = ours.DataCollatorForLanguageModeling(mine, whole_word_mask=whole_words, **shares)(items)
    expected = transformers.DataCollatorForLanguageModeling(theirs, whole_word_mask=whole_words, **shares)(items)
    assert_equal(batch, expected)
    assert (batch["labels"] != -100).any()


@pytest.mark.skipif(MAJOR < 5, reason="4.34 knows words by their pieces only")
def test_words_by_their_places(rng, tokenizers):
    """The same tokens belong together."""
    collator = ours.DataCollatorForLanguageModeling(tokenizers[0], whole_word_mask=True)
    for _ in range(50):
        offsets, place = [(0, 0)], 0
        for _ in range(rng.integers(1, 12)):
            start = place + int(rng.integers(0, 2))
            place = start + int(rng.integers(1, 4))
            offsets.append((start, place))
        offsets.append((0, 0))
        special = np.array([[1, *([0] * (len(offsets) - 2)), 1]])
        theirs, _ = transformers.DataCollatorForLanguageModeling._calc_word_ids_and_prob_mask(
            np.array([offsets]), special
        )
        numbers = collator._words({"offset_mapping": offsets})
        inner = slice(1, -1)
        np.testing.assert_array_equal(
            numbers[inner][:, None] == numbers[inner][None, :], theirs[0][inner][:, None] == theirs[0][inner][None, :]
        )


def test_permutation_language_modelling_with_the_same_draws(rng, tokenizers, monkeypatch):
    mine, theirs = tokenizers
    for seed, options in enumerate([{}, {"plm_probability": 0.4, "max_span_length": 3}, {}]):
        texts = [random_text(rng) for _ in range(6)]
        texts[0] = [2, *rng.integers(5, 65, 14).tolist(), 3]  # the longest: of an even number of tokens
        collator = ours.DataCollatorForPermutationLanguageModeling(mine, seed=seed, **options)
        batch = collator([{"input_ids": text} for text in texts])

        with monkeypatch.context() as patch:
            draw_from(np.random.default_rng(seed), patch)
            original = transformers.DataCollatorForPermutationLanguageModeling(theirs, **options)
            expected = original([{"input_ids": text} for text in texts])
        assert_equal(batch, expected)


def draw_from(generator, patch):
    """Let torch draw from NumPy's generator."""

    def randint(*limits):
        *ends, _ = limits  # the last one is the shape
        return torch.tensor([generator.integers(*([0, *ends] if len(ends) == 1 else ends))])

    patch.setattr(torch, "randint", randint)
    patch.setattr(torch, "randperm", lambda count: torch.tensor(generator.permutation(count)))

"""Fill-mask: words and scores against the model's own logits."""

import logging

import numpy as np
import pytest

from edutransformers import BertForMaskedLM
from edutransformers.pipelines import FillMaskPipeline, PipelineException

from .tiny import IDS, WORDS, assert_same_results, model, tokenizer

TEXT = "the [MASK] is very good ."


@pytest.fixture(scope="module")
def unmask():
    return FillMaskPipeline(model=model(BertForMaskedLM), tokenizer=tokenizer())


def probabilities(pipe, text):
    """(masks, V)"""
    inputs = pipe.tokenizer(text, return_tensors="np")
    logits = pipe.model(**inputs).logits[0][inputs["input_ids"][0] == IDS["[MASK]"]].astype(np.float64)
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def test_the_five_best_words(unmask):
    scores = probabilities(unmask, TEXT)[0]
    results = unmask(TEXT)
    assert len(results) == 5
    best = np.argsort(-scores)[:5]
    assert [result["token"] for result in results] == best.tolist()
    np.testing.assert_allclose([result["score"] for result in results], scores[best], atol=1e-6)
    for result in results:
        assert result["token_str"] == tokenizer().decode([result["token"]])
        ids = tokenizer()(TEXT)["input_ids"]
        ids[2] = result["token"]
        assert result["sequence"] == tokenizer().decode(ids, skip_special_tokens=True)
        assert isinstance(result["token"], int)


def test_sequence_and_word_of_known_targets(unmask):
    scores = probabilities(unmask, TEXT)[0]
    expected = sorted(
        (
            {"score": scores[IDS[word]], "token": IDS[word], "token_str": word, "sequence": f"the {word} is very good."}
            for word in ("film", "story")
        ),
        key=lambda result: -result["score"],
    )
    assert_same_results(unmask(TEXT, targets=["story", "film"]), expected, 1e-6)
    assert_same_results(unmask(TEXT, targets=["film", "story", "film"]), expected, 1e-6)
    assert_same_results(unmask(TEXT, targets=["film", "story"], top_k=1), expected[:1], 1e-6)
    assert [result["token_str"] for result in unmask(TEXT, targets="film")] == ["film"]


def test_top_k(unmask):
    assert_same_results(unmask(TEXT, top_k=2), unmask(TEXT)[:2], 0)
    everything = unmask(TEXT, top_k=len(WORDS))
    assert sorted(result["token"] for result in everything) == list(range(len(WORDS)))
    assert sum(result["score"] for result in everything) == pytest.approx(1, abs=1e-5)
    for top_k in (len(WORDS) + 1, 0):
        with pytest.raises(ValueError, match=f"top_k is {top_k}"):
            unmask(TEXT, top_k=top_k)


def test_several_masks_are_filled_one_by_one(unmask):
    text = "the [MASK] is very [MASK]"
    scores = probabilities(unmask, text)
    results = unmask(text, top_k=3)
    assert [len(row) for row in results] == [3, 3]
    for row, expected in zip(results, scores, strict=True):
        best = np.argsort(-expected)[:3]
        assert [result["token"] for result in row] == best.tolist()
        np.testing.assert_allclose([result["score"] for result in row], expected[best], atol=1e-6)
    # The other mask, and with it all special tokens, stay in the sequence.
    sequences = [row[0]["sequence"] for row in unmask(text, targets="film")]
    assert sequences == ["[CLS] the film is very [MASK] [SEP]", "[CLS] the [MASK] is very film [SEP]"]


def test_targets_with_several_masks(unmask):
    results = unmask("[MASK] [MASK]", targets=["film", "good"])
    assert [sorted(result["token_str"] for result in row) for row in results] == [["film", "good"]] * 2


def test_a_target_outside_of_the_vocabulary_counts_as_its_first_piece(unmask, caplog):
    with caplog.at_level(logging.WARNING, logger="edutransformers.pipelines"):
        results = unmask(TEXT, targets=["microsoft"])
    assert [result["token_str"] for result in results] == ["micro"]
    assert "'microsoft' does not exist in the model vocabulary; its first piece 'micro'" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="edutransformers.pipelines"):
        assert [result["token_str"] for result in unmask(TEXT, targets=["", "film"])] == ["film"]
    assert "'' is no text" in caplog.text


@pytest.mark.parametrize("targets", [[], [""], ""])
def test_no_target_at_all(unmask, targets):
    with pytest.raises(ValueError, match="at least one word"):
        unmask(TEXT, targets=targets)


def test_batches_and_lists(unmask):
    texts = [TEXT, "[MASK]", "a very very [MASK] story of a man ."]
    singly = [unmask(text) for text in texts]
    assert_same_results(unmask(texts), singly, 1e-6)
    assert_same_results(unmask(texts, batch_size=3), singly, 1e-6)
    assert_same_results(unmask([TEXT]), singly[0], 1e-6)  # a list of one, as in the original
    assert_same_results(list(unmask(text for text in texts)), singly, 1e-6)


def test_padding_is_not_part_of_a_sequence(unmask):
    sequences = [
        row[0]["sequence"] for row in unmask(["a [MASK]", "a very very good [MASK]"], targets="film", batch_size=2)
    ]
    assert sequences == ["a film", "a very very good film"]
    two_masks = unmask(["[MASK] [MASK]", "a very very good [MASK]"], targets="film", batch_size=2)[0]
    assert two_masks[0][0]["sequence"] == "[CLS] film [MASK] [SEP]"


def test_arguments_of_the_tokenizer(unmask):
    long = "[MASK] " + "good " * 100
    with pytest.raises(ValueError, match="positions for 64"):
        unmask(long)
    assert len(unmask(long, tokenizer_kwargs={"truncation": True, "max_length": 64})) == 5


@pytest.mark.parametrize("text", ["the film is good", "", "a mask", "[mask]"])
def test_a_text_without_a_mask(unmask, text):
    with pytest.raises(PipelineException, match=r"No mask_token \(\[MASK\]\) found on the input"):
        unmask(text)


def test_a_tokenizer_without_a_mask():
    without = tokenizer()
    without.mask_token = None
    with pytest.raises(PipelineException, match="no mask_token"):
        FillMaskPipeline(model=model(BertForMaskedLM), tokenizer=without)


@pytest.mark.parametrize("inputs", [None, 5, ("a [MASK]",), {"text": "a [MASK]"}])
def test_what_is_no_text(unmask, inputs):
    with pytest.raises(ValueError, match="where a text"):
        unmask(inputs)

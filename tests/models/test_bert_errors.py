"""Bad input to BERT: one clear sentence each, and nothing is computed with it."""

import re

import numpy as np
import pytest

import edutransformers
from edutransformers import BertConfig, BertModel

from .bert_cases import CASES, TINY, batch_of, model_of
from .refusals import refused

IDS = np.array([[2, 5, 7, 3], [2, 9, 3, 0]])
FLOATS = np.zeros((2, 4, 18))
LABELLED = "BertForTokenClassification"


def build(name="BertModel", **changes):
    return getattr(edutransformers, name)(BertConfig(**{**TINY, **changes})).eval()


# -- ids --------------------------------------------------------------------------------------------------------------

INPUTS = {
    "an id beyond the vocabulary": (
        {"input_ids": np.array([[2, 31]])},
        ValueError,
        "input_ids holds 31, but the vocabulary has 31 entries; was the text tokenized with another model's tokenizer?",
    ),
    "a negative id": (
        {"input_ids": np.array([[2, -1]])},
        ValueError,
        "input_ids holds -1, but the vocabulary has 31 entries; was the text tokenized with another model's tokenizer?",
    ),
    "ids that are not whole": (
        {"input_ids": IDS.astype("float32")},
        TypeError,
        "input_ids must be whole numbers, got an array of float32; use input_ids.astype('int64')",
    ),
    "ids that are yes or no": (
        {"input_ids": IDS > 2},
        TypeError,
        "input_ids must be whole numbers, got an array of bool; use input_ids.astype('int64')",
    ),
    "a list": (
        {"input_ids": IDS.tolist()},
        TypeError,
        "input_ids must be a NumPy or CuPy array, got list; use numpy.asarray(...)",
    ),
    "one text without a batch": (
        {"input_ids": IDS[0]},
        ValueError,
        "input_ids has shape (4,), expected (batch, tokens)",
    ),
    "no texts": (
        {"input_ids": IDS[:0]},
        ValueError,
        "input_ids has shape (0, 4): the batch is empty",
    ),
    "no tokens": (
        {"input_ids": IDS[:, :0]},
        ValueError,
        "input_ids has shape (2, 0): the batch is empty",
    ),
    "too many tokens": (
        {"input_ids": np.ones((1, 14), dtype=int)},
        ValueError,
        "input_ids has 14 tokens, but this model has positions for 13; tokenize with truncation=True, max_length=13",
    ),
    "nothing": (
        {},
        ValueError,
        "pass either input_ids or inputs_embeds, not both and not neither",
    ),
    "both ids and vectors": (
        {"input_ids": IDS, "inputs_embeds": FLOATS},
        ValueError,
        "pass either input_ids or inputs_embeds, not both and not neither",
    ),
    "vectors without a batch": (
        {"inputs_embeds": FLOATS[0]},
        ValueError,
        "inputs_embeds has shape (4, 18), expected (batch, tokens, width)",
    ),
    "vectors of another width": (
        {"inputs_embeds": FLOATS[..., :17]},
        ValueError,
        "inputs_embeds has vectors of width 17, but this model's width is 18",
    ),
    "a mask of another length": (
        {"input_ids": IDS, "attention_mask": np.ones((2, 5))},
        ValueError,
        "attention_mask has shape (2, 5), expected (2, 4) (one number a token: 1 keeps it, 0 hides it) or (2, 4, 4)",
    ),
    "a mask of one text": (
        {"input_ids": IDS, "attention_mask": np.ones(4)},
        ValueError,
        "attention_mask has shape (4,), expected (2, 4) (one number a token: 1 keeps it, 0 hides it) or (2, 4, 4)",
    ),
    "segments of another shape": (
        {"input_ids": IDS, "token_type_ids": np.zeros((2, 3), dtype=int)},
        ValueError,
        "token_type_ids has shape (2, 3), expected (2, 4)",
    ),
    "a segment that does not exist": (
        {"input_ids": IDS, "token_type_ids": np.full((2, 4), 3)},
        ValueError,
        "token_type_ids holds 3, but this model has 3 segments: expected 0 to 2",
    ),
    "positions of another shape": (
        {"input_ids": IDS, "position_ids": np.arange(4)},
        ValueError,
        "position_ids has shape (4,), expected (2, 4) or (1, 4)",
    ),
    "a position that does not exist": (
        {"input_ids": IDS, "position_ids": np.full((2, 4), 13)},
        ValueError,
        "position_ids holds 13, but this model has 13 positions: expected 0 to 12",
    ),
    "a negative position": (
        {"input_ids": IDS, "position_ids": np.array([[0, 1, -1, 2]])},
        ValueError,
        "position_ids holds -1, but this model has 13 positions: expected 0 to 12",
    ),
    "positions that are not whole": (
        {"input_ids": IDS, "position_ids": np.ones((1, 4))},
        TypeError,
        "position_ids must be whole numbers, got an array of float64; use position_ids.astype('int64')",
    ),
    "a list as a mask": (
        {"input_ids": IDS, "attention_mask": [[1, 1, 1, 1], [1, 1, 1, 0]]},
        TypeError,
        "attention_mask must be a NumPy or CuPy array, got list; use numpy.asarray(...)",
    ),
    "a head mask for other heads": (
        {"input_ids": IDS, "head_mask": np.ones((2, 4))},
        ValueError,
        "head_mask has shape (2, 4), expected (3,) or (2, 3)",
    ),
    "a source for a model without cross-attention": (
        {"input_ids": IDS, "encoder_hidden_states": FLOATS},
        ValueError,
        "encoder_hidden_states were passed, but this model has no cross-attention: "
        "build it with BertConfig(is_decoder=True, add_cross_attention=True)",
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs(name):
    inputs, error, sentence = INPUTS[name]
    refused(error, sentence, build(), **inputs)


def test_inputs_of_heads_are_checked_by_the_same_sentences():
    for name in ("BertForMaskedLM", "BertForPreTraining", "BertForQuestionAnswering", LABELLED):
        inputs, error, sentence = INPUTS["an id beyond the vocabulary"]
        refused(error, sentence, build(name), **inputs)


def test_a_source_mask_of_another_shape():
    model = build(is_decoder=True, add_cross_attention=True)
    sentence = "encoder_attention_mask has shape (2, 3), expected (2, 4) (one number a token: 1 keeps it, 0 hides it)"
    inputs = {"input_ids": IDS[:, :2], "encoder_hidden_states": FLOATS, "encoder_attention_mask": np.ones((2, 3))}
    with pytest.raises(ValueError, match=re.escape(sentence)):
        model.forward(**inputs)


def test_a_source_of_another_batch_or_width():
    model = build(is_decoder=True, add_cross_attention=True)
    for source in (FLOATS[:1], FLOATS[..., :5], FLOATS[0]):
        sentence = f"encoder_hidden_states has shape {source.shape}, expected (2, tokens, 18)"
        refused(ValueError, sentence, model, input_ids=IDS, encoder_hidden_states=source)


@pytest.mark.parametrize(
    ("kind", "ids", "shape"),
    [("input_ids", IDS, "(2, 4)"), ("inputs_embeds", FLOATS, "(2, 4, 18)")],
)
def test_choices_need_an_axis_of_their_own(kind, ids, shape):
    wanted = "(batch, choices, tokens)" if kind == "input_ids" else "(batch, choices, tokens, width)"
    refused(ValueError, f"{kind} has shape {shape}, expected {wanted}", build("BertForMultipleChoice"), **{kind: ids})


def test_choices_need_ids():
    sentence = "pass either input_ids or inputs_embeds, not both and not neither"
    refused(ValueError, sentence, build("BertForMultipleChoice"))


# -- labels -----------------------------------------------------------------------------------------------------------

TOKEN_LABELS = np.array([[0, 1, 2, -100]] * 2)
LABELS = {
    "a label beyond the classes": (
        LABELLED,
        {"num_labels": 2},
        TOKEN_LABELS,
        ValueError,
        "labels hold 2, but there are 2 classes: expected 0 to 1, or -100 for what should not count",
    ),
    "labels of another shape": (
        LABELLED,
        {"num_labels": 3},
        TOKEN_LABELS[:, :3],
        ValueError,
        "labels have shape (2, 3), expected (2, 4): one a row of logits",
    ),
    "labels that are not whole": (
        LABELLED,
        {"num_labels": 3},
        TOKEN_LABELS.astype(float),
        TypeError,
        "labels must be whole numbers, got an array of float64",
    ),
    "words beyond the vocabulary": (
        "BertForMaskedLM",
        {},
        np.full((2, 4), 31),
        ValueError,
        "labels hold 31, but there are 31 classes: expected 0 to 30, or -100 for what should not count",
    ),
    "next words of another shape": (
        "BertLMHeadModel",
        {"is_decoder": True},
        np.zeros((2, 3), dtype=int),
        ValueError,
        "labels have shape (2, 3), expected (2, 4)",
    ),
    "one label a text, but a label a token given": (
        "BertForSequenceClassification",
        {"num_labels": 3},
        np.zeros((2, 4), dtype=int),
        ValueError,
        "labels have shape (2, 4), expected (2,): one a row of logits",
    ),
    "several labels of another shape": (
        "BertForSequenceClassification",
        {"num_labels": 3},
        np.zeros((2, 2)),
        ValueError,
        "predictions have shape (2, 3) and targets (2, 2): expected the same shape",
    ),
    "numbers of another shape": (
        "BertForSequenceClassification",
        {"num_labels": 3, "problem_type": "regression"},
        np.zeros(2),
        ValueError,
        "labels have shape (2,), expected (2, 3) numbers for regression",
    ),
    "a third kind of next sentence": (
        "BertForNextSentencePrediction",
        {},
        np.array([0, 2]),
        ValueError,
        "labels hold 2, but there are 2 classes: expected 0 to 1, or -100 for what should not count",
    ),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels(name):
    model, config, labels, error, sentence = LABELS[name]
    refused(error, sentence, build(model, **config), input_ids=IDS, labels=labels)


def test_a_choice_that_does_not_exist():
    case = CASES["multiple_choice"]
    batch = {**batch_of(case), "labels": np.array([0, 1, 2, 3])}
    sentence = "labels hold 3, but there are 3 classes: expected 0 to 2, or -100 for what should not count"
    refused(ValueError, sentence, model_of(case), **batch)


# -- configs ----------------------------------------------------------------------------------------------------------


def test_heads_must_divide_the_width():
    sentence = "the width 18 is not a multiple of the number of attention heads 4"
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        build(num_attention_heads=4)


def test_unknown_activation():
    with pytest.raises(ValueError, match="^unknown activation 'gleu': expected one of linear, relu, "):
        build(hidden_act="gleu")


def test_unknown_positions():
    sentence = "unknown relative positions 'rotary': expected 'relative_key' or 'relative_key_query'"
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        build(position_embedding_type="rotary")


def test_cross_attention_is_part_of_a_decoder():
    sentence = "add_cross_attention=True needs is_decoder=True: cross-attention is part of a decoder"
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        build(add_cross_attention=True)


def test_a_name_in_place_of_a_config():
    sentence = (
        r"BertModel\(config\) expects a BertConfig, got str; to load a checkpoint use BertModel.from_pretrained\(name\)"
    )
    with pytest.raises(TypeError, match=f"^{sentence}$"):
        BertModel("bert-base-uncased")


# -- the model is as before -------------------------------------------------------------------------------------------


def test_a_refused_batch_leaves_no_trace():
    """After an error the model gives the same numbers and has no gradients."""
    model = build("BertForMaskedLM", num_labels=3)
    before = model(input_ids=IDS).logits
    for inputs, error, _ in INPUTS.values():
        with pytest.raises(error):
            model.forward(**inputs)
    np.testing.assert_array_equal(model(input_ids=IDS).logits, before)
    assert all(parameter.grad is None for parameter in model.parameters())

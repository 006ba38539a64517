"""Bad input to GPT-2: one clear sentence each, and nothing is computed with it."""

import numpy as np
import pytest

import edutransformers
from edutransformers import GPT2Config, GPT2Model
from edutransformers.layers import KeyValueCache

from .gpt2_cases import TINY
from .refusals import refused

IDS = np.array([[2, 5, 7, 3], [2, 9, 3, 1]])
CHOICES = np.stack([IDS, IDS[::-1]], axis=1)
FLOATS = np.zeros((2, 4, 18))
OTHER_TOKENIZER = "the vocabulary has 31 entries; was the text tokenized with another model's tokenizer?"


def build(name="GPT2Model", **changes):
    return getattr(edutransformers, name)(GPT2Config(**{**TINY, **changes})).eval()


# -- ids --------------------------------------------------------------------------------------------------------------

# What BERT refuses with the same words (text_inputs.py) is tested there, whole; here one of each kind.
INPUTS = {
    "an id beyond the vocabulary": (
        {"input_ids": np.array([[2, 31]])},
        ValueError,
        f"input_ids holds 31, but {OTHER_TOKENIZER}",
    ),
    "ids that are not whole": (
        {"input_ids": IDS.astype("float32")},
        TypeError,
        "input_ids must be whole numbers, got an array of float32; use input_ids.astype('int64')",
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
    "token types of another shape": (
        {"input_ids": IDS, "token_type_ids": np.ones((2, 3), dtype=int)},
        ValueError,
        "token_type_ids has shape (2, 3), expected (2, 4)",
    ),
    "a token type beyond the vocabulary": (
        {"input_ids": IDS, "token_type_ids": np.full((2, 4), 31)},
        ValueError,
        f"token_type_ids holds 31, but {OTHER_TOKENIZER}",
    ),
    "a position that does not exist": (
        {"input_ids": IDS, "position_ids": np.full((2, 4), 13)},
        ValueError,
        "position_ids holds 13, but this model has 13 positions: expected 0 to 12",
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
        "build it with GPT2Config(add_cross_attention=True)",
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs(name):
    inputs, error, sentence = INPUTS[name]
    refused(error, sentence, build(), **inputs)


@pytest.mark.parametrize("name", ["GPT2LMHeadModel", "GPT2DoubleHeadsModel", "GPT2ForTokenClassification"])
def test_inputs_of_heads_are_checked_by_the_same_sentences(name):
    for wrong in ("an id beyond the vocabulary", "nothing", "too many tokens"):
        inputs, error, sentence = INPUTS[wrong]
        refused(error, sentence, build(name), **inputs)


def test_a_source_of_another_batch():
    model = build(add_cross_attention=True)
    sentence = "encoder_hidden_states has shape (1, 4, 18), expected (2, tokens, 18)"
    refused(ValueError, sentence, model, input_ids=IDS, encoder_hidden_states=FLOATS[:1])


# -- the key/value cache ----------------------------------------------------------------------------------------------


def past(**changes):
    """What a model of this kind has read of the first two tokens, as keys and values."""
    read = build(**changes)(IDS[:, :2], use_cache=True).past_key_values
    return [tuple(layer) for layer in read]


def cut(pairs, layer, part):
    """The same with one token less in one place."""
    pairs[layer] = tuple(x[:, :, :1] if place in part else x for place, x in enumerate(pairs[layer]))
    return pairs


PASTS = {
    "of fewer layers": (
        lambda: past(n_layer=1),
        ValueError,
        "past_key_values has 1 layers, but this model 2; is it another model's?",
    ),
    "of more layers": (
        lambda: past(n_layer=3),
        ValueError,
        "past_key_values has 3 layers, but this model 2; is it another model's?",
    ),
    "of other heads": (
        lambda: past(n_head=2),
        ValueError,
        "past_key_values has 2 heads of width 9, but this model 3 of width 6; is it another model's?",
    ),
    "of another batch": (
        lambda: [tuple(x[:1] for x in layer) for layer in past()],
        ValueError,
        "past_key_values is of a batch of 1, but this one has 2 texts",
    ),
    "with layers of different lengths": (
        lambda: cut(past(), 1, (0, 1)),
        ValueError,
        "past_key_values has layers of 1 to 2 tokens, expected the same for all",
    ),
    "with keys and values of different lengths": (
        lambda: cut(past(), 1, (1,)),
        ValueError,
        "past_key_values has keys of shape (2, 3, 2, 6) and values of shape (2, 3, 1, 6) in layer 1, expected "
        "(batch, heads, tokens, width) for both",
    ),
    "of something else": (
        lambda: [3, 4],
        TypeError,
        "past_key_values must be a KeyValueCache or one (keys, values) a layer, got list",
    ),
    "that is an array": (
        lambda: np.zeros(3),
        TypeError,
        "past_key_values must be a KeyValueCache or one (keys, values) a layer, got ndarray",
    ),
}


@pytest.mark.parametrize("name", PASTS)
def test_a_past(name):
    make, error, sentence = PASTS[name]
    refused(error, sentence, build("GPT2LMHeadModel"), input_ids=IDS[:, 2:], past_key_values=make())


def test_an_empty_past_is_none():
    model = build("GPT2LMHeadModel")
    np.testing.assert_array_equal(model(IDS, past_key_values=KeyValueCache()).logits, model(IDS).logits)


def test_masks_and_positions_count_the_past():
    model, pairs = build(), past()
    sentence = (
        "attention_mask has shape (2, 2), expected (2, 4) (one number a token: 1 keeps it, 0 hides it) or (2, 2, 4)"
    )
    refused(ValueError, sentence, model, input_ids=IDS[:, 2:], past_key_values=pairs, attention_mask=np.ones((2, 2)))
    sentence = "input_ids has 12 tokens and past_key_values 2, but this model has positions for 13"
    refused(ValueError, sentence, model, input_ids=np.ones((2, 12), dtype=int), past_key_values=pairs)


def test_a_refused_past_is_as_before():
    model = build("GPT2LMHeadModel")
    cache = model(IDS[:, :2], use_cache=True).past_key_values
    with pytest.raises(ValueError, match="batch of 2"):
        model(IDS[:1, 2:], past_key_values=cache)
    assert cache.length == 2
    wanted = model(IDS).logits[:, 2:]
    np.testing.assert_allclose(model(IDS[:, 2:], past_key_values=cache).logits, wanted, atol=1e-6)


# -- labels -----------------------------------------------------------------------------------------------------------

LABELS = {
    "words beyond the vocabulary": (
        "GPT2LMHeadModel",
        {"input_ids": IDS, "labels": np.full((2, 4), 31)},
        ValueError,
        "labels hold 31, but there are 31 classes: expected 0 to 30, or -100 for what should not count",
    ),
    "words of another shape": (
        "GPT2LMHeadModel",
        {"input_ids": IDS, "labels": IDS[:, :3]},
        ValueError,
        "labels have shape (2, 3), expected (2, 4)",
    ),
    "words that are not whole": (
        "GPT2LMHeadModel",
        {"input_ids": IDS, "labels": FLOATS[..., 0]},
        TypeError,
        "labels must be whole numbers, got an array of float64",
    ),
    "a label a token for a label a text": (
        "GPT2ForSequenceClassification",
        {"input_ids": IDS, "labels": IDS},
        ValueError,
        "labels have shape (2, 4), expected (2,): one a row of logits",
    ),
    "a label beyond the classes": (
        "GPT2ForSequenceClassification",
        {"input_ids": IDS, "labels": np.array([0, 2])},
        ValueError,
        "labels hold 2, but there are 2 classes: expected 0 to 1, or -100 for what should not count",
    ),
    "token labels of another shape": (
        "GPT2ForTokenClassification",
        {"input_ids": IDS, "labels": np.zeros((2, 3), dtype=int)},
        ValueError,
        "labels have shape (2, 3), expected (2, 4): one a row of logits",
    ),
    "a place for each of three texts": (
        "GPT2ForQuestionAnswering",
        {"input_ids": IDS, "start_positions": np.arange(3), "end_positions": np.arange(3)},
        ValueError,
        "labels have shape (3,), expected (2,): one a row of logits",
    ),
    "words without choices": (
        "GPT2DoubleHeadsModel",
        {"input_ids": CHOICES, "labels": IDS},
        ValueError,
        "labels have shape (2, 4), expected (2, 2, 4)",
    ),
    "a third choice": (
        "GPT2DoubleHeadsModel",
        {"input_ids": CHOICES, "mc_labels": np.array([0, 2])},
        ValueError,
        "labels hold 2, but there are 2 classes: expected 0 to 1, or -100 for what should not count",
    ),
    "a token behind the text": (
        "GPT2DoubleHeadsModel",
        {"input_ids": CHOICES, "mc_token_ids": np.array([[0, 4], [1, 1]])},
        ValueError,
        "mc_token_ids holds 4, but the text has 4 tokens, counted from 0",
    ),
    "one token for both choices": (
        "GPT2DoubleHeadsModel",
        {"input_ids": CHOICES, "mc_token_ids": np.array([0, 3])},
        ValueError,
        "mc_token_ids has shape (2,), expected (2, 2)",
    ),
    "a batch without a padding id": (
        "GPT2ForSequenceClassification",
        {"input_ids": IDS},
        ValueError,
        "a batch of 2 texts needs config.pad_token_id to tell where each ends; set it, or pass one at a time",
    ),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels(name):
    model, inputs, error, sentence = LABELS[name]
    padding = {} if "padding" in name else {"pad_token_id": 0}
    refused(error, sentence, build(model, **padding), **inputs)


def test_one_text_needs_no_padding_id():
    assert build("GPT2ForSequenceClassification")(IDS[:1]).logits.shape == (1, 2)


# -- configs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "changes", "sentence"),
    [
        ("GPT2Model", {"n_head": 4}, "n_embd is 18, which is not a multiple of n_head, 4"),
        ("GPT2DoubleHeadsModel", {"summary_type": "attn"}, "summary_type is 'attn', expected last, first, mean or"),
        ("GPT2Model", {"activation_function": "gleu"}, "unknown activation 'gleu': expected one of linear, relu, "),
    ],
)
def test_configs(model, changes, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        build(model, **changes)


def test_a_name_in_place_of_a_config():
    sentence = r"GPT2Model\(config\) expects a GPT2Config, got str; to load a checkpoint use GPT2Model.from_pretrained"
    with pytest.raises(TypeError, match=f"^{sentence}"):
        GPT2Model("gpt2")


# -- the model is as before -------------------------------------------------------------------------------------------


def test_a_refused_batch_leaves_no_trace():
    """After an error the model gives the same numbers and has no gradients."""
    model = build("GPT2LMHeadModel")
    before = model(input_ids=IDS).logits
    for inputs, error, _ in INPUTS.values():
        with pytest.raises(error):
            model.forward(**inputs)
    np.testing.assert_array_equal(model(input_ids=IDS).logits, before)
    assert all(parameter.grad is None for parameter in model.parameters())

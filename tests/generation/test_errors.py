"""Bad input to generate(): one clear sentence each; and settings that have no effect are told."""

import logging

import numpy as np
import pytest

from edutransformers.generation import TextStreamer

from .tiny import BATCH, MASK, PAD, PROMPT, V, model_of


@pytest.fixture(scope="module")
def model():
    return model_of()


@pytest.mark.parametrize(
    ("match", "ids", "settings"),
    [
        ("the prompt has 3 tokens and max_length, prompt included, is 3", PROMPT, {"max_length": 3}),
        ("the prompt has 32 tokens, but this model has positions for 32", np.ones((1, 32), int), {"max_new_tokens": 1}),
        ("input_ids has no tokens", np.zeros((1, 0), int), {}),
        (r"input_ids is an array of float64 of shape \(1, 3\)", np.zeros((1, 3)), {}),
        (r"input_ids is an array of int64 of shape \(3,\)", np.zeros(3, int), {}),
        ("num_return_sequences is 2, but greedy search gives only 1", PROMPT, {"num_return_sequences": 2}),
        ("num_return_sequences is 5, but 3 beams give only 3", PROMPT, {"num_return_sequences": 5, "num_beams": 3}),
        ("early_stopping is 'soon'", PROMPT, {"num_beams": 2, "early_stopping": "soon"}),
        ("num_beams is 0", PROMPT, {"num_beams": 0}),
        ("temperature is 0.0, expected a number above 0", PROMPT, {"do_sample": True, "temperature": 0.0}),
        ("top_p is 1.5|top_p is -0.5", PROMPT, {"do_sample": True, "top_p": -0.5}),
        ("penalty_alpha is 0.6, but .* can't do that yet", PROMPT, {"penalty_alpha": 0.6}),
        ("generate got 'colour', which is neither", PROMPT, {"colour": 1}),
        (r"attention_mask has shape \(1, 2\)", PROMPT, {"attention_mask": np.ones((1, 2))}),
        ("vocabulary has 13 words, but a rule names 13", PROMPT, {"suppress_tokens": [13]}),
        ("max_new_tokens is 0", PROMPT, {"max_new_tokens": 0}),
        ("max_new_tokens is 2.5, expected a whole number", PROMPT, {"max_new_tokens": 2.5}),
        ("max_length is '9', expected a whole number", PROMPT, {"max_length": "9"}),
        ("input_ids holds 13, but the vocabulary has 13 entries", PROMPT + 4, {}),
        ("input_ids holds texts of different lengths: tokenize them together", [[1, 2], [3]], {}),
        (r"input_ids has shape \(0, 3\): there is no text", PROMPT[:0], {}),
        ("generate continues ids, not vectors: pass input_ids", None, {"inputs_embeds": np.zeros((1, 2, 16))}),
        (
            r"the best score of a next word is -inf: the rules forbid every word \(-inf\)",
            PROMPT,
            {"do_sample": True, "suppress_tokens": list(range(V))},
        ),
    ],
)
def test_bad_input(model, match, ids, settings):
    with pytest.raises(ValueError, match=match):
        model.generate(ids, **settings)


def test_more_bad_input(model):
    with pytest.raises(ValueError, match="both inputs and input_ids"):
        model.generate(PROMPT, input_ids=PROMPT)
    with pytest.raises(ValueError, match="needs input_ids, or a bos_token_id"):
        model.generate(bos_token_id=None)
    with pytest.raises(ValueError, match="a streamer needs num_beams=1"):
        model.generate(PROMPT, num_beams=2, streamer=TextStreamer(tokenizer=None))
    with pytest.raises(ValueError, match="TextStreamer writes one text, but the batch has 3"):
        model.generate(BATCH, streamer=TextStreamer(tokenizer=None))


@pytest.mark.parametrize(
    ("match", "ids", "settings"),
    [
        ("input_ids is 'hello', expected an array of ids", "hello", {}),
        (r"input_ids is \[5, 7\], expected an array of ids", [5, 7], {}),
        ("generator is 3, expected numpy.random.default_rng", PROMPT, {"do_sample": True, "generator": 3}),
        ("generation_config is of type dict, expected a GenerationConfig", PROMPT, {"generation_config": {}}),
    ],
)
def test_things_of_another_kind(model, match, ids, settings):
    with pytest.raises(TypeError, match=match):
        model.generate(ids, **settings)


def test_scores_that_are_no_numbers():
    model = model_of()
    model.transformer.ln_f.bias.data[:] = np.nan
    with pytest.raises(ValueError, match="the best score of a next word is nan"):
        model.generate(PROMPT, do_sample=True)


@pytest.mark.parametrize(
    ("sentence", "settings"),
    [
        (
            "temperature=0.5, top_p=0.9: only for sampling, so of no effect here; set do_sample=True",
            {"temperature": 0.5, "top_p": 0.9},
        ),
        (
            "length_penalty=2.0, early_stopping=True: only for beam search, so of no effect here; set num_beams",
            {"length_penalty": 2.0, "early_stopping": True, "do_sample": True, "temperature": 0.5},
        ),
        (
            "min_length is 9, but the text ends at 5 tokens, prompt included; raise max_length or max_new_tokens",
            {"min_length": 9, "max_length": 5},
        ),
        (
            "min_new_tokens is 4, but the text ends after max_new_tokens, 2",
            {"min_new_tokens": 4, "max_new_tokens": 2},
        ),
        (None, {"do_sample": True, "temperature": 0.5, "min_length": 5, "max_length": 5}),
    ],
)
def test_settings_without_effect_are_told(model, caplog, sentence, settings):
    with caplog.at_level(logging.WARNING):
        model.generate(PROMPT, **settings)
    assert [record.getMessage() for record in caplog.records] == ([] if sentence is None else [sentence])


def test_padding_on_the_right_is_noticed(model, caplog):
    with caplog.at_level(logging.WARNING):
        model.generate(BATCH[:, ::-1], attention_mask=MASK[:, ::-1], max_new_tokens=2, pad_token_id=PAD)
    assert "padded on the right" in caplog.text

"""Feature extraction: the model's own hidden states."""

import numpy as np
import pytest

from edutransformers import BertForSequenceClassification, BertModel
from edutransformers.pipelines import FeatureExtractionPipeline

from .tiny import model, tokenizer

TEXTS = ["the film is good", "bad", "a very very good story ."]


@pytest.fixture(scope="module")
def extract():
    return FeatureExtractionPipeline(model=model(BertModel), tokenizer=tokenizer())


def states(pipe, text, **options):
    return pipe.model(**pipe.tokenizer(text, return_tensors="np", **options)).last_hidden_state


def test_nested_lists(extract):
    result = extract(TEXTS[0])
    assert isinstance(result[0][0][0], float)
    np.testing.assert_allclose(result, states(extract, TEXTS[0]), atol=1e-6)
    assert np.shape(result) == (1, 6, 24)


def test_arrays(extract):
    result = extract(TEXTS[0], return_tensors=True)
    assert isinstance(result, np.ndarray)
    np.testing.assert_allclose(result, states(extract, TEXTS[0]), atol=1e-6)
    assert extract(TEXTS[0], return_tensors=False) == result.tolist()


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_a_text_has_as_many_rows_as_tokens_in_any_batch(extract, batch_size):
    results = extract(TEXTS, batch_size=batch_size, return_tensors=True)
    assert [result.shape for result in results] == [(1, 6, 24), (1, 3, 24), (1, 8, 24)]
    for result, text in zip(results, TEXTS):
        np.testing.assert_allclose(result, states(extract, text), atol=1e-5)


def test_padding_on_the_left_is_taken_off_on_the_left():
    """The first text alone, told to begin at a later position, is what it is in a batch with a longer one."""
    pipe = FeatureExtractionPipeline(model=model(BertModel), tokenizer=tokenizer(padding_side="left"))
    short = pipe(["bad", TEXTS[2]], batch_size=2, return_tensors=True)[0]
    inputs = pipe.tokenizer("bad", return_tensors="np")
    alone = pipe.model(**inputs, position_ids=np.array([[5, 6, 7]])).last_hidden_state
    np.testing.assert_allclose(short, alone, atol=1e-5)


def test_arguments_of_the_tokenizer(extract):
    long = "good " * 100
    cut = extract(long, tokenize_kwargs={"truncation": True, "max_length": 10}, return_tensors=True)
    np.testing.assert_allclose(cut, states(extract, long, truncation=True, max_length=10), atol=1e-6)
    padded = extract("bad", tokenize_kwargs={"padding": "max_length", "max_length": 8}, return_tensors=True)
    assert padded.shape == (1, 8, 24)  # padding that was asked for stays
    with pytest.raises(ValueError, match="truncation is given twice"):
        extract(long, truncation=True, tokenize_kwargs={"truncation": True})


def test_truncation_to_the_tokenizers_limit():
    pipe = FeatureExtractionPipeline(model=model(BertModel), tokenizer=tokenizer(model_max_length=12), truncation=True)
    assert np.shape(pipe("good " * 100)) == (1, 12, 24)


def test_the_callers_dictionary_stays_as_it_is(extract):
    options = {"max_length": 5}
    extract("good", truncation=True, tokenize_kwargs=options)
    assert options == {"max_length": 5}


def test_a_model_with_a_head_gives_its_first_output():
    pipe = FeatureExtractionPipeline(model=model(BertForSequenceClassification, num_labels=3), tokenizer=tokenizer())
    assert np.shape(pipe("good")) == (1, 3)
    np.testing.assert_allclose(pipe(["good", TEXTS[0]], batch_size=2)[0], pipe("good"), atol=1e-5)


def test_an_empty_text_has_two_tokens(extract):
    assert np.shape(extract("")) == (1, 2, 24)


@pytest.mark.parametrize("inputs", [None, 5, ("good",)])
def test_what_is_no_text(extract, inputs):
    with pytest.raises(ValueError, match="where a text"):
        extract(inputs)


@pytest.mark.parametrize("return_tensors", ["pt", "tf"])
def test_arrays_of_other_frameworks(extract, return_tensors):
    with pytest.raises(ValueError, match="return_tensors is"):
        extract("good", return_tensors=return_tensors)

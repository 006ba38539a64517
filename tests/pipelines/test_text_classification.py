"""Text classification: scores against the model's own logits, and every form of input and output."""

import numpy as np
import pytest

from edutransformers import BertForSequenceClassification
from edutransformers.pipelines import TextClassificationPipeline

from .tiny import assert_same_results, by_token, model, tokenizer

TEXT = "the film is very good"


def make(**fields):
    fields = {"num_labels": 3, "id2label": {0: "BAD", 1: "FAIR", 2: "GOOD"}, **fields}
    return TextClassificationPipeline(model=model(BertForSequenceClassification, **fields), tokenizer=tokenizer())


def logits(pipe, text, pair=None):
    return pipe.model(**pipe.tokenizer(text, pair, return_tensors="np")).logits[0].astype(np.float64)


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture(scope="module")
def classify():
    return make()


def test_the_best_label_with_its_probability(classify):
    expected = softmax(logits(classify, TEXT))
    best = int(expected.argmax())
    assert_same_results(classify(TEXT), [{"label": ("BAD", "FAIR", "GOOD")[best], "score": expected[best]}], 1e-6)


def test_all_labels_best_first(classify):
    expected = softmax(logits(classify, TEXT))
    ranked = [{"label": ("BAD", "FAIR", "GOOD")[i], "score": expected[i]} for i in np.argsort(-expected)]
    assert_same_results(classify(TEXT, top_k=None), ranked, 1e-6)
    assert_same_results(classify(TEXT, top_k=2), ranked[:2], 1e-6)
    assert_same_results(classify(TEXT, top_k=1), ranked[:1], 1e-6)
    assert_same_results(classify(TEXT, top_k=99), ranked, 1e-6)
    assert_same_results(classify([TEXT, TEXT], top_k=None), [ranked, ranked], 1e-6)


def test_top_k_in_the_constructor_keeps_the_list_around_a_single_text():
    pipe = TextClassificationPipeline(model=make().model, tokenizer=tokenizer(), top_k=2)
    assert_same_results(pipe(TEXT), [pipe(TEXT, top_k=2)], 0)
    assert len(pipe([TEXT])[0]) == 2


@pytest.mark.parametrize(("name", "function"), [("softmax", softmax), ("sigmoid", sigmoid), ("none", lambda x: x)])
def test_functions(classify, name, function):
    expected = function(logits(classify, TEXT))
    scores = {result["label"]: result["score"] for result in classify(TEXT, top_k=None, function_to_apply=name)}
    np.testing.assert_allclose([scores[label] for label in ("BAD", "FAIR", "GOOD")], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "function"),
    [
        ({"num_labels": 3}, softmax),
        ({"num_labels": 3, "problem_type": "single_label_classification"}, softmax),
        ({"num_labels": 3, "problem_type": "multi_label_classification"}, sigmoid),
        ({"num_labels": 1, "id2label": None}, sigmoid),
        ({"num_labels": 1, "id2label": None, "problem_type": "regression"}, lambda x: x),
        ({"num_labels": 3, "problem_type": "regression"}, lambda x: x),
    ],
)
def test_the_function_that_a_model_gets_by_default(fields, function):
    pipe = make(**fields)
    expected = function(logits(pipe, TEXT))
    scores = [result["score"] for result in pipe(TEXT, top_k=None)]
    np.testing.assert_allclose(scores, np.sort(expected)[::-1], atol=1e-6)
    assert pipe(TEXT, top_k=None, function_to_apply="default") == pipe(TEXT, top_k=None)


def test_scores_of_extreme_logits_do_not_overflow():
    from .tiny import ByToken

    class Extreme(ByToken):
        def forward(self, input_ids, **inputs):
            output, cache = super().forward(input_ids)
            output.logits = output.logits[:, 1]  # what the first word says counts for the text
            return output, cache

    pipe = TextClassificationPipeline(
        model=by_token(Extreme, {"good": [-1000.0, 1000.0]}, 2, num_labels=2), tokenizer=tokenizer()
    )
    assert pipe("good", top_k=None) == [{"label": "LABEL_1", "score": 1.0}, {"label": "LABEL_0", "score": 0.0}]
    assert pipe("good", top_k=None, function_to_apply="sigmoid") == pipe("good", top_k=None)


def test_return_all_scores_is_the_older_top_k(classify):
    expected = softmax(logits(classify, TEXT))
    with pytest.warns(UserWarning, match="top_k=None"):
        everything = classify(TEXT, return_all_scores=True)
    in_order = [{"label": name, "score": score} for name, score in zip(("BAD", "FAIR", "GOOD"), expected)]
    assert_same_results(everything, [in_order], 1e-6)
    with pytest.warns(UserWarning, match="deprecated"):
        assert classify(TEXT, return_all_scores=False) == classify(TEXT)


def test_pairs(classify):
    expected = softmax(logits(classify, "good film", "bad story")).max()
    assert expected != pytest.approx(softmax(logits(classify, "good film")).max(), abs=1e-4)
    pair = {"text": "good film", "text_pair": "bad story"}
    assert classify(pair)["score"] == pytest.approx(expected, abs=1e-6)
    assert classify([pair, pair], batch_size=2)[1]["score"] == pytest.approx(expected, abs=1e-6)
    assert classify([[["good film", "bad story"]]])[0]["score"] == pytest.approx(expected, abs=1e-6)
    assert classify({"text": "good film"})["score"] == classify("good film")[0]["score"]


def test_an_empty_text_is_a_text(classify):
    assert_same_results(classify("")[0]["score"], softmax(logits(classify, "")).max(), 1e-6)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (None, "got NoneType"),
        (3, "got int"),
        (("good", "bad"), r"got a tuple .* dictionary"),
        ([["good", "bad"]], r"got a list .* dictionary"),
        ([None], "got NoneType"),
        ({"text": None}, "two str"),
        ({"text_pair": "good"}, "two str"),
    ],
)
def test_what_is_no_text(classify, inputs, message):
    with pytest.raises(ValueError, match=message):
        classify(inputs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top_k": 0}, "top_k is 0"),
        ({"top_k": "all"}, "top_k is 'all'"),
        ({"function_to_apply": "tanh"}, "'tanh'; expected 'default' or one of 'sigmoid', 'softmax', 'none'"),
    ],
)
def test_wrong_arguments(classify, arguments, message):
    with pytest.raises(ValueError, match=message):
        classify(TEXT, **arguments)

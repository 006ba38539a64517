"""What all pipelines share: inputs one by one, in lists, lazily, in batches; devices, modes, errors."""

import io
import sys

import numpy as np
import pytest

from edutransformers import BertForSequenceClassification, BertModel, pipeline
from edutransformers.models.outputs import BaseModelOutput
from edutransformers.pipelines import (
    PIPELINE_REGISTRY,
    ChunkPipeline,
    FeatureExtractionPipeline,
    KeyDataset,
    KeyPairDataset,
    Pipeline,
    TextClassificationPipeline,
)
from edutransformers.pipelines.base import device_name
from edutransformers.pipelines.batches import join, split

from .tiny import assert_same_results, model, tokenizer

TEXTS = ["the film is good", "bad!", "a very very good story of a man, and the film was not bad.", "", "new york"]


@pytest.fixture(scope="module")
def classify():
    return TextClassificationPipeline(
        model=model(BertForSequenceClassification, num_labels=3), tokenizer=tokenizer(), task="text-classification"
    )


@pytest.fixture(scope="module")
def one_by_one(classify):
    return [classify(text)[0] for text in TEXTS]


class Texts:
    """A dataset: a length, and items by number. Remembers what was read."""

    def __init__(self, texts):
        self.texts = texts
        self.read = []

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, index):
        self.read.append(index)
        return self.texts[index]


def test_results_differ_from_text_to_text(one_by_one):
    assert len({round(result["score"], 4) for result in one_by_one}) == len(TEXTS)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 64])
def test_a_batch_gives_what_one_by_one_gives(classify, one_by_one, batch_size):
    assert_same_results(classify(TEXTS, batch_size=batch_size), one_by_one, 1e-6)


def test_padding_on_the_left_changes_nothing_of_a_batch_by_position(one_by_one):
    """Left padding moves the tokens to later positions, which BERT sees; so only the ids and the mask are looked at."""
    rows = [dict(tokenizer()(text, return_tensors="np")) for text in TEXTS[:2]]
    batch = join(rows, tokenizer(padding_side="left"))
    assert batch["input_ids"].shape == (2, 6)
    np.testing.assert_array_equal(batch["input_ids"][1, -4:], rows[1]["input_ids"][0])
    np.testing.assert_array_equal(batch["attention_mask"][1], [0, 0, 1, 1, 1, 1])


def test_batch_size_of_the_constructor_counts_and_that_of_a_call_counts_more(classify, monkeypatch):
    sizes = []
    run = BertForSequenceClassification.forward

    def spy(self, input_ids=None, **inputs):
        sizes.append(len(input_ids))
        return run(self, input_ids, **inputs)

    monkeypatch.setattr(BertForSequenceClassification, "forward", spy)
    pipe = TextClassificationPipeline(model=classify.model, tokenizer=classify.tokenizer, batch_size=2)
    pipe(TEXTS)
    assert sizes == [2, 2, 1]
    sizes.clear()
    pipe(TEXTS, batch_size=4)
    assert sizes == [4, 1]


def test_a_generator_is_read_only_as_far_as_results_are_taken(classify, one_by_one):
    read = []

    def texts():
        for text in TEXTS:
            read.append(text)
            yield text

    results = classify(texts())
    assert read == []
    assert_same_results(next(results), one_by_one[0], 1e-6)
    assert read == TEXTS[:1]
    assert_same_results(list(results), one_by_one[1:], 1e-6)
    with pytest.raises(TypeError, match="not known"):
        len(results)


def test_a_generator_is_read_a_batch_at_a_time(classify):
    read = []
    results = classify((read.append(text) or text for text in TEXTS), batch_size=2)
    next(results)
    assert read == TEXTS[:2]
    next(results)
    assert read == TEXTS[:2]
    next(results)
    assert read == TEXTS[:4]


def test_an_endless_generator_is_no_problem(classify):
    def forever():
        while True:
            yield "good"

    results = classify(forever(), batch_size=3)
    first, second = next(results), next(results)
    assert first == second


def test_a_dataset_is_lazy_and_knows_its_length(classify, one_by_one):
    dataset = Texts(TEXTS)
    results = classify(dataset)
    assert len(results) == len(TEXTS)
    assert dataset.read == []
    next(results)
    assert dataset.read == [0]
    assert_same_results(list(results), one_by_one[1:], 1e-6)


def test_columns_of_a_dataset(classify, one_by_one):
    rows = [{"review": text, "second": "good"} for text in TEXTS]
    assert_same_results(list(classify(KeyDataset(rows, "review"))), one_by_one, 1e-6)
    pairs = list(classify(KeyPairDataset(rows, "review", "second")))
    assert_same_results(pairs[0], classify({"text": TEXTS[0], "text_pair": "good"}), 1e-6)
    assert len(KeyDataset(rows, "review")) == len(KeyPairDataset(rows, "review", "second")) == 5


def test_progress_is_shown_when_asked_for(classify, monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    classify(TEXTS)
    assert shown.getvalue() == ""
    classify(TEXTS, progress=True)
    assert "5/5" in shown.getvalue()


def test_an_empty_list_gives_an_empty_list(classify):
    assert classify([]) == []


def test_transform_and_predict_are_other_names(classify, one_by_one):
    assert_same_results(classify.transform(TEXTS), one_by_one, 1e-6)
    assert_same_results(classify.predict(TEXTS[:1]), one_by_one[:1], 1e-6)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "two"])
def test_a_wrong_batch_size_is_named(classify, batch_size):
    with pytest.raises(ValueError, match="batch_size is"):
        classify(TEXTS, batch_size=batch_size)


# -- the model --------------------------------------------------------------------------------------------------------


def test_dropout_is_off_during_a_call_and_the_model_keeps_its_mode():
    trained = model(BertForSequenceClassification, num_labels=3, hidden_dropout_prob=0.5)
    pipe = TextClassificationPipeline(model=trained, tokenizer=tokenizer())
    expected = pipe("the film is good")
    trained.train()
    trained.bert.pooler.eval()
    assert pipe("the film is good") == expected
    assert trained.training
    assert trained.head.dropout.training
    assert not trained.bert.pooler.training


def test_a_call_keeps_nothing_for_a_backward():
    kept = []

    class Spy(BertModel):
        def forward(self, *args, **kwargs):
            output, cache = super().forward(*args, **kwargs)
            kept.append(cache)
            return output, cache

    FeatureExtractionPipeline(model=model(Spy), tokenizer=tokenizer())("good")
    assert kept == [None]


def test_half_precision_gives_results_near_those_of_float32(classify, one_by_one, tmp_path):
    classify.model.save_pretrained(tmp_path)
    classify.tokenizer.save_pretrained(tmp_path)
    half = pipeline("text-classification", model=tmp_path, dtype="float16")
    assert half.model.dtype == np.float16
    assert_same_results(half(TEXTS[:2]), one_by_one[:2], 2e-2)
    double = pipeline("text-classification", model=tmp_path, torch_dtype="float64")
    assert double.model.dtype == np.float64
    assert_same_results(double(TEXTS), one_by_one, 1e-5)


def test_the_same_on_another_device(classify, one_by_one, fake_cupy):
    pipe = TextClassificationPipeline(
        model=model(BertForSequenceClassification, num_labels=3), tokenizer=tokenizer(), device="cuda"
    )
    assert pipe.device == "cuda:0"
    assert isinstance(next(pipe.model.parameters()).data, fake_cupy.ndarray)
    assert_same_results(pipe(TEXTS, batch_size=2), one_by_one, 1e-5)
    features = FeatureExtractionPipeline(model=model(BertModel), tokenizer=tokenizer(), device=0)
    assert isinstance(features("good", return_tensors=True), np.ndarray)


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (-1, "cpu"),
        ("cpu", "cpu"),
        (0, "cuda:0"),
        (2, "cuda:2"),
        ("cuda", "cuda"),
        ("cuda:1", "cuda:1"),
        (np.int64(1), "cuda:1"),
    ],
)
def test_devices_by_any_name(device, name):
    assert device_name(device) == name


@pytest.mark.parametrize("device", ["mps", "gpu", "cuda:x", True, 1.5])
def test_unknown_devices_are_named(device):
    with pytest.raises(ValueError, match="device is"):
        device_name(device)


def test_a_gpu_that_is_not_there_is_an_error_with_its_reason(monkeypatch):
    from edutransformers import backend

    monkeypatch.setattr(backend, "_cupy_status", backend.CupyStatus(False, "no driver"))
    with pytest.raises(RuntimeError, match="no driver"):
        TextClassificationPipeline(model=model(BertForSequenceClassification), tokenizer=tokenizer(), device=0)


# -- what can be wrong ------------------------------------------------------------------------------------------------


def test_a_model_must_be_a_model():
    with pytest.raises(TypeError, match=r"needs a model, not str .*pipeline\(task, model=name\)"):
        TextClassificationPipeline(model="bert", tokenizer=tokenizer())


def test_a_tokenizer_is_needed():
    with pytest.raises(ValueError, match="needs a tokenizer"):
        TextClassificationPipeline(model=model(BertForSequenceClassification))


def test_a_model_for_another_task_is_refused():
    with pytest.raises(ValueError, match="BertModel is a model for feature-extraction, not for text-classification"):
        TextClassificationPipeline(model=model(BertModel), tokenizer=tokenizer())


@pytest.mark.parametrize("framework", ["pt", "tf", "flax"])
def test_other_frameworks_are_refused(framework):
    with pytest.raises(ValueError, match="framework="):
        TextClassificationPipeline(
            model=model(BertForSequenceClassification), tokenizer=tokenizer(), framework=framework
        )


def test_an_unknown_argument_of_a_task_is_an_error():
    with pytest.raises(TypeError, match="top_p"):
        FeatureExtractionPipeline(model=model(BertModel), tokenizer=tokenizer(), top_p=1)


def test_a_text_longer_than_the_model_says_what_to_do(classify):
    with pytest.raises(ValueError, match="truncation=True"):
        classify("good " * 100)
    assert classify("good " * 100, truncation=True, max_length=64)[0]["score"] > 0


def test_task_specific_params_of_the_config_are_used():
    classifier = model(
        BertForSequenceClassification, task_specific_params={"text-classification": {"problem_type": "regression"}}
    )
    TextClassificationPipeline(model=classifier, tokenizer=tokenizer(), task="text-classification")
    assert classifier.config.problem_type == "regression"


# -- a pipeline of one's own ------------------------------------------------------------------------------------------


class CountTokens(Pipeline):
    """Counts in the model's place."""

    def _sanitize_parameters(self, add=None):
        return {}, {}, {} if add is None else {"add": add}

    def preprocess(self, input_):
        return self.tokenizer(input_, return_tensors="np")

    def _forward(self, model_inputs):
        return {"count": model_inputs["attention_mask"].sum(axis=1)}

    def postprocess(self, model_outputs, add=0):
        return int(model_outputs["count"][0]) + add


class CountInHalves(ChunkPipeline):
    """Sees each text in two parts of different lengths."""

    def _sanitize_parameters(self):
        return {}, {}, {}

    def preprocess(self, input_):
        words = input_.split()
        for part in (words[:1], words[1:]):
            yield {**self.tokenizer(" ".join(part), return_tensors="np"), "words": part}

    def _forward(self, model_inputs):
        return {"count": model_inputs["attention_mask"].sum(axis=1), "words": model_inputs["words"]}

    def postprocess(self, model_outputs):
        return [(int(output["count"][0]), output["words"]) for output in model_outputs]


def test_a_pipeline_of_ones_own(tmp_path):
    pipe = CountTokens(model=model(BertModel), tokenizer=tokenizer(), add=10)
    assert pipe(["good", "a good film"]) == [13, 15]
    assert pipe(["good", "a good film"], add=0, batch_size=2) == [3, 5]
    pipe.save_pretrained(tmp_path)
    PIPELINE_REGISTRY.register_pipeline("count-tokens", CountTokens, BertModel)
    try:
        assert pipeline("count-tokens", model=str(tmp_path))("bad !") == 4
    finally:
        del PIPELINE_REGISTRY.tasks["count-tokens"]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 10])
def test_parts_of_one_input_stay_together_across_batches(batch_size):
    pipe = CountInHalves(model=model(BertModel), tokenizer=tokenizer())
    expected = [[(3, ["good"]), (4, ["film", "!"])], [(3, ["bad"]), (2, [])], [(3, ["a"]), (5, ["man", "in", "york"])]]
    assert pipe(["good film !", "bad", "a man in york"], batch_size=batch_size) == expected


# -- batches ----------------------------------------------------------------------------------------------------------


def test_join_pads_each_array_with_its_own_value():
    def row(length):
        ones = np.ones((1, length), dtype=np.int64)
        names = ("input_ids", "attention_mask", "token_type_ids", "special_tokens_mask", "p_mask")
        return {**dict.fromkeys(names, 7 * ones), "offset_mapping": np.ones((1, length, 2), int), "text": length}

    batch = join([row(1), row(3)], tokenizer())
    padding = {name: value[0, -1] for name, value in batch.items() if isinstance(value, np.ndarray) and value.ndim == 2}
    assert padding == {
        "input_ids": 0, "attention_mask": 0, "token_type_ids": 0, "special_tokens_mask": 1, "p_mask": 1,
    }  # fmt: skip
    assert batch["offset_mapping"].tolist()[0] == [[1, 1], [0, 0], [0, 0]]
    assert batch["text"] == [1, 3]


def test_join_without_a_padding_token():
    rows = [{"input_ids": np.ones((1, length), int)} for length in (2, 3)]
    without = tokenizer()
    without.pad_token = None
    with pytest.raises(ValueError, match="no padding token"):
        join(rows, without)
    assert join(rows[:1] * 2, without)["input_ids"].shape == (2, 2)


def test_split_gives_each_row_the_kind_of_output_it_came_in():
    output = BaseModelOutput(
        last_hidden_state=np.arange(8).reshape(2, 2, 2), hidden_states=(np.zeros((2, 1)), np.ones((2, 1)))
    )
    first, second = split({"output": output, "texts": ["a", "b"], "nothing": None}, 2)
    assert isinstance(second["output"], BaseModelOutput)
    assert second["output"].last_hidden_state.tolist() == [[[4, 5], [6, 7]]]
    assert [state.shape for state in first["output"].hidden_states] == [(1, 1), (1, 1)]
    assert (first["texts"], second["texts"], second["nothing"]) == ("a", "b", None)

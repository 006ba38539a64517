"""pipeline(...): which class, which model, which tokenizer."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from edutransformers import (
    BertForMaskedLM,
    BertForNextSentencePrediction,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    BertTokenizer,
    pipeline,
)
from edutransformers.checkpoints import CheckpointNotFoundError, packaged
from edutransformers.pipelines import (
    PIPELINE_REGISTRY,
    FeatureExtractionPipeline,
    FillMaskPipeline,
    NerPipeline,
    QuestionAnsweringPipeline,
    TextClassificationPipeline,
    TokenClassificationPipeline,
    get_supported_tasks,
)

from .tiny import WORDS, assert_same_results, model, saved, tokenizer

TASKS = [
    ("text-classification", TextClassificationPipeline, BertForSequenceClassification),
    ("sentiment-analysis", TextClassificationPipeline, BertForSequenceClassification),
    ("fill-mask", FillMaskPipeline, BertForMaskedLM),
    ("token-classification", TokenClassificationPipeline, BertForTokenClassification),
    ("ner", NerPipeline, BertForTokenClassification),
    ("question-answering", QuestionAnsweringPipeline, BertForQuestionAnswering),
    ("feature-extraction", FeatureExtractionPipeline, BertModel),
]


@pytest.mark.parametrize(("task", "pipeline_class", "model_class"), TASKS)
def test_a_task_has_its_pipeline_and_its_kind_of_model(task, pipeline_class, model_class, tmp_path):
    folder = saved(tmp_path, model_class)
    pipe = pipeline(task, model=folder)
    assert type(pipe) is pipeline_class
    assert type(pipe.model) is model_class
    assert not pipe.model.training
    assert pipe.tokenizer.get_vocab() == tokenizer().get_vocab()
    assert pipe.task == {"sentiment-analysis": "text-classification", "ner": "token-classification"}.get(task, task)


@pytest.mark.parametrize(("task", "pipeline_class", "model_class"), TASKS)
def test_the_task_follows_from_the_model(task, pipeline_class, model_class, tmp_path):
    assert type(pipeline(model=saved(tmp_path, model_class))) is pipeline_class
    assert type(pipeline(model=model(model_class), tokenizer=tokenizer())) is pipeline_class


def test_a_checkpoint_of_pre_training_is_for_fill_mask(tmp_path):
    pipe = pipeline(model=saved(tmp_path, BertForPreTraining))
    assert type(pipe.model) is BertForMaskedLM
    whole = pipeline("fill-mask", model=model(BertForPreTraining), tokenizer=tokenizer())
    assert_same_results(pipe("a [MASK] film"), whole("a [MASK] film"))


def test_a_model_whose_task_cannot_be_told(tmp_path):
    with pytest.raises(RuntimeError, match="BertForNextSentencePrediction; pass task="):
        pipeline(model=saved(tmp_path, BertForNextSentencePrediction))
    config = json.loads((tmp_path / "config.json").read_text())
    del config["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RuntimeError, match="names no architectures; pass task="):
        pipeline(model=str(tmp_path))


def test_objects_and_names_mix(tmp_path):
    folder = saved(tmp_path, BertForSequenceClassification, num_labels=3)
    by_name = pipeline("sentiment-analysis", model=folder)
    expected = by_name("the film is good")
    own = BertForSequenceClassification.from_pretrained(folder)
    assert pipeline("sentiment-analysis", model=own, tokenizer=folder)("the film is good") == expected
    assert pipeline("sentiment-analysis", model=folder, tokenizer=tokenizer())("the film is good") == expected
    assert pipeline("sentiment-analysis", model=tmp_path, config=folder)("the film is good") == expected
    assert pipeline("sentiment-analysis", model=tmp_path, config=own.config)("the film is good") == expected


def test_a_tokenizer_with_arguments(tmp_path):
    folder = saved(tmp_path, BertModel)
    pipe = pipeline("feature-extraction", model=folder, tokenizer=(folder, {"model_max_length": 7, "use_fast": False}))
    assert pipe.tokenizer.model_max_length == 7
    assert type(pipe.tokenizer) is BertTokenizer


def test_arguments_for_the_model_and_the_pipeline(tmp_path):
    folder = saved(tmp_path, BertForSequenceClassification)
    labels = {0: "BAD", 1: "GOOD"}
    pipe = pipeline("text-classification", model=folder, model_kwargs={"id2label": labels}, top_k=None, device=-1)
    assert {result["label"] for result in pipe("good")[0]} == {"BAD", "GOOD"}
    assert pipe.device == "cpu"


def test_a_pipeline_class_of_ones_own(tmp_path):
    class Shouting(TextClassificationPipeline):
        def postprocess(self, model_outputs, **parameters):
            return super().postprocess(model_outputs, **parameters)["label"].upper() + "!"

    pipe = pipeline(
        "text-classification", model=saved(tmp_path, BertForSequenceClassification), pipeline_class=Shouting
    )
    assert pipe(["good"]) in (["LABEL_0!"], ["LABEL_1!"])


def test_saved_and_loaded_again(tmp_path):
    pipe = pipeline("text-classification", model=saved(tmp_path / "a", BertForSequenceClassification))
    pipe.save_pretrained(tmp_path / "b")
    assert pipeline(model=tmp_path / "b")("good") == pipe("good")


def test_sentiment_analysis_uses_the_shipped_checkpoint(tmp_path, monkeypatch):
    labels = {0: "NEGATIVE", 1: "POSITIVE"}
    expected = pipeline(model=saved(tmp_path / "bert-small-imdb", BertForSequenceClassification, id2label=labels))
    monkeypatch.setattr(packaged, "SHIPPED_FOLDER", tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for task in ("sentiment-analysis", "text-classification"):
        assert PIPELINE_REGISTRY.check_task(task)[1].default == "edutransformers/bert-small-imdb"
        assert pipeline(task)("a good film") == expected("a good film")


@pytest.mark.parametrize("task", ["fill-mask", "ner", "question-answering", "feature-extraction"])
def test_tasks_without_a_default_ask_for_a_model(task):
    with pytest.raises(ValueError, match=f"no checkpoint for {task} comes with edutransformers; pass model="):
        pipeline(task)


def test_an_unknown_task_lists_the_known_ones():
    with pytest.raises(
        KeyError, match="Unknown task 'sentiment', available tasks are audio-classification, automatic-speech-recog"
    ):
        pipeline("sentiment")
    others = ["text-generation", "image-classification", "automatic-speech-recognition", "audio-classification"]
    assert get_supported_tasks() == sorted([*(task for task, _, _ in TASKS), *others])


def test_an_unknown_model_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointNotFoundError, match="no-such-model"):
        pipeline("fill-mask", model="no-such-model")
    with pytest.raises(CheckpointNotFoundError, match="there is no folder"):
        pipeline("fill-mask", model=tmp_path / "nothing")


def test_an_unknown_architecture_lists_the_known_ones(tmp_path):
    saved(tmp_path, BertModel)
    (tmp_path / "config.json").write_text('{"model_type": "unheard-of"}')
    with pytest.raises(ValueError, match="model type 'unheard-of' is not one of those that exist here: .*bert"):
        pipeline("fill-mask", model=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, RuntimeError, "a task, a model, or both"),
        ({"task": "fill-mask", "tokenizer": "somewhere"}, RuntimeError, "got a tokenizer .* but no model"),
        ({"task": "fill-mask", "framework": "pt"}, ValueError, "framework='pt'"),
        ({"task": "fill-mask", "device": "cpu", "device_map": "auto"}, ValueError, "only device"),
        ({"task": "fill-mask", "dtype": "float16", "torch_dtype": "float64"}, ValueError, "only dtype"),
        ({"task": "fill-mask", "dtype": "float16", "model_kwargs": {"dtype": "float64"}}, ValueError, "only dtype"),
    ],
)
def test_contradictions(arguments, error, message):
    with pytest.raises(error, match=message):
        pipeline(**arguments)


def test_the_number_type_of_a_model_object():
    pipe = pipeline(model=model(BertModel), tokenizer=tokenizer(), torch_dtype=np.float64, dtype="float64")
    assert pipe("good", return_tensors=True).dtype == np.float64
    with pytest.raises(ValueError, match="bfloat16"):
        pipeline(model=model(BertModel), tokenizer=tokenizer(), dtype="bfloat16")


def test_a_model_object_needs_its_tokenizer():
    with pytest.raises(ValueError, match="pass tokenizer="):
        pipeline("fill-mask", model=model(BertForMaskedLM))


def test_the_callers_model_kwargs_stay_as_they_are(tmp_path):
    given = {"torch_dtype": "float64"}
    pipe = pipeline("feature-extraction", model=saved(tmp_path, BertModel), model_kwargs=given)
    assert pipe.model.dtype == "float64"
    assert given == {"torch_dtype": "float64"}


def test_asking_for_one_task_imports_that_task_alone():
    code = (
        "import sys; from edutransformers.pipelines import TextClassificationPipeline; "
        "print([m for m in sys.modules if m.startswith('edutransformers.') and ('models.bert' in m or 'mask' in m)])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.strip() == "[]"


def test_the_vocabulary_of_these_tests_has_no_word_twice():
    assert len(set(WORDS)) == len(WORDS)

"""Every task on a GPU, by the strict double of CuPy: results in host memory, equal to those of the CPU."""

import json

import pytest

from edutransformers import (
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    pipeline,
)

from .tiny import assert_same_results, model, tokenizer

PAIRS = [
    {"question": "who", "context": "a very good man in new york"},
    {"question": "where is the man", "context": "wolfgang is in berlin"},
]
CASES = {
    "text-classification": (BertForSequenceClassification, ["good", "a bad film"], {"top_k": None}),
    "fill-mask": (BertForMaskedLM, ["a [MASK] film", "[MASK] of [MASK]"], {"targets": ["good", "bad"]}),
    "token-classification": (BertForTokenClassification, ["playing", "new york"], {"aggregation_strategy": "average"}),
    "question-answering": (BertForQuestionAnswering, PAIRS, {"top_k": 2, "max_seq_len": 12, "doc_stride": 1}),
    "feature-extraction": (BertModel, ["good", "a bad film"], {}),
}


@pytest.mark.parametrize("task", CASES)
def test_the_same_on_a_gpu(task, fake_cupy):
    model_class, inputs, options = CASES[task]
    expected = pipeline(task, model=model(model_class), tokenizer=tokenizer())(inputs, **options)
    pipe = pipeline(task, model=model(model_class), tokenizer=tokenizer(), device="cuda")
    assert isinstance(next(pipe.model.parameters()).data, fake_cupy.ndarray)
    for batch_size in (1, 2):
        results = pipe(inputs, batch_size=batch_size, **options)
        assert_same_results(results, expected)
        json.dumps(results)  # plain Python numbers throughout

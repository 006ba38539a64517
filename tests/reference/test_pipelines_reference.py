"""Pipelines against the original's: one saved folder, loaded by both, the same calls, the same results.

Scores agree to 1e-5; labels, words and character spans exactly. transformers 5.x has no question answering any more and
lacks some older arguments: those are compared with 4.34.1, in its own environment:  pytest tests/reference -m legacy
"""

import warnings

import numpy as np
import pytest

from edutransformers import (
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    pipeline,
)
from tests.pipelines.tiny import IDS, assert_same_results, model, saved, tokenizer

from .common import MAJOR, transformers

reference = [pytest.mark.reference, pytest.mark.skipif(MAJOR < 5, reason="needs transformers 5.x")]
legacy = [pytest.mark.legacy, pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1")]

LABELS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
TEXTS = [
    "the film is good",
    "Microsoft company was in New York, and Sarah and Wolfgang live in Berlin!",
    "bad",
    "",
    "  a  naïve Zoé's\ttext , unknown WORDS ? [SEP] playing very",
    "mankind players 'good' 你好 man",
]
MASKED = ["the [MASK] is good", "[MASK]", "a very [MASK] Story [MASK] of New [MASK] !"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder for each kind of model."""
    options = {"model_max_length": 24}
    fields = {
        BertForSequenceClassification: {"num_labels": 3, "id2label": {0: "BAD", 1: "FAIR", 2: "GOOD"}},
        BertForTokenClassification: {"id2label": LABELS},
    }
    kinds = (
        BertForSequenceClassification,
        BertForMaskedLM,
        BertForTokenClassification,
        BertForQuestionAnswering,
        BertModel,
    )
    return {
        kind: saved(
            tmp_path_factory.mktemp(kind.__name__), kind, seed=7, tokenizer_options=options, **fields.get(kind, {})
        )
        for kind in kinds
    }


def both(task, folder, **options):
    """(ours, the original's) of one folder."""
    options_of_theirs = {} if MAJOR >= 5 else {"framework": "pt"}
    return pipeline(task, model=folder, **options), transformers.pipeline(
        task, model=folder, device="cpu", **options_of_theirs, **options
    )


def compare(pipelines, *inputs, tolerance=1e-5, **options):
    ours, theirs = pipelines
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine, expected = ours(*inputs, **options), theirs(*inputs, **options)
    assert_same_results(mine, expected, tolerance)
    return mine


# -- text classification ----------------------------------------------------------------------------------------------

CLASSIFICATION = [
    {},
    {"top_k": None},
    {"top_k": 1},
    {"top_k": 2},
    {"function_to_apply": "none"},
    {"function_to_apply": "sigmoid", "top_k": None},
    {"function_to_apply": "softmax"},
]


def check_text_classification(folders):
    pipelines = both("text-classification", folders[BertForSequenceClassification])
    for options in CLASSIFICATION:
        for text in TEXTS:
            compare(pipelines, text, **options)
        compare(pipelines, TEXTS, **options)
        compare(pipelines, TEXTS, batch_size=3, **options)
        compare(pipelines, {"text": "good film", "text_pair": "bad story"}, **options)
        compare(pipelines, [{"text": "good film", "text_pair": "bad story"}, {"text": "man"}], **options)
        compare(pipelines, [[["good film", "bad story"]]], **options)
    compare(pipelines, "good " * 100, truncation=True)
    compare(pipelines, TEXTS, padding="max_length", max_length=20, truncation=True)
    by_constructor = both(
        "sentiment-analysis", folders[BertForSequenceClassification], top_k=2, function_to_apply="none"
    )
    compare(by_constructor, TEXTS[0])
    compare(by_constructor, TEXTS)


def check_problem_types(tmp_path, cases):
    for number, fields in enumerate(cases):
        folder = saved(tmp_path / str(number), BertForSequenceClassification, **fields)
        compare(both("text-classification", folder), TEXTS, top_k=None)


SEVERAL = [{"num_labels": 3, "problem_type": "multi_label_classification"}, {"num_labels": 1}, {"num_labels": 4}]
REGRESSION = {"num_labels": 1, "problem_type": "regression"}  # 4.34.1 puts a sigmoid over it, 5.x does not


# -- fill-mask --------------------------------------------------------------------------------------------------------


def check_fill_mask(folders):
    pipelines = both("fill-mask", folders[BertForMaskedLM])
    for options in ({}, {"top_k": 1}, {"top_k": 12}, {"targets": ["film", "good", "microsoft"]}, {"targets": "man"}):
        for text in MASKED:
            compare(pipelines, text, **options)
        compare(pipelines, MASKED, **options)
        compare(pipelines, MASKED, batch_size=2, **options)
        compare(pipelines, MASKED[:1], **options)
    compare(pipelines, "[MASK] " + "good " * 50, tokenizer_kwargs={"truncation": True})
    for pipe in pipelines:
        with pytest.raises(Exception, match=r"No mask_token \(\[MASK\]\) found on the input") as caught:
            pipe("no mask")
        assert type(caught.value).__name__ == "PipelineException"


# -- token classification ---------------------------------------------------------------------------------------------

STRATEGIES = ["none", "simple", "first", "average", "max"]
LONG = " ".join(TEXTS[1] for _ in range(4))


def check_token_classification(folders, strategy, tmp_path):
    other = saved(
        tmp_path, BertForTokenClassification, seed=2, tokenizer_options={"model_max_length": 24}, id2label=LABELS
    )
    for folder in (folders[BertForTokenClassification], other):  # the second says "B-…" for many a neighbour of a "B-…"
        check_entities(folder, strategy)


def check_entities(folder, strategy):
    for ignored in (None, [], ["O", "PER", "B-LOC"]):
        options = {"aggregation_strategy": strategy}
        if ignored is not None:
            options["ignore_labels"] = ignored
        pipelines = both("token-classification", folder, **options)
        found = [compare(pipelines, text) for text in TEXTS]
        assert sum(map(len, found)) > 5
        compare(pipelines, TEXTS)
        compare(pipelines, TEXTS, batch_size=3)
        compare(pipelines, LONG)
        if strategy != "none":
            for stride in (0, 3, 10):
                compare(pipelines, LONG, stride=stride)
                compare(pipelines, [LONG, TEXTS[0], LONG + " man"], stride=stride, batch_size=2)


# -- feature extraction -----------------------------------------------------------------------------------------------


def check_feature_extraction(folders):
    pipelines = both("feature-extraction", folders[BertModel])
    for text in TEXTS:
        compare(pipelines, text)
    compare(pipelines, TEXTS)
    compare(pipelines, "good " * 100, truncation=True)
    compare(pipelines, "good", tokenize_kwargs={"padding": "max_length", "max_length": 9})
    ours, theirs = pipelines
    expected = theirs(TEXTS[0], return_tensors=True).numpy()
    np.testing.assert_allclose(ours(TEXTS[0], return_tensors=True), expected, atol=1e-5)


# -- question answering -----------------------------------------------------------------------------------------------

CONTEXTS = [TEXTS[1], TEXTS[4], TEXTS[5], LONG]
QUESTIONS = ["where is the man", "Who?", "what is my name, Sarah"]
ANSWERING = [
    {},
    {"top_k": 3},
    {"align_to_words": False, "top_k": 2},
    {"max_answer_len": 1},
    {"max_answer_len": 4, "top_k": 2},
    {"handle_impossible_answer": True},
    {"handle_impossible_answer": True, "top_k": 4},
    {"max_seq_len": 20, "doc_stride": 6},
    {"max_seq_len": 18, "doc_stride": 2, "top_k": 3},
    {"padding": "max_length"},
]


def check_question_answering(folders):
    pipelines = both("question-answering", folders[BertForQuestionAnswering])
    for options in ANSWERING:
        for context in CONTEXTS:
            for question in QUESTIONS:
                compare(pipelines, question=question, context=context, **options)
        pairs = [{"question": question, "context": context} for question in QUESTIONS for context in CONTEXTS]
        compare(pipelines, pairs, **options)
        compare(pipelines, pairs, batch_size=4, **options)
    compare(pipelines, QUESTIONS[0], CONTEXTS[0])
    compare(pipelines, pairs[0])
    compare(pipelines, X=pairs)
    compare(pipelines, data=pairs[:1])
    compare(pipelines, question=QUESTIONS, context=CONTEXTS[0])
    compare(pipelines, question=QUESTIONS[:2], context=CONTEXTS[:2])
    compare(pipelines, question=QUESTIONS[0], context=CONTEXTS[0], topk=2)


def check_no_answer(folder):
    """A model without layers whose head likes [CLS], so that "no answer" is among the best answers of every window."""
    likes_cls = model(BertForQuestionAnswering, seed=7, num_hidden_layers=0)
    words = likes_cls.bert.embeddings.word_embeddings.weight.data
    words[IDS["[CLS]"]] = 5 * likes_cls.head.weight.data.sum(axis=0)
    likes_cls.save_pretrained(folder)
    tokenizer(model_max_length=24).save_pretrained(folder)
    pipelines = both("question-answering", str(folder))
    for question in QUESTIONS:
        for options in ({}, {"max_seq_len": 20, "doc_stride": 6}):
            asked = {"question": question, "context": LONG, "handle_impossible_answer": True, **options}
            answers = compare(pipelines, top_k=8, **asked)
            assert "" in [answer["answer"] for answer in answers]
            compare(pipelines, **asked)


@pytest.mark.filterwarnings("ignore")
class Same:
    """What both versions of the original have."""

    def test_text_classification(self, folders):
        check_text_classification(folders)

    def test_functions_by_problem_type(self, tmp_path):
        check_problem_types(tmp_path, SEVERAL + ([REGRESSION] if MAJOR >= 5 else []))

    def test_fill_mask(self, folders):
        check_fill_mask(folders)

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_token_classification(self, folders, strategy, tmp_path):
        check_token_classification(folders, strategy, tmp_path)

    def test_feature_extraction(self, folders):
        check_feature_extraction(folders)

    def test_auto_classes(self, folders):
        import edutransformers

        for kind, folder in folders.items():
            for name in (
                "AutoModel",
                "AutoModelForSequenceClassification",
                "AutoModelForQuestionAnswering",
                "AutoConfig",
            ):
                ours = getattr(edutransformers, name).from_pretrained(folder)
                theirs = getattr(transformers, name).from_pretrained(folder)
                assert type(ours).__name__ == type(theirs).__name__, (kind, name)
            ours = edutransformers.AutoTokenizer.from_pretrained(folder)
            theirs = transformers.AutoTokenizer.from_pretrained(folder)
            assert ours(TEXTS)["input_ids"] == theirs(TEXTS)["input_ids"]


class TestReference(Same):
    pytestmark = reference


class TestLegacy(Same):
    pytestmark = legacy

    def test_question_answering(self, folders):
        check_question_answering(folders)

    def test_no_answer_in_windows(self, tmp_path):
        check_no_answer(tmp_path)

    def test_return_all_scores(self, folders):
        pipelines = both("text-classification", folders[BertForSequenceClassification])
        for value in (True, False):
            compare(pipelines, TEXTS, return_all_scores=value)
            compare(pipelines, TEXTS[0], return_all_scores=value)

    def test_grouped_entities(self, folders):
        pipelines = both("ner", folders[BertForTokenClassification])
        for grouped in (True, False):
            compare(pipelines, TEXTS, grouped_entities=grouped)
            compare(pipelines, TEXTS, grouped_entities=grouped, ignore_subwords=True)

    def test_offsets_of_ones_own(self, folders):
        pipelines = both("ner", folders[BertForTokenClassification], ignore_labels=[])
        compare(pipelines, "film", offset_mapping=[(0, 0), (1, 3), (0, 0)])

"""Question answering: spans against sums by brute force, long contexts, every way to ask."""

import numpy as np
import pytest

from edutransformers import BertForQuestionAnswering
from edutransformers.pipelines import QuestionAnsweringArgumentHandler, QuestionAnsweringPipeline
from edutransformers.pipelines.question_answering import QuestionAnsweringExample
from edutransformers.pipelines.spans import CONTEXT, ELSEWHERE, NO_ANSWER, best_spans

from .tiny import SpanByToken, assert_same_results, by_token, model, tokenizer

QUESTION = "where is the man"
CONTEXT_TEXT = "My name is Wolfgang,  and I live in Berlin !"


@pytest.fixture(scope="module")
def answer():
    return QuestionAnsweringPipeline(model=model(BertForQuestionAnswering), tokenizer=tokenizer(model_max_length=64))


def pointing_to(words, **options):
    """A pipeline whose model points at given words: {word: (start logit, end logit)}."""
    return QuestionAnsweringPipeline(
        model=by_token(SpanByToken, words, 2), tokenizer=tokenizer(model_max_length=64, **options)
    )


def softmax(x):
    x = np.asarray(x, dtype=float)
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


# -- spans ------------------------------------------------------------------------------------------------------------


def brute_force(start, end, p_mask, attention, max_answer_len):
    """All spans by two loops: {(first, last): probability}."""
    part = [i for i in range(len(start)) if p_mask[i] != ELSEWHERE and attention[i]]
    p_start, p_end = dict(zip(part, softmax(start[part]))), dict(zip(part, softmax(end[part])))
    inside = [i for i in part if p_mask[i] == CONTEXT]
    return (
        {(i, j): p_start[i] * p_end[j] for i in inside for j in inside if i <= j < i + max_answer_len},
        p_start,
        p_end,
    )


@pytest.mark.parametrize("max_answer_len", [1, 3, 100])
@pytest.mark.parametrize("top_k", [1, 4, 1000])
def test_the_best_spans_are_those_of_two_loops(rng, top_k, max_answer_len):
    p_mask = np.array([NO_ANSWER, ELSEWHERE, ELSEWHERE, *[CONTEXT] * 9, ELSEWHERE, CONTEXT])
    attention = np.array([1] * 13 + [0])
    start, end = rng.standard_normal((2, 14)) * 3
    expected, p_start, p_end = brute_force(start, end, p_mask, attention, max_answer_len)
    spans, no_answer = best_spans(start, end, p_mask, attention, top_k, max_answer_len)
    ranked = sorted(expected, key=expected.get, reverse=True)[:top_k]
    assert [(span.first, span.last) for span in spans] == ranked
    np.testing.assert_allclose([span.score for span in spans], [expected[span] for span in ranked], rtol=1e-12)
    assert no_answer == pytest.approx(p_start[0] * p_end[0], rel=1e-12)


def test_a_window_without_context_has_no_span():
    spans, no_answer = best_spans(np.zeros(3), np.zeros(3), [NO_ANSWER, ELSEWHERE, ELSEWHERE], None, 1, 15)
    assert spans == []
    assert no_answer == 1.0


def test_scores_stay_in_float32():
    start = np.zeros(4, dtype=np.float32)
    spans, _ = best_spans(start, start, [CONTEXT] * 4, None, 1, 15)
    assert spans[0].score == 1 / 16


# -- answers ----------------------------------------------------------------------------------------------------------


def test_the_answer_of_a_real_model_is_the_best_of_all_spans(answer):
    inputs = answer.tokenizer(QUESTION, CONTEXT_TEXT, return_tensors="np")
    output = answer.model(**inputs)
    p_mask = np.where(inputs["token_type_ids"][0] == 1, CONTEXT, ELSEWHERE)
    p_mask[-1], p_mask[0] = ELSEWHERE, NO_ANSWER
    start, end = output.start_logits[0].astype(float), output.end_logits[0].astype(float)
    scores, _, _ = brute_force(start, end, p_mask, np.ones(len(start)), 15)
    ranked = sorted(scores, key=scores.get, reverse=True)[:3]
    results = answer(question=QUESTION, context=CONTEXT_TEXT, top_k=3, align_to_words=False)
    for result, (first, last) in zip(results, ranked, strict=True):
        begin, finish = inputs.encodings[0].offsets[first][0], inputs.encodings[0].offsets[last][1]
        assert result == {
            "score": pytest.approx(scores[first, last], abs=1e-6),
            "start": begin,
            "end": finish,
            "answer": CONTEXT_TEXT[begin:finish],
        }


def test_the_answer_as_it_was_written():
    pipe = pointing_to({"wolfgang": (5, 0), "live": (0, 5)})
    assert pipe(question=QUESTION, context=CONTEXT_TEXT)["answer"] == "Wolfgang,  and I live"
    one = pointing_to({"berlin": (5, 5)})(question=QUESTION, context=CONTEXT_TEXT)
    assert (one["start"], one["end"], one["answer"]) == (36, 42, "Berlin")
    # Of the softmax: [CLS] and the context's 11 tokens, all but one with the logit 0.
    assert one["score"] == pytest.approx((np.exp(5) / (np.exp(5) + 11)) ** 2, abs=1e-6)


def test_whole_words():
    pipe = pointing_to({"##soft": (5, 0), "com": (0, 5)})
    context = "a Microsoft company in Paris"
    assert pipe(question=QUESTION, context=context)["answer"] == "Microsoft company"
    assert pipe(question=QUESTION, context=context, align_to_words=False)["answer"] == "soft com"


def test_longest_answer():
    pipe = pointing_to({"wolfgang": (5, 0), "berlin": (0, 5)})
    assert pipe(question=QUESTION, context=CONTEXT_TEXT)["answer"] == "Wolfgang,  and I live in Berlin"
    best_of_short = pipe(question=QUESTION, context=CONTEXT_TEXT, max_answer_len=3)
    assert best_of_short["answer"] in (
        "Wolfgang",
        "Wolfgang,",
        "Wolfgang,  and",
        "Berlin",
        "in Berlin",
        "live in Berlin",
    )


def test_top_k(answer):
    several = answer(question=QUESTION, context=CONTEXT_TEXT, top_k=4)
    assert len(several) == 4
    assert [a["score"] for a in several] == sorted((a["score"] for a in several), reverse=True)
    assert answer(question=QUESTION, context=CONTEXT_TEXT) == several[0]
    with pytest.warns(UserWarning, match="topk is deprecated"):
        assert answer(question=QUESTION, context=CONTEXT_TEXT, topk=4) == several
    # Two words make three spans: there are no more answers, and none is empty or runs backwards.
    few = answer(question=QUESTION, context="good film", top_k=50)
    assert sorted(a["answer"] for a in few) == ["film", "good", "good film"]


def test_no_answer():
    pipe = pointing_to({"[CLS]": (6, 6), "berlin": (5, 5)})
    assert pipe(question=QUESTION, context=CONTEXT_TEXT)["answer"] == "Berlin"
    total = np.exp(6) + np.exp(5) + 10
    none = pipe(question=QUESTION, context=CONTEXT_TEXT, handle_impossible_answer=True)
    assert none == {"score": pytest.approx((np.exp(6) / total) ** 2, abs=1e-6), "start": 0, "end": 0, "answer": ""}
    both = pipe(question=QUESTION, context=CONTEXT_TEXT, handle_impossible_answer=True, top_k=2)
    assert [a["answer"] for a in both] == ["", "Berlin"]


# -- long contexts ----------------------------------------------------------------------------------------------------

FILLER = "a film and a story of a man . " * 12
LONG = FILLER + "I live in Berlin . " + FILLER


@pytest.mark.parametrize("batch_size", [1, 3, 100])
@pytest.mark.parametrize("lengths", [{}, {"max_seq_len": 20, "doc_stride": 5}, {"max_seq_len": 30, "doc_stride": 22}])
def test_an_answer_far_behind_the_first_window(lengths, batch_size):
    pipe = pointing_to({"berlin": (8, 8)})
    result = pipe(question=QUESTION, context=LONG, batch_size=batch_size, **lengths)
    assert result["answer"] == "Berlin"
    assert LONG[result["start"] : result["end"]] == "Berlin"
    assert result["start"] == len(FILLER) + len("I live in ")


def test_an_answer_across_a_border_is_found_where_windows_overlap():
    pipe = pointing_to({"wolfgang": (8, 0), "live": (0, 8)})
    # 7 tokens of the question's side, 6 of the context a window: "wolfgang and i live" are tokens 4 to 7.
    context = "good film story man wolfgang and i live bad bad bad"
    apart = pipe(question="who who who who", context=context, max_seq_len=13, doc_stride=0)
    assert apart["answer"] != "wolfgang and i live"
    together = pipe(question="who who who who", context=context, max_seq_len=13, doc_stride=4)
    assert together["answer"] == "wolfgang and i live"


def test_no_answer_is_as_sure_as_the_least_sure_window():
    """One window holds the answer, so that "none" is unlikely there; the others don't count against it."""
    pipe = pointing_to({"[CLS]": (4, 4), "berlin": (8, 8)})
    asked = {"question": QUESTION, "context": LONG, "max_seq_len": 20, "doc_stride": 5}
    results = pipe(**asked, handle_impossible_answer=True, top_k=1000)
    none = next(result for result in results if result["answer"] == "")
    # In the window with Berlin: e⁸, [CLS] e⁴, and 12 other tokens of the context
    total = np.exp(8) + np.exp(4) + 12
    assert none["score"] == pytest.approx((np.exp(4) / total) ** 2, rel=1e-3)
    assert results[0]["answer"] == "Berlin"


def test_default_lengths():
    """At most 384 tokens, at most what the tokenizer allows; windows share half of that, at most 128."""
    pipe = pointing_to({})
    windows = list(pipe.preprocess({"question": QUESTION, "context": LONG}))
    assert {len(window["encoding"]) for window in windows[:-1]} == {64}
    first, second = (window["encoding"].offsets for window in windows[:2])
    shared = set(first[6:-1]) & set(second[6:-1])
    assert len(shared) == 32


def test_long_questions():
    pipe = pointing_to({"berlin": (5, 5)})
    question = "where is the man who is in the film"
    whole = next(iter(pipe.preprocess({"question": question, "context": "berlin"})))
    cut = next(iter(pipe.preprocess({"question": question, "context": "berlin"}, max_question_len=4)))
    assert whole["encoding"].tokens[1:10] == question.split()
    assert cut["encoding"].tokens == ["[CLS]", "where", "is", "the", "man", "[SEP]", "berlin", "[SEP]"]


def test_padding_to_a_length():
    pipe = pointing_to({"berlin": (5, 5)})
    plain = pipe(question=QUESTION, context=CONTEXT_TEXT)
    assert_same_results(pipe(question=QUESTION, context=CONTEXT_TEXT, padding="max_length"), plain, 1e-6)


def test_padding_on_the_left():
    """The context then stands first, and padding before it, which moves all tokens."""
    pipe = pointing_to({"berlin": (5, 5), "[CLS]": (1, 1)}, padding_side="left")
    asked = [{"question": QUESTION, "context": context} for context in (CONTEXT_TEXT, FILLER[:60] + CONTEXT_TEXT)]
    singly = [pipe(**pair) for pair in asked]
    assert [a["answer"] for a in singly] == ["Berlin", "Berlin"]
    assert_same_results(pipe(asked, batch_size=2), singly, 1e-6)
    assert_same_results(pipe(asked[0], padding="max_length"), singly[0], 1e-6)
    both = pipe(asked, batch_size=2, handle_impossible_answer=True, top_k=1000)
    for answers in both:
        none = [a for a in answers if a["answer"] == ""]
        assert len(none) == 1
        assert none[0]["score"] > 0


# -- ways to ask ------------------------------------------------------------------------------------------------------

PAIR = {"question": QUESTION, "context": CONTEXT_TEXT}


def test_one_question(answer):
    expected = answer(**PAIR)
    assert answer(QUESTION, CONTEXT_TEXT) == expected
    assert answer(PAIR) == expected
    assert answer([PAIR]) == expected
    assert answer(X=PAIR) == expected
    assert answer(data=[PAIR]) == expected
    assert answer(answer.create_sample(QUESTION, CONTEXT_TEXT)) == expected
    assert answer(question=[QUESTION], context=[CONTEXT_TEXT]) == expected


def test_several_questions(answer):
    other = {"question": "who", "context": "a very good man in new york"}
    expected = [answer(PAIR), answer(other)]
    assert_same_results(answer([PAIR, other]), expected, 1e-6)
    assert_same_results(answer(PAIR, other), expected, 1e-6)
    assert_same_results(answer([PAIR, other], batch_size=2), expected, 1e-6)
    assert_same_results(answer((PAIR, other)), expected, 1e-6)
    assert_same_results(answer(question=[QUESTION, "who"], context=[CONTEXT_TEXT, other["context"]]), expected, 1e-6)
    samples = answer.create_sample([QUESTION, "who"], [CONTEXT_TEXT, other["context"]])
    assert_same_results(answer(samples), expected, 1e-6)
    shared = answer(question=[QUESTION, "who"], context=CONTEXT_TEXT)
    assert_same_results(shared, [expected[0], answer("who", CONTEXT_TEXT)], 1e-6)


def test_a_generator_of_questions_is_lazy(answer):
    read = []

    def pairs():
        for pair in (PAIR, QuestionAnsweringExample(QUESTION, "berlin"), {"question": QUESTION}):
            read.append(pair)
            yield pair

    results = answer(pairs())
    assert_same_results(next(results), answer(PAIR), 1e-6)
    assert read == [PAIR]
    assert next(results)["answer"] == "berlin"
    with pytest.raises(KeyError, match="context is missing"):
        next(results)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "needs question= and context="),
        ({"question": QUESTION}, ValueError, "`context` cannot be None"),
        ({"question": None, "context": "x"}, ValueError, "`question` cannot be None"),
        ({"question": "", "context": "x"}, ValueError, "`question` cannot be empty"),
        ({"question": "x", "context": ""}, ValueError, "`context` cannot be empty"),
        ({"question": 5, "context": "x"}, ValueError, "`question` must be a str, not int"),
        ({"question": ["a"], "context": ["b", "c"]}, ValueError, "1 questions and 2 contexts"),
        ({"question": "x", "context": ["a", "b"]}, ValueError, "`context` must be a str, not list"),
        ({"data": {"question": "x"}}, KeyError, "context is missing"),
        ({"data": "x"}, ValueError, "can't find a question and a context in str"),
        ({"data": 7}, ValueError, "in int"),
        ({"data": ["x"]}, ValueError, "expected a dictionary"),
        ({**PAIR, "top_k": 0}, ValueError, "top_k is 0"),
        ({**PAIR, "max_answer_len": 0}, ValueError, "max_answer_len is 0"),
        ({**PAIR, "doc_stride": 21, "max_seq_len": 20}, ValueError, r"`doc_stride` \(21\) is larger"),
        ({**PAIR, "doc_stride": 10, "max_seq_len": 16}, ValueError, "stride=10 must be smaller"),
        ({**PAIR, "max_length": 5}, TypeError, "max_length"),
    ],
)
def test_what_can_be_wrong(answer, arguments, error, message):
    with pytest.raises(error, match=message):
        answer(**arguments)


def test_a_single_text_is_no_question(answer):
    with pytest.raises(ValueError, match="can't find a question"):
        answer("where is the man")


def test_the_handler_alone():
    handle = QuestionAnsweringArgumentHandler()
    assert handle("q", "c") == [QuestionAnsweringExample("q", "c")]
    generator = (pair for pair in [PAIR])
    assert handle(generator) is generator

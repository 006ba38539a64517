"""Token classification on texts: scores and spans from models whose logits are known, or the model's own."""

import numpy as np
import pytest

from edutransformers import BertForTokenClassification
from edutransformers.pipelines import AggregationStrategy, TokenClassificationPipeline

from .tiny import ByToken, assert_same_results, by_token, model, tokenizer

LABELS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
LOGITS = {
    "wolfgang": [0, 4, 0, 0, 0],
    "sarah": [0, 5, 0, 0, 0],
    "micro": [0, 0, 0, 3, 0],
    "##soft": [2, 0, 0, 0, 1],
    "new": [0, 0, 0, 6, 0],
    "york": [0, 0, 0, 1, 6],
    "[UNK]": [0, 7, 0, 0, 0],
}
STRATEGIES = ["none", "simple", "first", "average", "max"]


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def score(word, label):
    """The probability of a label; words without logits are [3, 0, 0, 0, 0]."""
    return pytest.approx(softmax(np.array(LOGITS.get(word, [3, 0, 0, 0, 0]), dtype=float))[label], abs=1e-6)


@pytest.fixture(scope="module")
def recognize():
    from .tiny import WORDS

    logits = {word: LOGITS.get(word, [3, 0, 0, 0, 0]) for word in WORDS}
    return TokenClassificationPipeline(
        model=by_token(ByToken, logits, 5, id2label=LABELS), tokenizer=tokenizer(model_max_length=12)
    )


TEXT = "My  name is Sarah, I live in NEW York!"


def test_each_token_by_itself(recognize):
    assert recognize(TEXT) == [
        {"entity": "B-PER", "score": score("sarah", 1), "index": 4, "word": "sarah", "start": 12, "end": 17},
        {"entity": "B-LOC", "score": score("new", 3), "index": 9, "word": "new", "start": 29, "end": 32},
        {"entity": "I-LOC", "score": score("york", 4), "index": 10, "word": "york", "start": 33, "end": 37},
    ]


def test_entities_with_their_characters(recognize):
    results = recognize(TEXT, aggregation_strategy="simple")
    mean = (softmax(np.array(LOGITS["new"], float))[3] + softmax(np.array(LOGITS["york"], float))[4]) / 2
    assert results == [
        {"entity_group": "PER", "score": score("sarah", 1), "word": "sarah", "start": 12, "end": 17},
        {"entity_group": "LOC", "score": pytest.approx(mean, abs=1e-6), "word": "new york", "start": 29, "end": 37},
    ]
    assert [TEXT[r["start"] : r["end"]] for r in results] == ["Sarah", "NEW York"]
    assert all(isinstance(r["score"], float) and isinstance(r["start"], int) for r in results)


def test_the_pieces_of_a_word_agree(recognize):
    first = recognize("Microsoft", aggregation_strategy="first")
    assert first == [{"entity_group": "LOC", "score": score("micro", 3), "word": "microsoft", "start": 0, "end": 9}]
    micro, soft = (softmax(np.array(LOGITS[word], float)) for word in ("micro", "##soft"))
    mean = (micro + soft) / 2
    assert mean.argmax() == 3
    average = recognize("Microsoft", aggregation_strategy="average")
    assert average[0]["score"] == pytest.approx(mean[3], abs=1e-6)
    assert micro.max() > soft.max()
    assert recognize("Microsoft", aggregation_strategy="max") == first
    assert recognize("Microsoft", aggregation_strategy="simple")[0]["word"] == "micro"


def test_ignored_labels(recognize):
    assert [r["entity"] for r in recognize(TEXT, ignore_labels=[])][:4] == ["O", "O", "O", "B-PER"]
    assert [r["word"] for r in recognize(TEXT, ignore_labels=["O", "B-PER"])] == ["new", "york"]
    by_group = recognize(TEXT, ignore_labels=["O", "LOC"], aggregation_strategy="simple")
    assert [r["word"] for r in by_group] == ["sarah"]
    # a label of a piece is not the name of a group
    assert len(recognize(TEXT, ignore_labels=["O", "B-PER"], aggregation_strategy="simple")) == 2


def test_an_unknown_word_is_given_as_it_was_written(recognize):
    assert recognize("Zoé live") == [
        {"entity": "B-PER", "score": score("[UNK]", 1), "index": 1, "word": "Zoé", "start": 0, "end": 3}
    ]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_empty_text_has_no_entities(recognize, strategy):
    assert recognize("", aggregation_strategy=strategy) == []
    assert recognize(["", TEXT], aggregation_strategy=strategy)[0] == []


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_batches_of_a_real_model(strategy, batch_size):
    pipe = TokenClassificationPipeline(
        model=model(BertForTokenClassification, id2label=LABELS), tokenizer=tokenizer(), ignore_labels=[]
    )
    texts = ["wolfgang playing", "microsoft company in berlin, new york and paris!", "a", ""]
    singly = [pipe(text, aggregation_strategy=strategy) for text in texts]
    assert len(singly[1]) > 1
    assert_same_results(pipe(texts, aggregation_strategy=strategy, batch_size=batch_size), singly, 1e-6)
    assert_same_results(list(pipe((t for t in texts), aggregation_strategy=strategy)), singly, 1e-6)


def test_the_scores_of_a_real_model():
    pipe = TokenClassificationPipeline(
        model=model(BertForTokenClassification, id2label=LABELS), tokenizer=tokenizer(), ignore_labels=[]
    )
    text = "microsoft in new york"
    logits = pipe.model(**tokenizer()(text, return_tensors="np")).logits[0, 1:-1].astype(float)
    for result, row in zip(pipe(text), logits, strict=True):
        assert result["entity"] == LABELS[int(row.argmax())]
        assert result["score"] == pytest.approx(softmax(row).max(), abs=1e-6)


# -- long texts -------------------------------------------------------------------------------------------------------

LONG = "a film in berlin and a film in paris and a film of Sarah in New York and a story"


def test_a_long_text_is_cut_off_without_a_stride(recognize):
    assert recognize(LONG) == []


@pytest.mark.parametrize("stride", [0, 1, 2, 5, 8])  # of ten tokens a window; no border falls into "New York"
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_long_text_is_read_in_windows(recognize, stride, batch_size):
    results = recognize(LONG, aggregation_strategy="simple", stride=stride, batch_size=batch_size)
    found = [(r["entity_group"], LONG[r["start"] : r["end"]]) for r in results]
    assert found == [("PER", "Sarah"), ("LOC", "New York")]


def test_a_name_at_the_border_of_windows_is_whole_where_they_overlap(recognize):
    text = "a film of a man in a film in New York"  # New is the tenth token
    apart = recognize(text, aggregation_strategy="simple", stride=0)
    assert [text[r["start"] : r["end"]] for r in apart] == ["New", "York"]
    together = recognize(text, aggregation_strategy="simple", stride=3)
    assert [text[r["start"] : r["end"]] for r in together] == ["New York"]


def test_short_and_long_texts_together(recognize):
    results = recognize([TEXT, LONG, ""], aggregation_strategy="simple", stride=3, batch_size=3)
    assert [[r["word"] for r in found] for found in results] == [["sarah", "new york"], ["sarah", "new york"], []]


def test_strides_that_make_no_sense(recognize):
    with pytest.raises(ValueError, match=r"stride is 12, but must be less than tokenizer.model_max_length, 12"):
        recognize(LONG, stride=12, aggregation_strategy="simple")
    with pytest.raises(ValueError, match="stride needs an aggregation_strategy other than 'none'"):
        recognize(LONG, stride=2, aggregation_strategy="none")


# -- other ways to call it --------------------------------------------------------------------------------------------


def test_the_older_arguments(recognize):
    with pytest.warns(UserWarning, match="aggregation_strategy='simple'"):
        assert recognize(TEXT, grouped_entities=True) == recognize(TEXT, aggregation_strategy="simple")
    with pytest.warns(UserWarning, match="aggregation_strategy='first'"):
        first = recognize("Microsoft", grouped_entities=True, ignore_subwords=True)
    assert first == recognize("Microsoft", aggregation_strategy=AggregationStrategy.FIRST)
    with pytest.warns(UserWarning, match="aggregation_strategy='none'"):
        assert recognize(TEXT, grouped_entities=False) == recognize(TEXT)


def test_offsets_of_ones_own(recognize):
    spans = [(0, 0), (3, 8), (0, 0)]
    assert recognize("sarah", offset_mapping=spans)[0]["start"] == 3
    both = recognize(["sarah", "sarah"], offset_mapping=[spans, [(0, 0), (1, 2), (0, 0)]])
    assert [(r[0]["start"], r[0]["end"]) for r in both] == [(3, 8), (1, 2)]
    with pytest.raises(ValueError, match="spans for 1 texts, but there are 2"):
        recognize(["sarah", "sarah"], offset_mapping=spans)
    with pytest.raises(ValueError, match="2 spans, but the text has 3 tokens"):
        recognize("sarah", offset_mapping=spans[:2])


def test_a_tuple_of_texts_is_a_list(recognize):
    assert recognize((TEXT, "")) == recognize([TEXT, ""])


@pytest.mark.parametrize("inputs", [None, [], (), 5, {"text": "a"}])
def test_no_input(recognize, inputs):
    with pytest.raises(ValueError, match="At least one input is required"):
        recognize(inputs)


def test_an_item_that_is_no_text(recognize):
    with pytest.raises(ValueError, match="got NoneType"):
        recognize([TEXT, None])


def test_an_unknown_strategy(recognize):
    with pytest.raises(ValueError, match="aggregation_strategy is 'median'"):
        recognize(TEXT, aggregation_strategy="median")


def test_a_tokenizer_that_does_not_mark_pieces_goes_by_blanks(recognize):
    plain = tokenizer()
    plain._engine.model.continuing_subword_prefix = ""
    pipe = TokenClassificationPipeline(model=recognize.model, tokenizer=plain)
    with pytest.warns(UserWarning, match="doesn't mark the pieces"):
        results = pipe("sarah.york", aggregation_strategy="first")
    assert [(r["start"], r["end"]) for r in results] == [(0, 10)]

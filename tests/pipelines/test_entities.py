"""The aggregation strategies on hand-made scores, every result worked out by hand."""

import numpy as np
import pytest

from edutransformers.pipelines.entities import (
    AggregationStrategy,
    Piece,
    aggregation_strategy_of,
    group,
    label_words,
    merge_windows,
    tag_of,
)

LABELS = {0: "O", 1: "B-ORG", 2: "I-ORG", 3: "B-LOC", 4: "I-LOC"}


def join(words):
    """Word pieces as WordPiece puts them together."""
    return " ".join(words).replace(" ##", "")


def piece(word, scores, start, index):
    length = len(word.removeprefix("##"))
    return Piece(word, np.array(scores), start, start + length, index, word.startswith("##"))


# "Microsoft opens in New York": the pieces of the first word disagree
PIECES = [
    piece("micro", [0.1, 0.5, 0.2, 0.1, 0.1], 0, 1),  #   B-ORG 0.5
    piece("##soft", [0.6, 0.1, 0.3, 0.0, 0.0], 5, 2),  #  O     0.6
    piece("opens", [0.9, 0.0, 0.1, 0.0, 0.0], 10, 3),  #  O     0.9
    piece("in", [0.7, 0.1, 0.1, 0.1, 0.0], 16, 4),  #     O     0.7
    piece("new", [0.1, 0.0, 0.0, 0.8, 0.1], 19, 5),  #    B-LOC 0.8
    piece("york", [0.0, 0.0, 0.0, 0.4, 0.6], 23, 6),  #   I-LOC 0.6
]


def entity(label, score, word, start, end):
    return {"entity_group": label, "score": pytest.approx(score), "word": word, "start": start, "end": end}


OPENS_IN = entity("O", 0.8, "opens in", 10, 18)  # mean of 0.9 and 0.7
NEW_YORK = entity("LOC", 0.7, "new york", 19, 27)  # mean of 0.8 and 0.6


def test_pieces_with_their_own_labels():
    assert PIECES[0].labelled(LABELS) == {
        "entity": "B-ORG", "score": 0.5, "index": 1, "word": "micro", "start": 0, "end": 5,
    }  # fmt: skip
    assert [p.labelled(LABELS)["entity"] for p in PIECES] == ["B-ORG", "O", "O", "O", "B-LOC", "I-LOC"]


def test_simple_groups_neighbours_of_one_label():
    assert group([p.labelled(LABELS) for p in PIECES], join) == [
        entity("ORG", 0.5, "micro", 0, 5),
        entity("O", (0.6 + 0.9 + 0.7) / 3, "##soft opens in", 5, 18),
        NEW_YORK,
    ]


def test_first_takes_the_label_of_the_first_piece():
    words = label_words(PIECES, AggregationStrategy.FIRST, LABELS, join)
    assert [word["entity"] for word in words] == ["B-ORG", "O", "O", "B-LOC", "I-LOC"]
    assert group(words, join) == [entity("ORG", 0.5, "microsoft", 0, 9), OPENS_IN, NEW_YORK]


def test_average_takes_the_label_of_the_mean_scores():
    # mean of micro and ##soft: O 0.35, B-ORG 0.3, I-ORG 0.25, B-LOC 0.05, I-LOC 0.05
    words = label_words(PIECES, AggregationStrategy.AVERAGE, LABELS, join)
    assert words[0] == {"entity": "O", "score": pytest.approx(0.35), "word": "microsoft", "start": 0, "end": 9}
    assert group(words, join) == [entity("O", (0.35 + 0.9 + 0.7) / 3, "microsoft opens in", 0, 18), NEW_YORK]


def test_max_takes_the_label_of_the_surest_piece():
    words = label_words(PIECES, AggregationStrategy.MAX, LABELS, join)
    assert words[0] == {"entity": "O", "score": pytest.approx(0.6), "word": "microsoft", "start": 0, "end": 9}
    assert group(words, join)[0] == entity("O", (0.6 + 0.9 + 0.7) / 3, "microsoft opens in", 0, 18)


def test_a_text_that_begins_within_a_word():
    words = label_words(PIECES[1:3], AggregationStrategy.FIRST, LABELS, join)
    assert [(word["word"], word["start"], word["end"]) for word in words] == [("##soft", 5, 9), ("opens", 10, 15)]


@pytest.mark.parametrize("strategy", ["first", "average", "max"])
def test_nothing_gives_nothing(strategy):
    assert group(label_words([], AggregationStrategy(strategy), LABELS, join), join) == []


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        (["B-A", "I-A", "I-A"], ["A:012"]),
        (["B-A", "B-A"], ["A:0", "A:1"]),  # each B begins an entity
        (["I-A", "I-A"], ["A:01"]),  # an I without its B begins one too
        (["I-A", "B-A"], ["A:0", "A:1"]),
        (["B-A", "I-B", "I-A"], ["A:0", "B:1", "A:2"]),
        (["B-A", "O", "I-A"], ["A:0", "O:1", "A:2"]),
        (["O", "O"], ["O:01"]),
        (["NOUN", "NOUN", "VERB"], ["NOUN:01", "VERB:2"]),  # labels without B and I go on
        (["B-work-of-art", "I-work-of-art"], ["work-of-art:01"]),  # only the first hyphen parts B from its kind
        (["B-A", "A"], ["A:01"]),
    ],
)
def test_where_entities_begin_and_end(labels, groups):
    entities = [{"entity": e, "score": 1.0, "word": str(i), "start": i, "end": i + 1} for i, e in enumerate(labels)]
    assert [f"{g['entity_group']}:{g['word'].replace(' ', '')}" for g in group(entities, join)] == groups


def test_tags():
    assert [tag_of(label) for label in ("B-ORG", "I-ORG", "O", "NOUN", "B-", "X-ORG")] == [
        (True, "ORG"), (False, "ORG"), (False, "O"), (False, "NOUN"), (True, ""), (False, "X-ORG"),
    ]  # fmt: skip


def span(start, end, score):
    return {"entity_group": "A", "score": score, "word": "", "start": start, "end": end}


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ([], []),
        ([span(0, 3, 0.9), span(3, 5, 0.8)], [0, 1]),  # side by side: both
        ([span(0, 3, 0.9), span(2, 6, 0.1)], [1]),  # the longer one
        ([span(0, 5, 0.1), span(2, 4, 0.9)], [0]),
        ([span(0, 3, 0.4), span(0, 3, 0.6)], [1]),  # the surer one
        ([span(0, 3, 0.6), span(0, 3, 0.4)], [0]),
        ([span(7, 9, 0.5), span(0, 2, 0.5)], [1, 0]),  # in the order of the text
        ([span(0, 4, 0.5), span(3, 8, 0.5), span(7, 9, 0.5)], [1]),
    ],
)
def test_entities_of_overlapping_windows(found, kept):
    assert merge_windows(found) == [found[index] for index in kept]


def test_strategies_by_name():
    assert aggregation_strategy_of("AVERAGE") is aggregation_strategy_of(AggregationStrategy.AVERAGE)
    with pytest.raises(ValueError, match="'median'; expected one of 'none', 'simple', 'first', 'average', 'max'"):
        aggregation_strategy_of("median")

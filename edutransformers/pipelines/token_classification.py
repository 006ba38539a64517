"""Token classification: a label for each token of a text, and from them the entities that the text names.

The model labels pieces of words ("ch ##loe"); people want words and names ("Chloe Martin", a person). How the labels of
pieces become those of words and names is the aggregation strategy, in entities.py.
"""

from __future__ import annotations

import warnings

import numpy as np

from ..functional.softmax import softmax
from .base import ChunkPipeline, is_dataset
from .entities import (
    WORD_STRATEGIES,
    AggregationStrategy,
    Piece,
    aggregation_strategy_of,
    group,
    label_words,
    merge_windows,
)


class TokenClassificationPipeline(ChunkPipeline):
    """
    >>> recognize = pipeline("ner", model=name, aggregation_strategy="simple")                     # doctest: +SKIP
    >>> recognize("I live in Berlin")                                                              # doctest: +SKIP
    [{'entity_group': 'LOC', 'score': 0.99, 'word': 'berlin', 'start': 10, 'end': 16}]

    aggregation_strategy   "none": each piece of a word with its own label. "simple": neighbours of one label become one
                           entity. "first", "average", "max": first the pieces of a word agree on one label (that of the
                           first piece, of the mean of their scores, of the piece that is surest), then as "simple"
    ignore_labels          labels to leave out (default ["O"])
    stride                 read texts that are longer than the model in windows that share this many tokens; otherwise
                           they are cut off
    offset_mapping         character spans of the tokens, in place of the tokenizer's
    grouped_entities, ignore_subwords   the older way: True and False say "simple", True and True "first"
    """

    needs = ("tokenizer",)

    def _sanitize_parameters(
        self,
        ignore_labels=None,
        grouped_entities=None,
        ignore_subwords=None,
        aggregation_strategy=None,
        offset_mapping=None,
        stride=None,
    ):
        preprocess, postprocess = {}, {}
        if offset_mapping is not None:
            preprocess["offset_mapping"] = offset_mapping
        if grouped_entities is not None or ignore_subwords is not None:
            aggregation_strategy = older_strategy(grouped_entities, ignore_subwords)
        if aggregation_strategy is not None:
            aggregation_strategy = aggregation_strategy_of(aggregation_strategy)
            postprocess["aggregation_strategy"] = aggregation_strategy
        if ignore_labels is not None:
            postprocess["ignore_labels"] = ignore_labels
        if stride is not None:
            if stride >= self.tokenizer.model_max_length:
                raise ValueError(
                    f"stride is {stride}, but must be less than tokenizer.model_max_length, "
                    f"{self.tokenizer.model_max_length} (and leave room for special tokens)"
                )
            if aggregation_strategy is AggregationStrategy.NONE:
                raise ValueError(
                    "stride needs an aggregation_strategy other than 'none', which says how overlapping windows become "
                    "one; use 'simple', for example"
                )
            preprocess["tokenizer_params"] = {"return_overflowing_tokens": True, "padding": True, "stride": stride}
        return preprocess, {}, postprocess

    def __call__(self, inputs, *args, **kwargs):
        """A text, a list or a dataset -> for each text a list of entities.

        {"entity", "score", "index", "word", "start", "end"} with the strategy "none",
        {"entity_group", "score", "word", "start", "end"} with all others; text[start:end] is the entity as written.
        """
        if isinstance(inputs, tuple):
            inputs = list(inputs)
        if not (isinstance(inputs, str) or is_dataset(inputs)) or (isinstance(inputs, list) and not inputs):
            raise ValueError(
                f"At least one input is required: a text (str) or several, not {type(inputs).__name__} "
                f"({str(inputs)[:40]})"
            )
        offsets = kwargs.pop("offset_mapping", None)
        if offsets:
            return self._with_offsets(inputs, offsets, args, kwargs)
        return super().__call__(inputs, *args, **kwargs)

    def _with_offsets(self, inputs, offsets, args, kwargs):
        """Each text with its own spans."""
        one = isinstance(inputs, str)
        texts = [inputs] if one else inputs
        if not isinstance(texts, list):
            raise ValueError("offset_mapping needs a text or a list of texts, so that each has its spans")
        if isinstance(offsets[0], tuple):
            offsets = [offsets]
        if len(offsets) != len(texts):
            raise ValueError(f"offset_mapping has spans for {len(offsets)} texts, but there are {len(texts)}")
        call = super().__call__
        results = [call(text, *args, offset_mapping=spans, **kwargs) for text, spans in zip(texts, offsets)]
        return results[0] if one else results

    def preprocess(self, sentence, offset_mapping=None, tokenizer_params=None):
        self.check_text(sentence)
        inputs = self.tokenizer(
            sentence,
            return_tensors="np",
            truncation=bool(self.tokenizer.model_max_length > 0),
            return_special_tokens_mask=True,
            return_offsets_mapping=True,
            **(tokenizer_params or {}),
        )
        inputs.pop("overflow_to_sample_mapping", None)
        windows = len(inputs["input_ids"])
        if offset_mapping is not None:
            if windows > 1 or len(offset_mapping) != inputs["input_ids"].shape[1]:
                raise ValueError(
                    f"offset_mapping has {len(offset_mapping)} spans, but the text has {inputs['input_ids'].shape[1]} "
                    f"tokens in {windows} window(s), special tokens included"
                )
            inputs["offset_mapping"] = np.array([offset_mapping])
        for window in range(windows):
            yield {**{key: value[window : window + 1] for key, value in inputs.items()}, "sentence": sentence}

    def _forward(self, model_inputs):
        kept = {key: model_inputs.pop(key) for key in ("special_tokens_mask", "offset_mapping", "sentence")}
        return {"logits": self.model(**model_inputs)["logits"], "input_ids": model_inputs["input_ids"], **kept}

    def postprocess(self, all_outputs, aggregation_strategy=AggregationStrategy.NONE, ignore_labels=None):
        ignore_labels = ["O"] if ignore_labels is None else ignore_labels
        entities = []
        for outputs in all_outputs:
            found = self.aggregate(self.gather_pre_entities(outputs, aggregation_strategy), aggregation_strategy)
            entities += [e for e in found if e.get("entity", e.get("entity_group")) not in ignore_labels]
        return merge_windows(entities) if len(all_outputs) > 1 else entities

    def gather_pre_entities(self, outputs: dict, aggregation_strategy: AggregationStrategy) -> list[Piece]:
        """The tokens of the text itself: their scores (labels,), characters, and whether they go on with a word."""
        scores = softmax(outputs["logits"][0])  # (T, labels)
        ids, offsets, special = (
            outputs[key][0].tolist() for key in ("input_ids", "offset_mapping", "special_tokens_mask")
        )
        return [
            self._piece(outputs["sentence"], index, ids[index], scores[index], *offsets[index], aggregation_strategy)
            for index in range(len(ids))
            if not special[index]
        ]

    def _piece(self, sentence: str, index: int, token: int, scores, start: int, end: int, strategy) -> Piece:
        word, written = self.tokenizer.convert_ids_to_tokens(token), sentence[start:end]
        if token == self.tokenizer.unk_token_id:
            return Piece(written, scores, start, end, index, is_subword=False)
        if _marks_continuations(self.tokenizer):
            is_subword = len(word) != len(written)  # "##ing" is longer than the "ing" of the text
        else:
            if strategy in WORD_STRATEGIES:
                warnings.warn(
                    "this tokenizer doesn't mark the pieces of a word; what follows no blank is taken to go on a word",
                    UserWarning,
                    stacklevel=2,
                )
            is_subword = start > 0 and " " not in sentence[start - 1 : start + 1]
        return Piece(word, scores, start, end, index, is_subword)

    def aggregate(self, pieces: list[Piece], aggregation_strategy: AggregationStrategy) -> list[dict]:
        """Pieces with scores -> entities with labels."""
        id2label, join = self.model.config.id2label, self.tokenizer.convert_tokens_to_string
        if aggregation_strategy in WORD_STRATEGIES:
            return group(label_words(pieces, aggregation_strategy, id2label, join), join)
        labelled = [piece.labelled(id2label) for piece in pieces]
        return labelled if aggregation_strategy is AggregationStrategy.NONE else group(labelled, join)


NerPipeline = TokenClassificationPipeline  # the original's other name for it


def older_strategy(grouped_entities: bool | None, ignore_subwords: bool | None) -> AggregationStrategy:
    strategy = AggregationStrategy.NONE
    if grouped_entities:
        strategy = AggregationStrategy.FIRST if ignore_subwords else AggregationStrategy.SIMPLE
    warnings.warn(
        f"grouped_entities and ignore_subwords are deprecated: use aggregation_strategy={strategy.value!r}",
        UserWarning,
        stacklevel=4,
    )
    return strategy


def _marks_continuations(tokenizer) -> bool:
    """True for WordPiece, whose tokens say by "##" that they go on a word."""
    engine = getattr(tokenizer, "_engine", None)
    return bool(getattr(getattr(engine, "model", None), "continuing_subword_prefix", None))

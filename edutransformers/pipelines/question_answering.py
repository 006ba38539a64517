"""Question answering: the stretch of a text that answers a question.

A text that is longer than the model is read in windows that overlap, so that an answer at a border is whole in one of
them. In each window the model scores every token as the answer's first and as its last; the best pair is the answer.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from .base import ChunkPipeline, is_dataset
from .spans import CONTEXT, ELSEWHERE, NO_ANSWER, best_spans


class QuestionAnsweringExample(NamedTuple):
    """A question and the text to look for the answer in."""

    question_text: str
    context_text: str


class QuestionAnsweringArgumentHandler:
    """All the ways to pass questions and contexts -> a list of examples (or a generator or dataset, as it is).

    (question, context)          (question=…, context=…), each a str or a list of str
    ({"question", "context"})    a list of such dictionaries, alone or as X= or data=
    """

    def __call__(self, *args, question=None, context=None, X=None, data=None):
        if len(args) == 2 and all(isinstance(arg, str) for arg in args):
            inputs = [{"question": args[0], "context": args[1]}]
        elif len(args) == 1:
            inputs = args[0]
        elif args:
            inputs = list(args)
        elif X is not None or data is not None:
            inputs = data if X is None else X
        elif question is not None or context is not None:
            inputs = self.pairs(question, context)
        else:
            raise ValueError("question-answering needs question= and context=, or a dictionary with these two")
        if isinstance(inputs, (Mapping, QuestionAnsweringExample)):
            inputs = [inputs]
        if is_dataset(inputs) and not isinstance(inputs, list):
            return inputs  # each item is looked at when its turn comes
        if isinstance(inputs, str) or not isinstance(inputs, Iterable):
            raise ValueError(
                f"question-answering can't find a question and a context in {type(inputs).__name__} ({inputs!r})"
            )
        return [self.normalize(item) for item in inputs]

    @staticmethod
    def pairs(question, context) -> list[dict]:
        if isinstance(question, list) and isinstance(context, str):
            context = [context] * len(question)
        if isinstance(question, list) and isinstance(context, list):
            if len(question) != len(context):
                raise ValueError(
                    f"Questions and contexts don't have the same lengths: there are {len(question)} questions and "
                    f"{len(context)} contexts"
                )
            return [{"question": q, "context": c} for q, c in zip(question, context)]
        return [{"question": question, "context": context}]

    @staticmethod
    def normalize(item) -> QuestionAnsweringExample:
        if isinstance(item, QuestionAnsweringExample):
            item = {"question": item.question_text, "context": item.context_text}
        if not isinstance(item, Mapping):
            raise ValueError(
                f"{str(item)[:60]!r} is {type(item).__name__}, expected a dictionary with the keys question and context"
            )
        for key in ("question", "context"):
            if key not in item:
                raise KeyError(
                    f"You need to provide a dictionary with keys {{question:..., context:...}}; {key} is missing"
                )
            if item[key] is None:
                raise ValueError(f"`{key}` cannot be None")
            if not isinstance(item[key], str):
                raise ValueError(f"`{key}` must be a str, not {type(item[key]).__name__} ({str(item[key])[:40]})")
            if not item[key]:
                raise ValueError(f"`{key}` cannot be empty")
        return QuestionAnsweringExample(item["question"], item["context"])


class QuestionAnsweringPipeline(ChunkPipeline):
    """
    >>> answer = pipeline("question-answering", model=name)                                        # doctest: +SKIP
    >>> answer(question="Where do I live?", context="My name is Wolfgang and I live in Berlin")    # doctest: +SKIP
    {'score': 0.92, 'start': 34, 'end': 40, 'answer': 'Berlin'}

    top_k                      how many answers, best first (default 1; `topk` is the older name), if there are as many
    max_answer_len             longest answer, in tokens (default 15)
    max_seq_len                longest window, question included (default 384, or the tokenizer's limit if that is less)
    doc_stride                 how many tokens neighbouring windows share (default 128, at most half of max_seq_len)
    max_question_len           cut questions to this many tokens (default: not at all)
    handle_impossible_answer   "there is no answer" competes too, as the empty answer ""
    align_to_words             let answers begin and end where words do (default True)
    padding                    for the tokenizer (default "do_not_pad")
    """

    needs = ("tokenizer",)
    _args_parser = QuestionAnsweringArgumentHandler()

    @staticmethod
    def create_sample(question, context):
        """An example of a question and a context; a list of them for two lists."""
        if isinstance(question, list):
            return [QuestionAnsweringExample(q, c) for q, c in zip(question, context)]
        return QuestionAnsweringExample(question, context)

    def _sanitize_parameters(
        self,
        padding=None,
        topk=None,
        top_k=None,
        doc_stride=None,
        max_answer_len=None,
        max_seq_len=None,
        max_question_len=None,
        handle_impossible_answer=None,
        align_to_words=None,
    ):
        if topk is not None and top_k is None:
            warnings.warn("topk is deprecated, use top_k instead", UserWarning, stacklevel=3)
            top_k = topk
        for name, value in (("top_k", top_k), ("max_answer_len", max_answer_len)):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; expected a number from 1 on")
        preprocess = {
            "padding": padding,
            "doc_stride": doc_stride,
            "max_question_len": max_question_len,
            "max_seq_len": max_seq_len,
        }
        postprocess = {
            "top_k": top_k,
            "max_answer_len": max_answer_len,
            "handle_impossible_answer": handle_impossible_answer,
            "align_to_words": align_to_words,
        }
        return _given(preprocess), {}, _given(postprocess)

    def __call__(self, *args, question=None, context=None, X=None, data=None, **kwargs):
        """A question and its context, or several -> {"score", "start", "end", "answer"}, or a list of them.

        context[start:end] is the answer. With top_k > 1 a list of answers for each question; a single question gives
        its result alone, not in a list.
        """
        examples = self._args_parser(*args, question=question, context=context, X=X, data=data)
        if isinstance(examples, list) and len(examples) == 1:
            return super().__call__(examples[0], **kwargs)
        return super().__call__(examples, **kwargs)

    def preprocess(self, example, padding="do_not_pad", doc_stride=None, max_question_len=None, max_seq_len=None):
        example = QuestionAnsweringArgumentHandler.normalize(example)
        if max_seq_len is None:
            max_seq_len = min(self.tokenizer.model_max_length, 384)
        if doc_stride is None:
            doc_stride = min(max_seq_len // 2, 128)
        if doc_stride > max_seq_len:
            raise ValueError(f"`doc_stride` ({doc_stride}) is larger than `max_seq_len` ({max_seq_len})")
        question = self._cut_question(example.question_text, max_question_len)
        # The text is what gets cut into windows; where it stands second, padding is on the right.
        context_is_second = self.tokenizer.padding_side == "right"
        encoded = self.tokenizer(
            question if context_is_second else example.context_text,
            example.context_text if context_is_second else question,
            padding=padding,
            truncation="only_second" if context_is_second else "only_first",
            max_length=max_seq_len,
            stride=doc_stride,
            return_token_type_ids=True,
            return_overflowing_tokens=True,
        )
        names = [name for name in self.tokenizer.model_input_names if name in encoded]
        for window in range(len(encoded["input_ids"])):
            row = encoded[window]
            arrays = {name: np.array([encoded[name][window]]) for name in names}
            yield {**arrays, "p_mask": np.array([self._p_mask(row)]), "encoding": row, "example": example}

    def _p_mask(self, encoding) -> list[int]:
        """For each token of a window: is it of the context, [CLS], or neither?"""
        place, cls = (1 if self.tokenizer.padding_side == "right" else 0), self.tokenizer.cls_token_id
        kind_of_special = {cls: NO_ANSWER} if cls is not None else {}
        return [
            (CONTEXT if sequence == place else ELSEWHERE) if sequence is not None else kind_of_special.get(i, ELSEWHERE)
            for sequence, i in zip(encoding.sequence_ids, encoding.ids)
        ]

    def _cut_question(self, question: str, longest: int | None) -> str:
        if longest is None:
            return question
        tokens = self.tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return question if len(tokens) <= longest else question[: tokens[longest - 1][1]]

    def _forward(self, model_inputs):
        kept = {key: model_inputs.pop(key) for key in ("p_mask", "encoding", "example")}
        output = self.model(**model_inputs)
        return {
            "start": output["start_logits"],
            "end": output["end_logits"],
            "attention_mask": model_inputs.get("attention_mask"),
            **kept,
        }

    def postprocess(
        self, model_outputs, top_k=1, handle_impossible_answer=False, max_answer_len=15, align_to_words=True
    ):
        answers, null_scores = [], []
        for output in model_outputs:
            attention = output["attention_mask"]
            spans, no_answer = best_spans(
                output["start"][0],
                output["end"][0],
                output["p_mask"][0],
                None if attention is None else attention[0],
                top_k,
                max_answer_len,
            )
            null_scores.append(no_answer)
            # A batch may have padded the row on the left; the encoding knows nothing of that.
            shift = output["start"].shape[1] - len(output["encoding"]) if self.tokenizer.padding_side == "left" else 0
            context = output["example"].context_text
            for span in spans:
                start, end = self.get_indices(output["encoding"], span.first - shift, span.last - shift, align_to_words)
                answers.append({"score": span.score, "start": start, "end": end, "answer": context[start:end]})
        if handle_impossible_answer:
            answers.append({"score": min(null_scores), "start": 0, "end": 0, "answer": ""})
        answers = sorted(answers, key=lambda answer: answer["score"], reverse=True)[:top_k]
        return answers[0] if len(answers) == 1 else answers

    def get_indices(self, encoding, first: int, last: int, align_to_words: bool) -> tuple[int, int]:
        """Tokens first … last -> the characters [start, end) of the context."""
        if align_to_words:
            place = 1 if self.tokenizer.padding_side == "right" else 0
            words = encoding.token_to_word(first), encoding.token_to_word(last)
            if None not in words:
                return encoding.word_to_chars(words[0], place)[0], encoding.word_to_chars(words[1], place)[1]
        return encoding.offsets[first][0], encoding.offsets[last][1]


def _given(parameters: dict) -> dict:
    return {name: value for name, value in parameters.items() if value is not None}

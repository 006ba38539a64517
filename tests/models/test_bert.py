"""BERT: what every model promises, for each of its heads, and what only BERT has."""

import pytest

from .bert_cases import CASES, LEGACY, batch_of, model_of
from .common import Subject, promises_of

POSITIONS = "embeddings.position_embeddings.weight"


def subject(case, **special) -> Subject:
    # A key's bias adds the same to all scores of a query, and softmax doesn't see that. (Relative positions that
    # involve the key do.)
    flat = ("self.key.bias",)
    return Subject(
        lambda dtype: model_of(case, dtype),
        lambda dtype: batch_of(case, dtype),
        has_loss=case.labels is not None,
        flat=flat,
        **special,
    )


SUBJECTS = {
    **{name: subject(CASES[name]) for name in (
        "model", "pretraining", "masked_lm", "causal_lm", "next_sentence", "classes", "one_number",
        "several_labels", "multiple_choice", "token_classes", "cross_attention", "cross_attention_lm", "embeds",
    )},
    "question_answering": subject(CASES["question_answering"], loss_sees_padding=True),
    "relative_key": subject(LEGACY["relative_key"], unused=(f"bert.{POSITIONS}",)),
    "relative_key_query": subject(LEGACY["relative_key_query"], unused=(f"bert.{POSITIONS}",)),
    "head_mask": subject(LEGACY["head_mask"]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "promise"), promises_of(SUBJECTS))
def test_promise(name, promise, tmp_path):
    promise(SUBJECTS[name], tmp_path)

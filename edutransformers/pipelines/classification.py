"""What the pipelines that classify share, be it texts, pictures or sounds: from logits to labels with scores."""

from __future__ import annotations

from enum import Enum

import numpy as np

from ..functional.softmax import softmax


class ClassificationFunction(str, Enum):
    """What turns the model's logits into scores."""

    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"
    NONE = "none"


def classification_function(function) -> ClassificationFunction | None:
    """The function that `function_to_apply` names; None for "default" and None: the model decides."""
    if function is None or function == "default":
        return None
    try:
        return ClassificationFunction(function.lower() if isinstance(function, str) else function)
    except ValueError:
        known = ", ".join(repr(member.value) for member in ClassificationFunction)
        raise ValueError(f"function_to_apply is {function!r}; expected 'default' or one of {known}") from None


def default_function(config) -> ClassificationFunction:
    """The rule for models that say nothing else."""
    if config.problem_type == "regression":
        return ClassificationFunction.NONE
    if config.problem_type == "multi_label_classification" or config.num_labels == 1:
        return ClassificationFunction.SIGMOID
    return ClassificationFunction.SOFTMAX


def apply_function(function: ClassificationFunction, logits: np.ndarray) -> np.ndarray:
    """Logits (labels,) -> scores (labels,)"""
    if function is ClassificationFunction.SOFTMAX:
        return softmax(logits)
    if function is ClassificationFunction.SIGMOID:
        return np.exp(-np.logaddexp(0, -logits))  # 1 / (1 + exp(-x)) without overflow
    return logits


def scored_labels(logits: np.ndarray, config, function: ClassificationFunction | None = None) -> list[dict]:
    """Logits (labels,) -> [{"label", "score"}, …] in the model's order"""
    scores = apply_function(default_function(config) if function is None else function, logits)
    return [{"label": config.id2label[index], "score": score} for index, score in enumerate(scores.tolist())]


def best_labels(labels: list[dict], top_k: int | None) -> list[dict]:
    """The `top_k` best of them (None: all), best first; of equal ones the model's first."""
    return sorted(labels, key=lambda label: label["score"], reverse=True)[:top_k]


def checked_top_k(top_k, none_means: str = ""):
    """`top_k`, if it is a whole number from 1 on, or None where that means something (`none_means`)."""
    if top_k is None and none_means:
        return None
    if not isinstance(top_k, (int, np.integer)) or isinstance(top_k, bool) or top_k < 1:
        or_none = f", or None for {none_means}" if none_means else ""
        raise ValueError(f"top_k is {top_k!r}; expected a whole number from 1 on{or_none}")
    return int(top_k)

"""Which entries of a data set's items a model takes, and which of them are labels: read off its `forward`."""

from __future__ import annotations

import inspect

from ..module import Module
from .collators import RandomCollator

LABEL_ALIASES = ("label", "label_ids")  # collators turn these into "labels"
NOT_INPUTS = ("self", "generator")


def label_names(model: Module) -> list[str]:
    """The arguments of `model.forward` that are labels: those with "label" in their name, or an answer's positions."""
    names = _arguments(model)[0]
    return [name for name in names if "label" in name or name in ("start_positions", "end_positions")]


def taken_columns(model: Module, labels: list[str]) -> set[str] | None:
    """Names that a batch for `model` may hold; None if that can't be known.

    A model with a head hands what it doesn't name itself (`*inputs, **options`) on to its base model, so the base
    model's names count too. A module that takes any keyword argument and has no base model gets everything.
    """
    names, takes_any = _arguments(model)
    base = getattr(model, "base_model", model)
    if takes_any:
        if base is model:
            return None
        more, base_takes_any = _arguments(base)
        if base_takes_any:
            return None
        names = names + more
    return (set(names) | set(labels) | set(LABEL_ALIASES)) - set(NOT_INPUTS)


def takes_generator(model: Module) -> bool:
    """Does forward accept `generator=`, itself or through its base model?"""
    names, takes_any = _arguments(model)
    base = getattr(model, "base_model", model)
    return "generator" in names or (takes_any and base is not model and "generator" in _arguments(base)[0])


def _arguments(model: Module) -> tuple[list[str], bool]:
    """(named arguments of forward, whether it takes others too)"""
    parameters = inspect.signature(model.forward).parameters.values()
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.kind not in starred], any(p.kind is starred[1] for p in parameters)


def remove_columns(collator, columns: set[str]):
    """`collator`, but what a model does not take (texts, ids of documents, …) is dropped from the items first."""
    kind = RandomRemoveColumnsCollator if isinstance(collator, RandomCollator) else RemoveColumnsCollator
    return kind(collator, columns)


class RemoveColumnsCollator:
    """A collator that first drops the entries that are not among `columns`."""

    def __init__(self, collator, columns: set[str]):
        self.collator = collator
        self.columns = columns

    def __call__(self, features: list):
        return self.collator(self.kept(features))

    def kept(self, features: list) -> list:
        if not hasattr(features[0], "items"):
            return features
        return [{k: v for k, v in feature.items() if k in self.columns} for feature in features]


class RandomRemoveColumnsCollator(RemoveColumnsCollator, RandomCollator):
    """The same around a collator that draws."""

    def collate(self, features: list, generator):
        return self.collator.collate(self.kept(features), generator)

    @property
    def generator(self):
        return self.collator.generator

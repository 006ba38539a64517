"""Which tensor of a checkpoint belongs to which weight of a model, when both spell their names differently.

Three things differ between checkpoints of all years and a model:
1. spellings: `LayerNorm.gamma` became `LayerNorm.weight`; weight normalization was `weight_g`, `weight_v` and is now
   `parametrizations.weight.original0`, `…original1`; and what a model class lists in its `checkpoint_renames`;
2. the prefix: a base model's checkpoint says `encoder.…` where a model with a head says `bert.encoder.…`, and the other
   way round;
3. names that one of both does not have: the other head's, or a buffer that newer versions don't save.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

SPELLINGS = (  # end of a name -> how else it may end
    (".gamma", ".weight"),
    (".beta", ".bias"),
    (".weight_g", ".parametrizations.weight.original0"),
    (".weight_v", ".parametrizations.weight.original1"),
    (".parametrizations.weight.original0", ".weight_g"),
    (".parametrizations.weight.original1", ".weight_v"),
)


class NameMap(NamedTuple):
    """`places`: checkpoint's name -> model's name. `unexpected`: the checkpoint's names that have no place.

    `shown` tells how a model's name would stand in this checkpoint, which is what messages show.
    """

    places: dict[str, str]
    unexpected: list[str]
    added: str  # prefix that the checkpoint has and the model lacks
    removed: str  # prefix that the model has and the checkpoint lacks

    def shown(self, name: str) -> str:
        return self.added + (name.removeprefix(self.removed) if self.removed else name)


def match_names(saved: Iterable[str], expected: Iterable[str], prefix: str = "", renames=None) -> NameMap:
    """Find the place of every saved tensor among the `expected` names of the model.

    `prefix` is the model class's `base_model_prefix`, `renames` its `checkpoint_renames` (pattern -> replacement).
    The base model's prefix is put in front, or taken away, only when one side uses it and the other not at all.
    """
    expected = set(expected)
    renamed = {name: rename(name, renames) for name in saved}
    added = removed = ""
    if prefix:
        dotted = prefix + "."
        in_checkpoint = any(name.startswith(dotted) for name in renamed.values())
        in_model = any(name.startswith(dotted) for name in expected)
        added = dotted if in_checkpoint and not in_model else ""
        removed = dotted if in_model and not in_checkpoint else ""

    places, taken = {}, set()
    # A name that the model itself uses wins over another spelling of the same weight.
    for name, new_name in sorted(renamed.items(), key=lambda pair: pair[1] not in expected):
        place = find_place(new_name, expected, added, removed)
        if place is not None and place not in taken:
            places[name] = place
            taken.add(place)
    return NameMap(places, [name for name in renamed if name not in places], added, removed)


def find_place(name: str, expected: set[str], added: str = "", removed: str = "") -> str | None:
    """The model's name for a checkpoint's name, or None."""
    spellings = [name] + [name[: -len(old)] + new for old, new in SPELLINGS if name.endswith(old)]
    for spelling in spellings:
        if spelling in expected:
            return spelling
        if removed and removed + spelling in expected:
            return removed + spelling
        if added and spelling.startswith(added) and spelling[len(added) :] in expected:
            return spelling[len(added) :]
    return None


def rename(name: str, renames: dict[str, str] | None) -> str:
    """What a model class's own table makes of a name: the first pattern that occurs in it is replaced."""
    for pattern, replacement in (renames or {}).items():
        new_name, found = re.subn(pattern, replacement, name)
        if found:
            return new_name
    return name


def without_ignored(names: Iterable[str], patterns: Iterable[str] | None) -> list[str]:
    """The names that none of the patterns (regular expressions, searched anywhere in the name) fits."""
    return [name for name in names if not any(re.search(pattern, name) for pattern in patterns or ())]

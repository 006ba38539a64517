"""A bounded cache: what was worked out for the strings that occurred last, or often."""

from collections.abc import Callable
from typing import Any

# Five megabytes of prose have some 100,000 different stretches between blanks. Full of them a cache has about 150 MB; a
# quarter of the size would hold the frequent ones, but a text read again would be half as quick.
CACHE_ENTRIES = 1 << 18
LONGEST_CACHED = 64  # characters; longer strings hardly ever come again


class BoundedCache(dict):
    """cache[string] is make(string); kept for the last CACHE_ENTRIES or so different strings.

    In two generations: a full one becomes the older one, whose entries move to the younger one when they are used
    again. What occurs often therefore stays, as in a least-recently-used cache, but a hit costs one dictionary lookup.

    Threads may share it: each step is one operation on a dictionary, and what two of them get in each other's way
    about is only whether something is worked out once more.
    """

    def __init__(self, make: Callable[[str], Any]):
        super().__init__()
        self.make = make
        self.older: dict[str, Any] = {}

    def __missing__(self, string: str):
        value = self.older.get(string)
        if value is None:
            value = self.make(string)
        if len(string) <= LONGEST_CACHED:
            if len(self) >= CACHE_ENTRIES // 2:
                self.older = dict(self)
                super().clear()
            self[string] = value
        return value

    def clear(self) -> None:
        super().clear()
        self.older = {}

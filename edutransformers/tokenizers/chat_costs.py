"""What the operations of a chat template cost, so that a hostile one ends with an error instead of the memory.

Jinja's sandbox keeps a template from Python's internals; it doesn't keep it from a loop in a loop in a loop, or from
`x ~ x` forty times over. So a template gets a budget. Each operation is paid for *before* it is done, and when the
budget is used up, SecurityError ends the rendering. One unit is one step: one statement of a loop's body, one element
of a list that is made or looked at, 16 characters that are copied; a call takes five. Nothing that is made can then be
larger than what was paid for it.

That works because a template's world is closed: what goes in are plain strings, numbers, lists and dictionaries, and of
their methods only those listed here exist.
"""

import re
from collections.abc import Iterator
from contextvars import ContextVar
from functools import lru_cache

from jinja2.exceptions import SecurityError
from jinja2.utils import Namespace

# A conversation of 100 messages takes some 20,000 steps.
STEPS = 500_000
STEPS_PER_INPUT = 50  # and so many more for each element of the conversation, and for 16 characters of its texts
CHARACTERS_PER_STEP = 16
CALL = 5
LARGEST_BITS = 20_000
LARGEST_WIDTH = 999

budget: ContextVar["Budget"] = ContextVar("budget")


class Budget:
    """The steps that are left in this rendering, and how far the output has come."""

    def __init__(self, steps: int):
        self.steps = self.left = steps
        self.written = 0  # characters of the output so far
        self.generated: list[tuple[int, int]] = []  # the spans of {% generation %} in it

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise SecurityError(
                f"the chat template was stopped after {self.steps} steps: it loops or doubles something without end, "
                "or the conversation is far too long for it."
            )


def spend(steps: int) -> bool:
    """Pay; True, so that it can stand in front of a condition."""
    budget.get().spend(steps)
    return True


def steps_for(value) -> int:
    """The budget for a template that is given `value`."""
    return STEPS + STEPS_PER_INPUT * _walk(value)


def of_text(length: int) -> int:
    """The price of copying or searching so many characters."""
    return 1 + length // CHARACTERS_PER_STEP


def price(value) -> int:
    """The price of an operation that looks at all of a value, however deep: comparing, printing, sorting.

    `[x, x]` counts x twice: an operation walks through it twice. Raises SecurityError when that is more than is left.
    """
    return of_text(len(value)) if isinstance(value, str) else _walk(value, budget.get().left)


def _walk(value, most: int | None = None) -> int:
    """The elements of a value at all depths, each text at its price; no further than `most`."""
    steps, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        steps += 1
        if type(item) in NAMESPACES:  # first, for isinstance() takes long with these
            waiting += attributes_of(item).values()
        elif isinstance(item, str):
            steps += len(item) // CHARACTERS_PER_STEP
        elif isinstance(item, dict):
            waiting += item
            waiting += item.values()
        elif isinstance(item, (list, tuple, KeysView, ValuesView, ItemsView)):
            waiting += item
        elif isinstance(item, range):
            steps += len(item)
        elif isinstance(item, Known):
            waiting += item.items
        if most is not None and steps > most:
            budget.get().spend(steps)
    return steps


KeysView, ValuesView, ItemsView = type({}.keys()), type({}.values()), type({}.items())


class SafeNamespace(Namespace):
    """`namespace(...)` of a template; no names that begin with an underscore, as in the original."""

    def __init__(*args, **kwargs):  # so that namespace(self=...) works too
        self, args = args[0], args[1:]
        pay_deep(*args)  # pairs of names and values: the names are hashed
        attributes = dict(*args, **kwargs)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name, value):
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(
            f"a chat template must not name a namespace's attribute {name!r}; names begin with letters."
        )


NAMESPACES = (Namespace, SafeNamespace)


def attributes_of(namespace: Namespace) -> dict:
    return object.__getattribute__(namespace, "_Namespace__attrs")


class Known(Iterator):
    """An iterator like the one that a filter returned, whose items are known and can be counted."""

    def __init__(self, iterator: Iterator):
        self.items = []
        for item in iterator:
            spend(1)
            self.items.append(item)
        self.rest = iter(self.items)

    def __next__(self):
        return next(self.rest)


def paid_result(value):
    """The result of a filter or method, paid for: what it is made of, not what that is made of in turn."""
    if isinstance(value, Iterator) and not isinstance(value, Known):
        return Known(value)
    if isinstance(value, int):
        _check_number(value)
    spend(_shallow(value))
    return value


def _shallow(value) -> int:
    if isinstance(value, str):
        return of_text(len(value))
    if isinstance(value, Known):
        return 1 + len(value.items)
    return 1 + (len(value) if isinstance(value, (list, tuple, dict, range)) else 0)


def _length(value) -> int:
    """The number of items that iterating over a value gives."""
    return len(value) if isinstance(value, str) else _shallow(value)


# ----- operators ------------------------------------------------------------------------------------------------------


def pay_operator(operator: str, left, right) -> None:
    """Pay for `left operator right`."""
    for value in (left, right):
        if isinstance(value, int):
            _check_number(value)
    if operator == "+":
        spend(_shallow(left) + _shallow(right))
    elif operator == "*":
        sequence, times = (right, left) if isinstance(left, int) else (left, right)
        if isinstance(times, int) and isinstance(sequence, (str, list, tuple)):
            spend(_shallow(sequence) + max(0, times) * len(sequence) // (16 if isinstance(sequence, str) else 1))
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        if right > 0 and left.bit_length() * right > LARGEST_BITS:
            raise SecurityError(f"the chat template asks for a number of more than {LARGEST_BITS} bits.")
    elif operator == "%" and isinstance(left, str):
        pay_percent(left, right)
    spend(1)


def _check_number(value: int) -> None:
    if value.bit_length() > LARGEST_BITS:
        raise SecurityError(f"the chat template made a number of {value.bit_length()} bits; at most {LARGEST_BITS}.")


def pay_slice(value, start, stop, step) -> None:
    if isinstance(value, (str, list, tuple, range)):
        part = len(range(*slice(start, stop, step).indices(len(value))))
        spend(of_text(part) if isinstance(value, str) else 1 + part)


# ----- putting values into texts --------------------------------------------------------------------------------------


def pay_percent(text: str, values) -> None:
    """ "%5d apples" % values"""
    _pay_fields(text, text.count("%"), [values])
    if re.search(r"%[^a-zA-Z%]*\*", text):
        raise SecurityError(f"the chat template formats with a width that it computes ({text[:40]!r}); write a number.")


def pay_format(text: str, *values, **named) -> None:
    """ "{} apples".format(values)"""
    _pay_fields(text, text.count("{"), [*values, *named.values()])
    if re.search(r"\{[^{}]*\{", text.replace("{{", "")):
        raise SecurityError(f"the chat template formats with a width that it computes ({text[:40]!r}); write a number.")


def _pay_fields(text: str, fields: int, values: list) -> None:
    if any(int(width[:9]) > LARGEST_WIDTH for width in re.findall(r"[0-9]+", text)):
        raise SecurityError(f"the chat template formats with a number above {LARGEST_WIDTH} ({text[:40]!r}).")
    # repr() of a text is up to ten times as long as the text.
    spend(of_text(len(text)) + fields * (of_text(LARGEST_WIDTH) + 10 * sum(map(price, values))))


# ----- methods: the only ones there are -------------------------------------------------------------------------------


def _read(text, *others, **named) -> None:
    spend(of_text(len(text)) + sum(map(price, others)))


def _split(text, sep=None, maxsplit=-1) -> None:
    pieces = len(text) // 2 if sep is None else text.count(sep) if isinstance(sep, str) and sep else 0
    spend(of_text(len(text)) + (pieces if maxsplit < 0 else min(pieces, maxsplit)))


def _split_lines(text, keepends=False) -> None:
    spend(1 + len(text))


def _replace(text, old, new, count=-1) -> None:
    times = text.count(old) if isinstance(old, str) and isinstance(new, str) else 0
    times = times if count is None or count < 0 else min(times, count)
    spend(of_text(len(text)) + (of_text(times * len(new)) if times else 0))


def _widen(text, width, fill=" ") -> None:
    spend(of_text(len(text)) + of_text(max(0, width)))


def _join(separator, items) -> None:
    spend(price(items) + of_text(_length(items) * len(separator)) + _length(items))


def _look(value, *others) -> None:
    spend(price(value) + sum(map(price, others)))


def _touch(value, *others) -> None:
    spend(1 + sum(map(price, others)))


def _copy(value) -> None:
    spend(_shallow(value))


_READ = """capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit isidentifier islower
    isnumeric isprintable isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rindex
    rpartition rstrip startswith strip swapcase title upper"""

METHODS = {
    str: {
        **dict.fromkeys(_READ.split(), _read),
        **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _widen),
        "format": pay_format,
        "join": _join,
        "replace": _replace,
        "rsplit": _split,
        "split": _split,
        "splitlines": _split_lines,
    },
    list: {"copy": _copy, "count": _look, "index": _look},
    tuple: {"count": _look, "index": _look, "grouper": _touch, "list": _touch},  # the last two: what groupby gives
    dict: {"copy": _copy, "get": _touch, "items": _touch, "keys": _touch, "values": _touch},
    int: {},
    float: {},
    **dict.fromkeys((KeysView, ValuesView, ItemsView, range), {}),
}


@lru_cache
def methods_of(kind: type) -> dict | None:
    """{name: what pays for it} of a plain value's methods; None for what is Jinja's own, a loop or a macro."""
    return next((names for known, names in METHODS.items() if issubclass(kind, known)), None)


# ----- filters: what is paid before each, with the filter's own arguments ---------------------------------------------


def pay_deep(*values, **named) -> None:
    spend(sum(map(price, [*values, *named.values()])))


def _iterate(value, *others, **named) -> None:
    pay_deep(*others, **named)  # names of filters and tests, which are looked up
    spend(_length(value))


def _gather(value, *others, **named) -> None:
    pay_deep(value, *others, **named)
    spend(_length(value))


def _one_step(value, *others, **named) -> None:
    pay_deep(*others, **named)


def _batch(value, linecount, fill_with=None) -> None:
    spend(_length(value) + (linecount if fill_with is not None else 0))


def _slice(value, slices, fill_with=None) -> None:
    spend(_length(value) + slices)


def _center(value, width=80) -> None:
    spend(price(value) + of_text(width))


def _indent(s, width=4, first=False, blank=False) -> None:
    width = len(width) if isinstance(width, str) else width
    spend(price(s) + len(s) + of_text(width * (1 + len(s.splitlines()))))


def _filter_replace(s, old, new, count=None) -> None:
    pay_deep(s, old, new)
    _replace(str(s), str(old), str(new), count)


def _filter_join(value, d="", attribute=None) -> None:
    pay_deep(d)
    _join(str(d), value)


def _round(value, precision=0, method="common") -> None:
    pay_deep(method)
    _check_is_number(value, "round")
    if not -LARGEST_WIDTH <= precision <= LARGEST_WIDTH:
        raise SecurityError(f"the chat template rounds to {precision} digits; at most {LARGEST_WIDTH}.")


def _sum(iterable, attribute=None, start=0) -> None:
    _check_is_number(start, "sum")
    _gather(iterable, attribute)


def _check_is_number(value, name: str) -> None:
    # Jinja multiplies in `round` and takes a remainder in `odd`; both mean something else for a text.
    if not isinstance(value, (int, float)):
        raise SecurityError(f"in a chat template `{name}` works on numbers, not on {type(value).__name__}.")


def _title(s) -> None:
    spend(1 + len(s) if isinstance(s, str) else price(s))


def _filter_format(value, *values, **named) -> None:
    pay_deep(value)
    pay_percent(str(value), [*values, *named.values()])


_WHOLE = """capitalize e escape filesizeformat float forceescape int lower safe string trim truncate upper urlencode"""

FILTERS = {
    **dict.fromkeys(("abs", "attr", "count", "d", "default", "first", "last", "length", "random"), _one_step),
    **dict.fromkeys(("items", "list", "map", "reject", "rejectattr", "reverse", "select", "selectattr"), _iterate),
    "batch": _batch,
    "center": _center,
    "format": _filter_format,
    "indent": _indent,
    "join": _filter_join,
    "replace": _filter_replace,
    "round": _round,
    "slice": _slice,
    "sum": _sum,
    "title": _title,
    **dict.fromkeys(_WHOLE.split(), pay_deep),
    **dict.fromkeys(("dictsort", "groupby", "max", "min", "sort", "unique"), _gather),
}


# ----- tests: {{ x is odd }} ------------------------------------------------------------------------------------------

_TOUCHING = """boolean callable defined escaped false float integer iterable mapping none number sameas sequence
    string true undefined"""


def price_of_test(name: str):
    """The function that pays for a test."""
    if name in ("odd", "even", "divisibleby"):
        return lambda value, *others: _check_is_number(value, name)
    return _one_step if name in _TOUCHING.split() else pay_deep

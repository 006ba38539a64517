"""Reads the pickle inside a pytorch_model.bin without running it.

A pickle is a program for a small stack machine. Python's own `pickle` lets that program import anything and call it,
which is how a malicious file runs code. Here the instructions are only *listed* (`pickletools.genops` of the standard
library), and this file interprets the few of them that saved tensors need. Nothing that the pickle names is ever looked
up: a name is either one of ALLOWED, and becomes the object described there, or reading stops with an error naming it.
"""

from __future__ import annotations

import pickletools
from typing import NamedTuple

from .tensors import are_naturals, count, extent, is_shape


class UnsafePickleError(ValueError):
    """The pickle does something that saved tensors don't need, or is damaged."""


class Storage(NamedTuple):
    """A flat run of numbers somewhere in the file, which tensors are views of."""

    key: str
    dtype: str
    length: int
    view: tuple | None = None  # (key, offset, length) when it is itself a part of another one (old files)


class StoredTensor(NamedTuple):
    """What _rebuild_tensor_v2 describes: which numbers of which storage, in units of numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Name(NamedTuple):
    """An allowed name of the file, standing for itself: nothing was imported."""

    name: str


STORAGE_DTYPES = {
    f"torch.{kind}Storage": dtype
    for kind, dtype in {
        "Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
        "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool", "ComplexFloat": "complex64",
    }.items()
}  # fmt: skip


def rebuild_tensor(storage, offset, shape, strides, *_) -> StoredTensor:
    """A view of a storage, after checking that all of it lies inside."""
    if not isinstance(storage, Storage):
        raise UnsafePickleError("a tensor is made of something that is no storage")
    if not is_shape(shape) or not are_naturals(strides) or not are_naturals((offset,)) or len(shape) != len(strides):
        raise UnsafePickleError("a tensor's shape, strides or offset are not natural numbers, or don't fit together")
    length = extent(shape, strides)
    if length and offset + length > storage.length:
        raise UnsafePickleError(
            f"a tensor of shape {shape} at offset {offset} with strides {strides} reaches number {offset + length} of "
            f"a storage that has {storage.length}"
        )
    # Strides of 0 repeat numbers; without this bound one number could be blown up to any size.
    if count(shape) > storage.length:
        raise UnsafePickleError(f"a tensor of shape {shape} is made from a storage of only {storage.length} numbers")
    return StoredTensor(storage, offset, tuple(shape), tuple(strides))


def rebuild_parameter(data, *_):
    """A parameter is its tensor."""
    return data


def ordered_dict(pairs=()):
    """An empty dictionary, or one made from a list of pairs (Python's own OrderedDict is pickled in both ways)."""
    dictionary = {}
    _put(dictionary, [item for pair in pairs for item in pair])
    return dictionary


def torch_size(sides=()):
    return tuple(sides) if isinstance(sides, (list, tuple)) else ()


ALLOWED = {  # name in the file -> what a call of it makes here
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "collections.OrderedDict": ordered_dict,
    "torch.Size": torch_size,
    **dict.fromkeys(STORAGE_DTYPES),  # names inside a storage's id; never called
}

MARK = object()


def read_pickle(file, instructions=None):
    """The object of one pickle, read from an open binary file that is left behind the pickle's end.

    `instructions`: what those of a pickle do, in place of INSTRUCTIONS (tokenizers/vocabulary_pickle.py).
    Raises `UnsafePickleError` for anything but dictionaries, lists, tuples, numbers, texts and tensors.
    """
    instructions = INSTRUCTIONS if instructions is None else instructions
    stack, memo = [], {}
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "STOP":
                return stack.pop()
            instructions.get(opcode.name, _refuse(opcode.name))(stack, memo, argument)
    except UnsafePickleError:
        raise
    except Exception as error:  # a damaged pickle pops an empty stack, sets items of a number, …
        raise UnsafePickleError(f"its pickle is damaged ({type(error).__name__}: {error})") from error
    raise UnsafePickleError("its pickle has no end")


# -- the instructions -------------------------------------------------------------------------------------------------


def _refuse(opcode: str):
    def refuse(stack, memo, argument):
        raise UnsafePickleError(f"its pickle uses the instruction {opcode}, which saved tensors don't need")

    return refuse


def _push(stack, memo, argument):
    stack.append(argument)


def pop_to_mark(stack) -> list:
    items = []
    while (item := stack.pop()) is not MARK:
        items.append(item)
    return items[::-1]


def _look_up(stack, memo, argument):
    """GLOBAL: "module name", a name that pickle would import. Here it must be on the list."""
    _push_name(stack, argument.replace(" ", ".", 1))


def _look_up_from_stack(stack, memo, argument):
    name, module = stack.pop(), stack.pop()
    _push_name(stack, f"{module}.{name}")


def _push_name(stack, name: str):
    if name not in ALLOWED:
        raise UnsafePickleError(
            f"its pickle names {name}, which is neither a tensor nor a part of one; it was not imported, nothing "
            "was executed. Ask for a safetensors file, or convert this one with torch if you trust it"
        )
    stack.append(Name(name))


def _call(stack, memo, argument):
    """REDUCE: call a name with a tuple of arguments. Here: make the object that this name stands for."""
    arguments, function = stack.pop(), stack.pop()
    make = ALLOWED[function.name] if isinstance(function, Name) else None
    if make is None or not isinstance(arguments, tuple):
        raise UnsafePickleError(f"its pickle calls {getattr(function, 'name', 'something')}, which is no function here")
    stack.append(make(*arguments))


def _persistent(stack, memo, argument):
    """BINPERSID: a storage by its id ("storage", type, key, device, length[, (root key, offset, length)])."""
    kind, type_name, key, _, length, *view = stack.pop()
    if kind != "storage" or not isinstance(type_name, Name) or type_name.name not in STORAGE_DTYPES:
        raise UnsafePickleError("its pickle refers to something outside that is no storage of a tensor")
    root = view[0] if view else None
    if not isinstance(key, str) or not are_naturals((length,)):
        raise UnsafePickleError("its pickle refers to a storage without a proper key and length")
    if root is not None and (len(root) != 3 or not isinstance(root[0], str) or not are_naturals(root[1:])):
        raise UnsafePickleError("its pickle refers to a part of another storage that is not one")
    stack.append(Storage(key, STORAGE_DTYPES[type_name.name], length, root))


def _set_item(stack, memo, argument):
    items = [stack.pop(), stack.pop()][::-1]
    _put(_dictionary(stack), items)


def _set_items(stack, memo, argument):
    items = pop_to_mark(stack)
    _put(_dictionary(stack), items)


def _put(dictionary: dict, items: list):
    for key, value in zip(items[::2], items[1::2]):
        if not isinstance(key, (str, int)):  # hashing a tuple of tuples of … could take for ever
            raise UnsafePickleError(f"its pickle has a {type(key).__name__} as the key of a dictionary, not a name")
        dictionary[key] = value


def _dictionary(stack) -> dict:
    if type(stack[-1]) is not dict:
        raise UnsafePickleError("its pickle puts items into something that is no dictionary")
    return stack[-1]


def _list(stack) -> list:
    if type(stack[-1]) is not list:
        raise UnsafePickleError("its pickle appends to something that is no list")
    return stack[-1]


def _append(stack, memo, argument):
    item = stack.pop()
    _list(stack).append(item)


def _appends(stack, memo, argument):
    items = pop_to_mark(stack)
    _list(stack).extend(items)


def _build(stack, memo, argument):
    """BUILD sets attributes. A state dict has one, `_metadata` (versions of torch's modules), which is not needed."""
    stack.pop()
    _dictionary(stack)


def _remember(stack, memo, argument):
    memo[argument] = stack[-1]


def _tuple_of(n: int):
    def make(stack, memo, argument):
        items = tuple(stack.pop() for _ in range(n))[::-1]
        stack.append(items)

    return make


def _nothing(stack, memo, argument):
    pass


INSTRUCTIONS = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "MARK": lambda stack, memo, argument: stack.append(MARK),
    "POP": lambda stack, memo, argument: stack.pop(),
    "NONE": lambda stack, memo, argument: stack.append(None),
    "NEWTRUE": lambda stack, memo, argument: stack.append(True),
    "NEWFALSE": lambda stack, memo, argument: stack.append(False),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT", "FLOAT"), _push),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "UNICODE", "SHORT_BINSTRING", "BINSTRING"), _push),
    "EMPTY_DICT": lambda stack, memo, argument: stack.append({}),
    "EMPTY_LIST": lambda stack, memo, argument: stack.append([]),
    "EMPTY_TUPLE": lambda stack, memo, argument: stack.append(()),
    "TUPLE": lambda stack, memo, argument: stack.append(tuple(pop_to_mark(stack))),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "APPEND": _append,
    "APPENDS": _appends,
    "BINPUT": _remember,
    "LONG_BINPUT": _remember,
    "PUT": _remember,
    "MEMOIZE": lambda stack, memo, argument: memo.__setitem__(len(memo), stack[-1]),
    "BINGET": lambda stack, memo, argument: stack.append(memo[argument]),
    "LONG_BINGET": lambda stack, memo, argument: stack.append(memo[argument]),
    "GET": lambda stack, memo, argument: stack.append(memo[argument]),
    "GLOBAL": _look_up,
    "STACK_GLOBAL": _look_up_from_stack,
    "REDUCE": _call,
    "BUILD": _build,
    "BINPERSID": _persistent,
}

"""Transformer-XL's vocab.pkl and vocab.bin: pickles of a whole tokenizer object, of which its list of words is read.

Nothing that a pickle names is looked up or called (checkpoints/pickle_reader.py says why and how). Here, unlike in a
checkpoint, unknown objects are no reason to stop: the original's file holds patterns, counters, and Moses' tokenizer.
They are passed over.
"""

import io
import os
import pickle
import zipfile
from collections import OrderedDict

from edutransformers.checkpoints.pickle_reader import (
    INSTRUCTIONS,
    Name,
    UnsafePickleError,
    ordered_dict,
    pop_to_mark,
    read_pickle,
)
from edutransformers.checkpoints.torch_bin import MAGIC
from edutransformers.tokenizers.vocabulary_files import ids_of_tokens


def read_vocabulary_pickle(path: str | os.PathLike) -> dict[str, int]:
    """The words and their ids of a vocab.pkl, or of a vocab.bin that torch.save wrote.

    Raises OSError when there is no such file, ValueError when it isn't a pickle, or has no list of words.
    """
    if not os.path.isfile(path):
        raise OSError(f"There is no vocabulary file {path}.")
    with open(path, "rb") as file:
        content = file.read()
    try:
        found = _unpickle(content)
    except (UnsafePickleError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no vocabulary of Transformer-XL: {error}.") from None
    symbols = found.get("idx2sym") if isinstance(found, dict) else None
    if not symbols:
        ids = found.get("sym2idx") if isinstance(found, dict) else None
        if not isinstance(ids, dict) or not ids or not all(isinstance(i, int) for i in ids.values()):
            raise ValueError(f"{path} is no vocabulary of Transformer-XL: it has neither idx2sym nor sym2idx.")
        symbols = sorted(ids, key=ids.get)
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise ValueError(f"{path} is no vocabulary of Transformer-XL: its idx2sym is no list of words.")
    try:
        return ids_of_tokens(symbols)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def vocabulary_pickle(vocab: dict[str, int], unk_id: int | None, **settings) -> bytes:
    """What vocab.pkl holds, for the original: the words both ways, and the tokenizer's settings by name."""
    symbols = sorted(vocab, key=vocab.get)
    content = {**settings, "idx2sym": symbols, "sym2idx": OrderedDict((symbol, vocab[symbol]) for symbol in symbols)}
    return pickle.dumps({**content, "unk_idx": unk_id}, protocol=4)


def _unpickle(content: bytes):
    if zipfile.is_zipfile(io.BytesIO(content)):  # torch.save since 1.6
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
            if len(names) != 1 or archive.getinfo(names[0]).file_size > len(content):
                raise UnsafePickleError("it is a zip file without one data.pkl that is not compressed")
            return read_pickle(io.BytesIO(archive.read(names[0])), _LENIENT)
    file = io.BytesIO(content)
    found = read_pickle(file, _LENIENT)
    if found == MAGIC:  # torch.save before: a protocol number and a dictionary about the system stand before it
        for _ in range(3):
            found = read_pickle(file, _LENIENT)
    return found


class Ignored:
    """An object of a class that is of no interest."""


def _call(stack, memo, argument):
    """REDUCE, NEWOBJ: a function or class, and a tuple of arguments."""
    arguments, function = stack.pop(), stack.pop()
    name = function.name if isinstance(function, Name) else None
    if name == "collections.OrderedDict":
        stack.append(ordered_dict(*arguments[:1]))
    else:
        stack.append(Ignored())


def _call_with_names(stack, memo, argument):
    stack.pop()
    _call(stack, memo, argument)


def _look_up(stack, memo, argument):
    stack.append(Name(argument.replace(" ", ".", 1)))


def _look_up_from_stack(stack, memo, argument):
    name, module = stack.pop(), stack.pop()
    stack.append(Name(f"{module}.{name}"))


def _put(target, items: list) -> None:
    for key, value in zip(items[::2], items[1::2]):
        if type(target) is dict and isinstance(key, (str, int)):  # other keys could take for ever to hash
            target[key] = value


def _set_item(stack, memo, argument):
    items = [stack.pop(), stack.pop()][::-1]
    _put(stack[-1], items)


def _set_items(stack, memo, argument):
    items = pop_to_mark(stack)
    _put(stack[-1], items)


def _append(stack, memo, argument):
    item = stack.pop()
    if type(stack[-1]) is list:
        stack[-1].append(item)


def _appends(stack, memo, argument):
    items = pop_to_mark(stack)
    if type(stack[-1]) is list:
        stack[-1].extend(items)


def _dictionary(stack, memo, argument):
    items, made = pop_to_mark(stack), {}
    _put(made, items)
    stack.append(made)


def _replace_by_ignored(stack, memo, argument):
    stack[-1:] = [Ignored()]


_LENIENT = {
    **INSTRUCTIONS,
    "GLOBAL": _look_up,
    "STACK_GLOBAL": _look_up_from_stack,
    "REDUCE": _call,
    "NEWOBJ": _call,
    "NEWOBJ_EX": _call_with_names,
    "BUILD": lambda stack, memo, argument: stack.pop(),
    "BINPERSID": _replace_by_ignored,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "APPEND": _append,
    "APPENDS": _appends,
    "DICT": _dictionary,
    "LIST": lambda stack, memo, argument: stack.append(pop_to_mark(stack)),
    "EMPTY_SET": lambda stack, memo, argument: stack.append(Ignored()),
    "ADDITEMS": lambda stack, memo, argument: pop_to_mark(stack),
    "FROZENSET": lambda stack, memo, argument: stack.append((pop_to_mark(stack), Ignored())[1]),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), lambda stack, memo, argument: stack.append(argument)),
}

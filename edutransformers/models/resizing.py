"""More (or fewer) words than the checkpoint had: `model.resize_token_embeddings(len(tokenizer))`."""

from __future__ import annotations

from ..backend import array_module, random_normal
from ..layers import Embedding
from ..module import Module, Parameter


def resized_vocabulary(model, new_size: int | None, pad_to_multiple_of: int | None) -> int:
    """The size that `resize_token_embeddings` was asked for. Raises TypeError or ValueError for what is no size."""
    if not isinstance(model.get_input_embeddings(), Embedding):
        raise TypeError(f"{type(model).__name__} has no vocabulary: its inputs are no words")
    size = model.get_input_embeddings().weight.shape[0] if new_size is None else new_size
    for name, value in (("new_num_tokens", size), ("pad_to_multiple_of", pad_to_multiple_of)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise TypeError(f"{name} must be a whole number, got {value!r}")
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}, expected 1 or more")
    if pad_to_multiple_of is not None:
        size = -(-size // pad_to_multiple_of) * pad_to_multiple_of
    return size


def resize_vocabulary(model, size: int, generator, std: float) -> None:
    """Give every weight with a row for each word `size` rows, in place, so that tied weights stay tied.

    Rows that were there stay; new ones of a table are drawn from a normal distribution, new biases are 0. Those weights
    are the input embeddings', the output layer's, and a bias that the head around the output layer keeps for it.
    """
    embeddings, output = model.get_input_embeddings(), model.get_output_embeddings()
    old_size = embeddings.weight.shape[0]
    resized: set[int] = set()
    for module in model.modules():
        if module is not embeddings and module is not output and not _holds(module, output):
            continue
        for parameter in vars(module).values():
            if isinstance(parameter, Parameter) and parameter.shape[0] == old_size and id(parameter) not in resized:
                resized.add(id(parameter))
                _resize_rows(parameter, size, generator, std)


def _holds(module: Module, child: Module | None) -> bool:
    return child is not None and any(part is child for part in module.children())


def _resize_rows(parameter: Parameter, size: int, generator, std: float) -> None:
    old = parameter.data
    rows = min(size, old.shape[0])
    data = array_module(old).zeros((size, *old.shape[1:]), dtype=old.dtype)
    data[:rows] = old[:rows]
    if size > rows and old.ndim > 1:
        data[rows:] = random_normal(generator, (size - rows, *old.shape[1:]), std, old.dtype, like=old)
    parameter.data, parameter.grad = data, None

"""How large an image becomes: the `size` that a processor is given, and what it makes of one image.

{"height": 224, "width": 224}                    exactly that, whatever shape the image has
{"shortest_edge": 224}                           the shorter side becomes 224, the shape is kept
{"shortest_edge": 800, "longest_edge": 1333}     the same, but the longer side at most 1333
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from .channels import ChannelDimension, get_image_size

SIZE_KEYS = ({"height", "width"}, {"shortest_edge"}, {"shortest_edge", "longest_edge"}, {"longest_edge"})


def get_size_dict(
    size: int | Iterable[int] | Mapping[str, int] | None = None,
    max_size: int | None = None,
    height_width_order: bool = True,
    default_to_square: bool = True,
    param_name: str = "size",
) -> dict[str, int]:
    """A size as a dictionary, from the forms that older checkpoints write.

    224 is a square or, with `default_to_square=False`, the shortest edge (with `max_size` as the longest); (h, w) is
    height and width, or width and height with `height_width_order=False`. Raises ValueError for anything else.
    """
    if isinstance(size, Mapping):
        found = dict(size)
    elif isinstance(size, (int, np.integer)) and not isinstance(size, bool):
        if default_to_square:
            if max_size is not None:
                raise ValueError(f"{param_name}={size} is a square, so that max_size={max_size} can't be kept too")
            found = {"height": size, "width": size}
        else:
            found = {"shortest_edge": size} if max_size is None else {"shortest_edge": size, "longest_edge": max_size}
    elif isinstance(size, (tuple, list)) and len(size) == 2:
        height, width = size if height_width_order else reversed(size)
        found = {"height": height, "width": width}
    elif size is None and max_size is not None and not default_to_square:
        found = {"longest_edge": max_size}
    else:
        found = {}
    lengths = found.values()
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in lengths)
    if set(found) not in SIZE_KEYS or not whole:
        known = ", ".join("{" + ", ".join(f"'{key}'" for key in sorted(keys)) + "}" for keys in SIZE_KEYS)
        raise ValueError(
            f"{param_name} is {size!r}; expected whole numbers from 1 on: one, a pair (height, width), or a dictionary "
            f"with one of these sets of keys: {known}"
        )
    return {key: int(length) for key, length in found.items()}


def output_size(image_size: tuple[int, int], size: Mapping[str, int]) -> tuple[int, int]:
    """(height, width) of an image after it was resized to `size`, a dictionary as get_size_dict returns it."""
    if set(size) == {"height", "width"}:
        return size["height"], size["width"]
    if set(size) == {"shortest_edge"}:
        return fit_shortest_edge(image_size, size["shortest_edge"])
    if set(size) == {"shortest_edge", "longest_edge"}:
        return get_size_with_aspect_ratio(image_size, size["shortest_edge"], size["longest_edge"])
    raise ValueError(
        f"size is {dict(size)!r}, which does not say how large an image becomes; expected {{'height', 'width'}}, "
        "{'shortest_edge'} or {'shortest_edge', 'longest_edge'}"
    )


def fit_shortest_edge(image_size: tuple[int, int], shortest: int, max_size: int | None = None) -> tuple[int, int]:
    """The shorter side becomes `shortest`, the longer one in proportion, rounded down. (torchvision's rule.)

    If the longer one would exceed `max_size`, it becomes that, and the shorter one in proportion.
    """
    height, width = image_size
    short, long = min(height, width), max(height, width)
    new_short, new_long = shortest, int(shortest * long / short)
    if max_size is not None:
        if max_size <= shortest:
            raise ValueError(f"max_size={max_size} must be greater than size={shortest}, the length of the short edge")
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_long, new_short) if width <= height else (new_short, new_long)


def get_size_with_aspect_ratio(image_size: tuple[int, int], size: int, max_size: int | None = None) -> tuple[int, int]:
    """The shorter side becomes `size`, or less, so that the longer one stays within `max_size`. (DETR's rule.)

    It differs from torchvision's in where it rounds, by a pixel.
    """
    height, width = image_size
    short, long = min(height, width), max(height, width)
    exact = float(size)
    if max_size is not None and long / short * size > max_size:
        exact = max_size * float(short) / float(long)
        size = round(exact)
    if short == size:
        return height, width
    longer = int(exact * long / short)
    return (longer, size) if width < height else (size, longer)


def get_resize_output_image_size(
    input_image: np.ndarray,
    size: int | tuple[int, ...] | list[int],
    default_to_square: bool = True,
    max_size: int | None = None,
    input_data_format: ChannelDimension | str | None = None,
) -> tuple[int, int]:
    """(height, width) for `resize`: a pair is taken as it is; one number is a square, or the shorter side.

    With `default_to_square=False` the shape is kept, and the longer side stays within `max_size`.
    """
    if isinstance(size, (tuple, list)):
        if len(size) == 2:
            return tuple(size)
        if len(size) != 1:
            raise ValueError(f"size is {size!r}; expected one number or a pair (height, width)")
        size = size[0]
    if default_to_square:
        return size, size
    return fit_shortest_edge(get_image_size(input_image, input_data_format), size, max_size)

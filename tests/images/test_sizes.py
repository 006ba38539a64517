"""What a `size` means."""

import numpy as np
import pytest

from edutransformers.images import get_resize_output_image_size, get_size_dict
from edutransformers.images.sizes import fit_shortest_edge, get_size_with_aspect_ratio, output_size


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"size": 224}, {"height": 224, "width": 224}),
        ({"size": np.int64(7)}, {"height": 7, "width": 7}),
        ({"size": 224, "default_to_square": False}, {"shortest_edge": 224}),
        ({"size": 8, "max_size": 13, "default_to_square": False}, {"shortest_edge": 8, "longest_edge": 13}),
        ({"size": (3, 5)}, {"height": 3, "width": 5}),
        ({"size": [3, 5], "height_width_order": False}, {"height": 5, "width": 3}),
        ({"size": None, "max_size": 9, "default_to_square": False}, {"longest_edge": 9}),
        ({"size": {"height": 3, "width": 5}}, {"height": 3, "width": 5}),
        ({"size": {"shortest_edge": 3}}, {"shortest_edge": 3}),
    ],
)
def test_all_forms_become_a_dictionary(arguments, expected):
    assert get_size_dict(**arguments) == expected


@pytest.mark.parametrize(
    "size",
    [
        None,
        "224",
        0,
        -3,
        2.5,
        True,
        (3,),
        (3, 4, 5),
        (0, 4),
        {"height": 3},
        {"height": 3, "width": None},
        {"height": 3, "width": True},
        {},
    ],
)
def test_what_is_no_size(size):
    with pytest.raises(ValueError, match="crop_size is .* expected whole numbers from 1 on"):
        get_size_dict(size, param_name="crop_size")


def test_a_square_has_no_longest_edge():
    with pytest.raises(ValueError, match="size=8 is a square"):
        get_size_dict(8, max_size=9)


@pytest.mark.parametrize(
    ("image", "size", "expected"),
    [
        ((10, 20), {"height": 3, "width": 5}, (3, 5)),
        ((10, 20), {"shortest_edge": 7}, (7, 14)),
        ((20, 10), {"shortest_edge": 7}, (14, 7)),
        ((10, 15), {"shortest_edge": 7}, (7, 10)),  # 10.5, rounded down
        ((7, 20), {"shortest_edge": 7}, (7, 20)),
        ((1, 1), {"shortest_edge": 7}, (7, 7)),
        ((10, 20), {"shortest_edge": 7, "longest_edge": 100}, (7, 14)),
        ((10, 20), {"shortest_edge": 7, "longest_edge": 11}, (6, 11)),  # 5.5, rounded to even
        ((20, 10), {"shortest_edge": 7, "longest_edge": 11}, (11, 6)),
        ((5, 10), {"shortest_edge": 5, "longest_edge": 10}, (5, 10)),
    ],
)
def test_output_size(image, size, expected):
    assert output_size(image, size) == expected


def test_a_longest_edge_alone_is_not_enough():
    with pytest.raises(ValueError, match=r"\{'longest_edge': 9\}, which does not say"):
        output_size((10, 20), {"longest_edge": 9})


def test_the_two_rules_for_a_longest_edge_round_differently():
    assert fit_shortest_edge((10, 20), 7, 11) == (5, 11)  # 5.5 cut off
    assert get_size_with_aspect_ratio((10, 20), 7, 11) == (6, 11)
    assert fit_shortest_edge((20, 10), 7, 11) == (11, 5)
    assert fit_shortest_edge((20, 10), 7, 14) == (14, 7)
    with pytest.raises(ValueError, match="max_size=7 must be greater than size=7"):
        fit_shortest_edge((20, 10), 7, 7)


def test_get_resize_output_image_size():
    image = np.zeros((10, 20, 3))
    assert get_resize_output_image_size(image, (3, 5)) == (3, 5)
    assert get_resize_output_image_size(image, 7) == (7, 7)
    assert get_resize_output_image_size(image, [7], default_to_square=False) == (7, 14)
    assert get_resize_output_image_size(image, 7, default_to_square=False, max_size=11) == (5, 11)
    assert get_resize_output_image_size(image.transpose(2, 0, 1), 7, default_to_square=False) == (7, 14)
    with pytest.raises(ValueError, match="one number or a pair"):
        get_resize_output_image_size(image, (1, 2, 3))

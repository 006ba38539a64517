"""The lessons' pictures say what they are given, and are described."""

import io

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from edutransformers.teaching import lesson_plots, plots


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def is_drawn(figure) -> None:
    picture = Image.open(io.BytesIO(plots.show(figure, alt="…").png)).convert("L")
    low, high = picture.getextrema()
    assert low < 100 < 250 < high


def test_flow():
    steps = [("x", "(B, D)"), "x Wᵀ", ("y", "(B, O)"), "loss", ("L", "a number")]
    figure = lesson_plots.flow(steps, ["dx = dy W", "dy"], title="There and back")
    wanted = {"x", "(B, D)", "x Wᵀ", "y", "(B, O)", "loss", "L", "a number", "dx = dy W", "dy", "There and back"}
    assert set(texts(figure)) == wanted
    is_drawn(figure)
    assert "dy" not in texts(lesson_plots.flow(steps))
    with pytest.raises(ValueError, match="by turns"):
        lesson_plots.flow(steps[:-1])
    with pytest.raises(ValueError, match="one gradient an operation"):
        lesson_plots.flow(steps, ["dy"])


@pytest.mark.parametrize("shape", [(), (4,), (4, 3), (2, 4, 3), (64, 512, 768)])
def test_shapes(shape):
    axes = " ".join("BTD"[-len(shape) :] if shape else "")
    figure = lesson_plots.shapes([("x", shape, axes), "=", ("y", (2, 2), "B O")], title="Shapes")
    found = texts(figure)
    assert {"x", "=", "y", "Shapes", "O = 2"} <= set(found)
    assert all(f"{axis} = {size}" in found for axis, size in zip(axes.split(), shape))
    is_drawn(figure)


def test_matrices():
    values = [np.array([[1.5, -2.0], [0.0, 3.0]]), np.array([7.0, 8.0])]
    marked = [np.array([[True, False], [False, False]]), None]
    figure = lesson_plots.matrices(
        values, ["a", "b"], rows=None, columns=["u", "v"], form="{:.1f}", marked=marked, note="n"
    )
    assert {"1.5", "-2.0", "0.0", "3.0", "7.0", "8.0", "a", "b", "u", "v", "n"} <= set(texts(figure))
    frames = [patch for patch in figure.axes[0].patches if not patch.get_fill()]
    assert len(frames) == 1
    assert not figure.axes[1].patches
    is_drawn(figure)


def test_what_rounds_to_zero_has_no_sign():
    figure = lesson_plots.matrices([np.array([[-0.001, -0.01, -20.0]])], ["a"])
    assert {"0.00", "-0.01", "-20.00"} <= set(texts(figure))
    assert "-0.00" not in texts(figure)
    assert "0.0" in texts(lesson_plots.bars(["a", "b"], [-0.04, 1.0], "x", "y", "{:.1f}"))


def test_numbers_stand_out_from_their_cells():
    """Dark cells have white numbers, pale ones dark numbers."""
    (ax,) = lesson_plots.matrices([np.linspace(0, 1, 11)[None]], ["x"]).axes
    image = ax.images[0]
    for text, value in zip(ax.texts, image.get_array()[0]):
        cell = np.mean(image.cmap(image.norm(value))[:3])
        ink = 1.0 if text.get_color() == "white" else 0.13
        lighter, darker = max(cell**2.2, ink**2.2) + 0.05, min(cell**2.2, ink**2.2) + 0.05
        assert lighter / darker > 3.5, (value, text.get_color())


def test_curves_differ_in_more_than_colour():
    lines = {str(n): [n, n + 1, n + 2] for n in range(6)}
    figure = lesson_plots.curves([1, 10, 100], lines, "x", "y", "t", logarithmic="xy")
    (ax,) = figure.axes
    assert len({(line.get_linestyle(), line.get_color()) for line in ax.lines}) == 6
    assert len({line.get_linestyle() for line in ax.lines[:4]}) == 4
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert set(lines) <= set(texts(figure))
    is_drawn(figure)


def test_axes_have_numbers_that_can_be_read():
    """Layers are counted in whole numbers; less than two decades are marked at 1, 2 and 5, plainly written."""
    figure = lesson_plots.curves(range(1, 6), {"a": [3, 4, 5, 7, 30]}, "layer", "size", "t", logarithmic="y")
    figure.canvas.draw()
    (ax,) = figure.axes
    assert all(float(tick).is_integer() for tick in ax.get_xticks())
    shown = {text.get_text() for text in ax.get_yticklabels()}
    assert {"5", "10", "20"} <= shown
    assert not [text.get_text() for text in ax.get_yticklabels(minor=True) if text.get_text()]


def test_points_are_labelled():
    figure = lesson_plots.points([1, 2, 8], [3, 2, 1], ["a", "b", "c"], "time", "memory", "t", logarithmic="x")
    (ax,) = figure.axes
    assert {"a", "b", "c", "time", "memory"} <= set(texts(figure))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    is_drawn(figure)


def test_points_without_a_line():
    (ax,) = lesson_plots.points([1, 2], [3, 2], ["a", "b"], "x", "y", "t", joined=False).axes
    assert [(line.get_linestyle(), line.get_marker()) for line in ax.lines] == [("None", "o")]


def test_heatmaps_share_one_scale():
    figure = lesson_plots.heatmaps([np.eye(3), -np.eye(3)], ["one", "minus"], labels=["a", "b", "c"], ylabel="rows")
    assert [ax.images[0].get_clim() for ax in figure.axes[:2]] == [(-1, 1), (-1, 1)]
    assert {"one", "minus", "a", "b", "c", "rows"} <= set(texts(figure))
    is_drawn(figure)
    is_drawn(lesson_plots.heatmaps([np.eye(3)[:2]], ["wide"], xlabel="columns"))


def test_bars():
    figure = lesson_plots.bars(["one", "minus"], [1.25, -2.0], "nats", "Bars", form="{:.1f}")
    assert {"one", "minus", "1.2", "-2.0", "nats", "Bars"} <= set(texts(figure))
    is_drawn(figure)


def test_pictures_carry_their_description():
    figure = lesson_plots.bars(["one"], [1.0], "x", "t")
    picture = plots.show(figure, alt="One bar.")
    data, metadata = picture._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert data["text/plain"] == repr(picture) == "[One bar.]"
    assert metadata == {"image/png": {"alt": "One bar."}}


def test_pictures_in_rows_with_the_grid_of_patches():
    grey, colours = np.linspace(0, 5, 24).reshape(4, 6), np.full((4, 6, 3), 0.5)
    figure = lesson_plots.pictures({"grey": [grey, grey / 2], "colours": [colours]}, ["a", "b"], patch=2, title="All")
    first = figure.axes[0]
    assert len(figure.axes) == 4
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 0]
    assert [ax.get_title(loc="center") for ax in figure.axes] == ["a", "b", "", ""]
    assert (first.get_ylabel(), first.images[0].get_clim()) == ("grey", (0, 5))
    assert figure.axes[1].images[0].get_clim() == (0, 5)  # a row shares its scale
    assert first.get_xlim() == (-0.5, 5.5)
    assert first.get_ylim() == (3.5, -0.5)
    assert not lesson_plots.pictures({"": [grey]}).axes[0].lines


def test_a_lattice_has_all_pieces_and_shows_the_chosen_ones():
    edges = [(0, 1, "a 0.2", False), (1, 2, "b 0.3", False), (0, 2, "ab 0.5", True)]
    figure = lesson_plots.lattice("ab", edges, title="Cuts of ab")
    assert set(texts(figure)) == {"a", "b", "a 0.2", "b 0.3", "ab 0.5", "Cuts of ab"}
    looks = [(line.get_color(), line.get_linestyle(), line.get_linewidth()) for line in figure.axes[0].lines]
    assert looks[0] == looks[1]
    assert all(a != b for a, b in zip(looks[0], looks[2]))
    is_drawn(figure)
    thick = lesson_plots.lattice("ab", [(0, 1, "a", False, 1.0), (1, 2, "b", False, 0.0)])
    widths = [line.get_linewidth() for line in thick.axes[0].lines]
    assert widths[0] > widths[1] > 0


def test_a_tree_shows_what_was_kept_and_what_was_not():
    nodes = [(None, "the", True), (0, "cat\n-1.0", True), (0, "dog", False), (1, "sat", True), (1, "ran", False)]
    figure = lesson_plots.tree(nodes, title="A search")
    (ax,) = figure.axes
    texts = {text.get_text(): text for text in ax.texts}
    assert list(texts) == [label for _, label, _ in nodes]
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--", "-", "--"]  # each node's way from its parent
    x = {label: text.get_position()[0] for label, text in texts.items()}
    assert x["the"] < x["cat\n-1.0"] == x["dog"] < x["sat"] == x["ran"]
    y = {label: text.get_position()[1] for label, text in texts.items()}
    assert len({y["sat"], y["ran"], y["dog"]}) == 3
    assert y["cat\n-1.0"] == (y["sat"] + y["ran"]) / 2

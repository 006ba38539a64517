"""The lessons' pictures: arrays drawn by their shapes, matrices with their numbers, what flows forward and back.

In the style of `plots`: ink and two colours that stay apart in greyscale and for the colour-blind; what is blue goes
forward and what is orange and dashed comes back. Every function returns a figure, for `plots.show(figure, alt=…)`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..backend import to_numpy
from .plots import BLUE, GREY, INK, ORANGE, STYLE

PALE = "#e6eef7"


def _axes(width: float, height: float, columns: int = 1, **options):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False, **options)[0]


def flow(steps: Sequence, gradients: Sequence[str] | None = None, title: str | None = None):
    """Arrays in a row, with what is done between them; below, what comes back.

    steps      arrays and operations by turns: [("x", "(B, D)"), "x Wᵀ + b", ("y", "(B, O)"), "loss", ("L", "a number")]
    gradients  for each operation how the gradient goes back through it: ["dx = dy W", "dy"]
    """
    import matplotlib

    arrays, operations = steps[::2], steps[1::2]
    if len(arrays) != len(operations) + 1 or (gradients is not None and len(gradients) != len(operations)):
        raise ValueError("steps are arrays and operations by turns, arrays at both ends; one gradient an operation")
    with matplotlib.rc_context(STYLE):
        longest = max([len(text) for text in [*operations, *(gradients or [])]], default=1)
        gap = max(1.2, 0.105 * longest)
        box = max(1.0, 0.1 * max(max(len(name), len(shape)) for name, shape in arrays) + 0.25)
        width = len(arrays) * box + len(operations) * gap
        figure, (ax,) = _axes(width + 0.2, 1.5 + 0.2 * bool(title))
        for number, (name, shape) in enumerate(arrays):
            x = number * (box + gap)
            ax.add_patch(_rounded(x, -0.35, box, 0.7))
            ax.text(x + box / 2, 0.12, name, ha="center", va="center", color=INK, fontweight="bold")
            ax.text(x + box / 2, -0.17, shape, ha="center", va="center", color=INK, fontsize=8)
            if number < len(operations):
                _arrow(ax, x + box, 0.14, x + box + gap, 0.14, BLUE, operations[number], above=True)
                if gradients is not None:
                    _arrow(ax, x + box + gap, -0.16, x + box, -0.16, ORANGE, gradients[number], above=False)
        ax.set_xlim(-0.05, width + 0.05)
        ax.set_ylim(-0.75, 0.75)
        ax.axis("off")
        if title:
            ax.set_title(title)
    return figure


def _shown(form: str, number) -> str:
    """The number in its form; what rounds to 0 without a sign."""
    text = form.format(number)
    return text[1:] if text.startswith("-0") and not text.strip("-0.") else text


def _rounded(x, y, width, height, color=PALE):
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch(
        (x + 0.04, y), width - 0.08, height, boxstyle="round,pad=0,rounding_size=0.08", facecolor=color, edgecolor=INK,
        linewidth=1,
    )  # fmt: skip


def _arrow(ax, x, y, to_x, to_y, color, text, above: bool):
    style = {"arrowstyle": "-|>", "color": color, "linewidth": 1.5, "shrinkA": 2, "shrinkB": 2}
    if not above:
        style["linestyle"] = "--"
    ax.annotate("", (to_x, to_y), (x, y), arrowprops=style)
    ax.text(
        (x + to_x) / 2, y + (0.08 if above else -0.08), text, ha="center", va="bottom" if above else "top", color=color,
        fontsize=8,
    )  # fmt: skip


def shapes(arrays: Sequence[tuple], title: str | None = None):
    """Arrays of up to three axes as boxes to scale, each axis with its name and length.

    arrays: (name, shape, names of the axes) or a text, such as "+" or "=", that stands between two:
    [("x", (4, 3), "B D"), "@", ("Wᵀ", (3, 2), "D O"), "=", ("y", (4, 2), "B O")]
    """
    import matplotlib
    from matplotlib.patches import Rectangle

    unit = 3.0 / max(2, *(size for item in arrays if not isinstance(item, str) for size in item[1][-2:] or (1,)))
    with matplotlib.rc_context(STYLE):
        figure, (ax,) = _axes(1, 1)
        x, top = 0.0, 0.0
        for item in arrays:
            if isinstance(item, str):
                ax.text(x + 0.25, 0, item, ha="center", va="center", fontsize=14, color=INK)
                x += 0.65
                continue
            name, shape, axes = item[0], tuple(item[1]), item[2].split()
            rows, columns = (1, 1, *shape)[-2:]
            depth = shape[0] if len(shape) == 3 else 1
            width, height, shift = columns * unit, rows * unit, min(0.12, 0.6 / depth)
            x += 0.55 if len(shape) > 1 else 0.2  # room for the name of the rows' axis
            for layer in reversed(range(depth)):
                left, bottom = x + layer * shift, -height / 2 + layer * shift
                ax.add_patch(Rectangle((left, bottom), width, height, facecolor=PALE, edgecolor=INK, linewidth=0.9))
            for column in range(1, columns if columns <= 16 else 1):
                ax.plot([x + column * unit] * 2, [-height / 2, height / 2], color=GREY, linewidth=0.3)
            for row in range(1, rows if rows <= 16 else 1):
                ax.plot([x, x + width], [-height / 2 + row * unit] * 2, color=GREY, linewidth=0.3)
            highest = height / 2 + (depth - 1) * shift
            ax.text(x + width / 2, highest + 0.12, name, ha="center", va="bottom", fontweight="bold", color=INK)
            labels = [axis if axis == str(size) else f"{axis} = {size}" for axis, size in zip(axes, shape)]
            if shape:
                ax.text(x + width / 2, -height / 2 - 0.1, labels[-1], ha="center", va="top", fontsize=8, color=BLUE)
            if len(shape) > 1:
                ax.text(x - 0.1, 0, labels[-2], ha="right", va="center", fontsize=8, color=BLUE, rotation=90)
            if len(shape) == 3:
                ax.text(x + width + (depth - 1) * shift + 0.05, highest, labels[0], va="top", fontsize=8, color=ORANGE)
            x += width + (depth - 1) * shift + (0.75 if len(shape) == 3 else 0.25)
            top = max(top, highest + 0.45, height / 2 + 0.4)
        figure.set_size_inches(x + 0.3, 2 * top + 0.2 * bool(title))
        ax.set_xlim(-0.1, x + 0.1)
        ax.set_ylim(-top, top)
        ax.set_aspect("equal")
        ax.axis("off")
        if title:
            ax.set_title(title)
    return figure


def matrices(values: Sequence, titles: Sequence[str], rows=None, columns=None, form="{:.2f}", marked=None, note=None):
    """Matrices side by side with the number in each cell; the darker, the larger its size.

    values        arrays of two axes (or one: a row), of any shapes
    rows, columns the names of the rows and columns, for all matrices; or None
    marked        for each matrix a boolean array of its cells to frame, or None
    """
    import matplotlib
    from matplotlib.patches import Rectangle

    values = [np.atleast_2d(to_numpy(value)) for value in values]
    marked = marked or [None] * len(values)
    cell = 0.1 * max(len(form.format(number)) for value in values for number in value.ravel()) + 0.25
    with matplotlib.rc_context(STYLE):
        widths = [value.shape[1] * cell + 0.5 for value in values]
        tallest = max(len(value) for value in values)
        figure, axes = _axes(
            sum(widths) + 0.7, tallest * 0.36 + 0.9 + 0.25 * bool(note), len(values), width_ratios=widths
        )
        for ax, value, title, frame in zip(axes, values, titles, marked):
            strength = np.abs(value.astype(np.float64)) / max(float(np.abs(value).max(initial=0)), 1e-12)
            ax.imshow(0.75 * strength, cmap="Greys", vmin=0, vmax=1, aspect="auto")
            for row, column in np.ndindex(value.shape):
                color = "white" if strength[row, column] > 0.78 else INK
                text = _shown(form, value[row, column])
                ax.text(column, row, text, ha="center", va="center", color=color, fontsize=9)
                if frame is not None and np.atleast_2d(frame)[row, column]:
                    ax.add_patch(
                        Rectangle((column - 0.47, row - 0.46), 0.94, 0.92, fill=False, edgecolor=ORANGE, linewidth=2)
                    )
            ax.set_xticks(range(value.shape[1]), columns or [""] * value.shape[1], fontsize=8)
            ax.set_yticks(range(len(value)), rows or [""] * len(value), fontsize=8)
            ax.tick_params(length=0)
            ax.xaxis.tick_top()
            for spine in ax.spines.values():
                spine.set_visible(False)
            ax.set_title(title, fontsize=10)
        if note:
            figure.supxlabel(note, fontsize=8, color=GREY)
    return figure


def heatmaps(values: Sequence, titles: Sequence[str], labels=None, xlabel: str = "", ylabel: str = ""):
    """Large matrices side by side as shades, on one scale: the darker, the larger. White is the least of all numbers.

    labels: the names of the rows, and of the columns where there are as many
    """
    import matplotlib

    values = [to_numpy(value) for value in values]
    low, high = min(value.min() for value in values), max(value.max() for value in values)
    with matplotlib.rc_context(STYLE):
        size = max(2.9, 0.17 * len(labels or "") + 0.9)
        figure, axes = _axes(size * len(values) + 0.8, size, len(values))
        for place, (ax, value, title) in enumerate(zip(axes, values, titles)):
            image = ax.imshow(value, cmap="Greys", vmin=low, vmax=high, aspect="auto", interpolation="nearest")
            if labels is not None:
                ax.set_yticks(range(len(labels)), labels if place == 0 else [""] * len(labels), fontsize=7)
                if value.shape[1] == len(labels):
                    ax.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
            ax.tick_params(length=0 if labels else 3)
            ax.set_xlabel(xlabel)
            ax.set_ylabel(ylabel if place == 0 else "")
            ax.set_title(title)
        figure.colorbar(image, ax=list(axes), shrink=0.8)
    return figure


def _scale(ax, x, logarithmic: str) -> None:
    """Logarithmic axes with readable numbers, and no halves on an axis of whole numbers."""
    from matplotlib import ticker

    for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        if name in logarithmic:
            getattr(ax, f"set_{name}scale")("log")
            low, high = axis.get_view_interval()
            if high < 100 * low:  # of less than two decades matplotlib would write every tick, one over the other
                axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
                axis.set_major_formatter(ticker.FuncFormatter(lambda number, _: f"{number:g}"))
                axis.set_minor_formatter(ticker.NullFormatter())
    if "x" not in logarithmic and np.array_equal(x, np.round(x)):
        ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))


def curves(x, lines: dict[str, Sequence[float]], xlabel: str, ylabel: str, title: str, logarithmic: str = ""):
    """Some curves over one axis, told apart by their dashes as well as by their colour.

    logarithmic: "x", "y" or "xy" for axes on which each step is a factor.
    """
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure, (ax,) = _axes(6.5, 3.2)
        looks = [(BLUE, "-"), (ORANGE, "--"), (INK, ":"), (GREY, "-."), (BLUE, (0, (7, 2))), (ORANGE, "-")]
        for (name, values), (color, dashes) in zip(lines.items(), looks * 3):
            ax.plot(x, values, color=color, linestyle=dashes, linewidth=1.8, label=name)
        if len(lines) > 1:
            ax.legend(frameon=False, fontsize=8)
        _scale(ax, x, logarithmic)
        ax.set_xlabel(xlabel)
        ax.set_ylabel(ylabel)
        ax.set_title(title)
    return figure


def points(
    x, y, labels: Sequence[str], xlabel: str, ylabel: str, title: str, logarithmic: str = "", joined: bool = True
):
    """Labelled points, joined in their order by a thin line: what one gives for the other. joined=False: no line.

    logarithmic: "x", "y" or "xy" for axes on which each step is a factor.
    """
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure, (ax,) = _axes(6.5, 3.2)
        ax.plot(x, y, "o-" if joined else "o", color=BLUE, linewidth=0.8, markersize=5)
        for at_x, at_y, label in zip(x, y, labels):
            ax.annotate(label, (at_x, at_y), (6, 4), textcoords="offset points", fontsize=8, color=INK)
        _scale(ax, x, logarithmic)
        ax.margins(0.1)
        ax.set_xlabel(xlabel)
        ax.set_ylabel(ylabel)
        ax.set_title(title)
    return figure


def bars(names: Sequence[str], values: Sequence[float], xlabel: str, title: str, form="{:.3g}"):
    """A bar for each name, with its number."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure, (ax,) = _axes(6.5, 0.3 * len(names) + 0.9)
        places = np.arange(len(names))[::-1]
        ax.barh(places, values, color=BLUE, height=0.65)
        reach = max(max(values), 0) - min(min(values), 0) or 1
        for place, value in zip(places, values):
            ax.text(max(value, 0) + 0.01 * reach, place, _shown(form, value), va="center", fontsize=8, color=INK)
        ax.axvline(0, color=INK, linewidth=0.8)
        ax.set_yticks(places, names)
        ax.margins(x=0.12)
        ax.set_xlabel(xlabel)
        ax.set_title(title)
    return figure


def pictures(rows: dict[str, Sequence], titles: Sequence[str] | None = None, patch: int | None = None, title=None):
    """Rows of small pictures: grey (H, W), or (H, W, 3) from 0 to 1. In a grey row black is its least, white its most.

    rows     {the row's name: its pictures}; a row may have fewer than the others
    titles   above the first row's pictures
    patch    draws the grid of patches of so many pixels
    """
    import matplotlib

    columns = max(map(len, rows.values()))
    with matplotlib.rc_context(STYLE):
        from matplotlib.figure import Figure

        size = min(1.4, 8.5 / columns)
        figure = Figure(
            figsize=(size * columns + 0.9, (size + 0.08) * len(rows) + 0.25 * bool(titles) + 0.25 * bool(title)),
            layout="constrained",
        )
        axes = figure.subplots(len(rows), columns, squeeze=False)
        for place, (line, (name, images)) in enumerate(zip(axes, rows.items())):
            images = [to_numpy(image) for image in images]
            least, most = min(float(image.min()) for image in images), max(float(image.max()) for image in images)
            for column, ax in enumerate(line):
                ax.set_xticks([])
                ax.set_yticks([])
                ax.spines[:].set_visible(False)
                if column >= len(images):
                    continue
                height, width = images[column].shape[:2]
                ax.imshow(images[column], cmap="Greys_r", vmin=least, vmax=most, interpolation="nearest")
                for edge in range(patch or max(height, width), max(height, width), patch or 1):
                    ax.axhline(edge - 0.5, color=ORANGE, linewidth=0.8)
                    ax.axvline(edge - 0.5, color=ORANGE, linewidth=0.8)
                ax.set_xlim(-0.5, width - 0.5)
                ax.set_ylim(height - 0.5, -0.5)
                if place == 0 and titles is not None:
                    ax.set_title(titles[column], fontsize=9, fontweight="normal", loc="center")
            line[0].set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def lattice(text: str, edges: Sequence[tuple], title: str | None = None):
    """All pieces that a text can be cut into, as arcs over it; a cut is a way along arcs from the left to the right.

    edges: (start, stop, label, is it chosen), or with a fifth entry from 0 to 1: how thick the arc is. Chosen ones are
    blue, the others grey and dashed.
    """
    import matplotlib

    with matplotlib.rc_context(STYLE):
        longest = max(stop - start for start, stop, *_ in edges)
        figure, (ax,) = _axes(1.15 * len(text) + 0.6, 0.5 * longest + 1.1 + 0.2 * bool(title))
        for start, stop, label, is_chosen, *thickness in edges:
            x = np.linspace(start, stop, 50)
            height = 0.55 * (stop - start) - 0.35
            y = height * (1 - (2 * (x - start) / (stop - start) - 1) ** 4)
            width = 0.8 + 5 * thickness[0] if thickness else 2.5 if is_chosen else 1.0
            color, dashes = (BLUE, "-") if is_chosen else (GREY, (0, (3, 2)))
            ax.plot(x, y, color=color, linestyle=dashes, linewidth=width, zorder=2 + is_chosen)
            ax.text((start + stop) / 2, height + 0.04, label, ha="center", va="bottom", fontsize=8, color=INK, zorder=5)
        ax.scatter(range(len(text) + 1), [0] * (len(text) + 1), color=INK, s=22, zorder=6)
        for place, character in enumerate(text):
            ax.text(place + 0.5, -0.12, character, ha="center", va="top", fontweight="bold", color=INK)
        ax.set_ylim(-0.45, 0.55 * longest + 0.05)
        ax.axis("off")
        if title:
            ax.set_title(title)
    return figure


def tree(nodes: Sequence[tuple], title: str | None = None):
    """A search tree from the left to the right: what was kept is blue and drawn through, the rest grey and dashed.

    nodes: (the parent's place in the list, or None for the root; label; is it kept), parents before their children
    """
    import matplotlib

    children = {place: [n for n, node in enumerate(nodes) if node[0] == place] for place in range(len(nodes))}
    depth, height, leaves = [], [0.0] * len(nodes), 0
    for parent, *_ in nodes:
        depth.append(0 if parent is None else depth[parent] + 1)

    def place_below(node):
        nonlocal leaves
        for child in children[node]:
            place_below(child)
        if children[node]:
            height[node] = sum(height[child] for child in children[node]) / len(children[node])
        else:
            height[node], leaves = -float(leaves), leaves + 1

    place_below(0)
    step = 0.09 * max(len(line) for _, label, _ in nodes for line in label.split("\n")) + 1.0
    with matplotlib.rc_context(STYLE):
        figure, (ax,) = _axes(step * (max(depth) + 1), 0.5 * leaves + 0.2 + 0.25 * bool(title))
        for place, (parent, label, is_kept) in enumerate(nodes):
            x, y = depth[place] * step, height[place]
            color, dashes = (BLUE, "-") if is_kept else (GREY, "--")
            if parent is not None:
                ends = [depth[parent] * step, x], [height[parent], y]  # behind the labels' boxes
                ax.plot(*ends, color=color, linestyle=dashes, linewidth=1.8 if is_kept else 0.9, zorder=1)
            box = {
                "boxstyle": "round,pad=0.25", "facecolor": PALE if is_kept else "white", "edgecolor": color,
                "linestyle": dashes,
            }  # fmt: skip
            weight = "bold" if is_kept else "normal"
            ax.text(
                x, y, label, ha="center", va="center", fontsize=8, color=INK, fontweight=weight, bbox=box, zorder=2,
                parse_math=False,
            )  # fmt: skip
        ax.set_xlim(-0.5 * step, (max(depth) + 0.5) * step)
        ax.set_ylim(-leaves + 0.4, 0.6)
        ax.axis("off")
        if title:
            ax.set_title(title)
    return figure

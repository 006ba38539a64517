"""Pictures of memory and work. Colours from Okabe and Ito's set, which the colour-blind can tell apart."""

from __future__ import annotations

import io
from functools import lru_cache

from .plots import GREY, INK, STYLE

COLOURS = {
    "weights": "#0072b2",
    "gradients": "#56b4e9",
    "optimizer states": "#009e73",
    "saved activations": "#e69f00",
    "temporary": "#b3b3b3",
}
PASS_COLOURS = {"forward": "#56b4e9", "recompute": "#b3b3b3", "backward": "#0072b2"}
PASS_WORDS = {"forward": "forward", "recompute": "forward again", "backward": "backward"}


@lru_cache(maxsize=1)
def _picture():
    """matplotlib's Figure that a notebook shows. Made without pyplot: no window, no global state, no display needed."""
    from matplotlib.figure import Figure

    class Picture(Figure):
        def _repr_png_(self):
            file = io.BytesIO()
            self.savefig(file, format="png", dpi=110)
            return file.getvalue()

    return Picture


def _figure(height: float):
    figure = _picture()(figsize=(8, height), layout="constrained", facecolor="white")
    return figure, figure.subplots()


def _unit(largest: float) -> tuple[float, str]:
    return (1e9, "GB") if largest >= 2e9 else (1e6, "MB")


def _bars(axes, names: list[str], stacks: list[dict], colours: dict, unit: float, labels: list[str], starts=None):
    """A horizontal bar a row, made of a stack's parts, with a label at its end; `starts` says where each begins."""
    places = list(range(len(names)))[::-1]
    ends = [0.0] * len(names) if starts is None else [start / unit for start in starts]
    for part, colour in colours.items():
        sizes = [stack.get(part, 0) / unit for stack in stacks]
        if any(sizes):
            axes.barh(places, sizes, left=ends, color=colour, height=0.66, label=part, edgecolor="white", linewidth=0.8)
        ends = [end + size for end, size in zip(ends, sizes)]
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    for place, end, label in zip(places, ends, labels):
        axes.annotate(label, (end, place), (5, 0), textcoords="offset points", va="center", fontsize=9, color=INK,
                      bbox=paper)  # fmt: skip
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0, 1.2 * max(ends))


def savings_figure(savings):
    """A bar for each way to train, made of its parts; the dashed line is the plain way."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        ways = savings.ways
        figure, axes = _figure(0.42 * len(ways) + 1.6)
        plain = ways[0].report.peak
        unit, name = _unit(plain)
        labels = [f"{plain / unit:,.2f} {name}", *(_saved(way, plain) for way in ways[1:])]
        stacks = [way.report.parts for way in ways]
        _bars(axes, [way.name for way in ways], stacks, COLOURS, unit, labels)
        axes.axvline(plain / unit, color=GREY, linestyle="--", linewidth=0.8, zorder=0)
        axes.set_xlabel(f"{name} at the worst moment of a training step")
        figure.suptitle(savings.title, x=0.01, ha="left", fontsize=11, fontweight="bold")  # wider than the axes
        figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=9, handlelength=1.0,
                      handleheight=1.0, columnspacing=1.2)  # fmt: skip
    return figure


def _saved(way, plain: int) -> str:
    less = 1 - way.report.peak / plain
    words = f"−{less:.0%}" if less > 0.005 else "no less"
    return words + (f", work × {way.work:.2f}" if way.work > 1.005 else "")


def report_figure(report):
    """From nothing to the worst moment, part by part; saved activations by layer."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        parts = report.parts
        rows = [(part, part, parts[part]) for part in ("weights", "gradients", "optimizer states") if parts[part]]
        shown = [layer for layer in report.layers() if layer.nbytes > 0.01 * report.peak][:8]
        rows += [(layer.name, "saved activations", layer.nbytes) for layer in shown]
        others = parts["saved activations"] - sum(layer.nbytes for layer in shown)
        rows += [("other layers", "saved activations", others), ("temporary", "temporary", parts["temporary"])]
        starts = [sum(size for _, _, size in rows[:place]) for place in range(len(rows))]
        large = [place for place, row in enumerate(rows) if row[0] != "other layers" or row[2] > 0.005 * report.peak]
        rows, starts = [rows[place] for place in large], [starts[place] for place in large]
        figure, axes = _figure(0.4 * len(rows) + 1.6)
        unit, name = _unit(report.peak)
        sizes = [size for _, _, size in rows]
        labels = [f"{size / unit:,.2f} {name}, {size / report.peak:.0%}" for size in sizes]
        _bars(
            axes, [row for row, _, _ in rows], [{part: size} for _, part, size in rows], COLOURS, unit, labels, starts
        )
        axes.axvline(report.peak / unit, color=GREY, linestyle="--", linewidth=0.8, zorder=0)
        axes.set_xlabel(f"{report.peak / unit:,.2f} {name} at the worst moment of a training step")
        axes.set_title(report.title)
        figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=9, handlelength=1.0,
                      handleheight=1.0, columnspacing=1.2)  # fmt: skip
    return figure


def flops_figure(report):
    """The matrix products of each layer, forward and backward."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        layers = [layer for layer in report.layers() if layer.total > 0.001 * report.total][:12]
        rows = [(layer.name, {which: getattr(layer, which) for which in PASS_COLOURS}) for layer in layers]
        figure, axes = _figure(0.45 * len(rows) + 1.5)
        labels = [f"{sum(counts.values()) / report.total:.0%}" for _, counts in rows]
        _bars(axes, [name for name, _ in rows], [counts for _, counts in rows], PASS_COLOURS, 1e9, labels)
        axes.set_xlabel(f"10⁹ floating-point operations; {report.total / 1e9:,.1f} in all")
        axes.set_title(report.title)
        handles, words = axes.get_legend_handles_labels()
        figure.legend(handles, [PASS_WORDS[word] for word in words], loc="outside lower center", ncols=3, frameon=False,
                      fontsize=9, handlelength=1.0, handleheight=1.0)  # fmt: skip
    return figure

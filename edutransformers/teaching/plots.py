"""The package's pictures, in one small matplotlib style: readable in greyscale and by the colour-blind.

Every function draws into a new figure and returns it; `save(figure, path)` writes a PNG and lets go of the memory.
"""

from __future__ import annotations

import io

import numpy as np

INK, BLUE, ORANGE, GREY = "#222222", "#0b5394", "#d9730d", "#8a8a8a"
STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 140,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": False,
}


def _figure(width: float, height: float, columns: int = 1):
    # A Figure made without pyplot: no window, no global state, and it works on machines without a display.
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(1, columns)


class Picture:
    """A figure as a PNG, described in words for those who can't see it. Jupyter shows it as a cell's result."""

    def __init__(self, png: bytes, alt: str):
        self.png, self.alt = png, alt

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"image/png": self.png, "text/plain": f"[{self.alt}]"}, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return f"[{self.alt}]"


def show(figure, alt: str) -> Picture:
    """The figure as a cell's result, with `alt`: what one would tell somebody on the telephone about it."""
    import matplotlib
    from PIL import Image

    buffer, smaller = io.BytesIO(), io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="png", facecolor="white", dpi=STYLE["figure.dpi"])
    # 256 colours are enough for these figures, and a notebook's file becomes a third as large.
    Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(smaller, format="png", optimize=True)
    return Picture(smaller.getvalue(), alt)


def save(figure, path) -> None:
    """Write the figure as a PNG."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure.savefig(path, facecolor="white")


def loss_curve(steps, losses, eval_steps=(), eval_losses=(), title="Training loss"):
    """The loss of every logged step, and the loss on held-out data where it was measured."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(7, 3.2)
        axes.plot(steps, losses, color=BLUE, linewidth=1.8, label="training")
        if len(eval_steps):
            axes.plot(eval_steps, eval_losses, "o--", color=ORANGE, linewidth=1.5, markersize=5, label="held out")
            axes.legend(frameon=False)
        axes.set_xlabel("step")
        axes.set_ylabel("cross-entropy (nats)")
        axes.set_ylim(bottom=0)
        axes.set_title(title)
    return figure


def attention_maps(weights, tokens, titles, suptitle=None):
    """Attention weights as matrices: rows ask, columns are looked at, dark means much.

    weights: a list of (T, T) arrays, each row sums to 1; tokens: the T tokens' texts.
    """
    import matplotlib

    with matplotlib.rc_context(STYLE):
        size = max(2.8, 0.26 * len(tokens) + 1.2)
        figure, axes = _figure((size + 0.4) * len(weights), size, columns=len(weights))
        for place, (ax, matrix, title) in enumerate(zip(np.atleast_1d(axes), weights, titles)):
            image = ax.imshow(np.asarray(matrix), cmap="Greys", vmin=0, vmax=max(0.3, float(np.max(matrix))))
            ax.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=8)
            ax.set_yticks(range(len(tokens)), tokens if place == 0 else [""] * len(tokens), fontsize=8)
            ax.set_xlabel("is looked at")
            if place == 0:
                ax.set_ylabel("asks")
            ax.set_title(title)
            figure.colorbar(image, ax=ax, shrink=0.7, label="share of attention" if place == len(weights) - 1 else None)
        if suptitle:
            figure.suptitle(suptitle, x=0.01, ha="left")
    return figure


def word_scores(words, scores, title):
    """A bar for each word: how much changing it would change the answer (gradient times input)."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(7, 0.26 * len(words) + 1.1)
        places = np.arange(len(words))[::-1]
        axes.barh(places, scores, color=[BLUE if s >= 0 else ORANGE for s in scores], height=0.7)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(places, words)
        axes.set_xlabel("pushes towards negative  ←   gradient · embedding   →  pushes towards positive")
        axes.set_title(title)
    return figure


def chosen_words(words, probabilities, others, title):
    """A row for each word that was written: how likely it was, and in `others` (texts) what else could have come."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(7, 0.23 * len(words) + 1.1)
        places = np.arange(len(words))[::-1]
        axes.barh(places, probabilities, color=BLUE, height=0.7)
        for place, probability, other in zip(places, probabilities, others):
            axes.text(probability + 0.02, place, other, va="center", fontsize=7.5, color=GREY, parse_math=False)
        axes.set_yticks(places, words, fontsize=8, parse_math=False)
        axes.set_xlim(0, max(probabilities) + 0.45)  # room for the words behind the longest bar
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1][: int(max(probabilities) * 4) + 2])
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.set_ylim(-0.6, len(words) - 0.4)
        axes.set_xlabel("probability of the token that was taken; grey: the likeliest ones")
        axes.set_title(title)
    return figure


def gradient_table(report, title="Gradient check"):
    """A GradientReport as a picture: each array's worst relative error on a logarithmic scale, with the tolerance."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        rows = list(report.comparisons)[::-1]
        figure, axes = _figure(7, 0.3 * len(rows) + 1.3)
        errors = [max(row.error, 1e-13) for row in rows]
        axes.barh(range(len(rows)), errors, left=1e-13, color=[BLUE if row.passed else ORANGE for row in rows])
        axes.set_xscale("log")
        axes.set_xlim(1e-13, max(1.0 if not report else 1e-5, *errors) * 2)
        tolerance = rows[0].tolerance
        axes.axvline(tolerance, color=INK, linestyle="--", linewidth=1)
        axes.set_ylim(-0.6, len(rows) + 0.1)
        axes.text(tolerance * 0.8, len(rows) - 0.45, f"tolerance {tolerance:.0e}", fontsize=8, va="bottom", ha="right")
        axes.set_yticks(range(len(rows)), [f"{row.name}  {list(row.shape)}" for row in rows], fontsize=8)
        axes.set_xlabel("worst relative error, backward pass against central differences")
        axes.set_title(title)
    return figure

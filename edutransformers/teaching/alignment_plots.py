"""Pictures of CTC: the lattice of all alignments of a text, and the best one drawn on the sound."""

from __future__ import annotations

import numpy as np

from ..backend import to_numpy
from ..functional.softmax import softmax
from .plots import BLUE, GREY, INK, ORANGE, STYLE


def plot_alignment(alignment, names, logits=None, samples=None, sampling_rate=None, title="Alignment"):
    """When each token was said: on the waveform, on the model's probabilities, or on both.

    alignment      of `edutransformers.audio.forced_alignment`
    names          token id -> its text: a list, a dictionary
    logits         (T, C) for the map of probabilities; of the classes only those of the text, and the blank
    samples        (N,) the sound, with its sampling_rate, in hertz

    Raises ValueError with neither logits nor samples, and for samples without their rate.
    """
    import matplotlib
    from matplotlib.figure import Figure

    if logits is None and samples is None:
        raise ValueError("plot_alignment needs something to draw on: pass logits, samples or both")
    if samples is not None and sampling_rate is None:
        raise ValueError("samples without their sampling_rate, in hertz: when was each of them?")
    frames = len(alignment.path)
    seconds = frames if samples is None else len(samples) / sampling_rate
    with matplotlib.rc_context(STYLE):
        rows = [what for what in ("samples", "logits") if (samples if what == "samples" else logits) is not None]
        heights = [1.5 if what == "samples" else 2.2 for what in rows]
        figure = Figure(figsize=(8.5, sum(heights) + 0.6), layout="constrained")
        axes = figure.subplots(len(rows), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
        for ax, what in zip(axes, rows):
            if what == "samples":
                _waveform(ax, to_numpy(samples), seconds)
            else:
                _map(ax, alignment, names, softmax(to_numpy(logits).astype(np.float64)), seconds)
        _tokens(axes[0], alignment, names, seconds / frames)
        axes[0].set_title(title, pad=16)
        axes[-1].set_xlabel("frame" if samples is None else "seconds")
        axes[-1].set_xlim(0, seconds)
    return figure


def _waveform(ax, samples, seconds):
    times = np.linspace(0, seconds, len(samples), endpoint=False)
    ax.plot(times, samples, color=GREY, linewidth=0.5)
    largest = 1.1 * max(float(np.abs(samples).max()), 1e-9)
    ax.set_ylim(-largest, largest)
    ax.set_yticks([])
    ax.set_ylabel("sound")
    ax.spines["left"].set_visible(False)


def _map(ax, alignment, names, probabilities, seconds):
    """Classes from the blank, at the bottom, to the last token that is new; the path as a line."""
    spoken = {span.token for span in alignment.spans}
    blanks = [token for token in alignment.path.tolist() if token not in spoken][:1]
    classes = [*blanks, *dict.fromkeys(span.token for span in alignment.spans)]
    frames = len(probabilities)
    ax.imshow(
        probabilities[:, classes].T, cmap="Greys", vmin=0, vmax=1, aspect="auto", origin="lower",
        extent=(0, seconds, -0.5, len(classes) - 0.5), interpolation="nearest",
    )  # fmt: skip
    rows = [classes.index(token) for token in alignment.path]
    ax.stairs(rows, np.linspace(0, seconds, frames + 1), baseline=None, color=ORANGE, linewidth=1.4)
    ax.set_yticks(range(len(classes)), ["blank" if c in blanks else names[c] for c in classes], fontsize=8)
    ax.set_ylabel("heard")


def _tokens(ax, alignment, names, step):
    """Each token's stretch of time, and its text above the axes."""
    for span in alignment.spans:
        ax.axvspan(span.start * step, span.end * step, color=BLUE, alpha=0.25, linewidth=0)
        middle = (span.start + span.end) / 2 * step
        ax.text(middle, 1.02, names[span.token], transform=ax.get_xaxis_transform(), ha="center", va="bottom",
                color=BLUE, fontweight="bold")  # fmt: skip


def plot_lattice(visits, labels, title="All alignments of a text"):
    """CTC's lattice: time to the right, states upwards, a line for each step that some alignment may take.

    visits   (T, L) the probability γ that the alignment is in a state at a time, drawn as the size of its dot
    labels   (L,) the states' names; `None` for a blank
    """
    import matplotlib
    from matplotlib.figure import Figure

    visits = to_numpy(visits)
    frames, states = visits.shape
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(0.55 * frames + 1.6, 0.36 * states + 1.1), layout="constrained")
        ax = figure.subplots()
        for t in range(frames - 1):
            for s in range(states):
                for after in _steps_from(s, labels):
                    possible = min(visits[t, s], visits[t + 1, after]) > 0
                    ax.plot([t, t + 1], [s, after], color=GREY if possible else "#e8e8e8", linewidth=0.7, zorder=1)
        time, state = np.meshgrid(range(frames), range(states), indexing="ij")
        sizes = 12 + 170 * visits
        colors = [ORANGE if labels[s] is None else BLUE for s in state.ravel()]
        edges = np.where(visits.ravel() > 0, INK, "#cccccc")
        faces = [color if visit > 0 else "white" for color, visit in zip(colors, visits.ravel())]
        ax.scatter(time.ravel(), state.ravel(), s=sizes.ravel(), c=faces, edgecolors=edges, linewidths=0.6, zorder=2)
        ax.set_yticks(range(states), ["–" if name is None else name for name in labels])
        ax.set_xticks(range(frames))
        ax.set_xlabel("frame t")
        ax.set_ylabel("state s")
        ax.set_title(title)
    return figure


def _steps_from(s, labels):
    """Stay, go on, or skip a blank between two different labels."""
    skips = labels[s] is not None and s + 2 < len(labels) and labels[s] != labels[s + 2]
    return [after for after in (s, s + 1, s + 2 if skips else s) if after < len(labels)]

"""A run's logs as a table and as a picture."""

from __future__ import annotations

import io
from typing import NamedTuple

MOST_METRICS = 3  # that have a panel of their own; the table has them all
NOT_DRAWN = ("_runtime", "_per_second")


class History(NamedTuple):
    """A log history, sorted by what it says: {name: [(step, value), …]}."""

    training: list[tuple]
    losses: dict[str, list[tuple]]  # on held-out data, one for each data set
    metrics: dict[str, list[tuple]]


def sort_history(log_history: list[dict]) -> History:
    """`trainer.log_history` as curves. Evaluations are what begins with eval_; speeds are left out."""
    training, losses, metrics = [], {}, {}
    for log in log_history:
        if "loss" in log:
            training.append((log["step"], log["loss"]))
        for name, value in log.items():
            if not name.startswith("eval_") or name.endswith(NOT_DRAWN) or not isinstance(value, (int, float)):
                continue
            name = name.removeprefix("eval_")
            curves = losses if name.split("_")[-1] == "loss" else metrics
            curves.setdefault(name, []).append((log["step"], value))
    return History(training, losses, metrics)


def history_table(log_history: list[dict]) -> tuple[list[str], list[list]]:
    """(columns, rows): a row for each evaluated step with the training loss logged last, else one for each log.

    What was not measured at a step is None.
    """
    training, losses, metrics = sort_history(log_history)
    by_step: dict = {}
    titles = {name: _title(name) for name in (*losses, *metrics)}
    for name, curve in {**losses, **metrics}.items():
        for step, value in curve:
            by_step.setdefault(step, {})[titles[name]] = value
    if not by_step:
        return ["Step", "Training Loss"], [[step, loss] for step, loss in training]
    rows = []
    for step, values in by_step.items():
        before = [loss for at, loss in training if at <= step]
        rows.append([step, before[-1] if before else None, *(values.get(title) for title in titles.values())])
    return ["Step", "Training Loss", *titles.values()], rows


def _title(name: str) -> str:
    """ "loss" -> "Validation Loss", "f1_macro" -> "F1 Macro"."""
    return "Validation Loss" if name == "loss" else " ".join(part.capitalize() for part in name.split("_"))


def history_figure(log_history: list[dict]):
    """A matplotlib Figure of a run: the losses over the steps, and beside them up to three metrics.

    Works for a run that is over (`history_figure(trainer.log_history)`), and is what a notebook shows of one that goes
    on (NotebookProgressCallback).
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from ...teaching.plots import BLUE, ORANGE, STYLE

    training, losses, metrics = sort_history(log_history)
    shown = list(metrics)[:MOST_METRICS]
    with matplotlib.rc_context(STYLE):
        width, height, between = 6 + 2.6 * len(shown), 2.9, 0.65  # inches
        figure = Figure(figsize=(width, height))
        panels = figure.subplots(1, 1 + len(shown), squeeze=False, width_ratios=[2.2] + [1] * len(shown))[0]
        # Margins by hand: matplotlib's "constrained" layout measures all texts first, and a live picture must be quick.
        figure.subplots_adjust(
            left=0.6 / width,
            right=1 - 0.3 / width,
            bottom=0.5 / height,
            top=1 - 0.3 / height,
            wspace=between * len(panels) / (width - 0.9 - between * len(shown)),
        )
        loss_panel = panels[0]
        if training:
            loss_panel.plot(*zip(*training), color=BLUE, linewidth=1.8, label="training")
        for style, (name, curve) in zip(("o--", "s:", "^-.", "v--"), losses.items()):
            label = "held out" if len(losses) == 1 else _title(name)
            loss_panel.plot(*zip(*curve), style, color=ORANGE, linewidth=1.5, markersize=4.5, label=label)
        loss_panel.set_title("loss")
        if training or losses:
            loss_panel.legend(frameon=False, loc="best")
            loss_panel.set_ylim(bottom=min(0, loss_panel.get_ylim()[0]))
        for panel, name in zip(panels[1:], shown):
            panel.plot(*zip(*metrics[name]), "o-", color=ORANGE, linewidth=1.5, markersize=4.5)
            panel.set_title(name.replace("_", " "))
        for panel in panels:
            panel.set_xlabel("step")
            panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    figure._repr_png_ = lambda: png_of(figure)  # a notebook shows it, even where pyplot was not used before
    return figure


def png_of(figure, resolution: float = 110) -> bytes:
    """A figure as a PNG, with this many dots an inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.dpi, file = resolution, io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)  # figure.savefig would draw everything twice
    return file.getvalue()

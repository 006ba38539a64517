"""What one sees of a run in a notebook: progress, the losses as a picture, and a table, all updated in their places."""

from __future__ import annotations

import base64
import html
import sys
import time

from ...logging import is_progress_bar_enabled
from .base import TrainerCallback
from .history import history_figure, history_table, png_of
from .progress import length_of, print_logs

PAGE_SHARE, PICTURE_SHARE = 0.002, 0.007  # of the run's time: together less than 1%
MOST_ROWS = 12  # of the table; the picture shows the others too
RESOLUTION = 150  # dots an inch, shown at half their size: sharp on screens with small dots


def in_notebook() -> bool:
    """Does this run in a Jupyter kernel (also Colab's, or one that builds documentation)?

    In a notebook IPython has been imported, so it isn't here.
    """
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Throttle:
    """Lets something happen as often as its cost stays within a share of the time that passes.

    The cost of the next time is taken to be that of the last.
    """

    def __init__(self, share: float, clock=time.perf_counter):
        self.share, self.clock = share, clock
        self.start, self.spent, self.last = clock(), 0.0, 0.0

    def __call__(self, work, always: bool = False) -> None:
        begin = self.clock()
        if always or self.spent + self.last <= self.share * (begin - self.start):
            work()
            self.last = self.clock() - begin
            self.spent += self.last


class NotebookTrainingTracker:
    """One place in a notebook's output for the bars and the table, and one below it for the picture.

    `now=True` shows at once. Without it, showing waits until it may cost something again (see Throttle).
    """

    def __init__(self, first_step: int, steps: int, log_history: list[dict]):
        self.first_step = self.step = first_step
        self.steps, self.log_history = steps, log_history
        self.epochs, self.evaluated, self.batches = "", 0, None  # the latter two: of the evaluation, if there is one
        self.page, self.picture = _Place(), _Place()
        self._show_page()
        self._show_picture()  # the first one takes longest (fonts): before the clock runs
        self.start = time.perf_counter()
        self.page_throttle, self.picture_throttle = Throttle(PAGE_SHARE), Throttle(PICTURE_SHARE)

    def update(self, step: int, epochs: str, now: bool = False) -> None:
        """`step` steps are done."""
        self.step, self.epochs = step, epochs
        self.page_throttle(self._show_page, always=now)

    def update_evaluation(self, evaluated: int, batches: int | None) -> None:
        """Of `batches` batches of an evaluation (None: nobody knows how many), `evaluated` are done."""
        self.evaluated, self.batches = evaluated, batches
        self.page_throttle(self._show_page)

    def end_evaluation(self) -> None:
        """The evaluation is over: its bar goes, the next time that something is shown."""
        self.evaluated = 0
        self.page_throttle(self._show_page)

    def update_logs(self, log_history: list[dict], now: bool = False) -> None:
        """There are new logs."""
        self.log_history = log_history
        self.page_throttle(self._show_page, always=now)
        self.picture_throttle(self._show_picture, always=now)

    def _show_page(self) -> None:
        parts = [progress_html(self.step, self.steps, self._times())]
        if self.evaluated:
            parts.append(progress_html(self.evaluated, self.batches, "evaluation"))
        self.page.show("\n".join([*parts, table_html(*history_table(self.log_history))]))

    def _show_picture(self) -> None:
        figure = history_figure(self.log_history)
        width = figure.get_size_inches()[0] * RESOLUTION / 2
        data = base64.b64encode(png_of(figure, RESOLUTION)).decode()
        self.picture.show(f'<img src="data:image/png;base64,{data}" style="width:{width:.0f}px;max-width:100%">')

    def _times(self) -> str:
        done = self.step - self.first_step
        if not done:
            return ""
        passed = time.perf_counter() - self.start
        left = passed / done * (self.steps - self.step)
        return f"{self.epochs}, {clock_text(passed)} passed, {clock_text(left)} left, {done / passed:.2f} steps/s"


class _Place:
    """A place in the notebook's output whose content can be replaced."""

    def __init__(self):
        self.handle = None

    def show(self, text: str) -> None:
        from IPython.display import HTML, display

        if self.handle is None:
            self.handle = display(HTML(text), display_id=True)
        else:
            self.handle.update(HTML(text))


def progress_html(value: int, total: int | None, text: str) -> str:
    """A bar, with its numbers and `text` beside it. One that only moves, where the total is not known."""
    known = "" if total is None else f'value="{value}" max="{total}" '
    bar = f'<progress {known}style="width:300px;height:20px;vertical-align:middle"></progress>'
    return f"<div>{bar} {value}{'' if total is None else f'/{total}'}{', ' if text else ''}{html.escape(text)}</div>"


def table_html(columns: list[str], rows: list[list]) -> str:
    """The newest rows, numbers with six digits."""
    if not rows:
        return ""
    texts = [[_cell(value) for value in row] for row in rows[-MOST_ROWS:]]
    if len(rows) > MOST_ROWS:
        texts.insert(0, ["…"] * len(columns))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "\n".join("<tr>" + "".join(f"<td>{text}</td>" for text in row) + "</tr>" for row in texts)
    return f'<table class="dataframe">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def _cell(value) -> str:
    return "" if value is None else f"{value:.6f}" if isinstance(value, float) else html.escape(str(value))


def clock_text(seconds: float) -> str:
    """75 -> "01:15", 3675 -> "1:01:15"."""
    hours, rest = divmod(int(seconds), 3600)
    return (f"{hours}:" if hours else "") + f"{rest // 60:02d}:{rest % 60:02d}"


class NotebookProgressCallback(TrainerCallback):
    """Progress, a table of the evaluations, and a live picture of the losses and metrics.

    What a Trainer has in a notebook. Showing takes at most 1% of the training's time, the first and the last time
    aside. Where there is no notebook, or progress bars are switched off, the logs are printed.
    """

    def __init__(self):
        self.tracker: NotebookTrainingTracker | None = None
        self.bar: _Place | None = None  # of an evaluation that is not part of a training
        self.evaluated = 0

    def on_train_begin(self, args, state, control, **kwargs):
        if _shows(state):
            self.tracker = NotebookTrainingTracker(state.global_step, state.max_steps, state.log_history)

    def on_step_end(self, args, state, control, **kwargs):
        if self.tracker is not None:
            self.tracker.update(state.global_step, _epochs(state))

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        self.evaluated += 1
        batches = length_of(eval_dataloader)
        if self.tracker is not None:
            self.tracker.update_evaluation(self.evaluated, batches)
        elif _shows(state):
            if self.bar is None:
                self.bar, self.bar_throttle = _Place(), Throttle(PAGE_SHARE)
            self.bar_throttle(lambda: self.bar.show(progress_html(self.evaluated, batches, "evaluation")))

    def on_evaluate(self, args, state, control, **kwargs):
        self.evaluated = 0
        if self.tracker is not None:
            self.tracker.end_evaluation()
        if self.bar is not None:
            self.bar.show("")
            self.bar = None

    def on_predict(self, args, state, control, **kwargs):
        self.on_evaluate(args, state, control)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if self.tracker is not None:
            self.tracker.update_logs(state.log_history)
        elif not _shows(state):
            print_logs(state, logs)

    def on_train_end(self, args, state, control, **kwargs):
        if self.tracker is not None:
            self.tracker.update(state.global_step, _epochs(state), now=True)
            self.tracker.update_logs(state.log_history, now=True)
        self.tracker, self.evaluated = None, 0

    on_train_interrupted = on_train_end


def _shows(state) -> bool:
    return in_notebook() and is_progress_bar_enabled() and state.is_local_process_zero


def _epochs(state) -> str:
    return f"epoch {state.epoch:.2f} of {state.num_train_epochs}"

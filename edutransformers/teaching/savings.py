"""What each switch that saves memory saves, and what it costs in arithmetic, for a model and a batch of yours.

savings = memory_savings(model, batch)
print(savings)
savings.plot()
"""

from __future__ import annotations

from dataclasses import dataclass

from ..layers import FeedForward
from ..module import Module
from .dry_run import dry_step, twins
from .memory import MemoryReport, main_input, report_of, title_of
from .phantom import PRODUCT
from .tables import aligned, as_html, megabytes, percent

CHUNK = 64  # tokens of each text taken at a time by the feed-forward in chunks
ACCUMULATION = 4  # parts that a batch is cut into


@dataclass
class Saving:
    """A way to train, its memory, and its matrix products in proportion to those of the plain way."""

    name: str
    report: MemoryReport
    work: float


@dataclass
class MemorySavings:
    """Ways to train one model on one batch; the first is the plain one. Printed, it is a table."""

    title: str
    ways: list[Saving]

    def table(self) -> list[dict]:
        """One dictionary a way: {"way", "bytes", "saved", "work", and the bytes of each part}.

        "saved" is a share of the plain way's bytes, "work" the matrix products in proportion to the plain way's.
        """
        plain = self.ways[0].report.peak
        return [
            {"way": way.name, "bytes": way.report.peak, "saved": 1 - way.report.peak / plain, "work": way.work}
            | way.report.parts
            for way in self.ways
        ]

    def plot(self):
        """A figure: a bar for each way, made of its parts."""
        from .memory_plot import savings_figure

        return savings_figure(self)

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        columns = ["", "MB", "saved", "work", *(part.split()[-1] for part in self.ways[0].report.parts)]
        rows = [
            [row["way"], megabytes(row["bytes"]), percent(row["saved"]), f"{row['work']:.2f}"]
            + [megabytes(row[part]) for part in self.ways[0].report.parts]
            for row in self.table()
        ]
        return columns, rows

    def __str__(self):
        return f"{self.title}\n\n{aligned(*self._cells())}"

    def _repr_html_(self):
        return as_html(self.title, *self._cells())


def memory_savings(model: Module, batch: dict, optimizer: type | None = None) -> MemorySavings:
    """The memory of a training step in the plain way and with each switch on, by dry runs. Nothing of `model` changes.

    optimizer  an Optimizer class, made with its defaults; None: AdamW

    The switches, where the model has them: feed-forward in chunks of 64 tokens, kept and recomputed; checkpoints;
    the batch in 4 parts whose gradients accumulate; 8-bit optimizer states; no states (SGD); and checkpoints, parts and
    8-bit states together.
    """
    from ..training import optimizers

    adamw = optimizers.AdamW if optimizer is None else optimizer
    eight_bit, sgd = getattr(optimizers, "AdamW8bit", None), getattr(optimizers, "SGD", None)
    parts = _parts(batch, ACCUMULATION)
    chunks = any(isinstance(module, FeedForward) for module in model.modules())
    checkpoints = any(hasattr(module, "gradient_checkpointing") for module in model.modules())

    ways = [("as it is", _plain, adamw, 1)]
    if chunks:
        ways.append((f"feed-forward in chunks of {CHUNK}", _in_chunks, adamw, 1))
        ways.append(("… and recomputed", _recomputed_chunks, adamw, 1))
    if checkpoints:
        ways.append(("checkpoints", _checkpoints, adamw, 1))
    if parts:
        ways.append((f"batch in {ACCUMULATION} parts", _plain, adamw, ACCUMULATION))
    if eight_bit is not None and optimizer is None:
        ways.append(("8-bit states", _plain, eight_bit, 1))
    if sgd is not None:
        ways.append(("SGD, no states", _plain, sgd, 1))
    if checkpoints and parts:
        small = eight_bit if eight_bit is not None and optimizer is None else adamw
        name = "checkpoints, parts" + (", 8-bit states" if small is eight_bit else "")
        ways.append((name, _checkpoints, small, ACCUMULATION))

    found, plain_work = [], None
    for name, change, kind, accumulation in ways:
        twin, _ = twins(model)  # a model of the same shapes without numbers, to be changed at will
        change(twin)
        made = kind(twin)
        step = dry_step(twin, parts if accumulation > 1 else batch, made, accumulation)
        report = report_of(step, f"{title_of(model, batch, made)}, {name}")
        work = accumulation * sum(n for (_, what), n in step.ledger.operations.items() if what == PRODUCT)
        plain_work = work if plain_work is None else plain_work
        found.append(Saving(name, report, work / max(1, plain_work)))
    return MemorySavings(f"{title_of(model, batch)}, {adamw.__name__}", found)


def _plain(model):
    pass


def _in_chunks(model, recompute=False):
    for module in model.modules():
        if isinstance(module, FeedForward):
            module.chunk_size, module.recompute = CHUNK, recompute


def _recomputed_chunks(model):
    _in_chunks(model, recompute=True)


def _checkpoints(model):
    for module in model.modules():
        if hasattr(module, "gradient_checkpointing"):
            module.gradient_checkpointing = True


def _parts(batch: dict, count: int) -> dict | None:
    """The first of `count` equal parts of a batch; None if it has too few examples."""
    examples = len(main_input(batch))
    if examples % count:
        return None
    is_whole = lambda value: getattr(value, "ndim", 0) and len(value) == examples  # noqa: E731
    return {name: value[: examples // count] if is_whole(value) else value for name, value in batch.items()}

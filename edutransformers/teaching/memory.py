"""Where the memory of training goes: weights, gradients, optimizer states, saved activations, and what comes and goes.

report = memory_report(model, batch, optimizer)
print(report)
report.plot()
print(report.predict(batch_size=32, length=512))
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from ..backend import array_module
from ..module import Module
from .device_memory import measured_peak
from .dry_run import Saved, Step, dry_step
from .phantom import Entry
from .tables import as_html, bar, megabytes, percent

PARTS = ("weights", "gradients", "optimizer states", "saved activations", "temporary")


@dataclass
class Layer:
    """The saved activations of one layer, or of several alike."""

    name: str
    count: int  # how many layers are alike
    nbytes: int  # of all of them
    arrays: list[Saved]  # of all of them
    inside: dict[str, int]  # what they keep -> bytes in all, largest first


@dataclass
class MemoryReport:
    """A training step's memory in bytes. Printed, it is a table; `table()` gives the same as a list of dictionaries.

    peak         the most bytes at one time, predicted: the sum of the parts
    temporary    of these, what is neither weight nor gradient, state nor saved activation; `at_worst` are its arrays
                 at the worst moment, `worst_moment` the module and the phase at work then
    measured     the same peak, measured in a real step, if that was asked for
    """

    title: str
    weights: int
    gradients: int
    states: dict[str, int]
    saved: list[Saved]
    peak: int
    worst_moment: tuple[str, str]
    at_worst: list[Entry]
    measured: int | None = None
    _again: Callable | None = field(default=None, repr=False)

    @property
    def parts(self) -> dict[str, int]:
        """Bytes of each part; they add up to `peak`."""
        activations = sum(array.nbytes for array in self.saved)
        known = [self.weights, self.gradients, sum(self.states.values()), activations]
        return dict(zip(PARTS, [*known, self.peak - sum(known)]))

    @property
    def temporary(self) -> int:
        return self.parts["temporary"]

    def table(self) -> list[dict]:
        """One dictionary a part, and the peak: {"part", "bytes", "share"}."""
        rows = [{"part": name, "bytes": size, "share": size / self.peak} for name, size in self.parts.items()]
        return [*rows, {"part": "peak", "bytes": self.peak, "share": 1.0}]

    def layers(self) -> list[Layer]:
        """Saved activations by layer, the largest first; layers that keep alike arrays, together."""
        by_layer: dict[str, list[Saved]] = {}
        for array in self.saved:
            by_layer.setdefault(layer_of(array.module), []).append(array)
        alike: dict[tuple, list[str]] = {}
        for name, arrays in by_layer.items():  # small things aside: a mask that all layers share is the first one's
            large = sum(array.nbytes for array in arrays) / 50
            kept = tuple((_inside(name, array), array.nbytes) for array in arrays if array.nbytes > large)
            alike.setdefault((re.sub(r"\d+$", "", name), kept), []).append(name)
        return sorted((_layer(names, by_layer) for names in alike.values()), key=lambda layer: -layer.nbytes)

    def predict(self, batch_size: int | None = None, length: int | None = None) -> MemoryReport:
        """The report for a batch of another size, of texts of another length, or both."""
        return self._again(batch_size, length)

    def plot(self):
        """A figure: the parts in one bar, and the saved activations by layer."""
        from .memory_plot import report_figure

        return report_figure(self)

    def __str__(self):
        lines = [self.title, "", f"{'':24}{'MB':>10}{'share':>8}"]
        for row in self.table()[:-1]:
            share = row["share"]
            lines.append(f"{row['part']:24}{megabytes(row['bytes'])}{percent(share)}  {bar(share)}".rstrip())
        lines.append(f"{'most at one time':24}{megabytes(self.peak)}")
        if self.measured is not None:
            difference = f"the prediction is {self.peak / self.measured - 1:+.1%} off"
            lines.append(f"{'measured':24}{megabytes(self.measured)}  {difference}")
        if len(self.states) > 1:
            lines.append("optimizer states: " + ", ".join(f"{n} {s / 1e6:.1f}" for n, s in self.states.items()))
        lines += ["", f"{'saved activations':48}{'MB':>10}{'share':>8}"]
        total = max(1, self.parts["saved activations"])
        for layer in self.layers():
            if layer.nbytes < total / 1000:
                continue
            each = f"{layer.count} × {layer.nbytes / layer.count / 1e6:.1f}" if layer.count > 1 else ""
            lines.append(f"  {layer.name:32}{each:>14}{megabytes(layer.nbytes)}{percent(layer.nbytes / total)}")
            if layer.nbytes > total / 10:
                lines += [f"      {name:42}{megabytes(size)}" for name, size in list(layer.inside.items())[:6]]
        lines += [
            "",
            f"The worst moment is in the {self.where}.",
            "Of what is temporary, the largest then, and where made:",
        ]
        alike = Counter((_array(entry), entry.nbytes, _in_words(entry.module, entry.phase)) for entry in self.at_worst)
        for (array, size, where), count in sorted(alike.items(), key=lambda item: -item[0][1] * item[1])[:4]:
            times = f"{count} arrays " if count > 1 else ""
            lines.append(f"  {times + array:38}{megabytes(count * size)}  {where}")
        return "\n".join(lines)

    @property
    def where(self) -> str:
        """The worst moment in words."""
        return _in_words(*self.worst_moment)

    def _repr_html_(self):
        return as_html(self.title, ["part", "MB", "share"], [
            [row["part"], megabytes(row["bytes"]), percent(row["share"])] for row in self.table()
        ])  # fmt: skip


def memory_report(model: Module, batch: dict, optimizer=None, accumulation: int = 1, measure: bool = False):
    """What a training step will take: weights, gradients, optimizer states, saved activations by layer, temporaries.

    model         any Module whose outputs have names; nothing of it changes
    batch         arguments of model.forward as NumPy arrays, with labels for a loss: shapes matter, numbers don't
    optimizer     an Optimizer over the model's parameters, which need not have stepped; None: no states
    accumulation  how many such batches a step takes
    measure       also take a real step (of a copy), and measure its peak

    Predicted by a dry run: the model's own forward and backward and the optimizer's own step on arrays without numbers
    (teaching/phantom.py). It takes seconds for models that this machine could not hold. Counted are arrays of floats
    and what caches hold; Python's own objects, some hundred KB, are not. Blocks are the CPU's: on a GPU, which works on
    whole arrays at once, temporaries are larger.

    Raises `ValueError` if the optimizer has parameters that are not the model's.
    """

    def again(batch_size=None, length=None):
        return memory_report(model, resized(batch, batch_size, length), optimizer, accumulation)

    title = title_of(model, batch, optimizer, accumulation)
    report = report_of(dry_step(model, batch, optimizer, accumulation), title, again)
    if measure:
        report.measured = measured_peak(model, batch, optimizer, accumulation)
    return report


def report_of(step: Step, title: str, again=None) -> MemoryReport:
    temporary = [entry for entry in step.ledger.at_peak if entry.kind == "temporary"]
    return MemoryReport(
        title=title,
        weights=sum(step.weights.values()),
        gradients=step.gradients,
        states=step.states,
        saved=step.saved,
        peak=step.ledger.peak + step.real,
        worst_moment=step.ledger.place_of_peak,
        at_worst=sorted(temporary, key=lambda entry: -entry.nbytes),
        _again=again,
    )


def title_of(model: Module, batch: dict, optimizer=None, accumulation: int = 1) -> str:
    shape = " × ".join(str(n) for n in main_input(batch).shape)
    times = f"{accumulation} batches" if accumulation > 1 else "a batch"
    names = [type(model).__name__, str(next(model.parameters()).dtype), f"{times} of {shape}"]
    return ", ".join(names if optimizer is None else [*names, type(optimizer).__name__])


# ---------------------------------------------------------------------------------------------------------------------
# Batches of other sizes
# ---------------------------------------------------------------------------------------------------------------------


def main_input(batch: dict):
    """What is a batch's size read off? Ids if it has them, else the first array."""
    arrays = [value for value in batch.values() if getattr(value, "ndim", 0)]
    if not arrays:
        raise ValueError("the batch holds no array: pass the arguments of model.forward, as {'input_ids': ..., ...}")
    return batch.get("input_ids", arrays[0])


def resized(batch: dict, batch_size: int | None = None, length: int | None = None) -> dict:
    """The batch with more or fewer examples, longer or shorter: rows and columns repeated, or left away.

    Every array's axes that are as long as the main input's first and second take part.
    """
    B, T = (*main_input(batch).shape, None)[:2]
    sizes = {"batch_size": batch_size, "length": length}
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise ValueError(f"{name} is {size}: expected 1 or more")
    if length is not None and T is None:
        raise ValueError(f"the batch's arrays have no length: the main input has shape {main_input(batch).shape}")
    result = {}
    for name, value in batch.items():
        if getattr(value, "ndim", 0):
            if batch_size is not None and len(value) == B:
                value = _repeated(value, 0, batch_size)
            for axis in range(1, value.ndim):
                if length is not None and value.shape[axis] == T:
                    value = _repeated(value, axis, length)
        result[name] = value
    return result


def _repeated(x, axis: int, size: int):
    xp = array_module(x)
    return xp.take(x, xp.arange(size) % x.shape[axis], axis=axis)


# ---------------------------------------------------------------------------------------------------------------------
# Words
# ---------------------------------------------------------------------------------------------------------------------


def layer_of(path: str) -> str:
    """The layer that a module belongs to: its path up to the first number, or two steps of it."""
    steps = path.split(".")
    numbers = [place for place, step in enumerate(steps) if step.isdigit()]
    return ".".join(steps[: numbers[0] + 1 if numbers else 2]) or "the model itself"


def _layer(names: list[str], by_layer: dict[str, list[Saved]]) -> Layer:
    arrays = [array for name in names for array in by_layer[name]]
    inside: dict[str, int] = {}
    for name in names:
        for array in by_layer[name]:
            label = _inside(name, array)
            inside[label] = inside.get(label, 0) + array.nbytes
    inside = dict(sorted(inside.items(), key=lambda item: -item[1]))
    return Layer(together(names), len(names), sum(array.nbytes for array in arrays), arrays, inside)


def together(names: list[str]) -> str:
    """layer.0, layer.1, layer.2 -> layer.0 … 2"""
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1].rpartition('.')[2]}"


def _inside(layer: str, array: Saved) -> str:
    """attention.query, x: the module inside the layer, and what it calls the array."""
    return ", ".join(filter(None, [array.module[len(layer) :].lstrip("."), array.name or _array(array)]))


def _array(array) -> str:
    return f"{' × '.join(map(str, array.shape)) or 'a number'} {array.dtype}"


def _in_words(module: str, phase: str) -> str:
    words = "second forward" if phase == "recompute" else phase
    return f"{words} of {module}" if module else words

"""How many operations a training step takes, layer by layer, and how much of the machine's peak it reaches.

    report = flops_report(model, batch, measure=True)
    print(report)
    report.utilization          # share of the peak, from 0 to 1

A matrix product of (m, k) and (k, n) takes 2·m·k·n floating-point operations: m·n sums of k products.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..backend import array_module, random_normal
from ..module import Module
from .dry_run import dry_step, gradient_of
from .memory import layer_of, main_input, title_of, together
from .phantom import ELEMENTWISE, PRODUCT, REDUCTION
from .tables import as_html, bar, percent

PASSES = ("forward", "recompute", "backward")


@dataclass
class LayerWork:
    """The matrix products of one layer, or of several alike: floating-point operations of all of them."""

    name: str
    count: int
    forward: int
    recompute: int  # the second forward of what was not kept
    backward: int
    inside: dict[str, int]  # the modules of the layer that multiply -> their operations, the most first

    @property
    def total(self) -> int:
        return self.forward + self.recompute + self.backward


@dataclass
class FlopsReport:
    """The floating-point operations of a training step, forward and backward. Printed, it is a table.

    products             (module, pass) -> operations in matrix products, pass is "forward", "recompute" or "backward"
    elementwise          numbers made by element-wise operations: activations, sums, dropout, the update of statistics
    reductions           numbers read by reductions: sums over rows in softmax, layer norm and bias gradients
    rule                 what the rule 6·N·T says: N weights that multiply, T tokens (`Trainer.floating_point_ops`)
    seconds, peak_speed  of a measured step, and the operations a second of a large matrix product; None if not asked
    """

    title: str
    products: dict[tuple[str, str], int]
    elementwise: int
    reductions: int
    rule: int
    seconds: float | None = None
    peak_speed: float | None = None

    @property
    def total(self) -> int:
        """Operations in matrix products."""
        return sum(self.products.values())

    def of(self, which: str) -> int:
        """Operations of one pass."""
        return sum(count for (_, phase), count in self.products.items() if phase == which)

    @property
    def speed(self) -> float | None:
        """Operations a second in the measured step."""
        return None if self.seconds is None else self.total / self.seconds

    @property
    def utilization(self) -> float | None:
        """The share of the machine's peak that the step reaches: 1 if it did nothing but products, at full speed."""
        return None if self.seconds is None else self.speed / self.peak_speed

    def table(self) -> list[dict]:
        """One dictionary a module that multiplies: {"module", "forward", "recompute", "backward"}."""
        modules = dict.fromkeys(module for module, _ in self.products)
        return [{"module": m} | {which: self.products.get((m, which), 0) for which in PASSES} for m in modules]

    def layers(self) -> list[LayerWork]:
        """The work by layer, the most first; layers with the same work, together."""
        by_layer: dict[str, dict[tuple[str, str], int]] = {}
        for (module, which), count in self.products.items():
            name = layer_of(module)
            by_layer.setdefault(name, {})[module[len(name) :].lstrip("."), which] = count
        alike: dict[tuple, list[str]] = {}
        for name, counts in by_layer.items():
            alike.setdefault((name.rstrip("0123456789"), tuple(counts.items())), []).append(name)
        found = []
        for names in alike.values():
            passes, inside = dict.fromkeys(PASSES, 0), Counter()
            for (module, which), count in by_layer[names[0]].items():
                passes[which] += len(names) * count
                inside[module] += len(names) * count
            found.append(LayerWork(together(names), len(names), *passes.values(), dict(inside.most_common())))
        return sorted(found, key=lambda layer: -layer.total)

    def plot(self):
        """A figure: the work of each layer, forward and backward."""
        from .memory_plot import flops_figure

        return flops_figure(self)

    def __str__(self):
        total = max(1, self.total)
        lines = [self.title, "", f"{'matrix products, 10⁹ operations':36}{'forward':>10}{'again':>10}{'backward':>10}"]
        for layer in self.layers():
            counts = "".join(f"{getattr(layer, which) / 1e9:10,.2f}" for which in PASSES)
            lines.append(f"  {layer.name:34}{counts}{percent(layer.total / total)}")
            if layer.total > total / 10 and len(layer.inside) > 1:
                for name, count in layer.inside.items():
                    lines.append(f"      {name:60}{percent(count / total)}  {bar(count / total, 20)}")
        counts = "".join(f"{self.of(which) / 1e9:10,.2f}" for which in PASSES)
        lines.append(f"{'all':36}{counts}   = {self.total / 1e9:,.2f}")
        lines.append(f"{'by the rule 6·N·T':36}{self.rule / 1e9:10,.2f}   {self.rule / total - 1:+.1%}")
        lines.append(f"{'besides: numbers made one by one':36}{self.elementwise / 1e9:10,.2f}")
        lines.append(f"{'besides: numbers summed over rows':36}{self.reductions / 1e9:10,.2f}")
        if self.seconds is not None:
            lines.append(f"measured: {self.seconds:.3f} s a step, {self.speed / 1e9:.1f} · 10⁹ operations a second")
            lines.append(
                f"a large product alone: {self.peak_speed / 1e9:.1f}; the step reaches {self.utilization:.0%} of it"
            )
        return "\n".join(lines)

    def _repr_html_(self):
        rows = [
            [layer.name, *(f"{getattr(layer, which) / 1e9:,.2f}" for which in PASSES)]
            + [percent(layer.total / max(1, self.total))]
            for layer in self.layers()
        ]
        return as_html(f"{self.title}: 10⁹ operations", ["layer", "forward", "again", "backward", "share"], rows)


def flops_report(model: Module, batch: dict, measure: bool = False) -> FlopsReport:
    """Count the operations of a training step (forward and backward), and with `measure` take its time.

    model    any Module whose outputs have names; nothing of it changes
    batch    arguments of model.forward, with labels for a loss
    measure  run the step for real (on a copy), and a large matrix product beside it: `seconds`, `utilization`

    Counted in a dry run, product by product as the code makes them, attention scores included: exact, not a formula.
    """
    counts = dry_step(model, batch).ledger.operations
    products = {place: count for (place, kind), count in counts.items() if kind == PRODUCT}
    kinds = {kind: sum(n for (_, k), n in counts.items() if k == kind) for kind in (ELEMENTWISE, REDUCTION)}
    rule = operations_by_rule(model, main_input(batch))
    report = FlopsReport(title_of(model, batch), products, kinds[ELEMENTWISE], kinds[REDUCTION], rule)
    if measure:
        data = next(model.parameters()).data
        report.peak_speed = product_speed(data.dtype, like=data)
        report.seconds = seconds_of_step(model, batch)
    return report


def operations_by_rule(model: Module, main) -> int:
    """6·N·T: two operations a weight and token in forward, four in backward; tables that are looked up aside.

    (Kaplan et al. 2020, section 2.1.) Attention scores are left out.
    """
    from ..training.plan import weights_that_multiply

    return 6 * weights_that_multiply(model) * main.size


def product_speed(dtype="float32", size: int = 1024, like=None) -> float:
    """Operations a second of a (size, size) matrix product: the best of several runs, the machine's peak in practice.

    like  an array: measured where it lives
    """
    generator = np.random.default_rng(0)
    a = random_normal(generator, (size, size), 1.0, np.dtype(dtype), like)
    return 2 * size**3 / min(_seconds(lambda: a @ a, a) for _ in range(6))


def seconds_of_step(model: Module, batch: dict, steps: int = 3) -> float:
    """The median time of forward and backward, in training mode, on a copy of the model."""
    model = copy.deepcopy(model).train()
    like = next(model.parameters()).data

    def step():
        model.zero_grad()
        output, cache = model.forward(**batch)
        model.backward(gradient_of(output), cache)

    step()  # the first one is slower: memory is new, threads start
    return statistics.median(_seconds(step, like) for _ in range(steps))


def _seconds(run, like) -> float:
    """How long run() takes; on a GPU, until its last kernel is done."""
    start = time.perf_counter()
    run()
    xp = array_module(like)
    if xp is not np:
        xp.cuda.Stream.null.synchronize()
    return time.perf_counter() - start

"""A hand-written backward pass against central differences; and a famous mistake, which is caught."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np

from ...functional.normalization import layer_norm_backward
from ...gradient_check import gradient_check
from ...layers import LayerNorm, MultiHeadAttention
from ...module import Module, keep
from .. import plots
from .section import section


class _FirstOutput(Module):
    """Attention with its weights output left aside, so that one array goes in and one comes out."""

    def __init__(self, attention):
        self.attention = attention

    checkpoint_names = {"attention": ""}

    def forward(self, x):
        (y, _), cache = self.attention.forward(x)
        return y, keep(cache)

    def backward(self, dy, cache):
        return self.attention.backward(dy, cache[0])


class _GammaOutside(LayerNorm):
    """The best-known mistake in a hand-written backward: γ in front of the sums instead of inside them."""

    def backward(self, dy, cache):
        normalized, inverse_std = cache
        gamma = self.weight.data
        dx, _, dbias = layer_norm_backward(dy, normalized, inverse_std, np.ones_like(gamma))
        self.weight.accumulate((dy * normalized).sum(axis=(0, 1)))
        self.bias.accumulate(dbias)
        return dx * gamma


def check_gradients(folder: Path) -> str:
    """A gradient, checked: attention's hand-written backward pass against central differences."""
    generator = np.random.default_rng(0)
    layer = MultiHeadAttention(width=12, heads=3, generator=generator)
    x = generator.standard_normal((2, 5, 12))
    report = gradient_check(_FirstOutput(layer), x)
    checked = sum(row.checked for row in report.comparisons)
    verdict = "all right" if report else "WRONG"
    print(f"   MultiHeadAttention: {checked} numbers nudged, {verdict}; worst relative error {report.worst_error:.1e}")
    unnoticed = gradient_check(_GammaOutside(12), x, randomize=False)
    wrong = gradient_check(_GammaOutside(12), x)
    caught = str(wrong).splitlines()[0].strip()
    print(f"   LayerNorm with a famous mistake, at its initial γ = 1: {'passes' if unnoticed else 'caught'}")
    print(f"   the same with random γ: {'passes' if wrong else 'caught'}\n   {caught}")
    plots.save(plots.gradient_table(report, "Multi-head attention: all gradients right"), folder / "gradients.png")
    figure = plots.gradient_table(wrong, "LayerNorm with γ outside the sums: caught")
    plots.save(figure, folder / "gradients_wrong.png")
    print("   wrote gradients.png and gradients_wrong.png")
    return section("gradients", checked=str(checked), worst=f"{report.worst_error:.1e}", caught=html.escape(caught))

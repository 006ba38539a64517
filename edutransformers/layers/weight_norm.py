"""Weight normalization as a parametrization: a weight that is computed from two parameters."""

from ..functional.weight_norm import weight_lengths, weight_norm, weight_norm_backward
from ..module import Module, Parameter, keep, normal_


class WeightNorm(Module):
    """w = g v/‖v‖ in the place of a layer's weight: its length g and its direction v learn separately.

        conv.weight = WeightNorm(conv.weight, dim=2)

    `dim` is the axis that keeps a length for each of its indices: 0 for one an output channel, 2 (Wav2Vec2's positions)
    for one a place in the kernel. v starts as the weight itself, g as its lengths, so that w is unchanged. Checkpoints
    call them `weight_g` and `weight_v`.
    """

    def __init__(self, weight: Parameter, dim: int = 0):
        self.dim = dim
        self.g = Parameter(weight_lengths(weight.data, dim))
        self.v = Parameter(weight.data)

    def draw(self, generator, std: float) -> None:
        """Fresh weights: v from a normal distribution, and g = ‖v‖."""
        normal_(self.v, generator, std)
        self.g.data = weight_lengths(self.v.data, self.dim)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.v.shape

    def forward(self):
        """-> (w, cache)"""
        w, norm = weight_norm(self.v.data, self.g.data, self.dim)
        return w, keep(norm)

    def backward(self, dw, cache):
        (norm,) = cache
        dv, dg = weight_norm_backward(dw, self.v.data, self.g.data, norm, self.dim)
        self.v.accumulate(dv)
        self.g.accumulate(dg)

    def extra_repr(self):
        return f"dim={self.dim}"

"""An activation function as a layer."""

from ..functional.activations import activation_backward, get_activation
from ..module import Module, keep, keeping


class Activation(Module):
    """y = f(x), number by number, with f by the original's name: "gelu", "gelu_new", "relu", "silu", "tanh", …

    The cache holds the slope f′(x), not x: the backward pass is then one product.
    """

    def __init__(self, name: str):
        self.name = name
        self.function = get_activation(name)

    def forward(self, x, out=None):
        """`out=x` lets inference overwrite an x that nobody needs any more."""
        if not keeping():
            return self.function(x, out=out), None
        y, slope = self.function(x, derivative=True)
        return y, keep(slope)

    def backward(self, dy, cache):
        (slope,) = cache
        return activation_backward(dy, slope)

    def extra_repr(self):
        return self.name

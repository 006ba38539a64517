"""Dropout as a layer."""

from ..backend import random_keep_mask
from ..functional.dropout import dropout, dropout_backward
from ..module import Module, keep


class Dropout(Module):
    """In training each number is set to 0 with probability p, the others divided by 1 − p. In evaluation y = x.

    The mask is drawn from the generator that the caller passes, and lives in the cache: one Dropout object may be used
    many times before its backward passes.
    """

    def __init__(self, p: float = 0.1):
        if not 0 <= p < 1:
            raise ValueError(f"the dropout probability is {p}: expected a number from 0 up to, not including, 1")
        self.p = p

    @property
    def active(self) -> bool:
        return self.training and self.p > 0

    def draw(self, shape, generator, like):
        """A mask for `shape`, or None when nothing is dropped."""
        if not self.active:
            return None
        if generator is None:
            raise ValueError(
                "Dropout in training mode needs a generator: pass generator=numpy.random.default_rng(seed), "
                "or call .eval() to switch dropout off"
            )
        return random_keep_mask(generator, shape, self.p, like)

    def forward(self, x, generator=None):
        mask = self.draw(x.shape, generator, x)
        y = x if mask is None else dropout(x, mask, self.p)
        return y, keep(mask)

    def backward(self, dy, cache):
        (mask,) = cache
        return dy if mask is None else dropout_backward(dy, mask, self.p)

    def extra_repr(self):
        return f"p={self.p}"

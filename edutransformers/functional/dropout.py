"""Dropout (Srivastava et al. 2014), in its inverted form."""


def dropout(x, mask, p):
    """y = x ∘ mask / (1 − p): each number survives with probability 1 − p; dividing keeps the expected value."""
    y = x * mask
    y *= 1 / (1 - p)
    return y


def dropout_backward(dy, mask, p):
    """dx = dy ∘ mask / (1 − p): what was dropped gets no gradient. The mask must be the forward pass's own."""
    dx = dy * mask
    dx *= 1 / (1 - p)
    return dx

"""The original's Wav2Vec2 made comparable: in float64 throughout, and with our random draws."""

from contextlib import contextmanager

import pytest

from .common import torch


@contextmanager
def in_float64():
    """It goes down to float32 for its losses and its quantizer; here it stays in the model's own number type."""
    log_softmax = torch.nn.functional.log_softmax
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", lambda self: self)
        patch.setattr(
            torch.nn.functional, "log_softmax", lambda x, dim=None, _stacklevel=3, dtype=None: log_softmax(x, dim=dim)
        )
        yield patch

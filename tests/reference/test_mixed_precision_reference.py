"""MixedPrecision against torch.amp.GradScaler: the same scales, the same steps left out, the same weights."""

import numpy as np
import pytest

from edutransformers.module import Module, Parameter
from edutransformers.training import AdamW, MixedPrecision
from tests.reference.common import torch

pytestmark = pytest.mark.reference


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"init_scale": 8.0, "growth_interval": 3},
        {"init_scale": 1000.0, "growth_factor": 1.7, "backoff_factor": 0.3, "growth_interval": 2},
        {"init_scale": 2.0**126, "growth_interval": 1},
    ],
)
def test_scales_and_weights(rng, settings):
    start = rng.standard_normal((3, 2)).astype("float32")
    model = Module()
    model.weight = Parameter(start.copy())
    precision = MixedPrecision(model, AdamW(model, lr=0.1), **settings)
    weight = torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", **settings)
    scales, left_out = [], 0
    for step in range(40):
        gradient = rng.standard_normal((3, 2)).astype("float32") * np.float32(1e-3)
        if step % 7 == 3:
            gradient[1, 1] = (np.inf, -np.inf, np.nan)[step % 3]
        model.weight.grad = gradient.copy()
        weight.grad = torch.tensor(gradient)
        if step % 2:
            precision.unscale()
            scaler.scale(torch.zeros(1))  # it makes its scale at the first loss
            scaler.unscale_(optimizer)
            np.testing.assert_array_equal(model.weight.grad, weight.grad.numpy())
        else:
            scaler.scale(torch.zeros(1))
        left_out += not precision.step()
        scaler.step(optimizer)
        scaler.update()
        assert precision.scale == scaler.get_scale()
        scales.append(precision.scale)
        np.testing.assert_allclose(model.weight.data, weight.detach().numpy(), rtol=1e-5, atol=1e-6)
    assert left_out == 6
    assert len(set(scales)) > 1
    theirs = scaler.state_dict()
    assert precision.state_dict() == theirs
    other = MixedPrecision(model, precision.optimizer)
    other.load_state_dict(theirs)
    assert other.state_dict() == theirs

"""Gradient clipping: torch's frozen numbers, and what must not happen."""

import numpy as np
import pytest

from edutransformers.module import Parameter
from edutransformers.training import clip_grad_norm_, optimizers
from tests import fakecupy


def parameters_with(*gradients):
    parameters = [Parameter(np.zeros_like(g)) for g in gradients]
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = gradient
    return parameters


def test_norm_and_gradients_are_torchs():
    """Frozen: torch.nn.utils.clip_grad_norm_, float32."""
    first, second = parameters_with(
        np.array([[1, 2, 3], [4, 5, 6]], dtype="float32"), np.array([-7, 8], dtype="float32")
    )
    norm = clip_grad_norm_([first, second, Parameter(np.zeros(3))], 1.0)
    assert norm == pytest.approx(14.282856941223145, rel=1e-7)
    np.testing.assert_allclose(first.grad[0], [0.07001399993896484, 0.1400279998779297, 0.21004199981689453], rtol=1e-6)
    np.testing.assert_allclose(second.grad, [-0.4900979995727539, 0.5601119995117188], rtol=1e-6)
    assert first.grad.dtype == np.float32


def test_short_gradients_keep_their_bits():
    gradient = np.array([0.3, 0.4])
    (parameter,) = parameters_with(gradient)
    assert clip_grad_norm_([parameter], 0.6) == pytest.approx(0.5)
    assert parameter.grad is gradient
    np.testing.assert_array_equal(gradient, [0.3, 0.4])


def test_large_float32_gradients_lose_no_digits(rng, monkeypatch):
    gradient = rng.standard_normal((1000, 700), dtype="float32")
    exact = np.linalg.norm(gradient.astype("float64"))
    assert clip_grad_norm_(parameters_with(gradient.copy()), 1e9) == pytest.approx(exact, rel=1e-6)
    monkeypatch.setattr(optimizers.chunks, "CHUNK", 999)
    assert clip_grad_norm_(parameters_with(gradient.T), 1e9) == pytest.approx(exact, rel=1e-6)


def test_not_finite():
    (parameter,) = parameters_with(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="norm is nan"):
        clip_grad_norm_([parameter], 1.0, error_if_nonfinite=True)
    assert np.isnan(clip_grad_norm_([parameter], 1.0))
    assert np.isnan(parameter.grad).all()  # as torch does: it can't go unnoticed


def test_nothing_to_clip_and_bad_arguments():
    assert clip_grad_norm_([Parameter(np.zeros(2))], 1.0) == 0.0
    with pytest.raises(ValueError, match="max_norm is -1"):
        clip_grad_norm_([], -1)


def test_on_the_device(fake_cupy, rng):
    host = [rng.standard_normal((3, 2)), rng.standard_normal(4)]
    expected = parameters_with(*(g.copy() for g in host))
    norm = clip_grad_norm_(expected, 0.5)
    on_device = parameters_with(*(g.copy() for g in host))
    for parameter, gradient in zip(on_device, host):
        parameter.grad = fake_cupy.asarray(gradient)
    with fakecupy.no_sync():
        device_norm = clip_grad_norm_(on_device, 0.5)
    assert float(device_norm) == pytest.approx(norm, rel=1e-12)
    for got, wanted in zip(on_device, expected):
        np.testing.assert_allclose(got.grad.get(), wanted.grad, rtol=1e-12)

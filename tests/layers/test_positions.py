import math

import numpy as np
import pytest

from edutransformers.layers import GridPositions, LearnedPositions, RelativePositions, SinusoidalPositions, sinusoids
from tests import fakecupy
from tests.contract import check_layer


def qk(rng, T=4, S=4):
    return rng.standard_normal((2, 3, T, 5)), rng.standard_normal((2, 3, S, 5))


@pytest.mark.parametrize("kind", ["relative_key", "relative_key_query"])
@pytest.mark.parametrize(("T", "S"), [(4, 4), (1, 1), (2, 6), (1, 6)])
def test_contract_of_relative_positions(kind, T, S):
    check_layer(lambda: RelativePositions(6, 5, kind), lambda rng: qk(rng, T, S))


@pytest.mark.parametrize("kind", ["relative_key", "relative_key_query"])
def test_relative_bias_written_out(rng, kind):
    layer = RelativePositions(6, 5, kind).astype("float64")
    q, k = qk(rng, T=2, S=5)
    bias = layer(q, k)
    for t in range(2):
        for s in range(5):
            vector = layer.weight.data[
                (t + 3) - s + 5
            ]  # the queries are positions 3 and 4 of 5; the table starts at −5
            wanted = q[:, :, t] @ vector
            if kind == "relative_key_query":
                wanted = wanted + k[:, :, s] @ vector
            np.testing.assert_allclose(bias[:, :, t, s], wanted, rtol=1e-12)


def test_relative_errors(rng):
    with pytest.raises(ValueError, match="unknown relative positions 'relative'"):
        RelativePositions(6, 5, "relative")
    with pytest.raises(ValueError, match="7 tokens, but this model has relative positions for 6"):
        RelativePositions(6, 5, "relative_key")(*qk(rng, 7, 7))


def test_contract_of_learned_positions():
    check_layer(lambda: LearnedPositions(6, 4), lambda rng: (np.array([[0, 1, 2], [0, 1, 5]]),))


@pytest.mark.parametrize("interleaved", [True, False])
def test_sinusoids_are_the_papers(interleaved):
    table = sinusoids(9, 6, interleaved)
    assert table.dtype == np.float32
    for t in range(9):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            sine, cosine = (2 * i, 2 * i + 1) if interleaved else (i, 3 + i)
            assert table[t, sine] == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[t, cosine] == pytest.approx(math.cos(angle), abs=1e-6)
    with pytest.raises(ValueError, match="even width, got 5"):
        sinusoids(9, 5)


def test_sinusoidal_positions_are_looked_up_and_fixed():
    layer = SinusoidalPositions(9, 6)
    ids = np.array([[0, 8, 3]])
    y, cache = layer.forward(ids)
    np.testing.assert_array_equal(y[0], sinusoids(9, 6)[[0, 8, 3]])
    assert layer.backward(np.ones_like(y), cache) is None
    assert list(layer.named_parameters()) == []
    assert layer.state_dict() == {}  # the original doesn't save the table either
    assert layer.astype("float64")(ids).dtype == np.float64
    with pytest.raises(ValueError, match="holds 9, but the table has 9 positions"):
        layer(np.array([[9]]))


def test_sinusoidal_positions_on_the_device(fake_cupy):
    layer = SinusoidalPositions(9, 6).to("cuda")
    ids = np.array([[0, 8, 3]])
    with fakecupy.no_sync():
        y, on_device = layer(ids), layer(fake_cupy.asarray(ids))
    np.testing.assert_array_equal(y.get()[0], sinusoids(9, 6)[[0, 8, 3]])
    np.testing.assert_array_equal(on_device.get(), y.get())


# -- positions in a grid ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grid", "extra"), [((3, 4), 1), ((3, 4), 0), ((4, 3), 2), ((5, 7), 1), ((2, 2), 0), ((1, 12), 1)], ids=str
)
def test_contract_of_grid_positions(grid, extra):
    check_layer(lambda: GridPositions((3, 4), 5, extra), lambda rng: (grid,))


def test_grid_positions_at_their_own_size_are_the_weight():
    layer = GridPositions((3, 4), 5, extra=2, generator=np.random.default_rng(0))
    assert layer((3, 4)) is layer.weight.data
    assert layer.weight.shape == (1, 14, 5)
    assert abs(layer.weight.data.std() - 0.02) < 0.005
    assert repr(layer) == "GridPositions(2 + 3×4 places of 5)"


def test_a_larger_grid_lies_between_the_places():
    """A weight that grows evenly to the right and downwards still does, and the tokens in front keep their vectors."""
    layer = GridPositions((6, 6), 2, extra=1).astype("float64")
    rows, columns = np.mgrid[:6, :6]
    layer.weight.data[0, 1:] = np.stack([rows.reshape(-1), columns.reshape(-1)], axis=1)
    layer.weight.data[0, 0] = 50.0, 60.0
    y = layer((12, 18))
    assert y.shape == (1, 1 + 12 * 18, 2)
    np.testing.assert_array_equal(y[0, 0], [50.0, 60.0])
    places = y[0, 1:].reshape(12, 18, 2)
    inner = places[4:8, 6:12]  # at the ends, where values are repeated, the cubic bends
    np.testing.assert_allclose(np.diff(inner[..., 0], axis=0), 0.5, atol=0.1)
    np.testing.assert_allclose(np.diff(inner[..., 1], axis=1), 1 / 3, atol=0.1)
    np.testing.assert_allclose(np.diff(inner[..., 0], axis=1), 0, atol=1e-12)

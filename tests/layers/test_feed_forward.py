import numpy as np
import pytest

from edutransformers.layers import Conv1D, FeedForward
from edutransformers.module import keep
from tests.contract import ROUNDING, Case, assert_same, check_layer, separate_run

D, F, T = 3, 8, 7


def x(rng, tokens=T, batch=2):
    return (rng.standard_normal((batch, tokens, D)),)


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("chunk_size", [0, 1, 2, 3, 7, 100])  # 2 and 3 leave a shorter last chunk
def test_contract(chunk_size, recompute):
    check_layer(lambda: FeedForward(D, F, "gelu", chunk_size, recompute), x)


@pytest.mark.parametrize("activation", ["relu", "gelu_new", "silu", "tanh", "linear"])
def test_contract_of_other_activations(activation):
    check_layer(lambda: FeedForward(D, F, activation), x)


@pytest.mark.parametrize("chunk_size", [0, 3])
def test_contract_with_conv1d(chunk_size):
    check_layer(lambda: FeedForward(D, F, "gelu_new", chunk_size, linear=Conv1D), x)


def generator_option(rng):
    return {"generator": np.random.default_rng(3)}


@pytest.mark.parametrize(("chunk_size", "recompute"), [(0, False), (0, True), (3, False), (3, True)])
def test_contract_with_dropout(chunk_size, recompute):
    check_layer(
        lambda: FeedForward(D, F, "gelu", chunk_size, recompute, dropout=0.3), x, generator_option, training=True
    )


def test_dropout_is_of_the_middle_and_the_same_for_every_chunk(rng):
    layer = FeedForward(D, F, dropout=0.4).astype("float64").train()
    inputs = x(rng)
    wanted, cache = layer.forward(*inputs, generator=np.random.default_rng(3))
    mask = cache[1]
    assert mask.shape == (2, T, F)
    assert 0.4 < mask.mean() < 0.8
    middle = layer.activation(layer.up(*inputs)) * mask / 0.6
    np.testing.assert_allclose(wanted, layer.down(middle), **ROUNDING)
    for chunk_size in (1, 3, 100):
        layer.chunk_size = chunk_size
        got, _ = layer.forward(*inputs, generator=np.random.default_rng(3))
        np.testing.assert_allclose(got, wanted, **ROUNDING)
    assert np.abs(layer.eval()(*inputs) - wanted).max() > 1e-3


@pytest.mark.parametrize("shape", [(1, 1, D), (4, D), (2, 2, 4, D)], ids=str)
@pytest.mark.parametrize("chunk_size", [0, 3])
def test_contract_of_other_shapes(shape, chunk_size):
    check_layer(lambda: FeedForward(D, F, chunk_size=chunk_size), lambda rng: (rng.standard_normal(shape),))


@pytest.mark.parametrize("recompute", [False, True])
def test_every_chunk_size_gives_the_same_numbers(recompute):
    wanted = separate_run(Case(lambda: FeedForward(D, F), x), 0)
    for chunk_size in range(1, T + 2):
        case = Case(lambda chunk_size=chunk_size: FeedForward(D, F, "gelu", chunk_size, recompute), x)
        run = separate_run(case, 0)
        assert_same(run, wanted, f"chunks of {chunk_size}")


def test_recomputing_keeps_no_middle(rng):
    """Its cache holds x, and nothing of width F."""

    def sizes(cache):
        if isinstance(cache, (tuple, list)):
            return [size for item in cache for size in sizes(item)]
        return [cache.shape[-1]] if isinstance(cache, np.ndarray) else []

    inputs = x(rng)
    assert F in sizes(FeedForward(D, F).forward(*inputs)[1])
    assert set(sizes(FeedForward(D, F, recompute=True).forward(*inputs)[1])) == {D}
    assert set(sizes(FeedForward(D, F, chunk_size=2, recompute=True).forward(*inputs)[1])) == {D}


def test_inference_holds_one_chunk_at_a_time(rng, monkeypatch):
    layer = FeedForward(D, F, chunk_size=2).astype("float64")
    seen = []
    forward = layer.up.forward
    monkeypatch.setattr(layer.up, "forward", lambda part: (seen.append(part.shape), forward(part))[1])
    inputs = x(rng)
    y = layer(*inputs)
    assert seen == [(2, 2, D)] * 3 + [(2, 1, D)]
    np.testing.assert_allclose(y, layer.down(layer.activation(layer.up(*inputs))), **ROUNDING)
    assert keep() == ()


def test_bad_chunk_size():
    with pytest.raises(ValueError, match="chunk_size is -1: expected 0"):
        FeedForward(D, F, chunk_size=-1)

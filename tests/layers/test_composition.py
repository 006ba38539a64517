import numpy as np
import pytest

from edutransformers.layers import (
    Activation,
    AddNorm,
    Checkpoint,
    Dropout,
    DropoutLinear,
    FeedForward,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    Residual,
    Sequential,
)
from edutransformers.module import inference_mode
from tests.contract import check_layer


def x(rng):
    return (rng.standard_normal((2, 3, 4)),)


def two(rng):
    return rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 3, 4))


LAYERS = {
    "Sequential": lambda: Sequential(Linear(4, 5), Activation("gelu"), LayerNorm(5), Linear(5, 3)),
    "Sequential of one": lambda: Sequential(Linear(4, 2)),
    "Residual": lambda: Residual(Sequential(LayerNorm(4), FeedForward(4, 9))),
    "Residual in Residual": lambda: Residual(Residual(Linear(4, 4))),
    "Checkpoint": lambda: Checkpoint(Sequential(Linear(4, 5), Activation("tanh"))),
    "Checkpoint in Checkpoint": lambda: Checkpoint(Sequential(Checkpoint(Linear(4, 5)), Activation("tanh"))),
    "DropoutLinear": lambda: DropoutLinear(4, 3, 0.3),
    "Sequential of a linear activation": lambda: Sequential(Activation("linear"), Linear(4, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_contract(name):
    check_layer(LAYERS[name], x)


def test_contract_of_add_norm():
    check_layer(lambda: AddNorm(4, 1e-5, 0.3), two)


def test_contract_of_add_norm_with_dropout():
    check_layer(lambda: AddNorm(4, 1e-5, 0.3), two, lambda rng: {"generator": rng}, training=True)


def test_contract_of_dropout_linear_in_training():
    check_layer(lambda: DropoutLinear(4, 3, 0.3), x, lambda rng: {"generator": rng}, training=True)


def test_contract_of_checkpoint_around_dropout():
    """The second run draws the first run's mask again."""
    check_layer(lambda: Checkpoint(DropoutLinear(4, 3, 0.5)), x, lambda rng: {"generator": rng}, training=True)


def test_a_shared_layer_gets_both_gradients(rng):
    """The same Linear twice in a row: one Parameter, two uses, one sum."""
    check_layer(lambda: (lambda shared: Sequential(shared, Activation("tanh"), shared))(Linear(4, 4)), x)


def test_add_norm_writes_into_f_only_when_told(rng):
    layer = AddNorm(4, 1e-5)
    f, inputs = (array.astype("float32") for array in two(rng))
    before = f.copy()
    wanted = layer(f, inputs)
    np.testing.assert_array_equal(f, before)
    y, cache = layer.forward(f, inputs, out=f)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(f, before + inputs)
    df, dx = layer.backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(df, dx)


def test_checkpoint_keeps_only_inputs(rng):
    (inputs,) = x(rng)
    _, cache = Checkpoint(FeedForward(4, 50)).forward(inputs)
    kept, options = cache
    assert len(kept) == 1
    assert kept[0] is inputs
    assert options == {}
    with inference_mode():
        assert Checkpoint(FeedForward(4, 50)).forward(inputs)[1] is None


def test_checkpoint_leaves_the_callers_generator_where_the_layer_left_it():
    """Two checkpointed layers in a row draw as two plain layers do."""
    inputs = np.ones((2, 3, 4), dtype="float32")
    plain, checkpointed = np.random.default_rng(0), np.random.default_rng(0)
    layer = Dropout(0.5)
    wanted = [layer.forward(inputs, generator=plain)[0] for _ in range(3)]
    calls = [Checkpoint(layer).forward(inputs, generator=checkpointed) for _ in range(3)]
    for (y, cache), expected in zip(calls, wanted):
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(Checkpoint(layer).backward(inputs, cache), expected)
    assert plain.random() == checkpointed.random()


def test_checkpoint_does_not_rename_weights():
    block = MultiHeadAttention(4, 2)
    assert [name for name, _ in Checkpoint(block).named_parameters()] == [name for name, _ in block.named_parameters()]

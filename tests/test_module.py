import contextvars
import copy
import pickle
import threading
from dataclasses import is_dataclass
from typing import NamedTuple

import numpy as np
import pytest

from edutransformers.layers import Dropout, Embedding, LayerNorm, Linear, Sequential, SinusoidalPositions
from edutransformers.module import (
    Buffer,
    Module,
    ModuleList,
    Parameter,
    flatten_rows,
    inference_mode,
    keep,
    keeping,
    same_place,
    skip_initialization,
    training_cache,
)

# ---------------------------------------------------------------------------------------------------------------------
# keep
# ---------------------------------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    first: int
    second: int


def test_keep_makes_the_cache():
    assert keep() == ()
    assert keep(1, None) == (1, None)
    cache = keep(Pair, 1, 2)
    assert isinstance(cache, Pair)
    assert cache.second == 2


def test_nothing_is_kept_in_inference_mode():
    assert keeping()
    with inference_mode():
        assert not keeping()
        assert keep(1) is None
        assert keep(Pair, 1, 2) is None
        assert keep() is None
        with training_cache():  # a recomputation inside
            assert keep(1) == (1,)
            with inference_mode():
                assert keep(1) is None
        assert keep(1) is None
    assert keep(1) == (1,)


def test_inference_mode_ends_with_an_error():
    def fail():
        with inference_mode():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert keeping()
    layer = Linear(3, 2)
    with pytest.raises(ValueError, match="width 3"):
        layer(np.ones((1, 4)))
    assert keeping()


def run_in_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_threads_have_their_own_mode():
    """An evaluation in one thread takes no cache away from a training step in another."""
    with inference_mode():
        assert run_in_thread(keeping)
        assert not keeping()


def test_a_worker_thread_can_take_the_mode_along():
    with inference_mode():
        context = contextvars.copy_context()
    assert run_in_thread(lambda: context.run(keep, 1)) is None
    assert keeping()


def test_calling_a_module_keeps_nothing():
    seen = []

    class Watching(Module):
        def forward(self, x):
            seen.append(keeping())
            return x, keep(x)

    assert Watching()(3) == 3
    Watching().forward(3)
    assert seen == [False, True]


def test_a_module_without_passes_says_so():
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        Module()(1)
    with pytest.raises(NotImplementedError, match="Module has no backward"):
        Module().backward(1, None)


# ---------------------------------------------------------------------------------------------------------------------
# Parameter
# ---------------------------------------------------------------------------------------------------------------------


def parameter(*shape, dtype="float32"):
    return Parameter(np.zeros(shape, dtype=dtype))


def test_accumulate_adds():
    weight = parameter(2, 3)
    assert weight.grad is None
    weight.accumulate(np.ones((2, 3), dtype="float32"))
    weight.accumulate(np.full((2, 3), 2, dtype="float32"))
    np.testing.assert_array_equal(weight.grad, np.full((2, 3), 3))


def test_accumulate_checks_the_shape():
    weight = parameter(2, 3)
    for shape in ((3, 2), (3,), (1, 3), ()):
        with pytest.raises(ValueError, match=r"for a parameter of shape \(2, 3\)"):
            weight.accumulate(np.ones(shape, dtype="float32"))
    assert weight.grad is None


def test_accumulate_copies_views():
    """A view of dy must not become the gradient: the next addition would change dy."""
    weight, dy = parameter(3), np.ones((2, 3), dtype="float32")
    weight.accumulate(dy[0])
    weight.accumulate(dy[1])
    np.testing.assert_array_equal(dy, 1)
    np.testing.assert_array_equal(weight.grad, 2)


@pytest.mark.parametrize(("dtype", "of_gradient"), [("float32", "float32"), ("float16", "float32")])
def test_the_gradient_has_the_parameters_number_type_but_never_float16(dtype, of_gradient):
    """A sum over many terms: in float16, 2048 and 1 would be 2048, and 65536 infinite."""
    for add in (
        lambda weight, value: weight.accumulate(np.full((3, 2), value, dtype="float64")),
        lambda weight, value: weight.accumulate(np.full((3, 2), value, dtype=dtype)),
        lambda weight, value: weight.accumulate_rows(np.arange(3), np.full((3, 2), value, dtype=dtype)),
    ):
        weight = parameter(3, 2, dtype=dtype)
        for value in (2048, 1, 65504):
            add(weight, value)
            assert weight.grad.dtype == of_gradient
        np.testing.assert_array_equal(weight.grad, 2048 + 1 + 65504)


def test_frozen_parameters_collect_nothing():
    weight = Parameter(np.zeros((2, 3)), requires_grad=False)
    weight.accumulate(np.ones((2, 3)))
    weight.accumulate_rows(np.array([0]), np.ones((1, 3)))
    assert weight.grad is None


def test_accumulate_rows_adds_repeated_ids():
    weight = parameter(4, 2)
    for _ in range(2):
        weight.accumulate_rows(np.array([1, 3, 1]), np.ones((3, 2), dtype="float32"))
    np.testing.assert_array_equal(weight.grad, [[0, 0], [4, 4], [0, 0], [2, 2]])


def test_additions_from_many_threads_all_count():
    weight, table = parameter(200), parameter(5, 3)

    def work():
        for _ in range(200):
            weight.accumulate(np.ones(200, dtype="float32"))
            table.accumulate_rows(np.array([1, 1]), np.ones((2, 3), dtype="float32"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(weight.grad, 1600)
    np.testing.assert_array_equal(table.grad[1], 3200)


def test_parameters_are_copied_and_pickled_without_their_lock():
    weight = Parameter(np.arange(3.0), requires_grad=False)
    weight.grad = np.ones(3)
    twin = copy.deepcopy(weight)
    twin.data += 1
    twin.grad += 1
    np.testing.assert_array_equal(weight.data, [0, 1, 2])
    np.testing.assert_array_equal(weight.grad, 1)
    assert twin.requires_grad is False
    unpickled = pickle.loads(pickle.dumps(weight))
    np.testing.assert_array_equal(unpickled.data, weight.data)
    assert unpickled.requires_grad is False
    assert unpickled.grad is None  # gradients belong to a step, not to a model


def test_sizes_and_repr():
    weight = parameter(2, 3)
    assert (weight.shape, weight.size, weight.dtype) == ((2, 3), 6, np.float32)
    assert repr(weight) == "Parameter(shape=(2, 3), dtype=float32, requires_grad=True)"
    assert repr(Buffer(np.zeros(2), False)) == "Buffer(shape=(2,), dtype=float64, persistent=False)"


# ---------------------------------------------------------------------------------------------------------------------
# The tree
# ---------------------------------------------------------------------------------------------------------------------


class Block(Module):
    checkpoint_names = {"norm": "LayerNorm", "inner.map": "inner.dense", "wrapped": ""}

    def __init__(self):
        self.inner = Inner()
        self.norm = LayerNorm(3)
        self.wrapped = Linear(3, 2)
        self.count = Buffer(np.zeros(1, dtype="float32"))
        self.table = Buffer(np.ones(2, dtype="float32"), persistent=False)
        self.steps = Buffer(np.zeros(1, dtype="int64"))


class Inner(Module):
    def __init__(self):
        self.map = Linear(3, 3)
        self.mapping = Linear(3, 1, bias=False)


class Tied(Module):
    def __init__(self):
        self.table = Embedding(5, 3)
        self.output = Linear(3, 5, bias=False)
        self.output.weight = self.table.weight


NAMES = [
    "inner.dense.weight",
    "inner.dense.bias",
    "inner.mapping.weight",  # `inner.map` renames inner.map and what is below it, not inner.mapping
    "LayerNorm.weight",
    "LayerNorm.bias",
    "weight",
    "bias",
]


def test_parameters_have_the_checkpoints_names_in_order():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == NAMES
    assert [name for name, _ in block.named_buffers()] == ["count", "table", "steps"]
    assert [name for name, _ in block.named_modules()] == ["", "inner", "inner.map", "inner.mapping", "norm", "wrapped"]
    assert [type(child) for child in block.children()] == [Inner, LayerNorm, Linear]
    outer = Sequential(Linear(2, 2), block)
    assert [name for name, _ in outer.named_parameters()][2:] == [f"1.{name}" for name in NAMES]


def test_tied_weights_are_visited_once():
    tied = Tied()
    assert [name for name, _ in tied.named_parameters()] == ["table.weight"]
    assert [name for name, _ in tied.named_parameters(remove_duplicate=False)] == ["table.weight", "output.weight"]
    assert tied.num_parameters() == 15
    assert list(tied.state_dict()) == ["table.weight"]


def test_tied_weights_stay_tied():
    for tied in (copy.deepcopy(Tied()), pickle.loads(pickle.dumps(Tied())), Tied().astype("float16")):
        assert tied.output.weight is tied.table.weight
        assert tied.output.weight.data is tied.table.weight.data


def test_tied_weights_add_their_gradients(rng):
    tied, ids = Tied(), np.array([1, 1, 4])
    x, table_cache = tied.table.forward(ids)
    y, output_cache = tied.output.forward(x)
    dy = rng.standard_normal(y.shape).astype("float32")
    dx = tied.output.backward(dy, output_cache)
    tied.table.backward(dx, table_cache)
    wanted = dy.T @ x
    for index, row in zip(ids, dx):
        wanted[index] += row
    np.testing.assert_allclose(tied.table.weight.grad, wanted, rtol=1e-5, atol=1e-6)


def test_counting_and_freezing():
    layer = Sequential(Linear(3, 2), Linear(2, 4, bias=False))
    assert layer.num_parameters() == 3 * 2 + 2 + 2 * 4
    assert layer[0].requires_grad_(False) is layer[0]
    assert layer.num_parameters(only_trainable=True) == 8
    assert layer.num_parameters() == 16
    layer.requires_grad_()
    assert layer.num_parameters(only_trainable=True) == 16


def test_train_and_eval_reach_every_module():
    layer = Sequential(Dropout(0.1), Sequential(Dropout(0.2)))
    assert layer.training
    assert layer.eval() is layer
    assert [module.training for module in layer.modules()] == [False] * 4
    assert layer.train() is layer
    assert all(module.training for module in layer.modules())
    assert Dropout(0.1).training  # the class itself is as before


def test_zero_grad():
    layer = Sequential(Linear(3, 2), Linear(2, 2))
    y, cache = layer.forward(np.ones((1, 3), dtype="float32"))
    layer.backward(y, cache)
    assert all(p.grad is not None for p in layer.parameters())
    layer.zero_grad()
    assert all(p.grad is None for p in layer.parameters())


def test_module_list():
    layers = [Linear(2, 2) for _ in range(12)]
    modules = ModuleList(layers[:-1])
    modules.append(layers[-1])
    assert len(modules) == 12
    assert list(modules) == layers  # also beyond ten, where names sort differently
    assert modules[0] is layers[0]
    assert modules[-1] is layers[-1]
    assert list(modules[2:4]) == layers[2:4]
    assert [name for name, _ in modules.named_parameters()][-2:] == ["11.weight", "11.bias"]
    with pytest.raises(IndexError):
        modules[12]


def test_skip_initialization():
    with skip_initialization():
        assert not Linear(2, 2).weight.data.any()
    assert Linear(2, 2).weight.data.any()


# ---------------------------------------------------------------------------------------------------------------------
# Number type, device, state dicts
# ---------------------------------------------------------------------------------------------------------------------


def test_astype_changes_what_is_floating_point():
    block = Block()
    block.wrapped.bias.grad = np.ones(2, dtype="float32")
    assert block.astype("float64") is block
    assert {p.dtype for p in block.parameters()} == {np.dtype("float64")}
    assert block.dtype == np.float64
    assert block.wrapped.bias.grad.dtype == np.float64
    assert [b.data.dtype for _, b in block.named_buffers()] == ["float64", "float64", "int64"]
    with pytest.raises(ValueError, match="must be a floating-point one, got int32"):
        block.astype("int32")


def test_to_moves_everything(fake_cupy):
    block = Block()
    block.wrapped.bias.grad = np.ones(2, dtype="float32")
    before = {name: p.data for name, p in block.named_parameters()}
    assert block.to("cuda") is block
    for array in [p.data for p in block.parameters()] + [b.data for _, b in block.named_buffers()]:
        assert isinstance(array, fake_cupy.ndarray)
    assert isinstance(block.wrapped.bias.grad, fake_cupy.ndarray)
    assert same_place(block.wrapped.bias.data, fake_cupy.ones(1))
    assert not same_place(block.wrapped.bias.data, np.ones(1))
    block.to("cpu")
    for name, p in block.named_parameters():
        np.testing.assert_array_equal(p.data, before[name])


def test_tied_weights_move_once(fake_cupy):
    tied = Tied().to("cuda")
    assert tied.output.weight is tied.table.weight


def test_state_dict_round_trip(rng):
    block, other = Block(), Block()
    for array in block.state_dict().values():
        array[...] = rng.integers(0, 9, array.shape)
    state = block.state_dict()
    assert list(state) == [*NAMES, "count", "steps"]
    assert other.load_state_dict(state) == ([], [])
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
        assert not np.shares_memory(array, state[name])
        assert array.dtype == state[name].dtype


def test_loading_keeps_the_models_number_type():
    block = Block()
    state = {name: array.astype("float64") for name, array in block.state_dict().items()}
    block.load_state_dict(state)
    assert block.dtype == np.float32
    assert block.steps.data.dtype == np.int64


def test_loading_onto_the_device(fake_cupy):
    block, state = Block().to("cuda"), Block().state_dict()
    block.load_state_dict(state)
    assert isinstance(block.wrapped.weight.data, fake_cupy.ndarray)
    np.testing.assert_array_equal(block.wrapped.weight.data.get(), state["weight"])


@pytest.mark.parametrize("name", ["table.weight", "output.weight"])
def test_a_tied_weight_loads_under_any_of_its_names(name):
    tied = Tied()
    assert tied.load_state_dict({name: np.full((5, 3), 2.0)}) == ([], [])
    np.testing.assert_array_equal(tied.table.weight.data, 2)


def changed(block, **changes):
    state = {name: array + 1 for name, array in block.state_dict().items()}
    for name, array in changes.items():
        if array is None:
            del state[name]
        else:
            state[name] = array
    return state


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"bias": None}, KeyError, r"does not fit Block: missing \['bias'\], unexpected \[\]"),
        ({"extra": np.ones(1)}, KeyError, r"missing \[\], unexpected \['extra'\]"),
        ({"table": np.ones(2)}, KeyError, r"unexpected \['table'\]"),  # not persistent
        ({"bias": np.ones(3)}, ValueError, r"bias has shape \(3,\) in the state dict, but \(2,\) in Block"),
        ({"weight": np.ones((3, 2))}, ValueError, r"weight has shape \(3, 2\) in the state dict, but \(2, 3\)"),
        ({"steps": np.ones(())}, ValueError, r"steps has shape \(\) in the state dict"),
    ],
)
def test_a_state_dict_that_does_not_fit_changes_nothing(changes, error, message):
    block = Block()
    before = copy.deepcopy(block.state_dict())
    with pytest.raises(error, match=message):
        block.load_state_dict(changed(block, **changes))
    for name, array in block.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_without_strict_what_fits_is_loaded():
    block = Block()
    missing, unexpected = block.load_state_dict({"bias": np.full(2, 7.0), "extra": np.ones(1)}, strict=False)
    assert unexpected == ["extra"]
    assert "weight" in missing
    assert "bias" not in missing
    np.testing.assert_array_equal(block.wrapped.bias.data, 7)
    with pytest.raises(ValueError, match="bias has shape"):
        block.load_state_dict({"bias": np.ones(3)}, strict=False)


def test_copying_and_pickling_modules(rng):
    block = Sequential(Linear(3, 4), LayerNorm(4), Linear(4, 2))
    x = rng.standard_normal((2, 3)).astype("float32")
    wanted = block(x)
    for twin in (copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        np.testing.assert_array_equal(twin(x), wanted)
        twin[0].weight.data += 1
        np.testing.assert_array_equal(block(x), wanted)


def test_repr_is_an_indented_tree():
    layer = Sequential(Linear(3, 4), Sequential(Dropout(0.1)), SinusoidalPositions(4, 2))
    assert repr(layer) == (
        "Sequential(\n"
        "  (0): Linear(3 -> 4)\n"
        "  (1): Sequential(\n"
        "    (0): Dropout(p=0.1)\n"
        "  )\n"
        "  (2): SinusoidalPositions()\n"
        ")"
    )


def test_flatten_rows():
    x = np.arange(24).reshape(2, 3, 4)
    assert flatten_rows(x).shape == (6, 4)
    assert np.shares_memory(flatten_rows(x), x)
    assert flatten_rows(x[0, 0]).shape == (1, 4)


# ---------------------------------------------------------------------------------------------------------------------
# ModelOutput
# ---------------------------------------------------------------------------------------------------------------------


def make_output(**fields):
    from edutransformers.models.outputs import MaskedLMOutput

    return MaskedLMOutput(**fields)


def test_outputs_by_attribute_name_and_place():
    loss, logits = np.float32(0.5), np.zeros((2, 3))
    out = make_output(loss=loss, logits=logits)
    assert out.logits is out["logits"] is out[1] is logits
    assert out.loss is out["loss"] is out[0] is loss
    assert out[-1] is logits
    assert out[:1] == (loss,)
    assert out.to_tuple()[1] is logits


def test_outputs_that_are_none_are_left_out():
    out = make_output(logits=np.zeros((2, 3)), attentions=(np.zeros((1, 1)),) * 2)
    assert out[0] is out.logits  # no loss: the logits come first
    assert list(out) == list(out.keys()) == ["logits", "attentions"]
    assert len(out) == 2
    assert "loss" not in out
    assert "attentions" in out
    assert out.loss is None
    assert out.get("loss") is None
    assert out.get("loss", 3) == 3
    assert [name for name, _ in out.items()] == ["logits", "attentions"]
    assert len(out.values()) == 2
    with pytest.raises(KeyError):
        out["loss"]
    with pytest.raises(IndexError):
        out[2]


def test_output_repr_shows_shapes_not_numbers():
    out = make_output(loss=np.float32(0.5), logits=np.zeros((2, 3)), hidden_states=(np.zeros((1, 4)),) * 3)
    text = repr(out)
    assert text.startswith("MaskedLMOutput(loss=")
    assert "logits=array(2, 3), hidden_states=(3 x array(1, 4))" in text


def test_outputs_are_dataclasses():
    assert is_dataclass(make_output())
    assert len(make_output()) == 0

"""Every optimizer against its equations on whole arrays; chunks, threads, states, files, device, settings."""

import numpy as np
import pytest

from edutransformers.backend import to_numpy
from edutransformers.module import Parameter
from edutransformers.training import SGD, Adafactor, Adagrad, Adam, AdamW, AdamW8bit, RMSprop, get_scheduler
from edutransformers.training.optimizers import chunks
from edutransformers.training.state_file import read_tree, write_tree
from tests import fakecupy
from tests.training.naive_optimizers import CASES, NAIVE, name_of

SHAPES = [(5, 4), (3,), (), (2, 3, 4), (3, 2, 5, 6), (1, 7)]
ALL = [SGD, Adafactor, Adagrad, Adam, AdamW, AdamW8bit, RMSprop]
all_cases = pytest.mark.parametrize(("cls", "settings"), CASES, ids=[name_of(case) for case in CASES])


def made(cls, params, **settings):
    return cls(params, **({"min_8bit_size": 1} if cls is AdamW8bit else {}), **settings)


def drawn(rng, steps=12, dtype="float64"):
    begin = [np.asarray(rng.standard_normal(shape)).astype(dtype) for shape in SHAPES]
    scales = 10.0 ** rng.uniform(-2, 2, steps)
    return begin, [[np.asarray(s * rng.standard_normal(x.shape)).astype(dtype) for x in begin] for s in scales]


def step_through(optimizer, parameters, gradients):
    for step in gradients:
        for parameter, gradient in zip(parameters, step):
            parameter.grad = gradient if gradient is None else gradient.copy()
        optimizer.step()
        optimizer.zero_grad()


@all_cases
@pytest.mark.parametrize(("chunk", "threads"), [(29, 1), (64, 2)])  # several chunks, the last one shorter
def test_steps_are_the_equations(rng, monkeypatch, cls, settings, chunk, threads):
    monkeypatch.setattr(chunks, "CHUNK", chunk)
    begin, gradients = drawn(rng)
    parameters = [Parameter(x.copy()) for x in begin]
    step_through(cls(parameters, **settings, threads=threads), parameters, gradients)
    for place, parameter in enumerate(parameters):
        expected = NAIVE[cls](begin[place], [step[place] for step in gradients], **settings)
        np.testing.assert_allclose(parameter.data, expected, rtol=1e-10, atol=1e-12)
        assert not np.allclose(expected, begin[place], rtol=1e-6, atol=0)


@all_cases
def test_float32_stays_float32(rng, cls, settings):
    begin, gradients = drawn(rng, steps=5, dtype="float32")
    parameters = [Parameter(x.copy()) for x in begin]
    widened = {name: np.float64(value) if isinstance(value, float) else value for name, value in settings.items()}
    optimizer = cls(parameters, **widened)
    step_through(optimizer, parameters, gradients)
    for place, parameter in enumerate(parameters):
        assert parameter.data.dtype == np.float32
        for name in optimizer.remembers(parameter, optimizer.param_groups[0]):
            assert optimizer.state[parameter][name].dtype == np.float32
        doubled = [step[place].astype("float64") for step in gradients]
        expected = NAIVE[cls](begin[place].astype("float64"), doubled, **settings)
        np.testing.assert_allclose(parameter.data, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cls", ALL)
def test_a_parameter_without_gradient_keeps_weights_and_count(rng, cls):
    begin, gradients = drawn(rng, steps=6)
    gradients = [[None if (number + place) % 3 == 0 else g for place, g in enumerate(step)] for number, step in
                 enumerate(gradients)]  # fmt: skip
    together, alone = [Parameter(x.copy()) for x in begin], [Parameter(x.copy()) for x in begin]
    optimizer = made(cls, together)
    step_through(optimizer, together, gradients)
    for place, parameter in enumerate(alone):
        own = [[step[place]] for step in gradients if step[place] is not None]
        single = made(cls, [parameter])
        step_through(single, [parameter], own)
        np.testing.assert_array_equal(parameter.data, together[place].data)
        assert optimizer.state[together[place]]["step"] == len(own) == 4


@pytest.mark.parametrize("cls", ALL)
def test_gradients_are_left_alone_and_weights_in_odd_memory_work(rng, cls):
    gradient = rng.standard_normal((4, 3)).T
    sealed = rng.standard_normal((3, 4))
    sealed.flags.writeable = False
    results = []
    for data in (sealed, np.asfortranarray(sealed), sealed.copy()):
        parameter, before = Parameter(data), gradient.copy()
        parameter.grad = gradient
        made(cls, [parameter], weight_decay=0.1).step()
        np.testing.assert_array_equal(gradient, before)
        results.append(parameter.data)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    assert not np.array_equal(results[0], sealed)


GROUPS = {
    SGD: {"momentum": 0.9, "nesterov": True},
    Adafactor: {"beta1": 0.5, "relative_step": False, "lr": 0.01},
    Adagrad: {"eps": 0.1},
    Adam: {"amsgrad": True},
    AdamW: {"amsgrad": True},
    AdamW8bit: {"betas": (0.5, 0.6)},
    RMSprop: {"centered": True, "momentum": 0.5},
}


@pytest.mark.parametrize("cls", ALL)
def test_states_survive_a_file_and_continue_bit_for_bit(rng, tmp_path, cls):
    """Two groups with other settings; through write_tree, as a checkpoint does. uint8 stays uint8."""
    begin, gradients = drawn(rng, steps=6, dtype="float32")

    def fresh(data):
        parameters = [Parameter(x.copy()) for x in data]
        return parameters, [{"params": parameters[:2]}, {"params": parameters[2:], **GROUPS[cls]}]

    whole, groups = fresh(begin)
    step_through(made(cls, groups), whole, gradients)
    first, groups = fresh(begin)
    optimizer = made(cls, groups)
    step_through(optimizer, first, gradients[:3])
    with open(tmp_path / "state", "wb") as file:
        write_tree(file, optimizer.state_dict())
    second, groups = fresh([p.data for p in first])
    continued = made(cls, groups)
    continued.load_state_dict(read_tree(tmp_path / "state"))
    for mine, other in zip(first, second):
        for name in optimizer.state[mine]:
            value = continued.state[other][name]
            np.testing.assert_array_equal(value, optimizer.state[mine][name])
            assert getattr(value, "dtype", None) == getattr(optimizer.state[mine][name], "dtype", None)
    step_through(continued, second, gradients[3:])
    for mine, other in zip(whole, second):
        np.testing.assert_array_equal(mine.data, other.data)
    if cls is AdamW8bit:
        assert {a.dtype.name for a in continued.state[second[0]].values() if hasattr(a, "dtype")} == {
            "uint8",
            "float32",
        }


@pytest.mark.parametrize("cls", ALL)
def test_what_it_will_remember_is_what_it_remembers(rng, cls):
    parameters = [Parameter(rng.standard_normal(shape)) for shape in SHAPES]
    optimizer = made(cls, [{"params": parameters[:3]}, {"params": parameters[3:], **GROUPS[cls]}])
    expected = {p: optimizer.remembers(p, group) for group in optimizer.param_groups for p in group["params"]}
    assert not optimizer.state
    step_through(optimizer, parameters, [[np.ones(p.shape) for p in parameters]])
    for parameter, arrays in expected.items():
        made_now = {name: value for name, value in optimizer.state[parameter].items() if isinstance(value, np.ndarray)}
        assert {n: (a.shape, a.dtype) for n, a in made_now.items()} == {n: k[:2] for n, k in arrays.items()}


def test_bytes_a_weight(rng):
    """What the docstrings promise, for a float32 matrix."""
    sizes = {}
    for cls, settings in [*((cls, {}) for cls in ALL), (SGD, {"momentum": 0.9}), (AdamW, {"amsgrad": True})]:
        parameter = Parameter(rng.standard_normal((256, 512), dtype="float32"))
        arrays = cls([parameter], **settings).remembers(parameter, cls([parameter], **settings).param_groups[0])
        size = sum(np.prod(kept.shape) * np.dtype(kept.dtype).itemsize for kept in arrays.values())
        sizes[(cls.__name__, *settings)] = size / parameter.size
    expected = {("SGD",): 0, ("SGD", "momentum"): 4, ("Adam",): 8, ("AdamW",): 8, ("AdamW", "amsgrad"): 12}
    expected |= {("Adagrad",): 4, ("RMSprop",): 4, ("AdamW8bit",): 2 * (1 + 4 / 256)}
    expected |= {("Adafactor",): 4 * (256 + 512) / (256 * 512)}
    assert sizes == expected


@pytest.mark.parametrize("cls", ALL)
def test_on_the_device(fake_cupy, rng, cls):
    """The host's numbers, and the host never waits; states load onto the device."""
    settings = GROUPS[cls] | {"weight_decay": 0.1, "threads": 2}
    begin, gradients = drawn(rng, steps=4)
    hosts, there = [Parameter(x.copy()) for x in begin], [Parameter(fake_cupy.asarray(x)) for x in begin]
    step_through(made(cls, hosts, **settings), hosts, gradients)
    optimizer = made(cls, there, **settings)
    on_device = [[fake_cupy.asarray(g) for g in step] for step in gradients]
    with fakecupy.no_sync():
        step_through(optimizer, there, on_device)
    for mine, other in zip(there, hosts):
        np.testing.assert_allclose(to_numpy(mine.data), other.data, rtol=1e-12, atol=1e-14)
    twin = made(cls, [Parameter(fake_cupy.asarray(x)) for x in begin], **settings)
    twin.load_state_dict(optimizer.state_dict())
    state = twin.state[twin.param_groups[0]["params"][0]]
    arrays = [value for value in state.values() if not isinstance(value, int) and value.ndim]
    assert arrays
    assert all(isinstance(array, fake_cupy.ndarray) for array in arrays)


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (SGD, {"lr": -1}, "SGD: lr is -1"),
        (SGD, {"momentum": -0.1}, "SGD: momentum is -0.1"),
        (SGD, {"nesterov": True}, "nesterov=True with momentum=0.0"),
        (SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening=0.1, expected"),
        (Adam, {"betas": (1.0, 0.9)}, "Adam: betas are"),
        (Adam, {"eps": -1}, "Adam: eps is -1"),
        (Adagrad, {"lr_decay": -1}, "Adagrad: lr_decay is -1"),
        (RMSprop, {"alpha": 1}, "RMSprop: alpha is 1"),
        (RMSprop, {"weight_decay": float("nan")}, "RMSprop: weight_decay is nan"),
        (Adafactor, {"lr": 0.1}, "lr=0.1 with relative_step=True"),
        (Adafactor, {"relative_step": False}, "lr is None with relative_step=False"),
        (Adafactor, {"relative_step": False, "lr": 0.1, "warmup_init": True}, "warmup_init=True warms up"),
        (Adafactor, {"eps": (1e-30,)}, "eps is"),
        (Adafactor, {"clip_threshold": 0}, "clip_threshold is 0"),
        (Adafactor, {"decay_rate": 0.8}, "decay_rate is 0.8"),
        (Adafactor, {"beta1": 1}, "beta1 is 1"),
    ],
)
def test_settings_that_make_no_sense(cls, settings, message):
    with pytest.raises(ValueError, match=message):
        cls([Parameter(np.zeros(2))], **settings)


def test_another_optimizers_state_is_refused():
    parameter = Parameter(np.ones((70, 70)))
    states = {}
    for name, optimizer in (("adamw", AdamW([parameter])), ("8bit", AdamW8bit([parameter])), ("sgd", SGD([parameter]))):
        parameter.grad = np.ones((70, 70))
        optimizer.step()
        states[name] = optimizer.state_dict()
    with pytest.raises(
        ValueError, match="keeps exp_avg, exp_avg_sq for parameter 0, this one exp_avg, exp_avg_sq, exp"
    ):
        AdamW8bit([parameter]).load_state_dict(states["adamw"])
    with pytest.raises(ValueError, match="keeps no array for parameter 0, this one sum"):
        Adagrad([parameter]).load_state_dict({**states["sgd"], "param_groups": [{"params": [0]}]})
    bytes_for_floats = {"exp_avg": states["8bit"]["state"][0]["exp_avg"], "exp_avg_sq": np.ones((70, 70))}
    with pytest.raises(ValueError, match="exp_avg of parameter 0 is uint8, but here it is float64"):
        AdamW([parameter]).load_state_dict({"state": {0: bytes_for_floats}, "param_groups": [{"params": [0]}]})


def test_centered_rmsprop_survives_a_gradient_that_stays_the_same():
    """v − ḡ² is 0 then, and rounding would leave less than nothing under the root."""
    parameter = Parameter(np.full(3, 5.0, dtype="float32"))
    gradient = np.array([0.1, 0.3, 7.7], dtype="float32")
    step_through(RMSprop([parameter], lr=1e-6, alpha=0.5, centered=True), [parameter], [[gradient]] * 60)
    assert np.isfinite(parameter.data).all()


def test_adafactor_without_a_learning_rate_can_not_be_scheduled():
    with pytest.raises(ValueError, match="use AdafactorSchedule"):
        get_scheduler("constant", Adafactor([Parameter(np.zeros(2))]))

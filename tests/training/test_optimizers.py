"""AdamW against torch's frozen numbers and a naive oracle; groups, states, chunks, threads, device."""

import numpy as np
import pytest

from edutransformers import BertConfig, BertForMaskedLM
from edutransformers.layers import LayerNorm, Linear
from edutransformers.module import Parameter
from edutransformers.training import AdamW, decay_groups, optimizers
from tests import fakecupy


def naive_adamw(w, gradients, lr, betas, eps, weight_decay, correct_bias=True):
    """The four lines of the docstring, as they stand there."""
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        w = w - lr * weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        m_hat, v_hat = m, v
        if correct_bias:
            m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        w = w - lr * m_hat / (np.sqrt(v_hat) + eps)
    return w


def step_through(optimizer, parameters, gradients):
    for step in gradients:
        for parameter, gradient in zip(parameters, step):
            parameter.grad = gradient.copy()
        optimizer.step()
        optimizer.zero_grad()


def test_five_steps_are_torchs():
    """Frozen: torch.optim.AdamW 2.13 on the same gradients, float64."""
    parameter = Parameter(np.linspace(-1, 1, 7))
    optimizer = AdamW([parameter], lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.2)
    step_through(optimizer, [parameter], [[np.sin(np.arange(7) * 1.7 + t) * (t + 1)] for t in range(5)])
    expected = [
        -1.1300059364427468, -0.6433325881216054, -0.007860622839201071, -0.005605023798611636, 0.04262433806133475,
        0.6637900979829562, 1.1238044030840006,
    ]  # fmt: skip
    np.testing.assert_allclose(parameter.data, expected, rtol=1e-13)
    mean, square = (optimizer.state[parameter][name] for name in ("exp_avg", "exp_avg_sq"))
    np.testing.assert_allclose(mean[:2], [-0.14498222055989413, -1.2253289248033687], rtol=1e-13)
    np.testing.assert_allclose(square[:2], [1.188282709363323, 1.3243313028578583], rtol=1e-13)


@pytest.mark.parametrize("correct_bias", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_fifty_steps_are_the_naive_ones(rng, monkeypatch, correct_bias, threads):
    monkeypatch.setattr(optimizers.chunks, "CHUNK", 7)  # many chunks, the last of a parameter shorter
    shapes = [(5, 4), (3,), (), (2, 3, 4)]
    parameters = [Parameter(rng.standard_normal(shape)) for shape in shapes]
    begin = [p.data.copy() for p in parameters]
    gradients = [[rng.standard_normal(shape) for shape in shapes] for _ in range(50)]
    settings = {"lr": 0.02, "betas": (0.9, 0.98), "eps": 1e-6, "weight_decay": 0.05, "correct_bias": correct_bias}
    step_through(AdamW(parameters, **settings, threads=threads), parameters, gradients)
    for place, parameter in enumerate(parameters):
        expected = naive_adamw(begin[place], [step[place] for step in gradients], **settings)
        np.testing.assert_allclose(parameter.data, expected, rtol=1e-11, atol=1e-12)


def test_float32_stays_float32_and_threads_change_no_bit(rng):
    shape = (300, 1000)  # more than one real chunk
    begin, gradients = rng.standard_normal(shape, dtype="float32"), rng.standard_normal((3, *shape), dtype="float32")
    results = []
    for threads in (1, 2):
        parameter = Parameter(begin.copy())
        optimizer = AdamW([parameter], lr=np.float64(0.01), threads=threads)  # a NumPy number must not widen anything
        step_through(optimizer, [parameter], [[g] for g in gradients])
        assert parameter.data.dtype == optimizer.state[parameter]["exp_avg"].dtype == np.float32
        results.append(parameter.data)
    np.testing.assert_array_equal(*results)
    expected = naive_adamw(begin.astype("float64"), gradients.astype("float64"), 0.01, (0.9, 0.999), 1e-8, 0.01)
    np.testing.assert_allclose(results[0], expected, atol=2e-6)


def test_gradients_are_left_alone_and_parameters_without_one_too(rng):
    first, second = Parameter(rng.standard_normal(4)), Parameter(rng.standard_normal(4))
    first.grad = rng.standard_normal(4)
    gradient, untouched = first.grad.copy(), second.data.copy()
    optimizer = AdamW([first, second], weight_decay=0.5)
    optimizer.step()
    np.testing.assert_array_equal(first.grad, gradient)
    np.testing.assert_array_equal(second.data, untouched)
    assert second not in optimizer.state
    second.grad = np.ones(4)
    optimizer.step()
    assert [optimizer.state[p]["step"] for p in (first, second)] == [2, 1]  # each counts its own steps


def test_weights_in_odd_memory(rng):
    """A transposed view, and memory that is write-protected, as a mapped file's is."""
    transposed, sealed = rng.standard_normal((3, 5)).T, rng.standard_normal(6)
    sealed.flags.writeable = False
    for data in (transposed, sealed):
        parameter, before = Parameter(data), data.copy()
        gradient = rng.standard_normal(data.shape[::-1]).T
        step_through(AdamW([parameter], lr=0.1), [parameter], [[gradient]])
        expected = naive_adamw(before, [gradient], 0.1, (0.9, 0.999), 1e-8, 0.01)
        np.testing.assert_allclose(parameter.data, expected, rtol=1e-12)
        np.testing.assert_array_equal(data, before)  # somebody else's memory


def test_accepts_parameters_pairs_models_and_groups(rng):
    model = Linear(3, 2, generator=rng)
    for params in (model, model.parameters(), model.named_parameters(), [{"params": model.named_parameters()}]):
        assert AdamW(params).param_groups[0]["params"] == [model.weight, model.bias]
    groups = [{"params": model.weight, "weight_decay": 0.3}, {"params": [model.bias], "lr": 0.5}]
    first, second = AdamW(groups, lr=0.1, weight_decay=0.0).param_groups
    assert (first["lr"], first["weight_decay"], second["lr"], second["weight_decay"]) == (0.1, 0.3, 0.5, 0.0)


def test_a_group_has_its_own_settings(rng):
    parameters = [Parameter(rng.standard_normal(3)) for _ in range(2)]
    begin, gradients = [p.data.copy() for p in parameters], [[rng.standard_normal(3)] * 2 for _ in range(4)]
    groups = [{"params": parameters[:1], "weight_decay": 0.3}, {"params": parameters[1:], "lr": 0.5}]
    step_through(AdamW(groups, lr=0.1, weight_decay=0.0), parameters, gradients)
    for place, (lr, decay) in enumerate([(0.1, 0.3), (0.5, 0.0)]):
        expected = naive_adamw(begin[place], [g[place] for g in gradients], lr, (0.9, 0.999), 1e-8, decay)
        np.testing.assert_allclose(parameters[place].data, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("params", "options", "message"),
    [
        ([], {}, "no parameters"),
        ([Parameter(np.zeros(2))], {"lr": -1.0}, "lr is -1.0"),
        ([Parameter(np.zeros(2))], {"lr": float("nan")}, "lr is nan"),
        ([Parameter(np.zeros(2))], {"betas": (0.9, 1.0)}, "betas are"),
        ([Parameter(np.zeros(2))], {"weight_decay": -0.1}, "weight_decay is -0.1"),
        ([{"params": [Parameter(np.zeros(2))], "momentum": 1}], {}, "'momentum'"),
        ([Parameter(np.zeros(2, dtype="float16"))], {}, r"astype\('float32'\)"),
    ],
)
def test_bad_arguments(params, options, message):
    with pytest.raises(ValueError, match=message):
        AdamW(params, **options)


def test_no_parameters_at_all():
    with pytest.raises(TypeError, match="expected Parameters"):
        AdamW([np.zeros(3)])


def test_a_tied_weight_passed_twice_is_refused():
    shared = Parameter(np.zeros((2, 2)))
    for params in ([shared, shared], [{"params": [shared]}, {"params": [shared]}]):
        with pytest.raises(ValueError, match="passed twice"):
            AdamW(params)


def test_state_dict_continues_bit_for_bit(rng):
    gradients = rng.standard_normal((6, 5))
    whole, before, after = (Parameter(np.ones(5)) for _ in range(3))
    optimizer = AdamW([whole], lr=0.1)
    step_through(optimizer, [whole], gradients[:, None])

    first = AdamW([before], lr=0.1)
    step_through(first, [before], gradients[:3, None])
    after.data = before.data.copy()
    second = AdamW([after], lr=0.7, betas=(0.5, 0.5))
    saved = first.state_dict()
    second.load_state_dict(saved)
    step_through(second, [after], gradients[3:, None])
    np.testing.assert_array_equal(after.data, whole.data)
    assert second.param_groups[0]["lr"] == 0.1
    assert saved["state"][0]["step"] == 3
    assert saved["state"][0]["exp_avg"] is first.state[before]["exp_avg"]
    assert first.state[before]["step"] == 3
    assert not np.shares_memory(
        first.state[before]["exp_avg"], second.state[after]["exp_avg"]
    )  # what was loaded is a copy


def test_a_state_of_another_model_is_refused():
    small, large = Parameter(np.ones(3)), Parameter(np.ones(4))
    small.grad = np.ones(3)
    optimizer = AdamW([small])
    optimizer.step()
    with pytest.raises(ValueError, match=r"shape \(3,\), but here it has \(4,\)"):
        AdamW([large]).load_state_dict(optimizer.state_dict())
    with pytest.raises(ValueError, match="groups of"):
        AdamW([small, large]).load_state_dict(optimizer.state_dict())


def test_decay_groups_by_type(rng):
    config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2, intermediate_size=6,
                        max_position_embeddings=5)  # fmt: skip
    model = BertForMaskedLM(config, generator=rng)
    decaying, others = decay_groups(model, 0.1)
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    names = {id(p): name for name, p in model.named_parameters()}
    not_decayed = {names[id(p)] for p in others["params"]}
    assert not_decayed == {n for n in names.values() if n.endswith("bias") or "LayerNorm" in n}
    assert len(decaying["params"]) + len(others["params"]) == len(names)  # the tied table once
    norm = LayerNorm(4)
    norm.weight_under_any_name = norm.weight
    assert decay_groups(norm, 0.1)[0]["params"] == []


def test_on_the_device(fake_cupy, rng):
    """Same numbers, and the host never waits."""
    begin, gradients = rng.standard_normal((4, 3)), rng.standard_normal((3, 4, 3))
    parameter = Parameter(fake_cupy.asarray(begin))
    optimizer = AdamW([parameter], lr=0.1, threads=2)
    on_device = [fake_cupy.asarray(g) for g in gradients]
    with fakecupy.no_sync():
        step_through(optimizer, [parameter], [[g] for g in on_device])
    expected = naive_adamw(begin, gradients, 0.1, (0.9, 0.999), 1e-8, 0.01)
    np.testing.assert_allclose(parameter.data.get(), expected, rtol=1e-12)
    twin = AdamW([Parameter(fake_cupy.asarray(begin))])
    twin.load_state_dict(optimizer.state_dict())
    assert isinstance(twin.state[twin.param_groups[0]["params"][0]]["exp_avg"], fake_cupy.ndarray)

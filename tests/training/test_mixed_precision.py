"""Mixed precision: float16 gradients like float32 ones, scales that grow and shrink, steps left out, masters kept."""

import numpy as np
import pytest

from edutransformers.backend import array_module
from edutransformers.layers import SinusoidalPositions
from edutransformers.module import Module, Parameter
from edutransformers.training import AdamW, DataLoader, clip_grad_norm_
from edutransformers.training.mixed_precision import MixedPrecision, half_weights
from tests import fakecupy
from tests.training.toy import toy_data, toy_model, weights_of

BATCH = next(iter(DataLoader(toy_data(8), 8)))


def gradients_of(model):
    return {name: p.grad.copy() for name, p in model.named_parameters() if p.grad is not None}


def float_gradients(model, batch):
    model.zero_grad()
    out, cache = model.forward(**batch)
    model.backward({"loss": 1.0}, cache)
    return out, gradients_of(model)


def half_gradients(model, batch, scale=1024.0):
    model.zero_grad()
    precision = MixedPrecision(model, None, init_scale=scale)
    with precision.half():
        out, cache = model.forward(**batch)
        model.backward({"loss": precision.scale}, cache)
    precision.unscale()
    return out, gradients_of(model)


def relative_error(got, wanted):
    return np.linalg.norm(got - wanted) / np.linalg.norm(wanted)


# -- float16 weights for a while --------------------------------------------------------------------------------------


def test_weights_are_float16_inside_and_the_old_ones_after():
    model = toy_model()
    masters = {name: parameter.data for name, parameter in model.named_parameters()}
    with half_weights(model):
        for name, parameter in model.named_parameters():
            assert parameter.dtype == np.float16
            np.testing.assert_array_equal(parameter.data, masters[name].astype("float16"))
        assert model(**BATCH).logits.dtype == np.float16
    assert all(parameter.data is masters[name] for name, parameter in model.named_parameters())
    with pytest.raises(ZeroDivisionError), half_weights(model):
        raise ZeroDivisionError
    assert all(parameter.data is masters[name] for name, parameter in model.named_parameters())


def test_buffers_become_float16_too():
    """A float32 table among float16 numbers would make float32 of everything behind it."""
    positions = SinusoidalPositions(6, 4)
    with half_weights(positions):
        assert positions(np.arange(3)).dtype == np.float16
    assert positions.table.data.dtype == np.float32


@pytest.mark.parametrize("config", [{}, {"position_embedding_type": "relative_key_query", "hidden_act": "gelu_new"}])
def test_gradients_of_a_bert(config, rng):
    """Every parameter's gradient is within 2% of the float32 one (‖difference‖ / ‖gradient‖). float16 keeps 11 bits:
    0.05% an operation, some dozens of operations deep."""
    model = toy_model(dropout=0.0, num_hidden_layers=2, initializer_range=0.2, **config)
    batch = {**BATCH, "attention_mask": BATCH["attention_mask"].copy()}
    batch["attention_mask"][::2, 4:] = 0
    out, wanted = float_gradients(model, batch)
    half_out, got = half_gradients(model, batch)
    assert half_out.loss.dtype == np.float32
    assert half_out.loss == pytest.approx(out.loss, rel=2e-3)
    assert got.keys() == wanted.keys()
    largest = max(np.abs(gradient).max() for gradient in wanted.values())
    for name, gradient in wanted.items():
        assert got[name].dtype == np.float32
        if "key.bias" in name:  # next to nothing: a constant added to all scores of a query changes nothing
            assert np.abs(got[name] - gradient).max() < 2e-3 * largest
        else:
            assert relative_error(got[name], gradient) < 0.02, name


def bytes_in(cache):
    """Of all arrays in a cache, each memory counted once."""
    arrays, waiting = {}, [cache]
    while waiting:
        value = waiting.pop()
        if isinstance(value, np.ndarray):
            owner = value if value.base is None else value.base
            arrays[id(owner)] = owner.nbytes
        elif isinstance(value, (tuple, list)):
            waiting += value
    return sum(arrays.values())


def test_activations_take_half_the_memory():
    model = toy_model(num_hidden_layers=2).eval()
    _, cache = model.forward(**BATCH)
    with half_weights(model):
        _, half_cache = model.forward(**BATCH)
    assert 0.5 <= bytes_in(half_cache) / bytes_in(cache) < 0.55  # ids and layer norm's 1/σ stay as they are


def test_without_a_scale_small_gradients_are_lost():
    """What the scale is for: a loss that counts for 1e-7 has gradients that float16 rounds to 0."""
    model = toy_model(dropout=0.0, initializer_range=0.2)
    batch = BATCH
    name = "bert.encoder.layer.0.attention.self.query.weight"
    _, wanted = float_gradients(model, batch)

    def error(scale):
        model.zero_grad()
        with half_weights(model):
            _, cache = model.forward(**batch)
            model.backward({"loss": 1e-7 * scale}, cache)
        return relative_error(gradients_of(model)[name] / (1e-7 * scale), wanted[name])

    assert error(1.0) > 0.3
    assert error(2.0**24) < 0.02


def test_accumulated_gradients_are_added_up_in_float32():
    """3,000 times the same batch is 3,000 times its gradient; in float16 the sum would stop growing at 2,048."""
    weight = Parameter(np.ones((2, 2), dtype="float32"))
    model = Module()
    model.weight = weight
    precision = MixedPrecision(model, AdamW([weight]), init_scale=1.0)
    with precision.half():
        for _ in range(3000):
            weight.accumulate(np.ones((2, 2), dtype="float16"))
    np.testing.assert_array_equal(weight.grad, 3000)


# -- the scale --------------------------------------------------------------------------------------------------------


def one_weight(**settings):
    model = Module()
    model.weight = Parameter(np.array([1.0, 2.0], dtype="float32"))
    return model.weight, MixedPrecision(model, AdamW(model, lr=0.1), **settings)


def test_the_scale_grows_and_shrinks_and_bad_steps_are_left_out():
    weight, precision = one_weight(init_scale=8.0, growth_interval=3)
    seen = []
    for gradient in (1, 1, 1, np.inf, 1, 1, np.nan, 1, 1, 1):
        before = weight.data.copy()
        weight.grad = np.array([1.0, gradient], dtype="float32")
        stepped = precision.step()
        assert stepped == np.isfinite(gradient) == bool((weight.data != before).all())
        seen.append(precision.scale)
    assert seen == [8, 8, 16, 8, 8, 8, 4, 4, 4, 8]
    assert precision.optimizer.state[weight]["step"] == 8
    assert np.isfinite(weight.data).all()
    assert np.isfinite(precision.optimizer.state[weight]["exp_avg"]).all()


def test_the_scale_never_becomes_infinite():
    weight, precision = one_weight(init_scale=2.0**127, growth_interval=1)
    weight.grad = np.zeros(2, dtype="float32")
    assert precision.step()
    assert precision.scale == 2.0**127


def test_unscaling_comes_before_clipping_and_only_once():
    weight, precision = one_weight(init_scale=1024.0)
    weight.grad = np.array([3.0, 4.0], dtype="float32") * 1024
    precision.unscale()
    np.testing.assert_array_equal(weight.grad, [3, 4])
    assert clip_grad_norm_([weight], 1.0) == 5.0
    with pytest.raises(RuntimeError, match="unscaled already"):
        precision.unscale()
    precision.step()
    precision.unscale()  # of the next step


def test_infinite_gradients_may_be_clipped_and_the_step_is_left_out_all_the_same():
    """Clipping makes nan of them; what counts is what unscale() saw."""
    weight, precision = one_weight()
    weight.grad = np.array([np.inf, 1.0], dtype="float32")
    precision.unscale()
    clip_grad_norm_([weight], 1.0)
    assert not precision.step()


def test_state_dict():
    weight, precision = one_weight(init_scale=4.0, growth_interval=5)
    weight.grad = np.ones(2, dtype="float32")
    precision.step()
    _, other = one_weight()
    other.load_state_dict(precision.state_dict())
    assert other.state_dict() == precision.state_dict()
    assert (other.scale, other.good_steps, other.growth_interval) == (4.0, 1, 5)


@pytest.mark.parametrize(
    "settings", [{"init_scale": 0}, {"growth_factor": 1.0}, {"backoff_factor": 1.0}, {"growth_interval": 0}]
)
def test_settings_that_make_no_sense(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        one_weight(**settings)


def test_a_float16_model_has_no_masters():
    with pytest.raises(ValueError, match=r"word_embeddings.weight is float16.*astype\('float32'\)"):
        MixedPrecision(toy_model().astype("float16"), None)


# -- the loop of the module's docstring -------------------------------------------------------------------------------


def native_loop(model, steps, precision, max_norm=1.0):
    generator, losses = np.random.default_rng(0), []
    model.train()
    for _ in range(steps):
        with precision.half():
            out, cache = model.forward(**BATCH, generator=generator)
            model.backward({"loss": precision.scale}, cache)
        precision.unscale()
        clip_grad_norm_(model, max_norm)
        precision.step()
        precision.optimizer.zero_grad()
        losses.append(out.loss)
    return losses


def test_it_learns_like_float32():
    losses = {}
    for name in ("mixed", "float32"):
        model = toy_model()
        optimizer = AdamW(model, lr=3e-3)
        if name == "mixed":
            losses[name] = native_loop(model, 25, MixedPrecision(model, optimizer, init_scale=2.0**24))
            made = optimizer.state[model.head.linear.bias]["step"]
            assert 15 < made < 24  # so large a scale overflows at first
        else:
            losses[name], generator = [], np.random.default_rng(0)
            model.train()
            for _ in range(25):
                out, cache = model.forward(**BATCH, generator=generator)
                model.backward({"loss": 1.0}, cache)
                clip_grad_norm_(model, 1.0)
                optimizer.step()
                optimizer.zero_grad()
                losses[name].append(out.loss)
    assert losses["mixed"][-1] < 0.5 * losses["mixed"][0]
    assert abs(losses["mixed"][-1] - losses["float32"][-1]) < 0.15


def test_on_the_device_a_step_waits_once(fake_cupy):
    host, device = toy_model(dropout=0.0), toy_model(dropout=0.0).to("cuda")
    expected = native_loop(host, 3, MixedPrecision(host, AdamW(host, lr=1e-2), init_scale=64.0))
    precision = MixedPrecision(device, AdamW(device, lr=1e-2), init_scale=64.0)
    native_loop(device, 1, precision)
    fakecupy.counts.reset()
    got = native_loop(device, 2, precision)
    assert fakecupy.counts.syncs == 2
    np.testing.assert_allclose([float(loss) for loss in got], [float(x) for x in expected[1:]], rtol=5e-3)
    for name, value in weights_of(host).items():
        parameter = dict(device.named_parameters())[name]
        assert array_module(parameter.data) is fake_cupy
        assert parameter.dtype == np.float32
        np.testing.assert_allclose(parameter.data.get(), value, atol=2e-2, err_msg=name)

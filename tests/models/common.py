"""What every model promises, whatever its architecture: one function a promise, run on tiny models.

    SUBJECTS = {"masked_lm": Subject(make_model, make_batch), …}

    @pytest.mark.parametrize(("name", "promise"), promises_of(SUBJECTS))
    def test_promise(name, promise, tmp_path):
        promise(SUBJECTS[name], tmp_path)

Weights come from their names (seeded.py), so nothing is at its initial value. That the numbers are the original's is
proved elsewhere: by the fixtures, and by tests/reference.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest

from edutransformers import assert_gradients, inference_mode
from edutransformers.layers import FeedForward
from edutransformers.speed import use_batch_threads
from tests import fakecupy
from tests.contract import arrays_of, to_device, to_host

from .proof import flatten, is_float_input, is_loss, run_model, total_norm
from .subject import (
    ROUNDING,
    Subject,
    assert_close,
    gradients_for,
    host_gradients,
    main_input,
    padded,
    run,
    tied_groups,
    without_labels,
)

# ---------------------------------------------------------------------------------------------------------------------
# The promises
# ---------------------------------------------------------------------------------------------------------------------


def a_saved_model_loads_equal(subject, folder):
    """save_pretrained, then from_pretrained: the same weights to the bit, the same config, the same outputs."""
    model, batch = subject.make_model("float32"), subject.make_batch("float32")
    model.save_pretrained(folder)
    assert {path.name for path in folder.iterdir()} >= {"config.json", "model.safetensors"}
    loaded, report = type(model).from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    assert loaded.config == model.config
    assert not loaded.training
    for (name, mine), (other_name, other) in zip(model.named_parameters(), loaded.named_parameters(), strict=True):
        assert name == other_name
        np.testing.assert_array_equal(mine.data, other.data, err_msg=name)
    wanted = flatten(model(**batch))
    for name, x in flatten(loaded(**batch)).items():
        np.testing.assert_array_equal(x, wanted[name], err_msg=name)


def tied_weights_stay_tied(subject, folder):
    """After astype, load_state_dict, to("cuda") and back, copy, save and load: still one Parameter."""
    model = subject.make_model("float32")
    groups = tied_groups(type(model)(model.config))  # as the constructor ties them
    model.astype("float64").astype("float32")
    model.load_state_dict({name: p.data.copy() for name, p in model.named_parameters(remove_duplicate=False)})
    assert tied_groups(model) == groups
    with fakecupy.installed():
        assert tied_groups(model.to("cuda")) == groups
        model.to("cpu")
    assert tied_groups(copy.deepcopy(model)) == groups
    model.save_pretrained(folder)
    assert tied_groups(type(model).from_pretrained(folder)) == groups


def padding_changes_nothing(subject, folder):
    """Three more padding tokens at the right of every text: the same outputs, the same loss, the same gradients."""
    batch = subject.make_batch("float64")
    tokens = batch["attention_mask"].shape[-1]
    wider = {name: padded(subject, name, x, tokens, 3) for name, x in batch.items()}
    names = None if subject.loss_sees_padding else subject.names
    crop = lambda x: x[tuple(slice(tokens) if size == tokens + 3 else slice(None) for size in x.shape)]  # noqa: E731
    narrow, wide = subject.make_model("float64"), subject.make_model("float64")
    wanted = run_model(narrow, batch, names)
    output, cache = wide.forward(**wider)
    for name, x in flatten(output).items():
        if is_loss(name) and subject.loss_sees_padding:
            continue
        np.testing.assert_allclose(crop(np.asarray(x)), wanted.outputs[name], rtol=1e-10, atol=1e-11, err_msg=name)
    if subject.has_loss and not subject.loss_sees_padding:
        wide.backward(dict.fromkeys(subject.losses, 1.0), cache)
        for name, parameter in wide.named_parameters():
            size = total_norm(wanted.gradients)
            gradient = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad
            np.testing.assert_allclose(gradient, wanted.gradients[name], rtol=0, atol=ROUNDING * size, err_msg=name)


def examples_do_not_look_at_each_other(subject, folder):
    """Each example alone gives what it gives in the batch."""
    batch = subject.make_batch("float64")
    size = len(main_input(batch))
    together = flatten(subject.make_model("float64")(**batch))
    for place in range(size):
        alone = {
            name: x[place : place + 1] if isinstance(x, np.ndarray) and x.ndim and len(x) == size else x
            for name, x in batch.items()
        }
        for name, x in flatten(subject.make_model("float64")(**alone)).items():
            if not is_loss(name):
                rows = slice(place * len(x), (place + 1) * len(x))  # several for an example with several choices
                np.testing.assert_allclose(x, together[name][rows], rtol=1e-10, atol=1e-11, err_msg=name)


def every_parameter_gets_a_gradient(subject, folder):
    """No weight is left out of the backward pass; the unused ones get nothing, and frozen ones don't either."""
    model, batch = subject.make_model("float64"), subject.make_batch("float64")
    run_model(model, batch, subject.names)
    for name, parameter in model.named_parameters():
        if name in subject.unused:
            assert parameter.grad is None or not parameter.grad.any(), f"{name} is unused, but has a gradient"
        else:
            assert parameter.grad is not None, f"{name} has no gradient"
            assert parameter.grad.any() or name.endswith(subject.flat or ("\0",)), f"{name} has a gradient of 0"
    frozen = subject.make_model("float64").requires_grad_(False)
    run_model(frozen, batch, subject.names)
    assert all(parameter.grad is None for parameter in frozen.parameters())


def gradients_are_the_differences(subject, folder):
    """The whole model's backward against central differences: every parameter and float input, a few entries each."""
    batch = subject.make_batch("float64")
    report = assert_gradients(subject.make_model("float64"), samples=2, randomize=False, **batch)
    checked = {comparison.name for comparison in report.comparisons}
    assert checked >= {name for name, _ in subject.make_model("float64").named_parameters()}
    assert checked >= {name for name, x in batch.items() if is_float_input(name, x)}


def one_batch_can_be_learned_by_heart(subject, folder):
    """Adam, written out, on one batch: the loss falls to a twentieth (or what else the subject says)."""
    model, batch = subject.make_model("float32"), subject.make_batch("float32")
    state = {id(p): (np.zeros_like(p.data), np.zeros_like(p.data)) for p in model.parameters()}
    losses = []
    for step in range(1, 151):
        model.zero_grad()
        output, cache = model.forward(**batch)
        losses.append(float(output.loss))
        if losses[-1] < subject.loss_falls_to * losses[0]:
            return
        model.backward({"loss": 1.0}, cache)
        for parameter in model.parameters():
            if parameter.grad is not None:
                mean, square = state[id(parameter)]
                mean += 0.1 * (parameter.grad - mean)
                square += 0.01 * (parameter.grad**2 - square)
                rate = 0.01 * np.sqrt(1 - 0.99**step) / (1 - 0.9**step)
                parameter.data = parameter.data - np.float32(rate) * mean / (np.sqrt(square) + 1e-8)
    first, last = losses[0], losses[-1]
    raise AssertionError(
        f"the loss fell from {first:.3f} to {last:.3f} in 150 steps, not to {subject.loss_falls_to:.0%}"
    )


def recomputing_changes_nothing(subject, folder):
    """Gradient checkpointing: the same loss and gradients, dropout included, and a smaller cache."""
    enable = lambda model: model.gradient_checkpointing_enable()  # noqa: E731
    for seed in (None, 5):
        assert_close(run(subject, seed=seed, prepare=enable), run(subject, seed=seed), f"checkpointing, seed {seed}")
    model, batch = subject.make_model("float64"), subject.make_batch("float64")
    sizes = []
    for switch in (model.gradient_checkpointing_disable, model.gradient_checkpointing_enable):
        switch()
        _, cache = model.forward(**batch)
        sizes.append(sum({id(x): x.nbytes for x in arrays_of(cache)}.values()))
    assert sizes[1] < 0.7 * sizes[0], f"the cache holds {sizes[1]} bytes with checkpointing and {sizes[0]} without"


def inference_gives_the_same_output(subject, folder):
    """model(**batch) keeps nothing and gives the numbers of forward."""
    model, batch = subject.make_model("float64"), subject.make_batch("float64")
    output, cache = model.forward(**batch)
    assert cache is not None
    wanted = flatten(output)
    with inference_mode():
        unkept, nothing = model.forward(**batch)
    assert nothing is None
    for got in (flatten(unkept), flatten(model(**batch))):
        assert got.keys() == wanted.keys()
        for name, x in got.items():
            np.testing.assert_allclose(x, wanted[name], rtol=1e-12, atol=1e-12, err_msg=name)


def two_calls_before_their_backward(subject, folder):
    """Forward, an evaluation, another forward; then both backwards in the other order: gradients add up."""
    first = subject.make_batch("float64")
    second = {name: x[::-1].copy() if isinstance(x, np.ndarray) and x.ndim else x for name, x in first.items()}
    second.update({name: np.roll(x, 1, axis=-1) for name, x in second.items() if name in ("input_ids", "labels")})
    second.pop("head_mask", None)
    alone = [run(subject, batch=batch) for batch in (first, second)]
    model = subject.make_model("float64")
    (output, cache), _, (second_output, second_cache) = model.forward(**first), model(**second), model.forward(**second)
    model.backward(gradients_for(second_output, subject.names), second_cache)
    model.backward(gradients_for(output, subject.names), cache)
    size = sum(total_norm(result.gradients) for result in alone)
    for name, parameter in model.named_parameters():
        wanted = alone[0].gradients[name] + alone[1].gradients[name]
        got = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad
        np.testing.assert_allclose(got, wanted, rtol=0, atol=ROUNDING * size, err_msg=name)


def nothing_is_written_into(subject, folder):
    """Weights, inputs, outputs and the outputs' gradients may be read-only, in forward, inference and backward."""
    model, batch = subject.make_model("float64"), subject.make_batch("float64")
    for x in arrays_of([batch, [p.data for p in model.parameters()]]):
        x.flags.writeable = False
    output, cache = model.forward(**batch)
    d_output = gradients_for(output, None)
    for x in arrays_of([*output.values(), d_output]):
        if isinstance(x, np.ndarray):
            x.flags.writeable = False
    before = {name: np.array(x) for name, x in flatten(output).items()}
    model(**batch)
    model.backward(d_output, cache)
    for name, x in flatten(output).items():
        np.testing.assert_array_equal(x, before[name], err_msg=f"{name} changed after it was returned")


def float32_stays_float32(subject, folder):
    """In outputs, gradients and caches, in training too; and close to float64."""
    for seed in (None, 5):
        result = run(subject, "float32", seed=seed)
        for part in result:
            for name, x in part.items():
                assert x.dtype == np.float32, f"{name} is {x.dtype}"
    model = subject.make_model("float32").train()
    _, cache = model.forward(**subject.make_batch("float32"), generator=np.random.default_rng(5))
    kinds = {str(x.dtype) for x in arrays_of(cache) if x.dtype.kind == "f"}
    assert kinds == {"float32"}, f"the cache holds {kinds}"
    assert_close(run(subject, "float32"), run(subject), "float32 and float64", 1e-4)


def float16_is_finite_and_close(subject, folder):
    """Half precision forward: within its three digits."""
    wanted = flatten(subject.make_model("float64")(**subject.make_batch("float64")))
    got = flatten(subject.make_model("float16")(**subject.make_batch("float16")))
    for name, x in got.items():
        dtype = np.float32 if is_loss(name) else np.float16  # a sum over many rows: see functional/precision.py
        assert np.asarray(x).dtype == dtype, f"{name} is {np.asarray(x).dtype}, expected {np.dtype(dtype)}"
        assert np.isfinite(x).all(), f"{name} is not finite"
        error = np.abs(np.float64(x) - wanted[name]).max() / max(1.0, np.abs(wanted[name]).max())
        assert error < 0.03, f"{name} differs by {error:.3f}"


def the_device_gives_the_same_numbers(subject, folder):
    """On the strict double of CuPy, everything on the device: the same numbers, and the host never waits."""
    for seed in (None, 5):
        wanted = run(subject, seed=seed)
        with fakecupy.installed() as cupy:
            model = subject.make_model("float64").train(seed is not None).to("cuda")
            batch = to_device(subject.make_batch("float64"), cupy)
            generator = np.random.default_rng(seed)
            d_output = to_device(host_gradients(wanted, subject.names), cupy)
            with fakecupy.no_sync():
                output, cache = model.forward(**batch, generator=generator)
                d_inputs = model.backward(d_output, cache)
            arrays = [*flatten(output).values(), *d_inputs.values()]
            arrays += [p.grad for p in model.parameters() if p.grad is not None]
            assert all(isinstance(x, cupy.ndarray) for x in arrays)
            outputs = to_host(flatten(output))
            gradients = to_host({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
        size = total_norm(wanted.gradients)
        for name, x in wanted.outputs.items():
            np.testing.assert_allclose(outputs[name], x, rtol=1e-10, atol=1e-11, err_msg=name)
        for name, x in wanted.gradients.items():
            got = gradients.get(name, np.zeros_like(x))
            np.testing.assert_allclose(got, x, rtol=0, atol=1e-10 * size, err_msg=name)


def ids_may_stay_on_the_host(subject, folder):
    """A tokenizer's NumPy arrays go into a model on the device as they are: ids, masks and labels are moved."""
    wanted = flatten(subject.make_model("float64")(**subject.make_batch("float64")))
    with fakecupy.installed() as cupy:
        model = subject.make_model("float64").to("cuda")
        batch = subject.make_batch("float64")
        batch = {name: to_device(x, cupy) if is_float_input(name, x) else x for name, x in batch.items()}
        got = to_host(flatten(model(**batch)))
    for name, x in got.items():
        np.testing.assert_allclose(x, wanted[name], rtol=1e-10, atol=1e-11, err_msg=name)


def chunks_change_nothing(subject, folder):
    """Any chunk of the feed-forward layers, kept or recomputed: the same outputs and gradients."""
    wanted = run(subject)

    def chunked(size, recompute):
        def prepare(model):
            layers = [module for module in model.modules() if isinstance(module, FeedForward)]
            assert layers, "the model has no FeedForward layer"
            for layer in layers:
                layer.chunk_size, layer.recompute = size, recompute

        return prepare

    for size, recompute in ((1, False), (3, False), (1000, False), (0, True), (2, True)):
        assert_close(run(subject, prepare=chunked(size, recompute)), wanted, f"chunk {size}, recompute {recompute}")


def threads_change_nothing(subject, folder):
    """The batch split over threads: the same numbers, with dropout, and with checkpointing on top."""
    enable = lambda model: model.gradient_checkpointing_enable()  # noqa: E731
    wanted = [run(subject), run(subject, seed=5), run(subject, seed=5, prepare=enable)]
    before = use_batch_threads()
    try:
        for count in (2, 3):
            use_batch_threads(count)
            got = [run(subject), run(subject, seed=5), run(subject, seed=5, prepare=enable)]
            for mine, other in zip(got, wanted):
                assert_close(mine, other, f"{count} threads")
    finally:
        use_batch_threads(before)


def gradients_of_several_outputs_add_up(subject, folder):
    """backward with all outputs at once is the sum of backward with each alone."""
    model, batch = subject.make_model("float64"), subject.make_batch("float64")
    output, cache = model.forward(**batch)
    d_output = gradients_for(output, None)
    if subject.has_loss:
        d_output["loss"] = 0.7
    assert len(d_output) >= 3

    def gradients(d):
        model.zero_grad()
        _, fresh_cache = model.forward(**batch)  # a cache is used once
        d_inputs = model.backward(d, fresh_cache)
        found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        return found, d_inputs

    together, d_inputs_together = gradients(d_output)
    alone = [gradients({name: d}) for name, d in d_output.items()]
    size = total_norm(together)
    for name, gradient in together.items():
        wanted = sum(found[name] for found, _ in alone if name in found)
        np.testing.assert_allclose(gradient, wanted, rtol=0, atol=ROUNDING * size, err_msg=name)
    for name, gradient in d_inputs_together.items():
        wanted = sum(d_inputs[name] for _, d_inputs in alone if name in d_inputs)
        np.testing.assert_allclose(gradient, wanted, rtol=0, atol=ROUNDING * size, err_msg=name)


def unknown_outputs_are_refused(subject, folder):
    """A gradient under a name that is no output would be lost in silence."""
    model = subject.make_model("float64")
    _, cache = model.forward(**subject.make_batch("float64"))
    with pytest.raises(
        KeyError, match=rf"{type(model).__name__}.backward got a gradient for 'logit': expected some of"
    ):
        model.backward({"logit": 1.0}, cache)


def a_loss_needs_labels(subject, folder):
    """A gradient for a loss that does not exist: one sentence, whatever the head."""
    model, batch = subject.make_model("float64"), subject.make_batch("float64")
    output, cache = model.forward(**without_labels(batch))
    assert "loss" not in output
    with pytest.raises(
        ValueError, match="^backward was given a gradient for the loss, but forward was given no labels"
    ):
        model.backward({"loss": 1.0}, cache)


def the_seed_decides_dropout(subject, folder):
    """One seed, one result; another seed, another; evaluation needs none; and without one there is the model's own."""
    one, same, other = (run(subject, seed=seed).outputs for seed in (5, 5, 6))
    evaluated = run(subject).outputs
    name = next(name for name in one if not is_loss(name) and not name.startswith(("hidden_states", "attentions")))
    np.testing.assert_array_equal(one[name], same[name])
    assert np.abs(one[name] - other[name]).max() > 1e-6
    assert np.abs(one[name] - evaluated[name]).max() > 1e-6
    model, batch = subject.make_model("float64").train(), subject.make_batch("float64")
    own = [flatten(model.forward(**batch)[0])[name] for _ in range(2)]
    assert np.abs(own[0] - own[1]).max() > 1e-6


def parameters_are_counted_once(subject, folder):
    """num_parameters counts each array once, trainable ones on request."""
    model = subject.make_model("float32")
    arrays = {id(p): p.data.size for _, p in model.named_parameters(remove_duplicate=False)}
    assert model.num_parameters() == sum(arrays.values()) == model.num_parameters(only_trainable=True)
    name, first = next(model.named_parameters())
    first.requires_grad = False
    assert model.num_parameters(only_trainable=True) == model.num_parameters() - first.size, name
    assert model.num_parameters() == sum(arrays.values())


PROMISES = (
    a_saved_model_loads_equal,
    tied_weights_stay_tied,
    examples_do_not_look_at_each_other,
    every_parameter_gets_a_gradient,
    gradients_are_the_differences,
    recomputing_changes_nothing,
    inference_gives_the_same_output,
    two_calls_before_their_backward,
    nothing_is_written_into,
    float32_stays_float32,
    float16_is_finite_and_close,
    the_device_gives_the_same_numbers,
    ids_may_stay_on_the_host,
    chunks_change_nothing,
    threads_change_nothing,
    gradients_of_several_outputs_add_up,
    unknown_outputs_are_refused,
    the_seed_decides_dropout,
    parameters_are_counted_once,
)
PROMISES_OF_A_LOSS = (one_batch_can_be_learned_by_heart, a_loss_needs_labels)
PROMISES_OF_PADDING = (padding_changes_nothing,)


def promises_of(subjects: dict[str, Subject]) -> list:
    """(name, promise) for all that a subject has to keep, as pytest parameters with readable ids."""
    return [
        pytest.param(name, promise, id=f"{name}-{promise.__name__}")
        for name, subject in subjects.items()
        for promise in (
            *PROMISES,
            *(PROMISES_OF_PADDING if subject.pads else ()),
            *(PROMISES_OF_A_LOSS if subject.has_loss else ()),
        )
        if subject.alone or promise is not examples_do_not_look_at_each_other
    ]

"""Trainer with fp16=True, on the strict double of CuPy; and what it says when numbers go bad."""

import numpy as np
import pytest

from edutransformers import BertForSequenceClassification
from edutransformers.layers import Linear
from edutransformers.losses import MSELoss
from edutransformers.module import Module, keep
from edutransformers.training import Trainer, TrainerCallback, TrainingArguments, get_last_checkpoint
from tests import fakecupy
from tests.training.test_resume import Interrupt, assert_same_run
from tests.training.toy import accuracy, toy_data, toy_model, toy_trainer, weights_of

LEARN = {"learning_rate": 1e-2, "warmup_steps": 2, "weight_decay": 0.1, "logging_strategy": "steps", "logging_steps": 2}


def host_weights(model):
    return {name: value.get() for name, value in weights_of(model).items()}


def quick_model(seed=0, **config):
    """GELU takes most of the double's time: it computes erf number by number."""
    return toy_model(seed, **{"hidden_act": "relu", "initializer_range": 0.3, **config})


def device_trainer(folder, arguments=None, model=None, **parts):
    model = quick_model() if model is None else model
    return toy_trainer(folder, model.to("cuda"), arguments={**LEARN, "fp16": True, **(arguments or {})}, **parts)


class Scale(TrainerCallback):
    """Sets the loss scale before a step, and remembers what became of it."""

    def __init__(self, trainer, **at):
        self.trainer, self.at, self.seen = trainer, at, []

    def on_step_begin(self, args, state, control, **kwargs):
        self.trainer.precision.scale = self.at.get(f"step{state.global_step}", self.trainer.precision.scale)

    def on_step_end(self, args, state, control, lr_scheduler, **kwargs):
        self.seen.append((self.trainer.precision.scale, lr_scheduler.last_epoch))


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["fp16", "fp16_full_eval"])
def test_float16_is_for_a_gpu(tmp_path, setting):
    with pytest.raises(ValueError, match=rf"{setting}=True is for a GPU.*model.to\('cuda'\)"):
        toy_trainer(tmp_path, arguments={setting: True})


def test_float16_of_a_model_init(tmp_path, fake_cupy):
    made = [quick_model().to("cuda"), toy_model()]
    trainer = toy_trainer(tmp_path, model_init=lambda: made.pop(0), arguments={"fp16": True})
    with pytest.raises(ValueError, match="fp16=True is for a GPU"):
        trainer.train()


@pytest.mark.parametrize("setting", ["bf16", "bf16_full_eval"])
def test_there_is_no_bfloat16(setting):
    with pytest.raises(TypeError, match="NumPy and CuPy have no bfloat16; fp16=True is"):
        TrainingArguments("out", **{setting: True})


# -- training ---------------------------------------------------------------------------------------------------------


def test_it_learns_what_float32_learns(tmp_path, fake_cupy):
    results = {}
    for fp16 in (False, True):
        arguments = {"fp16": fp16, "num_train_epochs": 2, "logging_steps": 1}
        trainer = device_trainer(tmp_path, arguments, train=toy_data(32))
        trainer.train()
        results[fp16] = [log["loss"] for log in trainer.log_history if "loss" in log]
        assert all(value.dtype == np.float32 for value in weights_of(trainer.model).values())
    assert len(results[True]) == 16
    assert results[True][0] == pytest.approx(results[False][0], abs=2e-3)
    assert np.mean(results[True][-5:]) < np.mean(results[True][:5]) - 0.1
    assert np.mean(results[True]) == pytest.approx(np.mean(results[False]), abs=0.1)


def test_a_step_waits_once(tmp_path, fake_cupy):
    """For whether the gradients are finite. The losses are looked at when a log is due."""
    waits = []

    class Count(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            fakecupy.counts.reset()

        def on_step_end(self, args, state, control, **kwargs):
            waits.append(fakecupy.counts.syncs)

    arguments = {"max_steps": 4, "logging_strategy": "no", "gradient_accumulation_steps": 2, "max_grad_norm": 0.5}
    device_trainer(tmp_path, arguments, callbacks=[Count]).train()
    assert waits == [1, 1, 1, 1]


def test_overflowed_steps_are_left_out_and_the_schedule_waits(tmp_path, fake_cupy):
    trainer = device_trainer(tmp_path, {"max_steps": 6, "lr_scheduler_type": "constant_with_warmup"})
    scale = Scale(trainer, step0=64.0, step2=2.0**40)
    trainer.add_callback(scale)
    output = trainer.train()
    assert output.global_step == 6  # counted, as in the original
    assert [s for s, _ in scale.seen] == [64, 64, 2.0**39, 2.0**38, 2.0**37, 2.0**36]
    assert [steps for _, steps in scale.seen] == [1, 2, 2, 2, 2, 2]
    assert all(state["step"] == 2 for state in trainer.optimizer.state.values())
    assert all(np.isfinite(value).all() for value in host_weights(trainer.model).values())


def test_gradients_are_clipped_at_their_true_size(tmp_path, fake_cupy):
    """The same run under two scales: powers of two cancel to the last bit, so clipping must have come after."""
    runs = []
    for scale in (256.0, 1024.0):
        trainer = device_trainer(tmp_path, {"max_steps": 4, "max_grad_norm": 0.05}, quick_model())
        trainer.add_callback(Scale(trainer, step0=scale))
        trainer.train()
        runs.append(host_weights(trainer.model))
    for name, value in runs[0].items():
        np.testing.assert_allclose(value, runs[1][name], atol=2e-3, err_msg=name)


def test_accumulation_is_one_large_batch(tmp_path, fake_cupy):
    class InOrder(Trainer):
        def _get_train_sampler(self):
            return range(len(self.train_dataset))

    runs = []
    for size, accumulation in ((2, 4), (8, 1)):
        arguments = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation, "max_steps": 2}
        arguments |= {"adam_epsilon": 1e-3}  # so that next to nothing stays next to nothing
        trainer = device_trainer(
            tmp_path, arguments, quick_model(dropout=0.0), train=toy_data(16), trainer_class=InOrder
        )
        trainer.add_callback(Scale(trainer, step0=1024.0))
        losses = trainer.train().training_loss
        runs.append((losses, host_weights(trainer.model)))
    assert runs[0][0] == pytest.approx(runs[1][0], rel=1e-3)
    for name, value in runs[0][1].items():
        np.testing.assert_allclose(value, runs[1][1][name], atol=2e-3, err_msg=name)


@pytest.mark.parametrize("accumulation", [1, 3])
def test_resumed_is_uninterrupted(tmp_path, fake_cupy, accumulation):
    """Bit for bit, with the scale in the middle of its way; and the checkpoints hold the float32 masters.

    With three batches of five a step, an epoch's end leaves gradients that are not used yet.
    """
    arguments = {"max_steps": 8 if accumulation == 1 else 5, "gradient_accumulation_steps": accumulation}
    arguments |= {"save_strategy": "epoch", "gradient_checkpointing": True}

    def run(folder, model, callbacks=(), **options):
        trainer = device_trainer(tmp_path / folder, arguments, model, callbacks=callbacks)
        scale = Scale(trainer, step0=2.0**24)
        trainer.add_callback(scale)
        return trainer, scale, lambda: trainer.train(**options)

    whole, scales, train = run("whole", quick_model())
    train()
    whole_scales = scales.seen
    broken, _, train = run("broken", quick_model(), [Interrupt(6 if accumulation == 1 else 4)])
    with pytest.raises(KeyboardInterrupt):
        train()
    saved = get_last_checkpoint(tmp_path / "broken")
    assert saved.endswith("checkpoint-5" if accumulation == 1 else "checkpoint-3")
    assert broken.model.from_pretrained(saved).dtype == np.float32
    resumed, scales, train = run("broken", quick_model(seed=99), resume_from_checkpoint=True)
    train()
    assert scales.seen == whole_scales[-len(scales.seen) :]
    assert whole_scales[-1][0] < 2.0**24  # something had happened to the scale
    assert resumed.precision.state_dict() == whole.precision.state_dict()
    for trainer in (whole, resumed):
        trainer.model.to("cpu")
        for state in trainer.optimizer.state.values():
            state.update({name: value.get() for name, value in state.items() if hasattr(value, "get")})
    assert_same_run(whole, resumed)


def test_a_checkpoint_holds_digits_that_float16_lacks(tmp_path, fake_cupy):
    trainer = device_trainer(tmp_path, {"max_steps": 3, "save_strategy": "steps", "save_steps": 3})
    trainer.train()
    saved = trainer.model.from_pretrained(tmp_path / "checkpoint-3")
    name = "bert.pooler.dense.weight"
    weight = dict(saved.named_parameters())[name].data
    np.testing.assert_array_equal(weight.get() if hasattr(weight, "get") else weight, host_weights(trainer.model)[name])
    half = host_weights(trainer.model)[name].astype("float16")
    assert (half != host_weights(trainer.model)[name]).mean() > 0.9


# -- evaluation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["fp16", "fp16_full_eval"])
def test_evaluation_gives_float32(tmp_path, fake_cupy, setting):
    seen = []

    class Watching(BertForSequenceClassification):
        def forward(self, input_ids, attention_mask, labels, generator=None):
            seen.append(self.head.linear.weight.dtype)
            return super().forward(input_ids, attention_mask, labels=labels, generator=generator)

    def model():
        return Watching(quick_model().config, generator=np.random.default_rng(0)).eval().to("cuda")

    plain = toy_trainer(tmp_path, model(), compute_metrics=accuracy)
    wanted = plain.predict(toy_data(10, seed=1))
    seen.clear()
    arguments = {setting: True}
    trainer = toy_trainer(tmp_path, model(), arguments=arguments, compute_metrics=accuracy)
    got = trainer.predict(toy_data(10, seed=1))
    assert seen == [np.float16, np.float16]
    assert got.predictions.dtype == np.float32
    assert trainer.model.dtype == np.float32
    np.testing.assert_allclose(got.predictions, wanted.predictions, atol=5e-3)
    assert (got.predictions != wanted.predictions).any()
    assert got.metrics["test_loss"] == pytest.approx(wanted.metrics["test_loss"], abs=2e-3)
    seen.clear()
    trainer.args.max_steps = 1
    trainer.train()
    assert seen == [np.float16 if setting == "fp16" else np.float32]


def test_pictures_become_float16_but_labels_do_not(tmp_path, fake_cupy):
    seen = {}

    class Regression(Module):
        def __init__(self):
            self.linear, self.loss = Linear(4, 1), MSELoss()

        def forward(self, pixel_values, labels):
            seen.update(pixel_values=pixel_values.dtype, labels=labels.dtype)
            y, cache = self.linear.forward(pixel_values)
            loss, loss_cache = self.loss.forward(y[:, 0], labels)
            return {"loss": loss, "logits": y}, keep(cache, loss_cache)

        def backward(self, d_output, cache):
            linear_cache, loss_cache = cache
            dy = self.loss.backward(d_output["loss"], loss_cache)
            return {"pixel_values": self.linear.backward(dy[:, None], linear_cache)}

    data = [{"pixel_values": np.ones(4, dtype="float32"), "labels": 1e5} for _ in range(8)]
    device_trainer(tmp_path, {"max_steps": 1}, Regression(), train=data, test=data).train()
    assert seen == {"pixel_values": np.float16, "labels": np.float32}


# -- bad numbers ------------------------------------------------------------------------------------------------------


class Spoil(TrainerCallback):
    """Writes a value into a weight before a step."""

    def __init__(self, name, step, value=np.nan, place=(0, 0)):
        self.name, self.step, self.value, self.place = name, step, value, place

    def on_step_begin(self, args, state, control, model, **kwargs):
        if state.global_step == self.step:
            dict(model.named_parameters())[self.name].data[self.place] = self.value


QUERY = "bert.encoder.layer.0.attention.self.query.weight"


def test_a_nan_names_step_and_layer(tmp_path):
    trainer = toy_trainer(tmp_path, arguments={**LEARN, "num_train_epochs": 2}, callbacks=[Spoil(QUERY, 3)])
    with pytest.raises(FloatingPointError) as caught:
        trainer.train()
    text = str(caught.value)
    assert text.startswith("the training loss at step 4 is nan: the training was stopped.")
    assert "The first layer to go bad: bert.encoder.layer.0.attention.query (Linear) gives" in text
    assert "its weight holds 1 nan in (16, 16)" in text
    assert f"1 of the model's weights were bad already: {QUERY} holds 1 nan in (16, 16)." in text


def test_the_batch_is_repeated_with_the_same_dropout(tmp_path):
    """A layer that only overflows if dropout lets one number through."""

    class Rare(BertForSequenceClassification):
        def forward(self, *inputs, generator=None, **options):
            out, cache = super().forward(*inputs, generator=generator, **options)
            if generator is not None and generator.random() < 0.2:
                out.loss = out.loss * np.float32(np.nan)
                drawn.append(True)
            else:
                drawn.append(False)
            return out, cache

    drawn = []
    model = Rare(quick_model().config, generator=np.random.default_rng(0))
    trainer = toy_trainer(tmp_path, model, arguments={"num_train_epochs": 5})
    with pytest.raises(FloatingPointError, match="The first layer to go bad: Rare gives 1 nan"):
        trainer.train()
    assert drawn[-2:] == [True, True]
    assert not any(drawn[:-2])
    assert len(drawn) > 2


def test_a_batch_without_labels_that_count(tmp_path):
    data = [{**item, "label": -100} for item in toy_data(8)]
    with pytest.raises(FloatingPointError, match=r"loss \(ClassificationLoss\)|Every number in labels is −100"):
        toy_trainer(tmp_path, train=data).train()


def test_gradients_that_are_not_finite_stop_before_the_weights_change(tmp_path):
    class Overflow(Trainer):
        def compute_loss_backward(self, model, dloss, cache):
            super().compute_loss_backward(model, dloss, cache)
            if self.state.global_step == 2:
                model.bert.pooler.dense.weight.grad[3, 4] = np.inf

    trainer = toy_trainer(tmp_path, trainer_class=Overflow)
    with pytest.raises(FloatingPointError) as caught:
        trainer.train()
    assert "the gradients' norm is inf: some gradient is not a finite number, at step 3" in str(caught.value)
    assert "bert.pooler.dense.weight holds 1 inf in (16, 16)" in str(caught.value)
    assert all(np.isfinite(value).all() for value in weights_of(trainer.model).values())


def test_on_a_gpu_it_is_found_late_and_says_so(tmp_path, fake_cupy):
    arguments = {**LEARN, "logging_steps": 4}
    trainer = toy_trainer(tmp_path, quick_model().to("cuda"), arguments=arguments, callbacks=[Spoil(QUERY, 1)])
    with pytest.raises(FloatingPointError) as caught:
        trainer.train()
    text = str(caught.value)
    assert text.startswith("the training loss at step 2 is nan")
    assert "It was looked at only now, after step 4" in text
    assert "of the model's weights were bad already" in text


def test_with_fp16_it_is_found_at_once_because_the_step_is_left_out(tmp_path, fake_cupy):
    trainer = device_trainer(tmp_path, {"logging_steps": 100}, callbacks=[Spoil(QUERY, 1)])
    with pytest.raises(FloatingPointError) as caught:
        trainer.train()
    text = str(caught.value)
    assert text.startswith("the training loss at step 2 is nan")
    assert "The first layer to go bad: bert.encoder.layer.0.attention.query (Linear)" in text
    bad = [name for name, value in host_weights(trainer.model).items() if not np.isfinite(value).all()]
    assert bad == [QUERY]


def test_a_trainer_that_looks_at_each_loss(tmp_path, fake_cupy):
    """The recipe of docs/training/when_the_loss_is_nan.md."""

    class Watched(Trainer):
        def training_step(self, model, inputs):
            loss = super().training_step(model, inputs)
            self.loss_meter.check(float(loss), self.state.global_step + 1)
            return loss

    trainer = toy_trainer(tmp_path, quick_model().to("cuda"), trainer_class=Watched, callbacks=[Spoil(QUERY, 1)])
    with pytest.raises(FloatingPointError, match=r"step 2 is nan.*first layer to go bad: bert.encoder.layer.0.attent"):
        trainer.train()

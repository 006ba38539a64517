"""gradient_checkpointing=True: the same bits with dropout, and less memory."""

import tracemalloc

import numpy as np
import pytest

from edutransformers.module import Module
from edutransformers.training import DataLoader, Trainer
from tests.training.toy import assert_same_weights, toy_data, toy_model, toy_trainer


def gradients(model, batch, seed=0):
    model.zero_grad()
    generator = np.random.default_rng(seed)
    out, cache = model.forward(**batch, generator=generator)
    model.backward({"loss": 1.0}, cache)
    return out.loss, {name: p.grad for name, p in model.named_parameters()}, generator.bit_generator.state


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("config", [{}, {"position_embedding_type": "relative_key", "chunk_size_feed_forward": 2}])
def test_gradients_are_the_same_bits_with_dropout(dtype, config):
    model = toy_model(dropout=0.3, num_hidden_layers=3, **config).astype(dtype).train()
    batch = next(iter(DataLoader(toy_data(8), 8)))
    loss, kept, state = gradients(model, batch)
    model.gradient_checkpointing_enable()
    loss_again, recomputed, state_again = gradients(model, batch)
    assert loss == loss_again
    assert state == state_again
    for name, gradient in kept.items():
        if gradient is None:  # the table of positions, where they are relative
            assert recomputed[name] is None
        else:
            np.testing.assert_array_equal(gradient, recomputed[name], err_msg=name)
    _, other, _ = gradients(model, batch, seed=1)
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    assert (other[name] != kept[name]).any()  # dropout does drop


def test_a_run_is_the_same_run(tmp_path):
    models = []
    for on in (False, True):
        arguments = {"num_train_epochs": 2, "gradient_checkpointing": on, "gradient_accumulation_steps": 2}
        trainer = toy_trainer(tmp_path, toy_model(num_hidden_layers=2), arguments={**arguments, "learning_rate": 1e-2})
        trainer.train()
        models.append(trainer.model)
    assert_same_weights(*models)
    assert models[1].bert.encoder.gradient_checkpointing  # it stays on after training, as in the original


def test_a_model_without_it_says_so(tmp_path):
    class Plain(Module):
        def forward(self, input_ids, labels=None):
            raise AssertionError("it should not come to this")

    with pytest.raises(AttributeError, match="gradient_checkpointing_enable"):
        toy_trainer(tmp_path, Plain(), arguments={"gradient_checkpointing": True}).train()


class Measured(Trainer):
    """Remembers what one batch's forward pass leaves behind, and the peak of the whole step."""

    def compute_loss(self, model, inputs):
        result = super().compute_loss(model, inputs)
        self.saved = tracemalloc.get_traced_memory()[0] - self.before
        return result

    def training_step(self, model, inputs):
        tracemalloc.reset_peak()
        self.before = tracemalloc.get_traced_memory()[0]
        result = super().training_step(model, inputs)
        self.peak = tracemalloc.get_traced_memory()[1] - self.before
        return result


def test_it_saves_memory(tmp_path):
    """Of six layers' activations only six inputs are kept, and one layer's activations at a time."""
    saved, peak = {}, {}
    for on in (False, True):
        model = toy_model(num_hidden_layers=6, hidden_size=32, intermediate_size=128, max_position_embeddings=64)
        arguments = {"max_steps": 1, "gradient_checkpointing": on, "per_device_train_batch_size": 16}
        trainer = toy_trainer(tmp_path, model, toy_data(16, length=48), trainer_class=Measured, arguments=arguments)
        tracemalloc.start()
        try:
            trainer.train()
        finally:
            tracemalloc.stop()
        saved[on], peak[on] = trainer.saved, trainer.peak
    assert saved[True] < 0.15 * saved[False]
    assert peak[True] < 0.4 * peak[False]

"""The Trainer's loop: it learns, its numbers are those of the loop written out, and bad input is told apart."""

import logging

import numpy as np
import pytest

from edutransformers import BertConfig, BertForMaskedLM, BertForQuestionAnswering, BertLMHeadModel
from edutransformers.layers import LayerNorm, Linear
from edutransformers.losses import CrossEntropyLoss, MSELoss
from edutransformers.module import Module, keep
from edutransformers.training import (
    AdamW,
    DataLoader,
    Trainer,
    TrainingArguments,
    clip_grad_norm_,
    decay_groups,
    get_scheduler,
    set_seed,
)
from edutransformers.training.columns import label_names, taken_columns
from tests.training.toy import accuracy, assert_same_weights, toy_data, toy_model, toy_trainer, weights_of


def test_a_tiny_bert_learns(tmp_path):
    arguments = {"num_train_epochs": 4, "learning_rate": 5e-3, "per_device_train_batch_size": 16}
    arguments |= {"logging_strategy": "epoch", "warmup_ratio": 0.1, "weight_decay": 0.01}
    trainer = toy_trainer(
        tmp_path,
        train=toy_data(320),
        test=toy_data(100, seed=1),
        arguments=arguments,
        compute_metrics=accuracy,
    )
    before = trainer.evaluate()
    output = trainer.train()
    after = trainer.evaluate()
    assert before["eval_accuracy"] < 0.7
    assert after["eval_accuracy"] > 0.95
    assert after["eval_loss"] < 0.2 < before["eval_loss"]
    assert output.global_step == trainer.state.global_step == 80
    losses = [log["loss"] for log in trainer.log_history if "loss" in log]
    assert len(losses) == 4
    assert output.training_loss == pytest.approx(np.mean(losses), abs=1e-4)  # logs are rounded
    assert output.metrics["train_loss"] == output.training_loss


def test_it_is_the_loop_written_out(tmp_path):
    """Dropout, shuffling, warm-up, clipping, decay: the same bits as twenty plain lines."""
    data = toy_data(18)
    arguments = {"num_train_epochs": 2, "learning_rate": 1e-2, "weight_decay": 0.1, "warmup_steps": 3, "seed": 7}
    arguments |= {"max_grad_norm": 0.3, "logging_strategy": "steps", "logging_steps": 1, "adam_beta2": 0.98}
    trainer = toy_trainer(tmp_path, train=data, arguments=arguments)
    trainer.train()

    model = toy_model().train()
    optimizer = AdamW(decay_groups(model, 0.1), lr=1e-2, betas=(0.9, 0.98))
    schedule = get_scheduler("linear", optimizer, 3, 10)
    loader = DataLoader(data, 4, shuffle=True, generator=np.random.default_rng([7, 2]))
    generator, losses, rates = np.random.default_rng([7, 1]), [], []
    for _ in range(2):
        for batch in loader:
            out, cache = model.forward(**batch, generator=generator)
            model.backward({"loss": 1.0}, cache)
            clip_grad_norm_(model, 0.3)
            optimizer.step()
            schedule.step()
            model.zero_grad()
            losses.append(round(float(out.loss), 4))
            rates.append(schedule.get_last_lr()[0])
    assert_same_weights(trainer.model, model)
    logs = [log for log in trainer.log_history if "loss" in log]
    assert [log["loss"] for log in logs] == losses
    assert [log["learning_rate"] for log in logs] == rates
    assert [log["step"] for log in logs] == list(range(1, 11))
    assert [log["epoch"] for log in logs] == [0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0]


def test_logs_have_the_originals_names(tmp_path):
    arguments = {"num_train_epochs": 1, "evaluation_strategy": "epoch", "logging_strategy": "steps", "logging_steps": 2}
    trainer = toy_trainer(tmp_path, arguments=arguments, compute_metrics=accuracy)
    output = trainer.train()
    first, *_, evaluation, training = trainer.log_history
    assert list(first) == ["loss", "learning_rate", "epoch", "step"]
    speed = {f"{{}}_{name}" for name in ("runtime", "samples_per_second", "steps_per_second")}
    names = {"eval_loss", "eval_accuracy", "epoch", "step"} | {name.format("eval") for name in speed}
    assert set(evaluation) == names
    names = {"train_loss", "total_flos", "epoch"} | {name.format("train") for name in speed}
    assert set(output.metrics) == names
    assert set(training) == names | {"step"}
    weights = trainer.model.num_parameters() - sum(
        trainer.model.bert.embeddings.__dict__[f"{name}_embeddings"].weight.size
        for name in ("word", "position", "token_type")
    )
    assert output.metrics["total_flos"] == 6 * 20 * 6 * weights


@pytest.mark.parametrize("items", [16, 20])
def test_accumulation_is_one_large_batch(tmp_path, items):
    """With 20 items and batches of 4, four a step, the fifth batch of an epoch opens a step that the next one ends."""
    results = []
    for size, accumulation in ((4, 4), (16, 1)):
        arguments = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation}
        arguments |= {"max_steps": 4 * items // 16, "learning_rate": 1e-2, "logging_strategy": "steps"}
        arguments |= {"logging_steps": 1, "max_grad_norm": 0.5}
        data = toy_data(items)
        if items % 16 and size == 16:  # the large batches that the small ones make up, epochs joined
            orders = list(np.random.default_rng(0).permutation(items)) * 8
            data = [data[index] for index in orders]
        trainer = toy_trainer(
            tmp_path, model=toy_model(dropout=0.0).astype("float64"), train=data, arguments=arguments,
            trainer_class=InOrder if not items % 16 else Repeated,
        )  # fmt: skip
        trainer.train()
        results.append((trainer.model, [log["loss"] for log in trainer.log_history if "loss" in log]))
    (small, small_losses), (large, large_losses) = results
    assert small_losses == large_losses
    assert len(small_losses) == 4 * items // 16
    for name, value in weights_of(small).items():
        np.testing.assert_allclose(value, weights_of(large)[name], rtol=1e-9, atol=1e-12, err_msg=name)


class InOrder(Trainer):
    def _get_train_sampler(self):
        return range(len(self.train_dataset))


class Repeated(Trainer):
    """The same random order in each epoch; the joined epochs as they are."""

    def _get_train_sampler(self):
        count = len(self.train_dataset)
        return np.random.default_rng(0).permutation(count).tolist() if count == 20 else range(count)


def test_fewer_batches_than_accumulation_steps_still_make_a_step(tmp_path):
    arguments = {"gradient_accumulation_steps": 100, "num_train_epochs": 3, "learning_rate": 1e-2}
    trainer = toy_trainer(tmp_path, model=toy_model(dropout=0.0), arguments=arguments)
    before = weights_of(trainer.model)
    assert trainer.train().global_step == 3
    assert any((value != before[name]).any() for name, value in weights_of(trainer.model).items())


@pytest.mark.parametrize(
    ("arguments", "steps", "epoch"),
    [
        ({"num_train_epochs": 2}, 10, 2.0),
        ({"num_train_epochs": 0.5}, 3, 0.6),
        ({"max_steps": 7}, 7, 1.4),
        ({"num_train_epochs": 1, "dataloader_drop_last": True, "per_device_train_batch_size": 8}, 2, 1.0),
        ({"num_train_epochs": 1, "gradient_accumulation_steps": 2}, 2, 0.8),
        ({"max_steps": 5, "gradient_accumulation_steps": 2}, 5, 2.0),
    ],
)
def test_how_long_training_takes(tmp_path, arguments, steps, epoch):
    trainer = toy_trainer(tmp_path, arguments=arguments)
    assert trainer.train().global_step == steps == trainer.state.max_steps
    assert trainer.state.epoch == pytest.approx(epoch)


def test_seeds(tmp_path):
    def run(model_seed=0, **arguments):
        trainer = toy_trainer(tmp_path, model=toy_model(model_seed), arguments={"num_train_epochs": 1, **arguments})
        trainer.train()
        return trainer.model

    assert_same_weights(run(), run())
    for other in (run(seed=1), run(data_seed=1), run(model_seed=1)):
        with pytest.raises(AssertionError):
            assert_same_weights(run(), other)
    trainer = toy_trainer(tmp_path, arguments={"num_train_epochs": 1})
    trainer.train()
    first = weights_of(trainer.model)
    trainer.model.load_state_dict(weights_of(toy_model()))
    trainer.train()  # a second run of the same Trainer is the same run again
    for name, value in first.items():
        np.testing.assert_array_equal(value, weights_of(trainer.model)[name])


def test_model_init_makes_a_new_model_each_time(tmp_path):
    made = []

    def model_init(generator):
        made.append(generator)
        return toy_model(generator)

    trainer = toy_trainer(tmp_path, model_init=model_init, arguments={"num_train_epochs": 1})
    trainer.train()
    first, weights = trainer.model, weights_of(trainer.model)
    trainer.train()
    assert len(made) == 3
    assert trainer.model is not first
    assert_same_weights(trainer.model, first)
    assert all((value == weights[name]).all() for name, value in weights_of(first).items())


def test_given_optimizer_and_schedule_are_used(tmp_path):
    model = toy_model()
    optimizer = AdamW(model.bert.pooler.parameters(), lr=0.01)
    schedule = get_scheduler("constant", optimizer)
    before = weights_of(model)
    trainer = toy_trainer(tmp_path, model=model, optimizers=(optimizer, schedule), arguments={"num_train_epochs": 1})
    trainer.train()
    changed = {name for name, value in weights_of(model).items() if (value != before[name]).any()}
    assert changed == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert schedule.last_epoch == 5


def test_label_smoothing(tmp_path):
    model = toy_model(dropout=0.0)
    arguments = {
        "label_smoothing_factor": 0.2,
        "num_train_epochs": 1,
        "per_device_eval_batch_size": 10,
        "learning_rate": 1e-2,
    }
    trainer = toy_trainer(tmp_path, model=model, arguments=arguments)
    batch = DataLoader(toy_data(10, seed=1), 10).__iter__().__next__()
    labels = batch.pop("labels")
    expected, _ = CrossEntropyLoss(label_smoothing=0.2).forward(model(**batch).logits, labels)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(float(expected), rel=1e-6)
    trainer.train()
    assert trainer.evaluate()["eval_loss"] != pytest.approx(float(expected), rel=1e-4)


def test_label_smoothing_shifts_for_causal_models(tmp_path, rng):
    config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2, intermediate_size=6,
                        max_position_embeddings=5, is_decoder=True)  # fmt: skip
    model = BertLMHeadModel(config, generator=rng).eval()
    ids = rng.integers(0, 9, (3, 5))
    data = [{"input_ids": row, "labels": row} for row in ids]
    trainer = toy_trainer(tmp_path, model=model, test=data, arguments={"label_smoothing_factor": 0.1})
    logits = model(input_ids=ids).logits
    expected, _ = CrossEntropyLoss(label_smoothing=0.1).forward(logits[:, :-1], ids[:, 1:])
    assert trainer.evaluate()["eval_loss"] == pytest.approx(float(expected), rel=1e-6)


def test_gradient_checkpointing_changes_no_number(tmp_path):
    models = []
    for on in (False, True):
        trainer = toy_trainer(tmp_path, arguments={"num_train_epochs": 1, "gradient_checkpointing": on})
        trainer.train()
        assert trainer.model.bert.encoder.gradient_checkpointing is on
        models.append(trainer.model)
    for name, value in weights_of(models[0]).items():
        np.testing.assert_allclose(value, weights_of(models[1])[name], atol=1e-6)


def test_group_by_length_wastes_less(tmp_path, rng):
    lengths = rng.integers(2, 16, 64)
    data = [{"input_ids": rng.integers(5, 50, n), "label": 0, "length": int(n)} for n in lengths]
    shapes = []

    def collate(items):
        width = max(len(item["input_ids"]) for item in items)
        ids = np.stack([np.pad(item["input_ids"], (0, width - len(item["input_ids"]))) for item in items])
        shapes.append(ids.shape)
        return {"input_ids": ids, "attention_mask": (ids > 0) * 1, "labels": np.array([i["label"] for i in items])}

    tokens = {}
    for grouped in (False, True):
        shapes.clear()
        arguments = {"num_train_epochs": 1, "group_by_length": grouped}
        toy_trainer(tmp_path, train=data, data_collator=collate, arguments=arguments).train()
        tokens[grouped] = sum(rows * width for rows, width in shapes)
    assert tokens[True] < 0.85 * tokens[False]


# -- overriding -------------------------------------------------------------------------------------------------------


class OwnLoss(Trainer):
    """Squared distance of the first logit from the label: another loss than the model's."""

    loss = MSELoss()

    def compute_loss(self, model, inputs):
        labels = inputs["labels"].astype("float32")
        outputs, model_cache = self.forward(model, {k: v for k, v in inputs.items() if k != "labels"})
        loss, loss_cache = self.loss.forward(outputs["logits"][:, 0], labels)
        return loss, outputs, keep(model_cache, loss_cache)

    def compute_loss_backward(self, model, dloss, cache):
        model_cache, loss_cache = cache
        d_first = self.loss.backward(dloss, loss_cache)
        model.backward({"logits": np.stack([d_first, np.zeros_like(d_first)], axis=1)}, model_cache)


def test_an_overridden_loss_is_learned(tmp_path):
    arguments = {"num_train_epochs": 10, "learning_rate": 1e-2}
    trainer = toy_trainer(tmp_path, trainer_class=OwnLoss, train=toy_data(40), test=toy_data(40), arguments=arguments)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < 0.3 * before


def test_the_originals_compute_loss_is_explained(tmp_path):
    class Ported(Trainer):
        def compute_loss(self, model, inputs):
            return model(**inputs).loss

    trainer = toy_trainer(tmp_path, trainer_class=Ported)
    with pytest.raises(TypeError, match=r"Ported.compute_loss must return \(loss, outputs, cache\)"):
        trainer.train()


def test_overriding_what_the_original_lets_override(tmp_path):
    called = []

    class Own(Trainer):
        def get_train_dataloader(self):
            called.append("loader")
            return [{"input_ids": np.full((2, 3), 7), "labels": np.array([0, 1])}] * 3  # any sequence of batches

        def create_optimizer(self):
            called.append("optimizer")
            self.optimizer = AdamW(self.model, lr=self.args.learning_rate)
            return self.optimizer

        def create_scheduler(self, num_training_steps, optimizer=None):
            called.append(("schedule", num_training_steps))
            self.lr_scheduler = get_scheduler("constant", optimizer)
            return self.lr_scheduler

        def training_step(self, model, inputs):
            called.append("step")
            return super().training_step(model, inputs)

        def log(self, logs):
            called.append("log")
            super().log({**logs, "mine": 1})

    trainer = toy_trainer(tmp_path, trainer_class=Own, arguments={"num_train_epochs": 2})
    trainer.train()
    assert called == ["loader", "optimizer", ("schedule", 6), *["step"] * 6, "log"]
    assert trainer.log_history[-1]["mine"] == 1


def test_a_module_of_ones_own(tmp_path):
    """No config, no generator, no save_pretrained: forward(x, labels) and backward are enough."""

    class Classifier(Module):
        def __init__(self):
            self.norm, self.linear, self.loss = LayerNorm(4), Linear(4, 2), CrossEntropyLoss()

        def forward(self, x, labels=None):
            h, norm_cache = self.norm.forward(x)
            logits, linear_cache = self.linear.forward(h)
            if labels is None:
                return {"logits": logits}, keep(norm_cache, linear_cache, None)
            loss, loss_cache = self.loss.forward(logits, labels)
            return {"loss": loss, "logits": logits}, keep(norm_cache, linear_cache, loss_cache)

        def backward(self, d_output, cache):
            norm_cache, linear_cache, loss_cache = cache
            dlogits = self.loss.backward(d_output["loss"], loss_cache)
            return {"x": self.norm.backward(self.linear.backward(dlogits, linear_cache), norm_cache)}

    rng = np.random.default_rng(0)
    data = [
        {"x": x, "labels": int(x[0] > x[1]), "name": "row"} for x in rng.standard_normal((200, 4)).astype("float32")
    ]
    arguments = {
        "num_train_epochs": 4,
        "learning_rate": 0.1,
        "save_strategy": "epoch",
        "per_device_train_batch_size": 20,
    }
    trainer = toy_trainer(tmp_path, Classifier(), data, data[:50], arguments=arguments, compute_metrics=accuracy)
    trainer.train()
    assert trainer.evaluate()["eval_accuracy"] > 0.95
    other = toy_trainer(tmp_path, Classifier(), data, arguments={**arguments, "num_train_epochs": 5})
    assert other.train(resume_from_checkpoint=True).global_step == 50


def test_columns():
    model = toy_model()
    assert label_names(model) == ["labels"]
    columns = taken_columns(model, ["labels"])
    assert columns >= {"input_ids", "attention_mask", "token_type_ids", "inputs_embeds", "labels", "label", "label_ids"}
    assert not columns & {"generator", "self", "text", "options", "inputs"}
    assert label_names(BertForQuestionAnswering(model.config)) == ["start_positions", "end_positions"]

    class Anything(Module):
        def forward(self, **inputs):
            return inputs

    assert taken_columns(Anything(), []) is None


def test_columns_that_the_model_does_not_take_are_dropped(tmp_path):
    data = [{**item, "text": "words", "idx": n} for n, item in enumerate(toy_data(8))]
    toy_trainer(tmp_path, train=data, test=data, arguments={"num_train_epochs": 1}).train()
    trainer = toy_trainer(tmp_path, train=data, arguments={"num_train_epochs": 1, "remove_unused_columns": False})
    with pytest.raises(TypeError, match="idx"):
        trainer.train()


# -- bad input --------------------------------------------------------------------------------------------------------


def test_constructor(tmp_path):
    args = TrainingArguments(str(tmp_path))
    with pytest.raises(ValueError, match="either a model or a model_init"):
        Trainer(args=args)
    with pytest.raises(ValueError, match="either a model or a model_init"):
        Trainer(toy_model(), args, model_init=toy_model)
    with pytest.raises(TypeError, match="got dict"):
        Trainer({}, args)
    with pytest.raises(ValueError, match="optimizers can't be given with model_init"):
        Trainer(args=args, model_init=toy_model, optimizers=(AdamW(toy_model()), None))


def test_data_sets(tmp_path):
    args = TrainingArguments(str(tmp_path))
    with pytest.raises(ValueError, match="there is no train_dataset"):
        Trainer(toy_model(), args).train()
    with pytest.raises(ValueError, match="there is no eval_dataset"):
        Trainer(toy_model(), args).evaluate()
    with pytest.raises(ValueError, match="train_dataset is empty"):
        toy_trainer(tmp_path, train=[]).train()
    with pytest.raises(ValueError, match="eval_dataset is empty"):
        toy_trainer(tmp_path).evaluate([])
    with pytest.raises(TypeError, match=r"a data set needs len\(\) and \[index\]"):
        toy_trainer(tmp_path, train=iter(toy_data(3))).train()
    with pytest.raises(ValueError, match="no batch: train_dataset has 3 items"):
        toy_trainer(tmp_path, train=toy_data(3), arguments={"dataloader_drop_last": True}).train()


def test_items_without_labels(tmp_path):
    data = [{"input_ids": item["input_ids"]} for item in toy_data(5)]
    trainer = toy_trainer(tmp_path, train=data, compute_metrics=accuracy)
    with pytest.raises(ValueError, match=r"gave no loss for a batch with input_ids: expected labels \(labels\)"):
        trainer.train()
    assert trainer.predict(data).predictions.shape == (5, 2)
    assert "eval_loss" not in trainer.evaluate(data)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_before_it_reaches_the_weights(tmp_path, bad):
    class Breaks(Trainer):
        def compute_loss(self, model, inputs):
            loss, outputs, cache = super().compute_loss(model, inputs)
            self.before = weights_of(model)
            return (loss if self.state.global_step < 3 else np.float32(bad)), outputs, cache

    trainer = toy_trainer(tmp_path, trainer_class=Breaks)
    with pytest.raises(FloatingPointError, match=f"training loss at step 4 is {bad}"):
        trainer.train()
    assert trainer.state.global_step == 3
    for name, value in weights_of(trainer.model).items():
        np.testing.assert_array_equal(value, trainer.before[name])
    assert not trainer.is_in_train


def test_earlier_checkpoints_are_pointed_out(tmp_path, caplog):
    arguments = {"num_train_epochs": 1, "save_strategy": "epoch"}
    toy_trainer(tmp_path, arguments=arguments).train()
    with caplog.at_level(logging.WARNING):
        toy_trainer(tmp_path, arguments={**arguments, "overwrite_output_dir": True}).train()
        assert caplog.text == ""
        toy_trainer(tmp_path, arguments=arguments).train()
    assert "holds checkpoints of an earlier run (checkpoint-5)" in caplog.text


def test_set_seed():
    set_seed(3)
    first = np.random.random(2)  # noqa: NPY002
    set_seed(3)
    np.testing.assert_array_equal(np.random.random(2), first)  # noqa: NPY002


def test_set_seed_decides_what_no_generator_was_given_for():
    """Weights, dropout, the order of the data and masks: the same after the same seed, others after another."""

    def draws(seed):
        set_seed(seed)
        model = BertForMaskedLM(BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2))
        out, _ = model.train().forward(input_ids=np.arange(6).reshape(2, 3), labels=np.arange(6).reshape(2, 3))
        layer = Linear(3, 2)
        order = list(DataLoader(list(range(20)), shuffle=True, collate_fn=lambda items: items[0]))
        return [model.state_dict()["bert.embeddings.word_embeddings.weight"], out.logits, layer.weight.data, order]

    first, same, other = draws(5), draws(5), draws(6)
    for a, b, c in zip(first, same, other):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_a_seed_is_a_whole_number():
    for seed in (-1, 2**32, 1.5, "1", True):
        with pytest.raises(ValueError, match="the seed is"):
            set_seed(seed)


def test_masked_language_model_on_the_device(tmp_path, fake_cupy):
    """A whole run where every array lives on the GPU: ids stay on the host, losses are fetched when a log is due."""
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
                        max_position_embeddings=5)  # fmt: skip
    rng = np.random.default_rng(0)
    data = [{"input_ids": row, "labels": row} for row in rng.integers(0, 20, (12, 5))]
    losses = []
    for device in ("cpu", "cuda"):
        model = BertForMaskedLM(config, generator=np.random.default_rng(0)).astype("float64").to(device)
        arguments = {"num_train_epochs": 2, "logging_strategy": "steps", "logging_steps": 2, "learning_rate": 1e-2}
        arguments |= {"save_strategy": "epoch", "evaluation_strategy": "epoch", "load_best_model_at_end": True}
        trainer = toy_trainer(tmp_path / device, model=model, train=data, test=data, arguments=arguments)
        trainer.train()
        losses.append([log.get("loss", log.get("eval_loss")) for log in trainer.log_history[:-1]])
        prediction = trainer.predict(data[:3])
        assert isinstance(prediction.predictions, np.ndarray)
        assert model.device[:4] == device[:4]
    assert len(losses[0]) == 5
    np.testing.assert_allclose(*losses, rtol=1e-9)


def test_a_nan_on_the_device_is_named_with_its_step(tmp_path, fake_cupy):
    class Breaks(Trainer):
        def compute_loss(self, model, inputs):
            loss, outputs, cache = super().compute_loss(model, inputs)
            return loss * float("nan") if self.state.global_step == 2 else loss, outputs, cache

    arguments = {"num_train_epochs": 1, "logging_strategy": "epoch"}
    trainer = toy_trainer(tmp_path, toy_model().to("cuda"), trainer_class=Breaks, arguments=arguments)
    with pytest.raises(FloatingPointError, match="at step 3 is nan"):
        trainer.train()

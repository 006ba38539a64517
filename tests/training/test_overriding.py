"""What users override in the original's Trainer, overridden as they do it: each takes effect."""

import numpy as np
import pytest

from edutransformers.losses import CrossEntropyLoss
from edutransformers.module import keep
from edutransformers.training import AdamW, DataLoader, Trainer, default_data_collator
from edutransformers.training.schedules import LambdaLR
from tests.training.toy import accuracy, toy_data, toy_model, toy_trainer, weights_of


def losses_of(trainer):
    return [log["loss"] for log in trainer.log_history if "loss" in log]


def train(folder, trainer_class, **arguments):
    defaults = {"num_train_epochs": 1, "logging_strategy": "steps", "logging_steps": 1, "learning_rate": 1e-2}
    trainer = toy_trainer(
        folder, toy_model(dropout=0.0), trainer_class=trainer_class, arguments={**defaults, **arguments},
        compute_metrics=accuracy,
    )  # fmt: skip
    trainer.train()
    return trainer


def test_get_train_dataloader(tmp_path):
    class Doubled(Trainer):
        def get_train_dataloader(self):
            twice = [index for index in range(len(self.train_dataset)) for _ in range(2)]
            return DataLoader(self.train_dataset, self.args.train_batch_size, sampler=twice)

    assert train(tmp_path, Doubled).state.global_step == 10


def test_get_train_sampler(tmp_path):
    seen = []

    class FirstFour(Trainer):
        def _get_train_sampler(self):
            return [3, 2, 1, 0]

        def training_step(self, model, inputs):
            seen.append(inputs["input_ids"])
            return super().training_step(model, inputs)

    trainer = train(tmp_path, FirstFour, per_device_train_batch_size=2)
    assert trainer.state.global_step == 2
    np.testing.assert_array_equal(np.concatenate(seen), [trainer.train_dataset[n]["input_ids"] for n in (3, 2, 1, 0)])


def test_get_eval_dataloader(tmp_path):
    class FirstThree(Trainer):
        def get_eval_dataloader(self, eval_dataset=None):
            dataset = self.eval_dataset if eval_dataset is None else eval_dataset
            return DataLoader(dataset[:3], 2, collate_fn=default_data_collator)

    trainer = toy_trainer(tmp_path, trainer_class=FirstThree)
    assert trainer.predict(toy_data(9)).predictions.shape == (3, 2)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(trainer.evaluate(toy_data(10, seed=1)[:3])["eval_loss"])


def test_get_test_dataloader(tmp_path):
    class FirstThree(Trainer):
        def get_test_dataloader(self, test_dataset):
            return super().get_test_dataloader(test_dataset[:3])

    assert toy_trainer(tmp_path, trainer_class=FirstThree).predict(toy_data(9)).predictions.shape == (3, 2)


def test_compute_loss(tmp_path):
    """With the original's third argument in the signature, which is not used here."""

    class Weighted(Trainer):
        loss = CrossEntropyLoss(weight=np.array([0.0, 1.0]))

        def compute_loss(self, model, inputs, return_outputs=False):
            labels = inputs.pop("labels")
            outputs, model_cache = self.forward(model, inputs)
            loss, loss_cache = self.loss.forward(outputs.logits, labels)
            return loss, outputs, keep(model_cache, loss_cache)

        def compute_loss_backward(self, model, dloss, cache):
            model_cache, loss_cache = cache
            model.backward({"logits": self.loss.backward(dloss, loss_cache)}, model_cache)

    trainer = train(tmp_path, Weighted, num_train_epochs=3)
    assert (trainer.predict(toy_data(10)).predictions.argmax(axis=1) == 1).all()  # the other class costs nothing
    assert losses_of(trainer)[-1] < losses_of(trainer)[0]


def test_create_optimizer(tmp_path):
    class Slower(Trainer):
        """Lower layers learn more slowly."""

        def create_optimizer(self):
            low = [p for name, p in self.model.named_parameters() if "embeddings" in name]
            high = [p for name, p in self.model.named_parameters() if "embeddings" not in name]
            groups = [{"params": low, "lr": 0.0}, {"params": high}]
            self.optimizer = AdamW(groups, lr=self.args.learning_rate)
            return self.optimizer

    before = weights_of(toy_model(dropout=0.0))
    after = weights_of(train(tmp_path, Slower, weight_decay=0.0).model)
    changed = {name for name in before if (before[name] != after[name]).any()}
    assert changed
    assert not any("embeddings" in name for name in changed)


def test_create_scheduler(tmp_path):
    class Steps(Trainer):
        def create_scheduler(self, num_training_steps, optimizer=None):
            self.lr_scheduler = LambdaLR(self.optimizer if optimizer is None else optimizer, lambda s: 0.5**s)
            return self.lr_scheduler

    rates = [log["learning_rate"] for log in train(tmp_path, Steps).log_history if "loss" in log]
    np.testing.assert_allclose(rates, [1e-2 * 0.5**s for s in range(1, 6)])


def test_create_optimizer_and_scheduler(tmp_path):
    class Both(Trainer):
        def create_optimizer_and_scheduler(self, num_training_steps):
            self.optimizer = AdamW(self.model, lr=1e-3)
            self.lr_scheduler = LambdaLR(self.optimizer, lambda s: 1 - s / num_training_steps)

    rates = [log["learning_rate"] for log in train(tmp_path, Both).log_history if "loss" in log]
    np.testing.assert_allclose(rates, [8e-4, 6e-4, 4e-4, 2e-4, 0], atol=1e-12)


def test_training_step_around_the_trainers(tmp_path):
    class Noisy(Trainer):
        """Gradients without their embeddings' part."""

        def training_step(self, model, inputs):
            loss = super().training_step(model, inputs)
            model.bert.embeddings.word_embeddings.weight.grad = None
            return loss

    before, after = weights_of(toy_model(dropout=0.0)), weights_of(train(tmp_path, Noisy).model)
    changed = {name for name in before if (before[name] != after[name]).any()}
    assert changed == set(before) - {"bert.embeddings.word_embeddings.weight"}


def test_training_step_written_anew(tmp_path):
    """Its loss is what is logged, as it returns it."""

    class Own(Trainer):
        def training_step(self, model, inputs):
            model.train()
            inputs = self._prepare_inputs(inputs)
            out, cache = model.forward(**inputs)
            model.backward({"loss": 1.0}, cache)
            return out.loss

    own, usual = train(tmp_path, Own), train(tmp_path, Trainer)
    assert losses_of(own) == losses_of(usual)
    assert min(losses_of(own)) > 0.1
    for name, value in weights_of(usual.model).items():
        np.testing.assert_array_equal(value, weights_of(own.model)[name])


def test_prepare_inputs(tmp_path):
    class Masked(Trainer):
        def _prepare_inputs(self, inputs):
            return {**super()._prepare_inputs(inputs), "labels": np.ones(len(inputs["labels"]), dtype=int)}

    trainer = train(tmp_path, Masked, num_train_epochs=3)
    assert (trainer.predict(toy_data(10)).predictions.argmax(axis=1) == 1).all()


def test_prediction_step(tmp_path):
    class Opposite(Trainer):
        def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
            loss, logits, labels = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
            return loss, -logits, labels

    usual, opposite = (
        toy_trainer(tmp_path, trainer_class=kind, compute_metrics=accuracy).evaluate()["eval_accuracy"]
        for kind in (Trainer, Opposite)
    )
    assert usual + opposite == pytest.approx(1)


def test_evaluation_loop(tmp_path):
    class More(Trainer):
        def evaluation_loop(
            self, dataloader, description, prediction_loss_only=None, ignore_keys=None, metric_key_prefix="eval"
        ):
            output = super().evaluation_loop(
                dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
            )
            output.metrics[f"{metric_key_prefix}_mine"] = len(dataloader)
            return output

    trainer = train(tmp_path, More, evaluation_strategy="epoch")
    assert [log["eval_mine"] for log in trainer.log_history if "eval_loss" in log] == [2]
    assert trainer.predict(toy_data(3)).metrics["test_mine"] == 1


def test_evaluate_during_training(tmp_path):
    """What it returns is what the best model is chosen by."""

    class Fixed(Trainer):
        def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval"):
            return {"eval_mine": -self.state.global_step}

    trainer = train(
        tmp_path, Fixed, num_train_epochs=3, evaluation_strategy="epoch", save_strategy="epoch",
        load_best_model_at_end=True, metric_for_best_model="mine",
    )  # fmt: skip
    assert trainer.state.best_metric == -5


def test_log(tmp_path):
    class More(Trainer):
        def log(self, logs):
            logs["mine"] = 1
            super().log(logs)

    trainer = train(tmp_path, More)
    assert [log["mine"] for log in trainer.log_history] == [1] * 6


def test_save_model(tmp_path):
    class Noted(Trainer):
        def save_model(self, output_dir=None, _internal_call=False):
            super().save_model(output_dir, _internal_call)
            (output_dir / "note").write_text(str(_internal_call))

    train(tmp_path, Noted, save_strategy="epoch")
    assert (tmp_path / "checkpoint-5" / "note").read_text() == "True"


def test_floating_point_ops(tmp_path):
    class Counted(Trainer):
        def floating_point_ops(self, inputs):
            return 10

    assert train(tmp_path, Counted).state.total_flos == 50

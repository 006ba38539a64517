"""What the Trainer counts, prints and writes for people: metrics files, the model card."""

import json

import numpy as np
import pytest
import yaml

from edutransformers.training import DataLoader, Trainer, TrainingArguments
from tests.training.toy import accuracy, assert_same_weights, toy_data, toy_model, toy_trainer


def test_counting(tmp_path):
    trainer = toy_trainer(tmp_path)
    loader = trainer.get_train_dataloader()
    assert trainer.num_examples(loader) == 20
    assert trainer.num_examples([{}] * 3) == 12  # no data set to ask: three batches of 4
    assert trainer.num_tokens(loader) == 20 * 6
    assert trainer.num_tokens(loader, max_steps=7) == 7 * 4 * 6
    assert trainer.is_world_process_zero()
    assert trainer.is_local_process_zero()


def test_metrics_for_people(tmp_path, capsys):
    trainer = toy_trainer(tmp_path)
    metrics = {
        "train_runtime": 3725.678,
        "total_flos": 5.5 * 2**30,
        "eval_loss": 0.123456,
        "eval_samples": 7,
        "epoch": 3.0,
    }
    shown = {"train_runtime": "1:02:05.67", "total_flos": "5GF", "eval_loss": 0.1235, "eval_samples": 7, "epoch": 3.0}
    assert trainer.metrics_format(metrics) == shown
    trainer.log_metrics("eval", metrics)
    assert capsys.readouterr().out.splitlines() == [
        "***** eval metrics *****",
        "  epoch         =        3.0",
        "  eval_loss     =     0.1235",
        "  eval_samples  =          7",
        "  total_flos    =        5GF",
        "  train_runtime = 1:02:05.67",
    ]
    trainer.log_metrics("none", {})
    trainer.state.is_world_process_zero = False  # other processes are silent
    capsys.readouterr()
    trainer.log_metrics("eval", metrics)
    trainer.save_metrics("eval", metrics)
    assert capsys.readouterr().out == ""
    assert not list(tmp_path.iterdir())


def test_metrics_files(tmp_path):
    trainer = toy_trainer(tmp_path / "new")
    trainer.save_metrics("train", {"train_loss": 1.0, "epoch": 2.0})
    trainer.save_metrics("eval", {"eval_loss": 0.5, "epoch": 3.0})
    trainer.save_metrics("test", {"test_loss": 0.4}, combined=False)
    read = lambda name: json.loads((tmp_path / "new" / name).read_text())  # noqa: E731
    assert read("train_results.json") == {"epoch": 2.0, "train_loss": 1.0}
    assert read("test_results.json") == {"test_loss": 0.4}
    assert read("all_results.json") == {"epoch": 3.0, "eval_loss": 0.5, "train_loss": 1.0}


def test_tokens_per_second(tmp_path):
    arguments = {"num_train_epochs": 2, "include_tokens_per_second": True, "gradient_accumulation_steps": 2}
    metrics = toy_trainer(tmp_path, arguments=arguments).train().metrics
    # 2 epochs of 5 batches make 4 steps: 8 batches of 4 items with 6 tokens
    assert metrics["train_tokens_per_second"] == pytest.approx(8 * 4 * 6 / metrics["train_runtime"], rel=1e-3)


def test_model_card(tmp_path):
    arguments = {
        "num_train_epochs": 3, "evaluation_strategy": "epoch", "logging_strategy": "steps", "logging_steps": 7,
        "gradient_accumulation_steps": 2, "warmup_ratio": 0.1, "learning_rate": 1e-3,
    }  # fmt: skip
    trainer = toy_trainer(tmp_path / "card", arguments=arguments, compute_metrics=accuracy)
    trainer.create_model_card(model_name="Before")
    text = (tmp_path / "card" / "README.md").read_text()
    assert "# Before" in text
    assert "evaluation set" not in text
    trainer.train()
    trainer.create_model_card(
        language="en", license="mit", tags="toy", finetuned_from="bert-tiny", tasks=["text-classification"],
        dataset_tags=["imdb", "no"], dataset="film reviews", dataset_args="plain",
    )  # fmt: skip
    text = (tmp_path / "card" / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head) == {
        "language": ["en"], "license": "mit", "base_model": "bert-tiny", "library_name": "transformers",
        "tags": ["generated_from_trainer", "toy"], "pipeline_tag": "text-classification", "datasets": ["imdb", "no"],
    }  # fmt: skip
    assert "# card\n" in body
    assert "a fine-tuned version of bert-tiny on film reviews (plain)." in body
    last = [log for log in trainer.log_history if "eval_loss" in log][-1]
    assert f"- Loss: {last['eval_loss']:.4f}\n- Accuracy: {last['eval_accuracy']:.4f}\n" in body
    assert "- total_train_batch_size: 8" in body
    assert "betas=(0.9,0.999) and epsilon=1e-08" in body
    assert "- num_epochs: 3" in body
    table = [[cell.strip() for cell in row.split("|")[1:-1]] for row in body.splitlines() if row.startswith("|")]
    assert table[0] == ["Training loss", "Epoch", "Step", "Validation loss", "Accuracy"]
    assert [row[0] for row in table[2:]] == ["no log", "no log", "no log"]
    assert [row[2] for row in table[2:]] == ["2", "5", "6"]
    assert len({len(row) for row in body.splitlines() if row.startswith("|")}) == 1  # aligned


def test_weights_without_safetensors(tmp_path):
    arguments = {"num_train_epochs": 1, "save_strategy": "epoch", "save_safetensors": False}
    first = toy_trainer(tmp_path, arguments=arguments)
    first.train()
    files = {path.name for path in (tmp_path / "checkpoint-5").iterdir()}
    assert "pytorch_model.bin" in files
    assert "model.safetensors" not in files
    again = toy_trainer(tmp_path, model=toy_model(9), arguments=arguments)
    again.train(resume_from_checkpoint=True)
    assert_same_weights(again.model, first.model)


def test_use_cpu_moves_the_model(tmp_path, fake_cupy):
    model = toy_model().to("cuda")
    assert Trainer(model, TrainingArguments(str(tmp_path), disable_tqdm=True)).model.device == "cuda:0"
    assert Trainer(model, TrainingArguments(str(tmp_path), disable_tqdm=True, use_cpu=True)).model.device == "cpu"


@pytest.mark.parametrize("accumulation", [None, 1, 2])
def test_predictions_gathered_on_a_device(tmp_path, fake_cupy, accumulation):
    data = toy_data(10)
    expected = toy_trainer(tmp_path).predict(data)
    arguments = {"eval_accumulation_steps": accumulation, "per_device_eval_batch_size": 4}
    prediction = toy_trainer(tmp_path, toy_model().to("cuda"), arguments=arguments).predict(data)
    assert isinstance(prediction.predictions, np.ndarray)
    np.testing.assert_allclose(prediction.predictions, expected.predictions, atol=1e-6)
    assert prediction.metrics["test_loss"] == pytest.approx(expected.metrics["test_loss"], rel=1e-6)


def test_a_gpu_is_waited_for_once_an_accumulation(tmp_path, monkeypatch):
    moved = []
    monkeypatch.setattr(
        "edutransformers.training.trainer_evaluation.to_host", lambda value: moved.append(len(seen)) or value
    )
    seen = []

    class Watch(Trainer):
        def prediction_step(self, *args):
            seen.append(1)
            return super().prediction_step(*args)

    for accumulation, moments in ((None, {5}), (2, {2, 4, 5}), (1, {1, 2, 3, 4, 5})):
        seen.clear()
        moved.clear()
        arguments = {"eval_accumulation_steps": accumulation, "per_device_eval_batch_size": 2}
        toy_trainer(tmp_path, trainer_class=Watch, arguments=arguments).predict(toy_data(10))
        assert set(moved) == moments


# -- the batch that fits ----------------------------------------------------------------------------------------------


class Small(Trainer):
    """A machine whose memory holds two items, but notices only in the second step."""

    def compute_loss(self, model, inputs):
        if len(inputs["labels"]) > 2 and (self.state.global_step > 0 or not self.is_in_train):
            raise MemoryError
        return super().compute_loss(model, inputs)


@pytest.mark.parametrize("given", [False, True])
def test_the_batch_size_is_halved_until_it_fits(tmp_path, caplog, given):
    """And the run is then the one that began with it."""
    results = []
    for size, kind in ((8, Small), (2, Trainer)):
        arguments = {"per_device_train_batch_size": size, "auto_find_batch_size": True, "num_train_epochs": 1}
        arguments |= {"learning_rate": 1e-2, "per_device_eval_batch_size": 2}
        model = toy_model()
        trainer = toy_trainer(tmp_path, model, trainer_class=kind, arguments=arguments)
        if given:
            plain = toy_trainer(tmp_path, model, arguments=arguments)
            plain.create_optimizer_and_scheduler(10)
            trainer = toy_trainer(
                tmp_path, model, trainer_class=kind, arguments=arguments,
                optimizers=(plain.optimizer, plain.lr_scheduler),
            )  # fmt: skip
        trainer.train()
        results.append(trainer)
    assert results[0].args.per_device_train_batch_size == 2
    assert "not enough memory for batches of 8: training begins anew with 4" in caplog.text
    assert results[0].state.global_step == results[1].state.global_step == 10
    for name, value in results[0].model.state_dict().items():
        np.testing.assert_array_equal(value, results[1].model.state_dict()[name], err_msg=name)


def test_no_memory_at_all(tmp_path):
    class Full(Trainer):
        def compute_loss(self, model, inputs):
            raise MemoryError

    for automatic, size in ((True, 1), (False, 4)):
        trainer = toy_trainer(tmp_path, trainer_class=Full, arguments={"auto_find_batch_size": automatic})
        with pytest.raises(MemoryError):
            trainer.train()
        assert trainer.args.per_device_train_batch_size == size


def test_outputs_that_are_no_predictions_during_training(tmp_path):
    shapes = []

    def compute(prediction):
        shapes.append(np.shape(prediction.predictions))
        return {}

    model = toy_model(output_hidden_states=True)
    arguments = {"num_train_epochs": 1, "evaluation_strategy": "epoch"}
    trainer = toy_trainer(tmp_path, model, arguments=arguments, compute_metrics=compute)
    trainer.train(ignore_keys_for_eval=["hidden_states"])
    assert shapes == [(10, 2)]
    assert isinstance(next(iter(DataLoader(toy_data(2), 2))), dict)

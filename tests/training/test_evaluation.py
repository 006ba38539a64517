"""evaluate and predict: means over items, not batches; the data set's order; outputs of different lengths."""

import numpy as np
import pytest

from edutransformers import BertForQuestionAnswering, BertForTokenClassification
from edutransformers.training import EvalPrediction
from edutransformers.training.evaluation import join_batches, reorder
from tests.training.toy import accuracy, toy_data, toy_model, toy_trainer


def stacked(data):
    batch = {name: np.stack([item[name] for item in data]) for name in data[0]}
    batch["labels"] = batch.pop("label")
    return batch


@pytest.mark.parametrize("size", [3, 4, 10, 64])
def test_the_loss_is_the_mean_over_items(tmp_path, size):
    data, model = toy_data(10), toy_model().eval()
    trainer = toy_trainer(tmp_path, model, test=data, arguments={"per_device_eval_batch_size": size})
    expected = model(**stacked(data))
    assert trainer.evaluate()["eval_loss"] == pytest.approx(float(expected.loss), rel=1e-6)
    prediction = trainer.predict(data)
    np.testing.assert_allclose(prediction.predictions, expected.logits, atol=1e-6)
    np.testing.assert_array_equal(prediction.label_ids, stacked(data)["labels"])
    assert prediction.metrics["test_loss"] == pytest.approx(float(expected.loss), rel=1e-6)


def test_dropout_is_off_and_the_mode_comes_back(tmp_path):
    trainer = toy_trainer(tmp_path, toy_model(dropout=0.5).train())
    assert trainer.evaluate()["eval_loss"] == trainer.evaluate()["eval_loss"]
    assert trainer.model.training


def test_metrics_and_their_names(tmp_path):
    seen = []

    def compute(prediction):
        assert isinstance(prediction, EvalPrediction)
        logits, labels = prediction
        assert logits is prediction.predictions is prediction[0]
        seen.append((logits.shape, labels.shape))
        return {"score": np.float32(0.5), "eval_own": 1, **accuracy(prediction)}

    trainer = toy_trainer(tmp_path, compute_metrics=compute)
    metrics = trainer.evaluate()
    assert seen == [((10, 2), (10,))]
    assert metrics["eval_score"] == 0.5
    assert type(metrics["eval_score"]) is float
    assert "eval_own" in metrics
    assert "eval_eval_own" not in metrics
    assert "valid_score" in trainer.evaluate(metric_key_prefix="valid")
    assert {"test_score", "test_loss", "test_runtime"} <= set(trainer.predict(toy_data(3)).metrics)


def test_several_data_sets(tmp_path):
    trainer = toy_trainer(tmp_path, test={"easy": toy_data(4), "hard": toy_data(6)}, compute_metrics=accuracy)
    metrics = trainer.evaluate()
    assert {"eval_easy_loss", "eval_hard_loss", "eval_easy_accuracy", "eval_hard_accuracy"} <= set(metrics)


def test_inputs_for_metrics_and_preprocessing(tmp_path):
    data = toy_data(7)

    def compute(prediction):
        classes, labels, inputs = prediction
        assert classes.shape == labels.shape == (7,)
        np.testing.assert_array_equal(inputs, [item["input_ids"] for item in data])
        return {"ok": 1}

    trainer = toy_trainer(
        tmp_path,
        test=data,
        compute_metrics=compute,
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(axis=-1),
        arguments={"include_inputs_for_metrics": True, "per_device_eval_batch_size": 3},
    )
    assert trainer.evaluate()["eval_ok"] == 1


def test_only_the_loss(tmp_path):
    trainer = toy_trainer(tmp_path, compute_metrics=accuracy, arguments={"prediction_loss_only": True})
    assert "eval_accuracy" not in trainer.evaluate()
    prediction = trainer.predict(toy_data(3))
    assert prediction.predictions is None
    assert prediction.label_ids is None
    assert prediction.metrics["test_loss"] > 0


def test_grouped_by_length_the_order_is_the_data_sets(tmp_path, rng):
    lengths = rng.permutation(np.arange(3, 13))
    data = [{"input_ids": rng.integers(5, 50, n), "label": int(n % 2)} for n in lengths]
    model = toy_model().eval()

    def collate(items):
        width = max(len(item["input_ids"]) for item in items)
        ids = np.stack([np.pad(item["input_ids"], (0, width - len(item["input_ids"]))) for item in items])
        return {"input_ids": ids, "attention_mask": (ids > 0) * 1, "labels": np.array([i["label"] for i in items])}

    arguments = {"group_by_length": True, "per_device_eval_batch_size": 3, "include_inputs_for_metrics": True}
    trainer = toy_trainer(tmp_path, model, test=data, data_collator=collate, arguments=arguments)
    prediction = trainer.predict(data)
    np.testing.assert_array_equal(prediction.label_ids, lengths % 2)
    for item, logits in zip(data, prediction.predictions):
        np.testing.assert_allclose(model(input_ids=item["input_ids"][None]).logits[0], logits, atol=1e-6)


def test_token_classification_is_filled_up(tmp_path, rng):
    model = BertForTokenClassification(toy_model().config).eval()
    data = [{"input_ids": rng.integers(5, 50, n), "labels": rng.integers(0, 2, n)} for n in (3, 3, 5, 5, 4)]
    trainer = toy_trainer(tmp_path, model, test=data, arguments={"per_device_eval_batch_size": 2})
    prediction = trainer.predict(data)
    assert prediction.predictions.shape == (5, 5, 2)
    assert prediction.label_ids.shape == (5, 5)
    assert (prediction.predictions[0, 3:] == -100).all()
    assert (prediction.label_ids[4, 4:] == -100).all()
    np.testing.assert_allclose(
        prediction.predictions[4, :4], model(input_ids=data[4]["input_ids"][None]).logits[0], atol=1e-6
    )


def test_several_outputs_and_labels_are_tuples(tmp_path, rng):
    model = BertForQuestionAnswering(toy_model().config).eval()
    data = [{"input_ids": rng.integers(5, 50, 6), "start_positions": 1, "end_positions": n % 6} for n in range(5)]
    trainer = toy_trainer(tmp_path, model, train=data, test=data, arguments={"num_train_epochs": 1})
    trainer.train()
    prediction = trainer.predict(data)
    assert [part.shape for part in prediction.predictions] == [(5, 6), (5, 6)]
    np.testing.assert_array_equal(prediction.label_ids[1], np.arange(5) % 6)
    assert trainer.predict(data, ignore_keys=["end_logits"]).predictions.shape == (5, 6)
    model.config.output_hidden_states = True
    start, end, states = trainer.predict(data).predictions
    assert len(states) == 2
    assert states[0].shape == (5, 6, 16)


def test_joining_and_reordering():
    parts = [np.ones((2, 3, 1)), np.full((1, 2, 4), 2.0)]
    joined = join_batches(parts)
    assert joined.shape == (3, 3, 4)
    np.testing.assert_array_equal(joined[2, :2], np.full((2, 4), 2.0))
    assert (joined[2, 2] == -100).all()
    assert (joined[0, :, 1:] == -100).all()
    first, second = join_batches([(np.zeros(2), np.ones(2)), (np.zeros(1), np.ones(1))])
    assert (first.shape, second.sum()) == ((3,), 3)
    np.testing.assert_array_equal(reorder(np.array([10, 20, 30]), [2, 0, 1]), [20, 30, 10])
    assert reorder(None, [0]) is None
    with pytest.raises(ValueError, match="numbers of axes"):
        join_batches([np.ones((2, 3)), np.ones((2, 3, 1))])

"""The Trainer's evaluation and prediction: batches through the model without keeping anything for a backward pass."""

from __future__ import annotations

import time

from ..module import Module, inference_mode
from .announce import announce_evaluation
from .evaluation import join_batches, plain_numbers, reorder, speed_metrics, to_host
from .interruption import EvaluationEnded
from .outputs import EvalLoopOutput, EvalPrediction, PredictionOutput
from .trainer_numbers import widened


class TrainerEvaluation:
    """The part of Trainer that evaluates and predicts."""

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix: str = "eval") -> dict[str, float]:
        """The mean loss and what `compute_metrics` makes of the predictions, with speed; also logged.

        eval_dataset       in place of the Trainer's own; with a dictionary of data sets each is evaluated in turn
        ignore_keys        names of outputs that are no predictions
        metric_key_prefix  begins every name in the result
        """
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(dataset, dict):
            metrics = {}
            for name, part in dataset.items():
                metrics.update(self.evaluate(part, ignore_keys, f"{metric_key_prefix}_{name}"))
            return metrics
        start = time.perf_counter()
        loader = self.get_eval_dataloader(dataset)
        only_loss = True if self.compute_metrics is None else None
        output = self.evaluation_loop(loader, "Evaluation", only_loss, ignore_keys, metric_key_prefix)
        metrics = output.metrics
        batch_size = self.args.eval_batch_size * self.args.world_size
        metrics.update(speed_metrics(metric_key_prefix, start, output.num_samples, batch_size))
        self.log(metrics)
        self._event("on_evaluate", metrics=metrics)
        return metrics

    def _evaluate_all(self) -> dict[str, float]:
        """An evaluation during training; what the best model is chosen by."""
        metrics = self.evaluate(ignore_keys=self._ignore_keys_for_eval)
        self._report_to_hp_search(self._trial, self.state.global_step, metrics)
        return metrics

    def predict(self, test_dataset, ignore_keys=None, metric_key_prefix: str = "test") -> PredictionOutput:
        """The model's outputs for a data set, and metrics if it has labels.

        Outputs of different lengths (token classification) are filled up with −100 to the longest.
        """
        start = time.perf_counter()
        loader = self.get_test_dataloader(test_dataset)
        output = self.evaluation_loop(loader, "Prediction", None, ignore_keys, metric_key_prefix)
        metrics = output.metrics
        batch_size = self.args.eval_batch_size * self.args.world_size
        metrics.update(speed_metrics(metric_key_prefix, start, output.num_samples, batch_size))
        self._event("on_predict", metrics=metrics)
        return PredictionOutput(output.predictions, output.label_ids, metrics)

    def evaluation_loop(
        self,
        dataloader,
        description="Evaluation",
        prediction_loss_only=None,
        ignore_keys=None,
        metric_key_prefix="eval",
    ) -> EvalLoopOutput:
        """All batches through `prediction_step`; their results joined, in the data set's order."""
        args = self.args
        only_loss = args.prediction_loss_only if prediction_loss_only is None else prediction_loss_only
        was_training = self.model.training
        self.model.eval()
        dataloader = self._share_out(dataloader)
        self.callback_handler.eval_dataloader = dataloader
        main_input = getattr(self.model, "main_input_name", "input_ids")
        announce_evaluation(self, description, dataloader)

        sizes, counted = [], []  # items in each batch, and those that its loss is the mean over
        losses, predictions, label_ids, inputs_seen = gathered = [], [], [], []
        try:
            for number, inputs in enumerate(dataloader, start=1):
                size = self._items_in(dataloader, inputs)
                sizes.append(size)
                loss, logits, labels = self.prediction_step(self.model, inputs, only_loss, ignore_keys)
                losses.append(0.0 if loss is None else loss)
                counted.append(0 if loss is None else size)
                if logits is not None and self.preprocess_logits_for_metrics is not None:
                    logits = self.preprocess_logits_for_metrics(logits, labels)
                for kept, value in ((predictions, logits), (label_ids, labels)):
                    if value is not None:
                        kept.append(value)
                if args.include_inputs_for_metrics:
                    inputs_seen.append(inputs[main_input])
                if args.eval_accumulation_steps is not None and number % args.eval_accumulation_steps == 0:
                    for kept in gathered:  # until then a GPU is not waited for
                        kept[:] = map(to_host, kept)
                self._event("on_prediction_step")
                if self._evaluation_may_end and self._interruption.signal is not None:
                    raise EvaluationEnded
        finally:
            self.model.train(was_training)

        order = getattr(getattr(dataloader, "sampler", None), "order", None)
        losses, *gathered = (self._of_all_ranks(sizes, [to_host(value) for value in kept]) for kept in gathered)
        counted, sizes = self._of_all_ranks(sizes, counted), self._of_all_ranks(sizes, sizes)
        joined = [join_batches(kept) if kept else None for kept in gathered]
        if order is not None:
            joined = [reorder(value, order) for value in joined]
        predictions, label_ids, inputs_seen = joined
        metrics = {}
        if sum(counted):  # batches may differ in size
            metrics["loss"] = sum(float(loss) * items for loss, items in zip(losses, counted)) / sum(counted)
        if self.compute_metrics is not None and predictions is not None and label_ids is not None:
            metrics.update(self.compute_metrics(EvalPrediction(predictions, label_ids, inputs_seen)))
        begin = f"{metric_key_prefix}_"
        metrics = {name if name.startswith(begin) else begin + name: value for name, value in metrics.items()}
        return EvalLoopOutput(predictions, label_ids, plain_numbers(metrics), sum(sizes))

    def prediction_step(self, model: Module, inputs, prediction_loss_only: bool, ignore_keys=None):
        """A batch -> (loss, predictions, labels), each None where there is none."""
        ignored = set(getattr(getattr(model, "config", None), "keys_to_ignore_at_inference", ()))
        ignored = (ignored if ignore_keys is None else set(ignore_keys)) | {"loss"}
        with self._half_precision(evaluation=True), inference_mode():
            inputs = self._prepare_inputs(inputs)
            labels = [inputs.get(name) for name in self.label_names]
            has_labels = bool(labels) and all(label is not None for label in labels)
            if has_labels:
                loss, outputs, _ = self._unpack_loss(self.compute_loss(model, inputs))
            else:
                loss, (outputs, _) = None, self.forward(model, inputs)
        if prediction_loss_only:
            return loss, None, None
        logits = tuple(widened(value) for name, value in outputs.items() if name not in ignored)
        return loss, _alone(logits), _alone(tuple(labels)) if has_labels else None


def _alone(values: tuple):
    """One value by itself, several as a tuple."""
    return values[0] if len(values) == 1 else values

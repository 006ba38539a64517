"""The Trainer: fine-tuning with one call, and every part of it a method that a subclass can override.

    trainer = Trainer(model, TrainingArguments("out"), train_dataset=train, eval_dataset=test, tokenizer=tokenizer,
                      compute_metrics=accuracy)
    trainer.train()
    trainer.evaluate()

Here is what one batch does: `training_step`, and in it `compute_loss` and `compute_loss_backward`. The loop around it
is in trainer_loop.py. Batches are made in trainer_data.py, evaluation is in trainer_evaluation.py, checkpoints are in
trainer_checkpoints.py, metrics for people and the model card are in trainer_reports.py,
float16 and bad numbers in trainer_numbers.py.
"""

from __future__ import annotations

import inspect
from typing import NamedTuple

import numpy as np

from ..backend import as_array_like
from ..logging import get_logger, set_verbosity
from ..losses import CrossEntropyLoss, NextTokenLoss
from ..module import Module, keep
from .arguments import TrainingArguments
from .callbacks import CallbackHandler, TrainerCallback, default_callbacks
from .columns import label_names, takes_generator
from .interruption import Interruption
from .optimizer_choice import optimizer_class_and_settings
from .optimizers import decay_groups
from .plan import weights_that_multiply
from .schedules import get_scheduler
from .seeding import DROPOUT, WEIGHTS, set_seed
from .trainer_checkpoints import TrainerCheckpoints
from .trainer_data import TrainerData
from .trainer_evaluation import TrainerEvaluation
from .trainer_loop import TrainerLoop
from .trainer_numbers import TrainerNumbers
from .trainer_ranks import TrainerRanks
from .trainer_reports import TrainerReports
from .trainer_search import TrainerSearch
from .trainer_state import TrainerControl, TrainerState

logger = get_logger(__name__)


class LossCache(NamedTuple):
    model: tuple
    smoothing: tuple | None


class Trainer(
    TrainerRanks,
    TrainerLoop,
    TrainerNumbers,
    TrainerData,
    TrainerEvaluation,
    TrainerCheckpoints,
    TrainerReports,
    TrainerSearch,
):
    """Trains, evaluates and predicts. The arguments are the original's.

    model            a Module whose `forward(**batch)` returns outputs with a "loss" when the batch has labels
    args             TrainingArguments (default: TrainingArguments("tmp_trainer"))
    data_collator    list of items -> batch; default: padding if there is a tokenizer, else stacking
    train_dataset, eval_dataset  sequences of dictionaries; eval_dataset may be a dictionary of them, by name
    tokenizer        for padding; saved with the model
    model_init       makes the model anew at each train(), instead of `model`
    compute_metrics  EvalPrediction -> dictionary of numbers
    callbacks        more TrainerCallbacks
    optimizers       (optimizer, schedule) to use instead of those that args names
    preprocess_logits_for_metrics  (logits, labels) -> what to keep of a batch's predictions, for example their argmax
    """

    def __init__(
        self,
        model: Module | None = None,
        args: TrainingArguments | None = None,
        data_collator=None,
        train_dataset=None,
        eval_dataset=None,
        tokenizer=None,
        model_init=None,
        compute_metrics=None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers=(None, None),
        preprocess_logits_for_metrics=None,
    ):
        self.args = TrainingArguments("tmp_trainer") if args is None else args
        if self.args.log_level != "passive":
            set_verbosity(self.args.get_process_log_level())
        set_seed(self.args.seed)
        self.model_init = model_init
        if (model is None) == (model_init is None):
            raise ValueError("Trainer needs either a model or a model_init that makes one, not both and not neither")
        self.model = self.call_model_init() if model is None else model
        if not hasattr(self.model, "backward"):
            raise TypeError(f"Trainer trains a Module with a backward, got {type(self.model).__name__}")
        if self.args.use_cpu:
            self.model.to("cpu")
        self._check_number_types()
        self.tokenizer = tokenizer
        self.data_collator = self._default_collator() if data_collator is None else data_collator
        self.train_dataset, self.eval_dataset = train_dataset, eval_dataset
        self.compute_metrics = compute_metrics
        self.preprocess_logits_for_metrics = preprocess_logits_for_metrics
        self.optimizer, self.lr_scheduler = optimizers
        self._optimizers_given = tuple(optimizers)
        if model_init is not None and any(part is not None for part in optimizers):
            raise ValueError("optimizers can't be given with model_init: they would hold another model's parameters")

        callbacks = default_callbacks(self.args) + list(callbacks or [])
        self.callback_handler = CallbackHandler(callbacks, self.model, tokenizer)
        self.state, self.control = TrainerState(), TrainerControl()
        self.label_names = label_names(self.model) if self.args.label_names is None else self.args.label_names
        self.label_smoother = self._make_label_smoother()
        self.generator = np.random.default_rng([self.args.seed, DROPOUT])
        self.accumulation = 1  # batches in a step
        self._operations_a_token = 6 * weights_that_multiply(self.model)
        self.is_in_train = False
        self._interruption, self._evaluation_may_end = Interruption(active=False), False
        self._event("on_init_end")

    # -- optimizer and schedule ---------------------------------------------------------------------------------------

    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:
        """New ones for each train(), except for those that were given to the constructor."""
        self.optimizer, self.lr_scheduler = self._optimizers_given
        self.create_optimizer()
        self.create_scheduler(num_training_steps, self.optimizer)

    def create_optimizer(self):
        """The optimizer that `optim` names, over two groups: matrices decay, biases and norms don't."""
        if self.optimizer is None:
            cls, settings = self.get_optimizer_cls_and_kwargs(self.args)
            self.optimizer = cls(decay_groups(self.model, self.args.weight_decay), **settings)
        return self.optimizer

    @staticmethod
    def get_optimizer_cls_and_kwargs(args: TrainingArguments) -> tuple[type, dict]:
        """The optimizer's class, and what it is made with besides the parameters."""
        return optimizer_class_and_settings(args)

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        """The schedule that `lr_scheduler_type` names."""
        if self.lr_scheduler is None:
            warmup = self.args.get_warmup_steps(num_training_steps)
            optimizer = self.optimizer if optimizer is None else optimizer
            name, options = self.args.lr_scheduler_type, self.args.lr_scheduler_kwargs
            self.lr_scheduler = get_scheduler(name, optimizer, warmup, num_training_steps, options)
        return self.lr_scheduler

    # -- one step -----------------------------------------------------------------------------------------------------

    def compute_loss(self, model: Module, inputs: dict):
        """A batch -> (loss, outputs, cache), where `compute_loss_backward` finds in the cache what it needs.

        Override the two together, as forward and backward of a layer:

            def compute_loss(self, model, inputs):
                labels = inputs.pop("labels")
                outputs, model_cache = self.forward(model, inputs)
                loss, loss_cache = self.my_loss.forward(outputs["logits"], labels)
                return loss, outputs, keep(model_cache, loss_cache)

            def compute_loss_backward(self, model, dloss, cache):
                model_cache, loss_cache = cache
                model.backward({"logits": self.my_loss.backward(dloss, loss_cache)}, model_cache)
        """
        smoothing = None
        if self.label_smoother is not None and "labels" in inputs:
            labels = inputs["labels"]
            outputs, cache = self.forward(model, {k: v for k, v in inputs.items() if k != "labels"})
            loss, smoothing = self.label_smoother.forward(outputs["logits"], labels)
        else:
            outputs, cache = self.forward(model, inputs)
            if "loss" not in outputs:
                raise ValueError(
                    f"the model gave no loss for a batch with {', '.join(sorted(inputs))}: expected labels "
                    f"({', '.join(self.label_names) or 'none are known'}) in every item of the data set"
                )
            loss = outputs["loss"]
        return loss, outputs, keep(LossCache, cache, smoothing)

    def compute_loss_backward(self, model: Module, dloss: float, cache) -> None:
        """Add dloss · dLoss/dw to the gradient of every parameter w."""
        if cache.smoothing is not None:
            model.backward({"logits": self.label_smoother.backward(dloss, cache.smoothing)}, cache.model)
        else:
            model.backward({"loss": dloss}, cache.model)

    def forward(self, model: Module, inputs: dict):
        """`model.forward`, with the Trainer's generator for dropout if the model takes one."""
        if takes_generator(model):
            return model.forward(**inputs, generator=self.generator)
        return model.forward(**inputs)

    def training_step(self, model: Module, inputs: dict):
        """Forward and backward for one batch; returns its share of the step's loss.

        A step's loss is the mean over its batches, so each enters with 1/accumulation: loss and gradients are those of
        one large batch (if all batches have the same number of counted labels).
        """
        if not model.training:
            model.train()
        share = self._share_of_batch() / self.accumulation
        with self._half_precision():
            loss, outputs, cache = self._unpack_loss(self.compute_loss(model, self._prepare_inputs(inputs)))
            del outputs  # the logits of a whole vocabulary are better not kept during backward
            self.loss_meter.check(loss, self.state.global_step + 1)  # before a nan spoils the gradients
            self.compute_loss_backward(model, share * self._loss_scale(), cache)
        return loss * share

    def _prepare_inputs(self, inputs) -> dict:
        """A plain dictionary. Pictures and sounds move to the model's device; ids stay on the host to be checked."""
        like = next(self.model.parameters()).data
        is_float = lambda value: getattr(getattr(value, "dtype", None), "kind", "") == "f"  # noqa: E731
        inputs = {name: as_array_like(value, like) if is_float(value) else value for name, value in inputs.items()}
        if like.dtype == np.float16:  # a float32 picture would make float32 of everything behind it
            for name, value in inputs.items():
                inputs[name] = value.astype(like.dtype) if is_float(value) and name not in self.label_names else value
        return inputs

    def _unpack_loss(self, result):
        if not isinstance(result, tuple) or len(result) != 3:
            raise TypeError(
                f"{type(self).__name__}.compute_loss must return (loss, outputs, cache), got {type(result).__name__}: "
                "gradients are computed by compute_loss_backward(model, dloss, cache), see Trainer.compute_loss"
            )
        return result

    # -- helpers ------------------------------------------------------------------------------------------------------

    def call_model_init(self, trial=None) -> Module:
        """The model of `model_init`.

        If that has an argument `generator`, it gets one made from the seed; if it has `trial`, or another one without a
        default, it gets the trial of a hyperparameter search (None outside of one).
        """
        parameters = inspect.signature(self.model_init).parameters
        options, values = {}, []
        for name, parameter in parameters.items():
            if name == "generator":
                options["generator"] = np.random.default_rng([self.args.seed, WEIGHTS])
            elif name == "trial":
                options["trial"] = trial
            elif parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                values.append(trial)
        return self.model_init(*values, **options)

    def add_callback(self, callback) -> None:
        """One more callback, or a class to make it of."""
        self.callback_handler.add_callback(callback)

    def pop_callback(self, callback):
        """Take out a callback (or the first of a class), and return it."""
        return self.callback_handler.pop_callback(callback)

    def remove_callback(self, callback) -> None:
        """Take out a callback (or the first of a class)."""
        self.callback_handler.pop_callback(callback)

    @property
    def log_history(self) -> list[dict]:
        """Every log with its step and epoch."""
        return self.state.log_history

    def _make_label_smoother(self):
        """A loss with smoothed labels in place of the model's own."""
        if not self.args.label_smoothing_factor:
            return None
        loss = CrossEntropyLoss(label_smoothing=self.args.label_smoothing_factor)
        if isinstance(getattr(self.model, "loss", None), NextTokenLoss):
            shifted = NextTokenLoss()
            shifted.cross_entropy = loss
            return shifted
        return loss

    def _event(self, name: str, **more) -> None:
        self.control = self.callback_handler.call_event(name, self.args, self.state, self.control, **more)

"""Settings of TrainingArguments that belong together, set in one call, with the original's method names."""

from __future__ import annotations

import copy


class ArgumentSetters:
    """Methods `set_...` of TrainingArguments. Each returns the arguments, so that calls can be chained:

    args = TrainingArguments("out").set_training(learning_rate=1e-4, batch_size=16).set_save("epoch")

    What a call does not name goes back to its default.
    """

    def set_training(
        self,
        learning_rate: float = 5e-5,
        batch_size: int = 8,
        weight_decay: float = 0,
        num_epochs: float = 3,
        max_steps: int = -1,
        gradient_accumulation_steps: int = 1,
        seed: int = 42,
        gradient_checkpointing: bool = False,
    ):
        """What most runs set. Also sets `do_train`."""
        return self._set(
            do_train=True, learning_rate=learning_rate, per_device_train_batch_size=batch_size,
            weight_decay=weight_decay, num_train_epochs=num_epochs, max_steps=max_steps, seed=seed,
            gradient_accumulation_steps=gradient_accumulation_steps, gradient_checkpointing=gradient_checkpointing,
        )  # fmt: skip

    def set_evaluate(
        self,
        strategy: str = "no",
        steps: float = 500,
        batch_size: int = 8,
        accumulation_steps: int | None = None,
        delay: float | None = None,
        loss_only: bool = False,
    ):
        """When and how to evaluate. Also sets `do_eval`, unless the strategy is "no"."""
        return self._set(
            evaluation_strategy=strategy, do_eval=getattr(strategy, "value", strategy) != "no", eval_steps=steps,
            per_device_eval_batch_size=batch_size, eval_accumulation_steps=accumulation_steps,
            eval_delay=0 if delay is None else delay, prediction_loss_only=loss_only,
        )  # fmt: skip

    def set_testing(self, batch_size: int = 8, loss_only: bool = False):
        """How to predict. Also sets `do_predict`."""
        return self._set(do_predict=True, per_device_eval_batch_size=batch_size, prediction_loss_only=loss_only)

    def set_save(self, strategy: str = "steps", steps: float = 500, total_limit: int | None = None):
        """When to write checkpoints, and how many to keep."""
        return self._set(save_strategy=strategy, save_steps=steps, save_total_limit=total_limit)

    def set_logging(
        self, strategy: str = "steps", steps: float = 500, level: str = "passive", first_step: bool = False, **more
    ):
        """When to log, and what to print. `report_to` says where else the logs go."""
        return self._set(
            logging_strategy=strategy, logging_steps=steps, log_level=level, logging_first_step=first_step, **more
        )

    def set_optimizer(
        self,
        name: str = "adamw_torch",
        learning_rate: float = 5e-5,
        weight_decay: float = 0,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        args: str | None = None,
    ):
        """The optimizer and its settings."""
        return self._set(
            optim=name, learning_rate=learning_rate, weight_decay=weight_decay, adam_beta1=beta1, adam_beta2=beta2,
            adam_epsilon=epsilon, optim_args=args,
        )  # fmt: skip

    def set_lr_scheduler(
        self,
        name: str = "linear",
        num_epochs: float = 3.0,
        max_steps: int = -1,
        warmup_ratio: float = 0,
        warmup_steps: int = 0,
    ):
        """The schedule of the learning rate, and what its shape depends on."""
        return self._set(
            lr_scheduler_type=name, num_train_epochs=num_epochs, max_steps=max_steps, warmup_ratio=warmup_ratio,
            warmup_steps=warmup_steps,
        )  # fmt: skip

    def set_dataloader(
        self,
        train_batch_size: int = 8,
        eval_batch_size: int = 8,
        drop_last: bool = False,
        num_workers: int = 0,
        auto_find_batch_size: bool = False,
        ignore_data_skip: bool = False,
        sampler_seed: int | None = None,
    ):
        """How batches are made."""
        return self._set(
            per_device_train_batch_size=train_batch_size, per_device_eval_batch_size=eval_batch_size,
            dataloader_drop_last=drop_last, dataloader_num_workers=num_workers, data_seed=sampler_seed,
            auto_find_batch_size=auto_find_batch_size, ignore_data_skip=ignore_data_skip,
        )  # fmt: skip

    def _set(self, **values):
        changed = copy.copy(self)
        vars(changed).update(values)
        changed._check_strategies()
        changed._check_numbers()
        vars(self).update(vars(changed))  # only now: a value that makes no sense changes nothing
        return self

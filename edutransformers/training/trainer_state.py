"""Where a training run stands (TrainerState, in trainer_state.json), and what it should do next (TrainerControl)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from .distributed import communicator


@dataclass
class TrainerState:
    """The progress of a run. `log_history` holds every log with its step: the loss curve."""

    epoch: float | None = None  # None before training
    global_step: int = 0  # weight changes made
    max_steps: int = 0  # weight changes planned
    logging_steps: int = 500
    eval_steps: int = 500
    save_steps: int = 500
    num_train_epochs: int = 0
    total_flos: float = 0  # floating-point operations done so far, estimated
    log_history: list[dict] = field(default_factory=list)
    best_metric: float | None = None
    best_model_checkpoint: str | None = None
    is_local_process_zero: bool = field(default_factory=lambda: communicator().local_rank == 0)
    is_world_process_zero: bool = field(default_factory=lambda: communicator().rank == 0)
    is_hyper_param_search: bool = False
    trial_name: str | None = None  # in a hyperparameter search, the folder of this trial's checkpoints and logs
    trial_params: dict | None = None  # and its hyperparameters
    stateful_callbacks: dict[str, dict] = field(default_factory=dict)  # class name -> what it remembers

    def to_dict(self) -> dict:
        return dict(sorted(asdict(self).items()))

    def save_to_json(self, path) -> None:
        Path(path).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load_from_json(cls, path) -> TrainerState:
        """Fields that only other versions know are left out, and which process wrote it."""
        known = {f.name for f in fields(cls) if not f.name.endswith("_process_zero")}
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(**{name: value for name, value in values.items() if name in known})


@dataclass
class TrainerControl:
    """Switches that callbacks may set. The Trainer looks at them after each step and each epoch, and resets them."""

    should_training_stop: bool = False
    should_epoch_stop: bool = False
    should_save: bool = False
    should_evaluate: bool = False
    should_log: bool = False

    def new_step(self) -> None:
        self.should_save = self.should_evaluate = self.should_log = False

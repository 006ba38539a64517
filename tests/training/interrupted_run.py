"""A run with everything random in it, as a program that is stopped at a chosen place: `... FOLDER WHERE`.

Dropout, shuffling, accumulation over an epoch's end, random masks of the collator, global random numbers in the data
set, warm-up and cosine, decay, evaluation. tests/training/test_interruption.py starts it.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from edutransformers import BertForMaskedLM, BertTokenizer
from edutransformers.training import DataCollatorForLanguageModeling, Trainer, TrainerCallback, checkpointing
from tests.training.toy import toy_data, toy_model, toy_trainer

TOKENIZER = BertTokenizer(vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{n}" for n in range(45))])
ARGUMENTS = {
    "learning_rate": 1e-2, "weight_decay": 0.1, "warmup_steps": 2, "lr_scheduler_type": "cosine",
    "num_train_epochs": 4, "gradient_accumulation_steps": 2, "logging_strategy": "steps", "logging_steps": 1,
    "save_strategy": "steps", "save_steps": 3, "evaluation_strategy": "steps", "eval_steps": 3,
    "per_device_eval_batch_size": 4,
}  # fmt: skip


class Augmented(list):
    """Ids that change with NumPy's global generator."""

    def __getitem__(self, index):
        ids = super().__getitem__(index)["input_ids"]
        return {"input_ids": ids - np.random.randint(0, 3)}  # noqa: NPY002


class Recorded(Trainer):
    """The loss of each batch, with all digits."""

    def compute_loss(self, model, inputs):
        loss, outputs, cache = super().compute_loss(model, inputs)
        self.losses = [*getattr(self, "losses", []), float(loss)]
        return loss, outputs, cache


def make_trainer(folder, callbacks=(), seed=0, **arguments):
    return toy_trainer(
        folder,
        BertForMaskedLM(toy_model().config, generator=np.random.default_rng(seed)),
        train=Augmented(toy_data(20)),
        test=Augmented(toy_data(10, seed=1)),
        trainer_class=Recorded,
        data_collator=DataCollatorForLanguageModeling(TOKENIZER, seed=4, mlm_probability=0.5),
        callbacks=callbacks,
        arguments={**ARGUMENTS, **arguments},
    )


class Signal(TrainerCallback):
    """Sends signals to its own process at an event after a number of steps."""

    def __init__(self, event, step, *signals):
        self.step, self.signals = step, signals
        setattr(self, event, self.send)

    def send(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            for number in self.signals:
                os.kill(os.getpid(), number)


def kill_while_replacing():
    """SIGKILL between the two renames by which a checkpoint takes the place of one of the same name."""
    rename = Path.rename

    def killed(self, target):
        if self.name.startswith(checkpointing.UNFINISHED) and list(self.parent.glob(f"{checkpointing.REPLACED}*")):
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

    Path.rename = killed


def kill_while_saving(step):
    """SIGKILL when the weights of checkpoint-<step> are written and nothing else of it is."""
    write_trees = checkpointing.write_trees

    def killed(folder, trees):
        write_trees(folder, trees)
        if str(folder).endswith(f"checkpoint-{step}"):
            os.kill(os.getpid(), signal.SIGKILL)

    checkpointing.write_trees = killed


def kill_while_deleting():
    """SIGKILL when an old checkpoint is half deleted."""
    rmtree = checkpointing.shutil.rmtree

    def killed(path, *args, **kwargs):
        if Path(path).name.endswith("checkpoint-3") and Path(path).exists():
            (Path(path) / "optimizer.safetensors").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return rmtree(path, *args, **kwargs)

    checkpointing.shutil.rmtree = killed


def main(folder, where):
    callbacks, more = [], {}
    if where == "kill in step 5":
        callbacks = [Signal("on_substep_end", 4, signal.SIGKILL)]
    if where == "term in step 5":
        callbacks = [Signal("on_step_begin", 4, signal.SIGTERM)]
    if where == "kill while saving 6":
        kill_while_saving(6)
    if where == "kill while replacing":
        make_trainer(folder).train()
        kill_while_replacing()
        more = {"overwrite_output_dir": True}
    if where == "kill while deleting":
        kill_while_deleting()
        more = {"save_total_limit": 1}
    make_trainer(folder, callbacks, **more).train()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

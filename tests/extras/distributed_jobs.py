"""What test_distributed.py launches: mpiexec -n 2 python -m tests.extras.distributed_jobs <job> <folder> [arguments].

Every rank writes what it got into the folder, as rank-<r>.npz or rank-<r>.json.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

from edutransformers import use_backend
from edutransformers.training import Accelerator, AdamW, DataLoader, TrainerCallback, get_scheduler, set_seed
from edutransformers.training.distributed import communicator
from tests import fakecupy, fakenccl
from tests.training import test_accelerator as accelerator_tests
from tests.training import test_nccl
from tests.training.toy import accuracy, toy_data, toy_model, toy_trainer, weights_of

CASES = {
    "plain": {"items": 24},
    "uneven": {"items": 23},
    "accumulated": {"items": 21, "gradient_accumulation_steps": 2},
    "tied": {
        "items": accelerator_tests.language_data(),
        "model": accelerator_tests.masked_language_model,
        "counted": lambda batch: int((batch["labels"] != -100).sum()),
    },
    "frozen": {"items": 20, "model": accelerator_tests.frozen_model},
}


def curves(folder):
    """All cases, one after the other, with batches of 12 items over all ranks."""
    rank, size = communicator().rank, communicator().size
    arrays = {}
    for name, case in CASES.items():
        steps = case.get("gradient_accumulation_steps", 1)
        losses, weights, _ = accelerator_tests.train(batch_size=12 // size // steps, **case)
        arrays[f"{name} losses"] = losses
        arrays.update((f"{name} {key}", value) for key, value in weights.items())
    np.savez(folder / f"rank-{rank}.npz", **arrays)


def unused(folder):
    """A layer that one rank does not use, and one that nobody uses."""
    weights = accelerator_tests.train_two_ways()
    np.savez(folder / f"rank-{communicator().rank}.npz", **weights)


def metrics(folder):
    """Predictions of 11 items gathered, and what only the main process writes."""
    accelerator = Accelerator()
    model, loader = accelerator.prepare(toy_model().eval(), DataLoader(toy_data(11), 3))
    gathered = []
    for batch in loader:
        gathered.append(accelerator.gather_for_metrics((model(**batch).logits, batch["labels"])))
    logits, labels = (np.concatenate(parts) for parts in zip(*gathered))
    accelerator.save_model(model, folder / "model")
    accelerator.print("printed once")
    accelerator.on_main_process(lambda: (folder / "main").touch(exist_ok=False))()
    np.savez(folder / f"rank-{accelerator.process_index}.npz", logits=logits, labels=labels)


def resume(folder, stop):
    """Three epochs with dropout and shuffling; killed after step `stop` (0: never), saved at every third step."""
    set_seed(11)
    accelerator = Accelerator(gradient_accumulation_steps=2)
    model = toy_model().train()
    optimizer = AdamW(model, lr=1e-2)
    schedule = get_scheduler("linear", optimizer, 2, 100)
    loader = DataLoader(toy_data(23), 2, shuffle=True)
    model, optimizer, loader, schedule = accelerator.prepare(model, optimizer, loader, schedule)
    progress = Progress()
    accelerator.register_for_checkpointing(progress)
    if (folder / "state").exists():
        accelerator.load_state(folder / "state")
    while progress.epoch < 3:
        for batch in loader:
            with accelerator.accumulate(model):
                out, cache = model.forward(**batch)
                accelerator.backward(model, {"loss": 1.0}, cache)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            progress.losses.append(float(out.loss))
            if accelerator.sync_gradients:
                progress.step += 1
                if progress.step % 3 == 0:
                    accelerator.save_state(folder / "state")
                if progress.step == int(stop) and accelerator.process_index == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
        progress.epoch += 1
    draws = np.array([model.generator.random(), np.random.random()])  # noqa: NPY002
    weights = {**weights_of(model), "draws": draws, "rate": schedule.get_last_lr(), "losses": progress.losses[-4:]}
    np.savez(folder / f"rank-{accelerator.process_index}.npz", **weights)


def nccl(folder):
    """The double of CuPy and NCCL under real ranks: MPI hands device arrays on to NCCL."""
    exchange = lambda value: communicator()._world.allgather(value)  # noqa: E731
    with fakecupy.installed(), fakenccl.installed(communicator().size, exchange), use_backend("cupy"):
        device, weights = test_nccl.train()
    np.savez(folder / f"rank-{communicator().rank}.npz", device=device, **weights)


def trainer(folder, *interrupted):
    """The Trainer with evaluation and checkpoints; with "interrupted", SIGTERM comes to rank 1 in the middle."""
    callbacks = [Terminate] if interrupted else []
    trainer = toy_trainer(
        folder, toy_model().astype("float64"), toy_data(22), toy_data(11, seed=1), compute_metrics=accuracy,
        arguments={**TRAINER_ARGUMENTS, "per_device_train_batch_size": 4 // communicator().size}, callbacks=callbacks,
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=any(folder.glob("checkpoint-*")))
    logs = [json.dumps({k: v for k, v in log.items() if k in LOGGED}) for log in trainer.log_history]
    np.savez(folder / f"rank-{communicator().rank}.npz", logs=logs, **weights_of(trainer.model))


TRAINER_ARGUMENTS = {
    "num_train_epochs": 2, "learning_rate": 1e-2, "logging_strategy": "steps", "logging_steps": 2,
    "evaluation_strategy": "epoch", "save_strategy": "epoch",
}  # fmt: skip
LOGGED = ("loss", "eval_loss", "eval_accuracy", "learning_rate", "epoch", "step")


class Terminate(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 7 and args.process_index == 1:
            os.kill(os.getpid(), signal.SIGTERM)


class Progress:
    """How far the loop is. What every rank must get back is the same on all of them but the losses: rank 0's."""

    def __init__(self):
        self.epoch, self.step, self.losses = 0, 0, []

    def state_dict(self):
        return {"epoch": self.epoch, "step": self.step}

    def load_state_dict(self, state):
        self.epoch, self.step = state["epoch"], state["step"]


def die(folder, how):
    """Rank 1 ends in the middle of a step; the others go on to the sum."""
    accelerator = Accelerator()
    model, loader = accelerator.prepare(toy_model(), DataLoader(toy_data(40), 2))
    for number, batch in enumerate(loader):
        _, cache = model.forward(**batch, generator=np.random.default_rng(0))
        if number == 3 and accelerator.process_index == 1:
            WAYS_TO_DIE[how]()
        accelerator.backward(model, {"loss": 1.0}, cache)
        model.zero_grad()
    (folder / f"finished-{accelerator.process_index}").touch()


def _raise():
    raise ZeroDivisionError("a slip of rank 1")


def _leave_without_a_word():
    raise SystemExit(0)


WAYS_TO_DIE = {
    "exception": _raise,
    "sys.exit": lambda: sys.exit(3),
    "SystemExit": _leave_without_a_word,
    "os._exit": lambda: os._exit(3),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "Ctrl-C": lambda: os.kill(os.getpid(), signal.SIGINT),
    "nothing": lambda: None,
}


def who(folder):
    at = communicator()
    (folder / f"rank-{at.rank}.json").write_text(
        json.dumps([at.rank, at.size, at.local_rank, at.local_size, "mpi4py" in sys.modules])
    )


if __name__ == "__main__":
    job, folder, *arguments = sys.argv[1:]
    globals()[job](Path(folder), *arguments)

"""Checkpoints of a training run: a folder checkpoint-<step> from which training goes on as if it had never stopped.

    model.safetensors, config.json, the tokenizer's files     what save_pretrained writes: load it like any model
    optimizer.safetensors                                     the optimizer's states, and gradients not yet used
    scheduler.json, rng_state.json, trainer_state.json        schedule; random generators and place in the data; logs
    training_args.json                                        for people to look up

A checkpoint is written into a folder with another name and renamed when it is whole.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np

from ..backend import as_array_like
from ..checkpoints import read_checkpoint
from ..checkpoints.safetensors_file import write_safetensors
from ..checkpoints.write import write_files
from ..logging import get_logger
from ..module import Module
from .state_file import read_tree, write_tree

logger = get_logger(__name__)

PREFIX = "checkpoint"
UNFINISHED, REPLACED = ".unfinished-", ".replaced-"
OPTIMIZER, SCHEDULER = "optimizer.safetensors", "scheduler.json"
RANDOM, STATE, ARGUMENTS = "rng_state.json", "trainer_state.json", "training_args.json"


def checkpoints_in(folder) -> list[Path]:
    """The checkpoints of a folder, by step."""
    folder = Path(folder)
    found = [p for p in folder.glob(f"{PREFIX}-*") if re.fullmatch(rf"{PREFIX}-\d+", p.name) and p.is_dir()]
    return sorted(found, key=step_of)


def step_of(checkpoint) -> int:
    return int(Path(checkpoint).name.rsplit("-", 1)[1])


def get_last_checkpoint(folder) -> str | None:
    """The checkpoint with the highest step in a folder, or None."""
    found = checkpoints_in(folder) if Path(folder).is_dir() else []
    return str(found[-1]) if found else None


def tidy(folder) -> None:
    """What a killed run left half done: a checkpoint between two names gets its own back, the rest is deleted."""
    folder = Path(folder)
    for replaced in folder.glob(f"{REPLACED}{PREFIX}-*"):
        whole = folder / replaced.name.removeprefix(REPLACED)
        if not whole.exists():
            replaced.rename(whole)
    for left in [*folder.glob(f"{REPLACED}{PREFIX}-*"), *folder.glob(f"{UNFINISHED}{PREFIX}-*")]:
        shutil.rmtree(left)


def write_folder(folder: Path, write) -> None:
    """Call `write(path)` to fill a folder that appears as `folder` only when it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.parent / f"{UNFINISHED}{folder.name}"
    shutil.rmtree(unfinished, ignore_errors=True)  # left behind by a run that was killed
    unfinished.mkdir()
    try:
        write(unfinished)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    if not folder.exists():
        unfinished.rename(folder)
        return
    replaced = folder.parent / f"{REPLACED}{folder.name}"
    shutil.rmtree(replaced, ignore_errors=True)
    try:
        folder.rename(replaced)
        unfinished.rename(folder)
    except BaseException:
        if replaced.exists() and not folder.exists():
            replaced.rename(folder)
        raise
    shutil.rmtree(replaced)


def save_weights(model: Module, folder, as_safetensors: bool = True) -> None:
    """Through `save_pretrained` where the model has it; for a plain Module, model.safetensors alone."""
    if hasattr(model, "save_pretrained"):
        model.save_pretrained(folder, safe_serialization=as_safetensors)
        return
    write_files(folder, {"model.safetensors": lambda file: write_safetensors(file, model.state_dict())})


def load_weights(model: Module, folder) -> None:
    """The weights of a checkpoint into a model of the same build, in their places and in its own number type."""
    arrays = {name: np.asarray(tensor) for name, tensor in read_checkpoint(str(folder)).items()}
    not_saved = getattr(model, "_keys_to_ignore_on_save", None)
    model.load_state_dict(arrays, strict=not not_saved)


def optimizer_tree(optimizer, model: Module, with_gradients: bool) -> dict:
    """Optimizer states; with gradients too when a step is only partly accumulated (at an epoch's end)."""
    tree = {"optimizer": optimizer.state_dict(), "gradients": None}
    if with_gradients:
        tree["gradients"] = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return tree


def write_trees(folder, trees: dict) -> None:
    """{file name: value}: .json as text, .safetensors by `write_tree`. All of them are forced onto the disk."""

    def writer(name, value):
        if name.endswith(".json"):
            return lambda file: file.write((json.dumps(value, indent=2) + "\n").encode())
        return lambda file: write_tree(file, value)

    write_files(folder, {name: writer(name, value) for name, value in trees.items()})


def read_optimizer(path, optimizer, model: Module) -> None:
    tree = read_tree(path)
    optimizer.load_state_dict(tree["optimizer"])
    parameters = dict(model.named_parameters())
    for name, gradient in (tree["gradients"] or {}).items():
        parameters[name].grad = as_array_like(gradient, parameters[name].data)


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def check_resumable(folder) -> Path:
    """Is this a checkpoint of a training run? Says what is missing if not."""
    folder = Path(folder)
    missing = [name for name in (OPTIMIZER, SCHEDULER, RANDOM, STATE) if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"can't resume from {folder}: {missing[0]} is missing; expected a folder checkpoint-<step> "
            "that a Trainer wrote"
        )
    return folder


# Arguments whose change makes another run of it, and those that are taken from the checkpoint in any case.
OF_THE_RUN = (
    "per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs", "max_steps", "seed", "data_seed",
    "group_by_length", "dataloader_drop_last", "optim", "lr_scheduler_type", "warmup_steps", "warmup_ratio",
    "max_grad_norm", "label_smoothing_factor", "logging_steps", "eval_steps", "save_steps",
)  # fmt: skip
OF_THE_OPTIMIZER = ("learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon")


def warn_of_changes(folder: Path, args) -> None:
    """Say which arguments are not those that the checkpoint was written with."""
    if not (folder / ARGUMENTS).is_file():
        return
    before, now = read_json(folder / ARGUMENTS), args.to_dict()

    def changed(names):
        different = [name for name in names if name in before and before[name] != now[name]]
        return ", ".join(f"{name}={now[name]!r} (was {before[name]!r})" for name in different)

    if changed(OF_THE_RUN):
        logger.warning("%s goes on with %s: not as the uninterrupted run", folder.name, changed(OF_THE_RUN))
    if changed(OF_THE_OPTIMIZER):
        logger.warning("%s keeps its optimizer's settings, not %s", folder.name, changed(OF_THE_OPTIMIZER))


def delete_old_checkpoints(folder, limit: int | None, keep: list[str | None]) -> None:
    """Delete the oldest checkpoints so that `limit` remain. Those in `keep` (the best, the newest) always stay.

    Oldest by time, not by step: a folder may still hold a longer, earlier run.
    """
    if limit is None:
        return
    found = sorted(checkpoints_in(folder), key=lambda path: (path.stat().st_mtime_ns, step_of(path)))
    kept = {Path(path).resolve() for path in keep if path is not None}
    limit = max(limit, len(kept))
    for path in found:
        if len(found) <= limit:
            break
        if path.resolve() not in kept:
            logger.info("deleting %s, because save_total_limit is %d", path, limit)
            doomed = path.rename(path.with_name(f"{UNFINISHED}{path.name}"))  # killed in between, it is no checkpoint
            shutil.rmtree(doomed)
            found = [other for other in found if other != path]

"""The card of a trained model: README.md with what others need to know, filled in from the Trainer."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np

LEFT_TO_THE_AUTHOR = "More information needed"
SPEED = ("runtime", "per_second", "epoch", "step")


def model_card(
    trainer,
    language: str | None = None,
    license: str | None = None,
    tags: str | list[str] | None = None,
    model_name: str | None = None,
    finetuned_from: str | None = None,
    tasks: str | list[str] | None = None,
    dataset_tags: str | list[str] | None = None,
    dataset: str | list[str] | None = None,
    dataset_args: str | list[str] | None = None,
) -> str:
    """The card's text: what hubs read (between ---), the last evaluation, the settings, the evaluations in a table.

    All facts are optional: `finetuned_from` is the checkpoint's name that training began with, `dataset` names the data
    in words and `dataset_tags` on the hub, `dataset_args` is which part of it.
    """
    name = model_name or Path(trainer.args.output_dir).resolve().name
    logs = trainer.state.log_history
    evaluations = [log for log in logs if "eval_loss" in log]
    results = _results(evaluations[-1]) if evaluations else {}
    head = {
        "language": _as_list(language), "license": license, "base_model": finetuned_from,
        "library_name": "transformers", "tags": ["generated_from_trainer", *_as_list(tags)],
        "pipeline_tag": next(iter(_as_list(tasks)), None), "datasets": _as_list(dataset_tags),
    }  # fmt: skip
    start = f"a fine-tuned version of {finetuned_from}" if finetuned_from else "a model trained from scratch"
    data = ", ".join(_as_list(dataset) or _as_list(dataset_tags)) or "data that the card's author should name"
    parts = _as_list(dataset_args)
    lines = ["---", *_yaml(head), "---", "", f"# {name}", ""]
    lines += [f"This model is {start} on {data}{' (' + ', '.join(parts) + ')' if parts else ''}."]
    if results:
        lines += ["", "On the evaluation set it reaches:", "", *(f"- {k}: {_number(v)}" for k, v in results.items())]
    for title in ("Model description", "Intended uses and limitations", "Training and evaluation data"):
        lines += ["", f"## {title}", "", LEFT_TO_THE_AUTHOR]
    lines += ["", "## Training procedure", "", "### Hyperparameters", ""]
    lines += [f"- {key}: {value}" for key, value in _hyperparameters(trainer.args).items()]
    if evaluations:
        lines += ["", "### Results", "", *_table(logs)]
    lines += ["", "### Versions", "", *(f"- {package} {version}" for package, version in _versions().items()), ""]
    return "\n".join(lines)


def _hyperparameters(args) -> dict:
    """What another run would need to be the same; those at a setting's "off" are left out."""
    settings = {
        "learning_rate": args.learning_rate, "train_batch_size": args.train_batch_size,
        "eval_batch_size": args.eval_batch_size, "seed": args.seed,
    }  # fmt: skip
    if args.gradient_accumulation_steps > 1:
        settings["gradient_accumulation_steps"] = args.gradient_accumulation_steps
        settings["total_train_batch_size"] = args.train_batch_size * args.gradient_accumulation_steps
    settings["optimizer"] = getattr(args, "optim", "adamw_torch")
    if "adam" in settings["optimizer"]:
        settings["optimizer"] += f" with betas=({args.adam_beta1},{args.adam_beta2}) and epsilon={args.adam_epsilon}"
    settings["lr_scheduler_type"] = args.lr_scheduler_type
    for name in ("weight_decay", "warmup_ratio", "warmup_steps", "label_smoothing_factor"):
        if getattr(args, name):
            settings[name] = getattr(args, name)
    name, value = ("training_steps", args.max_steps) if args.max_steps > 0 else ("num_epochs", args.num_train_epochs)
    return {**settings, name: value}


def _results(log: dict) -> dict:
    """ "eval_accuracy" -> "Accuracy", the loss first; speed left out."""
    names = [name for name in log if name.startswith("eval_") and not name.endswith(SPEED)]
    names.sort(key=lambda name: name != "eval_loss")
    return {name.removeprefix("eval_").replace("_", " ").capitalize(): log[name] for name in names}


def _table(logs: list[dict]) -> list[str]:
    """One row an evaluation, with the training loss that was logged last before it."""
    rows, training_loss = [], "no log"
    for log in logs:
        training_loss = _number(log["loss"]) if "loss" in log else training_loss
        if "eval_loss" in log:
            results = _results(log)
            place = {"Epoch": _number(log.get("epoch", 0.0)), "Step": str(log["step"])}
            rows.append({"Training loss": training_loss, **place, "Validation loss": _number(results.pop("Loss"))})
            rows[-1].update((name, _number(value)) for name, value in results.items())
    columns = list(dict.fromkeys(name for row in rows for name in row))
    widths = [max(len(column), *(len(row.get(column, "")) for row in rows)) for column in columns]
    lines = [columns, [":" + "-" * (width - 2) + ":" for width in widths]]
    lines += [[row.get(column, "") for column in columns] for row in rows]
    return ["| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |" for cells in lines]


def _number(value) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _versions() -> dict[str, str]:
    from .. import __version__

    return {"edutransformers": __version__, "NumPy": np.__version__, "Python": platform.python_version()}


def _yaml(head: dict) -> list[str]:
    """Text and lists of text as YAML; words that could mean something else in YAML are put between quotes."""
    lines = []
    for name, value in head.items():
        if isinstance(value, list):
            lines += [f"{name}:", *(f"- {_word(word)}" for word in value)] if value else []
        elif value is not None:
            lines.append(f"{name}: {_word(value)}")
    return lines


def _word(text: str) -> str:
    plain = all(c.isalnum() or c in "-_./" for c in text) and text[:1].isalpha()
    return (
        text
        if plain and text.lower() not in ("no", "yes", "on", "off", "true", "false", "null", "y", "n")
        else json.dumps(text)
    )


def _as_list(value) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)

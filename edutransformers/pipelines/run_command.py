"""`edutransformers run "Once upon a time"`: a pipeline from the command line.

A text is written on, word by word as the model finds them; with `--task` any other pipeline reads it. A file that is a
picture or a sound goes to the pipeline for those.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .run_results import as_json, as_text

DESCRIPTION = """\
Run a model on a text, a picture or a sound. A text is continued, and printed as it is written; --task says what else to
do with it. Without a text, what comes in by a pipe is read."""
EXAMPLES = """\
examples:
  edutransformers run "Once upon a time" --temperature 0.7 --seed 1
  edutransformers run --task text-classification "A wonderful film."
  edutransformers run --task fill-mask --model bert-base-uncased "The capital of France is [MASK]."
  edutransformers run picture.png --json
  echo "This film" | edutransformers run --greedy"""
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".m4a")
NEW_TOKENS = 60  # unless --max-new-tokens says otherwise, or the model has no room for so many


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, without the list of all options before it."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def run(arguments: list[str]) -> int:
    """Run the command; returns the process's exit status."""
    from .base import PipelineException

    parser = _parser()
    options = parser.parse_args(arguments)
    _use_any_encoding()
    try:
        print_results(options, read_input(options.input, sys.stdin))
        return 0
    except BrokenPipeError:  # `edutransformers run ... | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print()  # behind the unfinished line
        return 130  # as shells say it of a program that Ctrl-C ended
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, PipelineException) as error:
        message = error.args[0] if isinstance(error, KeyError) else error
        print(f"{parser.prog}: {' '.join(str(message).split())}", file=sys.stderr)
        return 2


def read_input(given: str | None, pipe) -> str:
    """The text or the file's name that was given, or else what comes in by the pipe."""
    if given is None:
        if pipe.isatty():
            raise ValueError('there is no text: edutransformers run "Once upon a time"')
        try:
            return pipe.buffer.read().decode("utf-8").rstrip("\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"the text from the pipe is not UTF-8 ({error})") from None
    try:
        given.encode("utf-8")
    except UnicodeEncodeError as error:  # Python keeps bytes of the command line that are no UTF-8 as surrogates
        raise ValueError(f"the text is not UTF-8 at character {error.start}") from None
    return given


def task_of_file(name: str) -> str | None:
    """The task for a picture's or a sound's file name; None for a text."""
    ending = Path(name).suffix.lower() if len(name) < 1000 and "\n" not in name else ""
    if ending in (*PICTURES, *SOUNDS):
        if not Path(name).is_file():
            raise FileNotFoundError(f"there is no file {name!r}")
        return "image-classification" if ending in PICTURES else "automatic-speech-recognition"
    if ending and " " not in name and Path(name).is_file():
        raise ValueError(f"{name} is neither a picture nor a sound; for a text in it: edutransformers run < {name}")
    return None


def print_results(options: argparse.Namespace, given: str) -> None:
    """Load what is needed, run it, and print what comes back."""
    task = choose_task(options, given)
    arguments = generation_settings(options) if task == "text-generation" else reading_settings(options, task)
    pipe = load(task, options.model)
    if task == "text-generation":
        return _write(pipe, given, arguments, options)
    if task == "question-answering":
        result = pipe(question=given, context=options.context, **arguments)
    else:
        result = pipe(given, **arguments)
    print(as_json(result) if options.json else as_text(result), flush=True)
    return None


def choose_task(options: argparse.Namespace, given: str) -> str:
    """The task that is asked for, or else the one for such a file, or for such a model."""
    from .factory import infer_task
    from .registry import PIPELINE_REGISTRY

    task = task_of_file(given) if options.task is None else options.task
    if task is None:
        task = "text-generation" if options.model is None else infer_task(options.model)
    return PIPELINE_REGISTRY.check_task(task)[0]


def load(task: str, model: str | None):
    from .factory import pipeline
    from .registry import PIPELINE_REGISTRY

    if model is None and PIPELINE_REGISTRY.tasks[task].default is None:
        raise ValueError(f"no checkpoint for {task} comes with edutransformers: name one with --model")
    return pipeline(task, model=model)


def _write(pipe, prompt: str, settings: dict, options: argparse.Namespace) -> None:
    """Text generation: to the terminal as it is written; as JSON, or with beams, when it is done."""
    if options.max_new_tokens is None:
        positions = getattr(pipe.model.config, "max_position_embeddings", math.inf)
        room = positions - len(pipe.tokenizer(prompt, verbose=False)["input_ids"])
        settings["max_new_tokens"] = max(1, min(NEW_TOKENS, room))
    streams = not options.json and options.num_beams is None
    if streams:
        from ..generation import TextStreamer

        settings["streamer"] = TextStreamer(pipe.tokenizer, skip_special_tokens=True)
    result = pipe(prompt, generator=np.random.default_rng(options.seed), **settings)
    if not streams:
        print(as_json(result) if options.json else result[0]["generated_text"], flush=True)


def generation_settings(options: argparse.Namespace) -> dict:
    """What `generate` is told. Odds mean sampling; without any, the checkpoint's own settings count."""
    if options.context is not None:
        raise ValueError("--context is for question-answering, not for text-generation")
    odds = [name for name in ("temperature", "top_k", "top_p", "seed") if getattr(options, name) is not None]
    plain = "--greedy" if options.greedy else "--num-beams" if options.num_beams is not None else None
    if plain and odds:
        raise ValueError(f"{plain} draws nothing at random, so {_flag(odds[0])} has no meaning with it")
    if options.greedy and options.num_beams is not None:
        raise ValueError("--greedy follows one text and --num-beams several: give only one of them")
    names = ("max_new_tokens", "temperature", "top_k", "top_p", "num_beams", "repetition_penalty")
    settings = {name: value for name in names if (value := getattr(options, name)) is not None}
    if plain:  # the checkpoint's own odds are for sampling
        settings |= {"do_sample": False, "temperature": 1.0, "top_k": 50, "top_p": 1.0}
    elif odds:
        settings["do_sample"] = True
    return settings


def reading_settings(options: argparse.Namespace, task: str) -> dict:
    """What any other pipeline is told. Raises ValueError for options that only mean something elsewhere."""
    for name in ("max_new_tokens", "temperature", "top_p", "seed", "greedy", "num_beams", "repetition_penalty"):
        if getattr(options, name) not in (None, False):
            raise ValueError(f"{_flag(name)} is for text-generation, not for {task}")
    if task == "question-answering" and options.context is None:
        raise ValueError("a question needs a text that has the answer: --context TEXT")
    if task != "question-answering" and options.context is not None:
        raise ValueError(f"--context is for question-answering, not for {task}")
    settings = {} if options.top_k is None else {"top_k": options.top_k}
    if task == "token-classification":
        settings["aggregation_strategy"] = "simple"  # words, not their pieces
    return settings


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _parser() -> argparse.ArgumentParser:
    from .registry import get_supported_tasks

    parser = OneLineParser(
        prog="edutransformers run",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", nargs="?", metavar="TEXT", help="a text, or the file of a picture or a sound")
    parser.add_argument("--task", metavar="TASK", help=f"one of {', '.join(get_supported_tasks())}")
    parser.add_argument(
        "--model", metavar="NAME", help="a folder, or a checkpoint's name (default: the one that ships)"
    )
    parser.add_argument("--json", action="store_true", help="print the pipeline's result as JSON")
    parser.add_argument("--context", metavar="TEXT", help="question-answering: the text that has the answer")
    parser.add_argument("--top-k", type=_whole, metavar="N", help="draw from the N likeliest tokens; how many labels")
    writing = parser.add_argument_group("how a text is written")
    writing.add_argument("--max-new-tokens", type=_whole, metavar="N", help=f"so many at most (default: {NEW_TOKENS})")
    writing.add_argument("--temperature", type=_above(0), metavar="X", help="below 1: likelier words, above 1: wilder")
    writing.add_argument("--top-p", type=_share, metavar="P", help="draw from the likeliest tokens that make up P")
    writing.add_argument("--seed", type=_seed, metavar="N", help="the same number gives the same text")
    writing.add_argument("--greedy", action="store_true", help="always the likeliest token")
    writing.add_argument("--num-beams", type=_whole, metavar="N", help="follow N texts at once, print the best one")
    writing.add_argument("--repetition-penalty", type=_above(0), metavar="X", help="above 1: fewer repeats")
    return parser


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 1 or more")
    return int(text)


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 0 or more")
    return int(text)


def _above(limit: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = _float(text)
        if not (limit < value < math.inf):
            raise argparse.ArgumentTypeError(f"{text!r} must be a number above {limit}")
        return value

    return number


def _share(text: str) -> float:
    value = _float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be above 0, and 1 at most")
    return value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _use_any_encoding() -> None:
    """Print "?" for what the terminal's encoding lacks, instead of ending in the middle of a text."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")

"""The command line: `edutransformers tour`, `lessons`, `run`, `train`, `tokenize` and `bench`."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

# Commands that read their own arguments, and where they are: imported when they are called.
OWN_PARSERS = {
    "train": (".training.recipes.command", "train"),
    "run": (".pipelines.run_command", "run"),
    "tokenize": (".teaching.tokens_command", "tokenize"),
    "lessons": (".teaching.lessons_command", "lessons"),
}


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in OWN_PARSERS:
        module, function = OWN_PARSERS[arguments[0]]
        return getattr(import_module(module, __package__), function)(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="edutransformers",
        description="Transformers from scratch in plain NumPy and CuPy: every backward pass written by hand.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    tour = commands.add_parser("tour", help="see what there is, in about a minute: makes a page with pictures")
    tour.add_argument("--output", default="tour", help="the folder for the page and its pictures (default: ./tour)")

    commands.add_parser("lessons", help="list the lessons and your progress, or open one in Jupyter", add_help=False)
    commands.add_parser("run", help="write a text on, or run any other pipeline on a text or a file", add_help=False)
    commands.add_parser("train", help="fine-tune a model on your texts, or train a new one", add_help=False)
    commands.add_parser("tokenize", help="show how a model's tokenizer sees a text, in colours", add_help=False)

    bench = commands.add_parser("bench", help="measure speed and memory against transformers + torch")
    bench.add_argument("workload", nargs="?", help="which workload (default: list them)")
    bench.add_argument("options", nargs=argparse.REMAINDER, help="passed on to the workload's script")

    parsed = parser.parse_args(arguments)
    if parsed.command == "tour":
        from .teaching.tour import tour as run_tour

        return run_tour(parsed.output)
    if parsed.command == "bench":
        return _bench(parsed.workload, parsed.options)
    parser.print_help()
    return 2


def _bench(workload: str | None, options: list[str]) -> int:
    """Run a script of the folder benchmarks/, which is part of the source checkout, not of the installed package."""
    import subprocess
    from pathlib import Path

    folder = Path(__file__).resolve().parent.parent / "benchmarks"
    names = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    if not names:
        print(
            "the benchmarks are in the source checkout: clone the repository and run this from there", file=sys.stderr
        )
        return 2
    if workload not in names:
        if workload is not None:
            print(f"unknown workload {workload!r}", file=sys.stderr)
        print("workloads: " + ", ".join(names))
        return 0 if workload is None else 2
    return subprocess.run([sys.executable, str(folder / f"{workload}.py"), *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

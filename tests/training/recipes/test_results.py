"""docs/training/fine_tuning.md prints the numbers and commands of the runs whose results lie beside it."""

import json
import re
from pathlib import Path

import pytest

from edutransformers.training.recipes.command import parse

DOCS = Path(__file__).resolve().parents[3] / "docs" / "training"
PAGE = (DOCS / "fine_tuning.md").read_text(encoding="utf-8")
RESULTS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (DOCS / "results").glob("*.json")}


def row(title, *cells):
    return f"| {title} | " + " | ".join(cells) + " |"


def test_the_table():
    runs = [RESULTS[name] for name in ("sentiment", "entities", "masked_language_model")]
    s, n, m = runs
    minutes = lambda name: [f"{run[name] / 60:.0f} minutes" for run in runs]  # noqa: E731
    rows = [
        row("held out", *(f"{r['eval_samples']:,} {what}" for r, what in zip(runs, ("reviews", "tweets", "blocks")))),
        row(
            "**result**", f"**{s['eval_accuracy']:.1%} right**", f"**entity F1 {n['eval_f1']:.2f}**",
            f"**perplexity {m['eval_perplexity']:.1f}**",
        ),
        row(
            "to compare with", f"{s['eval_baseline_accuracy']:.1%} for always the same answer",
            f"{n['eval_baseline_f1']:.2f} for a table of words", f"{m['eval_perplexity_before']:,.0f} before",
        ),
        row("training, processor time", *minutes("train_processor_seconds")),
        row("training, by the clock", *minutes("train_seconds")),
    ]  # fmt: skip
    for expected in rows:
        assert expected in PAGE
    assert f"{s['train_samples']:,} film reviews" in PAGE
    assert f"{n['train_samples']:,} tweets" in PAGE
    assert f"{m['train_samples']:,} blocks of" in PAGE


def test_what_the_issue_asked_for():
    assert RESULTS["sentiment"]["eval_samples"] == 5000
    assert RESULTS["sentiment"]["eval_accuracy"] >= 0.88


def test_kinds_of_entities():
    text = " ".join(PAGE.split())
    for name, value in RESULTS["entities"].items():
        if name.startswith("eval_f1_"):
            assert f"{name.removeprefix('eval_f1_')} {value:.2f}" in text


@pytest.mark.parametrize("name", RESULTS)
def test_the_command(name):
    """It stands on the page, and is one that the command line understands."""
    command = RESULTS[name]["command"]
    assert command in re.sub(r"\s*\\\n\s*", " ", PAGE)
    task, model, data, training = parse(command.split()[2:])
    assert task == RESULTS[name]["task"]
    assert training.output_dir == name

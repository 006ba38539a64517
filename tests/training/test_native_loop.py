"""The example that writes a training loop out: it runs, learns, and saves a model."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from edutransformers import AutoModelForSequenceClassification, pipeline
from edutransformers.teaching.docstrings import docstring_sentences

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "native_loop.py"


@pytest.fixture(scope="module")
def sentences():
    return docstring_sentences()


@pytest.fixture
def main(sentences, monkeypatch):
    """The script's function; the standard library's files are read once for all tests."""
    monkeypatch.setattr("edutransformers.teaching.docstrings.docstring_sentences", lambda: sentences)
    return runpy.run_path(str(SCRIPT))["main"]


def test_it_runs(main, tmp_path, capsys):
    right = main(["--limit", "96", "--epochs", "2", "--output", str(tmp_path)])
    assert 0.1 < right <= 1
    printed = capsys.readouterr()
    assert "epoch 2: training loss 1.3" in printed.out + printed.err
    rows = [line for line in printed.out.splitlines() if line.startswith(("  net", "  math", "  files", "  conc"))]
    assert sum(int(number) for row in rows for number in row.split()[1:]) == 96
    classify = pipeline("text-classification", model=str(tmp_path))
    assert classify("the greatest common divisor")[0]["label"] in {row.split()[0] for row in rows}


def test_on_the_device(main, tmp_path, fake_cupy):
    """`--device cuda` is the only difference, and it gives the same weights."""
    weights = []
    for device in ("cpu", "cuda"):
        main(["--limit", "16", "--epochs", "1", "--device", device, "--output", str(tmp_path / device)])
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / device)
        weights.append(dict(model.named_parameters())["classifier.weight"].data)
    np.testing.assert_allclose(*weights, atol=1e-4)

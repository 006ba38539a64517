"""Writes metrics.json beside this file: what scikit-learn, SciPy and seqeval make of random labels and predictions.

pip install scikit-learn scipy seqeval && python tests/training/make_metric_fixtures.py
"""

import json
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import pearsonr, spearmanr
from seqeval.metrics import classification_report
from sklearn import metrics

KINDS = ("person", "geo-loc", "other")


def classes(rng, count: int, size: int) -> dict:
    labels = rng.integers(0, count, size)
    guesses = np.where(rng.random(size) < 0.5, labels, rng.integers(0, count, size))
    expected = {
        "accuracy": metrics.accuracy_score(labels, guesses),
        "matthews": metrics.matthews_corrcoef(labels, guesses),
    }
    for average in ("binary", "micro", "macro"):
        if average == "binary" and count > 2:
            continue
        scores = metrics.precision_recall_fscore_support(labels, guesses, average=average, zero_division=0)
        expected[average] = [float(score) for score in scores[:3]]
    return {"labels": labels.tolist(), "predictions": guesses.tolist(), "expected": expected}


def numbers(rng, size: int, steps: int) -> dict:
    x = np.round(rng.normal(size=size) * steps)  # few steps: many equal values
    y = np.round((x / steps + rng.normal(size=size)) * steps)
    expected = {"pearson": float(pearsonr(x, y)[0]), "spearman": float(spearmanr(x, y)[0])}
    return {"labels": x.tolist(), "predictions": y.tolist(), "expected": expected}


def tags(rng, size: int) -> list[str]:
    """Any order of B-, I- and O, such as a model writes them: an I- may follow nothing, or another kind."""
    choices = ["O", "O", *(f"{prefix}-{kind}" for prefix in "BI" for kind in KINDS)]
    return [str(rng.choice(choices)) for _ in range(size)]


def entities(rng, texts: int) -> dict:
    labels = [tags(rng, int(rng.integers(1, 9))) for _ in range(texts)]
    guesses = [[tag if rng.random() < 0.7 else tags(rng, 1)[0] for tag in row] for row in labels]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a kind that nobody predicted
        report = classification_report(labels, guesses, output_dict=True, zero_division=0)
    names = {"micro avg": "all"} | {kind: kind for kind in KINDS}
    expected = {
        names[name]: [float(row[score]) for score in ("precision", "recall", "f1-score")]
        for name, row in report.items()
        if name in names
    }
    return {"labels": labels, "predictions": guesses, "expected": expected}


def main():
    rng = np.random.default_rng(5)
    cases = {
        "classes": [classes(rng, count, size) for count, size in ((2, 40), (2, 3), (4, 60), (9, 12))],
        "numbers": [numbers(rng, 25, steps) for steps in (2, 1000)],
        "entities": [entities(rng, texts) for texts in (1, 3, 40)],
    }
    Path(__file__).with_name("metrics.json").write_text(json.dumps(cases) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

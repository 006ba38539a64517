"""Ask the original for its numbers once, and keep them small, so that the default test run needs no torch.

    PYTHONPATH=. python -m tests.reference.make_fixtures      in an environment with transformers 5.x, then
    PYTHONPATH=. python -m tests.reference.make_fixtures      in one with transformers 4.34.1 (what 5.x dropped)

Names of architectures as arguments (bert, gpt2, …) make theirs alone. Each case becomes
tests/fixtures/models/<architecture>_<case>.json: fingerprints (norm and random projections) of every output, of every
parameter's gradient and of every float input's gradient; once from the loss, once from random gradients for all other
outputs. Weights and inputs are not stored: they follow from their names (tests/models/seeded.py).
"""

from __future__ import annotations

import json
import sys

from tests.models import bert_cases, gpt2_cases, vit_cases, wav2vec2_cases
from tests.models.cases import FIXTURES
from tests.models.proof import fingerprints
from tests.models.seeded import seeded_normal

from .common import MAJOR, in_float64, original_of, run_original, torch, transformers

ARCHITECTURES = {"bert": bert_cases, "gpt2": gpt2_cases, "vit": vit_cases, "wav2vec2": wav2vec2_cases}
DIGITS = 12  # significant ones


def fixture_of(cases, name: str) -> dict:
    case = cases.STORED[name]
    theirs, batch = original_of(cases.model_of(case)), cases.batch_of(case)
    with in_float64():
        results = {run: run_original(theirs, batch, names) for run, names in cases.stored_runs(name).items()}
    return {
        "case": name,
        "made_with": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "seeded_normal": [float(x) for x in seeded_normal("does this NumPy draw the same numbers?", 3)],
        "runs": {run: fingerprints(result) for run, result in results.items()},
    }


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(x) for key, x in value.items()}
    if isinstance(value, list):
        return [rounded(x) for x in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def as_text(fixture: dict) -> str:
    """JSON with one array a line, so that a difference between two versions can be read."""
    text = json.dumps(rounded(fixture), indent=1)
    lines, inside = [], False
    for line in text.split("\n"):
        lines[-1:] = [lines[-1] + line.strip() + (" " if line.endswith(",") else "")] if inside else [*lines[-1:], line]
        inside = line.endswith("[") or (inside and not line.strip().startswith("]"))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def main() -> None:
    for architecture in sys.argv[1:] or ARCHITECTURES:
        cases = ARCHITECTURES[architecture]
        for name in cases.STORED:
            if (name in cases.LEGACY) == (MAJOR >= 5):
                continue
            path = FIXTURES / f"{architecture}_{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(as_text(fixture_of(cases, name)), encoding="utf-8")
            print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

"""ViT against the original's numbers, kept in small files: the reference tests' proof, with no torch."""

import json

import pytest

from .cases import FIXTURES
from .proof import assert_fingerprints, run_model
from .vit_cases import STORED, batch_of, model_of, stored_runs


def fixture(name: str) -> dict:
    return json.loads((FIXTURES / f"vit_{name}.json").read_text(encoding="utf-8"))


def test_every_case_has_its_file():
    assert {path.stem for path in FIXTURES.glob("vit_*.json")} == {f"vit_{name}" for name in STORED}


@pytest.mark.parametrize("name", STORED)
def test_outputs_and_gradients(name):
    runs = fixture(name)["runs"]
    assert runs.keys() == stored_runs(name).keys()
    for kind, expected in runs.items():
        result = run_model(model_of(STORED[name]), batch_of(STORED[name]), stored_runs(name)[kind])
        assert_fingerprints(result, expected)


def test_one_wrong_number_is_found():
    expected = fixture("masked_image")["runs"]["loss"]
    result = run_model(model_of(STORED["masked_image"]), batch_of(STORED["masked_image"]), ("loss",))
    result.input_gradients["pixel_values"][3, 1, 7, 5] += 1e-5
    with pytest.raises(AssertionError, match="pixel_values: differs"):
        assert_fingerprints(result, expected)

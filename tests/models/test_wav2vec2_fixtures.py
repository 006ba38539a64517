"""Wav2Vec2 against the original's numbers, kept in small files: the reference tests' proof, with no torch."""

import json

import pytest

from .cases import FIXTURES
from .proof import assert_fingerprints, run_model
from .wav2vec2_cases import STORED, batch_of, model_of, stored_runs


def fixture(name: str) -> dict:
    return json.loads((FIXTURES / f"wav2vec2_{name}.json").read_text(encoding="utf-8"))


def test_every_case_has_its_file():
    assert {path.stem for path in FIXTURES.glob("wav2vec2_*.json")} == {f"wav2vec2_{name}" for name in STORED}


@pytest.mark.parametrize("name", STORED)
def test_outputs_and_gradients(name):
    runs = fixture(name)["runs"]
    assert runs.keys() == stored_runs(name).keys()
    for kind, expected in runs.items():
        result = run_model(model_of(STORED[name]), batch_of(STORED[name]), stored_runs(name)[kind])
        assert_fingerprints(result, expected)


def test_one_wrong_number_is_found():
    expected = fixture("ctc")["runs"]["loss"]
    result = run_model(model_of(STORED["ctc"]), batch_of(STORED["ctc"]), ("loss",))
    result.gradients["wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original1"][3, 4, 2] += 1e-5
    with pytest.raises(AssertionError, match="original1: differs"):
        assert_fingerprints(result, expected)

"""The comparison with stored numbers (test_fixtures.py) can fail: shown for every gradient of one BERT."""

import numpy as np
import pytest

from .bert_cases import STORED, batch_of, model_of, stored_runs
from .cases import stored_numbers
from .proof import assert_fingerprints, run_model
from .seeded import seeded_normal


def fixture(name: str) -> dict:
    return stored_numbers("bert", name)


def run(name: str, kind: str):
    return run_model(model_of(STORED[name]), batch_of(STORED[name]), stored_runs(name)[kind])


def test_seeded_numbers_are_those_of_the_fixtures():
    stored = fixture("model")["seeded_normal"]
    drawn = seeded_normal("does this NumPy draw the same numbers?", 3)
    np.testing.assert_allclose(drawn, stored, rtol=1e-11, err_msg="this NumPy draws other numbers from a seed")


@pytest.mark.parametrize("kind", ["loss", "random"])
def test_one_wrong_number_in_any_gradient_is_found(kind):
    expected = fixture("pretraining")["runs"][kind]
    result = run("pretraining", kind)
    assert len(result.gradients) == len(expected["gradients"]) > 30
    of_all = np.sqrt(sum(values[0] ** 2 for values in expected["gradients"].values()))
    for name, gradient in result.gradients.items():
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        before = gradient[place]
        gradient[place] += 1e-6 * max(np.linalg.norm(gradient), 1e-6 * of_all)
        with pytest.raises(AssertionError, match=f"gradients {name}: differs"):
            assert_fingerprints(result, expected)
        gradient[place] = before
    assert_fingerprints(result, expected)


@pytest.mark.parametrize("output", ["loss", "prediction_logits", "hidden_states.0", "attentions.1"])
def test_one_wrong_number_in_an_output_is_found(output):
    expected = fixture("pretraining")["runs"]["loss"]
    result = run("pretraining", "loss")
    wrong = np.array(result.outputs[output])
    wrong.reshape(-1)[-1] += 1e-6
    result.outputs[output] = wrong
    with pytest.raises(AssertionError, match=f"outputs {output}: differs"):
        assert_fingerprints(result, expected)


def test_swapped_and_missing_gradients_are_found():
    expected = fixture("pretraining")["runs"]["loss"]
    result = run("pretraining", "loss")
    gradients = result.gradients
    layer = "bert.encoder.layer.{}.attention.self.query.weight"
    a, b = layer.format(0), layer.format(1)
    gradients[a], gradients[b] = gradients[b], gradients[a]
    with pytest.raises(AssertionError, match="differs"):
        assert_fingerprints(result, expected)
    gradients[a], gradients[b] = gradients[b].T, gradients[a]  # right place, transposed
    with pytest.raises(AssertionError, match="differs"):
        assert_fingerprints(result, expected)
    del gradients[a]
    with pytest.raises(AssertionError, match=a):
        assert_fingerprints(result, expected)


def test_a_gradient_that_is_not_a_number_is_found():
    expected = fixture("pretraining")["runs"]["loss"]
    result = run("pretraining", "loss")
    result.gradients["cls.predictions.bias"][0] = np.nan
    with pytest.raises(AssertionError, match="cls.predictions.bias"):
        assert_fingerprints(result, expected)

"""ViT against transformers 4.34.1: what 5.x dropped, and all else that 4.34.1 can.

It interpolates positions by a factor instead of to a size, and adds 0.1 to the size so that rounding down can't lose a
place. So its numbers are those of a slightly larger grid, cut off. 5.x (and we) ask for the size itself.
"""

import numpy as np
import pytest

from tests.models.proof import assert_same, flatten, run_model
from tests.models.vit_cases import CASES, LEGACY, POOLERS, batch_of, model_of

from ..common import MAJOR, original_of, run_original, to_torch, torch, transformers

pytestmark = [pytest.mark.legacy, pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1")]

RESIZED = ("larger_pictures", "smaller_pictures", "longer_pictures", "larger_with_a_rest")


@pytest.mark.parametrize("name", [name for name in {**CASES, **LEGACY} if name not in (*POOLERS, *RESIZED)])
def test_outputs_and_gradients(name):
    case = {**CASES, **LEGACY}[name]
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    if case.labels:
        assert_same(run_model(ours, batch, ("loss",)), run_original(theirs, batch, ("loss",)))
    assert_same(run_model(ours, batch), run_original(theirs, batch))


@pytest.mark.parametrize("name", RESIZED)
def test_interpolated_positions_are_close(name):
    ours, batch = model_of(CASES[name]), batch_of(CASES[name])
    theirs = original_of(ours)
    wanted = flatten(dict(theirs(**{key: to_torch(x) for key, x in batch.items()})))
    embedded = wanted["hidden_states.0"].detach().numpy()
    difference = np.abs(ours(**batch)["hidden_states"][0] - embedded)
    assert difference.max() < 0.1 * np.abs(embedded).max()
    np.testing.assert_allclose(difference[:, 0], 0, atol=1e-12)  # [CLS] is not interpolated


@pytest.mark.parametrize("name", ["model", "classes", "masked_image"])
def test_files_of_both_sides(name, tmp_path):
    """What 4.34.1 saves we load, and the other way round, without one name missing or left over."""
    ours, batch = model_of(CASES[name], "float32"), batch_of(CASES[name], "float32")
    original_of(ours, "float32").save_pretrained(tmp_path / "theirs")
    loaded, report = type(ours).from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert not any(report.values()), report
    wanted = flatten(ours(**batch))
    for output, x in flatten(loaded(**batch)).items():
        np.testing.assert_array_equal(x, wanted[output], err_msg=output)
    ours.save_pretrained(tmp_path / "ours")
    theirs, report = getattr(transformers, type(ours).__name__).from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    with torch.no_grad():
        got = flatten(dict(theirs(**{key: to_torch(x) for key, x in batch.items()})))
    for output, x in wanted.items():
        np.testing.assert_allclose(got[output].numpy(), x, rtol=0, atol=2e-5, err_msg=output)

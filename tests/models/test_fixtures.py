"""Every model against the original's numbers, kept in small files: the reference tests' proof, with no torch.

That these comparisons can fail is shown below for a number of each model, in test_bert_fixtures.py for all of one.
"""

import pytest

from . import bert_cases, gpt2_cases, vit_cases, wav2vec2_cases
from .cases import FIXTURES, stored_numbers
from .proof import assert_fingerprints, run_model

FAMILIES = {"bert": bert_cases, "gpt2": gpt2_cases, "vit": vit_cases, "wav2vec2": wav2vec2_cases}


def run(family: str, name: str, names):
    cases = FAMILIES[family]
    return run_model(cases.model_of(cases.STORED[name]), cases.batch_of(cases.STORED[name]), names)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_case_has_its_file(family):
    expected = {f"{family}_{name}" for name in FAMILIES[family].STORED}
    assert {path.stem for path in FIXTURES.glob(f"{family}_*.json")} == expected


@pytest.mark.parametrize(("family", "name"), [(f, name) for f, cases in FAMILIES.items() for name in cases.STORED])
def test_outputs_and_gradients(family, name):
    runs, kinds = stored_numbers(family, name)["runs"], FAMILIES[family].stored_runs(name)
    assert runs.keys() == kinds.keys()
    for kind, expected in runs.items():
        assert_fingerprints(run(family, name, kinds[kind]), expected)


@pytest.mark.parametrize(
    ("family", "name", "gradients", "which", "place"),
    [
        ("gpt2", "lm", "gradients", "transformer.h.1.attn.c_attn.weight", (3, 40)),
        ("vit", "masked_image", "input_gradients", "pixel_values", (3, 1, 7, 5)),
        ("wav2vec2", "ctc", "gradients",
         "wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original1", (3, 4, 2)),
    ],
)  # fmt: skip
def test_one_wrong_number_is_found(family, name, gradients, which, place):
    expected = stored_numbers(family, name)["runs"]["loss"]
    result = run(family, name, ("loss",))
    getattr(result, gradients)[which][place] += 1e-5
    with pytest.raises(AssertionError, match=f"{which}: differs"):
        assert_fingerprints(result, expected)

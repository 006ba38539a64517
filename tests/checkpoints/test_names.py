import pytest

from edutransformers.checkpoints.names import match_names, rename, without_ignored

BERT = {"bert.encoder.weight", "bert.LayerNorm.weight", "bert.LayerNorm.bias", "cls.weight"}
BASE = {"encoder.weight", "LayerNorm.weight", "LayerNorm.bias"}


def test_same_names():
    names = match_names(BERT, BERT, "bert")
    assert names.places == {name: name for name in BERT}
    assert names.unexpected == []
    assert names.shown("cls.weight") == "cls.weight"


def test_gamma_and_beta_only_at_the_end_of_a_name():
    saved = ["encoder.weight", "LayerNorm.gamma", "LayerNorm.beta", "gamma.beta_2", "gamma_table.weight"]
    names = match_names(saved, BASE, "bert")
    assert names.places["LayerNorm.gamma"] == "LayerNorm.weight"
    assert names.places["LayerNorm.beta"] == "LayerNorm.bias"
    assert names.unexpected == ["gamma.beta_2", "gamma_table.weight"]


def test_a_model_that_has_a_gamma_keeps_it():
    assert match_names(["layer.gamma"], {"layer.gamma", "layer.weight"}).places == {"layer.gamma": "layer.gamma"}


def test_the_models_own_spelling_wins():
    names = match_names(["LayerNorm.gamma", "LayerNorm.weight"], BASE)
    assert names.places == {"LayerNorm.weight": "LayerNorm.weight"}
    assert names.unexpected == ["LayerNorm.gamma"]


@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        ("conv.weight_g", "conv.parametrizations.weight.original0"),
        ("conv.weight_v", "conv.parametrizations.weight.original1"),
        ("conv.parametrizations.weight.original0", "conv.weight_g"),
        ("conv.parametrizations.weight.original1", "conv.weight_v"),
    ],
)
def test_both_spellings_of_weight_normalization(saved, expected):
    assert match_names([saved], {expected}).places == {saved: expected}


def test_a_base_model_from_a_checkpoint_with_a_head():
    names = match_names(["bert.encoder.weight", "bert.LayerNorm.gamma", "cls.weight"], BASE, "bert")
    assert names.places == {"bert.encoder.weight": "encoder.weight", "bert.LayerNorm.gamma": "LayerNorm.weight"}
    assert names.unexpected == ["cls.weight"]
    assert names.shown("LayerNorm.bias") == "bert.LayerNorm.bias"


def test_a_model_with_a_head_from_a_base_models_checkpoint():
    names = match_names(["encoder.weight", "LayerNorm.gamma"], BERT, "bert")
    assert names.places == {"encoder.weight": "bert.encoder.weight", "LayerNorm.gamma": "bert.LayerNorm.weight"}
    assert names.shown("bert.LayerNorm.bias") == "LayerNorm.bias"
    assert names.shown("cls.weight") == "cls.weight"


def test_the_prefix_is_not_guessed_where_both_sides_use_it():
    """`encoder.weight` may be another head's here."""
    names = match_names(["bert.LayerNorm.weight", "encoder.weight"], BERT, "bert")
    assert names.unexpected == ["encoder.weight"]


def test_a_prefix_is_a_whole_part_of_the_name():
    assert match_names(["bertha.encoder.weight"], BASE, "bert").unexpected == ["bertha.encoder.weight"]


def test_renames():
    table = {r"^model\.layers\.(\d+)": r"encoder.\1", "kernel$": "weight"}
    assert rename("model.layers.3.kernel", table) == "encoder.3.kernel"
    assert rename("dense.kernel", table) == "dense.weight"
    assert rename("other", None) == "other"


def test_without_ignored():
    assert without_ignored(["a.position_ids", "b"], [r"position_ids$"]) == ["b"]
    assert without_ignored(["a"], None) == ["a"]

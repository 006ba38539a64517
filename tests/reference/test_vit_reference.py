"""ViT against transformers 5.x: every output, every gradient, that of the pixels too; float64."""

import numpy as np
import pytest

import edutransformers
from edutransformers import ViTConfig, ViTForImageClassification
from tests.models.proof import assert_same, flatten, run_model
from tests.models.seeded import seeded_normal
from tests.models.vit_cases import CASES, batch_of, model_of

from .common import MAJOR, Masks, check_float32, original_of, run_original, to_torch, torch, transformers

pytestmark = [pytest.mark.reference, pytest.mark.skipif(MAJOR < 5, reason="needs transformers 5.x")]


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients(name):
    case = CASES[name]
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    if case.labels:
        assert_same(run_model(ours, batch, ("loss",)), run_original(theirs, batch, ("loss",)))
    assert_same(run_model(ours, batch), run_original(theirs, batch))


# -- one output at a time, so that no large gradient can hide a small one ---------------------------------------------

OUTPUTS = {
    "model": ("last_hidden_state", "pooler_output", "hidden_states", "attentions"),
    "classes": ("logits", "hidden_states", "attentions"),
    "masked_image": ("reconstruction", "hidden_states", "attentions"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_gradients_of_each_output(name):
    ours, batch = model_of(CASES[name]), batch_of(CASES[name])
    theirs = original_of(ours)
    all_of_theirs = {n.partition(".")[0] for n in run_original(theirs, batch).outputs} - {"loss"}
    assert all_of_theirs == set(OUTPUTS[name])  # none was forgotten
    for output in OUTPUTS[name]:
        assert_same(run_model(ours, batch, (output,)), run_original(theirs, batch, (output,)))


# -- dropout: the same masks on both sides ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["classes", "masked_image"])
def test_dropout_stands_where_the_original_has_it(name, monkeypatch):
    change = {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.2}
    case = CASES[name]._replace(config={**CASES[name].config, **change})
    ours, batch = model_of(case).train(), batch_of(case)
    theirs = original_of(ours).train()
    our_masks, their_masks = Masks(), Masks()

    def their_dropout(x, p=0.5, training=True, inplace=False):
        return x * torch.tensor(their_masks.draw(x.shape, p)) / (1 - p) if training and p else x

    monkeypatch.setattr(
        "edutransformers.layers.dropout.random_keep_mask", lambda generator, shape, p, like: our_masks.draw(shape, p)
    )
    monkeypatch.setattr(torch.nn.functional, "dropout", their_dropout)
    mine, other = run_model(ours, batch, ("loss",)), run_original(theirs, batch, ("loss",))
    assert our_masks.asked == their_masks.asked
    assert {p for _, p in our_masks.asked} == {0.2, 0.3}
    assert_same(mine, other)
    assert_same(run_model(ours, batch), run_original(theirs, batch))


# -- float32 at ViT-B's width -----------------------------------------------------------------------------------------


def test_float32_at_the_width_of_vit_base():
    ours = ViTForImageClassification(ViTConfig(num_hidden_layers=3, image_size=64)).eval()
    pixels = seeded_normal("wide pictures", (2, 3, 64, 64)).astype("float32")
    batch = {"pixel_values": pixels, "output_hidden_states": True, "output_attentions": True}
    check_float32(ours, batch)


# -- files: each side loads what the other saved ----------------------------------------------------------------------

SAVED = ["model", "classes", "masked_image", "no_qkv_bias", "one_channel", "wide_patches", "wide_pooler"]


@pytest.mark.parametrize("name", SAVED)
def test_the_original_loads_what_we_save(name, tmp_path):
    ours, batch = model_of(CASES[name], "float32"), batch_of(CASES[name], "float32")
    ours.save_pretrained(tmp_path)
    theirs, report = getattr(transformers, CASES[name].model).from_pretrained(
        tmp_path, attn_implementation="eager", output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    compare_outputs(ours, theirs, batch)


@pytest.mark.parametrize("in_memory", [False, True], ids=["files", "memory"])
@pytest.mark.parametrize("name", SAVED)
def test_we_load_what_the_original_has(name, in_memory, tmp_path):
    """Its files have 4.x's names of the weights, its memory others."""
    theirs = original_of(model_of(CASES[name], "float32"), "float32")
    ours = getattr(edutransformers, CASES[name].model)
    theirs.save_pretrained(tmp_path)
    state = {key: x.numpy() for key, x in theirs.state_dict().items()} if in_memory else None
    loaded, report = ours.from_pretrained(tmp_path, state_dict=state, output_loading_info=True)
    assert not any(report.values()), report
    compare_outputs(loaded, theirs, batch_of(CASES[name], "float32"))


def compare_outputs(ours, theirs, batch):
    with torch.no_grad():
        wanted = flatten(theirs(**{name: to_torch(x) for name, x in batch.items()}))
    got = flatten(ours(**batch))
    assert got.keys() == wanted.keys()
    for output, x in got.items():
        np.testing.assert_allclose(x, wanted[output].numpy(), rtol=0, atol=2e-5, err_msg=output)


@pytest.mark.parametrize("fields", [
    {}, {"num_labels": 5}, {"image_size": 32, "patch_size": 8}, {"image_size": [32, 48], "patch_size": [8, 4]},
    {"pooler_output_size": 7, "pooler_act": "relu", "qkv_bias": False, "encoder_stride": 8},
    {"hidden_size": 24, "problem_type": "regression", "a_field": 3, "output_attentions": True},
])  # fmt: skip
def test_configs_are_read_and_written_alike(fields):
    ours, theirs = ViTConfig(**fields), transformers.ViTConfig(**fields)
    assert ViTConfig.from_dict(theirs.to_diff_dict()) == ours
    written = transformers.ViTConfig.from_dict(ours.to_diff_dict()).to_dict()
    assert {k: x for k, x in written.items() if k != "label2id"} == {
        k: x for k, x in theirs.to_dict().items() if k != "label2id"
    }

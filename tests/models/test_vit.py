"""ViT: what every model promises, for each of its heads, and what only ViT has."""

import numpy as np
import pytest

import edutransformers
from edutransformers import ViTConfig, ViTForImageClassification, ViTForMaskedImageModeling, ViTModel
from edutransformers.module import skip_initialization

from .common import promises_of
from .subject import Subject
from .vit_cases import CASES, TINY, batch_of, model_of


def subject(case, **special) -> Subject:
    # A key's bias adds the same to all scores of a query, and softmax doesn't see that.
    flat = ("attention.key.bias",)
    return Subject(
        lambda dtype: model_of(case, dtype),
        lambda dtype: batch_of(case, dtype),
        has_loss=case.labels is not None,
        flat=flat,
        pads=False,
        **special,
    )


SUBJECTS = {
    **{name: subject(CASES[name]) for name in ("model", "classes", "wide_patches", "larger_pictures")},
    "masked_image": subject(CASES["masked_image"], loss_falls_to=0.2),
}


@pytest.mark.parametrize(("name", "promise"), promises_of(SUBJECTS))
def test_promise(name, promise, tmp_path):
    promise(SUBJECTS[name], tmp_path)


# -- what only ViT has ------------------------------------------------------------------------------------------------

# Known from the original's ViT-B/16 and ViT-L/16; the classifier has 1000 labels.
BASE = {"ViTModel": 86_389_248, "ViTForImageClassification": 86_567_656, "ViTForMaskedImageModeling": 86_390_016}
LARGE = {"ViTModel": 304_351_232, "ViTForImageClassification": 304_326_632, "ViTForMaskedImageModeling": 304_089_856}


@pytest.mark.parametrize("name", BASE)
def test_sizes(name):
    large = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
    with skip_initialization():
        models = [getattr(edutransformers, name)(ViTConfig(num_labels=1000, **size)) for size in ({}, large)]
    assert [model.num_parameters() for model in models] == [BASE[name], LARGE[name]]


def test_fresh_weights():
    config = ViTConfig(**{**TINY, "hidden_size": 60, "initializer_range": 0.05})
    state = ViTForMaskedImageModeling(config, generator=np.random.default_rng(3)).state_dict()
    for name, x in state.items():
        if name.endswith("bias") or name == "vit.embeddings.mask_token":
            assert (x == 0).all(), name
        elif "layernorm" in name:
            assert (x == 1).all(), name
        else:
            assert 0.04 < x.std() < 0.06, f"{name}: {x.std()}"


def test_names_are_those_of_the_original():
    shapes = {name: p.shape for name, p in model_of(CASES["masked_image"]).named_parameters()}
    assert shapes["vit.embeddings.cls_token"] == shapes["vit.embeddings.mask_token"] == (1, 1, 18)
    assert shapes["vit.embeddings.position_embeddings"] == (1, 10, 18)
    assert shapes["vit.embeddings.patch_embeddings.projection.weight"] == (18, 2, 4, 4)
    assert shapes["vit.encoder.layer.1.attention.attention.query.weight"] == (18, 18)
    assert shapes["vit.encoder.layer.0.attention.output.dense.bias"] == (18,)
    assert shapes["vit.encoder.layer.0.layernorm_before.weight"] == (18,)
    assert shapes["vit.encoder.layer.0.intermediate.dense.weight"] == (29, 18)
    assert shapes["vit.layernorm.weight"] == (18,)
    assert shapes["decoder.0.weight"] == (32, 18, 1, 1)


def test_names_that_transformers_5_has_in_memory():
    """A state dict that was never saved by its model: every weight finds its place."""
    model = model_of(CASES["classes"], "float32")
    theirs = {
        "encoder.layer.": "layers.", "attention.attention.query": "attention.q_proj",
        "attention.attention.key": "attention.k_proj", "attention.attention.value": "attention.v_proj",
        "attention.output.dense": "attention.o_proj", "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2",
    }  # fmt: skip
    state = {}
    for name, p in model.named_parameters():
        for here, there in theirs.items():
            name = name.replace(here, there)
        state[name] = p.data
    assert "vit.layers.1.mlp.fc2.bias" in state
    loaded, report = ViTForImageClassification.from_pretrained(
        None, config=model.config, state_dict=state, output_loading_info=True
    )
    assert not any(report.values()), report
    for (name, mine), (_, other) in zip(model.named_parameters(), loaded.named_parameters(), strict=True):
        np.testing.assert_array_equal(mine.data, other.data, err_msg=name)


def test_a_checkpoint_of_a_model_with_another_head(tmp_path):
    """Painting hidden patches is how one trains before there are labels: its body is the classifier's."""
    painter = model_of(CASES["masked_image"], "float32")
    painter.save_pretrained(tmp_path)
    loaded, report = ViTForImageClassification.from_pretrained(tmp_path, num_labels=3, output_loading_info=True)
    assert report["missing_keys"] == ["classifier.weight", "classifier.bias"]
    assert sorted(report["unexpected_keys"]) == ["decoder.0.bias", "decoder.0.weight", "vit.embeddings.mask_token"]
    query = "vit.encoder.layer.1.attention.attention.query.weight"
    np.testing.assert_array_equal(loaded.state_dict()[query], painter.state_dict()[query])
    assert isinstance(edutransformers.AutoModelForMaskedImageModeling.from_pretrained(tmp_path), type(painter))


def test_auto_classes_know_it():
    config = edutransformers.AutoConfig.for_model("vit", **TINY)
    assert type(edutransformers.AutoModel.from_config(config)) is ViTModel
    assert type(edutransformers.AutoModelForImageClassification.from_config(config)) is ViTForImageClassification
    assert type(edutransformers.AutoModelForMaskedImageModeling.from_config(config)) is ViTForMaskedImageModeling


# -- pictures in ------------------------------------------------------------------------------------------------------


def test_pixels_outside_of_all_patches_have_no_influence():
    model, batch = model_of(CASES["a_rest_of_pixels"]), dict(batch_of(CASES["a_rest_of_pixels"]))
    output, cache = model.forward(**batch)
    saliency = model.backward({"pooler_output": np.ones_like(output.pooler_output)}, cache)["pixel_values"]
    assert saliency.shape == (4, 2, 15, 15)
    assert np.abs(saliency[:, :, :12, :12]).min() > 0
    assert not saliency[:, :, 12:].any()
    assert not saliency[:, :, :, 12:].any()


def test_hidden_patches_are_not_seen():
    """Their pixels change no state and get no gradient from one; only the loss compares with them."""
    case = CASES["masked_image"]
    model, batch = model_of(case), dict(batch_of(case))
    is_hidden = np.kron(batch["bool_masked_pos"].reshape(4, 1, 3, 3), np.ones((1, 1, 4, 4))).astype(bool)
    is_hidden = np.broadcast_to(is_hidden, (4, 2, 12, 12))
    output, cache = model.forward(**batch)
    of_states = model.backward({"reconstruction": output.reconstruction}, cache)["pixel_values"]
    assert not of_states[is_hidden].any()
    assert (of_states[~is_hidden] != 0).all()
    other = dict(batch, pixel_values=np.where(is_hidden, 7.0, batch["pixel_values"]))
    painted_again = model(**other)
    np.testing.assert_array_equal(painted_again.reconstruction, output.reconstruction)
    assert painted_again.loss != output.loss
    _, cache = model.forward(**batch)
    of_loss = model.backward({"loss": 1.0}, cache)["pixel_values"]
    size = 1 / (2 * (is_hidden[:, 0].sum() + 1e-5))
    error = output.reconstruction - batch["pixel_values"]
    np.testing.assert_allclose(of_loss[is_hidden], -size * np.sign(error[is_hidden]), rtol=1e-12)
    np.testing.assert_allclose(output.loss, size * np.abs(error[is_hidden]).sum(), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["bool", "int64", "float32"])
def test_which_patches_are_hidden_may_be_any_numbers(dtype):
    case = CASES["masked_image"]
    model, batch = model_of(case), dict(batch_of(case))
    wanted = model(**batch)
    batch["bool_masked_pos"] = batch["bool_masked_pos"].astype(dtype)
    assert model(**batch).loss == wanted.loss


def test_wide_pictures_are_painted_too():
    """The original takes every picture for a square there."""
    from edutransformers import assert_gradients

    config = ViTConfig(**{**TINY, "image_size": [8, 9], "patch_size": [4, 3], "encoder_stride": [4, 3]})
    model = ViTForMaskedImageModeling(config, generator=np.random.default_rng(0)).eval()
    rng = np.random.default_rng(1)
    batch = {"pixel_values": rng.standard_normal((2, 2, 8, 9)), "bool_masked_pos": rng.integers(0, 2, (2, 6))}
    assert model(**batch).reconstruction.shape == (2, 2, 8, 9)
    assert_gradients(model, samples=2, **batch)
    larger = {"pixel_values": rng.standard_normal((2, 2, 4, 12)), "bool_masked_pos": rng.integers(0, 2, (2, 4))}
    assert_gradients(model, samples=1, interpolate_pos_encoding=True, **larger)


def test_a_model_for_hidden_patches_without_any_head():
    config = ViTConfig(**TINY)
    model = ViTModel(config, use_mask_token=True, add_pooling_layer=False, generator=np.random.default_rng(0)).eval()
    pixels = np.random.default_rng(1).standard_normal((1, 2, 12, 12)).astype("float32")
    seen, unseen = (model(pixels, np.full((1, 9), value)) for value in (0, 1))
    assert seen.keys() == {"last_hidden_state"}
    np.testing.assert_array_equal(seen.last_hidden_state, model(pixels).last_hidden_state)
    assert np.abs(seen.last_hidden_state - unseen.last_hidden_state).max() > 0.01


def test_pictures_become_the_models_numbers(fake_cupy):
    """An image processor gives float32 arrays in host memory, whatever the model's type and device."""
    model, pixels = model_of(CASES["classes"]), batch_of(CASES["classes"])["pixel_values"].astype("float32")
    wanted = model(pixels).logits
    assert wanted.dtype == np.float64
    model.to("cuda")
    np.testing.assert_allclose(model(pixels).logits.get(), wanted, rtol=1e-12)


def test_attention_to_the_picture():
    """Weights of each head from every token to every token: [CLS] and the nine patches."""
    output = model_of(CASES["classes"])(**batch_of(CASES["classes"]))
    assert [weights.shape for weights in output.attentions] == [(4, 3, 10, 10)] * 2
    np.testing.assert_allclose(output.attentions[0].sum(axis=-1), 1)


# -- bad input --------------------------------------------------------------------------------------------------------

PIXELS = np.ones((2, 2, 12, 12), dtype="float32")
WITH_NAN = PIXELS.copy()
WITH_NAN[1, 0, 3, 5] = np.nan
WITH_BOTH_INFINITIES = PIXELS.copy()
WITH_BOTH_INFINITIES[0, 0, 0, :2] = np.inf, -np.inf


@pytest.mark.parametrize(
    ("error", "match", "inputs"),
    [
        (ValueError, "pass pixel_values", {}),
        (TypeError, "pixel_values must be a NumPy or CuPy array, got list", {"pixel_values": [[1.0]]}),
        (ValueError, r"shape \(2, 12, 12\), expected \(batch, 2, height, width\)", {"pixel_values": PIXELS[:, 0]}),
        (ValueError, r"shape \(0, 2, 12, 12\): there is nothing", {"pixel_values": PIXELS[:0]}),
        (ValueError, r"shape \(2, 2, 12, 0\): there is nothing", {"pixel_values": PIXELS[..., :0]}),
        (ValueError, "has 1 channels, but this model's pictures have 2$", {"pixel_values": PIXELS[:, :1]}),
        (
            ValueError,
            r"has 12 channels, .* use pixel_values.transpose\(0, 3, 1, 2\)",
            {"pixel_values": PIXELS.transpose(0, 2, 3, 1)},
        ),
        (TypeError, "must be floating-point numbers, got an array of uint8", {"pixel_values": PIXELS.astype("uint8")}),
        (ValueError, "pixel_values hold nan or infinite numbers", {"pixel_values": WITH_NAN}),
        (ValueError, "pixel_values hold nan or infinite numbers", {"pixel_values": WITH_BOTH_INFINITIES}),
        (
            ValueError,
            "pictures of 12×8 pixels, but this model's have 12×12; .*pass interpolate_pos_encoding=True",
            {"pixel_values": PIXELS[..., :8]},
        ),
        (
            ValueError,
            "pictures of 3×12 pixels are smaller than one patch of 4×4",
            {"pixel_values": PIXELS[:, :, :3], "interpolate_pos_encoding": True},
        ),
        (
            ValueError,
            r"bool_masked_pos was passed, .* build it with ViTModel\(config, use_mask_token=True\)",
            {"pixel_values": PIXELS, "bool_masked_pos": np.ones((2, 9), bool)},
        ),
        (
            ValueError,
            r"head_mask has shape \(2,\), expected \(3,\) or \(2, 3\)",
            {"pixel_values": PIXELS, "head_mask": np.ones(2)},
        ),
    ],
)
def test_bad_input(error, match, inputs):
    with pytest.raises(error, match=match):
        ViTModel(ViTConfig(**TINY)).forward(**inputs)


def test_bad_input_for_painting():
    with pytest.raises(ValueError, match=r"bool_masked_pos has shape \(2, 3, 3\), expected \(2, 9\): .* 3×3 patches"):
        ViTForMaskedImageModeling(ViTConfig(**TINY))(PIXELS, np.ones((2, 3, 3), bool))
    with pytest.raises(
        ValueError, match="encoder_stride is 5, but patch_size 4: with bool_masked_pos they must be equal"
    ):
        ViTForMaskedImageModeling(ViTConfig(**{**TINY, "encoder_stride": 5}))(PIXELS, np.ones((2, 9), bool))
    model = ViTForMaskedImageModeling(ViTConfig(**{**TINY, "image_size": 13}))
    with pytest.raises(ValueError, match="pictures of 13×13 pixels, which patches of 4 can't cover"):
        model(np.ones((2, 2, 13, 13), "float32"), np.ones((2, 9), bool))


def test_bad_configs():
    with pytest.raises(ValueError, match="the width 18 is not a multiple of the number of attention heads 4"):
        ViTModel(ViTConfig(**{**TINY, "num_attention_heads": 4}))
    with pytest.raises(ValueError, match="pictures of 3×12 pixels are smaller than one patch of 4×4"):
        ViTModel(ViTConfig(**{**TINY, "image_size": [3, 12]}))
    with pytest.raises(ValueError, match=r"a size is \[4, 0\]: expected 1 or more pixels"):
        ViTModel(ViTConfig(**{**TINY, "patch_size": [4, 0]}))


def test_there_are_no_words_to_add():
    with pytest.raises(TypeError, match="ViTModel has no vocabulary"):
        ViTModel(ViTConfig(**TINY)).resize_token_embeddings(100)

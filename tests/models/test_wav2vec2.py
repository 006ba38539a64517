"""Wav2Vec2: what every model promises, for each of its heads, and what only Wav2Vec2 has."""

import math

import numpy as np
import pytest

import edutransformers
from edutransformers import Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2ForPreTraining, Wav2Vec2Model
from edutransformers.models.wav2vec2_features import frame_counts
from edutransformers.models.wav2vec2_pretraining import sample_negative_indices
from edutransformers.module import skip_initialization

from .common import promises_of
from .proof import flatten, run_model
from .subject import Subject
from .wav2vec2_cases import CASES, FRAME_LENGTHS, LENGTHS, TINY, batch_of, losses_of, model_of


def subject(case, **special) -> Subject:
    return Subject(
        lambda dtype: model_of(case, dtype),
        lambda dtype: batch_of(case, dtype),
        has_loss=case.labels is not None,
        losses=losses_of(case),
        flat=("attention.k_proj.bias",),  # it adds the same to all scores of a query, and softmax doesn't see that
        pads=False,  # frames are fewer than samples: see test_padding_changes_nothing
        **special,
    )


SUBJECTS = {
    **{name: subject(CASES[name]) for name in ("ctc", "attention_adapter", "xvector")},
    # In evaluation the code with the largest score is taken, so the scores have no gradient.
    "pretraining": subject(
        CASES["pretraining"],
        unused=("quantizer.weight_proj.weight", "quantizer.weight_proj.bias"),
        loss_falls_to=0.7,
        alone=False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "promise"), promises_of(SUBJECTS))
def test_promise(name, promise, tmp_path):
    promise(SUBJECTS[name], tmp_path)


# -- what only Wav2Vec2 has -------------------------------------------------------------------------------------------

# Known from the original's wav2vec2-base and -large (the latter as in large-lv60: layer norms, pre-norm).
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
         "feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}  # fmt: skip
SIZES = {"Wav2Vec2ForCTC": (94_396_320, 315_471_520), "Wav2Vec2ForPreTraining": (95_044_608, 317_390_592)}


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name):
    codes = {"codevector_dim": 768, "proj_codevector_dim": 768}
    with skip_initialization():
        models = [getattr(edutransformers, name)(Wav2Vec2Config(**size)) for size in ({}, {**LARGE, **codes})]
    assert [model.num_parameters() for model in models] == list(SIZES[name])


def test_fresh_weights():
    config = Wav2Vec2Config(**{**TINY, "hidden_size": 60, "conv_bias": True, "mask_time_prob": 0.1})
    state = Wav2Vec2ForPreTraining(config, generator=np.random.default_rng(3)).state_dict()
    spread = {  # name -> (mean, standard deviation)
        "wav2vec2.feature_extractor.conv_layers.1.conv.weight": (0, math.sqrt(2 / 18)),
        "wav2vec2.feature_extractor.conv_layers.1.conv.bias": (0, 1 / math.sqrt(3 * 18)),
        "wav2vec2.feature_projection.projection.weight": (0, 1 / math.sqrt(3 * 8)),
        "wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original1": (0, 2 / math.sqrt(4 * 60)),
        "wav2vec2.encoder.layers.1.attention.k_proj.weight": (0, 0.02),
        "wav2vec2.masked_spec_embed": (0.5, 1 / math.sqrt(12)),
        "quantizer.codevectors": (0.5, 1 / math.sqrt(12)),
        "quantizer.weight_proj.weight": (0, 1),
        "project_hid.weight": (0, 1 / math.sqrt(3 * 60)),
        "project_q.weight": (0, 1 / math.sqrt(3 * 10)),
    }
    for name, (mean, std) in spread.items():
        x = state[name]
        assert abs(x.mean() - mean) < 4 * std / math.sqrt(x.size), f"{name}: mean {x.mean()}"
        assert abs(x.std() / std - 1) < 3 / math.sqrt(x.size), f"{name}: standard deviation {x.std()}"
    for name in ("quantizer.weight_proj.bias", "wav2vec2.encoder.pos_conv_embed.conv.bias"):
        assert (state[name] == 0).all()


@pytest.mark.parametrize("samples", [400, 719, 720, 16_000, 160_000])
def test_from_samples_to_frames(samples):
    """A window of 400 samples (25 ms) for the first frame, 320 (20 ms) more for each after it."""
    config = Wav2Vec2Config()
    assert config.inputs_to_logits_ratio == 320
    assert frame_counts(config, samples) == 1 + (samples - 400) // 320
    model = model_of(CASES["adapter"])
    assert model._get_feat_extract_output_lengths(100) == 4
    assert model._get_feat_extract_output_lengths(100, add_adapter=False) == 7
    counts = model._get_feat_extract_output_lengths(np.array(LENGTHS), add_adapter=False)
    np.testing.assert_array_equal(counts, FRAME_LENGTHS)


@pytest.mark.parametrize("name", ["large", "attention_adapter", "classes_mix_large"])
def test_padding_changes_nothing(name):
    """With layer norms in the convolutions: what is padding is set to zero before the encoder, and not looked at."""
    model, batch = model_of(CASES[name]), dict(batch_of(CASES[name]))
    batch.pop("labels", None)
    wanted = flatten(model(**batch))
    rng = np.random.default_rng(1)
    for what in ("input_values", "attention_mask"):
        batch[what] = np.pad(batch[what], ((0, 0), (0, 24)))
    batch["input_values"] += rng.standard_normal(batch["input_values"].shape) * (batch["attention_mask"] == 0)
    for output, x in flatten(model(**batch)).items():
        if output == "logits" and x.ndim == 2:
            np.testing.assert_allclose(x, wanted[output], rtol=1e-10, atol=1e-11)
        elif output.startswith("attentions"):
            for example, frames in enumerate(FRAME_LENGTHS):
                mine, other = x[example, :, :frames, :frames], wanted[output][example, :, :frames, :frames]
                np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-11)
                assert not x[example, :, :frames, frames:].any()
        else:
            for example, frames in enumerate(FRAME_LENGTHS):
                np.testing.assert_allclose(x[example, :frames], wanted[output][example, :frames], rtol=1e-9, atol=1e-10)


def test_group_norm_sees_padding():
    """Wav2Vec2-base norms each channel over all of time: its numbers depend on the length of the batch."""
    model, batch = model_of(CASES["model"]), batch_of(CASES["model"])
    alone = model(batch["input_values"][1:2, : LENGTHS[1]]).last_hidden_state
    padded = model(**batch).last_hidden_state[1:2, : FRAME_LENGTHS[1]]
    assert np.abs(alone - padded).max() > 1e-2


def test_a_frozen_feature_encoder():
    """No gradient for it, nothing kept for it, and the same gradients for all else."""
    case = CASES["ctc"]
    whole, frozen, batch = model_of(case), model_of(case), batch_of(case)
    frozen.freeze_feature_encoder()
    wanted = run_model(whole, batch, ("loss",)).gradients
    output, cache = frozen.forward(**batch)
    assert cache.base.features[1] == [()]
    assert frozen.backward({"loss": 1.0}, cache) == {}
    for name, parameter in frozen.named_parameters():
        if "feature_extractor" in name:
            assert parameter.grad is None
        else:
            np.testing.assert_array_equal(parameter.grad, wanted[name])
    whole.freeze_base_model()
    assert {n for n, p in whole.named_parameters() if p.requires_grad} == {"lm_head.weight", "lm_head.bias"}


def test_layer_drop_leaves_layers_out():
    case = CASES["three_layers"]
    model, batch = model_of(case), batch_of(case)
    for module in model.modules():
        if hasattr(module, "p"):
            module.p = 0.0
    model.config.layerdrop = 0.5
    assert model.wav2vec2.layers_to_skip(3, np.random.default_rng(0)) == ()
    model.train()
    seeds = {model.wav2vec2.layers_to_skip(3, np.random.default_rng(seed)): seed for seed in range(99)}
    assert len(seeds) == 8
    skipped = (False, True, False)
    output, cache = model.forward(**batch, generator=np.random.default_rng(seeds[skipped]))
    assert output.attentions[1] is None
    assert output.hidden_states[2] is output.hidden_states[1]
    model.backward({"loss": 1.0}, cache)
    wanted = model_of(case)
    del wanted.wav2vec2.encoder.layers.layer.__dict__["1"]
    np.testing.assert_array_equal(wanted(**batch).logits, output.logits)
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == ("encoder.layers.1." in name), name


def test_masking_while_training():
    """Hidden frames are drawn in training and not in evaluation; those that are given are used in both."""
    case = CASES["hidden"]._replace(inputs=("padding",))
    model, batch = model_of(case), batch_of(case)
    evaluated = model(**batch).logits
    hidden = model(**batch_of(CASES["hidden"])).logits
    assert np.abs(hidden - evaluated).max() > 1e-3
    model.config.layerdrop = 0.0
    for module in model.modules():
        if hasattr(module, "p"):
            module.p = 0.0
    model.train()
    drawn = [model.forward(**batch, generator=np.random.default_rng(seed))[0].logits for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0] - drawn[2]).max() > 1e-3
    assert np.abs(drawn[0] - evaluated).max() > 1e-3
    given = model.forward(**batch_of(CASES["hidden"]), generator=np.random.default_rng(1))[0].logits
    np.testing.assert_array_equal(given, hidden)


@pytest.mark.parametrize(
    "spelling",
    [("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1")],
    ids=["4.x", "5.x"],
)
def test_weight_norm_by_all_its_names(spelling):
    model = model_of(CASES["ctc"], "float32")
    state = {
        name.replace("parametrizations.weight.original0", spelling[0]).replace(
            "parametrizations.weight.original1", spelling[1]
        ): x
        for name, x in model.state_dict().items()
    }
    assert f"wav2vec2.encoder.pos_conv_embed.conv.{spelling[0]}" in state
    loaded, report = Wav2Vec2ForCTC.from_pretrained(
        None, config=model.config, state_dict=state, output_loading_info=True
    )
    assert not any(report.values()), report
    for mine, other in zip(model.parameters(), loaded.parameters(), strict=True):
        np.testing.assert_array_equal(mine.data, other.data)


# -- pre-training -----------------------------------------------------------------------------------------------------


def test_negatives_are_other_hidden_frames():
    mask = np.array([[1, 0, 1, 1, 0, 1], [0, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0]]) == 1
    draws = sample_negative_indices(mask.shape, 4000, np.random.default_rng(0), mask)
    assert draws.shape == (3, 6, 4000)
    values, counts = np.unique(draws[0, 2], return_counts=True)
    assert values.tolist() == [0, 3, 5]
    assert abs(counts - 4000 / 3).max() < 150  # five standard deviations
    assert set(draws[1, 2]) == {10}
    assert set(draws[1, 4]) == {8}
    assert set(draws[2].reshape(-1)) == {12}
    everything = sample_negative_indices((1, 3), 50, np.random.default_rng(0))
    assert [set(row) for row in everything[0]] == [{1, 2}, {0, 2}, {0, 1}]
    with pytest.raises(ValueError, match="example 0 has one hidden frame, and so no other"):
        sample_negative_indices((1, 3), 2, np.random.default_rng(0), np.array([[False, True, False]]))


def test_the_quantizer_in_training():
    """A draw from softmax(scores): codes as often as they are probable; the temperature changes gradients alone."""
    quantizer = model_of(CASES["pretraining"]).quantizer.train()
    quantizer.projection.weight.data[...] = 0
    quantizer.projection.bias.data = np.log(np.array([1, 2, 3, 4, 5, 6, 7] * 2) / 28.0)
    x = np.zeros((40, 50, 8))
    (vectors, perplexity, codes), cache = quantizer.forward(x, generator=np.random.default_rng(0))
    shares = np.bincount(codes.reshape(-1) % 7, minlength=7) / 2000
    np.testing.assert_allclose(shares, np.arange(1, 8) / 28, atol=0.04)
    table = quantizer.codevectors.data.reshape(2, 7, 5)
    np.testing.assert_array_equal(
        vectors[3, 4], np.concatenate([table[0, codes[3, 4] % 7], table[1, codes[3, 4] // 7]])
    )
    p = np.arange(1, 8) / 28
    np.testing.assert_allclose(perplexity, 2 * np.exp(-(p * np.log(p)).sum()), rtol=1e-12)
    gradients = []
    for temperature in (2.0, 0.5):
        quantizer.temperature = temperature
        quantizer.zero_grad()
        (again, _, _), cache = quantizer.forward(x, generator=np.random.default_rng(0))
        np.testing.assert_array_equal(again, vectors)
        quantizer.backward((np.random.default_rng(1).standard_normal(vectors.shape), None), cache)
        gradients.append(quantizer.projection.bias.grad)
    assert np.abs(gradients[0]).max() > 1
    assert np.abs(gradients[0] - gradients[1]).max() > 1


@pytest.mark.parametrize("place", [(3, 0), (9, 5)])
def test_the_gradient_of_the_perplexity(place):
    model = model_of(CASES["pretraining"]).train()
    quantizer, x = model.quantizer, np.random.default_rng(2).standard_normal((2, 6, 8))
    mask = np.arange(12).reshape(2, 6) % 3 == 0

    def perplexity():
        return quantizer.forward(x, mask, np.random.default_rng(4))[0][1]

    _, cache = quantizer.forward(x, mask, np.random.default_rng(4))
    quantizer.backward((None, 1.0), cache)
    weight, h = quantizer.projection.weight, 1e-6
    values = []
    for step in (h, -2 * h):
        weight.data[place] += step
        values.append(perplexity())
    np.testing.assert_allclose(weight.grad[place], (values[0] - values[1]) / (2 * h), rtol=1e-6)


def test_the_gumbel_temperature():
    model = model_of(CASES["pretraining"])
    model.set_gumbel_temperature(0.7)
    assert model.quantizer.temperature == 0.7


# -- bad input --------------------------------------------------------------------------------------------------------

SOUND = np.zeros((2, 100), dtype=np.float32)
MASK = np.ones((2, 100), dtype=np.int64)


@pytest.mark.parametrize(
    ("error", "match", "inputs"),
    [
        (TypeError, "input_values must be a NumPy or CuPy array, got list", {"input_values": [0.0]}),
        (ValueError, r"input_values has shape \(100,\), expected \(batch, samples\)", {"input_values": SOUND[0]}),
        (TypeError, "input_values must be floating-point samples, got an array of int64", {"input_values": MASK}),
        (ValueError, "an example of 16 samples, but .* need at least 17", {"input_values": SOUND[:, :16]}),
        (
            ValueError,
            "an example of 9 samples, but .* need at least 17",
            {"input_values": SOUND, "attention_mask": np.arange(100) < np.array([[100], [9]])},
        ),
        (
            ValueError,
            r"attention_mask has shape \(2, 99\), expected that of input_values, \(2, 100\)",
            {"input_values": SOUND, "attention_mask": MASK[:, 1:]},
        ),
        (
            ValueError,
            "labels hold 11, but the vocabulary has 11 letters",
            {"input_values": SOUND, "labels": np.array([[1, 11], [2, -100]])},
        ),
        (
            ValueError,
            r"labels are an array of float64, shape \(2, 2\): expected whole numbers",
            {"input_values": SOUND, "labels": np.ones((2, 2))},
        ),
        (
            ValueError,
            "mask_time_indices were passed, but this model has no vector for hidden frames",
            {"input_values": SOUND, "mask_time_indices": np.ones((2, 7), dtype=bool)},
        ),
    ],
)
def test_bad_input(error, match, inputs):
    with pytest.raises(error, match=match):
        Wav2Vec2ForCTC(Wav2Vec2Config(**TINY)).eval().forward(**inputs)


@pytest.mark.parametrize(
    ("name", "match", "change"),
    [
        ("Wav2Vec2Model", "conv_dim, conv_stride and conv_kernel have 2, 3 and 3 entries", {"conv_dim": [6, 7]}),
        ("Wav2Vec2Model", "feat_extract_norm is 'batch': expected 'group' or 'layer'", {"feat_extract_norm": "batch"}),
        ("Wav2Vec2ForCTC", "Wav2Vec2ForCTC needs config.vocab_size", {"vocab_size": None}),
        ("Wav2Vec2ForXVector", "Wav2Vec2ForXVector has no use for an adapter", {"add_adapter": True}),
        ("Wav2Vec2ForPreTraining", "codevector_dim is 9, which is not a multiple of .*, 2", {"codevector_dim": 9}),
    ],
)
def test_bad_config(name, match, change):
    with pytest.raises(ValueError, match=match):
        getattr(edutransformers, name)(Wav2Vec2Config(**{**TINY, **change}))


def test_bad_input_of_other_heads():
    config = Wav2Vec2Config(**{**TINY, "num_labels": 5, "mask_time_prob": 0.1})
    frames = edutransformers.Wav2Vec2ForAudioFrameClassification(config).eval()
    with pytest.raises(ValueError, match=r"labels have shape \(2, 7\), expected \(2, 7, 5\): for each frame a 1"):
        frames(SOUND, labels=np.zeros((2, 7), dtype=int))
    speaker = edutransformers.Wav2Vec2ForXVector(config).eval()
    with pytest.raises(ValueError, match="a recording has only 1 frames left .* pass recordings of 4 frames or more"):
        speaker(SOUND[:, :41])
    with pytest.raises(ValueError, match="a recording has only 0 frames left"):
        speaker(SOUND, attention_mask=(np.arange(100) < np.array([[100], [17]])).astype(int))
    model = Wav2Vec2ForPreTraining(config).eval()
    with pytest.raises(ValueError, match="sampled_negative_indices were passed without mask_time_indices"):
        model(SOUND, sampled_negative_indices=np.zeros((2, 7, 3), dtype=int))
    with pytest.raises(ValueError, match="masked spans are 9 long, but there are only 7 places"):
        Wav2Vec2Model(Wav2Vec2Config(**{**TINY, "mask_time_prob": 0.5, "mask_time_length": 9})).train().forward(SOUND)

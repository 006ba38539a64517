"""Convolutions, weight and group norm, convolutional positions and span masking against torch and transformers."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.wav2vec2 import modeling_wav2vec2
from transformers.models.wav2vec2.configuration_wav2vec2 import Wav2Vec2Config

from edutransformers import layers
from edutransformers.checkpoints.names import match_names
from tests.functional.test_convolution import convolutions
from tests.reference.common import torch
from tests.reference.test_layers_reference import compare, draw

pytestmark = pytest.mark.reference
F = torch.nn.functional
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}  # sums over windows


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    return request.param


def their_convolution(p, x, weight=None, **options):
    function = F.conv1d if x.ndim == 3 else F.conv2d
    return function(x, p["weight"] if weight is None else weight, p.get("bias"), **options)


OPTIONS = {
    "plain": {},
    "stride": {"stride": 2},
    "a stride beyond the kernel": {"stride": 4},
    "padding": {"padding": 2, "stride": 3},
    "dilation": {"dilation": 2, "padding": 1},
    "same": {"padding": "same", "dilation": 2},
    "valid": {"padding": "valid"},
    "groups": {"groups": 3, "stride": 2},
    "depthwise": {"groups": 6, "padding": 1},
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kernel", [1, 3, 4])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_conv1d(options, kernel, bias, dtype):
    compare(
        layers.Conv1d(6, 12, kernel, bias=bias, **options),
        lambda p, x: their_convolution(p, x, **options),
        [draw(3, 6, 23)],
        dtype=dtype,
        tolerance=TOLERANCE[dtype],
    )


@pytest.mark.parametrize("kernel", [3, (2, 5)])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_conv2d(options, kernel, dtype):
    compare(
        layers.Conv2d(6, 12, kernel, **options),
        lambda p, x: their_convolution(p, x, **options),
        [draw(2, 6, 11, 13)],
        dtype=dtype,
        tolerance=TOLERANCE[dtype],
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(convolutions())
def test_any_options(case):
    """torch pads both ends alike, so what is more on one side is put there by hand."""
    x_shape, (outputs, inputs, *kernel), options = case
    kind = layers.Conv1d if len(kernel) == 1 else layers.Conv2d
    torch_options = {name: options[name] for name in ("stride", "dilation", "groups")}
    around = [size for pair in reversed(options["padding"]) for size in pair]
    compare(
        kind(inputs * options["groups"], outputs, tuple(kernel), **options),
        lambda p, x: their_convolution(p, F.pad(x, around), **torch_options),
        [draw(*x_shape)],
        tolerance=TOLERANCE["float64"],
    )


@pytest.mark.parametrize("size", [(1, 32, 10, 5, 4000), (32, 48, 3, 2, 799), (48, 48, 2, 2, 300)], ids=str)
def test_feature_encoders_sizes(size, dtype):
    """Wav2Vec2's kernels and strides, over enough samples for several chunks of windows."""
    inputs, outputs, kernel, stride, samples = size
    compare(
        layers.Conv1d(inputs, outputs, kernel, stride),
        lambda p, x: their_convolution(p, x, stride=stride),
        [draw(2, inputs, samples)],
        dtype=dtype,
        tolerance=TOLERANCE[dtype],
    )


@pytest.mark.parametrize("groups", [1, 3, 12])
@pytest.mark.parametrize("shape", [(3, 12, 17), (2, 12, 5, 7), (1, 12, 2, 3)], ids=str)
def test_group_norm(shape, groups, dtype):
    compare(
        layers.GroupNorm(groups, 12, 1e-5),
        lambda p, x: F.group_norm(x, groups, p["weight"], p["bias"], 1e-5),
        [draw(*shape, scale=2) + 1],
        dtype=dtype,
        tolerance=TOLERANCE[dtype],
    )


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_weight_norm(dim, dtype):
    ours = layers.Conv1d(6, 4, 5, padding=2, groups=2)
    ours.weight = layers.WeightNorm(ours.weight, dim)
    compare(
        ours,
        lambda p, x: their_convolution(
            p, x, torch._weight_norm(p["weight_v"], p["weight_g"], dim), padding=2, groups=2
        ),
        [draw(2, 6, 11)],
        dtype=dtype,
        tolerance=TOLERANCE[dtype],
    )


# ---------------------------------------------------------------------------------------------------------------------
# Wav2Vec2's own layers
# ---------------------------------------------------------------------------------------------------------------------


def positions_of_both(width, kernel, groups, activation, dtype):
    """Their layer with random weights, and ours with the same, found by the names of a checkpoint."""
    config = Wav2Vec2Config(
        hidden_size=width,
        num_conv_pos_embeddings=kernel,
        num_conv_pos_embedding_groups=groups,
        feat_extract_activation=activation,
    )
    torch.manual_seed(0)
    theirs = modeling_wav2vec2.Wav2Vec2PositionalConvEmbedding(config).to(getattr(torch, dtype))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(0.1, 0.5)
    ours = layers.ConvolutionalPositions(width, kernel, groups, activation).astype(dtype)
    state = {name: value.detach().numpy() for name, value in theirs.named_parameters()}
    places = match_names(state, ours.state_dict()).places
    ours.load_state_dict({places[name]: value for name, value in state.items()})
    return ours, theirs, places


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize(("width", "kernel", "groups"), [(12, 8, 3), (12, 7, 2), (8, 1, 8), (32, 128, 16)])
@pytest.mark.parametrize("tokens", [1, 19])
def test_convolutional_positions(width, kernel, groups, tokens, activation, dtype):
    ours, theirs, places = positions_of_both(width, kernel, groups, activation, dtype)
    x, dy = draw(2, tokens, width).astype(dtype), draw(2, tokens, width, seed=2).astype(dtype)
    tensor = torch.tensor(x, requires_grad=True)
    wanted = theirs(tensor)
    wanted.backward(torch.tensor(dy))
    y, cache = ours.forward(x)
    dx = ours.backward(dy, cache)

    grads = dict(ours.named_parameters())
    pairs = [(y, wanted), (dx, tensor.grad)]
    pairs += [(grads[places[name]].grad, parameter.grad) for name, parameter in theirs.named_parameters()]
    assert len(pairs) == 5
    for mine, other in pairs:
        other = other.detach().numpy()
        size = max(np.abs(other).max(), 1e-6)
        np.testing.assert_allclose(mine, other, rtol=0, atol={"float64": 1e-10, "float32": 2e-4}[dtype] * size)
        assert mine.dtype == dtype


def test_names_of_both_generations():
    """5.x saves weight norm as a parametrization, 4.x as weight_g and weight_v: both find our two parameters."""
    ours, theirs, places = positions_of_both(12, 8, 3, "gelu", "float32")
    assert places == {
        "conv.bias": "conv.bias",
        "conv.parametrizations.weight.original0": "conv.weight_g",
        "conv.parametrizations.weight.original1": "conv.weight_v",
    }
    with pytest.warns(FutureWarning, match="parametrizations"):
        older = torch.nn.utils.weight_norm(torch.nn.Conv1d(12, 12, 8, groups=3), dim=2)
    assert {name for name, _ in older.named_parameters()} == {"weight_g", "weight_v", "bias"}
    for name, parameter in older.named_parameters():
        assert ours.state_dict()["conv." + name].shape == tuple(parameter.shape)
    assert match_names(ours.state_dict(), [name for name, _ in theirs.named_parameters()]).unexpected == []


@st.composite
def mask_cases(draw):
    places = draw(st.integers(1, 30))
    lengths = draw(st.lists(st.integers(0, places), min_size=1, max_size=4))
    attention_mask = np.arange(places) < np.array(lengths)[:, None] if draw(st.booleans()) else None
    probability = draw(st.sampled_from([0.0, 0.05, 0.3, 0.65, 1.0]))
    return (len(lengths), places), probability, draw(st.integers(1, places)), attention_mask, draw(st.integers(0, 4))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(mask_cases(), st.integers(0, 2**32))
def test_span_masks_are_theirs_draw_for_draw(case, seed):
    """Their function with our generator in the place of NumPy's global one: the same masks, place for place."""
    shape, probability, length, attention_mask, min_masks = case
    generator = np.random.default_rng(seed)

    def choice(places, size, replace):
        return generator.choice(places, size, replace=replace) if size else np.empty(0, dtype=int)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "rand", generator.random)
        patch.setattr(np.random, "choice", choice)
        theirs = modeling_wav2vec2._compute_mask_indices(
            shape,
            probability,
            length,
            None if attention_mask is None else torch.tensor(attention_mask).long(),
            min_masks,
        )
    ours = layers.span_mask(shape, probability, length, np.random.default_rng(seed), attention_mask, min_masks)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("given_time_mask", [False, True])
def test_span_masking(given_time_mask, dtype):
    """The original's method on a stand-in for its model, with the masks that ours has drawn."""
    ours = layers.SpanMasking(24, 0.3, 3, 2, 0.2, 4, 1)
    x, dy = draw(3, 20, 24).astype(dtype), draw(3, 20, 24, seed=2).astype(dtype)
    ours.astype(dtype).masked_spec_embed.data = draw(24, seed=3).astype(dtype)
    time_mask = np.random.default_rng(5).random((3, 20)) < 0.4 if given_time_mask else None
    y, cache = ours.forward(x, time_mask=time_mask, generator=np.random.default_rng(0))
    dx = ours.backward(dy, cache)
    drawn = iter([cache.feature_mask] if given_time_mask else [cache.time_mask, cache.feature_mask])

    embedding = torch.tensor(ours.masked_spec_embed.data, requires_grad=True)
    model = SimpleNamespace(
        config=Wav2Vec2Config(mask_time_prob=0.3, mask_feature_prob=0.2),
        masked_spec_embed=embedding,
        training=True,
    )
    tensor = torch.tensor(x, requires_grad=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modeling_wav2vec2, "_compute_mask_indices", lambda *a, **k: copy.deepcopy(next(drawn)))
        given_mask = None if time_mask is None else torch.tensor(time_mask)
        wanted = modeling_wav2vec2.Wav2Vec2Model._mask_hidden_states(model, tensor * 1, given_mask)
    wanted.backward(torch.tensor(dy))
    np.testing.assert_array_equal(y, wanted.detach().numpy())
    np.testing.assert_array_equal(dx, tensor.grad.numpy())
    tolerance = {"float64": 1e-13, "float32": 1e-5}[dtype]
    np.testing.assert_allclose(ours.masked_spec_embed.grad, embedding.grad.numpy(), rtol=tolerance, atol=tolerance)

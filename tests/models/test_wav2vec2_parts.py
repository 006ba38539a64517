"""The layers that only Wav2Vec2 has keep the layer contract."""

import numpy as np
import pytest

from edutransformers import Wav2Vec2Config
from edutransformers.models.wav2vec2 import Adapter, AdapterLayer, AttentionAdapter
from edutransformers.models.wav2vec2_features import FeatureEncoder, FeatureLayer, FeatureProjection
from edutransformers.models.wav2vec2_heads import LayerMix, MeanHead, StatisticsPooling, TDNNLayer, XVectorHead
from tests.contract import check_layer

from .wav2vec2_cases import TINY

CONFIG = Wav2Vec2Config(**{**TINY, "conv_bias": True, "feat_proj_dropout": 0.0, "output_hidden_size": 4})


def floats(*shape):
    return lambda rng: (rng.standard_normal(shape),)


PARTS = {
    "group norm": (lambda: FeatureLayer(CONFIG, 0, "group"), floats(2, 1, 20)),
    "layer norm": (lambda: FeatureLayer(CONFIG, 1, "layer"), floats(2, 6, 11)),
    "no norm": (lambda: FeatureLayer(CONFIG, 2, None), floats(2, 7, 9)),
    "feature encoder": (lambda: FeatureEncoder(CONFIG), floats(2, 41)),
    "adapter layer": (lambda: AdapterLayer(CONFIG), floats(2, 5, 4)),
    "adapter": (lambda: Adapter(CONFIG), floats(2, 5, 18)),
    "attention adapter": (lambda: AttentionAdapter(6, 4), floats(2, 3, 6)),
    "tdnn": (lambda: TDNNLayer(4, 3, 2, 2), floats(2, 6, 4)),
    "mean head": (lambda: MeanHead(4, 5, 3), floats(2, 6, 4)),
    "statistics": (lambda: StatisticsPooling(), floats(2, 6, 4)),
}


@pytest.mark.parametrize("name", PARTS)
def test_contract(name):
    make_layer, make_inputs = PARTS[name]
    check_layer(make_layer, make_inputs, samples=10)


REAL = np.array([[True] * 6, [True, True, False, False, False, False]])


def test_contract_of_the_mean_of_real_frames():
    check_layer(lambda: MeanHead(4, 5, 3), floats(2, 6, 4), lambda rng: {"real": REAL}, samples=10)


def test_contract_of_the_statistics_of_real_frames():
    check_layer(
        StatisticsPooling, floats(2, 6, 4), lambda rng: {"frames": np.array([9, 2])}, samples=10
    )  # 9: counted without the dilation, there are only 6


def test_contract_of_the_mixture():
    def states(rng):
        return ([rng.standard_normal((2, 3, 4)) for _ in range(3)],)

    class Mix(LayerMix):
        """With arrays as inputs."""

        def forward(self, *states):
            return super().forward(list(states))

        def backward(self, dy, cache):
            return tuple(super().backward(dy, cache))

    check_layer(lambda: Mix(3), lambda rng: tuple(states(rng)[0]), samples=10)


def test_contract_of_the_xvector_head():
    config = Wav2Vec2Config(**{**TINY, "hidden_size": 6, "tdnn_dim": [4, 5], "xvector_output_dim": 3})
    check_layer(lambda: XVectorHead(config), floats(2, 7, 6), lambda rng: {"frames": np.array([5, 2])}, samples=5)


def test_statistics_of_a_constant():
    """A feature that never changes has a deviation of 0, and no gradient from it."""
    x = np.ones((1, 5, 2))
    x[0, :, 1] = np.arange(5)
    y, cache = StatisticsPooling().forward(x)
    np.testing.assert_allclose(y, [[1, 2, 0, np.sqrt(2.5)]])
    dx = StatisticsPooling().backward(np.array([[0.0, 0.0, 1.0, 1.0]]), cache)
    assert not dx[..., 0].any()
    np.testing.assert_allclose(dx[0, :, 1], (np.arange(5) - 2) / (4 * np.sqrt(2.5)))


def test_what_the_projection_returns(rng):
    """The features that pre-training quantizes, and the encoder's input made of them; both have a gradient."""
    layer = FeatureProjection(CONFIG).astype("float64").eval()
    frames = rng.standard_normal((2, 5, 8))
    (x, features), cache = layer.forward(frames)
    np.testing.assert_allclose(layer.projection(features), x)
    whole = layer.backward((np.ones_like(x), np.ones_like(features)), cache)
    of_x = layer.backward((np.ones_like(x), None), layer.forward(frames)[1])
    of_features = layer.backward((np.zeros_like(x), np.ones_like(features)), layer.forward(frames)[1])
    np.testing.assert_allclose(whole, of_x + of_features)

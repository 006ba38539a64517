"""Attention traced back through the layers, and drawn on pictures."""

import numpy as np
import pytest
from PIL import Image

from edutransformers.functional.softmax import softmax
from edutransformers.teaching.picture_attention import attention_on_pictures, attention_rollout
from edutransformers.teaching.plots import save

LAYERS, B, H, T = 3, 2, 4, 10


@pytest.fixture
def attentions(rng):
    return [softmax(rng.standard_normal((B, H, T, T))) for _ in range(LAYERS)]


def test_rollout_follows_every_path(attentions):
    """Against the sum over all ways from [CLS] at the end to a patch at the beginning, one step a layer."""
    step = [(a.mean(axis=1) + np.eye(T)) / 2 for a in attentions]
    wanted = np.zeros((B, T - 1))
    for b in range(B):
        for first in range(T):
            for second in range(T):
                for patch in range(1, T):
                    way = step[2][b, 0, first] * step[1][b, first, second] * step[0][b, second, patch]
                    wanted[b, patch - 1] += way
    wanted /= wanted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(attention_rollout(attentions), wanted, rtol=1e-12)


def test_the_last_layer_alone(attentions):
    got = attention_rollout(attentions[-1:], add_shortcut=False)
    wanted = attentions[-1].mean(axis=1)[:, 0, 1:]
    np.testing.assert_allclose(got, wanted / wanted.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(got.sum(axis=1), 1)


def test_layers_that_look_at_themselves_alone_change_nothing(attentions):
    same = np.broadcast_to(np.eye(T), (B, H, T, T))
    np.testing.assert_allclose(attention_rollout([attentions[0], same, same]), attention_rollout(attentions[:1]))


def test_a_figure(attentions, tmp_path):
    shares = attention_rollout(attentions)
    pictures = [np.zeros((12, 12), np.uint8), Image.new("RGB", (15, 12), (200, 0, 0))]
    figure = attention_on_pictures(pictures, shares, ["0", "red"])
    assert [ax.get_title() for ax in figure.axes[:2]] == ["0", "red"]
    drawn = figure.axes[3].images[1].get_array()
    np.testing.assert_allclose(drawn, shares[1].reshape(3, 3))
    save(figure, tmp_path / "digits.png")
    assert Image.open(tmp_path / "digits.png").size[0] > 100


def test_bad_input(attentions):
    with pytest.raises(ValueError, match="output_attentions=True"):
        attention_rollout(())
    with pytest.raises(ValueError, match=r"1 pictures and shares of shape \(2, 9\)"):
        attention_on_pictures([np.zeros((3, 3))], attention_rollout(attentions))
    with pytest.raises(ValueError, match=r"shares of shape \(1, 8\): expected .* a square number"):
        attention_on_pictures([np.zeros((3, 3))], np.ones((1, 8)))

"""Layers for pictures against torch: outputs, input gradients and parameter gradients, float64 and float32."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edutransformers import layers, losses  # noqa: E402
from edutransformers.functional.interpolation import MODES, interpolate, interpolate_backward  # noqa: E402
from edutransformers.gradient_check import Function  # noqa: E402
from edutransformers.module import keep  # noqa: E402

from .test_layers_reference import compare, draw  # noqa: E402

pytestmark = pytest.mark.reference
F = torch.nn.functional


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.mark.parametrize(
    ("channels", "patch", "size"),
    [(3, (16, 16), (64, 64)), (1, (2, 3), (8, 9)), (2, (5, 4), (17, 15)), (3, (1, 1), (4, 3)), (4, (6, 7), (6, 7))],
    ids=str,
)
def test_patch_embedding_is_a_strided_convolution(channels, patch, size, dtype):
    def theirs(p, x):
        return F.conv2d(x, p["weight"], p["bias"], stride=patch).flatten(2).transpose(1, 2)

    compare(layers.PatchEmbedding(channels, 24, patch), theirs, [draw(2, channels, *size)], dtype=dtype)


@pytest.mark.parametrize(("patch", "grid"), [(16, (3, 2)), (1, (4, 4)), (3, (1, 5))], ids=str)
def test_patch_decoder_is_a_convolution_and_a_pixel_shuffle(patch, grid, dtype):
    def theirs(p, x):
        channels = F.conv2d(x.transpose(1, 2).reshape(2, 7, *grid), p["weight"], p["bias"])
        return F.pixel_shuffle(channels, patch)

    x = draw(2, grid[0] * grid[1], 7)
    compare(layers.PatchDecoder(7, 3, patch), theirs, [x], {"grid": grid}, dtype=dtype)


SIZES = [
    ((14, 14), (24, 24)),
    ((14, 14), (7, 9)),
    ((5, 9), (13, 31)),
    ((1, 6), (4, 2)),
    ((7, 1), (1, 3)),
    ((4, 4), (4, 4)),
]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("before", "after"), SIZES, ids=str)
def test_interpolation(before, after, mode, align_corners, dtype):
    ours = Function(
        lambda x: (interpolate(x, after, mode, align_corners), keep(x.shape[2:])),
        lambda dy, cache: interpolate_backward(dy, cache[0], mode, align_corners),
    )

    def theirs(p, x):
        return F.interpolate(x, size=after, mode=mode, align_corners=align_corners)

    compare(ours, theirs, [draw(2, 3, *before)], dtype=dtype)


@pytest.mark.parametrize("grid", [(5, 5), (7, 3), (2, 2), (1, 9)], ids=str)
def test_positions_of_a_grid(grid, dtype):
    def theirs(p, unused):
        table = p["weight"]
        places = table[:, 1:].reshape(1, 3, 3, 8).permute(0, 3, 1, 2)
        places = F.interpolate(places, size=grid, mode="bicubic", align_corners=False)
        return torch.cat([table[:, :1], places.permute(0, 2, 3, 1).reshape(1, -1, 8)], dim=1)

    class AtGrid(layers.GridPositions):
        def forward(self, unused):
            return super().forward(grid)

    compare(AtGrid((3, 3), 8), theirs, [np.array(0)], dtype=dtype)


def test_loss_of_hidden_patches(dtype):
    hidden = np.random.default_rng(3).integers(0, 2, (2, 6)) == 1

    def theirs(p, painted, picture):
        mask = torch.tensor(hidden).reshape(2, 1, 2, 3).repeat_interleave(4, 2).repeat_interleave(5, 3)
        mask = mask.to(painted.dtype)  # their own sum of booleans would be float32
        return (F.l1_loss(picture, painted, reduction="none") * mask).sum() / (mask.sum() + 1e-5) / 3

    inputs = [draw(2, 3, 8, 15), draw(2, 3, 8, 15, seed=2)]
    compare(losses.MaskedImageLoss(), theirs, inputs, {"hidden": hidden, "grid": (2, 3)}, dtype=dtype)

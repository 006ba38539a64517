"""Pictures (or any grids of numbers) at another size: bilinear and bicubic interpolation, and its backward pass.

Both are linear in the pixels, and work along one axis after the other. So each axis has a matrix, most of whose entries
are 0, and a picture is resized by one product from the left and one from the right.
"""

from ..backend import array_module
from .precision import computed_in_float32

MODES = ("bilinear", "bicubic")


def interpolate(x, size, mode: str = "bilinear", align_corners: bool = False):
    """y = R x Cᵀ for every channel.   x (B, C, H, W), size (H′, W′) -> y (B, C, H′, W′)

    R (H′, H) and C (W′, W) come from `interpolation_matrix`. The numbers are those of PyTorch's function of the same
    name: `align_corners=False` takes pixels for squares that fill the picture, True for points whose outermost ones
    stay where they are. A smaller picture is not smoothed first (its `antialias=False`).
    """
    rows, columns = _matrices(x, x.shape[2:], size, mode, align_corners)
    return _between(x, rows, columns.T)


def interpolate_backward(dy, size, mode: str = "bilinear", align_corners: bool = False):
    """dy (B, C, H′, W′) -> dx (B, C, H, W), where `size` (H, W) is that of x.

    y[h′,w′] = Σ R[h′,h] x[h,w] C[w′,w], so dx[h,w] = Σ R[h′,h] dy[h′,w′] C[w′,w]: the transposed matrices,

        dx = Rᵀ dy C
    """
    rows, columns = _matrices(dy, size, dy.shape[2:], mode, align_corners)
    return _between(dy, rows.T, columns)


@computed_in_float32
def _between(x, left, right):
    return left @ x @ right


def _matrices(like, before, after, mode, align_corners):
    if len(after) != 2 or min(*before, *after) < 1:
        raise ValueError(f"can't interpolate from {tuple(before)} to {tuple(after)}: expected two sizes of at least 1")
    return [interpolation_matrix(a, b, mode, align_corners, like) for a, b in zip(before, after)]


def interpolation_matrix(before: int, after: int, mode: str, align_corners: bool, like):
    """(after, before): row i says of which old values, with which weights, the new value i is made; each sums to 1.

    New value i lies at s = (i + ½) before/after − ½ among the old ones, with aligned corners at i (before−1)/(after−1).
    That is the part t of the way from f = ⌊s⌋ to f + 1, and the new value is

        bilinear    (1 − t) x[f] + t x[f+1]
        bicubic     κ(t+1) x[f−1] + κ(t) x[f] + κ(1−t) x[f+1] + κ(2−t) x[f+2]     (Keys 1981, with a = −¾)

    Where that asks for a value beyond an end, the one at the end stands in. `like` says device and number type.
    """
    xp = array_module(like)
    new = xp.arange(after, dtype="float64")
    if align_corners:
        place = new * ((before - 1) / (after - 1) if after > 1 else 0.0)
    else:
        place = (new + 0.5) * (before / after) - 0.5
    if mode == "bilinear":
        t = place - xp.floor(place)
        weights = {0: 1 - t, 1: t}
    elif mode == "bicubic":
        t = place - xp.floor(place)
        weights = {-1: _cubic_far(t + 1), 0: _cubic_near(t), 1: _cubic_near(1 - t), 2: _cubic_far(2 - t)}
    else:
        raise ValueError(f"unknown mode of interpolation {mode!r}: expected one of {', '.join(MODES)}")
    first, old = xp.floor(place), xp.arange(before, dtype="float64")
    matrix = xp.zeros((after, before), dtype="float64")
    for offset, weight in weights.items():
        taken = xp.clip(first + offset, 0, before - 1)
        matrix += weight[:, None] * (taken[:, None] == old)
    return matrix.astype("float32" if like.dtype == "float16" else like.dtype)


# Keys 1981, "Cubic Convolution Interpolation for Digital Image Processing": a piecewise cubic κ with κ(0) = 1,
# κ(±1) = κ(±2) = 0 and a continuous slope. One number is free, the slope a at ±1.
_SLOPE = -0.75


def _cubic_near(u):
    """κ(u) for |u| ≤ 1: (a + 2)|u|³ − (a + 3)|u|² + 1"""
    return ((_SLOPE + 2) * u - (_SLOPE + 3)) * u * u + 1


def _cubic_far(u):
    """κ(u) for 1 ≤ |u| ≤ 2: a|u|³ − 5a|u|² + 8a|u| − 4a"""
    return ((_SLOPE * u - 5 * _SLOPE) * u + 8 * _SLOPE) * u - 4 * _SLOPE

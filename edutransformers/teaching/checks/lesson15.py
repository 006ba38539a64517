"""Lesson 15: image patches and ViT."""

import numpy as np

from ...functional.patches import cut_into_patches, join_patches
from ...functional.softmax import softmax
from ..checker import call, draw, draw_integers, exercise, same, same_all
from ..picture_attention import attention_rollout


@exercise(lesson=15)
def check_to_pixel_values(answer):
    for B, H, W, C in ((2, 5, 7, 3), (1, 4, 6, 1), (3, 6, 2, 2)):
        pictures = draw_integers(0, 256, B, H, W, C).astype(np.uint8)
        mean, std = 0.45 + 0.05 * np.tanh(draw(C)), 0.25 + 0.05 * np.tanh(draw(C))
        last = (pictures / 255 - mean) / std  # (B, H, W, C)
        same(
            call(answer, pictures, mean, std),
            last.transpose(0, 3, 1, 2),
            "to_pixel_values(pictures, mean, std)",
            mistakes={
                "the channels are still the last axis: transpose to (B, C, H, W)": last,
                "height and width are swapped: that is (B, C, W, H)": last.transpose(0, 3, 2, 1),
                "reshape to (B, C, H, W) doesn't move an axis, it only cuts the row of numbers anew: "
                "transpose": last.reshape(B, C, H, W),
                "the division by 255 is missing: mean and std belong to numbers from 0 to 1": (
                    (pictures - mean) / std
                ).transpose(0, 3, 1, 2),
                "it is divided by 256; the largest byte is 255 and should become 1": (
                    (pictures / 256 - mean) / std
                ).transpose(0, 3, 1, 2),
                "that is p/255 without mean and std": (pictures / 255).transpose(0, 3, 1, 2),
                "the mean isn't subtracted": (pictures / 255 / std).transpose(0, 3, 1, 2),
                "it isn't divided by std": (pictures / 255 - mean).transpose(0, 3, 1, 2),
                "the mean is subtracted after the division by std; first subtract, then divide": (
                    pictures / 255 / std - mean
                ).transpose(0, 3, 1, 2),
                "p / 255 − mean / std: the difference is divided, so it needs brackets": (
                    pictures / 255 - mean / std
                ).transpose(0, 3, 1, 2),
                "it is multiplied by std; divide": ((pictures / 255 - mean) * std).transpose(0, 3, 1, 2),
                "// drops what is behind the point: all bytes but 255 become 0": (
                    (pictures // 255 - mean) / std
                ).transpose(0, 3, 1, 2),
                "the division by 255 comes first: mean and std belong to numbers from 0 to 1": (
                    (pictures - mean) / std / 255
                ).transpose(0, 3, 1, 2),
                "all channels got the first one's mean and std; each has its own": (
                    (pictures / 255 - mean[0]) / std[0]
                ).transpose(0, 3, 1, 2),
                "it is divided by std², the variance; std is the standard deviation itself": (
                    (pictures / 255 - mean) / std**2
                ).transpose(0, 3, 1, 2),
                ".T turns the order of all four axes round; only the channels move": last.T,
                "mean and std are swapped": ((pictures / 255 - std) / mean).transpose(0, 3, 1, 2),
            },
        )


@exercise(lesson=15)
def check_cut_patches(answer):
    for B, C, H, W, P in ((2, 3, 8, 12, 4), (1, 2, 6, 4, 2), (3, 1, 5, 15, 5)):
        x = draw(B, C, H, W)
        h, w = H // P, W // P
        split = x.reshape(B, C, h, P, w, P)
        rows = (B, h * w, C * P * P)
        same(
            call(answer, x, P),
            cut_into_patches(x, (P, P)),
            "cut_patches(x, P)",
            mistakes={
                "reshape alone takes the numbers as they lie in memory, strips instead of squares: split both axes, "
                "then transpose": x.reshape(rows),
                "the patches are numbered column by column; row by row is asked for": split.transpose(
                    0, 4, 2, 1, 3, 5
                ).reshape(rows),
                "inside a patch the channels vary fastest; asked for is channel by channel: axes (C, P, P)": (
                    split.transpose(0, 2, 4, 3, 5, 1).reshape(rows)
                ),
                "inside a patch rows and columns are swapped": split.transpose(0, 2, 4, 1, 5, 3).reshape(rows),
                "the height was split into (P, H/P); the grid's row comes first: (H/P, P)": (
                    x.reshape(B, C, P, h, P, w).transpose(0, 3, 5, 1, 2, 4).reshape(rows)
                ),
                "behind the grid's row i stands p; the order is b, i, j, c, p, q": split.transpose(
                    0, 2, 3, 1, 4, 5
                ).reshape(rows),
                "the split is (P, P, H/P, W/P); each axis stays where it is: (H/P, P, W/P, P)": (
                    x.reshape(B, C, P, P, h, w).transpose(0, 4, 5, 1, 2, 3).reshape(rows)
                ),
                "the patches stand in front of the batch: (N, B, C·P·P)": cut_into_patches(x, (P, P)).swapaxes(0, 1),
                "only the first picture was cut; there are B": cut_into_patches(x[:1], (P, P)),
                "the channels are cut apart: all channels of one place belong into one patch": split.transpose(
                    0, 1, 2, 4, 3, 5
                ).reshape(rows),
                "each channel's patches are rows of their own; (B, N, C·P·P) has all channels of a place in one row": (
                    split.transpose(0, 1, 2, 4, 3, 5).reshape(B, C * h * w, P * P)
                ),
                "the patches are still in a grid: make one axis of its rows and columns": split.transpose(
                    0, 2, 4, 1, 3, 5
                ).reshape(B, h, w, C * P * P),
            },
        )


@exercise(lesson=15)
def check_cut_patches_backward(answer):
    for B, C, H, W, P in ((2, 3, 8, 12, 4), (1, 2, 6, 4, 2), (3, 1, 5, 15, 5)):
        h, w = H // P, W // P
        dpatches = draw(B, h * w, C * P * P)
        apart = dpatches.reshape(B, h, w, C, P, P)
        shape = (B, C, H, W)
        same(
            call(answer, dpatches, P, shape),
            join_patches(dpatches, (P, P), (H, W)),
            "cut_patches_backward(dpatches, P, shape)",
            sizes={"P": P},
            mistakes={
                "that is the forward pass once more; first split dpatches into (B, H/P, W/P, C, P, P)": (
                    dpatches.reshape(B, C, h, P, w, P).transpose(0, 2, 4, 1, 3, 5).reshape(shape)
                ),
                "that is the derivative alone, 1; what arrived, dpatches, is multiplied with it": np.ones(shape),
                "only the first picture got its gradient": np.concatenate(
                    [join_patches(dpatches[:1], (P, P), (H, W)), np.zeros((B - 1, C, H, W))]
                ),
                "reshape alone doesn't put the squares back: reshape to (B, H/P, W/P, C, P, P), transpose, "
                "reshape": dpatches.reshape(shape),
                "after the reshape a transpose is missing": apart.reshape(shape),
                "that is the forward pass's transpose once more; here its inverse is needed": (
                    apart.transpose(0, 2, 4, 1, 3, 5).reshape(shape)
                ),
                "the patches are put back column by column; they are numbered row by row": (
                    dpatches.reshape(B, w, h, C, P, P).transpose(0, 3, 2, 4, 1, 5).reshape(shape)
                ),
                "inside a patch rows and columns are swapped": apart.transpose(0, 3, 1, 5, 2, 4).reshape(shape),
                "inside a patch the channels come first, (C, P, P); they were taken for the last axis": (
                    dpatches.reshape(B, h, w, P, P, C).transpose(0, 5, 1, 3, 2, 4).reshape(shape)
                ),
                "the picture has the patches one below another: which axis follows the grid's row h?": (
                    apart.transpose(0, 3, 1, 2, 4, 5).reshape(shape)
                ),
            },
        )


@exercise(lesson=15)
def check_picture_tokens_backward(answer):
    for B, N, D in ((3, 4, 5), (2, 6, 3), (1, 9, 4)):
        dx = draw(B, N + 1, D)
        one_batch = dx.sum(axis=0, keepdims=True)
        same_all(
            call(answer, dx),
            {"dvectors": dx[:, 1:], "dcls": one_batch[:, :1], "dpositions": one_batch},
            mistakes={
                "dvectors": {
                    "[CLS] is in front: the patches are tokens 1 … N": dx[:, :-1],
                    "[CLS]'s gradient is still in it: N + 1 tokens went in, N of them are patches": dx,
                    "that is summed over the batch; every picture has patches of its own": one_batch[:, 1:],
                },
                "dcls": {
                    "the sum over the batch is missing: one vector served all B pictures": dx[:, :1],
                    "that is the mean over the batch; gradients of what was used B times add up": one_batch[:, :1] / B,
                    "the sum went over the tokens; it goes over the batch, axis 0": dx.sum(axis=1, keepdims=True),
                    "that is the last token's; [CLS] is in front": one_batch[:, -1:],
                    "that is the first picture's alone": dx[:1, :1],
                    "that is summed over the tokens as well; [CLS] is only the first": one_batch.sum(
                        axis=1, keepdims=True
                    ),
                },
                "dpositions": {
                    "the sum over the batch is missing: one table served all B pictures": dx,
                    "that is the mean over the batch; gradients of what was used B times add up": one_batch / B,
                    "[CLS] has a position too: N + 1 rows": one_batch[:, 1:],
                    "it is summed over the tokens; each place has its own row": one_batch.sum(axis=1, keepdims=True),
                    "that is the first picture's alone": dx[:1],
                },
            },
            sizes={"B": B},
        )


@exercise(lesson=15)
def check_rollout(answer):
    for B, heads, T, layers in ((2, 3, 5, 3), (1, 2, 7, 4), (3, 4, 10, 5)):
        attentions = [softmax(draw(B, heads, T, T)) for _ in range(layers)]
        means = [weights.mean(axis=1) for weights in attentions]
        steps = [(mean + np.eye(T)) / 2 for mean in means]
        same(
            call(answer, attentions),
            attention_rollout(attentions),
            "rollout(attentions)",
            mistakes={
                "the shortcut is missing: half of each token is what it was before, (A + 1)/2": _shares(_chain(means)),
                "the layers are multiplied the wrong way round: the later layer stands on the left": _shares(
                    _chain(steps[::-1])
                ),
                "[CLS]'s own share is still in it: N numbers a picture, of the patches": _chain(steps)[:, 0],
                "the shares don't add up to 1: divide by their sum without [CLS]": _chain(steps)[:, 0, 1:],
                "that is the column of [CLS], who takes from it; its row is asked for, what it takes": _shares(
                    _chain(steps).swapaxes(1, 2)
                ),
                "that is the last layer alone; the layers before have mixed the patches too": _shares(steps[-1]),
                "that is the last layer's attention alone": _shares(means[-1]),
                "that is the first layer alone": _shares(steps[0]),
                "the layers are averaged; one works on what the other left, so multiply them": _shares(
                    sum(steps) / layers
                ),
                "all pictures' shares together add up to 1; each picture's should: sum over axis=-1": _chain(steps)[
                    :, 0, 1:
                ]
                / _chain(steps)[:, 0, 1:].sum(),
                "the mean went over the batch; the heads are axis 1": _shares(
                    _chain([(weights.mean(axis=0) + np.eye(T)) / 2 for weights in attentions])
                ),
                "1 is added everywhere; the shortcut is the identity matrix, np.eye(T)": _shares(
                    _chain([(mean + 1) / (1 + T) for mean in means])
                ),
                "steps are multiplied number by number; a chain of layers is a matrix product, @": _shares(
                    np.prod(steps, axis=0)
                ),
                "steps are multiplied number by number, and the identity's zeros leave nothing: use @": np.full(
                    (B, T - 1), np.nan
                ),
                "the heads are added up; their mean is asked for": _shares(
                    _chain([(weights.sum(axis=1) + np.eye(T)) / 2 for weights in attentions])
                ),
                "that is the mean over the rows; [CLS] is the first row": _normed(_chain(steps).mean(axis=1)[:, 1:]),
                "that is the last token's row; [CLS] is the first": _normed(_chain(steps)[:, -1, 1:]),
                "the first head alone was taken; average the heads": _shares(
                    _chain([(weights[:, 0] + np.eye(T)) / 2 for weights in attentions])
                ),
            },
        )


def _chain(steps):
    """Of the first to the last layer: steps[-1] @ … @ steps[0]."""
    product = steps[0]
    for step in steps[1:]:
        product = step @ product
    return product


def _shares(mixed):
    return _normed(mixed[:, 0, 1:])


def _normed(shares):
    return shares / shares.sum(axis=-1, keepdims=True)

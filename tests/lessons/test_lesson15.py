"""Lesson 15's checkers: image patches and ViT."""

import numpy as np

from edutransformers.functional.patches import cut_into_patches, join_patches
from edutransformers.teaching.picture_attention import attention_rollout
from tests.lessons.common import suite_of


def pixel_values(pictures, mean, std):
    return ((pictures / 255 - mean) / std).transpose(0, 3, 1, 2)


def pixel_values_in_float32(pictures, mean, std):
    x = np.moveaxis(pictures, -1, 1).astype(np.float32)
    x /= 255
    x -= mean.astype(np.float32)[:, None, None]
    x /= std.astype(np.float32)[:, None, None]
    return x


def pixel_values_by_channel(pictures, mean, std):
    return np.stack([(pictures[..., c] / 255 - mean[c]) / std[c] for c in range(len(mean))], axis=1)


def pixel_values_by_one_factor(pictures, mean, std):
    return np.einsum("bhwc,c->bchw", pictures.astype("float64"), 1 / (255 * std)) - (mean / std)[:, None, None]


def pixel_values_of_first_channel(pictures, mean, std):
    return pixel_values(pictures, mean[0], std[0])


def patches(x, P):
    return cut_into_patches(x, (P, P))


def patches_by_loops(x, P):
    B, C, H, W = x.shape
    rows = [[x[b, :, h : h + P, w : w + P].ravel() for h in range(0, H, P) for w in range(0, W, P)] for b in range(B)]
    return np.array(rows)


def patches_by_splitting(x, P):
    strips = np.split(x, x.shape[2] // P, axis=2)
    return np.stack(
        [patch.reshape(len(x), -1) for strip in strips for patch in np.split(strip, x.shape[3] // P, axis=3)], axis=1
    )


def patches_first(x, P):
    rows, columns = range(0, x.shape[2], P), range(0, x.shape[3], P)
    return np.array([x[:, :, i : i + P, j : j + P].reshape(len(x), -1) for i in rows for j in columns])


def split(x, P):
    B, C, H, W = x.shape
    return x.reshape(B, C, H // P, P, W // P, P)


def shape_of_patches(x, P):
    B, C, H, W = x.shape
    return B, H * W // P**2, C * P * P


def joined(dpatches, P, shape):
    return join_patches(dpatches, (P, P), shape[2:])


def joined_by_loops(dpatches, P, shape):
    dx = np.zeros(shape)
    places = [(h, w) for h in range(0, shape[2], P) for w in range(0, shape[3], P)]
    for n, (h, w) in enumerate(places):
        dx[:, :, h : h + P, w : w + P] += dpatches[:, n].reshape(shape[0], shape[1], P, P)
    return dx


def joined_by_numbers(dpatches, P, shape):
    """Where each pixel went, found by cutting up a picture of numbers."""
    numbers = cut_into_patches(np.arange(np.prod(shape)).reshape(shape), (P, P))
    dx = np.empty(np.prod(shape), dtype=dpatches.dtype)
    dx[numbers.ravel()] = dpatches.ravel()
    return dx.reshape(shape)


def first_picture_joined(dpatches, P, shape):
    dx = np.zeros(shape)
    dx[:1] = joined(dpatches[:1], P, (1, *shape[1:]))
    return dx


def apart(dpatches, P, shape):
    B, C, H, W = shape
    return dpatches.reshape(B, H // P, W // P, C, P, P)


def tokens_backward(dx):
    return dx[:, 1:], dx[:, :1].sum(axis=0, keepdims=True), dx.sum(axis=0, keepdims=True)


def tokens_backward_by_loops(dx):
    table = np.zeros((1, *dx.shape[1:]))
    for one in dx:
        table[0] += one
    return [dx[:, 1:].tolist(), table[:, :1], table]


def rollout_from_the_last(attentions):
    row = None
    for weights in attentions[::-1]:
        step = (weights.mean(axis=1) + np.eye(weights.shape[-1])) / 2
        row = step[:, :1] if row is None else row @ step
    return row[:, 0, 1:] / row[:, 0, 1:].sum(axis=-1, keepdims=True)


def rollout_by_picture(attentions):
    rows = []
    for b in range(len(attentions[0])):
        mixed = np.eye(attentions[0].shape[-1])
        for weights in attentions:
            mean = sum(weights[b]) / len(weights[b])
            mixed = (mean @ mixed + mixed) / 2
        rows.append(mixed[0, 1:] / mixed[0, 1:].sum())
    return np.array(rows)


def rollout_wrong_way_round(attentions):
    return attention_rollout(attentions[::-1])


def rollout_number_by_number(attentions):
    identity = shares = np.eye(attentions[0].shape[-1])
    for weights in attentions:
        shares = (weights.mean(axis=1) + identity) / 2 * shares
    with np.errstate(invalid="ignore"):
        return shares[:, 0, 1:] / shares[:, 0, 1:].sum(axis=-1, keepdims=True)


def rollout_with_cls(attentions):
    mixed = np.eye(attentions[0].shape[-1])
    for weights in attentions:
        mixed = (weights.mean(axis=1) + np.eye(weights.shape[-1])) / 2 @ mixed
    return mixed[:, 0]


RIGHT = {
    "to_pixel_values": {
        "last axis first": pixel_values,
        "float32, in place": pixel_values_in_float32,
        "channel by channel": pixel_values_by_channel,
        "one factor": pixel_values_by_one_factor,
    },
    "cut_patches": {
        "the library's": patches,
        "loops": patches_by_loops,
        "split": patches_by_splitting,
        "float32": lambda x, P: patches(x.astype("float32"), P),
    },
    "cut_patches_backward": {
        "the library's": joined,
        "loops": joined_by_loops,
        "by numbers": joined_by_numbers,
        "float32": lambda dpatches, P, shape: joined(dpatches.astype("float32"), P, shape),
    },
    "picture_tokens_backward": {
        "sums": tokens_backward,
        "loops": tokens_backward_by_loops,
        "float32": lambda dx: tokens_backward(dx.astype("float32")),
        "einsum": lambda dx: (dx[:, 1:], np.einsum("btd->td", dx)[None, :1], np.einsum("btd->td", dx)[None]),
    },
    "rollout": {
        "the library's": attention_rollout,
        "from the last layer": rollout_from_the_last,
        "picture by picture": rollout_by_picture,
        "float32": lambda attentions: attention_rollout([w.astype("float32") for w in attentions]).astype("float32"),
    },
}

WRONG = {
    "to_pixel_values": {
        "channels last": (lambda p, mean, std: (p / 255 - mean) / std, "the channels are still the last axis"),
        "reshape": (
            lambda p, mean, std: ((p / 255 - mean) / std).reshape(len(p), p.shape[3], *p.shape[1:3]),
            "reshape to (B, C, H, W) doesn't move an axis",
        ),
        "width first": (lambda p, mean, std: ((p / 255 - mean) / std).transpose(0, 3, 2, 1), "height and width are"),
        "no 255": (lambda p, mean, std: pixel_values(255.0 * p, mean, std), "the division by 255 is missing"),
        "256": (lambda p, mean, std: pixel_values(p * (255 / 256), mean, std), "the largest byte is 255"),
        "no brackets": (lambda p, mean, std: (p / 255 - mean / std).transpose(0, 3, 1, 2), "it needs brackets"),
        "times std": (lambda p, mean, std: pixel_values(p, mean, 1 / std), "it is multiplied by std"),
        "whole numbers": (
            lambda p, mean, std: pixel_values(p // 255 * 255, mean, std),
            "drops what is behind the point",
        ),
        "255 last": (lambda p, mean, std: pixel_values(255.0 * p, mean, std) / 255, "the division by 255 comes first"),
        "variance": (lambda p, mean, std: pixel_values(p, mean, std**2), "the variance"),
        "one channel's": (pixel_values_of_first_channel, "each has its own"),
        "turned round": (lambda p, mean, std: ((p / 255 - mean) / std).T, "all four axes"),
        "swapped": (lambda p, mean, std: pixel_values(p, std, mean), "mean and std are swapped"),
        "no mean": (lambda p, mean, std: pixel_values(p, 0 * mean, std), "the mean isn't subtracted"),
        "no std": (lambda p, mean, std: pixel_values(p, mean, std / std), "it isn't divided by std"),
    },
    "cut_patches": {
        "reshape alone": (lambda x, P: x.reshape(shape_of_patches(x, P)), "strips instead of squares"),
        "by columns": (
            lambda x, P: split(x, P).transpose(0, 4, 2, 1, 3, 5).reshape(shape_of_patches(x, P)),
            "numbered column by column",
        ),
        "channels vary fastest": (
            lambda x, P: split(x, P).transpose(0, 2, 4, 3, 5, 1).reshape(shape_of_patches(x, P)),
            "the channels vary fastest",
        ),
        "each patch transposed": (
            lambda x, P: split(x, P).transpose(0, 2, 4, 1, 5, 3).reshape(shape_of_patches(x, P)),
            "inside a patch rows and columns are swapped",
        ),
        "a grid": (
            lambda x, P: patches(x, P).reshape(len(x), x.shape[2] // P, x.shape[3] // P, -1),
            "still in a grid",
        ),
        "p before j": (
            lambda x, P: split(x, P).transpose(0, 2, 3, 1, 4, 5).reshape(shape_of_patches(x, P)),
            "the order is b, i, j, c, p, q",
        ),
        "P and P": (
            lambda x, P: (
                x.reshape(*x.shape[:2], P, P, x.shape[2] // P, x.shape[3] // P)
                .transpose(0, 4, 5, 1, 2, 3)
                .reshape(shape_of_patches(x, P))
            ),
            "each axis stays where it is",
        ),
        "patches first": (patches_first, "in front of the batch"),
        "split the wrong way": (
            lambda x, P: (
                x.reshape(*x.shape[:2], P, x.shape[2] // P, P, x.shape[3] // P)
                .transpose(0, 3, 5, 1, 2, 4)
                .reshape(shape_of_patches(x, P))
            ),
            "the grid's row comes first",
        ),
    },
    "cut_patches_backward": {
        "reshape alone": (lambda dpatches, P, shape: dpatches.reshape(shape), "reshape alone doesn't put"),
        "the forward's transpose": (
            lambda dpatches, P, shape: apart(dpatches, P, shape).transpose(0, 2, 4, 1, 3, 5).reshape(shape),
            "here its inverse is needed",
        ),
        "each patch transposed": (
            lambda dpatches, P, shape: apart(dpatches, P, shape).transpose(0, 3, 1, 5, 2, 4).reshape(shape),
            "inside a patch rows and columns are swapped",
        ),
        "the forward pass": (
            lambda dpatches, P, shape: split(dpatches.reshape(shape), P).transpose(0, 2, 4, 1, 3, 5).reshape(shape),
            "that is the forward pass once more",
        ),
        "ones": (lambda dpatches, P, shape: np.ones(shape), "the derivative alone"),
        "mean": (lambda dpatches, P, shape: joined(dpatches, P, shape) / P**2, "1/P² times"),
        "first picture": (first_picture_joined, "only the first picture"),
        "channels last": (
            lambda dpatches, P, shape: (
                dpatches.reshape(shape[0], shape[2] // P, shape[3] // P, P, P, shape[1])
                .transpose(0, 5, 1, 3, 2, 4)
                .reshape(shape)
            ),
            "they were taken for the last axis",
        ),
    },
    "picture_tokens_backward": {
        "cls at the end": (lambda dx: (dx[:, :-1], *tokens_backward(dx)[1:]), "[CLS] is in front"),
        "no sum for cls": (lambda dx: (dx[:, 1:], dx[:1, :1], dx.sum(0, keepdims=True)), "first picture's alone"),
        "sum over tokens": (
            lambda dx: (dx[:, 1:], dx.sum(axis=1, keepdims=True), dx.sum(0, keepdims=True)),
            "it goes over the batch",
        ),
        "no sum for places": (lambda dx: (*tokens_backward(dx)[:2], dx), "one table served all"),
        "means": (lambda dx: (dx[:, 1:], *(d / len(dx) for d in tokens_backward(dx)[1:])), "the mean over the batch"),
        "places without cls": (
            lambda dx: (*tokens_backward(dx)[:2], tokens_backward(dx)[2][:, 1:]),
            "[CLS] has a position too",
        ),
        "axis lost": (lambda dx: (dx[:, 1:], dx[:, 0].sum(axis=0), dx.sum(axis=0)), "has the wrong shape"),
    },
    "rollout": {
        "no shortcut": (lambda attentions: attention_rollout(attentions, False), "the shortcut is missing"),
        "wrong way round": (rollout_wrong_way_round, "the later layer stands on the left"),
        "with cls": (rollout_with_cls, "[CLS]'s own share is still in it"),
        "not normed": (lambda attentions: rollout_with_cls(attentions)[:, 1:], "the shares don't add up to 1"),
        "the last layer": (lambda attentions: attention_rollout(attentions[-1:]), "the layers before have mixed"),
        "one sum for all": (
            lambda attentions: rollout_with_cls(attentions)[:, 1:] / rollout_with_cls(attentions)[:, 1:].sum(),
            "each picture's should",
        ),
        "number by number": (rollout_number_by_number, "use @"),
        "heads added": (
            lambda attentions: attention_rollout([w.sum(axis=1, keepdims=True) for w in attentions]),
            "the heads are added up",
        ),
        "one head": (
            lambda attentions: attention_rollout([w[:, :1] for w in attentions]),
            "average the heads",
        ),
    },
}

test_right, test_wrong, test_complete = suite_of(15, RIGHT, WRONG)

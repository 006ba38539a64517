"""Where a Vision Transformer looks: attention traced back through all layers, and drawn on the picture."""

from __future__ import annotations

import numpy as np

from ..backend import to_numpy
from .plots import STYLE


def attention_rollout(attentions, add_shortcut: bool = True) -> np.ndarray:
    """How much of each patch is in [CLS] at the end: (B, N), each row sums to 1.

    attentions    of a model's output: one (B, H, T, T) a layer, T = N + 1, [CLS] first

    A layer's output is half what its attention gathers and half what came by the shortcut, so with A the mean of the
    heads it mixes the tokens by (A + 1) / 2; all layers together by the product of these. Read: of the last [CLS], the
    shares of the first layer's patches, made to sum to 1 without [CLS]'s own. (Abnar and Zuidema 2020, "Quantifying
    Attention Flow in Transformers".) It follows where information can come from, not whether it was of use.

    `add_shortcut=False` takes the A alone. For the last layer's attention: attention_rollout(attentions[-1:], False).
    """
    if not attentions:
        raise ValueError("attention_rollout needs attentions: call the model with output_attentions=True")
    mixed = None
    for weights in attentions:
        mean = to_numpy(weights).astype(np.float64).mean(axis=1)
        if add_shortcut:
            mean = (mean + np.eye(mean.shape[-1])) / 2
        mixed = mean if mixed is None else mean @ mixed
    shares = mixed[:, 0, 1:]
    return shares / shares.sum(axis=-1, keepdims=True)


def attention_on_pictures(pictures, shares, titles=None, columns: int = 10):
    """Each picture with its patches' shares laid over it: what is looked at stays light, the rest goes dark.

    pictures   (H, W) grey or (H, W, 3), 0 … 255: arrays or Pillow images
    shares     (B, N) of `attention_rollout`, for patches row by row, as many rows as columns
    """
    import matplotlib
    from matplotlib.figure import Figure

    shares = np.asarray(shares)
    side = round(shares.shape[1] ** 0.5)
    if side * side != shares.shape[1] or len(pictures) != len(shares):
        raise ValueError(
            f"{len(pictures)} pictures and shares of shape {shares.shape}: expected one row a picture, a square number "
            "of patches each"
        )
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.05 * columns, (2.15 + 0.25 * (titles is not None)) * rows), layout="constrained")
        axes = figure.subplots(2 * rows, columns, squeeze=False)
        for ax in axes.flat:
            ax.axis("off")
        for place, (picture, share) in enumerate(zip(pictures, shares)):
            row, column = divmod(place, columns)
            picture = np.asarray(picture, dtype=np.float64) / 255
            rgb = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=-1)
            axes[2 * row, column].imshow(rgb, vmin=0, vmax=1)
            if titles is not None:
                axes[2 * row, column].set_title(titles[place], fontsize=9, fontweight="normal", loc="center")
            ax, frame = axes[2 * row + 1, column], (-0.5, rgb.shape[1] - 0.5, rgb.shape[0] - 0.5, -0.5)
            ax.imshow(rgb.mean(axis=-1), cmap="Greys_r", vmin=0, vmax=1, extent=frame)
            ax.imshow(share.reshape(side, side), cmap="inferno", vmin=0, alpha=0.65, extent=frame)
    return figure

"""Adam: AdamW's step, with decay as a part of the gradient."""

from __future__ import annotations

from .adamw import AdamW, adamw_chunk
from .elementwise import with_decay


class Adam(AdamW):
    """Adam (Kingma & Ba 2014). Equal to torch.optim.Adam.

        g ← g + λ w          decay, λ = weight_decay
        m, v, w              as in AdamW, where λ is 0

    Without decay the two are the same. With it, the λ w in g is divided by √v̂ as all of g is: weights with large
    gradients hardly decay, which is why AdamW took decay out.

    lr, betas, eps, amsgrad, correct_bias, threads   as in AdamW

    Keeps m and v: 8 bytes for each float32 weight.
    """

    buffers = (None, None)

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, correct_bias=True,
        threads=None,
    ):  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, correct_bias, threads)

    def numbers(self, group, step):
        """(λ, AdamW's numbers without decay)"""
        return float(group["weight_decay"]), super().numbers({**group, "weight_decay": 0.0}, step)

    @staticmethod
    def update(numbers, scratch, w, g, m, v, largest=None):
        weight_decay, of_adamw = numbers
        step, decayed = scratch
        adamw_chunk(of_adamw, (step,), w, with_decay(w, g, weight_decay, decayed), m, v, largest)

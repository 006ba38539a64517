"""AdamW with its two states in 8 bits: a quarter of the memory."""

from __future__ import annotations

import numpy as np

from . import chunks
from .adamw import AdamW, adamw_chunk
from .base import Kept
from .blockwise import BLOCK, BUFFERS, SIGNED, UNSIGNED, dequantize_into, quantize_into
from .chunks import Chunk, writable_flat

ON_DEVICE = 4 * 1024 * 1024  # numbers in a chunk on a GPU: what is unpacked at a time


class AdamW8bit(AdamW):
    """AdamW whose running means are kept in 8 bits (Dettmers et al. 2021), as bitsandbytes' AdamW8bit keeps them.

    AdamW keeps 8 bytes for a float32 weight of 4 bytes: its states are two thirds of what a model in training is before
    a forward pass, not counting gradients. Here m and v are uint8 codes with one float32 scale for every 256 numbers
    (see blockwise.py): 2 · (1 + 4/256) = 2.03 bytes for each weight.

        m, v ← unpack the codes                 in float32, a chunk at a time
        m, v, w ← AdamW's step                  w takes the step of the exact new m and v
        codes ← pack m, v                       each number the nearest of 256 values times its block's largest

    Rounding harms m and v little, since they are estimates anyway, and is made good by the next gradients. The weights
    stay in 32 bits: many small steps must add up there. On the CPU packing takes longer than the step itself.

    min_8bit_size   a parameter with fewer numbers keeps its states in 32 bits: biases and norms, which weigh little
    lr, betas, eps, weight_decay, correct_bias, threads   as in AdamW
    """

    buffers = (None, np.float32, np.float32, *BUFFERS)

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        min_8bit_size=4096,
        correct_bias=True,
        threads=None,
    ):
        self.min_8bit_size = min_8bit_size
        super().__init__(params, lr, betas, eps, weight_decay, False, correct_bias, threads)

    def check(self, settings):
        super().check(settings)
        if settings["amsgrad"]:
            raise ValueError("AdamW8bit: amsgrad is True, but there is no third state here; use AdamW")

    def remembers(self, parameter, group):
        if parameter.size < self.min_8bit_size:
            return super().remembers(parameter, group)
        codes, scales = Kept(parameter.shape, np.uint8), Kept((-(-parameter.size // BLOCK),), np.float32)
        return {"exp_avg": codes, "exp_avg_sq": codes, "exp_avg_scale": scales, "exp_avg_sq_scale": scales}

    def chunks_of(self, parameter, group, state, numbers):
        if "exp_avg_scale" not in state:
            return super().chunks_of(parameter, group, state, numbers)
        names = ("exp_avg", "exp_avg_sq", "exp_avg_scale", "exp_avg_sq_scale")
        codes_m, codes_v, scales_m, scales_v = (state[name].reshape(-1) for name in names)
        w, g = writable_flat(parameter), parameter.grad.reshape(-1)
        width = chunks.CHUNK if isinstance(w, np.ndarray) else ON_DEVICE
        in_chunk = max(1, width // BLOCK)  # blocks
        pieces = []
        for first in range(0, len(scales_m), in_chunk):
            blocks, of = slice(first, first + in_chunk), slice(first * BLOCK, (first + in_chunk) * BLOCK)
            arrays = (w[of], g[of], codes_m[of], codes_v[of], scales_m[blocks], scales_v[blocks])
            pieces.append(Chunk(self.update_8bit, numbers, arrays))
        return pieces

    @staticmethod
    def update(numbers, scratch, w, g, m, v, largest=None):
        adamw_chunk(numbers, scratch[:1], w, g, m, v)

    @staticmethod
    def update_8bit(numbers, scratch, w, g, codes_m, codes_v, scales_m, scales_v):
        step, m, v, *rest = scratch
        dequantize_into(codes_m, scales_m, SIGNED, m, rest)
        dequantize_into(codes_v, scales_v, UNSIGNED, v, rest)
        adamw_chunk(numbers, (step,), w, g, m, v)
        quantize_into(m, SIGNED, codes_m, scales_m, rest)
        quantize_into(v, UNSIGNED, codes_v, scales_v, rest)

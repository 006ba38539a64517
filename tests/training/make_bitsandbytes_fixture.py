"""Writes bitsandbytes_codes.json: code books, codes and scales of bitsandbytes itself.

    python -m tests.training.make_bitsandbytes_fixture        needs bitsandbytes 0.44 or later (and torch)

Codes are made from float64 arrays: for those, bitsandbytes takes the nearest of the 256 values, as its GPU kernels do.
Its quick routine for float32 on the CPU takes a neighbour now and then.
"""

import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "bitsandbytes_codes.json"
SIZE = 3 * 256 + 17


def numbers(signed: bool) -> np.ndarray:
    """(SIZE,) float32 over ten orders of magnitude."""
    rng = np.random.default_rng(8)
    x = rng.standard_normal(SIZE) * 10.0 ** rng.uniform(-7, 3, SIZE)
    return (x if signed else abs(x)).astype(np.float32)


def main() -> None:
    import torch
    from bitsandbytes import functional

    fixture = {}
    for name in ("signed", "unsigned"):
        book = functional.create_dynamic_map(signed=name == "signed")
        x = torch.tensor(numbers(name == "signed").astype(np.float64))
        codes, scales = torch.ops.bitsandbytes.quantize_blockwise(x, book, 256)
        fixture[name] = {
            "values": [float(value) for value in book],
            "codes": codes.numpy().tobytes().hex(),
            "scales": [float(scale) for scale in scales],
        }
    FILE.write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()

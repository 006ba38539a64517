"""ViT's image processor against the original's that computes with Pillow, when transformers is installed.

    python benchmarks/images.py [--rounds 5]

A batch of photographs, one of pictures that have their size already, and one of handwritten digits, from Pillow images
or arrays to pixel_values. Seconds of processor time on one thread. Each round runs both sides in fresh processes, one
after the other (see _pairs.py). Takes a few minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib.util import find_spec

from _pairs import measure, median, report, run_pairs, run_worker

# workload -> (height, width and channels of a picture, how many of them, settings)
WORKLOADS = {
    "photographs": ((480, 640, 3), 8, {}),
    "squares": ((224, 224, 3), 8, {}),
    "digits": ((28, 28, 1), 64, {"size": 28, "image_mean": [0.5], "image_std": [0.5]}),
}


def work(processor_class, workload: str):
    import numpy as np
    from PIL import Image

    shape, count, settings = WORKLOADS[workload]
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)]
    if shape[-1] == 3:
        pictures = [Image.fromarray(pixels) for pixels in pictures]
    processor = processor_class(**settings)
    return lambda: processor(pictures, return_tensors="np")


def ours(workload: str):
    from edutransformers import ViTImageProcessor

    return work(ViTImageProcessor, workload)


def theirs(workload: str):
    try:
        from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil
    except ImportError:  # version 4 has only this one
        from transformers import ViTImageProcessor as ViTImageProcessorPil
    return work(ViTImageProcessorPil, workload)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "WORKLOAD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        side, workload = options.worker
        step = {"ours": ours, "original": theirs}[side](workload)
        report(measure(step, warmup=2, runs=15, clock=time.process_time))
        return 0

    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    print(f"{options.rounds} rounds, medians in milliseconds a batch; ratio = ours / the original's")
    has_original = find_spec("transformers") is not None
    for workload, (_, count, _) in WORKLOADS.items():
        if has_original:
            pairs = run_pairs(__file__, workload, options.rounds, sides=("ours", "original"))
        else:
            pairs = [(run_worker(__file__, "ours", workload), None) for _ in range(options.rounds)]
        line = f"{count:>3} {workload:<12}{median(a['seconds'] for a, _ in pairs) * 1e3:>8.1f}"
        if has_original:
            line += f"{median(b['seconds'] for _, b in pairs) * 1e3:>8.1f}"
            line += f"{median(a['seconds'] / b['seconds'] for a, b in pairs):>7.2f}"
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Convolutions of Wav2Vec2-base on 10 s of sound and of pictures, against torch when it is installed.

    python benchmarks/convolution.py [--rounds 3] [--threads 2] [--only positions]

160,000 samples, float32: the seven layers of the feature encoder one by one and all together (with their group norm and
GELUs), the convolutional positions, and a few usual sizes for pictures. "inference" keeps nothing, "training" is a
forward and a backward pass. Beside the ratio by the clock stands that of processor time. Each round runs both sides in
fresh processes, one after the other (see _pairs.py). Takes about two minutes on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib.util import find_spec

from _pairs import median, report, run_pairs, run_worker

KERNELS, STRIDES, CHANNELS, SAMPLES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), 512, 160_000
WIDTH, STEPS, POSITIONS, GROUPS = 768, 499, 128, 16
RUNS, PATIENCE = 5, 2.0  # at most so many runs, and after so many seconds no new one

# name -> (input's shape, Conv1d's or Conv2d's arguments, its options)
LAYERS = {}
length = SAMPLES
for place, (kernel, stride) in enumerate(zip(KERNELS, STRIDES)):
    inputs = CHANNELS if place else 1
    name = f"{inputs} -> {CHANNELS}, kernel {kernel}, {length} steps"
    LAYERS[name] = ((1, inputs, length), (inputs, CHANNELS, kernel, stride), {"bias": False})
    length = (length - kernel) // stride + 1
LAYERS |= {
    "picture 3x3, 8 x 256 x 14 x 14": ((8, 256, 14, 14), (256, 256, 3), {"padding": 1}),
    "picture 7x7, 3 x 224 x 224": ((1, 3, 224, 224), (3, 64, 7, 2), {"padding": 3}),
    "depthwise, kernel 31, 500 steps": ((1, 512, 500), (512, 512, 31), {"padding": 15, "groups": 512}),
}


def time_step(step) -> tuple[float, float]:
    """Median seconds and seconds of processor time, after one run to warm up."""
    step()
    seconds, cpu_seconds = [], []
    began = time.perf_counter()
    while len(seconds) < RUNS and time.perf_counter() - began < PATIENCE:
        start, cpu_start = time.perf_counter(), time.process_time()
        step()
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)
    return median(seconds), median(cpu_seconds)


# ---------------------------------------------------------------------------------------------------------------------
# Both sides
# ---------------------------------------------------------------------------------------------------------------------


def ours(only: str) -> dict:
    import numpy as np

    from edutransformers import speed
    from edutransformers.layers import Activation, Conv1d, Conv2d, ConvolutionalPositions, GroupNorm, Sequential

    speed.keep_freed_memory()
    generator = np.random.default_rng(0)

    def both(module, shape):
        x = generator.standard_normal(shape, dtype=np.float32)
        dy = generator.standard_normal(module(x).shape, dtype=np.float32)

        def train():
            _, cache = module.forward(x)
            module.backward(dy, cache)
            module.zero_grad()

        return {"inference": time_step(lambda: module(x)), "training": time_step(train)}

    def encoder():
        parts = []
        for place, (kernel, stride) in enumerate(zip(KERNELS, STRIDES)):
            parts.append(Conv1d(CHANNELS if place else 1, CHANNELS, kernel, stride, bias=False))
            parts += [] if place else [GroupNorm(CHANNELS, CHANNELS)]
            parts.append(Activation("gelu"))
        return Sequential(*parts)

    workloads = {
        name: lambda shape=shape, arguments=arguments, options=options: both(
            (Conv1d if len(shape) == 3 else Conv2d)(*arguments, **options), shape
        )
        for name, (shape, arguments, options) in LAYERS.items()
    }
    workloads["feature encoder, 10 s"] = lambda: both(encoder(), (1, 1, SAMPLES))
    workloads["positions, 499 steps"] = lambda: both(
        ConvolutionalPositions(WIDTH, POSITIONS, GROUPS), (1, STEPS, WIDTH)
    )
    return {name: run() for name, run in workloads.items() if only in name}


def theirs(only: str) -> dict:
    import torch
    from torch import nn

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.manual_seed(0)

    def both(module, shape):
        x = torch.randn(*shape)
        with torch.no_grad():
            dy = torch.randn(*module(x).shape)

        def infer():
            with torch.no_grad():
                module(x)

        def train():
            x.requires_grad_()
            module(x).backward(dy)
            for tensor in (x, *module.parameters()):
                tensor.grad = None

        return {"inference": time_step(infer), "training": time_step(train)}

    def encoder():
        parts = []
        for place, (kernel, stride) in enumerate(zip(KERNELS, STRIDES)):
            parts.append(nn.Conv1d(CHANNELS if place else 1, CHANNELS, kernel, stride, bias=False))
            parts += [] if place else [nn.GroupNorm(CHANNELS, CHANNELS)]
            parts.append(nn.GELU())
        return nn.Sequential(*parts)

    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            conv = nn.Conv1d(WIDTH, WIDTH, POSITIONS, padding=POSITIONS // 2, groups=GROUPS)
            self.conv = nn.utils.parametrizations.weight_norm(conv, dim=2)

        def forward(self, x):
            return nn.functional.gelu(self.conv(x.transpose(1, 2))[:, :, :-1]).transpose(1, 2)

    workloads = {
        name: lambda shape=shape, arguments=arguments, options=options: both(
            (nn.Conv1d if len(shape) == 3 else nn.Conv2d)(*arguments, **options), shape
        )
        for name, (shape, arguments, options) in LAYERS.items()
    }
    workloads["feature encoder, 10 s"] = lambda: both(encoder(), (1, 1, SAMPLES))
    workloads["positions, 499 steps"] = lambda: both(Positions(), (1, STEPS, WIDTH))
    return {name: run() for name, run in workloads.items() if only in name}


# ---------------------------------------------------------------------------------------------------------------------
# The table
# ---------------------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "WORKLOAD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:  # its number of threads comes from the process that started it, below
        side, only = options.worker
        report({"ours": ours, "torch": theirs}[side](only))
        return 0

    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(options.threads)
    print(f"{options.threads} threads, {options.rounds} rounds, medians in milliseconds; ratio = ours / torch")
    if find_spec("torch") is None:
        print("torch is not installed, so only ours: pip install 'edutransformers[reference]' brings the comparison")
        pairs = [(run_worker(__file__, "ours", options.only), None) for _ in range(options.rounds)]
    else:
        pairs = run_pairs(__file__, options.only, options.rounds)
    if not pairs[0][0]:
        raise SystemExit(f"no workload's name contains {options.only!r}")
    print_table(pairs)
    return 0


def print_table(pairs) -> None:
    columns = "".join(f"{title:>35}" for title in ("inference: ours torch ratio cpu", "training: ours torch ratio cpu"))
    print(f"{'':<34}{columns}")
    for name in pairs[0][0]:
        cells = []
        for what in ("inference", "training"):
            mine = median(a[name][what][0] for a, _ in pairs) * 1e3
            if pairs[0][1] is None:
                cells.append(f"{mine:>16.1f}{'':>19}")
                continue
            other = median(b[name][what][0] for _, b in pairs) * 1e3
            ratio, cpu_ratio = (median(a[name][what][i] / b[name][what][i] for a, b in pairs) for i in (0, 1))
            cells.append(f"{mine:>16.1f}{other:>8.1f}{ratio:>6.2f}{cpu_ratio:>5.2f}")
        print(f"{name:<34}{''.join(cells)}")


if __name__ == "__main__":
    sys.exit(main())

"""CTC, forward and backward, against torch's ctc_loss ∘ log_softmax when torch is installed.

    python benchmarks/ctc.py [--rounds 5] [--threads 2]

Sizes of speech: 8 examples of 400 frames (8 s), 32 characters, up to 60 labels. Seconds of processor time beside
seconds by the clock: torch splits a batch over its threads, our loop over time runs on one. Each round runs both sides
in fresh processes, one after the other (see _pairs.py). Takes about half a minute.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib.util import find_spec

from _pairs import median, report, run_pairs, run_worker

BATCH, FRAMES, CLASSES, LABELS, RUNS = 8, 400, 32, 60, 20
WORKLOADS = ("float32", "float64")


def draw(dtype: str):
    import numpy as np

    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (BATCH, FRAMES, CLASSES)).astype(dtype)
    targets = rng.integers(1, CLASSES, (BATCH, LABELS))
    return logits, targets, np.full(BATCH, FRAMES), rng.integers(LABELS // 2, LABELS + 1, BATCH)


def ours(dtype: str):
    from edutransformers import speed
    from edutransformers.losses import CTCLoss

    speed.keep_freed_memory()
    loss, inputs = CTCLoss(), draw(dtype)

    def step():
        _, cache = loss.forward(*inputs)
        loss.backward(1.0, cache)

    return step


def theirs(dtype: str):
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    logits, *others = (torch.tensor(x) for x in draw(dtype))
    logits.requires_grad_()

    def step():
        logits.grad = None
        log_probs = logits.log_softmax(-1).transpose(0, 1)
        torch.nn.functional.ctc_loss(log_probs, *others).backward()

    return step


def measure(step) -> dict:
    """Medians over some runs, after two to warm up."""
    seconds, cpu_seconds = [], []
    for number in range(RUNS + 2):
        start, cpu_start = time.perf_counter(), time.process_time()
        step()
        if number >= 2:
            seconds.append(time.perf_counter() - start)
            cpu_seconds.append(time.process_time() - cpu_start)
    return {"seconds": median(seconds), "cpu_seconds": median(cpu_seconds)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "WORKLOAD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:  # its number of threads comes from the process that started it, below
        side, dtype = options.worker
        report(measure({"ours": ours, "torch": theirs}[side](dtype)))
        return 0

    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(options.threads)
    print(f"{options.threads} threads, {options.rounds} rounds, medians in milliseconds; ratio = ours / torch")
    has_torch = find_spec("torch") is not None
    for dtype in WORKLOADS:
        if has_torch:
            pairs = run_pairs(__file__, dtype, options.rounds)
        else:
            pairs = [(run_worker(__file__, "ours", dtype), None) for _ in range(options.rounds)]
        for what in ("seconds", "cpu_seconds"):
            line = f"{dtype}  {what:<12}{median(a[what] for a, _ in pairs) * 1e3:>8.1f}"
            if has_torch:
                line += f"{median(b[what] for _, b in pairs) * 1e3:>8.1f}"
                line += f"{median(a[what] / b[what] for a, b in pairs):>7.2f}"
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())

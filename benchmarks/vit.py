"""ViT-B/16 (86 M parameters, random weights), batch 8 of 224 × 224 pixels: forward, and a training step with AdamW.

    python benchmarks/vit.py [--rounds 5] [--workload forward|training] [--threads 2] [--attention sdpa] [--cpu-time]

Against transformers + torch (eager attention as in 4.34, unless told otherwise; the same number of threads), in
alternating processes: times, peak memory of the process, and the share of the speed at which this machine multiplies
matrices. Needs the `reference` extra.

--cpu-time compares processor time instead of the clock's: on a machine that is busy with other things, with one thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from _pairs import measure, median, report, run_pairs, run_worker

BATCH, SIZE, LABELS = 8, 224, 1000
# Multiplications and additions of all matrix products of one forward pass: the patches' map; per token 12 layers of
# (4 D² + 2 D F) weights, twice; per layer and token 4 T D for scores and context.
D, F, LAYERS, PATCH = 768, 3072, 12, 16
PATCHES = (SIZE // PATCH) ** 2
TOKENS = PATCHES + 1
FORWARD_FLOPS = BATCH * (
    2 * PATCHES * D * 3 * PATCH**2 + TOKENS * LAYERS * (2 * (4 * D * D + 2 * D * F) + 4 * TOKENS * D)
)


def ours(workload: str, threads: int, clock) -> dict:
    import numpy as np

    from edutransformers import AdamW, ViTConfig, ViTForImageClassification, speed

    speed.use_batch_threads(threads)
    speed.keep_freed_memory()
    generator = np.random.default_rng(0)
    pixels = generator.standard_normal((BATCH, 3, SIZE, SIZE), dtype=np.float32)
    model = ViTForImageClassification(ViTConfig(num_labels=LABELS), generator=generator)
    if workload == "forward":
        model.eval()
        return measure(lambda: model(pixels), runs=7, clock=clock)
    model.train()
    optimizer = AdamW(model, lr=1e-4)
    labels = generator.integers(0, LABELS, BATCH)

    def step():
        cache = model.forward(pixels, labels=labels)[1]
        model.backward({"loss": 1.0}, cache)
        optimizer.step()
        optimizer.zero_grad()

    return measure(step, runs=4, clock=clock)


def theirs(workload: str, threads: int, clock) -> dict:
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    pixels = torch.randn(BATCH, 3, SIZE, SIZE)
    config = ViTConfig(num_labels=LABELS, attn_implementation=os.environ["BENCHMARK_ATTENTION"])
    model = ViTForImageClassification(config)
    if workload == "forward":
        model.eval()
        with torch.no_grad():
            return measure(lambda: model(pixels), runs=7, clock=clock)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    labels = torch.randint(0, LABELS, (BATCH,))

    def step():
        model(pixels, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return measure(step, runs=4, clock=clock)


def matrix_peak(workload: str, threads: int, clock) -> dict:
    """The machine's speed for one of ViT's own products, (1576, 768) by (768, 3072)."""
    import numpy as np

    a = np.random.default_rng(0).standard_normal((BATCH * TOKENS, D), dtype=np.float32)
    b = np.random.default_rng(1).standard_normal((D, F), dtype=np.float32)
    out = np.empty((BATCH * TOKENS, F), dtype=np.float32)
    seconds = measure(lambda: np.matmul(a, b, out=out), warmup=3, runs=15, clock=clock)["seconds"]
    return {"gflops": 2 * BATCH * TOKENS * D * F / seconds / 1e9}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workload", choices=("forward", "training", "both"), default="both")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--attention", choices=("eager", "sdpa"), default="eager", help="the original's kind")
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "WORKLOAD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:  # its number of threads and its clock come from the process that started it, below
        side, workload = options.worker
        clock = time.process_time if os.environ["BENCHMARK_CLOCK"] == "cpu" else time.perf_counter
        work = {"ours": ours, "torch": theirs, "peak": matrix_peak}[side]
        report(work(workload, int(os.environ["OPENBLAS_NUM_THREADS"]), clock))
        return 0
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["BENCHMARK_CLOCK"] = "cpu" if options.cpu_time else "wall"
    os.environ["BENCHMARK_ATTENTION"] = options.attention
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"

    kind = "processor time" if options.cpu_time else "time"
    print(
        f"ViT-B/16, batch {BATCH} x {SIZE} x {SIZE}, {options.threads} threads, {options.attention} attention there, "
        f"{options.rounds} rounds, medians of {kind}"
    )
    flops = {"forward": FORWARD_FLOPS, "training": 3 * FORWARD_FLOPS}
    for workload in ("forward", "training") if options.workload == "both" else (options.workload,):
        peak = run_worker(__file__, "peak", workload)["gflops"]
        pairs = run_pairs(__file__, workload, options.rounds)
        mine, other = median(a["seconds"] for a, _ in pairs), median(b["seconds"] for _, b in pairs)
        ratios = sorted(a["seconds"] / b["seconds"] for a, b in pairs)
        print(
            f"{workload:>9}: edutransformers {mine:.3f} s, transformers + torch {other:.3f} s; "
            f"ratio {median(ratios):.2f} (rounds: {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
        memory = median(a["peak_mb"] for a, _ in pairs), median(b["peak_mb"] for _, b in pairs)
        print(
            f"{'':>9}  peak memory {memory[0]:.0f} MB against {memory[1]:.0f} MB; matrix products alone run at "
            f"{peak:.0f} GFLOP/s, the whole workload at {flops[workload] / mine / 1e9 / peak:.0%} of that"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

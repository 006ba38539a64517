"""BERT-base (110 M parameters), batch 8 of 128 tokens: forward, and a masked-language-model training step with AdamW.

    python benchmarks/bert.py [--rounds 5] [--workload forward|training] [--threads 2]

Against transformers + torch (eager mode, the same number of threads), in alternating processes: times, peak memory of
the process, and the share of the speed at which this machine multiplies matrices. Needs the `reference` extra.
"""

from __future__ import annotations

import argparse
import os
import sys

from _pairs import measure, median, report, run_pairs, run_worker

BATCH, TOKENS = 8, 128
LABELLED = 0.15  # share of tokens that the training step predicts
# Multiplications and additions of all matrix products of one forward pass without the prediction head:
# per token 12 layers of (4 D² + 2 D F) weights, twice; per layer and token 4 T D for scores and context.
D, F, LAYERS, VOCABULARY = 768, 3072, 12, 30522
FORWARD_FLOPS = BATCH * TOKENS * LAYERS * (2 * (4 * D * D + 2 * D * F) + 4 * TOKENS * D)
# The prediction head; backward through the vocabulary is needed for labelled tokens only.
HEAD_FLOPS = BATCH * TOKENS * 2 * (3 * D * D + D * VOCABULARY * (1 + 2 * LABELLED))
TRAINING_FLOPS = 3 * FORWARD_FLOPS + HEAD_FLOPS


def ours(workload: str, threads: int) -> dict:
    import numpy as np

    from edutransformers import AdamW, BertConfig, BertForMaskedLM, BertModel, speed

    speed.use_batch_threads(threads)
    speed.keep_freed_memory()
    generator = np.random.default_rng(0)
    ids = generator.integers(1000, 30000, (BATCH, TOKENS))
    mask = np.ones_like(ids)
    if workload == "forward":
        model = BertModel(BertConfig(), generator=generator).eval()
        return measure(lambda: model(ids, mask), runs=7)
    model = BertForMaskedLM(BertConfig(), generator=generator).train()
    optimizer = AdamW(model, lr=1e-4)
    labels = np.where(generator.random(ids.shape) < LABELLED, ids, -100)

    def step():
        cache = model.forward(ids, mask, labels=labels)[1]
        model.backward({"loss": 1.0}, cache)
        optimizer.step()
        optimizer.zero_grad()

    return measure(step, runs=4)


def theirs(workload: str, threads: int) -> dict:
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertModel

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    ids = torch.randint(1000, 30000, (BATCH, TOKENS))
    mask = torch.ones_like(ids)
    config = BertConfig(attn_implementation="eager")
    if workload == "forward":
        model = BertModel(config).eval()
        with torch.no_grad():
            return measure(lambda: model(ids, mask), runs=7)
    model = BertForMaskedLM(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    labels = torch.where(torch.rand(ids.shape) < LABELLED, ids, -100)

    def step():
        model(ids, mask, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return measure(step, runs=4)


def matrix_peak(workload: str, threads: int) -> dict:
    """The machine's speed for one of BERT's own products, (1024, 768) by (768, 3072)."""
    import numpy as np

    a = np.random.default_rng(0).standard_normal((BATCH * TOKENS, D), dtype=np.float32)
    b = np.random.default_rng(1).standard_normal((D, F), dtype=np.float32)
    out = np.empty((BATCH * TOKENS, F), dtype=np.float32)
    seconds = measure(lambda: np.matmul(a, b, out=out), warmup=3, runs=15)["seconds"]
    return {"gflops": 2 * BATCH * TOKENS * D * F / seconds / 1e9}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workload", choices=("forward", "training", "both"), default="both")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "WORKLOAD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:  # its number of threads comes from the process that started it, below
        side, workload = options.worker
        threads = int(os.environ["OPENBLAS_NUM_THREADS"])
        report({"ours": ours, "torch": theirs, "peak": matrix_peak}[side](workload, threads))
        return 0
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(options.threads)

    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    workloads = ("forward", "training") if options.workload == "both" else (options.workload,)
    flops = {"forward": FORWARD_FLOPS, "training": TRAINING_FLOPS}
    print(f"BERT-base, batch {BATCH} x {TOKENS} tokens, {options.threads} threads, {options.rounds} rounds, medians")
    for workload in workloads:
        peak = run_worker(__file__, "peak", workload)["gflops"]
        pairs = run_pairs(__file__, workload, options.rounds)
        mine, other = median(a["seconds"] for a, _ in pairs), median(b["seconds"] for _, b in pairs)
        time_ratios = sorted(a["seconds"] / b["seconds"] for a, b in pairs)
        memory_ratio = median(a["peak_mb"] / b["peak_mb"] for a, b in pairs)
        share = flops[workload] / mine / 1e9 / peak
        print(
            f"{workload:>9}: edutransformers {mine:.3f} s, transformers + torch {other:.3f} s; "
            f"ratio {median(time_ratios):.2f} (rounds: {time_ratios[0]:.2f} to {time_ratios[-1]:.2f})"
        )
        print(
            f"{'':>9}  peak memory {median(a['peak_mb'] for a, _ in pairs):.0f} MB against "
            f"{median(b['peak_mb'] for _, b in pairs):.0f} MB, ratio {memory_ratio:.2f}; "
            f"matrix products alone run at {peak:.0f} GFLOP/s, the whole workload at {share:.0%} of that"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

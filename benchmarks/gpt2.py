"""GPT-2 (124 M parameters, random weights): writing, reading a prompt, and a training step with AdamW.

    python benchmarks/gpt2.py [--rounds 5] [--workload writing|reading|training] [--threads 2] [--cpu-time]

    writing    64 new words behind a prompt of 32, greedy, with the key/value cache: `generate`
    reading    a prompt of 512 tokens, with the cache that writing would go on with
    training   a batch of 4 texts of 128 tokens: loss, backward, AdamW

Against transformers + torch (eager mode, the same number of threads), in alternating processes: times, peak memory of
the process, and for writing the share of the time that reading every weight once a word takes on this machine: a word
costs one product of a row with each matrix, and such products are as fast as memory is. Needs the `reference` extra.

--cpu-time compares processor time instead of the clock's: on a machine that is busy with other things, with one thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from _pairs import measure, median, report, run_pairs, run_worker

WORKLOADS = ("writing", "reading", "training")
PROMPT, NEW = 32, 64
READ = 512
BATCH, TOKENS = 4, 128
# Numbers in the matrices that one word is multiplied with: 12 layers of 12 D² weights, and the table of words.
D, LAYERS, VOCABULARY = 768, 12, 50257
WEIGHTS = LAYERS * 12 * D * D + VOCABULARY * D


def ours(workload: str, threads: int, clock) -> dict:
    import numpy as np

    from edutransformers import AdamW, GPT2Config, GPT2LMHeadModel, speed

    generator = np.random.default_rng(0)
    model = GPT2LMHeadModel(GPT2Config(), generator=generator)
    if workload == "writing":
        model.eval()
        speed.arrange_weights(model)  # first, so that the memory of the weights as they were made is given back
    speed.keep_freed_memory()
    if workload == "writing":
        ids = generator.integers(0, VOCABULARY - 1, (1, PROMPT))
        return measure(lambda: model.generate(ids, max_new_tokens=NEW, min_new_tokens=NEW), runs=3, clock=clock)
    if workload == "reading":
        model.eval()
        ids = generator.integers(0, VOCABULARY - 1, (1, READ))
        return measure(lambda: model(ids, use_cache=True, logits_to_keep=1), runs=5, clock=clock)
    speed.use_batch_threads(threads)
    model.train()
    optimizer = AdamW(model, lr=1e-4)
    ids = generator.integers(0, VOCABULARY - 1, (BATCH, TOKENS))

    def step():
        cache = model.forward(ids, labels=ids)[1]
        model.backward({"loss": 1.0}, cache)
        optimizer.step()
        optimizer.zero_grad()

    return measure(step, runs=3, clock=clock)


def theirs(workload: str, threads: int, clock) -> dict:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(attn_implementation="eager"))
    if workload == "writing":
        model.eval()
        ids = torch.randint(0, VOCABULARY - 1, (1, PROMPT))
        settings = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "pad_token_id": 50256}
        mask = torch.ones_like(ids)
        return measure(lambda: model.generate(ids, attention_mask=mask, **settings), runs=3, clock=clock)
    if workload == "reading":
        model.eval()
        ids = torch.randint(0, VOCABULARY - 1, (1, READ))
        with torch.no_grad():
            return measure(lambda: model(ids, use_cache=True, logits_to_keep=1), runs=5, clock=clock)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    ids = torch.randint(0, VOCABULARY - 1, (BATCH, TOKENS))

    def step():
        model(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return measure(step, runs=3, clock=clock)


def memory_floor(workload: str, threads: int, clock) -> dict:
    """Seconds a word that reading all weights takes: a row times as many numbers as the model's matrices have."""
    import numpy as np

    matrix = np.ones((WEIGHTS // (4 * D), 4 * D), dtype=np.float32)
    row, out = np.ones(4 * D, dtype=np.float32), np.empty(len(matrix), dtype=np.float32)
    return measure(lambda: np.matmul(matrix, row, out=out), warmup=3, runs=15, clock=clock)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workload", choices=(*WORKLOADS, "all"), default="all")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "WORKLOAD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:  # its number of threads and its clock come from the process that started it, below
        side, workload = options.worker
        clock = time.process_time if os.environ["BENCHMARK_CLOCK"] == "cpu" else time.perf_counter
        work = {"ours": ours, "torch": theirs, "floor": memory_floor}[side]
        report(work(workload, int(os.environ["OPENBLAS_NUM_THREADS"]), clock))
        return 0
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["BENCHMARK_CLOCK"] = "cpu" if options.cpu_time else "wall"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"

    kind = "processor time" if options.cpu_time else "time"
    print(f"GPT-2 124M, {options.threads} threads, {options.rounds} rounds, medians of {kind}")
    for workload in WORKLOADS if options.workload == "all" else (options.workload,):
        pairs = run_pairs(__file__, workload, options.rounds)
        mine, other = median(a["seconds"] for a, _ in pairs), median(b["seconds"] for _, b in pairs)
        ratios = sorted(a["seconds"] / b["seconds"] for a, b in pairs)
        print(
            f"{workload:>9}: edutransformers {mine:.3f} s, transformers + torch {other:.3f} s; "
            f"ratio {median(ratios):.2f} (rounds: {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
        memory = median(a["peak_mb"] for a, _ in pairs), median(b["peak_mb"] for _, b in pairs)
        print(f"{'':>9}  peak memory {memory[0]:.0f} MB against {memory[1]:.0f} MB")
        if workload == "writing":
            floor = run_worker(__file__, "floor", workload)["seconds"]
            print(
                f"{'':>9}  {mine / NEW * 1000:.1f} ms a word against {other / NEW * 1000:.1f}; "
                f"reading {WEIGHTS / 1e6:.0f} M weights once takes {floor * 1000:.1f} ms"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())

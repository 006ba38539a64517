"""One AdamW step over BERT-base's 110 M parameters, float32.

    python benchmarks/optimizer.py [--rounds 5] [--threads 2]

Against torch.optim.AdamW: its default, `foreach=True` and `fused=True`, with the same number of threads, in alternating
processes. Needs torch.
"""

from __future__ import annotations

import argparse

from _pairs import measure, median, report, run_pairs

# (shape, how many) of BERT-base's weights: tables, attention, feed-forward, pooler, biases and norms
SHAPES = [
    ((30522, 768), 1), ((512, 768), 1), ((2, 768), 1), ((768, 768), 49), ((3072, 768), 12), ((768, 3072), 12),
    ((768,), 12 * 9 + 3), ((3072,), 12),
]  # fmt: skip
KINDS = ("default", "foreach", "fused")


def arrays():
    """Weights and gradients in pairs: the same numbers again and again, as drawing 220 M takes longer than a step."""
    import numpy as np

    numbers = np.random.default_rng(0).standard_normal(1_000_003, dtype=np.float32)
    make = lambda shape: np.resize(numbers, shape)  # noqa: E731
    return [(make(shape), make(shape)) for shape, count in SHAPES for _ in range(count)]


def ours(threads: int) -> dict:
    from edutransformers.module import Parameter
    from edutransformers.training import AdamW

    parameters = []
    for data, gradient in arrays():
        parameters.append(Parameter(data))
        parameters[-1].grad = gradient
    optimizer = AdamW(parameters, lr=1e-4, threads=threads)
    return measure(optimizer.step, warmup=2, runs=9)


def theirs(kind: str, threads: int) -> dict:
    import torch

    torch.set_num_threads(threads)
    parameters = []
    for data, gradient in arrays():
        parameters.append(torch.nn.Parameter(torch.from_numpy(data)))
        parameters[-1].grad = torch.from_numpy(gradient)
    options = {} if kind == "default" else {kind: True}
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, **options)
    return measure(optimizer.step, warmup=2, runs=9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "KIND"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        side, workload = options.worker
        kind, threads = workload.split(":")
        report(ours(int(threads)) if side == "ours" else theirs(kind, int(threads)))
        return
    total = sum(data.size for data, _ in arrays()) / 1e6
    print(f"AdamW, {total:.1f} M parameters, {options.threads} threads, {options.rounds} rounds")
    for kind in KINDS:
        pairs = run_pairs(__file__, f"{kind}:{options.threads}", options.rounds)
        mine, other = (median(1000 * pair[side]["seconds"] for pair in pairs) for side in (0, 1))
        ratio = median(pair[0]["seconds"] / pair[1]["seconds"] for pair in pairs)
        print(f"ours {mine:5.0f} ms   torch {kind:8} {other:5.0f} ms   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()

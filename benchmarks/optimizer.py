"""One optimizer step over BERT-base's 110 M parameters, float32.

    python benchmarks/optimizer.py [--rounds 5] [--threads 2] [--optimizers AdamW SGD …]

AdamW against torch.optim.AdamW: its default, `foreach=True` and `fused=True`. Each other one against torch's default of
the same name; Adafactor against the original's, AdamW8bit against torch's AdamW, since bitsandbytes is made for GPUs.
The same number of threads on both sides, alternating processes. Needs torch, and transformers for Adafactor.
"""

from __future__ import annotations

import argparse

from _pairs import measure, median, report, run_pairs

# (shape, how many) of BERT-base's weights: tables, attention, feed-forward, pooler, biases and norms
SHAPES = [
    ((30522, 768), 1), ((512, 768), 1), ((2, 768), 1), ((768, 768), 49), ((3072, 768), 12), ((768, 3072), 12),
    ((768,), 12 * 9 + 3), ((3072,), 12),
]  # fmt: skip
KINDS = {"AdamW": ("default", "foreach", "fused")}  # of torch's; all others: default
FIXED = {"lr": 1e-3, "relative_step": False, "scale_parameter": False}  # Adafactor as the Trainer makes it
SETTINGS = {
    "AdamW": {"lr": 1e-4}, "AdamW8bit": {"lr": 1e-4}, "Adam": {"lr": 1e-4}, "SGD": {"lr": 1e-4, "momentum": 0.9},
    "Adagrad": {"lr": 1e-4}, "RMSprop": {"lr": 1e-4}, "Adafactor": FIXED,
}  # fmt: skip


def arrays():
    """Weights and gradients in pairs: the same numbers again and again, as drawing 220 M takes longer than a step."""
    import numpy as np

    numbers = np.random.default_rng(0).standard_normal(1_000_003, dtype=np.float32)
    make = lambda shape: np.resize(numbers, shape)  # noqa: E731
    return [(make(shape), make(shape)) for shape, count in SHAPES for _ in range(count)]


def ours(name: str, threads: int) -> dict:
    from edutransformers import training
    from edutransformers.module import Parameter

    parameters = []
    for data, gradient in arrays():
        parameters.append(Parameter(data))
        parameters[-1].grad = gradient
    optimizer = getattr(training, name)(parameters, **SETTINGS[name], threads=threads)
    return measure(optimizer.step, warmup=2, runs=9)


def theirs(name: str, kind: str, threads: int) -> dict:
    import torch

    torch.set_num_threads(threads)
    parameters = []
    for data, gradient in arrays():
        parameters.append(torch.nn.Parameter(torch.from_numpy(data)))
        parameters[-1].grad = torch.from_numpy(gradient)
    if name == "Adafactor":
        from transformers.optimization import Adafactor as optimizer_class
    else:
        optimizer_class = getattr(torch.optim, name.removesuffix("8bit"))
    options = {} if kind == "default" else {kind: True}
    optimizer = optimizer_class(parameters, **SETTINGS[name], **options)
    return measure(optimizer.step, warmup=2, runs=9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--optimizers", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "KIND"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        side, workload = options.worker
        name, kind, threads = workload.split(":")
        report(ours(name, int(threads)) if side == "ours" else theirs(name, kind, int(threads)))
        return
    total = sum(data.size for data, _ in arrays()) / 1e6
    print(f"{total:.1f} M parameters, {options.threads} threads, {options.rounds} rounds")
    for name in options.optimizers:
        for kind in KINDS.get(name, ("default",)):
            pairs = run_pairs(__file__, f"{name}:{kind}:{options.threads}", options.rounds)
            mine, other = (median(1000 * pair[side]["seconds"] for pair in pairs) for side in (0, 1))
            ratio = median(pair[0]["seconds"] / pair[1]["seconds"] for pair in pairs)
            print(f"{name:10} ours {mine:5.0f} ms   torch {kind:8} {other:5.0f} ms   ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()

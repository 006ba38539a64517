"""The layers where a transformer spends its time, forward and backward, against torch when it is installed.

    python benchmarks/layers.py [--rounds 3] [--threads 2] [--only attention]

BERT-base's sizes (width 768, 12 heads, 8 × 128 tokens), float32; attention also over 2,048 tokens. The forward pass
keeps what the backward pass needs. torch runs eagerly, attention as the original's default: two products and a softmax.
Each round runs both sides in fresh processes, one after the other (see _pairs.py). Takes about a minute on an idle
machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib.util import find_spec

from _pairs import median, report, run_pairs, run_worker

BATCH, TOKENS, LONG, D, H, F, VOCABULARY = 8, 128, 2048, 768, 12, 3072, 30522
RUNS, PATIENCE = 5, 1.0  # at most so many runs, and after so many seconds no new one


def time_passes(forward, backward) -> dict:
    """Median seconds of `forward() -> state` and `backward(state)`, after one run to warm up."""
    backward(forward())
    forward_seconds, backward_seconds = [], []
    began = time.perf_counter()
    while len(forward_seconds) < RUNS and time.perf_counter() - began < PATIENCE:
        start = time.perf_counter()
        state = forward()
        middle = time.perf_counter()
        backward(state)
        end = time.perf_counter()
        del state
        forward_seconds.append(middle - start)
        backward_seconds.append(end - middle)
    return {"forward": median(forward_seconds), "backward": median(backward_seconds)}


# ---------------------------------------------------------------------------------------------------------------------
# Ours
# ---------------------------------------------------------------------------------------------------------------------


def ours(only: str) -> dict:
    import numpy as np

    from edutransformers import speed
    from edutransformers.functional.attention import attention, attention_backward
    from edutransformers.layers import Activation, Embedding, FeedForward, LayerNorm, Linear
    from edutransformers.losses import CrossEntropyLoss

    speed.keep_freed_memory()
    generator = np.random.default_rng(0)

    def draw(*shape):
        return generator.standard_normal(shape, dtype=np.float32)

    def layer(module, *inputs, shape=None):
        dy = 1.0 if shape is None else draw(*shape)

        def backward(cache):
            module.backward(dy, cache)
            module.zero_grad()

        return time_passes(lambda: module.forward(*inputs)[1], backward)

    def attention_over(batch, tokens):
        q, k, v, dy = (draw(batch, H, tokens, D // H) for _ in range(4))
        return time_passes(lambda: attention(q, k, v)[1], lambda cache: attention_backward(dy, cache))

    x, wide = (BATCH, TOKENS, D), (BATCH, TOKENS, F)
    ids = generator.integers(0, VOCABULARY, (BATCH, TOKENS))
    labels = generator.integers(0, VOCABULARY, BATCH * TOKENS)
    workloads = {
        "linear 768 -> 3072": lambda: layer(Linear(D, F), draw(*x), shape=wide),
        "gelu": lambda: layer(Activation("gelu"), draw(*wide), shape=wide),
        "layer norm": lambda: layer(LayerNorm(D), draw(*x), shape=x),
        "attention, 8 x 128 tokens": lambda: attention_over(BATCH, TOKENS),
        "attention, 1 x 2048 tokens": lambda: attention_over(1, LONG),
        "feed-forward": lambda: layer(FeedForward(D, F), draw(*x), shape=x),
        "feed-forward, chunks of 64": lambda: layer(FeedForward(D, F, chunk_size=64), draw(*x), shape=x),
        "cross-entropy, 30522 classes": lambda: layer(CrossEntropyLoss(), draw(BATCH * TOKENS, VOCABULARY), labels),
        "embedding, 30522 rows": lambda: layer(Embedding(VOCABULARY, D), ids, shape=x),
    }
    return {name: run() for name, run in workloads.items() if only in name}


# ---------------------------------------------------------------------------------------------------------------------
# torch
# ---------------------------------------------------------------------------------------------------------------------


def theirs(only: str) -> dict:
    import torch
    from torch import nn

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.manual_seed(0)

    def layer(module, *inputs, shape=None):
        inputs = [x.requires_grad_() if x.is_floating_point() else x for x in inputs]
        dy = None if shape is None else torch.randn(*shape)

        def backward(y):
            y.backward(dy)
            for x in (*inputs, *(module.parameters() if isinstance(module, nn.Module) else ())):
                x.grad = None

        return time_passes(lambda: module(*inputs), backward)

    def eager_attention(q, k, v):
        return torch.softmax(q @ k.transpose(-1, -2) / (D // H) ** 0.5, dim=-1) @ v

    def attention_over(batch, tokens):
        shape = (batch, H, tokens, D // H)
        return layer(eager_attention, *(torch.randn(*shape) for _ in range(3)), shape=shape)

    class Chunked(nn.Module):
        """The original's apply_chunking_to_forward."""

        def __init__(self, inner, size):
            super().__init__()
            self.inner, self.size = inner, size

        def forward(self, x):
            return torch.cat([self.inner(part) for part in x.split(self.size, dim=1)], dim=1)

    def feed_forward():
        return nn.Sequential(nn.Linear(D, F), nn.GELU(), nn.Linear(F, D))

    x, wide = (BATCH, TOKENS, D), (BATCH, TOKENS, F)
    ids = torch.randint(0, VOCABULARY, (BATCH, TOKENS))
    labels = torch.randint(0, VOCABULARY, (BATCH * TOKENS,))
    workloads = {
        "linear 768 -> 3072": lambda: layer(nn.Linear(D, F), torch.randn(*x), shape=wide),
        "gelu": lambda: layer(nn.GELU(), torch.randn(*wide), shape=wide),
        "layer norm": lambda: layer(nn.LayerNorm(D), torch.randn(*x), shape=x),
        "attention, 8 x 128 tokens": lambda: attention_over(BATCH, TOKENS),
        "attention, 1 x 2048 tokens": lambda: attention_over(1, LONG),
        "feed-forward": lambda: layer(feed_forward(), torch.randn(*x), shape=x),
        "feed-forward, chunks of 64": lambda: layer(Chunked(feed_forward(), 64), torch.randn(*x), shape=x),
        "cross-entropy, 30522 classes": lambda: layer(
            nn.CrossEntropyLoss(), torch.randn(BATCH * TOKENS, VOCABULARY), labels
        ),
        "embedding, 30522 rows": lambda: layer(nn.Embedding(VOCABULARY, D), ids, shape=x),
    }
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
    columns = "".join(f"{title:>27}" for title in ("forward: ours torch ratio", "backward: ours torch ratio"))
    print(f"{'':<30}{columns}")
    for name in pairs[0][0]:
        cells = []
        for direction in ("forward", "backward"):
            mine = median(a[name][direction] for a, _ in pairs) * 1e3
            if pairs[0][1] is None:
                cells.append(f"{mine:>15.2f}{'':>12}")
                continue
            other = median(b[name][direction] for _, b in pairs) * 1e3
            ratio = median(a[name][direction] / b[name][direction] for a, b in pairs)
            cells.append(f"{mine:>13.2f}{other:>8.2f}{ratio:>6.2f}")
        print(f"{name:<30}{''.join(cells)}")


if __name__ == "__main__":
    sys.exit(main())

"""Wav2Vec2-base (94 M parameters) on 10 seconds of sound: forward, and a CTC training step with AdamW.

    python benchmarks/wav2vec2.py [--rounds 5] [--workload forward|training] [--threads 2] [--batch 1]

Against transformers + torch (eager mode, the same number of threads), in alternating processes: times, peak memory of
the process, and where our time goes. Needs the `reference` extra.
"""

from __future__ import annotations

import argparse
import os
import sys

from _pairs import measure, median, report, run_pairs, run_worker

SAMPLES, LETTERS = 160_000, 60  # 10 seconds at 16,000 a second: 499 frames


def ours(workload: str, threads: int, batch: int) -> dict:
    import numpy as np

    from edutransformers import AdamW, Wav2Vec2Config, Wav2Vec2ForCTC, speed

    speed.use_batch_threads(threads)
    speed.keep_freed_memory()
    generator = np.random.default_rng(0)
    sound = generator.standard_normal((batch, SAMPLES), dtype=np.float32)
    model = Wav2Vec2ForCTC(Wav2Vec2Config(), generator=generator)
    if workload == "forward":
        model.eval()
        return measure(lambda: model(sound), runs=5)
    model.train()
    optimizer = AdamW(model, lr=1e-5)
    labels = generator.integers(1, 32, (batch, LETTERS))

    def step():
        cache = model.forward(sound, labels=labels)[1]
        model.backward({"loss": 1.0}, cache)
        optimizer.step()
        optimizer.zero_grad()

    return measure(step, runs=3)


def theirs(workload: str, threads: int, batch: int) -> dict:
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    sound = torch.randn(batch, SAMPLES)
    model = Wav2Vec2ForCTC(Wav2Vec2Config(attn_implementation="eager"))
    if workload == "forward":
        model.eval()
        with torch.no_grad():
            return measure(lambda: model(sound), runs=5)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    labels = torch.randint(1, 32, (batch, LETTERS))

    def step():
        model(sound, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return measure(step, runs=3)


def parts(workload: str, threads: int, batch: int) -> dict:
    """Seconds of a forward pass's parts, ours."""
    import numpy as np

    from edutransformers import Wav2Vec2Config, Wav2Vec2Model, speed
    from edutransformers.module import inference_mode

    speed.use_batch_threads(threads)
    speed.keep_freed_memory()
    model = Wav2Vec2Model(Wav2Vec2Config(), generator=np.random.default_rng(0)).eval()
    seconds = {}
    with inference_mode():
        x = np.random.default_rng(1).standard_normal((batch, 1, SAMPLES), dtype=np.float32)
        for index, layer in enumerate(model.feature_extractor.conv_layers):
            seconds[f"convolution {index}"] = measure(lambda layer=layer, x=x: layer.forward(x))["seconds"]
            x, _ = layer.forward(x)
        (x, _), _ = model.feature_projection.forward(x.swapaxes(1, 2))
        seconds["positions"] = measure(lambda: model.encoder.positions.forward(x))["seconds"]
        seconds["12 layers"] = measure(lambda: model.encoder.layers.forward(x))["seconds"]
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workload", choices=("forward", "training", "both"), default="both")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "WORKLOAD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:  # threads and batch come from the process that started it, below
        side, workload = options.worker
        threads, batch = int(os.environ["OPENBLAS_NUM_THREADS"]), int(os.environ["BENCHMARK_BATCH"])
        report({"ours": ours, "torch": theirs, "parts": parts}[side](workload, threads, batch))
        return 0
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["BENCHMARK_BATCH"] = str(options.batch)
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"

    print(f"Wav2Vec2-base, batch {options.batch} x 10 s, {options.threads} threads, {options.rounds} rounds, medians")
    for workload in ("forward", "training") if options.workload == "both" else (options.workload,):
        pairs = run_pairs(__file__, workload, options.rounds)
        mine, other = median(a["seconds"] for a, _ in pairs), median(b["seconds"] for _, b in pairs)
        ratios = sorted(a["seconds"] / b["seconds"] for a, b in pairs)
        print(
            f"{workload:>9}: edutransformers {mine:.3f} s, transformers + torch {other:.3f} s; "
            f"ratio {median(ratios):.2f} (rounds: {ratios[0]:.2f} to {ratios[-1]:.2f}); peak memory "
            f"{median(a['peak_mb'] for a, _ in pairs):.0f} MB against {median(b['peak_mb'] for _, b in pairs):.0f} MB"
        )
    for part, seconds in run_worker(__file__, "parts", "forward").items():
        print(f"{part:>16}: {1000 * seconds:7.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Comparing two sides fairly: separate processes, in alternation, medians and ratios of neighbours.

Separate, because OpenBLAS's threads spin for a while after a product and would slow down whoever comes next in the same
process. In alternation, because a machine's speed drifts: each round runs both sides back to back, and what counts is
the median of the rounds' ratios. Differences under 10% prove nothing.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time


def measure(step, warmup: int = 1, runs: int = 5, clock=time.perf_counter) -> dict:
    """Inside a worker process: seconds of `step()`, and the process's peak memory.

    On a machine busy with other things `clock=time.process_time`, with one thread, counts only what is ours.
    """
    for _ in range(warmup):
        step()
    seconds = []
    for _ in range(runs):
        start = clock()
        step()
        seconds.append(clock() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    return {"seconds": statistics.median(seconds), "peak_mb": peak}


def report(result: dict) -> None:
    """What a worker prints for the process that started it."""
    print("RESULT " + json.dumps(result))


def run_worker(script: str, *arguments: str, python: str = sys.executable) -> dict:
    """Start a worker process, of another environment's Python if need be, and read its result."""
    done = subprocess.run([python, script, "--worker", *arguments], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line[7:])
    raise RuntimeError(f"the worker {arguments} failed:\n{done.stderr[-2000:]}")


def run_pairs(script: str, workload: str, rounds: int, sides=("ours", "torch")) -> list[tuple[dict, dict]]:
    """`rounds` times: both sides one after the other, each in a fresh process; the order changes every round."""
    pairs = []
    for number in range(rounds):
        order = sides if number % 2 == 0 else sides[::-1]
        results = {side: run_worker(script, side, workload) for side in order}
        pairs.append((results[sides[0]], results[sides[1]]))
    return pairs


def median(values) -> float:
    return statistics.median(list(values))

"""First station: the backend, how fast its products are, and why it is not the other one."""

from __future__ import annotations

import html
import platform
import time
from pathlib import Path

import numpy as np

from ... import backend
from .section import section


def show_backend(folder: Path) -> str:
    """Where the arrays live."""
    status = backend.cupy_usable()
    size = 768
    a = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    a @ a
    times = []
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    speed = 2 * size**3 / min(times) / 1e9
    lines = [
        f"NumPy {np.__version__}, Python {platform.python_version()}; matrix products run at {speed:.0f} GFLOP/s",
        f"CuPy: {'usable. ' if status else 'not used. '}{status.reason}",
        f"New arrays are made on: {backend.get_backend()}",
    ]
    for line in lines:
        print("   " + line)
    return section("arrays", backend="".join(f"<li>{html.escape(line)}</li>" for line in lines))

"""Fixtures that all tests share, and what is not collected where its libraries are missing."""

import ast
import os
import re
import signal
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

# Several test processes share the cores (`-n auto`): one thread of NumPy's each, said before NumPy is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

import numpy as np
import pytest

from edutransformers import cupy_usable, speed
from tests import fakecupy

# A shell starts what shall run in the background with Ctrl-C ignored; tests of interruptions need it as it is else.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# tests/reference compares with the original: it needs the `reference` extra. Without it, it isn't collected at all, so
# that the default run has no skips. (find_spec looks a package up without importing it: torch takes seconds.)
collect_ignore_glob = []
if find_spec("torch") is None or find_spec("transformers") is None:
    collect_ignore_glob.append("reference/*")

# tests/extras needs packages that are optional: each file says on top which, as `NEEDS = ("optuna",)`.
for file in (Path(__file__).parent / "extras").glob("test_*.py"):
    needs = re.search(r"^NEEDS = (\(.*\))$", file.read_text(encoding="utf-8"), flags=re.M)
    if any(find_spec(package) is None for package in ast.literal_eval(needs[1])):
        collect_ignore_glob.append(f"extras/{file.name}")

# tests/test_gpu.py needs a GPU and CuPy.
if find_spec("cupy") is None or not cupy_usable():
    collect_ignore_glob.append("test_gpu.py")


def _original_is_v4_34() -> bool:
    try:
        return version("transformers").startswith("4.34.")
    except PackageNotFoundError:
        return False


# tests/reference/legacy needs transformers 4.34, for what later versions dropped.
if not _original_is_v4_34():
    collect_ignore_glob.append("reference/legacy/*")


@pytest.fixture(autouse=True)
def batch_threads_as_before():
    """A test that splits batches over threads doesn't do so for the next one, whose sums and memory it would change."""
    before = speed.use_batch_threads()
    yield
    speed.use_batch_threads(before)


@pytest.fixture
def rng():
    """Random numbers that are the same in every run."""
    return np.random.default_rng(20240613)


@pytest.fixture
def fake_cupy():
    """`import cupy` gives the strict double: use_backend("cupy"), model.to("cuda") and all else work on it."""
    with fakecupy.installed() as cupy:
        yield cupy

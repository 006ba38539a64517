import itertools
import zlib

import numpy as np
import pytest


@pytest.fixture
def progress(tmp_path, monkeypatch):
    """A progress file of the test's own."""
    path = tmp_path / "progress.json"
    monkeypatch.setenv("EDUTRANSFORMERS_PROGRESS", str(path))
    return path


@pytest.fixture(autouse=True)
def draws(request, monkeypatch):
    """What learners get anew each time is the same in every run of a test: a rare draw must not fail somebody's CI."""
    seeds = itertools.count(zlib.crc32(request.node.name.encode()))
    default_rng = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed=None: default_rng(next(seeds) if seed is None else seed))

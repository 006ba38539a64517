"""The environment variables that say where checkpoints are kept and whether the network may be asked.

They are read when they are needed, not when something is imported: a notebook can set them at any time. (The
huggingface_hub library reads most of them once, at import; so what is found here is handed to it explicitly.)
"""

from __future__ import annotations

import os
from pathlib import Path

YES = {"1", "ON", "YES", "TRUE"}
DEFAULT_ENDPOINT = "https://huggingface.co"


def is_offline() -> bool:
    """True when TRANSFORMERS_OFFLINE or HF_HUB_OFFLINE forbids the network."""
    return offline_variable() is not None


def offline_variable() -> str | None:
    """Which variable forbids the network, for error messages."""
    for variable in ("TRANSFORMERS_OFFLINE", "HF_HUB_OFFLINE"):
        if os.environ.get(variable, "").upper() in YES:
            return variable
    return None


def cache_folder() -> Path:
    """Where downloads are kept: the first variable that is set wins, in the original's order.

    TRANSFORMERS_CACHE, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE; else `hub/` in HF_HOME, which by default is
    `huggingface/` in XDG_CACHE_HOME, which by default is ~/.cache.
    """
    for variable in ("TRANSFORMERS_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return _expand(os.environ[variable])
    if os.environ.get("HF_HOME"):
        return _expand(os.environ["HF_HOME"]) / "hub"
    return _expand(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"


def endpoint() -> str:
    """The hub's address: HF_ENDPOINT, for mirrors and tests."""
    return (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


def _expand(path: str) -> Path:
    return Path(os.path.expanduser(os.path.expandvars(path)))

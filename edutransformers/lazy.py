"""Packages whose names are imported when they are first used, so that `import edutransformers` stays quick."""

import sys
from collections.abc import Callable
from importlib import import_module


def lazy_names(package: str, homes: dict[str, str]) -> tuple[Callable, Callable]:
    """(`__getattr__`, `__dir__`) for a package's __init__.py; `homes` says which of its modules a name lives in.

    __getattr__, __dir__ = lazy_names(__name__, {"pipeline": "factory"})
    """

    def __getattr__(name: str):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        vars(sys.modules[package])[name] = value  # found at once the next time
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return __getattr__, __dir__

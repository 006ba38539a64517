"""The package's public names: found when first used, and not hidden by files of the same name."""

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

import edutransformers


@pytest.mark.parametrize("name", edutransformers.__all__)
def test_a_public_name_is_no_module(name):
    importlib.import_module(
        "edutransformers.gradient_check"
    )  # binds the submodule to the package, were it not prevented
    assert not isinstance(getattr(edutransformers, name), ModuleType)
    assert name in dir(edutransformers)


@pytest.mark.parametrize("first", ["edutransformers.gradient_check", "edutransformers.layers"])
def test_the_function_after_its_module(first):
    """In a fresh Python, whichever is imported first."""
    code = f"""
import {first}
from edutransformers import gradient_check
from edutransformers.gradient_check import Function, gradient_check as again
assert callable(gradient_check) and gradient_check is again
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = edutransformers.no_such_name

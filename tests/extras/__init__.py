"""Tests with optional packages. Each file names them in a line `NEEDS = ("optuna",)`; without them it isn't collected.

Each also carries the marker: `pytestmark = pytest.mark.extras`.
"""

"""What the documentation prints is what the code prints."""

import doctest
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "tokenizers"


@pytest.mark.parametrize("page", ["wordpiece.md", "calling.md"])
def test_examples(page):
    result = doctest.testfile(str(FOLDER / page), module_relative=False, encoding="utf-8")
    assert result.attempted > 5
    assert result.failed == 0

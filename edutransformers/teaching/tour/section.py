"""A station's section of the page: the file of its name, with what was computed in its places."""

from __future__ import annotations

from pathlib import Path
from string import Template


def section(name: str, **values: str) -> str:
    """The HTML of `name`.html with every $place filled. Values are HTML: text in them must be escaped."""
    return Template((Path(__file__).parent / f"{name}.html").read_text(encoding="utf-8")).substitute(values)

"""`edutransformers tour`: the whole package in a minute and a half, on this machine, without a network.

One station a file. A station is called with the folder for its pictures, says in the terminal what it does, and returns
its section of the page. Every number on the page was computed while you waited.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from string import Template

from .arrays import show_backend
from .gradients import check_gradients
from .hearing import transcribe
from .reading import read_reviews
from .seeing import read_digits
from .training import train_from_nothing
from .writing import write_on

STATIONS: tuple[Callable[[Path], str], ...] = (
    show_backend,
    read_reviews,
    write_on,
    read_digits,
    transcribe,
    check_gradients,
    train_from_nothing,
)


def tour(output: str = "tour") -> int:
    """Run all stations, print what happens, write `output`/index.html. Returns the process's exit status."""
    started = time.perf_counter()
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    sections = []
    print("edutransformers: transformers in plain NumPy and CuPy, every backward pass by hand\n")
    for number, station in enumerate(STATIONS, start=1):
        print(f"{number}. {(station.__doc__ or '').splitlines()[0].rstrip('.')}")
        sections.append(station(folder))
        print()
    seconds = f"{time.perf_counter() - started:.0f}"
    template = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))
    page = template.substitute(sections="\n\n".join(sections), seconds=seconds)
    (folder / "index.html").write_text(page, encoding="utf-8")
    print(f"All of this took {seconds} s. The page with the pictures: {(folder / 'index.html').resolve()}")
    return 0

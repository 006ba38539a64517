"""Where a lesson goes on: the place of each function in the package, as it is installed here."""

from __future__ import annotations

import inspect
from pathlib import Path


def read_on(*things) -> None:
    """Print for each function, class or module its file and line in the package, and the first line of its docstring.

    read_on(softmax, softmax_backward)
        edutransformers/functional/softmax.py:9     softmax            p = exp(x − max x) / Σ exp(x − max x)
    """
    package = Path(__file__).resolve().parents[2]
    rows = []
    for thing in things:
        thing = inspect.unwrap(thing) if callable(thing) else thing
        file = Path(inspect.getsourcefile(thing)).resolve()
        line = 1 if inspect.ismodule(thing) else inspect.getsourcelines(thing)[1]
        name = thing.__name__.rsplit(".", 1)[-1]
        about = (inspect.getdoc(thing) or "").splitlines()[:1]
        rows.append((f"{file.relative_to(package).as_posix()}:{line}", name, about[0] if about else ""))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for place, name, about in rows:
        print(f"{place:{widths[0]}}  {name:{widths[1]}}  {about}".rstrip())

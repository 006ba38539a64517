"""Docstrings here are plain text, laid out to be read in the source. This makes reStructuredText of them for autodoc.

    a paragraph                       text; `names` become code, and *, | and _ stay what they are
    an indented or aligned block      shown as it is, line by line (equations, tables of arguments)
    >>> a session                     shown as it is, coloured
    *   a list                        a list

What reStructuredText would read into it otherwise is escaped.
"""

import re

INDENT = "    "


def to_rst(lines):
    """The lines of a plain docstring -> lines of reStructuredText."""
    result, after_block = [], False
    for paragraph in _paragraphs(lines):
        is_block = all(line.startswith(" ") for line in paragraph)
        if is_block and after_block:  # an empty line within a block
            result += [*(INDENT + line[after_block:] for line in paragraph), ""]
        else:
            result += [*_paragraph_to_rst(paragraph), ""]
            after_block = _indentation(paragraph) if is_block else False
    return result


def _paragraphs(lines):
    paragraph = []
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line.rstrip())
        elif paragraph:
            yield paragraph
            paragraph = []


def _paragraph_to_rst(paragraph):
    first = paragraph[0]
    if first.lstrip().startswith(">>>"):
        return [".. code-block:: pycon", "", *(INDENT + line for line in paragraph)]
    if re.match(r"[*-]\s+\S", first):
        return _list_to_rst(paragraph)
    continued = any(line.startswith(" ") for line in paragraph)
    aligned = len(paragraph) > 1 and any(re.search(r"\S {2,}\S", line) for line in paragraph)
    if continued or aligned:
        indented = _indentation(paragraph)
        lead, block = [], paragraph
        if not aligned and not first.startswith(" "):  # a sentence, and what it introduces
            count = next(n for n, line in enumerate(paragraph) if line.startswith(" "))
            lead, block = [_escape(line) for line in paragraph[:count]] + [""], paragraph[count:]
            indented = _indentation(block)
        return [*lead, ".. code-block:: text", "", *(INDENT + line[indented:] for line in block)]
    return [_escape(line) for line in paragraph]


def _indentation(paragraph):
    return min(len(line) - len(line.lstrip()) for line in paragraph)


def _list_to_rst(paragraph):
    lines = []
    for line in paragraph:
        item = re.match(r"[*-]\s+(.*)", line)
        lines.append("* " + _escape(item[1]) if item else "  " + _escape(line.strip()))
    return lines


def _escape(line):
    """`name` -> ``name``; outside of it, what reStructuredText would take for markup is escaped."""
    parts = re.split(r"(`[^`]+`)", line)
    for n, part in enumerate(parts):
        if n % 2:
            # a space or a letter must not touch the closing quotes: `\ ` ends the markup without showing
            parts[n] = f"``{part[1:-1]}``" + ("\\ " if re.match(r"\w", parts[n + 1]) else "")
        else:
            part = re.sub(r"([\\*|`_])", r"\\\1", part)
            parts[n] = re.sub(r" {2,}", lambda spaces: "\u2003", part)
    return "".join(parts)


def _process(app, what, name, obj, options, lines):
    lines[:] = to_rst(lines)


def _skip(app, what, name, obj, skip, options):
    """A NamedTuple's fields stand in its signature; "Alias for field number 0" says no more."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app):
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

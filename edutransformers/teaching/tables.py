"""Small helpers for printed reports: aligned numbers, bars, HTML."""

from __future__ import annotations

import html


def megabytes(size: float) -> str:
    """Ten characters wide, in 10⁶ bytes."""
    return f"{size / 1e6:10,.1f}"


def percent(share: float) -> str:
    return f"{100 * share:6.1f} %"


def bar(share: float, width: int = 30) -> str:
    """A bar for a share of 1, to an eighth of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def aligned(columns: list[str], rows: list[list[str]]) -> str:
    """Rows under columns: the first to the left, numbers to the right."""
    rows = [columns, *([str(cell).strip() for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(columns))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_html(title: str, columns: list[str], rows: list[list[str]]) -> str:
    """The same as a table for notebooks, which lay it out in their own colours."""
    head = "".join(
        f"<th style='text-align:{_side(place)}'>{html.escape(name)}</th>" for place, name in enumerate(columns)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td style='text-align:{_side(place)}'>{html.escape(str(cell))}</td>" for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<p><b>{html.escape(title)}</b></p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _side(place: int) -> str:
    return "right; padding: 0.1em 0.6em" if place else "left; padding: 0.1em 0.6em 0.1em 0"

"""The picture of tokens as HTML: a fragment for notebooks, and a page that needs no other file."""

from __future__ import annotations

import html

from .tokens import Token, TokenRow

MOST = 20_000  # tokens in a page; a browser gets slow with more
_STYLE = """
.edu-tokens { --c0: #cfe3f7; --c1: #ffe2b6; --c2: #d0edcd; --c3: #f6d3e6; --c4: #e2daf6; --c5: #f3ecac;
  --ink: #1c1c1c; --special: #6a6a6a; --unknown: #b3261e;
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.5rem;
  font: 15px/1.35 "DejaVu Sans Mono", Menlo, Consolas, "Noto Sans Mono", monospace; }
.edu-tokens h2 { font: bold .95rem/1.4 system-ui, sans-serif; margin: 0 0 .6rem; overflow-wrap: anywhere; }
.edu-tokens .cells { display: flex; flex-wrap: wrap; gap: 6px 3px; align-items: flex-start; }
.edu-tokens .cell { display: inline-flex; flex-direction: column; max-width: 100%; }
.edu-tokens bdi { color: var(--ink); padding: 1px 4px; border-radius: 3px; overflow-wrap: anywhere;
  white-space: pre-wrap; text-align: left; }
.edu-tokens small { font-size: 11px; padding: 0 4px; opacity: .8; }
.edu-tokens .k0 bdi { background: var(--c0); } .edu-tokens .k1 bdi { background: var(--c1); }
.edu-tokens .k2 bdi { background: var(--c2); } .edu-tokens .k3 bdi { background: var(--c3); }
.edu-tokens .k4 bdi { background: var(--c4); } .edu-tokens .k5 bdi { background: var(--c5); }
.edu-tokens .special bdi { background: var(--special); color: #fff; font-weight: bold; }
.edu-tokens .unknown bdi { background: var(--unknown); color: #fff; font-weight: bold; }
@media (prefers-color-scheme: dark) { .edu-tokens { --c0: #1d4a75; --c1: #6e4a12; --c2: #235c2c; --c3: #712c55;
  --c4: #4a3c86; --c5: #5c560f; --ink: #f2f2f2; --special: #5e5e5e; --unknown: #a8241c; } }
"""
_PAGE_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 3rem; font: 16px/1.5 system-ui, sans-serif;
  background: #fdfcf9; color: #222; }
h1 { font-size: 1.4rem; margin: 0 0 .2rem; } p { margin: .2rem 0 1.4rem; opacity: .8; }
@media (prefers-color-scheme: dark) { body { background: #17181a; color: #e4e4e4; } }
"""
_LEGEND = (
    "Each token, its id, and where it stands in the text. · is a blank, ↵ a line's end, ⇥ a tab, ⟨E4⟩ a byte, "
    "⟨200D⟩ a character that can't be seen. Grey: special tokens. Red: unknown."
)


def fragment(rows: list[TokenRow]) -> str:
    """For a notebook: in its own colours, whatever the page's are."""
    sections = "".join(map(_section, rows))
    return f"<style>{_STYLE}</style><div class='edu-tokens'>{sections}</div>"


def page(rows: list[TokenRow]) -> str:
    title = html.escape("Tokens: " + ", ".join(row.name for row in rows))
    return (
        "<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{title}</title>\n<style>{_PAGE_STYLE}</style>\n<h1>{title}</h1>\n<p>{html.escape(_LEGEND)}</p>\n"
        f"{fragment(rows)}\n</html>\n"
    )


def _section(row: TokenRow) -> str:
    cells = "".join(map(_cell, row.tokens[:MOST]))
    more = len(row.tokens) - MOST
    rest = f"<p>... and {more:,} more tokens</p>" if more > 0 else ""
    return f"<section><h2>{html.escape(row.summary)}</h2><div class='cells'>{cells}</div>{rest}</section>"


def _cell(token: Token) -> str:
    kind = f"k{token.colour}" if token.kind == "text" else token.kind
    span = "" if token.span is None else f"{token.span[0]}-{token.span[1]}"
    says = f"{token.kind} token {token.id}"
    if token.span is not None:
        says += f", characters {token.span[0]} to {token.span[1]} of the {('first', 'second')[token.sequence]} text"
    # bdi: a token that is written from right to left leaves its neighbours where they are.
    return (
        f"<span class='cell {kind}' title='{html.escape(says)}'><bdi>{html.escape(token.shown)}</bdi>"
        f"<small>{token.id}</small><small>{span or '&nbsp;'}</small></span>"
    )

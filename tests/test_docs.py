"""The documentation is true: paths and links exist, every page is reachable, every example runs.

The site itself is built by Sphinx (`docs` extra), which executes the pages and shows what they print. These tests need
nothing but the package, so that a change that breaks an example is noticed in the default run.
"""

import ast
import contextlib
import functools
import importlib
import importlib.util
import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import edutransformers
from edutransformers import get_backend, speed
from edutransformers.cli import OWN_PARSERS
from edutransformers.module import Module

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "edutransformers"
PAGES = sorted(p for p in DOCS.rglob("*.md") if p.relative_to(DOCS).parts[0] not in ("_build", "jupyter_execute"))
FENCE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{?(?P<kind>[\w-]*)\}?(?P<argument>[^\n]*)\n(?P<body>.*?)^(?P=fence)\s*$", re.S | re.M
)


def name_of(page):
    return page.relative_to(DOCS).as_posix()


def blocks(page, kind):
    """(argument, body) of all fenced blocks of a kind: ```python, ```{code-cell}, ```{toctree}, …"""
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        if match["kind"] == kind:
            yield match["argument"].strip(), match["body"]


def without_options(body):
    """A directive's body without its options: `:option:` lines, or a block between `---`."""
    body = re.sub(r"\A---\n.*?^---\n", "", body, flags=re.S | re.M)
    return "".join(line for line in body.splitlines(keepends=True) if not re.match(r":[\w-]+:", line))


def cells(page):
    return [without_options(body) for _, body in blocks(page, "code-cell")]


def prose(page):
    """A page without its fenced code, where brackets and backticks mean other things."""
    return re.sub(r"^```.*?^```\s*$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def test_there_are_pages():
    assert len(PAGES) > 40


# -- the map ----------------------------------------------------------------------------------------------------------


def paths_of_the_map():
    text = (DOCS / "map.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [path for row in rows for path in re.findall(r"`([\w/.]+)`", row)]


def test_every_path_of_the_map_exists():
    paths = paths_of_the_map()
    assert len(paths) > 60
    missing = [path for path in paths if not any((base / path).exists() for base in (PACKAGE, ROOT))]
    assert not missing


@pytest.mark.parametrize("folder", ["functional", "layers", "losses", "models"])
def test_every_file_stands_in_the_map(folder):
    files = {f"{folder}/{file.name}" for file in (PACKAGE / folder).glob("*.py") if file.name != "__init__.py"}
    assert files
    assert not files - set(paths_of_the_map())


@pytest.mark.parametrize("folder", ["functional", "layers", "losses"])
def test_every_test_of_a_layer_stands_in_the_map(folder):
    files = {f"tests/{folder}/{file.name}" for file in (ROOT / "tests" / folder).glob("test_*.py")}
    assert files
    assert not files - set(paths_of_the_map())


def test_every_benchmark_stands_in_the_map():
    files = {f"benchmarks/{file.name}" for file in (ROOT / "benchmarks").glob("*.py")}
    assert files
    assert not files - set(paths_of_the_map())


# -- the site ---------------------------------------------------------------------------------------------------------


def test_every_page_is_reachable_from_the_index():
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        assert page.exists(), f"a toctree names {page.relative_to(ROOT)}, which does not exist"
        if page in reached:
            continue
        reached.add(page)
        for _, body in blocks(page, "toctree"):
            for line in without_options(body).split("\n"):
                if line.strip():
                    target = re.search(r"<(.+)>\s*$", line)
                    waiting.append(page.parent / ((target[1] if target else line.strip()) + ".md"))
    assert {p.resolve() for p in reached} == {p.resolve() for p in PAGES}


def anchors(page):
    """The anchors that headings of a page get."""
    found = set()
    for heading in re.findall(r"^#{1,3} (.+)$", prose(page), flags=re.M):
        plain = re.sub(r"[`*]|\$[^$]*\$|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue  # another site's
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target}: there is no such file"
        if anchor:
            assert anchor in anchors(file), f"{target}: expected one of {sorted(anchors(file))}"


def test_included_code_exists():
    included = [(page, a, body) for page in PAGES for a, body in blocks(page, "literalinclude")]
    assert len(included) > 10
    for page, argument, body in included:
        file = page.parent / argument
        assert file.exists(), f"{name_of(page)} includes {argument}"
        for dotted in re.findall(r":pyobject: (\S+)", body):
            scope = ast.parse(file.read_text(encoding="utf-8"))
            for part in dotted.split("."):
                found = [node for node in scope.body if getattr(node, "name", None) == part]
                assert found, f"{name_of(page)} includes {dotted} of {argument}, which has none"
                scope = found[0]


def test_everything_public_is_in_the_reference():
    text = "\n".join(body for page in PAGES for _, body in blocks(page, "eval-rst"))
    modules = set(re.findall(r"automodule:: edutransformers\.([\w.]+)", text))
    objects = set(re.findall(r"auto(?:class|function):: edutransformers\.[\w.]*?(\w+)$", text, flags=re.M))
    for name in edutransformers.__all__:
        home = getattr(edutransformers, name).__module__.removeprefix("edutransformers.")
        assert home in modules or name in objects, f"{name} (of {home}) is in no page of the reference"


# -- the examples -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_is_python(page):
    for _, body in [*blocks(page, "python"), *blocks(page, "code-cell")]:
        compile(without_options(body), name_of(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_code_that_is_only_shown_names_what_exists(page):
    """What no page executes (a GPU, a hub, hours of training) imports names, and calls commands, that exist."""
    for _, body in blocks(page, "python"):
        for node in ast.walk(ast.parse(without_options(body))):
            if type(node) is ast.ImportFrom and (node.module or "").split(".")[0] == "edutransformers":
                home = importlib.import_module(node.module)
                missing = [alias.name for alias in node.names if not hasattr(home, alias.name)]
                assert not missing, f"{node.module} has no {missing}"
    for _, body in [*blocks(page, "sh"), *blocks(page, "bash"), *blocks(page, "console")]:
        for command in re.findall(r"(?:^|&& |\$ )edutransformers (\w[\w-]*)", body, flags=re.M):
            assert command in {"tour", "bench", *OWN_PARSERS}, f"edutransformers has no command {command}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_printed_was_printed(page):
    """An output on a page comes from its execution; nobody types one in, which would then grow stale."""
    text = page.read_text(encoding="utf-8")
    assert ">>>" not in "".join(body for _, body in blocks(page, "python"))
    assert text.startswith("---\nfile_format: mystnb\n") == bool(cells(page))


def run_cell(source, name, scope):
    """Run a cell; returns the value of the expression at its end, which a page shows."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), scope)
    return None if last is None else eval(compile(ast.Expression(last.value), name, "eval"), scope)


@pytest.mark.parametrize("page", [page for page in PAGES if cells(page)], ids=name_of)
def test_the_page_runs(page, tmp_path, monkeypatch):
    """All cells of a page, one after the other, as the build does; and what they switch on they switch off."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no-cache"))
    scope = {"__name__": "__main__"}
    with np.printoptions(), contextlib.redirect_stdout(io.StringIO()):
        for number, cell in enumerate(cells(page), start=1):
            shown = run_cell(cell, f"{name_of(page)}, cell {number}", scope)
            claim = isinstance(shown, (bool, np.bool_))  # a page that shows a bare truth value says that it is so
            assert not claim or shown, f"cell {number} claims something that is not so:\n{cell}"
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")  # each page is a program of its own: its figures end with it
    assert get_backend() == "numpy"
    assert speed.use_batch_threads() == 1


# -- docstrings as pages ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def to_rst():
    spec = importlib.util.spec_from_file_location("plain_docstrings", DOCS / "_extensions" / "plain_docstrings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda text: "\n".join(module.to_rst(text.split("\n"))).rstrip()


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ("one line", "one line"),
        ("calls `f(x)` and `g`s", "calls ``f(x)`` and ``g``\\ s"),
        ("(B|1, H) * 2, name_", "(B\\|1, H) \\* 2, name\\_"),
        ("text:\n\n    y = x\n    z = y", "text:\n\n.. code-block:: text\n\n    y = x\n    z = y"),
        ("a    first\nbc   second", ".. code-block:: text\n\n    a    first\n    bc   second"),
        (">>> 1 + 1\n2", ".. code-block:: pycon\n\n    >>> 1 + 1\n    2"),
        ("code:\n\n    a = 1\n\n    b = 2", "code:\n\n.. code-block:: text\n\n    a = 1\n\n    b = 2"),
        ("* one,\n  more\n* two", "* one,\n  more\n* two"),
    ],
)
def test_a_plain_docstring_becomes_markup(to_rst, plain, expected):
    assert to_rst(plain) == expected


# -- the cards of the layers ------------------------------------------------------------------------------------------

CARDS = [page for page in PAGES if page.parent.name == "layers" and page.name != "index.md"]
ROWS = ["Equation", "Shapes", "The cache holds", "Backward", "Code", "Tests", "Used by"]


def cards(page):
    """(caption, {row: text}) of the tables at the top of a layer's page, or of its sections where it has several."""
    text = page.read_text(encoding="utf-8")
    for caption, body in re.findall(r"^:::\{table\} ?([^\n]*)\n:class: layer-card\n(.*?)^:::", text, flags=re.S | re.M):
        yield caption, dict(re.findall(r"^\| ([^|]+?) \| (.*) \|$", body, flags=re.M))


def classes_of(page):
    """The classes whose reference stands on a page."""
    text = page.read_text(encoding="utf-8")
    return set(re.findall(r"autoclass:: edutransformers\.(?:layers|losses)\.(?:\w+\.)*(\w+)$", text, flags=re.M))


@functools.cache
def imports_of_models():
    """{file: names that it imports from layers or losses}"""
    imports = {}
    for file in (PACKAGE / "models").glob("*.py"):
        nodes = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if type(node) is ast.ImportFrom]
        lines = [node for node in nodes if (node.module or "").startswith(("layers", "losses"))]
        imports[file.stem] = {alias.name for node in lines for alias in node.names}
    return imports


def models_that_import(names):
    """The pages of the models whose files import one of these classes."""
    pages = {page.stem for page in (DOCS / "models").glob("*.md")}
    return {file.split("_")[0] for file, imported in imports_of_models().items() if imported & names} & pages


def test_every_layer_and_loss_has_a_card():
    from edutransformers import layers, losses

    parts = [getattr(home, name) for home in (layers, losses) for name in home.__all__]
    public = {part.__name__ for part in parts if isinstance(part, type) and issubclass(part, Module)}
    assert len(CARDS) > 20
    assert not public - set().union(*map(classes_of, CARDS))


@pytest.mark.parametrize("page", CARDS, ids=name_of)
def test_the_cards_are_whole_and_true(page):
    """Every row is there, its files exist, and no model is forgotten. Several cards on a page say whose each is."""
    found = list(cards(page))
    assert found
    named = [set(caption.split(", ")) if len(found) > 1 else classes_of(page) for caption, _ in found]
    assert set().union(*named) == classes_of(page)
    for names, (_, rows) in zip(named, found, strict=True):
        assert [row for row in rows if row in ROWS] == ROWS, names
        paths = [path for row in ("Code", "Tests") for path in re.findall(r"`([\w/.]+)`", rows[row]) if "/" in path]
        assert len(paths) >= 2
        assert not [path for path in paths if not any((base / path).exists() for base in (PACKAGE, ROOT))]
        unnamed = {model for model in models_that_import(names) if f"../models/{model}.md" not in rows["Used by"]}
        assert not unnamed, f"{names} are also used by {sorted(unnamed)}"

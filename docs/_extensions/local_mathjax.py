"""MathJax beside the pages, so that they can be read without a network. The package sphinx-mathjax-offline brings it.

Only what the pages use is copied: one script and its fonts, 1.5 MB of the package's 24. Without the package the pages
ask MathJax's usual server.
"""

import shutil
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

SCRIPT = "tex-chtml.js"
FONTS = "output/chtml/fonts/woff-v2"


def mathjax_folder():
    """The folder static/mathjax of the installed package, or None."""
    try:
        entries = files("sphinx-mathjax-offline") or []
    except PackageNotFoundError:
        return None
    scripts = [entry for entry in entries if entry.name == SCRIPT]
    return Path(scripts[0].locate()).parent if scripts else None


def _configure(app, config):
    if mathjax_folder() is not None:
        config.mathjax_path = f"mathjax/{SCRIPT}"


def _copy(app, exception):
    source = mathjax_folder()
    if exception is not None or source is None or app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / SCRIPT, target / SCRIPT)
    shutil.copytree(source / FONTS, target / FONTS, dirs_exist_ok=True)


def setup(app):
    app.connect("config-inited", _configure)
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""How the documentation is built: `sphinx-build docs docs/_build/html`, with the `docs` extra installed.

Every page with output is a notebook in Markdown (MyST-NB), executed in each build: what a page prints is what the code
prints today, and an example that fails fails the build. No page needs a network, torch, or a package beyond `docs`.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_extensions"))
sys.path.insert(0, str(DOCS.parent))  # document this checkout, whatever else is installed

# The pages' kernels inherit these: no network, small products on one thread, and this checkout's package.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(DOCS.parent), os.environ.get("PYTHONPATH")]))
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a warning of the kernel's debugger, which nobody uses here
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # tqdm's, in a kernel without widgets

# A value at the end of a cell is shown by its repr, not in IPython's own layout (which puts long lists in a column).
profile = Path(tempfile.mkdtemp(prefix="ipython-")) / "profile_default"
profile.mkdir()
(profile / "ipython_kernel_config.py").write_text(
    "c.PlainTextFormatter.pprint = False\nc.HistoryManager.enabled = False\n"
)
os.environ["IPYTHONDIR"] = str(profile.parent)
atexit.register(shutil.rmtree, profile.parent, ignore_errors=True)

# Every figure of a page is shown. The kernel becomes interactive with its first figure; where that is made inside
# `plt.rc_context`, the end of the context would take it back, and all later figures would silently be missing.
(profile.parent / "matplotlibrc").write_text("interactive: True\n")
os.environ["MATPLOTLIBRC"] = str(profile.parent)

import edutransformers  # noqa: E402

project = "edutransformers"
author = "the edutransformers authors"
copyright = "the edutransformers authors, Apache-2.0"
version = release = edutransformers.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
    "honest_pages",
    "local_mathjax",
    "plain_docstrings",
]
exclude_patterns = ["_build", "jupyter_execute", "README.md"]
source_suffix = {".md": "myst-nb", ".rst": "restructuredtext"}

# -- executed pages ---------------------------------------------------------------------------------------------------

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 120
nb_execution_in_temp = True  # a page may write files; they go with the build
nb_output_stderr = "remove-warn"  # a warning or a traceback on a page is a mistake, and -W makes it one
nb_merge_streams = True

# -- Markdown ---------------------------------------------------------------------------------------------------------

myst_enable_extensions = ["amsmath", "attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

# -- reference from docstrings ----------------------------------------------------------------------------------------

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

# -- pages ------------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = "edutransformers"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "top_of_page_buttons": [],
    "light_css_variables": {"color-brand-primary": "#0b5394", "color-brand-content": "#0b5394"},
    "dark_css_variables": {"color-brand-primary": "#7db7f0", "color-brand-content": "#7db7f0"},
}

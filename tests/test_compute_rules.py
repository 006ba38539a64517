"""The compute folders run on both backends and never wait for the device: read from their source."""

import ast
from pathlib import Path

import pytest

import edutransformers
from tests.compute_rules import COMPUTE_FOLDERS, HOST_FUNCTIONS, problems

PACKAGE = Path(edutransformers.__file__).parent
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
COMPUTE_FILES = [path for path in FILES if path.split("/")[0] in COMPUTE_FOLDERS]


def source_of(path):
    return (PACKAGE / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", COMPUTE_FILES)
def test_follows_the_rules(path):
    found = problems(source_of(path), path)
    assert not found, "\n".join(found)


def test_the_folders_are_not_empty():
    assert {path.split("/")[0] for path in COMPUTE_FILES} == set(COMPUTE_FOLDERS)
    assert len(COMPUTE_FILES) > 20


def test_every_exception_is_still_needed():
    """Each entry of the allow-list names a function that exists and breaks the rules without it."""
    for (path, function), reason in list(HOST_FUNCTIONS.items()):
        assert reason
        assert f"def {function}(" in source_of(path), f"{path} has no {function} any more"
        try:
            del HOST_FUNCTIONS[path, function]
            assert problems(source_of(path), path), f"{path}: {function} needs no exception"
        finally:
            HOST_FUNCTIONS[path, function] = reason


def test_only_backend_imports_cupy():
    importing = set()
    for path in FILES:
        for node in ast.walk(ast.parse(source_of(path))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(module.split(".")[0] in ("cupy", "cupyx") for module in modules):
                importing.add(path)
    assert importing == {"backend.py"}


@pytest.mark.parametrize("path", FILES)
def test_length(path):
    """A model file under 600 lines, any other under 400, empty lines not counted."""
    limit = 600 if path.startswith("models/") else 400
    count = sum(1 for line in source_of(path).splitlines() if line.strip())
    assert count <= limit, f"{path} has {count} lines, expected at most {limit}: which idea in it is a file of its own?"


# ---------------------------------------------------------------------------------------------------------------------
# The checker itself can fail
# ---------------------------------------------------------------------------------------------------------------------

BAD = {
    "np on data": "def f(x):\n    return np.exp(x)",
    "np in a method": "class L:\n    def forward(self, x):\n        return np.maximum(x, 0), None",
    "np as a value": "def f(x):\n    return apply(np.tanh, x)",
    "a fresh array in forward": "def forward(self, x):\n    return np.zeros(x.shape)",
    "np.add.at": "def f(g, ids, dy):\n    np.add.at(g, ids, dy)",
    "xp.add.at": "def f(g, ids, dy):\n    xp.add.at(g, ids, dy)",
    "np.linalg": "def f(x):\n    return np.linalg.norm(x)",
    "np on data in a constructor": "def __init__(self, x):\n    self.y = np.exp(x)",
    "the wrong branch": "def f(x):\n    if xp is np:\n        return 1\n    return np.exp(x)",
    "else of the host branch": "def f(x):\n    if xp is np:\n        y = 1\n    else:\n        y = np.exp(x)",
    "after a device branch that goes on": "def f(x):\n    if xp is not np:\n        y = 1\n    return np.exp(x)",
    "or instead of and": "def f(x):\n    if xp is np or fast:\n        return np.exp(x)",
    "outside the isinstance": "def f(x):\n    if isinstance(x, np.ndarray):\n        pass\n    return np.exp(x)",
    "global random numbers": "def f(x):\n    return x * np.random.rand()",
    "the global seed": "def __init__(self):\n    np.random.seed(0)",
    "item": "def f(x):\n    return x.sum().item()",
    "tolist": "def f(x):\n    return x.tolist()",
    "get": "def f(x):\n    return x.get()",
    "float": "def f(x):\n    return float(x.sum())",
    "bool": "def f(x):\n    if bool(x.any()):\n        return 1",
    "int": "def f(x):\n    return int(x.max())",
    "nonzero": "def f(x):\n    return xp.nonzero(x)",
    "method nonzero": "def f(x):\n    return x.nonzero()",
    "where with one argument": "def f(x):\n    return xp.where(x > 0)",
    "unique": "def f(x):\n    return xp.unique(x)",
    "mask index": "def f(x):\n    return x[x > 0]",
    "mask index by name": "def f(x):\n    seen = x != 0\n    return x[seen]",
    "mask index, combined": "def f(x, y):\n    y[(x > 0) & (x < 3)] = 0",
    "mask index, inverted": "def f(x):\n    seen = x != 0\n    x[~seen] = 0",
    "mask index beside others": "def f(x):\n    return x[:, x[0] > 0]",
    "cupy": "import cupy",
    "cupy, later": "def f():\n    from cupyx.scipy.special import erf",
    "tokenizers": "from ..tokenizers import BertTokenizer",
    "checkpoints": "from ..checkpoints.load import load_model",
    "checkpoints in a function of a layer": "def f():\n    from ..checkpoints import load",
    "pipelines": "from .. import pipelines",
    "upwards": "from ..models.bert import BertModel",
}

GOOD = {
    "xp": "def f(x):\n    xp = array_module(x)\n    return xp.exp(x)",
    "number types": "def f(x):\n    return x.astype(np.float32) * float(np.finfo(x.dtype).tiny)",
    "constants": "def f(x):\n    return x + np.pi - np.inf",
    "fresh weights": "def __init__(self):\n    self.weight = Parameter(np.zeros((2, 3), dtype=np.float32))",
    "generators": "def __init__(self, g: np.random.Generator):\n    self.g = g or np.random.default_rng()",
    "host branch": "def f(x):\n    if xp is np and x.size > 3:\n        return np.exp(x)\n    return xp.exp(x)",
    "after the device has left": "def f(x):\n    if xp is not np or x.size < 3:\n        return\n    np.exp(x)",
    "else of the device branch": "def f(x):\n    if xp is not np:\n        y = 1\n    else:\n        y = np.exp(x)",
    "conditional expression": "def f(x):\n    return np.exp(x) if isinstance(x, np.ndarray) else x",
    "checks on the host": "def f(x):\n    if isinstance(x, np.ndarray) and x.size:\n        low = int(x.min())\n"
    "        wrong = x[x < 0]",
    "masks that multiply": "def f(x):\n    seen = x > 0\n    return xp.where(seen, x, 0) * seen",
    "integer indices": "def f(x, labels):\n    return x[xp.arange(len(labels)), labels] + x[..., None, 1:]",
    "dictionaries": "def f(d):\n    return d.get('loss') + d.get('logits', None)",
    "errstate": "def f(x):\n    with np.errstate(invalid='ignore'):\n        return x / x.sum()",
    "downwards": "from ..functional.linear import linear\nfrom ..module import keep\nfrom .dropout import Dropout",
}


@pytest.mark.parametrize("what", BAD)
def test_finds(what):
    assert len(problems(BAD[what], "layers/example.py")) >= 1


@pytest.mark.parametrize("what", GOOD)
def test_lets_pass(what):
    assert problems(GOOD[what], "layers/example.py") == []


def test_the_doors_to_files():
    """Models reach checkpoints only from inside the functions that load and save."""
    inside = "def from_pretrained(cls, name):\n    from ..checkpoints.load import load_model"
    assert problems(inside, "models/base.py") == []
    assert problems(inside, "models/bert.py")
    assert problems("from ..checkpoints.load import load_model", "models/base.py")
    assert problems("from ..tokenizers import BertTokenizer", "models/base.py")


def test_a_problem_is_named_with_its_place():
    assert problems(BAD["np on data"], "layers/example.py") == [
        "layers/example.py:2: np.exp on data: use array_module(x).exp"
    ]

"""Reading the source of the compute folders for what breaks, or waits, on a GPU (docs/concepts/backend.md).

    problems(source, path) -> ["layers/linear.py:12: np.exp on data: use xp = array_module(x)", …]

A line is free to use NumPy where its arrays are known to be in host memory. The checker knows three ways to say so:
`if xp is np:` (and what follows an `if xp is not np: return …`), `if isinstance(x, np.ndarray):`, and the constructors
of layers, whose fresh weights are made on the host and move later. What else needs NumPy stands in `HOST_FUNCTIONS`,
with its reason.
"""

import ast
import types

import numpy as np

# Functions that work on the host by design. (path, function) -> why
HOST_FUNCTIONS = {
    ("layers/positions.py", "sinusoids"): "makes a table for a constructor",
    ("models/text_inputs.py", "default_ids"): "makes ids, which the embedding layer moves to its device",
    ("models/text_inputs.py", "default_positions"): "makes ids, which the embedding layer moves to its device",
    ("layers/span_masking.py", "span_mask"): "random numbers are drawn on the host",
    ("models/wav2vec2_pretraining.py", "sample_negative_indices"): "draws distractors before the training step",
    ("layers/batch_threads.py", "_join"): "joins what threads computed; only host arrays are split over threads",
}
CONSTRUCTORS = ("__init__", "build", "initialize", "init_weights")
FRESH_ARRAYS = ("zeros", "ones", "empty", "full", "arange")  # what a constructor needs
HOST_CONTEXTS = ("errstate",)  # silences NumPy's warnings; a GPU gives none
NOT_COMPUTING = ("models/configuration.py", "models/outputs.py")  # fields and names, no arrays
TO_HOST_METHODS = ("item", "tolist", "tobytes", "nonzero")
VALUE_DEPENDENT = ("nonzero", "argwhere", "flatnonzero", "unique", "bincount", "extract", "compress")

COMPUTE_FOLDERS = ("functional", "layers", "losses", "models")
# Data goes one way: each folder may import from those before it.
ORDER = ("logging", "backend", "speed", "module", "functional", "layers", "losses", "generation", "models")
# The doors from models to files: inside functions of these, checkpoints may be imported.
DOORS = ("models/base.py", "models/configuration.py")


def problems(source: str, path: str) -> list[str]:
    """All violations in one file of a compute folder. `path` is relative to the package."""
    checker = _Checker(path)
    checker.visit(ast.parse(source))
    return checker.found


class _Checker(ast.NodeVisitor):
    def __init__(self, path):
        self.path, self.found = path, []
        self.functions, self.on_host, self.masks = [], False, set()

    def report(self, node, what):
        self.found.append(f"{self.path}:{node.lineno}: {what}")

    # -- where we are -------------------------------------------------------------------------------------------------

    def visit_FunctionDef(self, node):
        on_host, masks = self.on_host, self.masks
        self.functions.append(node.name)
        self.on_host = on_host or (self.path, node.name) in HOST_FUNCTIONS
        self.masks = set()
        for default in [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.decorator_list]:
            self.visit(default)
        self.visit_block(node.body)
        self.functions.pop()
        self.on_host, self.masks = on_host, masks

    def visit_block(self, statements):
        """Statements in order: after `if xp is not np: return …` the rest of the block is on the host."""
        on_host = self.on_host
        for statement in statements:
            self.visit(statement)
            leaves = isinstance(statement, ast.If) and isinstance(statement.body[-1], (ast.Return, ast.Raise))
            if leaves and _false_means_host(statement.test):
                self.on_host = True
        self.on_host = on_host

    def visit_If(self, node):
        self.visit(node.test)
        on_host = self.on_host
        self.on_host = on_host or _true_means_host(node.test)
        self.visit_block(node.body)
        self.on_host = on_host or _false_means_host(node.test)
        self.visit_block(node.orelse)
        self.on_host = on_host

    def visit_IfExp(self, node):
        self.visit(node.test)
        on_host = self.on_host
        self.on_host = on_host or _true_means_host(node.test)
        self.visit(node.body)
        self.on_host = on_host or _false_means_host(node.test)
        self.visit(node.orelse)
        self.on_host = on_host

    def visit_For(self, node):
        self.visit(node.iter)
        self.visit_block(node.body)
        self.visit_block(node.orelse)

    def visit_With(self, node):
        for item in node.items:
            self.visit(item)
        self.visit_block(node.body)

    # -- NumPy on data ------------------------------------------------------------------------------------------------

    def visit_Attribute(self, node):
        if isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
            self.check_numpy_name(node, node.attr)
        if _is_np(node.value, "random") and node.attr not in ("Generator", "default_rng", "SeedSequence"):
            self.report(node, f"np.random.{node.attr} draws from a global generator: take a Generator as an argument")
        self.generic_visit(node)

    def check_numpy_name(self, node, name):
        value = getattr(np, name, None)
        harmless = name in ("random", *HOST_CONTEXTS) or isinstance(value, (type, float, types.NoneType))
        in_constructor = any(function in CONSTRUCTORS for function in self.functions) and name in FRESH_ARRAYS
        if not (harmless or in_constructor or self.on_host):
            self.report(node, f"np.{name} on data: use array_module(x).{name}")

    # -- waiting for the device ---------------------------------------------------------------------------------------

    def visit_Call(self, node):
        function = node.func
        if self.path not in NOT_COMPUTING and not self.on_host:
            if isinstance(function, ast.Name) and function.id in ("float", "bool", "int") and node.args:
                argument = node.args[0]
                if not (isinstance(argument, ast.Constant) or _reads_finfo(argument)):
                    self.report(node, f"{function.id}(…) of an array waits for the device")
            elif isinstance(function, ast.Attribute):
                if function.attr in TO_HOST_METHODS or (function.attr == "get" and not node.args):
                    self.report(node, f".{function.attr}() waits for the device")
                elif function.attr in VALUE_DEPENDENT or (function.attr == "where" and len(node.args) == 1):
                    self.report(
                        node, f"the size of {function.attr}'s result depends on values: it waits for the device"
                    )
                elif function.attr == "at" and isinstance(function.value, ast.Attribute):
                    self.report(node, f"{function.value.attr}.at: use backend.scatter_add")
        self.generic_visit(node)

    def visit_Assign(self, node):
        if _is_mask(node.value, self.masks):
            self.masks |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        self.generic_visit(node)

    def visit_Subscript(self, node):
        if not self.on_host:
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if any(_is_mask(part, self.masks) for part in parts):
                self.report(node, "a boolean mask as an index waits for the device: use where, or multiply by it")
        self.generic_visit(node)

    # -- imports ------------------------------------------------------------------------------------------------------

    def visit_Import(self, node):
        for name in node.names:
            if name.name.split(".")[0] in ("cupy", "cupyx"):
                self.report(node, "imports cupy: only backend.py may")

    def visit_ImportFrom(self, node):
        if node.level == 0:
            if node.module.split(".")[0] in ("cupy", "cupyx"):
                self.report(node, "imports cupy: only backend.py may")
            return
        folder = self.path.split("/")[:-1]
        base = folder[: len(folder) - (node.level - 1)]
        names = [node.module] if node.module else [alias.name for alias in node.names]
        for name in names:
            target = ".".join([*base, name]).split(".")[0]
            through_a_door = self.path in DOORS and self.functions and target == "checkpoints"
            below = target in ORDER and ORDER.index(target) <= ORDER.index(folder[0])
            if not (below or through_a_door):
                self.report(node, f"{folder[0]} imports {target}: data goes one way, {' <- '.join(ORDER)}")


def _is_np(node, attribute):
    return (
        isinstance(node, ast.Attribute) and node.attr == attribute and getattr(node.value, "id", "") in ("np", "numpy")
    )


def _xp_is(test, operator):
    """`xp is np` or `xp is not np`."""
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.ops[0], operator)
        and getattr(test.comparators[0], "id", "") == "np"
    )


def _true_means_host(test):
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(_true_means_host(value) for value in test.values)
    is_host_array = (
        isinstance(test, ast.Call) and getattr(test.func, "id", "") == "isinstance" and _is_np(test.args[1], "ndarray")
    )
    return is_host_array or _xp_is(test, ast.Is)


def _false_means_host(test):
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return any(_false_means_host(value) for value in test.values)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _true_means_host(test.operand)
    return _xp_is(test, ast.IsNot)


def _reads_finfo(node):
    """float(np.finfo(dtype).min): a property of a number type, not of an array."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call) and "finfo" in ast.dump(node.value.func)


def _is_mask(node, masks):
    """Is this an array of booleans: a comparison of arrays, a combination of them, or a name that holds one?"""
    if isinstance(node, ast.Compare):
        return not isinstance(node.ops[0], (ast.Is, ast.IsNot, ast.In, ast.NotIn))
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr, ast.BitXor)):
        return _is_mask(node.left, masks) or _is_mask(node.right, masks)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
        return _is_mask(node.operand, masks)
    return isinstance(node, ast.Name) and node.id in masks

"""A chat template, rendered: Jinja as the original sets it up, in its sandbox, with a budget (see `chat_costs.py`).

Needs jinja2. Templates come with checkpoints, from anybody: nothing here may trust them.
"""

import json
from datetime import datetime
from functools import lru_cache, wraps

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateRuntimeError, TemplateSyntaxError
from jinja2.ext import Extension, loopcontrols
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from edutransformers.tokenizers import chat_costs as costs
from edutransformers.tokenizers.chat_costs import Budget, SafeNamespace, budget, price, spend

LONGEST_TEMPLATE = 100_000  # characters; the longest in use have some 30,000


def render(template: str, variables: dict) -> tuple[str, list[tuple[int, int]]]:
    """(the text, the spans in it that stood between `{% generation %}` and `{% endgeneration %}`).

    Raises jinja2's TemplateError: a TemplateSyntaxError for what is no Jinja, a SecurityError for what a template must
    not do or when its budget is used up, the template's own from `raise_exception`, and otherwise a
    TemplateRuntimeError that names the line.
    """
    token = budget.set(Budget(costs.steps_for(variables)))
    try:
        pieces, state = [], budget.get()
        for piece in _compiled(template).generate(variables):
            state.written += len(piece)
            pieces.append(piece)
        return "".join(pieces), state.generated
    except TemplateError:
        raise
    except RecursionError:
        raise TemplateRuntimeError("the chat template calls itself without end, or is nested too deeply.") from None
    except Exception as error:  # what the operations of a template may raise: TypeError, ZeroDivisionError, ...
        where = _line(error.__traceback__)
        raise TemplateRuntimeError(f"the chat template failed{where}: {type(error).__name__}: {error}") from error
    finally:
        budget.reset(token)


def _line(traceback) -> str:
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename in ("<unknown>", "<template>"):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return "" if line is None else f" in line {line}"


@lru_cache(maxsize=32)
def _compiled(template: str) -> jinja2.Template:
    if len(template) > LONGEST_TEMPLATE:
        raise SecurityError(f"the chat template has {len(template)} characters; at most {LONGEST_TEMPLATE}.")
    environment = _environment()
    try:
        tree = _Metered().visit(environment.parse(template))
        tree.set_environment(environment)
        code = environment.compile(tree)
    except TemplateSyntaxError as error:
        message = f"the chat template is no valid Jinja: {error.message}"
        raise TemplateSyntaxError(message, error.lineno) from None
    except (SyntaxError, ValueError, OverflowError) as error:  # Python's own limits, of nesting or of digits
        raise TemplateSyntaxError(f"the chat template can't be compiled: {error}.", 1) from None
    return environment.template_class.from_code(environment, code, environment.make_globals(None))


# ----- the environment ------------------------------------------------------------------------------------------------


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def call_binop(self, context, operator, left, right):
        costs.pay_operator(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def getitem(self, obj, argument):
        if not isinstance(argument, (str, int)):  # it is hashed, or named in an error
            spend(price(argument))
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj, attr, value) -> bool:
        methods = costs.methods_of(type(obj))
        return super().is_safe_attribute(obj, attr, value) and (methods is None or attr in methods)

    def call(__self, __context, __obj, *args, **kwargs):  # noqa: B902, as the original, for templates that pass self=
        spend(costs.CALL)
        method = getattr(__obj, "__wrapped__", __obj)  # the sandbox wraps str.format
        owner = getattr(method, "__self__", None)
        methods = costs.methods_of(type(owner))
        if methods is None:
            if isinstance(owner, LoopContext):
                costs.pay_deep(*args)  # loop.changed(x) compares x with the last one
            return super().call(__context, __obj, *args, **kwargs)
        if method.__name__ not in methods:
            raise SecurityError(f"a chat template must not call {type(owner).__name__}.{method.__name__}.")
        # Jinja adds these two, and takes them away again before the method is called.
        named = {name: value for name, value in kwargs.items() if name not in ("_loop_vars", "_block_vars")}
        methods[method.__name__](owner, *args, **named)
        return costs.paid_result(super().call(__context, __obj, *args, **kwargs))


class _Generation(Extension):
    """`{% generation %} ... {% endgeneration %}` stands around what the assistant says, and notes where that is."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_note"), [], [], body).set_lineno(line)

    def _note(self, caller):
        text, state = caller(), budget.get()
        state.generated.append((state.written, state.written + len(text)))
        return text


@lru_cache(maxsize=1)
def _environment() -> _Sandbox:
    environment = _Sandbox(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_Generation, loopcontrols],
        optimized=False,  # else constant expressions would be worked out while compiling
        finalize=_printed,
    )
    filters = environment.filters
    environment.filters = {name: _paid(filters[name], pay) for name, pay in costs.FILTERS.items()}
    environment.filters.update(
        {"tojson": _to_json, "(spend)": spend, "(price)": _priced, "(searched)": _searched, "(slice)": _sliced}
    )
    environment.tests = {name: _paid(test, costs.price_of_test(name)) for name, test in environment.tests.items()}
    known = environment.globals
    environment.globals = {
        **{name: known[name] for name in ("cycler", "joiner", "range")},
        "dict": _dict,
        "namespace": SafeNamespace,
        "raise_exception": _raise_exception,
        "strftime_now": _strftime_now,
    }
    return environment


def _paid(function, pay):
    """A filter or test that is paid for first, and whose result is paid for too."""
    passed = 0 if getattr(function, "jinja_pass_arg", None) is None else 1  # Jinja's context comes first, if wanted

    @wraps(function)
    def paid(*args, **kwargs):
        spend(costs.CALL)
        pay(*args[passed:], **kwargs)
        return costs.paid_result(function(*args, **kwargs))

    return paid


@jinja2.pass_context  # which also keeps Jinja from calling it while compiling
def _printed(context, value):
    """What `{{ value }}` writes."""
    if not isinstance(value, str):
        spend(price(value))
        value = str(value)
    spend(costs.of_text(len(value)))
    return value


def _to_json(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False) -> str:
    """Jinja's own would escape <, > and & for HTML."""
    spend(price(x))
    encoder = json.JSONEncoder(ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    if isinstance(indent, int):
        spend(costs.of_text(indent))
    pieces = []
    for piece in encoder.iterencode(x):
        spend(costs.of_text(len(piece)))
        pieces.append(piece)
    return "".join(pieces)


def _raise_exception(message):
    spend(price(message))
    raise TemplateError(str(message))


def _strftime_now(format):
    spend(costs.of_text(256 * len(format)))  # Python gives up on results that are longer than 256 times the pattern
    return datetime.now().strftime(format)


def _dict(*args, **kwargs):
    costs.pay_deep(*args, **kwargs)  # its keys are hashed
    return dict(*args, **kwargs)


# ----- what has no hook: loops, comparisons, slices -------------------------------------------------------------------


class _Metered(NodeTransformer):
    """Puts payments into a parsed template, where Jinja would run Python's own operations unasked.

    A body that may run many times begins with the payment for its statements and its text.
    """

    def _body(self, node):
        steps = 1 + sum(map(_steps, node.body))
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_filter("(spend)", nodes.Const(steps), node), lineno=node.lineno))
        return node

    visit_Macro = visit_CallBlock = visit_Block = _body

    def visit_For(self, node):
        self._body(node)
        if node.test is not None:  # `for x in y if test` runs its test also where its body doesn't run
            node.test = nodes.And(_filter("(spend)", nodes.Const(1), node), node.test, lineno=node.lineno)
        return node

    def visit_Compare(self, node):
        self.generic_visit(node)
        left = node.expr
        for operand in node.ops:
            right = operand.expr
            if operand.op in ("in", "notin"):
                operand.expr = right if _is_literal(right) else _filter("(searched)", right, node)
            elif not _is_literal(left) and not _is_literal(right):
                operand.expr = _filter("(price)", right, node)
            left = right
        if len(node.ops) > 1 or not (_is_literal(node.expr) or _is_literal(node.ops[0].expr)):
            node.expr = _filter("(price)", node.expr, node)
        return node

    def visit_Concat(self, node):
        self.generic_visit(node)
        node.nodes = [child if _is_literal(child) else _filter("(price)", child, node) for child in node.nodes]
        return node

    def visit_Pair(self, node):
        self.generic_visit(node)
        if not _is_literal(node.key):
            node.key = _filter("(price)", node.key, node)
        return node

    def visit_Getitem(self, node):
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        bounds = [part or nodes.Const(None) for part in (node.arg.start, node.arg.stop, node.arg.step)]
        return _filter("(slice)", node.node, node, bounds)


def _filter(name: str, value: nodes.Expr, where: nodes.Node, arguments=()) -> nodes.Filter:
    """The node for {{ value|name(arguments) }}; these names can't be written in a template."""
    return nodes.Filter(value, name, list(arguments), [], None, None, lineno=where.lineno)


def _steps(node: nodes.Node) -> int:
    """The size of a part of a template, without the bodies inside it that pay for themselves."""
    own = costs.of_text(len(node.data)) if isinstance(node, nodes.TemplateData) else 1
    paid = node.body if isinstance(node, (nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block)) else ()
    return own + sum(_steps(child) for child in node.iter_child_nodes() if not any(child is part for part in paid))


def _is_literal(node: nodes.Node) -> bool:
    """Written out in the template: comparing with it takes no longer than it is."""
    if isinstance(node, (nodes.List, nodes.Tuple)):
        return all(map(_is_literal, node.items))
    return isinstance(node, nodes.Const)


def _priced(value):
    spend(price(value))
    return value


def _searched(value):
    """The right side of `in`."""
    spend(1 if isinstance(value, dict) else price(value))
    return value


def _sliced(value, start, stop, step):
    costs.pay_slice(value, start, stop, step)
    return value[start:stop:step]

"""Templates from somebody who means harm: each ends soon, with an error that says why, and without the memory."""

import threading
import tracemalloc

import pytest
from jinja2.exceptions import SecurityError, TemplateError, TemplateRuntimeError, TemplateSyntaxError

from edutransformers.tokenizers import chat_costs
from edutransformers.tokenizers.chat_sandbox import render

MESSAGES = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]
BIG = 1_000_000_000


def doubled(start, step, end, times=30):
    return f"{{% set x = {start} %}}" + f"{{% set x = {step} %}}" * times + end


STOPPED = {
    "a loop in a loop": "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "a loop that skips": "{% for a in range(100000) %}{% for b in range(100000) if false %}{% endfor %}{% endfor %}",
    "a long body": "{% for a in range(100000) %}" + "{% set b = 1 %}" * 500 + "{% endfor %}",
    "a long text": "{% for a in range(100000) %}" + "abcdefgh" * 10_000 + "{% endfor %}",
    "a long text in a filter": "{% filter upper %}{% for a in range(100000) %}"
    + "abc" * 30_000
    + "{% endfor %}{% endfilter %}",
    "an endless recursive loop": "{% for x in [1, 2] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    "macros that double": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "a macro without end": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a block without end": "{% block a %}{{ self.a() }}{% endblock %}",
    "a call block without end": "{% macro f() %}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}",
    "a macro's text": "{% macro f() %}{{ 'x' * 99999 }}{% endmacro %}{% for i in range(100000) %}{{ f() }}{% endfor %}",
    "doubling a text with ~": doubled("'a'", "x ~ x", ""),
    "doubling a text with +": doubled("'a'", "x + x", ""),
    "doubling a text with join": doubled("'a'", "[x, x]|join", ""),
    "doubling a text with %": doubled("'a'", "'%s%s' % (x, x)", ""),
    "doubling a text with format": doubled("'a'", "'{0}{0}'.format(x)", ""),
    "doubling a text with a block": "{% set x = 'a' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 30,
    "doubling a list": doubled("[1]", "x + x", ""),
    "a doubled list, printed": doubled("[1]", "[x, x]", "{{ x }}"),
    "a doubled list as JSON": doubled("[1]", "[x, x]", "{{ x|tojson }}"),
    "a doubled list, compared": doubled(
        "[1]", "[x, x]", "{% set y = x %}{{ [x] == [[x, 1]] or x == [[y, y], 1] or x in y }}"
    ),
    "a doubled list, sorted": doubled("[1]", "[x, x]", "{{ [x, x]|sort }}"),
    "a doubled list in a text": doubled("[1]", "[x, x]", "{{ 'a' ~ x }}"),
    "a doubled list, formatted": doubled("[1]", "[x, x]", "{{ '%s' % [x] }}"),
    "a doubled tuple as a key": doubled("(1,)", "(x, x)", "{{ {x: 1} }}"),
    "a doubled tuple, looked up": doubled("(1,)", "(x, x)", "{{ messages[0][x] }}"),
    "a doubled tuple, got": doubled("(1,)", "(x, x)", "{{ messages[0].get(x) }}"),
    "a doubled tuple in dict()": doubled("(1,)", "(x, x)", "{{ dict([(x, 1)]) }}"),
    "a doubled tuple, searched": doubled("(1,)", "(x, x)", "{{ x in messages[0] }}"),
    "a doubled tuple in a test": doubled("(1,)", "(x, x)", "{{ x is eq(((x,),)) }}"),
    "a doubled tuple in a filter's words": doubled("(1,)", "(x, x)", "{{ [x]|map('format')|list }}"),
    "a doubled tuple as safe": doubled("(1,)", "(x, x)", "{{ x|safe }}"),
    "a doubled tuple between others": doubled("(1,)", "(x, x)", "{{ 'ab'|join(x) }}"),
    "a doubled tuple as a test's name": doubled("(1,)", "(x, x)", "{{ 'a'|reject(x)|list }}"),
    "a doubled tuple as a method of rounding": doubled("(1,)", "(x, x)", "{{ 1.5|round(0, x) }}"),
    "a doubled tuple, asked whether it is a filter": doubled("(1,)", "(x, x)", "{{ x is filter }}"),
    "a doubled tuple as an attribute": doubled("(1,)", "(x, x)", "{{ 'a'|attr(x) }}"),
    "a doubled tuple as a name": doubled("(1,)", "(x, x)", "{{ namespace([(x, 1)]) }}"),
    "a doubled list as an index": doubled("[1]", "[x, x]", "{{ messages[x].a }}"),
    "a doubled list as an error": doubled("[1]", "[x, x]", "{{ raise_exception(x) }}"),
    "doubled namespaces": doubled("namespace(a=1)", "namespace(a=x, b=x)", "{{ x }}"),
    "a namespace in itself": "{% set x = namespace() %}{% set x.a = x %}{{ x }}",
    "two doubled lists, compared": doubled(
        "[1]", "[x, x]", doubled("[1]", "[y, y]", "{{ x == y }}").replace("set x", "set y")
    ),
    "changed lists": doubled("[1]", "[x, x]", "{% for i in [1, 2] %}{{ loop.changed([x, i]) }}{% endfor %}"),
    "a text many times": f"{{{{ 'a' * {BIG} }}}}",
    "a text many times, from the left": f"{{{{ {BIG} * 'a' }}}}",
    "a list many times": f"{{{{ [1] * {BIG} }}}}",
    "a tuple many times": f"{{{{ (1, 2) * {BIG} }}}}",
    "a power": f"{{{{ 10 ** {BIG} }}}}",
    "powers of powers": doubled("3", "x * x", ""),
    "a number to a power": doubled("3", "x ** 9", ""),
    "a range": f"{{{{ range({BIG})|list }}}}",
    "center": f"{{{{ 'a'.center({BIG}) }}}}",
    "center as a filter": f"{{{{ 'a'|center({BIG}) }}}}",
    "center while compiling": f"{{% autoescape 'a'|center({BIG}) %}}{{% endautoescape %}}",
    "ljust": f"{{{{ 'a'.ljust({BIG}) }}}}",
    "rjust": f"{{{{ 'a'.rjust({BIG}, 'x') }}}}",
    "zfill": f"{{{{ 'a'.zfill({BIG}) }}}}",
    "expandtabs": f"{{{{ '\t'.expandtabs({BIG}) }}}}",
    "a method through map": f"{{{{ ['a']|map('center', {BIG})|list }}}}",
    "a method by its name": f"{{{{ ('a'|attr('center'))({BIG}) }}}}",
    "a method by subscript": f"{{{{ 'a'['center']({BIG}) }}}}",
    "format": f"{{{{ '{{:{BIG}}}'.format(1) }}}}",
    "format's precision": f"{{{{ '{{:.{BIG}f}}'.format(1.5) }}}}",
    "a width inside a width": f"{{{{ '{{:{{}}}}'.format(1, {BIG}) }}}}",
    "format_map": f"{{{{ '{{a:{BIG}}}'.format_map({{'a': 1}}) }}}}",
    "percent": f"{{{{ '%{BIG}d' % 1 }}}}",
    "percent's precision": f"{{{{ '%.{BIG}f' % 1.5 }}}}",
    "percent with a star": f"{{{{ '%*d' % ({BIG}, 1) }}}}",
    "percent with a flag and a star": f"{{{{ '%-*d' % ({BIG}, 1) }}}}",
    "percent as a filter": f"{{{{ '%{BIG}d'|format(1) }}}}",
    "percent as a test": f"{{{{ '%{BIG}d' is odd }}}}",
    "percent as another test": f"{{{{ '%{BIG}d' is divisibleby(1) }}}}",
    "round up": f"{{{{ 1.5|round({BIG}, 'ceil') }}}}",
    "round to tens": f"{{{{ 12|round(-{BIG}) }}}}",
    "round a text": "{{ 'a'|round(9, 'ceil') }}",
    "slice": f"{{{{ [1]|slice({BIG})|list }}}}",
    "batch": f"{{{{ [1]|batch({BIG}, 'x')|list }}}}",
    "indent": f"{{{{ 'a'|indent({BIG}, true) }}}}",
    "many lines, indented": "{{ ('a\n' * 9999)|indent(999999) }}",
    "JSON, indented": f"{{{{ [1]|tojson(indent={BIG}) }}}}",
    "JSON, indented a little": "{{ range(9999)|list|tojson(indent=99999) }}",
    "JSON with long separators": "{{ range(9999)|list|tojson(separators=('a' * 99999, ':')) }}",
    "replace": "{{ ('a' * 10000).replace('', 'b' * 100000) }}",
    "replace as a filter": "{{ ('a' * 10000)|replace('', 'b' * 100000) }}",
    "join": "{{ ('b' * 100000).join('a' * 100000) }}",
    "join as a filter": "{{ range(100000)|join('b' * 100000) }}",
    "joining one text many times": "{% set x = ['a' * 99999] * 99999 %}{{ x|join }}",
    "joining what was selected": "{% set x = ['a' * 99999] * 99999 %}{{ x|select|join }}",
    "adding up lists": "{{ ([[1]] * 9999)|sum(start=[]) }}",
    "searching a long text": "{% set x = 'a' * 99999 %}{% for i in range(99999) %}{{ x in x }}{% endfor %}",
    "comparing long texts": "{% set x = 'a' * 99999 %}{% for i in range(99999) %}{{ x == x ~ '' }}{% endfor %}",
    "copying a long text": "{% set x = 'a' * 99999 %}{% for i in range(99999) %}{% set y = x[1:] %}{% endfor %}",
    "splitting a long text": "{{ ('a ' * 999999).split() }}",
    "the lines of a long text": "{{ ('\n' * 9999999).splitlines() }}",
    "the letters of a long text": "{{ ('a' * 9999999)|list }}",
    "a pile of filters": (
        "{% set x = namespace(y=[1]) %}{% for i in range(99999) %}{% set x.y = x.y|map('string') %}{% endfor %}"
    ),
    "a tower of lists": (
        "{% set x = namespace(y=[1]) %}{% for i in range(99999) %}{% set x.y = [x.y] %}{% endfor %}{{ x.y == [x.y] }}"
    ),
    "appending": "{{ messages.append(1) }}",
    "changing a message": "{{ messages[0].update(role='x') }}",
    "lorem ipsum": "{{ lipsum(n=1000000) }}",
    "the class of a text": "{{ ''.__class__.__mro__ }}",
    "the globals of a function": "{{ cycler.__init__.__globals__ }}",
    "the code of a function": "{{ raise_exception.__code__.co_consts }}",
    "the class through format": "{{ '{0.__class__.__mro__}'.format('') }}",
    "the class through map": "{{ ['']|map(attribute='__class__.__mro__')|list|tojson }}",
    "a hidden attribute": "{% set x = namespace(_a=1) %}",
    "a hidden attribute, set": "{% set x = namespace() %}{% set x.__class__ = 1 %}",
    "another file": "{% include 'secret' %}",
    "another file, imported": "{% import 'secret' as s %}",
    "another file, extended": "{% extends 'secret' %}",
    "ifs in ifs": "{% if 1 %}" * 150 + "{% endif %}" * 150,
    "loops in loops": "{% for i in [1] %}" * 30 + "{% endfor %}" * 30,
    "brackets in brackets": "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
    "a sum without end": "{{ 1" + "+1" * 2000 + " }}",
    "a long number": "{{ " + "9" * 90_000 + " }}",
    "a long number, in hexadecimal": "{{ 0x" + "f" * 90_000 + " }}",
    "a number from a long text": "{{ ('f' * 100000)|int(0, 16) }}",
    "an open comment": "{#" * 9_000,
    "an open expression": "{{" * 9_000,
    "too long a template": "a" * 100_001,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", STOPPED)
def test_a_hostile_template_is_stopped(name, monkeypatch):
    """Under a smaller budget, so that the suite is quick; what counts is that nothing is done unpaid."""
    monkeypatch.setattr(chat_costs, "STEPS", 8_000)
    small = len(STOPPED[name]) < 3000  # for the others Jinja's parser needs most, and tracemalloc makes that slow
    if small:
        tracemalloc.start()
    try:
        with pytest.raises(TemplateError) as caught:
            render(STOPPED[name], {"messages": MESSAGES})
        assert not small or tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert 10 < len(message) < 300
    assert "MemoryError" not in message


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["a loop in a loop", "doubling a text with +", "a doubled list as JSON"])
def test_the_whole_budget(name):
    with pytest.raises(SecurityError, match=r"stopped after 500\d{3} steps"):
        render(STOPPED[name], {"messages": MESSAGES[:0]})


def test_a_longer_conversation_has_a_larger_budget():
    text = "word " * 1_000_000
    template = "{% for m in messages %}{{ (m.role + ': ' + m.content)|trim }}{% endfor %}" * 3
    assert len(render(template, {"messages": [{"role": "user", "content": text}]})[0]) == 3 * (5_000_000 + 5)


def test_errors_name_the_line():
    with pytest.raises(TemplateRuntimeError, match="failed in line 3: ZeroDivisionError"):
        render("a\nb\n{{ 1 / 0 }}\n", {})
    with pytest.raises(TemplateSyntaxError, match=r"no valid Jinja: .*'endfor'") as caught:
        render("a\n{% endfor %}", {})
    assert caught.value.lineno == 2
    with pytest.raises(TemplateError, match="^no system messages here$"):
        render("{{ raise_exception('no system messages here') }}", {})


def test_threads_have_budgets_of_their_own(monkeypatch):
    monkeypatch.setattr(chat_costs, "STEPS", 30_000)
    results = {}

    def work(number):
        template = STOPPED["a loop in a loop"] if number % 2 else "{% for i in range(2000) %}{{ n }}{% endfor %}"
        try:
            results[number] = render(template, {"n": number})[0]
        except SecurityError as error:
            results[number] = str(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, result in results.items():
        assert ("stopped" in result) if number % 2 else (result == str(number) * 2000)

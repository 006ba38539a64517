"""Chat templates in the layouts that models use, written for these tests, and conversations to put into them."""

CHATML = """{% for message in messages %}
{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}
{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>' + '\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""

LLAMA_2 = (
    "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}"
    "{% else %}{% set rest = messages %}{% set system = false %}{% endif %}"
    "{% for message in rest %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system != false %}"
    "{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)

LLAMA_3 = """{{- bos_token }}
{%- if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}
{%- if messages[0].role == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = '' %}
{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\n\n' }}
{{- 'Today: ' + date_string + '\n\n' }}
{%- if tools is not none %}
    {%- for tool in tools %}
        {{- tool | tojson(indent=4) }}
        {{- '\n\n' }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- '<|eot_id|>' }}
{%- for message in messages %}
    {%- if 'tool_calls' in message %}
        {%- if not message.tool_calls | length == 1 %}
            {{- raise_exception('This model only supports single tool-calls at once!') }}
        {%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '{"name": "' + call.name + '", "parameters": ' }}
        {{- call.arguments | tojson }}
        {{- '}<|eot_id|>' }}
    {%- elif message.role == 'tool' or message.role == 'ipython' %}
        {{- '<|start_header_id|>ipython<|end_header_id|>\n\n' }}
        {%- if message.content is mapping or message.content is iterable and message.content is not string %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- '<|eot_id|>' }}
    {%- else %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}
        {{- message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""

ZEPHYR = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\n' + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + ' ' }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)

BLENDERBOT = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ ' ' }}{% endif %}{{ message['content'] }}"
    "{% if not loop.last %}{{ '  ' }}{% endif %}{% endfor %}{{ eos_token }}"
)

CONCATENATED = "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"

# As the thinking models do it: a namespace, the messages backwards, macros, reasoning cut out of earlier answers.
THINKING = """{%- macro part(content) %}
    {%- if content is string %}{{- content }}{% else %}
        {%- for item in content if item.type == 'text' %}{{- item.text }}{% endfor %}
    {%- endif %}
{%- endmacro %}
{%- set ns = namespace(last_query=messages|length - 1, searching=true) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and not (part(message.content).startswith('<tool>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last_query = index %}
    {%- endif %}
{%- endfor %}
{%- if tools %}
    {{- '# Tools\n<tools>' }}
    {%- for tool in tools %}{{ "\n" }}{{ tool | tojson }}{% endfor %}
    {{- '\n</tools>\n' }}
{%- endif %}
{%- for document in documents or [] %}
    {{- '[' ~ loop.index ~ '] ' ~ document['title'] ~ ': ' ~ document.text ~ '\n' }}
{%- endfor %}
{%- for message in messages %}
    {%- set content = part(message.content) %}
    {%- if message.role == "assistant" %}
        {%- set reasoning = message.reasoning_content if message.reasoning_content is string else '' %}
        {%- if not reasoning and '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\n' }}
        {%- if loop.index0 > ns.last_query %}{{- '<think>\n' + reasoning.strip('\n') + '\n</think>\n\n' }}{% endif %}
        {%- generation %}{{- content }}<|im_end|>{%- endgeneration %}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' }}
    {%- endif %}
    {{- '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{% endif %}
{%- endif %}"""

# Whatever else templates were seen to use.
ODDS = """\
{%- for message in messages recursive %}{{ loop.depth }}{{ loop.index }}/
{{ loop.length }}{{ loop.cycle('a', 'b') }}
{%- if loop.previtem is defined %}p{{ loop.previtem.role[0] }}{% endif %}
{%- if loop.nextitem is defined %}n{{ loop.nextitem.role|upper }}{% endif %}
{% if loop.changed(message.role) %}c{% endif %}
{%- if message.parts is defined %}{{ loop(message.parts) }}{% endif %}{% endfor %}
{% for name, value in {'b': 1, 'a': [1.5, none, true]}|dictsort %}{{ name }}={{ value }};{% endfor %}
{% for key, value in messages[0].items() %}{% if key == 'role' %}{% continue %}{% endif %}{{ key }}{% break %}
{% endfor %}
{% set block %}  <{{ messages|map(attribute='role')|unique|join(', ') }}>  {% endset %}{{ block|trim }}
{% filter upper %}filtered {{ 'a<b'|replace('<', ' & ') }}{% endfilter %}
{{ messages|selectattr('role', 'equalto', 'user')|list|length }}
{{ messages|rejectattr('role', 'in', ['tool'])|first|tojson }}
{{ '%s is %d' % ('x', 3) }} {{ '{} and {a:>4}'.format(1, a='b') }} {{ '%05.1f'|format(2.25) }}
{{ [1, 2, 3]|sum }} {{ (1, 2)[0] + 2 ** 3 // 3 % 5 }} {{ 'ab' * 2 }} {{ 7 / 2 }} {{ 1 < 2 < 3 }}
{{ 3 in [1, 2] }} {{ -1 }}
{{ 'a,b,,c'.split(',') }} {{ ['x', 'y']|join('-') }} {{ 'text'|indent(2, true) }} {{ 'mid'|center(9) }}|
{{ {'é<&>': ['"', 1.0, {'k': none}]}|tojson }} {{ [{'a': 1}]|tojson(indent=2, sort_keys=true) }}
{{ 'abc'[::-1] }} {{ 'abc'[1:] }} {{ [1, 2, 3][-2:] }} {{ messages[-1]['content']|default('none')|string|length }}
{{ undefined_thing }}{{ undefined_thing|default('d') }} {{ 'x' if add_generation_prompt else 'y' }} {{ none }}
{{ [] or 'e' }}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}
{% macro twice(x, y='!') %}{{ x }}{{ x }}{{ y }}{{ varargs }}{% endmacro %}
{{ twice('m') }}{{ twice('m', 'n', 'o') }}
{%- macro around() %}[{{ caller(1) }}]{% endmacro %}{% call(number) around() %}called {{ number }}{% endcall %}
{% set ns = namespace(found=false, items=[]) %}{% for i in range(3) %}{% set ns.items = ns.items + [i] %}
{% endfor %}{{ ns.items }}
{{ ns.items|batch(2)|list }} {{ ns.items|slice(2)|map('list')|list }} {{ ns.items|reverse|list }}
{{ 'role' in messages[0] }}
{% raw %}{{ raw }}{% endraw %}{# a comment #} {{ 'A B'|lower|title|capitalize }} {{ 3.7|round|int }}
{{ "5"|int + 1 }} {{ 2 is even }}
{{ messages|map(attribute='role')|map('upper')|join(' ') }} {{ messages|groupby('role')|map('first')|join(',') }}
{{ dict(a=1).a }}
{{ 'Hi'|safe }} {{ '<b>'|e }} {{ 'long text here'|truncate(8) }} {{ [3, 1, 2]|sort|last }} {{ [3, 1]|min }}
{{ 'a b'|urlencode }}
{{ 'l1\nl2'.splitlines() }} {{ 'pre-x'.removeprefix('pre-') }} {{ 'x'.zfill(3) }}
{{ 'abcabc'.replace('b', 'BB', 1) }} {{ ' '.join(['p', 'q']) }}
"""

TEMPLATES = {
    "chatml": CHATML,
    "llama 2": LLAMA_2,
    "llama 3": LLAMA_3,
    "zephyr": ZEPHYR,
    "mistral": MISTRAL,
    "blenderbot": BLENDERBOT,
    "concatenated": CONCATENATED,
    "thinking": THINKING,
    "odds": ODDS,
}


def message(role, content, **more):
    return {"role": role, "content": content, **more}


CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Köln", "days": [1, 2]}}}
CONVERSATIONS = {
    "one": [message("user", "Hi there!")],
    "turns": [message("user", " Hi "), message("assistant", "Hello.\n"), message("user", "Ça va ? 你好 👍🏽")],
    "system": [message("system", "Be brief."), message("user", "2 + 2?"), message("assistant", "4")],
    "two users": [message("user", "a"), message("user", "b")],
    "only assistant": [message("assistant", "Begun by me")],
    "tools": [
        message("user", "Weather?"),
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        message("tool", "12 °C"),
    ],
    "thoughts": [
        message("user", "Why?"),
        message("assistant", "<think>\nhm\n</think>\n\nBecause."),
        message("user", "And?"),
        message("assistant", "So.", reasoning="I think"),
    ],
    "parts": [
        message("user", [{"type": "text", "text": "Look: "}, {"type": "image"}, {"type": "text", "text": "a dog"}])
    ],
    "special": [message("user", "</s> {{ 1 }} {% if %} <|im_end|>"), message("assistant", "ok")],
    "empty": [message("user", ""), message("assistant", "")],
}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"city": {"type": "string"}}}}]
DOCUMENTS = [{"title": "Tea", "text": "Hot."}, {"title": "Ice", "text": "Cold."}]

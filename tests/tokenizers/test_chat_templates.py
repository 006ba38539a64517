"""Conversations to text and ids: the layouts of real models, the call's arguments, files, and bad conversations."""

import builtins
import json
from types import SimpleNamespace

import jinja2
import numpy as np
import pytest
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from edutransformers.tokenizers import BertTokenizer

from .chat_examples import BLENDERBOT, CHATML, CONVERSATIONS, DOCUMENTS, LLAMA_2, MISTRAL, TEMPLATES, THINKING, TOOLS
from .conftest import TOKENS

HI = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "the dogs"}]
SHORT = "{% for m in messages %}{{ m.content }}{{ sep_token }}{% endfor %}{% if add_generation_prompt %}a{% endif %}"
MARKED = "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}"
MARKED += "{% else %}{{ m.content }}{% endif %} , {% endfor %}"


@pytest.fixture
def tokenizer():
    return BertTokenizer(vocab=TOKENS, bos_token="<s>", eos_token="</s>", chat_template=SHORT)


# ----- texts ----------------------------------------------------------------------------------------------------------


def test_texts_of_known_layouts(tokenizer):
    def text(template, name, **options):
        return tokenizer.apply_chat_template(CONVERSATIONS[name], chat_template=template, tokenize=False, **options)

    assert text(CHATML, "turns", add_generation_prompt=True) == (
        "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello.<|im_end|>\n"
        "<|im_start|>user\nÇa va ? 你好 👍🏽<|im_end|>\n<|im_start|>assistant\n"
    )
    assert text(LLAMA_2, "system") == "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n2 + 2? [/INST] 4 </s>"
    assert text(MISTRAL, "turns") == "<s>[INST]  Hi  [/INST]Hello.\n</s> [INST] Ça va ? 你好 👍🏽 [/INST]"
    assert text(BLENDERBOT, "turns") == "  Hi   Hello.\n   Ça va ? 你好 👍🏽</s>"
    assert text(THINKING, "thoughts", documents=DOCUMENTS, enable_thinking=False, add_generation_prompt=True) == (
        "[1] Tea: Hot.\n[2] Ice: Cold.\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\nBecause.<|im_end|>\n"
        "<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\n<think>\nI think\n</think>\n\nSo.<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    assert text(THINKING, "one", tools=TOOLS).startswith('# Tools\n<tools>\n{"type": "function", "function": {"name"')
    with pytest.raises(jinja2.TemplateError, match="^roles must alternate$"):
        text(MISTRAL, "two users")


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_budget_changes_nothing(tokenizer, template):
    """The same text as a plain sandbox's, with Jinja's own loops, comparisons, slices, filters and operators."""

    def refuse(message):
        raise jinja2.TemplateError(message)

    plain = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    plain.filters["tojson"] = lambda x, indent=None, sort_keys=False: json.dumps(
        x, ensure_ascii=False, indent=indent, sort_keys=sort_keys
    )
    plain.globals["raise_exception"] = refuse
    source = TEMPLATES[template].replace("{%- generation %}", "").replace("{%- endgeneration %}", "{{- '' }}")
    compared = 0
    for conversation in CONVERSATIONS.values():
        messages = [{key: value for key, value in message.items() if value is not None} for message in conversation]
        if any("reasoning" in message for message in messages):
            continue  # the tokenizer gives it its other names
        given = {"tools": TOOLS, "documents": None, "add_generation_prompt": True, **tokenizer.special_tokens_map}
        try:
            expected = plain.from_string(source).render(messages=messages, **given)
        except (jinja2.TemplateError, TypeError):
            with pytest.raises(jinja2.TemplateError):
                tokenizer.apply_chat_template(messages, chat_template=source, tokenize=False)
            continue
        text = tokenizer.apply_chat_template(
            messages, chat_template=source, tokenize=False, tools=TOOLS, add_generation_prompt=True
        )
        assert text == expected
        compared += 1
    assert compared >= 4


def test_what_templates_may_call(tokenizer):
    def text(template):
        return tokenizer.apply_chat_template(HI, chat_template=template, tokenize=False)

    assert text("{{ strftime_now('%Y')|int > 2000 }}") == "True"
    assert text("{{ [1, 'é<', none]|tojson }}") == '[1, "é<", null]'
    assert text("{% for i in range(9) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}") == "012"
    assert text("{{ bos_token }}{{ eos_token }}{{ sep_token }}{{ cls_token }}") == "<s></s>[SEP][CLS]"
    assert text("a\n  {% if true %}\nb\n  {% endif %}\nc") == "a\nb\nc"  # trim_blocks and lstrip_blocks
    assert (
        tokenizer.apply_chat_template(HI, chat_template="{{ sep_token }}{{ x }}", tokenize=False, sep_token="!", x=1)
        == "!1"
    )


# ----- the call -------------------------------------------------------------------------------------------------------


def test_ids(tokenizer):
    assert tokenizer.apply_chat_template(HI) == [11, 3, 5, 6, 7, 3]
    assert tokenizer.apply_chat_template(HI, add_generation_prompt=True)[-1] == tokenizer.convert_tokens_to_ids("a")
    encoded = tokenizer.apply_chat_template([HI, HI[:1]], padding=True, return_tensors="np", return_dict=True)
    assert encoded["input_ids"].shape == encoded["attention_mask"].shape == (2, 6)
    assert encoded["attention_mask"].sum(axis=1).tolist() == [6, 2]
    assert len(tokenizer.apply_chat_template(HI, truncation=True, max_length=3)) == 3
    array = tokenizer.apply_chat_template(HI, return_tensors="np")
    assert isinstance(array, np.ndarray)
    assert array.shape == (1, 6)
    options = {"return_offsets_mapping": True}
    assert "offset_mapping" in tokenizer.apply_chat_template(HI, return_dict=True, tokenizer_kwargs=options)
    assert tokenizer.apply_chat_template([HI, HI], tokenize=False) == ["hello[SEP]the dogs[SEP]"] * 2
    assert tokenizer.apply_chat_template(SimpleNamespace(messages=HI)) == tokenizer.apply_chat_template(HI)


def test_the_assistants_tokens(tokenizer):
    tokenizer.chat_template = MARKED
    encoded = tokenizer.apply_chat_template(HI, return_dict=True, return_assistant_tokens_mask=True)
    assert encoded.tokens() == ["hello", ",", "the", "dog", "##s", ","]
    assert encoded["assistant_masks"] == [0, 0, 1, 1, 1, 0]
    batch = tokenizer.apply_chat_template(
        [HI[:1], HI + HI], return_dict=True, return_assistant_tokens_mask=True, padding=True, return_tensors="np"
    )
    assert batch["assistant_masks"].tolist() == [[0] * 12, [0, 0, 1, 1, 1, 0] * 2]
    one = tokenizer.apply_chat_template(
        HI, return_dict=True, return_assistant_tokens_mask=True, return_tensors="np", truncation=True, max_length=4
    )
    assert one["assistant_masks"].tolist() == [[0, 0, 1, 1]]
    for options in ({"return_dict": False}, {"return_dict": True, "tokenize": False}):
        with pytest.raises(ValueError, match="needs tokenize=True and return_dict=True"):
            tokenizer.apply_chat_template(HI, return_assistant_tokens_mask=True, **options)


def test_going_on_with_the_last_message(tokenizer):
    def text(template, messages=HI, go_on=True, **options):
        return tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, continue_final_message=go_on, **options
        )

    assert text(SHORT) == "hello[SEP]the dogs"
    assert text(CHATML).endswith("<|im_start|>assistant\nthe dogs")
    trailing = [*HI[:1], {"role": "assistant", "content": "the dogs  "}]
    assert text(SHORT, trailing) == "hello[SEP]the dogs  "
    assert text(CHATML, trailing).endswith("\nthe dogs")  # that template trims
    parts = [{"role": "assistant", "content": [{"type": "text", "text": "the"}, {"type": "image"}]}]
    assert text("{{ messages[0].content[0].text }}.", parts) == "the"
    thoughts = [{"role": "assistant", "content": "b", "thinking": "a dog"}]
    assert text("{{ messages[0].reasoning_content }}|{{ messages[0].content }}", thoughts, "thinking") == "a dog"
    with pytest.raises(ValueError, match="use one of them"):
        text(SHORT, add_generation_prompt=True)
    with pytest.raises(ValueError, match="no place to go on from"):
        text("nothing")
    with pytest.raises(ValueError, match="the last message has no 'thinking'"):
        text(SHORT, go_on="thinking")
    with pytest.raises(ValueError, match="no text to go on with"):
        text(SHORT, [{"role": "user", "content": [{"type": "image"}]}])


def test_messages_are_not_changed(tokenizer):
    messages = [{"role": "user", "content": None, "tool_calls": [{"a": (1, np.int64(2))}], "reasoning": "r"}]
    before = repr(messages)
    text = tokenizer.apply_chat_template(messages, chat_template="{{ messages[0]|tojson }}", tokenize=False)
    assert json.loads(text) == {
        "role": "user", "tool_calls": [{"a": [1, 2]}], "reasoning": "r", "thinking": "r", "reasoning_content": "r"
    }  # fmt: skip
    assert repr(messages) == before
    image = [{"role": "user", "content": [{"type": "image", "image": object()}]}]
    assert "&lt;object" not in tokenizer.apply_chat_template(image, chat_template="{{ messages }}", tokenize=False)
    assert "'<object>'" in tokenizer.apply_chat_template(image, chat_template="{{ messages }}", tokenize=False)


# ----- which template -------------------------------------------------------------------------------------------------


def test_several_templates():
    tokenizer = BertTokenizer(
        vocab=TOKENS, chat_template=[{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]
    )
    assert tokenizer.chat_template == {"default": "d", "tool_use": "t"}
    assert tokenizer.get_chat_template() == "d"
    assert tokenizer.get_chat_template(tools=TOOLS) == "t"
    assert tokenizer.get_chat_template("tool_use") == "t"
    assert tokenizer.get_chat_template("{{ 1 }}") == "{{ 1 }}"
    del tokenizer.chat_template["default"]
    with pytest.raises(ValueError, match=r"none is named 'default'.*'tool_use'"):
        tokenizer.get_chat_template()
    with pytest.raises(ValueError, match="has no chat template"):
        BertTokenizer(vocab=TOKENS).apply_chat_template(HI)
    with pytest.raises(TypeError, match="must be a str, not int"):
        BertTokenizer(vocab=TOKENS).get_chat_template(3)
    for wrong in (3, [{"name": "a"}], {"a": None}, ["a"]):
        with pytest.raises(ValueError, match="chat template"):
            BertTokenizer(vocab=TOKENS, chat_template=wrong)


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.jinja")}


def test_files(tokenizer, tmp_path):
    text = "{% if true %}\n  é\n{% endif %}"
    tokenizer.chat_template = text
    tokenizer.save_pretrained(tmp_path)
    assert files_of(tmp_path) == {"chat_template.jinja"}
    assert (tmp_path / "chat_template.jinja").read_text(encoding="utf-8") == text
    assert "chat_template" not in json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert BertTokenizer.from_pretrained(tmp_path).chat_template == text

    tokenizer.chat_template = {"default": "d", "rag": "r"}
    paths = tokenizer.save_pretrained(tmp_path)
    assert str(tmp_path / "additional_chat_templates" / "rag.jinja") in paths
    assert files_of(tmp_path) == {"chat_template.jinja", "additional_chat_templates/rag.jinja"}
    assert BertTokenizer.from_pretrained(tmp_path).chat_template == {"default": "d", "rag": "r"}
    assert BertTokenizer.from_pretrained(tmp_path, chat_template="mine").chat_template == "mine"

    tokenizer.chat_template = {"rag": "r"}
    tokenizer.save_pretrained(tmp_path)
    assert BertTokenizer.from_pretrained(tmp_path).chat_template == {"rag": "r"}
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    assert files_of(tmp_path) == set()
    assert BertTokenizer.from_pretrained(tmp_path).chat_template is None
    for name in ("../evil", "a/b", "a\\b", "", ".."):
        tokenizer.chat_template = {name: "x"}
        with pytest.raises(ValueError, match="can't be a file's"):
            tokenizer.save_pretrained(tmp_path)


def test_in_the_config(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    path = tmp_path / "tokenizer_config.json"
    config = json.loads(path.read_text())
    for template, expected in (("c", "c"), ([{"name": "default", "template": "c"}], {"default": "c"})):
        path.write_text(json.dumps({**config, "chat_template": template}))
        assert BertTokenizer.from_pretrained(tmp_path).chat_template == expected
    (tmp_path / "chat_template.jinja").write_bytes(b"the file's")
    assert BertTokenizer.from_pretrained(tmp_path).chat_template == "the file's"
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"chat_template\.jinja is not UTF-8"):
        BertTokenizer.from_pretrained(tmp_path)


# ----- bad conversations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conversation", "says"),
    [
        ("Hi", "must be a list of messages .*, not str"),
        (None, "must be a list of messages .*, not NoneType"),
        ({"role": "user", "content": "Hi"}, "must be a list of messages .*, not dict"),
        ([], "is empty"),
        ([[]], "Conversation 0 must be a list of messages"),
        ([HI, []], "Conversation 1 must be a list of messages"),
        ([HI, HI[0]], "Conversation 1 must be a list of messages"),
        (["Hi"], "message 0 must be a dictionary .*, not str"),
        ([HI[0], 3], "message 1 must be a dictionary .*, not int"),
        ([{"content": "Hi"}], "message 0 needs a \"role\".*it has 'content': str"),
        ([{}], 'message 0 needs a "role".*it has nothing'),
        ([{"role": 3, "content": "Hi"}], "needs a \"role\".*'role': int"),
        ([{"role": "user"}], 'needs a "content"'),
        ([{"role": "user", "content": None}], 'needs a "content"'),
        ([HI, [{"role": "user", "content": 3}]], '"content" of message 0 of conversation 1 must be a str .* it is'),
        ([{"role": "user", "content": ["a"]}], '"content" of message 0 must be a str or a list of dictionaries'),
    ],
)
def test_no_conversation(tokenizer, conversation, says):
    with pytest.raises((TypeError, ValueError), match=says) as caught:
        tokenizer.apply_chat_template(conversation)
    assert "\n" not in str(caught.value)


def test_bad_tools_and_documents(tokenizer):
    with pytest.raises(TypeError, match="tools must be a list of JSON schemas"):
        tokenizer.apply_chat_template(HI, tools=[len])
    with pytest.raises(TypeError, match="documents must be a list of dictionaries"):
        tokenizer.apply_chat_template(HI, documents="a text")


def test_without_jinja2(tokenizer, monkeypatch):
    true_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "jinja2":
            raise ImportError("No module named 'jinja2'")
        return true_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"needs jinja2 3\.1\.6 or newer .*pip install 'edutransformers\[chat\]'"):
        tokenizer.apply_chat_template(HI)
    monkeypatch.undo()
    monkeypatch.setattr(jinja2, "__version__", "3.1.2")
    with pytest.raises(ImportError, match=r"it is 3\.1\.2, whose sandbox has known holes"):
        tokenizer.apply_chat_template(HI)

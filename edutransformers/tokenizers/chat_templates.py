"""Chat templates: from a conversation to the text that a model was trained on, `tokenizer.apply_chat_template(...)`.

A conversation is a list of messages, {"role": "user", "content": "Hi"}. How a model wants to see it differs from model
to model, and so it ships with a template in the language Jinja that writes it down. Templates run in `chat_sandbox.py`.

tokenizer_config.json             "chat_template": the template, or a list of {"name": ..., "template": ...}
chat_template.jinja               the template named "default", as transformers 5 writes it; outranks the config
additional_chat_templates/        a file NAME.jinja for each other
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edutransformers.tokenizers.batch_encoding import BatchEncoding

TEMPLATE_FILE = "chat_template.jinja"
TEMPLATE_FOLDER = "additional_chat_templates"
# Under which names a message's reasoning comes; templates read the first, a few the second.
_REASONING = ("reasoning_content", "thinking", "reasoning")
_MARK = "CONTINUE_FINAL_MESSAGE_TAG "


class ChatTemplateMixin:
    """What a tokenizer can do with conversations. The class that mixes this in is callable and has special tokens."""

    # What classes of transformers 4 use where the files bring no template.
    default_chat_template: str | None = None

    def _set_chat_template(self, template) -> None:
        """Take the constructor's argument: a template, {name: template}, a list of {"name", "template"}, or None."""
        if isinstance(template, (list, tuple)):
            try:
                template = {entry["name"]: entry["template"] for entry in template}
            except (TypeError, KeyError):
                raise ValueError(
                    'A list of chat templates must hold {"name": ..., "template": ...}; this one does not.'
                ) from None
        texts = template.values() if isinstance(template, dict) else [] if template is None else [template]
        for text in texts:
            if not isinstance(text, str):
                raise ValueError(f"A chat template must be a str, not {type(text).__name__} ({str(text)[:40]}).")
        self.chat_template: str | dict[str, str] | None = template

    def apply_chat_template(
        self,
        conversation,
        *,
        tools: list[dict] | None = None,
        documents: list[dict] | None = None,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        tokenize: bool = True,
        padding=False,
        truncation=False,
        max_length: int | None = None,
        return_tensors: str | None = None,
        return_dict: bool = False,
        return_assistant_tokens_mask: bool = False,
        tokenizer_kwargs: dict | None = None,
        **variables,
    ) -> str | list | BatchEncoding:
        """Write one conversation, or each of a list of them, as the model wants to see it.

        conversation                  messages {"role": ..., "content": ...}, oldest first
        tools, documents              what the template may show the model: tools as JSON schemas
        chat_template                 a template, or the name of one of the tokenizer's, in place of its own
        add_generation_prompt         end with what stands before an answer, so that the model begins one
        continue_final_message        end in the middle of the last message, so that the model goes on with it
        tokenize                      False returns the text. True returns ids, or with return_dict a BatchEncoding
        return_assistant_tokens_mask  also `assistant_masks`: 1 for tokens from the template's {% generation %} blocks
        tokenizer_kwargs              further arguments of the call of the tokenizer
        variables                     what else the template may ask for, e.g. enable_thinking=False

        Special tokens are not added: the template writes them itself. Raises ValueError or TypeError for what is no
        conversation, ImportError without jinja2, and jinja2's TemplateError for what the template refuses and for a
        template that is broken or hostile.
        """
        if return_assistant_tokens_mask and not (tokenize and return_dict):
            raise ValueError("return_assistant_tokens_mask=True needs tokenize=True and return_dict=True.")
        if continue_final_message and add_generation_prompt:
            raise ValueError(
                "continue_final_message goes on with the last message and add_generation_prompt begins a new one; "
                "use one of them."
            )
        if continue_final_message and return_assistant_tokens_mask:
            raise ValueError("continue_final_message and return_assistant_tokens_mask can't be combined; use one.")
        template = self.get_chat_template(chat_template, tools)
        conversations, is_batched = _read_conversations(conversation)
        given = {
            **self.special_tokens_map,
            **variables,
            "tools": _read_dictionaries(tools, "tools", "JSON schemas"),
            "documents": _read_dictionaries(documents, "documents", 'dictionaries {"title": ..., "text": ...}'),
            "add_generation_prompt": add_generation_prompt,
        }
        texts, spans = [], []
        for messages in conversations:
            text, generated = _render(template, messages, _plain(given), continue_final_message)
            texts.append(text)
            spans.append(generated)
        if not tokenize:
            return texts if is_batched else texts[0]
        encoded = self(
            texts if is_batched else texts[0],
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            add_special_tokens=False,
            return_tensors=None if return_assistant_tokens_mask else return_tensors,
            **(tokenizer_kwargs or {}),
        )
        if return_assistant_tokens_mask:
            if return_tensors is not None and not is_batched:
                encoded = BatchEncoding({key: [row] for key, row in encoded.items()}, encoded.encodings)
            masks = [_mask(row, generated) for row, generated in zip(encoded.encodings, spans)]
            encoded["assistant_masks"] = masks if is_batched or return_tensors is not None else masks[0]
            encoded.convert_to_tensors(return_tensors)
        return encoded if return_dict else encoded["input_ids"]

    def get_chat_template(self, chat_template: str | None = None, tools: list[dict] | None = None) -> str:
        """The template that `apply_chat_template` uses: of several the one named "tool_use" for tools, else "default".

        `chat_template` is the name of one, or a template itself, which is returned. Raises ValueError if there is none.
        """
        own = self.chat_template
        if isinstance(own, dict):
            if chat_template is not None:
                return own.get(chat_template, chat_template)
            for name in ("tool_use", "default") if tools is not None else ("default",):
                if name in own:
                    return own[name]
            raise ValueError(
                f"This tokenizer has several chat templates and none is named 'default': pass chat_template= with one "
                f"of {', '.join(map(repr, sorted(own)))}."
            )
        template = own or self.default_chat_template if chat_template is None else chat_template
        if template is None:
            raise ValueError(
                "This tokenizer has no chat template: set tokenizer.chat_template, or pass chat_template=. Was its "
                "model trained on conversations?"
            )
        if not isinstance(template, str):
            raise TypeError(f"A chat template must be a str, not {type(template).__name__} ({str(template)[:40]}).")
        return template


def _render(template: str, messages: list[dict], given: dict, go_on: bool | str) -> tuple[str, list]:
    try:
        import jinja2

        if tuple(int(part) for part in jinja2.__version__.split(".")[:3]) < (3, 1, 6):
            raise ImportError(f"it is {jinja2.__version__}, whose sandbox has known holes")
        from edutransformers.tokenizers.chat_sandbox import render
    except ImportError as error:
        raise ImportError(
            f"apply_chat_template needs jinja2 3.1.6 or newer ({error}): pip install 'edutransformers[chat]'."
        ) from error

    if not go_on:
        return render(template, {**given, "messages": messages})
    field = go_on if isinstance(go_on, str) else "content"
    last = messages[-1]
    if last.get(field) is None:
        raise ValueError(f"continue_final_message: the last message has no {field!r} to go on with.")
    end, marked = _with_mark(last[field])
    # A message's reasoning stands there under several names.
    names = [name for name in _REASONING if last.get(name) == last[field]] if field in _REASONING else [field]
    text, spans = render(template, {**given, "messages": [*messages[:-1], {**last, **dict.fromkeys(names, marked)}]})
    place = text.rfind(_MARK.strip())
    if place < 0 or end.strip() not in text:
        raise ValueError(
            f"continue_final_message: the chat template doesn't write the last message's {field!r} as it is, so there "
            "is no place to go on from."
        )
    # A template that trims messages has trimmed the mark: then the message's own end is trimmed too.
    trims = not text.startswith(_MARK, place)
    return text[:place].rstrip() if trims else text[:place], spans


def _with_mark(content) -> tuple[str, object]:
    """(the text that ends a message, the content with a mark behind it)."""
    if isinstance(content, str):
        return content, content + _MARK
    for place in range(len(content) - 1, -1, -1):
        part = content[place]
        if isinstance(part.get("text"), str):
            return part["text"], [*content[:place], {**part, "text": part["text"] + _MARK}, *content[place + 1 :]]
    raise ValueError("continue_final_message: the last message has no text to go on with.")


def _mask(row, generated: list[tuple[int, int]]) -> list[int]:
    """1 for the tokens of a row that hold a character of one of the spans."""
    mask = []
    for (first, behind), sequence in zip(row.offsets, row.sequence_ids):
        inside = sequence is not None and any(first < stop and start < behind for start, stop in generated)
        mask.append(int(inside))
    return mask


# ----- conversations --------------------------------------------------------------------------------------------------


def _read_conversations(conversation) -> tuple[list[list[dict]], bool]:
    """(conversations as plain lists of dictionaries, whether there were several). Raises for anything else."""
    conversation = getattr(conversation, "messages", conversation)
    if not isinstance(conversation, (list, tuple)):
        raise TypeError(
            'A conversation must be a list of messages {"role": ..., "content": ...}, not '
            f"{type(conversation).__name__} ({str(conversation)[:40]})."
        )
    if not conversation:
        raise ValueError("The conversation is empty: it needs at least one message.")
    is_batched = isinstance(conversation[0], (list, tuple)) or hasattr(conversation[0], "messages")
    if not is_batched:
        return [_read_messages(conversation, "")], False
    found = []
    for number, messages in enumerate(conversation):
        messages = getattr(messages, "messages", messages)
        if not isinstance(messages, (list, tuple)) or not messages:
            raise ValueError(f"Conversation {number} must be a list of messages, not {str(messages)[:40]!r}.")
        found.append(_read_messages(messages, f" of conversation {number}"))
    return found, True


def _read_messages(messages, where: str) -> list[dict]:
    return [_read_message(message, f"message {number}{where}") for number, message in enumerate(messages)]


def _read_message(message, name: str) -> dict:
    if not isinstance(message, Mapping):
        raise TypeError(f'{name} must be a dictionary {{"role": ..., "content": ...}}, not {type(message).__name__}.')
    if not isinstance(message.get("role"), str):
        raise ValueError(f'{name} needs a "role" that is a str, such as "user"; it has {_kinds(message)}.')
    # Some programs write None where they mean nothing; templates ask whether a key is there.
    message = {key: _plain(value) for key, value in message.items() if value is not None}
    content = message.get("content")
    if content is None and len(message) == 1:
        raise ValueError(f'{name} has a "role" and nothing else; it needs a "content".')
    parts = content if isinstance(content, (list, tuple)) else []
    if not isinstance(content, (str, list, tuple, type(None))) or not all(isinstance(part, dict) for part in parts):
        raise TypeError(
            f'The "content" of {name} must be a str or a list of dictionaries; it is {str(content)[:40]!r}.'
        )
    reasoning = next((message[key] for key in _REASONING if key in message), None)
    if reasoning is not None:
        message = {"thinking": reasoning, **message, "reasoning_content": reasoning}
    return message


def _kinds(message: Mapping) -> str:
    return ", ".join(f"{key!r}: {type(value).__name__}" for key, value in message.items()) or "nothing"


def _read_dictionaries(values, name: str, what: str) -> list | None:
    if values is None:
        return None
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, Mapping) for value in values):
        raise TypeError(f"{name} must be a list of {what}; got {str(values)[:60]}.")
    return list(values)


def _plain(value):
    """A copy made of str, int, float, bool, None, list and dict alone: what a template gets has no other methods.

    Anything else (an image in a message) becomes "<its type>", as in the original: templates only ask whether it is
    there.
    """
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    for kind in (str, int, float):  # without what a subclass adds
        if isinstance(value, kind):
            return kind.__new__(kind, kind.__str__(value) if kind is str else value)
    return f"<{type(value).__name__}>"


# ----- files ----------------------------------------------------------------------------------------------------------


def read_templates(find) -> str | dict[str, str] | None:
    """The templates in files of their own; None if there are none. `find(filename)` gives a file's path, or None."""
    templates = {}
    default = find(TEMPLATE_FILE)
    if default is not None:
        templates["default"] = _read_text(default)
    # What the folder holds can only be seen where the checkpoint is a folder; a file that is always there leads to it.
    beside = default or find("tokenizer_config.json")
    if beside is not None:
        for path in sorted(Path(beside).parent.glob(f"{TEMPLATE_FOLDER}/*.jinja")):
            templates[path.stem] = _read_text(path)
    return templates["default"] if list(templates) == ["default"] else templates or None


def template_files(chat_template: str | dict[str, str] | None) -> dict[str, str]:
    """{file name: content} for save_pretrained. Raises ValueError for a name that is no file name."""
    if chat_template is None:
        return {}
    templates = {"default": chat_template} if isinstance(chat_template, str) else chat_template
    for name in templates:
        if not name or name != Path(name).name or "\\" in name or name in (".", ".."):
            raise ValueError(f"The chat template's name {name!r} can't be a file's; use letters and digits.")
    return {
        TEMPLATE_FILE if name == "default" else f"{TEMPLATE_FOLDER}/{name}.jinja": text
        for name, text in templates.items()
    }


def _read_text(path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}).") from None

"""Reading a tokenizer from a folder and writing it into one.

tokenizer.json            all stages; what a folder written by transformers 5 has besides the config
vocab.txt, …              the older forms, without the stages: each class has its own
tokenizer_config.json     the constructor's keyword arguments
special_tokens_map.json   the special tokens by name (transformers 4)
added_tokens.json         {token: id} of what was added (transformers 4)
chat_template.jinja       see `chat_templates.py`
"""

import json
import os
from pathlib import Path

from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.chat_templates import TEMPLATE_FILE, TEMPLATE_FOLDER, read_templates, template_files
from edutransformers.tokenizers.special_tokens import SPECIAL_TOKEN_NAMES
from edutransformers.tokenizers.strategies import VERY_LARGE_INTEGER
from edutransformers.tokenizers.tokenizer_json import engine_to_json

HUB_ARGUMENTS = (
    "_commit_hash",
    "cache_dir",
    "force_download",
    "local_files_only",
    "mirror",
    "proxies",
    "resume_download",
    "revision",
    "subfolder",
    "token",
    "use_auth_token",
)
# Keys of tokenizer_config.json that tell where it was loaded from or how it was called once; they are no settings.
_NOT_SETTINGS = {
    "auto_map",
    "backend",
    "is_local",
    "local_files_only",
    "max_length",
    "name_or_path",
    "pad_to_multiple_of",
    "processor_class",
    "special_tokens_map_file",
    "stride",
    "tokenizer_class",
    "tokenizer_file",
    "truncation_strategy",
    "vocab_file",
}
# Arguments of the original's from_pretrained that choose between kinds of tokenizer, of which there is one here.
_WITHOUT_MEANING = ("use_fast", "from_slow", "trust_remote_code", "tokenizer_type")


def find_file(name_or_folder: str | os.PathLike, filename: str, hub_arguments: dict) -> Path | None:
    """The path of one of a tokenizer's files, or None if it has no such file."""
    folder = Path(name_or_folder, hub_arguments.get("subfolder") or "")
    if folder.is_dir():
        path = folder / filename
        return path if path.is_file() else None
    # Names are resolved there: cache, installed packages, hub. Imported here, so that folders need none of it.
    from edutransformers.checkpoints.resolve import resolve_file

    found = resolve_file(str(name_or_folder), filename, **hub_arguments)
    return None if found is None else Path(found)


def from_pretrained(cls, name_or_folder, kwargs: dict):
    """Read the files, merge their settings (special tokens map over config, the caller's arguments over both)."""
    if not isinstance(name_or_folder, (str, os.PathLike)):
        raise TypeError(f"from_pretrained needs a folder or a name, not {type(name_or_folder).__name__}.")
    if Path(name_or_folder).is_file():
        raise OSError(f"{name_or_folder} is a file; pass the folder that holds it.")
    hub_arguments = {name: kwargs.pop(name) for name in HUB_ARGUMENTS if name in kwargs}
    kwargs = {key: value for key, value in kwargs.items() if key not in _WITHOUT_MEANING}
    settings = _read_json(find_file(name_or_folder, "tokenizer_config.json", hub_arguments))
    added = {
        int(i): AddedToken.from_json(part) for i, part in (settings.pop("added_tokens_decoder", None) or {}).items()
    }
    special = _read_json(find_file(name_or_folder, "special_tokens_map.json", hub_arguments))
    not_settings = _NOT_SETTINGS.union(cls.vocab_files_names)
    settings = {key: value for key, value in {**settings, **special}.items() if key not in not_settings}
    settings = {key: _as_added_token(value) for key, value in settings.items()}
    templates = read_templates(lambda filename: find_file(name_or_folder, filename, hub_arguments))
    if templates is not None:
        settings["chat_template"] = templates
    settings.update(kwargs)
    for token, i in _read_json(find_file(name_or_folder, "added_tokens.json", hub_arguments)).items():
        if i not in added:
            added[i] = AddedToken(token)
    files = {
        argument: found
        for argument, filename in cls.vocab_files_names.items()
        if (found := find_file(name_or_folder, filename, hub_arguments)) is not None
    }
    if not files:
        raise OSError(
            f"{name_or_folder} holds no {' and no '.join(cls.vocab_files_names.values())}, so there is no vocabulary "
            f"for a {cls.__name__}."
        )
    return cls.from_files(files, added_tokens_decoder=added, name_or_path=str(name_or_folder), **settings)


def save_pretrained(tokenizer, folder, filename_prefix: str | None = None) -> tuple[str, ...]:
    """Write every file listed above; each is written beside and then renamed, so that none is ever half there."""
    folder = _make_folder(folder, "save_pretrained")
    prefix = f"{filename_prefix}-" if filename_prefix else ""
    added = tokenizer.added_tokens_decoder
    new = {token.content: i for i, token in added.items() if token.content not in tokenizer._engine.model.vocab}
    contents = {
        "tokenizer_config.json": _to_text(_config(tokenizer, added), sort_keys=True),
        "special_tokens_map.json": _to_text(_special_tokens_map(tokenizer), sort_keys=True),
        **_stages(tokenizer),
        **tokenizer.vocabulary_files(),
        **template_files(tokenizer.chat_template),
    }
    for path in (folder / (prefix + TEMPLATE_FILE), *(folder / (prefix + TEMPLATE_FOLDER)).glob("*.jinja")):
        if path.relative_to(folder).as_posix().removeprefix(prefix) not in contents:
            path.unlink(missing_ok=True)  # a stale one would be read as a template of this tokenizer
    if new:
        contents["added_tokens.json"] = _to_text(new, sort_keys=True)
    else:
        Path(folder, f"{prefix}added_tokens.json").unlink(missing_ok=True)  # a stale one would add its tokens again
    return tuple(_write(folder / (prefix + name), text) for name, text in contents.items())


def _stages(tokenizer) -> dict[str, str]:
    """tokenizer.json, but for classes whose stages it can't name (classes/python_only.py)."""
    if "tokenizer_file" not in tokenizer.vocab_files_names:
        return {}
    return {"tokenizer.json": _to_text(_for_older_readers(engine_to_json(tokenizer._engine)))}


def _for_older_readers(part):
    """tokenizer.json as transformers 4.34 reads it, too: the Metaspace's scheme by its older name, which later readers
    ignore, and merges as "left right", which they know, unless a token has a blank.
    """
    if isinstance(part, list):
        return [_for_older_readers(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    older = {"model": _with_older_merges}
    part = {key: older.get(key, _for_older_readers)(value) for key, value in part.items()}
    if part.get("type") == "Metaspace":
        part["add_prefix_space"] = part["prepend_scheme"] != "never"
    return part


def _with_older_merges(model: dict) -> dict:
    merges = model.get("merges", [])
    if any(" " in token for pair in merges for token in pair):
        return model
    return {**model, "merges": [" ".join(pair) for pair in merges]} if merges else model


def _config(tokenizer, added: dict[int, AddedToken]) -> dict:
    config = {
        key: value
        for key, value in tokenizer.init_kwargs.items()
        if key not in _NOT_SETTINGS
        and key not in SPECIAL_TOKEN_NAMES
        and isinstance(value, (str, int, float, list, dict, type(None)))
    }
    config.pop("extra_special_tokens", None)
    config.pop("verbose", None)
    config.pop("chat_template", None)  # it has a file of its own
    config.update(tokenizer.special_tokens_map)
    config.update(
        added_tokens_decoder={str(i): token.to_json() for i, token in added.items()},
        clean_up_tokenization_spaces=tokenizer.clean_up_tokenization_spaces,
        model_max_length=min(tokenizer.model_max_length, VERY_LARGE_INTEGER),
        padding_side=tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
        tokenizer_class=_class_name(tokenizer),
    )
    kind = type(tokenizer)
    if (config["padding_side"], config["truncation_side"]) == (kind.padding_side, kind.truncation_side):
        del config["padding_side"], config["truncation_side"]  # the class's defaults
    return config


def _class_name(tokenizer) -> str:
    name = type(tokenizer).__name__
    return name if name == "PreTrainedTokenizerFast" else name.removesuffix("Fast")


def _special_tokens_map(tokenizer) -> dict:
    def to_json(token):
        if isinstance(token, list):
            return [to_json(item) for item in token]
        return (
            {key: value for key, value in token.to_json().items() if key != "special"}
            if isinstance(token, AddedToken)
            else token
        )

    return {name: to_json(token) for name, token in tokenizer.special_tokens_map_extended.items()}


def _as_added_token(value):
    """Special tokens are strings, or dictionaries of an AddedToken's flags, alone or in a list."""
    if isinstance(value, dict) and "content" in value:
        return AddedToken.from_json({**value, "special": True})
    if isinstance(value, list):
        return [_as_added_token(item) for item in value]
    return value


def _read_json(path: Path | None) -> dict:
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); was it downloaded completely?") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, not a {type(content).__name__}.")
    return content


def _to_text(content: dict, sort_keys: bool = False) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, sort_keys=sort_keys) + "\n"


def save_vocabulary(tokenizer, folder, filename_prefix: str | None = None) -> tuple[str, ...]:
    """Write the files of `tokenizer.vocabulary_files()`; returns their paths."""
    folder = _make_folder(folder, "save_vocabulary")
    prefix = f"{filename_prefix}-" if filename_prefix else ""
    return tuple(_write(folder / (prefix + name), content) for name, content in tokenizer.vocabulary_files().items())


def _make_folder(folder, caller: str) -> Path:
    folder = Path(folder)
    if folder.is_file():
        raise OSError(f"{folder} is a file; {caller} needs a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(path: Path, content: str | bytes) -> str:
    path.parent.mkdir(exist_ok=True)  # a folder inside the tokenizer's
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    os.replace(beside, path)
    return str(path)

"""HfArgumentParser: dataclasses such as TrainingArguments from the command line, a dictionary, a JSON or a YAML file.

    parser = HfArgumentParser((ModelArguments, TrainingArguments))
    model_args, training_args = parser.parse_args_into_dataclasses()

Every field is a flag of its name. What `--help` says of it is the `help` of the field's metadata, or else the comment
behind it in the class: so the file that a reader opens and the help page can't disagree.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import io
import json
import sys
import textwrap
import tokenize
import types
import typing
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import NamedTuple


class FieldNote(NamedTuple):
    """What a dataclass's source says about a field."""

    section: str  # the comment above a block of fields; "" before the first one
    text: str  # the comment behind the field


def field_notes(cls: type) -> dict[str, FieldNote]:
    """Field name -> its note, in the order of the fields; inherited ones too. Empty texts where there is no comment."""
    notes = {}
    for base in reversed(cls.__mro__):
        if "__dataclass_fields__" in vars(base):
            notes.update(_notes_of_one_class(base))
    fields = {field.name: field for field in dataclasses.fields(cls)}
    found = {name: notes.get(name, FieldNote("", "")) for name in fields}
    return {n: note._replace(text=fields[n].metadata.get("help", note.text)) for n, note in found.items()}


def _notes_of_one_class(cls: type) -> dict[str, FieldNote]:
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):  # made in an interactive session: there is no file to read
        return {}
    comments = {
        token.start[0]: (token.string.lstrip("# ").strip(), not token.line[: token.start[1]].strip())
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    notes, section, line = {}, "", 0
    for node in ast.parse(source).body[0].body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            above = [comments[row][0] for row in range(line + 1, node.lineno) if comments.get(row, ("", False))[1]]
            section = " ".join(above) or section
            text, stands_alone = comments.get(node.end_lineno, ("", True))
            notes[node.target.id] = FieldNote(section, "" if stands_alone else text)
        line = node.end_lineno
    return notes


class HfArgumentParser(argparse.ArgumentParser):
    """Flags for all fields of one or several dataclasses. The original's class of this name.

    dataclass_types  a dataclass or several; one object of each is returned, in this order
    options          what argparse.ArgumentParser takes

    `--learning_rate 1e-3` and `--learning-rate 1e-3` are the same. A truth value stands alone (`--do_train`) or with
    its value (`--do_train false`); one that is True by default also has `--no_<name>`. A list takes several words. A
    field without default is required.
    """

    def __init__(self, dataclass_types: type | Iterable[type], **options):
        options.setdefault("formatter_class", argparse.ArgumentDefaultsHelpFormatter)
        super().__init__(**options)
        self.dataclass_types = [dataclass_types] if isinstance(dataclass_types, type) else list(dataclass_types)
        for cls in self.dataclass_types:
            self._add_fields(cls)

    def _add_fields(self, cls: type) -> None:
        kinds, notes, groups = typing.get_type_hints(cls), field_notes(cls), {}
        for field in dataclasses.fields(cls):
            if not field.init:
                continue
            note = notes[field.name]
            title = note.section or cls.__name__
            if title not in groups:
                groups[title] = self.add_argument_group(title)
            self._add_field(groups[title], field, kinds[field.name], note.text)

    def _add_field(self, group, field: dataclasses.Field, kind, text: str) -> None:
        flags = [f"--{field.name}"]
        if "_" in field.name:
            flags.append(f"--{field.name.replace('_', '-')}")
        options = {"help": (text or field.name.replace("_", " ")).replace("%", "%%"), "dest": field.name}
        if field.default is not dataclasses.MISSING:
            options["default"] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            options["default"] = field.default_factory()
        else:
            options["required"] = True
        kind, several = _kind_of(kind, field.name)
        if several:
            options["nargs"] = "+"
        if kind is bool and not several:
            options.update(type=string_to_bool, nargs="?", const=True)
            group.add_argument(*flags, **options)
            if field.default is True:
                negated = [f"--no_{field.name}", f"--no-{field.name.replace('_', '-')}"]
                group.add_argument(
                    *negated, action="store_false", dest=field.name, default=True, help=argparse.SUPPRESS
                )
            return
        options["type"] = string_to_bool if kind is bool else kind
        if isinstance(kind, _Choice):
            options["metavar"] = "{" + ",".join(str(value) for value in kind.values) + "}"
        group.add_argument(*flags, **options)

    # -- from somewhere to objects ------------------------------------------------------------------------------------

    def parse_args_into_dataclasses(
        self,
        args: list[str] | None = None,
        return_remaining_strings: bool = False,
        look_for_args_file: bool = True,
        args_filename=None,
        args_file_flag: str | None = None,
    ) -> tuple:
        """One object of each dataclass from the command line (or `args`).

        return_remaining_strings  unknown words come back as a last element, instead of a `ValueError`
        look_for_args_file        read more words from <script>.args, if there is such a file beside the script
        args_filename             read more words from this file; those on the command line come later, so they win
        args_file_flag            the name of a flag that names such files

        What `add_argument` added besides comes back as one more element, a namespace.
        """
        words = list(sys.argv[1:] if args is None else args)
        words = self._words_of_files(words, look_for_args_file, args_filename, args_file_flag)
        namespace, remaining = self.parse_known_args(words)
        objects = []
        for cls in self.dataclass_types:
            names = [field.name for field in dataclasses.fields(cls) if field.init]
            objects.append(cls(**{name: getattr(namespace, name) for name in names}))
            for name in names:
                delattr(namespace, name)
        if vars(namespace):
            objects.append(namespace)
        if return_remaining_strings:
            return (*objects, remaining)
        if remaining:
            raise ValueError(f"these words are no flag of this program, and no flag's value: {' '.join(remaining)}")
        return tuple(objects)

    def _words_of_files(self, words: list[str], look: bool, filename, flag: str | None) -> list[str]:
        named = [] if filename is None else [Path(filename)]
        if flag is not None:
            finder = argparse.ArgumentParser(add_help=False)
            finder.add_argument(flag, action="append", default=[], dest="files")
            found, words = finder.parse_known_args(words)
            named += [Path(file) for file in found.files]
        for file in named:
            if not file.is_file():
                raise FileNotFoundError(f"there is no file {file} to read arguments from")
        beside = Path(sys.argv[0] or "script").with_suffix(".args")
        if filename is None and look and beside.is_file():
            named.insert(0, beside)
        return [word for file in named for word in file.read_text(encoding="utf-8").split()] + words

    def parse_dict(self, args: dict, allow_extra_keys: bool = False) -> tuple:
        """One object of each dataclass from a dictionary {field name: value}.

        Raises `ValueError` for a name that no dataclass has, unless `allow_extra_keys`.
        """
        objects, unused = [], set(args)
        for cls in self.dataclass_types:
            names = {field.name for field in dataclasses.fields(cls) if field.init}
            unused -= names
            objects.append(cls(**{name: value for name, value in args.items() if name in names}))
        if unused and not allow_extra_keys:
            raise ValueError(
                f"these names are no field of {', '.join(cls.__name__ for cls in self.dataclass_types)}: "
                f"{', '.join(sorted(unused))}"
            )
        return tuple(objects)

    def parse_json_file(self, json_file, allow_extra_keys: bool = False) -> tuple:
        """One object of each dataclass from a JSON file that holds {field name: value}."""
        return self.parse_dict(_mapping(json_file, json.loads), allow_extra_keys)

    def parse_yaml_file(self, yaml_file, allow_extra_keys: bool = False) -> tuple:
        """One object of each dataclass from a YAML file with lines `name: value`.

        YAML 1.1 takes 5e-5 for text, because it has no point; where a field is a number, such text is read as one.
        """
        import yaml

        values = _mapping(yaml_file, yaml.safe_load)
        for cls in self.dataclass_types:
            for name, kind in typing.get_type_hints(cls).items():
                if isinstance(values.get(name), str) and float in (kind, *typing.get_args(kind)):
                    try:
                        values[name] = float(values[name])
                    except ValueError:  # text after all: the dataclass says what it expected
                        continue
        return self.parse_dict(values, allow_extra_keys)


def _mapping(file, load) -> dict:
    values = load(Path(file).read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{file} holds a {type(values).__name__}: expected names with values")
    return values


def string_to_bool(text) -> bool:
    """yes/no, true/false, t/f, y/n, 1/0, in any case."""
    if isinstance(text, bool):
        return text
    if text.lower() in ("yes", "true", "t", "y", "1"):
        return True
    if text.lower() in ("no", "false", "f", "n", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is no truth value: expected true or false (yes/no, 1/0 work too)")


class _Choice:
    """Text -> the value of a Literal or an Enum that is spelled so."""

    def __init__(self, values):
        self.values = [value.value if isinstance(value, Enum) else value for value in values]

    def __call__(self, text):
        for value in self.values:
            if str(value) == str(text):
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(str(value) for value in self.values)}")


def _kind_of(kind, name: str) -> tuple:
    """A type hint -> (what turns a word into a value, whether there are several of them).

    Of a union the first member counts that a word can become: `float | None` is a float; with `str` among them, it is
    text.
    """
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(kind) if member is not type(None)]
        kind = str if str in members else members[0]
    if typing.get_origin(kind) in (list, tuple):
        members = [member for member in typing.get_args(kind) if member is not Ellipsis]
        return _kind_of(members[0] if members else str, name)[0], True
    if typing.get_origin(kind) is typing.Literal:
        return _Choice(typing.get_args(kind)), False
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _Choice(kind), False
    if kind is dict or typing.get_origin(kind) is dict:
        return _json_dictionary, False
    if not callable(kind):
        raise TypeError(f"the field {name!r} has the type {kind!r}, which no flag can be made from")
    return kind, False


def _json_dictionary(text: str) -> dict:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is no JSON: expected for example {{"name": 1}}') from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f'{text!r} is no dictionary: expected for example {{"name": 1}}')
    return value

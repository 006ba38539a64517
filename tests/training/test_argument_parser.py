"""HfArgumentParser: every kind of field, from words, dictionaries and files; help from the comments in the class."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Optional

import pytest

from edutransformers.training import HfArgumentParser, TrainingArguments
from edutransformers.training.argument_parser import field_notes


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Model:
    """Fields of all kinds."""

    model_name: str  # which checkpoint
    size: Size = Size.SMALL
    activation: Literal["gelu", "relu", 3] = "gelu"

    # more of them
    layers: int | None = None  # how many (100%)
    share: Optional[float] = 0.5  # noqa: UP045 (older spelling, as users write it)
    names: list[str] = field(default_factory=lambda: ["a"])
    numbers: list[int] | None = None
    cased: bool = True
    frozen: bool = False
    maybe: bool | None = None
    extra: dict | None = None
    told: str = field(default="x", metadata={"help": "from the metadata"})  # not this
    made: int = field(init=False, default=3)


def parse(*words, types=Model, **options):
    return HfArgumentParser(types).parse_args_into_dataclasses(list(words), look_for_args_file=False, **options)


def test_defaults():
    (model,) = parse("--model_name", "bert")
    assert model == Model("bert")
    assert model.names == ["a"]
    assert model.cased is True


def test_every_kind_of_field():
    words = ["--model-name", "bert", "--size", "large", "--activation", "3", "--layers", "4", "--share", "1e-3"]
    words += ["--names", "b", "c", "--numbers", "1", "2"]
    words += ["--no_cased", "--frozen", "--maybe", "no", "--extra", '{"k": [1]}', "--told", "y"]
    (model,) = parse(*words)
    expected = Model("bert", "large", 3, 4, 1e-3, ["b", "c"], [1, 2], False, True, False, {"k": [1]}, "y")
    assert model == expected
    assert parse("--model_name", "m", "--cased", "False", "--frozen", "0")[0].cased is False
    assert parse("--model_name", "m", "--no-cased")[0].cased is False


def test_several_classes_and_what_is_left_over(tmp_path):
    parser = HfArgumentParser((Model, TrainingArguments))
    parser.add_argument("--own", type=int, default=1)
    words = ["--model_name", "m", "--output_dir", str(tmp_path), "--learning_rate", "1e-3", "--own", "2"]
    words += ["--logging_steps", "10", "--label_names", "a", "b", "--do_train", "--save_strategy", "epoch"]
    model, args, namespace = parser.parse_args_into_dataclasses(words, look_for_args_file=False)
    assert (model.model_name, args.learning_rate, args.logging_steps, namespace.own) == ("m", 1e-3, 10, 2)
    assert (args.label_names, args.do_train, args.save_strategy) == (["a", "b"], True, "epoch")
    assert args.steps_of("logging_steps", 100) == 10
    *_, rest = parse("--model_name", "m", "--what", "3", return_remaining_strings=True)
    assert rest == ["--what", "3"]
    with pytest.raises(ValueError, match="no flag of this program, and no flag's value: --what 3"):
        parse("--model_name", "m", "--what", "3")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--model_name"),
        (["--model_name", "m", "--size", "huge"], "'huge' is none of small, large"),
        (["--model_name", "m", "--activation", "tanh"], "none of gelu, relu, 3"),
        (["--model_name", "m", "--layers", "x"], "invalid int value: 'x'"),
        (["--model_name", "m", "--frozen", "perhaps"], "'perhaps' is no truth value"),
        (["--model_name", "m", "--extra", "{"], "is no JSON"),
        (["--model_name", "m", "--extra", "3"], "is no dictionary"),
    ],
)
def test_bad_words(words, message, capsys):
    with pytest.raises(SystemExit):
        parse(*words)
    assert message in capsys.readouterr().err


def test_files_of_arguments(tmp_path, monkeypatch):
    (tmp_path / "script.args").write_text("--model_name beside --layers 1\n--share 2")
    (tmp_path / "more.txt").write_text("--layers 2")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "script.py")])
    parser = HfArgumentParser(Model)
    (model,) = parser.parse_args_into_dataclasses(["--layers", "3"])
    assert (model.model_name, model.layers, model.share) == ("beside", 3, 2.0)
    (model,) = parser.parse_args_into_dataclasses(["--config", str(tmp_path / "more.txt")], args_file_flag="--config")
    assert (model.model_name, model.layers) == ("beside", 2)
    (model,) = parser.parse_args_into_dataclasses(["--model_name", "m"], args_filename=tmp_path / "more.txt")
    assert (model.model_name, model.layers, model.share) == ("m", 2, 0.5)
    with pytest.raises(FileNotFoundError, match="there is no file nowhere.txt"):
        parser.parse_args_into_dataclasses([], args_filename="nowhere.txt")


def test_dictionaries_and_files_of_values(tmp_path):
    parser = HfArgumentParser((Model, TrainingArguments))
    values = {"model_name": "m", "output_dir": "out", "learning_rate": 1e-3, "logging_dir": "logs"}
    model, args = parser.parse_dict(values)
    assert (model.model_name, args.output_dir, args.learning_rate) == ("m", "out", 1e-3)
    with pytest.raises(ValueError, match="no field of Model, TrainingArguments: learning_rat, more"):
        parser.parse_dict({**values, "more": 1, "learning_rat": 1})
    assert parser.parse_dict({**values, "more": 1}, allow_extra_keys=True)[0] == model
    (tmp_path / "values.json").write_text(json.dumps(values))
    assert parser.parse_json_file(tmp_path / "values.json") == (model, args)
    (tmp_path / "values.yaml").write_text(
        "model_name: m\noutput_dir: out\nlearning_rate: 1e-3\nlayers: null\nlogging_dir: logs\n"
    )
    assert parser.parse_yaml_file(tmp_path / "values.yaml") == (model, args)
    (tmp_path / "values.yaml").write_text("model_name: m\noutput_dir: out\nlearning_rate: fast\n")
    with pytest.raises(ValueError, match="learning_rate is 'fast': expected a number"):
        parser.parse_yaml_file(tmp_path / "values.yaml")
    (tmp_path / "values.yaml").write_text("- 1\n")
    with pytest.raises(ValueError, match="holds a list: expected names with values"):
        parser.parse_yaml_file(tmp_path / "values.yaml")


def test_the_help_is_what_the_class_says(capsys):
    notes = field_notes(Model)
    assert list(notes) == [f.name for f in dataclasses.fields(Model)]
    assert notes["model_name"] == ("", "which checkpoint")
    assert notes["size"] == ("", "")
    assert notes["layers"] == ("more of them", "how many (100%)")
    assert notes["told"].text == "from the metadata"
    with pytest.raises(SystemExit):
        parse("--help")
    page = capsys.readouterr().out
    for text in ("which checkpoint", "more of them:", "how many (100%)", "from the metadata", "{small,large}"):
        assert text in page
    assert "made" not in page

    @dataclass
    class More(Model):
        last: int = 0  # a field of the subclass

    assert field_notes(More)["last"].text == "a field of the subclass"
    assert field_notes(More)["layers"] == notes["layers"]


def test_the_help_without_a_source():
    made = dataclasses.make_dataclass("Made", [("x", int, 1)])
    assert field_notes(made) == {"x": ("", "")}
    assert parse("--x", "2", types=made)[0].x == 2


def test_every_training_argument_has_a_flag_and_a_note():
    notes = field_notes(TrainingArguments)
    assert all(note.section for name, note in notes.items() if name not in ("output_dir", "overwrite_output_dir"))
    assert [name for name, note in notes.items() if not note.text] == []
    parser = HfArgumentParser(TrainingArguments)
    flags = {action.dest for action in parser._actions}
    assert {f.name for f in dataclasses.fields(TrainingArguments)} <= flags
    words = ["--output_dir", "out", "--logging_dir", "logs"]  # whose default is the time of day
    (args,) = parser.parse_args_into_dataclasses(words, look_for_args_file=False)
    assert args == TrainingArguments("out", logging_dir="logs")

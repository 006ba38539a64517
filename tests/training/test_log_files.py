"""Logs as files, and what report_to makes of names. (TensorBoard's files: tests/extras/test_tensorboard.py.)"""

import csv
import json

import pytest

from edutransformers.training import TrainerCallback, TrainerState, TrainingArguments
from edutransformers.training.callbacks import CSVLoggerCallback, JSONLoggerCallback, TensorBoardCallback, tensorboard
from edutransformers.training.callbacks.tensorboard import rewrite_logs
from tests.training.toy import toy_trainer

RUN = {
    "max_steps": 6, "logging_strategy": "steps", "logging_steps": 1, "evaluation_strategy": "steps", "eval_steps": 3,
    "save_strategy": "steps", "save_steps": 2,
}  # fmt: skip


def table(file):
    with open(file, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def lines(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def without_times(rows):
    return [{k: v for k, v in row.items() if not k.endswith(("runtime", "per_second"))} for row in rows]


def test_both_files_mirror_the_history(tmp_path):
    trainer = toy_trainer(tmp_path, arguments={**RUN, "report_to": ["csv", "json"]})
    trainer.train()
    trainer.evaluate()
    assert lines(tmp_path / "log.jsonl") == trainer.log_history
    rows = table(tmp_path / "log.csv")
    assert list(rows[0])[:4] == ["step", "epoch", "loss", "learning_rate"]
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 3, 4, 5, 6, 6, 6, 6]
    for row, log in zip(rows, trainer.log_history, strict=True):
        assert {name: float(value) for name, value in row.items() if value} == log


def test_a_resumed_run_has_no_step_twice(tmp_path):
    """Stopped at step 5 and resumed from the checkpoint of step 4: the files are those of a run that never stopped."""

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 5:
                control.should_log = True

        def on_log(self, args, state, control, **kwargs):
            if state.global_step == 5:
                raise KeyboardInterrupt

    arguments = {**RUN, "report_to": ["csv", "json"]}
    toy_trainer(tmp_path / "whole", arguments=arguments).train()
    stopped = toy_trainer(tmp_path / "stopped", arguments=arguments, callbacks=[Stop])
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    assert [row["step"] for row in lines(tmp_path / "stopped" / "log.jsonl")] == [1, 2, 3, 3, 4, 5]
    toy_trainer(tmp_path / "stopped", arguments=arguments).train(resume_from_checkpoint=True)
    for read, name in ((lines, "log.jsonl"), (table, "log.csv")):
        resumed, whole = (without_times(read(tmp_path / run / name)) for run in ("stopped", "whole"))
        assert resumed[:-1] == whole[:-1]  # the last one holds the resumed run's own number of operations a second
        assert resumed[-1]["step"] == whole[-1]["step"]


def test_a_new_run_begins_anew(tmp_path):
    path = tmp_path / "logs" / "mine.csv"
    for _ in range(2):
        toy_trainer(tmp_path, arguments={**RUN, "save_strategy": "no"}, callbacks=[CSVLoggerCallback(path)]).train()
    assert [int(row["step"]) for row in table(path)] == [1, 2, 3, 3, 4, 5, 6, 6, 6]
    assert not list(tmp_path.glob("log.*"))


def events(folder, callback, *logs, **state):
    """Call the events as the Trainer would; the file's text after each."""
    args, texts = TrainingArguments(str(folder)), []
    for step, log in enumerate(logs, start=1):
        callback.on_log(args, TrainerState(global_step=step, **state), None, logs=log)
        texts.append(next(folder.glob("log.*")).read_text(encoding="utf-8") if any(folder.glob("log.*")) else "")
    return texts


def test_columns_that_appear_later(tmp_path):
    """Every row is on the disk as soon as it is logged, whatever the names in it."""
    texts = events(
        tmp_path,
        CSVLoggerCallback(),
        {"loss": 0.5, "epoch": 0.1},
        {"eval_loss": 0.1 + 0.2, "note": 'a "word", and\nanother'},
        {"loss": 0.25},
    )
    assert texts[0] == "step,epoch,loss\n1,0.1,0.5\n"
    assert texts[1].splitlines()[0] == "step,epoch,loss,eval_loss,note"
    first, second, third = table(tmp_path / "log.csv")
    assert first == {"step": "1", "epoch": "0.1", "loss": "0.5", "eval_loss": "", "note": ""}
    assert second["note"] == 'a "word", and\nanother'
    assert float(second["eval_loss"]) == 0.1 + 0.2  # all digits
    assert third["loss"] == "0.25"
    assert [file.name for file in tmp_path.iterdir()] == ["log.csv"]


def test_json_lines_hold_what_json_cannot(tmp_path):
    texts = events(tmp_path, JSONLoggerCallback(), {"loss": 0.5, "path": tmp_path, "epoch": 1.0})
    assert json.loads(texts[0]) == {"step": 1, "epoch": 1.0, "loss": 0.5, "path": str(tmp_path)}
    assert texts[0].startswith('{"step": 1, "epoch": 1.0, ')


def test_other_processes_write_nothing(tmp_path):
    args = TrainingArguments(str(tmp_path))
    for callback in (CSVLoggerCallback(), JSONLoggerCallback()):
        callback.on_train_begin(args, TrainerState(is_world_process_zero=False), None)
        assert events(tmp_path, callback, {"loss": 1.0}, is_world_process_zero=False) == [""]


# -- report_to --------------------------------------------------------------------------------------------------------


def test_report_to(tmp_path, monkeypatch):
    of = lambda given: TrainingArguments(str(tmp_path), report_to=given).report_to  # noqa: E731
    assert of(None) == of("none") == of(["none"]) == of([]) == []
    assert of("csv") == ["csv"]
    assert of(["json", "csv"]) == ["json", "csv"]
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    assert of("all") == of(["all"]) == ["csv", "json"]
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: "there")
    assert of("all") == ["tensorboard", "csv", "json"]
    with pytest.raises(ValueError, match="'wandb', which this package does not report to: expected tensorboard, csv"):
        of(["csv", "wandb"])
    with pytest.raises(ValueError, match="report_to names 'cvs': expected tensorboard, csv, json, all or none"):
        of("cvs")


def test_tensorboard_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="neither is installed: `pip install tensorboard`"):
        toy_trainer(tmp_path, arguments={"report_to": "tensorboard"})


def test_logging_dir(tmp_path):
    folder = TrainingArguments(str(tmp_path)).logging_dir
    assert folder.startswith(str(tmp_path / "runs"))
    assert TrainingArguments(str(tmp_path), logging_dir="~/curves").logging_dir.endswith("/curves")
    assert "~" not in TrainingArguments(str(tmp_path), logging_dir="~/curves").logging_dir


# -- TensorBoard, with a writer that only takes notes -----------------------------------------------------------------


class Notes:
    def __init__(self):
        self.scalars, self.texts, self.calls = [], {}, []

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, value, step))

    def add_text(self, tag, text):
        self.texts[tag] = json.loads(text)

    def flush(self):
        self.calls.append("flush")

    def close(self):
        self.calls.append("close")


def test_what_tensorboard_is_told(tmp_path):
    notes = Notes()
    callback = TensorBoardCallback(notes)
    trainer = toy_trainer(tmp_path, arguments={**RUN, "save_strategy": "no"}, callbacks=[callback])
    trainer.train()
    assert notes.texts["args"] == trainer.args.to_dict()
    assert notes.texts["model_config"]["model_type"] == "bert"
    losses = [(log["step"], log["loss"]) for log in trainer.log_history if "loss" in log]
    assert [(step, value) for tag, value, step in notes.scalars if tag == "train/loss"] == losses
    tags = {tag for tag, _, _ in notes.scalars}
    assert {"train/learning_rate", "train/epoch", "train/train_loss", "eval/loss", "eval/runtime"} < tags
    assert notes.calls == ["flush"] * len(trainer.log_history) + ["close"]
    assert callback.tb_writer is None


def test_what_tensorboard_can_not_draw(tmp_path, caplog):
    notes = Notes()
    for _ in range(2):
        TensorBoardCallback(notes).on_log(
            TrainingArguments(str(tmp_path)), TrainerState(), None, logs={"eval_table": [1], "eval_x": 2}
        )
    assert notes.scalars == [("eval/x", 2, 0)] * 2
    assert caplog.text.count("eval/table is [1], a list, and is left out") == 1


def test_an_interrupted_run_closes_the_file(tmp_path):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            raise KeyboardInterrupt

    notes = Notes()
    with pytest.raises(KeyboardInterrupt):
        toy_trainer(tmp_path, callbacks=[TensorBoardCallback(notes), Stop]).train()
    assert notes.calls == ["close"]


def test_rewrite_logs():
    logs = {"loss": 1, "eval_loss": 2, "test_f1": 3, "evaluation": 4, "eval_a_b": 5, "eval": 6}
    names = ["train/loss", "eval/loss", "test/f1", "train/evaluation", "eval/a_b", "train/eval"]
    assert rewrite_logs(logs) == dict(zip(names, range(1, 7)))

"""Logs as files that every program reads: a table (CSV), or a line of JSON for each log.

    trainer = Trainer(..., callbacks=[CSVLoggerCallback])          # or TrainingArguments(report_to=["csv", "json"])

The file mirrors `trainer.log_history`: a new run begins it anew, and a resumed run first writes what its checkpoint
remembers, so that steps between that checkpoint and the interruption don't stand there twice.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

from .base import TrainerCallback


class LogFileCallback(TrainerCallback):
    """What the two kinds of files share: when they are written, and where.

    path   the file; None: `file_name` in the run's output_dir (of each trial in a hyperparameter search)
    """

    file_name: str

    def __init__(self, path=None):
        self.path = None if path is None else Path(path)

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            self._write_anew(self._file(args), [_row(log["step"], log) for log in state.log_history])

    def on_log(self, args, state, control, logs=None, **kwargs):
        if state.is_world_process_zero:
            self._append(self._file(args), _row(state.global_step, logs))

    def _file(self, args) -> Path:
        file = Path(args.output_dir, self.file_name) if self.path is None else self.path
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def _write_anew(self, file: Path, rows: list[dict]) -> None:
        """A file with these rows in place of what was there: whole, or not at all."""
        beside = file.with_name(f".unfinished-{file.name}")
        beside.unlink(missing_ok=True)
        beside.touch()
        self._write(beside, rows)
        os.replace(beside, file)

    def _append(self, file: Path, row: dict) -> None:
        raise NotImplementedError

    def _write(self, file: Path, rows: list[dict]) -> None:
        raise NotImplementedError


def _row(step: int, logs: dict) -> dict:
    """Step and epoch first."""
    epoch = {"epoch": logs["epoch"]} if "epoch" in logs else {}
    return {"step": step, **epoch, **logs}


class JSONLoggerCallback(LogFileCallback):
    """One line of JSON a log, in `output_dir`/log.jsonl: {"step": 10, "epoch": 0.5, "loss": 0.6931, …}.

    A line is in the file as soon as it is logged, so that another program can follow it while the run goes on.
    """

    file_name = "log.jsonl"

    def _append(self, file, row):
        self._write(file, [row])

    def _write(self, file, rows):
        with open(file, "a", encoding="utf-8") as stream:  # closed, hence written, after every log
            stream.writelines(json.dumps(row, default=str) + "\n" for row in rows)


class CSVLoggerCallback(LogFileCallback):
    """A table of the logs in `output_dir`/log.csv, for spreadsheets: a row a log, a column a name.

    A row is in the file as soon as it is logged. When a name comes for the first time (the first evaluation brings
    eval_loss), the table is written again with one column more; earlier rows are empty there.
    """

    file_name = "log.csv"

    def _append(self, file, row):
        rows, columns = [], []
        if file.is_file():
            with open(file, newline="", encoding="utf-8") as stream:
                columns = next(csv.reader(stream), [])
        if set(row) <= set(columns):
            self._write_rows(file, columns, [row])
            return
        if columns:
            with open(file, newline="", encoding="utf-8") as stream:
                rows = list(csv.DictReader(stream))
        self._write_anew(file, [*rows, row])

    def _write(self, file, rows):
        columns = list(dict.fromkeys(name for row in rows for name in row))
        self._write_rows(file, columns, [dict(zip(columns, columns)), *rows] if rows else [])

    def _write_rows(self, file, columns, rows):
        with open(file, "a", newline="", encoding="utf-8") as stream:
            csv.DictWriter(stream, columns).writerows(rows)

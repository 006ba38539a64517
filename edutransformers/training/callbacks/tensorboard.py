"""Logs for TensorBoard: curves in a browser (`tensorboard --logdir <output_dir>`)."""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from pathlib import Path

from ...logging import get_logger
from .base import TrainerCallback

logger = get_logger(__name__)


def tensorboard_available() -> bool:
    """Is there a package that writes TensorBoard's files?"""
    return any(find_spec(package) is not None for package in ("tensorboard", "tensorboardX"))


class TensorBoardCallback(TrainerCallback):
    """Scalars named train/loss, eval/loss, …, and the arguments and the model's configuration as text.

    tb_writer   an object with `add_scalar(tag, value, step)`, `add_text(tag, text)`, `flush()` and `close()`, such as
                tensorboardX's SummaryWriter; None: one that writes into `args.logging_dir`

    Needs tensorboard or tensorboardX; raises `ImportError` where neither is installed.
    """

    def __init__(self, tb_writer=None):
        if tb_writer is None and not tensorboard_available():
            raise ImportError(
                "TensorBoardCallback needs tensorboard or tensorboardX, and neither is installed: "
                "`pip install tensorboard`, or leave 'tensorboard' out of report_to"
            )
        self.tb_writer = tb_writer

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        if not state.is_world_process_zero:
            return
        self._open(args, state)
        self.tb_writer.add_text("args", args.to_json_string())
        if getattr(model, "config", None) is not None:
            self.tb_writer.add_text("model_config", json.dumps(model.config.to_dict(), indent=2, default=str))

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not state.is_world_process_zero:
            return
        self._open(args, state)
        for name, value in rewrite_logs(logs).items():
            if isinstance(value, (int, float)):
                self.tb_writer.add_scalar(name, value, state.global_step)
            else:
                logger.warning_once(
                    "TensorBoard draws numbers: %s is %r, a %s, and is left out", name, value, type(value).__name__
                )
        self.tb_writer.flush()

    def on_train_end(self, args, state, control, **kwargs):
        if self.tb_writer is not None:
            self.tb_writer.close()
            self.tb_writer = None

    on_train_interrupted = on_train_end

    def _open(self, args, state):
        if self.tb_writer is None:
            folder = str(Path(args.logging_dir, state.trial_name or ""))
            # A resumed run writes steps anew that an interrupted one had written: those are to be forgotten.
            forget_from = state.global_step + 1 if state.global_step else None
            self.tb_writer = _new_writer(folder, forget_from)


def rewrite_logs(logs: dict) -> dict:
    """The Trainer's names as TensorBoard's, which groups by what stands before the slash.

    eval_loss -> eval/loss, test_loss -> test/loss, all others -> train/….
    """
    renamed = {}
    for name, value in logs.items():
        group, _, rest = name.partition("_")
        renamed[f"{group}/{rest}" if group in ("eval", "test") and rest else f"train/{name}"] = value
    return renamed


def _new_writer(folder: str, forget_from: int | None):
    if find_spec("tensorboard") is not None:
        return _EventWriter(folder, forget_from)
    from tensorboardX import SummaryWriter  # imports torch where that is installed, which takes seconds

    # The suffix: it names files by the second, and a run resumed within one must not write over the other's file.
    return SummaryWriter(folder, purge_step=forget_from, filename_suffix=f".{forget_from or 0}")


class _EventWriter:
    """What TensorBoardCallback needs of a SummaryWriter: the tensorboard package itself has only its parts."""

    def __init__(self, folder: str, forget_from: int | None = None):
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._file = EventFileWriter(folder)
        if forget_from is not None:
            self._add(forget_from, session_log=SessionLog(status=SessionLog.START))

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))

    def add_text(self, tag: str, text: str) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode("utf-8")], tensor_shape=shape)
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        value = Summary.Value(tag=f"{tag}/text_summary", metadata=metadata, tensor=tensor)
        self._add(0, summary=Summary(value=[value]))

    def _add(self, step: int, **content) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._file.add_event(Event(wall_time=time.time(), step=step, **content))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

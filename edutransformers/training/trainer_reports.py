"""The Trainer's reports: counting data, showing and saving metrics, a card for the model."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from . import checkpointing as files
from .model_card import model_card


class TrainerReports:
    """The part of Trainer that counts and tells."""

    def is_world_process_zero(self) -> bool:
        """Is this the process that logs and saves? Always, unless there are several."""
        return self.state.is_world_process_zero

    def is_local_process_zero(self) -> bool:
        """The same, of the processes on this machine."""
        return self.state.is_local_process_zero

    def num_examples(self, dataloader) -> int:
        """Items that a loader goes through; of one that doesn't tell, its batches times their usual size."""
        dataset = getattr(dataloader, "dataset", None)
        if hasattr(dataset, "__len__"):
            return len(dataset)
        return len(dataloader) * self.args.train_batch_size

    def num_tokens(self, train_dl, max_steps: int | None = None) -> int:
        """Tokens in a loader's batches, padding included; with `max_steps`, in that many batches like the first."""
        tokens = 0
        for batch in train_dl:
            tokens += self._tokens_in(batch)
            if max_steps is not None:
                return tokens * max_steps
        return tokens

    def _tokens_in(self, inputs) -> int:
        return getattr(inputs.get(getattr(self.model, "main_input_name", "input_ids")), "size", 0)

    def floating_point_ops(self, inputs) -> int:
        """About how many operations forward and backward take: 6 a token and weight, tables that are looked up aside.

        2 for each weight in forward (multiply, add), and twice that in backward: once for the inputs' gradient, once
        for the weights' (Kaplan et al. 2020, section 2.1).
        """
        return self._tokens_in(inputs) * self._operations_a_token

    # -- metrics ------------------------------------------------------------------------------------------------------

    def metrics_format(self, metrics: dict) -> dict:
        """The same names with values for people: 4 digits, times as h:mm:ss, operations in units of 2³⁰ ("GF")."""
        return {name: _shown(name, value) for name, value in metrics.items()}

    def log_metrics(self, split: str, metrics: dict) -> None:
        """Print metrics as a table, sorted by name; `split` ("train", "eval", "test") is its title."""
        if not self.is_world_process_zero():
            return
        shown = {name: str(value) for name, value in self.metrics_format(metrics).items()}
        name_width, value_width = (max(map(len, words), default=0) for words in (shown, shown.values()))
        print(f"***** {split} metrics *****")
        for name in sorted(shown):
            print(f"  {name:<{name_width}} = {shown[name]:>{value_width}}")

    def save_metrics(self, split: str, metrics: dict, combined: bool = True) -> None:
        """Metrics into `output_dir`/<split>_results.json; with `combined`, all_results.json gets them too."""
        if not self.is_world_process_zero():
            return
        folder = Path(self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{split}_results.json").write_text(json.dumps(metrics, indent=4, sort_keys=True), encoding="utf-8")
        if combined:
            together = folder / "all_results.json"
            earlier = files.read_json(together) if together.is_file() else {}
            together.write_text(json.dumps({**earlier, **metrics}, indent=4, sort_keys=True), encoding="utf-8")

    def save_state(self) -> None:
        """The progress and all logs into `output_dir`/trainer_state.json."""
        if self.is_world_process_zero():
            files.write_trees(self.args.output_dir, {files.STATE: self.state.to_dict()})

    def create_model_card(self, **facts) -> None:
        """README.md in `output_dir`: what the model is, its settings, and how training went. See `model_card`."""
        if self.is_world_process_zero():
            folder = Path(self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "README.md").write_text(model_card(self, **facts), encoding="utf-8")


def _shown(name: str, value):
    if name.endswith("_runtime"):
        return f"{datetime.timedelta(seconds=int(value))}.{int(value % 1 * 100):02d}"
    if name == "total_flos":
        return f"{int(value) >> 30}GF"
    return round(value, 4) if isinstance(value, float) else value

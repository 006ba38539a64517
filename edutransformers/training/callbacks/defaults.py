"""The callbacks that every Trainer has."""

from __future__ import annotations

from .flow import DefaultFlowCallback
from .notebook import NotebookProgressCallback, in_notebook
from .progress import PrinterCallback, ProgressCallback
from .reporting import get_reporting_integration_callbacks


def default_callbacks(args) -> list[type]:
    """The flow of the run, what one sees of it, and what `report_to` names."""
    bars = NotebookProgressCallback if in_notebook() else ProgressCallback
    seen = PrinterCallback if args.disable_tqdm else bars
    return [DefaultFlowCallback, seen, *get_reporting_integration_callbacks(args.report_to)]

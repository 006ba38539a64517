"""`TrainingArguments.report_to`: where logs go besides the screen."""

from __future__ import annotations

from .log_files import CSVLoggerCallback, JSONLoggerCallback
from .tensorboard import TensorBoardCallback, tensorboard_available

INTEGRATION_TO_CALLBACK = {
    "tensorboard": TensorBoardCallback,
    "csv": CSVLoggerCallback,
    "json": JSONLoggerCallback,
}
SERVICES = (  # what the original and its later versions report to besides
    "azure_ml", "clearml", "codecarbon", "comet_ml", "dagshub", "dvclive", "flyte", "mlflow", "neptune", "swanlab",
    "trackio", "wandb",
)  # fmt: skip


def get_available_reporting_integrations() -> list[str]:
    """What `report_to="all"` means here: the two kinds of files, and TensorBoard if it is installed."""
    return [name for name in INTEGRATION_TO_CALLBACK if name != "tensorboard" or tensorboard_available()]


def integrations_of(report_to) -> list[str]:
    """`report_to` as a list of names: "none" and None are none, "all" is all that there are.

    Raises `ValueError` for a name that is not known here.
    """
    names = [report_to] if isinstance(report_to, str) else list(report_to or [])
    if names in (["none"], []):
        return []
    if names == ["all"]:
        return get_available_reporting_integrations()
    for name in names:
        if name in INTEGRATION_TO_CALLBACK:
            continue
        known = ", ".join(INTEGRATION_TO_CALLBACK)
        if name in SERVICES:
            raise ValueError(
                f"report_to names {name!r}, which this package does not report to: expected {known}, all or none; a "
                "TrainerCallback with on_log can send the logs there"
            )
        raise ValueError(f"report_to names {name!r}: expected {known}, all or none")
    return names


def get_reporting_integration_callbacks(report_to) -> list[type]:
    """The callbacks of these names, as classes."""
    return [INTEGRATION_TO_CALLBACK[name] for name in integrations_of(report_to)]

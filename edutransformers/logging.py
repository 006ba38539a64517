"""What the package says, and how loud: one logger, "edutransformers", with the original's switches.

>>> from edutransformers import logging
>>> logging.set_verbosity_info()                # the Trainer's plan, the files that are written, ...   # doctest: +SKIP
>>> logging.disable_progress_bar()              # no bars, in this package and in downloads             # doctest: +SKIP

Without a word from you, warnings and errors go to stderr. Environment variables, each also under the original's name:

    EDUTRANSFORMERS_VERBOSITY               TRANSFORMERS_VERBOSITY              detail, debug, info, warning, error, ...
    EDUTRANSFORMERS_NO_PROGRESS_BARS        HF_HUB_DISABLE_PROGRESS_BARS        1: no progress bars
    EDUTRANSFORMERS_NO_ADVISORY_WARNINGS    TRANSFORMERS_NO_ADVISORY_WARNINGS   1: no warnings that are mere advice

A record is printed once. It always travels on to Python's root logger; where that has a handler that takes it (after
`logging.basicConfig(...)`, in pytest), the package's own handler keeps silent. The original keeps records from the root
logger instead; `disable_propagation()` does the same here.

In code of this package: `logger = get_logger(__name__)`, and bars are made by `tqdm(...)` of this file.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from logging import CRITICAL, DEBUG, ERROR, FATAL, INFO, NOTSET, WARN, WARNING

__all__ = [
    "CRITICAL", "DEBUG", "ERROR", "FATAL", "INFO", "NOTSET", "WARN", "WARNING",
    "add_handler", "disable_default_handler", "disable_progress_bar", "disable_propagation", "enable_default_handler",
    "enable_explicit_format", "enable_progress_bar", "enable_propagation", "get_log_levels_dict", "get_logger",
    "get_verbosity", "is_progress_bar_enabled", "remove_handler", "reset_format", "set_verbosity",
    "set_verbosity_debug", "set_verbosity_error", "set_verbosity_info", "set_verbosity_warning", "tqdm",
]  # fmt: skip

LIBRARY = "edutransformers"
LEVELS = {
    "detail": DEBUG,  # with file and line before each message
    "debug": DEBUG,
    "info": INFO,
    "warning": WARNING,
    "error": ERROR,
    "critical": CRITICAL,
}
YES = {"1", "ON", "YES", "TRUE"}
EXPLICIT = "[%(levelname)s|%(filename)s:%(lineno)s] %(asctime)s >> %(message)s"
DETAILED = "[%(levelname)s|%(pathname)s:%(lineno)s] %(asctime)s >> %(message)s"

_configuring = threading.Lock()
_default_handler: logging.Handler | None = None
_said_once: set[tuple[str, str, str]] = set()
_bars: bool | None = None  # None: nobody has decided, so the environment is asked


# ---------------------------------------------------------------------------------------------------------------------
# loggers
# ---------------------------------------------------------------------------------------------------------------------


class Logger(logging.Logger):
    """Python's logger with the original's two additions."""

    def warning_once(self, message: str, *args, **options) -> None:
        """A warning that is given once, however often the same message comes."""
        said = (self.name, message, repr(args))
        if said not in _said_once:
            _said_once.add(said)
            self.warning(message, *args, stacklevel=2, **options)

    def warning_advice(self, message: str, *args, **options) -> None:
        """Advice, not trouble: silent where EDUTRANSFORMERS_NO_ADVISORY_WARNINGS is set."""
        variables = ("EDUTRANSFORMERS_NO_ADVISORY_WARNINGS", "TRANSFORMERS_NO_ADVISORY_WARNINGS")
        if not any(_is_yes(variable) for variable in variables):
            self.warning(message, *args, stacklevel=2, **options)


def get_logger(name: str | None = None) -> Logger:
    """The logger of a module (pass `__name__`); without a name the package's, to which those of all modules lead."""
    _configure()
    logger = logging.getLogger(LIBRARY if name is None else name)
    if type(logger) is logging.Logger:  # made by Python: give it the additions, and leave all other loggers alone
        logger.__class__ = Logger
    return logger


class DefaultHandler(logging.StreamHandler):
    """Writes to stderr (whatever that is by then: notebooks and tests replace it), unless the root logger will."""

    def __init__(self):
        logging.Handler.__init__(self)  # StreamHandler's own would keep today's stderr

    @property
    def stream(self):
        return sys.stderr

    def emit(self, record):
        travels_on = logging.getLogger(LIBRARY).propagate
        taken = travels_on and any(record.levelno >= handler.level for handler in logging.getLogger().handlers)
        if not taken and sys.stderr is not None:  # None: a program without a console
            super().emit(record)


def _configure() -> None:
    """Once: the library's level and its handler."""
    global _default_handler
    with _configuring:
        if _default_handler is not None:
            return
        _default_handler = DefaultHandler()
        library = logging.getLogger(LIBRARY)
        library.addHandler(_default_handler)
        level, complaint = _level_of_environment()
        library.setLevel(LEVELS[level])
        if level == "detail":
            _default_handler.setFormatter(logging.Formatter(DETAILED))
    if complaint:
        library.warning(complaint)


def _level_of_environment() -> tuple[str, str]:
    """(name of the level that the environment asks for, what is wrong with it)"""
    for variable in ("EDUTRANSFORMERS_VERBOSITY", "TRANSFORMERS_VERBOSITY"):
        level = os.environ.get(variable, "").lower()
        if level in LEVELS:
            return level, ""
        if level:
            return "warning", f"{variable} is {level!r}: expected one of {', '.join(LEVELS)}; warnings are shown"
    return "warning", ""


def _is_yes(variable: str) -> bool:
    return os.environ.get(variable, "").upper() in YES


# ---------------------------------------------------------------------------------------------------------------------
# how loud
# ---------------------------------------------------------------------------------------------------------------------


def get_log_levels_dict() -> dict[str, int]:
    """The names that EDUTRANSFORMERS_VERBOSITY and `TrainingArguments.log_level` know, and their levels."""
    return dict(LEVELS)


def get_verbosity() -> int:
    """The level from which on the package speaks: 10 debug, 20 info, 30 warning, 40 error, 50 critical."""
    return get_logger().getEffectiveLevel()


def set_verbosity(verbosity: int) -> None:
    """Speak from this level on: `logging.INFO`, or one of the functions below."""
    get_logger().setLevel(verbosity)


def set_verbosity_debug() -> None:
    """Everything."""
    set_verbosity(DEBUG)


def set_verbosity_info() -> None:
    """What is being done: the Trainer's plan, files read and written."""
    set_verbosity(INFO)


def set_verbosity_warning() -> None:
    """What may be wrong (the default)."""
    set_verbosity(WARNING)


def set_verbosity_error() -> None:
    """Errors only."""
    set_verbosity(ERROR)


# ---------------------------------------------------------------------------------------------------------------------
# where to, and how it looks
# ---------------------------------------------------------------------------------------------------------------------


def disable_default_handler() -> None:
    """Take the handler that writes to stderr away."""
    get_logger().removeHandler(_default_handler)


def enable_default_handler() -> None:
    """Put the handler that writes to stderr back."""
    get_logger().addHandler(_default_handler)


def add_handler(handler: logging.Handler) -> None:
    """Records go to this handler too."""
    get_logger().addHandler(handler)


def remove_handler(handler: logging.Handler) -> None:
    """Take a handler away that `add_handler` added."""
    get_logger().removeHandler(handler)


def disable_propagation() -> None:
    """Keep records from Python's root logger. The package's own handler then always speaks."""
    get_logger().propagate = False


def enable_propagation() -> None:
    """Let records travel on to Python's root logger (the default)."""
    get_logger().propagate = True


def enable_explicit_format() -> None:
    """[LEVEL|FILE:LINE] TIME >> before each message, in all handlers of the package."""
    for handler in get_logger().handlers:
        handler.setFormatter(logging.Formatter(EXPLICIT))


def reset_format() -> None:
    """The bare messages again, in all handlers of the package."""
    for handler in get_logger().handlers:
        handler.setFormatter(None)


# ---------------------------------------------------------------------------------------------------------------------
# progress bars
# ---------------------------------------------------------------------------------------------------------------------


def is_progress_bar_enabled() -> bool:
    """What was switched last; if nothing was, what the environment says; if that is silent, yes."""
    if _bars is not None:
        return _bars
    return not (_is_yes("EDUTRANSFORMERS_NO_PROGRESS_BARS") or _is_yes("HF_HUB_DISABLE_PROGRESS_BARS"))


def enable_progress_bar() -> None:
    """Show progress bars, whatever the environment says."""
    global _bars
    _bars = True


def disable_progress_bar() -> None:
    """Show no progress bars: the Trainer's, those of data sets, tokenizer training, pipelines and downloads."""
    global _bars
    _bars = False


def tqdm(*args, **options):
    """A progress bar as tqdm.auto makes it (widgets in notebooks); one that does nothing where bars are disabled."""
    from tqdm.auto import tqdm as bar

    if not is_progress_bar_enabled():
        options["disable"] = True
    return bar(*args, **options)

"""The package's logger: its levels, its one line a record, its switches and its progress bars."""

import io
import logging as python_logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edutransformers
from edutransformers import logging
from edutransformers.checkpoints import load

PACKAGE = Path(edutransformers.__file__).parent
logger = logging.get_logger("edutransformers.some.module")


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """Level, handlers and bars of the package, whatever a test does to them."""
    library = logging.get_logger()
    level, handlers, propagate = library.level, list(library.handlers), library.propagate
    for variable in ("EDUTRANSFORMERS_NO_PROGRESS_BARS", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(logging, "_bars", None)
    monkeypatch.setattr(logging, "_said_once", set())
    yield
    library.setLevel(level)
    library.handlers[:], library.propagate = handlers, propagate
    logging.reset_format()


def no_root_handlers(monkeypatch):
    """As in a program that has not configured logging. (While a test runs, pytest has handlers there.)"""
    monkeypatch.setattr(python_logging.getLogger(), "handlers", [])


def in_new_python(code, **environment):
    """Runs `code`; what it wrote to stdout and stderr."""
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    return ran.stdout, ran.stderr


# -- what is printed --------------------------------------------------------------------------------------------------


def test_warnings_go_to_stderr_and_information_does_not(monkeypatch, capsys):
    no_root_handlers(monkeypatch)
    logger.info("a detail")
    logger.warning("%s went wrong", "this")
    logger.error("worse")
    assert capsys.readouterr() == ("", "this went wrong\nworse\n")


def test_stderr_is_the_one_of_today(monkeypatch):
    no_root_handlers(monkeypatch)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logger.warning("here")
    monkeypatch.setattr(sys, "stderr", None)  # a program without a console
    logger.warning("nowhere")
    assert stream.getvalue() == "here\n"


def test_configured_logging_prints_once(monkeypatch, capsys):
    """After logging.basicConfig the user's handler prints, in the user's format, and ours is silent."""
    no_root_handlers(monkeypatch)
    python_logging.basicConfig(format="mine: %(message)s", stream=sys.stderr)
    logger.warning("once")
    assert capsys.readouterr().err == "mine: once\n"


def test_a_root_handler_for_errors_leaves_warnings_to_us(monkeypatch, capsys):
    no_root_handlers(monkeypatch)
    python_logging.getLogger().addHandler(python_logging.StreamHandler(sys.stderr))
    python_logging.getLogger().handlers[0].setLevel(python_logging.ERROR)
    logger.warning("a warning")
    logger.error("an error")
    assert capsys.readouterr().err == "a warning\nan error\n"


def test_propagation(monkeypatch, capsys):
    no_root_handlers(monkeypatch)
    records = io.StringIO()
    python_logging.basicConfig(format="root: %(message)s", stream=records)
    logging.disable_propagation()
    logger.warning("kept")
    logging.enable_propagation()
    logger.warning("let go")
    assert (capsys.readouterr().err, records.getvalue()) == ("kept\n", "root: let go\n")


def test_caplog_sees_records(caplog, capsys):
    logger.warning("seen")
    assert caplog.record_tuples == [("edutransformers.some.module", python_logging.WARNING, "seen")]
    assert capsys.readouterr().err == ""


# -- levels -----------------------------------------------------------------------------------------------------------


def test_verbosity(monkeypatch, capsys):
    no_root_handlers(monkeypatch)
    names = {"debug": 10, "info": 20, "warning": 30, "error": 40}
    for name, level in names.items():
        getattr(logging, f"set_verbosity_{name}")()
        assert logging.get_verbosity() == level
        for other in names:
            getattr(logger, other)(other)
        assert capsys.readouterr().err.split() == [other for other in names if names[other] >= level]
    logging.set_verbosity(logging.CRITICAL)
    assert logging.get_verbosity() == 50
    assert logging.get_log_levels_dict() == {"detail": 10, "critical": 50, **names}


SAYS = "from edutransformers import logging as l; l.get_logger('edutransformers.a').info('i'); print(l.get_verbosity())"


@pytest.mark.parametrize(
    ("environment", "level", "said"),
    [
        ({}, 30, ""),
        ({"TRANSFORMERS_VERBOSITY": "info"}, 20, "i\n"),
        ({"EDUTRANSFORMERS_VERBOSITY": "ERROR", "TRANSFORMERS_VERBOSITY": "debug"}, 40, ""),
        ({"EDUTRANSFORMERS_VERBOSITY": "detail"}, 10, r"\[INFO\|<string>:1\] .* >> i\n"),
        ({"TRANSFORMERS_VERBOSITY": "loud"}, 30, "TRANSFORMERS_VERBOSITY is 'loud': expected one of detail, debug.*\n"),
    ],
)
def test_verbosity_from_the_environment(environment, level, said):
    out, err = in_new_python(SAYS, PYTHONPATH=str(PACKAGE.parent), **environment)
    assert int(out) == level
    assert re.fullmatch(said, err)


# -- handlers and formats ---------------------------------------------------------------------------------------------


def test_handlers(monkeypatch, capsys):
    no_root_handlers(monkeypatch)
    stream = io.StringIO()
    mine = python_logging.StreamHandler(stream)
    logging.add_handler(mine)
    logging.disable_default_handler()
    logger.warning("one")
    logging.enable_default_handler()
    logging.remove_handler(mine)
    logger.warning("two")
    assert (stream.getvalue(), capsys.readouterr().err) == ("one\n", "two\n")


def test_explicit_format(monkeypatch, capsys):
    no_root_handlers(monkeypatch)
    logging.enable_explicit_format()
    logger.warning("where")
    logger.warning_once("once")
    lines = capsys.readouterr().err.splitlines()
    logging.reset_format()
    logger.warning("bare")
    assert re.fullmatch(r"\[WARNING\|test_logging.py:\d+\] \d{4}-.* >> where", lines[0])
    assert re.fullmatch(r"\[WARNING\|test_logging.py:\d+\] \d{4}-.* >> once", lines[1])  # the caller's line, not ours
    assert capsys.readouterr().err == "bare\n"


# -- additions to Python's logger -------------------------------------------------------------------------------------


def test_warning_once(caplog):
    for number in (1, 1, 2):
        logger.warning_once("number %d", number)
        logger.warning_once("the same")
    assert [record.getMessage() for record in caplog.records] == ["number 1", "the same", "number 2"]


@pytest.mark.parametrize("variable", ["EDUTRANSFORMERS_NO_ADVISORY_WARNINGS", "TRANSFORMERS_NO_ADVISORY_WARNINGS"])
def test_warning_advice(caplog, monkeypatch, variable):
    logger.warning_advice("advice %d", 1)
    monkeypatch.setenv(variable, "1")
    logger.warning_advice("advice %d", 2)
    assert [record.getMessage() for record in caplog.records] == ["advice 1"]


def test_a_logger_that_python_made_first_gets_the_additions():
    python_logging.getLogger("edutransformers.made.before").info("")
    of_all_loggers = dict(vars(python_logging.Logger))  # transformers, where it was imported before, adds to this class
    assert isinstance(logging.get_logger("edutransformers.made.before"), logging.Logger)
    assert not isinstance(python_logging.getLogger("somebody.else"), logging.Logger)
    assert dict(vars(python_logging.Logger)) == of_all_loggers


# -- progress bars ----------------------------------------------------------------------------------------------------


def test_progress_bars_can_be_switched_off(capsys):
    assert list(logging.tqdm(range(3))) == [0, 1, 2]
    assert "3/3" in capsys.readouterr().err
    logging.disable_progress_bar()
    assert not logging.is_progress_bar_enabled()
    assert list(logging.tqdm(range(3))) == [0, 1, 2]
    with logging.tqdm(total=2, desc="by hand") as bar:
        bar.update(1)
        bar.write("a line stays a line")
    assert capsys.readouterr() == ("a line stays a line\n", "")
    logging.enable_progress_bar()
    assert list(logging.tqdm(range(3))) == [0, 1, 2]
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize("variable", ["EDUTRANSFORMERS_NO_PROGRESS_BARS", "HF_HUB_DISABLE_PROGRESS_BARS"])
def test_progress_bars_and_the_environment(variable, monkeypatch):
    monkeypatch.setenv(variable, "0")
    assert logging.is_progress_bar_enabled()
    monkeypatch.setenv(variable, "1")
    assert not logging.is_progress_bar_enabled()
    logging.enable_progress_bar()
    assert logging.is_progress_bar_enabled()


# -- the whole package ------------------------------------------------------------------------------------------------


def test_the_name_hides_nothing():
    """Our logging.py is `edutransformers.logging`; `import logging` is Python's everywhere, inside the package too."""
    assert edutransformers.logging is logging
    assert load.logging is python_logging
    assert edutransformers.logging.logging is python_logging


def test_all_loggers_and_bars_come_from_here():
    """A logger or a bar made another way would not obey the switches."""
    other = re.compile(r"\blogging\.getLogger\(|^\s*(from|import) tqdm\b", flags=re.M)
    files = [file for file in PACKAGE.rglob("*.py") if file != PACKAGE / "logging.py"]
    assert len(files) > 50
    assert [file.name for file in files if other.search(file.read_text(encoding="utf-8"))] == []

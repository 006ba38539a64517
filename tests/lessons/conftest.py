import pytest


@pytest.fixture
def progress(tmp_path, monkeypatch):
    """A progress file of the test's own."""
    path = tmp_path / "progress.json"
    monkeypatch.setenv("EDUTRANSFORMERS_PROGRESS", str(path))
    return path

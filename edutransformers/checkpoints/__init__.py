"""Checkpoints: finding, reading and writing a model's files, and nothing else.

    resolve.py            a name and a file name -> a path: a folder, a checkpoint in a package (packaged.py), the
                          Hugging Face cache and hub (hub.py; its environment variables: environment.py)
    safetensors_file.py   model.safetensors, read one tensor at a time; written without a second copy of the model
    torch_bin.py          pytorch_model.bin, by an unpickler that builds tensors and nothing else (pickle_reader.py);
                          written by torch_bin_writer.py
    sharded.py            a checkpoint in several files with an index
    read.py               all of these behind one function: name -> {tensor name: lazily read tensor} (tensors.py)
    names.py              old and new spellings of tensor names, base model and head
    load.py, save.py      a whole model in and out; config_file.py: its config.json; write.py: files, safely replaced
    sharing.py            the files of a model, tokenizer, … to the hub: push_to_hub

Checkpoints are untrusted: see docs/checkpoints/index.md for what is checked.
"""

from ..lazy import lazy_names

_HOME = {  # public name -> the file it lives in; imported when first asked for
    "CheckpointError": "errors",
    "CheckpointFormatError": "errors",
    "CheckpointNotFoundError": "errors",
    "MismatchedSizesError": "errors",
    "LazyTensor": "tensors",
    "PushToHub": "sharing",
    "push_to_hub": "sharing",
    "load_config": "config_file",
    "load_model": "load",
    "read_checkpoint": "read",
    "read_config_dict": "config_file",
    "resolve_file": "resolve",
    "save_config": "config_file",
    "save_model": "save",
    "shipped_checkpoints": "packaged",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)

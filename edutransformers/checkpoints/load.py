"""A whole model from a checkpoint: what `from_pretrained` does.

1. the config, its fields replaced by keyword arguments   2. the model, without drawing weights
3. which tensor belongs where (names.py); shapes compared  4. tensors read one by one into their places
5. what the checkpoint lacks is drawn; the rest reported    6. evaluation mode
"""

from __future__ import annotations

import logging
import os
from typing import NamedTuple

import numpy as np

from ..backend import array_module, default_generator, default_module, to_device
from ..logging import get_logger
from ..module import Buffer, Module, Parameter, skip_initialization
from .config_file import load_config, read_config_dict, save_config  # noqa: F401 (the doors are in one place)
from .errors import CheckpointFormatError, MismatchedSizesError
from .names import NameMap, match_names, without_ignored
from .read import read_checkpoint
from .resolve import split_hub_arguments
from .save import save_model  # noqa: F401
from .tensors import HeldTensor, LazyTensor, dtype_name, float_dtype

logger = get_logger(__name__)

WITHOUT_MEANING = {  # arguments of the original that change nothing about the numbers, or about memory here
    "low_cpu_mem_usage", "_fast_init", "max_memory", "offload_folder", "offload_state_dict", "use_flash_attention_2",
    "attn_implementation", "adapter_kwargs", "adapter_name",
}  # fmt: skip
UNSUPPORTED = {
    "from_tf": "load it with transformers and save it there with save_pretrained",
    "from_flax": "load it with transformers and save it there with save_pretrained",
    "load_in_8bit": "load in dtype='float16' to halve the memory",
    "load_in_4bit": "load in dtype='float16' to halve the memory",
    "quantization_config": "load in dtype='float16' to halve the memory",
}


class Report(NamedTuple):
    """How checkpoint and model fitted together, as `output_loading_info=True` returns it."""

    missing_keys: list[str]
    unexpected_keys: list[str]
    mismatched_keys: list[tuple[str, tuple, tuple]]
    error_msgs: list[str]


def load_model(
    model_class,
    name: str | os.PathLike | None,
    *model_args,
    config=None,
    state_dict=None,
    dtype=None,
    torch_dtype=None,
    device: str | None = None,
    device_map=None,
    output_loading_info: bool = False,
    ignore_mismatched_sizes: bool = False,
    use_safetensors: bool | None = None,
    variant: str | None = None,
    generator: np.random.Generator | None = None,
    **kwargs,
):
    """A `model_class` with the config and weights of the checkpoint `name`, in evaluation mode.

    - `config`: a config object, or where to read one; default: the checkpoint's own. Keyword arguments that are its
      fields replace its values; all others go to the model's constructor, as do `model_args`.
    - `dtype` (or `torch_dtype`): the number type to compute in; float32 whatever the file holds, unless "auto".
    - `device`: "cpu" or "cuda"; default: where `use_backend` says.
    - `state_dict`: arrays by name, in place of the checkpoint's files.
    - `ignore_mismatched_sizes`: draw weights of another shape anew; otherwise they raise `MismatchedSizesError`.
    - `output_loading_info`: return (model, {"missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"}).
    - `generator`: draws the weights that the checkpoint lacks.
    - `cache_dir`, `revision`, `token`, `subfolder`, …: see `resolve_file`; `use_safetensors`, `variant`: see
      `read_checkpoint`.

    Raises OSError (`CheckpointError`) when the checkpoint can't be found or read. Then there is no model at all.
    """
    _check_options(kwargs)
    kwargs = {key: value for key, value in kwargs.items() if key not in WITHOUT_MEANING | set(UNSUPPORTED)}
    hub, kwargs = split_hub_arguments(kwargs)
    dtype = _one_of(dtype, torch_dtype)
    device = _one_device(device, device_map)

    config, kwargs, hub = _find_config(model_class, config, name, kwargs, hub)
    if state_dict is not None:
        tensors = {key: HeldTensor(array) for key, array in state_dict.items()}
    elif name is None:
        raise ValueError("from_pretrained needs a checkpoint's name, or state_dict=... and config=...")
    else:
        tensors = read_checkpoint(name, use_safetensors=use_safetensors, variant=variant, **hub)
    dtype = _model_dtype(dtype, config, tensors)

    with skip_initialization():
        model = model_class(config, *model_args, **kwargs)
    places = all_places(model)
    for place, substitute in getattr(model_class, "checkpoint_substitutes", {}).items():
        if place in places and place not in tensors and substitute in tensors:
            tensors[place] = tensors[substitute]  # a file that holds the array once, for a model that has it twice
    names = match_names(
        tensors, places, getattr(model_class, "base_model_prefix", ""), getattr(model_class, "checkpoint_renames", None)
    )
    fitting, mismatched = _compare_shapes(model, tensors, places, names)
    if mismatched and not ignore_mismatched_sizes:
        raise MismatchedSizesError(_mismatch_text(model, name, mismatched))

    filled = _fill(tensors, fitting, places, dtype, device)
    missing = _missing(places, filled)
    initialize_missing(model, {id(places[key]) for key in missing}, generator)
    model.astype(dtype)
    _move(model, device)
    model.eval()

    report = _report(model, names, missing, mismatched)
    _log(model, name, report)
    return (model, report._asdict()) if output_loading_info else model


# -- options ----------------------------------------------------------------------------------------------------------


def _check_options(kwargs: dict) -> None:
    for option, advice in UNSUPPORTED.items():
        if kwargs.get(option):
            raise ValueError(f"{option}={kwargs[option]!r} is not supported; {advice}")


def _one_of(dtype, torch_dtype):
    if dtype is not None and torch_dtype is not None and dtype != torch_dtype:
        raise ValueError(f"dtype={dtype!r} and torch_dtype={torch_dtype!r} differ; give only dtype")
    return torch_dtype if dtype is None else dtype


def _one_device(device, device_map):
    """`device_map` only as far as it names one place for everything: "auto", "cuda", {"": "cuda"}."""
    if isinstance(device_map, dict) and list(device_map) == [""]:
        device_map = device_map[""]
    if device is None and isinstance(device_map, int):
        return f"cuda:{device_map}"
    if device_map is not None and not isinstance(device_map, str):
        raise ValueError(f"device_map={device_map!r} is not supported: a model lives on one device; use device='cuda'")
    return device if device is not None or device_map == "auto" else device_map


def _find_config(model_class, config, name, kwargs, hub):
    """(the config, arguments left for the constructor, hub arguments with the commit pinned)."""
    config_class = model_class.config_class
    if config is not None and not isinstance(config, (str, os.PathLike)):
        commit = getattr(config, "_commit_hash", None)
    else:
        if config is None and name is None:
            raise ValueError("from_pretrained(None, …) needs config=...")
        where = name if config is None else config
        if config is None and os.path.isfile(name):  # one weights file was named; its config is beside it
            where = os.path.dirname(os.path.abspath(name))
        config, kwargs = load_config(config_class, where, return_unused_kwargs=True, **kwargs, **hub)
        commit = kwargs.pop("_commit_hash", None)
        config.name_or_path = str(name)
    return config, kwargs, hub if commit is None else {**hub, "_commit_hash": commit}


def _model_dtype(dtype, config, tensors) -> np.dtype:
    """float32 by default, as in the original. "auto": the config's, else that of the first weight in the file."""
    if dtype is None:
        return np.dtype("float32")
    if dtype_name(dtype) != "auto":
        return float_dtype(dtype)
    found = getattr(config, "torch_dtype", None) or next(
        (t.dtype for t in tensors.values() if "float" in t.dtype), None
    )
    if found is None or dtype_name(found) == "bfloat16":
        return np.dtype("float32")  # NumPy has no bfloat16; float32 holds all of its numbers
    return float_dtype(found)


# -- places and tensors -----------------------------------------------------------------------------------------------


def all_places(model: Module) -> dict[str, Parameter | Buffer]:
    """Every name under which a checkpoint may hold a weight or a saved buffer; a tied weight has several."""
    places: dict[str, Parameter | Buffer] = dict(model.named_parameters(remove_duplicate=False))
    places.update((name, buffer) for name, buffer in model.named_buffers() if buffer.persistent)
    return places


def _compare_shapes(model, tensors, places, names: NameMap):
    """({checkpoint's name: model's name} where shapes agree, [(checkpoint's name, its shape, the model's)] else)."""
    fitting, mismatched = {}, []
    for saved, place in names.places.items():
        found, expected = tuple(tensors[saved].shape), tuple(places[place].data.shape)
        if found == expected:
            fitting[saved] = place
        else:
            mismatched.append((saved, found, expected))
    return fitting, mismatched


def _fill(tensors, fitting, places, dtype, device) -> set[int]:
    """Read every tensor straight into its place's number type. Returns the ids of the places that were filled."""
    filled: set[int] = set()
    saved_names = {place_name: saved for saved, place_name in fitting.items()}
    for place_name, place in places.items():
        # A tied weight may be in the checkpoint under each of its names; the model's first one counts.
        if place_name not in saved_names or id(place) in filled:
            continue
        saved = saved_names[place_name]
        tensor = tensors[saved]
        is_float = place.data.dtype.kind == "f"
        if is_float != ("float" in tensor.dtype):
            _refuse_numbers(saved, tensor, place)
        place.data = _at_home(tensor.read(dtype if is_float else place.data.dtype), device)
        filled.add(id(place))
    return filled


def _refuse_numbers(saved: str, tensor: LazyTensor, place) -> None:
    raise CheckpointFormatError(
        f"{saved} holds numbers of type {tensor.dtype}, but the model expects {place.data.dtype} there; "
        "is the checkpoint quantized? Only unquantized ones can be loaded"
    )


def _at_home(array: np.ndarray, device: str | None):
    return default_module().asarray(array) if device is None else to_device(array, device)


def _move(model: Module, device: str | None) -> None:
    """Everything that was not loaded (drawn weights, buffers) goes to where the loaded weights are."""
    if device is not None:
        model.to(device)
    elif default_module() is not np:
        model.to("cuda")


def _missing(places, filled: set[int]) -> list[str]:
    """The model's names that got nothing. A tied weight that came under any name is not missing under the others."""
    return [name for name, place in places.items() if id(place) not in filled]


def initialize_missing(model: Module, missing: set[int], generator: np.random.Generator | None = None) -> None:
    """Draw the weights whose ids are in `missing`, and only those.

    A layer draws all of its weights at once, in place. So those that were loaded, in it and below it, step aside for
    that moment.
    """
    generator = default_generator() if generator is None else generator
    std = getattr(model.config, "initializer_range", 0.02)
    for module in model.modules():
        if not any(id(value) in missing for value in vars(module).values()):
            continue
        loaded = [(place, place.data) for place in module.parameters() if id(place) not in missing]
        for place, data in loaded:
            place.data = array_module(data).empty_like(data)
        module.initialize(generator, std)
        for place, data in loaded:
            place.data = data


# -- telling what did not fit -----------------------------------------------------------------------------------------


def _report(model, names: NameMap, missing, mismatched) -> Report:
    mismatched_names = {names.places[saved] for saved, _, _ in mismatched}
    not_saved = {name for name, buffer in model.named_buffers() if not buffer.persistent}
    shown_missing = [names.shown(name) for name in missing if name not in mismatched_names]
    unexpected = [
        name for name in names.unexpected
        if name not in not_saved and names.removed + name not in not_saved
        and name.removeprefix(names.added) not in not_saved
    ]  # fmt: skip
    return Report(
        without_ignored(shown_missing, getattr(model, "_keys_to_ignore_on_load_missing", None)),
        without_ignored(unexpected, getattr(model, "_keys_to_ignore_on_load_unexpected", None)),
        mismatched,
        [],
    )


def _mismatch_text(model, name, mismatched) -> str:
    lines = [f"{key} has shape {a} in the checkpoint and {b} in the model" for key, a, b in mismatched]
    return (
        f"{name} does not fit {type(model).__name__}: {'; '.join(lines)}. Were num_labels or the vocabulary changed? "
        "ignore_mismatched_sizes=True draws these weights anew"
    )


def _log(model, name, report: Report) -> None:
    """The original's warnings: what was left over, and what has to be trained first."""
    kind = type(model).__name__
    if report.unexpected_keys:
        # Leftovers matter only when the checkpoint was saved from this very class.
        level = logging.WARNING if kind in (getattr(model.config, "architectures", None) or ()) else logging.INFO
        logger.log(
            level,
            "Some weights of the model checkpoint at %s were not used when initializing %s: %s\n"
            "- This is expected if the checkpoint is of a model for another task (another head).\n"
            "- It is not expected if the checkpoint was saved from a %s.",
            name, kind, report.unexpected_keys, kind,
        )  # fmt: skip
    train = "You should probably TRAIN this model on a down-stream task before using it for predictions."
    if report.missing_keys:
        logger.warning(
            "Some weights of %s were not initialized from the model checkpoint at %s and are newly initialized: %s\n%s",
            kind, name, report.missing_keys, train,
        )  # fmt: skip
    if report.mismatched_keys:
        lines = "\n".join(
            f"- {key}: found shape {a} in the checkpoint and {b} in the model instantiated"
            for key, a, b in report.mismatched_keys
        )
        logger.warning(
            "Some weights of %s were not initialized from the model checkpoint at %s and are newly initialized because "
            "the shapes did not match:\n%s\n%s", kind, name, lines, train,
        )  # fmt: skip

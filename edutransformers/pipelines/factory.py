"""`pipeline(...)`: put a task, a model, and what prepares the model's inputs together."""

from __future__ import annotations

import os
from importlib import import_module

from ..auto import AutoConfig
from ..checkpoints.resolve import split_hub_arguments
from ..checkpoints.tensors import dtype_name, float_dtype
from ..logging import get_logger
from .base import PARTS, Pipeline, check_framework, parts_by_name
from .registry import PIPELINE_REGISTRY, Task

logger = get_logger(__name__)


def pipeline(
    task: str | None = None,
    model=None,
    config=None,
    tokenizer=None,
    feature_extractor=None,
    image_processor=None,
    framework: str | None = None,
    revision: str | None = None,
    use_fast: bool = True,
    token: str | bool | None = None,
    device=None,
    device_map=None,
    torch_dtype=None,
    trust_remote_code: bool | None = None,
    model_kwargs: dict | None = None,
    pipeline_class: type | None = None,
    dtype=None,
    **kwargs,
) -> Pipeline:
    """A pipeline for a task: `pipeline("sentiment-analysis")("What a film!")`.

    task            "text-classification" (or "sentiment-analysis"), "fill-mask", "token-classification" (or "ner"),
                    "question-answering", "text-generation", "feature-extraction", "image-classification",
                    "automatic-speech-recognition", "audio-classification". Left out, the model's architecture tells it
    model           a model, or a checkpoint's name or folder; left out, the task's default, where it has one
    config          a config, or where to read one, in place of the checkpoint's own
    tokenizer, image_processor, feature_extractor
                    an object, a name, or (name, its arguments); left out, the one beside the model, where it is needed
    device          "cpu" or -1, "cuda", "cuda:1" or 1; left out, where `use_backend` says (device_map: the same)
    dtype           number type to compute in ("float16", "float64", "auto"); torch_dtype is its older name
    revision, token version of the checkpoint on the hub, and who asks for it
    model_kwargs    further arguments for the model's from_pretrained
    pipeline_class  a Pipeline of your own
    Further arguments go to the pipeline: batch_size, progress, and those of the task.

    `use_fast` and `trust_remote_code` change nothing: there is one kind of tokenizer, and no code is ever downloaded.

    Raises KeyError for an unknown task, OSError for an unknown model, ValueError for a model that doesn't fit the task.
    """
    check_framework(framework)
    model_kwargs = dict(model_kwargs or {})
    if task is None and model is None:
        raise RuntimeError("pipeline() needs a task, a model, or both")
    if model is None and (tokenizer is not None or feature_extractor is not None or image_processor is not None):
        raise RuntimeError(
            "pipeline() got a tokenizer (or another preprocessor) but no model; it may not fit the task's default "
            "model, so pass model= too"
        )
    if device is not None and device_map is not None:
        raise ValueError(f"device={device!r} and device_map={device_map!r} say the same thing; give only device")
    dtype = _one_dtype(dtype, torch_dtype, model_kwargs)
    hub = {key: value for key, value in (("revision", revision), ("token", token)) if value is not None}

    if task is None:
        task = infer_task(model, config, {**hub, **split_hub_arguments(model_kwargs)[0]})
    name, row = PIPELINE_REGISTRY.check_task(task)
    pipeline_class = pipeline_class or row.pipeline_class()
    if model is None:
        model = default_model(task, row)

    where = os.fspath(model) if isinstance(model, (str, os.PathLike)) else None
    if where is not None:
        model = _load_model(row, where, config, dtype, device_map, {**hub, **model_kwargs})
    elif dtype is not None and dtype_name(dtype) != "auto":
        model.astype(float_dtype(dtype))
    arguments = {"use_fast": use_fast, **split_hub_arguments(model_kwargs)[0], **hub}
    parts = parts_by_name(pipeline_class, tokenizer, image_processor, feature_extractor)
    for part in pipeline_class.needs or ("tokenizer",):
        parts[part] = where if parts[part] is None else parts[part]
    parts = {part: _load_part(part, value, arguments) for part, value in parts.items()}
    return pipeline_class(
        model=model,
        **parts,
        task=name,
        device=device_map if device is None and device_map not in (None, "auto") else device,
        dtype=dtype,
        **kwargs,
    )


def infer_task(model, config=None, hub: dict | None = None) -> str:
    """The task of a model (object, name or folder), by its class or by `architectures` in its config."""
    if isinstance(model, (str, os.PathLike)):
        if config is None or isinstance(config, (str, os.PathLike)):
            config = AutoConfig.from_pretrained(model if config is None else config, **(hub or {}))
        architectures = config.architectures or []
    else:
        architectures = [type(model).__name__]
    for architecture in architectures:
        for task in PIPELINE_REGISTRY.tasks_for(architecture):
            return task
    found = f"its architecture is {', '.join(architectures)}" if architectures else "its config names no architectures"
    raise RuntimeError(
        f"the task can't be told from the model {str(model)[:80]!r}: {found}; pass task=, one of "
        f"{', '.join(PIPELINE_REGISTRY.get_supported_tasks())}"
    )


def default_model(task: str, row: Task) -> str:
    if row.default is None:
        raise ValueError(
            f"no checkpoint for {task} comes with edutransformers; pass model= (a checkpoint's name or folder)"
        )
    logger.info("no model was given for %s: using %s", task, row.default)
    return row.default


def _one_dtype(dtype, torch_dtype, model_kwargs: dict):
    given = [dtype, torch_dtype, model_kwargs.pop("dtype", None), model_kwargs.pop("torch_dtype", None)]
    given = [d for d in given if d is not None]
    if len({dtype_name(d) for d in given}) > 1:
        raise ValueError(f"the number types {', '.join(map(str, given))} contradict each other; give only dtype")
    return given[0] if given else None


def _load_model(row: Task, name: str, config, dtype, device_map, arguments: dict):
    if isinstance(config, (str, os.PathLike)):
        config = AutoConfig.from_pretrained(config, **split_hub_arguments(arguments)[0])
    return row.model_class().from_pretrained(name, config=config, dtype=dtype, device_map=device_map, **arguments)


def _load_part(part: str, value, arguments: dict):
    """A tokenizer, image processor or feature extractor (`part`): an object or None as it is, a name loaded."""
    if not isinstance(value, (str, os.PathLike, tuple)):
        return value
    name, options = value if isinstance(value, tuple) else (value, {})
    auto_class = getattr(import_module("..auto", __package__), PARTS[part])
    return auto_class.from_pretrained(name, **{**arguments, **options})

"""Pipeline: what all tasks have in common.

    input -> preprocess (text to arrays) -> _forward (the model) -> postprocess (arrays to a result)

A task's class defines these three, and `_sanitize_parameters`, which sorts keyword arguments into theirs. The rest is
here: one input or many, batches, progress, the device. Many inputs flow through lazily: a batch is read, computed and
given out before the next one is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

import numpy as np

from ..backend import array_module, to_device, to_numpy
from ..logging import get_logger, tqdm
from ..module import ModelOutput, Module, inference_mode
from .batches import join, map_output, split
from .registry import PIPELINE_REGISTRY

logger = get_logger(__name__)

# what prepares a model's inputs -> the Auto class that loads it
PARTS = {
    "tokenizer": "AutoTokenizer",
    "image_processor": "AutoImageProcessor",
    "feature_extractor": "AutoFeatureExtractor",
}


class PipelineException(Exception):
    """A pipeline can't treat an input. Says the task, the model and the reason."""

    def __init__(self, task: str, model: str, reason: str):
        super().__init__(reason)
        self.task = task
        self.model = model


class Pipeline:
    """The base of all pipelines.

    model        a model of this package
    tokenizer, image_processor, feature_extractor   what prepares its inputs of text, pictures or sound
    device       "cpu" or -1, "cuda", "cuda:1" or 1; None leaves the model where it is
    batch_size   how many inputs the model sees at once when a list or dataset comes; 1 if not given
    progress     show a progress bar (tqdm) over a list or dataset
    framework    None or "np"; there is no other
    Further keyword arguments are the task's, as the default for every call. `modelcard` is kept; `num_workers` and
    `binary_output`, which the original has, change nothing.
    """

    needs: tuple[str, ...] = ()  # which of PARTS it can't do without; `pipeline(...)` loads those with a model by name
    accepts_any_model = False
    padding_side: str | None = None  # where a task needs it on one side, whatever the tokenizer says

    def __init__(
        self,
        model,
        tokenizer=None,
        feature_extractor=None,
        image_processor=None,
        modelcard=None,
        framework: str | None = None,
        task: str = "",
        device=None,
        torch_dtype=None,
        binary_output: bool = False,
        batch_size: int | None = None,
        num_workers: int | None = None,
        progress: bool = False,
        dtype=None,
        **kwargs,
    ):
        if not isinstance(model, Module):
            raise TypeError(
                f"{type(self).__name__} needs a model, not {type(model).__name__} ({str(model)[:60]!r}); to load "
                "one by name call pipeline(task, model=name)"
            )
        parts = parts_by_name(type(self), tokenizer, image_processor, feature_extractor)
        for part in self.needs:
            if parts[part] is None:
                article = "an" if part[0] in "aeiou" else "a"
                raise ValueError(
                    f"{type(self).__name__} needs {article} {part.replace('_', ' ')}; pass "
                    f"{part}={PARTS[part]}.from_pretrained(name)"
                )
        self.framework = check_framework(framework)
        self.task = task
        self.model = model
        self.tokenizer = parts["tokenizer"]
        self.feature_extractor = parts["feature_extractor"]
        self.image_processor = parts["image_processor"]
        self.modelcard = modelcard
        self.binary_output = binary_output
        self.torch_dtype = torch_dtype if dtype is None else dtype
        self._check_model()
        if device is not None:
            self.model.to(device_name(device))
        for_task = getattr(model.config, "task_specific_params", None) or {}
        if task in for_task:
            model.config.update(for_task[task])
        self._batch_size = check_batch_size(1 if batch_size is None else batch_size)
        self._progress = progress
        self._preprocess_params, self._forward_params, self._postprocess_params = self._sanitize_parameters(**kwargs)

    # -- what a task defines ------------------------------------------------------------------------------------------

    def _sanitize_parameters(self, **pipeline_parameters) -> tuple[dict, dict, dict]:
        """Sort keyword arguments of the constructor or a call: (for preprocess, for _forward, for postprocess).

        What the caller did not give stays out, so that defaults stand in the signatures of those three.
        """
        raise NotImplementedError(f"{type(self).__name__} has no _sanitize_parameters")

    def preprocess(self, input_, **preprocess_parameters) -> dict:
        """One input -> the model's inputs, NumPy arrays of the shape (1, …), and whatever postprocess needs."""
        raise NotImplementedError(f"{type(self).__name__} has no preprocess")

    def _forward(self, model_inputs: dict, **forward_parameters):
        """A batch through the model -> a ModelOutput or a dictionary."""
        raise NotImplementedError(f"{type(self).__name__} has no _forward")

    def postprocess(self, model_outputs, **postprocess_parameters):
        """What _forward returned, for one input and in host memory -> the result."""
        raise NotImplementedError(f"{type(self).__name__} has no postprocess")

    # -- calling ------------------------------------------------------------------------------------------------------

    def __call__(self, inputs, *args, batch_size=None, num_workers=None, progress=None, **kwargs):
        """One input -> its result; a list -> a list of results; a generator or dataset -> results one at a time.

        A dataset is whatever can be iterated over, or has a length and gives items by index. Its results come as a
        `LazyResults`: nothing is read before a result is asked for.
        """
        if args:
            logger.warning("%s ignores the positional arguments %s", type(self).__name__, args)
        preprocess, forward, postprocess = self._sanitize_parameters(**kwargs)
        parameters = (
            {**self._preprocess_params, **preprocess},
            {**self._forward_params, **forward},
            {**self._postprocess_params, **postprocess},
        )
        batch_size = self._batch_size if batch_size is None else check_batch_size(batch_size)
        progress = self._progress if progress is None else progress
        if isinstance(inputs, list):
            return list(LazyResults(self._results(inputs, batch_size, *parameters), len(inputs), progress))
        if is_dataset(inputs):
            count = len(inputs) if hasattr(inputs, "__len__") else None
            return LazyResults(self._results(items_of(inputs), batch_size, *parameters), count, progress)
        return next(self._results([inputs], batch_size, *parameters))

    def transform(self, X):
        """The same as calling the pipeline (scikit-learn's name for it)."""
        return self(X)

    predict = transform

    def _results(self, inputs: Iterable, batch_size: int, preprocess, forward, postprocess) -> Iterator:
        """The result of each input, in order. A batch may hold parts of several inputs, or one part of an input."""
        batch: list[tuple[dict, bool]] = []  # (model inputs, whether they are the last part of their input)
        parts: list = []  # what the model returned for the input that is not complete yet

        def run_batch():
            outputs = self._run([model_inputs for model_inputs, _ in batch], forward)
            for output, (_, is_last) in zip(outputs, batch):
                parts.append(output)
                if is_last:
                    yield self._finish(list(parts), postprocess)
                    parts.clear()
            batch.clear()

        for input_ in inputs:
            cut_up = self._parts(input_, preprocess)
            for number, model_inputs in enumerate(cut_up, start=1):
                batch.append((model_inputs, number == len(cut_up)))
                if len(batch) == batch_size:
                    yield from run_batch()
        if batch:
            yield from run_batch()

    def _parts(self, input_, preprocess: dict) -> list[dict]:
        """What the model has to see of one input: here all of it at once."""
        return [self.preprocess(input_, **preprocess)]

    def _finish(self, outputs: list, postprocess: dict):
        return self.postprocess(outputs[0], **postprocess)

    def _run(self, rows: list[dict], forward: dict) -> list:
        if len(rows) == 1:
            return [self.forward(dict(rows[0]), **forward)]
        return split(self.forward(join(rows, self.tokenizer, self.padding_side), **forward), len(rows))

    def forward(self, model_inputs: dict, **forward_params):
        """`_forward` on the model's device, in evaluation mode, nothing kept for a backward; results in host memory."""
        with self.device_placement(), inference_mode(), evaluation_mode(self.model):
            outputs = self._forward(self.ensure_on_device(model_inputs), **forward_params)
        return on_host(outputs)

    # -- devices ------------------------------------------------------------------------------------------------------

    @property
    def device(self) -> str:
        """Where the model is: "cpu" or "cuda:0"."""
        return self.model.device

    def device_placement(self):
        """A context in which new arrays are made on the model's GPU; for a model in host memory it does nothing."""
        weight = next(self.model.parameters()).data
        xp = array_module(weight)
        return nullcontext() if xp is np else xp.cuda.Device(weight.device.id)

    def ensure_on_device(self, value):
        """Arrays, alone or in dictionaries, lists and tuples, moved to where the model is; all else as it is."""
        return _map_arrays(value, lambda array: to_device(array, self.device))

    # -- files and checks ---------------------------------------------------------------------------------------------

    def save_pretrained(self, save_directory, safe_serialization: bool = True) -> None:
        """Write the model and what prepares its inputs into a folder: all that `pipeline(task, model=folder)` needs."""
        if not safe_serialization:
            raise ValueError("safe_serialization=False is not supported: weights are written as safetensors")
        self.model.save_pretrained(save_directory)
        for part in (self.tokenizer, self.feature_extractor, self.image_processor):
            if part is not None:
                part.save_pretrained(save_directory)

    def _check_model(self) -> None:
        """A model that is known to be for another task is refused; a class of the caller's own is left to try."""
        own_tasks = PIPELINE_REGISTRY.tasks_with(type(self))
        fitting = PIPELINE_REGISTRY.tasks_for(type(self.model).__name__)
        if own_tasks and fitting and not set(own_tasks) & set(fitting) and not self.accepts_any_model:
            auto_class = PIPELINE_REGISTRY.tasks[own_tasks[0]].model_class().__name__
            raise ValueError(
                f"{type(self.model).__name__} is a model for {fitting[0]}, not for {own_tasks[0]}; load the "
                f"checkpoint with {auto_class}.from_pretrained"
            )

    def check_text(self, text) -> None:
        """One text, as the caller passed it."""
        if not isinstance(text, str):
            raise ValueError(
                f"{self.task or type(self).__name__} got {type(text).__name__} ({str(text)[:40]}) where a text (str) "
                "was expected; for several texts pass a list of str"
            )

    def __repr__(self):
        return f"{type(self).__name__}(task={self.task!r}, model={type(self.model).__name__}, device={self.device!r})"


class ChunkPipeline(Pipeline):
    """A pipeline whose inputs may be too long for the model: `preprocess` yields them in parts.

    `postprocess` gets the list of what the model returned for all parts of one input.
    """

    def _parts(self, input_, preprocess: dict) -> list[dict]:
        parts = list(self.preprocess(input_, **preprocess))
        if not parts:
            raise ValueError(f"{type(self).__name__}.preprocess yielded nothing for {str(input_)[:40]!r}")
        return parts

    def _finish(self, outputs: list, postprocess: dict):
        return self.postprocess(outputs, **postprocess)


class LazyResults:
    """Results one at a time, each computed when it is asked for. Knows its length if the inputs did, for tqdm."""

    def __init__(self, results: Iterator, count: int | None, progress: bool = False):
        self._count = count
        if progress:
            results = iter(tqdm(results, total=count))
        self._results = results

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._results)

    def __len__(self) -> int:
        if self._count is None:
            raise TypeError("the number of results is not known: the inputs came from a generator")
        return self._count


def is_dataset(inputs) -> bool:
    """True for what is to be read item by item: not for one text, dictionary, array, tuple or open file."""
    if isinstance(inputs, (str, bytes, bytearray, memoryview, tuple, Mapping, np.ndarray)):
        return False
    if callable(getattr(inputs, "read", None)):
        return False
    return hasattr(inputs, "__iter__") or (hasattr(inputs, "__len__") and hasattr(inputs, "__getitem__"))


def items_of(dataset) -> Iterator:
    if hasattr(dataset, "__iter__"):
        return iter(dataset)
    return (dataset[index] for index in range(len(dataset)))


def parts_by_name(pipeline_class: type, tokenizer, image_processor, feature_extractor) -> dict:
    """What prepares a model's inputs, by the names of PARTS."""
    needs = pipeline_class.needs
    if image_processor is None and "image_processor" in needs and "feature_extractor" not in needs:
        # Image processors were called feature extractors before they had a name of their own.
        image_processor, feature_extractor = feature_extractor, None
    return {"tokenizer": tokenizer, "image_processor": image_processor, "feature_extractor": feature_extractor}


def check_batch_size(batch_size: int) -> int:
    if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise ValueError(f"batch_size is {batch_size!r}; expected a whole number from 1 on")
    return int(batch_size)


def check_framework(framework: str | None) -> str:
    if framework not in (None, "np", "numpy"):
        raise ValueError(
            f"framework={framework!r} is not what edutransformers computes with, which is NumPy (and CuPy on a GPU); "
            "leave framework out"
        )
    return "np"


def device_name(device) -> str:
    """ "cpu" or "cuda:1" for what the original takes: a name, a GPU's number, -1 for the CPU, a torch.device."""
    if isinstance(device, (int, np.integer)) and not isinstance(device, bool):
        return "cpu" if device < 0 else f"cuda:{device}"
    name = str(device)
    if name in ("cpu", "cuda") or (name.startswith("cuda:") and name[5:].isdigit()):
        return name
    raise ValueError(
        f"device is {device!r}; expected 'cpu' (or -1), 'cuda', or the number of a GPU such as 'cuda:0' or 0"
    )


@contextmanager
def evaluation_mode(model: Module):
    """Inside this block dropout passes everything on, whatever mode the model is in; afterwards it is in that again."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def on_host(value):
    """The same, with all arrays in host memory, and those of half precision as float32."""
    return _map_arrays(value, _as_host_array)


def _as_host_array(array) -> np.ndarray:
    array = to_numpy(array)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _map_arrays(value, change):
    if isinstance(value, ModelOutput):
        return map_output(value, lambda inner: _map_arrays(inner, change))
    if isinstance(value, Mapping):
        return {key: _map_arrays(inner, change) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_map_arrays(inner, change) for inner in value)
    is_array = hasattr(value, "dtype") and hasattr(value, "shape")
    return change(value) if is_array else value

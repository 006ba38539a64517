"""Processors: what a model of several kinds of input needs before it, as one object that is read and saved as one.

    Wav2Vec2Processor = feature extractor (sound -> input_values) + tokenizer (text -> labels, and back)

Each part has its own files, so a processor has none but a line that names it: "processor_class".
"""

from __future__ import annotations

import inspect
import os
from importlib import import_module

from .checkpoints.resolve import split_hub_arguments
from .checkpoints.sharing import PushToHub, check_not_pushed
from .preprocessor import Preprocessor

# part -> the name under which a call's arguments for it alone are given
OWN_ARGUMENTS = {"feature_extractor": "audio_kwargs", "image_processor": "images_kwargs", "tokenizer": "text_kwargs"}
AUTO_CLASS = {
    "feature_extractor": "AutoFeatureExtractor",
    "image_processor": "AutoImageProcessor",
    "tokenizer": "AutoTokenizer",
}


class Processor(PushToHub):
    """Base of processors. A subclass says in `attributes` which parts it has, and in `__call__` what they get.

    The parts are attributes of these names: `processor.tokenizer`.
    """

    attributes: tuple[str, ...]  # of AUTO_CLASS's names, in the order of the constructor's arguments

    def __init__(self, *parts, **named):
        if len(parts) > len(self.attributes) or set(named) - set(self.attributes[len(parts) :]):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self.attributes)}")
        named = {**dict(zip(self.attributes, parts)), **named}
        for name in self.attributes:
            self._check_part(name, named.get(name))
            setattr(self, name, named[name])

    def _check_part(self, name: str, part) -> None:
        is_tokenizer = hasattr(part, "convert_ids_to_tokens")
        fits = is_tokenizer if name == "tokenizer" else isinstance(part, Preprocessor) and part.kind == name
        if not fits:
            found = "nothing" if part is None else type(part).__name__
            raise ValueError(
                f"{type(self).__name__} got {found} as its {name}; expected what {AUTO_CLASS[name]} returns"
            )

    # -- files --------------------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs):
        """Read the parts of a checkpoint (name or folder). Keyword arguments replace settings of the parts.

        Raises OSError when the checkpoint lacks a part.
        """
        auto = import_module(".auto", __package__)
        hub, settings = split_hub_arguments(kwargs)
        parts = {}
        for name in sorted(cls.attributes, key=lambda name: name == "tokenizer"):  # that one keeps what it doesn't know
            from_pretrained = getattr(auto, AUTO_CLASS[name]).from_pretrained
            if name == "tokenizer":
                parts[name] = from_pretrained(pretrained_model_name_or_path, **hub, **settings)
                continue
            parts[name], settings = from_pretrained(
                pretrained_model_name_or_path, return_unused_kwargs=True, **hub, **settings
            )
        return cls(**parts)

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs) -> None:
        """Write all parts into a folder, which is made if need be; AutoProcessor finds this class there again."""
        check_not_pushed(push_to_hub)
        for name in self.attributes:
            part = getattr(self, name)
            if isinstance(part, Preprocessor):
                part._processor_class = type(self).__name__
            part.save_pretrained(save_directory)

    # -- calls --------------------------------------------------------------------------------------------------------

    def _split(self, arguments: dict, method: str = "__call__") -> dict[str, dict]:
        """{part: the arguments for it}: each gets those that its method knows, and those given for it alone.

        `processor(…, padding=True, text_kwargs={"max_length": 20})`. `common_kwargs` are for all, as if given directly.
        Raises TypeError for one that no part knows, ValueError for one that is given twice.
        """
        own = {name: arguments.pop(OWN_ARGUMENTS[name], None) or {} for name in self.attributes}
        common = {**(arguments.pop("common_kwargs", None) or {}), **arguments}
        known = {name: inspect.signature(getattr(getattr(self, name), method)).parameters for name in self.attributes}
        for argument in common:
            if not any(argument in names for names in known.values()):
                raise TypeError(f"{type(self).__name__} got an unknown argument {argument!r}")
            for name in self.attributes:
                if argument in own[name]:
                    raise ValueError(f"{argument} is given twice: in {OWN_ARGUMENTS[name]}, and for all parts")
        return {
            name: {**{key: value for key, value in common.items() if key in known[name]}, **own[name]}
            for name in self.attributes
        }

    def batch_decode(self, *args, **kwargs):
        """The tokenizer's `batch_decode`: ids of several rows -> texts."""
        return self.tokenizer.batch_decode(*args, **kwargs)

    def decode(self, *args, **kwargs):
        """The tokenizer's `decode`: ids of one row -> text."""
        return self.tokenizer.decode(*args, **kwargs)

    @property
    def model_input_names(self) -> list[str]:
        """The inputs of the model that a call gives."""
        names = [name for part in self.attributes for name in getattr(self, part).model_input_names]
        return list(dict.fromkeys(names))

    def __repr__(self):
        parts = "\n".join(f"- {name}: {getattr(self, name)!r}" for name in self.attributes)
        return f"{type(self).__name__}:\n{parts}"

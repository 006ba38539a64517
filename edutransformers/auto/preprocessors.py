"""AutoImageProcessor, AutoFeatureExtractor, AutoProcessor: what makes a model's input of pictures, sound, or both."""

from __future__ import annotations

from importlib import import_module

from ..checkpoints import CheckpointNotFoundError, read_config_dict, resolve_file
from ..checkpoints.config_file import read_json
from ..checkpoints.resolve import split_hub_arguments
from ..models.configuration import PretrainedConfig
from ..preprocessor import PREPROCESSOR_FILE, PROCESSOR_FILE, read_preprocessor
from .architectures import PACKAGE, NotBuilt, registered_classes
from .tokenizers import AutoTokenizer

# class -> the module it lives in
IMAGE_PROCESSORS = {"ViTImageProcessor": "images.vit"}
FEATURE_EXTRACTORS = {"Wav2Vec2FeatureExtractor": "audio.wav2vec2"}
PROCESSORS = {"Wav2Vec2Processor": "audio.wav2vec2_processor"}

# model type -> the class its checkpoints come with, where their files don't say it
_LIKE_VIT = ("clipseg", "dinat", "mgp-str", "nat", "swiftformer", "swin", "swinv2", "vit", "vit_mae", "vit_msn")
_LIKE_WAV2VEC2 = ("hubert", "sew", "sew-d", "unispeech", "unispeech-sat", "wav2vec2", "wav2vec2-conformer", "wavlm")
IMAGE_PROCESSOR_OF = dict.fromkeys(_LIKE_VIT, "ViTImageProcessor")
FEATURE_EXTRACTOR_OF = dict.fromkeys((*_LIKE_WAV2VEC2, "data2vec-audio"), "Wav2Vec2FeatureExtractor")
PROCESSOR_OF = dict.fromkeys(_LIKE_WAV2VEC2, "Wav2Vec2Processor")


class _AutoPreprocessor(NotBuilt):
    """What these do alike: ask the files for the class's name, then the model type, and let the class load."""

    _modules: dict[str, str]  # class -> the module it lives in
    _class_of: dict[str, str]  # model type -> class

    @classmethod
    def register(cls, config_class: type, preprocessor_class: type, exist_ok: bool = False) -> None:
        """Let this Auto class return `preprocessor_class` for checkpoints whose config is a `config_class`."""
        taken = (cls.__name__, config_class) in registered_classes or config_class.model_type in cls._class_of
        if taken and not exist_ok:
            raise ValueError(
                f"{cls.__name__} already has a class for {config_class.__name__}; to replace it pass exist_ok=True"
            )
        registered_classes[cls.__name__, config_class] = preprocessor_class

    @classmethod
    def _registered(cls) -> list[tuple[type, type]]:
        return [(config, value) for (kind, config), value in registered_classes.items() if kind == cls.__name__]

    @classmethod
    def _named(cls, class_name: str) -> type:
        for _, value in cls._registered():
            if value.__name__ == class_name:
                return value
        if class_name not in cls._modules:
            known = [*cls._modules, *(value.__name__ for _, value in cls._registered())]
            raise ValueError(
                f"{cls.__name__}: the class {class_name!r} does not exist here; those that do: {', '.join(known)}"
            )
        return getattr(import_module(f"{PACKAGE}.{cls._modules[class_name]}"), class_name)

    @classmethod
    def _by_model_type(cls, name, config, hub: dict) -> type | None:
        """The class by the model type of a config, or of the checkpoint's config.json; None when neither says it."""
        if isinstance(config, PretrainedConfig):
            model_type = config.model_type
        else:
            try:
                model_type = read_config_dict(name if config is None else config, **hub)[0].get("model_type")
            except CheckpointNotFoundError:
                return None
        for config_class, value in cls._registered():
            if config_class.model_type == model_type:
                return value
        return cls._named(cls._class_of[model_type]) if model_type in cls._class_of else None


class _AutoOfOneKind(_AutoPreprocessor):
    """An Auto class for the classes of one kind, whose settings stand in preprocessor_config.json."""

    _kind: str  # "image_processor" or "feature_extractor"

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs):
        """The one that preprocessor_config.json names, else that of the model type; keyword arguments replace settings.

        Raises OSError when the checkpoint has no such file, ValueError when its class doesn't exist here.
        """
        name = pretrained_model_name_or_path
        config = kwargs.pop("config", None)
        kwargs.pop("code_revision", None)
        kwargs.pop("use_fast", None)  # there is one kind
        hub, _ = split_hub_arguments(kwargs)
        settings = read_preprocessor(name, cls._kind, **hub)
        class_name = cls._class_name(settings)
        found = cls._by_model_type(name, config, hub) if class_name is None else cls._named(class_name)
        if found is None:
            raise ValueError(
                f"{name}: neither its {PREPROCESSOR_FILE} ({cls._kind}_type) nor the model type in its config.json "
                f"says which {cls._kind.replace('_', ' ')} it needs; {cls.__name__} knows the model types "
                f"{', '.join(sorted(cls._class_of))}"
            )
        return found.from_pretrained(name, **kwargs)

    @classmethod
    def _class_name(cls, settings: dict) -> str | None:
        return settings.get(f"{cls._kind}_type")


class AutoImageProcessor(_AutoOfOneKind):
    """The image processor of a checkpoint: `AutoImageProcessor.from_pretrained(name)`."""

    _kind = "image_processor"
    _modules = IMAGE_PROCESSORS
    _class_of = IMAGE_PROCESSOR_OF

    @classmethod
    def _class_name(cls, settings: dict) -> str | None:
        """Files older than image processors name a feature extractor; newer ones add how it is built."""
        name = settings.get("image_processor_type")
        if name is None:
            name = settings.get("feature_extractor_type")
            return None if name is None else name.replace("FeatureExtractor", "ImageProcessor")
        return name.removesuffix("Fast").removesuffix("Pil")


class AutoFeatureExtractor(_AutoOfOneKind):
    """The feature extractor of a checkpoint: `AutoFeatureExtractor.from_pretrained(name)`."""

    _kind = "feature_extractor"
    _modules = FEATURE_EXTRACTORS
    _class_of = FEATURE_EXTRACTOR_OF


class AutoProcessor(_AutoPreprocessor):
    """All that a checkpoint needs before its model: `AutoProcessor.from_pretrained(name)`.

    A processor for a model that takes two kinds of input (sound and text); for others what they have: a tokenizer, an
    image processor or a feature extractor.
    """

    _modules = PROCESSORS
    _class_of = PROCESSOR_OF

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs):
        """The processor that the files name as `processor_class`, else that of the model type, else what there is."""
        name = pretrained_model_name_or_path
        config = kwargs.pop("config", None)
        kwargs.pop("code_revision", None)
        hub, _ = split_hub_arguments(kwargs)
        for filename in (PROCESSOR_FILE, PREPROCESSOR_FILE, "tokenizer_config.json"):
            path = resolve_file(name, filename, **hub)
            class_name = None if path is None else read_json(path).get("processor_class")
            if class_name is not None:
                return cls._named(class_name).from_pretrained(name, **kwargs)
        found = cls._by_model_type(name, config, hub)
        if found is not None:
            return found.from_pretrained(name, **kwargs)
        reasons = []
        for kind in (AutoTokenizer, AutoImageProcessor, AutoFeatureExtractor):
            try:
                return kind.from_pretrained(name, **kwargs)
            except (ValueError, OSError) as error:
                reasons.append(f"{kind.__name__}: {error}")
        raise ValueError(
            f"{name} has no processor, tokenizer, image processor or feature extractor that exists here "
            f"({'; '.join(reasons)})"
        )

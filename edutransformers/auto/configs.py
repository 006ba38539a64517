"""AutoConfig: the config of a checkpoint, whatever its architecture."""

from __future__ import annotations

from ..checkpoints import load_config, read_config_dict
from .architectures import NotBuilt, config_class_for, config_class_of, model_types, registered_configs, unknown_type


class AutoConfig(NotBuilt):
    """The config of a checkpoint, whatever its architecture: `AutoConfig.from_pretrained(name)`."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs):
        """Read config.json and return the config of its `model_type`; keyword arguments replace its fields.

        With `return_unused_kwargs=True` returns (config, those arguments that are no field). Raises ValueError for a
        model type that doesn't exist here, OSError when there is no config.json.
        """
        name = pretrained_model_name_or_path
        kwargs.pop("code_revision", None)
        fields, _ = read_config_dict(name, **kwargs)
        return load_config(config_class_of(fields, name), name, **kwargs)

    @classmethod
    def for_model(cls, model_type: str, *args, **kwargs):
        """A new config by model type: `AutoConfig.for_model("bert", num_hidden_layers=2)`."""
        config_class = config_class_for(model_type)
        if config_class is None:
            raise ValueError(unknown_type(repr(model_type)))
        return config_class(*args, **kwargs)

    @classmethod
    def register(cls, model_type: str, config: type, exist_ok: bool = False) -> None:
        """Let AutoConfig return `config` for checkpoints of this model type."""
        if getattr(config, "model_type", None) != model_type:
            raise ValueError(
                f"{config.__name__}.model_type is {getattr(config, 'model_type', None)!r}, but it is registered as "
                f"{model_type!r}; they must be the same"
            )
        if model_type in model_types() and not exist_ok:
            raise ValueError(f"the model type {model_type!r} exists already; to replace it pass exist_ok=True")
        registered_configs[model_type] = config

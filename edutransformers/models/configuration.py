"""PretrainedConfig: what there is to know about a model besides its weights, as in the original's config.json."""

from __future__ import annotations

import copy
import json

from ..logging import get_logger

logger = get_logger(__name__)

# What the original writes into a config for bookkeeping. It has no influence on the numbers.
_NOT_COMPARED = ("transformers_version", "_name_or_path", "_commit_hash", "_attn_implementation", "dtype")


class PretrainedConfig:
    """A model's hyperparameters as attributes. Subclasses name theirs, with the original's names and defaults.

    Unknown keyword arguments become attributes too, so a config.json of any version keeps all its fields when it is
    read and saved again. `attribute_map` gives fields a second name (GPT-2's `n_embd` is also `hidden_size`).
    """

    model_type: str = ""
    attribute_map: dict[str, str] = {}

    def __init__(self, **kwargs):
        self.output_hidden_states: bool = kwargs.pop("output_hidden_states", False)
        self.output_attentions: bool = kwargs.pop("output_attentions", False)
        dtype, torch_dtype = kwargs.pop("dtype", None), kwargs.pop("torch_dtype", None)  # 5.x's name, and 4.x's
        self.torch_dtype = torch_dtype if dtype is None else dtype
        self.tie_word_embeddings: bool = kwargs.pop("tie_word_embeddings", True)
        self.chunk_size_feed_forward: int = kwargs.pop("chunk_size_feed_forward", 0)
        self.is_encoder_decoder: bool = kwargs.pop("is_encoder_decoder", False)
        self.is_decoder: bool = kwargs.pop("is_decoder", False)
        self.add_cross_attention: bool = kwargs.pop("add_cross_attention", False)
        self.architectures: list[str] | None = kwargs.pop("architectures", None)
        self.problem_type: str | None = kwargs.pop("problem_type", None)
        self.bos_token_id: int | None = kwargs.pop("bos_token_id", None)
        self.eos_token_id: int | None = kwargs.pop("eos_token_id", None)
        self.pad_token_id: int | None = kwargs.pop("pad_token_id", None)
        self.sep_token_id: int | None = kwargs.pop("sep_token_id", None)
        self.decoder_start_token_id: int | None = kwargs.pop("decoder_start_token_id", None)
        self.name_or_path: str = kwargs.pop("name_or_path", kwargs.pop("_name_or_path", ""))

        self._set_labels(kwargs.pop("num_labels", None), kwargs.pop("id2label", None), kwargs.pop("label2id", None))

        allowed = ("regression", "single_label_classification", "multi_label_classification")
        if self.problem_type is not None and self.problem_type not in allowed:
            raise ValueError(f"problem_type is {self.problem_type!r}: expected one of {', '.join(allowed)}")
        for name in ("model_type", "transformers_version", "_commit_hash", "_attn_implementation_autoset"):
            kwargs.pop(name, None)
        for name, value in kwargs.items():
            setattr(self, name, value)

    def _set_labels(self, num_labels: int | None, id2label: dict | None, label2id: dict | None) -> None:
        """The original's (5.x) rule: names that there are not `num_labels` of, or none, become LABEL_0, LABEL_1, …"""
        for name, labels in (("id2label", id2label), ("label2id", label2id)):
            if labels is not None and not isinstance(labels, dict):
                raise ValueError(f"{name} is {labels!r}: expected a dictionary")
        if id2label is not None and num_labels not in (None, len(id2label)):
            logger.warning("num_labels is %s, but id2label names %s labels: ignored", num_labels, len(id2label))
            id2label = None
        if id2label is None:
            self.num_labels = 2 if num_labels is None else num_labels
            return
        self.id2label = {int(key): value for key, value in id2label.items()}  # JSON makes the keys strings
        self.label2id = {label: i for i, label in self.id2label.items()} if label2id is None else dict(label2id)

    # -- names --------------------------------------------------------------------------------------------------------

    def __setattr__(self, name, value):
        super().__setattr__(type(self).attribute_map.get(name, name), value)

    def __getattr__(self, name):  # only called for what is not found directly
        other = type(self).attribute_map.get(name)
        if other is None:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}")
        return getattr(self, other)

    @property
    def num_labels(self) -> int:
        return len(self.id2label)

    @num_labels.setter
    def num_labels(self, count: int):
        if "id2label" not in self.__dict__ or len(self.id2label) != count:
            self.id2label = {index: f"LABEL_{index}" for index in range(count)}
            self.label2id = {label: index for index, label in self.id2label.items()}

    @property
    def dtype(self):
        """The number type of the checkpoint's weights: 5.x's name for `torch_dtype`."""
        return self.torch_dtype

    @dtype.setter
    def dtype(self, value):
        self.torch_dtype = value

    # -- as a dictionary ----------------------------------------------------------------------------------------------

    def to_dict(self) -> dict:
        """All fields, as JSON can hold them."""
        fields = copy.deepcopy(self.__dict__)
        fields["model_type"] = self.model_type
        fields["_name_or_path"] = fields.pop("name_or_path", "")
        if fields.get("torch_dtype") is not None:
            fields["torch_dtype"] = str(fields["torch_dtype"]).replace("torch.", "")
        return fields

    def to_diff_dict(self) -> dict:
        """What config.json holds: all fields but those that every model has and that are at their default.

        The model's own fields are kept even at their defaults, as the original does: a reader need not know those.
        """
        own, common, default = self.to_dict(), PretrainedConfig().to_dict(), type(self)().to_dict()
        return {k: v for k, v in own.items() if k not in common or v != common[k] or v != default.get(k, v)}

    def to_json_string(self, use_diff: bool = True) -> str:
        fields = self.to_diff_dict() if use_diff else self.to_dict()
        return json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, fields: dict, **overrides) -> PretrainedConfig:
        """A config from a dictionary, as config.json holds it; `overrides` then replace fields.

        So `num_labels=3` replaces the labels that the dictionary names by LABEL_0, LABEL_1 and LABEL_2.
        """
        count, names = overrides.get("num_labels"), overrides.get("id2label")
        if count is not None and names is not None and count != len(names):
            raise ValueError(f"num_labels is {count}, but id2label names {len(names)} labels; pass only one of them")
        config = cls(**fields)
        config.update(overrides)
        return config

    def update(self, fields: dict) -> None:
        for name, value in fields.items():
            setattr(self, name, value)

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        mine, theirs = self.to_dict(), other.to_dict()
        return {k: v for k, v in mine.items() if k not in _NOT_COMPARED} == {
            k: v for k, v in theirs.items() if k not in _NOT_COMPARED
        }

    __hash__ = None

    def __repr__(self):
        return f"{type(self).__name__} {self.to_json_string().rstrip()}"

    # -- files: the doors to checkpoints/, which does the work --------------------------------------------------------

    @classmethod
    def from_pretrained(cls, name: str, **kwargs):
        """Read config.json of a folder, a cached or hub repository, or a shipped checkpoint."""
        from ..checkpoints.load import load_config

        return load_config(cls, name, **kwargs)

    def save_pretrained(self, folder, **kwargs) -> None:
        """Write config.json into a folder."""
        from ..checkpoints.load import save_config

        save_config(self, folder, **kwargs)

    def push_to_hub(self, repo_id: str, **options) -> str:
        """Upload what `save_pretrained` writes to a repository of the hub; see `checkpoints.push_to_hub`."""
        from ..checkpoints.sharing import push_to_hub

        return push_to_hub(self, repo_id, **options)

"""PretrainedConfig: what there is to know about a model besides its weights, as in the original's config.json."""

from __future__ import annotations

import copy
import json

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
        self.torch_dtype = kwargs.pop("torch_dtype", kwargs.pop("dtype", None))  # 4.x and 5.x call it differently
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

        id2label, label2id = kwargs.pop("id2label", None), kwargs.pop("label2id", None)
        num_labels = kwargs.pop("num_labels", None)
        if id2label is None:
            self.num_labels = 2 if num_labels is None else num_labels
        else:
            self.id2label = {int(key): value for key, value in id2label.items()}
            self.label2id = label2id
            if num_labels is not None and num_labels != len(self.id2label):
                self.num_labels = num_labels
        if label2id is not None:
            self.label2id = dict(label2id)
        elif getattr(self, "label2id", None) is None:
            self.label2id = {label: index for index, label in self.id2label.items()}

        allowed = ("regression", "single_label_classification", "multi_label_classification")
        if self.problem_type is not None and self.problem_type not in allowed:
            raise ValueError(f"problem_type is {self.problem_type!r}: expected one of {', '.join(allowed)}")
        for name in ("model_type", "transformers_version", "_commit_hash", "_attn_implementation_autoset"):
            kwargs.pop(name, None)
        for name, value in kwargs.items():
            setattr(self, name, value)

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
        """The fields that differ from a fresh config's, and the model type: what config.json holds."""
        own, default = self.to_dict(), type(self)().to_dict()
        keep_always = ("model_type", "architectures")
        return {k: v for k, v in own.items() if k in keep_always or k not in default or v != default[k]}

    def to_json_string(self, use_diff: bool = True) -> str:
        fields = self.to_diff_dict() if use_diff else self.to_dict()
        return json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, fields: dict, **overrides) -> PretrainedConfig:
        return cls(**{**fields, **overrides})

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

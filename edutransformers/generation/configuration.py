"""GenerationConfig: how a text is written, as in the original's generation_config.json."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np

from ..logging import get_logger

logger = get_logger(__name__)

DEFAULTS = {
    # length
    "max_length": 20,  # prompt included
    "max_new_tokens": None,
    "min_length": 0,
    "min_new_tokens": None,
    "early_stopping": False,
    "max_time": None,
    # the way
    "do_sample": False,
    "num_beams": 1,
    "use_cache": True,
    # odds
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "min_p": None,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    # rules
    "repetition_penalty": 1.0,
    "length_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "bad_words_ids": None,
    "sequence_bias": None,
    "renormalize_logits": False,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "forced_decoder_ids": None,
    "remove_invalid_values": False,
    "exponential_decay_length_penalty": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    # what comes back
    "num_return_sequences": 1,
    "output_attentions": False,
    "output_hidden_states": False,
    "output_scores": False,
    "output_logits": False,
    "return_dict_in_generate": False,
    # special tokens
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
    "decoder_start_token_id": None,
}
# What the original has and this library doesn't (yet), with the value at which it does nothing.
NOT_BUILT = {
    "num_beam_groups": 1,
    "penalty_alpha": None,
    "diversity_penalty": 0.0,
    "encoder_repetition_penalty": 1.0,
    "encoder_no_repeat_ngram_size": 0,
    "force_words_ids": None,
    "constraints": None,
    "guidance_scale": None,
    "assistant_model": None,
}
OF_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")
FILE = "generation_config.json"


class GenerationConfig:
    """The settings of `generate`, by the original's names and with its defaults.

    max_length, max_new_tokens   tokens at most: with the prompt, or without it (which outranks the former)
    min_length, min_new_tokens   no end before so many
    do_sample                    draw words at random: `temperature`, `top_k`, `top_p`, `min_p`, `typical_p`,
                                 `epsilon_cutoff`, `eta_cutoff` say from which
    num_beams                    follow so many texts at once, and return the best: `length_penalty` (above 0 favours
                                 long ones), `early_stopping` (True: when there are num_beams finished ones; False: when
                                 a better one is unlikely; "never": when it is impossible)
    num_return_sequences         so many texts for each prompt
    repetition_penalty, no_repeat_ngram_size, bad_words_ids, sequence_bias, suppress_tokens, begin_suppress_tokens,
    forced_bos_token_id, forced_eos_token_id, forced_decoder_ids, exponential_decay_length_penalty,
    remove_invalid_values, renormalize_logits     rules: see logits_process.py

    Fields that it doesn't know are kept, and written back by `save_pretrained`.
    """

    def __init__(self, **fields):
        for name, default in DEFAULTS.items():
            setattr(self, name, copy.copy(fields.pop(name, default)))
        for name in ("transformers_version", "_from_model_config"):
            fields.pop(name, None)
        for name, value in fields.items():
            setattr(self, name, value)
        self.validate()

    def validate(self) -> None:
        """Raises ValueError for settings that contradict each other or ask for what is not built."""
        for name, harmless in NOT_BUILT.items():
            value = getattr(self, name, harmless)
            if value not in (harmless, None):
                raise ValueError(f"{name} is {value!r}, but edutransformers' generate can't do that yet")
        for name in ("num_beams", "num_return_sequences"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}, expected a whole number of 1 or more")
        if self.early_stopping not in (True, False, "never"):
            raise ValueError(f"early_stopping is {self.early_stopping!r}, expected True, False or 'never'")
        for name in ("max_length", "max_new_tokens"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, (int, np.integer)) or value < 1):
                raise ValueError(f"{name} is {value!r}, expected a whole number of 1 or more")
        if self.num_return_sequences > self.num_beams and (self.num_beams > 1 or not self.do_sample):
            way = f"{self.num_beams} beams give" if self.num_beams > 1 else "greedy search gives"
            raise ValueError(
                f"num_return_sequences is {self.num_return_sequences}, but {way} only {self.num_beams}; set "
                "num_beams to at least as many, or do_sample=True"
            )

    def contradictions(self) -> list[str]:
        """A sentence for each setting that has no effect beside the others. `max_length` is the one that counts."""

        def changed(names) -> list[str]:
            return [f"{name}={getattr(self, name)!r}" for name in names if getattr(self, name) != DEFAULTS[name]]

        found = []
        if not self.do_sample and (useless := changed(OF_SAMPLING)):
            found.append(f"{', '.join(useless)}: only for sampling, so of no effect here; set do_sample=True")
        if self.num_beams == 1 and (useless := changed(("length_penalty", "early_stopping"))):
            found.append(f"{', '.join(useless)}: only for beam search, so of no effect here; set num_beams")
        if self.min_length and self.min_length > self.max_length:
            found.append(
                f"min_length is {self.min_length}, but the text ends at {self.max_length} tokens, prompt included; "
                "raise max_length or max_new_tokens"
            )
        if self.min_new_tokens and self.max_new_tokens and self.min_new_tokens > self.max_new_tokens:
            found.append(
                f"min_new_tokens is {self.min_new_tokens}, but the text ends after max_new_tokens, "
                f"{self.max_new_tokens}"
            )
        return found

    @property
    def ends(self) -> list[int]:
        """The end tokens as a list."""
        eos = self.eos_token_id
        return [] if eos is None else [eos] if isinstance(eos, int) else list(eos)

    def update(self, **fields) -> dict:
        """Set the fields that it has; returns those that it doesn't have."""
        rest = {}
        for name, value in fields.items():
            if name in DEFAULTS or name in NOT_BUILT or hasattr(self, name):
                setattr(self, name, value)
            else:
                rest[name] = value
        return rest

    def copy(self) -> GenerationConfig:
        return copy.deepcopy(self)

    # -- files --------------------------------------------------------------------------------------------------------

    @classmethod
    def from_model_config(cls, config) -> GenerationConfig:
        """What a model's config says of it: special tokens, and settings that old checkpoints keep there."""
        known = {name: value for name in DEFAULTS if (value := getattr(config, name, None)) is not None}
        for name in ("output_attentions", "output_hidden_states", "use_cache"):
            known.pop(name, None)  # these are about the model's own calls
        task = (getattr(config, "task_specific_params", None) or {}).get("text-generation") or {}
        return cls(**{**task, **known})

    @classmethod
    def from_pretrained(cls, name, **kwargs) -> GenerationConfig:
        """Read generation_config.json of a folder, or of a name in cache, packages or hub."""
        from ..checkpoints import CheckpointNotFoundError
        from ..checkpoints.config_file import read_json
        from ..checkpoints.resolve import resolve_file, split_hub_arguments

        hub, fields = split_hub_arguments(kwargs)
        path = resolve_file(name, FILE, **hub)
        if path is None:
            raise CheckpointNotFoundError(f"{name} has no {FILE}")
        return cls(**{**read_json(path), **fields})

    def save_pretrained(self, folder) -> None:
        """Write generation_config.json into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(self.to_json_string(), encoding="utf-8")

    def push_to_hub(self, repo_id: str, **options) -> str:
        """Upload what `save_pretrained` writes to a repository of the hub; see `checkpoints.push_to_hub`."""
        from ..checkpoints.sharing import push_to_hub

        return push_to_hub(self, repo_id, **options)

    def to_dict(self) -> dict:
        return copy.deepcopy(self.__dict__)

    def to_diff_dict(self) -> dict:
        """The fields that are not at their defaults: what the file holds."""
        return {name: value for name, value in self.to_dict().items() if value != DEFAULTS.get(name)}

    def to_json_string(self) -> str:
        return json.dumps(self.to_diff_dict(), indent=2, sort_keys=True) + "\n"

    def __eq__(self, other):
        return isinstance(other, GenerationConfig) and self.to_dict() == other.to_dict()

    __hash__ = None

    def __repr__(self) -> str:
        return f"GenerationConfig {self.to_json_string().rstrip()}"

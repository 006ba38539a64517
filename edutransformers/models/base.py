"""PreTrainedModel: what all models have in common around their layers."""

from __future__ import annotations

import numpy as np

from ..backend import array_module, default_generator
from ..layers import Linear
from ..module import Module, initializing, skip_initialization
from .configuration import PretrainedConfig
from .resizing import resize_vocabulary, resized_vocabulary


class PreTrainedModel(Module):
    """A model with a config, weights that can be drawn, loaded and saved, and outputs by name.

    A subclass creates its layers in `build(config)`; the constructor calls it, ties shared weights, and draws the
    initial weights from `generator` (or a fresh one).

        out, cache = model.forward(**batch)                   out is a ModelOutput
        d_inputs = model.backward({"loss": 1.0}, cache)       by output name; returns gradients by input name
    """

    config_class: type[PretrainedConfig] = PretrainedConfig
    base_model_prefix: str = ""
    main_input_name: str = "input_ids"

    def __init__(self, config: PretrainedConfig, *args, generator: np.random.Generator | None = None, **kwargs):
        if not isinstance(config, PretrainedConfig):
            raise TypeError(
                f"{type(self).__name__}(config) expects a {self.config_class.__name__}, got {type(config).__name__}; "
                f"to load a checkpoint use {type(self).__name__}.from_pretrained(name)"
            )
        self.config = config
        with skip_initialization():
            self.build(config, *args, **kwargs)
        self.tie_weights()
        self.generator = default_generator()  # draws dropout masks when forward is given no generator
        if initializing():
            self.init_weights(generator)

    def build(self, config: PretrainedConfig) -> None:
        """Create the layers."""
        raise NotImplementedError(f"{type(self).__name__} has no build")

    def init_weights(self, generator: np.random.Generator | None = None) -> None:
        """Draw all weights anew: normal with the config's `initializer_range`; biases 0, norms 1."""
        generator = default_generator() if generator is None else generator
        std = getattr(self.config, "initializer_range", 0.02)
        output = self.get_output_embeddings()
        # The output layer first: if it is tied, the embeddings draw over its weights, and their padding row stays 0.
        for module in sorted(self.modules(), key=lambda module: module is not output):
            module.initialize(generator, std)

    # -- parts --------------------------------------------------------------------------------------------------------

    @property
    def base_model(self) -> Module:
        """The model without its head."""
        return getattr(self, self.base_model_prefix, self)

    def get_input_embeddings(self) -> Module:
        return self.base_model.get_input_embeddings()

    def get_output_embeddings(self) -> Linear | None:
        """The linear layer that turns hidden states into scores for the vocabulary, where the model has one."""
        return None

    def tie_weights(self) -> None:
        """Let the output layer use the input embeddings' table: one Parameter in both places."""
        output = self.get_output_embeddings()
        if output is not None and self.config.tie_word_embeddings:
            output.weight = self.get_input_embeddings().weight

    def resize_token_embeddings(self, new_num_tokens=None, pad_to_multiple_of=None, generator=None) -> Module:
        """A vocabulary of another size: after `tokenizer.add_tokens(...)`, `resize_token_embeddings(len(tokenizer))`.

        Words that were there keep their vectors, new ones get vectors drawn with the config's `initializer_range` from
        `generator`; what is too much is cut off at the end. `pad_to_multiple_of` rounds the size up. Sets
        `config.vocab_size`; an optimizer must be made afterwards. Returns the input embeddings.
        """
        size = resized_vocabulary(self, new_num_tokens, pad_to_multiple_of)
        if size != self.get_input_embeddings().weight.shape[0]:
            generator = default_generator() if generator is None else generator
            resize_vocabulary(self, size, generator, getattr(self.config, "initializer_range", 0.02))
            self.config.vocab_size = size
        return self.get_input_embeddings()

    def gradient_checkpointing_enable(self) -> None:
        """Recompute each layer's activations in the backward pass instead of keeping them: less memory, more time."""
        self._set_gradient_checkpointing(True)

    def gradient_checkpointing_disable(self) -> None:
        self._set_gradient_checkpointing(False)

    def _set_gradient_checkpointing(self, on: bool) -> None:
        stacks = [module for module in self.modules() if hasattr(module, "gradient_checkpointing")]
        if not stacks:
            raise ValueError(f"{type(self).__name__} does not support gradient checkpointing")
        for stack in stacks:
            stack.gradient_checkpointing = on

    @property
    def device(self) -> str:
        data = next(self.parameters()).data
        return "cpu" if array_module(data) is np else f"cuda:{data.device.id}"

    # -- files: the doors to checkpoints/, which does the work --------------------------------------------------------

    @classmethod
    def from_pretrained(cls, name, *model_args, **kwargs):
        """Load config and weights from a folder, the hub or its cache, an installed package, or a shipped checkpoint.

        Returns the model in evaluation mode. See docs/checkpoints for names and options (`dtype`, `revision`,
        `ignore_mismatched_sizes`, `output_loading_info`, fields of the config, …).
        """
        from ..checkpoints.load import load_model

        return load_model(cls, name, *model_args, **kwargs)

    def save_pretrained(self, folder, **kwargs) -> None:
        """Write config.json and model.safetensors, so that this package and the original can load them."""
        from ..checkpoints.load import save_model

        save_model(self, folder, **kwargs)

    def push_to_hub(self, repo_id: str, **options) -> str:
        """Upload what `save_pretrained` writes to a repository of the hub; see `checkpoints.push_to_hub`."""
        from ..checkpoints.sharing import push_to_hub

        return push_to_hub(self, repo_id, **options)


def add_gradients(*gradients):
    """The sum of those gradients that are not None, or None: what a value gets that was used in several places."""
    present = [gradient for gradient in gradients if gradient is not None]
    if not present:
        return None
    total = present[0]
    for gradient in present[1:]:
        total = total + gradient
    return total


def check_output_names(d_output: dict, allowed: tuple[str, ...], model: Module) -> None:
    """A gradient under a name that the model has no output for would be lost in silence."""
    wrong = [name for name in d_output if name not in allowed]
    if wrong:
        raise KeyError(
            f"{type(model).__name__}.backward got a gradient for {wrong[0]!r}: expected some of {', '.join(allowed)}"
        )

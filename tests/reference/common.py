"""The original's side of a comparison: the same weights by the same names, and all of its gradients."""

from __future__ import annotations

import logging
from contextlib import contextmanager

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import edutransformers  # noqa: E402
from edutransformers.checkpoints.names import rename  # noqa: E402
from tests.models.proof import (  # noqa: E402
    Result,
    are_losses,
    flatten,
    is_float_input,
    random_gradients,
    run_model,
    worst_errors,
)
from tests.models.seeded import seed_weights  # noqa: E402
from tests.models.subject import main_input  # noqa: E402

MAJOR = int(transformers.__version__.split(".")[0])
logging.getLogger("transformers").setLevel(logging.ERROR)
torch.set_num_threads(1)


def original_config(config_class: str, fields: dict):
    fields = {name: value for name, value in fields.items() if name not in ("model_type", "torch_dtype")}
    config = getattr(transformers, config_class)(**fields)
    if MAJOR >= 5:
        config._attn_implementation = "eager"
    return config


def original_of(model, dtype="float64"):
    """The original's class of the same name, with this model's config and a copy of its weights, in evaluation mode."""
    config = original_config(type(model.config).__name__, model.config.to_dict())
    theirs = getattr(transformers, type(model).__name__)(config).eval().to(getattr(torch, str(dtype)))
    copy_weights(model, theirs)
    if MAJOR >= 5 and theirs.main_input_name == "input_ids":
        theirs.loss_function = causal_loss  # theirs goes down to float32 for this one loss
    if MAJOR >= 5 and theirs.main_input_name == "pixel_values":
        theirs.config._attn_implementation = "in its own number type"
    return theirs


def causal_loss(logits, labels, vocab_size, **kwargs):
    """What the original's own function computes, without its cast to float32."""
    return torch.nn.functional.cross_entropy(logits[:, :-1].reshape(-1, vocab_size), labels[:, 1:].reshape(-1))


def exact_attention(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
    """What the eager attention of their vision models computes, without its softmax in float32."""
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = torch.nn.functional.dropout(torch.softmax(scores, dim=-1), p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2).contiguous(), weights


if MAJOR >= 5:
    transformers.AttentionInterface.register("in its own number type", exact_attention)


@contextmanager
def in_float64():
    """Some of the original's losses, and its quantizer, go down to float32; here they keep their number type."""
    log_softmax = torch.nn.functional.log_softmax
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", lambda self: self)
        patch.setattr(
            torch.nn.functional, "log_softmax", lambda x, dim=None, _stacklevel=3, dtype=None: log_softmax(x, dim=dim)
        )
        yield


def copy_weights(ours, theirs) -> None:
    """Ours into theirs. Every name must be there on both sides, tied weights under all their names."""
    state = {name: torch.tensor(np.array(p.data)) for name, p in ours.named_parameters(remove_duplicate=False)}
    names = {our_name(theirs, name): name for name in theirs.state_dict()}
    assert sorted(state) == sorted(names)
    theirs.load_state_dict({names[name]: x for name, x in state.items()}, strict=True)


def our_name(theirs, name: str) -> str:
    """Our name of their parameter: the one in files, which 5.x changes in memory for some models."""
    ours = getattr(edutransformers, type(theirs).__name__)
    return rename(name, getattr(ours, "checkpoint_renames", None))


def tied_names(named) -> set[tuple[str, ...]]:
    """Groups of names of one and the same parameter."""
    groups: dict[int, list[str]] = {}
    for name, parameter in named:
        groups.setdefault(id(parameter), []).append(name)
    return {tuple(sorted(names)) for names in groups.values() if len(names) > 1}


def run_original(theirs, batch: dict, names=None, seed: int = 0) -> Result:
    """What `run_model` does for ours: outputs, and the gradients of the loss or of random gradients for the outputs."""
    theirs.zero_grad()
    inputs = {name: to_torch(x) for name, x in batch.items()}
    floats = {name: inputs[name].requires_grad_() for name, x in batch.items() if is_float_input(name, x)}
    if "bool_masked_pos" in inputs:  # as booleans they are counted in float32, whatever the model's number type
        inputs["bool_masked_pos"] = inputs["bool_masked_pos"].to(inputs["pixel_values"].dtype)
    mask = inputs.get("attention_mask")
    has_choices = main_input(batch).ndim == (4 if "inputs_embeds" in batch else 3)
    if MAJOR >= 5 and mask is not None and mask.ndim == 3 and not has_choices:
        inputs["attention_mask"] = additive(inputs["attention_mask"], next(theirs.parameters()).dtype)
    theirs.config.use_cache = False
    outputs = dict(theirs(**inputs))
    if batch.get("encoder_hidden_states") is None:
        outputs.pop(
            "cross_attentions", None
        )  # a decoder of 4.x without a source returns keys and values under this name
    flat = flatten(outputs)
    arrays = {name: x.detach().numpy() for name, x in flat.items()}
    if are_losses(names):
        total = sum(flat[name] for name in names)
    else:
        d = random_gradients(arrays, names, seed)
        total = sum((torch.tensor(d[name]) * flat[name]).sum() for name in d)
    total.backward()
    zeros = lambda x: np.zeros(tuple(x.shape)) if x.grad is None else x.grad.numpy().copy()  # noqa: E731
    gradients = {our_name(theirs, name): zeros(p) for name, p in theirs.named_parameters()}
    if MAJOR < 5 and not theirs.config.tie_word_embeddings and "cls.predictions.bias" in gradients:
        # 4.x ties this bias always; 5.x and we untie it together with the weight, and then the first one is of no use.
        used = gradients["cls.predictions.bias"]
        gradients["cls.predictions.decoder.bias"], gradients["cls.predictions.bias"] = used, np.zeros_like(used)
    return Result(arrays, gradients, {name: zeros(x) for name, x in floats.items()})


def to_torch(x):
    return torch.tensor(np.array(x)) if isinstance(x, np.ndarray) else x


def additive(mask, dtype):
    """(B, T, S) ones and zeros as 5.x wants one's own mask: (B, 1, T, S), 0 where seen, very negative elsewhere."""
    return torch.zeros(mask[:, None].shape, dtype=dtype).masked_fill(mask[:, None] == 0, torch.finfo(dtype).min)


class Masks:
    """Dropout masks in the order in which they are asked for, and a list of what was asked."""

    def __init__(self):
        self.generator, self.asked = np.random.default_rng(11), []

    def draw(self, shape, p):
        self.asked.append((tuple(shape), p))
        return self.generator.random(shape) >= p


def check_float32(ours, batch: dict) -> None:
    """A model as wide as a real one, in float32: weights are drawn, then outputs and gradients compared."""
    seed_weights(ours, std=0.04)
    assert ours.dtype == np.float32
    mine, other = run_model(ours, batch), run_original(original_of(ours, "float32"), batch)
    assert all(x.dtype == np.float32 for part in mine for x in part.values())
    (output_error, _), (gradient_error, _) = worst_errors(mine, other, smallest_share=1e-2)  # float32 knows 7 digits
    assert output_error < 1e-4
    assert gradient_error < 1e-4

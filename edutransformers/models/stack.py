"""A transformer's layers one after the other, with all that a caller may ask for on the way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..backend import Array, array_module
from ..layers import Checkpoint, KeyValueCache
from ..module import Module, ModuleList, keep, keeping
from .base import add_gradients


class StackOutput(NamedTuple):
    x: Array  # the last layer's output (B, T, D)
    hidden_states: list[Array]  # the L + 1 states between the layers, or [] where they were not asked for
    attentions: list[Array | None]  # each layer's weights (B, H, T, S)
    cross_attentions: list[Array | None]
    past: KeyValueCache | None


class LayerStack(Module):
    """x → layer 0 → … → layer L−1.   x (B, T, D)

    A layer has `forward(x, visible, head_mask, generator, return_weights)` -> ((y, weights, cross weights), cache) and
    `backward((dy, dweights, dcross), cache)` -> (dx, dsource). A decoder's also takes `source` with `source_visible`,
    and `past`, which are passed where there are any; an encoder's has None for cross weights and dsource.
    """

    checkpoint_names = {"layer": ""}

    def __init__(self, layers: Iterable[Module]):
        self.layer = ModuleList(layers)
        self.gradient_checkpointing = False

    def forward(
        self,
        x,
        visible=None,
        source=None,
        source_visible=None,
        *,
        head_mask=None,
        past=None,
        use_cache=False,
        return_weights=False,
        return_hidden_states=False,
        generator=None,
        skipped=(),
    ):
        """-> (StackOutput, cache)

        visible (B|1, 1, T|1, S) booleans; source (B, S', D) an encoder's states; head_mask (L, 1, H, 1, 1);
        past       what was read before x
        use_cache  remember x's keys and values: in `past`, or in a new KeyValueCache
        skipped    for each layer whether it is left out this time (LayerDrop): then its output is its input
        """
        recomputing = self.gradient_checkpointing and keeping()
        if use_cache and past is None and not recomputing:  # a second run would remember everything twice
            past = KeyValueCache()
        hidden_states, attentions, cross_attentions, caches = [x], [], [], []
        options = {} if source is None else {"source": source, "source_visible": source_visible}
        for index, layer in enumerate(self.steps()):
            if past is not None:
                options["past"] = past.layer(index)
            weights = cross_weights = cache = None
            if not (skipped and skipped[index]):
                (x, weights, cross_weights), cache = layer.forward(
                    x,
                    visible,
                    None if head_mask is None else head_mask[index],
                    generator=generator,
                    return_weights=return_weights,
                    **options,
                )
            if return_hidden_states:
                hidden_states.append(x)
            attentions.append(weights)
            cross_attentions.append(cross_weights)
            caches.append(cache)
        states = hidden_states if return_hidden_states else []
        return StackOutput(x, states, attentions, cross_attentions, past), keep(*caches)

    def backward(self, d_output, cache):
        """(d_hidden_states, d_weights, d_cross_weights), lists with None for what the loss did not use -> dx, dsource

        The last hidden state's gradient is that of the last state.
        """
        d_hidden_states, d_weights, d_cross_weights = d_output
        dx, dsource = d_hidden_states[-1], None
        for index in reversed(range(len(cache))):
            if dx is not None and cache[index] is not None:
                dlayer = (dx, d_weights[index], d_cross_weights[index])
                dx, dsource_of_layer = self.steps()[index].backward(dlayer, cache[index])
                dsource = add_gradients(dsource, dsource_of_layer)
            dx = add_gradients(dx, d_hidden_states[index])
        return dx, dsource

    def steps(self):
        return [Checkpoint(layer) if self.gradient_checkpointing else layer for layer in self.layer]


def past_of(config, past_key_values, use_cache: bool | None) -> tuple[KeyValueCache | None, bool]:
    """(the cache so far or None, whether to return one): a call's arguments, with the config's default.

    Without being asked, a decoder returns its cache only in inference: training has no use for it.
    """
    if use_cache is None:
        use_cache = past_key_values is not None or (config.use_cache and not keeping())
    past = KeyValueCache.of(past_key_values)
    if past is not None:
        past.check(config.num_hidden_layers)
    return past, use_cache


def output_fields(output: StackOutput, states: bool, attentions: bool, cross_attentions: bool) -> dict:
    """What a model's output says of its layers: tuples of what was asked for, None for the rest."""
    return {
        "past_key_values": output.past,
        "hidden_states": tuple(output.hidden_states) if states else None,
        "attentions": tuple(output.attentions) if attentions else None,
        "cross_attentions": tuple(output.cross_attentions) if attentions and cross_attentions else None,
    }


def gradients_for_stack(d_output: dict, d_last, layers: int, shape: tuple, like: Array):
    """What `LayerStack.backward` takes, from a model's gradients by output name.

    d_last (B, T, D) is what else the last state's gradient has to hold, or None; `shape` is that state's.
    """
    d_hidden_states = list(d_output.get("hidden_states") or [None] * (layers + 1))
    d_hidden_states[-1] = add_gradients(d_hidden_states[-1], d_last)
    if d_hidden_states[-1] is None:  # a loss of, say, attentions alone: the way down starts with 0
        d_hidden_states[-1] = array_module(like).zeros(shape, dtype=like.dtype)
    d_weights = d_output.get("attentions") or [None] * layers
    d_cross_weights = d_output.get("cross_attentions") or [None] * layers
    return d_hidden_states, d_weights, d_cross_weights

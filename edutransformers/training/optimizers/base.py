"""What all optimizers share: groups of parameters with their settings, and a state for each parameter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ...backend import array_module, as_array_like
from ...layers import LayerNorm
from ...module import Module, Parameter

NORMS = (LayerNorm,)  # layers whose weights don't decay


class Kept(NamedTuple):
    """An array that an optimizer keeps for a parameter, before it is made."""

    shape: tuple[int, ...]
    dtype: object
    start: float = 0.0  # what every number of it is before the first step


class Optimizer:
    """Groups of parameters with their settings, and what is remembered about each parameter between steps.

    params    Parameters, (name, Parameter) pairs, a Module, or a list of dictionaries {"params": any of these, ...}
              whose other entries replace `defaults` for their parameters ({"params": [...], "weight_decay": 0.0})
    defaults  the settings of a group that says nothing else; every optimizer has "lr"

    `param_groups` may be changed between steps: a schedule writes "lr". `state[parameter]` is what a subclass keeps.

    Raises `ValueError` for no parameters, for a parameter that comes twice, and for an unknown setting.
    """

    def __init__(self, params, defaults: dict):
        self.defaults = dict(defaults)
        self.param_groups: list[dict] = []
        self.state: dict[Parameter, dict] = {}
        for group in _as_groups(params):
            self.add_param_group(group)
        if not any(group["params"] for group in self.param_groups):
            raise ValueError("the optimizer got no parameters: pass a model, model.parameters(), or groups of them")

    def add_param_group(self, group: dict) -> None:
        """One more group: {"params": ..., settings}."""
        unknown = set(group) - {"params", "initial_lr"} - set(self.defaults)
        if unknown:
            raise ValueError(
                f"a parameter group has the setting {sorted(unknown)[0]!r}: expected params, {', '.join(self.defaults)}"
            )
        parameters = as_parameters(group["params"])
        seen = {id(parameter) for other in self.param_groups for parameter in other["params"]}
        for parameter in parameters:
            if id(parameter) in seen:
                raise ValueError(
                    f"a parameter of shape {parameter.shape} was passed twice (a tied weight?): it would be stepped "
                    "twice; model.parameters() yields each once"
                )
            seen.add(id(parameter))
            if parameter.dtype.itemsize < 4:
                raise ValueError(
                    f"a parameter of {parameter.dtype} can't be trained: steps smaller than its precision get lost; "
                    "use model.astype('float32')"
                )
        settings = {**self.defaults, **{k: v for k, v in group.items() if k != "params"}}
        self.check(settings)
        self.param_groups.append({"params": parameters, **settings})

    def check(self, settings: dict) -> None:
        """Raise `ValueError` for settings that make no sense."""

    def remembers(self, parameter: Parameter, group: dict) -> dict[str, Kept]:
        """The arrays kept for a parameter from its first step on, by name. Nothing needs to exist yet: what an
        optimizer will cost can be added up beforehand.
        """
        return {}

    def state_of(self, parameter: Parameter, group: dict) -> dict:
        """What is kept for a parameter; made at its first step. "step" counts its steps."""
        state = self.state.get(parameter)
        if state is None:
            xp = array_module(parameter.data)
            state = {"step": 0}
            for name, (shape, dtype, start) in self.remembers(parameter, group).items():
                state[name] = xp.full(shape, start, dtype=dtype) if start else xp.zeros(shape, dtype=dtype)
            self.state[parameter] = state
        return state

    def step(self) -> None:
        """Change every parameter that has a gradient; those without are passed over."""
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next backward starts anew (it *adds*)."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def state_dict(self) -> dict:
        """{"state": {place: {name: array or number}}, "param_groups": [settings and places]}; the arrays are not
        copies.

        A parameter's place is its number over all groups, so a model of the same build gets its states back.
        """
        places = {id(p): place for place, p in enumerate(self._parameters())}
        groups = [{**group, "params": [places[id(p)] for p in group["params"]]} for group in self.param_groups]
        return {"state": {places[id(p)]: dict(s) for p, s in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over states (copied, moved to where each parameter lives) and settings from `state_dict()`."""
        groups, parameters = state_dict["param_groups"], list(self._parameters())
        sizes, own = [len(g["params"]) for g in groups], [len(g["params"]) for g in self.param_groups]
        if sizes != own:
            raise ValueError(f"the saved optimizer has groups of {sizes} parameters, this one of {own}: another model?")
        settings = [{k: v for k, v in group.items() if k != "params"} for group in groups]
        group_of = [{**group, **new} for group, new in zip(self.param_groups, settings) for _ in group["params"]]
        state = {}
        for place, saved in state_dict["state"].items():
            place = int(place)
            expected = self.remembers(parameters[place], group_of[place])
            state[parameters[place]] = _checked_copy(saved, expected, parameters[place], place)
        self.state = state
        for group, new in zip(self.param_groups, settings):
            group.update(new)

    def _parameters(self) -> Iterable[Parameter]:
        return (parameter for group in self.param_groups for parameter in group["params"])


def _checked_copy(saved: dict, expected: dict[str, Kept], parameter: Parameter, place: int) -> dict:
    """A state with copies of its arrays where the parameter lives, if they are those that the optimizer keeps."""
    arrays = {name: value for name, value in saved.items() if getattr(value, "ndim", 0) > 0 or name in expected}
    if arrays.keys() != expected.keys():
        raise ValueError(
            f"the saved optimizer keeps {', '.join(arrays) or 'no array'} for parameter {place}, this one "
            f"{', '.join(expected) or 'none'}: is it another optimizer's state, or one with other settings?"
        )
    state = dict(saved)
    for name, (shape, dtype, _) in expected.items():
        if arrays[name].shape != shape:
            raise ValueError(
                f"the saved optimizer's {name} of parameter {place} has shape {arrays[name].shape}, but here it has "
                f"{shape}: is it another model's?"
            )
        if arrays[name].dtype.kind != np.dtype(dtype).kind:
            raise ValueError(
                f"the saved optimizer's {name} of parameter {place} is {arrays[name].dtype}, but here it is "
                f"{np.dtype(dtype)}: is it another optimizer's state?"
            )
        state[name] = as_array_like(arrays[name], parameter.data).astype(dtype)  # a copy
    return state


def _as_groups(params) -> list[dict]:
    if isinstance(params, (Module, Parameter)):
        return [{"params": params}]
    params = list(params)
    if params and isinstance(params[0], dict):
        return params
    return [{"params": params}]


def as_parameters(params) -> list[Parameter]:
    if isinstance(params, Module):
        return list(params.parameters())
    if isinstance(params, Parameter):
        return [params]
    parameters = [entry[1] if isinstance(entry, tuple) else entry for entry in params]
    for parameter in parameters:
        if not isinstance(parameter, Parameter):
            raise TypeError(f"expected Parameters (or a model), got {type(parameter).__name__}")
    return parameters


def decay_groups(model: Module, weight_decay: float) -> list[dict]:
    """Two parameter groups: what decays, and what doesn't.

    Decay pulls weights towards 0, which makes sense for those that multiply inputs. A bias only moves an output, and a
    norm's neutral setting is γ = 1, β = 0, so neither decays. Norms are found by the type of the layer. As in the
    original's Trainer.
    """
    in_norms = {id(p) for module in model.modules() if isinstance(module, NORMS) for p in module.parameters()}
    decaying, others = [], []
    for name, parameter in model.named_parameters():
        (others if id(parameter) in in_norms or "bias" in name else decaying).append(parameter)
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]

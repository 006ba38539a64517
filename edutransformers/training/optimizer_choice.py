"""Which optimizer the TrainingArguments name, and with which settings: `optim`, `optim_args`, `adafactor`."""

from __future__ import annotations

import ast
import inspect

from .optimizers import SGD, Adafactor, Adagrad, AdamW, AdamW8bit, RMSprop


def _of_adam(args) -> dict:
    return {"betas": (args.adam_beta1, args.adam_beta2), "eps": args.adam_epsilon}


def _of_adafactor(args) -> dict:
    """The learning rate is the schedule's business, so Adafactor makes none of its own."""
    return {"scale_parameter": False, "relative_step": False}


def _nothing(args) -> dict:
    return {}


# name -> (class, what of the arguments it takes besides the learning rate)
OPTIMIZERS = {
    "adamw_torch": (AdamW, _of_adam),
    "adamw_torch_fused": (AdamW, _of_adam),
    "adamw_hf": (AdamW, _of_adam),
    "adamw_8bit": (AdamW8bit, _of_adam),
    "adamw_bnb_8bit": (AdamW8bit, _of_adam),
    "adafactor": (Adafactor, _of_adafactor),
    "sgd": (SGD, _nothing),
    "adagrad": (Adagrad, _nothing),
    "rmsprop": (RMSprop, _nothing),
}
FIELDS = {"lr": "learning_rate", "weight_decay": "weight_decay"}  # settings that have a field of their own
# beginnings of the original's other names -> why they aren't here
ELSEWHERE = {
    "adamw_torch_": "it is AdamW for one kind of hardware or one of torch's packages",
    "adamw_apex": "it is NVIDIA's kernel for AdamW",
    "adamw_anyprecision": "it is a package of torch's",
    "paged_": "it moves states out of a full GPU through CUDA's unified memory",
    "lion_": "Lion is not among this package's optimizers",
    "rmsprop_bnb": "it is a kernel of bitsandbytes",
    "ademamix": "AdEMAMix is not among this package's optimizers",
    "galore_": "it needs the package galore_torch",
    "lomo": "it needs the package lomo_optim",
    "adalomo": "it needs the package lomo_optim",
    "grokadamw": "it needs the package grokadamw",
    "schedule_free_": "it needs the package schedulefree",
    "apollo_": "it needs the package apollo_torch",
    "stable_adamw": "it needs the package torch_optimi",
}


def optimizer_class_and_settings(args) -> tuple[type, dict]:
    """The class, and the keyword arguments to make one of, for TrainingArguments that name an optimizer.

    Raises `ValueError` for a name or a setting that isn't one.
    """
    if args.optim not in OPTIMIZERS:
        reason = next((why for begin, why in ELSEWHERE.items() if str(args.optim).startswith(begin)), None)
        reason = "" if reason is None else f" ({reason})"
        raise ValueError(f"optim is {args.optim!r}{reason}: expected one of {', '.join(OPTIMIZERS)}")
    cls, settings_of = OPTIMIZERS[args.optim]
    settings = {"lr": args.learning_rate, **settings_of(args)}
    for name, value in parse_optim_args(args.optim_args).items():
        if name in FIELDS:
            raise ValueError(f"optim_args names {name!r}: that is TrainingArguments' {FIELDS[name]}")
        taken = [name for name in inspect.signature(cls).parameters if name not in ("params", *FIELDS)]
        if name not in taken:
            raise ValueError(f"optim_args names {name!r}, but {args.optim} ({cls.__name__}) takes {', '.join(taken)}")
        settings[name] = value
    return cls, settings


def parse_optim_args(text: str | None) -> dict:
    """ "momentum=0.9,nesterov=True" -> {"momentum": 0.9, "nesterov": True}. Pairs of numbers as "eps=(1e-30,1e-3)"."""
    if not text:
        return {}
    try:
        call = ast.parse(f"settings({text})", mode="eval").body
        return {keyword.arg: ast.literal_eval(keyword.value) for keyword in _keywords(call)}
    except (SyntaxError, ValueError) as error:
        message = (
            f"optim_args is {text!r}: expected name=value, separated by commas, as in 'momentum=0.9,nesterov=True'"
        )
        raise ValueError(message) from error


def _keywords(call) -> list[ast.keyword]:
    if not isinstance(call, ast.Call) or call.args or any(keyword.arg is None for keyword in call.keywords):
        raise ValueError("something else than name=value")
    return call.keywords

"""The optimizers' equations as they stand in the docstrings, on whole arrays: what the chunked code must equal."""

import numpy as np

from edutransformers.training import SGD, Adafactor, Adagrad, Adam, AdamW, RMSprop


def adamw(w, gradients, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, amsgrad=False, correct_bias=True):
    m, v, largest = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        w = w - lr * weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        largest = np.maximum(largest, v)
        m_hat, v_hat = m, largest if amsgrad else v
        if correct_bias:
            m_hat, v_hat = m_hat / (1 - betas[0] ** t), v_hat / (1 - betas[1] ** t)
        w = w - lr * m_hat / (np.sqrt(v_hat) + eps)
    return w


def adam(w, gradients, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False):
    m, v, largest = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        largest = np.maximum(largest, v)
        v_hat = (largest if amsgrad else v) / (1 - betas[1] ** t)
        w = w - lr * m / (1 - betas[0] ** t) / (np.sqrt(v_hat) + eps)
    return w


def sgd(w, gradients, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    b = None
    for g in gradients:
        g = g + weight_decay * w
        b = g if b is None else momentum * b + (1 - dampening) * g
        w = w - lr * (g + momentum * b if nesterov else b)
    return w


def adagrad(w, gradients, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    s = np.full_like(w, initial_accumulator_value)
    for t, g in enumerate(gradients, start=1):
        g = g + weight_decay * w
        s = s + g**2
        w = w - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s) + eps)
    return w


def rmsprop(w, gradients, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    v, mean, b = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for g in gradients:
        g = g + weight_decay * w
        v = alpha * v + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        b = momentum * b + g / (np.sqrt(v - mean**2 if centered else v) + eps)
        w = w - lr * b
    return w


def adafactor(
    w, gradients, lr=None, eps=(1e-30, 1e-3), clip_threshold=1.0, decay_rate=-0.8, beta1=None, weight_decay=0.0,
    scale_parameter=True, relative_step=True, warmup_init=False,
):  # fmt: skip
    def rms(x):
        return np.sqrt(np.mean(x**2))

    v, m = np.zeros_like(w), np.zeros_like(w)
    r, c = (v.mean(axis=-1), v.mean(axis=-2)) if w.ndim > 1 else (None, None)
    for t, g in enumerate(gradients, start=1):
        beta = 1 - t**decay_rate
        if w.ndim > 1:
            r = beta * r + (1 - beta) * (g**2 + eps[0]).mean(axis=-1)
            c = beta * c + (1 - beta) * (g**2 + eps[0]).mean(axis=-2)
            v = r[..., None] * c[..., None, :] / r.mean(axis=-1)[..., None, None]
        else:
            v = beta * v + (1 - beta) * (g**2 + eps[0])
        u = g / np.sqrt(v)
        u = u / max(1, rms(u) / clip_threshold)
        rate = min(1e-6 * t if warmup_init else 0.01, 1 / np.sqrt(t)) if relative_step else lr
        rate = rate * max(eps[1], rms(w)) if scale_parameter else rate
        m = rate * u if beta1 is None else beta1 * m + (1 - beta1) * rate * u
        w = w - weight_decay * rate * w - m
    return w


NAIVE = {AdamW: adamw, Adam: adam, SGD: sgd, Adagrad: adagrad, RMSprop: rmsprop, Adafactor: adafactor}
FIXED = {"relative_step": False, "lr": 0.02}
CASES = [  # (class, settings): every setting away from its default somewhere
    (AdamW, {"lr": 0.02, "betas": (0.9, 0.98), "eps": 1e-6, "weight_decay": 0.05}),
    (AdamW, {"lr": 0.02, "betas": (0.9, 0.98), "correct_bias": False}),
    (AdamW, {"lr": 0.02, "betas": (0.5, 0.6), "amsgrad": True}),
    (Adam, {}),
    (Adam, {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.3}),
    (Adam, {"lr": 0.05, "betas": (0.5, 0.6), "weight_decay": 0.3, "amsgrad": True}),
    (SGD, {}),
    (SGD, {"lr": 0.02, "weight_decay": 0.3}),
    (SGD, {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}),
    (SGD, {"lr": 0.02, "momentum": 0.9, "dampening": 0.4}),
    (SGD, {"lr": 0.02, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    (Adagrad, {}),
    (Adagrad, {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.3, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    (RMSprop, {}),
    (RMSprop, {"lr": 0.05, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.3, "momentum": 0.7}),
    (RMSprop, {"alpha": 0.8, "centered": True}),
    (RMSprop, {"alpha": 0.8, "centered": True, "momentum": 0.5, "weight_decay": 0.1}),
    (Adafactor, {}),
    (Adafactor, {"warmup_init": True, "eps": (1e-3, 0.5)}),
    (Adafactor, {**FIXED, "scale_parameter": False}),
    (Adafactor, {**FIXED, "weight_decay": 0.3, "beta1": 0.9}),
    (Adafactor, {"clip_threshold": 0.3, "decay_rate": -0.5, "beta1": 0.5, "scale_parameter": False}),
]


def name_of(case):
    cls, settings = case
    return "-".join([cls.__name__, *(name for name in settings if name not in ("lr", "betas", "eps"))])

"""Lesson 10's checkers: momentum, AdamW, clipping, the schedule, and the training loop."""

import math

import numpy as np

from edutransformers.training import clip_grad_norm_
from edutransformers.training.optimizers import AdamW
from tests.lessons.common import suite_of


def momentum_in_place(w, g, u, lr, beta=0.9):
    u *= beta
    u += g
    w -= lr * u
    return w, u


def momentum_number_by_number(w, g, u, lr, beta=0.9):
    new_w, new_u = np.empty_like(w), np.empty_like(u)
    for place in np.ndindex(w.shape):
        new_u[place] = g[place] + beta * u[place]
        new_w[place] = w[place] - new_u[place] * lr
    return [new_w.tolist(), new_u.tolist()]


def adamw_step(w, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return w - lr * (decay * w + m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)), m, v


def adamw_in_place(w, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    """The library's order: the corrections are taken out of the arrays."""
    m += (1 - beta1) * (g - m)
    v *= beta2
    v += (1 - beta2) * g * g
    root = math.sqrt(1 - beta2**t)
    w *= 1 - lr * decay
    w -= lr * root / (1 - beta1**t) * m / (np.sqrt(v) + eps * root)
    return w, m, v


def adamw_in_float32(w, g, m, v, t, lr, **settings):
    return adamw_step(*(array.astype("float32") for array in (w, g, m, v)), t, lr, **settings)


def adamw_wrong(hats="mv", decoupled=True, decay_scaled=True, inside=False, kept_hats=False, squared=True):
    def step(w, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
        if not decoupled:
            g, decay = g + decay * w, 0.0
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g if squared else g)
        m_hat = m / (1 - beta1**t) if "m" in hats else m
        v_hat = v / (1 - beta2**t) if "v" in hats else v
        size = np.sqrt(np.abs(v_hat) + eps) if inside else np.sqrt(np.abs(v_hat)) + eps
        w = w * (1 - (lr if decay_scaled else 1) * decay) - lr * m_hat / size
        return (w, m_hat, v_hat) if kept_hats else (w, m, v)

    return step


def adamw_decays_last(w, g, m, v, t, lr, decay=0.01, **settings):
    w, m, v = adamw_step(w, g, m, v, t, lr, decay=0.0, **settings)
    return w * (1 - lr * decay), m, v


def adamw_without_brackets(w, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    _, m, v = adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, decay)
    return w - lr * decay * w - (lr * m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t)) + eps), m, v


def adamw_that_grows(w, g, m, v, t, lr, decay=0.01, **settings):
    new, m, v = adamw_step(w, g, m, v, t, lr, decay=decay, **settings)
    return new + 2 * lr * decay * w, m, v


def adamw_with_products(w, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    new, m, v = adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, decay)
    return (new if t == 1 else w * np.nan), m, v


def clip(gradients, max_norm):
    norm = math.sqrt(sum(float(np.vdot(g, g)) for g in gradients))
    return [g * min(1.0, max_norm / (norm + 1e-6)) for g in gradients], norm


def clip_in_place(gradients, max_norm):
    norm = float(np.linalg.norm(np.concatenate([g.ravel() for g in gradients])))
    if norm > max_norm:
        for g in gradients:
            g *= max_norm / norm
    return gradients, norm


def clip_each_number(gradients, max_norm):
    return [np.clip(g, -max_norm, max_norm) for g in gradients], clip(gradients, max_norm)[1]


def clip_each_array(gradients, max_norm):
    return [clip([g], max_norm)[0][0] for g in gradients], clip(gradients, max_norm)[1]


def clip_always(gradients, max_norm):
    norm = clip(gradients, max_norm)[1]
    return [g * (max_norm / norm) for g in gradients], norm


def schedule(step, warmup, total):
    if step < warmup:
        return step / warmup
    return max(0.0, (total - step) / (total - warmup))


def schedule_of_two_lines(step, warmup, total):
    return np.float32(max(0, min(step / warmup if warmup else 1, (total - step) / (total - warmup))))


# ---------------------------------------------------------------------------------------------------------------------
# The loop
# ---------------------------------------------------------------------------------------------------------------------


def decays(name):
    return not (name.endswith("bias") or "LayerNorm" in name)


def loop(zero=True, clipping=clip, decaying=decays, clock=True, keeping=True, writing=True, count=1):
    """The right step, or one with something left out."""

    def train_step(model, batch, state, lr, max_norm=1.0, decay=0.01):
        if zero:
            model.zero_grad()
        out, cache = model.forward(**batch)
        model.backward({"loss": 1.0}, cache)
        parameters = dict(model.named_parameters())
        gradients, _ = clipping([p.grad for p in parameters.values()], max_norm)
        state["t"] += count
        for (name, p), g in zip(parameters.items(), gradients):
            t = state["t"] if clock and count else 1
            rate = decay if decaying(name) else 0.0
            w, m, v = adamw_step(p.data, g, state["m"][name], state["v"][name], t, lr, decay=rate)
            if writing:
                p.data = w
            if keeping:
                state["m"][name], state["v"][name] = m, v
        return float(out.loss)

    return train_step


def loop_that_clears_last(model, batch, state, lr, max_norm=1.0, decay=0.01):
    loss = loop(zero=False)(model, batch, state, lr, max_norm, decay)
    model.zero_grad()
    return loss


def loop_that_counts_weights(model, batch, state, lr, max_norm=1.0, decay=0.01):
    loss = loop()(model, batch, state, lr, max_norm, decay)
    state["t"] += len(list(model.parameters())) - 1
    return loss


def loop_cleared_early(model, batch, state, lr, max_norm=1.0, decay=0.01):
    out, cache = model.forward(**batch)
    model.backward({"loss": 1.0}, cache)
    model.zero_grad()
    clip([p.grad for p in model.parameters()], max_norm)
    return out.loss


def loop_of_nan(model, batch, state, lr, max_norm=1.0, decay=0.01):
    state["t"] += 1
    for p in model.parameters():
        p.data = p.data * np.nan
    return 1.0


def loop_that_returns_all(model, batch, state, lr, max_norm=1.0, decay=0.01):
    loop()(model, batch, state, lr, max_norm, decay)
    return model(**batch)


def loop_in_place(model, batch, state, lr, max_norm=1.0, decay=0.01):
    for _, p in model.named_parameters():
        p.grad = None
    out, cache = model.forward(**batch)
    model.backward({"loss": np.float64(1.0)}, cache)
    clip_grad_norm_(model, max_norm)
    state["t"] = state["t"] + 1
    for name, p in model.named_parameters():
        m, v = state["m"][name], state["v"][name]
        adamw_in_place(p.data, p.grad, m, v, state["t"], lr, decay=decay * decays(name))
    return out.loss


def loop_of_the_library(model, batch, state, lr, max_norm=1.0, decay=0.01):
    """The library's optimizer, whose memory is carried over in `state`."""
    model.zero_grad()
    out, cache = model.forward(**batch)
    model.backward({"loss": 1.0}, cache)
    clip_grad_norm_(model, max_norm)
    state["t"] += 1
    for name, p in model.named_parameters():
        optimizer = AdamW([p], lr=lr, weight_decay=decay if decays(name) else 0.0)
        memory = optimizer.state_of(p, optimizer.param_groups[0])
        memory |= {"step": state["t"] - 1, "exp_avg": state["m"][name], "exp_avg_sq": state["v"][name]}
        optimizer.step()
        state["m"][name], state["v"][name] = memory["exp_avg"], memory["exp_avg_sq"]
    return out.loss


RIGHT = {
    "momentum_step": {
        "two lines": lambda w, g, u, lr, beta=0.9: (w - lr * (beta * u + g), beta * u + g),
        "in place": momentum_in_place,
        "number by number, lists": momentum_number_by_number,
        "float32": lambda w, g, u, lr, beta=0.9: momentum_in_place(*map(np.float32, (w, g, u)), lr, beta),
    },
    "adamw_step": {
        "the formulas": adamw_step,
        "in place, the library's order": adamw_in_place,
        "float32": adamw_in_float32,
    },
    "clip_by_global_norm": {
        "torch's": clip,
        "in place": clip_in_place,
        "float32": lambda gradients, max_norm: clip([g.astype("float32") for g in gradients], max_norm),
    },
    "warmup_then_linear": {
        "two cases": schedule,
        "the lower of two lines, float32": schedule_of_two_lines,
        "clipped": lambda s, w, n: float(np.clip(s / w if s < w else 1 - (s - w) / (n - w), 0, 1)),
    },
    "train_step": {
        "a loop": loop(),
        "cleared at the end": loop_that_clears_last,
        "in place": loop_in_place,
        "the library's": loop_of_the_library,
    },
}

WRONG = {
    "momentum_step": {
        "the old u": (lambda w, g, u, lr, beta=0.9: (w - lr * u, beta * u + g), "the step is along the old u"),
        "a mean": (
            lambda w, g, u, lr, beta=0.9: (w - lr * (beta * u + (1 - beta) * g), beta * u + (1 - beta) * g),
            "that is a running mean",
        ),
        "uphill": (lambda w, g, u, lr, beta=0.9: (w + lr * (beta * u + g), beta * u + g), "the sign is wrong"),
        "u not shortened": (lambda w, g, u, lr, beta=0.9: (w - lr * (u + g), u + g), "isn't shortened"),
        "lr and sign in u": (
            lambda w, g, u, lr, beta=0.9: (w + beta * u - lr * g, beta * u - lr * g),
            "lr and the sign belong into the step",
        ),
        "beta written down": (lambda w, g, u, lr, beta=0.9: (w - lr * (0.9 * u + g), 0.9 * u + g), "here it isn't 0.9"),
        "another order": (lambda w, g, u, lr, beta=0.9: (beta * u + g, w - lr * (beta * u + g)), "the order is w, u"),
        "w alone": (lambda w, g, u, lr, beta=0.9: w - lr * (beta * u + g), "expected 2 things"),
    },
    "adamw_step": {
        "no hats": (adamw_wrong(hats=""), "the hats are missing on both"),
        "no hat on v": (adamw_wrong(hats="m"), "v̂ is missing"),
        "no hat on m": (adamw_wrong(hats="v"), "m̂ is missing"),
        "L2": (adamw_wrong(decoupled=False), "decay · w went into the gradient"),
        "decay without lr": (adamw_wrong(decay_scaled=False), "lr is missing in it"),
        "eps inside": (adamw_wrong(inside=True), "ε stands under the root"),
        "hats kept": (adamw_wrong(kept_hats=True), "what is kept is m"),
        "g not squared": (adamw_wrong(squared=False), "g is not squared"),
        "all of g": (
            lambda w, g, m, v, t, lr, beta1=0.9, **settings: (w, beta1 * m + g, v),
            "the new g counts (1 − beta1) only",
        ),
        "the square of m": (
            lambda w, g, m, v, t, lr, beta1=0.9, beta2=0.999, **settings: (
                w,
                beta1 * m + (1 - beta1) * g,
                beta2 * v + (1 - beta2) * (beta1 * m + (1 - beta1) * g) ** 2,
            ),
            "the square is of g, not of m",
        ),
        "no brackets": (adamw_without_brackets, "brackets around"),
        "no brackets at all": (
            lambda *inputs, eps=1e-8, **settings: (
                adamw_without_brackets(*inputs, eps=eps, **settings)[0] + 2 * eps,
                *adamw_step(*inputs, eps=eps, **settings)[1:],
            ),
            "added to w: brackets around",
        ),
        "decay added": (adamw_that_grows, "it was added"),
        "another order": (lambda *inputs, **settings: adamw_step(*inputs, **settings)[::-1], "the order is w, m, v"),
        "a power less": (
            lambda w, g, m, v, t, lr, **settings: (w * np.nan, *adamw_step(w, g, m, v, t, lr, **settings)[1:]),
            "the power t − 1 gives 0 at t = 1",
        ),
        "a product for the power": (adamw_with_products, "not the product"),
        "decay at the end": (adamw_decays_last, "the decay is of the old w"),
        "betas written down": (
            lambda w, g, m, v, t, lr, **settings: adamw_step(w, g, m, v, t, lr, decay=settings["decay"]),
            "beta1 is an argument",
        ),
    },
    "clip_by_global_norm": {
        "each number": (clip_each_number, "each number was clipped by itself"),
        "each array": (clip_each_array, "each array was clipped by its own norm"),
        "always": (clip_always, "the factor is at most 1"),
        "no root": (lambda gradients, limit: (gradients, clip(gradients, limit)[1] ** 2), "the root is missing"),
        "sum of norms": (
            lambda gradients, limit: (gradients, sum(np.linalg.norm(g) for g in gradients)),
            "that is the sum of the arrays' norms",
        ),
        "a norm of 0": (
            lambda gradients, limit: (
                [g * min(1.0, limit / clip(gradients, limit)[1]) for g in gradients],
                clip(gradients, limit)[1],
            ),
            "the norm was 0",
        ),
        "a list times a number": (
            lambda gradients, limit: (gradients * 0.5, 1.0),
            "is not multiplied number by number",
        ),
        "nothing": (lambda gradients, limit: (gradients, clip(gradients, limit)[1]), "nothing was clipped"),
        "one thing": (lambda gradients, limit: clip(gradients, limit)[0][:1], "expected two things"),
    },
    "warmup_then_linear": {
        "one step early": (
            lambda s, w, n: (s + 1) / w if s < w else max(0.0, (n - s) / (n - w)),
            "not (step + 1) / warmup",
        ),
        "below 0": (lambda s, w, n: s / w if s < w else (n - s) / (n - w), "it goes below here"),
        "falls from below 1": (lambda s, w, n: s / w if s < w else max(0, (n - s) / n), "begins at 1"),
        "constant": (lambda s, w, n: s / w if s < w else 1.0, "it stays 1 after the warm-up"),
        "0 / 0": (lambda s, w, n: min(s / w, max(0.0, (n - s) / (n - w))), "stopped with ZeroDivisionError"),
        "<= warmup": (
            lambda s, w, n: s / w if s <= w else max(0.0, (n - s) / (n - w)),
            "without warm-up the first case must never come",
        ),
        "nothing behind the end": (
            lambda s, w, n: s / w if s < w else (n - s) / (n - w) if s <= n else None,
            "behind the last step the factor is 0",
        ),
        "whole numbers": (lambda s, w, n: s // w if s < w else max(0, (n - s) // (n - w)), "divide with `/`"),
        "of the total": (lambda s, w, n: s / n if s < w else max(0, (n - s) / (n - w)), "not step / total"),
        "down first": (lambda s, w, n: 1 - s / w if s < w else max(0, (n - s) / (n - w)), "the warm-up goes down"),
    },
    "train_step": {
        "no zero_grad": (loop(zero=False), "model.zero_grad() is missing"),
        "no clipping": (loop(clipping=lambda gradients, limit: (gradients, 0.0)), "the gradients are not clipped"),
        "each array clipped": (loop(clipping=clip_each_array), "each array was clipped by its own norm"),
        "all decay": (loop(decaying=lambda name: True), "biases and norms decayed too"),
        "none decays": (loop(decaying=lambda name: False), "nothing decayed"),
        "the others decay": (loop(decaying=lambda name: not decays(name)), "the other way round"),
        "t stands still": (loop(clock=False), "does not grow"),
        "nothing kept": (loop(keeping=False), "m and v are forgotten"),
        "lr written down": (lambda m, b, s, lr, **options: loop()(m, b, s, 1e-3, **options), "here it isn't 0.001"),
        "decay written down": (
            lambda m, b, s, lr, max_norm=1.0, decay=0.01: loop()(m, b, s, lr, max_norm),
            "here it isn't 0.01",
        ),
        "the loss after the step": (
            lambda model, batch, *rest, **options: (loop()(model, batch, *rest, **options), model(**batch).loss)[1],
            "that is the loss after the step",
        ),
        "the batch as one": (lambda model, batch, *rest, **options: model.forward(batch), "model.forward(**batch)"),
        "a number to backward": (
            lambda model, batch, *rest, **options: model.backward(1.0, model.forward(**batch)[1]),
            "what comes from behind is a dictionary",
        ),
        "t in the inner loop": (loop_that_counts_weights, "it grows by 1 in each call"),
        "t not counted": (loop(count=0), "it grows by 1 in each call"),
        "gradients cleared too early": (loop_cleared_early, "what came when?"),
        "nan": (loop_of_nan, "are m and v exchanged?"),
        "out for its loss": (loop_that_returns_all, "the loss is a number"),
        "nothing written": (loop(writing=False), "no weight has changed"),
    },
}


def clip_by_a_number_of_numpy(gradients, limit):
    norm = clip(gradients, limit)[1]
    return [g * np.float64(min(1.0, limit / (norm + 1e-9))) for g in gradients], norm


# NumPy 2 makes float64 of a float32 array times a float64 number; 1.26 leaves it float32, so there it is right.
if (np.zeros(1, "float32") * np.float64(1)).dtype == "float64":
    WRONG["clip_by_global_norm"]["float64 by a NumPy number"] = (
        clip_by_a_number_of_numpy,
        "float(…) makes a Python number",
    )
else:
    RIGHT["clip_by_global_norm"]["a NumPy number"] = clip_by_a_number_of_numpy

test_right, test_wrong, test_complete = suite_of(10, RIGHT, WRONG)

"""Lesson 10, its last exercise: a whole training step."""

import math

import numpy as np

from ...models.bert import BertConfig, BertForSequenceClassification
from ..checker import CheckFailed, call, draw, draw_integers, equal, exercise, holds, same

STEPS, RATE, MAX_NORM, DECAY = 3, 0.05, 0.5, 0.4


def adamw(w, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01, **wrong):
    """One step -> (w, m, v). `wrong` asks for one of the usual mistakes."""
    if wrong.get("decay_in_gradient"):
        g, decay = g + decay * w, 0.0
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (np.abs(g) if wrong.get("absolute") else g * g)
    n = t + wrong.get("later", 0)
    m_hat = m if wrong.get("m_plain") else m / (1 - beta1**n)
    v_hat = v if wrong.get("v_plain") else v / (1 - beta2**n)
    if wrong.get("eps_inside"):
        step = lr * m_hat / np.sqrt(v_hat + eps)
    else:
        step = lr * m_hat / ((v_hat if wrong.get("no_root") else np.sqrt(v_hat)) + eps)
    if wrong.get("direction") == "g":
        step = lr * g / (np.sqrt(v_hat) + eps)
    factor = 1 - (decay if wrong.get("decay_without_lr") else lr * decay)
    if wrong.get("decay_added"):
        factor = 1 + lr * decay
    if wrong.get("eps_behind"):
        step = lr * m_hat / np.sqrt(v_hat) + wrong["eps_behind"] * eps
    if wrong.get("sign"):
        step = -step
    if wrong.get("decay_last"):
        return (w - step) * factor, m, v
    return w * factor - step, m, v


def _decays(name):
    return not (name.endswith("bias") or "LayerNorm" in name)


def _tiny_model():
    config = BertConfig(
        vocab_size=15,
        hidden_size=6,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=7,
        max_position_embeddings=8,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=3,
    )
    model = BertForSequenceClassification(config).astype("float64")
    for parameter in model.parameters():
        parameter.data = 0.5 + 0.5 * draw(*parameter.shape)
    return model


def _state_of(model):
    zeros = {name: np.zeros_like(p.data) for name, p in model.named_parameters()}
    return {"t": 0, "m": zeros, "v": {name: zero.copy() for name, zero in zeros.items()}}


def _step(model, batch, state, lr, max_norm, decay, wrong):
    lr = 1e-3 if wrong == "lr written down" else lr
    decay = 0.01 if wrong == "decay written down" else decay
    if wrong != "no zero_grad":
        model.zero_grad()
    output, cache = model.forward(**batch)
    model.backward({"loss": 1.0}, cache)
    parameters = dict(model.named_parameters())
    gradients = [p.grad for p in parameters.values()]
    norm = math.sqrt(sum(float((g * g).sum()) for g in gradients))
    if wrong == "each array clipped":
        gradients = [g * min(1.0, max_norm / (math.sqrt((g * g).sum()) + 1e-12)) for g in gradients]
    elif wrong != "no clipping":
        gradients = [g * min(1.0, max_norm / norm) for g in gradients]
    if wrong != "t stays 0":
        state["t"] += 1
    t = 1 if wrong == "t stays 1" else state["t"]
    for (name, p), g in zip(parameters.items(), gradients):
        rate_of_decay = {"all decay": decay, "no decay": 0.0}.get(wrong, decay if _decays(name) else 0.0)
        if wrong == "decay the other way":
            rate_of_decay = 0.0 if _decays(name) else decay
        p.data, m, v = adamw(p.data, g, state["m"][name], state["v"][name], t, lr, decay=rate_of_decay)
        if wrong != "m and v forgotten":
            state["m"][name], state["v"][name] = m, v
    return float((model(**batch) if wrong == "loss after the step" else output).loss)


LOOP_MISTAKES = {
    "model.zero_grad() is missing: backward adds, so all gradients since the start are in it": "no zero_grad",
    "the gradients are not clipped": "no clipping",
    "each array was clipped by its own norm: hand all of them to clip_by_global_norm at once": "each array clipped",
    "biases and norms decayed too: decay if decays(name) else 0": "all decay",
    "lr is an argument: here it isn't 0.001": "lr written down",
    "decay is an argument: here it isn't 0.01": "decay written down",
    "that is the loss after the step; the one before it, out.loss, is meant": "loss after the step",
    "nothing decayed: hand decay to adamw_step where decays(name)": "no decay",
    "biases and norms decayed, and the others did not: it is the other way round": "decay the other way",
    'state["t"] does not grow, or the hats don\'t get it: it is 1 at the first step, 2 at the next': "t stays 1",
    'm and v are forgotten after the step: write them back into state["m"] and state["v"]': "m and v forgotten",
}


def _flat(model, arrays=None):
    """All numbers in a row, but for the keys' bias: its gradient is 0 up to rounding, and Adam enlarges rounding."""
    arrays = {name: p.data for name, p in model.named_parameters()} if arrays is None else arrays
    return np.concatenate([np.ravel(array) for name, array in arrays.items() if "key.bias" not in name])


@exercise(lesson=10)
def check_train_step(answer):
    start = _tiny_model()
    batches = []
    for B, T in ((4, 5), (2, 3), (3, 6)):
        batches.append({"input_ids": draw_integers(1, 15, B, T), "labels": draw_integers(0, 3, B)})

    def trained(step):
        """-> the losses, all weights, all m after STEPS steps from the same start"""
        model = _tiny_model()
        for name, parameter in start.named_parameters():
            dict(model.named_parameters())[name].data = parameter.data.copy()
        state, losses = _state_of(model), []
        for batch in batches[:STEPS]:
            losses.append(step(model, batch, state))
        return losses, model, state

    def by_answer(model, batch, state):
        before, taken = {name: p.data.copy() for name, p in model.named_parameters()}, state["t"]
        try:
            loss = call(answer, model, batch, state, RATE, max_norm=MAX_NORM, decay=DECAY)
        except CheckFailed as failure:
            for part, words in (
                ("got dict", "the batch's arrays are handed over by name: model.forward(**batch)"),
                ("not iterable", "what comes from behind is a dictionary: model.backward({'loss': 1.0}, cache)"),
            ):
                if "stopped with TypeError" in str(failure) and part in str(failure):
                    raise CheckFailed(f"{failure}\n  → {words}") from None
            if "NoneType" in str(failure):
                raise CheckFailed(
                    f"{failure}\n  → gradients are None before `backward` and after `zero_grad`: what came when?"
                ) from None
            raise
        holds(np.ndim(loss) == 0 and np.issubdtype(np.asarray(loss).dtype, np.number), "the loss is a number: out.loss")
        holds(
            state["t"] == taken + 1,
            f"state['t'] was {taken} and is {state['t']} after a step\n  → it grows by 1 in each call, before the loop",
        )
        holds(
            all(np.isfinite(p.data).all() for _, p in model.named_parameters()),
            "after a step there are weights that are no numbers (nan)\n"
            "  → is state['t'] still 0 where the weights are changed, or are m and v exchanged?",
        )
        holds(
            any(not np.array_equal(before[name], p.data) for name, p in model.named_parameters()),
            "no weight has changed: write what adamw_step returns back into parameter.data",
        )
        return loss

    def by(wrong):
        return lambda model, batch, state: _step(model, batch, state, RATE, MAX_NORM, DECAY, wrong)

    losses, model, state = trained(by_answer)
    right_losses, right_model, right_state = trained(by(None))
    wrong = {words: trained(by(kind)) for words, kind in LOOP_MISTAKES.items()}
    same(
        losses[:1],
        right_losses[:1],
        "the loss of the first batch",
        mistakes={"that is the loss times the batch's size; return out.loss": [right_losses[0] * 4]}
        | {words: loss[:1] for words, (loss, _, _) in wrong.items() if loss[0] != right_losses[0]},
    )
    same(
        _flat(model, state["m"]),
        _flat(right_model, right_state["m"]),
        f"all m after {STEPS} steps",
        mistakes={words: _flat(m, s["m"]) for words, (_, m, s) in wrong.items()},
    )
    same(
        _flat(model),
        _flat(right_model),
        f"all weights after {STEPS} steps",
        mistakes={words: _flat(m) for words, (_, m, _) in wrong.items()},
    )
    same(losses, right_losses, f"the losses of {STEPS} steps", {words: loss for words, (loss, _, _) in wrong.items()})
    equal(int(state["t"]), STEPS, 'state["t"] after three steps')

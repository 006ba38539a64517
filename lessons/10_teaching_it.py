# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: "Teaching it: AdamW, schedules, and how to read a loss curve"
#     minutes: 90
#     goal: You write the optimizer that trains nearly every transformer, the schedule and the clipping that go with it, and the training loop; you teach BERT what "not bad" means, and learn to tell from its loss curve what is wrong.
#     needs: [9]
# ---

# %% [markdown]
# The BERT of lesson 09 said that *"It was not bad at all."* is a bad review. Its backward pass tells for each of its 1.5 million
# weights in which direction the loss falls. What remains is to go there: a step, another batch, another step. That sounds like
# one line of code, $w \leftarrow w - \eta\, \texttt{dw}$. Why it is ten lines, and what each of them is for, is this lesson.

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("batch", "ids, labels"), "forward", ("loss", "one number"), "backward", ("gradients", "like weights"), "clip",
         ("gradients", "not too long"), "AdamW × schedule", ("weights", "a bit better")],
    ),
    alt="A training step from left to right: a batch of ids and labels, forward, the loss, backward, the gradients of all weights, "
    "clipping, and AdamW, whose rate a schedule sets, gives weights that are a bit better. Then the next batch.",
)  # fmt: skip

# %% [markdown]
# Names for the whole lesson: $w$ is any array of weights, $g$ its gradient (`dw`), both of one shape; $t = 1, 2, 3, \dots$ counts
# the steps; $\eta$ (in code `lr`) is the **learning rate**. All that follows is done number by number, so shapes play no role.
#
# ## 1 · A valley, and momentum
#
# Two weights are enough to see the trouble. Let the loss be a valley, steep across and flat along:
#
# $$L(w) = \tfrac12 \left( 100\, w_1^2 + w_2^2 \right), \qquad g = (100\, w_1,\; w_2)$$
#
# **Gradient descent**, $w \leftarrow w - \eta g$, makes of these $w_1 \leftarrow (1 - 100\,\eta)\, w_1$ and
# $w_2 \leftarrow (1 - \eta)\, w_2$. The first one shrinks only if $|1 - 100\,\eta| < 1$, that is $\eta < 0.02$; above, it grows
# with every step, to and fro. But with $\eta < 0.02$ the second one shrinks by less than 2% a step. *The steepest direction
# dictates the rate, and the flattest one has to wait.* In a transformer the steepest and the flattest direction differ not by 100
# but by millions.
#
# (In training, each step sees one batch only, so $g$ is the gradient plus noise. Hence *stochastic* gradient descent, SGD.)
#
# **Momentum** keeps a running sum of the gradients, and steps along it:
#
# $$u \leftarrow \beta\, u + g, \qquad w \leftarrow w - \eta\, u$$
#
# If all gradients are the same $g$, then $u$ grows to $g\,(1 + \beta + \beta^2 + \dots) = g / (1 - \beta)$: for $\beta = 0.9$
# ten times as long. If they point to and fro, they cancel. The valley's flat direction gains speed, the steep one is calmed.

# %% [markdown]
# **Exercise 1.** Write `momentum_step(w, g, u, lr, beta)`. It returns the new `w` and the new `u`.


# %% exercise="momentum_step"
def momentum_step(w, g, u, lr, beta=0.9):
    """Arrays of one shape -> the new w, the new u"""
    ### BEGIN SOLUTION
    u = beta * u + g
    return w - lr * u, u
    ### END SOLUTION


# %% check="momentum_step" points=1
from edutransformers.teaching.checks.lesson10 import check_momentum_step

check_momentum_step(momentum_step)

# %% [markdown] hints="momentum_step"
# Two formulas, two lines. In which order?
# ---
# First `u`, then `w`: the step is along the *new* `u`, which has this step's gradient in it already.
# ---
# ```python
# u = beta * u + ...
# return w - ..., u
# ```

# %%
steepness = np.array([100.0, 1.0])


def walk(step, steps=100):
    """The loss along the way, from w = (0.5, 1)."""
    w, memory, losses = np.array([0.5, 1.0]), np.zeros(2), []
    for _ in range(steps):
        losses.append(0.5 * (steepness * w * w).sum())
        w, memory = step(w, steepness * w, memory)
    return losses


ways = {
    "rate 0.021: too large": walk(lambda w, g, u: (w - 0.021 * g, u)),
    "rate 0.019, no momentum": walk(lambda w, g, u: (w - 0.019 * g, u)),
    "rate 0.019, momentum 0.8": walk(lambda w, g, u: momentum_step(w, g, u, 0.019, 0.8)),
}
plots.show(
    lesson_plots.curves(range(100), ways, "step", "loss", "Down the valley", logarithmic="y"),
    alt="The loss over 100 steps on a logarithmic axis. With rate 0.021 it grows steadily. With 0.019 it falls, slowly, to about "
    "0.01. With 0.019 and momentum it falls in waves, below a billionth.",
)

# %% [markdown]
# ## 2 · Adam: every weight its own rate
#
# A transformer's gradients differ in size by factors of thousands: those of a layer norm, of a word that is in every text, of a
# word that came once. No single rate suits all of them. **Adam** divides each weight's step by the usual size of *its own*
# gradient. It keeps two running means for each weight, of the gradient and of its square:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
#
# and steps along $m / \sqrt{v}$: the mean direction over the usual size. If a weight's gradients agree, this is about $\pm 1$; if they
# point to and fro, it is near 0. **So a step is at most about $\eta$ wide, whatever the gradients' scale.** Multiply the loss by 1000 and
# nothing changes.
#
# ### The hats, derived
#
# Both means start at 0, which is wrong: nobody has said that the gradient is 0. How wrong? Put the rule for $m$ into itself:
#
# $$m_t = (1 - \beta_1) \sum_{k=1}^{t} \beta_1^{\,t-k}\, g_k$$
#
# (check it for $t = 1$ and $t = 2$). **Step 1:** suppose all $g_k$ are the same $g$. **Step 2:** the sum is geometric:
# $\sum_{k=1}^{t} \beta^{t-k} = 1 + \beta + \dots + \beta^{t-1} = \dfrac{1 - \beta^t}{1 - \beta}$. **Step 3:** therefore
#
# $$m_t = (1 - \beta_1^{\,t})\, g, \qquad\text{and in the same way}\qquad v_t = (1 - \beta_2^{\,t})\, g^2 .$$
#
# The means are too small, by factors that we know. Divide by them:
#
# $$\boxed{\;\hat m = \frac{m}{1 - \beta_1^{\,t}}, \qquad \hat v = \frac{v}{1 - \beta_2^{\,t}}, \qquad
#   \text{step} = \eta\, \frac{\hat m}{\sqrt{\hat v} + \varepsilon}\;}$$
#
# ($\varepsilon = 10^{-8}$ keeps 0/0 away for weights that never had a gradient.) What would happen without the hats? One might
# think, small first steps. Compute it, with the usual $\beta_1 = 0.9$, $\beta_2 = 0.999$:

# %%
g, m, v = 1.0, 0.0, 0.0
print("step   m       √v      m/√v    with hats")
for t in range(1, 1001):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    if t in (1, 2, 5, 10, 100, 1000):
        hats = (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.999**t))
        print(f"{t:4}   {m:.3f}   {np.sqrt(v):.3f}   {m / np.sqrt(v):.2f}    {hats:.2f}")

# %% [markdown]
# Three times too *large* at first, more than six times at step 10, since $v$ remembers longer and so starts further below. The hats
# make it exactly 1 from the first step on.
#
# Look at that first step: $\hat m / \sqrt{\hat v} = g / |g|$, plus or minus 1. *Every* weight moves by the whole $\eta$, also those
# whose gradient on this one batch was only noise. Section 4 has a remedy for that.
#
# ### The W: weight decay, and where to put it
#
# Weights that are larger than they need to be make a model that is too sure of itself. **Weight decay** pulls each of them towards 0, a
# little at every step. One way is to add $\tfrac{\lambda}{2} w^2$ to the loss ("L2"), so that $g$ becomes $g + \lambda w$. For plain
# gradient descent that gives $w \leftarrow w - \eta g - \eta\lambda w$, and it was done so for decades.
#
# In Adam it goes wrong. $\lambda w$ is a part of $g$ then, so it is divided by $\sqrt{\hat v}$ as well: *weights with large gradients
# hardly decay, those with small ones decay at once.* **AdamW** takes the decay out of the gradient:
#
# $$\boxed{\; w \;\leftarrow\; w - \eta \lambda\, w - \eta\, \frac{\hat m}{\sqrt{\hat v} + \varepsilon} \;}$$
#
# Both terms are taken off the *old* $w$, and $m$ and $v$ never see $\lambda$. All weights now decay at one pace, $(1 - \eta\lambda)^t$.

# %% [markdown]
# **Exercise 2.** Write `adamw_step(w, g, m, v, t, lr, …)`. It returns the new `w`, `m` and `v` (not the hats; those are made anew at
# each step). `t` is 1 at the first step.


# %% exercise="adamw_step"
def adamw_step(w, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    """Arrays of one shape, and t = 1, 2, … -> the new w, m, v"""
    ### BEGIN SOLUTION
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    w = w - lr * decay * w - lr * m_hat / (np.sqrt(v_hat) + eps)
    return w, m, v
    ### END SOLUTION


# %% check="adamw_step" points=3
from edutransformers.teaching.checks.lesson10 import check_adamw_step

check_adamw_step(adamw_step)

# %% [markdown] hints="adamw_step"
# Five lines: the new m, the new v, the two hats, the new w. The letters stand for arrays of one shape, so each formula can be typed as it
# stands.
# ---
# The hats use `beta1**t` and `beta2**t`, and get names of their own: `m` and `v` themselves are returned without hats. `eps` is
# added *after* the root.
# ---
# ```python
# m = beta1 * m + (1 - beta1) * g
# v = ...
# m_hat = m / (1 - beta1**t)
# v_hat = ...
# w = w - lr * decay * w - lr * m_hat / (...)
# return w, m, v
# ```

# %% [markdown]
# **Equal to the reference.** Three steps of `torch.optim.AdamW` (torch 2.13, float64), written down once:

# %%
TORCH_WEIGHTS = [
    [0.4895000009999999, -0.98900000005, 1.988000099999, 0.0],
    [0.479832690219559, -0.978689203720801, 1.9865384104253694, 0.0],
    [0.4767738195977597, -0.972073900794273, 1.9811939720146081, -0.006388135883394713],
]
gradients = np.array([[0.1, -2.0, 1e-3, 0.0], [0.3, -1.0, -1e-3, 0.0], [-0.2, 0.5, 1e-3, 1.0]])

w, m, v = np.array([0.5, -1.0, 2.0, 0.0]), np.zeros(4), np.zeros(4)
for t, (g, wanted) in enumerate(zip(gradients, TORCH_WEIGHTS), start=1):
    w, m, v = adamw_step(w, g, m, v, t, lr=0.01, decay=0.1)
    print(f"step {t}: {np.round(w, 5)}   as torch's, to 12 digits: {np.allclose(w, wanted, rtol=0, atol=1e-12)}")

# %% [markdown]
# (The gradients of the first and the third weight differ by a factor of 100, but their first steps are the same: 0.01, and a bit of decay.)
#
# And here is what the W is for. Two weights, both 1 at the start; their gradients point to and fro, so they have no reason to go
# anywhere, but one's are 10 in size and the other's 0.1. Decay should bring both towards 0 at the same pace.


# %%
def left_over(size, decoupled, steps=1000, lr=0.01, decay=0.1):
    w, m, v, path = np.ones(1), np.zeros(1), np.zeros(1), []
    for t in range(1, steps + 1):
        g = np.full(1, size * (-1) ** t)
        if decoupled:
            w, m, v = adamw_step(w, g, m, v, t, lr, decay=decay)
        else:
            w, m, v = adamw_step(w, g + decay * w, m, v, t, lr, decay=0.0)
        path.append(w[0])
    return path


paths = {
    "L2, size 10": left_over(10, decoupled=False),
    "L2, size 0.1": left_over(0.1, decoupled=False),
    "AdamW, size 10": left_over(10, decoupled=True),
    "AdamW, size 0.1": left_over(0.1, decoupled=True),
}
plots.show(
    lesson_plots.curves(range(1, 1001), paths, "step", "weight", "What decay leaves of two weights"),
    alt="Four curves of a weight over 1000 steps, all from 1. With L2 in the gradient the weight with large gradients stays near "
    "0.9 and the one with small gradients is at 0 long before the end. With AdamW both fall together to 0.37, one curve on the other.",
)

# %% [markdown]
# **What should not decay.** Decay makes sense for weights that *multiply* inputs: smaller ones make a simpler function. A bias only
# moves an output; a layer norm's $\gamma$ is neutral at 1, and pulling it to 0 switches the layer off. So both are left out. The
# names tell (lesson 09):


# %%
def decays(name):
    return not (name.endswith("bias") or "LayerNorm" in name)


# %% [markdown]
# ## 3 · Clipping: no step out of all proportion
#
# Now and then comes a batch whose gradient is a hundred times as long as usual: a strange text, a wrong label that the model is very sure
# about. Adam's means would carry it on for a long time ($v$ for a thousand steps). **Clipping by the global norm** takes the gradients of
# *all* weights as one long vector, and shortens it if it is longer than allowed:
#
# $$\lVert g \rVert = \sqrt{\sum_{\text{arrays}} \sum_{\text{numbers}} g^2}, \qquad
#   g \leftarrow g \cdot \min\!\Big(1, \frac{\mathtt{max\_norm}}{\lVert g \rVert}\Big)$$
#
# *One* factor for all: the direction stays. Clipping each number, or each array, by itself would turn the step into a different one.

# %% [markdown]
# **Exercise 3.** Write `clip_by_global_norm(gradients, max_norm)`: a list of arrays in, the list of clipped arrays and the norm *before*
# clipping out. Where the norm is 0, nothing changes, and float32 stays float32. (The norm is what one watches in a long training.)


# %% exercise="clip_by_global_norm"
def clip_by_global_norm(gradients, max_norm):
    """A list of arrays -> the list of clipped arrays, the norm before"""
    ### BEGIN SOLUTION
    norm = float(np.sqrt(sum(float((g * g).sum()) for g in gradients)))
    factor = min(1.0, max_norm / (norm + 1e-12))
    return [g * factor for g in gradients], norm
    ### END SOLUTION


# %% check="clip_by_global_norm" points=2
from edutransformers.teaching.checks.lesson10 import check_clip_by_global_norm

check_clip_by_global_norm(clip_by_global_norm)

# %% [markdown] hints="clip_by_global_norm"
# The squares of all numbers of all arrays go into one sum, and one root is taken at the end.
# ---
# `sum(float((g * g).sum()) for g in gradients)` is the sum. `min(1.0, max_norm / norm)` sees to it that short gradients stay as they
# are; add something tiny to the norm, in case it is 0.
# ---
# ```python
# norm = float(np.sqrt(sum(...)))
# factor = min(1.0, max_norm / (norm + 1e-12))
# return [... for g in gradients], norm
# ```
# (`float(...)` makes Python numbers. A NumPy float64 times a float32 array is float64, and all weights would become float64 on the way.)

# %% [markdown]
# ## 4 · The schedule: warm up, then come to rest
#
# **Why warm up?** You have seen Adam's first step: every weight moves by the whole $\eta$, in a direction that one batch made up. A few
# steps later $m$ and $v$ are means over several batches and can be trusted. So $\eta$ begins at 0 and grows for the first steps.
#
# **Why slow down?** At the end the weights jump around the bottom of the valley, as wide as a step is. Smaller steps let them settle.
#
# The usual schedule is two straight lines. With $s = 0, 1, 2, \dots$ steps done, $W$ steps of warm-up and $N$ steps in all, the rate
# is $\eta$ times
#
# $$f(s) = \begin{cases} s / W & s < W \\[2pt] \dfrac{N - s}{N - W} & W \le s \le N \\[2pt] 0 & s > N \end{cases}$$

# %% [markdown]
# **Exercise 4.** Write `warmup_then_linear(step, warmup, total)`: the factor $f$ for one step. It must also work with `warmup=0`.


# %% exercise="warmup_then_linear"
def warmup_then_linear(step, warmup, total):
    """step 0, 1, 2, … -> a factor from 0 to 1"""
    ### BEGIN SOLUTION
    if step < warmup:
        return step / warmup
    return max(0.0, (total - step) / (total - warmup))
    ### END SOLUTION


# %% check="warmup_then_linear" points=1
from edutransformers.teaching.checks.lesson10 import check_warmup_then_linear

check_warmup_then_linear(warmup_then_linear)

# %% [markdown] hints="warmup_then_linear"
# Three cases, the first two with an `if`. With `warmup=0` the first case never comes, so nothing is divided by 0.
# ---
# Check the joints on paper: at `step == warmup` the second formula must give 1, at `step == total` it must give 0.
# ---
# ```python
# if step < warmup:
#     return ...
# return max(0.0, (total - step) / (...))
# ```

# %%
plots.show(
    lesson_plots.curves(
        range(91), {"factor": [warmup_then_linear(s, 9, 90) for s in range(91)]}, "step", "times the rate",
        "9 steps of warm-up, 90 in all",
    ),
    alt="The factor over 90 steps: a steep line from 0 to 1 in the first 9, then a long straight line down to 0 at step 90.",
)  # fmt: skip

# %% [markdown]
# ## 5 · What it shall learn
#
# The pretrained model judges by words: *bad* is bad, whatever stands before it. We teach it negation. Sentences are made of patterns: half
# of them say a word plainly, half deny it. And the test is strict: the held-out sentences have *words that occur in no training
# sentence*. Whoever learned "'not boring' is good" by heart fails there; one has to learn what *not* does.

# %%
GOOD = [
    "wonderful",
    "funny",
    "moving",
    "brilliant",
    "charming",
    "clever",
    "gripping",
    "beautiful",
    "great",
    "good",
    "delightful",
    "touching",
]
BAD = [
    "boring",
    "awful",
    "dull",
    "terrible",
    "bad",
    "stupid",
    "tedious",
    "clumsy",
    "predictable",
    "weak",
    "horrible",
    "silly",
]
NEW_GOOD, NEW_BAD = (
    ["excellent", "lovely", "fascinating", "enjoyable"],
    ["disappointing", "forgettable", "ugly", "annoying"],
)
THINGS = ["film", "plot", "cast", "ending", "music", "story", "acting", "script", "dialogue", "beginning"]
PLAIN = ["The {} was {}.", "I found the {} {}.", "For me the {} is {}.", "The {} is {} from first to last."]
DENIED = [
    "The {} was not {} at all.",
    "I never found the {} {}.",
    "Nothing in the {} is {}.",
    "The {} is anything but {}.",
]


def sentences(good, bad):
    """-> [(text, label, is it denied?)]"""
    rows = []
    for words, label in ((good, 1), (bad, 0)):
        for word in words:
            for thing in THINGS:
                rows += [(pattern.format(thing, word), label, False) for pattern in PLAIN]
                rows += [(pattern.format(thing, word), 1 - label, True) for pattern in DENIED]
    return rows


def some(rows, count, seed):
    return [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))[:count]]


training, held_out = some(sentences(GOOD, BAD), 480, seed=0), some(sentences(NEW_GOOD, NEW_BAD), 128, seed=1)
for text, label, denied in held_out[:4]:
    print(f"{'good' if label else 'bad ':5} {'denied' if denied else 'plain ':7} {text}")

# %%
from edutransformers import BertForSequenceClassification, BertTokenizer

name = "edutransformers/bert-small-imdb"
tokenizer = BertTokenizer.from_pretrained(name)


def encoded(rows):
    """Texts to arrays: ids and mask (B, T), labels (B,)"""
    inputs = tokenizer([text for text, _, _ in rows], padding=True, return_tensors="np")
    return {**inputs, "labels": np.array([label for _, label, _ in rows])}


data, test = encoded(training), encoded(held_out)
denied = np.array([row[2] for row in held_out])


def judge(model):
    """On the held-out sentences -> loss, share of right answers: all, plain ones, denied ones"""
    out = model(**test)
    right = out.logits.argmax(axis=-1) == test["labels"]
    return float(out.loss), right.mean(), right[~denied].mean(), right[denied].mean()


model = BertForSequenceClassification.from_pretrained(name)
loss, right, plain, of_denied = judge(model)
print(
    f"before: held-out loss {loss:.2f}, right {right:.0%}: of the plain sentences {plain:.0%}, of the denied ones {of_denied:.0%}"
)

# %% [markdown]
# On denied sentences it is worse than a coin: it does just what we suspected.
#
# ## 6 · The loop
#
# The model is the library's `BertForSequenceClassification`, since we need it to be fast; lesson 09 showed that it is the same as yours.
# Four things of it are needed:
#
# * `out, cache = model.forward(**batch)`: with labels in the batch, `out.loss` is the mean cross-entropy (lesson 01);
# * `model.backward({"loss": 1.0}, cache)` **adds** each gradient to `parameter.grad`. It adds because a weight may be used in several places
#   and because some want to sum up several batches (lesson 11). So somebody has to clear the gradients before:
# * `model.zero_grad()`;
# * `model.named_parameters()` yields `(name, parameter)`, with the arrays `parameter.data` and `parameter.grad`.
#
# What AdamW remembers goes into a dictionary `state`: the step count `"t"`, and for each name its `"m"` and `"v"`, all 0 at first.


# %%
def new_state(model):
    return {
        "t": 0,
        "m": {name: np.zeros_like(parameter.data) for name, parameter in model.named_parameters()},
        "v": {name: np.zeros_like(parameter.data) for name, parameter in model.named_parameters()},
    }


# %% [markdown]
# **Exercise 5.** Write `train_step(model, batch, state, lr, max_norm, decay)`: clear, forward, backward, clip, one AdamW step for each
# parameter (with decay only where `decays(name)`), and return the batch's loss as a number. `model` and `state` are changed in place.


# %% exercise="train_step"
def train_step(model, batch, state, lr, max_norm=1.0, decay=0.01):
    """One step of training on one batch -> its loss"""
    ### BEGIN SOLUTION
    model.zero_grad()
    out, cache = model.forward(**batch)
    model.backward({"loss": 1.0}, cache)
    parameters = dict(model.named_parameters())
    gradients, _ = clip_by_global_norm([parameter.grad for parameter in parameters.values()], max_norm)
    state["t"] += 1
    m, v = state["m"], state["v"]
    for (name, parameter), g in zip(parameters.items(), gradients):
        rate_of_decay = decay if decays(name) else 0.0
        parameter.data, m[name], v[name] = adamw_step(
            parameter.data, g, m[name], v[name], state["t"], lr, decay=rate_of_decay
        )
    return float(out.loss)
    ### END SOLUTION


# %% check="train_step" points=3
from edutransformers.teaching.checks.lesson10 import check_train_step

check_train_step(train_step)

# %% [markdown] hints="train_step"
# The picture at the top of the lesson is the order. `dict(model.named_parameters())` is handy: its values are the parameters, and the
# list of their `.grad` goes to `clip_by_global_norm` as a whole.
# ---
# `state["t"]` grows by 1 before the weights are changed, so that the first step has t = 1. `adamw_step` returns three arrays: they go to
# `parameter.data`, `state["m"][name]` and `state["v"][name]`.
# ---
# ```python
# model.zero_grad()
# out, cache = model.forward(**batch)
# model.backward({"loss": 1.0}, cache)
# parameters = dict(model.named_parameters())
# gradients, _ = clip_by_global_norm([parameter.grad for parameter in parameters.values()], max_norm)
# state["t"] += 1
# for (name, parameter), g in zip(parameters.items(), gradients):
#     parameter.data, state["m"][name], state["v"][name] = adamw_step(..., decay=... if decays(name) else 0.0)
# return float(out.loss)
# ```

# %% [markdown] instructor=true
# Two of the wrong answers are worth showing on the blackboard, since both train *somehow*. Without `zero_grad` the gradient is the sum of all
# gradients so far: a momentum that never forgets. With `t` always 1 the hats divide by 0.1 and 0.001 for ever, so that $\hat m$ and
# $\hat v$ are 10 and 1000 times too large, and the step $10/\sqrt{1000} \approx 0.32$ of what was asked for: nobody sees it in the code, and
# it looks like a rate that is too low. Ask how one would find out (by comparing the weights after three steps with a reference, as the
# checker does).

# %% [markdown]
# ## 7 · The run
#
# 90 steps of 16 sentences: three times through the 480 (three **epochs**), each time in a new order.

# %%
BATCH = 16


def fit(data, rate, steps=90, warmup=9, seed=0, look_every=10):
    """Train on from the pretrained weights (that is called fine-tuning). -> the model, the loss of each step, [(step, what judge says)]"""
    model = BertForSequenceClassification.from_pretrained(name)
    state, order, rng = new_state(model), [], np.random.default_rng(seed)
    losses, looks = [], [(0, judge(model))]
    for step in range(steps):
        if len(order) < BATCH:
            order = list(rng.permutation(len(data["labels"])))
        rows, order = order[:BATCH], order[BATCH:]
        batch = {key: array[rows] for key, array in data.items()}
        losses.append(train_step(model, batch, state, rate * warmup_then_linear(step, warmup, steps)))
        if (step + 1) % look_every == 0:
            looks.append((step + 1, judge(model)))
    return model, losses, looks


def smooth(losses, over=5):
    """A running mean: the loss of one small batch says little."""
    return [float(np.mean(losses[max(0, i - over + 1) : i + 1])) for i in range(len(losses))]


model, losses, looks = fit(data, rate=1e-3)
for step, (loss, right, plain, of_denied) in looks[::3]:
    print(f"step {step:2}: held-out loss {loss:.2f}, right {right:4.0%}; plain {plain:4.0%}, denied {of_denied:4.0%}")

plots.show(
    plots.loss_curve(
        range(1, 91),
        smooth(losses),
        [step for step, _ in looks],
        [look[0] for _, look in looks],
        "It learns what 'not' does",
    ),
    alt="The loss over 90 steps. The training loss falls from 1.6 to 0.7 in the first 12 steps, stays near 0.6 until step 50, and then "
    "falls to 0.03. The held-out loss, measured every ten steps, goes with it down to 0.3 and stays there.",
)

# %%
QUESTIONS = ["It was not bad at all.", "It was not good at all.", "The pictures were never ugly.", "Nobody was bored."]
out = model(**tokenizer(QUESTIONS, padding=True, return_tensors="np"))
before = BertForSequenceClassification.from_pretrained(name)(**tokenizer(QUESTIONS, padding=True, return_tensors="np"))
for text, now, then in zip(QUESTIONS, out.logits.argmax(axis=-1), before.logits.argmax(axis=-1)):
    print(f"{text:32} before: {'good' if then else 'bad ':5} now: {'good' if now else 'bad'}")

# %% [markdown]
# The last question is the best one: neither *nobody* nor *bored* stands in any of our sentences.
#
# ## 8 · Reading loss curves
#
# Most trainings go wrong at first, and the curve says how, if one can read it. Each of the next runs has one thing wrong. Before
# you look at a picture, say what you expect to see. (A training is sensitive to the last digit of each number, so on your machine the
# curves wiggle in other places; their shapes are the same.)
#
# ### The rate

# %%
_, too_low, _ = fit(data, rate=1e-5, steps=45, look_every=45)
_, too_high, _ = fit(data, rate=1e-2, steps=45, look_every=45)
rates = {"0.00001: too low": too_low, "0.001: good": losses[:45], "0.01: too high": too_high}
plots.show(
    lesson_plots.curves(
        range(1, 46),
        {name: smooth(values) for name, values in rates.items()},
        "step",
        "loss of the batch",
        "Three learning rates",
    ),
    alt="The loss of 45 steps for three learning rates. With 0.00001 it wiggles around 1.4 and hardly falls. With 0.001 it falls to 0.65 "
    "in 12 steps and slowly on to 0.5. With 0.01 it falls fastest at first and then stays near 0.7.",
)

# %% [markdown]
# *Too low:* the noise of the batches around a line that hardly falls. It would arrive, some thousand steps later. *Too high:* the loss falls fast and then sits at
# $\log 2 = 0.69$, the value for knowing nothing (lesson 01): the first large steps have destroyed what pretraining had found, and the model
# says one half to everything. A curve that sits at $\log C$ is a model that does not look at its input any more. (With a still higher rate you
# would see the loss jump up, or `nan`.)
#
# How does one find the rate? By factors of three, with short runs; the largest one that still learns smoothly is usually the best.
#
# ### No warm-up
#
# How long is each step? Take all weights before and after as one long vector and measure the difference.


# %%
def step_lengths(warmup, steps=20):
    model = BertForSequenceClassification.from_pretrained(name)
    state, lengths = new_state(model), []
    for step in range(steps):
        before = {name: parameter.data for name, parameter in model.named_parameters()}
        batch = {key: array[step * BATCH : (step + 1) * BATCH] for key, array in data.items()}
        train_step(model, batch, state, 1e-3 * warmup_then_linear(step, warmup, 90))
        moved = [parameter.data - before[name] for name, parameter in model.named_parameters()]
        lengths.append(float(np.sqrt(sum(float((d * d).sum()) for d in moved))))
    return lengths


plots.show(
    lesson_plots.curves(
        range(1, 21), {"no warm-up": step_lengths(0), "9 steps of warm-up": step_lengths(9)}, "step", "length of the step",
        "How far the weights move in each step",
    ),
    alt="The length of each of the first 20 steps. Without warm-up the first is the longest, 0.65, and the others get shorter, to 0.2. "
    "With warm-up the length grows from 0 to 0.36 at step 9 and then falls to 0.2 as well.",
)  # fmt: skip

# %% [markdown]
# Without warm-up, the very first step, which a single batch of 16 sentences decided, is the longest of all: each weight that has any gradient
# moves by the whole rate. Afterwards the gradients of different batches disagree, the means get shorter, and so do the steps.
# Our model has two layers and forgives that. In deep post-norm models, BERT-base with its twelve layers or the first Transformer, a first step
# of that kind often ends where the rate 0.01 ended above: at $\log C$, for good. Warm-up costs nothing and is always used.
#
# ### Too few examples: overfitting
#
# The same 60 steps, but all on the same 32 sentences.

# %%
few = {key: array[:32] for key, array in data.items()}
_, losses_few, looks_few = fit(few, rate=1e-3, steps=60, warmup=6)
plots.show(
    plots.loss_curve(
        range(1, 61), smooth(losses_few), [step for step, _ in looks_few], [look[0] for _, look in looks_few],
        "32 sentences, again and again",
    ),
    alt="Two curves over 60 steps. Both losses come down to 0.7 and stay there until step 30. Then the training loss falls to 0.05, while "
    "the held-out loss rises to 1.2.",
)  # fmt: skip

# %% [markdown]
# The two curves part: the training loss goes to 0, the loss on held-out sentences turns and *rises*. The model learns the 32 sentences by heart
# and gets ever surer of rules that hold for these 32 only. Where the held-out curve turns is the best moment to stop. **Without held-out data
# you would be looking at the blue curve alone, and be proud of it.**
#
# (Look at the share of right answers too: it often goes on rising a little while the loss does. Then the model is wrong no more often than before,
# but much surer where it is wrong.)
#
# ### Wrong labels
#
# All 480 sentences, but every tenth label is turned round, as tired annotators do.

# %%
wrong = np.random.default_rng(5).random(len(data["labels"])) < 0.1
noisy = {**data, "labels": np.where(wrong, 1 - data["labels"], data["labels"])}
noisy_model, losses_noisy, looks_noisy = fit(noisy, rate=1e-3, steps=120, warmup=12, look_every=20)
plots.show(
    plots.loss_curve(
        range(1, 121), smooth(losses_noisy, 10), [step for step, _ in looks_noisy], [look[0] for _, look in looks_noisy],
        "Every tenth label is wrong",
    ),
    alt="Two curves over 120 steps. The training loss comes down to about 0.4 and stays there, uneven. The held-out loss falls to 0.37 "
    "and lies mostly a little below it.",
)  # fmt: skip

# %% [markdown]
# Learning takes longer, and the training loss does not go to 0. It can't, unless the model learns the wrong labels by heart: whoever knows the rule
# perfectly, and knows that one label in ten is wrong, says 90%, and pays
# $-0.9 \log 0.9 - 0.1 \log 0.1 = 0.33$ on average. And the *held-out* loss (its labels are right) is no higher than the training loss, mostly
# lower; compare that with the pictures above. Those two signs together say: look at your labels.
#
# The model even tells which ones. What surprises it most, after training, is what contradicts the rule that the other sentences taught it:

# %%
out = noisy_model(**{key: array for key, array in noisy.items() if key != "labels"})
shifted = out.logits - out.logits.max(axis=-1, keepdims=True)
log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
surprise = -log_p[np.arange(len(wrong)), noisy["labels"]]
suspects = np.argsort(-surprise)[:20]
print(
    f"{wrong.sum()} of {len(wrong)} labels are wrong. Of the 20 most surprising examples, {wrong[suspects].sum()} are among them:"
)
for i in suspects[:4]:
    print(
        f"  labelled {'good' if noisy['labels'][i] else 'bad ':5} {training[i][0]:45} {'wrong label' if wrong[i] else 'right label'}"
    )

# %% [markdown]
# That is how real data sets are cleaned.
#
# ## 9 · The library's
#
# Your three functions against the library's: the same five batches, in float64, from the same start.

# %%
from edutransformers.training import clip_grad_norm_, get_linear_schedule_with_warmup
from edutransformers.training.optimizers import AdamW, decay_groups

batches = [{key: array[i * BATCH : (i + 1) * BATCH] for key, array in data.items()} for i in range(5)]

mine = BertForSequenceClassification.from_pretrained(name, dtype="float64")
state = new_state(mine)
my_losses = [
    train_step(mine, batch, state, 1e-3 * warmup_then_linear(step, 2, 5)) for step, batch in enumerate(batches)
]

library = BertForSequenceClassification.from_pretrained(name, dtype="float64")
optimizer = AdamW(decay_groups(library, weight_decay=0.01), lr=1e-3)
schedule = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=2, num_training_steps=5)
library_losses = []
for batch in batches:
    out, cache = library.forward(**batch)
    library.backward({"loss": 1.0}, cache)
    clip_grad_norm_(library, 1.0)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()
    library_losses.append(float(out.loss))

weights = dict(library.named_parameters())
off = max(np.abs(parameter.data - weights[name_of].data).max() for name_of, parameter in mine.named_parameters())
print("losses", np.round(my_losses, 4))
print(
    "the losses agree to 1e-6:",
    np.allclose(my_losses, library_losses, atol=1e-6),
    "· all weights agree to 1e-6:",
    off < 1e-6,
)

# %% [markdown]
# And the **Trainer** is this loop with everything around it: shuffling, padding, evaluation, checkpoints, logs. It also switches on dropout,
# so here its probabilities are set to 0, as we had it. The arguments have the original's names:

# %%
from edutransformers import Trainer, TrainingArguments
from edutransformers.training import PrinterCallback

arguments = TrainingArguments(
    "run", learning_rate=1e-3, per_device_train_batch_size=BATCH, num_train_epochs=3, warmup_ratio=0.1, weight_decay=0.01,
    max_grad_norm=1.0, lr_scheduler_type="linear", seed=0, save_strategy="no", logging_strategy="no", disable_tqdm=True,
)  # fmt: skip
examples = [{key: array[i] for key, array in data.items()} for i in range(len(training))]
model = BertForSequenceClassification.from_pretrained(name, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
trainer = Trainer(model, arguments, train_dataset=examples)
trainer.remove_callback(PrinterCallback)  # it would print times, which are other ones on each machine
result = trainer.train()
loss, right, plain, of_denied = judge(trainer.model.eval())
print(f"{result.global_step} steps; held-out right {right:.0%}; plain {plain:.0%}, denied {of_denied:.0%}")

# %% [markdown]
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | the loss falls, then rises and jumps | no `zero_grad`: all gradients since the start are in each step |
# | the loss sits at $\log C$ from early on | the rate is too high, or there was no warm-up; or labels and texts don't belong together |
# | the loss hardly falls, step after step | the rate is too low; or `t` never grew |
# | `nan` | the rate again; or a text without a single visible token |
# | training loss → 0, held-out loss rises | overfitting: more data, fewer steps, dropout, decay |
# | training loss stays high, and above the held-out loss | wrong labels; or dropout, which is on in training only |
# | good in training, random in use | evaluation without `eval()`, or another tokenizer |
# | all at once twice as slow | a NumPy float64 number (`np.sqrt(…)`, `mean()`) turned all weights into float64 |
# | "90% right!" | what is guessing worth? And do held-out texts, or near copies of them, stand in the training data? |
#
# ## What the library does more than you did
#
# * its AdamW goes through all weights **in chunks that stay in the processor's cache**, in place: yours makes nine arrays as large as the weights;
# * it skips parameters that have no gradient, keeps groups with rates of their own, saves and loads its state;
# * clipping adds up in float64 and waits for no GPU;
# * eleven schedules, and others by a metric; optimizers that remember less: Adafactor (a row and a column for each matrix), AdamW in 8 bits;
# * the Trainer: accumulation over several batches, mixed precision, several machines, evaluation and early stopping, and going on after a crash
#   with the same numbers as without.

# %%
from edutransformers.teaching.read_on import read_on
from edutransformers.training.optimizers import SGD, Adafactor

read_on(SGD, AdamW, decay_groups, clip_grad_norm_, get_linear_schedule_with_warmup, Adafactor, Trainer)

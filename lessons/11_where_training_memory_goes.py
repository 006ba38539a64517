# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: "Where training memory goes: the cache, checkpointing, accumulation"
#     minutes: 80
#     goal: You predict by a formula what a training step holds in memory, measure that you are right, and build the two ways to need less, gradient checkpointing and gradient accumulation, with the same gradients to the last digit.
#     needs: [8, 10]
# ---

# %% [markdown]
# BERT-base's weights are a file of 440 MB. Training it on 32 texts of 512 tokens takes more than 16,000 MB. Most people meet this
# fact as an error message, and try smaller numbers until it is gone. Here you learn where the rest comes from, each part to the byte, and
# which switch shrinks which part.
#
# A training step (lesson 10) has four things to hold:
#
# | | what | bytes in float32 | how long it lives |
# |---|---|---|---|
# | weights | the model | 4 for each weight | always |
# | gradients | one for each weight | 4 for each weight | from backward to the optimizer's step |
# | states | AdamW's $m$ and $v$ | 8 for each weight | always |
# | **activations** | the caches: what forward leaves for backward | counts with the batch | from a layer's forward to its backward |
#
# The first three are 16 bytes for each weight, whatever the batch: for BERT-base's 110 million 1,750 MB. The fourth is the
# interesting one. Picture two layers and a loss:

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("x₀", "(B, T, D)"), "layer 1", ("x₁", "cache 1 waits"), "layer 2", ("x₂", "cache 2 waits"), "loss", ("L", "a number")],
        ["uses cache 1, last", "uses cache 2, then", "first"],
    ),
    alt="From left to right: x0, layer 1, x1, layer 2, x2, the loss. Solid arrows go forward, and each layer leaves a cache "
    "that waits. Dashed arrows come back from the loss: the last layer's cache is used first, the first layer's last.",
)  # fmt: skip

# %% [markdown]
# Forward goes to the right, backward comes back. The first layer's cache is made first and used last. So at the turning point
# *all* caches exist at once: that is the peak. (B texts, T tokens each, D width, H heads, F feed-forward width, as in all lessons.)
#
# ## 1 · Counting the caches
#
# What does backward need? You derived it, layer by layer:
#
# * a linear map $y = x\,W^\top + b$: its input, for $\texttt{dW} = \sum \texttt{dy}\, x$ (lesson 02). Maps with the *same* input share it;
# * layer norm: the normalized input (lesson 03; besides, one number for each token, which we neglect);
# * attention: $q$, $k$ and $v$ of all heads together, and the softmax weights of each head (lessons 06 and 07);
# * GELU: its slope (lesson 03); a residual: nothing.

# %% [markdown]
# **Exercise 1.** Write `layer_activations(B, T, D, H, F)`: how many *numbers* one layer of BERT keeps, without dropout. The layer, in
# order: three linear maps to $q$, $k$, $v$ of one common input; attention; a linear map; residual and norm; a linear map
# to F; GELU; a linear map to D; residual and norm.


# %% exercise="layer_activations"
def layer_activations(B, T, D, H, F):
    """-> how many numbers the caches of one layer hold"""
    ### BEGIN SOLUTION
    of_width = 1 + 3 + 1 + 1 + 1 + 1  # the common input; q, k, v; the output map's input; norm; up's input; norm
    wide = 1 + 1  # GELU's slope; down's input
    return of_width * B * T * D + wide * B * T * F + B * H * T * T
    ### END SOLUTION


# %% check="layer_activations" points=2
from edutransformers.teaching.checks.lesson11 import check_layer_activations

check_layer_activations(layer_activations)

# %% [markdown] hints="layer_activations"
# Make a list of the ten parts in order. For each write down what it keeps, and the shape of that. Three shapes occur: (B, T, D),
# (B, T, F) and (B, H, T, T).
# ---
# The common input of the three maps counts once. Attention keeps four arrays: three of (B, T, D) and the weights. The second
# map of the feed-forward keeps its input, h, which is wide; the first one keeps a narrow one.
# ---
# ```python
# of_width = 1 + 3 + ...      # the common input; q, k, v; the output map's input; norm; ...; norm
# wide = ...
# return of_width * B * T * D + wide * B * T * F + ...
# ```

# %% [markdown]
# The library can count what its own code really keeps. `memory_report` runs a training step on arrays that have a shape but no
# numbers, and writes down each one. If your formula agrees, both are right:

# %%
from edutransformers import BertConfig, BertForSequenceClassification, memory_report
from edutransformers.training import AdamW

B, T, D, H, F = 2, 40, 64, 4, 256
config = BertConfig(
    vocab_size=1000, hidden_size=D, num_hidden_layers=3, num_attention_heads=H, intermediate_size=F,
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip
tiny = BertForSequenceClassification(config, generator=np.random.default_rng(0))
ids = np.ones((B, T), dtype=int)
layers = memory_report(tiny, {"input_ids": ids, "labels": np.zeros(B, dtype=int)}).layers()[0]
print(
    f"kept by one layer: {layers.nbytes // layers.count:,} bytes; your formula says {4 * layer_activations(B, T, D, H, F):,}"
)
print(f"the difference is the norms' one number for each token: 2 · 4 · B · T = {2 * 4 * B * T}")
assert layers.nbytes == layers.count * 4 * (layer_activations(B, T, D, H, F) + 2 * B * T)

# %% [markdown]
# With $F = 4D$ it is $16\,BTD + BHT^2$: **linear in the batch, quadratic in the length.** Now to BERT-base, by your formula alone:

# %%
weights = 109.5e6  # BERT-base with a classifier
batches = np.array([1, 2, 4, 8, 16, 32])
short, long = (
    [12 * 4 * layer_activations(int(n), T, 768, 12, 3072) / 1e6 for n in batches] for T in (128, 512)
)  # 12 layers, 4 bytes a number
plots.show(
    lesson_plots.curves(
        batches,
        {
            "activations, 512 tokens": long,
            "activations, 128 tokens": short,
            "weights, gradients and states": [16 * weights / 1e6] * len(batches),
        },
        "texts in a batch", "MB", "BERT-base: what a training step holds", logarithmic="xy",
    ),
    alt="Memory over the number of texts in a batch, both axes logarithmic. Weights, gradients and states are a level line at "
    "1750 megabytes. Activations rise in proportion to the batch: with 128 tokens they cross the line near 20 texts, with 512 "
    "tokens just below 4 texts, and reach 14,500 megabytes at 32.",
)  # fmt: skip

# %% [markdown]
# Below the level line the optimizer is what costs, above it the activations are. Which switch helps depends on the side you are
# on.
#
# ## 2 · Measured, on a real model
#
# The little BERT that ships with the package, 8 texts of 128 tokens. `measure=True` also takes a real step and asks Python's
# `tracemalloc` for its peak.

# %%
from edutransformers import AutoModelForSequenceClassification, AutoTokenizer

name = "edutransformers/bert-small-imdb"
tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModelForSequenceClassification.from_pretrained(name)
texts = [f"{word} film, and I would see it again, or not. " * 12 for word in ["A good", "A bad", "One more", "No"] * 2]
batch = dict(tokenizer(texts, return_tensors="np", padding=True, truncation=True, max_length=128))
batch["labels"] = np.array([1, 0, 1, 0] * 2)
report = memory_report(model, batch, AdamW(model), measure=True)
for row in report.table():
    print(f"{row['part']:20}{row['bytes'] / 1e6:8.1f} MB{row['share']:8.0%}")
print(f"the peak, measured  {report.measured / 1e6:8.1f} MB")
assert abs(report.peak / report.measured - 1) < 0.1

# %%
plots.show(
    report.plot(),
    alt="Horizontal bars that begin where the one above ends, from nothing to the peak of 52 megabytes: weights 6, gradients 6, "
    "optimizer states 12, the two layers' activations 23, and a few that come and go. Activations are nearly half.",
)

# %% [markdown]
# "Temporary" is what comes and goes: gradients on their way down, a product before it is added. (The activations are a
# little more than your formula: the masks of dropout, one byte for each number.)
#
# ## 3 · Memory over time
#
# To change something we need layers that we can look into. Sixteen of lesson 08's, one on the other, with dropout in the middle:
# `layer.forward(x, generator)` returns `(y, cache)`, `layer.backward(dy, cache)` returns `dx` and *adds* the weights'
# gradients. A small wrapper notes the memory in use after every call.

# %%
import copy
import tracemalloc

from edutransformers.layers import FeedForward

L, D = 16, 64
init = np.random.default_rng(0)
stack = [FeedForward(D, D, dropout=0.1, generator=init).train() for _ in range(L)]
for layer in stack:
    for parameter in layer.parameters():
        if parameter.data.ndim == 2:
            parameter.data *= 6.0  # so that gradients don't fade on their way through sixteen layers
x = np.random.default_rng(1).standard_normal((8, 128, D), dtype=np.float32)
dy = np.random.default_rng(2).standard_normal((8, 128, D), dtype=np.float32)


def plain_step(layers, x, dy, generator):
    """Forward through all layers, all caches kept; then back. -> y, dx"""
    caches = []
    for layer in layers:
        x, cache = layer.forward(x, generator)
        caches.append(cache)
    y = x
    for layer in reversed(layers):
        dy = layer.backward(dy, caches.pop())
    return y, dy


class Watched:
    """A layer that notes how much memory is in use after each of its calls."""

    def __init__(self, layer, notes):
        self.layer, self.notes = layer, notes

    def forward(self, x, generator):
        result = self.layer.forward(x, generator)
        self.notes.append(tracemalloc.get_traced_memory()[0] / 1e6)
        return result

    def backward(self, dy, cache):
        dx = self.layer.backward(dy, cache)
        self.notes.append(tracemalloc.get_traced_memory()[0] / 1e6)
        return dx


def memory_over_time(step):
    """What step(layers) has in use after each call of a layer, in MB; gradients exist before it begins."""
    for layer in stack:
        for parameter in layer.parameters():
            parameter.grad = np.zeros_like(parameter.data)
    notes = []
    tracemalloc.start()
    step([Watched(layer, notes) for layer in stack])
    tracemalloc.stop()
    return notes


plain_notes = memory_over_time(lambda layers: plain_step(layers, x, dy, np.random.default_rng(3)))
plots.show(
    lesson_plots.curves(
        range(1, len(plain_notes) + 1), {"plain": plain_notes}, "call of a layer: 16 forward, 16 backward", "MB in use",
        "One training step of sixteen layers",
    ),
    alt="Memory over the calls of the layers. It rises in a straight line for sixteen forward calls and falls in a straight "
    "line for sixteen backward calls: a triangle.",
)  # fmt: skip

# %% [markdown]
# A triangle. Its height is what must fit. How to cut it off?
#
# ## 4 · Checkpointing: arithmetic instead of memory
#
# A cache can be computed again, if one has the input of its layer. Cut the stack of $L$ layers into segments of $k$. On the way
# forward keep only the *input* of each segment, and let all caches go. On the way back take the last segment, run its forward
# a second time, now with caches, and go backward through it at once; then the segment before it, and so on (Chen and others
# 2016). At any time there are
#
# $$\underbrace{\lceil L/k \rceil}_{\text{inputs of segments}} \cdot\, a \;+\; \underbrace{k}_{\text{layers of one segment}} \cdot\, c$$
#
# numbers, if an input has $a$ and a layer's cache has $c$ ($\lceil\ \rceil$ rounds up). The price is one more forward pass. If backward costs two forwards
# (two products for one), a step costs four instead of three: **a third more**.
#
# One thing is easy to get wrong. Dropout draws random numbers, and the second forward must drop *the same ones*, or the gradients
# belong to a function that nobody evaluated. A generator moves on with each draw, so it must be remembered as it was *before* the
# segment: `copy.deepcopy(generator)`.

# %% [markdown]
# **Exercise 2.** Write `forward_in_segments(layers, x, size, generator)`. It returns `y` and `kept`: a list with a pair (input,
# copy of the generator before it) for each segment of `size` layers; the last one may be shorter.


# %% exercise="forward_in_segments"
def forward_in_segments(layers, x, size, generator):
    """-> y, kept [(input of the segment, generator as it was then), …]"""
    ### BEGIN SOLUTION
    kept = []
    for number, layer in enumerate(layers):
        if number % size == 0:
            kept.append((x, copy.deepcopy(generator)))
        x, _ = layer.forward(x, generator)
    return x, kept
    ### END SOLUTION


# %% check="forward_in_segments" points=2
from edutransformers.teaching.checks.lesson11 import check_forward_in_segments

check_forward_in_segments(forward_in_segments)

# %% [markdown] hints="forward_in_segments"
# It is `plain_step`'s first loop. What is put into a list is not every cache, but now and then the input, before the layer runs.
# ---
# A segment begins at layer 0, `size`, 2 · `size`, …: where `number % size == 0`. `x, _ = layer.forward(x, generator)` lets the
# cache go.
# ---
# ```python
# kept = []
# for number, layer in enumerate(layers):
#     if number % size == 0:
#         kept.append((x, ...))
#     x, _ = layer.forward(x, generator)
# return x, kept
# ```

# %% [markdown]
# **Exercise 3.** Write `backward_in_segments(dy, layers, kept, size)`. It returns `dx`, the gradient of the stack's input; the
# layers add up their weights' gradients by themselves. Never hold more than one segment's caches. `kept` is used once, so you may
# take it apart.


# %% exercise="backward_in_segments"
def backward_in_segments(dy, layers, kept, size):
    """dy, the gradient of the last layer's output -> dx, that of the first layer's input"""
    ### BEGIN SOLUTION
    while kept:
        x, generator = kept.pop()
        segment = layers[len(kept) * size : (len(kept) + 1) * size]
        caches = []
        for layer in segment:
            x, cache = layer.forward(x, generator)
            caches.append(cache)
        for layer in reversed(segment):
            dy = layer.backward(dy, caches.pop())
    return dy
    ### END SOLUTION


# %% check="backward_in_segments" points=3
from edutransformers.teaching.checks.lesson11 import check_backward_in_segments

check_backward_in_segments(backward_in_segments)

# %% [markdown] hints="backward_in_segments"
# Two loops in a loop: over the segments from the last to the first; in each, forward through its layers, then backward through them in
# reverse. It is `plain_step` once for each segment.
# ---
# `x, generator = kept.pop()` takes the last segment's pair, and lets go of it. How many are left says which segment it was:
# its layers are `layers[len(kept) * size : (len(kept) + 1) * size]`. The `dy` that comes out of a segment goes into the one before it.
# ---
# ```python
# while kept:
#     x, generator = kept.pop()
#     segment = layers[len(kept) * size : (len(kept) + 1) * size]
#     caches = []
#     for layer in segment:            # forward, keeping the caches
#         ...
#     for layer in reversed(segment):  # backward
#         dy = layer.backward(dy, caches.pop())
# return dy
# ```

# %% [markdown]
# Same gradients? Not nearly the same: the same arithmetic in the same order gives **the same bits**. (Where a library of matrix
# products sums in another order for arrays that lie elsewhere in memory, a last bit may differ. Here it doesn't.)

# %%


def gradients_of(step):
    """dx and all weights' gradients of one step."""
    for layer in stack:
        layer.zero_grad()
    _, dx = step()
    return [dx, *(parameter.grad for layer in stack for parameter in layer.parameters())]


def checkpointed_step(layers, size, generator):
    y, kept = forward_in_segments(layers, x, size, generator)
    return y, backward_in_segments(dy, layers, kept, size)


expected = gradients_of(lambda: plain_step(stack, x, dy, np.random.default_rng(3)))
for size in (1, 4, 5, 16):
    found = gradients_of(lambda size=size: checkpointed_step(stack, size, np.random.default_rng(3)))
    same = sum(np.array_equal(a, b) for a, b in zip(expected, found))
    print(f"segments of {size:2}: {same} of {len(expected)} gradients have the same bits")
    assert all(np.allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(a).max()) for a, b in zip(expected, found))

# %%
notes = {"plain": plain_notes}
for size in (4, 1):
    notes[f"segments of {size}"] = memory_over_time(
        lambda layers, size=size: checkpointed_step(layers, size, np.random.default_rng(3))
    )
longest = max(map(len, notes.values()))
plots.show(
    lesson_plots.curves(
        range(1, longest + 1), {name: [*values, *[np.nan] * (longest - len(values))] for name, values in notes.items()},
        "call of a layer", "MB in use", "The triangle, and what checkpoints make of it",
    ),
    alt="Memory over the calls of the layers, three curves. Plain: a high triangle of 32 calls. Segments of 4: 48 calls, a slow "
    "rise during the first sixteen, then four small teeth, less than half as high. Segments of 1: a longer slow rise, then "
    "small teeth that come down step by step.",
)  # fmt: skip

# %% [markdown] instructor=true
# Ask before showing the picture: will the curve of "segments of 1" be lower or higher than that of "segments of 4"? It depends on c/a,
# which the next section makes precise. A wrong belief that is common: checkpointing changes the result a little. It doesn't.

# %% [markdown]
# ### How long should a segment be?
#
# The formula has a term that falls with $k$ and one that rises. Treat $k$ as a real number and set the derivative to 0:
#
# $$\frac{d}{dk}\Big(\frac{L}{k}\, a + k\, c\Big) = -\frac{L a}{k^2} + c = 0
#   \qquad\Longrightarrow\qquad k = \sqrt{\frac{L\,a}{c}}$$
#
# If a layer keeps just as much as its input has ($c = a$), that is $\sqrt L$, and the peak is $2\sqrt{L}\,a$ instead of $L\,a$: a
# hundred layers in the memory of twenty. This is the famous "square-root schedule". Measured:

# %%


def peak_of(step):
    """The most memory at one time, in MB; gradients exist before."""
    for layer in stack:
        for parameter in layer.parameters():
            parameter.grad = np.zeros_like(parameter.data)
    tracemalloc.start()
    step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


sizes = [1, 2, 3, 4, 6, 8, 12, 16]
peaks = [peak_of(lambda size=size: checkpointed_step(stack, size, np.random.default_rng(3))) for size in sizes]
a = x.nbytes / 1e6
c = (plain_notes[L - 1] - plain_notes[0]) / (L - 1)  # what each layer adds
formula = [-(-L // size) * a + size * c for size in sizes]  # −(−L // k) rounds up
print(f"a = {a:.2f} MB, c = {c:.2f} MB: the best k is about √({L} · a / c) = {np.sqrt(L * a / c):.1f}")
plots.show(
    lesson_plots.curves(
        sizes, {"measured peak": peaks, "⌈L/k⌉ a + k c": formula}, "k, layers in a segment", "MB",
        "Checkpointing sixteen layers",
    ),
    alt="Peak memory over the segment's length, measured and by the formula. Both fall from 1 to 2 layers, are lowest near 2, "
    "and rise from there in nearly a straight line to 16 layers. The measured curve runs a little above the formula.",
)  # fmt: skip

# %% [markdown]
# The measured curve has the formula's shape and lies a little above it, by what one layer needs besides. And in a transformer? There
# $a = BTD$, and by your Exercise 1 $c \ge 16\,a$. For BERT-base's 12 layers $k = \sqrt{12/16} < 1$: **each layer is a segment of its own.** That
# is what every library does when you say `gradient_checkpointing=True`; the square root is for layers that keep little.
#
# On the real model, with its dropout on:

# %%


def real_gradients():
    model.zero_grad()
    out, cache = model.forward(**batch, generator=np.random.default_rng(5))
    model.backward({"loss": 1.0}, cache)
    return {name: parameter.grad for name, parameter in model.named_parameters()}


model.train()
plain = real_gradients()
model.gradient_checkpointing_enable()
checkpointed = real_gradients()
model.gradient_checkpointing_disable()
same = sum(np.array_equal(plain[name], checkpointed[name]) for name in plain)
print(f"{same} of {len(plain)} gradients of the little BERT have the same bits")
assert all(np.allclose(plain[name], checkpointed[name], rtol=1e-4, atol=1e-6) for name in plain)

# %% [markdown]
# ## 5 · Accumulation: a large batch in small parts
#
# Gradients of weights are sums over examples, and `backward` adds. So take a batch in parts: forward and backward for each, and the
# optimizer's step only after the last. Activations are those of one part. It costs no arithmetic at all. Is it the
# same? Only if the *loss* is put together rightly. The loss of the large batch is a mean over its $N$ counted labels:
#
# $$L = \frac{1}{N} \sum_{n=1}^{N} \ell_n
#     = \sum_{p} \frac{N_p}{N}\; \underbrace{\frac{1}{N_p} \sum_{n \in p} \ell_n}_{L_p,\ \text{the part's own mean}}$$
#
# Each part's loss, and so its gradient, has the weight $N_p / N$. With $P$ parts of *equally many* labels that is $1/P$, and everybody
# writes $1/P$. **The trap:** in language models the labels are tokens, texts have unequal lengths, and padding is not counted
# (label −100). Then $1/P$ gives a token in a part of short texts more weight than one in a part of long ones. Nothing
# fails; it is only another loss than the one you think. Several well-known training libraries had this bug until 2024.
#
# Two parts as small numbers: one with 1 label and the loss 4, one with 3 labels and a mean loss of 2. The mean of all four is
# $(4 + 3 \cdot 2)/4 = 2.5$; the mean of means is 3.

# %% [markdown]
# **Exercise 4.** Write `accumulate(loss_and_gradient, parts)`. `parts` is a list of pairs (x, labels); labels are −100 where they
# don't count. `loss_and_gradient(x, labels)` returns the mean loss over that part's counted labels, and its gradient. Return the loss
# and the gradient of all parts as one batch.


# %% exercise="accumulate"
def accumulate(loss_and_gradient, parts):
    """-> loss, gradient of the mean over all counted labels of all parts"""
    ### BEGIN SOLUTION
    counts = [(labels != -100).sum() for _, labels in parts]
    loss, gradient = 0.0, 0.0
    for (x, labels), count in zip(parts, counts):
        part_loss, part_gradient = loss_and_gradient(x, labels)
        loss = loss + part_loss * (count / sum(counts))
        gradient = gradient + part_gradient * (count / sum(counts))
    return loss, gradient
    ### END SOLUTION


# %% check="accumulate" points=2
from edutransformers.teaching.checks.lesson11 import check_accumulate

check_accumulate(accumulate)

# %% [markdown] hints="accumulate"
# Before the first backward you must know how many labels count in *all* parts together. So go through the parts once, counting.
# ---
# `(labels != -100).sum()` is $N_p$. Each part's loss and gradient are multiplied with $N_p / N$ and added up.
# ---
# ```python
# counts = [(labels != -100).sum() for _, labels in parts]
# loss, gradient = 0.0, 0.0
# for (x, labels), count in zip(parts, counts):
#     part_loss, part_gradient = loss_and_gradient(x, labels)
#     loss = loss + ...
#     gradient = gradient + ...
# return loss, gradient
# ```

# %% [markdown]
# How large is the mistake on a real model? The little GPT-2, a batch of two long texts and two short ones, in two parts. In the
# library the part's share is handed to backward, in place of the 1: `model.backward({"loss": share}, cache)`.

# %%
from edutransformers import AutoModelForCausalLM

gpt_name = "edutransformers/gpt2-small-imdb"
gpt_tokenizer, gpt = AutoTokenizer.from_pretrained(gpt_name), AutoModelForCausalLM.from_pretrained(gpt_name).eval()
texts = [
    "The story begins slowly, but once the two brothers meet again in the old house nothing can stop it.",
    "I have seen a lot of bad films in my life, and this one is not even the worst of those with a talking dog in it.",
    "Great fun.",
    "Awful.",
]
rows = [gpt_tokenizer(text)["input_ids"] for text in texts]
T = max(map(len, rows))
ids, labels = np.zeros((4, T), dtype=int), np.full((4, T), -100)
for row, (i, l) in zip(rows, zip(ids, labels)):
    i[: len(row)], l[: len(row)] = row, row
mask = (labels != -100).astype(int)


def gpt_gradient(parts, shares):
    """The gradient of all weights in one long row, accumulated over parts (slices of the batch)."""
    gpt.zero_grad()
    for part, share in zip(parts, shares):
        out, cache = gpt.forward(input_ids=ids[part], attention_mask=mask[part], labels=labels[part])
        gpt.backward({"loss": share}, cache)
    return np.concatenate([parameter.grad.ravel() for parameter in gpt.parameters()])


parts = [slice(0, 2), slice(2, 4)]
counts = np.array(
    [(labels[part, 1:] != -100).sum() for part in parts]
)  # each token predicts the next: T − 1 labels a text
whole = gpt_gradient([slice(0, 4)], [1.0])
print(f"counted labels in the two parts: {counts}")
for words, shares in (("1/P each", [0.5, 0.5]), ("N_p / N", (counts / counts.sum()).tolist())):
    off = np.linalg.norm(gpt_gradient(parts, shares) - whole) / np.linalg.norm(whole)
    print(f"{words:10} the gradient is off by {off:.1g} times the large batch's length")
assert off < 1e-4

# %% [markdown]
# With $1/P$ the error is larger than the gradient itself: two reviews of three tokens each have as much say as two of twenty-seven. With the
# right weights only the rounding of float32 is left.
#
# ## 6 · All switches at once, and half as many bytes
#
# The library tries all its switches in dry runs; "work" is arithmetic in proportion to the plain step.

# %%
from edutransformers.teaching import memory_savings

savings = memory_savings(model, batch)
for row in savings.table():
    print(f"{row['way']:34}{row['bytes'] / 1e6:7.1f} MB   saved {row['saved']:4.0%}   work × {row['work']:.2f}")

# %%
figure = savings.plot()
figure.axes[0].set_title("The little BERT, 8 texts of 128 tokens, AdamW", loc="left")
plots.show(
    figure,
    alt="A bar for each way to train the little BERT, made of weights, gradients, optimizer states, activations and temporary "
    "arrays. Plain: 52 megabytes. Checkpoints make the activations small and the temporary arrays larger; the batch in four "
    "parts shrinks both; 8-bit states shrink the states; all three together need 40 percent of the plain way.",
)

# %% [markdown]
# Read it with the first picture in mind: this model has only two layers, so recomputing one of them brings half of all caches
# back ("temporary" grows). With 12 layers and long texts checkpoints save 60 %.
#
# **float16** halves what is stored in it: 2 bytes a number. Its smallest number above zero is 6 · 10⁻⁸, and many gradients are
# smaller. So one multiplies the *loss* by a large number, say 65,536, which multiplies every gradient; one divides again in float32,
# before the step (*loss scaling*). Weights are kept in float32 too, because an update of a ten-thousandth of a weight is lost in
# float16's three digits. What is halved, then, are the activations. On a GPU the products are faster as well; a CPU has no fast
# float16 products.

# %%
gradient = 1e-8
print("in float16:              ", np.float16(gradient))
print("scaled, stored, unscaled:", float(f"{np.float32(np.float16(gradient * 65536)) / 65536:.2g}"))
print("1 + 0.0001 in float16:   ", np.float16(1) + np.float16(1e-4))

# %% [markdown]
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | out of memory at the *second* step, never the first | AdamW makes its states in the first step; or the old cache is still held by a name: `del cache` |
# | checkpointing on, and the loss doesn't fall as before | dropout was drawn anew in the second forward |
# | checkpointing on, and no memory saved | the caches are still in a list somewhere; or the optimizer's states are the largest part |
# | the gradients with parts are P times too large | each part's loss is a mean of its own, and nobody divided |
# | the loss with parts differs with unequal lengths | mean of means: weigh with $N_p/N$ |
# | batch norm gives other numbers with parts | it looks at the whole batch; layer norm doesn't |
# | a batch that fitted runs out of memory after an hour | a longer text came: the activations are quadratic in T. Try the longest batch first |
# | gradients are exactly 0 in float16 | too small for it: scale the loss |
#
# ## What the library does more than you did
#
# * `Checkpoint(layer)` wraps *any* layer, copies every generator among its inputs, and makes its first forward pass in
#   `inference_mode`: the caches that you threw away aren't even made;
# * attention keeps its weights only up to some length, and computes them again beyond;
# * the Trainer does it all with switches: `gradient_checkpointing=True`, `gradient_accumulation_steps=4`, `optim="adamw_bnb_8bit"`,
#   `fp16=True`, with loss scaling that finds its own factor;
# * `memory_report(...).predict(batch_size=, length=)` says beforehand what a batch would take, also for models that this machine
#   can't hold; `flops_report` counts the arithmetic.

# %%
from edutransformers.layers import Checkpoint
from edutransformers.module import inference_mode
from edutransformers.teaching.read_on import read_on

read_on(Checkpoint, memory_report, memory_savings, AdamW, inference_mode)

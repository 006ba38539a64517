# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: "GPT-2 assembled: the causal mask, the language-model loss, equal to the reference logits"
#     minutes: 90
#     goal: You assemble GPT-2 from the parts of earlier lessons in about a hundred lines, forward and backward, get the original's numbers out of real weights, teach a small one a language whose best possible loss is known, and measure what a model knows of a text.
#     needs: [6, 7, 9, 12]
# ---

# %% [markdown]
# BERT reads a whole text and says something about it. GPT-2 reads from left to right, and at *every* place answers one and
# the same question: **which token comes next?** That question needs no teacher: any text holds its own answers. A text
# of 1,000 tokens is 999 exercises with solutions.
#
# The parts are the ones you know. What differs from BERT fits into a small table, and each line of it is a section here:
#
# | | BERT | GPT-2 |
# |---|---|---|
# | who may look at whom | everyone at everyone | each token at itself and at what stands before it (the **causal mask**) |
# | layer norm | behind each sum | in front of each part, on the branch (**pre-norm**), and once more at the end |
# | the scores of the tokens | a small network, then the table | the table of the tokens' vectors, and nothing else (**tied**) |
# | what is asked | hidden words | the next token, at every place (**shifted labels**) |
#
# The letters: B texts of T tokens each, a vocabulary of V tokens, vectors of width D, L blocks, H heads of width K = D/H.

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("ids", "(B, T)"), "E[ids] + P", ("x", "(B, T, D)"), "L blocks, norm", ("h", "(B, T, D)"), "h Eᵀ",
         ("logits", "(B, T, V)"), "−log p[next]", ("L", "one number")],
        ["dE", "dx", "dh, dE again", "p − δ"],
    ),
    alt="From left to right: token ids of shape B by T; the table E and the positions P give x, B by T by D; L blocks and a "
    "norm give h of the same shape; times E transposed gives logits, B by T by V; minus the logarithm at the next token "
    "gives one number. Dashed arrows lead back, and the table E gets a gradient at both of its ends.",
)  # fmt: skip

# %% [markdown]
# And this is what is asked. The model reads the line above, and at each place it must say what stands below. The two lines
# are the same text, one place apart:

# %%
text = ["the", "cat", "sat", "on", "the", "mat", "."]
print("reads         ", "".join(f"{word:>8}" for word in text))
print("is asked for  ", "".join(f"{word:>8}" for word in text[1:]), "       –")

# %% [markdown]
# ## 1 · The causal mask
#
# All T questions are answered in one pass. That works only if place $t$ can't see the answer, token $t + 1$, which lies in
# memory right beside it. Attention is the only part in which tokens look at each other, so it is the only part to change.
# Lesson 07 has shown how to hide something: its score becomes $-\infty$ *before* the softmax, so that its weight is
# $e^{-\infty} = 0$ and the rest still adds up to 1:
#
# $$w_{ts} = \frac{e^{a_{ts}}}{\sum_{s' \le t} e^{a_{ts'}}} \;\text{ for } s \le t, \qquad w_{ts} = 0 \;\text{ for } s > t$$
#
# where $a_{ts}$ is the score of query $t$ and key $s$. Row $t$ is the token that looks; the columns are what it looks at.
# Each token sees itself, so no row is empty.

# %% [markdown]
# **Exercise 1.** Write `causal_weights(scores)`: scores (…, T, T) to attention weights of the same shape. `np.tri(T)` is a
# matrix (T, T) with ones on and below the diagonal and zeros above; `softmax` works along the last axis.

# %%
from edutransformers.functional.softmax import log_softmax, softmax, softmax_backward


# %% exercise="causal_weights"
def causal_weights(scores):
    """Scores (…, T, T) -> weights (…, T, T): row t adds up to 1, and is 0 behind place t."""
    ### BEGIN SOLUTION
    visible = np.tri(scores.shape[-1], dtype=bool)
    return softmax(np.where(visible, scores, -np.inf).astype(scores.dtype))
    ### END SOLUTION


# %% check="causal_weights" points=2
from edutransformers.teaching.checks.lesson13 import check_causal_weights

check_causal_weights(causal_weights)

# %% [markdown] hints="causal_weights"
# Two steps: replace the scores that must not count, then softmax. Multiplying the weights by 0 afterwards would be too late:
# the sum below the fraction would still contain the future.
# ---
# `np.where(condition, a, b)` takes `a` where the condition is true and `b` elsewhere; a matrix (T, T) broadcasts over all
# the axes in front. As a condition, use `np.tri(T, dtype=bool)`.
# ---
# ```python
# visible = np.tri(scores.shape[-1], dtype=bool)
# return softmax(np.where(visible, ..., ...))      # what instead of a hidden score?
# ```

# %%
scores = np.random.default_rng(3).normal(0, 1, (5, 5))
shown = [scores, causal_weights(scores)]
seen = np.tri(5, dtype=bool)

plots.show(
    lesson_plots.matrices(
        shown, ["scores: query t, key s", "causal weights"], rows=[f"t={t}" for t in range(5)],
        columns=[f"s={s}" for s in range(5)], marked=[seen, seen], note="framed: what token t may look at",
    ),
    alt="A five by five matrix of scores and the attention weights made of it. Framed are the places on and below the "
    "diagonal; above it all weights are zero. The first token has weight 1 on itself, as it sees nothing else.",
)  # fmt: skip

# %% [markdown]
# The backward pass needs no new line. In softmax's gradient, $\texttt{da}_{ts} = w_{ts}\,(\texttt{dw}_{ts} - \sum_{s'}
# \texttt{dw}_{ts'} w_{ts'})$, the weight stands in front: where it is 0, the gradient is 0. What could not be seen can't
# be learned from.
#
# ## 2 · The block, with its norms in front
#
# BERT computes $\text{norm}(x + f(x))$: the shortcut ends in a norm, 2L times on the way from the words to the head.
# GPT-2 moves the norm onto the branch:
#
# $$a = x + \text{attention}(\text{norm}_1(x)), \qquad y = a + \operatorname{FF}(\text{norm}_2(a))$$
#
# Now the sums form one unbroken line from the first vector to the last: each part reads a normed copy and *adds* its
# result. People call that line the **residual stream**. Nothing on it squeezes the values, so one last norm stands in
# front of the head. What is it good for? Look at the way back.
#
# **Step 1, a sum.** For $y = a + u$ with $u = \operatorname{FF}(\text{norm}_2(a))$, the number $a$ reaches the loss in
# two ways: directly, and through $u$. The chain rule adds the ways:
#
# $$\texttt{da} \;=\; \underbrace{\texttt{dy}}_{\text{the shortcut}} \;+\; \underbrace{\text{norm}_2^{\leftarrow}\big(\operatorname{FF}^{\leftarrow}(\texttt{dy})\big)}_{\text{the branch, its last part first}}$$
#
# where $f^{\leftarrow}$ stands for the backward pass of $f$: it takes the gradient of $f$'s output and gives that of its
# input.
#
# **Step 2, the other sum.** $a = x + \dots$ has the same form. What comes in is now *all* of $\texttt{da}$, not only
# $\texttt{dy}$:
#
# $$\boxed{\;\texttt{dx} = \texttt{da} + \text{norm}_1^{\leftarrow}\big(\text{attention}^{\leftarrow}(\texttt{da})\big)\;}$$
#
# **Step 3, why it trains.** Multiply it out over all blocks, and the first term of all the sums is $\texttt{dx} =
# \texttt{dy} + \dots$: the gradient at the top of the stack arrives at the words' vectors *unchanged*, plus what each part has to add.
# In BERT's form every step of the way goes through the norm's backward pass. That is why GPT-2's kind trains at depths
# where BERT's needs a careful warm-up.

# %% [markdown]
# **Exercise 2.** Write `pre_norm_block_backward(dy, norm_1, attention, norm_2, feed_forward)`. The four are functions:
# each is the *backward* pass of that part, and takes the gradient of its output and returns that of its input.


# %% exercise="pre_norm_block_backward"
def pre_norm_block_backward(dy, norm_1, attention, norm_2, feed_forward):
    """dy (B, T, D), and four backward passes, each d_output -> d_input; -> dx (B, T, D)"""
    ### BEGIN SOLUTION
    da = dy + norm_2(feed_forward(dy))
    return da + norm_1(attention(da))
    ### END SOLUTION


# %% check="pre_norm_block_backward" points=2
from edutransformers.teaching.checks.lesson13 import check_pre_norm_block_backward

check_pre_norm_block_backward(pre_norm_block_backward)

# %% [markdown] hints="pre_norm_block_backward"
# Two lines, one for each of the two sums, and the second sum of the forward pass comes first.
# ---
# Forward, the norm stands before its network: `feed_forward(norm_2(a))`. Backward, the gradient meets the network first, so
# it is `norm_2(feed_forward(dy))`. And each shortcut adds what came in.
# ---
# ```python
# da = dy + norm_2(feed_forward(dy))
# return ... + norm_1(attention(...))      # which gradient has come back to a by now?
# ```

# %% [markdown] instructor=true
# Usual wrong answers: `dy + norm_1(attention(da))`, which loses the feed-forward branch on the shortcut, and both halves
# fed with `dy`, as if they stood side by side. (Some later models do put them side by side, and then that *is* right: a
# good question is which equation of the forward pass would have to change.) Have somebody draw the block as a graph and
# count the paths from $y$ to $x$: there are four, and multiplying out the box gives four terms.

# %% [markdown]
# ## 3 · The whole model, forward
#
# Each function below is one you have written in an earlier lesson; here they stand together. Parameters lie in a
# dictionary `p` under the names that GPT-2's checkpoints have. Every function returns its output and what its backward
# pass will need.
#
# Two habits of the original: its linear layers keep the weight as (in, out), so that it is $xW + b$ without a transpose,
# and one of them makes queries, keys and values at once, side by side in 3D columns.

# %%
from edutransformers.functional.activations import gelu_new
from edutransformers.functional.normalization import layer_norm, layer_norm_backward


def linear(x, p, name):
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]  # (…, I) -> (…, O), weight (I, O)


def norm(x, p, name):
    y, n, inverse_std = layer_norm(x, p[f"{name}.weight"], p[f"{name}.bias"], 1e-5)
    return y, (n, inverse_std)


def attention(x, p, name, H):
    B, T, D = x.shape
    qkv = linear(x, p, f"{name}.c_attn").reshape(B, T, 3, H, D // H)  # (B, T, 3D), cut up
    q, k, v = qkv.transpose(2, 0, 3, 1, 4)  # each (B, H, T, K)
    weights = causal_weights(q @ k.swapaxes(-1, -2) / (D // H) ** 0.5)  # (B, H, T, T)
    merged = (weights @ v).transpose(0, 2, 1, 3).reshape(B, T, D)
    return linear(merged, p, f"{name}.c_proj"), (x, q, k, v, weights, merged)


def feed_forward(x, p, name):
    a, slope = gelu_new(linear(x, p, f"{name}.c_fc"), derivative=True)  # (B, T, 4D): GELU in its tanh form
    return linear(a, p, f"{name}.c_proj"), (x, a, slope)


def block(x, p, name, H):
    normed, norm_1 = norm(x, p, f"{name}.ln_1")
    attended, attention_cache = attention(normed, p, f"{name}.attn", H)
    a = x + attended
    normed, norm_2 = norm(a, p, f"{name}.ln_2")
    fed, feed_forward_cache = feed_forward(normed, p, f"{name}.mlp")
    return a + fed, (norm_1, attention_cache, norm_2, feed_forward_cache)


def gpt2(ids, p, L, H):
    """ids (B, T) -> logits (B, T, V) for the token behind each place, and the cache"""
    x = p["wte.weight"][ids] + p["wpe.weight"][: ids.shape[1]]  # words and positions
    caches = []
    for layer in range(L):
        x, cache = block(x, p, f"h.{layer}", H)
        caches.append(cache)
    h, norm_f = norm(x, p, "ln_f")
    return h @ p["wte.weight"].T, (ids, caches, norm_f, h)


# %% [markdown]
# ### Real weights
#
# A small GPT-2 ships with the package: 3 blocks of width 192 with 4 heads, trained on film reviews, with a vocabulary of
# 2,048 tokens made by byte-pair encoding (lesson 12). Its file has the names that the code above uses, behind a
# `transformer.` which we cut off.

# %%
from edutransformers import AutoModelForCausalLM, AutoTokenizer

checkpoint = "edutransformers/gpt2-small-imdb"
tokenizer = AutoTokenizer.from_pretrained(checkpoint)
model = AutoModelForCausalLM.from_pretrained(checkpoint).astype("float64")
weights = {name.removeprefix("transformer."): p.data for name, p in model.named_parameters()}

ids = tokenizer("This movie is one of the best films I have ever seen.", return_tensors="np")["input_ids"]
logits, _ = gpt2(ids, weights, L=3, H=4)

print(
    f"{len(weights)} arrays, {sum(w.size for w in weights.values()):,} numbers; ids {ids.shape} -> logits {logits.shape}"
)
for t in (2, 5, 10):
    best = np.argsort(-logits[0, t])[:4]
    print(f"{tokenizer.decode(ids[0, : t + 1]):40} →", ", ".join(repr(tokenizer.decode([i])) for i in best))

# %% [markdown]
# It knows English. Is it the *same* model? The logits must be equal to the package's, and to the original's: the numbers
# below were computed once with transformers 5.23 and torch 2.13 in float64, from the same file.

# %%
ORIGINAL = {  # place t: the logits of the first five tokens of the vocabulary
    3: [-1.1398136056772927, 1.3320884784717588, -3.769079954967796, -7.341381064161267, -4.430430735961628],
    12: [7.920229812906722, 0.2956614180112609, -0.4491440185025121, -1.6393340003151258, -1.9631607688960715],
}
ORIGINAL_SUM = 93491.92883777796  # of the sizes of all 13 · 2,048 logits

print("from the package's:  ", f"{np.abs(logits - model(ids).logits).max():.0e}")
print("from the original's: ", f"{max(np.abs(logits[0, t, :5] - row).max() for t, row in ORIGINAL.items()):.0e}")
assert np.allclose(logits, model(ids).logits, atol=1e-9)
assert all(np.allclose(logits[0, t, :5], row, atol=1e-9) for t, row in ORIGINAL.items())
assert np.isclose(np.abs(logits).sum(), ORIGINAL_SUM, rtol=1e-12)

# %% [markdown]
# And the mask does what it should. Exchange one token for another, and see at which places the logits change:

# %%
other = ids.copy()
other[0, 6] = tokenizer(" worst")["input_ids"][0]
change = np.abs(gpt2(other, weights, L=3, H=4)[0] - logits).max(axis=-1)[0]
words = [tokenizer.decode([i]).strip() for i in ids[0]]
words[6] += " → worst"
plots.show(
    lesson_plots.bars(words, change, "largest change of a logit at this place", "One token exchanged", form="{:.1f}"),
    alt="A bar for each token of the sentence. Before the exchanged token all changes are exactly zero; at it and behind it "
    "they are not.",
)

# %% [markdown]
# Zero, not merely small. If this picture has a bar in front of the exchanged word, the model sees the future; its training
# loss will then be wonderful, and what it writes will be nonsense.
#
# ## 4 · The loss: which token comes next?
#
# Cross-entropy, as in lesson 01, with one twist: the label of place $t$ is the token at place $t + 1$. The last place has
# no label and does not count. With B texts there are $B(T-1)$ predictions:
#
# $$\mathcal L = -\frac{1}{B(T-1)} \sum_{b} \sum_{t=0}^{T-2} \log p_{b,t}\big[\text{ids}_{b,\,t+1}\big], \qquad p_{b,t} = \text{softmax}(\text{logits}_{b,t})$$
#
# and the gradient is what lesson 01 derived, *what it said minus what came*:
#
# $$\texttt{dlogits}_{b,t,i} = \frac{1}{B(T-1)}\,\big(p_{b,t,i} - \delta_{i,\;\text{ids}_{b,t+1}}\big) \;\text{ for } t < T-1, \qquad \texttt{dlogits}_{b,T-1,i} = 0 .$$
#
# The shift is where most bugs of language models live, because none of the wrong versions stops with an error. Without a
# shift the task is to copy the token just read: the loss falls to nearly 0, and the model writes one word for ever.

# %% [markdown]
# **Exercise 3.** Write `next_token_loss(logits, ids)`: logits (B, T, V) and ids (B, T) to two things, the mean loss and
# `dlogits` (B, T, V). It must stay finite when scores are hundreds apart: `log_softmax` is imported.


# %% exercise="next_token_loss"
def next_token_loss(logits, ids):
    """logits (B, T, V), ids (B, T) -> (the mean of −log p[next token], its gradient dlogits (B, T, V))"""
    ### BEGIN SOLUTION
    B, T, V = logits.shape
    rows = np.arange(B)[:, None], np.arange(T - 1), ids[:, 1:]  # (b, t, the token at t + 1)
    log_p = log_softmax(logits[:, :-1])
    loss = -log_p[rows].mean()
    dlogits = np.zeros_like(logits)
    dlogits[:, :-1] = np.exp(log_p)
    dlogits[rows] -= 1
    return loss, dlogits / (B * (T - 1))
    ### END SOLUTION


# %% check="next_token_loss" points=3
from edutransformers.teaching.checks.lesson13 import check_next_token_loss

check_next_token_loss(next_token_loss)

# %% [markdown] hints="next_token_loss"
# Cut first: `logits[:, :-1]` are the places that predict something, `ids[:, 1:]` is what they should have said. Both have
# T − 1 places now, and everything else is lesson 01.
# ---
# Picking one number of each row of an array (B, T − 1, V): `log_p[np.arange(B)[:, None], np.arange(T - 1), ids[:, 1:]]`; the
# three broadcast to (B, T − 1). For the gradient start with `np.zeros_like(logits)`, so that the last place keeps its 0.
# ---
# ```python
# place = np.arange(B)[:, None], np.arange(T - 1), ids[:, 1:]
# log_p = log_softmax(logits[:, :-1])
# loss = -log_p[place].mean()
# dlogits = np.zeros_like(logits)
# dlogits[:, :-1] = np.exp(log_p)
# dlogits[place] -= ...
# return loss, dlogits / ...      # of how many predictions is the loss the mean?
# ```

# %%
loss, dlogits = next_token_loss(logits, ids)
ORIGINAL_LOSS = 1.1008004922949637  # torch's cross_entropy of its logits in float64
V = logits.shape[-1]
print(
    f"loss {loss:.6f}, the original's {ORIGINAL_LOSS:.6f}; a model that knows nothing pays log {V:,} = {np.log(V):.2f}"
)
assert np.isclose(loss, ORIGINAL_LOSS, rtol=1e-12)

# %% [markdown] instructor=true
# The checker names ten wrong losses. Worth discussing: which of them would show in a loss curve? No shift: a
# loss near 0 after few steps. The opposite shift: also very low, since the answer has been read. Rolled, or texts joined:
# hardly at all, one wrong label a text, which is why such bugs live for years. Divided by B·T: not at all; it is only
# a slightly smaller learning rate, but a wrong perplexity.

# %% [markdown]
# ## 5 · One table, two ends
#
# The table $E$ (V, D) is used twice: its rows are the vectors that the tokens come in with, and its rows are what the last
# state is compared with: a token's logit is the dot product of its vector with $h$. One array for both saves V·D numbers
# (0.4 million where our small model has 1.75, and 38.6 million where the smallest of the original's has 124), and what a word means when it is read and when
# it is written is learned together. What is its gradient?
#
# **Step 1, two arguments.** Pretend for a moment that there are two tables, $E^{\text{in}}$ and $E^{\text{out}}$, and the
# loss is a function of both. Moving $E$ moves both at once, so by the chain rule the gradient is the *sum*:
#
# $$\texttt{dE} = \frac{\partial \mathcal L}{\partial E^{\text{in}}} + \frac{\partial \mathcal L}{\partial E^{\text{out}}}$$
#
# **Step 2, the end where it is read** (lesson 04). $x_{b,t,d} = E^{\text{in}}_{\text{ids}_{b,t},\,d} + P_{t,d}$: row $v$
# gets the gradient of every place where token $v$ stands,
#
# $$\frac{\partial \mathcal L}{\partial E^{\text{in}}_{v,d}} = \sum_{b,t\,:\;\text{ids}_{b,t} = v} \texttt{dx}_{b,t,d}.$$
#
# **Step 3, the end where it is written.** $\text{logits}_{b,t,v} = \sum_d h_{b,t,d}\, E^{\text{out}}_{v,d}$ is a linear
# layer without a bias (lesson 02):
#
# $$\frac{\partial \mathcal L}{\partial E^{\text{out}}_{v,d}} = \sum_{b,t} \texttt{dlogits}_{b,t,v}\; h_{b,t,d}.$$
#
# **Together:**
#
# $$\boxed{\;\texttt{dE}_{v,d} = \sum_{b,t\,:\;\text{ids}_{b,t} = v} \texttt{dx}_{b,t,d} \;+\; \sum_{b,t} \texttt{dlogits}_{b,t,v}\; h_{b,t,d}\;}$$
#
# The two parts are of different kinds. The first touches only tokens that stand in the text. The second touches *every* row
# of the table: each token that did not come is pushed away a little, by as much as it was believed.

# %% [markdown]
# **Exercise 4.** Write `tied_table_gradient(ids, dx, h, dlogits)`. A token may stand in the text several times; V is the
# last axis of `dlogits`.


# %% exercise="tied_table_gradient"
def tied_table_gradient(ids, dx, h, dlogits):
    """ids (B, T), dx and h (B, T, D), dlogits (B, T, V) -> dE (V, D)"""
    ### BEGIN SOLUTION
    rows_h, rows_dlogits = h.reshape(-1, h.shape[-1]), dlogits.reshape(-1, dlogits.shape[-1])
    dE = rows_dlogits.T @ rows_h
    np.add.at(dE, ids, dx)
    return dE
    ### END SOLUTION


# %% check="tied_table_gradient" points=2
from edutransformers.teaching.checks.lesson13 import check_tied_table_gradient

check_tied_table_gradient(tied_table_gradient)

# %% [markdown] hints="tied_table_gradient"
# Make the second part first: it has the full shape (V, D). Then add the first part onto it.
# ---
# The second part: make rows of both, `dlogits.reshape(-1, V)` and `h.reshape(-1, D)`, and multiply so that the sum runs over
# the rows. The first part: `np.add.at(dE, ids, dx)` adds `dx[b, t]` to row `ids[b, t]`, for every b and t, repeated or not.
# ---
# ```python
# rows_h, rows_dlogits = h.reshape(-1, h.shape[-1]), dlogits.reshape(-1, dlogits.shape[-1])
# dE = ... @ ...                # (V, D): which of the two is transposed?
# np.add.at(dE, ids, dx)
# return dE
# ```

# %% [markdown]
# ## 6 · The whole model, backward
#
# The mirror image of section 3, bottom to top. Gradients of parameters are collected in a dictionary `g` under the same
# names, and *added*, so that a parameter that is used twice is right without further thought.


# %%
def add(g, name, gradient):
    g[name] = g[name] + gradient if name in g else gradient


def linear_backward(dy, x, p, g, name):
    rows_dy, rows_x = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    add(g, f"{name}.weight", rows_x.T @ rows_dy)  # y = x W: the weight is (I, O), and so is its gradient
    add(g, f"{name}.bias", rows_dy.sum(axis=0))
    return dy @ p[f"{name}.weight"].T


def norm_backward(dy, cache, p, g, name):
    dx, dweight, dbias = layer_norm_backward(dy, *cache, p[f"{name}.weight"])
    add(g, f"{name}.weight", dweight)
    add(g, f"{name}.bias", dbias)
    return dx


def attention_backward(dy, cache, p, g, name):
    x, q, k, v, weights, merged = cache
    B, H, T, K = q.shape
    dmerged = linear_backward(dy, merged, p, g, f"{name}.c_proj")
    dcontext = dmerged.reshape(B, T, H, K).transpose(0, 2, 1, 3)
    dv = weights.swapaxes(-1, -2) @ dcontext
    dscores = softmax_backward(dcontext @ v.swapaxes(-1, -2), weights) / K**0.5  # 0 wherever the weight is 0
    dq, dk = dscores @ k, dscores.swapaxes(-1, -2) @ q
    dqkv = np.stack([dq, dk, dv]).transpose(1, 3, 0, 2, 4).reshape(B, T, 3 * H * K)
    return linear_backward(dqkv, x, p, g, f"{name}.c_attn")


def feed_forward_backward(dy, cache, p, g, name):
    x, a, slope = cache
    return linear_backward(linear_backward(dy, a, p, g, f"{name}.c_proj") * slope, x, p, g, f"{name}.c_fc")


def block_backward(dy, cache, p, g, name):
    norm_1, attention_cache, norm_2, feed_forward_cache = cache
    return pre_norm_block_backward(
        dy,
        lambda d: norm_backward(d, norm_1, p, g, f"{name}.ln_1"),
        lambda d: attention_backward(d, attention_cache, p, g, f"{name}.attn"),
        lambda d: norm_backward(d, norm_2, p, g, f"{name}.ln_2"),
        lambda d: feed_forward_backward(d, feed_forward_cache, p, g, f"{name}.mlp"),
    )


def gpt2_backward(dlogits, cache, p):
    """dlogits (B, T, V) -> the gradient of every parameter, by name"""
    ids, caches, norm_f, h = cache
    g = {}
    dx = norm_backward(dlogits @ p["wte.weight"], norm_f, p, g, "ln_f")
    for layer in reversed(range(len(caches))):
        dx = block_backward(dx, caches[layer], p, g, f"h.{layer}")
    g["wpe.weight"] = np.zeros_like(p["wpe.weight"])
    g["wpe.weight"][: ids.shape[1]] = dx.sum(axis=0)  # one row of positions served all B texts
    g["wte.weight"] = tied_table_gradient(ids, dx, h, dlogits)
    return g


# %% [markdown]
# Sections 3 and 6 together are about a hundred lines, and they are all of GPT-2. First the table's two parts as numbers, in
# a model small enough to look at: six tokens of width 4, and the text `1 2 4 2 3`. Token 2 comes twice, tokens 0 and 5
# never, and token 3 only at the last place, from which nothing is predicted: what is read there has no effect on the loss.


# %%
def fresh_gpt2(V, D, L, T, rng, std=0.02, dtype="float64"):
    """Parameters as the original draws them; the 2L layers that add to the stream are drawn smaller by √(2L),
    so that the sum of them all is as large as one would be."""

    def draw(*shape, scale=1.0):
        return (rng.standard_normal(shape) * std * scale).astype(dtype)

    p = {"wte.weight": draw(V, D), "wpe.weight": draw(T, D)}
    for name, inputs, outputs, scale in (
        ("attn.c_attn", D, 3 * D, 1.0),
        ("attn.c_proj", D, D, (2 * L) ** -0.5),
        ("mlp.c_fc", D, 4 * D, 1.0),
        ("mlp.c_proj", 4 * D, D, (2 * L) ** -0.5),
    ):
        for layer in range(L):
            p[f"h.{layer}.{name}.weight"] = draw(inputs, outputs, scale=scale)
            p[f"h.{layer}.{name}.bias"] = np.zeros(outputs, dtype)
    for name in [f"h.{layer}.ln_{n}" for layer in range(L) for n in (1, 2)] + ["ln_f"]:
        p[f"{name}.weight"], p[f"{name}.bias"] = np.ones(D, dtype), np.zeros(D, dtype)
    return p


rng = np.random.default_rng(0)
small = fresh_gpt2(V=6, D=4, L=2, T=8, rng=rng, std=0.5)
small = {name: w + 0.2 * rng.standard_normal(w.shape) for name, w in small.items()}  # no gamma of 1, no bias of 0
text_ids = np.array([[1, 2, 4, 2, 3]])
out, cache = gpt2(text_ids, small, L=2, H=2)
_, d_out = next_token_loss(out, text_ids)
whole = gpt2_backward(d_out, cache, small)["wte.weight"]
from_head = d_out[0].T @ cache[3][0]

plots.show(
    lesson_plots.matrices(
        [whole - from_head, from_head, whole], ["where it is read", "where it is written", "dE, their sum"],
        rows=[f"token {v}" for v in range(6)], form="{:+.2f}",
    ),
    alt="Three matrices of six tokens by four numbers. In the first, the look-up's part, the rows of tokens 0, 3 and 5, "
    "which nothing was predicted from, are zero. In the second, the head's part, no row is zero. The third is their sum.",
)  # fmt: skip

# %% [markdown]
# Now the check. The loss of this small model, differentiated numerically at a few places of every array (two sides, $h =
# 10^{-5}$, float64), against `gpt2_backward`:


# %%
def check_gradients(p, ids, L, H, places=4):
    """The largest relative error of every gradient, at a few places drawn at random."""
    out, cache = gpt2(ids, p, L, H)
    g = gpt2_backward(next_token_loss(out, ids)[1], cache, p)
    rng, errors = np.random.default_rng(1), {}
    for name, array in p.items():
        numerical, by_hand = [], []
        for index in rng.integers(0, array.size, places):
            place, h = np.unravel_index(index, array.shape), 1e-5
            kept = array[place]
            array[place] = kept + h
            above = next_token_loss(gpt2(ids, p, L, H)[0], ids)[0]
            array[place] = kept - h
            below = next_token_loss(gpt2(ids, p, L, H)[0], ids)[0]
            array[place] = kept
            numerical.append((above - below) / (2 * h))
            by_hand.append(g[name][place])
        scale = max(np.abs(g[name]).max(), 1e-6)
        errors[name] = np.abs(np.subtract(numerical, by_hand)).max() / scale
    return errors


errors = check_gradients(small, np.array([[1, 2, 4, 2, 3], [5, 5, 0, 1, 2]]), L=2, H=2)
worst = max(errors, key=errors.get)
print(f"{len(errors)} arrays checked; the worst relative error is {errors[worst]:.0e}")
assert errors[worst] < 1e-6

# %% [markdown]
# And on the real model: every gradient against the package's, and the lengths of some of them against the original's
# (transformers 5.23 with torch's autograd, in float64). `wte.weight` is the tied table.

# %%
ORIGINAL_LENGTHS = {
    "wte.weight": 4.449454717358968,
    "wpe.weight": 1.6938352524987188,
    "h.0.ln_1.weight": 0.23870387450803096,
    "h.0.attn.c_attn.weight": 2.1052777427648186,
    "h.1.attn.c_attn.bias": 0.08141220264893037,
    "h.1.mlp.c_fc.weight": 0.8737730112856614,
    "h.2.mlp.c_proj.weight": 0.6387615854664938,
    "ln_f.bias": 0.14376909709692684,
}
logits, cache = gpt2(ids, weights, L=3, H=4)
loss, dlogits = next_token_loss(logits, ids)
g = gpt2_backward(dlogits, cache, weights)

out, model_cache = model.forward(ids, labels=ids)
model.backward({"loss": 1.0}, model_cache)
theirs = {name.removeprefix("transformer."): p.grad for name, p in model.named_parameters()}

apart = max(np.abs(g[name] - theirs[name]).max() for name in theirs)
off = max(abs(np.linalg.norm(g[name]) / length - 1) for name, length in ORIGINAL_LENGTHS.items())
print(f"{len(theirs)} gradients, at most {apart:.0e} from the package's")
print(f"{len(ORIGINAL_LENGTHS)} of their lengths, at most {off:.0e} of them from the original's")
assert set(g) == set(theirs)
assert max(apart, off) < 1e-9

# %% [markdown]
# A hundred lines of NumPy, and every digit is the original's, forward and backward.
#
# ## 7 · Teaching one
#
# Now a fresh model, and a language that it doesn't know. We make up the language, so that we know something that nobody knows
# of English: **how low the loss can get**. Its sentences are like *the old cats near the dog sleep .* and are drawn so:
#
# * *the*; then with probability ½ one of 4 adjectives; then one of 8 nouns, four of them singular and four plural;
# * with probability ½ *near the* and another noun;
# * one of 3 verbs, in the form that fits the **first** noun; and a full stop.
#
# Whoever knows these rules perfectly still can't know what will be drawn. What such a reader pays, $-\log$ of the true
# probability of each token, is noted down as we draw: after *the*, for example, an adjective costs $-\log(\tfrac12 \cdot \tfrac14) = \log 8$,
# and the full stop costs nothing. The mean of these costs is the floor. No model can stay below it on new text.
#
# The verb is the hard part: in *the cats near the dog sleep* the nearest noun says *sleeps*. Who counts only neighbours
# gets it wrong.

# %%
import random  # Python's own: for single small choices it is much faster than NumPy's

ADJECTIVES, VERBS = ["old", "small", "red", "happy"], ["sleep", "sing", "wait"]
NOUNS = ["cat", "dog", "bird", "horse"]
WORDS = ["the", ".", "near", *ADJECTIVES, *NOUNS, *[n + "s" for n in NOUNS], *VERBS, *[v + "s" for v in VERBS]]
ID = {word: number for number, word in enumerate(WORDS)}


def sentence(rng):
    """-> words, and what each of them costs a reader who knows the rules, in nats"""
    noun, other = [rng.choice(NOUNS) + rng.choice(["", "s"]) for _ in range(2)]
    verb = rng.choice(VERBS) + ("" if noun.endswith("s") else "s")
    words, costs = ["the"], [0.0]
    if rng.random() < 0.5:
        words, costs = [*words, rng.choice(ADJECTIVES), noun], [*costs, np.log(8), np.log(8)]
    else:
        words, costs = [*words, noun], [*costs, np.log(16)]
    if rng.random() < 0.5:
        return [*words, "near", "the", other, verb, "."], [*costs, np.log(2), 0.0, np.log(8), np.log(3), 0.0]
    return [*words, verb, "."], [*costs, np.log(6), 0.0]


def texts(B, T, rng):
    """B texts of T tokens, each beginning with a full stop -> ids (B, T), costs (B, T − 1)"""
    all_ids, all_costs = [], []
    for _ in range(B):
        words, costs = ["."], []
        while len(words) < T:
            more, cost = sentence(rng)
            words, costs = words + more, costs + cost
        all_ids.append([ID[word] for word in words[:T]])
        all_costs.append(costs[: T - 1])
    return np.array(all_ids), np.array(all_costs)


held_out, held_out_costs = texts(64, 32, random.Random(1))
floor = held_out_costs.mean()
print(" ".join(WORDS[i] for i in held_out[0]))
print(f"knowing nothing costs log {len(WORDS)} = {np.log(len(WORDS)):.2f}; knowing all the rules {floor:.2f}")

# %% [markdown]
# The training loop is lesson 10's: forward, loss, backward, a step of Adam. Two blocks of width 32 take some seconds.

# %%
chance = random.Random(2)
p = fresh_gpt2(V=len(WORDS), D=32, L=2, T=32, rng=np.random.default_rng(2), dtype="float32")
mean = {name: np.zeros_like(w) for name, w in p.items()}
square = {name: np.zeros_like(w) for name, w in p.items()}
STEPS, losses, steps_held_out, losses_held_out = 300, [], [], []

for step in range(1, STEPS + 1):
    batch, _ = texts(16, 32, chance)
    logits, cache = gpt2(batch, p, L=2, H=4)
    loss, dlogits = next_token_loss(logits, batch)
    g = gpt2_backward(dlogits, cache, p)
    rate = 5e-3 * min(step / 20, (STEPS - step + 1) / STEPS)  # warm-up, then down to 0
    for name in p:  # Adam
        mean[name] += 0.1 * (g[name] - mean[name])
        square[name] += 0.01 * (g[name] ** 2 - square[name])
        p[name] -= rate * (mean[name] / (1 - 0.9**step)) / (np.sqrt(square[name] / (1 - 0.99**step)) + 1e-8)
    losses.append(float(loss))
    if step % 10 == 0:
        steps_held_out.append(step)
        losses_held_out.append(float(next_token_loss(gpt2(held_out, p, L=2, H=4)[0], held_out)[0]))

first, last = losses[0], losses_held_out[-1]
print(
    f"first loss {first:.2f} (log V = {np.log(len(WORDS)):.2f}), held out at the end {last:.3f}, the floor {floor:.3f}"
)

# %%
every = np.arange(0, STEPS, 5)
figure = lesson_plots.curves(
    every + 1, {
        "training": [np.mean(losses[s : s + 5]) for s in every],
        "held out": np.interp(every + 1, steps_held_out, losses_held_out, left=np.nan),
        "log V: knows nothing": np.full(len(every), np.log(len(WORDS))),
        "floor: knows all the rules": np.full(len(every), floor),
    }, "step", "loss (nats a token)", "From log V down to what can't be known",
)  # fmt: skip
plots.show(
    figure,
    alt="The loss over 300 steps. It begins at log V, 3.04, falls steeply within the first fifty steps, then slowly towards "
    "the floor at about 1.05, which it nearly reaches and does not cross. Training and held-out loss lie on each other.",
)

# %% [markdown]
# The first loss is $\log V$: a fresh model's logits are nearly 0, so it believes every token equally. **Look at this number
# before anything else**; if it is far off, so is something in the code. And the curve stays above the floor. If *yours*
# ever went below it on new text, the model would be seeing the future.
#
# What has it learned? Look at the verb: a reader who knows the rules pays $\log 3 \approx 1.10$ for it where it fits the
# first noun. The last two sentences are wrong on purpose: their verb fits the nearest noun.

# %%
tries = [
    ("the cats near the dog sleep .", "right"),
    ("the bird near the horses waits .", "right"),
    ("the cats near the dog sleeps .", "wrong verb"),
    ("the bird near the horses wait .", "wrong verb"),
]
names, surprises = [], []
for line, remark in tries:
    line_ids = np.array([[ID[word] for word in [".", *line.split()]]])
    log_p = log_softmax(gpt2(line_ids, p, L=2, H=4)[0][0, :-1])
    verb = len(line.split()) - 2
    names.append(f"{line.removesuffix(' .')}  ({remark})")
    surprises.append(-float(log_p[verb, line_ids[0, verb + 1]]))

plots.show(
    lesson_plots.bars(names, surprises, "−log p of the verb (nats)", "Which verb does it expect?"),
    alt="Four sentences and the surprise of their verbs. In the two right ones the verb costs about 1.1 nats, as the rules "
    "say; in the two whose verb agrees with the nearest noun it costs several nats more.",
)

# %% [markdown]
# It passes over the nearer noun. How can it? The place that predicts the verb is the one of the *second* noun; it must find
# the first. Here is where it looks: each row is a place that asks, and the row to read is that of *dog*.

# %%
line = [".", "the", "cats", "near", "the", "dog", "sleep", "."]
_, cache = gpt2(np.array([[ID[word] for word in line]]), p, L=2, H=4)
layer_2 = cache[1][1][1][4][0]  # the second block's attention weights (H, T, T)
place = line.index("dog")
head = int(layer_2[:, place, line.index("cats")].argmax())
plots.show(
    plots.attention_maps(
        [layer_2[head], layer_2.mean(axis=0)], line, [f"block 2, head {head + 1} of 4", "block 2, mean of its heads"],
    ),
    alt="Two attention maps over the tokens . the cats near the dog sleep, one of a single head and one of the mean of the "
    "heads. Above the diagonal both are empty. In the row of dog, from which the verb is predicted, the head shown is the one "
    "that gives cats the largest share.",
)  # fmt: skip

# %% [markdown]
# ## 8 · Perplexity, and bits per character
#
# Is a loss of 1.1 good? Three ways to say the same number, each good for something. Let $c_1 \dots c_N$ be the costs $-\log p$
# of a text's N tokens, in nats (natural logarithm).
#
# * The **loss** is their mean, $\bar c$.
# * The **perplexity** is $e^{\bar c}$. A model that hesitates between $n$ equally likely tokens pays $\log n$ and has the
#   perplexity $n$. So perplexity says *between how many tokens the model hesitates*.
# * The **bits per character**: $\displaystyle \frac{1}{\text{characters}} \sum_n \frac{c_n}{\log 2}$. One bit is the cost of a
#   fair yes-or-no question; a nat is $1/\log 2 \approx 1.44$ bits. The sum is the number of bits into which a perfect
#   compressor, using this model's probabilities, would pack the text.
#
# Why the third? Loss and perplexity are *per token*. A model with longer tokens has fewer and harder predictions, and so a
# larger perplexity for the same text, though it may know more. Characters are the same for all. **Never compare the
# perplexities of models with different vocabularies.**

# %% [markdown]
# **Exercise 5.** Write `perplexity_and_bits(costs, characters)`: the costs (N,) of a text's tokens in nats, and the number of
# its characters, to the two numbers (perplexity a token, bits a character).


# %% exercise="perplexity_and_bits"
def perplexity_and_bits(costs, characters):
    """costs (N,) in nats, a number of characters -> (perplexity of a token, bits per character)"""
    ### BEGIN SOLUTION
    return np.exp(costs.mean()), costs.sum() / np.log(2) / characters
    ### END SOLUTION


# %% check="perplexity_and_bits" points=1
from edutransformers.teaching.checks.lesson13 import check_perplexity_and_bits

check_perplexity_and_bits(perplexity_and_bits)

# %% [markdown] hints="perplexity_and_bits"
# Perplexity: mean first, then the exponential. (The mean of exponentials would be another number, ruled by the one token that
# surprised most.)
# ---
# Bits: the whole text's nats are the *sum* of the costs. Turn nats into bits, then share them out over the characters.
# ---
# ```python
# perplexity = np.exp(...)
# bits = costs.sum() / np.log(2)        # of the whole text
# return perplexity, bits / ...
# ```

# %% [markdown]
# Now with the real model, on a review that was written for this lesson. A text's first token needs something in front of
# it too: `<|endoftext|>`, which in training stood between any two reviews.

# %%
import zlib

review = (
    "I went into this film with low hopes, and for the first half hour it did little to raise them. The plot is thin and the "
    "jokes are old. But then the two leads finally share a scene, and the whole thing comes alive. By the end I had forgotten "
    "how it began. It is not a great movie, but it is a good one, and I would see it again."
)
review_ids = np.array([[tokenizer.eos_token_id, *tokenizer(review)["input_ids"]]])
log_p = log_softmax(gpt2(review_ids, weights, L=3, H=4)[0][0, :-1])
costs = -log_p[np.arange(len(log_p)), review_ids[0, 1:]]
perplexity, bits = perplexity_and_bits(costs, len(review))
print(f"{len(costs)} tokens, {len(review)} characters")
print(f"loss {costs.mean():.2f} nats a token, perplexity {perplexity:.1f}, {bits:.2f} bits a character")

plots.show(
    lesson_plots.bars(
        ["as stored, a byte each", "zlib -9", "a–z and blank, equally likely", "this GPT-2"],
        [8, 8 * len(zlib.compress(review.encode(), 9)) / len(review), np.log2(27), bits],
        "bits a character", "How small can the review become?", form="{:.2f}",
    ),
    alt="Bits a character of the review: 8 as stored, about 5 with zlib, 4.75 for letters that are equally likely, "
    "and 1.3 with the small GPT-2.",
)  # fmt: skip

# %% [markdown]
# A language model *is* a compressor, and how well it compresses is how well it predicts. (What is not in the bar: the
# model itself, 3.5 MB, must be at hand when one unpacks. And one short review is no fair sample: on 1,000 real ones that it had
# not seen, this model pays 1.80 bits.) Where do the bits go? Each token of the second sentence and the third:

# %%
start = next(i for i, token in enumerate(review_ids[0]) if tokenizer.decode([token]) == " The")
part = range(start, start + 31)
names = [tokenizer.decode([review_ids[0, i]]).strip() or "·" for i in part]
plots.show(
    lesson_plots.bars(
        names, [costs[i - 1] / np.log(2) for i in part], "−log₂ p of the token that came (bits)",
        "What surprised the small GPT", form="{:.1f}",
    ),
    alt="A bar for each token of two sentences of the review: how many bits it costs. Full stops, 'the', 'is' and the later "
    "pieces of words cost little; the words that carry what is said, such as 'thin' and 'jokes', cost up to a dozen bits.",
)  # fmt: skip

# %% [markdown]
# What is settled by what stands before it is nearly free: *the*, *is*, the *s* of *leads*. What the author chose is dear, and a
# rare word is paid for with its first piece: *th·in*, *al·ive*.

# %% [markdown] instructor=true
# Two questions that lead far. Why is the first piece of a rare word dear and its second piece cheap? (The choice of the word is
# paid with its first piece.) And: the shipped model's card says perplexity 56 and 1.80 bits a character on held-out reviews,
# measured on 1,000 real reviews; why is this one so much easier? It is made of the phrases that every review has. One text is a
# sample of one, and an author who knows what the model has read is no fair sample at all.

# %% [markdown]
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | the loss falls to nearly 0 within minutes | no shift, or a mask that lets the next token through |
# | good loss, but it writes one word for ever | the labels were not shifted: it has learned to copy |
# | the first loss is far above $\log V$ | weights drawn too large, or logits scaled twice |
# | the first loss is far *below* $\log V$ | the mean counts places that have no label (padding), or the weights are not fresh |
# | all numbers nearly right, off by 0.1 % | GELU in its erf form; GPT-2 has the tanh form |
# | the embedding's gradient check fails only for tokens that come twice | `dE[ids] += dx` in place of `np.add.at` |
# | it passes with two tables, fails with one | the two ends' gradients were not added |
# | loaded weights give noise | a (in, out) weight used as (out, in): square ones fit either way and no error tells |
# | perplexity differs from the paper's | other tokens, another window, or the mean of texts' means |
#
# ## What the library does more than you did
#
# * it skips what the mask hides: with blocks of queries, the keys behind a block are **never multiplied at all**, nearly
#   half of the attention for a long text;
# * it makes the gradient of the logits only for places **whose label counts** (−100 marks the others: padding, prompts);
# * dropout on embeddings, attention and branches; padding masks beside the causal one; cross-attention for decoders that
#   read another text;
# * the tied table is one `Parameter` object: optimizers see it once, and each use adds its gradient;
# * it keeps keys and values while it writes, so that a token costs the same however long the text is: lesson 14.

# %%
from edutransformers.functional.masks import causal_visible
from edutransformers.losses import NextTokenLoss
from edutransformers.models.gpt2 import GPT2Attention, GPT2Block, GPT2LMHeadModel, GPT2Model
from edutransformers.teaching.read_on import read_on

read_on(GPT2Model, GPT2Block, GPT2Attention, GPT2LMHeadModel, NextTokenLoss, causal_visible)

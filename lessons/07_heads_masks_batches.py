# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: Many heads, masks, batches
#     minutes: 90
#     goal: You turn one attention into the layer that real models use, with several heads, with masks for padding and for the future, and with a backward pass that you check against torch.
#     needs: [2, 3, 6]
# ---

# %% [markdown]
# Lesson 06's attention has one softmax for each token: one unit of attention to give away. But a word needs several things
# at once: its subject, its negation, its neighbour. Whoever shares one unit among them gets *one mean* of all, in which
# nobody can say any more what came from where. So a layer has several attentions side by side, its **heads**. And real
# texts come in **batches**, of different lengths, and a model that writes must not peek at what it shall write: some keys
# have to be hidden from some queries, by **masks**.
#
# None of this is new mathematics. It is all about axes: moving them rightly, and forgetting none on the way back.

# %%
import numpy as np

from edutransformers.functional.linear import linear, linear_backward  # yours, of lesson 02
from edutransformers.functional.softmax import softmax, softmax_backward  # yours, of lesson 01
from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("x", "(B, T, D)"), "x Wᵀ + b, split", ("q, k, v", "(B, H, T, K)"), "mask, softmax", ("P", "(B, H, T, T)"),
         "P v, merge", ("c", "(B, T, D)"), "c Woᵀ + bo", ("y", "(B, T, D)")],
        ["dx = ?", "dq, dk = ?", "dP, dv = ?", "dc = ?"],
    ),
    alt="From left to right: x of shape B, T, D; a linear map and splitting give q, k and v of shape B, H, T, K; mask and "
    "softmax give P of shape B, H, T, T; P times v, merged, gives c of shape B, T, D; a last linear map gives y. Dashed arrows "
    "lead back to dc, dP, dv, dq, dk and dx.",
)  # fmt: skip

# %% [markdown]
# B texts, T tokens each, width D, H heads of width K = D/H.
#
# ## 1 · Splitting into heads
#
# A linear map makes a query of width D for each token. We *declare* its first K numbers to be the query of head 0, the next K
# that of head 1, and so on. Nothing is computed. Since the map is learned, which numbers go to which head doesn't matter,
# as long as it is always the same.
#
# Is it more work than one wide head? The scores of one head cost T · T · K multiplications, those of H heads H · T · T · K =
# T · T · D: the same as one head of width D. Many heads are free; what each of them gives up is width.
#
# In memory an array is one long row of numbers. Here is a small `x` with T = 3 and D = 4, in which each number *is* its place
# in memory. With H = 2 heads of K = 2:

# %%
x = np.arange(12).reshape(1, 3, 4)  # (B, T, D)
wrong = x.reshape(1, 2, 3, 2)  # (B, H, T, K) without a detour
places = ["t = 0", "t = 1", "t = 2"]
frame = np.tile([True, True, False, False], (3, 1))

plots.show(
    lesson_plots.matrices(
        [x[0], x[0, :, :2], x[0, :, 2:], wrong[0, 0]], ["x", "head 0", "head 1", "wrong"],
        places, form="{:d}", marked=[frame, None, None, None], note="each number is its place in memory; framed: head 0",
    ),
    alt="A matrix of three tokens with the numbers 0 to 11. Its left half, 0 1, 4 5, 8 9, is framed and is head 0; the right "
    "half, 2 3, 6 7, 10 11, is head 1. A last matrix, a wrong head 0, has 0 1, 2 3, 4 5: the whole token 0 and half of "
    "token 1.",
)  # fmt: skip

# %% [markdown]
# Slices would do, but one array with an axis for the heads lets `@` work for all of them at once. It takes two steps: `reshape`
# the last axis D into (H, K), then move H in front of T, so that the last two axes are (T, K). Both are **views** (lesson 00):
# NumPy only notes other strides, and no number moves.
#
# The tempting short cut `x.reshape(B, H, T, K)` has the right shape and raises no error. But reshape reads memory in its
# order, so head 0 would get *all* of token 0 and half of token 1, as in the last matrix: heads that mix up tokens.

# %% [markdown]
# **Exercise 1.** Write `split_heads(x, H)`.


# %% exercise="split_heads"
def split_heads(x, H):
    """(B, T, H·K) -> (B, H, T, K)"""
    ### BEGIN SOLUTION
    B, T, D = x.shape
    return x.reshape(B, T, H, D // H).transpose(0, 2, 1, 3)
    ### END SOLUTION


# %% check="split_heads" points=1
from edutransformers.teaching.checks.lesson07 import check_split_heads

check_split_heads(split_heads)

# %% [markdown] hints="split_heads"
# Two steps. The first makes four axes of three, and doesn't change the order in memory; the second changes the order of the
# axes. What must the axes be in between?
# ---
# `x.reshape(B, T, H, K)` cuts each token's D numbers into H parts of K = D // H. `transpose` takes the old axes' numbers in
# their new order (lesson 00): 0 is B, 1 is T, 2 is H, 3 is K.
# ---
# ```python
# B, T, D = x.shape
# parts = x.reshape(B, T, H, ...)
# return parts.transpose(...)      # (B, T, H, K) -> (B, H, T, K)
# ```

# %% [markdown]
# **Merging** is the way back: move H behind T again, and make one axis of the last two. But what the heads *computed* lies
# in memory head after head: number K − 1 of a token's head 0 and number 0 of its head 1 are far apart. Here `reshape` can't
# do with new strides, and has to **copy**.
#
# And their backward passes? Both only move numbers from one place to another, so each gradient goes back to where its number
# came from: **split's backward is merge, and merge's backward is split.** The same is true of every rearrangement:
# transpose, reshape, concatenate.


# %%
def merge_heads(x):
    """(B, H, T, K) -> (B, T, H·K)"""
    B, H, T, K = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, T, H * K)


by_head = split_heads(x, 2)
print("splitting copies nothing:", np.shares_memory(x, by_head), end="; ")
print("strides along (B, H, T, K), in numbers:", tuple(step // x.itemsize for step in by_head.strides))
print("merge after split gives x again:", np.array_equal(merge_heads(by_head), x))
computed = by_head @ np.eye(2, dtype=int)  # a product's result: a new array, head after head in memory
print("merging what was computed copies:", not np.shares_memory(computed, merge_heads(computed)))

# %% [markdown]
# ### One product for q, k and v
#
# The three linear maps of lesson 06 all read the same x. Put their weights on top of each other,
# $W = \begin{pmatrix} W_q \\ W_k \\ W_v \end{pmatrix}$ of shape (3D, D), and one product makes (B, T, 3D), which is cut into three.
# One large product is faster than three small ones. And look at the way back: with
# $\texttt{d} = (\texttt{dq}, \texttt{dk}, \texttt{dv})$ beside each other, (B, T, 3D), the ordinary formula of a linear map gives
#
# $$\texttt{dx} = \texttt{d}\; W = \texttt{dq}\, W_q + \texttt{dk}\, W_k + \texttt{dv}\, W_v,$$
#
# for a row times a column of blocks is the sum of the products. The sum of three that one can forget in lesson 06 can't be
# forgotten here.
#
# ## 2 · Masks
#
# A mask says with booleans which keys a query may see: `visible` (B, 1, T, S), True for "may be seen". (The axis of length 1
# stands for the heads: all see the same, and broadcasting repeats it.) There are two reasons to hide keys.
#
# * **Padding.** Texts of a batch have different lengths and an array is a rectangle, so short texts are filled up with
#   `[PAD]`. A text must give the same result alone and in a batch: no query may see a padded *key*. What padded *queries* see
#   doesn't matter, because nobody looks at what they get.
# * **The future.** GPT learns to say the next token, at every place of a text at once. If the query at place $t$ saw key
#   $t+1$, it would copy the answer. The **causal** mask lets it see the keys 0 … t only, itself included.
#
# With both, a key must pass both.

# %% [markdown]
# **Exercise 2.** Write `visible_keys(lengths, T, causal)`. `lengths` (B,) says how many tokens of each text are real; padding
# is at the end.


# %% exercise="visible_keys"
def visible_keys(lengths, T, causal):
    """lengths (B,), T, causal True or False -> booleans (B, 1, T, T): [b, 0, t, s] — may query t of text b see key s?"""
    ### BEGIN SOLUTION
    places = np.arange(T)
    visible = (places < lengths[:, None])[:, None, None, :] & np.ones((T, 1), dtype=bool)
    if causal:
        visible = visible & (places[None, :] <= places[:, None])
    return visible
    ### END SOLUTION


# %% check="visible_keys" points=2
from edutransformers.teaching.checks.lesson07 import check_visible_keys

check_visible_keys(visible_keys)

# %% [markdown] hints="visible_keys"
# Make the two masks separately: the padding's depends on b and s, the causal one's on t and s. `np.arange(T)` are the places.
# Comparisons broadcast (lesson 00).
# ---
# `np.arange(T) < lengths[:, None]` is (B, T): True for real keys. Put in the missing axes with `[:, None, None, :]`; that is (B,
# 1, 1, T). The causal mask is `places[None, :] <= places[:, None]`: rows are queries, columns keys. Two masks are joined by
# `&`.
# ---
# ```python
# places = np.arange(T)
# visible = (places < lengths[:, None])[:, None, None, :] & np.ones((T, 1), dtype=bool)   # (B, 1, T, T)
# if causal:
#     visible = visible & ...
# return visible
# ```

# %%
pictures = [visible_keys(np.array([3]), 5, causal)[0, 0].astype(int) for causal in (False, True)]
names = [f"key {s}" for s in range(5)]
plots.show(
    lesson_plots.matrices(
        pictures,
        ["padding: 3 of 5 tokens are real", "padding and causal"],
        [f"query {t}" for t in range(5)],
        names,
        "{:d}",
    ),
    alt="Two masks of five queries and five keys, 1 for visible. With padding only, the first three columns are 1 and the last "
    "two 0. With the causal mask too, only the lower triangle of the first three columns is left.",
)

# %% [markdown]
# ### Where the mask goes in
#
# **Not behind the softmax.** The obvious `P * visible` has two faults. Rows no longer add up to 1, so a short text gets
# weaker answers the more padding it has. And hidden keys still have had their say, because their exponentials are in the sum
# below the fraction: the *size* of what is left tells of what was hidden. In a causal model that is a glance at the future,
# and it learns to use it.
#
# **Before the softmax**, then. A hidden key shall have the weight 0, so its exponential shall be 0, so its score shall be
# very negative:
#
# $$a'_{ts} = \begin{cases} a_{ts} & \text{if visible} \\ -10^{30} & \text{if hidden} \end{cases}
#   \qquad P_{ts} = \frac{e^{a'_{ts}}}{\sum_{s'} e^{a'_{ts'}}}$$
#
# Three more turns that are easy to get wrong:
#
# * *Replace* the score, don't *add* a number like −10,000 to it, as much old code does: a hidden score of 20,000 shows through,
#   and where all visible scores are below −10,000 the hidden keys win.
# * Why not −inf? In a row where *everything* is hidden the largest score is −inf too, and −inf − (−inf) is nan. One such row
#   (a text of length 0, or the first query of some masks) makes the loss nan, and with it all weights.
# * With −10³⁰ such a row has equal scores, and its softmax is even: it would see all that is hidden. We want *zeros*: who
#   sees nothing gets nothing. So multiply the exponentials by the mask, and take care not to divide by 0.

# %% [markdown]
# **Exercise 3.** Write `masked_softmax(scores, visible)`. Hidden keys get exactly 0, each row that sees something adds up to 1, and a
# row that sees nothing is all 0, without a nan.


# %% exercise="masked_softmax"
def masked_softmax(scores, visible):
    """scores (B, H, T, S), visible (B|1, 1, T|1, S) booleans -> P (B, H, T, S)"""
    ### BEGIN SOLUTION
    scores = np.where(visible, scores, -1e30)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True)) * visible
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total == 0, 1, total)
    ### END SOLUTION


# %% check="masked_softmax" points=3
from edutransformers.teaching.checks.lesson07 import check_masked_softmax

check_masked_softmax(masked_softmax)

# %% [markdown] hints="masked_softmax"
# It is lesson 01's softmax with two more steps: one before the largest score is looked for, one before the sum.
# ---
# `np.where(visible, scores, -1e30)` replaces. After subtracting the largest and `np.exp`, multiply by `visible`. A row that sees
# nothing then has the sum 0: what could one divide by, so that 0 stays 0?
# ---
# ```python
# scores = np.where(visible, scores, -1e30)
# e = np.exp(scores - scores.max(axis=-1, keepdims=True)) * visible
# total = e.sum(axis=-1, keepdims=True)
# return e / np.where(total == 0, ..., total)
# ```

# %% [markdown]
# Let us see both ways at work: one query and four keys, of which the last is hidden. Then only the *hidden* score changes,
# from 0 to 3.

# %%
visible = np.array([[True, True, True, False]])
rows = []
for hidden_score in (0.0, 3.0):
    scores = np.array([[1.0, 0.5, 0.0, hidden_score]])
    rows.append((softmax(scores) * visible, masked_softmax(scores[None, None], visible[None, None])[0, 0]))
afterwards, before = (np.concatenate(parts) for parts in zip(*rows))

plots.show(
    lesson_plots.matrices(
        [afterwards, before], ["multiplied behind the softmax", "replaced before it"],
        ["hidden score 0", "hidden score 3"], ["key 0", "key 1", "key 2", "hidden"],
        note="left, the visible keys' shares depend on the hidden score, and rows don't add up to 1",
    ),
    alt="Two matrices of shares, rows for a hidden score of 0 and of 3. Multiplied behind the softmax the visible shares fall "
    "when the hidden score rises, from 0.43 to 0.11 for the first key. Replaced before the softmax both rows are the same, "
    "0.51, 0.31, 0.19 and 0.",
)  # fmt: skip

# %% [markdown]
# ### Its gradient
#
# Is a second formula needed for the backward pass? Look at lesson 01's once more:
#
# $$\texttt{dscores}_{ts} = P_{ts} \Big( \texttt{dP}_{ts} - \sum_{s'} \texttt{dP}_{ts'}\, P_{ts'} \Big)$$
#
# Where a key is hidden, $P_{ts} = 0$. So its $\texttt{dscores}_{ts}$ is 0, as it must be: its score was thrown away. And in the
# sum its term is 0, so the visible keys don't feel it. In a row that sees nothing all is 0. **The mask is needed once,
# forward; on the way back the zeros of P are the mask.** Checked with numbers:

# %%
rng = np.random.default_rng(1)
scores, dP = rng.standard_normal((2, 1, 2, 3, 4))
visible = np.array([[True, True, False, True], [True, False, False, False], [False, False, False, False]])[None, None]
dscores = softmax_backward(dP, masked_softmax(scores, visible))

numerical, h = np.zeros_like(scores), 1e-5
for place in np.ndindex(scores.shape):
    step = np.zeros_like(scores)
    step[place] = h
    change = masked_softmax(scores + step, visible) - masked_softmax(scores - step, visible)
    numerical[place] = (dP * change).sum() / (2 * h)

print(f"largest difference from the numerical gradient: {np.abs(dscores - numerical).max():.0e}")
print("numbers that are not 0, of the three queries:", np.count_nonzero(dscores[0, 0].round(12), axis=-1))

# %% [markdown]
# Of the second query not one gradient is left, though it sees a key: it has no choice, its one share is 1 whatever the
# score is.

# %% [markdown] instructor=true
# Good questions here: what happens to a model that was *trained* with `P * visible` and padding, when it is used on single
# texts? (It sees larger values than ever before.) Why does the library's mask use half of the smallest finite float? (So that
# subtracting the largest score doesn't overflow to −inf; in float16 −1e30 would already be −inf.) And: a learner who divides
# `softmax(scores) * visible` by its row sums gets the right numbers, until a hidden score is so large that all visible shares
# underflow: the checker tries 2000.

# %% [markdown]
# ## 3 · Dropout on the weights
#
# In training a layer forgets some of its looks: with probability p a weight is set to 0, the others are divided by 1 − p (lesson
# 03). It comes after the softmax, so that a row adds up to 1 on average only; a head can't rely on a single key. With
# `kept` (B, H, T, S), the booleans that were drawn, and U for the weights that are used:
#
# $$U = P \circ \frac{\texttt{kept}}{1-p}, \qquad c = U\, v$$
#
# ### The heads' backward, on paper
#
# Lesson 06's three steps, and one more in the place where it stands:
#
# **Step 1, the mixture.** The values met U, so U is in their gradient: $\texttt{dU} = \texttt{dc}\; v^\top$,
# $\;\texttt{dv} = U^\top\, \texttt{dc}$.
#
# **Step 2, the dropout.** A product with constants: $\texttt{dP} = \texttt{dU} \circ \texttt{kept} / (1 - p)$.
#
# **Step 3, the softmax.** It made P, before the dropout, so P is in its gradient and not U:
# $\texttt{dscores} = P \circ (\texttt{dP} - \sum_s \texttt{dP} \circ P)$. Masks included, as we saw.
#
# **Step 4, the scores.** $\texttt{dq} = \texttt{dscores}\; k / \sqrt K$, $\;\texttt{dk} = \texttt{dscores}^\top\, q / \sqrt K$, where K
# is the width of *one head*.

# %% [markdown]
# **Exercise 4.** Write `heads_backward(dc, q, k, v, P, kept, p)`. Without dropout `kept` is None. `softmax_backward(dP, P)` is imported.


# %% exercise="heads_backward"
def heads_backward(dc, q, k, v, P, kept=None, p=0.0):
    """dc, q (B, H, T, K), k, v (B, H, S, K), P before dropout and kept (B, H, T, S) -> dq, dk, dv"""
    ### BEGIN SOLUTION
    factor = 1.0 if kept is None else kept / (1 - p)
    dU = dc @ v.swapaxes(-1, -2)
    dv = (P * factor).swapaxes(-1, -2) @ dc
    dscores = softmax_backward(dU * factor, P) / np.sqrt(q.shape[-1])
    return dscores @ k, dscores.swapaxes(-1, -2) @ q, dv
    ### END SOLUTION


# %% check="heads_backward" points=2
from edutransformers.teaching.checks.lesson07 import check_heads_backward

check_heads_backward(heads_backward)

# %% [markdown] hints="heads_backward"
# It is lesson 06's `attention_backward` with one new factor, `kept / (1 - p)`, in two places: U is made with it, and dU goes
# back through it. `@` already works for all texts and heads.
# ---
# Without dropout let the factor be 1.0, and the rest needs no `if`. Then, in this order: dU, dv, dP, dscores, dq, dk.
# `swapaxes(-1, -2)` turns the last two axes.
# ---
# ```python
# factor = 1.0 if kept is None else kept / (1 - p)
# dU = dc @ v.swapaxes(-1, -2)
# dv = (P * factor).swapaxes(-1, -2) @ dc
# dscores = softmax_backward(..., P) / np.sqrt(q.shape[-1])
# return ..., ..., dv
# ```

# %% [markdown]
# ## 4 · The layer
#
# All together. The last linear map, $y = c\, W_o^\top + b_o$, is there because merging only lays the heads' answers beside
# each other: it lets them be combined, and lets each head write anywhere in the token's D numbers.


# %%
def multi_head_attention(x, W, b, Wo, bo, H, visible, generator=None, p=0.0):
    """x (B, T, D), W (3D, D), b (3D,), Wo (D, D), bo (D,) -> y (B, T, D), cache. A generator: with dropout."""
    q, k, v = (split_heads(part, H) for part in np.split(linear(x, W, b), 3, axis=-1))
    P = masked_softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]), visible)
    kept = None if generator is None else generator.random(P.shape) >= p
    c = merge_heads((P if kept is None else P * kept / (1 - p)) @ v)
    return linear(c, Wo, bo), (x, W, Wo, q, k, v, P, kept, p, c)


# %% [markdown]
# What should it give? The naive way, in loops, says it plainly: each text by itself, each head by itself, each query by
# itself, and **hidden keys are as if they weren't there**. That is what a mask means.


# %%
def multi_head_loops(x, W, b, Wo, bo, H, visible):
    """The same without masks: every query gets a list of the keys that it may see."""
    (B, T, D), K = x.shape, x.shape[-1] // H
    c = np.zeros((B, T, D))
    for text in range(B):
        q, k, v = np.split(x[text] @ W.T + b, 3, axis=-1)  # each (T, D)
        for h in range(H):
            part = slice(h * K, (h + 1) * K)  # this head's K of the D numbers
            for t in range(T):
                seen = visible[text, 0, t].nonzero()[0]
                if len(seen):
                    shares = softmax(k[seen, part] @ q[t, part] / np.sqrt(K))
                    c[text, t, part] = shares @ v[seen, part]
    return c @ Wo.T + bo


rng = np.random.default_rng(4)
x, parameters = rng.standard_normal((3, 5, 6)), [rng.standard_normal(s) for s in ((18, 6), (18,), (6, 6), (6,))]
visible = visible_keys(np.array([5, 2, 0]), 5, causal=True)  # the third text is empty
y, _ = multi_head_attention(x, *parameters, 3, visible)
print(f"masks against loops: {np.abs(y - multi_head_loops(x, *parameters, 3, visible)).max():.0e}")

# %% [markdown]
# The layer's backward is its mirror image, read from the last line to the first: out through $W_o$, split, through the
# heads, merge the three, lay them beside each other, through $W$. `linear_backward(dy, x, weight)` returns dx, dweight, dbias.

# %% [markdown]
# **Exercise 5.** Write `multi_head_backward(dy, cache)`.


# %% exercise="multi_head_backward"
def multi_head_backward(dy, cache):
    """dy (B, T, D), cache of multi_head_attention -> dx (B, T, D), dW (3D, D), db (3D,), dWo (D, D), dbo (D,)"""
    x, W, Wo, q, k, v, P, kept, p, c = cache
    H = q.shape[1]
    ### BEGIN SOLUTION
    dc, dWo, dbo = linear_backward(dy, c, Wo)
    gradients = heads_backward(split_heads(dc, H), q, k, v, P, kept, p)
    dqkv = np.concatenate([merge_heads(gradient) for gradient in gradients], axis=-1)
    dx, dW, db = linear_backward(dqkv, x, W)
    return dx, dW, db, dWo, dbo
    ### END SOLUTION


# %% check="multi_head_backward" points=3
from edutransformers.teaching.checks.lesson07 import check_multi_head_backward

check_multi_head_backward(multi_head_backward)

# %% [markdown] hints="multi_head_backward"
# Go through the forward pass from below. Each of its lines has a partner: `linear` has `linear_backward`, `merge_heads` has
# `split_heads`, `np.split` has `np.concatenate`.
# ---
# What went into the last linear map was c; what went into the first was x. `np.concatenate([…, …, …], axis=-1)` lays dq, dk and
# dv beside each other, *after* each was merged to (B, T, D).
# ---
# ```python
# dc, dWo, dbo = linear_backward(dy, c, Wo)
# dq, dk, dv = heads_backward(split_heads(dc, H), q, k, v, P, kept, p)
# dqkv = np.concatenate([...], axis=-1)                 # (B, T, 3D)
# dx, dW, db = linear_backward(dqkv, ..., ...)
# return dx, dW, db, dWo, dbo
# ```

# %% [markdown]
# Is it right? First the gradient check, with both masks and with dropout. (The generator is made anew at each call, so that the
# same weights are dropped; else the loss would jump for another reason than the step.)

# %%
from edutransformers import gradient_check
from edutransformers.gradient_check import Function

visible = visible_keys(np.array([4, 2]), 4, causal=True)


def checked_forward(x, W, b, Wo, bo):
    return multi_head_attention(x, W, b, Wo, bo, 2, visible, np.random.default_rng(5), 0.3)


rng = np.random.default_rng(2)
x, parameters = rng.standard_normal((2, 4, 6)), [rng.standard_normal(s) for s in ((18, 6), (18,), (6, 6), (6,))]
report = gradient_check(Function(checked_forward, multi_head_backward), x, *parameters)
for name, row in zip(("dx", "dW", "db", "dWo", "dbo"), report.comparisons):
    print(f"{name:4} {str(row.shape):10} relative error {row.error:.0e}  {'ok' if row.passed else 'WRONG'}")

_, cache = multi_head_attention(x, *parameters, 2, visible)
db = multi_head_backward(rng.standard_normal(x.shape), cache)[2]
print("largest gradient of the keys' bias:", f"{np.abs(db[6:12]).max():.0e}")

# %% [markdown]
# The bias of the keys gets no gradient. It adds the same vector to all keys, so $q_t \cdot b$ to a whole row of scores, and a
# softmax doesn't see what is added to a whole row. (That is why some models leave it out.)
#
# Now against torch: `torch.nn.MultiheadAttention` (2.13, float64) with H = 2 heads, a causal mask and padding in the second text.
# Weights and inputs are values of a sine, so that everybody has the same without a random generator.


# %%
def waves(*shape, start):
    return np.sin(start + 1.7 * np.arange(np.prod(shape))).reshape(shape)


TORCH_Y = [
    [[1.8085776410651544, 2.8538889880915566, 2.3454738304227987, -0.48178388456160026],
     [2.4141958201126243, 3.3211331058259477, 2.552297378053325, -0.5894042557855368],
     [3.4806950412166295, 4.230929686489847, 3.0677478848654136, -0.6029380824054873]],
    [[3.1791315685146997, 3.7572628074842447, 2.545701765828733, -1.037002374874596],
     [2.475043108690908, 3.223282964468365, 2.321308754821726, -0.8931959731017811],
     [2.401516191608354, 3.2111902905835095, 2.373808991250055, -0.7898161516298028]],
]  # fmt: skip
TORCH_DX = [
    [[2.9732283689223005, -0.5317585840677089, -2.8362000372192804, 1.2626161031006247],
     [0.2700357469534693, -0.6126585354810083, -0.11216038859369437, 0.6415610325776938],
     [-0.6604027153598754, -1.0830408528259687, 0.9394904173273854, 0.8409445173938926]],
    [[0.6825716553263214, -0.5328683148539591, -0.545257358219387, 0.673375132015335],
     [0.16604129236608786, -0.2332984370647688, -0.1059228540789953, 0.26059359020106143],
     [-0.022028019726500883, -0.0033978661833222925, 0.022903612426648966, -0.0025041425379822733]],
]  # fmt: skip
TORCH_NORM_OF_DW, TORCH_NORM_OF_DWO = 6.514955198695228, 20.072500818868257

x = waves(2, 3, 4, start=1)
parameters = [waves(12, 4, start=2), waves(12, start=3), waves(4, 4, start=4), waves(4, start=5)]
visible = visible_keys(np.array([3, 2]), 3, causal=True)
dy = waves(2, 3, 4, start=6)
y, cache = multi_head_attention(x, *parameters, 2, visible)
dx, dW, db, dWo, dbo = multi_head_backward(dy, cache)

print(f"y  against torch: {np.abs(y - TORCH_Y).max():.0e}")
print(f"dx against torch: {np.abs(dx - TORCH_DX).max():.0e}")
print(f"size of dW, dWo:  {np.linalg.norm(dW) - TORCH_NORM_OF_DW:.0e}, {np.linalg.norm(dWo) - TORCH_NORM_OF_DWO:.0e}")
assert np.allclose(y, TORCH_Y, atol=1e-12)
assert np.allclose(dx, TORCH_DX, atol=1e-12)

# %% [markdown]
# And against the library's layer, which has the three maps as three layers:

# %%
from edutransformers.layers import MultiHeadAttention

layer = MultiHeadAttention(4, heads=2).astype("float64")
W, b, Wo, bo = parameters
for linear_layer, weight, bias in zip(
    (layer.query, layer.key, layer.value, layer.output), [*np.split(W, 3), Wo], [*np.split(b, 3), bo]
):
    linear_layer.weight.data, linear_layer.bias.data = weight, bias
(library_y, _), library_cache = layer.forward(x, visible=visible)
library_dx = layer.backward(dy, library_cache)
library_dW = np.concatenate([part.weight.grad for part in (layer.query, layer.key, layer.value)])
print("y, dx, dW against the library:", *(f"{np.abs(a - b).max():.0e}" for a, b in ((y, library_y), (dx, library_dx),
                                                                                     (dW, library_dW))))  # fmt: skip

# %% [markdown]
# What the masks promise can be tested too, and should be wherever you write one: *a text alone = the text in a batch*, and
# *what comes later changes nothing before*.

# %%
rng = np.random.default_rng(3)
weights = [rng.standard_normal(s) for s in ((18, 6), (18,), (6, 6), (6,))]
batch = rng.standard_normal((2, 5, 6))  # the second text has 3 tokens; what stands in its padding is anything
together, _ = multi_head_attention(batch, *weights, 2, visible_keys(np.array([5, 3]), 5, causal=False))
alone, _ = multi_head_attention(batch[1:, :3], *weights, 2, visible_keys(np.array([3]), 3, causal=False))
print(f"a short text alone against in the batch: {np.abs(together[1, :3] - alone[0]).max():.0e}")

causal = visible_keys(np.array([5, 5]), 5, causal=True)
before, _ = multi_head_attention(batch, *weights, 2, causal)
batch[:, 3] += 10  # another token at place 3
after, _ = multi_head_attention(batch, *weights, 2, causal)
print("changed by another token at place 3:", [bool(np.abs(after - before)[:, t].max() > 1e-9) for t in range(5)])

# %% [markdown]
# ## 5 · What two heads can do and one cannot
#
# Lesson 06's telephone book again, but the question has **two** names, and wants both digits, the first name's first. One
# head has one unit of attention: half on the one entry, half on the other, and home comes the mean of two digits, from which
# nobody can tell whose is whose. Two heads of half the width can. Same D, same number of weights, same steps; the only
# difference is how the D numbers are cut.


# %%
def books_with_two_questions(rng, B):
    """-> x (B, 6, 24): five entries, one question with two names; the two digits (B, 2)"""
    names = rng.permuted(np.tile(np.arange(6), (B, 1)), axis=1)[:, :5]
    digits, rows = rng.integers(0, 10, (B, 5)), np.arange(B)
    asked = rng.permuted(np.tile(np.arange(5), (B, 1)), axis=1)[:, :2]
    x = np.zeros((B, 6, 24))
    x[:, :5, :6], x[:, :5, 12:22] = np.eye(6)[names], np.eye(10)[digits]
    x[rows, 5, names[rows, asked[:, 0]]] = 1  # the first name that is asked for
    x[rows, 5, 6 + names[rows, asked[:, 1]]] = 1  # the second
    return x, digits[rows[:, None], asked]


def learn(H, steps=130, B=64, D=24):
    """Gradient descent -> the loss at each step, the share of right digits in new books, the parameters"""
    rng, losses = np.random.default_rng(0), []
    parameters = [rng.normal(0, 0.3, (3 * D, D)), np.zeros(3 * D), rng.normal(0, 0.3, (D, D)), np.zeros(D)]
    all_visible = np.ones((1, 1, 1, 6), dtype=bool)
    for _ in range(steps):
        x, digits = books_with_two_questions(rng, B)
        y, cache = multi_head_attention(x, *parameters, H, all_visible)
        p = softmax(y[:, -1, :20].reshape(B, 2, 10))  # the last token's first 20 numbers are the scores
        losses.append(-np.log(np.take_along_axis(p, digits[..., None], axis=-1)).mean())
        dy = np.zeros_like(y)
        dy[:, -1, :20] = ((p - np.eye(10)[digits]) / (2 * B)).reshape(B, 20)  # lesson 01: p − δ
        for parameter, gradient in zip(parameters, multi_head_backward(dy, cache)[1:]):
            parameter -= 3.0 * gradient
    x, digits = books_with_two_questions(np.random.default_rng(99), 1000)
    y, _ = multi_head_attention(x, *parameters, H, all_visible)
    right = (y[:, -1, :20].reshape(-1, 2, 10).argmax(axis=-1) == digits).mean()
    return losses, right, parameters


one_head, right_one, _ = learn(1)
two_heads, right_two, trained = learn(2)
print(f"right digits in 1,000 new books: {right_one:.0%} with one head, {right_two:.0%} with two")
plots.show(
    lesson_plots.curves(
        range(130), {"one head of width 24": one_head, "two heads of width 12": two_heads}, "step", "cross-entropy (nats)",
        "Two questions at once: one softmax is not enough",
    ),
    alt="Two loss curves over 130 steps, from 2.3 down. That of one head flattens out near 1. That of two heads is the slower "
    "one at first, and then falls to nearly 0.",
)  # fmt: skip

# %%
x, digits = books_with_two_questions(np.random.default_rng(8), 1)
_, cache = multi_head_attention(x, *trained, 2, np.ones((1, 1, 1, 6), dtype=bool))
spell = lambda token: (
    "".join("ABCDEF"[i] for i in token[:6].nonzero()[0]) + "".join(map(str, token[12:22].nonzero()[0]))
)
words = [spell(token) for token in x[0, :5]]
words.append("".join("ABCDEF"[x[0, 5, part : part + 6].argmax()] for part in (0, 6)) + "??")
print("the question is", words[-1], "and the answer", *digits[0])
plots.show(
    lesson_plots.matrices([cache[6][0, :, -1]], ["where the question looks"], ["head 0", "head 1"], words),
    alt=f"The shares that the question {words[-1]} gives to the six tokens, a row for each of two heads. One head has most of it "
    "on the entry of the first name, the other on that of the second.",
)

# %% [markdown]
# Nobody assigned the heads. They began at random, one was by chance a little better at first names, and the gradients made
# the difference grow.
#
# ## 6 · Heads of a real model
#
# `gpt2-small-imdb`, the small GPT-2 that ships with the package, has three layers of four heads, and a causal mask. First: are
# its heads yours? GPT-2's weight is (D, 3D), the other way round from ours, and the layer norm (lesson 03) stands *before* the
# attention.

# %%
from edutransformers import AutoModelForCausalLM, AutoTokenizer

name = "edutransformers/gpt2-small-imdb"
tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModelForCausalLM.from_pretrained(name)
text = "The plot of this film is not very good, but the actors are great."
ids = tokenizer(text, return_tensors="np")["input_ids"]
words = [tokenizer.decode([token]).strip() for token in ids[0]]
out = model(ids, output_attentions=True, output_hidden_states=True)

block = model.transformer.h.layer[0]
T = len(words)
_, cache = multi_head_attention(
    block.ln_1(out.hidden_states[0]), block.attn.c_attn.weight.data.T, block.attn.c_attn.bias.data,
    block.attn.c_proj.weight.data.T, block.attn.c_proj.bias.data, 4, visible_keys(np.array([T]), T, causal=True),
)  # fmt: skip
print(f"your P against the model's, all four heads: {np.abs(cache[6] - out.attentions[0]).max():.0e} (float32)")
assert np.allclose(cache[6], out.attentions[0], atol=1e-5)

figure = plots.attention_maps(
    [out.attentions[0][0, 3], out.attentions[0][0, 2], out.attentions[1][0, 1]],
    words,
    ["layer 0, head 3", "layer 0, head 2", "layer 1, head 1"],
)
figure.set_size_inches(12.5, 4.5)
plots.show(
    figure,
    alt="Three attention maps over a sentence; above the diagonal all are white. Head 3 of layer 0 is dark just below the "
    "diagonal: each token looks at the one before it. Head 2 of layer 0 spreads evenly. Head 1 of layer 1 has dark columns: "
    "'plot' in the first half of the sentence, 'the actors' in the second.",
)

# %% [markdown]
# Three heads, three habits. The first looks **one token back**, whatever the token is: a habit of place. The second looks at
# everything a little. The third looks at *what* a token is: while the film's plot is talked about most rows look at
# "plot", and then at the actors. (The first rows say little: who is first sees only itself, and must give it all. Every map
# of a causal model has that dark corner.)
#
# Does the model need them? Switch off one head at a time, with a factor of 0 on its weights (`head_mask`), and see how much the
# loss rises on three sentences.

# %%
texts = [
    text,
    "I have seen this movie at least ten times, and every time I find something new in it. The story is simple.",
    "This is one of the worst movies I have ever seen. The acting is terrible, and the plot makes no sense.",
]
inputs = [tokenizer(text, return_tensors="np")["input_ids"] for text in texts]


def loss_with(head_mask):
    return np.mean([float(model(ids, labels=ids, head_mask=head_mask).loss) for ids in inputs])


everything = np.ones((3, 4), dtype=np.float32)
with_all = loss_with(everything)
labels, rises = [], []
for place in np.ndindex(3, 4):
    mask = everything.copy()
    mask[place] = 0
    labels.append("layer {}, head {}".format(*place))
    rises.append(loss_with(mask) - with_all)

print(f"loss with all heads: {with_all:.2f}")
plots.show(
    lesson_plots.bars(
        labels, rises, "how much the loss rises without this head (nats)", "What each head is worth", "{:.3f}"
    ),
    alt="Twelve bars. Without head 1 or head 3 of layer 0, the two that look one token back, the loss rises most, by about "
    "0.15; without head 0 of layer 0 by about 0.08; without each of the others by 0.05 or less, some by nothing.",
)

# %% [markdown]
# The two heads that look one token back (head 1 of layer 0, which is not drawn, does so too) are worth the most: they turn
# single tokens into pairs, and what comes next depends first of all on the last *two*. Some heads could go. That is usual
# in large models too, and is used to make them smaller. (Careful with such stories: what a head looks at is not all of what
# it does, and another may step in for it.)
#
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | it trains, but badly; T and H seem to matter oddly | `reshape(B, H, T, K)` without transposing: heads mixed up tokens |
# | the loss falls to nearly 0 within minutes, the text is nonsense | the causal mask is off by one, or the wrong triangle |
# | a text gives another result in a batch than alone | padding is seen, or hidden behind the softmax instead of before |
# | `nan` from a certain batch on | a row that sees nothing, with −inf |
# | good in float32, sees the future in float16 | the mask's number isn't negative enough, or becomes −inf |
# | the gradient check fails in training only | the mask of dropout was drawn anew for the backward pass |
# | the gradient of the keys' bias is 1e-17 | nothing is wrong: the softmax doesn't see it |
#
# ## What the library does more than you did
#
# * **cross-attention**: keys and values come from another text, `source`, of another length and width, as in
#   models that translate;
# * a **key/value cache**: when text is written token by token, old keys and values are kept (lesson 14);
# * **blocks** of queries: with a causal mask it leaves out the keys that no query of a block sees, half of the work;
# * hidden scores get half of the *smallest finite number* of their type, so that float16 works too;
# * `head_mask`, relative positions as a bias on the scores, and gradients of a loss that uses the weights themselves;
# * the result of the heads is written in memory where merging wants it, so that merging moves nothing.

# %%
from edutransformers.functional.attention import attention, attention_backward
from edutransformers.functional.masks import causal_visible, padding_visible
from edutransformers.models.gpt2 import GPT2Attention
from edutransformers.teaching.read_on import read_on

read_on(MultiHeadAttention, attention, attention_backward, causal_visible, padding_visible, GPT2Attention)

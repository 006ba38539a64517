# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: Self-attention, forward and backward
#     minutes: 90
#     goal: You build the layer in which tokens look at one another, derive its gradient on paper, write it, and teach it to look things up.
#     needs: [1, 2]
# ---

# %% [markdown]
# Everything so far has worked on each token by itself: a linear layer or a softmax over classes takes one row and gives
# one row, and never asks what stands in the row beside it. But "not" turns "good" round, and "it" means whatever was named
# before. A model of language needs one step in which **tokens exchange what they know**.
#
# *Attention* is that step. Each token asks a question, every token offers an answer, and each takes home a mean of the
# answers, weighted by how well they fit its question. It is one matrix product, a softmax, and another matrix product.
# You know all the parts; new is only how they are put together.

# %%
import numpy as np

from edutransformers.functional.softmax import softmax, softmax_backward  # yours, of lesson 01
from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("x", "(T, D)"), "three linear maps", ("q, k, v", "(T, K)"), "q kᵀ / √K", ("scores", "(T, T)"), "softmax",
         ("P", "(T, T)"), "P v", ("c", "(T, K)")],
        ["dx = ?", "dq, dk = ?", "dscores = ?", "dP, dv = ?"],
    ),
    alt="From left to right: x of shape T by D, three linear maps, the queries, keys and values q, k, v of shape T by K, "
    "the product q times k transposed over the root of K, scores of shape T by T, softmax, the weights P of the same "
    "shape, P times v, and the result c of shape T by K. Dashed arrows lead back to dP, dv, dscores, dq, dk and dx.",
)  # fmt: skip

# %% [markdown]
# T is the number of tokens, D the width of a token's vector, K the width of a query or key (H and "heads" come in the next
# lesson; here there is one). As always `dx` is $\partial L/\partial x$.
#
# ## 1 · A dictionary that answers every question a little
#
# Python's dictionary looks a key up *exactly*: `legs["cat"]` is 4, and `legs["kitten"]` is an error. Three changes make it
# soft, and differentiable:
#
# 1. Keys are **vectors**, and so is the question, the *query*. How well a key fits is their dot product, the **score**.
# 2. A softmax over the scores makes **shares** of them: positive, together 1.
# 3. The answer is the **mean of all values**, weighted with the shares.
#
# A small one, by hand. A key's four numbers say: furry, barks, has wheels, is small. A value's two: legs, wheels.
#
# | entry | key $k_s$ | value $v_s$ |
# |---|---|---|
# | cat | (2, 0, 0, 1) | (4, 0) |
# | dog | (2, 2, 0, 0) | (4, 0) |
# | car | (0, 0, 3, 0) | (0, 4) |
#
# *What is under something furry?* The query is $q = (2, 0, 0, 0)$. Its scores are $q \cdot k_s = 4, 4, 0$. We divide them by
# $\sqrt K = \sqrt 4 = 2$ (section 2 says why) and get 2, 2, 0. The exponentials are 7.39, 7.39, 1, their sum is 15.78, so the
# shares are 0.468, 0.468, 0.063. The answer:
#
# $$0.468 \cdot (4, 0) + 0.468 \cdot (4, 0) + 0.063 \cdot (0, 4) = (3.75,\; 0.25)$$
#
# Nearly four legs, and a quarter of a wheel: the car was asked too, and had little to say. For one query $q$ (K,), keys $k$
# (S, K) and values $v$ (S, R), where S counts the entries and R is the width of a value, of a *reply*:
#
# $$a_s = \frac{1}{\sqrt K} \sum_k q_k\, k_{sk}, \qquad p_s = \frac{e^{a_s}}{\sum_{s'} e^{a_{s'}}}, \qquad
#   c_r = \sum_s p_s\, v_{sr}$$
#
# (The index $k$ counts the K numbers of a key, $k_{sk}$ is number $k$ of key $s$; and $s'$ is the same counter as $s$,
# named anew because it runs inside a sum of its own.)

# %% [markdown]
# **Exercise 1.** Write `soft_lookup(q, k, v)` for one query. `softmax` is imported above.


# %% exercise="soft_lookup"
def soft_lookup(q, k, v):
    """q (K,), keys k (S, K), values v (S, R) -> c (R,)"""
    ### BEGIN SOLUTION
    scores = k @ q / np.sqrt(len(q))
    return softmax(scores) @ v
    ### END SOLUTION


# %% check="soft_lookup" points=2
from edutransformers.teaching.checks.lesson06 import check_soft_lookup

check_soft_lookup(soft_lookup)

# %% [markdown] hints="soft_lookup"
# Three lines, one for each formula: scores (S,), shares (S,), and the mean (R,).
# ---
# The scores of all keys at once are a product of a matrix and a vector: `k @ q` is (S, K) times (K,). K is `len(q)`.
# ---
# ```python
# scores = k @ q / np.sqrt(...)
# shares = softmax(scores)
# return shares @ ...          # (S,) @ (S, R) -> (R,)
# ```

# %%
entries = ["cat", "dog", "car"]
keys = np.array([[2.0, 0, 0, 1], [2, 2, 0, 0], [0, 0, 3, 0]])
values = np.array([[4.0, 0], [4, 0], [0, 4]])

for question, query in {
    "furry": [2.0, 0, 0, 0],
    "furry, asked twice as loud": [4.0, 0, 0, 0],
    "furry and barks": [2.0, 2, 0, 0],
    "nothing in particular": [0.0, 0, 0, 0],
}.items():
    shares = softmax(keys @ np.array(query) / 2)
    legs, wheels = soft_lookup(np.array(query), keys, values)
    print(f"{question:28}", *(f"{entry} {share:.2f} " for entry, share in zip(entries, shares)), end="")
    print(f"-> {legs:.2f} legs, {wheels:.2f} wheels")

# %% [markdown]
# A longer query makes a harder choice: in the limit the soft dictionary *is* a dictionary. The zero query asks nothing and
# gets the plain mean. And note what does **not** appear: the order of the entries.
#
# ## 2 · Why divide by √K
#
# Take a query and a key whose numbers are independent, with mean 0 and variance 1, as they are about in a fresh model. The
# product $q_k\, k_{sk}$ has mean 0 and variance $E[q_k^2\, k_{sk}^2] = E[q_k^2]\; E[k_{sk}^2] = 1 \cdot 1$, where $E$ is the
# mean over all draws. Variances of independent numbers add up, and the dot product is a sum of K of them:
#
# $$\operatorname{Var}\Big(\sum_{k=1}^{K} q_k\, k_{sk}\Big) = K \qquad\Longrightarrow\qquad
#   \text{scores of size about } \sqrt K.$$
#
# With K = 64 scores lie about 8 apart, and $e^8 \approx 3000$: the softmax gives everything to one key *before anything was
# learned*. Worse, it then can't learn otherwise. Lesson 01's formula for the gradient,
# $p_i\,(\texttt{dp}_i - \sum_j \texttt{dp}_j\, p_j)$, is 0 where $p_i = 0$, and it is 0 where $p_i = 1$ too, because the sum
# is then $\texttt{dp}_i$ itself. A softmax that is sure passes no gradient: it is **saturated**. Dividing by $\sqrt K$ makes the variance 1 for
# every K. Let us look, with 16 keys.

# %%
rng = np.random.default_rng(0)
widths = [2**power for power in range(11)]
largest = {"scores q·k": [], "scores q·k / √K": []}
gradients = {"scores q·k": [], "scores q·k / √K": []}
for K in widths:
    q, k = rng.standard_normal((400, 1, K)), rng.standard_normal((400, 16, K))
    scores = (q @ k.swapaxes(-1, -2))[:, 0]  # (400, 16)
    dp = rng.standard_normal(scores.shape)
    for name, p in zip(largest, (softmax(scores), softmax(scores / np.sqrt(K)))):
        largest[name].append(p.max(axis=-1).mean())
        gradients[name].append(np.linalg.norm(softmax_backward(dp, p), axis=-1).mean())

for name, sizes in gradients.items():
    print(
        f"{name:16} gradient behind the softmax: {sizes[6]:.3f} for K = {widths[6]}, {sizes[10]:.3f} for K = {widths[10]}"
    )

figure = lesson_plots.curves(
    widths, largest, "K, the width of a key", "mean share of the best of 16 keys", "Softmax saturates without the factor",
    logarithmic="x",
)  # fmt: skip
plots.show(
    figure,
    alt="The mean share of the best of 16 keys over the width K, from 1 to 1024. With the factor 1 over root K it stays "
    "near 0.25 for every K. Without, it climbs from 0.2 to 0.97: one key gets nearly everything.",
)

# %% [markdown]
# Both lines begin at the same place, since $\sqrt 1 = 1$. With the factor a fresh attention is soft for every width; without
# it, most of the gradient is lost at K = 1024.
#
# ## 3 · All questions at once
#
# In *self*-attention the T tokens ask T questions, and the same T tokens are the entries: S = T. (In *cross*-attention one
# text asks another, and S is another number. We keep the two letters apart everywhere: it costs nothing, and an axis that
# is mixed up shows at once.) With a query $q_t$ for each token:
#
# $$a_{ts} = \frac{1}{\sqrt K} \sum_k q_{tk}\, k_{sk}, \qquad
#   P_{ts} = \frac{e^{a_{ts}}}{\sum_{s'} e^{a_{ts'}}}, \qquad
#   c_{tr} = \sum_s P_{ts}\, v_{sr}$$
#
# Written down as it stands, that is three loops in each other, and one can read it:


# %%
def attention_loops(q, k, v):
    """q (T, K), k (S, K), v (S, R) -> c (T, R), P (T, S): the formulas, index by index."""
    (T, K), (S, R) = q.shape, v.shape
    P, c = np.zeros((T, S)), np.zeros((T, R))
    for t in range(T):
        for s in range(S):
            for i in range(K):
                P[t, s] += q[t, i] * k[s, i] / np.sqrt(K)
        P[t] = softmax(P[t])
        for s in range(S):
            for r in range(R):
                c[t, r] += P[t, s] * v[s, r]
    return c, P


# %% [markdown]
# Each of the two sums is a matrix product. In the first the summed index $k$ is the *last* of both arrays, so one of them has
# to be transposed; in the second $s$ is the last of $P$ and the first of $v$, and nothing has to be turned.

# %%
figure = lesson_plots.shapes(
    [("q", (4, 3), "T K"), "@", ("kᵀ", (3, 5), "K S"), "=", ("scores", (4, 5), "T S"), "→", ("P", (4, 5), "T S"), "@",
     ("v", (5, 2), "S R"), "=", ("c", (4, 2), "T R")],
    "Two matrix products; the softmax between them runs along each row",
)  # fmt: skip
figure.set_size_inches(figure.get_size_inches() * 0.55)
plots.show(
    figure,
    alt="Boxes to scale: q with 4 rows and 3 columns, times k transposed with 3 rows and 5 columns, gives scores with 4 rows "
    "and 5 columns; an arrow, the softmax, leads to P of the same shape; P times v with 5 rows and 2 columns gives c with 4 "
    "rows and 2 columns.",
)

# %% [markdown]
# **Exercise 2.** Write `attention_forward(q, k, v)`, which returns `c` and `P` (the backward pass will want P). No loops. Arrays
# may have more axes in front, such as (B, T, K) for a batch: `@` multiplies the last two axes and goes through the others by
# itself.


# %% exercise="attention_forward"
def attention_forward(q, k, v):
    """q (…, T, K), k (…, S, K), v (…, S, R) -> c (…, T, R), P (…, T, S)"""
    ### BEGIN SOLUTION
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    P = softmax(scores)
    return P @ v, P
    ### END SOLUTION


# %% check="attention_forward" points=2
from edutransformers.teaching.checks.lesson06 import check_attention_forward

check_attention_forward(attention_forward)

# %% [markdown] hints="attention_forward"
# Scores, softmax, mean: three lines again, now with all queries at once. Which axis of the scores belongs to one query?
# ---
# `k.T` reverses *all* axes, which is right for two of them only. `k.swapaxes(-1, -2)` swaps the last two, whatever stands in
# front. K is `q.shape[-1]`.
# ---
# ```python
# scores = q @ k.swapaxes(-1, -2) / ...    # (…, T, K) @ (…, K, S) -> (…, T, S)
# P = softmax(scores)                      # softmax works along the last axis: the keys
# return ..., P
# ```

# %%
rng = np.random.default_rng(1)
q, k, v = rng.standard_normal((4, 3)), rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
c, P = attention_forward(q, k, v)
loops_c, loops_P = attention_loops(q, k, v)
print("matrices against loops:", f"{max(np.abs(c - loops_c).max(), np.abs(P - loops_P).max()):.0e}")

questions = np.array([[2.0, 0, 0, 0], [2.0, 2, 0, 0]])
c, P = attention_forward(questions, keys, values)
plots.show(
    lesson_plots.matrices(
        [questions @ keys.T / 2, P, c], ["scores", "P: shares", "c: the answers"], ["furry", "barks"]
    ),
    alt="Three small matrices with two rows, one for each question. The scores are 2, 2, 0 and 2, 4, 0; the shares 0.47, 0.47, "
    "0.06 and 0.12, 0.87, 0.02; the answers 3.75 and 0.25, and 3.94 and 0.06.",
)

# %% [markdown] instructor=true
# Ask which axis the softmax runs over before anybody tries: "each token has one unit of attention to *give*", so rows add up
# to 1. Columns don't: a token may be looked at by all or by none. With T = S a softmax over the wrong axis has the right
# shape and raises no error, which is why every array in this lesson's checks has T ≠ S. The other frequent error is
# `k.T` in a batch; NumPy's message ("mismatch in its core dimension") deserves a moment at the board.

# %% [markdown]
# ## 4 · The way back, on paper
#
# From behind comes $\texttt{dc}$ (T, R). We want $\texttt{dq}$, $\texttt{dk}$ and $\texttt{dv}$. There are three steps forward, so
# there are three back, in the opposite order. The method is the same each time: *find every place where the variable
# occurs, and add up what comes back from there.*
#
# ### Step 1: through the mixture $c_{tr} = \sum_s P_{ts}\, v_{sr}$
#
# $P_{ts}$ occurs in $c_{tr}$ for its own $t$ and every $r$, with the factor $v_{sr}$:
#
# $$\texttt{dP}_{ts} = \sum_r \texttt{dc}_{tr}\, v_{sr}$$
#
# $v_{sr}$ occurs in $c_{tr}$ for its own $r$ and every $t$, because every query took some of it, with the factor $P_{ts}$:
#
# $$\texttt{dv}_{sr} = \sum_t P_{ts}\, \texttt{dc}_{tr}$$
#
# Both are matrix products. Which array to turn follows from the indices: in the first sum $r$ is last in both, so $v$ is
# turned; in the second $t$ is first in both, so $P$ is. Read the second aloud: *a value learns from each query as much as
# that query looked at it.*

# %% [markdown]
# **Exercise 3.** Write `mixture_backward(dc, P, v)`.


# %% exercise="mixture_backward"
def mixture_backward(dc, P, v):
    """Backward of c = P v: dc (…, T, R), P (…, T, S), v (…, S, R) -> dP (…, T, S), dv (…, S, R)"""
    ### BEGIN SOLUTION
    return dc @ v.swapaxes(-1, -2), P.swapaxes(-1, -2) @ dc
    ### END SOLUTION


# %% check="mixture_backward" points=2
from edutransformers.teaching.checks.lesson06 import check_mixture_backward

check_mixture_backward(mixture_backward)

# %% [markdown] hints="mixture_backward"
# Two lines, each a product of two matrices. Write the shapes of what you have and of what you want beside each other.
# ---
# dP (T, S) is made of dc (T, R) and v (S, R): the axis R has to vanish, so it must be last on the left and first on the
# right. dv (S, R) is made of P (T, S) and dc (T, R): there T vanishes.
# ---
# ```python
# dP = dc @ v.swapaxes(-1, -2)
# dv = P.??? @ dc
# return dP, dv
# ```

# %% [markdown]
# ### Step 2: through the softmax
#
# Each row of P is one softmax, so lesson 01's formula holds row by row. With $a_{ts}$ for the scores and `dscores` for
# their gradient:
#
# $$\texttt{dscores}_{ts} = P_{ts} \Big( \texttt{dP}_{ts} - \sum_{s'} \texttt{dP}_{ts'}\, P_{ts'} \Big)$$
#
# *A key's score should rise if its answer was better than the mixture that the query got.* In that sentence is all that
# attention can learn: it compares each value with what was taken home. If all values were the same, nothing would move.
#
# ### Step 3: through the scores $a_{ts} = \frac{1}{\sqrt K} \sum_k q_{tk}\, k_{sk}$
#
# $q_{tk}$ occurs in the scores of its own row $t$, for every $s$, with the factor $k_{sk}/\sqrt K$; and $k_{sk}$ in those of its
# own column $s$, for every $t$, with $q_{tk}/\sqrt K$:
#
# $$\texttt{dq}_{tk} = \frac{1}{\sqrt K} \sum_s \texttt{dscores}_{ts}\, k_{sk}, \qquad
#   \texttt{dk}_{sk} = \frac{1}{\sqrt K} \sum_t \texttt{dscores}_{ts}\, q_{tk}$$
#
# *A query moves towards the keys that should have more, and a key towards the queries that should look at it.* All
# together, as matrices:
#
# $$\boxed{\begin{aligned}
#   \texttt{dP} &= \texttt{dc}\; v^\top & \texttt{dv} &= P^\top\, \texttt{dc} \\
#   \texttt{dscores} &= P \circ \big(\texttt{dP} - \textstyle\sum_s \texttt{dP} \circ P\big) && \\
#   \texttt{dq} &= \texttt{dscores}\; k \,/ \sqrt K & \texttt{dk} &= \texttt{dscores}^\top\, q \,/ \sqrt K
#   \end{aligned}}$$
#
# where $\circ$ multiplies number by number. Note what the backward pass needs: q, k, v and P. The scores themselves are not
# needed again, and so nobody keeps them.

# %% [markdown]
# **Exercise 4.** Write `attention_backward(dc, q, k, v, P)`. You may use your `mixture_backward` and the imported
# `softmax_backward(dp, p)`.


# %% exercise="attention_backward"
def attention_backward(dc, q, k, v, P):
    """dc (…, T, R), q (…, T, K), k (…, S, K), v (…, S, R), P (…, T, S) -> dq, dk, dv, each like q, k, v"""
    ### BEGIN SOLUTION
    dP, dv = mixture_backward(dc, P, v)
    dscores = softmax_backward(dP, P) / np.sqrt(q.shape[-1])
    return dscores @ k, dscores.swapaxes(-1, -2) @ q, dv
    ### END SOLUTION


# %% check="attention_backward" points=3
from edutransformers.teaching.checks.lesson06 import check_attention_backward

check_attention_backward(attention_backward)

# %% [markdown] hints="attention_backward"
# The box has three rows. The first is your `mixture_backward`, the second the imported `softmax_backward`. So only the third
# is to be written: two products.
# ---
# `dscores = softmax_backward(dP, P)` works along the last axis already. For dq the sum runs over s, the last index of dscores
# and the first of k. For dk it runs over t, the first index of both: one of them has to be turned. Both have the same factor.
# ---
# ```python
# dP, dv = mixture_backward(dc, P, v)
# dscores = softmax_backward(dP, P) / np.sqrt(...)    # the factor of both dq and dk, put in once
# dq = dscores @ k
# dk = ...                                            # (S, T) @ (T, K): which array is turned?
# return dq, dk, dv
# ```

# %% [markdown]
# Three instruments say whether it is right. First, the same sums in loops, as naive as they stand on the paper. Second,
# lesson 01's numerical gradient, with *random* weights for the loss. Third, torch, whose own derivation knows nothing of
# ours.


# %%
from edutransformers.gradient_check import numerical_gradient  # yours, of lesson 01


def attention_backward_loops(dc, q, k, v, P):
    """The formulas of section 4, index by index."""
    (T, K), (S, R) = q.shape, v.shape
    dP, dscores = np.zeros((T, S)), np.zeros((T, S))
    dq, dk, dv = np.zeros((T, K)), np.zeros((S, K)), np.zeros((S, R))
    for t in range(T):
        for s in range(S):
            for r in range(R):
                dP[t, s] += dc[t, r] * v[s, r]
                dv[s, r] += P[t, s] * dc[t, r]
        mean = sum(dP[t, s] * P[t, s] for s in range(S))
        for s in range(S):
            dscores[t, s] = P[t, s] * (dP[t, s] - mean)
            for i in range(K):
                dq[t, i] += dscores[t, s] * k[s, i] / np.sqrt(K)
                dk[s, i] += dscores[t, s] * q[t, i] / np.sqrt(K)
    return dq, dk, dv


def largest(differences):
    return f"{max(np.abs(a - b).max() for a, b in differences):.0e}"


dc = rng.standard_normal((4, 2))  # the random weights of the loss Σ dc ∘ c
mine = attention_backward(dc, q, k, v, attention_forward(q, k, v)[1])
loops = attention_backward_loops(dc, q, k, v, attention_forward(q, k, v)[1])
numerical = [
    numerical_gradient(lambda _: float((dc * attention_forward(q, k, v)[0]).sum()), array) for array in (q, k, v)
]
print("against loops:               ", largest(zip(mine, loops)))
print("against numerical gradients: ", largest(zip(mine, numerical)))

# %% [markdown]
# The numbers below are torch's (2.13, float64): `scaled_dot_product_attention` of the two questions to cat, dog and car, and
# its autograd for $\texttt{dc} = \begin{pmatrix} 1 & -2 \\ 0.5 & 3 \end{pmatrix}$.

# %%
TORCH_C = [[3.7464842466678494, 0.2535157533321503], [3.9364950400941328, 0.06350495990586702]]
TORCH_DQ = [
    [0.7123445821057756, 0.3561722910528878, -1.068516873158663, 0.1780861455264439],
    [-0.15624184980676384, -0.1376173647676568, 0.234362774710146, -0.009312242519553532],
]
TORCH_DK = [
    [0.3375478060137807, -0.018624485039107064, 0.0, 0.0],
    [0.218554926285231, -0.1376173647676568, 0.0, 0.0],
    [-0.5561027322990113, 0.15624184980676395, 0.0, 0.0],
]
TORCH_DV = [
    [0.5269657447465803, -0.5846897781883674],
    [0.9017171969321487, 1.6638189349250423],
    [0.07131705832127096, -0.0791291567366749],
]

c, P = attention_forward(questions, keys, values)
dq, dk, dv = attention_backward(np.array([[1.0, -2.0], [0.5, 3.0]]), questions, keys, values, P)
print("against torch:", largest([(c, TORCH_C), (dq, TORCH_DQ), (dk, TORCH_DK), (dv, TORCH_DV)]))
plots.show(
    lesson_plots.matrices([dq, dk], ["dq", "dk"], form="{:+.2f}", note="columns: furry, barks, has wheels, is small"),
    alt="The gradients of the two queries, two rows by four, and of the three keys, three rows by four. In dk the columns "
    "'has wheels' and 'is small' are zero.",
)

# %% [markdown]
# Two of dk's columns are zero: no question mentioned wheels or smallness, and a key gets its gradient in the direction of
# the queries. Each column of `dk` also adds up to 0. Can you say why? (Every row of `dscores` adds up to 0: shares are only
# redistributed. So adding one and the same vector to all keys changes nothing.)
#
# ## 5 · *Self*-attention: one input, three uses
#
# Where do queries, keys and values come from? From the tokens themselves, by three linear maps (lesson 02), which are
# learned:
#
# $$q = x\, W_q^\top, \qquad k = x\, W_k^\top, \qquad v = x\, W_v^\top, \qquad
#   x\;(B, T, D), \quad W_q, W_k, W_v\;(K, D)$$
#
# They let a token ask for one thing, be found under another, and tell a third: "good" can *ask* for a negation, be *found* by
# whoever looks for opinions, and *tell* that it is positive. With $q = k = v = x$ a token would mostly fit itself best,
# and look at itself. (The library adds biases; lesson 07 does too.)


# %%
def self_attention(x, Wq, Wk, Wv):
    """x (B, T, D), weights (K, D) -> c (B, T, K), and all that the backward pass needs"""
    q, k, v = x @ Wq.T, x @ Wk.T, x @ Wv.T
    c, P = attention_forward(q, k, v)
    return c, (x, Wq, Wk, Wv, q, k, v, P)


# %% [markdown]
# ### Its gradient, on paper
#
# For one linear map $y_{nk} = \sum_d x_{nd}\, W_{kd}$, where $n$ goes through all rows (the B·T tokens), lesson 02 found
#
# $$\texttt{dW}_{kd} = \sum_n \texttt{dy}_{nk}\, x_{nd}, \qquad \texttt{dx}_{nd} = \sum_k \texttt{dy}_{nk}\, W_{kd} .$$
#
# The weights are used by every token of every text, so the sum over $n$ is over B *and* T. And $x$ goes into three maps:
# **what is used three times gets three gradients, which add up.**
#
# $$\boxed{\;\texttt{dx} = \texttt{dq}\, W_q + \texttt{dk}\, W_k + \texttt{dv}\, W_v, \qquad
#   (\texttt{dW}_q)_{kd} = \sum_{b,t} \texttt{dq}_{btk}\, x_{btd} \quad\text{and so for } W_k, W_v\;}$$

# %% [markdown]
# **Exercise 5.** Write `self_attention_backward(dc, cache)`. Use your `attention_backward`. `x` is (B, T, D).


# %% exercise="self_attention_backward"
def self_attention_backward(dc, cache):
    """dc (B, T, K), cache of self_attention -> dx (B, T, D), dWq, dWk, dWv (K, D)"""
    x, Wq, Wk, Wv, q, k, v, P = cache
    ### BEGIN SOLUTION
    dq, dk, dv = attention_backward(dc, q, k, v, P)
    dx = dq @ Wq + dk @ Wk + dv @ Wv
    rows = x.reshape(-1, x.shape[-1])
    dWq, dWk, dWv = (d.reshape(-1, d.shape[-1]).T @ rows for d in (dq, dk, dv))
    return dx, dWq, dWk, dWv
    ### END SOLUTION


# %% check="self_attention_backward" points=3
from edutransformers.teaching.checks.lesson06 import check_self_attention_backward

check_self_attention_backward(self_attention_backward)

# %% [markdown] hints="self_attention_backward"
# First `attention_backward`, which gives dq, dk and dv, each (B, T, K). Then each goes back through its own linear map, which
# gives a part of dx and a weight's gradient.
# ---
# For the weights make one long list of tokens of the batch: `x.reshape(-1, D)` is (B·T, D), and dq likewise (B·T, K). Then
# (K, B·T) times (B·T, D) sums over all tokens at once.
# ---
# ```python
# dq, dk, dv = attention_backward(dc, q, k, v, P)
# dx = dq @ Wq + ...                                  # three terms
# rows = x.reshape(-1, x.shape[-1])
# dWq = dq.reshape(-1, dq.shape[-1]).T @ rows
# ...                                                 # the same for the other two
# return dx, dWq, dWk, dWv
# ```

# %% [markdown]
# Now the library's instrument on the whole: `Function` makes a layer of two functions, and `gradient_check` draws the
# random weights of the loss, compares every number of the four inputs with central differences, and shows the worst. (The
# cell prints each comparison's error; a right gradient is below 1e-7.)

# %%
from edutransformers import gradient_check
from edutransformers.functional.attention import attention as library_attention
from edutransformers.functional.attention import attention_backward as library_attention_backward
from edutransformers.gradient_check import Function

x = rng.standard_normal((2, 4, 5))
Wq, Wk, Wv = rng.standard_normal((3, 3, 5))
report = gradient_check(Function(self_attention, self_attention_backward), x, Wq, Wk, Wv)
print("\n".join(f"{c.name} {list(c.shape)}: {c.error:.0e} {'ok' if c.passed else 'WRONG'}" for c in report.comparisons))

c, cache = self_attention(x, Wq, Wk, Wv)
heads = [array[:, None] for array in cache[4:7]]  # the library has an axis for heads: (B, H = 1, T, K)
(library_c, _), library_cache = library_attention(*heads)
dc = rng.standard_normal(c.shape)
library_gradients = library_attention_backward(dc[:, None], library_cache)
mine = attention_backward(dc, *cache[4:])
print("against the library:", largest([(c, library_c[:, 0]), *((a, b[:, 0]) for a, b in zip(mine, library_gradients))]))

# %% [markdown]
# ## 6 · It learns to look things up
#
# Does a soft dictionary really come about by learning? A task that no layer of the lessons before can do: a **telephone
# book**. Five tokens are entries, a name and a digit each; the sixth has a name only, and asks. The answer is the digit of
# that name in *this* book; each example has another book, so nothing can be learned by heart. A token is two one-hot
# vectors beside each other, 6 names and 10 digits: D = 16.


# %%
NAMES, DIGITS = "ABCDEF", 10


def telephone_books(rng, B):
    """B books -> x (B, 6, 16): five entries and a question, and the digit that is asked for (B,)"""
    names = rng.permuted(np.tile(np.arange(6), (B, 1)), axis=1)  # five are in the book, the sixth is not
    names[:, 5] = names[np.arange(B), rng.integers(0, 5, B)]  # the question: one of the five
    digits = rng.integers(0, DIGITS, (B, 5))
    x = np.concatenate([np.eye(6)[names], np.zeros((B, 6, DIGITS))], axis=-1)
    x[:, :5, 6:] = np.eye(DIGITS)[digits]
    asked = (names[:, :5] == names[:, 5:]).argmax(axis=1)
    return x, digits[np.arange(B), asked]


x, labels = telephone_books(np.random.default_rng(3), 2)
spelled = [[NAMES[t[:6].argmax()] + (str(t[6:].argmax()) if t[6:].any() else "?") for t in book] for book in x]
for book, label in zip(spelled, labels):
    print(" ".join(book), "->", label)

# %% [markdown]
# The model is one attention and nothing else: the last token's $c$ (10 numbers, one a digit, so $W_v$ is (10, D)) are the
# scores of the answer. Loss and its gradient are lesson 01's. The loss looks at the last token only, so `dc` is zero at all
# others. Then *gradient descent*: each weight takes a small step against its gradient. A model that knows nothing pays
# $\log 10 = 2.30$; one that picks any of the book's five digits pays about $\log 5 = 1.61$; we shall see that it passes both.

# %%
from edutransformers.losses import CrossEntropyLoss

rng = np.random.default_rng(0)
weights = [rng.normal(0, 0.3, (width, 16)) for width in (8, 8, DIGITS)]  # Wq, Wk, Wv; K = 8
fresh_weights = [w.copy() for w in weights]
loss_function, losses = CrossEntropyLoss(), []
for _ in range(200):
    x, labels = telephone_books(rng, 64)
    c, cache = self_attention(x, *weights)
    loss, loss_cache = loss_function.forward(c[:, -1], labels)
    dc = np.zeros_like(c)
    dc[:, -1] = loss_function.backward(1.0, loss_cache)
    _, *gradients = self_attention_backward(dc, cache)
    for weight, gradient in zip(weights, gradients):
        weight -= 5.0 * gradient
    losses.append(float(loss))

x, labels = telephone_books(np.random.default_rng(100), 1000)
answers = self_attention(x, *weights)[0][:, -1].argmax(axis=-1)
print(f"loss {losses[0]:.2f} at the first step, {np.mean(losses[-20:]):.3f} at the end; log 10 = {np.log(10):.2f}")
print(f"right in {np.mean(answers == labels):.1%} of 1,000 new books")
plots.show(
    lesson_plots.curves(
        range(200), {"loss": losses, "knowing nothing": [np.log(10)] * 200, "any digit of the book": [np.log(5)] * 200},
        "step", "cross-entropy (nats)", "One attention learns to use a telephone book",
    ),
    alt="The loss over 200 steps. It starts at log 10, 2.3, falls slowly for some twenty-five steps, then steeply through log 5, "
    "and is close to 0 from about step 80 on.",
)  # fmt: skip

# %% [markdown]
# Look at the slow beginning. While the shares are even, the right value is one in five or six of what comes home, and keys
# and queries get hardly any gradient: they can't gain before the values say something, and the values not much before the
# shares do. Then both help each other, and the loss falls off a cliff. You will meet that shape again.
#
# What did it learn? First where it looks, before and after:

# %%
x, labels = telephone_books(np.random.default_rng(3), 2)  # the two books that were printed above
maps = [self_attention(x, *w)[1][-1][0] for w in (fresh_weights, weights)]
plots.show(
    plots.attention_maps(maps, spelled[0], ["before learning", "after 200 steps"]),
    alt=f"Two maps of attention over the book {' '.join(spelled[0])}. Before learning all shares are about even. Afterwards the "
    "last row, the question, is dark at one place only: the entry with the name that is asked for.",
)

# %% [markdown]
# The last row is the one that counts: all of it on the entry that has the name. (The others were never asked anything, and
# still find their own names.) And how? A score is $q_t \cdot k_s = x_t\, W_q^\top W_k\, x_s^\top$, so the matrix
# $W_q^\top W_k$ (D, D) says for each pair of features by how much the one is drawn to the other. Its rows are a question's
# names; its columns an entry's names and digits.

# %%
fit = (weights[0].T @ weights[1] / np.sqrt(8))[:6]
table = np.column_stack([fit[:, :6], fit[:, 6:].mean(axis=1)])
plots.show(
    lesson_plots.matrices(
        [table],
        ["how much a name that asks (row) is drawn to …"],
        list(NAMES),
        [*NAMES, "a digit"],
        form="{:+.1f}",
        note="the darker, the larger, whatever the sign",
    ),
    alt="A matrix of six rows and seven columns. The diagonal is large and positive, A fits A, B fits B, and so on; all other "
    "pairs of names are small or negative. The last column, for having a digit, is positive in each row.",
)

# %% [markdown]
# Nobody told it that A fits A: six directions in a space of eight were found in which each name has its own. And the last
# column: tokens *with a digit* draw more, or else the question, which has the right name too, would look at itself.
#
# %% [markdown] instructor=true
# Things to try in class, each a change of a line or two. With fresh weights of standard deviation 1 and K = 64 the loss after
# 200 steps is about 0.01, and without 1/√K about 0.5: saturated. (With 0.3 and K = 8 the factor isn't needed: scores are small
# anyway. Let them find out why.) With K = 2 six names have to share a plane; it still learns, but slower. With a name twice in
# the book the answer is the mean of two digits, right for a soft look-up and no digit at all. And why is the gradient of the
# values' weights about ten times that of the queries' and keys' at the first step? (Even shares: `dscores` compares values that
# say nothing yet.)

# %% [markdown]
# One more property, known from lesson 04: **attention knows no order.** Shuffle the book's entries, and the outputs are
# shuffled with them, no more.

# %%
order = [4, 2, 0, 3, 1, 5]
x, _ = telephone_books(np.random.default_rng(5), 3)
difference = self_attention(x[:, order], *weights)[0] - self_attention(x, *weights)[0][:, order]
print(f"attention of shuffled tokens − shuffled attention: at most {np.abs(difference).max():.0e}")

# %% [markdown]
# For a telephone book that is a virtue. For a sentence it is not, and that is why models add *positions* to the embeddings,
# before the first attention.
#
# ## 7 · In a real model
#
# `bert-small-imdb` ships with the package: a small BERT that judges film reviews. It has two layers with four attentions
# ("heads") each. Let us take one of them apart with your function: head 2 of the first layer, whose queries and keys are
# rows 64 to 95 of the layer's weight matrices. (How four heads share one matrix is the next lesson's first topic.) What the
# model says it looked at must be what you compute.

# %%
from edutransformers import AutoModelForSequenceClassification, AutoTokenizer

name = "edutransformers/bert-small-imdb"
tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModelForSequenceClassification.from_pretrained(name)
encoded = tokenizer("The acting was wonderful, but the story was not good at all.", return_tensors="np")
words = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
out = model(**encoded, output_attentions=True, output_hidden_states=True)

x = out.hidden_states[0][0]  # (T, D): what goes into the first layer
parameters = dict(model.named_parameters())
q, k, v = (
    x @ parameters[f"bert.encoder.layer.0.attention.self.{part}.weight"].data[64:96].T
    + parameters[f"bert.encoder.layer.0.attention.self.{part}.bias"].data[64:96]
    for part in ("query", "key", "value")
)
c, P = attention_forward(q, k, v)
print(
    f"yours against the model's, head 2 of layer 0: at most {np.abs(P - out.attentions[0][0, 2]).max():.0e} (float32)"
)
assert np.allclose(P, out.attentions[0][0, 2], atol=1e-5)

plots.show(
    plots.attention_maps([P], words, ["head 2 of the first layer"]),
    alt="The attention map of one head over the tokens of a review, 'the acting was wonderful, but the story was not good at "
    "all'. The column of 'wonderful' is dark in many rows: the token [CLS] gives it more than half of its attention.",
)

# %% [markdown]
# The first row is what the verdict hangs on: `[CLS]` is the token whose final vector is classified. It has no opinion of its
# own, and goes and gets one.

# %%
order = np.argsort(P[0])[::-1][:5]
plots.show(
    lesson_plots.bars(
        [words[place] for place in order],
        P[0, order],
        "share of the attention of [CLS]",
        "Where [CLS] looks",
        form="{:.2f}",
    ),
    alt="Bars: the five tokens that get most of the attention of [CLS] in this head, first 'wonderful' with more than half, and "
    "then, far behind, 'acting', 'good' and 'not'.",
)

# %% [markdown]
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | rows of P don't add up to 1, columns do | the softmax ran over the queries; with T = S no shape gives it away |
# | attention is one-hot from the start, the loss doesn't move | $1/\sqrt K$ is missing: the softmax is saturated |
# | attention is even everywhere and stays so | scores are divided by K, or weights too small at the start |
# | the gradient check fails for k only, by a transposition | `dscores @ q` in place of its transpose: T = S hides it |
# | dx is right in cross-attention and wrong in self-attention | x is used three times; one gradient overwrote the others |
# | order of words makes no difference | no positions: attention sees a set |
# | "mismatch in its core dimension" | `k.T` of an array with a batch: use `swapaxes(-1, -2)` |
#
# ## What the library does more than you did
#
# * **heads**: four axes (B, H, T, K), many attentions in one product; **masks**, and **dropout** on the weights: lesson 07;
# * it works through the scores **in blocks that fit the processor's cache**, in place, in one buffer;
# * for long texts it doesn't keep P, which has T² numbers a head, but **computes it again** in the backward pass: more work,
#   less memory (lesson 11 measures it);
# * in float16 it scales q before the product, which could overflow otherwise, and takes the softmax in float32;
# * the loss may depend on the weights themselves: `dweights` is added to dP.

# %%
from edutransformers.layers import MultiHeadAttention
from edutransformers.teaching.read_on import read_on

read_on(library_attention, library_attention_backward, softmax, softmax_backward, MultiHeadAttention)

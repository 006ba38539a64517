# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: "Embeddings and positions: repeated ids; sinusoids against learned"
#     minutes: 85
#     goal: You turn word numbers into vectors and back into gradients, watch meaning appear in a table that started at random, and tell a model where each word stands, in two ways.
#     needs: [0, 1, 2, 3]
# ---

# %% [markdown]
# A text reaches a model as a list of whole numbers: the id of each word in a vocabulary. (How a text is cut into words and
# pieces of words is lesson 05.) Whole numbers are no good to a network. Word 17 is not "a little more" than word 16, so a
# matrix that multiplies ids would make nonsense of them. Each word needs a *vector*, a row of D numbers of its own, and these
# numbers can be learned like any weight. That is an **embedding**: a table, and a look-up.
#
# Two things are worth an hour. The backward pass of the look-up has a trap that costs gradients silently. And a set of
# vectors has no order: "dog bites man" and "man bites dog" are the same three rows. So the second half is about
# **positions**.

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("ids", "(B, T)"), "row of the word", ("words", "(B, T, D)"), "+ position t, + type", ("x", "(B, T, D)"),
         "layer norm", ("h", "(B, T, D)")],
        ["dW[id] += dwords", "dwords = dx", "lesson 03"],
    ),
    alt="From left to right: ids of shape B by T, the row of each word, words of shape B by T by D, plus position and type, x of "
    "the same shape, layer norm, h. Dashed arrows lead back: lesson 03, dwords equals dx, and dW at the id gets dwords added.",
)  # fmt: skip

# %% [markdown]
# B is the number of texts in the batch, T the number of tokens (words or pieces of words) of a text, D the width, V the
# number of words in the vocabulary.
#
# ## 1 · A look-up is a matrix product
#
# The table $W$ has the shape (V, D), one row a word. For N ids $v_1 \dots v_N$ the look-up is `W[ids]`:
#
# $$y_{nd} = W_{v_n d}$$
#
# Now write each id as a **one-hot row**: V numbers, all 0 but a 1 at place $v_n$. Call this matrix $E$ (N, V),
# $E_{nv} = 1$ for $v = v_n$. Then
#
# $$(E\,W)_{nd} = \sum_{v} E_{nv}\, W_{vd} = W_{v_n d} = y_{nd}$$
#
# because the one 1 picks one term of the sum. So a look-up *is* a linear layer without bias, one whose inputs happen to
# be one-hot.

# %%
W = np.array([[0.1, 0.9], [0.4, -0.5], [-0.7, 0.2], [0.8, 0.3]])  # V = 4 words, D = 2
ids = np.array([1, 3, 1])  # N = 3
one_hot = np.eye(4)[ids]
assert np.array_equal(one_hot @ W, W[ids])

plots.show(
    lesson_plots.matrices(
        [one_hot, W, one_hot @ W], ["E: ids 1, 3, 1 as one-hot rows", "W: the table", "E W = W[ids]"], form="{:.1f}",
        marked=[one_hot == 1, None, None],
    ),
    alt="Three matrices: one-hot rows for the ids 1, 3, 1, with the ones framed; the table of four rows and two columns; and their "
    "product, whose rows are the table's rows 1, 3 and 1 again.",
)  # fmt: skip

# %% [markdown]
# Nobody computes it as a product. For BERT's vocabulary and a batch of 32 texts of 128 tokens, $E$ would have
# $4096 \cdot 30522$ = 125 million numbers, all but 4096 of them 0. But on paper the product is worth everything: its
# backward we know.
#
# ## 2 · The backward: repeated ids
#
# From lesson 02, for $y = E\,W$: $\;\texttt{dW} = E^\top\, \texttt{dy}$. In indices, and using that $E_{nv}$ is 1 only
# where $v_n = v$:
#
# $$\texttt{dW}_{vd} = \sum_{n=1}^{N} E_{nv}\, \texttt{dy}_{nd}
#   \qquad\Longrightarrow\qquad \boxed{\;\texttt{dW}_{vd} = \sum_{n:\; v_n = v} \texttt{dy}_{nd}\;}$$
#
# *The row of a word gets the gradients of all places where the word stood, added up; a word that didn't occur gets
# zeros.* It is the rule of lessons 02 and 03 again: used several times, gradients summed. This way of adding rows into
# places is called a **scatter-add**, the mirror image of the look-up (a *gather*).
#
# The look-up was `W[ids]`. So one writes, without a second thought, `dW[ids] += dy`:

# %%
dy = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])  # for the ids 1, 3, 1

by_product = one_hot.T @ dy
by_index = np.zeros_like(W)
by_index[ids] += dy

plots.show(
    lesson_plots.matrices(
        [dy, by_product, by_index], ["dy, for ids 1, 3, 1", "Eᵀ dy", "dW[ids] += dy"], form="{:.0f}",
        marked=[None, by_product != by_index, by_product != by_index], note="framed: row 1 is used twice",
    ),
    alt="dy for the three ids, the right gradient by the product, and what indexing gives. In the right one row 1 holds 4 and 40, the "
    "sum of the first and third row of dy; by indexing it holds 3 and 30, the third row alone.",
)  # fmt: skip

# %% [markdown]
# The first gradient of word 1 is gone. NumPy evaluates `dW[ids] += dy` as `dW[ids] = dW[ids] + dy`: it reads the old
# rows once, adds, and writes the results; the second writing of row 1 replaces the first. No error, no warning; and
# where each id occurs once, the result is right, so a small test passes. In a real text "the" occurs in every line.
#
# `np.add.at(dW, ids, dy)` does what was meant: one addition after the other. So does a sort: bring equal ids together,
# and add each run of equal ids. The package's `scatter_add` does that, which is usually faster on wide rows.
#
# **Padding.** Texts of a batch are filled up to the same length with a padding word, whose row should stay at zero:
# such a table has a `padding_idx`, and the row with that number gets *no* gradient.

# %% [markdown]
# **Exercise 1.** Write `embedding_backward(dy, ids, V, padding_idx=None)`. `ids` has any number of axes, `dy` one more;
# the result is (V, D).


# %% exercise="embedding_backward"
def embedding_backward(dy, ids, V, padding_idx=None):
    """dy (…, D), ids (…) -> dW (V, D)"""
    ### BEGIN SOLUTION
    D = dy.shape[-1]
    dW = np.zeros((V, D), dtype=dy.dtype)
    np.add.at(dW, ids.reshape(-1), dy.reshape(-1, D))
    if padding_idx is not None:
        dW[padding_idx] = 0
    return dW
    ### END SOLUTION


# %% check="embedding_backward" points=2
from edutransformers.teaching.checks.lesson04 import check_embedding_backward

check_embedding_backward(embedding_backward)

# %% [markdown] hints="embedding_backward"
# Make a table of zeros, (V, D), and add each row of dy to the row of its id. A loop over all places is right; so is
# `np.add.at`.
# ---
# Any number of axes: `ids.reshape(-1)` and `dy.reshape(-1, dy.shape[-1])` make one long list of ids and of rows. For
# the padding: what should the row `padding_idx` of the result be? Mind that padding_idx may be 0, which
# `if padding_idx:` takes for "no".
# ---
# ```python
# dW = np.zeros((V, dy.shape[-1]), dtype=dy.dtype)
# for v, row in zip(ids.reshape(-1), dy.reshape(-1, dy.shape[-1])):
#     dW[v] += ...
# if padding_idx is not None:
#     ...
# return dW
# ```

# %% [markdown] instructor=true
# Almost everybody writes `dW[ids] += dy` once in their life; let them write it *before* the picture above, with ids
# that don't repeat in the first test. The second usual mistake is `if padding_idx:`. A good question: is
# `one_hot.T @ dy` wrong? No, and for V = 50 it is the simplest; for V = 30,000 it multiplies zeros for a minute.

# %% [markdown]
# The check by differences, with a repeated id; and the same numbers from torch 2.13
# (`torch.nn.Embedding(5, 2, padding_idx=0)`, its autograd, float64).

# %%
from edutransformers import gradient_check
from edutransformers.gradient_check import Function

some_ids = np.array([[3, 1, 3], [3, 4, 0]])
look_up = Function(lambda W: (W[some_ids], None), lambda dy, _: embedding_backward(dy, some_ids, 5))
print("differences agree:", gradient_check(look_up, np.random.default_rng(0).standard_normal((5, 2))).passed)

TORCH_DW = [[0.0, 0.0], [0.5, 0.0], [0.0, 0.0], [3.0, -0.5], [2.0, 2.0]]
dy = np.array([[[1.0, -2.0], [0.5, 0.0], [3.0, 1.0]], [[-1.0, 0.5], [2.0, 2.0], [7.0, 7.0]]])
print("equal to torch:   ", np.array_equal(embedding_backward(dy, some_ids, 5, padding_idx=0), TORCH_DW))

# %% [markdown]
# ## 3 · How meaning gets into the table
#
# A fresh table is random. What makes "cat" come to lie beside "dog"? Nobody tells it that they are alike. But they
# *stand in the same company*: whoever has to guess the words around "cat" needs the same answers as for "dog". So give
# the model that task. For a word (the center) and a word beside it (the neighbour):
#
# $$h_n = W_{\text{center}_n}, \qquad \text{scores}_{nv} = \sum_d h_{nd}\, U_{vd}, \qquad
#   L = -\frac1N \sum_n \log \operatorname{softmax}(\text{scores}_n)_{\text{neighbour}_n}$$
#
# $W$ (V, D) is the table of embeddings, $U$ (V, D) a second table that turns a vector into a score for each word: a
# linear layer. This is the "skip-gram" model of word2vec (Mikolov et al. 2013) in its plainest form, and its gradient
# is made of what you have:
#
# 1. **lesson 01**, cross-entropy: $\texttt{dscores} = (p - \text{one-hot of the neighbour})/N$;
# 2. **lesson 02**, linear: with scores $= h\,U^\top$: $\;\texttt{dh} = \texttt{dscores}\; U$ and
#    $\texttt{dU} = \texttt{dscores}^\top h$;
# 3. **Exercise 1**, the look-up: $\texttt{dW}$ from $\texttt{dh}$ and the centers.

# %% [markdown]
# **Exercise 2.** Write `pair_loss_and_gradients(centers, neighbours, W, U)`. It returns the loss (one number), `dW` and
# `dU`. `log_softmax` is the library's: the logarithm of softmax along the last axis.


# %% exercise="pair_loss_and_gradients"
from edutransformers.functional.softmax import log_softmax


def pair_loss_and_gradients(centers, neighbours, W, U):
    """centers (N,), neighbours (N,), W (V, D), U (V, D) -> loss, dW (V, D), dU (V, D)"""
    ### BEGIN SOLUTION
    h = W[centers]
    log_p = log_softmax(h @ U.T)
    places = np.arange(len(centers)), neighbours
    loss = -log_p[places].mean()
    dscores = np.exp(log_p)
    dscores[places] -= 1
    dscores /= len(centers)
    return loss, embedding_backward(dscores @ U, centers, len(W)), dscores.T @ h
    ### END SOLUTION


# %% check="pair_loss_and_gradients" points=3
from edutransformers.teaching.checks.lesson04 import check_pair_loss_and_gradients

check_pair_loss_and_gradients(pair_loss_and_gradients)

# %% [markdown] hints="pair_loss_and_gradients"
# Forward first: look up, multiply with Uᵀ, log_softmax, pick one number a row, mean, sign. Then the three steps of the
# list, in its order.
# ---
# `np.exp(log_p)` is p. Picking and subtracting use the same index: `log_p[np.arange(N), neighbours]`. Look at the
# shapes: dscores (N, V), dh (N, D), dU (V, D).
# ---
# ```python
# h = W[centers]
# log_p = log_softmax(h @ U.T)
# loss = -log_p[np.arange(len(centers)), neighbours].mean()
# dscores = np.exp(log_p)
# dscores[np.arange(len(centers)), neighbours] -= 1
# dscores /= ...
# return loss, embedding_backward(..., centers, len(W)), dscores.T @ ...
# ```

# %% [markdown]
# Now a language of 20 words and a full stop. Its sentences are "the dog eats the rice" or "the red fox walks in the garden", and every
# word of a kind may stand where another of its kind stands. The model is told nothing of kinds; it sees pairs of ids.

# %%
KINDS = {
    "animal": ["cat", "dog", "cow", "fox"],
    "colour": ["red", "white", "black"],
    "to food": ["eats", "wants", "likes"],
    "to place": ["runs", "walks", "sleeps"],
    "food": ["bread", "soup", "rice"],
    "place": ["house", "garden"],
    "small": ["the", "in"],
}
vocabulary = [word for words in KINDS.values() for word in words] + ["."]
id_of = {word: number for number, word in enumerate(vocabulary)}


def sentence(generator):
    one = lambda kind: str(generator.choice(KINDS[kind]))
    who = ["the", one("colour"), one("animal")] if generator.random() < 0.5 else ["the", one("animal")]
    what = (
        [one("to food"), "the", one("food")]
        if generator.random() < 0.5
        else [one("to place"), "in", "the", one("place")]
    )
    return [*who, *what, "."]


generator = np.random.default_rng(1)
text = [id_of[word] for _ in range(1500) for word in sentence(generator)]
before, after = np.array(text[:-1]), np.array(text[1:])
print(" ".join(vocabulary[number] for number in text[:20]), "…")


def train(centers, neighbours, steps=400, rate=3.0, D=8):
    """Plain gradient descent on random pairs -> the table before, the table after (V, D), the losses"""
    generator = np.random.default_rng(2)
    W, U = 0.3 * generator.standard_normal((2, len(vocabulary), D))
    fresh, losses = W.copy(), []
    for _ in range(steps):
        some = generator.integers(0, len(centers), 512)
        loss, dW, dU = pair_loss_and_gradients(centers[some], neighbours[some], W, U)
        losses.append(loss)
        W -= rate * dW
        U -= rate * dU
    return fresh, W, losses


fresh, beside, losses = train(np.concatenate([before, after]), np.concatenate([after, before]))
print(
    f"loss: {losses[0]:.2f} at first (log {len(vocabulary)} = {np.log(len(vocabulary)):.2f}), {np.mean(losses[-50:]):.2f} in the end"
)

# %% [markdown]
# How alike are two words? The measure is lesson 00's **cosine** of the angle between their rows: 1 for the same
# direction, 0 for nothing in common, −1 for opposite.


# %%
def cosines(W):
    unit = W / np.linalg.norm(W, axis=1, keepdims=True)
    return unit @ unit.T


plots.show(
    lesson_plots.heatmaps([cosines(fresh), cosines(beside)], ["fresh: at random", "trained on words side by side"], labels=vocabulary),
    alt="Two matrices of the cosines of 21 words, white for −1, black for 1. The fresh one is grey noise with a black diagonal. The "
    "trained one has dark blocks: the four animals, the verbs of going, food together with places, and colours together with the verbs before food.",
)  # fmt: skip

# %% [markdown]
# The blocks along the diagonal are the kinds, and nobody named them. That is the whole secret of word vectors: *words
# in the same company get the same gradients.*
#
# But look beside the diagonal. Colours lie with "eats, wants, likes", of all things. Why? A colour stands between "the"
# and an animal ("the *red* cat"), and "eats" between an animal and "the" ("cat *eats* the"). As sets of neighbours they
# are the same: we threw the order away when we took the pairs in both directions. Food and places share their company
# as well: "the … .".
#
# Now only the *next* word as the neighbour:

# %%
_, following, _ = train(before, after)

plots.show(
    lesson_plots.heatmaps([cosines(beside), cosines(following)], ["either side", "the next word only"], labels=vocabulary),
    alt="The cosines of 21 words, trained on either side and on the next word only. In the second one colours are a block of their own; the verbs "
    "before food are another, together with the word 'in' and the full stop; food and places, which both end the sentence, are still together.",
)  # fmt: skip

# %%
for one, other in (("red", "black"), ("red", "eats"), ("rice", "garden"), ("cat", "dog")):
    a, b = id_of[one], id_of[other]
    print(f"{one:6}{other:8}either side {cosines(beside)[a, b]:+.2f}    next word only {cosines(following)[a, b]:+.2f}")

# %% [markdown]
# Colours and "eats" have parted. What lies together now is what *comes before* the same words: "eats", "in" and the full
# stop (then comes "the"), food and places (then comes the full stop). **Order carries meaning.** A model that sees a set
# of words can't have it.
#
# ## 4 · Why a transformer can't tell order either
#
# At the heart of a transformer is attention (lesson 06): each token looks at every other, decides by *content* how much
# of it to take, and adds it up. Its plainest form, without any learned weight, is one line:

# %%
from edutransformers.functional.softmax import softmax


def plain_attention(x):
    """(T, D) -> (T, D): each token becomes a mean of all tokens, weighted by how well they match."""
    return softmax(x @ x.T) @ x


generator = np.random.default_rng(3)
dog, bites, man = generator.standard_normal((3, 4))
one, other = plain_attention(np.stack([dog, bites, man])), plain_attention(np.stack([man, bites, dog]))
print("'dog' in 'dog bites man':", one[0].round(3))
print("'dog' in 'man bites dog':", other[2].round(3))

# %% [markdown]
# The same. And so for any text: shuffle the rows of $x$ by a permutation, and every sum over tokens has the
# same terms in another order; the outputs are shuffled likewise, and not changed. Layer norm, linear layers and GELU
# work on each token alone. So nothing in the whole network can know who bites whom, unless the vectors themselves say
# where they stand. The usual way is to *add* a vector for the position to the vector of the word:
#
# $$x_{td} = W_{v_t d} + P_{td}$$
#
# Why add, and not append? Appending costs width. In a space of some hundred dimensions two random directions are nearly
# perpendicular, so a sum of two vectors can be taken apart by the next linear layer.
#
# (In formulas $P$ with indices is the table of positions; in shapes and code P is the number of its rows.) Where does the
# table come from? Two answers: compute it, or learn it.
#
# ## 5 · Sinusoids
#
# The number $t$ itself? It grows without end and would drown the words. Its binary digits? Not bad: the lowest flips at
# every step, the next one at every second step, and so on: fast and slow clocks together tell the time. The sinusoids of
# "Attention is all you need" (Vaswani et al. 2017) are smooth binary digits, hands of clocks: pair number $i$ of the D
# columns, $i = 0 \dots D/2 - 1$, is a hand that turns with the frequency $\omega_i$,
#
# $$\omega_i = \frac{1}{10000^{\,2i/D}}, \qquad P_{t,\,2i} = \sin(\omega_i t), \qquad P_{t,\,2i+1} = \cos(\omega_i t)$$
#
# The first hand ($\omega_0 = 1$) goes around in $2\pi \approx 6.3$ tokens, the last one in nearly
# $2\pi \cdot 10000 \approx 63{,}000$. Sine and cosine both, as a sine alone says the same at two angles.

# %% [markdown]
# **Exercise 3.** Write `sinusoid_table(P, D)` for P positions, $t = 0 \dots P-1$, and an even width D. Sines in the
# even columns, cosines in the odd ones.


# %% exercise="sinusoid_table"
def sinusoid_table(P, D):
    """-> (P, D)"""
    ### BEGIN SOLUTION
    omega = 1 / 10000 ** (np.arange(0, D, 2) / D)
    angle = np.arange(P)[:, None] * omega
    table = np.empty((P, D))
    table[:, 0::2] = np.sin(angle)
    table[:, 1::2] = np.cos(angle)
    return table
    ### END SOLUTION


# %% check="sinusoid_table" points=2
from edutransformers.teaching.checks.lesson04 import check_sinusoid_table

check_sinusoid_table(sinusoid_table)

# %% [markdown] hints="sinusoid_table"
# First the D/2 frequencies, then a matrix of angles (P, D/2), then fill a table.
# ---
# `np.arange(0, D, 2)` is 0, 2, 4, …, that is 2i already. `np.arange(P)[:, None] * omega` broadcasts (P, 1) with (D/2,)
# to (P, D/2). `table[:, 0::2]` are the even columns.
# ---
# ```python
# omega = 1 / 10000 ** (np.arange(0, D, 2) / D)
# angle = np.arange(P)[:, None] * omega
# table = np.empty((P, D))
# table[:, 0::2] = ...
# table[:, 1::2] = ...
# ```

# %%
table = sinusoid_table(100, 64)
plots.show(
    lesson_plots.heatmaps([table], ["P: sinusoids"], xlabel="column", ylabel="position t"),
    alt="The table as shades: the columns on the left alternate quickly from black to white down the positions, those further right ever more slowly, and from "
    "about column 40 on they hardly change, sines at grey, cosines at black.",
)

# %% [markdown]
# ### A step is a rotation
#
# Why sines and cosines, of all functions? Because *moving by $\Delta$ tokens is the same rotation wherever one starts.*
# The addition theorems say
#
# $$\begin{aligned}
# \sin \omega(t + \Delta) &= \sin \omega t\, \cos \omega\Delta + \cos \omega t\, \sin \omega\Delta \\
# \cos \omega(t + \Delta) &= \cos \omega t\, \cos \omega\Delta - \sin \omega t\, \sin \omega\Delta
# \end{aligned}$$
#
# For a pair as a row, $(s_t, c_t) = (\sin \omega t, \cos \omega t)$, that is a product with a matrix in which $t$
# doesn't occur:
#
# $$(s_{t+\Delta},\; c_{t+\Delta}) = (s_t,\; c_t)
# \begin{pmatrix} \cos \omega\Delta & -\sin \omega\Delta \\ \sin \omega\Delta & \cos \omega\Delta \end{pmatrix}$$
#
# So there is *one* linear map that turns "where I am" into "where the token three before me is", for every place in the
# text: just what a linear layer can learn. And the product of two positions,
#
# $$P_t \cdot P_s = \sum_i \big(\sin \omega_i t\, \sin \omega_i s + \cos \omega_i t\, \cos \omega_i s\big) = \sum_i \cos \omega_i (t - s),$$
#
# depends on their *distance* only, and is the largest for distance 0.

# %% [markdown]
# **Exercise 4.** Write `shift_matrix(delta, D)`: the (D, D) matrix $M$ for which `table[t] @ M` is `table[t + delta]`,
# for every t. `delta` may be negative.


# %% exercise="shift_matrix"
def shift_matrix(delta, D):
    """-> M (D, D) with P[t] M = P[t + delta]"""
    ### BEGIN SOLUTION
    M = np.zeros((D, D))
    for i in range(D // 2):
        angle = delta / 10000 ** (2 * i / D)
        s, c = 2 * i, 2 * i + 1
        M[s, s], M[s, c] = np.cos(angle), -np.sin(angle)
        M[c, s], M[c, c] = np.sin(angle), np.cos(angle)
    return M
    ### END SOLUTION


# %% check="shift_matrix" points=2
from edutransformers.teaching.checks.lesson04 import check_shift_matrix

check_shift_matrix(shift_matrix)

# %% [markdown] hints="shift_matrix"
# M is zero but for D/2 small blocks on its diagonal, one for each pair of columns. Each block is the 2 × 2 matrix
# above, with the pair's own ω.
# ---
# Pair i has the rows and columns 2i (sine) and 2i + 1 (cosine), and turns by the angle `delta / 10000 ** (2 * i / D)`.
# `M[row, column]`: the row is what comes in, the column what comes out.
# ---
# ```python
# M = np.zeros((D, D))
# for i in range(D // 2):
#     angle = delta / 10000 ** (2 * i / D)
#     s, c = 2 * i, 2 * i + 1
#     M[s, s], M[s, c] = np.cos(angle), ...
#     M[c, s], M[c, c] = ..., np.cos(angle)
# ```

# %%
M = shift_matrix(-3, 64)  # "three tokens before me"
print("one matrix for all places:", np.allclose(table[3:] @ M, table[:-3]))
for t in (3, 30, 90):
    print(f"P[{t}] · P[{t + 5}] = {table[t] @ table[t + 5]:.3f}")

# %% [markdown] instructor=true
# A good question: what can't sinusoids do that a learned table can? (Treat position 0 specially, as BERT's [CLS].) And
# the other way round? (Say something sensible about position 5,000 when the longest training text had 512; though in
# practice models don't extrapolate well with them either.) The rotation returns in RoPE, the positions of most models
# since 2022: there queries and keys themselves are turned.

# %% [markdown]
# ## 6 · Learned positions, and types
#
# The other answer: a second embedding, whose ids are the positions 0, 1, 2, … $T-1$. BERT and GPT-2 do that, with at
# most 512 and 1,024 rows: a longer text has no rows, so it can't be read. BERT adds a third table with two rows, for
# the **type** of a token: first text or second, as in question and answer.
#
# $$x_{btd} = W_{\text{id}_{bt}\, d} + P_{td} + S_{\text{type}_{bt}\, d}$$


# %%
def three_tables(ids, types, words, positions, type_rows):
    """ids (B, T), types (B, T), tables (V, D), (P, D) and (2, D) -> x (B, T, D)"""
    T = ids.shape[1]
    return words[ids] + positions[:T] + type_rows[types]


# %% [markdown]
# **Backward.** In a sum each summand gets the whole gradient of the sum: `dx` goes to all three. But the three tables
# are *used* differently often. $P_t$ doesn't depend on b: it was broadcast over the batch, all B texts used the same
# row, so its gradient is the sum over the batch; rows from $T$ on weren't used at all:
#
# $$\texttt{dP}_{td} = \sum_{b=1}^{B} \texttt{dx}_{btd} \;\text{ for } t < T, \text{ else } 0$$
#
# and the two rows of the types are used by hundreds of tokens each. **Broadcast forward, sum backward; gather forward,
# scatter-add backward**: two names for one rule.

# %% [markdown]
# **Exercise 5.** Write `three_tables_backward(dx, ids, types, V, P)`. It returns `dwords` (V, D), `dpositions` (P, D),
# `dtypes` (2, D). (That is the gradient of the types' rows, not NumPy's `dtype`.)


# %% exercise="three_tables_backward"
def three_tables_backward(dx, ids, types, V, P):
    """dx (B, T, D), ids (B, T), types (B, T) -> dwords (V, D), dpositions (P, D), dtypes (2, D)"""
    ### BEGIN SOLUTION
    dpositions = np.zeros((P, dx.shape[-1]), dtype=dx.dtype)
    dpositions[: dx.shape[1]] = dx.sum(axis=0)
    return embedding_backward(dx, ids, V), dpositions, embedding_backward(dx, types, 2)
    ### END SOLUTION


# %% check="three_tables_backward" points=2
from edutransformers.teaching.checks.lesson04 import check_three_tables_backward

check_three_tables_backward(three_tables_backward)

# %% [markdown] hints="three_tables_backward"
# Two of the three are look-ups with ids that repeat: you have a function for that. The third is a broadcast.
# ---
# The positions: a table of zeros (P, D), whose first T rows are a sum over one axis of dx. Which axis was not there in
# the table?
# ---
# ```python
# dpositions = np.zeros((P, dx.shape[-1]), dtype=dx.dtype)
# dpositions[: dx.shape[1]] = dx.sum(axis=...)
# return embedding_backward(dx, ids, V), dpositions, embedding_backward(...)
# ```

# %%
generator = np.random.default_rng(4)
ids, types = np.array([[1, 4, 4, 2], [3, 1, 2, 0]]), np.array([[0, 0, 1, 1], [0, 0, 0, 1]])
tables = [generator.standard_normal(shape) for shape in ((5, 3), (6, 3), (2, 3))]
sum_of_three = Function(
    lambda *tables: (three_tables(ids, types, *tables), None), lambda dx, _: three_tables_backward(dx, ids, types, 5, 6)
)
report = gradient_check(sum_of_three, *tables)
for name, comparison in zip(("dwords", "dpositions", "dtypes"), report.comparisons):
    print(f"{name:12}", "agrees" if comparison.passed else "DISAGREES", "in", comparison.checked, "places")

# %% [markdown]
# ## 7 · In real models
#
# The small BERT that ships with the package (it tells good reviews of films from bad ones) begins just so: three
# tables, then a layer norm. Read its weights, add up, and compare with what the model itself hands to its first layer.

# %%
from edutransformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from edutransformers.functional.normalization import layer_norm

name = "edutransformers/bert-small-imdb"
tokenizer, bert = AutoTokenizer.from_pretrained(name), AutoModelForSequenceClassification.from_pretrained(name)
parameters = {key: parameter.data for key, parameter in bert.named_parameters()}
words, positions, type_rows = (
    parameters[f"bert.embeddings.{table}_embeddings.weight"] for table in ("word", "position", "token_type")
)
norm = [parameters[f"bert.embeddings.LayerNorm.{part}"] for part in ("weight", "bias")]

batch = tokenizer(["A wonderful film.", "The worst film ever, and boring."], padding=True, return_tensors="np")
x = three_tables(batch["input_ids"], batch["token_type_ids"], words, positions, type_rows)
h, _, _ = layer_norm(x, *norm, bert.config.layer_norm_eps)
model_h = bert(**batch, output_hidden_states=True).hidden_states[0]

print("tables:", words.shape, positions.shape, type_rows.shape, "  x:", x.shape)
print("equal to the model's own:", np.allclose(h, model_h, atol=1e-5))
print("row of the padding word, id 0:", "all zeros" if not words[0].any() else "not zero")

# %% [markdown]
# ### What is in its word table?
#
# The rows have 128 numbers. To draw them, look from the side where they differ the most: along the two **principal
# components** (PCA), which `np.linalg.svd` of the centred rows gives as the first two rows of its third result. Three
# sorts of words: praise, blame, and neither.

# %%
PRAISE = ["wonderful", "great", "perfect"]
BLAME = ["awful", "boring", "worst", "poor"]
NEITHER = ["actor", "director", "he", "she", "two", "three"]
chosen = [*PRAISE, *BLAME, *NEITHER]
rows = words[[tokenizer.get_vocab()[word] for word in chosen]].astype("float64")
centred = rows - rows.mean(axis=0)
_, _, components = np.linalg.svd(centred, full_matrices=False)
x2, y2 = (centred @ components[:2].T).T

plots.show(
    lesson_plots.points(
        x2, y2, chosen, "first principal component", "second", "Words in the small BERT's table", joined=False
    ),
    alt="Thirteen words as points in three clouds, far from one another: words of praise, such as wonderful; words of blame, such as awful and worst; and "
    "actors, pronouns and numbers, which among themselves are in no order.",
)


# %%
def cosine_of(one, other):
    a, b = (words[tokenizer.get_vocab()[word]].astype("float64") for word in (one, other))
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


PAIRS = [
    "boring unwatchable",
    "boring waste",
    "wonderful outstanding",
    "wonderful boring",
    "two three",
    "he she",
    "actor actress",
]
for one, other in map(str.split, PAIRS):
    print(f"{one:10} {other:12} {cosine_of(one, other):+.2f}")

# %% [markdown]
# "boring" has found "unwatchable" and "waste"; but "two" and "three", "he" and "she", "actor" and "actress" are next to
# strangers. This BERT learned one task from a random table: is the review good or bad? So its table holds that, and
# *nothing else*. "two" and "three" never needed to be alike. BERT models that were trained to guess hidden words, as in
# section 3, know about numbers and pronouns as well. **A table holds what the task asked for.**
#
# ### And in the position tables?
#
# The same question of positions: how alike are $P_t$ and $P_s$? Beside the sinusoids, the position table of this BERT
# and that of the small GPT-2, which learned to write on.

# %%
gpt2 = AutoModelForCausalLM.from_pretrained("edutransformers/gpt2-small-imdb")
gpt2_positions = dict(gpt2.named_parameters())["transformer.wpe.weight"].data
three = {"sinusoids": sinusoid_table(100, 128), "small GPT-2": gpt2_positions[:100], "small BERT": positions[:100]}

plots.show(
    lesson_plots.heatmaps([cosines(P) for P in three.values()], list(three), xlabel="position s", ylabel="position t"),
    alt="Three matrices of cosines between 100 positions. Sinusoids: a dark band along the diagonal that fades to both sides, the same all the way "
    "down. The small GPT-2: a black diagonal with a regular pattern of dark spots beside it, lighter further away. The small BERT: a thin black "
    "diagonal and grey noise.",
)

# %%
for name, P in three.items():
    alike = cosines(P.astype("float64"))
    near, far = (np.mean([alike[t, t + d] for t in range(20, 60)]) for d in (1, 40))
    print(f"{name:12} one token apart {near:+.2f}   forty tokens apart {far:+.2f}")

# %% [markdown]
# Whoever writes the next word must know which word was the last one: GPT-2's neighbours are alike, and distance counts.
# (Its table began as sinusoids; the pattern is what training made of them.) The small BERT judges a review by its words,
# wherever they stand. Its positions began at random, and no order has grown in them: nothing in its task asked for one.
# Had you expected something else? It is a good habit to look.
#
# ## 8 · Sinusoids against learned
#
# | | sinusoids | learned |
# |---|---|---|
# | parameters | none | P · D |
# | a text longer than any in training | has rows; how well they work is another matter | has no rows |
# | before training | distance is there at once | noise: neighbours must be learned one by one |
# | rare positions | as good as frequent ones | row 500 learns only from texts that long |
# | special places (the first token) | like any other | can be special |
# | used by | the first Transformer, many for translation and speech | BERT, GPT-2, ViT |
#
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | frequent words learn slowly, rare ones well; the check with distinct ids passes | `dW[ids] += dy` |
# | answers depend on how much padding a batch has | the padding row got a gradient, or the mask is missing (lesson 07) |
# | `IndexError` after 512 tokens, or on a GPU nonsense without any error | positions beyond the table |
# | an id out of the table | another model's tokenizer |
# | the model treats shuffled texts alike | positions were never added |
# | loaded weights, but worse than published | sines first, then cosines, against alternating: both conventions exist |
#
# ## What the library does more than you did
#
# * its `scatter_add` **sorts the ids** and adds runs of equal ones, as whole rows; on a GPU it adds atomically; float16
#   rows are added up in float32;
# * the layer adds **straight into the rows of the gradient** that exists already: no second (V, D) table a step;
# * ids are **checked on the host** before they silently read another row, and the message says what is probably wrong;
# * the word table may be **tied** to the last linear layer (your W and U as one table): two gradients, added into one array;
# * there are positions **in a grid** for pictures, stretched to other sizes, and **relative** ones, which are about t −
#   s itself.

# %%
from edutransformers import backend, layers
from edutransformers.functional.embedding import embedding as library_embedding
from edutransformers.functional.embedding import embedding_backward as library_embedding_backward
from edutransformers.models.bert import BertEmbeddings
from edutransformers.teaching.read_on import read_on

assert np.allclose(sinusoid_table(50, 16), layers.sinusoids(50, 16), atol=1e-6)
read_on(
    library_embedding, library_embedding_backward, backend.scatter_add, layers.Embedding, layers.LearnedPositions,
    layers.sinusoids, layers.SinusoidalPositions, BertEmbeddings,
)  # fmt: skip

# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: Feed-forward, and why chunking is free
#     minutes: 80
#     goal: You build the feed-forward network of a transformer forward and backward, count where a layer's weights and arithmetic are, and take the network apart in chunks that give the same numbers in a fraction of the memory.
#     needs: [2, 3]
# ---

# %% [markdown]
# A transformer's layer has two halves. Attention lets tokens look at each other. The **feed-forward network** is the other
# half, and the simplest network there is: a linear map to something wider, an activation, a linear map back. It is applied
# to each token by itself, with the same weights for all.
#
# It holds most of a layer's weights, does most of its arithmetic, and makes its widest array. The last is a problem, since
# wide arrays are what memory runs out on; and it has a solution that sounds too good: do the same arithmetic a few tokens at
# a time. In this lesson you build the network, count, cut it into chunks, and *measure* what that saves and what it costs.

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("x", "(B, T, D)"), "x W₁ᵀ + b₁", ("u", "(B, T, F)"), "gelu", ("h", "(B, T, F)"), "h W₂ᵀ + b₂", ("y", "(B, T, D)")],
        ["dx = du W₁", "du = dh · gelu′(u)", "dh = dy W₂"],
    ),
    alt="From left to right: x of shape B by T by D; a linear map to u of shape B by T by F; gelu to h of the same shape; a "
    "linear map to y of shape B by T by D. Dashed arrows lead back from dy through dh and du to dx.",
)  # fmt: skip

# %% [markdown]
# B texts, T tokens each, D numbers for each token; in between there are F numbers for each token, usually $F = 4D$: in
# BERT-base D is 768 and F 3,072.
#
# ## 1 · What it does
#
# Take one token, $D = 2$, and four numbers in the middle. Every row of $W_1$ is compared with $x$ by a product and a sum,
# and says in one number how well they agree. The activation lets agreement through and nearly stops the rest. Every *column*
# of $W_2$ is then written to the output as strongly as its row agreed. Rows ask, columns answer.

# %%
x = np.array([[1.0, -2.0], [0.5, 1.0], [-1.0, 0.0]])  # three tokens, D = 2
w1 = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 2.0]])  # (F, D): four rows that ask
b1 = np.array([0.0, 0.5, 1.0, 0.5])
w2 = np.array([[1.0, 1.0, 0.0, 0.5], [0.0, -1.0, 2.0, -0.5]])  # (D, F): four columns that answer
b2 = np.array([0.0, 0.25])

from edutransformers.functional.activations import gelu  # lesson 03's; gelu(u, derivative=True) gives the pair

u = x @ w1.T + b1
h = gelu(u)
y = h @ w2.T + b2
plots.show(
    lesson_plots.matrices(
        [x, u, h, y], ["x (T, D)", "u (T, F)", "h = gelu(u)", "y (T, D)"], rows=["token 0", "token 1", "token 2"],
        note="each row is one token's; no row needs another one's numbers",
    ),
    alt="Four matrices with a row for each of three tokens: x with two columns, u with four, h with four in which what was "
    "negative is nearly zero, and y with two columns.",
)  # fmt: skip

# %% [markdown]
# Follow token 0 with a pencil: row 1 of $W_1$ is $(0, 1)$, so $u_1 = -2 + 0.5 = -1.5$: it disagrees, and $h_1 = -0.10$ is
# nearly nothing. Row 0 agrees: $u_0 = 1$, $h_0 = 0.84$.
#
# Without the activation all this would be pointless: two linear maps in a row are *one*, with a (D, D) matrix (lesson 02),
# however wide the middle.

# %% [markdown]
# **Exercise 1.** Write `ffn_forward(x, w1, b1, w2, b2)`. It returns `y` and a cache `(x, slope, h)`: the three arrays that
# the backward pass will need. `slope` is $\text{gelu}'(u)$; `gelu(u, derivative=True)` returns both, value and slope. `x` may
# have any number of axes; its last one is D.


# %% exercise="ffn_forward"
def ffn_forward(x, w1, b1, w2, b2):
    """x (…, D), w1 (F, D), b1 (F,), w2 (D, F), b2 (D,) -> y (…, D), (x, slope (…, F), h (…, F))"""
    ### BEGIN SOLUTION
    h, slope = gelu(x @ w1.T + b1, derivative=True)
    return h @ w2.T + b2, (x, slope, h)
    ### END SOLUTION


# %% check="ffn_forward" points=2
from edutransformers.teaching.checks.lesson08 import check_ffn_forward

check_ffn_forward(ffn_forward)

# %% [markdown] hints="ffn_forward"
# Three lines, from left to right through the picture: u, then h and its slope, then y.
# ---
# A weight (F, D) takes D numbers to F: that is lesson 02's `x @ weight.T + bias`, for any leading axes of `x`. And `gelu(u,
# derivative=True)` gives a pair: take it apart with `h, slope = …`.
# ---
# ```python
# h, slope = gelu(x @ w1.T + b1, derivative=True)
# y = h @ ... + ...
# return y, (x, slope, h)
# ```

# %% [markdown]
# ## 2 · Backward, on paper
#
# Number all tokens of all texts through: $n = 1 \dots N$, $N = B\,T$. The forward pass, with every index written out (the
# number in brackets says which weight it is, so that the place below is free for indices):
#
# $$u_{nf} = \sum_d W^{(1)}_{fd}\, x_{nd} + b^{(1)}_f, \qquad h_{nf} = \text{gelu}(u_{nf}), \qquad
#   y_{nd} = \sum_f W^{(2)}_{df}\, h_{nf} + b^{(2)}_d .$$
#
# Someone hands us $\texttt{dy}_{nd} = \partial L / \partial y_{nd}$. We go back through the three steps; each is a rule that you
# know.
#
# **Step 1: the second linear map** (lesson 02). $h_{nf}$ goes into $y_{nd}$ for every $d$, with the factor $W^{(2)}_{df}$:
#
# $$\texttt{dh}_{nf} = \sum_d \texttt{dy}_{nd}\, W^{(2)}_{df}, \qquad
#   \texttt{dw2}_{df} = \sum_n \texttt{dy}_{nd}\, h_{nf}, \qquad \texttt{db2}_d = \sum_n \texttt{dy}_{nd}.$$
#
# **Step 2: the activation** (lesson 03). Each number by itself, so no sum:
#
# $$\texttt{du}_{nf} = \texttt{dh}_{nf}\; \text{gelu}'(u_{nf}).$$
#
# **Step 3: the first linear map.** As step 1, with $\texttt{du}$ for $\texttt{dy}$ and $x$ for $h$:
#
# $$\texttt{dx}_{nd} = \sum_f \texttt{du}_{nf}\, W^{(1)}_{fd}, \qquad
#   \texttt{dw1}_{fd} = \sum_n \texttt{du}_{nf}\, x_{nd}, \qquad \texttt{db1}_f = \sum_n \texttt{du}_{nf}.$$
#
# Now look where $n$ stands, for the rest of the lesson hangs on it:
#
# > **In $y$, $\texttt{dh}$, $\texttt{du}$ and $\texttt{dx}$ the token $n$ stands on both sides and is never summed over.** Only the
# > gradients of the *weights* are sums over the tokens.

# %% [markdown]
# **Exercise 2.** Write `ffn_backward(dy, cache, w1, w2)`. The leading axes of `dy` are those of `x`: one, two, or more.


# %% exercise="ffn_backward"
def ffn_backward(dy, cache, w1, w2):
    """dy (…, D), cache (x, slope, h), w1 (F, D), w2 (D, F) -> dx, dw1, db1, dw2, db2"""
    ### BEGIN SOLUTION
    x, slope, h = cache
    du = (dy @ w2) * slope
    rows_x, rows_du = x.reshape(-1, x.shape[-1]), du.reshape(-1, du.shape[-1])
    rows_h, rows_dy = h.reshape(-1, h.shape[-1]), dy.reshape(-1, dy.shape[-1])
    return du @ w1, rows_du.T @ rows_x, rows_du.sum(axis=0), rows_dy.T @ rows_h, rows_dy.sum(axis=0)
    ### END SOLUTION


# %% check="ffn_backward" points=3
from edutransformers.teaching.checks.lesson08 import check_ffn_backward

check_ffn_backward(ffn_backward)

# %% [markdown] hints="ffn_backward"
# First `dh`, then `du`: both have a line above, and both work for any leading axes. Then the five results.
# ---
# For the sums over all tokens make one axis of all leading ones: `rows_x = x.reshape(-1, x.shape[-1])` is (N, D). Then
# $\sum_n \texttt{du}_{nf}\, x_{nd}$ is a matrix product, and its shape (F, D) tells you which of the two is transposed.
# ---
# ```python
# x, slope, h = cache
# du = (dy @ w2) * slope
# rows_x, rows_du = x.reshape(-1, x.shape[-1]), du.reshape(-1, du.shape[-1])
# rows_h, rows_dy = ...
# return du @ w1, rows_du.T @ rows_x, rows_du.sum(axis=0), ..., ...
# ```

# %% [markdown]
# ### Is it right?
#
# Central differences (lesson 01), with random weights in the loss; then torch's numbers for the three tokens above (torch 2.13,
# `torch.nn.functional.linear` and `gelu` with autograd, in float64); then the library's layer, on arrays of two texts.

# %%
from edutransformers import gradient_check
from edutransformers.gradient_check import Function
from edutransformers.layers import FeedForward


def forward_for_check(x, w1, b1, w2, b2):
    y, cache = ffn_forward(x, w1, b1, w2, b2)
    return y, (cache, w1, w2)


def backward_for_check(dy, cache):
    cache, w1, w2 = cache
    return ffn_backward(dy, cache, w1, w2)


report = gradient_check(Function(forward_for_check, backward_for_check), x, w1, b1, w2, b2)
for row in report.comparisons:
    print(f"{row.name}, {str(list(row.shape)):7} worst relative error {row.error:.0e}")
assert report

TORCH_DX = [
    [0.08338399974954273, -1.2550754427836717],
    [5.398115756769309, 0.8313928536703155],
    [1.5637345961149898, -0.9949643168861424],
]
TORCH_DW1 = [
    [1.300189251751727, -1.7328833788472915],
    [-0.233045153976281, -1.181327019425051],
    [0.0752221718162902, 6.15044434363258],
    [0.15670414154880957, -0.813786792484935],
]
dy = np.array([[1.0, -1.0], [0.5, 2.0], [0.0, 1.0]])
y, cache = ffn_forward(x, w1, b1, w2, b2)
dx, dw1, db1, dw2, db2 = ffn_backward(dy, cache, w1, w2)
assert np.allclose(dx, TORCH_DX, atol=1e-12)
assert np.allclose(dw1, TORCH_DW1, atol=1e-12)

layer = FeedForward(6, 24, generator=np.random.default_rng(0)).astype("float64")
weights = [parameter.data for parameter in layer.parameters()]  # up.weight, up.bias, down.weight, down.bias
some_x, some_dy = np.random.default_rng(1).standard_normal((2, 2, 7, 6))
library_y, library_cache = layer.forward(some_x)
library_dx = layer.backward(some_dy, library_cache)
our_y, our_cache = ffn_forward(some_x, *weights)
ours = ffn_backward(some_dy, our_cache, weights[0], weights[2])
assert np.allclose(our_y, library_y, atol=1e-14)
assert np.allclose(ours[0], library_dx, atol=1e-14)
assert all(np.allclose(mine, p.grad, atol=1e-13) for mine, p in zip(ours[1:], layer.parameters()))
print("equal to torch's gradients and to the library's")

# %% [markdown]
# ## 3 · Where a layer's weights and its arithmetic are
#
# How much of a transformer is this? Count. Attention has four linear maps from D to D: queries, keys, values, output. The
# feed-forward has two of D × F weights. With $F = 4D$:
#
# $$\underbrace{4 D^2}_{\text{attention}} \qquad \text{against} \qquad \underbrace{2 D F = 8 D^2}_{\text{feed-forward}}$$
#
# (and some biases): **two thirds of a layer's weights are in the feed-forward.** In BERT-base, in millions (the pooler is a
# linear map behind the last layer, which lesson 09 explains):

# %%
from edutransformers import BertConfig, BertModel
from edutransformers.module import skip_initialization

with skip_initialization():  # shapes are all that matters here
    bert_base = BertModel(BertConfig())
parts = {
    "feed-forward": sum(layer.feed_forward.num_parameters() for layer in bert_base.encoder.layer),
    "attention": sum(layer.attention.num_parameters() for layer in bert_base.encoder.layer),
    "embeddings": bert_base.embeddings.num_parameters(),
}
parts["norms, pooler"] = bert_base.num_parameters() - sum(parts.values())
plots.show(
    lesson_plots.bars(list(parts), [n / 1e6 for n in parts.values()], "10⁶ weights", "Where BERT-base's weights are"),
    alt="Four bars, in millions of weights: feed-forward 56.7, attention 28.3, embeddings 23.8, norms and the pooler 0.6.",
)

# %% [markdown]
# Now the arithmetic. A product of (m, k) with (k, n) makes m·n numbers, each a sum of k products: k multiplications, and k
# additions (the first is to 0), in all $2\,m\,k\,n$ operations. So a linear map costs two operations for each weight and token. Attention has two
# more products, which have no weights at all: every query with every key, and the weighted sum of the values. For all
# heads together, each of them multiplies (T, D) with (D, T), or (T, T) with (T, D).

# %% [markdown]
# **Exercise 3.** Write `layer_operations(T, D, F)`: how many operations the matrix products of one layer take in the forward
# pass, for one text of T tokens. Return three numbers: for attention's four linear maps; for its two products of tokens with
# tokens; for the feed-forward.


# %% exercise="layer_operations"
def layer_operations(T, D, F):
    """-> (operations of query, key, value and output; of scores and weighted sums; of the feed-forward)"""
    ### BEGIN SOLUTION
    return 4 * 2 * T * D * D, 2 * 2 * T * T * D, 2 * 2 * T * D * F
    ### END SOLUTION


# %% check="layer_operations" points=1
from edutransformers.teaching.checks.lesson08 import check_layer_operations

check_layer_operations(layer_operations)

# %% [markdown] hints="layer_operations"
# Each of the eight products is some (m, k) times (k, n). Write down m, k and n for each.
# ---
# A linear map of T tokens from D to F is (T, D) times (D, F): $2\,T D F$. The scores are (T, D) times (D, T): $2\,T D T$.
# The number of heads drops out: H products of width K = D/H cost what one of width D costs.
# ---
# ```python
# return 4 * 2 * T * D * D, 2 * ..., 2 * ...
# ```

# %% [markdown]
# The library can count the products that its own code really makes, one by one, in a dry run without numbers. A formula that
# agrees with it is right:

# %%
from edutransformers import AutoModelForSequenceClassification, AutoTokenizer, flops_report

name = "edutransformers/bert-small-imdb"
tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModelForSequenceClassification.from_pretrained(name)
T, D, F = 64, model.config.hidden_size, model.config.intermediate_size
one_text = np.ones((1, T), dtype=int)
counted = {"linear maps": 0, "tokens with tokens": 0, "feed-forward": 0}
for row in flops_report(model, {"input_ids": one_text, "labels": np.zeros(1, dtype=int)}).table():
    path = row["module"]
    if path.startswith("bert.encoder.layer.0."):
        last = "feed-forward" if "feed_forward" in path else "linear maps"
        counted["tokens with tokens" if path.endswith(".attention") else last] += row["forward"]
print(f"{'':20}{'counted':>12}{'formula':>12}")
for (what, count), formula in zip(counted.items(), layer_operations(T, D, F)):
    print(f"{what:20}{count:12,}{formula:12,}")
    assert count == formula

# %% [markdown]
# So for short texts most of the arithmetic is feed-forward, too. "Attention is quadratic" is true, and does not matter until
# the texts are long. How long? Divide the three by T: operations *per token*. Two are constants, one grows with T:

# %%
lengths = 2 ** np.arange(5, 14)
per_token = np.array([[n / T / 1e6 for n in layer_operations(T, 768, 3072)] for T in map(int, lengths)]).T
plots.show(
    lesson_plots.curves(
        lengths,
        {"feed-forward": per_token[2], "attention: tokens with tokens": per_token[1], "attention: linear maps": per_token[0]},
        "T, tokens of a text", "10⁶ operations per token and layer", "One layer of BERT-base, forward", logarithmic="x",
    ),
    alt="Operations per token over the text's length, from 32 to 8192 tokens. Feed-forward is constant at 9.4 million, "
    "attention's linear maps at 4.7 million. The products of tokens with tokens begin near zero, cross the linear maps at "
    "1536 tokens and the feed-forward at 3072, and reach 25 million at 8192.",
)  # fmt: skip

# %% [markdown]
# Set $4 T^2 D = 4 T D F$: the two are equal at $T = F$. **Up to texts of F tokens the feed-forward does more than all
# looking at each other**; BERT reads at most 512.
#
# ## 4 · No token looks at another
#
# The derivation says it, so it can be seen. Take the trained little BERT, put a sentence in, and shake one token's vector at
# the entrance of its first layer's attention, or of its feed-forward. Which tokens' outputs move?

# %%
sentence = "not a great film, but not boring"
ids = tokenizer(sentence, return_tensors="np")["input_ids"]
words = tokenizer.convert_ids_to_tokens(ids[0])
first = model.bert.encoder.layer[0]
vectors = model.bert.embeddings(ids, np.zeros_like(ids), np.arange(ids.shape[1])[None])  # (1, T, D)


def who_moves(function, x, rng):
    """[t, s]: how far output t moves when input s does, in proportion to the largest."""
    T, before = x.shape[1], function(x)
    moved = np.zeros((T, T))
    for s in range(T):
        shaken = x.copy()
        shaken[0, s] += rng.standard_normal(x.shape[2])
        moved[:, s] = np.linalg.norm(function(shaken) - before, axis=-1)[0]
    return moved / moved.max()


rng = np.random.default_rng(0)
by_attention = who_moves(lambda x: first.attention(x)[0], vectors, rng)  # [1] would be its weights
by_feed_forward = who_moves(first.feed_forward, vectors, rng)
assert (by_feed_forward[~np.eye(len(words), dtype=bool)] < 1e-6).all()
plots.show(
    lesson_plots.matrices(
        [by_attention, by_feed_forward], ["attention", "feed-forward"], rows=words, form="{:.1f}",
        note="row: whose output moved; column: whose input was shaken, in the same order",
    ),
    alt="Two square matrices with a row and a column for each token of a sentence. For attention nearly all cells are "
    "filled: every token's output moves with every token's input. For the feed-forward only the diagonal is.",
)  # fmt: skip

# %% [markdown]
# And what do the rows of $W_1$ ask? Nobody told them; training did. Let us look for one of the last layer's 512 rows that
# agrees with every word of praise, and with none of the words of blame.

# %%
praise = ["wonderful", "excellent", "superb", "beautiful", "perfect", "great", "brilliant", "charming"]
blame = ["awful", "terrible", "boring", "worst", "waste", "horrible", "dull", "stupid"]
others = ["the", "movie", "table", "seven", "camera", "music", "house", "walked"]
batch = tokenizer(praise + blame + others, return_tensors="np", padding=True)
last = model.bert.encoder.layer[1]
ids = batch["input_ids"]  # each word between [CLS] and [SEP]: (24, 3)
hidden = first(model.bert.embeddings(ids, np.zeros_like(ids), np.arange(ids.shape[1])[None]))[0]
entering = last.attention_norm(last.attention(hidden)[0], hidden)  # what the last feed-forward gets
up = last.feed_forward.up
middle = gelu(entering[:, 1] @ up.weight.data.T + up.bias.data)  # (words, F): token 1 is the word, token 0 is [CLS]
unit = int((middle[:8].min(axis=0) - middle[8:16].max(axis=0)).argmax())
plots.show(
    lesson_plots.bars(praise + blame + others, middle[:, unit], "h", f"Unit {unit} of 512 in the last layer's middle",
                      "{:.1f}"),
    alt="A bar for each of 24 words: how strongly one unit of the middle answers it. All eight words of praise have long "
    "bars of about 3, the eight words of blame none; of the eight other words music has one as long, and house half of it.",
)  # fmt: skip

# %% [markdown]
# A unit for praise (and, it seems, for music: perhaps reviews mention it mostly when it was good). The network is a list of 512
# such questions, each with its own answer. In the little BERT most of them are silent for most words.
#
# ## 5 · Chunks: the forward pass
#
# Now memory. BERT-base, 32 texts of 512 tokens, float32: x and y take $32 \cdot 512 \cdot 768 \cdot 4$ bytes = 50 MB each, but
# u and h 201 MB each. The middle exists only to be summed up again. Since no token needs another, we may take a few tokens
# from x, send them all the way to y, and *reuse the middle's memory for the next ones*:

# %%
plots.show(
    lesson_plots.shapes([
        ("x", (12, 4), "T D"), "→", ("h, one chunk", (3, 16), "c F"), "→", ("y", (12, 4), "T D"),
    ]),
    alt="Three matrices to scale: x with 12 tokens and 4 columns, h for a chunk of only 3 tokens with 16 columns, and y with "
    "12 tokens and 4 columns.",
)  # fmt: skip

# %% [markdown]
# This is Reformer's trick (Kitaev and others 2020); in BERT's configuration it is called `chunk_size_feed_forward`.
#
# **Exercise 4.** Write `ffn_in_chunks(x, w1, b1, w2, b2, chunk)`: x is (B, T, D), `chunk` is how many tokens *of each text* are
# taken at a time. T need not be a multiple of `chunk`. At no time may the middle of more than one chunk be needed. The checker
# measures that, too. No cache is wanted: this is inference.


# %% exercise="ffn_in_chunks"
def ffn_in_chunks(x, w1, b1, w2, b2, chunk):
    """x (B, T, D) -> y (B, T, D), with no more than (B, chunk, F) numbers of the middle at a time."""
    ### BEGIN SOLUTION
    y = np.empty_like(x)
    for start in range(0, x.shape[1], chunk):
        tokens = slice(start, start + chunk)
        y[:, tokens] = gelu(x[:, tokens] @ w1.T + b1) @ w2.T + b2
    return y
    ### END SOLUTION


# %% check="ffn_in_chunks" points=2
from edutransformers.teaching.checks.lesson08 import check_ffn_in_chunks

check_ffn_in_chunks(ffn_in_chunks)

# %% [markdown] hints="ffn_in_chunks"
# Make room for the result first: `y = np.empty_like(x)`. Then go through the starts of the chunks and fill y piece by piece.
# ---
# `range(0, T, chunk)` gives the starts. A slice that reaches beyond the end simply stops there, so
# `x[:, start : start + chunk]` is right for the last, shorter chunk as well.
# ---
# ```python
# y = np.empty_like(x)
# for start in range(0, x.shape[1], chunk):
#     tokens = slice(start, start + chunk)
#     y[:, tokens] = ...       # the forward pass of x[:, tokens]
# return y
# ```

# %% [markdown]
# ### Measured
#
# How much memory, and how much time? `tracemalloc`, of Python's standard library, sees every array that NumPy makes; its peak
# is the most that existed at one time. For time we take the processor's seconds on one thread, the best of some runs, and
# print no seconds at all but proportions: those are similar on your machine and on ours.

# %%
import time
import tracemalloc

from threadpoolctl import threadpool_limits


def peak_megabytes(run):
    """The most memory, in 10⁶ bytes, that run() needed at one time beyond what there was."""
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def seconds(runs, turns=5):
    """Processor time of each run() on one thread, the best of some turns; whatever else the machine does meets all alike."""
    found = [[] for _ in runs]
    with threadpool_limits(1):
        for _ in range(turns):
            for run, times in zip(runs, found):
                started = time.process_time()
                run()
                times.append(time.process_time() - started)
    return [min(times) for times in found]


rng = np.random.default_rng(2)
B, T, D, F = 1, 512, 128, 512
x = rng.standard_normal((B, T, D), dtype=np.float32)
w1, w2 = (0.1 * rng.standard_normal(shape, dtype=np.float32) for shape in ((F, D), (D, F)))
b1, b2 = np.zeros(F, dtype=np.float32), np.zeros(D, dtype=np.float32)

whole, _ = ffn_forward(x, w1, b1, w2, b2)
chunks = [1, 4, 8, 16, 32, 64, 128, 256, 512]
runs = {c: lambda c=c: ffn_in_chunks(x, w1, b1, w2, b2, c) for c in chunks}
off = max(np.abs(run() - whole).max() for run in runs.values())
print(f"largest difference of any chunk size from the whole: {off:.0e}, of numbers up to {np.abs(whole).max():.0f}")
peaks = [peak_megabytes(run) for run in runs.values()]
times = seconds(list(runs.values()))
middle_alone = [B * c * F * 4 / 1e6 for c in chunks]

# %%
plots.show(
    lesson_plots.curves(
        chunks, {"measured peak": peaks, "y and three arrays (c, F)": [x.nbytes / 1e6 + 3 * m for m in middle_alone]},
        "c, tokens in a chunk", "MB", f"Peak memory of the forward pass, T = {T}, D = {D}, F = {F}", logarithmic="x",
    ),
    alt="Peak memory over the chunk size. From 512 tokens down to 64 it falls almost in proportion to the chunk, from "
    "3.4 megabytes to 0.8; then it levels off at a quarter of a megabyte, which is the output y itself. A dashed curve, "
    "the size of y and of three arrays of one chunk's middle, is nearly the same.",
)  # fmt: skip

# %%
plots.show(
    lesson_plots.points(
        [t / times[-1] for t in times], peaks, [str(c) for c in chunks], "time, in proportion to the whole in one piece",
        "peak memory, MB", "Memory against time: the numbers are tokens in a chunk", logarithmic="x",
    ),
    alt="A point for each chunk size, memory over time. From 512 tokens in a chunk down to about 64 the points fall "
    "steeply: a quarter of the memory for little or no more time. Towards one token in a chunk they run to the right: "
    "hardly less memory, but many times the time.",
)  # fmt: skip

# %% [markdown]
# The first picture is simple arithmetic: y, and about three arrays of one chunk's middle, namely u, h and what GELU works with.
# Both halves of the second one are worth understanding.
#
# * **Down: free, or nearly.** The arithmetic is the same, number for number. Only its order differs. On many machines middle
#   sizes are even *faster* than the whole: a chunk of the middle stays in the processor's cache, where the whole has to go
#   through main memory.
# * **To the right: not free.** One token at a time is a vector times a matrix: for each number of $W_1$ that is fetched there is
#   one multiplication. With 64 tokens, the number that was fetched once is used 64 times. And every turn of a Python loop has
#   its price.
#
# Memory stops falling where the middle is smaller than y. So take a chunk for which the middle is no longer what is
# large, and no smaller.

# %% [markdown] instructor=true
# "Free" is worth a discussion. Same operations, so the same FLOPs; what changes is how often weights are fetched. Let the class
# predict the left end of the picture before it is drawn. A good question: why does a chunk count tokens *of each text*, and not
# texts? (With B = 1, the usual case for long texts, there would be nothing to cut. And padded batches have T at hand in each.)

# %% [markdown]
# ## 6 · Chunks: the backward pass
#
# In training, chunks alone save nothing. The backward pass needs `slope` and `h` of *all* tokens, so the chunks' caches add up
# to what one piece would have kept. What helps is to keep only x, and to make each chunk's middle a second time when
# its turn comes. It is arithmetic instead of memory: the trade that lesson 11 makes for whole layers.
#
# How do the gradients of the weights come together? They are the ones that *are* sums over tokens. A sum may be made in
# parts:
#
# $$\texttt{dw2}_{df} = \sum_{n} \texttt{dy}_{nd}\, h_{nf}
#   = \sum_{\text{chunks } c}\; \underbrace{\sum_{n \in c} \texttt{dy}_{nd}\, h_{nf}}_{\text{this chunk's dw2}}$$
#
# and the same for $\texttt{db2}$, $\texttt{dw1}$, $\texttt{db1}$. Add, then; don't assign, and don't take a mean: if there is a mean
# in the loss, its 1/N is in `dy` already. That is also why every layer of the library *adds* to a weight's gradient.
#
# **Exercise 5.** Write `ffn_backward_in_chunks(dy, x, w1, b1, w2, chunk)`. It gets x and no cache. Each chunk's middle is
# made again, used, and forgotten. The checker measures that again.


# %% exercise="ffn_backward_in_chunks"
def ffn_backward_in_chunks(dy, x, w1, b1, w2, chunk):
    """dy (B, T, D), x (B, T, D) -> dx, dw1, db1, dw2, db2, with one chunk's middle at a time"""
    ### BEGIN SOLUTION
    dx = np.empty_like(x)
    sums = None
    for start in range(0, x.shape[1], chunk):
        tokens = slice(start, start + chunk)
        h, slope = gelu(x[:, tokens] @ w1.T + b1, derivative=True)
        dx[:, tokens], *of_weights = ffn_backward(dy[:, tokens], (x[:, tokens], slope, h), w1, w2)
        sums = of_weights if sums is None else [total + part for total, part in zip(sums, of_weights)]
    return dx, *sums
    ### END SOLUTION


# %% check="ffn_backward_in_chunks" points=3
from edutransformers.teaching.checks.lesson08 import check_ffn_backward_in_chunks

check_ffn_backward_in_chunks(ffn_backward_in_chunks)

# %% [markdown] hints="ffn_backward_in_chunks"
# The loop is Exercise 4's. In it: make the chunk's cache again, call your `ffn_backward` with it, put `dx` in its place, and add
# the other four to what the chunks before gave.
# ---
# The cache of a chunk is `(x[:, tokens], slope, h)`. For it `y` isn't needed, so the second linear map isn't either:
# `h, slope = gelu(x[:, tokens] @ w1.T + b1, derivative=True)`.
# ---
# ```python
# dx, dw1, db1 = np.empty_like(x), np.zeros_like(w1), np.zeros_like(b1)
# dw2, db2 = np.zeros_like(w2), np.zeros(w2.shape[0], w2.dtype)
# for start in range(0, x.shape[1], chunk):
#     tokens = slice(start, start + chunk)
#     h, slope = ...
#     dx[:, tokens], a, b, c, d = ffn_backward(dy[:, tokens], ..., w1, w2)
#     dw1 += a
#     ...
# return dx, dw1, db1, dw2, db2
# ```

# %% [markdown]
# What does it cost? The forward pass has two matrix products, the backward pass four (two for each linear map). Made again is
# one of them, the first: seven instead of six, a sixth more. Three ways to train this one network, with the library's layer.
# (It makes both of the forward's products again, eight instead of six: simpler code, a third more. And GELU is computed twice,
# which counts in a network as narrow as this one.)

# %%
dy = rng.standard_normal(x.shape, dtype=np.float32)


def train(layer):
    _, cache = layer.forward(x)
    layer.backward(dy, cache)
    layer.zero_grad()


def kept_megabytes(layer):
    tracemalloc.start()
    _, cache = layer.forward(x)  # cache lives on: it is what we measure
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (kept - x.nbytes) / 1e6  # without y, which is as large as x


ways = {"in one piece": (0, False), "chunks of 64": (64, False), "chunks of 64, recomputed": (64, True)}
rows = []
for words, (chunk_size, recompute) in ways.items():
    layer = FeedForward(D, F, chunk_size=chunk_size, recompute=recompute, generator=np.random.default_rng(0))
    step = lambda layer=layer: train(layer)
    rows.append((words, kept_megabytes(layer), peak_megabytes(step), step))
spent = seconds([step for *_, step in rows])
print(f"{'':26}{'kept, MB':>10}{'peak, MB':>10}{'time':>7}")
for (words, kept, peak, _), seconds_spent in zip(rows, spent):
    print(f"{words:26}{kept:10.1f}{peak:10.1f}   × {seconds_spent / spent[0]:.1f}")
assert rows[2][1] < 0.1 * rows[0][1]
assert rows[2][2] < 0.5 * rows[0][2]

# %% [markdown]
# The second row shows the trap: chunks without recomputation keep as much as the whole.
#
# ## 7 · On a real model
#
# Same logits, whatever the chunks; and your own functions, with the trained weights, in place of the model's layer:

# %%
review = "I wanted to like this film. " * 30 + "In the end I did not."
batch = tokenizer([review] * 4, return_tensors="np", truncation=True, max_length=256)
logits = {}
for chunk_size in (0, 16, 1):
    for module in model.modules():
        if isinstance(module, FeedForward):
            module.chunk_size = chunk_size
    logits[chunk_size] = model(**batch).logits
    print(f"chunk_size {chunk_size:2}: logits {logits[chunk_size][0].round(4)}")
    assert np.allclose(logits[chunk_size], logits[0], atol=1e-5)

trained = [parameter.data for parameter in last.feed_forward.parameters()]
assert np.allclose(ffn_in_chunks(entering, *trained, chunk=2), last.feed_forward(entering), atol=1e-5)
print("your ffn_in_chunks with the model's weights: equal to the model's layer")

# %% [markdown]
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | chunks give results that differ in the last digit | another order of the same sums in the matrix product: rounding, no bug |
# | the gradients of the weights are those of the last chunk | assigned, not added |
# | ... are 1/8 of what they should be, with 8 chunks | a mean over the chunks; dy has the loss's mean in it already |
# | the last tokens of y are garbage that differs from run to run | the last, shorter chunk was left out, and `np.empty` was never filled there |
# | chunks in training, and as much memory as before | the chunks' caches are kept; recompute |
# | chunks, and everything is ten times slower | the chunks are too small |
# | chunked *attention* is wrong | there tokens look at each other; that needs more than a loop |
# | with dropout, other numbers for another chunk size | the mask was drawn chunk by chunk; draw one for all |
#
# ## What the library does more than you did
#
# * the two linear maps and the activation are layers of their own, and may be others: GPT-2's lie the other way round
#   (`Conv1D`), its activation is GELU's tanh form;
# * `chunk_size` and `recompute` are two switches: what is chunked in inference need not be recomputed in training;
# * **dropout in the middle** is drawn once for all tokens, so that it doesn't depend on the chunks;
# * in inference GELU writes into u's own memory: one array of the middle in place of two;
# * element-wise work such as GELU goes through memory in blocks that fit the processor's cache, without your asking;
# * `memory_report(model, batch)` says for a whole model where its memory goes: lesson 11.

# %%
from edutransformers.functional.linear import linear_backward
from edutransformers.teaching.read_on import read_on

read_on(FeedForward, FeedForward.forward, FeedForward.backward, gelu, linear_backward, flops_report)

# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: Softmax and cross-entropy, by hand and checked
#     minutes: 75
#     goal: You turn scores into probabilities and probabilities into a loss, derive both gradients on paper, write them, and learn how to make sure of a gradient, and how not to.
#     needs: [0]
# ---

# %% [markdown]
# A model ends in **scores**: one number for each word that could come next, or for each class that a picture could belong
# to. Scores may be any numbers. To learn, the model needs to be told *how wrong* it was, as one number, and in which
# direction each score should move. Two functions do that, and they stand at the end of nearly every model there is:
#
# * **softmax** makes probabilities of the scores: positive, and together 1;
# * **cross-entropy** says how surprised these probabilities are by what really came.
#
# Everything else in the course hangs on their gradients, so we take them slowly, and *check* them.

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("x", "(B, C) scores"), "softmax", ("p", "(B, C)"), "−log p[label]", ("L", "one number")],
        ["dx = ?", "dp = ?"],
    ),
    alt="From left to right: scores x of shape B by C, softmax, probabilities p of the same shape, minus the logarithm at "
    "the label, and the loss L, one number. Dashed arrows lead back: dp and dx are what we look for.",
)

# %% [markdown]
# B is the number of examples in the batch, C the number of classes. $\partial L / \partial x_i$ is the derivative that you
# know, of $L$ by the one number $x_i$, while all others stay as they are; all of them together are the **gradient**. One
# name for gradients, through all lessons:
#
# $$\texttt{dx} \;=\; \frac{\partial L}{\partial x}, \qquad\text{so } \texttt{dx} \text{ always has the shape of } x.$$
#
# ## 1 · Softmax
#
# For one row of scores $x_1 \dots x_C$:
#
# $$p_i = \frac{e^{x_i}}{\sum_{j=1}^{C} e^{x_j}}$$
#
# The exponential makes every number positive, the division makes their sum 1. A score that is larger by 1 gets $e \approx
# 2.72$ times the probability, wherever the two scores are: only *differences* count. That is worth a line of algebra,
# because it is what saves us from overflow. For any number $m$,
#
# $$\frac{e^{x_i - m}}{\sum_j e^{x_j - m}} = \frac{e^{-m}\, e^{x_i}}{e^{-m} \sum_j e^{x_j}} = p_i .$$
#
# `np.exp(1000.0)` is `inf`, and `inf / inf` is `nan`. With $m = \max_j x_j$ the largest exponent is 0.

# %% [markdown]
# **Exercise 1.** Write `softmax(x)` for an array `x` of any number of axes; the scores of one example lie along the *last*
# axis. It must also work for scores such as 1000.


# %% exercise="softmax"
def softmax(x):
    """Scores (…, C) -> probabilities (…, C)."""
    ### BEGIN SOLUTION
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
    ### END SOLUTION


# %% check="softmax" points=2
from edutransformers.teaching.checks.lesson01 import check_softmax

check_softmax(softmax)

# %% [markdown] hints="softmax"
# Three steps: subtract each row's largest score, take the exponential, divide by each row's sum. `axis=-1` means "along the
# last axis", whatever the number of axes.
# ---
# `x.max(axis=-1)` of an array (B, C) has the shape (B,), and (B, C) − (B,) doesn't broadcast as you want it. With
# `keepdims=True` the shape is (B, 1).
# ---
# ```python
# e = np.exp(x - x.max(axis=-1, keepdims=True))
# return e / e.sum(axis=..., keepdims=...)      # which ones?
# ```

# %%
scores = np.array([[2.0, 1.0, 0.1, -1.0], [0.0, 0.0, 0.0, 3.0], [5.0, 5.0, 4.0, 4.0]])

plots.show(
    lesson_plots.matrices([scores, softmax(scores)], ["scores x", "probabilities p"], rows=["a", "b", "c"]),
    alt="Three rows of four scores and beside them their probabilities. In each row the largest score has most of the "
    "probability, and equal scores have equal shares.",
)

# %% [markdown]
# ## 2 · How to make sure of a gradient
#
# Before we derive anything, we build the instrument that tells right from wrong. A gradient says how the loss changes
# when one number changes a little, so change one number a little and look:
#
# $$\frac{\partial L}{\partial x_i} \;\approx\; \frac{L(x + h\,u_i) - L(x - h\,u_i)}{2h}$$
#
# where $u_i$ is 1 at place $i$ and 0 elsewhere. Why on both sides? Taylor's series continues the tangent,
# $L + hL'$, with higher powers of $h$ (written for one number $x$; $L'$, $L''$, … are the derivatives there):
#
# $$L(x + h) = L + h L' + \tfrac{h^2}{2} L'' + \tfrac{h^3}{6} L''' + \dots, \qquad
#   L(x - h) = L - h L' + \tfrac{h^2}{2} L'' - \tfrac{h^3}{6} L''' + \dots$$
#
# In the difference the terms with $L$ and $L''$ cancel, and what is left over is $\tfrac{h^2}{6} L'''$. With the step to
# one side only, $\tfrac{h}{2} L''$ stays: for $h = 10^{-5}$ that is some 300,000 times as much.

# %% [markdown]
# **Exercise 2.** Write `numerical_gradient(f, x, h)`. `f` takes an array like `x` and returns one number. The result has the
# shape of `x`. Leave `x` as you found it.


# %% exercise="numerical_gradient"
def numerical_gradient(f, x, h=1e-5):
    """(f(x + h) − f(x − h)) / 2h for every number of x, one at a time -> array like x."""
    ### BEGIN SOLUTION
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        kept = x[place]
        x[place] = kept + h
        above = f(x)
        x[place] = kept - h
        below = f(x)
        x[place] = kept
        gradient[place] = (above - below) / (2 * h)
    return gradient
    ### END SOLUTION


# %% check="numerical_gradient" points=2
from edutransformers.teaching.checks.lesson01 import check_numerical_gradient

check_numerical_gradient(numerical_gradient)

# %% [markdown] hints="numerical_gradient"
# `for place in np.ndindex(x.shape)` goes through all places of an array of any shape: `x[place]` is one number.
# ---
# Write `x[place] + h` into `x`, call `f(x)`, write `x[place] − h`, call `f(x)` again, put the old number back. Mind that
# after the first writing `x[place]` is no longer the old number.
# ---
# ```python
# for place in np.ndindex(x.shape):
#     kept = x[place]
#     x[place] = kept + h
#     above = f(x)
#     ...
#     x[place] = kept
#     gradient[place] = (above - below) / (2 * h)
# ```

# %% [markdown]
# How small should $h$ be? The smaller, the less of the series is left over; but the difference of two nearly equal
# numbers loses digits, and $h$ divides what was lost. Here is the error for $L = \sum_i \sin x_i$, whose gradient we know.

# %%
x = np.linspace(-2, 2, 9)
steps = 10.0 ** np.arange(-12, 0)
two_sided = [np.abs(numerical_gradient(lambda x: np.sin(x).sum(), x, h) - np.cos(x)).max() for h in steps]
one_sided = [np.abs((np.sin(x + h) - np.sin(x)) / h - np.cos(x)).max() for h in steps]

plots.show(
    lesson_plots.curves(
        steps, {"both sides": two_sided, "one side": one_sided}, "step h", "largest error",
        "How far numerical gradients are off (float64)", logarithmic="xy",
    ),
    alt="The error of the numerical gradient over the step, both on logarithmic axes. Each curve is a V: too small a step "
    "loses digits, too large a one leaves terms of the series over. Both sides are best near 1e-5, with an error of 4e-11; "
    "one side is best near 1e-8, with 1e-8.",
)  # fmt: skip

# %% [markdown]
# So: **float64, both sides, $h \approx 10^{-5}$**, and a right gradient agrees to eight digits or more. A wrong one is off in
# the first digits. There is no grey area, and that is why this course checks every gradient.
#
# ## 3 · The gradient of softmax, on paper
#
# Whatever computes $L$ from $p$ hands us $\texttt{dp} = \partial L/\partial p$. We want $\texttt{dx}$. Each score touches
# *every* probability of its row (through the sum below the fraction). So the chain rule has one term for each probability
# that leads from $x_i$ to $L$, and their effects add up:
#
# $$\texttt{dx}_i = \sum_j \texttt{dp}_j \, \frac{\partial p_j}{\partial x_i}.$$
#
# **Step 1: the derivatives.** Write $p_j = e^{x_j} / S$ with $S = \sum_k e^{x_k}$, and use the rule for quotients. $x_i$ is
# in the numerator only if $i = j$, and always in $S$, with $\partial S / \partial x_i = e^{x_i}$:
#
# $$\frac{\partial p_j}{\partial x_i}
#   = \frac{\delta_{ij}\, e^{x_j}\, S - e^{x_j}\, e^{x_i}}{S^2}
#   = \delta_{ij}\, p_j - p_j\, p_i
#   = p_j\,(\delta_{ij} - p_i)$$
#
# where $\delta_{ij}$ is 1 for $i = j$ and 0 otherwise.
#
# **Step 2: put it in.** The $\delta$ picks one term of the sum:
#
# $$\texttt{dx}_i = \sum_j \texttt{dp}_j\, p_j\,(\delta_{ij} - p_i) = \texttt{dp}_i\, p_i - p_i \sum_j \texttt{dp}_j\, p_j$$
#
# **Step 3: tidy up.**
#
# $$\boxed{\;\texttt{dx}_i = p_i \Big(\texttt{dp}_i - \sum_j \texttt{dp}_j\, p_j\Big)\;}$$
#
# Read it aloud: *what this probability's gradient has over the average gradient (averaged with the probabilities
# themselves), times the probability.* No C × C matrix is needed; one sum a row does it.

# %% [markdown]
# **Exercise 3.** Write `softmax_backward(dp, p)`. It needs the probabilities that the forward pass computed, not the scores.


# %% exercise="softmax_backward"
def softmax_backward(dp, p):
    """dp (…, C), p (…, C) -> dx (…, C)"""
    ### BEGIN SOLUTION
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))
    ### END SOLUTION


# %% check="softmax_backward" points=2
from edutransformers.teaching.checks.lesson01 import check_softmax_backward

check_softmax_backward(softmax_backward)

# %% [markdown] hints="softmax_backward"
# The sum in the formula runs over the classes of one row. In an array (B, C) that is the last axis, and every row has a sum
# of its own.
# ---
# Inside the sum stands a product: `dp * p`, number by number. Keep the axis (`keepdims=True`) so that the sum can be
# subtracted from `dp`.
# ---
# ```python
# average = (dp * p).sum(axis=-1, keepdims=True)
# return p * (dp - ...)
# ```

# %% [markdown] instructor=true
# The usual wrong answers are `p * (1 - p) * dp` (the derivative of a sigmoid: only the diagonal of the Jacobian) and
# `p * (dp - dp.sum(...))` (the sum without its weights). Both are right for *some* `dp`, which makes a good discussion of
# what a test has to vary. The next section shows the most famous blind spot.

# %% [markdown]
# ## 4 · Why `.sum()` fools a check
#
# To check a backward pass one needs *some* loss behind it. The first that comes to mind is the sum of the outputs: then
# `dp` is all ones, and one compares. Let us do that with four candidates, three of which are wrong.

# %%
candidates = {
    "yours": softmax_backward,
    "all zeros": lambda dp, p: np.zeros_like(p),
    "plain mean": lambda dp, p: p * (dp - dp.mean(axis=-1, keepdims=True)),
    "sum over everything": lambda dp, p: p * (dp - (dp * p).sum() / len(p)),
}


def largest_difference(backward, loss_weights):
    """Of the hand-written and the numerical gradient, for the loss Σ weights · softmax(x)."""
    x = np.random.default_rng(0).standard_normal((3, 5))
    numerical = numerical_gradient(lambda x: float((loss_weights * softmax(x)).sum()), x)
    return np.abs(backward(loss_weights, softmax(x)) - numerical).max()


ones = np.ones((3, 5))
random_weights = np.random.default_rng(1).standard_normal((3, 5))
print(f"{'':22}loss = sum   loss = weighted sum")
for name, backward in candidates.items():
    print(f"{name:22}{largest_difference(backward, ones):10.0e}{largest_difference(backward, random_weights):22.0e}")

# %% [markdown]
# With the plain sum all four pass! The reason is in the formula: if all $\texttt{dp}_j$ are equal to $c$, then
# $\sum_j \texttt{dp}_j p_j = c$, and $\texttt{dx} = 0$. It must be so: the probabilities always add up to 1, so no change of
# the scores changes their sum. The check compares zeros with zeros.
#
# > **A check needs a loss with random weights**, one for each output. It is the same thing as handing random numbers
# > `dp` to the backward pass. The library's `gradient_check` does just that, and refuses to call zeros a proof.
#
# The same trap waits in layer norm (lesson 03: outputs with a fixed sum *and* a fixed length) and in everything that
# normalizes.

# %% [markdown]
# ## 5 · Cross-entropy
#
# The model says `p`, and class $y$ came. How wrong was it? If it had written down its probabilities beforehand, the
# probability of what happened is $p_y$. A whole batch of independent examples has the probability
# $\prod_n p_{n, y_n}$ ($\prod$ multiplies as $\sum$ adds); products of thousands of small numbers are 0 to a computer, so
# we take the natural logarithm, turn the sign so that smaller is better, and average so that the batch's size doesn't
# matter:
#
# $$L = -\frac{1}{B} \sum_{n=1}^{B} \log p_{n,\,y_n}$$
#
# The unit is the *nat*. A probability of 1 costs nothing; ½ costs 0.69; a tenth costs 2.3; whoever says 0 and is wrong
# pays infinitely. A model that knows nothing and says $1/C$ everywhere pays $\log C$: **compute that before you train
# anything**. A fresh model that starts far from $\log C$ has a bug.
#
# Don't compute $p$ and then its logarithm: for a score that is 800 below the largest, $p$ is 0 in float64 and the logarithm
# is −inf. Take the logarithm on paper first:
#
# $$\log p_y = x_y - m - \log \sum_j e^{x_j - m}, \qquad m = \max_j x_j .$$

# %% [markdown]
# **Exercise 4.** Write `cross_entropy(x, labels)`: scores (B, C) and whole numbers (B,) to the mean loss, one number. It
# must stay finite when scores are hundreds apart.


# %% exercise="cross_entropy"
def cross_entropy(x, labels):
    """Scores (B, C), labels (B,) -> the mean of −log p[label]."""
    ### BEGIN SOLUTION
    shifted = x - x.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels].mean()
    ### END SOLUTION


# %% check="cross_entropy" points=2
from edutransformers.teaching.checks.lesson01 import check_cross_entropy

check_cross_entropy(cross_entropy)

# %% [markdown] hints="cross_entropy"
# First make `log_p` (B, C) with the formula above: subtract each row's maximum, then the logarithm of each row's sum of
# exponentials. Then pick one number a row.
# ---
# Picking: `log_p[np.arange(B), labels]` takes `log_p[0, labels[0]]`, `log_p[1, labels[1]]`, … (`log_p[:, labels]` is
# something else: a (B, B) array.)
# ---
# ```python
# shifted = x - x.max(axis=-1, keepdims=True)
# log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
# return -log_p[np.arange(len(labels)), labels].???()
# ```

# %% [markdown]
# ### Its gradient, on paper
#
# One row first. $\ell = -\log p_y = -x_y + \log \sum_j e^{x_j}$. (The $m$ cancels, so leave it out on paper.)
#
# **Step 1.** The first term gives $-1$ for $i = y$ and 0 otherwise, that is $-\delta_{iy}$.
#
# **Step 2.** The second: $\dfrac{\partial}{\partial x_i} \log S = \dfrac{1}{S}\, e^{x_i} = p_i$. A softmax, out of nowhere.
#
# **Step 3.** Together, and with the mean over the batch in front, and with whatever comes from behind, $\texttt{dL}$:
#
# $$\boxed{\;\texttt{dx}_{n,i} = \frac{\texttt{dL}}{B}\,\big(p_{n,i} - \delta_{i\,y_n}\big)\;}$$
#
# *What the model said, minus what was right.* The whole of learning is in this line: scores of wrong classes are pushed
# down by as much as they were believed, the right one is pulled up by what it lacked of 1. Each row adds up to 0.
#
# You could have got it through Exercise 3 as well, with $\texttt{dp}_j = -\delta_{jy}/p_y$:
# $p_i(\texttt{dp}_i - \sum_j \texttt{dp}_j p_j) = p_i (-\delta_{iy}/p_y + 1) = p_i - \delta_{iy}$. The two together are
# simpler than each alone, and the division by $p_y$, which might be 0, is gone. That is why every library fuses them.

# %% [markdown]
# **Exercise 5.** Write `cross_entropy_backward(dL, x, labels)`. `dL` is one number, 1 when the loss itself is what is
# differentiated.


# %% exercise="cross_entropy_backward"
def cross_entropy_backward(dL, x, labels):
    """dL a number, scores (B, C), labels (B,) -> dx (B, C)"""
    ### BEGIN SOLUTION
    dx = softmax(x)
    dx[np.arange(len(labels)), labels] -= 1
    return dx * (dL / len(labels))
    ### END SOLUTION


# %% check="cross_entropy_backward" points=2
from edutransformers.teaching.checks.lesson01 import check_cross_entropy_backward

check_cross_entropy_backward(cross_entropy_backward)

# %% [markdown] hints="cross_entropy_backward"
# Start from your own `softmax(x)`, and change one number in each row.
# ---
# Where the label is, 1 is subtracted: `dx[np.arange(B), labels] -= 1`. Where does the mean's 1/B go?
# ---
# ```python
# dx = softmax(x)
# dx[np.arange(len(labels)), labels] -= 1
# return dx * (dL / ...)
# ```

# %%
labels = np.array([0, 0, 2])
dx = cross_entropy_backward(1.0, scores, labels)
right = np.zeros_like(scores, dtype=bool)
right[np.arange(3), labels] = True

plots.show(
    lesson_plots.matrices(
        [softmax(scores), dx], ["p: what it said", "dx: where to push (× −1)"], rows=["a", "b", "c"], form="{:+.2f}",
        marked=[right, right], note="framed: the label. Row b was sure of a wrong class, and gets the strongest push.",
    ),
    alt="Probabilities and gradients of three rows of scores, with the labels framed. At a label the gradient is negative, "
    "elsewhere positive; it is largest in row b, where a wrong class had most of the probability.",
)  # fmt: skip

# %% [markdown]
# ## 6 · The library's, and the original's
#
# The package has the same functions, with a few more cares. They must agree with yours, and both with torch's. (The
# numbers below were computed with torch 2.13, `torch.nn.functional.cross_entropy` and its autograd, in float64.)

# %%
from edutransformers import gradient_check
from edutransformers.functional.softmax import softmax as library_softmax
from edutransformers.losses import CrossEntropyLoss

TORCH_LOSS = 1.8649760615593263
TORCH_GRADIENT = [
    [-0.12064454961735412, 0.07824383089686818, 0.03181156770454068, 0.010589151015945285],
    [-0.31889427850682306, 0.014439054826510245, 0.014439054826510245, 0.2900161688538026],
    [0.12184309643833413, 0.12184309643833413, -0.2885097631050008, 0.04482357022833253],
]

loss_function = CrossEntropyLoss()
library_loss, cache = loss_function.forward(scores, labels)
library_dx = loss_function.backward(1.0, cache)

print("loss  ", cross_entropy(scores, labels), library_loss, TORCH_LOSS)
print("largest difference of the gradients:", np.abs(dx - library_dx).max(), np.abs(dx - TORCH_GRADIENT).max())
assert np.allclose(library_softmax(scores), softmax(scores), atol=1e-15)
assert np.allclose(dx, TORCH_GRADIENT, atol=1e-15)
assert np.isclose(cross_entropy(scores, labels), TORCH_LOSS, rtol=1e-15)

# %% [markdown]
# And the library's instrument, on the library's layer: it draws random weights for the loss, goes through the numbers of the
# inputs, and reports the worst.

# %%
print(gradient_check(CrossEntropyLoss(), scores, labels))

# %% [markdown]
# ## 7 · On a real model
#
# A small GPT-2 ships with the package; it learned to write on from film reviews. At each word of a text it has scores for
# the 2,048 tokens (words and pieces of words) that could come next. Your functions are all it takes to see what it
# expected, and what surprised it.

# %%
from edutransformers import AutoModelForCausalLM, AutoTokenizer

name = "edutransformers/gpt2-small-imdb"
tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModelForCausalLM.from_pretrained(name)
ids = tokenizer("This movie is one of the best films I have ever eaten.", return_tensors="np")["input_ids"]
(logits,) = model(ids).logits  # (T, C): after each token, scores for the next one

p = softmax(logits[:-1].astype(np.float64))
came = ids[0, 1:]
costs = -np.log(p[np.arange(len(came)), came])
words = [tokenizer.decode([token]).strip() or "·" for token in came]
C = logits.shape[1]
print(f"loss {cross_entropy(logits[:-1], came):.3f}; knowing nothing would be log {C} = {np.log(C):.3f}")

plots.show(
    lesson_plots.bars(words, costs, "−log p of the token that came (nats)", "What surprised the small GPT"),
    alt="A bar for each token of the sentence: how surprising it was. Words such as 'of', 'the' and 'ever' cost little. The "
    "last word comes in three pieces, 'e', 'at', 'en', and the first of them costs by far the most.",
)

# %% [markdown]
# Its loss on a text is the mean of these bars. Training it means: for each of them, `p − δ`, and back through the layers.
# How, is what the next lessons are about.
#
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | `nan` after some hundred steps | `exp` of raw scores, or `log` of a probability that became 0 |
# | the loss starts far from $\log C$ | scores too large at the start, or labels that don't belong to their rows |
# | gradients shrink when the batch grows | the mean's 1/B went in twice: in the loss *and* in the update |
# | the check passes, training doesn't learn | the check's loss was `.sum()` |
# | the check fails by 1e-3 only | float32; check in float64 |
#
# ## What the library does more than you did
#
# * its softmax can work **in place**, and widens float16 before summing: 65,505 ones overflow there;
# * its cross-entropy ignores labels of −100, weighs classes, smooths labels, and **leaves rows out** that don't count: in
#   masked language modelling six of seven;
# * it works through the rows **in blocks that fit the cache**, and keeps the probabilities for the backward pass, unless
#   nobody will need them;
# * its gradient check looks at a sample of the numbers of large arrays, picks the step for each number type, and tells you
#   which array is wrong, where, and by how much.

# %%
from edutransformers.functional.softmax import softmax_backward as library_softmax_backward
from edutransformers.teaching.read_on import read_on

read_on(library_softmax, library_softmax_backward, CrossEntropyLoss, gradient_check)

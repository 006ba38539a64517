# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: LayerNorm, GELU, dropout, residuals
#     minutes: 100
#     goal: You build the four small layers that let a deep network learn at all, derive and check the backward of each, and train thirty layers with them and without.
#     needs: [0, 1, 2]
# ---

# %% [markdown]
# With linear layers (lesson 02) and a loss (lesson 01) one can build a network of any depth. Try it with thirty layers, and
# it will not learn anything. A transformer has up to a hundred blocks, and it learns, because of four things that stand
# between its matrices. Each is small enough to be understood completely:
#
# * **layer norm** gives every row the same size, whatever came in;
# * **GELU** bends: without a bend, many linear layers are one linear layer;
# * **dropout** forbids a number to rely on another one being there;
# * the **residual**, $y = x + f(x)$, leaves a straight way for the gradient.
#
# Here is how one block of this lesson puts them together. A transformer's feed-forward block (lesson 08) is the same with
# one more matrix.

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("x", "(B, D)"), "layer norm", ("h", "(B, D)"), "h Wᵀ + b", ("a", "(B, D)"), "GELU", ("f", "(B, D)"),
         "x + dropout(f)", ("y", "(B, D)")],
        ["dx = dy + …", "dh = da W", "da = df · slope", "df = dy · mask/(1−p)"],
    ),
    alt="From left to right: x of shape B by D, layer norm, h, the linear map h W transposed plus b, a, GELU, f, then x plus "
    "dropout of f, and y, all of shape B by D. Dashed arrows lead back from dy to df, da, dh and dx.",
)  # fmt: skip

# %% [markdown]
# B is the number of rows in the batch (in a transformer: all tokens of all texts), D the width. As always, `dx` is the
# gradient of the loss with respect to `x` and has its shape.
#
# ## 1 · Thirty layers
#
# Lesson 02's estimate once more, now without ReLU: a linear layer without bias, $y_o = \sum_{i=1}^{D} x_i W_{oi}$, with
# weights drawn at random, of mean 0 and standard deviation (root of the variance) $c/\sqrt D$. If the $x_i$ have the
# mean square $s^2$, then $y_o$ is a sum of $D$ independent terms with the variance $s^2 \cdot c^2/D$ each, so
#
# $$\text{variance of } y_o \;=\; D \cdot s^2 \cdot \frac{c^2}{D} \;=\; c^2 s^2 .$$
#
# **A layer multiplies the size by $c$.** Thirty layers multiply it by $c^{30}$: for $c = 0.7$ that is 0.00002, for
# $c = 1.4$ it is 24,000. And c = 1 exactly is not to be had, since training changes the weights.

# %%
DEPTH, B, D = 30, 32, 64


def sizes_through_layers(c, after_each=lambda x: x):
    """The standard deviation after each of DEPTH random linear layers."""
    generator = np.random.default_rng(0)
    x, sizes = generator.standard_normal((B, D)), []
    for _ in range(DEPTH):
        W = generator.standard_normal((D, D)) * c / np.sqrt(D)
        x = after_each(x @ W.T)
        sizes.append(x.std())
    return sizes


plots.show(
    lesson_plots.curves(
        range(1, DEPTH + 1), {f"c = {c}": sizes_through_layers(c) for c in (1.4, 1.0, 0.7)}, "layer",
        "standard deviation of x", "The size of the numbers, layer by layer", logarithmic="y",
    ),
    alt="Three curves over thirty layers on a logarithmic axis, all nearly straight. With c 1.4 the numbers grow to about "
    "ten thousand, with c 1 they stay near 1, with c 0.7 they fall below one ten-thousandth.",
)  # fmt: skip

# %% [markdown]
# The gradient passes the same matrices on its way back ($\texttt{dx} = \texttt{dy}\, W$) and meets the same fate. In float16,
# which ends at 65,504, the upper curve is a few layers away from infinity; on the lower one the first layers get a
# gradient of nearly nothing and stay as they were drawn.
#
# ## 2 · Layer norm
#
# If the size is the trouble, set it. For each row $x_1 \dots x_D$ by itself:
#
# $$\mu = \frac1D \sum_i x_i, \qquad \sigma^2 = \frac1D \sum_i (x_i - \mu)^2, \qquad
#   r = \frac{1}{\sqrt{\sigma^2 + \varepsilon}}, \qquad n_i = (x_i - \mu)\, r$$
#
# The row $n$ has the mean 0 and the variance 1. The small number $\varepsilon$ (`eps`, such as $10^{-5}$) only keeps a row of
# equal numbers from giving 0/0. Then the network gets back the freedom that was taken: each of the D places has a learned
# factor $\gamma_i$ and a learned offset $\beta_i$, at first 1 and 0:
#
# $$y_i = \gamma_i\, n_i + \beta_i$$
#
# Why per row, and not over the batch? A row is one token. What a model says about a token must not depend on which other
# texts happen to be in the batch, nor on their padding; and with one text at a time it has to work as well.
#
# The backward pass will need $n$ and $r$: they are the cache.

# %% [markdown]
# **Exercise 1.** Write `layer_norm(x, gamma, beta, eps)` for an array `x` (…, D) with any number of axes before the last. It
# returns three things: `y` and `n`, both like `x`, and `r` (…, 1), one number a row.


# %% exercise="layer_norm"
def layer_norm(x, gamma, beta, eps=1e-5):
    """x (…, D), gamma (D,), beta (D,) -> y (…, D), n (…, D), r (…, 1)"""
    ### BEGIN SOLUTION
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    r = 1 / np.sqrt(variance + eps)
    n = centred * r
    return gamma * n + beta, n, r
    ### END SOLUTION


# %% check="layer_norm" points=2
from edutransformers.teaching.checks.lesson03 import check_layer_norm

check_layer_norm(layer_norm)

# %% [markdown] hints="layer_norm"
# Write the four formulas one below the other. Each mean is along the last axis, and has to be subtracted from a whole
# row: keep the axis.
# ---
# `x.mean(axis=-1, keepdims=True)` has the shape (…, 1). `x.var(axis=-1, keepdims=True)` is the variance with 1/D. `gamma` and
# `beta` (D,) broadcast along the last axis by themselves.
# ---
# ```python
# centred = x - x.mean(axis=-1, keepdims=True)
# variance = (centred * centred).mean(axis=-1, keepdims=True)
# r = 1 / np.sqrt(...)       # where does eps go?
# n = centred * r
# return ..., n, r
# ```

# %%
ones, zeros = np.ones(D), np.zeros(D)
rows = np.array([[1.0, 2.0, 4.0, -1.0], [0.5, 0.5, 0.0, 3.0], [10.0, 12.0, 11.0, 15.0], [0.01, 0.02, 0.04, -0.01]])
_, normalized, r = layer_norm(rows, np.ones(4), np.zeros(4))

plots.show(
    lesson_plots.matrices(
        [rows, normalized], ["x", "n"], rows=["a", "b", "c", "d"],
        note="d is a hundredth of a, and becomes nearly the same row: for numbers so small ε begins to count",
    ),
    alt="Four rows of four numbers, and the same rows normalized. Row c, with numbers from 10 to 15, and row b come out in "
    "the same range as row a. Row d is a hundredth of row a and comes out nearly equal to it.",
)  # fmt: skip

# %%
norm_sizes = {c: sizes_through_layers(c, lambda x: layer_norm(x, ones, zeros)[0]) for c in (1.4, 1.0, 0.7)}
for c, sizes in norm_sizes.items():
    print(f"c = {c}: after each of 30 layers with layer norm the size is {min(sizes):.4f} to {max(sizes):.4f}")

# %% [markdown]
# The forward pass is mended for any $c$. Now the way back.
#
# ## 3 · Layer norm's backward, on paper
#
# $\texttt{dy}$ arrives. The indices $i$ and $j$ go over the D places of one row.
#
# **Step 1: γ and β.** $y_i = \gamma_i n_i + \beta_i$ for every row, so both serve in all rows, and their gradients are
# *sums over rows*; towards $n$ a factor $\gamma_i$ is picked up:
#
# $$\texttt{dgamma}_i = \sum_{\text{rows}} \texttt{dy}_i\, n_i, \qquad
#   \texttt{dbeta}_i = \sum_{\text{rows}} \texttt{dy}_i, \qquad
#   \texttt{dn}_i = \texttt{dy}_i\, \gamma_i$$
#
# **Step 2: the three ways in which $x_j$ moves $n_i$.** In $n_i = (x_i - \mu)\, r$, the number $x_j$ occurs (1) as
# $x_i$ itself if $i = j$, (2) in the mean $\mu$, (3) in $\sigma^2$ and so in $r$. The product rule:
#
# $$\frac{\partial n_i}{\partial x_j} \;=\; \underbrace{\delta_{ij}\, r}_{\text{(1) directly}}
#   \;-\; \underbrace{\frac{\partial \mu}{\partial x_j}\, r}_{\text{(2) mean}}
#   \;+\; \underbrace{(x_i - \mu)\, \frac{\partial r}{\partial x_j}}_{\text{(3) variance}}$$
#
# ($\delta_{ij}$ is 1 for $i = j$ and 0 otherwise, as in lesson 01.)
#
# **Step 3: the mean.** $\partial \mu/\partial x_j = 1/D$, as $\mu$ is a sum of all $x_j$ over $D$.
#
# **Step 4: the variance.** First $\sigma^2 = \frac1D \sum_k (x_k - \mu)^2$. By the chain rule
#
# $$\frac{\partial \sigma^2}{\partial x_j} = \frac2D \sum_k (x_k - \mu)\Big(\delta_{kj} - \frac1D\Big)
#   = \frac2D (x_j - \mu) - \frac{2}{D^2} \underbrace{\sum_k (x_k - \mu)}_{=\,0} = \frac2D (x_j - \mu).$$
#
# Then $r = (\sigma^2 + \varepsilon)^{-1/2}$, whose derivative is $-\frac12 (\sigma^2 + \varepsilon)^{-3/2} = -\frac12 r^3$:
#
# $$\frac{\partial r}{\partial x_j} = -\tfrac12\, r^3 \cdot \frac2D (x_j - \mu) = -\frac{r^2}{D}\, n_j
#   \qquad\text{because } (x_j - \mu)\, r = n_j .$$
#
# **Step 5: put both in.** With $(x_i - \mu) = n_i / r$,
#
# $$\frac{\partial n_i}{\partial x_j} = r\,\Big( \delta_{ij} - \frac1D - \frac{n_i\, n_j}{D} \Big).$$
#
# **Step 6: the chain rule,** $\texttt{dx}_j = \sum_i \texttt{dn}_i\, \partial n_i/\partial x_j$:
#
# $$\boxed{\;\texttt{dx}_j = r \Big( \texttt{dn}_j - \underbrace{\frac1D \sum_i \texttt{dn}_i}_{\text{mean of dn}}
#   \;-\; n_j\, \underbrace{\frac1D \sum_i \texttt{dn}_i\, n_i}_{\text{mean of dn·n}} \Big), \qquad \texttt{dn} = \texttt{dy}\,\gamma\;}$$
#
# Read it aloud: *take from dn its mean, take from it its part along n, and scale by r.* (Among all multiples of $n$,
# the one nearest to dn is $n \cdot \sum \texttt{dn}_i n_i / \sum n_i^2$. That is its part along $n$. But for ε,
# $\sum n_i^2 = D$.) It has to be like that. If all $x_i$ move up together, $n$ doesn't change: a gradient in that
# direction would be a lie, and its mean is taken out. If $x$ is stretched around its mean, $n$ doesn't change either:
# so the part along $n$ is taken out.

# %% [markdown]
# **Exercise 2.** Write `layer_norm_backward(dy, n, r, gamma)`. It returns `dx` (…, D), `dgamma` (D,) and `dbeta` (D,).
# Mind that γ differs from place to place: it is *inside* both means.


# %% exercise="layer_norm_backward"
def layer_norm_backward(dy, n, r, gamma):
    """dy (…, D), n (…, D), r (…, 1), gamma (D,) -> dx (…, D), dgamma (D,), dbeta (D,)"""
    ### BEGIN SOLUTION
    all_but_last = tuple(range(dy.ndim - 1))
    dgamma, dbeta = (dy * n).sum(axis=all_but_last), dy.sum(axis=all_but_last)
    dn = dy * gamma
    mean_dn = dn.mean(axis=-1, keepdims=True)
    mean_dn_n = (dn * n).mean(axis=-1, keepdims=True)
    return r * (dn - mean_dn - n * mean_dn_n), dgamma, dbeta
    ### END SOLUTION


# %% check="layer_norm_backward" points=3
from edutransformers.teaching.checks.lesson03 import check_layer_norm_backward

check_layer_norm_backward(layer_norm_backward)

# %% [markdown] hints="layer_norm_backward"
# Start with `dn = dy * gamma`. The two means of the box are along the last axis, one number a row each. The sums for γ
# and β go over all axes but the last.
# ---
# Sums over all axes but the last, whatever their number: `axis=tuple(range(dy.ndim - 1))`, or reshape to rows first,
# `dy.reshape(-1, D)`, and sum over axis 0. In dgamma and dbeta stands dy, not dn.
# ---
# ```python
# dn = dy * gamma
# mean_dn = dn.mean(axis=-1, keepdims=True)
# mean_dn_n = (...).mean(axis=-1, keepdims=True)
# dx = r * (dn - mean_dn - ... * mean_dn_n)
# ```

# %% [markdown] instructor=true
# The usual wrong answers: γ in front of the bracket instead of inside (exact at γ = 1, see section 4), only `r * dn`
# ("μ and σ are constants"), dgamma summed over axis 0 only for (B, T, D). Let the class first predict what dx must be
# for dy = 1 (all equal) and for dy = n at γ = 1, then derive: both are 0, and both are the blind spots of the next
# section. A good question for the board: what is the rank of the matrix in step 5? (D − 2 as ε → 0: two directions are
# lost.)

# %% [markdown]
# The same, step by step on one row of six numbers. The last two columns say how far each row has a part along (1, 1, …,
# 1) and along $n$.

# %%
generator = np.random.default_rng(3)
x6, gamma6, dy6 = generator.standard_normal((1, 6)) + 2, generator.uniform(0.5, 2, 6), generator.standard_normal((1, 6))
_, n6, r6 = layer_norm(x6, gamma6, np.zeros(6))
dn6 = dy6 * gamma6
centred_dn6 = dn6 - dn6.mean()
steps6 = np.concatenate(
    [dn6, centred_dn6, centred_dn6 - n6 * (dn6 * n6).mean(), layer_norm_backward(dy6, n6, r6, gamma6)[0]]
)
parts6 = np.stack([steps6.sum(axis=1), steps6 @ n6[0]], axis=1).round(4) + 0.0  # −0.0 would be shown as −0.00

plots.show(
    lesson_plots.matrices(
        [steps6, parts6], ["the row", "its sum; along n"], form="{:+.2f}",
        rows=["dn = dy·γ", "− mean(dn)", "− n·mean(dn·n)", "· r  = dx"],
    ),
    alt="Four rows of six numbers: dn, dn without its mean, then without its part along n, and dx. Beside them two columns: the "
    "row's sum becomes 0 in the second row, its part along n in the third, and both stay 0.",
)  # fmt: skip

# %% [markdown]
# Is the box the same as the full matrix of step 5? The naive way builds that D × D matrix for each row; the box does without.

# %%
naive = []
for n_row, r_row, dn_row in zip(n6, r6, dn6):
    jacobian = r_row * (np.eye(6) - 1 / 6 - np.outer(n_row, n_row) / 6)  # [i, j] = ∂n_i/∂x_j
    naive.append(dn_row @ jacobian)
print("largest difference to the box:", np.abs(naive - steps6[3]).max().round(12))

# %% [markdown]
# And the instrument. `gradient_check` compares with central differences for the loss $\sum$ (random weights) · y;
# `Function` makes something it can check of a forward and a backward.

# %%
from edutransformers import gradient_check
from edutransformers.gradient_check import Function


def norm_forward(x, gamma, beta):
    y, n, r = layer_norm(x, gamma, beta)
    return y, (n, r, gamma)


generator = np.random.default_rng(4)
gamma, beta = generator.uniform(0.5, 2, 5), generator.standard_normal(5)
report = gradient_check(
    Function(norm_forward, lambda dy, cache: layer_norm_backward(dy, *cache)),
    generator.standard_normal((2, 3, 5)),
    gamma,
    beta,
)
print("all right:", report.passed, "  worst relative error: below 1e-7:", report.worst_error < 1e-7)

# %% [markdown]
# ## 4 · The blind spot of checks for norms
#
# In lesson 01 the loss `.sum()` made three wrong backward passes of softmax look right, as softmax's outputs have a
# fixed sum. Layer norm's outputs have a fixed sum *and* a fixed length: $\sum_i n_i = 0$ and $\sum_i n_i^2 = D$. So at
# γ = 1, β = 0, where every layer starts, two natural losses have gradient 0, and a third mistake hides from every loss.
# Four candidates, four checks:


# %%
from edutransformers.gradient_check import numerical_gradient  # yours, of lesson 01


def gamma_outside(dy, n, r, gamma):
    return gamma * r * (dy - dy.mean(axis=-1, keepdims=True) - n * (dy * n).mean(axis=-1, keepdims=True))


candidates = {
    "yours": lambda dy, n, r, gamma: layer_norm_backward(dy, n, r, gamma)[0],
    "all zeros": lambda dy, n, r, gamma: np.zeros_like(dy),
    "variance forgotten": lambda dy, n, r, gamma: r * (dy * gamma - (dy * gamma).mean(axis=-1, keepdims=True)),
    "γ outside the means": gamma_outside,
}


generator = np.random.default_rng(5)
x = generator.standard_normal((3, 5))
loss_weights, random_gamma = generator.standard_normal((3, 5)), generator.uniform(0.3, 2, 5)
checks = {  # name: (loss of y, its gradient dy, γ)
    "Σ y, γ=1": (lambda y: y.sum(), lambda y: np.ones_like(y), np.ones(5)),
    "Σ y², γ=1": (lambda y: (y * y).sum(), lambda y: 2 * y, np.ones(5)),
    "Σ w·y, γ=1": (lambda y: (loss_weights * y).sum(), lambda y: loss_weights, np.ones(5)),
    "Σ w·y, any γ": (lambda y: (loss_weights * y).sum(), lambda y: loss_weights, random_gamma),
}

print(f"{'':22}" + "".join(f"{name:>16}" for name in checks))
for name, backward in candidates.items():
    verdicts = []
    for loss, d_loss, gamma in checks.values():
        y, n, r = layer_norm(x, gamma, np.zeros(5), 1e-12)
        numerical = numerical_gradient(lambda x, g=gamma, f=loss: f(layer_norm(x, g, np.zeros(5), 1e-12)[0]), x)
        error = np.abs(backward(d_loss(y), n, r, gamma) - numerical).max()
        verdicts.append("passes" if error < 1e-6 else f"off by {error:.2f}")
    print(f"{name:22}" + "".join(f"{verdict:>16}" for verdict in verdicts))

# %% [markdown]
# Only the last column tells all four apart. Two rules follow, and `gradient_check` keeps both:
#
# > **Random weights in the loss, and random parameters.** A check at a layer's initial values (γ = 1, β = 0, b = 0)
# > can't see a mistake that those values hide.
#
# "γ outside" has been shipped more than once. It trains, worse and worse as γ moves away from 1.
#
# ## 5 · GELU
#
# Two linear layers are one: $(x W_1^\top) W_2^\top = x\,(W_2 W_1)^\top$. To gain anything from depth, something must
# *bend* in between, number by number. Lesson 02 used ReLU, $\max(x, 0)$. Transformers use a soft version of it: GELU
# weighs $x$ with the probability that a *standard normal* number, drawn from the bell curve with mean 0 and variance 1,
# is below $x$,
#
# $$\text{gelu}(x) = x\,\Phi(x), \qquad \Phi(x) = \tfrac12\Big(1 + \operatorname{erf}\frac{x}{\sqrt2}\Big).$$
#
# For large $x$ nearly everything is below: $\Phi \approx 1$ and $x$ passes. For very negative $x$ next to nothing is,
# and $x$ is shut out. In between it is smooth, so the gradient has no jump, and a number a little below 0 still has a
# slope by which it can come back; ReLU's is 0 there. `erf` is a standard function; NumPy doesn't have it, the package
# does: `edutransformers.backend.erf`.
#
# **The slope.** $\Phi$ is the area below the bell curve $\varphi(t) = e^{-t^2/2}/\sqrt{2\pi}$ up to $x$, so its
# derivative is the bell curve itself, $\Phi' = \varphi$. By the product rule
#
# $$\boxed{\;\text{gelu}'(x) = \Phi(x) + x\,\varphi(x)\;}$$
#
# Each output depends on its own input only, so the backward pass is one product,
# $\texttt{dx}_i = \texttt{dy}_i\,\text{gelu}'(x_i)$. Most of the slope is computed in the forward pass anyway: return
# it, and keep it *instead of* $x$. It is the whole cache.

# %% [markdown]
# **Exercise 3.** Write `gelu(x)` that returns the pair (gelu(x), gelu′(x)), both like `x`.


# %% exercise="gelu_and_slope"
from edutransformers.backend import erf


def gelu(x):
    """x (…) -> y = x Φ(x) and its slope Φ(x) + x φ(x), both (…)"""
    ### BEGIN SOLUTION
    cdf = 0.5 * (1 + erf(x / 2**0.5))
    bell = np.exp(-0.5 * x * x) / (2 * np.pi) ** 0.5
    return x * cdf, cdf + x * bell
    ### END SOLUTION


# %% check="gelu_and_slope" points=2
from edutransformers.teaching.checks.lesson03 import check_gelu_and_slope

check_gelu_and_slope(gelu)

# %% [markdown] hints="gelu_and_slope"
# Compute Φ(x) once, and φ(x) once; everything is made of them and x.
# ---
# Φ is `0.5 * (1 + erf(x / 2**0.5))`. φ is the exponential of −x²/2, divided by `(2 * np.pi) ** 0.5`. (`2**0.5` is a
# Python number and leaves float32 arrays float32; `np.sqrt(2)` can make them float64.)
# ---
# ```python
# cdf = 0.5 * (1 + erf(x / 2**0.5))
# bell = np.exp(...) / (2 * np.pi) ** 0.5
# return x * cdf, cdf + ...
# ```

# %%
grid = np.linspace(-4, 4, 401)
gelu_grid, slope_grid = gelu(grid)

plots.show(
    lesson_plots.curves(
        grid,
        {"GELU": gelu_grid, "its slope": slope_grid, "ReLU": np.maximum(grid, 0)},
        "x",
        "y",
        "GELU, and how steep it is",
    ),
    alt="GELU follows the x axis on the left, dips to −0.17 near x = −0.75, and follows the diagonal on the right, close to ReLU "
    "everywhere. Its slope rises from 0 to 1, is a little negative near −1.4 and a little above 1 near 1.4.",
)

# %% [markdown]
# GPT-2 and many others use a formula with tanh that comes close, from a time when erf was slow:
# $\frac12 x\,\big(1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715\,x^3))\big)$. Close, not equal: a forward of one form and a
# backward of the other trains a little worse, and nothing complains but a gradient check.

# %%
tanh_form = 0.5 * grid * (1 + np.tanh(np.sqrt(2 / np.pi) * (grid + 0.044715 * grid**3)))
print(f"exact and tanh form differ by at most {np.abs(tanh_form - gelu_grid).max():.5f}")
gelu_check = Function(lambda x: gelu(x), lambda dy, slope: dy * slope)
print(gradient_check(gelu_check, np.random.default_rng(6).standard_normal((3, 4))).passed)

# %% [markdown]
# ## 6 · Dropout
#
# A network with more weights than examples can learn the examples by heart: one number fires for one text, another
# corrects it. Dropout makes that hard. In training each number is set to 0 with probability $p$, newly drawn at every
# step, so no number can rely on another; what is learned must be spread. In use (evaluation) nothing is dropped.
#
# With the mask $m_i$, 0 with probability $p$ and else 1:
#
# $$y_i = \frac{m_i\, x_i}{1 - p}$$
#
# **Why $1/(1-p)$?** The next layer adds many of these numbers up. If a share $p$ of them is missing in training and
# none in evaluation, then its sums are larger in evaluation than any it has ever seen. Dividing by the share that
# survives keeps the expected value $\mathbb E$, the mean over all masks that might be drawn, and evaluation needs no
# correction:
#
# $$\mathbb E[y_i] = \frac{\mathbb E[m_i]}{1-p}\, x_i = \frac{1-p}{1-p}\, x_i = x_i$$
#
# **Backward.** Once the mask is drawn it is a constant, and $y_i$ is $x_i$ times a constant. Hence
#
# $$\boxed{\;\texttt{dx}_i = \texttt{dy}_i\,\frac{m_i}{1-p}\;}$$
#
# with *the same* mask, so the mask is the cache. Not an attribute of the layer: a network may run the same layer on two
# inputs before the first backward, and with `self.mask` the first backward would see the second mask.

# %% [markdown]
# **Exercise 4.** Write the two methods of `Dropout`. `generator.random(shape)` draws numbers that are evenly spread
# from 0 to 1. When `self.training` is False, `forward` returns `x` as it is (and a cache, as ever), and `backward`
# returns `dy`. What the cache is, is up to you.


# %% exercise="dropout_layer"
class Dropout:
    """In training: y = m·x / (1 − p) with a mask m drawn from the generator. In evaluation: y = x."""

    def __init__(self, p):
        self.p = p
        self.training = True

    def forward(self, x, generator):
        """x (…) -> y (…), cache"""
        ### BEGIN SOLUTION
        if not self.training:
            return x, None
        mask = generator.random(x.shape) >= self.p
        return x * mask / (1 - self.p), mask
        ### END SOLUTION

    def backward(self, dy, cache):
        """dy (…), the cache of this forward -> dx (…)"""
        ### BEGIN SOLUTION
        if cache is None:
            return dy
        return dy * cache / (1 - self.p)
        ### END SOLUTION


# %% check="dropout_layer" points=2
from edutransformers.teaching.checks.lesson03 import check_dropout_layer

check_dropout_layer(Dropout)

# %% [markdown] hints="dropout_layer"
# `generator.random(x.shape)` compared with p gives booleans, and booleans count as 0 and 1 in a product. Which of them
# shall be True with probability 1 − p?
# ---
# A number from 0 to 1 is below p with probability p: those are dropped. Return the mask as the second thing; in
# evaluation return None there, and let `backward` look at what it gets.
# ---
# ```python
# def forward(self, x, generator):
#     if not self.training:
#         return x, None
#     mask = generator.random(x.shape) >= self.p
#     return ..., mask
#
# def backward(self, dy, cache):
#     if cache is None:
#         return ...
#     ...        # the same factor as in the forward pass
# ```

# %%
generator = np.random.default_rng(17)
layer = Dropout(0.25)
x = np.arange(1.0, 7.0) * np.ones((3, 1))
y, cache = layer.forward(x, generator)
dy = np.ones_like(x)

plots.show(
    lesson_plots.matrices(
        [x, y, layer.backward(dy, cache)], ["x", "y, p = 0.25", "dx for dy = 1"], form="{:.2f}",
        note="The survivors are a third larger; where y is 0, so is dx",
    ),
    alt="Three matrices of three rows and six columns. In y some numbers are 0 and the others are four thirds of those in x. The "
    "gradient has zeros in the same places, and 1.33 elsewhere.",
)  # fmt: skip

# %%
many = np.mean([layer.forward(x, generator)[0] for _ in range(4000)], axis=0)
print("x:                    ", x[0])
print("mean of y, 4000 masks:", many[0].round(1))

# %% [markdown]
# ## 7 · The residual
#
# $y = x + f(x)$: the layer only computes a *correction* of what it gets. In the forward pass this means that a layer
# that has learned nothing yet does little harm: $x$ comes through. The way back is why it is there. $x$ is used twice,
# and two uses mean a sum:
#
# $$\texttt{dx}_j = \sum_i \texttt{dy}_i \frac{\partial}{\partial x_j}\big(x_i + f_i(x)\big)
#   = \sum_i \texttt{dy}_i \Big(\delta_{ij} + \frac{\partial f_i}{\partial x_j}\Big)
#   = \boxed{\;\texttt{dy}_j + (\text{f's backward of dy})_j\;}$$
#
# **Through many layers.** Write $J_l$ for the Jacobian matrix of layer $l$'s $f$, the table of its derivatives. Without
# residuals the gradient at the bottom is $\texttt{dy}\, J_{30} J_{29} \cdots J_1$, a product of thirty matrices:
# section 1 again. With them it is, with 1 for the matrix that has ones on its diagonal,
#
# $$\texttt{dy}\,(1 + J_{30})(1 + J_{29}) \cdots (1 + J_1) \;=\; \texttt{dy} + \sum_l \texttt{dy}\, J_l + \dots$$
#
# The first term is $\texttt{dy}$ itself: **what the loss wants reaches every layer undiminished**, whatever the matrices are.
#
# Now the whole block of the first picture. Its forward is given; what is kept is in the dictionary.


# %%
def block_forward(x, weights, p, generator):
    """y = x + dropout(gelu(layer_norm(x) Wᵀ + b))   x (B, D) -> y (B, D), cache"""
    h, n, r = layer_norm(x, weights["gamma"], weights["beta"])
    a = h @ weights["W"].T + weights["b"]
    f, slope = gelu(a)
    mask = generator.random(f.shape) >= p
    y = x + f * mask / (1 - p)
    return y, {"n": n, "r": r, "h": h, "slope": slope, "mask": mask}


# %% [markdown]
# **Exercise 5.** Write its backward: the forward's lines in reverse, each replaced by its gradient. Of lesson 02 you
# need, for $a = h W^\top + b$: $\texttt{dh} = \texttt{da}\,W$, $\texttt{dW} = \texttt{da}^\top h$,
# $\texttt{db} = \sum_{\text{rows}} \texttt{da}$. `weights` is the same dictionary as above. It returns five arrays, in
# this order: `dx, dW, db, dgamma, dbeta`.


# %% exercise="residual_block_backward"
def block_backward(dy, cache, weights, p):
    """dy (B, D) -> dx (B, D), dW (D, D), db (D,), dgamma (D,), dbeta (D,)"""
    ### BEGIN SOLUTION
    df = dy * cache["mask"] / (1 - p)
    da = df * cache["slope"]
    dW, db = da.T @ cache["h"], da.sum(axis=0)
    dh = da @ weights["W"]
    dx, dgamma, dbeta = layer_norm_backward(dh, cache["n"], cache["r"], weights["gamma"])
    return dy + dx, dW, db, dgamma, dbeta
    ### END SOLUTION


# %% check="residual_block_backward" points=3
from edutransformers.teaching.checks.lesson03 import check_residual_block_backward

check_residual_block_backward(block_backward)

# %% [markdown] hints="residual_block_backward"
# Go through the picture of the beginning from right to left: dy → df (dropout) → da (GELU) → dh (linear) → layer norm.
# One line each. Where does the second way of x come in?
# ---
# df = dy · mask/(1 − p); da = df · slope; then lesson 02's three formulas; then your
# `layer_norm_backward(dh, n, r, gamma)`, which gives three things. Last, the direct way is added to its dx.
# ---
# ```python
# df = dy * cache["mask"] / (1 - p)
# da = df * cache["slope"]
# dW, db = da.T @ ..., da.sum(axis=0)
# dh = da @ weights["W"]
# dx, dgamma, dbeta = layer_norm_backward(dh, cache["n"], cache["r"], weights["gamma"])
# return ... + dx, dW, db, dgamma, dbeta
# ```

# %% [markdown]
# The check by differences, on everything at once: x and all four parameters, none at its initial value. The generator
# starts anew at each call, so that the same numbers are dropped; with a new mask each time the loss would jump, and no
# differences would fit.

# %%
names = ["W", "b", "gamma", "beta"]


def checked_forward(x, *values):
    weights = dict(zip(names, values))
    y, cache = block_forward(x, weights, 0.2, np.random.default_rng(8))
    return y, (cache, weights)


generator = np.random.default_rng(9)
values = [generator.standard_normal((5, 5)), *(0.5 + generator.random(5) for _ in range(3))]
report = gradient_check(
    Function(checked_forward, lambda dy, kept: block_backward(dy, *kept, 0.2)),
    generator.standard_normal((3, 5)),
    *values,
)
for name, comparison in zip(["x", *names], report.comparisons):
    print(f"d{name:6}", "agrees" if comparison.passed else "DISAGREES", "in", comparison.checked, "places")

# %% [markdown]
# ## 8 · Thirty layers, again
#
# A layer with switches, `norm` and `residual`, to take the block apart; without dropout, which is a matter of how much
# is learned by heart, not of depth.


# %%
def layer_forward(x, weights, norm, residual):
    h, n, r = layer_norm(x, weights["gamma"], weights["beta"]) if norm else (x, None, None)
    f, slope = gelu(h @ weights["W"].T + weights["b"])
    return (x + f if residual else f), (h, n, r, slope)


def layer_backward(dy, cache, weights, norm, residual):
    h, n, r, slope = cache
    da = dy * slope
    gradients = {"W": da.T @ h, "b": da.sum(axis=0)}
    dx = da @ weights["W"]
    if norm:
        dx, gradients["gamma"], gradients["beta"] = layer_norm_backward(dx, n, r, weights["gamma"])
    return (dy + dx if residual else dx), gradients


def new_layers(c, generator):
    """DEPTH layers with weights of standard deviation c/√D."""
    return [
        {
            "W": generator.standard_normal((D, D), dtype="float32") * (c / D**0.5),
            "b": np.zeros(D, "float32"),
            "gamma": np.ones(D, "float32"),
            "beta": np.zeros(D, "float32"),
        }
        for _ in range(DEPTH)
    ]


def gradient_sizes(norm, residual):
    """The length of the gradient at each layer's input, for a gradient of length 1 at the top."""
    generator = np.random.default_rng(10)
    layers, x, caches, sizes = new_layers(1.0, generator), generator.standard_normal((B, D), dtype="float32"), [], []
    dy = generator.standard_normal((B, D), dtype="float32")
    dy /= np.linalg.norm(dy)
    for weights in layers:
        x, cache = layer_forward(x, weights, norm, residual)
        caches.append(cache)
    for weights, cache in zip(reversed(layers), reversed(caches)):
        dy, _ = layer_backward(dy, cache, weights, norm, residual)
        sizes.append(float(np.linalg.norm(dy)))
    return sizes[::-1]


kinds = {"neither": (False, False), "layer norm": (True, False), "residual": (False, True), "both": (True, True)}
flow = {name: gradient_sizes(*switches) for name, switches in kinds.items()}
for name, sizes in flow.items():
    print(f"{name:10}  gradient at the first layer: {sizes[0]:.1e} of that at the top")

plots.show(
    lesson_plots.curves(
        range(1, DEPTH + 1), flow, "layer (the loss is on the right)", "length of the gradient",
        "What arrives of a gradient of length 1", logarithmic="y",
    ),
    alt="The gradient's length over thirty layers, on a logarithmic axis, from the loss at the right to the first layer at the left. "
    "With neither it falls by about nine powers of ten. With layer norm alone it grows slowly, to about a hundred, with residuals alone it "
    "grows to ten thousand. With both it stays near 1 to 10.",
)  # fmt: skip

# %% [markdown]
# Residuals alone keep the gradient alive, yet the numbers *grow*: each layer adds something that is proportional to its
# input. Layer norm in front of the matrix makes the addition the same size whatever the input's: the variances of 30 of
# them add up, to a size of about $\sqrt{30}$, not to a power. That is the arrangement of GPT-2, ViT and nearly all
# newer models ("pre-norm": $x + f(\text{norm}(x))$). BERT, older, normalizes the sum ("post-norm":
# $\text{norm}(x + f(x))$), which trains with more care only.
#
# ### On data
#
# 700 digits, drawn with a pen by the package, made small (14 × 14 pixels). Thirty layers between a linear map in front
# and one behind; cross-entropy of lesson 01; plain gradient descent. The network with neither runs twice: with $c = 1$,
# and with $c = 1.5$, which about makes up for what GELU takes off, so that at least at the start the sizes hold. All
# learn with the rate 0.02, as with 0.1 that one ends in `nan`. 500 digits are for learning; the other 200 are *held
# out*, to be read at the end.

# %%
from edutransformers.functional.softmax import softmax
from edutransformers.teaching.drawn_digits import draw_digit

generator = np.random.default_rng(11)
digits = generator.integers(0, 10, 700)
pictures = np.stack([np.asarray(draw_digit(int(digit), generator), dtype="float32") for digit in digits])
pictures = pictures.reshape(700, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(700, 196)
pictures = (pictures - pictures.mean()) / pictures.std()
x_train, y_train, x_held, y_held = pictures[:500], digits[:500], pictures[500:], digits[500:]


def train(norm, residual, c, rate=0.02, steps=60, batch=32):
    """-> the loss of each step, and the share of held-out digits that are read right"""
    generator = np.random.default_rng(12)
    layers = new_layers(c, generator)
    first = generator.standard_normal((D, 196), dtype="float32") / 14
    last = generator.standard_normal((10, D), dtype="float32") / 100
    final = {"gamma": np.ones(D, "float32"), "beta": np.zeros(D, "float32")}  # the norm before the last map; fixed here

    def forward(x):
        h, caches = x @ first.T, []
        for weights in layers:
            h, cache = layer_forward(h, weights, norm, residual)
            caches.append(cache)
        if norm:
            h, *final_cache = layer_norm(h, **final)
            return h, caches, final_cache
        return h, caches, None

    losses = []
    for _ in range(steps):
        chosen = generator.integers(0, len(x_train), batch)
        x, labels = x_train[chosen], y_train[chosen]
        h, caches, final_cache = forward(x)
        p = softmax(h @ last.T)
        losses.append(-np.log(p[np.arange(batch), labels]).mean())
        p[np.arange(batch), labels] -= 1
        dlogits = p / batch
        dh, dlast = dlogits @ last, dlogits.T @ h
        if norm:
            dh = layer_norm_backward(dh, *final_cache, final["gamma"])[0]
        for weights, cache in zip(reversed(layers), reversed(caches)):
            dh, gradients = layer_backward(dh, cache, weights, norm, residual)
            for name, gradient in gradients.items():
                weights[name] -= rate * gradient
        first -= rate * (dh.T @ x)
        last -= rate * dlast
    right = ((forward(x_held)[0] @ last.T).argmax(axis=1) == y_held).mean()
    return losses, right


runs = {
    "neither, c = 1": train(False, False, c=1.0),
    "neither, c = 1.5": train(False, False, c=1.5),
    "layer norm": train(True, False, c=1.0),
    "both": train(True, True, c=1.0),
}
for name, (_, right) in runs.items():
    print(f"{name:18}{right:4.0%} of 200 held-out digits are read right")

smooth = {name: np.convolve(losses, np.ones(5) / 5, "valid") for name, (losses, _) in runs.items()}
plots.show(
    lesson_plots.curves(
        range(5, 61), smooth, "step", "loss (mean of 5 steps)", "Thirty layers learn to read digits, or don't"
    ),
    alt="Four loss curves over sixty steps. With neither and c 1 the loss stays flat at 2.3, the logarithm of ten; with neither and c 1.5 it jumps up and "
    "down around 2. With layer norm alone it falls slowly, to about 2. With layer norm and residuals it falls to about 0.5.",
)

# %% [markdown]
# Without help and with c = 1 the loss stays at $\log 10 \approx 2.30$: the network knows nothing and learns nothing,
# since its first layers get no gradient. With weights of just the right size it moves, by leaps, and gets nowhere. With
# layer norm alone every layer is alive, but thirty random maps in a row have scrambled the picture beyond recognition.
# With residuals the picture is still there in the last layer at the first step, and learning is adding corrections.
#
# (Residuals alone, from weights that are small enough, do as well here: try `train(False, True, c=0.3)`.
# Layer norm is what makes one not have to know what "small enough" is: with $c = 1$ they end in `nan`.)

# %% [markdown] instructor=true
# Let students vary one thing each: depth 5 (even "neither" learns, slowly), c = 0.3 with residuals only (learns), rate
# 0.5 with both, norm *after* the sum (post-norm). A table on the board of what everybody found is worth more than the
# curves. Common misreading: "residuals are for the forward pass". Ask what the gradient of W in layer 1 is when the
# blocks above are zero.

# %% [markdown]
# ### Dropout, on data
#
# A hundred noisy digits and a wide layer (256): more weights than there is to know. Soon it reads every training digit
# right. How it does on digits that it has never seen is another matter. The mean of three runs:

# %%
generator = np.random.default_rng(13)
noisy = pictures + generator.standard_normal(pictures.shape, dtype="float32")


def train_wide(p, seed, steps=240, width=256):
    """-> the held-out loss every 20 steps, with dropout of p on the layer's output"""
    generator, layer = np.random.default_rng(seed), Dropout(p)
    W1 = generator.standard_normal((width, 196), dtype="float32") / 14
    W2 = generator.standard_normal((10, width), dtype="float32") / 100
    losses = []
    for step in range(1, steps + 1):
        chosen = generator.integers(0, 100, 32)
        f, slope = gelu(noisy[chosen] @ W1.T)
        f, cache = layer.forward(f, generator)
        dlogits = softmax(f @ W2.T)
        dlogits[np.arange(32), digits[chosen]] -= 1
        dlogits /= 32
        da = layer.backward(dlogits @ W2, cache) * slope
        W2 -= 0.1 * (dlogits.T @ f)
        W1 -= 0.1 * (da.T @ noisy[chosen])
        if step % 20 == 0:
            q = softmax(gelu(noisy[100:] @ W1.T)[0] @ W2.T)  # evaluation: nothing is dropped
            losses.append(-np.log(q[np.arange(600), digits[100:]]).mean())
    return losses


held_out = {f"p = {p}": np.mean([train_wide(p, seed) for seed in range(3)], axis=0) for p in (0.0, 0.5, 0.8)}
plots.show(
    lesson_plots.curves(
        range(20, 241, 20),
        held_out,
        "step",
        "loss on 600 held-out digits",
        "Learning by heart, with dropout and without",
    ),
    alt="Three falling curves of the loss on held-out digits over 240 steps. With dropout of 0.8 it starts highest and ends lowest, at 0.23; with 0.5 "
    "it ends at 0.26; without dropout it starts lowest and ends highest, at 0.32.",
)

# %% [markdown]
# With dropout it learns more slowly and ends better. It doesn't make a hundred examples into ten thousand, and the more
# data there are, the less of it one needs: BERT was trained with $p = 0.1$, the largest language models with none.
#
# ## 9 · The library's, and the original's
#
# The same functions in the package, and numbers that were computed with torch 2.13 (`torch.nn.functional.layer_norm`
# and `gelu`, its autograd) in float64.

# %%
from edutransformers.functional.activations import gelu as library_gelu
from edutransformers.functional.normalization import layer_norm as library_norm
from edutransformers.functional.normalization import layer_norm_backward as library_norm_backward

x = np.array([[1.0, 2.0, 4.0, -1.0], [0.5, 0.5, 0.0, 3.0], [10.0, 12.0, 11.0, 15.0]])
gamma, beta = np.array([1.5, 0.5, -1.0, 2.0]), np.array([0.0, 1.0, 0.5, -0.5])
dy = np.array([[1.0, -2.0, 0.5, 0.0], [0.3, 1.0, -1.0, 2.0], [-1.0, 0.0, 2.0, 1.0]])
TORCH_Y = [
    [-0.4160245071317109, 1.1386748357105703, -0.8867483571057029, -3.2734967142114058],
    [-0.6395998232535209, 0.786800058915493, 1.352799764338028, 2.911199057352112],
    [-1.6035651606688104, 1.0, 1.0345217202229366, 2.7071303213376208],
]
TORCH_DX = [
    [0.7787127031018523, -0.5013630316807115, -0.010668115613292534, -0.266681555807848],
    [-0.3789181197393614, -0.33627813152245994, 0.5959833864078968, 0.1192128648539239],
    [0.23862336807008688, 0.20044564508360097, -0.44861764370182655, 0.009548630548137815],
]
TORCH_DGAMMA = [0.6637738043740291, -0.9810992250112951, 0.477130502445005, 5.014764218020922]
GELU_AT = [-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0]
TORCH_GELU = [
    -0.00404969409489031, -0.15865525393145702, -0.15426876936299344, 0.0, 0.34573123063700656, 0.841344746068543,
    2.99595030590511,
]  # fmt: skip
TORCH_SLOPE = [
    -0.01194564720418392, -0.08331547058768635, 0.13250487534383712, 0.5, 0.8674951246561629, 1.0833154705876864,
    1.011945647204184,
]  # fmt: skip

y, n, r = layer_norm(x, gamma, beta)
dx, dgamma, dbeta = layer_norm_backward(dy, n, r, gamma)
library_y, library_n, library_r = library_norm(x, gamma, beta, 1e-5)
pairs = {
    "layer norm": (y, TORCH_Y),
    "its dx": (dx, TORCH_DX),
    "its dgamma": (dgamma, TORCH_DGAMMA),
    "GELU": (gelu(np.array(GELU_AT))[0], TORCH_GELU),
    "its slope": (gelu(np.array(GELU_AT))[1], TORCH_SLOPE),
    "layer norm, library": (y, library_y),
    "its dx, library": (dx, library_norm_backward(dy, library_n, library_r, gamma)[0]),
    "GELU, library": (gelu(x)[0], library_gelu(x)),
}
for name, (ours, theirs) in pairs.items():
    difference = np.abs(ours - np.asarray(theirs)).max()
    assert difference < 1e-13, name
    print(f"{name:20} equal to 13 digits")

# %% [markdown]
# ## 10 · In real models
#
# The small vision transformer that ships with the package reads a drawn digit. It has six blocks, each with two
# residuals: `hidden_states` holds $x$ in front of the first block and behind each. Behind the last one come a layer
# norm and a linear map on the first row, and that is the answer: your `layer_norm` can give it.

# %%
from edutransformers import AutoImageProcessor, AutoModelForImageClassification

name = "edutransformers/vit-small-mnist"
processor, vit = AutoImageProcessor.from_pretrained(name), AutoModelForImageClassification.from_pretrained(name)
out = vit(**processor(draw_digit(4), return_tensors="np"), output_hidden_states=True)
w = dict(vit.named_parameters())

h, _, _ = layer_norm(
    out.hidden_states[-1], w["vit.layernorm.weight"].data, w["vit.layernorm.bias"].data, vit.config.layer_norm_eps
)
logits = h[:, 0] @ w["classifier.weight"].data.T + w["classifier.bias"].data
assert np.allclose(logits, out.logits, atol=1e-4)
print("by your layer norm:", logits.argmax(), "  by the model:", out.logits.argmax())
print("size of x:", "  ".join(f"{x.std():.2f}" for x in out.hidden_states))

# %% [markdown]
# The sizes barely move through six trained blocks. What became of γ, which started at 1 everywhere? Here are those of
# the small GPT-2, sorted.

# %%
from edutransformers import AutoModelForCausalLM

gpt2 = AutoModelForCausalLM.from_pretrained("edutransformers/gpt2-small-imdb")
gammas = {
    "before attention, block 1": "transformer.h.0.ln_1.weight",
    "before feed-forward, block 1": "transformer.h.0.ln_2.weight",
    "at the end": "transformer.ln_f.weight",
}
w = dict(gpt2.named_parameters())
learned = {label: np.sort(w[name].data) for label, name in gammas.items()}

generator = np.random.default_rng(15)
for label, name in gammas.items():
    gamma = w[name].data.astype("float64")
    x, dy = generator.standard_normal((50, len(gamma))), generator.standard_normal((50, len(gamma)))
    _, n, r = layer_norm(x, gamma, 0)
    right = layer_norm_backward(dy, n, r, gamma)[0]
    error = np.linalg.norm(gamma_outside(dy, n, r, gamma) - right) / np.linalg.norm(right)
    print(f"{label:30} γ from {gamma.min():.2f} to {gamma.max():.2f}; 'γ outside' would be off by {error:.1%}")

plots.show(
    lesson_plots.curves(range(192), learned, "place in the row, sorted by γ", "γ", "What training made of γ = 1"),
    alt="Three rising curves: the sorted γ of three layer norms of the small GPT-2. Before the first attention they lie between 0.25 and 0.58, "
    "before the feed-forward around 1, at the end around 1.5. None is flat at 1.",
)

# %% [markdown]
# A gradient that is off by two percent lets a model learn, just worse: no one finds it in a loss curve. Hence the checks.
#
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | the gradient check passes on a fresh layer, fails on a trained one | γ outside the means |
# | `nan` at the first all-equal row (an empty, padded text) | no ε, or ε = 1e-12 in float16, where it is 0 |
# | the output of one text depends on the others in the batch | mean over axis 0 instead of the last |
# | loss slightly higher than the published one, from the first step | tanh GELU for exact GELU, or ε of another size |
# | results differ from run to run in evaluation | dropout still on: `.eval()` was forgotten |
# | evaluation far worse than training, right from the start | 1/(1 − p) is missing |
# | the gradient is wrong only where a layer is used twice | the mask (or the cache) lives on the layer |
# | deep network: the loss stands still at $\log C$ | no residuals, or `dy` not added in their backward |
#
# ## What the library does more than you did
#
# * its layer norm works **in blocks of rows that fit the processor's cache**, writes into its own scratch arrays, and
#   in inference keeps nothing;
# * float16 rows are **summed in float32**: the square of 256 is infinite in float16;
# * GELU in float32 has **no erf**: a polynomial inside one exponential gives Φ to 6e-7, several times as fast; the
#   slope is kept, not the input;
# * a dropout mask takes **16 random bits a number** instead of a whole float, from a generator on the host, so that a
#   seed means the same on every machine and when a layer is computed a second time to save memory (lesson 11);
# * `Residual` and `AddNorm` (BERT's norm after the sum) hand caches of inner layers through, so that blocks can be put
#   together without writing their backward again.

# %%
from edutransformers import layers
from edutransformers.teaching.read_on import read_on

read_on(
    library_norm, library_norm_backward, library_gelu, layers.LayerNorm, layers.Activation, layers.Dropout, layers.Residual,
    layers.AddNorm,
)  # fmt: skip

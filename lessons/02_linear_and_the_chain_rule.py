# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: "Linear and the chain rule: forward, cache, backward"
#     minutes: 90
#     goal: You derive the gradients of a linear layer with indices, write a layer that keeps the contract of this library, chain two of them by hand, and train them to read digits.
#     needs: [0, 1]
# ---

# %% [markdown]
# Lesson 01 ended with `dx`, the gradient of the loss with respect to the scores: *what the model said, minus what was
# right*. But scores aren't learned. They are computed, from numbers that were computed from others, down to the
# **weights**, which are. So the gradient has to travel: from the scores back through every step that made them. The
# rule by which it travels is the chain rule; what travels is always one array, `dy` coming in from behind and `dx`
# handed on to the front.
#
# We do it for the layer that is nearly all of a transformer, the **linear** one, and then put two of them in a row.

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("x", "(B, I)"), "linear", ("h", "(B, F)"), "ReLU", ("a", "(B, F)"), "linear", ("y", "(B, C) scores"),
         "cross-entropy", ("L", "one number")],
        ["dx", "dh", "da", "dy"],
    ),
    alt="From left to right: an input x of shape B by I, a linear layer, its output h of shape B by F, ReLU, a, another linear "
    "layer, scores y of shape B by C, cross-entropy, the loss L. Dashed arrows lead back from L: dy, da, dh, dx.",
)  # fmt: skip

# %% [markdown]
# (B examples in a batch, I inputs, F numbers in between, C classes. `dx`, always, is $\partial L/\partial x$ and has
# the shape of $x$. The first of them, `dy`, is lesson 01's $(p - \delta)/B$.)
#
# ## 1 · The linear layer
#
# It makes O numbers of I numbers. Each is a weighted sum of all inputs, plus a number of its own, the *bias*:
#
# $$y_{no} = \sum_{i} x_{ni}\, W_{oi} + b_o
# \qquad\Longleftrightarrow\qquad y = x\,W^\top + b$$
#
# $n$ counts the rows (the examples), $o$ the outputs, $i$ the inputs. Row $o$ of $W$ belongs to output $o$: these are
# the weights with which that output looks at the input. The sum is large where the input resembles the row, so one may
# read a linear layer as O questions, each put to every example. $W$ has the shape (O, I), as in all files of trained
# weights (checkpoints) of the original library; hence the transpose, $W^\top$, `W.T`.

# %%
x = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]])
weight = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
bias = np.array([0.0, 0.0, 10.0, 0.0])

plots.show(
    lesson_plots.matrices(
        [x, weight.T, x @ weight.T + bias], ["x (3, 2)", "Wᵀ (2, 4)", "y = x Wᵀ + b (3, 4)"], form="{:.0f}",
        note="four questions: the first input? the second? their sum (with a bias of 10)? their difference?",
    ),
    alt="A table x with rows 1 2, 3 −1, 0 1; the transposed weight with columns 1 0, 0 1, 1 1, 1 −1; and y, whose four columns "
    "are the first input, the second, their sum plus 10, and their difference.",
)  # fmt: skip

# %% [markdown]
# A text is (B, T, D): B texts of T tokens. A linear layer treats every token by itself, so **all axes but the last are
# only repetitions**, and (B, T, I) becomes (B, T, O).
#
# **Exercise 1.** Write `linear_forward(x, weight, bias)` for an `x` of any number of axes.


# %% exercise="linear_forward"
def linear_forward(x, weight, bias):
    """x (…, I), weight (O, I), bias (O,) -> y (…, O)"""
    ### BEGIN SOLUTION
    return x @ weight.T + bias
    ### END SOLUTION


# %% check="linear_forward" points=1
from edutransformers.teaching.checks.lesson02 import check_linear_forward

check_linear_forward(linear_forward)

# %% [markdown] hints="linear_forward"
# It is one matrix product and one addition. `@` multiplies the last axis of the first array with the last but one of
# the second, and leaves all axes in front alone.
# ---
# `x` ends in I. For the product, the other array must be (I, O); `weight` is (O, I). The bias (O,) broadcasts: it is
# aligned on the right.
# ---
# ```python
# return x @ weight.??? + bias
# ```

# %% [markdown]
# ## 2 · The chain rule, with all its ways
#
# From school: if $L$ depends on $y$, and $y$ on $x$, then $\dfrac{dL}{dx} = \dfrac{dL}{dy}\cdot\dfrac{dy}{dx}$. What
# school often leaves out: $x$ may act on $L$ in *several* ways. Let $y_1 = 2x$, $y_2 = x^2$, and $L = 3 y_1 + 5 y_2$. A
# small push to $x$ moves $y_1$ and $y_2$, and each moves $L$; the effects **add up**:
#
# $$\frac{dL}{dx} = \underbrace{3}_{\partial L/\partial y_1} \cdot \underbrace{2}_{\partial y_1/\partial x} \;+\;
#   \underbrace{5}_{\partial L/\partial y_2} \cdot \underbrace{2x}_{\partial y_2/\partial x} = 6 + 10x$$
#
# At $x = 1$ that is 16. Leave out one way and you get 6 or 10, which look just as respectable. In general:
#
# $$\boxed{\;\texttt{dx}_i = \sum_{j} \texttt{dy}_j\, \frac{\partial y_j}{\partial x_i}\;}$$
#
# The sum runs over **all outputs that $x_i$ touches**. That is the whole of backpropagation, and applying it to a layer
# takes three questions:
#
# 1. Which outputs does this number touch?
# 2. With which factor, $\partial y_j / \partial x_i$?
# 3. So: for each of them, what came back (`dy`) times the factor; add them up.
#
# The table of all factors is the *Jacobian matrix*. Nobody ever builds it: for a layer with 768 inputs and outputs and
# a batch of 1,000 tokens, it would have $(768\,000)^2$, some 600 billion entries, nearly all 0. The art is to find the
# short expression for the sum.


# %%
def L(x):
    return 3 * (2 * x) + 5 * x**2


print(f"both ways: {6 + 10 * 1.0:.4f}    measured: {(L(1 + 1e-5) - L(1 - 1e-5)) / 2e-5:.4f}")

# %% [markdown]
# ## 3 · Three gradients, on paper
#
# From behind comes `dy` (N, O), one number for every output of every row. We want `dx` (N, I), `dW` (O, I) and `db`
# (O,). Remember $y_{no} = \sum_i x_{ni} W_{oi} + b_o$.
#
# **The input.** *Which outputs does $x_{ni}$ touch?* Those of its own row $n$, and all O of them. *With which factor?*
# It is multiplied by $W_{oi}$. So the sum runs over $o$:
#
# $$\texttt{dx}_{ni} = \sum_o \texttt{dy}_{no}\, W_{oi} \qquad\Longleftrightarrow\qquad \texttt{dx} = \texttt{dy}\; W$$
#
# **The weight.** *Which outputs does $W_{oi}$ touch?* Only output $o$, but in **every row**: the same weight serves all
# examples and all tokens. *Factor:* $x_{ni}$. So the sum runs over $n$:
#
# $$\texttt{dW}_{oi} = \sum_n \texttt{dy}_{no}\, x_{ni} \qquad\Longleftrightarrow\qquad \texttt{dW} = \texttt{dy}^\top x$$
#
# **The bias.** $b_o$ touches output $o$ in every row, with factor 1:
#
# $$\texttt{db}_{o} = \sum_n \texttt{dy}_{no}$$
#
# The forward pass sums over $i$; the two backward products sum over the other two indices, $o$ and $n$. And there is a
# check that costs nothing: **a gradient has the shape of what it is the gradient of.** `dy` (N, O) and `W` (O, I) fit
# together as `dy @ W` in one way only, and that is (N, I). Whoever forgets the formula can find it from the shapes.

# %%
plots.show(
    lesson_plots.shapes(
        [("dyᵀ", (3, 5), "O N"), "@", ("x", (5, 4), "N I"), "=", ("dW", (3, 4), "O I")],
        title="dW: the sum over the rows. The batch disappears",
    ),
    alt="The transposed dy with O = 3 rows and N = 5 columns times x with N = 5 rows and I = 4 columns gives dW with O = 3 rows "
    "and I = 4 columns. The axis N of the batch is gone.",
)

# %% [markdown]
# **Exercise 2.** Write `linear_backward(dy, x, weight)` → `dx, dweight, dbias`. `x` may have any number of axes; the
# sum over $n$ then runs over all of them but the last.


# %% exercise="linear_backward"
def linear_backward(dy, x, weight):
    """dy (…, O), x (…, I), weight (O, I) -> dx (…, I), dweight (O, I), dbias (O,)"""
    ### BEGIN SOLUTION
    rows_dy, rows_x = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    return dy @ weight, rows_dy.T @ rows_x, rows_dy.sum(axis=0)
    ### END SOLUTION


# %% check="linear_backward" points=3
from edutransformers.teaching.checks.lesson02 import check_linear_backward

check_linear_backward(linear_backward)

# %% [markdown] hints="linear_backward"
# With two axes, the three formulas above are one line each. For more axes make rows of everything first: (B, T, I) →
# (B·T, I).
# ---
# `x.reshape(-1, x.shape[-1])` makes all axes but the last into one; −1 means "as many as there are". Do the same with
# `dy`. For `dx` you don't need it: `@` leaves the axes in front alone.
# ---
# ```python
# rows_dy = dy.reshape(-1, dy.shape[-1])        # (N, O)
# rows_x = x.reshape(-1, x.shape[-1])           # (N, I)
# return dy @ ..., rows_dy.T @ ..., rows_dy.sum(axis=...)
# ```

# %% [markdown]
# ### The same, as the formulas stand
#
# Matrix products are a shorthand. Here are the three sums written out, index by index: nobody would run this, and
# everybody can see that it is right. Then the numbers decide, with the instrument of lesson 01 and random `dy`.


# %%
from edutransformers.gradient_check import numerical_gradient  # yours, of lesson 01


def linear_backward_naive(dy, x, weight):
    (N, O), I = dy.shape, x.shape[1]
    dx, dweight, dbias = np.zeros((N, I)), np.zeros((O, I)), np.zeros(O)
    for n in range(N):
        for o in range(O):
            dbias[o] += dy[n, o]
            for i in range(I):
                dx[n, i] += dy[n, o] * weight[o, i]
                dweight[o, i] += dy[n, o] * x[n, i]
    return dx, dweight, dbias


rng = np.random.default_rng(0)
x, weight, bias = rng.standard_normal((5, 4)), rng.standard_normal((3, 4)), rng.standard_normal(3)
dy = rng.standard_normal((5, 3))  # random weights for a loss L = Σ dy ∘ y


def weighted_sum(_):
    """L, computed from x, weight and bias as they are now."""
    return (dy * linear_forward(x, weight, bias)).sum()


print(f"{'':8}{'shape':10}yours − naive   yours − numerical")
yours, naive = linear_backward(dy, x, weight), linear_backward_naive(dy, x, weight)
for name, array, mine, slow in zip(("dx", "dweight", "dbias"), (x, weight, bias), yours, naive):
    numerical = numerical_gradient(weighted_sum, array)  # changes x, weight or bias in place, number by number
    print(f"{name:8}{mine.shape!s:10}{np.abs(mine - slow).max():13.0e}{np.abs(mine - numerical).max():20.0e}")

# %% [markdown] instructor=true
# Worth a discussion: why is there no 1/B anywhere? Many want `dW` to be a mean, "because the loss is one". The loss has
# put its 1/B into `dy` already; whoever divides again trains with a learning rate B times too small. And why is dx
# *not* summed over the batch, but dW is? Because each row has its own x, and all rows have the same W.

# %% [markdown]
# ## 4 · A layer: what forward leaves behind for backward
#
# `dW` needs `x`, and at the time of the backward pass the forward pass is long over. Somebody has to keep `x`. This
# library's rule is the **layer contract**, the same for every layer, block and model:
#
# ```python
# y, cache = layer.forward(x)        # the cache: what backward will need, and nothing else
# dx = layer.backward(dy, cache)     # hands dx on, and *adds* the weights' gradients to weight.grad
# ```
#
# Two points in it look like matters of taste. They aren't.
#
# **The cache is returned, and not kept in `self.x`.** A layer may be called twice before its backward pass: the same
# weights for a question and an answer, a model asked for an evaluation in the middle of a training step. With `self.x`
# the second call overwrites what the first left behind, and the gradient is wrong without any error. With a returned
# cache, each call has its own.
#
# **Gradients are added, not assigned.** A weight that is used twice acts on the loss in two ways, and the chain rule
# says: add. It is the very sum over $n$ of section 3, only that the rows come in two portions. So `grad` starts at 0,
# everyone *adds*, and whoever trains sets it back to 0 when a new step begins.
#
# **Exercise 3.** Write `forward` and `backward` of `LinearLayer`. You may use your two functions.


# %%
class Weight:
    """An array that is learned, and the gradient that has been gathered for it."""

    def __init__(self, data):
        self.data = data
        self.grad = np.zeros_like(data)


# %% exercise="linear_layer"
class LinearLayer:
    """y = x Wᵀ + b"""

    def __init__(self, weight, bias):
        self.weight, self.bias = Weight(weight), Weight(bias)
        self.weights = [self.weight, self.bias]

    def forward(self, x):
        """x (…, I) -> y (…, O), cache"""
        ### BEGIN SOLUTION
        return linear_forward(x, self.weight.data, self.bias.data), x
        ### END SOLUTION

    def backward(self, dy, cache):
        """dy (…, O) -> dx (…, I). Adds to self.weight.grad and self.bias.grad."""
        ### BEGIN SOLUTION
        x = cache
        dx, dweight, dbias = linear_backward(dy, x, self.weight.data)
        self.weight.grad += dweight
        self.bias.grad += dbias
        return dx
        ### END SOLUTION


# %% check="linear_layer" points=2
from edutransformers.teaching.checks.lesson02 import check_linear_layer

check_linear_layer(LinearLayer)

# %% [markdown] hints="linear_layer"
# `forward` returns two things: the output and what `backward` will need. What does `linear_backward` ask for that the
# layer doesn't have anyway? (The weight is still there: `self.weight.data`.)
# ---
# The cache can simply be `x`. In `backward`, call `linear_backward(dy, x, self.weight.data)`: it gives three arrays.
# Two of them are added to a `.grad` with `+=`, one is returned.
# ---
# ```python
# def forward(self, x):
#     return linear_forward(x, self.weight.data, self.bias.data), ...
#
# def backward(self, dy, cache):
#     x = cache
#     dx, dweight, dbias = linear_backward(dy, x, self.weight.data)
#     self.weight.grad += ...
#     ...
#     return dx
# ```

# %% [markdown]
# What adding is good for: a batch that doesn't fit into memory can be taken in portions. The gradient is the same.

# %%
layer, same_layer = LinearLayer(weight, bias), LinearLayer(weight, bias)
_, cache = layer.forward(x)
layer.backward(dy, cache)

for portion in (slice(0, 2), slice(2, 5)):
    _, cache = same_layer.forward(x[portion])
    same_layer.backward(dy[portion], cache)

difference = np.abs(layer.weight.grad - same_layer.weight.grad).max()
print(f"five rows at once, or two and then three: dW differs by {difference:.0e}")

# %% [markdown]
# ## 5 · Two layers, and why something must stand between them
#
# Two linear layers in a row are one linear layer:
#
# $$(x\,W_1^\top + b_1)\,W_2^\top + b_2 = x\,\underbrace{(W_2 W_1)^\top}_{\text{one weight}} + \underbrace{b_1 W_2^\top + b_2}_{\text{one bias}}$$
#
# (A product is transposed by transposing both and changing their places: $W_1^\top W_2^\top = (W_2 W_1)^\top$.) However
# many one stacks, nothing new can be expressed. Something bent must stand between them. The simplest is **ReLU**, which
# lets positive numbers pass and makes 0 of the others:
#
# $$a = \max(h, 0), \qquad \texttt{dh}_{nf} = \texttt{da}_{nf} \cdot \begin{cases} 1 & h_{nf} > 0 \\ 0 & \text{otherwise} \end{cases}$$
#
# Each number touches one output only, with the slope 1 or 0. (At exactly 0 there is no slope; one takes 0.) So the
# gradient passes where the number passed, and stops where the number was stopped. What the cache must hold: *where*
# that was.
#
# **Exercise 4.** Write `forward` and `backward` of `TwoLayers`: linear, ReLU, linear. A composite's cache holds its
# children's caches, and its backward pass runs them in reverse order: it reads as the forward pass's mirror image.


# %% exercise="two_layers"
class TwoLayers:
    """y = second(ReLU(first(x)))"""

    def __init__(self, first, second):
        self.first, self.second = first, second
        self.weights = [*first.weights, *second.weights]

    def forward(self, x):
        """x (B, I) -> y (B, C), cache"""
        ### BEGIN SOLUTION
        h, first_cache = self.first.forward(x)
        a = np.maximum(h, 0)
        y, second_cache = self.second.forward(a)
        return y, (first_cache, h > 0, second_cache)
        ### END SOLUTION

    def backward(self, dy, cache):
        """dy (B, C) -> dx (B, I). Its layers add to their gradients."""
        ### BEGIN SOLUTION
        first_cache, positive, second_cache = cache
        da = self.second.backward(dy, second_cache)
        dh = da * positive
        return self.first.backward(dh, first_cache)
        ### END SOLUTION


# %% check="two_layers" points=3
from edutransformers.teaching.checks.lesson02 import check_two_layers

check_two_layers(TwoLayers)

# %% [markdown] hints="two_layers"
# Forward: `self.first.forward(x)` gives `h` and a cache, ReLU makes `a` of `h`, `self.second.forward(a)` gives `y` and
# a second cache. Return `y` and everything that you will need on the way back.
# ---
# Three things go into the cache: the first layer's cache, where `h` was positive (`h > 0`, an array of booleans), and
# the second layer's cache. Backward starts with the *second* layer: `da = self.second.backward(dy, second_cache)`.
# ---
# ```python
# # forward
# return y, (first_cache, h > 0, second_cache)
#
# # backward
# first_cache, positive, second_cache = cache
# da = self.second.backward(dy, second_cache)
# dh = ...                                   # what ReLU does to the gradient
# return self.first.backward(...)
# ```

# %% [markdown] instructor=true
# Three usual slips: `da * (da > 0)`, which masks by the gradient and not by the input (it throws away every push
# downwards); the mask on `self`; and the order of the layers in `backward`. Ask what a *dead* unit is: one whose `h` is
# negative for every example. It has no gradient, so it never comes back. How would one see it? (`(h > 0).mean(axis=0)`
# has zeros.)

# %% [markdown]
# Now the whole chain, from the loss to the first weight, against torch. (Its numbers: torch 2.13 in float64, with
# `torch.nn.functional.linear`, `relu`, `cross_entropy` and autograd. Weights and inputs are values of the sine, so that
# anyone can make the same.)

# %%
from edutransformers.losses import CrossEntropyLoss


def sines(start, *shape):
    return np.sin(start + np.arange(np.prod(shape), dtype=np.float64)).reshape(shape)


TORCH_LOSS = 0.7953128170890058
TORCH_DX = [
    [0.12564465082834037, 0.002380257740263819, -0.1230725333370903, -0.13537300484239062],
    [-0.017785081438190686, 0.15805216898231508, 0.18857698413540208, 0.04572498974171968],
    [-0.013142388663187246, -0.16583023244651066, -0.16605452528381137, -0.013609053374854518],
]
TORCH_DW1 = [
    [-0.08971365911168722, 0.01714133277333825, 0.10823666235786275, 0.09981970372951081],
    [-0.2770810134048489, -0.44631028512891924, -0.20520393897079503, 0.2245659623306281],
    [0.15162850664783992, 0.06316105484787556, -0.0833763794970975, -0.1532579550423133],
    [0.0, -0.07487595973452624, -0.08091130739730902, -0.012557172180617627],
    [0.2623679777834235, 0.33243947311304295, 0.09686764998570956, -0.22776384381042944],
]

network = TwoLayers(LinearLayer(sines(1, 5, 4), sines(2, 5)), LinearLayer(sines(3, 3, 5), sines(4, 3)))
inputs, labels = sines(0, 3, 4), np.array([2, 0, 1])
loss_function = CrossEntropyLoss()

y, cache = network.forward(inputs)
loss, loss_cache = loss_function.forward(y, labels)
dx = network.backward(loss_function.backward(1.0, loss_cache), cache)

print(f"loss {loss:.10f}, torch {TORCH_LOSS:.10f}")
print(f"dx differs by {np.abs(dx - TORCH_DX).max():.0e}, dW of the first layer by "
      f"{np.abs(network.first.weight.grad - TORCH_DW1).max():.0e}")  # fmt: skip
assert np.isclose(loss, TORCH_LOSS, rtol=1e-14)
assert np.allclose(dx, TORCH_DX, atol=1e-15)
assert np.allclose(network.first.weight.grad, TORCH_DW1, atol=1e-15)

# %% [markdown]
# Four layers, four backward passes of a line or two, and the gradient of every number is right to the last digit. An
# autograd does the same: it writes down which functions were called, and calls their backward functions in reverse
# order.
#
# ## 6 · Learning: one step downhill, again and again
#
# The gradient points to where the loss grows. So go the other way, a little:
#
# $$W \leftarrow W - \eta \; \texttt{dW}$$
#
# with a *learning rate* $\eta$. One step of **gradient descent**: set all gradients to 0, forward, loss, backward,
# subtract.
#
# **Exercise 5.** Write `gradient_descent(network, x, labels, learning_rate, steps)`. `network.weights` is the list of
# all its `Weight`s. Return a list with the loss *before* each step. (The loss is `CrossEntropyLoss`, used as in the
# cell above.)


# %% exercise="gradient_descent"
def gradient_descent(network, x, labels, learning_rate, steps):
    """Trains the network's weights. -> the loss before each step"""
    loss_function, losses = CrossEntropyLoss(), []
    ### BEGIN SOLUTION
    for _ in range(steps):
        for weight in network.weights:
            weight.grad[...] = 0
        y, cache = network.forward(x)
        loss, loss_cache = loss_function.forward(y, labels)
        losses.append(float(loss))
        network.backward(loss_function.backward(1.0, loss_cache), cache)
        for weight in network.weights:
            weight.data -= learning_rate * weight.grad
    ### END SOLUTION
    return losses


# %% check="gradient_descent" points=2
from edutransformers.teaching.checks.lesson02 import check_gradient_descent

check_gradient_descent(gradient_descent)

# %% [markdown] hints="gradient_descent"
# A loop over `range(steps)`. In it: zeros into all gradients, forward, loss, note the loss, backward through the loss
# and through the network, and one step for each weight.
# ---
# `loss, loss_cache = loss_function.forward(y, labels)` and `dy = loss_function.backward(1.0, loss_cache)`. Zeros:
# `weight.grad[...] = 0` writes into the array that is there.
# ---
# ```python
# for _ in range(steps):
#     for weight in network.weights:
#         weight.grad[...] = 0
#     y, cache = network.forward(x)
#     loss, loss_cache = loss_function.forward(y, labels)
#     losses.append(float(loss))
#     network.backward(..., cache)
#     for weight in network.weights:
#         weight.data -= ...
# ```

# %% [markdown]
# ## 7 · How large should the first weights be?
#
# All zeros won't do: then $a = 0$, so `dW2 = dy.T @ a` is 0, and `da = dy @ W2` is 0, so that nothing reaches the first
# layer: only the last bias ever moves. All equal won't do either: then all F numbers in between are the same, get the
# same gradient, and stay the same for ever. So they are drawn at random. How large?
#
# A linear layer adds up I products. If the inputs have the mean square $q$ and the weights are independent with mean 0
# and mean square $\sigma^2$ (that is their *variance*), each output has the mean square $I\,\sigma^2\,q$: in the square
# of the sum, each of the I terms gives $\sigma^2 q$, and products of two different ones are as often positive as
# negative and average out to 0. ReLU throws one half away, and about half the mean square is left: from layer to layer
# the factor is $\tfrac12 I \sigma^2$. It is 1 for
#
# $$\sigma = \sqrt{2 / I} \qquad\text{(He et al. 2015)}$$
#
# On the way back the same weights multiply, O products and the same halving, so the gradient has the same fate. Here
# are 20 layers of 64, with this $\sigma$, and with one that is half and twice as large.


# %%
def sizes_of_gradients(scale, depth=20, width=64, rows=50):
    """The size (root of the mean square) of the dx that each layer hands on to the one before it."""
    rng = np.random.default_rng(0)
    x, caches = rng.standard_normal((rows, width)), []
    for _ in range(depth):
        layer = LinearLayer(rng.normal(0, scale * np.sqrt(2 / width), (width, width)), np.zeros(width))
        h, cache = layer.forward(x)
        caches.append((layer, cache, h > 0))
        x = np.maximum(h, 0)
    d, sizes = rng.standard_normal(x.shape), []
    for layer, cache, positive in reversed(caches):
        d = layer.backward(d * positive, cache)
        sizes.append(np.sqrt((d * d).mean()))
    return sizes[::-1]


flows = {f"{scale:g} · √(2/I)": sizes_of_gradients(scale) for scale in (2, 1, 0.5)}
plots.show(
    lesson_plots.curves(
        np.arange(1, 21), flows, "layer (the loss is on the right, behind layer 20)", "size of dx",
        "Gradients flow from right to left", logarithmic="y",
    ),
    alt="Three curves over the layers 1 to 20, on a logarithmic axis. With the weights' size √(2/I) the gradient stays about as "
    "large from layer 20 to layer 1. With half of it, it halves at each layer and is a million times smaller at layer 1; with "
    "twice as much, it doubles at each layer.",
)  # fmt: skip

# %% [markdown]
# Half the size at each of 20 layers is $2^{-20}$, a millionth: the first layers would learn a million times more slowly
# than the last. This is the *vanishing gradient*, its opposite the *exploding* one. With 2 layers nobody notices; a
# transformer has 12 to 100, and what keeps it alive is in lesson 03: normalization and residual connections.
#
# ## 8 · Reading digits, black on white and white on black
#
# The package can draw digits, each a little different in pen, slant, size and place. To make it harder, about half of
# the pictures are turned into their negatives. With numbers from −1 (black) to 1 (white), the negative of $x$ is $-x$.

# %%
from edutransformers.teaching.drawn_digits import draw_digit


def pictures_of_digits(count, seed):
    """(count, 196) numbers from −1 to 1, and the digits; half of the pictures are negatives."""
    rng = np.random.default_rng(seed)
    digits = rng.integers(0, 10, count)
    x = np.stack([np.asarray(draw_digit(int(digit), rng, size=14), dtype=np.float64) for digit in digits])
    signs = rng.choice([-1.0, 1.0], size=(count, 1))
    return signs * (x.reshape(count, 196) / 127.5 - 1), digits


train_x, train_digits = pictures_of_digits(600, seed=0)
test_x, test_digits = pictures_of_digits(300, seed=1)

plots.show(
    lesson_plots.pictures(
        {"": train_x[:10].reshape(-1, 14, 14)}, titles=[str(digit) for digit in train_digits[:10]],
        title="Fourteen by fourteen pixels: I = 196 inputs",
    ),
    alt="Ten small pictures of drawn digits, with the digit above each. Some are white on black, others black on white.",
)  # fmt: skip

# %% [markdown]
# A linear layer alone can't do this well, and you can see it on paper: $W(-x) = -Wx$. Whatever a score says about a
# picture, it says the opposite about its negative; a digit that scores highest in one is apt to score *lowest* in the
# other. A question such as "ink here, **or** no ink here?" needs a bend.

# %%
rng = np.random.default_rng(0)
I, F, C = 196, 32, 10

one_layer = LinearLayer(rng.normal(0, 0.01, (C, I)), np.zeros(C))
two_layers = TwoLayers(
    LinearLayer(rng.normal(0, np.sqrt(2 / I), (F, I)), np.zeros(F)),
    LinearLayer(rng.normal(0, np.sqrt(1 / F), (C, F)), np.zeros(C)),
)
losses = {
    "linear": gradient_descent(one_layer, train_x, train_digits, learning_rate=0.1, steps=200),
    "linear, ReLU, linear": gradient_descent(two_layers, train_x, train_digits, learning_rate=0.1, steps=200),
}


def share_right(network, x, digits):
    return (network.forward(x)[0].argmax(axis=1) == digits).mean()


print(f"knowing nothing: a loss of log {C} = {np.log(C):.2f}, and {1 / C:.0%} right")
for (name, curve), network in zip(losses.items(), (one_layer, two_layers)):
    print(f"{name:22} loss {curve[0]:.2f} -> {curve[-1]:.2f};  right: {share_right(network, train_x, train_digits):.0%} "
          f"of the pictures it learned from, {share_right(network, test_x, test_digits):.0%} of new ones")  # fmt: skip

plots.show(
    lesson_plots.curves(np.arange(200), losses, "step", "cross-entropy (nats)", "600 pictures, learning rate 0.1"),
    alt="Two loss curves over 200 steps, both from about 2.3 to 2.7 on. The linear layer's flattens out above 2. That of two "
    "layers with ReLU between them falls steadily to below 0.2.",
)

# %% [markdown]
# The same rule, the same steps; one bend more. (Always look at the first loss: it should be near $\log C$. And look at
# *new* pictures: a model can learn its own examples by heart.)
#
# ### Back to the pixels
#
# The chain doesn't have to end at the weights: `dx` is the gradient for every *pixel*. Tell the network that a picture
# is an 8 and ask which pixels would have to change for the loss to fall. That is $-\texttt{dx}$, drawn as a picture.

# %%
shown = []
for digit in (0, 3, 5, 6, 9):
    white_on_black = test_x[:, 0] < 0
    shown.append(int(np.flatnonzero((test_digits == digit) & white_on_black)[0]))

y, cache = two_layers.forward(test_x[shown])
_, loss_cache = loss_function.forward(y, np.full(len(shown), 8))  # "these are all eights"
dx = two_layers.backward(loss_function.backward(1.0, loss_cache), cache)

plots.show(
    lesson_plots.pictures(
        {"the picture": test_x[shown].reshape(-1, 14, 14), "−dx: what would\nmake it an 8": -dx.reshape(-1, 14, 14)},
        titles=[f"a {test_digits[place]}" for place in shown],
    ),
    alt="Five digits, 0, 3, 5, 6 and 9, white on black, and below each the negative gradient of its pixels for the label 8. Bright "
    "spots lie where ink would have to be added, dark ones where it would have to go.",
)

# %% [markdown]
# Bright: more ink would help; dark: less would. The 0 needs a bar across its middle, the 3 strokes on its left, the 5
# one in the upper right and one in the lower left, the 6 one in the upper right, the 9 one in the lower left: just what
# each lacks to be an eight. Nobody told the network what an 8 is made of. It is in the weights, and the chain rule
# reads it out.
#
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | right for one call, wrong for two | `x` was kept on `self`; the second call overwrote it |
# | the loss falls, then jumps about | gradients were never set back to 0: every step takes all earlier ones along |
# | shared weights learn too little | `grad = …` in place of `grad += …`: only the last use counts |
# | `dW` transposed (and no error, where O = I) | `x.T @ dy`; the weight is (O, I), so it is `dy.T @ x`. Test with O ≠ I |
# | the first layer never changes | all weights began at 0, or every `h` is negative |
# | learning depends on the batch size | `dW` was averaged, though the loss had its 1/B already |
# | the loss becomes `nan`, or grows | the learning rate is too large: a tenth of it |
# | a deep stack learns only at its end | first weights too small: the gradient vanishes on its way |
#
# ## What the library does more than you did
#
# * `Parameter` does what `Weight` does; `accumulate` adds, keeps float16's gradients in float32, and is safe when a
#   batch is split over threads;
# * `keep(x)` makes the cache, and makes *none* in inference: then nothing is stored, and arrays may be overwritten;
# * `Linear` says which width it expected when it gets another, and computes the gradient of chosen rows only, if the
#   others' is 0;
# * `Conv1D` is the same layer with a weight (I, O): GPT-2's checkpoints have it so. Only the transposes change places;
# * `Sequential` is your `TwoLayers` for any number of layers, and `gradient_check` goes through all of them.

# %%
from edutransformers import gradient_check
from edutransformers.functional.linear import linear
from edutransformers.functional.linear import linear_backward as library_linear_backward
from edutransformers.layers import Activation, Conv1D, Linear, Sequential
from edutransformers.module import Parameter, keep
from edutransformers.teaching.read_on import read_on

print(gradient_check(Sequential(Linear(4, 5), Activation("relu"), Linear(5, 3)), inputs, samples=10), "\n")
for mine, library in zip(linear_backward(dy, x, weight), library_linear_backward(dy, x, weight)):
    assert np.allclose(mine, library, atol=1e-14)
read_on(linear, library_linear_backward, Linear, Conv1D, Sequential, Parameter, keep, gradient_check)

# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: Image patches and ViT
#     minutes: 85
#     goal: You turn a picture into a row of tokens and back, assemble a Vision Transformer that reads digits with a real checkpoint's weights, and ask it in three ways which pixels its answer came from.
#     needs: [7, 9]
# ---

# %% [markdown]
# BERT reads a row of vectors. Where each vector came from, it doesn't know: it was a word because lesson 04 looked it
# up in a table of words. So if we can make a row of vectors of a *picture*, everything from lesson 06 to lesson 09 can
# read it, as it is. That is the whole idea of the **Vision Transformer** (ViT; Dosovitskiy and others, 2020):
#
# * cut the picture into square **patches**: these are the words;
# * one linear map makes a vector of each patch: that is the lookup in the table;
# * a learned vector in front, `[CLS]`, and a learned vector for each place; then BERT's layers; then a classifier.
#
# Two things are new in this lesson, then: the way from pixels to tokens, forward and back; and a question one can ask of
# pictures better than of texts, because one sees the answer: *where did it look?*

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("x", "(B, C, H, W)"), "cut", ("patches", "(B, N, C·P·P)"), "W · + b", ("vectors", "(B, N, D)"),
         "[CLS], + places", ("tokens", "(B, N + 1, D)"), "layers, head", ("scores", "(B, classes)")],
        ["put back", "linear", "sum over B", "backward"],
    ),
    alt="From left to right: pixels x of shape B, C, H, W are cut into patches, B by N by C times P times P; a linear map "
    "makes vectors of width D; with CLS in front and places added they are N + 1 tokens; layers and a head make scores. "
    "Dashed arrows lead back from the scores to the pixels.",
)  # fmt: skip

# %% [markdown]
# The letters: B pictures in the batch, C channels (1 for grey, 3 for red, green, blue), H × W pixels (height and width,
# as everybody writes them; heads are written out as `heads` here), P × P pixels a patch, N patches, T = N + 1 tokens, D
# the model's width, F the feed-forward width. As always `dx` is the gradient of the loss with respect to `x`.
#
# ## 1 · A picture is an array
#
# A file has for each pixel and channel a whole number from 0 (dark) to 255 (light): a **byte**. In an array, Pillow and
# matplotlib put the channels last, (H, W, C): one pixel's three numbers lie side by side. Models put them first, (C, H,
# W): a red picture, a green one, a blue one. And they want small numbers around 0, for the reason that lesson 03 gave
# for layer norm: all later sizes were chosen for such numbers. So each channel $c$ has a mean and a standard deviation,
# fixed with the model, and the pixel $p$ becomes
#
# $$x_{b,c,h,w} = \frac{p_{b,h,w,c} / 255 - \texttt{mean}_c}{\texttt{std}_c}$$
#
# With mean ½ and std ½, which ViT has, the numbers lie from −1 (dark) to 1 (light).

# %% [markdown]
# **Exercise 1.** Write `to_pixel_values(pictures, mean, std)`: bytes (B, H, W, C), and C numbers each, to floats
# (B, C, H, W).


# %% exercise="to_pixel_values"
def to_pixel_values(pictures, mean, std):
    """Bytes (B, H, W, C), mean (C,), std (C,) -> (B, C, H, W)"""
    ### BEGIN SOLUTION
    x = (pictures / 255 - mean) / std
    return x.transpose(0, 3, 1, 2)
    ### END SOLUTION


# %% check="to_pixel_values" points=1
from edutransformers.teaching.checks.lesson15 import check_to_pixel_values

check_to_pixel_values(to_pixel_values)

# %% [markdown] hints="to_pixel_values"
# Two steps: the arithmetic, and moving the last axis to the second place. Which one first? One of the two orders needs no
# reshaping of `mean` and `std`.
# ---
# While the channels are the last axis, (B, H, W, C) and (C,) broadcast as you want it. Then move the axis: `transpose`
# takes the old numbers of the axes in their new order. (`reshape` would not move anything: it reads the same row of
# numbers with other line breaks.)
# ---
# ```python
# x = (pictures / 255 - mean) / std         # (B, H, W, C)
# return x.transpose(0, 3, ..., ...)        # (B, C, H, W)
# ```

# %% [markdown]
# Our pictures are digits, drawn with a round pen by a function that ships with the package. The model that we shall
# load learned from handwritten ones (MNIST) and has never seen these. It wants three channels, so the grey number is
# used three times.

# %%
from edutransformers import AutoImageProcessor
from edutransformers.teaching.drawn_digits import draw_digit

name = "edutransformers/vit-small-mnist"
generator = np.random.default_rng(4)
drawn = [draw_digit(digit, generator) for digit in range(10)]  # Pillow images, 28 × 28
grey = np.stack([np.asarray(image) for image in drawn])  # (10, 28, 28) bytes
pictures = np.repeat(grey[..., None], 3, axis=-1)  # (10, 28, 28, 3)
half = np.array([0.5, 0.5, 0.5])
x = to_pixel_values(pictures, half, half)
library_x = AutoImageProcessor.from_pretrained(name)(drawn, return_tensors="np")["pixel_values"]
print("x", x.shape, "from", x.min(), "to", x.max())
print("largest difference to the library's image processor:", f"{np.abs(x - library_x).max():.0e}", library_x.dtype)

plots.show(
    lesson_plots.pictures({"": grey}, [str(digit) for digit in range(10)], patch=7),
    alt="Ten digits, 0 to 9, drawn in white on black, each with a grid of four by four patches of 7 by 7 pixels over it.",
)

# %% [markdown]
# ## 2 · Cutting
#
# The orange lines are the patches of that model: P = 7, so 4 × 4 patches, N = 16. Patch $n$ lies in row $i$ and column
# $j$ of the grid, numbered as one reads: $n = i \cdot W/P + j$. Inside it, a pixel has the row $p$ and the column $q$,
# both from 0 to $P - 1$. So the pixel's place in the picture is
#
# $$h = i\,P + p, \qquad w = j\,P + q .$$
#
# We want one row of numbers for each patch: channel by channel, each channel row by row, that is, number
# $m = (c\,P + p)\,P + q$ of the row. The formula is easy; four nested loops would do it. But look at $h = iP + p$ once
# more: *that is how an array of shape (H/P, P) numbers its elements in memory.* To **split** an axis of length H into
# two, (H/P, P), `reshape` needs to move nothing. So:
#
# | step | shape | axes |
# |---|---|---|
# | the pictures | (B, C, H, W) | $b, c, h, w$ |
# | split both axes: `reshape` | (B, C, H/P, P, W/P, P) | $b, c, i, p, j, q$ |
# | put the grid first: `transpose` | (B, H/P, W/P, C, P, P) | $b, i, j, c, p, q$ |
# | merge: `reshape` | (B, N, C·P·P) | $b, n, m$ |
#
# Here it is with numbers one can follow, a picture of 4 × 6 with one channel and P = 2. Whoever skips the middle step
# gets the right shape and *strips* instead of squares, and no error.

# %%
small = np.arange(24).reshape(4, 6)
corner = np.zeros((4, 6), dtype=bool)
corner[2:, 2:4] = True  # patch 4: i = 1, j = 1
squares = np.array([[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11], [12, 13, 18, 19], [14, 15, 20, 21], [16, 17, 22, 23]])
row_4 = np.zeros((6, 4), dtype=bool)
row_4[4] = True

plots.show(
    lesson_plots.matrices(
        [small, squares, small.reshape(6, 4)], ["the picture", "its patches", "reshape alone: wrong"], form="{:d}",
        marked=[corner, row_4, None], note="framed: patch 4, in row i = 1 and column j = 1 of the grid",
    ),
    alt="A picture with the numbers 0 to 23 in four rows of six; its six patches as rows of four numbers; and what reshape "
    "alone gives. Patch 4 holds 14, 15, 20, 21, a square of the picture, while reshape alone puts 16, 17, 18, 19 there, a "
    "piece of one line that even goes on in the next.",
)  # fmt: skip

# %% [markdown]
# **Exercise 2.** Write `cut_patches(x, P)` for pictures (B, C, H, W) whose height and width are multiples of P. No
# loops are needed.


# %% exercise="cut_patches"
def cut_patches(x, P):
    """x (B, C, H, W) -> (B, N, C·P·P): patches row by row, each channel by channel, row by row."""
    ### BEGIN SOLUTION
    B, C, H, W = x.shape
    x = x.reshape(B, C, H // P, P, W // P, P).transpose(0, 2, 4, 1, 3, 5)
    return x.reshape(B, (H // P) * (W // P), C * P * P)
    ### END SOLUTION


# %% check="cut_patches" points=2
from edutransformers.teaching.checks.lesson15 import check_cut_patches

check_cut_patches(cut_patches)

# %% [markdown] hints="cut_patches"
# Three lines, one for each step of the table: reshape, transpose, reshape. Use `//` for H/P: shapes are whole numbers.
# ---
# After the first reshape the axes are numbered $b: 0,\ c: 1,\ i: 2,\ p: 3,\ j: 4,\ q: 5$. The transpose wants them in
# the order $b, i, j, c, p, q$: write down the old number of each.
# ---
# ```python
# B, C, H, W = x.shape
# x = x.reshape(B, C, H // P, P, W // P, P)
# x = x.transpose(0, 2, ..., ..., ..., 5)
# return x.reshape(B, (H // P) * (W // P), ...)
# ```

# %% [markdown]
# ## 3 · The way back, on paper
#
# Someone downstream hands us `dpatches` (B, N, C·P·P), and we want `dx` (B, C, H, W). Cutting computes nothing. Every
# number of the output *is* one number of the input:
#
# $$\texttt{patches}_{b,n,m} = x_{b,c,h,w}, \qquad
#   n = i \tfrac{W}{P} + j,\quad m = (cP + p)P + q,\quad h = iP + p,\quad w = jP + q .$$
#
# **Step 1: the derivatives.** $\partial\,\texttt{patches}_{b,n,m} / \partial x_{b,c,h,w}$ is 1 if $(n, m)$ belongs to
# $(c, h, w)$, and 0 otherwise. As a matrix, pixels across and patch numbers down, that is a *permutation*: a single 1
# in each row and in each column.
#
# **Step 2: put it in.** In the chain rule's sum over all $(n, m)$ a single term is left:
#
# $$\boxed{\;\texttt{dx}_{b,c,h,w} = \texttt{dpatches}_{b,n,m}\;}$$
#
# **Step 3: read it.** The gradient of a permutation is its transpose, and a permutation's transpose is its inverse. *The
# backward pass of cutting a picture up is putting it together again.* So undo the three steps of the table, from the last
# to the first: split, transpose back, merge.

# %% [markdown]
# **Exercise 3.** Write `cut_patches_backward(dpatches, P, shape)`, where `shape` is (B, C, H, W), that of `x`.


# %% exercise="cut_patches_backward"
def cut_patches_backward(dpatches, P, shape):
    """dpatches (B, N, C·P·P) -> dx of the given shape (B, C, H, W)"""
    ### BEGIN SOLUTION
    B, C, H, W = shape
    dx = dpatches.reshape(B, H // P, W // P, C, P, P).transpose(0, 3, 1, 4, 2, 5)
    return dx.reshape(shape)
    ### END SOLUTION


# %% check="cut_patches_backward" points=2
from edutransformers.teaching.checks.lesson15 import check_cut_patches_backward

check_cut_patches_backward(cut_patches_backward)

# %% [markdown] hints="cut_patches_backward"
# The table of section 2, read from the bottom to the top. The shapes in its second column are the ones you need.
# ---
# First `dpatches.reshape(B, H // P, W // P, C, P, P)`: now the axes are $b: 0,\ i: 1,\ j: 2,\ c: 3,\ p: 4,\ q: 5$. They
# must come into the order $b, c, i, p, j, q$. That is *not* the same list of numbers as in the forward pass: a
# transpose's inverse is another transpose.
# ---
# ```python
# B, C, H, W = shape
# dx = dpatches.reshape(B, H // P, W // P, C, P, P)
# dx = dx.transpose(0, 3, 1, ..., ..., ...)
# return dx.reshape(shape)
# ```

# %% [markdown]
# Being the inverse, it can be tested without any numerical gradient: cut, put together, and the picture must be there
# again. But mind what that proves: two functions with the *same* mistake are each other's inverse as well. So we look
# at a patch, too.

# %%
patches = cut_patches(x, 7)
assert np.array_equal(cut_patches_backward(patches, 7, x.shape), x)
seven = patches[7].reshape(16, 3, 7, 7)[:, 0]  # the digit 7: its 16 patches, one channel

plots.show(
    lesson_plots.pictures({"n = 0 … 7": seven[:8], "n = 8 … 15": seven[8:]}, title="The digit 7 as sixteen words"),
    alt="The sixteen patches of a drawn 7, one after the other. Some are wholly black, others hold a piece of the upper bar "
    "or of the slanting stroke. The order of the pieces is all that tells where they belong.",
)

# %% [markdown]
# More than half of them are black and do not differ at all: what tells them apart is *where* they are. Keep that in
# mind for section 5.
#
# ## 4 · From a patch to a vector
#
# One linear map for all patches, of C·P·P numbers to D. It is lesson 02's layer, forward and backward, on the patches:
#
# $$\texttt{vectors}_{b,n,d} = \beta_d + \sum_m W_{d,m}\, \texttt{patches}_{b,n,m}$$
#
# In other people's code you will find a **convolution** here: `Conv2d(3, 768, kernel_size=16, stride=16)`. A
# convolution lays a small window (the *kernel*, here of P × P pixels) on the picture, multiplies what it sees with
# weights, adds up, writes one number, and moves on by the *stride*. It does so once for each output channel $d$:
#
# $$y_{b,d,i,j} = \beta_d + \sum_{c,p,q} W_{d,c,p,q}\; x_{b,\;c,\; i\,s + p,\; j\,s + q}$$
#
# If the stride $s$ is the window's size P, the windows lie side by side like tiles, and $x_{b,c,iP+p,jP+q}$ is number
# $m = (cP + p)P + q$ of patch $n$: **it is the same sum**. So the weight is stored as (D, C, P, P), and
# `weight.reshape(D, C·P·P)` is the matrix. We write the convolution naively and compare.

# %%
from edutransformers.layers import Conv2d


def naive_convolution(x, weight, bias, stride):
    """x (B, C, H, W), weight (D, C, P, P) -> (B, D, H′, W′): window after window."""
    D, C, P, _ = weight.shape
    B, _, H, W = x.shape
    y = np.empty((B, D, (H - P) // stride + 1, (W - P) // stride + 1))
    for b, d, i, j in np.ndindex(y.shape):
        window = x[b, :, i * stride : i * stride + P, j * stride : j * stride + P]
        y[b, d, i, j] = (window * weight[d]).sum() + bias[d]
    return y


rng = np.random.default_rng(0)
some, weight, bias = rng.standard_normal((2, 3, 8, 12)), rng.standard_normal((5, 3, 4, 4)), rng.standard_normal(5)
vectors = cut_patches(some, 4) @ weight.reshape(5, -1).T + bias  # (2, 6, 5)
convolved = naive_convolution(some, weight, bias, stride=4)  # (2, 5, 2, 3)
library_convolution = Conv2d(3, 5, kernel_size=4, stride=4).astype("float64")
library_convolution.weight.data, library_convolution.bias.data = weight, bias

as_rows = convolved.reshape(2, 5, -1).transpose(0, 2, 1)  # channels last, the grid as one axis
print("patches and a matrix product against the loop:", f"{np.abs(vectors - as_rows).max():.0e}")
print("the loop against the library's Conv2d:        ", f"{np.abs(convolved - library_convolution(some)).max():.0e}")

# %% [markdown]
# So the word "convolution" promises too much: no window overlaps another, nothing slides. A real one, with overlapping
# windows, comes in lesson 16.
#
# ## 5 · [CLS], and places
#
# The classifier wants *one* vector for the picture. As in BERT, a learned vector, `cls` (1, 1, D), is put in front. It
# belongs to no patch, so the layers can use its place to collect what the answer needs.
#
# And attention doesn't know order (lesson 06): shuffle the patches, and the outputs are shuffled alike. So each of the
# N + 1 places has a learned vector of its own, `positions` (1, N + 1, D), which is added:
#
# $$\texttt{tokens}_{b,0} = \texttt{cls} + \texttt{positions}_0, \qquad
#   \texttt{tokens}_{b,n} = \texttt{vectors}_{b,n-1} + \texttt{positions}_n \quad (n = 1 \dots N)$$


# %%
def picture_tokens(vectors, cls, positions):
    """vectors (B, N, D), cls (1, 1, D), positions (1, N + 1, D) -> tokens (B, N + 1, D)"""
    B, N, D = vectors.shape
    in_front = np.broadcast_to(cls, (B, 1, D))
    return np.concatenate([in_front, vectors], axis=1) + positions


# %% [markdown]
# **The way back.** Each token is a plain sum, so `dx`, the gradient of the tokens, goes to every summand *unchanged*.
# What remains is to see who was used how often. The vector of a patch was used once. But `cls` and each row of
# `positions` were used by every picture of the batch (the formulas have a $b$ on the left and none on those), and
# whoever is used several times collects the sum of the gradients:
#
# $$\boxed{\;\texttt{dvectors}_{b,n-1} = \texttt{dx}_{b,n}, \qquad
#   \texttt{dcls} = \sum_b \texttt{dx}_{b,0}, \qquad
#   \texttt{dpositions}_n = \sum_b \texttt{dx}_{b,n}\;}$$
#
# It is broadcasting read backwards: *an axis along which something was repeated is summed over on the way back.*

# %% [markdown]
# **Exercise 4.** Write `picture_tokens_backward(dx)`, which returns the three gradients, each in the shape of its array.


# %% exercise="picture_tokens_backward"
def picture_tokens_backward(dx):
    """dx (B, N + 1, D) -> dvectors (B, N, D), dcls (1, 1, D), dpositions (1, N + 1, D)"""
    ### BEGIN SOLUTION
    dpositions = dx.sum(axis=0, keepdims=True)
    return dx[:, 1:], dpositions[:, :1], dpositions
    ### END SOLUTION


# %% check="picture_tokens_backward" points=2
from edutransformers.teaching.checks.lesson15 import check_picture_tokens_backward

check_picture_tokens_backward(picture_tokens_backward)

# %% [markdown] hints="picture_tokens_backward"
# `[CLS]` is token 0, the patches are the tokens from 1 on. Which of the three arrays have a batch axis of length 1?
# ---
# Sum over the batch with `dx.sum(axis=0, keepdims=True)`, which keeps the axis and so gives (1, N + 1, D). `dcls` is a
# part of that.
# ---
# ```python
# dpositions = dx.sum(axis=0, keepdims=True)
# dcls = dpositions[:, ...]
# return dx[:, ...], dcls, dpositions
# ```

# %% [markdown]
# ### What the places learned
#
# Nobody told the model which patches are neighbours: it started from random vectors, numbered 1 to 16. We take its
# learned table and ask of each place how much its vector resembles the others' (the cosine of the angle between them).

# %%
from edutransformers import AutoModelForImageClassification

reference = AutoModelForImageClassification.from_pretrained(name).astype("float64").eval()
state = reference.state_dict()
table = state["vit.embeddings.position_embeddings"]  # (1, 17, 64): [CLS] first, then 4 × 4 places
unit = table[0, 1:] / np.linalg.norm(table[0, 1:], axis=-1, keepdims=True)
alike = (unit @ unit.T).reshape(4, 4, 4, 4)  # [row, column] of one place, [row, column] of the other

plots.show(
    lesson_plots.pictures({f"row {i}": alike[i] for i in range(4)}, [f"column {j}" for j in range(4)]),
    alt="A grid of four by four small maps, one for each place of the picture. In each map the place itself is white, and "
    "in most of them its neighbours, above all those beside it in the same row, are lighter than places far away.",
)

# %% [markdown]
# In each little map the place itself is white, and in most of them the next lightest are neighbours, above all in the
# same row. The grid is in the table, because it was in the data.
#
# ### Pictures of another size
#
# A picture of 35 × 35 pixels has 5 × 5 patches, and the table has 4 × 4 rows. What to add? The table is a picture
# itself: D numbers for each place of a grid. So enlarge *it*, as one enlarges a picture: a new place lies between old
# ones, and gets their average, the nearer the more. Along one axis that is a matrix R with a row for each new place,
# whose weights sum to 1; for both axes
#
# $$\texttt{new}_{i'j'} = \sum_{i,j} R_{i'i}\; \texttt{old}_{ij}\; R_{j'j}$$
#
# Its backward pass is the transposed matrices, as for all that is linear. The weights below are
# "bicubic", as the original's: they belong to a smooth curve through the old places, which swings a little beyond them, and
# so a few weights are below 0.

# %%
from edutransformers.functional.interpolation import interpolation_matrix

R = interpolation_matrix(4, 5, "bicubic", False, table)

plots.show(
    lesson_plots.matrices(
        [R], ["R: five places of four"], [f"new {i}" for i in range(5)], [f"old {i}" for i in range(4)],
        note="each row adds up to 1; the middle one lies just between two old places",
    ),
    alt="A matrix of five rows and four columns. The first row is nearly all old place 0, the last nearly all old place 3; the "
    "middle row takes the old places 1 and 2 alike, and a little of places 0 and 3 away.",
)  # fmt: skip

# %% [markdown]
# Is it worth the trouble? We show the model 50 digits of each size and fill the table in four ways. "As a text": the
# sixteen rows are stretched as if they stood in one line. "Padded": the first sixteen patches get the old rows, the
# others zeros. "None": everywhere the same vector.


# %%
def table_for(grid, way):
    """The learned table for grid × grid places -> (1, 1 + grid², D)"""
    places = table[0, 1:]
    if way == "as a grid":
        R = interpolation_matrix(4, grid, "bicubic", False, table)
        places = np.einsum("ai,bj,ijd->abd", R, R, places.reshape(4, 4, -1)).reshape(grid * grid, -1)
    elif way == "as a text":
        places = interpolation_matrix(16, grid * grid, "bicubic", False, table) @ places
    elif way == "padded":
        places = np.concatenate([places, np.zeros((grid * grid - 16, places.shape[1]))])
    else:
        places = np.repeat(places.mean(axis=0, keepdims=True), grid * grid, axis=0)
    return np.concatenate([table[:, :1], places[None]], axis=1)


def fifty_digits(size):
    """Pixel values (50, 3, size, size): the digits 0 … 9, each five times."""
    rng = np.random.default_rng(1)
    shown = np.stack([np.asarray(draw_digit(n % 10, rng, size)) for n in range(50)])
    return to_pixel_values(np.repeat(shown[..., None], 3, axis=-1), half, half)


def share_right(shown, way):
    """How many of the digits the model reads."""
    size = shown.shape[-1]
    embeddings = reference.vit.embeddings
    embeddings.position_embeddings.weight.data = table_for(size // 7, way)
    embeddings.position_embeddings.grid, embeddings.image_size = (size // 7, size // 7), (size, size)
    return np.mean(reference(shown).logits.argmax(axis=-1) == np.arange(50) % 10)


print(f"{'pixels':>8}{'patches':>9}", *(f"{way:>11}" for way in ("as a grid", "as a text", "padded", "none")))
for size in (28, 35, 42):
    shown = fifty_digits(size)
    shares = [share_right(shown, way) for way in ("as a grid", "as a text", "padded", "none")]
    print(f"{size:>8}{(size // 7) ** 2:>9}", *(f"{share:11.0%}" for share in shares))
reference = AutoModelForImageClassification.from_pretrained(name).astype("float64").eval()  # as it was

# %% [markdown]
# Without places it still gets about half of them: a bag of patches says something. At other sizes only the grid keeps
# most of its reading, and even so it loses a quarter or more, because the *pieces* have changed as well: the pen is
# thicker in each patch, and patches hold other parts of a digit. That is why one interpolates first and then trains on
# a little.

# %% [markdown]
# ## 6 · What a patch costs
#
# P is the one number of a ViT that is a matter of taste. Halve it, and there are four times as many tokens:
#
# $$N = \frac{H\,W}{P^2}, \qquad T = N + 1 .$$
#
# A matrix product of (m, k) and (k, n) takes $2mkn$ operations (a product and a sum each). Counted for one layer:
#
# | | products | operations |
# |---|---|---|
# | queries, keys, values, output | four of (T, D) with (D, D) | $8\,T D^2$ |
# | feed-forward | (T, D) with (D, F), (T, F) with (F, D) | $4\,T D F$ |
# | scores and mixing, all heads | (T, D) with (D, T), (T, T) with (T, D) | $4\,T^2 D$ |
#
# and the embedding of the patches $2 \cdot N \cdot C P^2 \cdot D = 2\,C H W D$, whatever P is. The first two lines grow
# with T, that is with $1/P^2$; the third with $T^2$, that is with $1/P^4$. When does attention overtake the rest? When
# $4T^2D > 8TD^2 + 4TDF$, that is
#
# $$T > 2D + F .$$


# %%
def forward_operations(pixels, P, D, F, layers, classes, C=3):
    """Of a picture of pixels × pixels: (what grows with T, what grows with T²)"""
    N = (pixels // P) ** 2
    T = N + 1
    linear = layers * (8 * T * D * D + 4 * T * D * F) + 2 * N * C * P * P * D + 2 * D * classes
    return linear, layers * 4 * T * T * D


from edutransformers.teaching.flops import flops_report

counted = flops_report(reference, {"pixel_values": x[:1], "labels": np.array([0])}).of("forward")
print("the small ViT, one picture: by the formula", sum(forward_operations(28, 7, 64, 128, 6, 10)), "counted", counted)
base = {P: forward_operations(224, P, 768, 3072, 12, 1000) for P in (2, 4, 7, 8, 14, 16, 28, 32, 56, 112)}
print("ViT-B, 224 × 224 pixels:   P    tokens    billions of operations    of these for T²")
for P in (32, 16, 8, 4):
    linear, quadratic = base[P]
    share = quadratic / (linear + quadratic)
    print(f"{P:>28}{(224 // P) ** 2 + 1:>10}{(linear + quadratic) / 1e9:>26.1f}{share:>19.0%}")

plots.show(
    lesson_plots.curves(
        list(base),
        {"maps and feed-forward, ∝ T": [linear / 1e9 for linear, _ in base.values()],
         "scores and mixing, ∝ T²": [quadratic / 1e9 for _, quadratic in base.values()]},
        "patch size P (pixels)", "billions of operations", "ViT-B on a picture of 224 × 224 pixels, forward", "xy",
    ),
    alt="Operations over the patch size, both logarithmic. Both fall as patches grow, the quadratic part twice as steeply. "
    "They cross between 2 and 4 pixels; at the usual 16 the quadratic part is about a twentieth of the other.",
)  # fmt: skip

# %% [markdown]
# Two things to remember. At the usual P = 16 the famous square of attention is *not* the cost: the maps and the
# feed-forward layer are. And words of one pixel (P = 1, 50,177 tokens) would cost nearly 3,000 times as much, almost
# all of it for the square: that is why one takes patches at all. Smaller ones read finer detail; whether that pays,
# only training tells.
#
# ## 7 · The model, assembled
#
# The rest is lesson 09's, with one change in each block: the norms stand *in front of* attention and feed-forward,
# inside the branch, and the shortcut goes past them untouched.
#
# $$a = x + \text{attention}(\text{norm}(x)), \qquad y = a + \text{feed-forward}(\text{norm}(a))$$
#
# Backwards, by lesson 03's rule for a shortcut: what arrives goes to both summands, and their gradients add up where they
# met. Read the backward passes below from the last line of the forward to its first.

# %%
from edutransformers.layers import FeedForward, LayerNorm, Linear, MultiHeadAttention
from edutransformers.module import Module, ModuleList, Parameter


class Block(Module):
    def __init__(self, D, heads, F):
        self.norm_before, self.norm_after = LayerNorm(D, 1e-12), LayerNorm(D, 1e-12)
        self.attention, self.feed_forward = MultiHeadAttention(D, heads), FeedForward(D, F)

    def forward(self, x):
        normed, cache_1 = self.norm_before.forward(x)
        (mixed, weights), cache_2 = self.attention.forward(normed, return_weights=True)
        a = x + mixed
        normed, cache_3 = self.norm_after.forward(a)
        f, cache_4 = self.feed_forward.forward(normed)
        return (a + f, weights), (cache_1, cache_2, cache_3, cache_4)

    def backward(self, dy, cache):
        cache_1, cache_2, cache_3, cache_4 = cache
        da = dy + self.norm_after.backward(self.feed_forward.backward(dy, cache_4), cache_3)
        return da + self.norm_before.backward(self.attention.backward(da, cache_2), cache_1)


class VisionTransformer(Module):
    def __init__(self, pixels, P, D, heads, F, layers, classes, C=3):
        self.P = P
        self.patch_map = Linear(C * P * P, D)
        self.cls = Parameter(np.zeros((1, 1, D)))
        self.positions = Parameter(np.zeros((1, (pixels // P) ** 2 + 1, D)))
        self.blocks = ModuleList(Block(D, heads, F) for _ in range(layers))
        self.norm, self.head = LayerNorm(D, 1e-12), Linear(D, classes)

    def forward(self, x):
        """x (B, C, H, W) -> scores (B, classes), cache"""
        vectors, map_cache = self.patch_map.forward(cut_patches(x, self.P))
        tokens = picture_tokens(vectors, self.cls.data, self.positions.data)
        block_caches, attentions = [], []
        for block in self.blocks:
            (tokens, weights), cache = block.forward(tokens)
            block_caches.append(cache)
            attentions.append(weights)
        normed, norm_cache = self.norm.forward(tokens)
        scores, head_cache = self.head.forward(normed[:, 0])  # [CLS] alone
        cache = {"map": map_cache, "blocks": block_caches, "norm": norm_cache, "head": head_cache,
                 "shape": x.shape, "tokens": tokens.shape, "attentions": attentions}  # fmt: skip
        return scores, cache

    def backward(self, dscores, cache):
        """dscores (B, classes) -> dx (B, C, H, W)"""
        dnormed = np.zeros(cache["tokens"])
        dnormed[:, 0] = self.head.backward(dscores, cache["head"])  # the other tokens were not asked
        dtokens = self.norm.backward(dnormed, cache["norm"])
        for block, block_cache in zip(reversed(self.blocks), reversed(cache["blocks"])):
            dtokens = block.backward(dtokens, block_cache)
        dvectors, dcls, dpositions = picture_tokens_backward(dtokens)
        self.cls.accumulate(dcls)
        self.positions.accumulate(dpositions)
        return cut_patches_backward(self.patch_map.backward(dvectors, cache["map"]), self.P, cache["shape"])


# %% [markdown]
# First the check, on a tiny one with random parameters: every parameter, and the pixels.

# %%
from edutransformers import gradient_check

tiny = VisionTransformer(pixels=6, P=3, D=8, heads=2, F=12, layers=2, classes=5)
for parameter in tiny.parameters():
    parameter.data = rng.normal(0.1, 0.4, parameter.shape)
report = gradient_check(tiny, rng.standard_normal((2, 3, 6, 6)), samples=6, randomize=False)
print(f"{len(report.comparisons)} arrays checked, all within {report.comparisons[0].tolerance:.0e}: {report.passed}")

# %% [markdown]
# Now the real weights. A checkpoint is a dictionary from names to arrays; its names are not ours, so a table says what
# is called what. One array has another shape: the "convolution" of section 4.

# %%
ours_theirs = {
    "patch_map": "vit.embeddings.patch_embeddings.projection", "cls": "vit.embeddings.cls_token",
    "positions": "vit.embeddings.position_embeddings", "blocks.": "vit.encoder.layer.",
    "norm_before": "layernorm_before", "norm_after": "layernorm_after", "attention.query": "attention.attention.query",
    "attention.key": "attention.attention.key", "attention.value": "attention.attention.value",
    "attention.output": "attention.output.dense", "feed_forward.up": "intermediate.dense",
    "feed_forward.down": "output.dense", "norm.": "vit.layernorm.", "head.": "classifier.",
}  # fmt: skip
vit = VisionTransformer(pixels=28, P=7, D=64, heads=4, F=128, layers=6, classes=10).astype("float64")
left = set(state)
for own_name, parameter in vit.named_parameters():
    their_name = own_name
    for own_part, their_part in ours_theirs.items():
        their_name = their_name.replace(own_part, their_part)
    parameter.data = state[their_name].reshape(parameter.shape).copy()
    left.remove(their_name)
print(f"{vit.num_parameters():,} numbers loaded; arrays of the checkpoint that found no place: {len(left)}")

scores, cache = vit.forward(x)
difference = np.abs(scores - reference(x).logits).max()
print(
    f"it reads {scores.argmax(axis=-1)}, and its scores differ from the library's by less than 1e-10: {difference < 1e-10}"
)
assert difference < 1e-10

# %% [markdown]
# All ten right, of digits that it never saw. And the original's numbers? For a picture of waves, which is no digit at
# all but the same on every machine, `transformers` 5.23 with torch 2.13 gives in float64, for the same checkpoint:

# %%
TORCH_LOGITS = [
    [-4.091978860217, -3.024091996552, -1.230800180427, -1.105953243714, -1.108180226517,
     2.433051947094, 2.786966580590, -4.393665946110, 9.089937113974, -2.468559340873],
    [-0.855081296920, -2.789962861411, 2.603444837166, -2.197730828557, 2.887076930688,
     -4.684855172865, 4.393637763005, -4.830588615875, 4.966709997757, -1.760947274658],
]  # fmt: skip
TORCH_PIXEL_GRADIENTS = [0.066275321997, 0.043990828312, -0.010134515138, -0.017240954843]  # pixels [0, 0, 10, 10:14]

h, w = np.mgrid[:28, :28]
waves = np.stack([[np.sin(0.3 * h + 0.2 * c) * np.cos(0.2 * w * (b + 1)) for c in range(3)] for b in range(2)])
wave_scores, wave_cache = vit.forward(waves)
wave_dx = vit.backward(np.eye(10)[wave_scores.argmax(axis=-1)], wave_cache)
four = wave_dx[0, 0, 10, 10:14]
print(f"largest difference of the logits    {np.abs(wave_scores - TORCH_LOGITS).max():.0e}")
print(f"largest difference of the gradients {np.abs(four - TORCH_PIXEL_GRADIENTS).max():.0e}")
assert np.allclose(wave_scores, TORCH_LOGITS, atol=1e-10)
assert np.allclose(four, TORCH_PIXEL_GRADIENTS, atol=1e-10)

# %% [markdown]
# ## 8 · Where does it look? First answer: attention
#
# `[CLS]` begins as a vector that knows nothing of the picture. What it knows in the end came to it through attention,
# and a layer's weights say from where: $A_{t,s}$ is how much token $t$ takes from token $s$, and each row adds up to 1.
#
# One would like to draw the last layer's row of `[CLS]`. But in the last layer token $s$ is no longer patch $s$: five
# layers have mixed it with others. So follow the shares through all layers. **Attention rollout** (Abnar and Zuidema,
# 2020) does that with three simplifications: average a layer's heads; forget what the value and feed-forward maps do;
# and count the shortcut, which carries each token past the attention, as one half:
#
# $$\hat A_\ell = \tfrac12\big(\bar A_\ell + 1\big)$$
#
# where $\bar A_\ell$ is the mean of layer $\ell$'s heads and 1 the identity matrix. If after layer 1 the tokens are
# made of the patches by the shares $\hat A_1$, then after layer 2 token $t$ is made of
#
# $$\sum_u \hat A_{2,\,t,u}\; \hat A_{1,\,u,s} = (\hat A_2\, \hat A_1)_{t,s}$$
#
# of token $s$, and after all L layers
#
# $$\hat A_L \cdots \hat A_2\, \hat A_1 .$$
#
# The *later* layer stands on the *left*. Of this matrix we take the row of `[CLS]`, leave out its share in itself, and
# divide by the sum, so that the N shares of the patches add up to 1.

# %% [markdown]
# **Exercise 5.** Write `rollout(attentions)`: a list of arrays (B, heads, T, T), the first layer first, to shares (B, N).


# %% exercise="rollout"
def rollout(attentions):
    """A list of (B, heads, T, T), [CLS] first -> (B, N): each patch's share in the last [CLS]."""
    ### BEGIN SOLUTION
    shares = np.eye(attentions[0].shape[-1])
    for weights in attentions:
        mean = weights.mean(axis=1)  # (B, T, T)
        shares = 0.5 * (mean + np.eye(mean.shape[-1])) @ shares
    of_cls = shares[:, 0, 1:]
    return of_cls / of_cls.sum(axis=-1, keepdims=True)
    ### END SOLUTION


# %% check="rollout" points=2
from edutransformers.teaching.checks.lesson15 import check_rollout

check_rollout(rollout)

# %% [markdown] hints="rollout"
# Start with the identity matrix, `np.eye(T)`: before the first layer, each token is made of itself. Then take layer
# after layer.
# ---
# One layer: `mean = weights.mean(axis=1)` is (B, T, T); `step = (mean + np.eye(T)) / 2`; then the shares so far are
# multiplied from the left, `step @ shares` (with `@`, which is a matrix product for each picture). In the end take row
# 0, columns 1 to N.
# ---
# ```python
# shares = np.eye(attentions[0].shape[-1])
# for weights in attentions:
#     mean = weights.mean(axis=1)
#     shares = ... @ shares
# of_cls = shares[:, ..., ...]
# return of_cls / of_cls.sum(axis=-1, keepdims=True)
# ```

# %%
from edutransformers.teaching.picture_attention import attention_on_pictures

shares = rollout(cache["attentions"])
last_layer = cache["attentions"][-1].mean(axis=1)[:, 0, 1:]
print(f"on {np.mean(shares > 1 / 16):.0%} of the patches lies more than an even share, 1/16")
ink = np.array([[patch.max() > 0 for patch in row] for row in patches])  # patches with light pixels
print(f"of the attention {shares[ink].sum() / len(x):.0%} is on patches with ink, which are {ink.mean():.0%} of all")

plots.show(
    attention_on_pictures(grey, shares, [str(answer) for answer in scores.argmax(axis=-1)]),
    alt="Ten digits, and below each the same with its sixteen patches tinted, light where rollout gives a large share. The "
    "light patches are mostly some that hold a part of the stroke; empty corners are dark.",
)

# %% [markdown]
# Coarse, as it must be (sixteen patches), and at first sight plausible. But look at the two lines above the picture:
# the patches with ink get little more than an even share. The shortcuts' halves and six layers of averaging blur
# everything. And rollout never looked at what was *asked*: it would be the same picture for "why a 7?" and for "why not
# a 1?".
#
# ## 9 · Second answer: the gradient
#
# Lesson 01 asked: how does the loss change when one number changes a little? Now the number is a pixel, and instead of
# the loss we take the **score of one class**, $s = \texttt{scores}_{k}$. Its gradient with respect to the scores
# themselves is 1 at $k$ and 0 elsewhere, so that is what we hand to the backward pass; through head, norm, six blocks,
# patch map, and your `cut_patches_backward` it arrives at the pixels. This is called **saliency**. No weight is
# changed: only the last line, `dx`, is wanted. The grey pixel stands in all three channels, so its gradient is their
# sum.

# %%
answers = scores.argmax(axis=-1)
dx = vit.backward(np.eye(10)[answers], cache)  # (10, 3, 28, 28)
saliency = dx.sum(axis=1)  # (10, 28, 28): one number a grey pixel


def score(pixels, k):
    """pixels (…, 28, 28) -> the score of class k for each"""
    return vit.forward(np.repeat(pixels[:, None], 3, axis=1))[0][:, k]


pixels = x[:, 0]  # (10, 28, 28), from −1, paper, to 1, ink
print("  digit  pixel       by the backward pass   by central differences")
for digit, row, column in ((2, 8, 17), (7, 12, 15), (9, 20, 14)):
    moved = np.stack([pixels[digit]] * 2)
    moved[:, row, column] += 1e-5, -1e-5
    above, below = score(moved, answers[digit])
    print(f"{digit:7}  [{row}, {column}]{saliency[digit, row, column]:+23.8f}{(above - below) / 2e-5:+25.8f}")

# %% [markdown]
# It is right to eight digits, through six layers. Drawn apart, what would raise the score if it became lighter and what
# would lower it (each digit on its own scale, the strongest hundredth of the pixels all white), and below, for
# comparison, the patches of rollout:

# %%
chosen = [2, 3, 4, 7, 9]
strongest = np.quantile(np.abs(saliency[chosen]), 0.99, axis=(1, 2), keepdims=True)
up, down = np.clip(saliency[chosen] / strongest, 0, 1), np.clip(-saliency[chosen] / strongest, 0, 1)

plots.show(
    lesson_plots.pictures(
        {"digit": pixels[chosen],
         "ink here\nraises s": up,
         "ink here\nlowers s": down,
         "rollout": shares[chosen].reshape(-1, 4, 4)},
        [f"s: score of {answers[digit]}" for digit in chosen],
    ),
    alt="Five digits in the first row; below each the pixels with positive gradient, then those with negative gradient, then "
    "rollout's patches. The gradients are speckled, on the stroke and beside it, often strong in places without ink, and "
    "along the borders of the patches.",
)  # fmt: skip

# %% [markdown]
# Speckles: neighbouring pixels have opposite signs, and much lies on black paper. That is no mistake. The gradient
# answers a narrow question, *what if this one pixel changed a very little, and nothing else*, and no pen ever changed
# one pixel. Nor is it noise: move *all* pixels by the same small step, each in the direction that lowers the score, and
# compare with steps of that size in random directions.

# %%
random_signs = np.sign(np.random.default_rng(0).standard_normal(pixels.shape))
print("step   along −dx: mean score, misread     at random: mean score, misread")
for step in (0.05, 0.1, 0.2):  # of the 2 between paper and ink
    line = f"{step:4}"
    for direction in (np.sign(saliency), random_signs):
        moved = vit.forward(np.repeat((pixels - step * direction)[:, None], 3, axis=1))[0]
        line += f"{moved[np.arange(10), answers].mean():18.1f}{np.sum(moved.argmax(axis=-1) != answers):9} of 10  "
    print(line)

# %% [markdown]
# With steps of a tenth of the way from paper to ink, a faint speckle to the eye, all ten digits are misread, while random
# steps of that size do nothing. Such inputs are called *adversarial*; they are another thing that a gradient with respect
# to the input is good for.
#
# ## 10 · The check: cover it up
#
# What one really means by "where does it look" can be tried out: paint a window of the picture black, as paper is, and
# see how far the score falls. This is **occlusion**. It needs one forward pass for each place of the window, no
# gradient, and it is what a saliency map claims to predict. For a change of $x$ into $x'$ the gradient says
#
# $$s(x) - s(x') \;\approx\; \sum_{h,w} \texttt{dx}_{h,w}\,(x_{h,w} - x'_{h,w})$$
#
# Taylor's series, first term. So we compare the two: for all windows of 4 × 4 pixels, and for four strengths, from
# fading the window by a hundredth to making it black.

# %%
places = [(row, column) for row in range(0, 25, 3) for column in range(0, 25, 3)]


def covered(picture, strength):
    """The picture (28, 28) with one window after the other faded to paper -> (81, 28, 28)"""
    copies = np.stack([picture] * len(places))
    for copy, (row, column) in zip(copies, places):
        window = copy[row : row + 4, column : column + 4]
        window += strength * (-1.0 - window)
    return copies


def true_and_predicted(digit, strength):
    """For each window, how far the score falls, and how far the gradient says it does."""
    copies = covered(pixels[digit], strength)
    before = score(pixels[digit : digit + 1], answers[digit])
    true = before - score(copies, answers[digit])
    return true, (saliency[digit] * (pixels[digit] - copies)).sum(axis=(1, 2))


print("faded by   correlation of both   typical error of the prediction, in parts of the true change")
for strength in (0.01, 0.1, 0.3, 1.0):
    drops = [true_and_predicted(digit, strength) for digit in chosen]
    true, predicted = (np.concatenate(column) for column in zip(*drops))
    error = np.sqrt(np.mean((predicted - true) ** 2) / np.mean(true**2))
    print(f"{strength:8.0%}{np.corrcoef(true, predicted)[0, 1]:22.2f}{error:20.0%}")

# %%
plots.show(
    lesson_plots.pictures(
        {"digit": pixels[chosen],
         "covered:\ns falls by": [np.maximum(true, 0).reshape(9, 9) for true, _ in drops],
         "the gradient\nhad said": [np.maximum(predicted, 0).reshape(9, 9) for _, predicted in drops],
         "rollout": shares[chosen].reshape(-1, 4, 4)},
        [f"s: score of {answers[digit]}" for digit in chosen],
    ),
    alt="Five digits; below each a map of how far its score falls when a window there is painted black, what the gradient had "
    "predicted, and rollout's patches. The true falls lie along parts of the stroke, such as the foot of the 2, the crossing of the "
    "4 and the loop of the 9. The predictions agree with them in part only.",
)  # fmt: skip

# %% [markdown]
# For a faint fading the gradient is right: that is what a derivative is, and it is the last proof that ours is correct.
# For a window painted black it is a poor prophet. So the three answers are answers to three questions:
#
# | | asks | costs | doesn't say |
# |---|---|---|---|
# | rollout | from where *could* information have come? | one forward pass | which class; what the values and the feed-forward layers did with it |
# | gradient | what would a *small* change do? | one backward pass | what a large one does |
# | occlusion | what happens *if it is not there*? | a forward pass a window | what several windows do together; and a black hole is no digit either |

# %% [markdown] instructor=true
# Good questions here: Why is the gradient on paper not zero, when occlusion of paper does nothing at all? (The pixel is
# already −1: $x - x' = 0$. The gradient says what *ink* would do there.) Why does rollout give empty patches anything?
# (Softmax is never 0, and some empty patches serve as a place to store what the whole picture has in common:
# "registers".) A common wrong answer in Exercise 5 is the product in the opposite order. It is right where the
# layers' matrices commute, and always for a single layer, which is why the checker has several.

# %% [markdown]
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | all pictures get the same label, nothing fails | bytes, or numbers from 0 to 1, where the model wants −1 to 1 |
# | the shapes are right, the model learns badly | `reshape` alone: strips instead of squares; or the channels in another order than the weight's |
# | colours are wrong in a plot | (C, H, W) shown as (H, W, C); move the axis with `transpose`, not with `reshape` |
# | the result is the same for a shuffled picture | the positions were not added |
# | an error about 17 and 26 tokens | a picture of another size: interpolate the table, without `[CLS]`'s row |
# | pixels at the right edge have gradient 0 | they are in no patch: the width is no multiple of P |
# | gradients of `cls` grow with the batch | so they should: a sum over the batch; it is the *loss* that has the mean |
#
# ## What the library does more than you did
#
# * its patches may be **oblong**, and the picture need not be a multiple of them: what is left over gets gradient 0;
# * its image processor **resizes**, takes files, bytes and other layouts, and says what it was given if it can't read it;
# * **hidden patches**: `ViTForMaskedImageModeling` puts a learned vector in place of some and paints them; the painter's last
#   layer is your `cut_patches_backward`, run forward;
# * positions are **interpolated with a backward pass**, so one can go on training at another size;
# * dropout, head masks, several kinds of labels, and the batch split over threads.

# %%
from edutransformers import ViTForImageClassification, ViTImageProcessor
from edutransformers.functional.interpolation import interpolate, interpolate_backward
from edutransformers.functional.patches import cut_into_patches, join_patches
from edutransformers.layers import GridPositions, PatchEmbedding
from edutransformers.models.vit import ViTEmbeddings, ViTLayer
from edutransformers.teaching.picture_attention import attention_rollout
from edutransformers.teaching.read_on import read_on

read_on(
    cut_into_patches, join_patches, PatchEmbedding, GridPositions, interpolate, interpolate_backward, ViTEmbeddings,
    ViTLayer, ViTForImageClassification, ViTImageProcessor, attention_rollout,
)  # fmt: skip

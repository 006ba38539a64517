# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: Arrays, broadcasting, and the backend switch
#     minutes: 90
#     goal: You know what an array is down to its memory, predict the shape of every expression, replace loops by axes, and write functions once that run on a CPU and on a GPU.
#     needs: []
# ---

# %% [markdown]
# A transformer is a few tables of numbers and some thirty lines of arithmetic on them. The numbers come in **arrays**,
# and nearly every mistake that a beginner makes is a mistake about arrays: an axis in the wrong place, a sum over the
# wrong axis, two shapes that fit by accident. So this course begins here. You need Python, and nothing else.
#
# **How the lessons work.** Run the cells from top to bottom (Shift + Enter). In an exercise, put your lines where it
# says `raise NotImplementedError`, then run the cell below it: a checker calls your function with fresh numbers and
# says what is right, or what is wrong and what it may have been. Below it wait three hints, each more telling than the
# one before. If a checker finds a mistake, it keeps what your function was called with:
# `your_function(*check_name.failed_on)`.

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.shapes(
        [("a word", (6,), "D"), ("a text", (4, 6), "T D"), ("a batch of texts", (3, 4, 6), "B T D")],
        title="One, two and three axes",
    ),
    alt="Three boxes of cells. A word is a row of D = 6 numbers. A text is a table of T = 4 rows, one for each word, and "
    "D = 6 columns. A batch is B = 3 such tables behind each other.",
)

# %% [markdown]
# That is what these models see: a word is D numbers (a **vector**), a text of T words is a table, and B texts together are a block.
# The same letters stand for the same things in all lessons:
#
# | letter | the number of … | letter | the number of … |
# |---|---|---|---|
# | B | examples in a **b**atch | K | numbers of one head (H · K = D) |
# | T | **t**okens: words and pieces of words | F | numbers inside a feed-forward layer |
# | D | numbers that describe a token, the wi**d**th | V | words in the **v**ocabulary |
# | H | **h**eads, in attention | C | **c**lasses, or the **c**hannels of a picture |
#
# You don't need to know yet what a head is. What counts: **a shape is written as letters**, `x (B, T, D)`, and whoever
# can say the shape of every expression of a program has understood half of it.
#
# ## 1 · Arrays, axes, reductions
#
# An array is a block of numbers of *one* type with a *shape*. It has no rows of different lengths and nothing but
# numbers in it; in return, one instruction works on all of them.

# %%
x = np.array(
    [[[0.0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]], [[0, 10, 20], [30, 40, 50], [60, 70, 80], [90, 95, 99]]]
)

print("shape", x.shape, "  axes", x.ndim, "  numbers", x.size, "  type", x.dtype)
print("x[1, 2, 0]   one number     ", x[1, 2, 0])
print("x[0].shape   the first text ", x[0].shape)
print("x[:, -1].shape   the last token of each text   ", x[:, -1].shape)
print("x[..., 0].shape  the first number of each token", x[..., 0].shape)
print("x[:, 1:3].shape  tokens 1 and 2 of each text   ", x[:, 1:3].shape)
print("(2 * x + 1)[0, 0]   all numbers at once        ", (2 * x + 1)[0, 0])

# %% [markdown]
# An index counts from 0, or from the end with a minus. A whole number **takes its axis away**. A slice `start:stop`
# keeps it and ends before `stop`; `:` is all of it, `::2` every second place, `::-1` all of it backwards; `...` stands
# for all axes that aren't mentioned.
#
# A **reduction** makes one number of many: `sum`, `mean`, `max`. `axis=` says which axis *disappears*. Read
# `x.sum(axis=1)` as "add up along axis 1", or: $y_{bd} = \sum_t x_{btd}$. The index under the sum is the axis that
# goes.

# %%
print("x            ", x.shape)
print("x.sum()      ", x.sum().shape, " everything:", x.sum())
print("x.sum(axis=0)", x.sum(axis=0).shape, " over the batch")
print("x.sum(axis=1)", x.sum(axis=1).shape, " over the tokens")
print("x.sum(axis=2)", x.sum(axis=2).shape, " over each token's numbers; the same as axis=-1, the last one")
print("x.sum(axis=-1, keepdims=True)", x.sum(axis=-1, keepdims=True).shape, " the axis stays, with length 1")

# %% [markdown]
# `keepdims=True` looks like a detail. It is what makes the result fit the array that it came from, as we will see.
#
# Why not lists and loops? Because a Python loop looks up the type of every number, every time. An array's instruction
# looks once, and then runs through memory as fast as memory can deliver.

# %%
import timeit

numbers = [float(number) for number in range(20_000)]
array = np.array(numbers)
loop = min(timeit.repeat(lambda: [2 * number + 1 for number in numbers], number=1, repeat=30))
whole = min(timeit.repeat(lambda: 2 * array + 1, number=1, repeat=30))
print(f"2x + 1 for 20,000 numbers: the loop takes about {float(f'{loop / whole:.1g}'):.0f} times as long")

# %% [markdown]
# ## 2 · What an array is: memory, shape, strides
#
# Memory is one long row of numbers. It has no rows and columns. An array is a *way of reading* it:
#
# * where it **starts**,
# * its **shape**,
# * its **strides**: for each axis, how far one has to go in memory for one step along that axis.
#
# The number at place $(i, j)$ of an array with strides $(s_0, s_1)$ is
#
# $$x_{ij} = \text{memory}\,[\,\text{start} + i\, s_0 + j\, s_1\,],$$
#
# and with more axes there are more terms. That is all. In the memory below, each number is its own place, so you can
# read off where in memory an array's numbers are. (NumPy gives strides in bytes. A float64 has 8 of them, so we divide
# by 8.)

# %%
memory = np.arange(12.0)  # 0, 1, 2, …, 11
x = memory.reshape(3, 4)
views = {"x": x, "x.T": x.T, "x[::-1, ::2]": x[::-1, ::2]}

for name, view in views.items():
    strides = tuple(step // view.itemsize for step in view.strides)
    print(f"{name:13} shape {view.shape}   strides {strides}   same memory as x: {np.shares_memory(x, view)}")

plots.show(
    lesson_plots.matrices(
        list(views.values()), list(views), form="{:.0f}",
        note="each number is its place in memory: three ways of reading the same twelve numbers",
    ),
    alt="Three tables made of the numbers 0 to 11. x has three rows of four: 0 1 2 3, 4 5 6 7, 8 9 10 11. Its transpose has "
    "columns in place of rows. The third has every second column of x, with the rows from the last to the first: 8 10, 4 6, "
    "0 2.",
)  # fmt: skip

# %% [markdown]
# Nothing was copied. To transpose, NumPy swaps two strides. To take every second column, it doubles one. To turn the
# rows around, it starts at the last row and goes backwards with a negative stride. However large the array is, this
# costs nothing.
#
# **Exercise 1.** Write `read_by_strides(memory, start, shape, strides)`: make the array that these four describe, one
# number after another. Strides count numbers, not bytes. `np.ndindex(3, 4)` goes through the places (0, 0), (0, 1), …,
# (2, 3), for any number of axes, and `x[place]` is the number at the place `place`. (One loop in Python is fine here.)


# %% exercise="read_by_strides"
def read_by_strides(memory, start, shape, strides):
    """memory (a row of numbers), a start, a shape, a stride for each axis -> the array of this shape"""
    ### BEGIN SOLUTION
    x = np.empty(shape)
    for place in np.ndindex(*shape):
        x[place] = memory[start + sum(index * stride for index, stride in zip(place, strides))]
    return x
    ### END SOLUTION


# %% check="read_by_strides" points=2
from edutransformers.teaching.checks.lesson00 import check_read_by_strides

check_read_by_strides(read_by_strides)

# %% [markdown] hints="read_by_strides"
# Make an empty array of the right shape, `x = np.empty(shape)`, and fill it place by place with the formula above.
# ---
# `place` is a tuple with one index for each axis, and `strides` has one stride for each axis. The way to go in memory
# is the sum of their products: index · stride for the first axis, plus index · stride for the second, …
# ---
# ```python
# x = np.empty(shape)
# for place in np.ndindex(*shape):
#     way = sum(index * stride for index, stride in zip(place, strides))
#     x[place] = memory[...]        # where does it begin?
# return x
# ```

# %%
print("x           \n", read_by_strides(memory, 0, (3, 4), (4, 1)))
print("its diagonal", read_by_strides(memory, 0, (3,), (5,)), "  one stride of 4 + 1")
print("stride 0     \n", read_by_strides(memory, 4, (3, 4), (0, 1)))

# %% [markdown]
# Look at the last one: with a stride of **0** an axis repeats what is there, without storing it. Keep that in mind
# until the next section.
#
# ### Views and copies
#
# What reads the same memory is a **view**. Writing into a view writes into the original. What has memory of its own is
# a **copy**. You have to know which is which:
#
# | shares memory (a view) | new memory (a copy) |
# |---|---|
# | slices: `x[1:3]`, `x[:, ::2]`, `x[0]` | lists or arrays of indices: `x[[0, 2]]`; those where it is true: `x[x > 0]` |
# | `x.T`, `x.transpose(…)`, `x.swapaxes(…)` | results of arithmetic: `x + 1`, `x @ y`, `np.exp(x)` |
# | `x.reshape(…)`, if strides can say it | `x.reshape(…)`, if they can't (as after `.T`); `x.copy()` |
# | `x[:, None]` (a new axis of length 1) | `x.astype(…)` |
# | `y = x` (not even a view: the same array) | |

# %%
first_row = x[0]  # a view
first_row += 100  # in place
print("x[0] after `first_row += 100`:", x[0])
first_row = first_row - 100  # a new array; the name now means that one
print("x[0] after `first_row = first_row - 100`:", x[0])
x[0] -= 100
print("x.T.reshape(12) is a", "view" if np.shares_memory(x, x.T.reshape(12)) else "copy", end="; ")
print("x.reshape(12) is a", "view" if np.shares_memory(x, x.reshape(12)) else "copy")

# %% [markdown]
# `a += b` writes into the array that `a` is; `a = a + b` makes a new one. The first saves memory, and surprises
# everyone else who holds that array. Hence a rule of this library: **a layer never writes into what it is given.**
#
# And one that costs people days: `reshape` **never swaps axes**. It reads the same numbers in the same order and only
# sets the line breaks elsewhere. (3, 4) → (4, 3) by `reshape` has the shape of the transpose, and not its numbers.

# %%
plots.show(
    lesson_plots.matrices([x, x.T, x.reshape(4, 3)], ["x (3, 4)", "x.T (4, 3)", "x.reshape(4, 3)"], form="{:.0f}"),
    alt="The table x with the numbers 0 to 11 in three rows of four; its transpose, where the first row is 0 4 8; and x "
    "reshaped to four rows of three, where the first row is 0 1 2. The last two have the same shape and different numbers.",
)

# %% [markdown]
# ## 3 · Broadcasting
#
# `x * 2` doubles all numbers: a single number goes with every place. **Broadcasting** is this idea for every axis. Two
# shapes are written below each other, *aligned on the right*. In each column
#
# * equal sizes go together, number by number;
# * a **1** (or nothing at all) is repeated as often as the other one needs it: that is a stride of 0;
# * everything else is an error.
#
# ```text
#   x   3  4        x   3  4        x   3  4        x  2  3  4        x   3  4
#   b      4        m   3  1        r   3           p     3  1        q   2  4
#      ------          ------          ------         ---------          ------
#       3  4            3  4           error          2  3  4            error
# ```

# %%
plots.show(
    lesson_plots.shapes(
        [("m", (3, 1), "B 1"), "+", ("b", (1, 4), "1 D"), "=", ("m + b", (3, 4), "B D")],
        title="A column and a row: each is repeated along the axis where it has length 1",
    ),
    alt="A column of three cells plus a row of four cells gives a table of three rows and four columns.",
)

# %%
column, row = np.array([[0.0], [10.0], [20.0]]), np.array([[1.0, 2.0, 3.0, 4.0]])
repeated = np.broadcast_to(row, (3, 4))
print(
    "a row, repeated three times, has the strides", tuple(step // 8 for step in repeated.strides), "in the same memory"
)
plots.show(
    lesson_plots.matrices([column, row, column + row], ["m (3, 1)", "b (1, 4)", "m + b (3, 4)"], form="{:.0f}"),
    alt="The column 0, 10, 20 and the row 1, 2, 3, 4, and their sum: rows 1 2 3 4, then 11 12 13 14, then 21 22 23 24.",
)

# %% [markdown]
# **Exercise 2.** Write `broadcast_shape(a, b)`: two shapes (tuples, of any lengths) → the shape of `x + y`, as a tuple.
# Raise a `ValueError` if the shapes don't fit. No arrays are needed for this.


# %% exercise="broadcast_shape"
def broadcast_shape(a, b):
    """Two shapes -> the shape that they broadcast to. Raises ValueError if they don't."""
    ### BEGIN SOLUTION
    axes = max(len(a), len(b))
    a, b = (1,) * (axes - len(a)) + tuple(a), (1,) * (axes - len(b)) + tuple(b)
    shape = []
    for size_a, size_b in zip(a, b):
        if size_a != size_b and 1 not in (size_a, size_b):
            raise ValueError(f"{size_a} and {size_b} don't fit")
        shape.append(size_b if size_a == 1 else size_a)
    return tuple(shape)
    ### END SOLUTION


# %% check="broadcast_shape" points=2
from edutransformers.teaching.checks.lesson00 import check_broadcast_shape

check_broadcast_shape(broadcast_shape)

# %% [markdown] hints="broadcast_shape"
# First make both shapes equally long. A missing axis counts as 1, and the missing ones are on the *left*.
# ---
# `(1,) * 2 + (5,)` is `(1, 1, 5)`. After that, `for size_a, size_b in zip(a, b)` goes through both shapes together.
# When do two sizes *not* fit? And which of the two is the result's size?
# ---
# ```python
# axes = max(len(a), len(b))
# a = (1,) * (axes - len(a)) + tuple(a)
# b = ...
# shape = []
# for size_a, size_b in zip(a, b):
#     if size_a != size_b and ...:              # neither of them is …
#         raise ValueError(f"{size_a} and {size_b} don't fit")
#     shape.append(max(size_a, size_b))
# return tuple(shape)
# ```

# %% [markdown] instructor=true
# A good quiz before going on, on the board and with no computer. With `x (2, 3, 4)`, what is the shape of `x[0]`, `x[:,
# 0]`, `x[:, None].sum(axis=0)`, `x.mean(axis=(0, 2))`, `x - x.max(axis=1)`, `x - x.max(axis=1, keepdims=True)`, `x[...,
# None] * x[0, 0]`? (3, 4); (2, 4); (1, 3, 4); (3,); an error, since 3 meets 2; (2, 3, 4); (2, 3, 4, 4).

# %% [markdown]
# ### The trap
#
# We subtract from each row its mean. `x.mean(axis=1)` of an array (B, D) has the shape (B,), and aligned on the right,
# its B stands below D. With B = 3 and D = 4 that is an error, and an error is good luck. If B happens to *equal* D, it
# runs:

# %%
square = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0], [100.0, 200.0, 300.0]])
wrong = square - square.mean(axis=1)
right = square - square.mean(axis=1, keepdims=True)

try:
    x - x.mean(axis=1)
except ValueError as error:
    print("(3, 4) - (3,):", error)
print("means of the rows, (3, 3) - (3,):  ", wrong.mean(axis=1))
print("means of the rows, (3, 3) - (3, 1):", right.mean(axis=1))

# %% [markdown]
# The first line is an error message, the second a wrong result without one: each *column* had another row's mean
# subtracted. So: **`keepdims=True` whenever the result goes back to the array it came from**, and in tests, sizes that
# all differ.
#
# **Exercise 3.** Texts of a batch have different lengths, so the short ones are filled up with *padding*, in front or
# behind. `mask` (B, T) holds 1 for real tokens and 0 for padding. Write `mean_of_tokens(x, mask)`: for each text the
# mean of its *real* tokens' vectors, (B, T, D) → (B, D). No loops. (Each text has at least one real token.)

# %%
plots.show(
    lesson_plots.shapes(
        [("x", (2, 5, 3), "B T D"), "×", ("mask", (2, 5, 1), "B T 1"), "→", ("mean", (2, 3), "B D")],
        title="The mask needs an axis of length 1 for D",
    ),
    alt="A block x of B = 2 texts, T = 5 tokens and D = 3 numbers, times a mask of the shape 2 by 5 by 1, becomes a table of "
    "the means with B = 2 rows and D = 3 columns.",
)


# %% exercise="mean_of_tokens"
def mean_of_tokens(x, mask):
    """x (B, T, D), mask (B, T) of ones and zeros -> the mean over the tokens where mask is 1, (B, D)"""
    ### BEGIN SOLUTION
    total = (x * mask[:, :, None]).sum(axis=1)
    return total / mask.sum(axis=1, keepdims=True)
    ### END SOLUTION


# %% check="mean_of_tokens" points=2
from edutransformers.teaching.checks.lesson00 import check_mean_of_tokens

check_mean_of_tokens(mean_of_tokens)

# %% [markdown] hints="mean_of_tokens"
# A number times 0 doesn't count, a number times 1 does. So multiply `x` by the mask, add up along the tokens' axis, and
# divide by *how many real tokens* the text has.
# ---
# `x` is (B, T, D) and `mask` is (B, T). Aligned on the right, T would meet D. `mask[:, :, None]` has the shape (B, T,
# 1). The sum of the mask along the tokens says how many there are; which shape must it have to divide something of
# shape (B, D)?
# ---
# ```python
# total = (x * mask[:, :, None]).sum(axis=1)             # (B, D)
# return total / mask.sum(axis=..., keepdims=...)        # (B, 1)
# ```

# %% [markdown] instructor=true
# `x[mask == 1].mean(axis=0)` is the usual first try: a boolean mask flattens batch and tokens into one axis, and the
# texts are lost. The second is `(x * mask[:, :, None]).mean(axis=1)`, which divides by T. Ask for a text that shows the
# difference by eye: one real token of ones and three of padding should have the mean 1, not ¼. A good discussion: why
# multiply by zeros and not leave the padding out? (Because all texts then stay in one block, and one instruction does
# them all.)

# %% [markdown]
# ## 4 · Matrix products, batches of them, and `einsum`
#
# The matrix product pairs the rows of the first with the columns of the second (N rows, I inner numbers, O columns):
#
# $$y_{no} = \sum_i x_{ni}\, w_{io} \qquad (N, I)\;@\;(I, O) \to (N, O)$$
#
# So the row (1, 2) and the column (3, 4) give the one number 1 · 3 + 2 · 4 = 11, at the place where they cross. The
# index $i$ occurs twice on the right side and not on the left one: it is summed over, and its sizes must be equal. Nearly
# all the time that a transformer takes is spent in this line.

# %%
plots.show(
    lesson_plots.shapes([("x", (5, 3), "N I"), "@", ("w", (3, 4), "I O"), "=", ("y", (5, 4), "N O")]),
    alt="A table of N = 5 rows and I = 3 columns times a table of I = 3 rows and O = 4 columns gives one of N = 5 rows and O = 4 "
    "columns: the inner axis I is gone.",
)

# %% [markdown]
# With more than two axes, `@` is a whole batch of products: the **last two** axes are multiplied, all axes before them
# are broadcast.
#
# `einsum` says the same by naming the indices, just as on paper. What occurs on the left of `->` and not on its right
# is summed over:
#
# | on paper | einsum | without |
# |---|---|---|
# | $y_{no} = \sum_i x_{ni} w_{io}$ | `einsum("ni,io->no", x, w)` | `x @ w` |
# | $y_{bts} = \sum_d x_{btd}\, z_{bsd}$ | `einsum("btd,bsd->bts", x, z)` | `x @ z.swapaxes(1, 2)` |
# | $y_{d} = \sum_{bt} x_{btd}$ | `einsum("btd->d", x)` | `x.sum(axis=(0, 1))` |
# | $y_{b} = \sum_d x_{bd}\, z_{bd}$ | `einsum("bd,bd->b", x, z)` | `(x * z).sum(axis=1)` |
# | $y_{ji} = x_{ij}$ | `einsum("ij->ji", x)` | `x.T` |
#
# It is the plainest way to write a formula down, and good for checking. `@` is often faster, because it goes straight
# to the matrix multiplication that the machine's makers have tuned for decades.

# %%
rng = np.random.default_rng(0)
texts, others = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 5, 3))
by_product = texts @ others.swapaxes(1, 2)
by_indices = np.einsum("btd,bsd->bts", texts, others)
print(texts.shape, "@", others.swapaxes(1, 2).shape, "->", by_product.shape)
print(f"largest difference to einsum: {np.abs(by_product - by_indices).max():.0e}")

# %% [markdown]
# **Exercise 4.** In attention (lesson 06) each token has H short lists of K numbers. Given `q` (B, T, H, K) and `k` (B,
# S, H, K), where S is a second number of tokens, form for each text and each head the products of all T lists with
# all S lists:
#
# $$y_{bhts} = \sum_{\kappa=1}^{K} q_{bth\kappa}\; k_{bsh\kappa}$$
#
# Write `head_products(q, k)` → (B, H, T, S), without loops. Try it with `@`; `einsum` counts as well.


# %% exercise="head_products"
def head_products(q, k):
    """q (B, T, H, K), k (B, S, H, K) -> the products of every list of q with every list of k, (B, H, T, S)"""
    ### BEGIN SOLUTION
    q = q.swapaxes(1, 2)  # (B, H, T, K)
    k = k.transpose(0, 2, 3, 1)  # (B, H, K, S)
    return q @ k
    ### END SOLUTION


# %% check="head_products" points=2
from edutransformers.teaching.checks.lesson00 import check_head_products

check_head_products(head_products)

# %% [markdown] hints="head_products"
# `@` multiplies the last two axes and does so for all axes before them. So B and H must be in front, and the last two
# must be (T, K) and (K, S). Which axes have to change places?
# ---
# `q.swapaxes(1, 2)` turns (B, T, H, K) into (B, H, T, K). For `k`, `transpose` takes the old axes' numbers in their new
# order: `x.transpose(0, 1, 3, 2)` swaps the last two axes of four. (`reshape` would mix up the numbers: see section 2.)
# ---
# ```python
# q = q.swapaxes(1, 2)             # (B, T, H, K) -> (B, H, T, K)
# k = k.transpose(0, ?, ?, ?)      # (B, S, H, K) -> (B, H, K, S)
# return q @ k                     # (B, H, T, S)
# ```

# %% [markdown]
# ## 5 · Number types: what rounds
#
# A computer's real number has a fixed count of binary digits, some for its *size* (the exponent) and some for its
# *digits*:
#
# | type | bytes | digits (about) | largest | used for |
# |---|---|---|---|---|
# | `float64` | 8 | 16 | 10³⁰⁸ | checks, and where NumPy isn't told otherwise |
# | `float32` | 4 | 7 | 10³⁸ | models: weights and what is computed with them |
# | `float16` | 2 | 3 | 65504 | weights in files, and computing on a GPU |
#
# The digits are *relative*: near 1,000,000 float32 has steps of 0.06, near 1 steps of 0.0000001.

# %%
sizes = 10.0 ** np.arange(-4, 10)
gaps = {dtype.__name__: [float(np.spacing(dtype(size))) if size < 65504 or dtype is not np.float16 else np.nan
                         for size in sizes] for dtype in (np.float16, np.float32, np.float64)}  # fmt: skip

plots.show(
    lesson_plots.curves(
        sizes, gaps, "a number's size", "step to the next one", "How fine numbers are", logarithmic="xy"
    ),
    alt="Three rising straight lines, on two logarithmic axes: the step from a number to the next, over the number's size. "
    "float16 is highest, with steps of 0.001 at 1, and ends at 65504. float32 has steps of 1e-7 at 1, float64 of 2e-16.",
)

# %%
a, b, c = np.float64(0.1), np.float64(0.2), np.float64(0.3)
print("float64: 0.1 + 0.2 == 0.3 is", bool(a + b == c), f"  off by {a + b - c:.0e}")
print("float32: 16777216 + 1 =", int(np.float32(16777216) + np.float32(1)))
print("float16: 2048 + 1 =", int(np.float16(2048) + np.float16(1)))

tenths = np.full(100_000, 0.1, dtype=np.float32)
one_by_one = tenths.cumsum()[-1]  # a running sum, rounded at each step
print(f"float32: 100,000 × 0.1, one after the other: {one_by_one:.2f};  .sum(), in pairs of pairs: {tenths.sum():.2f}")
print(f"float16: 100,000 × 0.1, one after the other: {np.full(100_000, 0.1, dtype=np.float16).cumsum()[-1]:.0f}")

# %% [markdown]
# float16 stops at 256: there the step to the next number is ¼, and adding 0.1 rounds back to 256. That is why float16
# is for *storing*, and every long sum of this library is made in float32 at least.
#
# What does rounding do to a *derivative*? In the next lesson we check every formula against the quotient of
# differences, $(f(x + h) - f(x - h)) / 2h$. Two nearly equal numbers are subtracted: the digits that they share cancel,
# and what remains is mostly rounding. For $f(x) = x^2$ at $x = 3$ the answer is 6:

# %%
print(f"{'h':>8}   {'float64':>12}   {'float32':>12}   {'float16':>12}")
for h in (1e-2, 1e-3, 1e-4, 1e-5):
    slopes = []
    for dtype in (np.float64, np.float32, np.float16):
        three, step = dtype(3), dtype(h)
        slopes.append(float(((three + step) ** 2 - (three - step) ** 2) / (2 * step)))
    print(f"{h:8.0e}   {slopes[0]:12.9f}   {slopes[1]:12.9f}   {slopes[2]:12.9f}")

# %% [markdown]
# In float64 nine digits are right at every step. In float32 it is six at best and two or three for small steps, and for
# most functions large steps are no way out, since then the quotient itself is off (lesson 01 measures both). float16
# can't even hold 3.0001: it becomes 3, and the difference 0. A small slip in a formula may be off in the third digit
# only, and float32 can't tell it from rounding. **Models compute in float32, checks in float64.**
#
# Two habits follow. Never compare with `==`, but ask whether two arrays are *close* (`np.allclose(a, b)`). And mind the
# type of a result: float32 with float64 gives float64, twice as large and half as fast. A plain Python number (`x *
# 0.5`) leaves float32 as it is; `x * np.float64(0.5)` or `x / np.sqrt(8)` doesn't, since NumPy 2.

# %% [markdown]
# ## 6 · One program for the CPU and the GPU
#
# A GPU has memory of its own and thousands of small computing units. **CuPy** is a library with NumPy's functions for
# arrays in that memory: `cupy.exp(x)` is `np.exp(x)`, computed over there. One could write every function twice. This
# library writes it once, by a rule: **the device belongs to the array.** A function asks its input which module
# computes on it. (What this one is good for: lesson 01.)
#
# ```python
# def softmax(x):
#     xp = array_module(x)          # numpy or cupy: wherever x lives
#     e = xp.exp(x - x.max(axis=-1, keepdims=True))
#     return e / e.sum(axis=-1, keepdims=True)
# ```
#
# What `x` lives on, `e` lives on, and so does the result. Methods (`x.max`, `x.sum`) and operators (`-`, `/`, `@`) need
# no `xp` at all. A switch, `use_backend("cupy")`, says only where *new* arrays are made: weights read from a file, the
# numbers of a text's words. A model that exists already moves with `model.to("cuda")`.

# %%
from edutransformers import cupy_usable, get_backend
from edutransformers.backend import array_module, as_array_like, to_numpy

print("new arrays are made with:", get_backend())
print("a GPU here?", cupy_usable().reason)
print("the module of a NumPy array:", array_module(np.ones(3)).__name__)

# %% [markdown]
# ### What an array on a device forbids
#
# The two memories are apart, and the GPU works **on its own time**: Python only puts work into its queue and goes on.
# Two kinds of slips follow from that.
#
# 1. **Mixing.** `host_array + device_array` can't be computed anywhere. `np.asarray(x)` would be a silent copy through
#    a slow cable, so CuPy refuses it. At the border one says what one means: `to_numpy(x)`, or `as_array_like(y, x)`,
#    "y, wherever x is".
# 2. **Waiting.** `float(x)`, `if x > 0:`, `x[mask]`, `print(x)` need numbers *here and now*. Python has to wait until
#    the queue is empty, and then the GPU has nothing to do until Python has handed in more work. Nothing breaks; it
#    only gets slow. It is called a *synchronisation*.
#
# ```text
#  no waiting        Python  a b c d                  (has handed in all, and is free)
#                    GPU      aaaaabbbbbcccccddddd
#
#  float(a) each     Python  a ....... b ....... c ....... d .......      . = waits
#  time              GPU      aaaaa     bbbbb     ccccc     ddddd
# ```
#
# You may not have a GPU here. Neither do the machines that test this library, so they run it on a *strict double*:
# arrays that compute with NumPy but obey a device's rules. A small one comes with this lesson. Inside the block, `cupy`
# is pretended:

# %%
from edutransformers.functional.softmax import softmax as library_softmax
from edutransformers.teaching.pretend_device import pretend_gpu

scores = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 5.0]])


def attempt(words, compute):
    try:
        print(f"{words:34}", compute())
    except TypeError as error:
        print(f"{words:34} TypeError: {error}")


with pretend_gpu() as cupy:
    x = cupy.asarray(scores)  # to the device
    attempt("x", lambda: x)
    attempt("2 * x + 1", lambda: 2 * x + 1)
    attempt("x + scores", lambda: x + scores)
    attempt("x + as_array_like(scores, x)", lambda: x + as_array_like(scores, x))
    attempt("np.exp(x)", lambda: np.exp(x))
    attempt("array_module(x).exp(x)", lambda: array_module(x).exp(x))
    attempt("np.asarray(x)", lambda: np.asarray(x))
    attempt("library_softmax(x)", lambda: library_softmax(x))
    print("\nwaits so far:", cupy.waits)
    attempt("float(x.max())", lambda: float(x.max()))
    attempt("x[x > 1]", lambda: x[x > 1])
    attempt("to_numpy(library_softmax(x))[0]", lambda: to_numpy(library_softmax(x))[0].round(3))
    print("waits at the end:", cupy.waits)

# %% [markdown]
# `x.max()` is an array without axes *on the device*; only `float(…)` brings it here, and waits. The library's softmax
# ran unchanged, because it says `xp`. (The real CuPy lets `np.exp(x)` pass and computes it over there. The double
# refuses, since its neighbour `np.zeros(x.shape)` makes a host array, and the line after that mixes. And where the real
# one prints numbers, and waits for them, the double prints a shape.)
#
# ## 7 · On real words
#
# For two vectors, the **cosine similarity** measures whether they point in the same direction, however long they are:
#
# $$c_{nm} = \frac{\sum_d a_{nd}\, b_{md}}{\lVert a_n \rVert\,\lVert b_m \rVert},
#   \qquad \lVert a_n \rVert = \sqrt{\textstyle\sum_d a_{nd}^2}$$
#
# It is 1 for the same direction, 0 for a right angle, −1 for opposite ones.
#
# **Exercise 5.** Write `cosine_similarities(a, b)` for *all pairs* of rows, (N, D) and (M, D) → (N, M). Write it with
# `xp`, so that it runs on a device without waiting. Rows of zeros exist (padding has one): let their similarities be 0,
# not `nan`.


# %% exercise="cosine_similarities"
def cosine_similarities(a, b):
    """a (N, D), b (M, D) -> the cosine of the angle between every row of a and every row of b, (N, M)"""
    xp = array_module(a)
    ### BEGIN SOLUTION
    length_a = xp.sqrt((a * a).sum(axis=-1, keepdims=True))
    length_b = xp.sqrt((b * b).sum(axis=-1, keepdims=True))
    return (a / xp.maximum(length_a, 1e-12)) @ (b / xp.maximum(length_b, 1e-12)).T
    ### END SOLUTION


# %% check="cosine_similarities" points=2
from edutransformers.teaching.checks.lesson00 import check_cosine_similarities

check_cosine_similarities(cosine_similarities)

# %% [markdown] hints="cosine_similarities"
# Divide every row by its length first: afterwards all rows have length 1, and the cosine is nothing but the product of
# two rows. All products of rows of one array with rows of another are one matrix product.
# ---
# The lengths of the rows of `a`: square, add up along the last axis with `keepdims=True`, take `xp.sqrt`. To avoid 0/0,
# divide by `xp.maximum(length, 1e-12)`: this leaves every real length as it is.
# ---
# ```python
# length_a = xp.sqrt((a * a).sum(axis=-1, keepdims=True))      # (N, 1)
# length_b = ...
# unit_a = a / xp.maximum(length_a, 1e-12)                     # (N, D)
# unit_b = ...
# return unit_a @ ...                                          # (N, D) @ (D, M)
# ```

# %% [markdown]
# A small GPT-2 and a small BERT ship with this package. Each has a table that gives every word its vector: lesson 04 is
# about these tables. The GPT learned to continue film reviews; the BERT learned only to tell good reviews from bad
# ones. One expression finds a word's neighbours among all.

# %%
from edutransformers import AutoModel, AutoTokenizer


def table_of_words(name, parameter, prefix=""):
    """A model's table of word vectors, and a function from a word to its row."""
    model, tokenizer = AutoModel.from_pretrained(name), AutoTokenizer.from_pretrained(name)
    table = dict(model.named_parameters())[parameter].data
    words = [tokenizer.decode([row]).strip() for row in range(len(table))]
    return table, words, lambda word: tokenizer(prefix + word, add_special_tokens=False)["input_ids"][0]


gpt, gpt_words, row_in_gpt = table_of_words("edutransformers/gpt2-small-imdb", "wte.weight", prefix=" ")
bert, _, row_in_bert = table_of_words("edutransformers/bert-small-imdb", "embeddings.word_embeddings.weight")
print("GPT-2's table", gpt.shape, gpt.dtype, "   BERT's table", bert.shape, bert.dtype)

asked = ["film", "father", "two", "terrible", "watch"]
similarities = cosine_similarities(gpt[[row_in_gpt(word) for word in asked]], gpt)  # (5, 2048)
for word, row in zip(asked, similarities):
    nearest = np.argsort(-row)[1:6]  # the nearest of all is the word itself
    print(f"{word:9}", ",  ".join(f"{gpt_words[place]} {row[place]:.2f}" for place in nearest))

# %% [markdown]
# Nobody told the model that *movie* means *film*, or which words are numbers. It had to say what comes next, and words
# that can stand in the same places got similar vectors. And that is all it knows: *wonderful* is near *terrible*, since
# what "was terrible" could as well have been wonderful.
#
# Are the numbers right? With torch 2.13, `torch.nn.functional.cosine_similarity`, in float64, on the same table:

# %%
TORCH = {("film", "movie"): 0.8109829619712732, ("father", "mother"): 0.6449926127737793,
         ("excellent", "awful"): 0.54882989690342}  # fmt: skip

for (first, second), expected in TORCH.items():
    rows = [row_in_gpt(first), row_in_gpt(second)]
    in_float64 = cosine_similarities(gpt[rows].astype(np.float64), gpt[rows].astype(np.float64))[0, 1]
    in_float32 = cosine_similarities(gpt[rows], gpt[rows])[0, 1]
    print(f"{first:9} {second:6} {in_float64:.4f}   off by {abs(in_float64 - expected):.0e}"
          f" in float64, {abs(in_float32 - expected):.0e} in float32")  # fmt: skip
    assert abs(in_float64 - expected) < 1e-14

# %% [markdown]
# Now the same eight words in both models.

# %%
chosen = ["excellent", "wonderful", "brilliant", "awful", "terrible", "boring", "father", "mother"]
of_gpt, of_bert = gpt[[row_in_gpt(word) for word in chosen]], bert[[row_in_bert(word) for word in chosen]]
similarities = [cosine_similarities(words, words).round(1) + 0.0 for words in (of_gpt, of_bert)]  # −0.0 + 0.0 = 0.0

plots.show(
    lesson_plots.matrices(
        similarities, ["GPT-2: what comes next?", "BERT: a good review or a bad one?"], rows=chosen, columns=chosen,
        form="{:.1f}", note="cosine similarities of word vectors; the darker, the larger, whatever the sign",
    ),
    alt="Two tables of cosine similarities of eight words. In the GPT's, the six adjectives are alike, good and bad ones, with "
    "0.4 to 0.6, and father and mother are alike. In the BERT's, excellent, wonderful and brilliant are alike with 0.8 to 0.9, "
    "awful, terrible and boring as well, between the two groups there is 0.1 to 0.3, and father and mother have −0.1.",
)  # fmt: skip

# %% [markdown]
# Same arithmetic, other tables. For the GPT *excellent* and *awful* are the same kind of word: both can come after "it
# was". The BERT, which only ever heard "good review" or "bad review", keeps them apart, has nearly one and the same
# vector for all words of praise, and sees nothing in common between father and mother. **A vector holds what its model
# was taught.** How vectors come to be so is what the next lessons are about: it takes a loss (lesson 01) and a chain of
# gradients back to each number (lesson 02).
#
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | right shape, senseless numbers | `reshape` where `transpose` or `swapaxes` was meant |
# | `operands could not be broadcast together` | shapes are aligned on the right: an axis of length 1 is missing (`keepdims=True`, `[:, None]`) |
# | `matmul: … core dimension … (size 5 is different from 6)` | the last axis of the first array and the last but one of the second must be equal |
# | a result (N, N) where (N,) was expected | (N, 1) with (N,): a column and a row make a table |
# | no error, but each column is shifted | (N, N) − (N,): the shapes fit by accident |
# | an array changes that nobody wrote to | it is a view of another one, or `+=` wrote into an argument |
# | a sum that stops growing; `inf` in float16 | too few digits, or above 65504: sum in float32 |
# | a check fails in the fourth digit only | float32; check in float64 |
# | the GPU is hardly faster than the CPU | `float(…)` or an `if` on an array in the innermost loop |
# | `nan` after a division | 0/0: a row of zeros, or a mean over nothing |
#
# ## What the library does more than you did
#
# * `backend.py` is the only file that imports CuPy. What the two libraries do differently is written there once: adding
#   into repeated rows, the error function, the k largest numbers, random draws (always on the host, so that a seed
#   means the same everywhere);
# * `cupy_usable` *tries* a computation, and its answer says why not: a CuPy that can be imported may still not compute;
# * its version of your cosine (`unit_vectors`) sums float16 in float32, and has a backward pass;
# * every layer and model is tested on a stricter double than ours, which knows all functions that CuPy has and lacks,
#   and fails if a layer makes the host wait.

# %%
from edutransformers import use_backend
from edutransformers.backend import scatter_add
from edutransformers.functional.unit_vectors import unit_vectors
from edutransformers.module import flatten_rows
from edutransformers.teaching.read_on import read_on

u, _ = unit_vectors(gpt.astype(np.float64))
assert np.allclose(cosine_similarities(gpt[:5].astype(np.float64), gpt.astype(np.float64)), u[:5] @ u.T, atol=1e-14)
read_on(array_module, use_backend, to_numpy, as_array_like, scatter_add, cupy_usable, flatten_rows, unit_vectors)

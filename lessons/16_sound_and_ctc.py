# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: Sound, convolution over time, and CTC
#     minutes: 100
#     goal: You write the two tools of speech recognition, convolution over time and the CTC loss, forward and backward, and train a small model that hears notes and was never told when they sound.
#     needs: [1, 2]
# ---

# %% [markdown]
# Somebody says "hello", and it takes a second. The recording is 16,000 numbers; a model of speech turns them into some
# fifty frames, and for each frame says which letter it hears. The transcript has five letters. It says *what* was said
# and not *when*: which of the fifty frames should have been an "h"? To mark that by hand is work for weeks, and nobody
# needs it for anything else.
#
# This lesson builds both halves:
#
# * **convolution over time**, which makes frames of samples;
# * **CTC** (connectionist temporal classification; Graves and others, 2006), a loss that asks for the text alone. It adds
#   up *all* ways in which the text could lie in the frames, thousands of millions of them, exactly, with one small table.
#   Its gradient is as simple as cross-entropy's.

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("x", "(B, 1, samples)"), "convolutions", ("h", "(B, O, T)"), "linear", ("logits", "(B, T, C)"),
         "CTC with the text", ("L", "one number")],
        ["windows overlap: add", "linear", "y − γ"],
    ),
    alt="From left to right: sound x of shape B by 1 by samples, convolutions, h of shape B by O by T, a linear map, logits of "
    "shape B by T by C, CTC with the text, and the loss L, one number. The first gradient on the way back is y minus gamma.",
)  # fmt: skip

# %% [markdown]
# The letters: B examples in a batch, T frames, C classes. For convolutions: I input channels, O output channels, K
# numbers in a kernel, $s$ the stride. For CTC: S labels in a text, L states.
#
# ## 1 · Sound is a row of numbers
#
# A microphone measures the pressure of the air at even intervals. Each measurement is a **sample**, the number of them
# in a second is the **sampling rate**, in hertz (Hz): 16,000 for speech models, 44,100 for music. A pure tone of
# frequency $f$ is $\sin(2\pi f t)$ at the times $t = n/\text{rate}$. To tell a tone from another at all one needs at
# least two samples a period, so a rate of 2,000 Hz holds tones up to 1,000 Hz. That is enough for us: our sounds are
# melodies of four notes.
#
# Looking at samples one doesn't see a note. The question "how much of the frequency $f$ is in this stretch?" is
# answered by a sum: multiply the samples with a sine of that frequency and add up. If the stretch swings along with it,
# the products are positive and the sum is large; if not, they cancel. (And with a cosine, too, since the tone may begin
# anywhere in its period.) The sizes for all frequencies are the stretch's **spectrum**. A short stretch tells well
# *when* and poorly *which* frequency: within $1/50$ s two tones that are 10 Hz apart drift by a fifth of a period only.
# That trade can't be beaten, only chosen.
#
# *Multiply a window with fixed numbers and add up, window after window*: that is a convolution, and a spectrum over
# time is one whose numbers are sines. A model may just as well learn them, and at the end of this lesson yours will.

# %%
RATE = 2000  # samples a second
NOTES = {"C": 262.0, "F": 349.0, "B": 466.0, "E": 622.0}  # hertz; the classes 1 … 4
NAMES = ["–", *NOTES]  # class 0 will be the blank


def melody(rng, notes=None):
    """3 to 5 notes of different length with pauses between -> samples (n,) float32, labels (S,)"""
    notes = rng.integers(1, 5, rng.integers(3, 6)) if notes is None else np.array(notes)
    parts = []
    for note in notes:
        t = np.arange(int(RATE * rng.uniform(0.10, 0.22))) / RATE
        loudness = np.minimum(1, np.minimum(t, t[::-1]) / 0.015) * np.exp(-3 * t)
        frequency = NOTES[NAMES[note]] * rng.uniform(0.99, 1.01)
        parts += [loudness * np.sin(2 * np.pi * (frequency * t + rng.uniform()))]
        parts += [np.zeros(int(RATE * rng.uniform(0.03, 0.07)))]
    samples = np.concatenate(parts)
    return (samples + 0.05 * rng.standard_normal(len(samples))).astype("float32"), notes


samples, notes = melody(np.random.default_rng(3), [1, 3, 3, 2])
seconds = np.arange(len(samples)) / RATE

plots.show(
    lesson_plots.curves(
        seconds, {"pressure": samples}, "seconds", "pressure",
        f"The melody {' '.join(NAMES[note] for note in notes)}: {len(samples):,} samples",
    ),
    alt="Four bursts of swinging pressure with short pauses between, each growing fast and dying away. The lines are too "
    "close to see any period: which notes they are can't be seen.",
)  # fmt: skip

# %%
frequencies = np.arange(100, 800, 5)


def spectrum(stretch):
    """Of each frequency, how much is in it."""
    angle = 2 * np.pi * frequencies[:, None] * np.arange(len(stretch)) / RATE
    return np.hypot(np.sin(angle) @ stretch, np.cos(angle) @ stretch) / len(stretch)


first, second = samples[40:168], samples[400:528]  # 128 samples each: 64 thousandths of a second

plots.show(
    lesson_plots.curves(
        frequencies, {"first note": spectrum(first), "second note": spectrum(second)}, "frequency (Hz)", "how much",
        "The spectra of two short stretches",
    ),
    alt="Two curves over the frequency. That of the first note has one narrow hill at 262 hertz, that of the second one at "
    "466 hertz, each with small ripples beside it.",
)  # fmt: skip

# %% [markdown]
# ## 2 · Convolution over time
#
# A kernel of K numbers for each input channel is laid on the signal, multiplied, added up; then it moves on by the
# stride $s$. There are O kernels, each makes one output channel:
#
# $$y_{b,o,t} = \texttt{bias}_o + \sum_{i} \sum_{k=0}^{K-1} W_{o,i,k}\; x_{b,\,i,\,s t + k}$$
#
# `weight` is (O, I, K), `bias` is (O,). Window $t$ begins at $s t$ and must end before the signal does, so
# there are
#
# $$T' = \Big\lfloor \frac{T - K}{s} \Big\rfloor + 1$$
#
# of them. (Padding zeros at the ends would give more; we do without.) Written as windows it is nothing new: put the I·K
# numbers that window $t$ sees into a row $X_t$, and
#
# $$y_t = W X_t + \texttt{bias}$$
#
# is lesson 02's linear layer, with the same weights at every time. A pattern is recognized wherever it comes.

# %%
signal = np.array([0, 1, 4, 9, 16, 25, 36, 49, 64])
four_times = np.stack([signal] * 4)
place = np.arange(9)
window = (place >= 2 * np.arange(4)[:, None]) & (place < 2 * np.arange(4)[:, None] + 3)

plots.show(
    lesson_plots.matrices(
        [four_times, four_times[window].reshape(4, 3)], ["x, T = 9, four times", "its windows X"],
        [f"window {t}" for t in range(4)], form="{:d}", marked=[window, None], note="K = 3, stride 2: neighbours share a number",
    ),
    alt="Four times the same row of nine numbers, the squares of 0 to 8; framed are the places 0 to 2, then 2 to 4, 4 to 6, 6 to 8. "
    "Beside it the four windows as rows of three. The numbers 4, 16 and 36 stand in two windows each.",
)  # fmt: skip

# %% [markdown]
# **Exercise 1.** Write `conv1d(x, weight, bias, stride)`: x (B, I, T), weight (O, I, K), bias (O,) to y (B, O, T′). A
# loop over the windows $t$ is fine; none over B, O, I or K is needed.


# %% exercise="conv1d"
def conv1d(x, weight, bias, stride):
    """y[b, o, t] = bias[o] + Σ_i Σ_k weight[o, i, k] x[b, i, stride·t + k]"""
    ### BEGIN SOLUTION
    O, I, K = weight.shape
    frames = (x.shape[2] - K) // stride + 1
    y = np.empty((len(x), O, frames))
    for t in range(frames):
        window = x[:, :, stride * t : stride * t + K].reshape(len(x), I * K)
        y[:, :, t] = window @ weight.reshape(O, I * K).T + bias
    return y
    ### END SOLUTION


# %% check="conv1d" points=2
from edutransformers.teaching.checks.lesson16 import check_conv1d

check_conv1d(conv1d)

# %% [markdown] hints="conv1d"
# First the number of windows, then an empty y of shape (B, O, T′), then one window after the other. What does window t
# see? Write it as a slice of the last axis of x.
# ---
# The window is `x[:, :, stride * t : stride * t + K]`, of shape (B, I, K). Reshaped to (B, I·K), it is multiplied with
# the weight reshaped to (O, I·K), transposed.
# ---
# ```python
# O, I, K = weight.shape
# frames = (x.shape[2] - K) // stride + 1
# y = np.empty((len(x), O, frames))
# for t in range(frames):
#     window = x[:, :, ... : ...].reshape(len(x), I * K)
#     y[:, :, t] = window @ weight.reshape(O, I * K).T + ...
# return y
# ```

# %% [markdown]
# ### How far a frame hears
#
# Two convolutions in a row: a number of the second sees $K_2$ numbers of the first, which start $s_1$ samples apart and
# see $K_1$ samples each. So it sees $K_1 + (K_2 - 1) s_1$ samples. In general the **receptive field** of layer $n$ and
# the distance of its neighbours, in samples, are
#
# $$r_n = r_{n-1} + (K_n - 1) \prod_{m<n} s_m, \qquad r_0 = 1, \qquad\quad \text{distance}_n = \prod_{m \le n} s_m .$$
#
# With strides, a few layers hear far at little cost. (Wav2Vec2, in the next lesson, has seven, and a frame of it sees
# 400 samples, 25 thousandths of a second, every 320.)

# %%
field, distance = 1, 1
for kernel, stride in ((64, 16), (5, 2)):  # the layers of our model below
    field, distance = field + (kernel - 1) * distance, distance * stride
    print(f"kernel {kernel:2}, stride {stride:2}: a frame sees {field:3} samples, {1000 * field / RATE:.0f} ms; "
          f"a frame every {distance} samples, {1000 * distance / RATE:.0f} ms")  # fmt: skip

# %% [markdown]
# ### The way back, on paper
#
# Given $\texttt{dy}$ (B, O, T′). All three gradients follow from one look at $y_t = W X_t + \texttt{bias}$ and lesson 02.
#
# **Step 1: the bias** was added to every $y_{b,o,t}$, so $\texttt{dbias}_o = \sum_{b,t} \texttt{dy}_{b,o,t}$.
#
# **Step 2: the weight** $W_{o,i,k}$ was multiplied with $x_{b,i,st+k}$ in every window of every example:
#
# $$\texttt{dweight}_{o,i,k} = \sum_{b,t} \texttt{dy}_{b,o,t}\; x_{b,i,st+k}$$
#
# **Step 3: the windows.** As for any linear layer, window $t$ gets
# $\texttt{dX}_{b,t,(i,k)} = \sum_o \texttt{dy}_{b,o,t}\, W_{o,i,k}$.
#
# **Step 4: from the windows to the signal.** Here is the one new thing. Windows *overlap*: a sample stands in all
# windows $t$ with $st + k = u$ for some $k$. Whoever is used several times collects the sum:
#
# $$\boxed{\;\texttt{dx}_{b,i,u} = \sum_{t,k:\; st + k = u}\; \sum_o \texttt{dy}_{b,o,t}\, W_{o,i,k}\;}$$
#
# In code nobody searches for the pairs $(t, k)$. One starts with zeros and goes through the windows, *adding* each
# one's gradient to where the window lay.

# %% [markdown]
# **Exercise 2.** Write `conv1d_backward(dy, x, weight, stride)`, which returns `dx`, `dweight`, `dbias`.


# %% exercise="conv1d_backward"
def conv1d_backward(dy, x, weight, stride):
    """dy (B, O, T′) -> dx (B, I, T), dweight (O, I, K), dbias (O,)"""
    ### BEGIN SOLUTION
    K = weight.shape[2]
    dx, dweight = np.zeros(x.shape), np.zeros(weight.shape)
    for t in range(dy.shape[2]):
        place = slice(stride * t, stride * t + K)
        dweight += np.einsum("bo,bik->oik", dy[:, :, t], x[:, :, place])
        dx[:, :, place] += np.einsum("bo,oik->bik", dy[:, :, t], weight)
    return dx, dweight, dy.sum(axis=(0, 2))
    ### END SOLUTION


# %% check="conv1d_backward" points=3
from edutransformers.teaching.checks.lesson16 import check_conv1d_backward

check_conv1d_backward(conv1d_backward)

# %% [markdown] hints="conv1d_backward"
# Zeros for `dx` and `dweight`; then the same loop over windows as in the forward pass, where both get something added.
# `dbias` is one sum.
# ---
# `np.einsum` writes the formulas as they stand: the weight's sum over b is
# `np.einsum("bo,bik->oik", dy[:, :, t], window)`. An index that is missing behind the arrow is summed over.
# ---
# ```python
# dx, dweight = np.zeros(x.shape), np.zeros(weight.shape)
# for t in range(dy.shape[2]):
#     place = slice(stride * t, stride * t + weight.shape[2])
#     dweight += np.einsum("bo,bik->oik", dy[:, :, t], x[:, :, place])
#     dx[:, :, place] ... np.einsum(..., dy[:, :, t], weight)      # = or += ?
# return dx, dweight, dy.sum(axis=...)
# ```

# %% [markdown]
# Checked with lesson 01's instrument (a loss with random weights, both sides, float64), against the library, and
# against torch 2.13, whose numbers for these arrays were written down here.

# %%
from edutransformers.functional.convolution import convolution, convolution_backward
from edutransformers.gradient_check import numerical_gradient  # yours, of lesson 01

TORCH_Y = [[-0.6373992079302774, -0.0304006349342251, 0.662701464044082, -0.521161600739984],
           [-0.2660738602691206, -0.5240693238223512, 0.7022534427492635, -0.0604117734865404]]  # fmt: skip
TORCH_DX_0 = [-0.5653643620863612, -0.5307287241727223, -0.7378780206468308, -0.1593884852546107, 0.2270984108171337,
              0.3584927919489301, 0.9832816106938057, 0.5467774495088391, 0.523168425283125]  # fmt: skip
TORCH_DWEIGHT_00 = [1.0828557073980716, 0.6663599508574525, -0.362784071425148]

x = np.sin(np.arange(18.0)).reshape(1, 2, 9)
weight, bias = np.arange(12).reshape(2, 2, 3) / 10 - 0.5, np.zeros(2)
dy = np.cos(np.arange(8.0)).reshape(1, 2, 4)
dx, dweight, dbias = conv1d_backward(dy, x, weight, 2)
library = convolution_backward(dy, x, weight, 2)

numerical = numerical_gradient(lambda x: (dy * conv1d(x, weight, bias, 2)).sum(), x.copy())
assert np.allclose(dx, numerical, atol=1e-8)
assert np.allclose(conv1d(x, weight, bias, 2), convolution(x, weight, bias, 2), atol=1e-14)
assert all(np.allclose(a, b, atol=1e-14) for a, b in zip((dx, dweight, dbias), library))
assert np.allclose(conv1d(x, weight, bias, 2)[0], TORCH_Y, atol=1e-14)
assert np.allclose(dx[0, 0], TORCH_DX_0, atol=1e-14)
assert np.allclose(dweight[0, 0], TORCH_DWEIGHT_00, atol=1e-14)
print("convolution: equal to central differences (1e-8), to the library and to torch (1e-14)")

# %% [markdown]
# ## 3 · The text says what, not when
#
# Now the loss. The model gives $y_t(k)$, the probability of class $k$ in frame $t$: a softmax of the logits, for each
# frame by itself. A **path** $\pi$ names one class for each frame. As the frames are independent, its probability is a
# product:
#
# $$p(\pi) = \prod_{t=0}^{T-1} y_t(\pi_t)$$
#
# A path has T classes, the text has S < T labels. So we need a rule that makes texts of paths. First idea: whoever
# speaks slowly says "hhheellooo", so merge equal neighbours. But then nobody could ever say the two l of "hello". CTC's
# rule therefore has one more class, the **blank** (written –, class 0), which means "nothing new", and two steps *in
# this order*:
#
# 1. equal neighbours become one;
# 2. then blanks go.
#
# `hh-e-ll-lo` becomes `h-e-l-lo`, and that `hello`. The blank does two things, then: it fills the frames in which
# nobody speaks, and it *separates* equal labels.

# %% [markdown]
# **Exercise 3.** Write `collapse(path)`: a list of classes to the list of labels. 0 is the blank.


# %% exercise="collapse"
def collapse(path):
    """[0, 3, 3, 0, 3, 5] -> [3, 3, 5]"""
    ### BEGIN SOLUTION
    labels, before = [], 0
    for k in path:
        if k != 0 and k != before:
            labels.append(k)
        before = k
    return labels
    ### END SOLUTION


# %% check="collapse" points=1
from edutransformers.teaching.checks.lesson16 import check_collapse

check_collapse(collapse)

# %% [markdown] hints="collapse"
# Go through the path and remember the class of the frame before. When does a frame bring a new label?
# ---
# When it is no blank and differs from the frame before, *whatever that was*, a blank too. What should "the frame
# before" be for the first frame?
# ---
# ```python
# labels, before = [], 0
# for k in path:
#     if k != 0 and ...:
#         labels.append(k)
#     before = ...
# return labels
# ```

# %% [markdown]
# Many paths collapse to one text. The text's probability is the sum of theirs, and the loss, as in lesson 01, minus its
# logarithm:
#
# $$p(\text{text}) = \sum_{\pi:\ \texttt{collapse}(\pi) = \text{text}} p(\pi), \qquad\qquad \ell = -\log p(\text{text})$$
#
# For 5 frames and 3 classes there are $3^5 = 243$ paths, and we can write down all that mean "ab". Keep this list: it
# is slow, and it can't be wrong. Everything that follows must agree with it.

# %%
import itertools
import math

from edutransformers.functional.softmax import log_softmax, softmax

LETTERS = "–ab"
logits = np.array([[1.0, 0.5, -0.5], [0.2, 1.5, -1.0], [0.0, 0.3, 0.8], [1.2, -0.4, 0.9], [0.5, 0.1, 1.1]])  # (T, C)
y = softmax(logits)
text = [1, 2]  # "ab"

paths = {path: math.prod(y[t, k] for t, k in enumerate(path)) for path in itertools.product(range(3), repeat=5)}
meaning_ab = {path: p for path, p in paths.items() if collapse(path) == text}
p_by_list = sum(meaning_ab.values())
print(f"{len(paths)} paths, {len(meaning_ab)} of them mean 'ab'. The five likeliest:")
for path, p in sorted(meaning_ab.items(), key=lambda item: -item[1])[:5]:
    print("   ", "".join(LETTERS[k] for k in path), f"{p:.4f}")
print(f"together {p_by_list:.4f}, loss {-math.log(p_by_list):.6f}; all paths of all texts: {sum(paths.values()):.4f}")

# %% [markdown]
# ## 4 · All alignments at once
#
# A second of speech has 50 frames and 32 classes: $32^{50} \approx 10^{75}$ paths, which nobody will ever list. But
# they share their beginnings. All that matters of a beginning is *how far in the text it is*; two that are equally far
# go on alike, and may be added up. That thought is called dynamic programming.
#
# **The states.** How far in the text can one be? On a label, or on a blank before, between or behind labels. So put
# blanks around the S labels: $L = 2S + 1$ **states**, the *extended labels*. For "ab":
#
# | state $s$ | 0 | 1 | 2 | 3 | 4 |
# |---|---|---|---|---|---|
# | says | – | a | – | b | – |
#
# **The steps.** From one frame to the next a path may
#
# 1. stay in its state (the same class again);
# 2. go on by one;
# 3. go on by *two*, from a label to the next label, leaving the blank between them out: but only if the labels differ.
#    (From "l" to "l" without a blank would be one l.) A *blank* can't be reached by two: that would skip a label.
#
# A path begins in state 0 or 1 and ends in state $L-1$ or $L-2$, since the outer blanks may be left out. Every
# alignment of the text is one way through this lattice, and every way is an alignment.
#
# **The forward variable** $\alpha_t(s)$ is the sum of the probabilities of all beginnings that are in state $s$ at time
# $t$, this frame included. A beginning came from one of three states, hence
#
# $$\alpha_t(s) = y_t(\text{class of } s)\,\Big[\alpha_{t-1}(s) + \alpha_{t-1}(s-1) + [\,s \text{ may be skipped to}\,]\;\alpha_{t-1}(s-2)\Big]$$
#
# where $[\dots]$ is 1 if it is true and 0 otherwise, and what lies in front of state 0 is 0. In the first frame
# $\alpha_0(0) = y_0(\text{blank})$, $\alpha_0(1) = y_0(\text{first label})$, all others 0. In the last frame
#
# $$p(\text{text}) = \alpha_{T-1}(L-1) + \alpha_{T-1}(L-2).$$
#
# That is $3\,T L$ products and sums, for all paths together.
#
# **In logarithms.** 500 factors of 0.2 are $10^{-350}$, which is 0 to a float64. So store $\log \alpha$. A product
# becomes a sum; a sum becomes $\log(e^a + e^b)$, which `np.logaddexp(a, b)` computes without overflow, by lesson 01's
# device with the maximum. Impossible is $\log 0 = -\infty$, `-np.inf`; `np.logaddexp(-np.inf, b)` is `b`, as it should
# be.


# %%
def extended(text):
    """[1, 2] -> array [0, 1, 0, 2, 0]: blanks around the labels"""
    states = np.zeros(2 * len(text) + 1, dtype=int)
    states[1::2] = text
    return states


# %% [markdown]
# **Exercise 4.** Write `log_forward_variables(log_y, states)`: log-probabilities (T, C) and the states' classes (L,) to
# $\log\alpha$ (T, L), with `-np.inf` for what is impossible. Two plain loops, over t and s, are fine. Mind texts
# without any label: then L is 1.


# %% exercise="log_forward_variables"
def log_forward_variables(log_y, states):
    """log α: (T, C), (L,) -> (T, L)"""
    ### BEGIN SOLUTION
    T, L = len(log_y), len(states)
    log_alpha = np.full((T, L), -np.inf)
    log_alpha[0, :2] = log_y[0, states[:2]]
    for t in range(1, T):
        for s in range(L):
            total = log_alpha[t - 1, s]
            if s >= 1:
                total = np.logaddexp(total, log_alpha[t - 1, s - 1])
            if s >= 2 and states[s] != 0 and states[s] != states[s - 2]:
                total = np.logaddexp(total, log_alpha[t - 1, s - 2])
            log_alpha[t, s] = total + log_y[t, states[s]]
    return log_alpha
    ### END SOLUTION


# %% check="log_forward_variables" points=3
from edutransformers.teaching.checks.lesson16 import check_log_forward_variables

check_log_forward_variables(log_forward_variables)

# %% [markdown] hints="log_forward_variables"
# Start with an array full of `-np.inf`, fill the first row (states 0 and 1 only), then row by row. The emission of
# state s at time t is `log_y[t, states[s]]`.
# ---
# For each s: `total = log_alpha[t - 1, s]`; if there is a state before, `np.logaddexp` it in; if the skip is allowed,
# also that from s − 2. Then add the emission. `log_y[0, states[:2]]` has one number when L = 1, and so has
# `log_alpha[0, :2]`.
# ---
# ```python
# log_alpha = np.full((T, L), -np.inf)
# log_alpha[0, :2] = log_y[0, states[:2]]
# for t in range(1, T):
#     for s in range(L):
#         total = log_alpha[t - 1, s]
#         if s >= 1:
#             total = np.logaddexp(total, log_alpha[t - 1, s - 1])
#         if s >= 2 and ... and ...:
#             total = np.logaddexp(total, log_alpha[t - 1, s - 2])
#         log_alpha[t, s] = total + ...
# ```

# %%
states, log_y = extended(text), log_softmax(logits)
log_alpha = log_forward_variables(log_y, states)
log_p = np.logaddexp(log_alpha[-1, -1], log_alpha[-1, -2])
print(f"loss by the lattice {-log_p:.12f}")
print(f"loss by the list    {-math.log(p_by_list):.12f}")
assert np.isclose(-log_p, -math.log(p_by_list), rtol=1e-13)

plots.show(
    lesson_plots.matrices(
        [np.exp(log_alpha).T[::-1]], ["α: the probability of all beginnings"], ["4  –", "3  b", "2  –", "1  a", "0  –"],
        [f"t = {t}" for t in range(5)], form="{:.3f}", note="states upwards, time to the right",
    ),
    alt="A table of alpha with the five states upwards and the five frames to the right. It begins with two numbers at the lower "
    "left, in states 0 and 1; the others fill up as time goes on, and the loss is made of the two upper ones at the right.",
)  # fmt: skip

# %% [markdown]
# The same function counts. If every class had "probability" 1, each path would count 1, and $\alpha$ would be the
# *number* of beginnings:

# %%
for T, S in ((5, 2), (50, 5), (50, 20)):
    ways = log_forward_variables(np.zeros((T, S + 1)), extended(range(1, S + 1)))[-1, -2:]
    count = np.exp(np.logaddexp(*ways))
    print(f"{T:3} frames, {S:2} different labels: {count:10.4g} alignments, {T * (2 * S + 1):5} numbers in the table")

# %% [markdown]
# **The backward variable** $\beta_t(s)$ is the same for endings: the sum over all ways to get from state $s$ at time
# $t$ to the end, this frame included. It needs no new code. Read time *and* text in reverse, and endings are beginnings
# (a skip that is allowed from $s$ to $s + 2$ is allowed from $s + 2$ to $s$: both are labels, and they differ).

# %%
log_beta = log_forward_variables(log_y[::-1], states[::-1])[::-1, ::-1]
through = np.exp(log_alpha + log_beta - log_y[:, states])  # (T, L)
print("Σ_s α β / y in each frame:", through.sum(axis=1).round(12))

# %% [markdown]
# $\alpha_t(s)\,\beta_t(s)$ is the sum over all alignments that pass through state $s$ at time $t$, but with the factor
# $y_t(s)$ twice, as both include the frame: so divide by it once. And since every alignment is in *exactly one* state
# at time $t$, the sum over the states is $p$, in every frame. That is a good test for any implementation. Divided by
# $p$ it is a probability,
#
# $$\gamma_t(s) = \frac{\alpha_t(s)\,\beta_t(s)}{p\;\, y_t(\text{class of } s)}, \qquad \sum_s \gamma_t(s) = 1 :$$
#
# *given that the text was said, with which probability is it in state $s$ at time $t$?* Drawn as the size of the dots:

# %%
from edutransformers.teaching.alignment_plots import plot_lattice

gamma = through / np.exp(log_p)


def visits_of(logits, text):
    """γ (T, L)"""
    log_y, states = log_softmax(logits), extended(text)
    log_alpha = log_forward_variables(log_y, states)
    log_beta = log_forward_variables(log_y[::-1], states[::-1])[::-1, ::-1]
    return np.exp(log_alpha + log_beta - log_y[:, states] - np.logaddexp.reduce(log_alpha[-1, -2:]))


longer = np.concatenate([logits, logits[::-1]])[:8]

plots.show(
    plot_lattice(visits_of(longer, [1, 2]), [None, "a", None, "b", None], "All alignments of “ab” to 8 frames"),
    alt="The lattice: 8 frames to the right, the states blank, a, blank, b, blank upwards. Lines go right, up by one, and from "
    "a to b up by two. Large dots lead from the lower left over a in frame 1 to b and to the last blank.",
)

# %%
plots.show(
    plot_lattice(
        visits_of(longer, [1, 1]), [None, "a", None, "a", None], "All alignments of “aa”: no way around the blank"
    ),
    alt="The same lattice for the text a a. There is no line from the first a to the second that leaves the blank between them out: "
    "every path visits it.",
)

# %% [markdown] instructor=true
# Questions for the second picture: how many frames does "aa" need at least? (3.) And "bookkeeper"? (10 letters and
# three pairs: 13.) What does the loss of a text that needs more frames than there are come to? (No path: $p = 0$, loss
# ∞, and the gradient is nan.) Such an example in a training set is the usual reason for a sudden `nan`;
# `zero_infinity=True` leaves it out.

# %% [markdown]
# ## 5 · The gradient, on paper
#
# We look for $\texttt{dlogits}_{t,k}$ of $\ell = -\log p$. Fix one frame $t$ and one class $k$.
#
# **Step 1: how $p$ depends on $y_t(k)$.** Every alignment has exactly one factor from frame $t$. Those that are in a
# state which says $k$ have the factor $y_t(k)$, once; the others don't contain it. So $p$ is *linear* in $y_t(k)$, and
# its derivative is the sum over those alignments with that factor taken out:
#
# $$\frac{\partial p}{\partial y_t(k)} = \frac{1}{y_t(k)} \sum_{s \text{ says } k} \frac{\alpha_t(s)\,\beta_t(s)}{y_t(k)}
#   = \frac{p}{y_t(k)} \sum_{s \text{ says } k} \gamma_t(s)$$
#
# (Several states may say $k$: all blanks do, and each label that is repeated.)
#
# **Step 2: the logarithm.** $\ell = -\log p$, so $\partial \ell / \partial p = -1/p$, and $p$ cancels:
#
# $$\texttt{dy}_{t,k} = -\frac{1}{y_t(k)}\, G_t(k), \qquad G_t(k) = \sum_{s \text{ says } k} \gamma_t(s)$$
#
# $G_t(k)$ is the probability that the alignment says $k$ at time $t$. Over all classes it adds up to 1.
#
# **Step 3: through the softmax.** Lesson 01:
# $\texttt{dx}_k = y(k)\big(\texttt{dy}_k - \sum_j \texttt{dy}_j\, y(j)\big)$. The sum is $-\sum_j G_t(j) = -1$. So
#
# $$\texttt{dlogits}_{t,k} = y_t(k)\Big(-\frac{G_t(k)}{y_t(k)} + 1\Big)$$
#
# **Step 4: tidy up.**
#
# $$\boxed{\;\texttt{dlogits}_{t,k} = y_t(k) - \sum_{s \text{ says } k} \gamma_t(s)\;}$$
#
# *What the model said, minus what was right*: cross-entropy's gradient, $p - \delta$, with one difference. What is
# "right" in frame $t$ nobody told us; in its place stands what the alignments say on average, and they are weighed by
# the model's own probabilities.

# %% [markdown]
# **Exercise 5.** Write `ctc_gradient(log_y, states, log_alpha, log_beta)` of one example: to dlogits (T, C). Both
# $\alpha$ and $\beta$ include frame $t$. Compute $p$ from `log_alpha`.


# %% exercise="ctc_gradient"
def ctc_gradient(log_y, states, log_alpha, log_beta):
    """log_y (T, C), states (L,), log α and log β (T, L) -> dlogits (T, C)"""
    ### BEGIN SOLUTION
    log_p = np.logaddexp.reduce(log_alpha[-1, -2:])
    gamma = np.exp(log_alpha + log_beta - log_y[:, states] - log_p)
    dlogits = np.exp(log_y)
    for s, k in enumerate(states):
        dlogits[:, k] -= gamma[:, s]
    return dlogits
    ### END SOLUTION


# %% check="ctc_gradient" points=3
from edutransformers.teaching.checks.lesson16 import check_ctc_gradient

check_ctc_gradient(ctc_gradient)

# %% [markdown] hints="ctc_gradient"
# First $\log p$ from the last frame's two last states, then γ (T, L), then for each state subtract its γ from the
# column of its class.
# ---
# In logarithms $\gamma$ is a sum of four terms and one `np.exp`. `log_y[:, states]` is (T, L): the emission of each
# state at each time. Start `dlogits` as `np.exp(log_y)`. Several states have the same class, so go through them one by
# one.
# ---
# ```python
# log_p = np.logaddexp.reduce(log_alpha[-1, -2:])
# gamma = np.exp(log_alpha + log_beta - ... - ...)
# dlogits = np.exp(log_y)
# for s, k in enumerate(states):
#     dlogits[:, k] ...
# return dlogits
# ```

# %% [markdown]
# Five ways to the same numbers: yours; central differences; the list of all paths (of each path, its share of $p$, put
# where it goes); torch 2.13's `ctc_loss` with its autograd in float64, written down here; and the library's `CTCLoss`.

# %%
from edutransformers.losses import CTCLoss

TORCH_LOSS = 0.9262705137039593
TORCH_GRADIENT = [
    [-0.052211876320622, -0.069739775989107, 0.121951652309729],
    [0.087674066338835, -0.135397638937395, 0.04772357259856],
    [-0.013889289054034, -0.061312628191934, 0.075201917245968],
    [0.122426573195376, 0.070011051594608, -0.192437624789983],
    [-0.051661900588183, 0.191934655268649, -0.140272754680465],
]


def ctc(logits, text):
    """One example's loss and gradient, with your functions: logits (T, C) -> number, (T, C)"""
    log_y, states = log_softmax(logits), extended(text)
    log_alpha = log_forward_variables(log_y, states)
    log_beta = log_forward_variables(log_y[::-1], states[::-1])[::-1, ::-1]
    return -np.logaddexp.reduce(log_alpha[-1, -2:]), ctc_gradient(log_y, states, log_alpha, log_beta)


loss, dlogits = ctc(logits, text)
by_list = y.copy()
for path, p in meaning_ab.items():
    by_list[np.arange(5), path] -= p / p_by_list
library_loss = CTCLoss(reduction="sum")
value, cache = library_loss.forward(logits[None], np.array([text]), np.array([5]), np.array([2]))

differences = {
    "central differences": numerical_gradient(lambda x: ctc(x, text)[0], logits.copy()),
    "the list of paths": by_list,
    "torch": TORCH_GRADIENT,
    "the library": library_loss.backward(1.0, cache)[0],
}
print(f"loss {loss:.12f}, torch {TORCH_LOSS:.12f}, the library {value:.12f}")
for name, other in differences.items():
    print(f"largest difference of the gradient to {name:20} {np.abs(dlogits - other).max():.0e}")
    assert np.allclose(dlogits, other, atol=1e-9)

plots.show(
    lesson_plots.matrices(
        [y.T[::-1], (y - dlogits).T[::-1], dlogits.T[::-1]],
        ["y: what it said", "G: what the alignments say", "dlogits = y − G"], ["b", "a", "–"], form="{:+.2f}",
    ),
    alt="Three tables with the classes b, a and blank as rows and five frames as columns: what the model said, what the alignments of "
    "ab say, and the difference, which is the gradient. The alignments want more of a in the first frames and more of b in the "
    "last than the model said.",
)  # fmt: skip

# %% [markdown]
# ## 6 · What CTC makes of a model: blanks first, then peaks
#
# Before you train it, think the gradient through for a model that knows nothing: all classes equally likely, 68 frames,
# four labels. What do the alignments say then?

# %%
uniform = np.zeros((68, 5))
said = np.stack(
    [visits_of(uniform, [1, 2, 3, 4])[:, extended([1, 2, 3, 4]) == k].sum(axis=1) for k in range(5)]
)  # G, (C, T)
print(
    f"the model says blank with 1/5 = {1 / 5:.0%}; of the average alignment {said[0].mean():.0%} of all frames are blank"
)

plots.show(
    lesson_plots.curves(
        np.arange(68), {NAMES[k] if k else "blank": said[k] for k in range(5)}, "frame", "G: what the alignments say",
        "The targets of a model that knows nothing",
    ),
    alt="Over 68 frames, what the alignments say on average when all classes are equally likely. The four labels have broad, low "
    "hills one after the other; the blank lies above them everywhere, at about one half, and higher at both ends.",
)  # fmt: skip

# %% [markdown]
# Five of the nine states are blank, so the blank gets half of all frames, and it is the only class that is asked for
# *everywhere*. So the first thing that a CTC model learns is to say blank. The loss then falls no further for a while,
# and one thinks that it is broken.
#
# But with blanks so likely, an alignment with few frames a label and blanks elsewhere is far more probable than others.
# The few frames in which a label is a little likelier than elsewhere get nearly all of its γ, and so are taught to say
# it more. *What the model half believes, it is taught to believe.* What comes out are **peaks**: one or two frames a
# label, blanks between, though the sound is much longer.
#
# ## 7 · A model that hears notes
#
# Two convolutions with a ReLU behind each (whatever is negative becomes 0), and one linear layer: 5 classes, the blank
# and four notes. The layers are the library's (your convolution, with the windows in one matrix product instead of a
# loop). It hears melodies of 3 to 5 notes and is told the notes; never when.

# %%
from edutransformers.audio import collapse_path, ctc_greedy_search, forced_alignment
from edutransformers.layers import Activation, Conv1d, Linear
from edutransformers.module import Module
from edutransformers.training import AdamW


class Listener(Module):
    """Samples (B, 1, n) -> logits (B, T, 5)"""

    def __init__(self, generator):
        self.hear = Conv1d(1, 32, kernel_size=64, stride=16, generator=generator)
        self.join = Conv1d(32, 32, kernel_size=5, stride=2, generator=generator)
        self.relu = Activation("relu")
        self.say = Linear(32, 5, generator=generator)

    def forward(self, x):
        h, hear_cache = self.hear.forward(x)
        h, relu_1 = self.relu.forward(h)
        h, join_cache = self.join.forward(h)
        h, relu_2 = self.relu.forward(h)
        logits, say_cache = self.say.forward(h.transpose(0, 2, 1))  # channels last
        return logits, (hear_cache, relu_1, join_cache, relu_2, say_cache)

    def backward(self, dlogits, cache):
        hear_cache, relu_1, join_cache, relu_2, say_cache = cache
        dh = self.say.backward(dlogits, say_cache).transpose(0, 2, 1)
        dh = self.join.backward(self.relu.backward(dh, relu_2), join_cache)
        return self.hear.backward(self.relu.backward(dh, relu_1), hear_cache)


def frames_of(n):
    """How many frames n samples become."""
    return ((n - 64) // 16 + 1 - 5) // 2 + 1


def batch(rng, B):
    """B melodies, padded with zeros -> samples (B, 1, n), labels (B, 5), the frames and the labels of each (B,)"""
    items = [melody(rng) for _ in range(B)]
    lengths, label_counts = (np.array([len(item[place]) for item in items]) for place in (0, 1))
    x, labels = np.zeros((B, 1, lengths.max()), dtype="float32"), np.zeros((B, 5), dtype=int)
    for row, (samples, notes) in enumerate(items):
        x[row, 0, : len(samples)], labels[row, : len(notes)] = samples, notes
    return x, labels, frames_of(lengths), label_counts


# %% [markdown]
# Sounds of different lengths are padded to the longest; CTC is told how many frames each really has, and padding gets
# no gradient. 200 steps with lesson 10's AdamW; every fifth step we look at the melody of section 1, from which it
# doesn't learn: how probable the blank is on average, and, where it isn't, how the rest is shared among the four notes.

# %%
rng = np.random.default_rng(0)
listener, loss_function = Listener(rng), CTCLoss()  # the mean over the examples of loss / labels
optimizer = AdamW(listener, lr=0.015)
watched = samples[None, None]  # the melody of section 1
steps, losses, blanks, which, something_new = [], [], [], [], {}
for step in range(201):
    x, labels, frame_counts, label_counts = batch(rng, 16)
    logits, cache = listener.forward(x)
    loss, loss_cache = loss_function.forward(logits, labels, frame_counts, label_counts)
    listener.backward(loss_function.backward(1.0, loss_cache), cache)
    optimizer.step()
    optimizer.zero_grad()
    if step % 5 == 0:
        heard = softmax(listener.forward(watched)[0][0])
        steps.append(step)
        losses.append(float(loss))
        blanks.append(float(heard[:, 0].mean()))
        which.append(float(heard[:, 1:].max(axis=1).sum() / heard[:, 1:].sum()))
        something_new[step] = 1 - heard[:, 0]

plots.show(
    lesson_plots.curves(
        steps[1:],
        {"loss (nats a label)": losses[1:], "mean probability of the blank": blanks[1:],
         "share of the likeliest of the four notes": which[1:]},
        "step", "", "First when, then which",
    ),
    alt="Three curves over 200 steps. The blank's mean probability is near 0.9 from the beginning. The loss stays on a plateau near 1.7 up "
    "to about step 90; as long, the likeliest note has little more than a quarter of what is left for notes. Then the loss falls to nearly "
    "0, and the share rises to nearly 1.",
)  # fmt: skip

# %% [markdown]
# There it is. Almost at once it says blank nearly everywhere. Then a plateau, and the third curve says what it doesn't
# know: on the plateau each note has about a quarter of what the blank leaves, so it knows *that* something was played,
# which loudness tells, but not *which* note; and not to know which of four costs $\log 4 = 1.39$ a label. Then, within
# some forty steps, the notes. Here is how sure it is that *something* is to be said, frame by frame of that melody:

# %%
plots.show(
    lesson_plots.curves(
        np.arange(len(something_new[0])),
        {f"after {step} steps": something_new[step] for step in (10, 40, 110, 200)},
        "frame", "1 − probability of the blank", "Peaks grow where a label fits best",
    ),
    alt="For the frames of one melody, the probability of anything but the blank at four moments of the training. After 10 "
    "steps there are low hills in the pauses behind the notes; they grow, move forward into the ends of the notes, and in the "
    "end are four high and narrow peaks.",
)  # fmt: skip

# %% [markdown]
# The first hills lie in the pauses: silence after sound is the easiest mark. When it comes to *which* note, they move
# forward, to where the note can still be heard.
#
# **Reading.** The simplest way is the best class of each frame, collapsed: *greedy* decoding. It finds the best path,
# not the best text (a text's probability is spread over many paths); where a model is as sure as this one, that is the
# same. We count on 100 new melodies.

# %%
x, labels, frame_counts, label_counts = batch(np.random.default_rng(1000), 100)
logits = listener(x)
right, some_wrong = 0, []
for row in range(100):
    read = collapse(logits[row, : frame_counts[row]].argmax(axis=-1).tolist())
    wanted = labels[row, : label_counts[row]].tolist()
    assert read == ctc_greedy_search(logits[row, : frame_counts[row]]).tokens
    right += read == wanted
    if read != wanted:
        some_wrong.append("".join(NAMES[k] for k in wanted) + " read as " + "".join(NAMES[k] for k in read))
print(f"{right} of 100 melodies read without a mistake. Others:", "; ".join(some_wrong[:3]) or "none")

# %% [markdown]
# **When was it said?** The text is known, and one wants its best path: the same lattice with the *largest* of the three
# ways in the place of their sum, and a note of which one it was; then back from the end (Viterbi's algorithm). That is
# `forced_alignment`. The model was never told a time, and yet:

# %%
from edutransformers.teaching.alignment_plots import plot_alignment

watched_logits = listener(watched)[0]
alignment = forced_alignment(watched_logits, notes)
print("read:", " ".join(NAMES[k] for k in collapse(watched_logits.argmax(axis=-1).tolist())))
print("path:", "".join(NAMES[k] for k in alignment.path))

plots.show(
    plot_alignment(
        alignment, NAMES, watched_logits, samples, RATE, title="What was heard, and when"
    ),
    alt="Above, the sound of the melody C B B F with the stretch of each note's label marked; below, the probabilities of the classes "
    "over time with the best path. Each label is said in a few frames only, near the end of its burst of sound, and blanks fill "
    "the rest.",
)  # fmt: skip

# %% [markdown]
# The four labels are in the right order and each is near its note, but look where: they cover a few frames, not the
# note, and they stand at its *end* or just behind it. (A frame hears 64 ms, and may say at its middle what it heard in
# its first part.) The stop of a note is a sharp mark, the same for long and short ones, and it tells one B from the
# next. CTC asked for the order alone; where in the sound a label stands is the model's own choice. So take its times
# with care: good to some hundredths of a second for *where*, and of no use for *how long*.
#
# And what has the first layer learned, from samples alone? Here is how strongly its 32 kernels answer to each
# frequency, before and after:


# %%
def answers_to(kernels):
    """(32, K) -> how strongly all of them together answer to each frequency"""
    return np.sqrt(sum(spectrum(kernel) ** 2 for kernel in kernels))


untrained = Listener(np.random.default_rng(0)).hear.weight.data[:, 0]
trained = listener.hear.weight.data[:, 0]

plots.show(
    lesson_plots.curves(
        frequencies, {"before training": answers_to(untrained), "after": answers_to(trained)}, "frequency (Hz)", "answer",
        "What the first layer listens for",
    ),
    alt="Two curves over the frequency. Before training the kernels answer to all frequencies about alike. Afterwards the curve has hills "
    "near the four notes, 262, 349, 466 and 622 hertz.",
)  # fmt: skip

# %% [markdown]
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | only blanks, loss on a plateau | the usual beginning; wait, or raise the learning rate a little. If it lasts for thousands of steps: the frames are too few, or the inputs too small |
# | `inf`, then `nan` | a text longer than its frames (repeated labels need one more each): `zero_infinity=True`, or leave it out |
# | doubled letters are lost | blanks were dropped before neighbours were merged, or the skip between equal labels was allowed |
# | the loss is 0 or −∞ for long sounds | probabilities instead of logarithms: a product of 400 factors underflowed |
# | it learns, but padded batches are worse | frames of padding were counted: pass the true number of *frames*, not of samples |
# | a class that can't be learned | label 0: that is the blank's |
# | the gradient check fails for repeated labels only | `dlogits[:, states] -= gamma` counts one state a class; go through the states, or use a matrix |
# | `dx` of a convolution too small, stride below K | windows overlap: `+=` |
#
# ## What the library does more than you did
#
# * its CTC works on a **whole batch**, and on α and β together, in one loop over time: the reversed lattices are a second half of the batch, and
#   behind the end of a short example its path waits in a state that costs nothing;
# * instead of −∞ it has **−10³⁰**, which can be subtracted from itself;
# * its convolution makes **windows without copying** where it can, in pieces that fit the processor's cache, over time or over height and width, with
#   padding, dilation and groups; its backward adds whole slices, tap by tap;
# * `ctc_beam_search` finds the best *text*, all its paths together, with a language model if one likes;
# * `forced_alignment` gives each token's place and probability.

# %%
from edutransformers.audio import ctc_beam_search
from edutransformers.functional.ctc import ctc_loss, ctc_loss_backward
from edutransformers.teaching.read_on import read_on

read_on(
    convolution, convolution_backward, Conv1d, ctc_loss, ctc_loss_backward, CTCLoss, collapse_path, ctc_greedy_search,
    ctc_beam_search, forced_alignment, plot_lattice,
)  # fmt: skip

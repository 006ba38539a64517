# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: "Wav2Vec2 learns to read digits aloud: training, decoding, alignment"
#     minutes: 100
#     goal: You assemble Wav2Vec2, from samples to characters, get the library's numbers out of real weights, teach a small one the spoken digits, search the most probable text instead of the most probable path, and find out when each character was said.
#     needs: [2, 3, 7, 8, 10, 13, 14, 16]
# ---

# %% [markdown]
# Lesson 16 has built the two ends of a model that hears: the convolution, which makes frames of samples, and CTC, which
# asks for the text alone. What stood between them was one linear layer, and it knew four notes. Speech needs more: a
# vowel sounds as its neighbours make it sound, and whether a hiss is the end of "six" or the beginning of "seven" only
# the next tenths of a second can tell. So between the two ends come the layers of a transformer, where every frame
# listens to all others. That is **Wav2Vec2** (Baevski and others, 2020), and this lesson goes through it once, from the
# sound to the second in which each character was said.

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("samples", "(B, N)"), "convolutions", ("f", "(B, T, C)"), "projection", ("x", "(B, T, D)"),
         "layers", ("h", "(B, T, D)"), "head", ("logits", "(B, T, V)"), "CTC", ("loss", "a number")],
        ["frozen", "df", "dx", "dh", "y − γ"],
    ),
    alt="From left to right: samples of shape B by N, convolutions, frames f of shape B by T by C, a projection, x of shape B by T "
    "by D, the layers, h of the same shape, the head, logits of shape B by T by V, and CTC's loss. Dashed arrows lead "
    "back, up to the convolutions, which are frozen.",
)  # fmt: skip

# %% [markdown]
# The letters: B recordings, N samples of sound each, T frames, C channels of the convolutions, D the model's width, H
# heads of width D/H, V characters to choose from, of which number 0 is CTC's blank. As in lesson 16, K is the length of a
# kernel, S counts the labels of a text, and L = 2S + 1 its states.
#
# A trained reader ships with the package: it hears spelled digits and letters at 8,000 samples a second, as telephones
# carry them. And something to listen to: the ten digits, spoken by sixteen synthetic voices. The last four of them
# nobody has learned from, neither the reader nor, below, you.

# %%
from edutransformers import AutoModelForCTC, AutoProcessor
from edutransformers.teaching.spoken_digits import RATE, VOICES, spoken_digits

name = "edutransformers/wav2vec2-small-digits-letters"
processor, library = AutoProcessor.from_pretrained(name), AutoModelForCTC.from_pretrained(name)
library.eval()
config = library.config
recordings = spoken_digits()  # {voice: ten arrays of samples}
LEARN, UNSEEN = VOICES[:12], VOICES[12:]


def say(voice, digits, rng):
    """Recordings of one voice in a row, with pauses of up to 0.1 s -> samples (N,), and where each digit lies (S, 2)."""
    parts, places, at = [], [], 0
    for digit in [None, *digits]:
        if digit is not None:
            sound = recordings[voice][digit]
            parts.append(0.2 * sound / np.sqrt(np.mean(sound**2)))
            places.append((at, at + len(sound)))
            at += len(sound)
        pause = 1e-4 * rng.standard_normal(int(RATE * rng.uniform(0.0, 0.1)))
        parts.append(pause)
        at += len(pause)
    return np.concatenate(parts).astype("float32"), np.array(places)


samples, places = say("victor", [3, 1, 4], np.random.default_rng(0))
print(
    f"{len(samples):,} samples are {len(samples) / RATE:.2f} s; the model has {library.num_parameters():,} parameters"
)

# %% [markdown]
# ## 1 · From samples to frames
#
# **Loudness first.** How far one stood from the microphone says nothing about the words. So every recording is moved to
# mean 0 and scaled to variance 1, by itself, over its real samples (padding doesn't count, and stays 0):
#
# $$x_n \leftarrow \frac{x_n - \text{mean}(x)}{\sqrt{\text{variance}(x) + 10^{-7}}}$$
#
# **Then the stack.** Each of its layers is a convolution over time with a stride (lesson 16), a norm, and GELU (lesson
# 03). The reader has three of them; the original has seven, for 16,000 samples a second. The norm comes in two kinds:
#
# * *layer norm* over the channels of each frame by itself: what stands elsewhere in the recording, padding too, changes
#   nothing. The large models and our reader have it, behind every convolution;
# * *group norm* with a group for each channel, in the base model behind the first convolution only: each channel is
#   normed over all of *time*. There the zeros of padding are in the mean, and the same sound gets other numbers beside
#   a longer one.
#
# **How many frames?** Lesson 16: n numbers become $\lfloor (n - K)/s \rfloor + 1$, layer by layer. In a batch the short
# recordings are padded with zeros, so the last frames of a row are of padding, wholly or in part. A frame counts as
# real if its window holds real samples only, and there are as many of these as the recording would have had alone.

# %% [markdown]
# **Exercise 1.** Write `real_frames(lengths, kernels, strides)`: the numbers of real samples (B,), and each
# convolution's kernel and stride, to booleans (B, T), True where a frame is real. The batch is padded to its longest
# recording, so T is the number of that one's frames.


# %% exercise="real_frames"
def real_frames(lengths, kernels, strides):
    """lengths (B,), kernels and strides of the layers, first to last -> booleans (B, T)"""
    ### BEGIN SOLUTION
    n = np.asarray(lengths)
    for kernel, stride in zip(kernels, strides):
        n = (n - kernel) // stride + 1
    return np.arange(n.max()) < n[:, None]
    ### END SOLUTION


# %% check="real_frames" points=2
from edutransformers.teaching.checks.lesson17 import check_real_frames

check_real_frames(real_frames)

# %% [markdown] hints="real_frames"
# First the number of frames of each recording: one line in a loop over the layers, where what comes out of one layer is
# what goes into the next. NumPy does all B at once.
# ---
# With the counts n (B,), T is `n.max()`. Frame t of row b is real if t < n[b]: compare the frames' numbers,
# `np.arange(T)`, with n.
# ---
# ```python
# n = np.asarray(lengths)
# for kernel, stride in zip(kernels, strides):
#     n = (n - kernel) // ... + ...
# return np.arange(n.max()) < n[...]         # (T,) against (B, 1)
# ```

# %% [markdown]
# And how far does a frame hear? Lesson 16's rule, for the reader's layers; beside it, the frames of three recordings.

# %%
field, distance = 1, 1
for kernel, stride in zip(config.conv_kernel, config.conv_stride):
    field, distance = field + (kernel - 1) * distance, distance * stride
    print(f"kernel {kernel:3}, stride {stride:2}: a frame sees {field:3} samples, {1000 * field / RATE:.0f} ms; "
          f"a frame every {distance:3} samples, {1000 * distance / RATE:.0f} ms")  # fmt: skip
FRAME = distance / RATE  # seconds from one frame to the next
lengths = np.array([1600, 1000, 700])

plots.show(
    lesson_plots.matrices(
        [np.array(real_frames(lengths, config.conv_kernel, config.conv_stride), dtype=int)], ["which frames are real"],
        [f"{n} samples" for n in lengths], [f"t={t}" for t in range(7)], form="{:d}",
    ),
    alt="Three rows of seven zeros and ones. The recording of 1,600 samples has seven real frames, that of 1,000 samples three, that "
    "of 700 samples one.",
)  # fmt: skip

# %% [markdown]
# The first kernel is unusually long: 128 samples, 16 ms, two periods of a low voice. So one layer can do what a
# spectrum does. The original's first kernel has 10 samples; its seven layers learn a spectrum together.
#
# ## 2 · Where am I? A convolution says it
#
# Attention doesn't know the order of what it looks at (lesson 04). BERT adds a learned vector for each place; but there a
# place is a place in a *sentence*, and in a recording "frame 517" means nothing. What helps is how far frames are from
# *each other*. So Wav2Vec2 makes the vector to be added from the neighbours, by one convolution over time, with a long
# kernel and stride 1:
#
# $$x_t \leftarrow x_t + \text{GELU}\Big(\text{bias} + \sum_{k=0}^{K-1} W_{\cdot,\cdot,k}\; x_{t + k - K/2}\Big)$$
#
# Zeros stand before the first and behind the last frame, so the ends can be told, too. (For an even K it looks K/2
# frames back and K/2 − 1 ahead.) To save weights, the channels are cut into G groups, each of which sees its own only:
# `weight` is (D, D/G, K).
#
# **Weight norm.** Such a long kernel sums up thousands of products, and trains better if its *size* and its *direction*
# are separate numbers (Salimans and Kingma, 2016). For each place $k$ of the kernel let $v_k$ be all numbers
# $v_{o,i,k}$, a vector. What is learned are $v$ and one number $g_k$; what is used is
#
# $$w_k = g_k\, u_k, \qquad u_k = \frac{v_k}{\lVert v_k \rVert}, \qquad \lVert v_k \rVert = \sqrt{\textstyle\sum_{o,i} v_{o,i,k}^2}$$
#
# so $w_k$ has the length $|g_k|$, whatever the length of $v_k$.

# %% [markdown]
# **Exercise 2.** Write `weight_norm(v, g)`: v (O, I, K) and g (1, 1, K) to w (O, I, K).


# %% exercise="weight_norm"
def weight_norm(v, g):
    """v (O, I, K), g (1, 1, K) -> w = g v/‖v‖, with a length for each of the K places"""
    ### BEGIN SOLUTION
    return g * v / np.sqrt((v**2).sum(axis=(0, 1), keepdims=True))
    ### END SOLUTION


# %% check="weight_norm" points=1
from edutransformers.teaching.checks.lesson17 import check_weight_norm

check_weight_norm(weight_norm)

# %% [markdown] hints="weight_norm"
# There are K lengths, one for each index of the last axis. Which axes are summed over?
# ---
# The first two: `sum(axis=(0, 1), keepdims=True)` of the squares is (1, 1, K), and goes with both v and g.
# ---
# ```python
# norm = np.sqrt((v**2).sum(axis=..., keepdims=True))      # (1, 1, K)
# return g * v / ...
# ```

# %% [markdown]
# ### The way back, on paper
#
# The convolution hands us $\texttt{dw}$. One place $k$ is like any other and doesn't touch the others, so leave the $k$
# away and write $v_i$, $w_i$ for the numbers of that one vector.
#
# **Step 1: g.** $w_i = g\,u_i$, and $g$ is in all of them, so
#
# $$\boxed{\;\texttt{dg} = \sum_i \texttt{dw}_i\, u_i\;}$$
#
# the part of $\texttt{dw}$ that points along $u$.
#
# **Step 2: the direction.** $u_i = v_i / \lVert v \rVert$. The length depends on every $v_j$:
# $\partial \lVert v \rVert / \partial v_j = \tfrac{1}{2 \lVert v \rVert}\, 2 v_j = u_j$. With the rule for quotients
#
# $$\frac{\partial u_i}{\partial v_j} = \frac{\delta_{ij} \lVert v \rVert - v_i\, u_j}{\lVert v \rVert^2}
#   = \frac{\delta_{ij} - u_i u_j}{\lVert v \rVert}$$
#
# **Step 3: the chain rule**, with $\texttt{du}_i = g\,\texttt{dw}_i$. The $\delta$ picks one term, and the other sum is
# $\texttt{dg}$ once more:
#
# $$\texttt{dv}_j = \sum_i g\,\texttt{dw}_i\, \frac{\delta_{ij} - u_i u_j}{\lVert v \rVert}
#   \qquad\Longrightarrow\qquad
#   \boxed{\;\texttt{dv} = \frac{g}{\lVert v \rVert}\,\big(\texttt{dw} - \texttt{dg}\; u\big)\;}$$
#
# **Step 4: look at it.** What is subtracted is the part of $\texttt{dw}$ along $u$, all of it:
# $\sum_j u_j\,\texttt{dv}_j = \tfrac{g}{\lVert v \rVert}(\texttt{dg} - \texttt{dg}) = 0$, as $\sum_j u_j^2 = 1$. The gradient of $v$ has *no part
# along v*. It must be so: to make $v$ longer or shorter doesn't change $w$, so the loss doesn't change either, and a
# derivative in that direction is 0. (It is lesson 01's thought again: the scores' common part, which softmax doesn't
# see, gets no gradient.) And a step at right angles to $v$ makes it longer, by Pythagoras
# $\lVert v - \eta\,\texttt{dv} \rVert^2 = \lVert v \rVert^2 + \eta^2 \lVert \texttt{dv} \rVert^2$; then $g/\lVert v \rVert$
# is smaller, and so are the next steps. Weight norm tames its own learning rate.

# %% [markdown]
# **Exercise 3.** Write `weight_norm_backward(dw, v, g)`, which returns `dv` (O, I, K) and `dg` (1, 1, K).


# %% exercise="weight_norm_backward"
def weight_norm_backward(dw, v, g):
    """dw, v (O, I, K), g (1, 1, K) -> dv (O, I, K), dg (1, 1, K)"""
    ### BEGIN SOLUTION
    norm = np.sqrt((v**2).sum(axis=(0, 1), keepdims=True))
    u = v / norm
    dg = (dw * u).sum(axis=(0, 1), keepdims=True)
    return g / norm * (dw - dg * u), dg
    ### END SOLUTION


# %% check="weight_norm_backward" points=2
from edutransformers.teaching.checks.lesson17 import check_weight_norm_backward

check_weight_norm_backward(weight_norm_backward)

# %% [markdown] hints="weight_norm_backward"
# Both boxes need $u$ and $\lVert v \rVert$: compute these first, as in Exercise 2. Then `dg`, which `dv` contains.
# ---
# The sums run over the first two axes, and each of the K places has its own: keep the axes, so that `dg` is (1, 1, K) and
# broadcasts.
# ---
# ```python
# norm = np.sqrt((v**2).sum(axis=(0, 1), keepdims=True))
# u = v / norm
# dg = (dw * ...).sum(axis=(0, 1), keepdims=True)
# return g / norm * (dw - ...), dg
# ```

# %% [markdown] instructor=true
# The usual wrong answers: `dv = g / norm * dw`, as if the length were a constant (the second box without its second
# term), and one length for the whole array. The first even trains, only worse. A question that shows who has understood
# Step 4: what is `dv` when O·I = 1, one number for each place? (Zero: a single number has no direction but its sign.)

# %%
from edutransformers.functional.weight_norm import weight_norm as library_weight_norm
from edutransformers.functional.weight_norm import weight_norm_backward as library_weight_norm_backward
from edutransformers.gradient_check import numerical_gradient

TORCH_W_00 = [0.0, -0.8872016273163795, 0.27435226300325705, 0.26190515170988554]
TORCH_DV_00 = [0.6023825756700796, -0.5709713327016233, -0.07143247626295718, -1.8830605575340624]
TORCH_DG = [0.32902630528146054, -0.0027917349979412385, -0.32694304503017013, 0.2822414651226986]

v, g = np.sin(np.arange(24.0)).reshape(2, 3, 4), np.array([1.0, -2.0, 0.5, 3.0]).reshape(1, 1, 4)
dw = np.cos(np.arange(24.0)).reshape(2, 3, 4)
dv, dg = weight_norm_backward(dw, v, g)
w, norm = library_weight_norm(v, g, 2)
assert np.allclose(dv, numerical_gradient(lambda v: (dw * weight_norm(v, g)).sum(), v.copy()), atol=1e-8)
assert np.allclose(dg, numerical_gradient(lambda g: (dw * weight_norm(v, g)).sum(), g.copy()), atol=1e-8)
assert np.allclose(weight_norm(v, g), w, atol=1e-14)
assert all(np.allclose(a, b, atol=1e-14) for a, b in zip((dv, dg), library_weight_norm_backward(dw, v, g, norm, 2)))
assert np.allclose(weight_norm(v, g)[0, 0], TORCH_W_00, atol=1e-14)  # torch 2.13, torch._weight_norm and its autograd
assert np.allclose(dv[0, 0], TORCH_DV_00, atol=1e-14)
assert np.allclose(dg.ravel(), TORCH_DG, atol=1e-14)
print("weight norm: equal to central differences (1e-8), to the library and to torch (1e-14)")
print("the part of dv along v, for each place:", np.abs((dv * v).sum(axis=(0, 1))).round(12))

# %% [markdown]
# ## 3 · The whole model
#
# The rest you have written before. The layers are those of lesson 13's order, the norm on the branch (the original calls
# it `do_stable_layer_norm`; the base model has BERT's order), but nothing is causal: a frame looks at all others, back
# and ahead. Hidden are only the frames of padding, as keys (lesson 07), and before the positions' convolution, which
# looks across the end of the recording, they are set to 0. Parameters lie in a dictionary `p` under the names that the
# original's checkpoints have.

# %%
from edutransformers.functional.activations import gelu
from edutransformers.functional.convolution import convolution
from edutransformers.functional.normalization import layer_norm
from edutransformers.functional.softmax import log_softmax, softmax


def linear(x, p, name):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]  # (…, I) -> (…, O), weight (O, I)


def norm(x, p, name):
    return layer_norm(x, p[f"{name}.weight"], p[f"{name}.bias"], 1e-5)[0]


def convolutions(x, p, strides):
    """(B, N) -> (B, T, C)"""
    x = x[:, None]  # (B, 1, N): one channel
    for layer, stride in enumerate(strides):
        name = f"feature_extractor.conv_layers.{layer}"
        x = convolution(x, p[f"{name}.conv.weight"], p[f"{name}.conv.bias"], stride)  # (B, C, N′)
        x = gelu(norm(x.swapaxes(1, 2), p, f"{name}.layer_norm")).swapaxes(1, 2)  # the norm is over the channels
    return x.swapaxes(1, 2)


def positions(x, p):
    """(B, T, D) -> (B, T, D), to be added"""
    name = "encoder.pos_conv_embed.conv"
    v, g = p[f"{name}.parametrizations.weight.original1"], p[f"{name}.parametrizations.weight.original0"]
    K, groups = v.shape[2], v.shape[0] // v.shape[1]
    padding = ((K // 2, (K - 1) // 2),)  # zeros before and behind
    y = convolution(x.swapaxes(1, 2), weight_norm(v, g), p[f"{name}.bias"], padding=padding, groups=groups)
    return gelu(y.swapaxes(1, 2))


def attention(x, real, p, name, H):
    B, T, D = x.shape
    q, k, v = (linear(x, p, f"{name}.{part}_proj").reshape(B, T, H, D // H).swapaxes(1, 2) for part in ("q", "k", "v"))
    scores = q @ k.swapaxes(-1, -2) / (D // H) ** 0.5  # (B, H, T, T)
    weights = softmax(np.where(real[:, None, None, :], scores, -np.inf).astype(x.dtype))
    return linear((weights @ v).swapaxes(1, 2).reshape(B, T, D), p, f"{name}.out_proj")


def layer(x, real, p, name, H):
    a = x + attention(norm(x, p, f"{name}.layer_norm"), real, p, f"{name}.attention", H)
    up = gelu(linear(norm(a, p, f"{name}.final_layer_norm"), p, f"{name}.feed_forward.intermediate_dense"))
    return a + linear(up, p, f"{name}.feed_forward.output_dense")


def wav2vec2(samples, lengths, p, kernels, strides, layers, H):
    """samples (B, N), padded with zeros; lengths (B,) -> logits (B, T, V)"""
    head = {name: p[f"lm_head.{name}"] for name in ("weight", "bias")}
    p = {name.removeprefix("wav2vec2."): array for name, array in p.items()}
    real = np.array(real_frames(lengths, kernels, strides), dtype=bool)  # (B, T)
    f = norm(convolutions(samples, p, strides), p, "feature_projection.layer_norm")
    x = linear(f, p, "feature_projection.projection")
    x = np.where(real[:, :, None], x, 0).astype(x.dtype)
    x = x + positions(x, p)
    for number in range(layers):
        x = layer(x, real, p, f"encoder.layers.{number}", H)
    return norm(x, p, "encoder.layer_norm") @ head["weight"].T + head["bias"]


# %% [markdown]
# First against the original: a model with widths of 6 and 8 and weights that a formula makes, so that anybody can make them
# again; two recordings, the second padded. The numbers were computed with transformers 5.23 and torch 2.13 in float64.

# %%
from edutransformers import Wav2Vec2Config, Wav2Vec2ForCTC

TORCH_FIRST = [-0.048761086135820364, 1.5199494488176666, 0.18353846390646944, -0.9497608514457073, 0.18962243978708582,
               0.3755637866905393, -0.9565440382454284]  # fmt: skip
TORCH_LAST_REAL = [-0.456169379902867, 2.0004896992862373, 0.4511095122943626, -1.5081642950875673, 0.0845468312566664,
                   0.964544239519673, -1.022861781313512]  # fmt: skip

tiny = Wav2Vec2ForCTC(
    Wav2Vec2Config(
        vocab_size=7, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12, conv_dim=(6, 6),
        conv_kernel=(5, 3), conv_stride=(3, 2), conv_bias=True, feat_extract_norm="layer", do_stable_layer_norm=True,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, mask_time_prob=0.0,
    )
)  # fmt: skip
p = {}
for number, (key, parameter) in enumerate(sorted(tiny.named_parameters())):
    p[key] = np.sin(np.arange(float(parameter.size)) + number).reshape(parameter.shape) / 2 + ("norm.weight" in key)

lengths = np.array([41, 30])
x = np.sin(0.7 * np.arange(82)).reshape(2, 41) * (np.arange(41) < lengths[:, None])
logits = wav2vec2(x, lengths, p, (5, 3), (3, 2), layers=2, H=2)
print("largest difference to the original:",
      f"{max(np.abs(logits[0, 0] - TORCH_FIRST).max(), np.abs(logits[1, 3] - TORCH_LAST_REAL).max()):.0e}")  # fmt: skip
assert np.allclose(logits[0, 0], TORCH_FIRST, atol=1e-12)
assert np.allclose(logits[1, 3], TORCH_LAST_REAL, atol=1e-12)

# %% [markdown]
# Then real weights and a real batch: the library's reader, and three unseen voices.

# %%
rng = np.random.default_rng(1)
sounds = [say(voice, digits, rng)[0] for voice, digits in zip(UNSEEN, ([4, 0, 7], [1], [9, 2, 8, 5]))]
batch = processor(sounds, sampling_rate=RATE, padding=True, return_tensors="np")
lengths = batch["attention_mask"].sum(axis=1)
p = library.state_dict()
logits = wav2vec2(
    batch["input_values"], lengths, p, config.conv_kernel, config.conv_stride, config.num_hidden_layers,
    config.num_attention_heads,
)  # fmt: skip
real = np.array(real_frames(lengths, config.conv_kernel, config.conv_stride), dtype=bool)
assert np.allclose(logits[real], library(**batch).logits[real], atol=1e-3)
print("yours and the library's logits are equal:", logits.shape)
for row, n in zip(logits, real.sum(axis=1)):
    print(processor.tokenizer.decode(row[:n].argmax(axis=-1)))

# %% [markdown]
# It was to hear 407, 1 and 9285, in voices that it doesn't know.
#
# ## 4 · Training
#
# The usual way to a reader of one's own: take the ears of a trained model, its convolutions, leave them as they are
# (the library's `freeze_feature_encoder()`), and train what comes after. What sounds are made of is the same in all
# tasks. Frozen ears have one more advantage: a recording's frames never change, so they are computed **once**.
#
# The data: all twelve voices to learn from, 240 single digits and 240 sequences of one to three; and for the test 60
# sequences of the four voices that no one has learned from.


# %%
from edutransformers import inference_mode

ears = library.wav2vec2.feature_extractor


def frames_of(samples):
    """(N,) -> (T, C), by the frozen convolutions"""
    with inference_mode():  # keep nothing for a backward pass
        return ears(((samples - samples.mean()) / samples.std())[None])[0]


def codes(voices, count, most, rng):
    """-> [(frames (T, C), labels: each digit + 1, as 0 is the blank)]"""
    made = []
    for _ in range(count):
        digits = rng.integers(0, 10, rng.integers(1, most + 1))
        sound, _ = say(voices[rng.integers(len(voices))], digits, rng)
        made.append((frames_of(sound), digits + 1))
    return made


rng = np.random.default_rng(0)
train = codes(LEARN, 240, 1, rng) + codes(LEARN, 240, 3, rng)
test = codes(UNSEEN, 60, 3, np.random.default_rng(1))


def collate(items):
    """-> frames (B, T, C) padded with 0, labels (B, S) padded with −100, both counts (B,), and which frames are real."""
    frames, labels = (np.array([len(item[place]) for item in items]) for place in (0, 1))
    x = np.zeros((len(items), frames.max(), items[0][0].shape[1]), dtype="float32")
    y = np.full((len(items), labels.max()), -100)
    for row, (f, digits) in enumerate(items):
        x[row, : len(f)], y[row, : len(digits)] = f, digits
    return x, y, frames, labels, np.arange(frames.max()) < frames[:, None]


# %% [markdown]
# (−100 is what every loss of the library leaves out; 0 would be the blank. The loss gets both counts as well.)
#
# The model has one layer of width 96, and its parts are the library's: those you have just written, with their backward
# passes. Read the backward as the forward in a mirror; where `x` went two ways, to the sum and through the positions,
# two gradients are added. (What is called `_`, with the gradient `None`, are things that the library's parts hand on for
# others, such as the attention weights. Nothing here uses them.)

# %%
from edutransformers import gradient_check
from edutransformers.audio import collapse_path
from edutransformers.layers import ConvolutionalPositions, LayerNorm, Linear
from edutransformers.losses import CTCLoss
from edutransformers.models.wav2vec2 import PreNormLayer
from edutransformers.models.wav2vec2_features import FeatureProjection
from edutransformers.module import Module
from edutransformers.training import AdamW


class Reader(Module):
    """Frames (B, T, C) -> logits (B, T, V)"""

    def __init__(self, config, generator):
        D = config.hidden_size
        self.projection = FeatureProjection(config)
        self.positions = ConvolutionalPositions(D, config.num_conv_pos_embeddings, config.num_conv_pos_embedding_groups)
        self.layer = PreNormLayer(config)
        self.norm = LayerNorm(D)
        self.head = Linear(D, config.vocab_size)
        for module in self.modules():  # all weights drawn anew, so that the seed decides them
            module.initialize(generator)

    def forward(self, frames, real):
        (x, _), projection_cache = self.projection.forward(frames)
        x = np.where(real[:, :, None], x, 0)
        where, positions_cache = self.positions.forward(x)
        (x, _, _), layer_cache = self.layer.forward(x + where, real[:, None, None])
        x, norm_cache = self.norm.forward(x)
        logits, head_cache = self.head.forward(x)
        return logits, (real, projection_cache, positions_cache, layer_cache, norm_cache, head_cache)

    def backward(self, dlogits, cache):
        real, projection_cache, positions_cache, layer_cache, norm_cache, head_cache = cache
        dx = self.norm.backward(self.head.backward(dlogits, head_cache), norm_cache)
        dx, _ = self.layer.backward((dx, None, None), layer_cache)
        dx = dx + self.positions.backward(dx, positions_cache)
        return self.projection.backward((np.where(real[:, :, None], dx, 0), None), projection_cache)


def settings(**sizes):
    return Wav2Vec2Config(
        vocab_size=11, do_stable_layer_norm=True, hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, **sizes
    )  # fmt: skip


small = settings(
    conv_dim=(5,), conv_kernel=(3,), conv_stride=(1,), hidden_size=8, num_attention_heads=2, intermediate_size=12,
    num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
)  # fmt: skip
some = np.random.default_rng(2).standard_normal((2, 6, 5))
report = gradient_check(Reader(small, np.random.default_rng(3)), some, np.arange(6) < np.array([[6], [4]]))
worst = max(report.comparisons, key=lambda comparison: comparison.error)
print(f"{len(report.comparisons)} arrays checked, all of them right: {bool(report)}")
print(f"the worst is {worst.name}, with a relative error of {worst.error:.0e}")

# %% [markdown]
# **Three phases.** Lesson 16 has shown what CTC does to a fresh model: first blanks everywhere; then a plateau, on which
# it knows *that* something was said and not *what*; then peaks at the right places. With a transformer in between the
# plateau can be long, many hundreds of steps for the shipped reader. We train twice, to see what makes it so long. The
# two runs differ in one number, with which the head's **bias of the blank** begins:
#
# * 0, as usual;
# * 4.5. More than nine of ten frames will be blank; with 0 for the other ten scores, a bias of 4.5 gives the blank
#   $e^{4.5}/(e^{4.5} + 10) = 0.9$ from the first step on.
#
# The learning rate rises over 20 steps, and falls to 0 towards the end (lesson 10). We watch the recording
# from the beginning of this lesson: 3, 1, 4, said by an unseen voice.

# %%
STEPS, LR = 220, 0.0015
of_reader = settings(
    conv_dim=config.conv_dim, conv_kernel=config.conv_kernel, conv_stride=config.conv_stride, hidden_size=96,
    num_attention_heads=4, intermediate_size=384, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
)  # fmt: skip
loss_function, test_batch = CTCLoss(), collate(test)
watched = frames_of(samples), np.array([4, 2, 5])  # the first recording of this lesson: 3, 1, 4


def fresh_reader(bias_of_blank):
    reader = Reader(of_reader, np.random.default_rng(0))
    reader.head.weight.data *= 0.1  # so that the bias decides
    reader.head.bias.data[:] = 0
    reader.head.bias.data[0] = bias_of_blank
    return reader


def look(reader):
    """The loss on unseen voices, the probabilities (T, V) of the watched sequence, and the test's logits."""
    with inference_mode():
        x, y, frames, labels, real = test_batch
        logits = reader(x, real)
        loss, _ = loss_function.forward(logits, y, frames, labels)
        x, *_, real = collate([watched])
        return float(loss), softmax(reader(x, real)[0]), logits


def learn(reader, until):
    """-> {step: what look() saw}"""
    optimizer, rng, seen = AdamW(reader, lr=LR), np.random.default_rng(5), {}
    for step in range(until + 1):
        if step % 10 == 0:
            seen[step] = look(reader)
        x, y, frames, labels, real = collate([train[i] for i in rng.integers(0, len(train), 16)])
        logits, cache = reader.forward(x, real)
        loss, loss_cache = loss_function.forward(logits, y, frames, labels)
        reader.backward(loss_function.backward(1.0, loss_cache), cache)
        for group in optimizer.param_groups:
            group["lr"] = LR * min(1, (step + 1) / 20) * (1 - step / (STEPS + 1))
        optimizer.step()
        optimizer.zero_grad()
    return seen


reader = fresh_reader(4.5)
seen = learn(reader, STEPS)
as_usual = learn(fresh_reader(0.0), 100)
for step in (0, 10, 20, 50, 100):
    print(f"step {step:3}: loss {as_usual[step][0]:5.2f} from bias 0, {seen[step][0]:5.2f} from bias 4.5")

# %%
steps = sorted(seen)[3:]
plots.show(
    lesson_plots.curves(
        steps,
        {"bias 4.5": [seen[step][0] for step in steps],
         "bias 0": [as_usual[step][0] if step in as_usual else np.nan for step in steps],
         "log 10: which digit?": [np.log(10)] * len(steps)},
        "step", "nats a label", "Sequences of unseen voices",
    ),
    alt="The loss on unseen voices from step 30 to 220, and a level line at the logarithm of 10, 2.3. The curve of bias 4.5 falls all "
    "the way from about 3, through the line, far below it. That of bias 0 is drawn up to step 100, and stays nearly level, above "
    "the line.",
)  # fmt: skip

# %% [markdown]
# From 0 the first steps go into learning to say blank, and then the loss stays where it is. Why? It learned that in
# those steps with *all* of its weights: what all frames' vectors have in common grew, until every frame said blank.
# As the last norm gives every vector the same length, a large common part leaves little room for the part in which
# the frames differ; so that part's gradient is small, too, and it grows slowly. From 4.5 there was nothing of the
# kind to learn. The library begins with 0, as the original does, and waits.
#
# The level line is log 10 = 2.30: who knows where a digit is and not which, pays that for each. And this is the watched
# sequence, all probabilities, at three moments of the run that learns: blanks; something lights up; peaks.

# %%
THREE = (10, 80, STEPS)
print("read at the end:", "".join(str(k - 1) for k in collapse_path(seen[STEPS][1].argmax(axis=1))))

plots.show(
    lesson_plots.heatmaps(
        [seen[step][1].T for step in THREE], [f"after {step} steps" for step in THREE], ["–", *"0123456789"], "frame",
        "class (said: 3 1 4)",
    ),
    alt="Three maps of probabilities for a sequence of three digits: eleven classes downwards, the blank first, and frames to the right. After "
    "10 steps the blank's row is dark throughout and all else is white. After 80 steps it is paler at some places, and there "
    "digits are grey. At the end it is broken at a few narrow places, and there a digit is dark.",
)  # fmt: skip

# %% [markdown] instructor=true
# Let the class try other biases (2, 6), a run from 0 without the last norm, and one without the positions; a forecast
# first. And a question: why is it the *bias* that one sets, and not the loss that one changes, by giving blanks less
# weight? (Then the model's numbers would be no probabilities of texts any more: the minimum of the loss moves. A first
# value only says where to begin.)

# %% [markdown]
# ### SpecAugment
#
# Real training hides parts of the sound: spans of frames are replaced by one learned vector, drawn anew at each step,
# so that the model must read from what is left. The library's layers do it in training (`SpanMasking`, config
# `mask_time_prob`). For so few steps there is no need.
#
# ## 5 · Decoding
#
# What does the model say? *Best path* decoding takes the best class of each frame and collapses (lesson 16). But a text
# is all its paths, and the best path may belong to a poor text. The smallest case has two frames and two classes. In both
# frames the blank has 0.6 and "a" has 0.4:
#
# | path | probability | text |
# |---|---|---|
# | – – | 0.36 | (nothing) |
# | a – | 0.24 | a |
# | – a | 0.24 | a |
# | a a | 0.16 | a |
#
# The best path says nothing, with 0.36. The text "a" has 0.24 + 0.24 + 0.16 = 0.64.
#
# **Prefix beam search** looks for the best *text*. As in lesson 14 a beam of beginnings (prefixes) grows, here frame
# by frame, and after each frame the `width` likeliest stay. New is that many paths lead to one beginning, and must be
# added up. All one has to know of the paths of a beginning is whether they end in a blank, for this decides what the
# *same* label means next. So each text in the beam carries two probabilities:
#
# $$b = \text{of all its paths that end in a blank}, \qquad e = \text{of all that end in its last label}$$
#
# The empty text begins with $b = 1$, $e = 0$. In a frame with the probabilities $y(k)$ each text hands on:
#
# | to | what happens | adds |
# |---|---|---|
# | the text itself | blank | $(b + e)\, y(0)$ to its new $b$ |
# | the text itself | its last label once more: still the same one | $e\, y(\text{last})$ to its new $e$ |
# | text + k, with k ≠ last | a new label | $(b + e)\, y(k)$ to that text's new $e$ |
# | text + last | the label *again*: a blank must have been between | $b\, y(\text{last})$ to that text's new $e$ |
#
# "Adds", as text + k may be in the beam already and get a share of its own.

# %% [markdown]
# **Exercise 4.** Write `prefix_beam_search(y, width)`: probabilities (T, V), class 0 the blank, to a list of pairs
# (text, probability), the likeliest first, at most `width` of them. A text is a tuple of classes; its probability
# is b + e.


# %% exercise="prefix_beam_search"
def prefix_beam_search(y, width):
    """y (T, V) -> [((3, 1), 0.71), ((3,), 0.2), …]"""
    ### BEGIN SOLUTION

    def add(new, text, b, e):
        before = new.get(text, (0.0, 0.0))
        new[text] = before[0] + b, before[1] + e

    beam = {(): (1.0, 0.0)}  # text -> b, e
    for frame in y:
        new = {}
        for text, (b, e) in beam.items():
            add(new, text, (b + e) * frame[0], e * frame[text[-1]] if text else 0.0)
            for k in range(1, len(frame)):
                repeated = len(text) > 0 and k == text[-1]
                add(new, (*text, k), 0.0, (b if repeated else b + e) * frame[k])
        best = sorted(new.items(), key=lambda item: -sum(item[1]))
        beam = dict(best[:width])
    return [(text, b + e) for text, (b, e) in beam.items()]
    ### END SOLUTION


# %% check="prefix_beam_search" points=3
from edutransformers.teaching.checks.lesson17 import check_prefix_beam_search

check_prefix_beam_search(prefix_beam_search)

# %% [markdown] hints="prefix_beam_search"
# Keep the beam in a dictionary: text (a tuple) to the pair (b, e). In each frame fill a *new* dictionary from the old one, by
# the four lines of the table, and then keep its best.
# ---
# Write a little function `add(new, text, b, e)` that adds to the pair that `new` has for the text already, (0, 0) if it has
# none: `new.get(text, (0.0, 0.0))`. The longer text is `(*text, k)`. The empty text has no last label: mind it at both
# places where "last" occurs.
# ---
# ```python
# beam = {(): (1.0, 0.0)}
# for frame in y:
#     new = {}
#     for text, (b, e) in beam.items():
#         add(new, text, (b + e) * frame[0], e * frame[text[-1]] if text else 0.0)
#         for k in range(1, len(frame)):
#             repeated = len(text) > 0 and k == text[-1]
#             add(new, (*text, k), 0.0, (... if repeated else ...) * frame[k])
#     best = sorted(new.items(), key=lambda item: -sum(item[1]))
#     beam = dict(best[:width])
# ```

# %%
by_hand = np.array([[0.6, 0.4], [0.6, 0.4]])
for text, probability in prefix_beam_search(by_hand, 2):
    print(f"{'a' * len(text) or '(nothing)':10} {probability:.2f}")

# %% [markdown]
# **Counting mistakes.** The usual measure is the **character error rate**: the fewest characters to insert, delete or
# change until the read text is the right one, divided by the length of the right text. (The fewest are found with a table
# once more. For the first $i$ characters of the one and the first $j$ of the other, the last step is one of three: delete
# a character, insert one, or change one if they differ; the cheapest counts.) Here are the sequences of unseen voices,
# read in both ways: by your reader, and by what it was half-way, when it was far from sure.

# %%
from edutransformers.audio import ctc_beam_search
from edutransformers.pretrained.spoken import character_error_rate


def text_of(tokens):
    return "".join(str(k - 1) for k in tokens)


wanted = [text_of(labels) for _, labels in test]
for step in (STEPS // 2, STEPS):
    best_path, best_text = [], []
    for logits, n in zip(seen[step][2], test_batch[2]):
        y = softmax(logits[:n].astype("float64"))
        best_path.append(text_of(collapse_path(y.argmax(axis=1))))
        best_text.append(text_of(prefix_beam_search(y, 8)[0][0]))
    assert best_text[-1] == text_of(ctc_beam_search(logits[:n], beam_width=8)[0].tokens)
    print(f"after {step} steps: best path {character_error_rate(best_path, wanted):5.1%}, "
          f"prefix beam search {character_error_rate(best_text, wanted):5.1%}")  # fmt: skip
    for path, text, right in [item for item in zip(best_path, best_text, wanted) if item[0] != item[1]][:4]:
        print(f"    {right} read as {path or 'nothing'}, by the search as {text or 'nothing'}")

# %% [markdown]
# Where they differ, it is as in the smallest case: of a label that the model isn't sure of, the blank is the best
# class in each frame, while all the paths that say it somewhere are more together. A model that is sure of each frame
# leaves little to search for, and both ways give nearly the same. The search earns most where a **language model**
# takes part: its log-probability of the next character is added to the texts' scores
# (`ctc_beam_search(…, language_model=…)`). Random digits have no language to be known.

# %% [markdown]
# ## 6 · When was it said?
#
# For subtitles, or to cut a recording into words, the text is known and the *times* are asked for. That is the path
# $\pi$ of the text's lattice (lesson 16) with the largest probability, its best **alignment**. In the recursion for
# $\alpha$ the sum over the ways becomes the largest of them; and to find the path, and not only its probability, one
# notes at each place which way it was:
#
# $$\delta_t(s) = \log y_t(\text{class of } s) + \max_{s'} \delta_{t-1}(s'), \qquad
#   s' \in \{s,\; s-1,\; \text{and } s-2 \text{ if } s \text{ may be skipped to}\}$$
#
# where $\delta_t(s)$ is the log-probability of the best beginning that is in state $s$ at time $t$ (not section 2's
# $\delta_{ij}$). In the first frame it is $\log y_0$ for the states 0 and 1, as for $\alpha$, and $-\infty$ for all
# others. The best end is the better of the two last states; from there one goes *backwards* along the notes.
# (Forwards nobody can tell which of the states lies on the best path: that depends on what comes later. This is
# Viterbi's algorithm, 1967.)

# %% [markdown]
# **Exercise 5.** Write `best_alignment(log_y, states)`: log-probabilities (T, V) and the classes of the states (L,), that
# is, lesson 16's extended labels, to the best path: the number $s$ of its state for each frame, (T,). Mind texts without
# any label: then L is 1.


# %% exercise="best_alignment"
def best_alignment(log_y, states):
    """log_y (T, V), states (L,) such as [0, 3, 0, 5, 0] -> the best path's states (T,), numbers from 0 to L − 1"""
    ### BEGIN SOLUTION
    T, L = len(log_y), len(states)
    delta = np.full((T, L), -np.inf)
    came_from = np.zeros((T, L), dtype=int)
    delta[0, :2] = log_y[0, states[:2]]
    for t in range(1, T):
        for s in range(L):
            ways = [s]
            if s >= 1:
                ways.append(s - 1)
            if s >= 2 and states[s] != 0 and states[s] != states[s - 2]:
                ways.append(s - 2)
            came_from[t, s] = max(ways, key=lambda way: delta[t - 1, way])
            delta[t, s] = delta[t - 1, came_from[t, s]] + log_y[t, states[s]]
    path = np.zeros(T, dtype=int)
    path[-1] = L - 1 if L == 1 or delta[-1, L - 1] > delta[-1, L - 2] else L - 2
    for t in range(T - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path
    ### END SOLUTION


# %% check="best_alignment" points=3
from edutransformers.teaching.checks.lesson17 import check_best_alignment

check_best_alignment(best_alignment)

# %% [markdown] hints="best_alignment"
# Two tables of (T, L): `delta`, filled as $\log\alpha$ was in lesson 16, and `came_from`, the state in the frame before.
# Then a path (T,), filled from its end.
# ---
# For each t and s make the list `ways` of the states it may come from: s, s − 1, s − 2, each only if it exists and is
# allowed. `max(ways, key=lambda way: delta[t - 1, way])` is the best of them. The first frame is in state 0 or 1.
# ---
# ```python
# for t in range(1, T):
#     for s in range(L):
#         ways = [s]
#         if s >= 1:
#             ways.append(s - 1)
#         if s >= 2 and ... and ...:
#             ways.append(s - 2)
#         came_from[t, s] = max(ways, key=lambda way: delta[t - 1, way])
#         delta[t, s] = ...
# path[-1] = ...                              # the better of the last two states
# for t in range(T - 1, 0, -1):
#     path[t - 1] = came_from[t, ...]
# ```

# %% [markdown]
# Now the ten digits in a row, by a voice that the reader has never heard; the shipped reader listens. As we joined the
# recordings ourselves, we know where each digit lies, and can see how good the times are.

# %%
from edutransformers.audio import forced_alignment
from edutransformers.teaching.alignment_plots import plot_alignment

samples, places = say("victor", range(10), np.random.default_rng(4))
logits = library(**processor(samples, sampling_rate=RATE, return_tensors="np")).logits[0]
tokens = processor.tokenizer.convert_tokens_to_ids(list("0123456789"))
states = np.zeros(2 * len(tokens) + 1, dtype=int)
states[1::2] = tokens
path = np.array(best_alignment(log_softmax(logits.astype("float64")), states), dtype=int)
alignment = forced_alignment(logits, tokens)
assert (states[path] == alignment.path).all()

print("read as", processor.tokenizer.decode(logits.argmax(axis=-1)))
print("digit  token from … to    recording from … to    probability")
for digit, (start, end) in enumerate(places / RATE):
    (at,) = np.nonzero(path == 2 * digit + 1)
    sure = softmax(logits)[at, tokens[digit]].mean()
    print(f"{digit:5} {at[0] * FRAME:9.2f} … {(at[-1] + 1) * FRAME:.2f} s {start:13.2f} … {end:.2f} s {sure:14.2f}")

names = processor.tokenizer.convert_ids_to_tokens(range(config.vocab_size))
plots.show(
    plot_alignment(alignment, names, logits, samples, RATE, title="Ten digits, and when"),
    alt="Above, the sound of ten digits with narrow marked stretches, each with its digit above, from 0 to 9 in order; below, the "
    "probabilities of the digits and of the blank over time, with the best path as a line that goes up to each digit and back to the blank.",
)

# %% [markdown]
# Each token is much narrower than its digit, as CTC's peaks are; where in the digit it stands is the model's own choice.
# (The notes of lesson 16 were said at their ends. With attention nobody need wait for the end: the frame sees what
# follows.) Take such a time as "about here", not as "from … to". To cut digits apart, look for the quietest place between
# two tokens. And mind that a frame's time is the *beginning* of its window, whose middle is half a receptive field later.
# Counted from there, this is where in its digit each token begins, from 0% for the digit's beginning to 100% for its end:

# %%
times = np.array([np.flatnonzero(path == 2 * digit + 1)[0] for digit in range(10)]) * FRAME + 0.5 * field / RATE
start, end = places.T / RATE
print("  ".join(f"{digit}: {share:.0%}" for digit, share in enumerate((times - start) / (end - start))))
print(f"the digits are {(end - start).min():.2f} to {(end - start).max():.2f} s long")

# %% [markdown]
# **How sure is it?** The mean probability of a token in its own frames. That says whether the text that one *believes* was
# said was really said: align a wrong one, and see where it hurts.

# %%
wrong = forced_alignment(logits, processor.tokenizer.convert_tokens_to_ids(list("0123056789")))
print("said ", " ".join(f"{names[span.token]}: {span.probability:.2f}" for span in alignment.spans))
print("wrong", " ".join(f"{names[span.token]}: {span.probability:.2f}" for span in wrong.spans))

# %% [markdown]
# The wrong token is the fifth, 0 in the place of 4: no frame there sounds like it. In practice, this finds the mistakes in
# transcripts. (A mean of several frames hides one bad frame; and a model may be sure and wrong. It is a hint, no proof.)
#
# **And where nobody knows the text**, the library's pipeline gives what it reads with times: it takes the best path,
# collapses it, and remembers in which frames each character stood; a frame is `inputs_to_logits_ratio / sampling_rate`
# seconds.

# %%
from edutransformers import pipeline

listen = pipeline("automatic-speech-recognition", model=library, tokenizer=processor.tokenizer,
                  feature_extractor=processor.feature_extractor)  # fmt: skip
heard = listen({"raw": samples, "sampling_rate": RATE}, return_timestamps="char")
print(heard["text"])
for chunk in heard["chunks"][:3]:
    print(f"    {chunk['text']}  {chunk['timestamp'][0]:.2f} … {chunk['timestamp'][1]:.2f} s")

# %% [markdown]
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | nothing but blanks, for hundreds of steps | the plateau; wait, or let the blank's bias begin where it will end |
# | a wholly wrong text, from a model that is known to be good | the sampling rate: 16,000 samples a second read as 8,000 are half as fast |
# | quiet recordings are read worse | the zero mean and unit variance are missing |
# | the same recording reads otherwise in a batch | padding was attended to, or is in a group norm (base models want none: one by one, or no mask) |
# | more frames than expected in the loss | lengths in samples were passed for lengths in frames |
# | doubled characters are lost in the search | b and e were not kept apart |
# | some texts are found twice in the beam, each with a part of its probability | paths that lead to one text were not added up |
# | times that are off by a factor | frames were multiplied by the last layer's stride; the product of *all* strides counts |
#
# ## What the library does more than you did
#
# * Wav2Vec2 was first trained **without any text**: to tell a hidden frame's true sound from others (`Wav2Vec2ForPreTraining`);
#   ten minutes of transcribed speech then make a reader of it;
# * its search works with **logarithms** and the beam in arrays, and takes a language model: products of a thousand
#   probabilities are 0;
# * it keeps nothing for frozen layers, hides spans (SpecAugment), leaves out whole layers in training (LayerDrop), and
#   splits batches over threads;
# * the pipeline cuts **long recordings** into chunks that overlap, and drops the frames at their edges.

# %%
from edutransformers.layers.span_masking import SpanMasking
from edutransformers.models.wav2vec2 import Encoder
from edutransformers.models.wav2vec2_features import FeatureEncoder
from edutransformers.teaching.read_on import read_on

read_on(
    FeatureEncoder, FeatureProjection, ConvolutionalPositions, library_weight_norm_backward, PreNormLayer, Encoder,
    Wav2Vec2ForCTC, SpanMasking, ctc_beam_search, forced_alignment, plot_alignment,
)  # fmt: skip

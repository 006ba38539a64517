"""Wav2Vec2's heads: what is said (CTC), what kind of sound it is, what each frame is, and who speaks.

Shapes: B batch, N samples, T frames, D model width, V letters, L layers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module, as_array_like
from ..functional.convolution import convolution, convolution_backward
from ..functional.softmax import softmax, softmax_backward
from ..layers import Activation, DropoutLinear, Linear
from ..losses import AMSoftmaxLoss, CrossEntropyLoss, CTCLoss
from ..module import Module, ModuleList, Parameter, keep
from .base import add_gradients, check_output_names
from .outputs import CausalLMOutput, SequenceClassifierOutput, TokenClassifierOutput, XVectorOutput
from .tasks import TaskCache, TaskModel
from .wav2vec2 import Wav2Vec2Model, Wav2Vec2PreTrainedModel

# ---------------------------------------------------------------------------------------------------------------------
# What is said
# ---------------------------------------------------------------------------------------------------------------------


class Wav2Vec2ForCTC(TaskModel, Wav2Vec2PreTrainedModel):
    """A score for each letter in each frame; `config.pad_token_id` is the blank, "nothing new".

    labels (B, S): the letters' ids, and -100 (or another negative number, or the blank) where there is none.
    logits (B, T, V).
    """

    checkpoint_names = {"head.linear": "lm_head"}
    output_class = CausalLMOutput

    def build(self, config):
        if config.vocab_size is None:
            raise ValueError("Wav2Vec2ForCTC needs config.vocab_size: pass vocab_size=len(tokenizer)")
        width = config.output_hidden_size if config.add_adapter else config.hidden_size
        self.wav2vec2 = Wav2Vec2Model(config)
        self.head = DropoutLinear(width, config.vocab_size, config.final_dropout)
        self.loss = CTCLoss(config.pad_token_id, config.ctc_loss_reduction, config.ctc_zero_infinity)

    def forward(self, input_values=None, attention_mask=None, labels=None, generator=None, **options):
        generator = self.generator if generator is None else generator
        states, base_cache = self.wav2vec2.forward(input_values, attention_mask, generator=generator, **options)
        logits, head_cache = self.head.forward(states.last_hidden_state, generator)
        loss = loss_cache = None
        if labels is not None:
            targets, target_lengths = letters_first(labels, self.config)
            if attention_mask is None:
                samples = array_module(logits).full(len(logits), input_values.shape[1])
            else:
                samples = (attention_mask != 0).sum(axis=-1)
            frames = self._get_feat_extract_output_lengths(samples)
            loss, loss_cache = self.loss.forward(logits, targets, frames, target_lengths)
        return self.output_of(states, loss, logits), keep(TaskCache, base_cache, head_cache, loss_cache)


def letters_first(labels, config):
    """labels (B, S), negative or the blank where there is none -> the letters first (B, S), and their numbers (B,)"""
    if labels.dtype.kind not in "iu" or labels.ndim != 2:
        raise ValueError(
            f"labels are an array of {labels.dtype}, shape {tuple(labels.shape)}: expected whole numbers (B, letters)"
        )
    if isinstance(labels, np.ndarray) and labels.size and labels.max() >= config.vocab_size:
        raise ValueError(
            f"labels hold {int(labels.max())}, but the vocabulary has {config.vocab_size} letters: "
            "were the texts tokenized with another model's tokenizer?"
        )
    xp = array_module(labels)
    is_letter = (labels >= 0) & (labels != config.pad_token_id)
    order = xp.argsort(xp.logical_not(is_letter), axis=-1, kind="stable")
    return xp.take_along_axis(labels, order, axis=-1), is_letter.sum(axis=-1)


# ---------------------------------------------------------------------------------------------------------------------
# What the other heads share
# ---------------------------------------------------------------------------------------------------------------------


class LayerMix(Module):
    """y = Σₗ softmax(w)ₗ xₗ: a mixture of all layers' states, of which each task learns its own.   xₗ, y (B, T, D)"""

    def __init__(self, layers: int):
        self.layer_weights = Parameter(np.full(layers, 1 / layers, dtype=np.float32))

    def initialize(self, generator, std=None):
        self.layer_weights.data[...] = 1 / len(self.layer_weights.data)

    def forward(self, states):
        share = softmax(self.layer_weights.data)
        y = states[0] * share[0]
        for index in range(1, len(states)):
            y += states[index] * share[index]
        return y, keep(states, share)

    def backward(self, dy, cache):
        """dy -> [dxₗ].   dxₗ = softmax(w)ₗ dy,   dsoftmax(w)ₗ = Σ xₗ ∘ dy"""
        states, share = cache
        xp = array_module(dy)
        dshare = xp.stack([xp.einsum("btd,btd->", x, dy) for x in states])
        self.layer_weights.accumulate(softmax_backward(dshare, share))
        return [dy * share[index] for index in range(len(states))]


class AudioTaskCache(NamedTuple):
    base: tuple
    mix: tuple | None
    head: tuple
    loss: tuple | None


class AudioTask(TaskModel, Wav2Vec2PreTrainedModel):
    """A head on the last state, or with `use_weighted_layer_sum` on a mixture of all states.

    A subclass builds `head` and `loss`.
    """

    def build(self, config):
        if config.add_adapter:
            raise ValueError(f"{type(self).__name__} has no use for an adapter: build it with add_adapter=False")
        self.wav2vec2 = Wav2Vec2Model(config)
        self.mix = LayerMix(config.num_hidden_layers + 1) if config.use_weighted_layer_sum else None

    def forward(
        self, input_values=None, attention_mask=None, labels=None, output_hidden_states=None, generator=None, **options
    ):
        shown = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        states, base_cache = self.wav2vec2.forward(
            input_values,
            attention_mask,
            output_hidden_states=shown or self.mix is not None,
            generator=generator,
            **options,
        )
        x, mix_cache = states.last_hidden_state, None
        if self.mix is not None:
            x, mix_cache = self.mix.forward(states.hidden_states)
        output, head_cache, loss_cache = self.apply_head(x, attention_mask, labels)
        output.hidden_states = states.hidden_states if shown else None
        output.attentions = states.attentions
        return output, keep(AudioTaskCache, base_cache, mix_cache, head_cache, loss_cache)

    def apply_head(self, x, attention_mask, labels):
        """-> (output, head's cache, loss's cache)"""
        logits, head_cache = self.head.forward(x, *self.head_inputs(x, attention_mask))
        loss = loss_cache = None
        if labels is not None:
            loss, loss_cache = self.loss.forward(logits, labels)
        return self.output_class(loss=loss, logits=logits), head_cache, loss_cache

    def head_inputs(self, x, attention_mask) -> tuple:
        """What else the head wants."""
        return ()

    def backward(self, d_output, cache):
        check_output_names(d_output, self.gradient_names, self)
        dx = self.backward_of_head(d_output, cache)
        d_states = {name: d_output[name] for name in ("hidden_states", "attentions") if name in d_output}
        if dx is not None and self.mix is None:
            d_states["last_hidden_state"] = dx
        elif dx is not None:
            d_mixed = self.mix.backward(dx, cache.mix)
            given = d_states.get("hidden_states") or [None] * len(d_mixed)
            d_states["hidden_states"] = [add_gradients(a, b) for a, b in zip(given, d_mixed)]
        return self.wav2vec2.backward(d_states, cache.base)

    gradient_names = ("loss", "logits", "hidden_states", "attentions")


# ---------------------------------------------------------------------------------------------------------------------
# What kind of sound
# ---------------------------------------------------------------------------------------------------------------------


class MeanHeadCache(NamedTuple):
    projector: tuple
    real: Array | None
    frames: Array | int
    classifier: tuple
    shape: tuple


class MeanHead(Module):
    """logits = W₂ mean over the real frames of (W₁ x + b₁) + b₂   x (B, T, D) -> (B, classes)"""

    def __init__(self, width: int, inner_width: int, classes: int):
        self.projector = Linear(width, inner_width)
        self.classifier = Linear(inner_width, classes)

    def forward(self, x, real=None):
        """real (B, T) booleans, or None: all frames are"""
        y, projector_cache = self.projector.forward(x)
        frames = x.shape[1]
        if real is not None:
            y = array_module(y).where(real[:, :, None], y, 0)
            frames = real.sum(axis=1)[:, None].astype(y.dtype)
        logits, classifier_cache = self.classifier.forward(y.sum(axis=1) / frames)
        return logits, keep(MeanHeadCache, projector_cache, real, frames, classifier_cache, y.shape)

    def backward(self, dlogits, cache):
        xp = array_module(dlogits)
        dmean = self.classifier.backward(dlogits, cache.classifier) / cache.frames
        dy = xp.broadcast_to(dmean[:, None], cache.shape)
        if cache.real is not None:
            dy = xp.where(cache.real[:, :, None], dy, 0)
        return self.projector.backward(xp.ascontiguousarray(dy), cache.projector)


class Wav2Vec2ForSequenceClassification(AudioTask):
    """A class for a whole recording, from the mean of its frames. labels (B,) or (B, 1)."""

    checkpoint_names = {"head": "", "mix": ""}
    output_class = SequenceClassifierOutput

    def build(self, config):
        super().build(config)
        self.head = MeanHead(config.hidden_size, config.classifier_proj_size, config.num_labels)
        self.loss = CrossEntropyLoss()

    def head_inputs(self, x, attention_mask):
        return () if attention_mask is None else (self.real_frames(attention_mask, x.shape[1], x),)

    def apply_head(self, x, attention_mask, labels):
        return super().apply_head(x, attention_mask, None if labels is None else labels.reshape(-1))


# ---------------------------------------------------------------------------------------------------------------------
# What each frame is
# ---------------------------------------------------------------------------------------------------------------------


class Wav2Vec2ForAudioFrameClassification(AudioTask):
    """A class for each frame (who speaks when). labels (B, T, classes), 1 for the frame's class and 0 for the others.

    As in the original, all frames count in the loss, padding too.
    """

    checkpoint_names = {"head": "classifier", "mix": ""}
    output_class = TokenClassifierOutput

    def build(self, config):
        super().build(config)
        self.head = Linear(config.hidden_size, config.num_labels)
        self.loss = CrossEntropyLoss()

    def apply_head(self, x, attention_mask, labels):
        if labels is not None:
            expected = (*x.shape[:2], self.config.num_labels)
            if tuple(labels.shape) != expected:
                raise ValueError(
                    f"labels have shape {tuple(labels.shape)}, expected {expected}: for each frame a 1 for its class"
                )
            labels = labels.argmax(axis=-1)
        return super().apply_head(x, attention_mask, labels)


# ---------------------------------------------------------------------------------------------------------------------
# Who speaks
# ---------------------------------------------------------------------------------------------------------------------


class TDNNLayerCache(NamedTuple):
    x: Array
    activation: tuple


class TDNNLayer(Module):
    """y = relu(conv(x)), a dilated convolution over time (Peddinti et al. 2015).   x (B, T, I) -> y (B, T′, O)

    The checkpoint's weight is that of a linear layer on K neighbouring frames, `kernel.weight` (O, K·I).
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, dilation: int):
        self.kernel = Linear(inputs * kernel_size, outputs)
        self.activation = Activation("relu")
        self.inputs, self.dilation = inputs, dilation

    def forward(self, x):
        y = convolution(x.swapaxes(1, 2), self.weight(), self.kernel.bias.data, dilation=self.dilation)
        y, activation_cache = self.activation.forward(y.swapaxes(1, 2))
        return y, keep(TDNNLayerCache, x, activation_cache)

    def backward(self, dy, cache):
        dy = self.activation.backward(dy, cache.activation).swapaxes(1, 2)
        dx, dweight, dbias = convolution_backward(dy, cache.x.swapaxes(1, 2), self.weight(), dilation=self.dilation)
        self.kernel.weight.accumulate(dweight.swapaxes(1, 2).reshape(self.kernel.weight.shape))
        self.kernel.bias.accumulate(dbias)
        return dx.swapaxes(1, 2)

    def weight(self):
        """(O, K·I) -> (O, I, K), as convolutions have it"""
        outputs = self.kernel.weight.shape[0]
        return self.kernel.weight.data.reshape(outputs, -1, self.inputs).swapaxes(1, 2)


class StatisticsCache(NamedTuple):
    centred: Array
    std: Array
    real: Array | None
    frames: Array | int
    shape: tuple


class StatisticsPooling(Module):
    """[μ σ]: mean and standard deviation of each feature over the real frames.   x (B, T, D) -> (B, 2D)

        μ = Σₜ xₜ / n,   σ = √( Σₜ (xₜ − μ)² / (n − 1) )

    From ∂σ/∂xₜ = (xₜ − μ)/((n − 1) σ) (what μ adds cancels, Σ (xₜ − μ) being 0):  dxₜ = dμ/n + dσ (xₜ − μ)/((n − 1) σ).
    A feature that is the same in all frames has σ = 0 and gets no gradient from it.
    """

    def forward(self, x, frames=None):
        """frames (B,): how many frames of each example are real; None: all"""
        xp = array_module(x)
        real, n = None, x.shape[1]
        if frames is not None:
            frames = xp.minimum(as_array_like(frames, x), n)
            real = (xp.arange(n) < frames[:, None])[:, :, None]
            n = frames[:, None].astype(x.dtype)
        mean = (x if real is None else xp.where(real, x, 0)).sum(axis=1) / n
        centred = x - mean[:, None]
        if real is not None:
            centred = xp.where(real, centred, 0)
        std = xp.sqrt(xp.einsum("btd,btd->bd", centred, centred) / (n - 1))
        return xp.concatenate([mean, std], axis=-1), keep(StatisticsCache, centred, std, real, n, x.shape)

    def backward(self, dy, cache):
        xp = array_module(dy)
        dmean, dstd = xp.split(dy, 2, axis=-1)
        positive = cache.std > 0
        slope = xp.where(positive, dstd / xp.where(positive, cache.std, 1), 0) / (cache.frames - 1)
        dmean = (dmean / cache.frames)[:, None]
        if cache.real is not None:
            dmean = xp.where(cache.real, dmean, 0)
        return cache.centred * slope[:, None] + dmean


class XVectorHeadCache(NamedTuple):
    projector: tuple
    tdnn: list
    statistics: tuple
    feature_extractor: tuple
    classifier: tuple


class XVectorHead(Module):
    """x (B, T, D) -> projection -> dilated convolutions -> mean and standard deviation -> e (B, X) -> logits (B, X)

    e is the x-vector (Snyder et al. 2018): two recordings of one speaker have similar ones.
    """

    def __init__(self, config):
        self.projector = Linear(config.hidden_size, config.tdnn_dim[0])
        widths = [config.tdnn_dim[0], *config.tdnn_dim]
        self.tdnn = ModuleList(
            TDNNLayer(*sizes) for sizes in zip(widths, widths[1:], config.tdnn_kernel, config.tdnn_dilation)
        )
        self.statistics = StatisticsPooling()
        self.feature_extractor = Linear(2 * config.tdnn_dim[-1], config.xvector_output_dim)
        self.classifier = Linear(config.xvector_output_dim, config.xvector_output_dim)

    def forward(self, x, frames=None):
        x, projector_cache = self.projector.forward(x)
        caches = []
        for layer in self.tdnn:
            x, cache = layer.forward(x)
            caches.append(cache)
        pooled, statistics_cache = self.statistics.forward(x, frames)
        embeddings, extractor_cache = self.feature_extractor.forward(pooled)
        logits, classifier_cache = self.classifier.forward(embeddings)
        return (logits, embeddings), keep(
            XVectorHeadCache, projector_cache, caches, statistics_cache, extractor_cache, classifier_cache
        )

    def backward(self, d_output, cache):
        """(dlogits or None, dembeddings or None) -> dx"""
        dlogits, dembeddings = d_output
        if dlogits is not None:
            dembeddings = add_gradients(dembeddings, self.classifier.backward(dlogits, cache.classifier))
        dx = self.statistics.backward(
            self.feature_extractor.backward(dembeddings, cache.feature_extractor), cache.statistics
        )
        for layer, layer_cache in zip(reversed(list(self.tdnn)), reversed(cache.tdnn)):
            dx = layer.backward(dx, layer_cache)
        return self.projector.backward(dx, cache.projector)


class Wav2Vec2ForXVector(AudioTask):
    """A vector for the speaker of each recording, `embeddings` (B, X). labels (B,): whose recording it is.

    The loss compares directions (AMSoftmaxLoss); its classes are needed in training only.
    """

    checkpoint_names = {"head": "", "mix": "", "loss": "objective"}
    output_class = XVectorOutput
    gradient_names = ("loss", "logits", "embeddings", "hidden_states", "attentions")

    def build(self, config):
        super().build(config)
        self.head = XVectorHead(config)
        self.loss = AMSoftmaxLoss(config.xvector_output_dim, config.num_labels)

    def apply_head(self, x, attention_mask, labels):
        (logits, embeddings), head_cache = self.head.forward(x, self.frames_after_tdnn(x, attention_mask))
        loss = loss_cache = None
        if labels is not None:
            loss, loss_cache = self.loss.forward(logits, labels.reshape(-1))
        return XVectorOutput(loss, logits, embeddings), head_cache, loss_cache

    def backward_of_head(self, d_output, cache):
        dlogits, dembeddings = self.gradient_of_logits(d_output, cache.loss), d_output.get("embeddings")
        if dlogits is None and dembeddings is None:
            return None
        return self.head.backward((dlogits, dembeddings), cache.head)

    def frames_after_tdnn(self, x, attention_mask):
        """(B,) how many frames of each example the dilated convolutions leave, or None without a mask.

        As the original counts them: without the dilation, which leaves fewer, and then `StatisticsPooling` takes all.
        """
        config = self.config
        reach = sum(d * (k - 1) for k, d in zip(config.tdnn_kernel, config.tdnn_dilation))
        fewest, frames = x.shape[1] - reach, None
        if attention_mask is not None:
            samples = (attention_mask != 0).sum(axis=-1)
            frames = self._get_feat_extract_output_lengths(samples) - sum(k - 1 for k in config.tdnn_kernel)
            if isinstance(frames, np.ndarray):
                fewest = min(fewest, int(frames.min()))
        if fewest < 2:
            raise ValueError(
                f"a recording has only {max(fewest, 0)} frames left for its mean and standard deviation, expected at "
                f"least 2: pass recordings of {reach + 2} frames or more"
            )
        return frames

"""Wav2Vec2's pre-training: learning speech from speech, with no text (Baevski et al. 2020, section 3).

Some frames are hidden from the encoder. For each of them it must tell, among distractors from the same recording, which
quantized frame it was:

    frames -> quantizer -> targets q          frames, some hidden -> encoder -> predictions c
    loss = contrastive loss(c, q) + α · diversity loss(quantizer)

Shapes: B batch, T frames, C channels of the convolutions, G groups, V code vectors a group, P projection width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module, as_array_like, random_gumbel
from ..functional.precision import computed_in_float32, in_float32, sum_dtype
from ..functional.softmax import softmax, softmax_backward
from ..layers import Dropout, Linear
from ..losses import ContrastiveLoss
from ..module import Module, Parameter, keep, normal_, uniform_
from .base import add_gradients, check_output_names
from .outputs import Wav2Vec2ForPreTrainingOutput
from .tasks import loss_cache_of
from .wav2vec2 import Wav2Vec2Model, Wav2Vec2PreTrainedModel
from .wav2vec2_features import UniformLinear


def sample_negative_indices(
    shape, num_negatives: int, generator: np.random.Generator, mask_time_indices=None
) -> np.ndarray:
    """Distractors for every hidden frame: other hidden frames of the same recording, all equally probable.

    shape (B, T); mask_time_indices (B, T) booleans, None: all are hidden -> (B, T, K) row numbers of the flattened
    (B·T) frames. Frames that aren't hidden get their recording's first frame: they don't count in the loss.
    """
    B, T = shape
    mask = np.ones((B, T), dtype=bool) if mask_time_indices is None else mask_time_indices != 0
    negatives = np.zeros((B, T, num_negatives), dtype=np.int64)
    for example in range(B):
        hidden = np.flatnonzero(mask[example])
        if len(hidden) == 1:
            raise ValueError(
                f"example {example} has one hidden frame, and so no other that could be a distractor: hide more frames"
            )
        if len(hidden):
            draws = generator.integers(0, len(hidden) - 1, (len(hidden), num_negatives))
            draws += draws >= np.arange(len(hidden))[:, None]  # skip the frame itself
            negatives[example, hidden] = hidden[draws]
        negatives[example] += example * T
    return negatives


class QuantizerCache(NamedTuple):
    projection: tuple
    chosen: Array  # (N, G, V): 1 for the code vector taken
    soft: Array | None  # (N, G, V): softmax of the noisy scores; None in evaluation
    shares: Array | None  # (N, G, V): softmax of the scores; None in evaluation
    mean_shares: Array  # (G, V)
    perplexity: Array  # (G,)
    row_weights: Array | float  # what a row counts in the mean
    batch: tuple


class GumbelVectorQuantizer(Module):
    """Each frame becomes one of Vᴳ vectors: one of V code vectors in each of G groups.   x (B, T, C) -> (B, T, Q)

        scores = W x + b  (G, V);   in evaluation the code of the largest score is taken

    In training, Gumbel noise is added and the largest is taken: a draw from softmax(scores). To have a gradient, the
    choice (1 for one code, 0 for the others) is treated in the backward pass as softmax((scores + noise)/τ), which for
    a small temperature τ is nearly that choice (Jang et al. 2017, the straight-through estimator).

    Also returns the perplexity Σ_G exp(−Σ_V p̄ log p̄), in float32 at least, of the mean p̄ of softmax(scores) over the
    hidden frames (in evaluation: of the choices): how many codes are in use, G·V at best.
    """

    checkpoint_names = {"projection": "weight_proj"}

    def __init__(self, config):
        self.groups, self.codes = config.num_codevector_groups, config.num_codevectors_per_group
        if config.codevector_dim % self.groups:
            raise ValueError(
                f"codevector_dim is {config.codevector_dim}, which is not a multiple of num_codevector_groups, "
                f"{self.groups}"
            )
        width = config.codevector_dim // self.groups
        self.codevectors = Parameter(np.zeros((1, self.groups * self.codes, width), dtype=np.float32))
        self.projection = _ScoresLinear(config.conv_dim[-1], self.groups * self.codes)
        self.temperature = 2.0

    def initialize(self, generator, std=None):
        uniform_(self.codevectors, generator, 0, 1)

    def forward(self, x, mask_time_indices=None, generator=None):
        """-> ((vectors (B, T, Q), perplexity, codes (B, T) the number of each frame's choice among all Vᴳ), cache)"""
        xp = array_module(x)
        batch = x.shape[:2]
        scores, projection_cache = self.projection.forward(x)
        scores = scores.reshape(-1, self.groups, self.codes)  # (N, G, V), N = B·T
        soft = shares = None
        if self.training:
            noisy = (scores + random_gumbel(generator, scores.shape, scores)) * (1 / self.temperature)
            soft, shares = softmax(noisy), softmax(scores)
        else:
            noisy = scores
        choices = noisy.argmax(axis=-1)  # (N, G)
        codes = choices @ xp.asarray([self.codes**group for group in range(self.groups)])
        chosen = (choices[..., None] == xp.arange(self.codes)).astype(scores.dtype)
        vectors = xp.matmul(chosen.swapaxes(0, 1), self._tables()).swapaxes(0, 1).reshape(*batch, -1)

        counted = xp.ones(len(scores), dtype=bool)
        if mask_time_indices is not None:
            counted = as_array_like(mask_time_indices, x).reshape(-1) != 0
        dtype = sum_dtype(scores.dtype)
        row_weights = counted.astype(dtype) / xp.maximum(counted.sum(), 1).astype(dtype)
        of_rows = in_float32(chosen if shares is None else shares).reshape(len(scores), -1)
        mean_shares = (row_weights @ of_rows).reshape(self.groups, self.codes)
        perplexity = xp.exp(-(mean_shares * _log(mean_shares)).sum(axis=-1))
        cache = keep(
            QuantizerCache, projection_cache, chosen, soft, shares, mean_shares, perplexity, row_weights, batch
        )
        return (vectors, perplexity.sum(), codes.reshape(batch)), cache

    def backward(self, d_output, cache):
        """(dvectors or None, dperplexity or None) -> dx; in evaluation the scores have no gradient

        With H = −Σ p̄ log p̄ and perplexity e^H:  dp̄ = −e^H (log p̄ + 1) dperplexity, of which each counted row of
        softmax(scores) has its share.
        """
        xp = array_module(cache.chosen)
        dvectors, dperplexity = d_output
        dscores = xp.zeros_like(cache.chosen)
        if dvectors is not None:
            of_groups = dvectors.reshape(len(cache.chosen), self.groups, -1).swapaxes(0, 1)  # (G, N, Q/G)
            dtables = xp.matmul(cache.chosen.transpose(1, 2, 0), of_groups)
            self.codevectors.accumulate(dtables.reshape(self.codevectors.shape).copy())
            if cache.soft is not None:
                dchosen = xp.matmul(of_groups, self._tables().swapaxes(1, 2)).swapaxes(0, 1)
                dscores += softmax_backward(dchosen, cache.soft) * (1 / self.temperature)
        if dperplexity is not None and cache.shares is not None:
            dmean = -cache.perplexity[:, None] * (_log(cache.mean_shares) + 1) * dperplexity
            dshares = (cache.row_weights[:, None, None] * dmean).astype(dscores.dtype, copy=False)
            dscores += softmax_backward(dshares, cache.shares)
        return self.projection.backward(dscores.reshape(*cache.batch, -1), cache.projection)

    def _tables(self):
        """The code vectors by group (G, V, Q/G)."""
        return self.codevectors.data.reshape(self.groups, self.codes, -1)


class _ScoresLinear(Linear):
    def initialize(self, generator, std=None):
        normal_(self.weight, generator, 1.0)
        self.bias.data[...] = 0


@computed_in_float32
def _log(p):
    """log p, and 0 where p is 0, as p log p has it."""
    xp = array_module(p)
    return xp.log(xp.where(p > 0, p, 1))


class PreTrainingCache(NamedTuple):
    base: tuple
    states: tuple  # of project_hid
    dropout: tuple
    quantizer: tuple
    targets: tuple  # of project_q
    contrastive: tuple | None
    hidden_frames: Array | None  # how many there are
    shapes: tuple


class Wav2Vec2ForPreTraining(Wav2Vec2PreTrainedModel):
    """Which of K + 1 quantized frames was hidden here? And use all of the codes.

    mask_time_indices (B, T) booleans say which frames are hidden (see `span_mask`), sampled_negative_indices (B, T, K)
    which are the distractors (`sample_negative_indices`). With both there is a loss, a sum over all hidden frames:

        loss = contrastive_loss + α · diversity_loss,   diversity_loss = (G·V − perplexity)/(G·V) · hidden frames
    """

    def build(self, config):
        self.wav2vec2 = Wav2Vec2Model(config)
        self.dropout_features = Dropout(config.feat_quantizer_dropout)
        self.quantizer = GumbelVectorQuantizer(config)
        self.project_hid = UniformLinear(config.hidden_size, config.proj_codevector_dim)
        self.project_q = UniformLinear(config.codevector_dim, config.proj_codevector_dim)
        self.contrastive = ContrastiveLoss(config.contrastive_logits_temperature)

    def set_gumbel_temperature(self, temperature: float) -> None:
        """The quantizer's τ. Training starts at 2 and lowers it step by step, so that choices become firm."""
        self.quantizer.temperature = temperature

    def forward(
        self,
        input_values=None,
        attention_mask=None,
        mask_time_indices=None,
        sampled_negative_indices=None,
        generator=None,
        **options,
    ):
        generator = self.generator if generator is None else generator
        states, base_cache = self.wav2vec2.forward(
            input_values, attention_mask, mask_time_indices, generator=generator, **options
        )
        predictions, states_cache = self.project_hid.forward(states.last_hidden_state)
        features, dropout_cache = self.dropout_features.forward(states.extract_features, generator)
        (vectors, perplexity, codes), quantizer_cache = self.quantizer.forward(features, mask_time_indices, generator)
        targets, targets_cache = self.project_q.forward(vectors)

        loss = contrastive = diversity = contrastive_cache = hidden_frames = None
        if sampled_negative_indices is not None:
            if mask_time_indices is None:
                raise ValueError("sampled_negative_indices were passed without mask_time_indices: which frames count?")
            contrastive, contrastive_cache = self.contrastive.forward(
                predictions, targets, codes, sampled_negative_indices, mask_time_indices != 0
            )
            hidden_frames = as_array_like(mask_time_indices != 0, targets).sum().astype(perplexity.dtype)
            number = perplexity.dtype.type  # with a Python number, NumPy 1 would make float64 of float32
            diversity = (number(self.all_codes) - perplexity) * number(1 / self.all_codes) * hidden_frames
            loss = contrastive + number(self.config.diversity_loss_weight) * diversity
        output = Wav2Vec2ForPreTrainingOutput(
            loss,
            predictions,
            targets,
            perplexity.astype(targets.dtype),
            states.hidden_states,
            states.attentions,
            contrastive,
            diversity,
        )
        return output, keep(
            PreTrainingCache,
            base_cache,
            states_cache,
            dropout_cache,
            quantizer_cache,
            targets_cache,
            contrastive_cache,
            hidden_frames,
            (predictions.shape, targets.shape),
        )

    def backward(self, d_output, cache):
        losses = ("loss", "contrastive_loss", "diversity_loss")
        names = ("projected_states", "projected_quantized_states", "codevector_perplexity")
        check_output_names(d_output, (*losses, *names, "hidden_states", "attentions"), self)
        dpredictions, dtargets, dperplexity = (d_output.get(name) for name in names)
        dloss, dcontrastive, ddiversity = (d_output.get(name) for name in losses)
        if any(d_output.get(name) is not None for name in losses):
            loss_cache_of(self, cache, "contrastive")
        if dloss is not None:
            dcontrastive = add_gradients(dcontrastive, dloss)
            ddiversity = add_gradients(ddiversity, dloss * self.config.diversity_loss_weight)
        if dcontrastive is not None:
            of_predictions, of_targets = self.contrastive.backward(dcontrastive, cache.contrastive)
            dpredictions, dtargets = add_gradients(dpredictions, of_predictions), add_gradients(dtargets, of_targets)
        if ddiversity is not None:
            dperplexity = add_gradients(dperplexity, -ddiversity * cache.hidden_frames / self.all_codes)

        d_states = {name: d_output[name] for name in ("hidden_states", "attentions") if name in d_output}
        if dpredictions is not None:
            d_states["last_hidden_state"] = self.project_hid.backward(dpredictions, cache.states)
        if dtargets is not None or dperplexity is not None:
            dvectors = None if dtargets is None else self.project_q.backward(dtargets, cache.targets)
            dfeatures = self.quantizer.backward((dvectors, dperplexity), cache.quantizer)
            d_states["extract_features"] = self.dropout_features.backward(dfeatures, cache.dropout)
        return self.wav2vec2.backward(d_states, cache.base)

    @property
    def all_codes(self) -> int:
        return self.config.num_codevector_groups * self.config.num_codevectors_per_group

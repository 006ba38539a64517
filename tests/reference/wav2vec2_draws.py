"""Training Wav2Vec2 on both sides with the same random draws: dropout, hidden spans, skipped layers, Gumbel noise."""

import sys

import numpy as np

from tests.models.wav2vec2_cases import CASES, HIDES

from .common import torch

DROPOUT = {
    "hidden_dropout": 0.3,
    "activation_dropout": 0.15,
    "attention_dropout": 0.2,
    "feat_proj_dropout": 0.25,
    "final_dropout": 0.35,
    "feat_quantizer_dropout": 0.45,
    "layerdrop": 0.0,
}
DROPPED = {"layerdrop": 0.5, "num_hidden_layers": 3}
FEATURES = {**HIDES, "mask_feature_prob": 0.4}


def with_config(name, *changes, **more):
    case = CASES[name]._replace(**more)
    for change in changes:
        case = case._replace(config={**case.config, **change})
    return case


TRAINED = {
    "ctc": with_config("ctc", DROPOUT),
    "ctc_large": with_config("ctc_large", DROPOUT),
    "classes_mix": with_config("classes_mix", DROPOUT),
    "pretraining": with_config("pretraining", DROPOUT),
    "pretraining_large": with_config("pretraining_no_mask", DROPOUT, {"diversity_loss_weight": 9.0}),
    "drawn_spans": with_config("ctc", DROPOUT, FEATURES),
    "given_spans": with_config("hidden", DROPOUT, FEATURES),
    "layer_drop": with_config("ctc", DROPOUT, DROPPED),
    "layer_drop_large": with_config("ctc_large", DROPOUT, DROPPED),
    "adapter_drop": with_config(
        "adapter_of_another_width", DROPOUT, DROPPED, {"num_adapter_layers": 3, "adapter_stride": 1}
    ),
}
SKIPPED = (True, False, True)


class Draws:
    """Answers in the order of the questions, the same to both sides, and a list of what was asked."""

    def __init__(self):
        self.generator, self.asked = np.random.default_rng(11), []

    def keep(self, shape, p):
        self.asked.append(("dropout", tuple(shape), p))
        return self.generator.random(shape) >= p

    def spans(self, shape, probability, length):
        self.asked.append(("spans", tuple(shape), probability, length))
        return self.generator.random(shape) < probability

    def gumbel(self, shape):
        self.asked.append(("gumbel", int(np.prod(shape))))
        return self.generator.gumbel(size=shape)

    def skip(self, layer):
        self.asked.append(("skip", layer))
        return 0.0 if SKIPPED[layer % len(SKIPPED)] else 0.99


def patch_ours(patch, draws):
    home = "edutransformers.models"
    patch.setattr("edutransformers.layers.dropout.random_keep_mask", lambda g, shape, p, like: draws.keep(shape, p))
    patch.setattr(
        "edutransformers.layers.span_masking.span_mask",
        lambda shape, probability, length, *more: draws.spans(shape, probability, length),
    )
    patch.setattr(f"{home}.wav2vec2_pretraining.random_gumbel", lambda g, shape, like: draws.gumbel(shape))

    def layers_to_skip(self, count, generator):
        if not self.training or self.config.layerdrop == 0:
            return ()
        return tuple(draws.skip(layer) < self.config.layerdrop for layer in range(count))

    patch.setattr(f"{home}.wav2vec2.Wav2Vec2Model.layers_to_skip", layers_to_skip)


def patch_theirs(patch, draws):
    functional = torch.nn.functional
    asked_to_skip = {"layers": 0, "adapters": 0}

    def dropout(x, p=0.5, training=True, inplace=False):
        return x if not training or p == 0 else x * torch.tensor(draws.keep(x.shape, p)) / (1 - p)

    def gumbel_softmax(logits, tau=1, hard=False, **kwargs):
        """Straight-through, without the rounding of `hard - soft + soft`, by which equal codes become unequal."""
        groups = logits.shape[0] // codes_of(logits)
        noise = draws.gumbel((groups, codes_of(logits), logits.shape[-1])).reshape(logits.shape)
        soft = torch.softmax((logits + torch.tensor(noise)) / tau, dim=-1)
        hard = functional.one_hot(soft.argmax(dim=-1), logits.shape[-1]).to(soft.dtype)
        return hard + (soft - soft.detach())

    def codes_of(logits):
        return 2  # the groups of every case above

    def spans(shape, mask_prob, mask_length, attention_mask=None, min_masks=0):
        return draws.spans(shape, mask_prob, mask_length)

    def skip(kind):
        asked_to_skip[kind] += 1
        return draws.skip(asked_to_skip[kind] - 1)

    patch.setattr(functional, "dropout", dropout)
    patch.setattr(functional, "gumbel_softmax", gumbel_softmax)
    patch.setattr(torch, "rand", lambda *shape, **kwargs: torch.tensor(skip("layers")))
    patch.setattr(np.random, "random", lambda: skip("adapters") + 1e-9)
    patch.setattr(sys.modules["transformers.models.wav2vec2.modeling_wav2vec2"], "_compute_mask_indices", spans)

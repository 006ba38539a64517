"""Tiny models for the speech pipelines' tests: seeded random Wav2Vec2s, and one that hears what is written for it."""

from __future__ import annotations

import numpy as np

from edutransformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor
from edutransformers.models.base import PreTrainedModel
from edutransformers.models.outputs import CausalLMOutput
from edutransformers.models.wav2vec2_features import frame_counts
from edutransformers.module import Parameter, keep

LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]
IDS = {letter: number for number, letter in enumerate(LETTERS)}
FRAME, RATE = 4, 400  # samples, and how many a second: a frame lasts 0.01 seconds


def tokenizer() -> Wav2Vec2CTCTokenizer:
    return Wav2Vec2CTCTokenizer(vocab=IDS)


def small_config(**fields) -> Wav2Vec2Config:
    sizes = {
        "vocab_size": len(LETTERS),
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 40,
        "conv_dim": [8] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "classifier_proj_size": 12,
        "initializer_range": 0.5,  # far from uniform scores
    }
    return Wav2Vec2Config(**{**sizes, **fields})


def small_model(model_class, seed: int = 0, **fields):
    return model_class(small_config(**fields), generator=np.random.default_rng(seed)).eval()


def noise(seconds: float, seed: int = 0, rate: int = 16000) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=round(seconds * rate)).astype(np.float32)


class Listener(PreTrainedModel):
    """Hears the letter whose number the samples of a frame have. Within `edge` frames of where the sound begins or ends
    it says "<unk>": it needs to know what comes before and after.
    """

    config_class = Wav2Vec2Config
    main_input_name = "input_values"

    def build(self, config, edge: int = 0):
        self.weight = Parameter(np.ones(1, np.float32))
        self.edge = edge

    def forward(self, input_values, attention_mask=None):
        letters = input_values.reshape(len(input_values), -1, FRAME)[..., 0].round().astype(int)
        for row, mask in zip(letters, attention_mask):
            frames = int(mask.sum()) // FRAME
            row[: self.edge] = row[max(frames - self.edge, 0) : frames] = IDS["<unk>"]
            row[frames:] = IDS["Z"]  # what padding sounds like
        return CausalLMOutput(logits=np.eye(len(LETTERS), dtype=np.float32)[letters]), keep()

    def _get_feat_extract_output_lengths(self, samples):
        return frame_counts(self.config, samples)


def listener(edge: int = 0) -> Listener:
    config = small_config(conv_dim=[1], conv_kernel=[FRAME], conv_stride=[FRAME])
    return Listener(config, edge=edge)


def listening_extractor() -> Wav2Vec2FeatureExtractor:
    return Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=False)


def spoken(text: str) -> np.ndarray:
    """The samples in which a `Listener` hears a text: each letter for two frames, and a frame of nothing."""
    ids = [number for letter in text.replace(" ", "|") for number in (IDS[letter], IDS[letter], 0)]
    return np.repeat(np.array(ids, np.float32), FRAME)

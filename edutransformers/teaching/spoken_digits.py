"""The ten digits, spoken by sixteen synthetic voices: something to listen to where no network and no recording is.

    digits = spoken_digits()           {"m3": [ten arrays (N,) float32 at RATE hertz, "zero" to "nine"], …}

They were made with eSpeak NG, each voice with a pace, a pitch and an accent of its own, and are kept as telephones keep
sound: 8,000 samples a second of 8 bits each (μ-law). The file is made again by `python -m
edutransformers.teaching.spoken_digits`, which needs espeakng-loader and the `audio` extra.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..pretrained.spoken import ACCENTS, RATE, mu_law, trim

FILE = Path(__file__).with_suffix(".npz")
VOICES = (
    "f1", "f3", "m1", "m3", "klatt", "Alex", "Andrea", "Denis", "Jacky", "Mario", "edward", "grandma",
    "f5", "m7", "Annie", "victor",
)  # fmt: skip


def spoken_digits() -> dict[str, list[np.ndarray]]:
    """Voice -> its ten digits in order, each (N,) float32 between −1 and 1 at 8,000 hertz, about 0.45 seconds."""
    with np.load(FILE) as file:
        return {
            voice: np.split(mu_law(file[voice].tobytes()), np.cumsum(file[f"{voice} lengths"])[:-1]) for voice in VOICES
        }


def mu_law_bytes(samples: np.ndarray) -> np.ndarray:
    """Each sample as the byte whose μ-law value is the nearest."""
    values = mu_law(bytes(range(256)))
    order = np.argsort(values)
    middles = (values[order][1:] + values[order][:-1]) / 2
    return order[np.searchsorted(middles, samples)].astype(np.uint8)


def make() -> None:
    """Speak all digits and write the file."""
    from ..audio import resample
    from ..pretrained.espeak import Espeak

    espeak, generator, arrays = Espeak(), np.random.default_rng(0), {}
    for variant in VOICES:
        voice = f"{generator.choice(ACCENTS[:4])}+{variant}"
        rate, pitch = int(generator.integers(130, 200)), int(generator.integers(30, 70))
        spoken = [
            trim(resample(espeak.spell(digit, voice, rate, pitch), espeak.sampling_rate, RATE))
            for digit in "0123456789"
        ]
        arrays[variant] = mu_law_bytes(np.concatenate(spoken))
        arrays[f"{variant} lengths"] = np.array([len(samples) for samples in spoken], dtype=np.int32)
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    make()

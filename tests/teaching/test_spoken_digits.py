"""The spoken digits that ship."""

import numpy as np

from edutransformers.pretrained.spoken import RATE, mu_law
from edutransformers.teaching.spoken_digits import VOICES, mu_law_bytes, spoken_digits


def test_every_voice_says_ten_digits():
    digits = spoken_digits()
    assert tuple(digits) == VOICES
    for voice, spoken in digits.items():
        assert len(spoken) == 10
        for samples in spoken:
            assert samples.dtype == np.float32
            assert 0.15 < len(samples) / RATE < 0.8, voice
            assert 0.05 < np.abs(samples).max() <= 1, voice


def test_mu_law_there_and_back():
    """The error is half a step at most, and a step is an eighth of the samples around it or less."""
    samples = np.linspace(-0.98, 0.98, 5000, dtype=np.float32)
    back = mu_law(mu_law_bytes(samples).tobytes())
    assert np.all(np.abs(back - samples) <= np.maximum(np.abs(samples), 2**-8) / 16)
    every = mu_law(bytes(range(256)))
    np.testing.assert_array_equal(mu_law(mu_law_bytes(every).tobytes()), every)

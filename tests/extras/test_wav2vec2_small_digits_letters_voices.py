"""The shipped reader on codes of voices that it has never heard: the figure of its card."""

import re
import subprocess
import sys

import numpy as np
import pytest

NEEDS = ("espeakng_loader", "soxr")
pytestmark = pytest.mark.extras

from edutransformers import AutoModelForCTC, AutoProcessor  # noqa: E402
from edutransformers.audio import load_audio  # noqa: E402
from edutransformers.checkpoints.packaged import SHIPPED_FOLDER  # noqa: E402
from edutransformers.pretrained.spoken import (  # noqa: E402
    HELD_OUT_VARIANTS,
    VARIANTS,
    character_error_rate,
    speak_codes,
)
from edutransformers.pretrained.train_wav2vec2_small_digits_letters import read_aloud  # noqa: E402

NAME = "edutransformers/wav2vec2-small-digits-letters"
FOLDER = SHIPPED_FOLDER / "wav2vec2-small-digits-letters"


def test_error_rate_on_held_out_voices():
    """At most what the card says, and half a point for another machine's last digits."""
    assert not set(HELD_OUT_VARIANTS) & set(VARIANTS)
    codes = speak_codes(HELD_OUT_VARIANTS, 300, np.random.default_rng(2))
    model, processor = AutoModelForCTC.from_pretrained(NAME), AutoProcessor.from_pretrained(NAME)
    rate = 100 * character_error_rate(read_aloud(model, processor, codes), [code.text for code in codes])
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    stated = float(re.search(r"^\| \*\*held-out voices\*\*.*\*\*([\d.]+)%\*\*", card, flags=re.M).group(1))
    assert abs(rate - stated) < 0.5


def test_the_recording_that_ships_is_the_one_that_the_script_makes(tmp_path):
    """In a process of its own: eSpeak NG's sounds depend a little on what it said before."""
    script = (
        "import sys; from edutransformers.pretrained.train_wav2vec2_small_digits_letters import write_sample as write"
    )
    subprocess.run([sys.executable, "-c", f"{script}; write(sys.argv[1])", str(tmp_path)], check=True)
    again, shipped = (load_audio(folder / "BERT2018.wav", 8000) for folder in (tmp_path, FOLDER))
    np.testing.assert_allclose(again, shipped, atol=2 / 32768)

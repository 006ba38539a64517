"""eSpeak NG's voices, as the reader's data has them."""

import subprocess
import sys

import numpy as np
import pytest

NEEDS = ("espeakng_loader", "soxr")
pytestmark = pytest.mark.extras

from edutransformers.pretrained.espeak import Espeak  # noqa: E402
from edutransformers.pretrained.spoken import (  # noqa: E402
    ACCENTS,
    HELD_OUT_VARIANTS,
    RATE,
    SYMBOLS,
    VARIANTS,
    speak_codes,
    speak_symbols,
)


@pytest.fixture(scope="module")
def espeak():
    return Espeak()


def test_every_voice_speaks_every_accent_and_no_two_alike(espeak):
    sounds = {
        f"{accent}+{variant}": espeak.spell("B7", f"{accent}+{variant}").tobytes()
        for variant in (*VARIANTS, *HELD_OUT_VARIANTS)
        for accent in ACCENTS
    }
    assert len(sounds) == 8 * 68
    assert len(set(sounds.values())) > 0.95 * len(sounds)


def test_rate_and_pitch(espeak):
    slow, quick = (espeak.spell("W7", "en-us+m3", rate) for rate in (110, 220))
    assert 1.5 * len(quick) < len(slow)
    assert np.abs(slow).max() < 1
    assert not np.array_equal(espeak.spell("A", "en-us+m3", pitch=25)[:2000], espeak.spell("A", "en-us+m3")[:2000])


def test_no_such_voice(espeak):
    with pytest.raises(ValueError, match="eSpeak NG has no voice 'xx\\+f9'"):
        espeak.spell("A", "xx+f9")


def test_symbols():
    found = speak_symbols(VARIANTS[:2], np.random.default_rng(0))
    assert [r.text for r in found] == list(SYMBOLS) * 4
    assert len({r.speaker for r in found}) == 4
    assert all(0.1 * RATE < len(r.samples) < 1.5 * RATE for r in found)


def test_codes():
    found = speak_codes(HELD_OUT_VARIANTS, 20, np.random.default_rng(3), longest=4)
    assert {len(u.text) for u in found} == {1, 2, 3, 4}
    assert all(0.08 * RATE * len(u.text) < len(u.samples) < 1.5 * RATE * len(u.text) for u in found)


SCRIPT = """
import hashlib
import numpy as np
from edutransformers.pretrained.spoken import VARIANTS, speak_codes, speak_symbols
found = speak_symbols(VARIANTS[:2], np.random.default_rng(0)) + speak_codes(VARIANTS, 5, np.random.default_rng(1))
print(hashlib.sha256(b"".join(x.text.encode() + x.samples.tobytes() for x in found)).hexdigest())
"""


def test_a_new_process_makes_the_same_data():
    runs = [subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True) for _ in "12"]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout) == 65

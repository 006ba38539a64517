"""Flite is called as its manual says: tried with a program in its place, which writes down how it was called."""

import stat
import sys

import numpy as np
import pytest

from edutransformers.audio import write_wav
from edutransformers.pretrained.flite import PHONES, VOICES, Flite
from edutransformers.pretrained.spoken import RATE, SYMBOLS, speak_with_flite


@pytest.fixture
def root(tmp_path):
    """An unpacked package whose flite "speaks" a tone of 0.1 s for each sound, and nothing for a pause."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    for sounds in range(60):
        time = np.arange(800 * sounds) / RATE
        write_wav(tmp_path / f"{sounds}.wav", np.sin(2000 * time).astype("float32") if sounds else np.zeros(9), RATE)
    program = tmp_path / "usr/bin/flite"
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, shutil, sys\n"
        "line = ' | '.join([*sys.argv[1:-2], os.environ['LD_LIBRARY_PATH']])\n"
        f"open({str(tmp_path / 'called')!r}, 'a').write(line + '\\n')\n"
        "sounds = len([s for s in sys.argv[sys.argv.index('-p') + 1].split() if s != 'pau'])\n"
        f"shutil.copy({str(tmp_path)!r} + f'/{{sounds}}.wav', sys.argv[-1])\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def test_a_code_is_spelled_in_sounds(root):
    samples = Flite(root).spell("4W7", "slt", 1.25, 180.0, [True, False, True], RATE)
    assert len(samples) == 800 * (3 + 7 + 5)
    called = (root / "called").read_text().strip()
    assert called == (
        "-voice | slt | --setf | duration_stretch=1.250 | --setf | int_f0_target_mean=180.0 | -p | "
        f"pau f ao r pau d ah b ax l y uw s eh v ax n pau | {root}/usr/lib/x86_64-linux-gnu"
    )


def test_codes_of_all_voices(root):
    spoken = speak_with_flite(20, np.random.default_rng(0), 4, root)
    calls = (root / "called").read_text().splitlines()
    assert {len(u.text) for u in spoken} == {1, 2, 3, 4}
    assert {call.split(" | ")[1] for call in calls} == set(VOICES)
    assert len({call.split(" | ")[3] for call in calls}) == 20  # each at a pace of its own
    for utterance, call in zip(spoken, calls, strict=True):
        sounds = " ".join(PHONES[symbol] for symbol in utterance.text)
        assert call.split(" | ")[7].replace("pau", "").split() == sounds.split()


def test_every_symbol_sounds_different():
    assert set(PHONES) == set(SYMBOLS)
    assert len(set(PHONES.values())) == 36


def test_it_says_what_to_install(tmp_path):
    with pytest.raises(FileNotFoundError, match="apt-get install flite"):
        Flite(tmp_path)

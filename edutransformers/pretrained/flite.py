"""Flite, a speech synthesizer whose voices are made of recordings of people. `apt-get install flite` brings it.

Black and Lenzo 2001. Its licence and that of the voices is BSD-like; what it speaks is free.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ..audio import load_audio

VOICES = {"awb": 120, "kal16": 105, "rms": 100, "slt": 175}  # each with the pitch, in hertz, that is about its own
# Symbols in the sounds of American English as CMU's dictionary writes them, so that no "A" is read as an article.
PHONES = {
    "0": "z ih r ow", "1": "w ah n", "2": "t uw", "3": "th r iy", "4": "f ao r", "5": "f ay v", "6": "s ih k s",
    "7": "s eh v ax n", "8": "ey t", "9": "n ay n", "A": "ey", "B": "b iy", "C": "s iy", "D": "d iy", "E": "iy",
    "F": "eh f", "G": "jh iy", "H": "ey ch", "I": "ay", "J": "jh ey", "K": "k ey", "L": "eh l", "M": "eh m",
    "N": "eh n", "O": "ow", "P": "p iy", "Q": "k y uw", "R": "aa r", "S": "eh s", "T": "t iy", "U": "y uw",
    "V": "v iy", "W": "d ah b ax l y uw", "X": "eh k s", "Y": "w ay", "Z": "z iy",
}  # fmt: skip


class Flite:
    """The program, installed or in a Debian package that was unpacked under `root`.

    samples = Flite().spell("4B7", "slt", stretch=1.1, pitch=180, pauses=[True, False], rate=8000)     # (N,) float32
    """

    def __init__(self, root: str | Path = "/"):
        self.program = Path(root) / "usr/bin/flite"
        if not self.program.is_file():
            raise FileNotFoundError(f"{self.program} is not there: apt-get install flite")
        libraries = [str(path) for path in sorted((Path(root) / "usr/lib").glob("*-linux-gnu"))]
        self._environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(libraries)} if libraries else None

    def spell(self, text: str, voice: str, stretch: float, pitch: float, pauses, rate: int) -> np.ndarray:
        """The symbols of a text, at `rate` samples a second; pauses[i]: is there one behind symbol i (but the last)?"""
        phones = "pau"
        for place, symbol in enumerate(text):
            phones += " " + PHONES[symbol] + (" pau" if place + 1 == len(text) or pauses[place] else "")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "spelled.wav"
            command = [
                str(self.program), "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}",
                "--setf", f"int_f0_target_mean={pitch:.1f}", "-p", phones, "-o", str(path),
            ]  # fmt: skip
            subprocess.run(command, check=True, env=self._environment, capture_output=True)
            return load_audio(path, rate)

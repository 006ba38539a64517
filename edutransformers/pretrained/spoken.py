"""Spoken English digits and letters: real recordings out of Debian and PyPI packages, and synthetic voices.

    source        what                                            speaker         licence       package
    asterisk      36 symbols, "zed", "oh", and 11 prompts, 8 kHz  Allison Smith   CC-BY-SA-3.0  asterisk-core-sounds-en
    klettres      26 letters, 44 kHz                              American        GPL-2+        klettres-data
    captcha       36 symbols, 8 kHz, 8 bits                       not stated      BSD-3-Clause  captcha (PyPI)
    klettres_gb   26 letters, 44 kHz                              British         GPL-2+        klettres-data
    saytime       10 digits and "oh", 8 kHz                       David C Dawson  GPL           saytime

Besides, codes are spelled by Flite's four voices, which are made of recordings of people, and by many variants of
eSpeak NG's, which are made of formulas.

Three questions are asked, of sounds that no training step hears:

    prompts    Allison says symbols once more, in other prompts: "H 3 2 3", "a m", "folder five" from its last word on
    speakers   the last two sources: unknown voices, at unknown microphones
    voices     variants of eSpeak NG that it doesn't speak with in training

Everything is at 8,000 hertz, as the telephone prompts are.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..audio import load_audio, resample
from .espeak import Espeak
from .flite import VOICES, Flite

RATE = 8000
PAUSE = 0.4  # seconds between joined recordings at most
SYMBOLS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Prompts of Allison's that are kept for the test: what is said, the file, and from which second on.
HELD_OUT_PROMPTS = (
    ("H323", "spy-h323", 0.0),
    ("MGCP", "spy-mgcp", 0.0),
    ("MISDN", "spy-misdn", 0.0),
    ("NBS", "spy-nbs", 0.0),
    ("AM", "digits/a-m", 0.0),
    ("PM", "digits/p-m", 0.0),
    ("5", "vm-Cust1", 0.51),  # "folder five"
    ("6", "vm-Cust2", 0.455),
    ("7", "vm-Cust3", 0.47),
    ("8", "vm-Cust4", 0.56),
    ("9", "vm-Cust5", 0.43),
)

ACCENTS = ("en-us", "en-us-nyc", "en", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")
VARIANTS = (
    "f1", "f2", "f3", "f4", "m1", "m2", "m3", "m4", "m5", "m6", "m8", "klatt", "klatt2", "klatt3", "klatt4", "Alex",
    "Alicia", "Andrea", "Andy", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Mario",
    "Michael", "Nguyen", "adam", "anika", "antonio", "aunty", "benjamin", "boris", "caleb", "ed", "edward",
    "grandma", "grandpa", "iven", "john", "marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro",
    "quincy", "rob", "robert", "sandro", "shelby", "travis", "zac",
)  # fmt: skip
HELD_OUT_VARIANTS = (
    "f5", "m7", "Annie", "Mike", "belinda", "david", "gustave", "linda", "steph", "victor",
)  # fmt: skip

SHARE = "/usr/share"
ALLISON = SHARE + "/asterisk/sounds/en_US_f_Allison"


class Recording(NamedTuple):
    text: str  # what is said
    samples: np.ndarray  # (N,) float32 at RATE, silence cut off at both ends
    speaker: str
    name: str  # of the file


class Utterance(NamedTuple):
    text: str
    samples: np.ndarray


# ---------------------------------------------------------------------------------------------------------------------
# Real recordings
# ---------------------------------------------------------------------------------------------------------------------


def load_recordings(root: str | Path = "/") -> dict[str, list[Recording]]:
    """{"train": …, "prompts": …, "speakers": …} of the packages installed, or unpacked under `root`.

    Raises FileNotFoundError with the command that brings a missing package.
    """
    sources = {name: _read(name, files, Path(root)) for name, files in _files().items()}
    return {
        "train": sources["asterisk"] + sources["klettres"] + sources["captcha"],
        "prompts": sources["prompts"],
        "speakers": sources["klettres_gb"] + sources["saytime"],
    }


def _files() -> dict[str, list[tuple]]:
    """{source: [(what is said, file, perhaps from which second on)]}. "oh" is how one says O, so it is written O."""
    letters = SYMBOLS[10:]
    return {
        "asterisk": [
            *((digit, f"{ALLISON}/digits/{digit}.wav") for digit in SYMBOLS[:10]),
            *((letter, f"{ALLISON}/letters/{letter.lower()}.wav") for letter in letters),
            ("Z", f"{ALLISON}/letters/zed.wav"),
            ("O", f"{ALLISON}/digits/oh.wav"),
        ],
        "prompts": [(text, f"{ALLISON}/{name}.wav", start) for text, name, start in HELD_OUT_PROMPTS],
        "klettres": [(letter, f"{SHARE}/klettres/en/alpha/{letter}.ogg") for letter in letters],
        "captcha": [(symbol, f"captcha/data/{symbol}/default.wav") for symbol in SYMBOLS],
        "klettres_gb": [(letter, f"{SHARE}/klettres/en_GB/alpha/{letter.lower()}.ogg") for letter in letters],
        "saytime": [
            *((digit, f"{SHARE}/saytime/{digit}.au") for digit in SYMBOLS[:10]),
            ("O", f"{SHARE}/saytime/oh.au"),
        ],
    }


_PACKAGES = {
    "asterisk": "apt-get install asterisk-core-sounds-en-wav",
    "prompts": "apt-get install asterisk-core-sounds-en-wav",
    "klettres": "apt-get install klettres-data",
    "captcha": "pip install captcha",
    "klettres_gb": "apt-get install klettres-data",
    "saytime": "apt-get install saytime",
}


def _read(source: str, files, root: Path) -> list[Recording]:
    recordings = []
    for text, file, *start in files:
        path = _in_package(source, file) if source == "captcha" else root / file.lstrip("/")
        if not path.is_file():
            raise FileNotFoundError(f"the recordings of {source} are not there ({path}): {_PACKAGES[source]}")
        samples = mu_law(path.read_bytes()) if path.suffix == ".au" else load_audio(path, RATE)
        samples = samples[round(start[0] * RATE) :] if start else samples
        recordings.append(Recording(text, trim(samples), source, path.name))
    return recordings


def mu_law(data: bytes) -> np.ndarray:
    """Bytes of telephone sound (μ-law, ITU-T G.711) as samples: sign, exponent, mantissa, all inverted."""
    code = 255 - np.frombuffer(data, dtype=np.uint8).astype(np.int32)
    size = ((((code & 15) << 3) + 132) << (code >> 4 & 7)) - 132
    return np.where(code & 128, -size, size).astype(np.float32) / 32768


def _in_package(package: str, file: str) -> Path:
    try:
        return Path(metadata.distribution(package).locate_file(file))
    except metadata.PackageNotFoundError:
        return Path(file)


def trim(samples: np.ndarray, below: float = 0.02, margin: float = 0.03) -> np.ndarray:
    """Without the silence at both ends: what stays under `below` of the loudest, but for `margin` seconds."""
    step = RATE // 100
    frames = np.abs(samples[: len(samples) // step * step]).reshape(-1, step).max(axis=1, initial=0)
    loud = np.flatnonzero(frames > below * frames.max(initial=0))
    if len(loud) == 0:
        return samples
    rest = round(margin * RATE)
    return samples[max(loud[0] * step - rest, 0) : (loud[-1] + 1) * step + rest]


# ---------------------------------------------------------------------------------------------------------------------
# Voices
# ---------------------------------------------------------------------------------------------------------------------


def spell(espeak: Espeak, text: str, voice: str, rate: int, pitch: int = 50) -> np.ndarray:
    """The characters of a text as a voice says them: samples (N,) at RATE, silence cut off at both ends."""
    return trim(resample(espeak.spell(text, voice, rate, pitch), espeak.sampling_rate, RATE))


def speak_symbols(variants, generator: np.random.Generator, per_variant: int = 2) -> list[Recording]:
    """Every symbol by every variant, in `per_variant` accents with a rate and a pitch of its own each."""
    espeak, recordings = Espeak(), []
    for variant in variants:
        for accent in generator.choice(ACCENTS, per_variant, replace=False):
            voice = f"{accent}+{variant}"
            rate, pitch = int(generator.integers(110, 230)), int(generator.integers(25, 76))
            for symbol in SYMBOLS:
                samples = spell(espeak, symbol, voice, rate, pitch)
                recordings.append(Recording(symbol, samples, f"{voice} {rate} {pitch}", symbol))
    return recordings


def speak_with_flite(
    count: int, generator: np.random.Generator, longest: int, root: str | Path = "/"
) -> list[Utterance]:
    """Codes spelled by Flite's voices, at another pace and pitch each time, with pauses here and there."""
    flite, utterances = Flite(root), []
    for _ in range(count):
        text = "".join(generator.choice(list(SYMBOLS), int(generator.integers(1, longest + 1))))
        voice = str(generator.choice(list(VOICES)))
        stretch, pitch = generator.uniform(0.8, 1.5), VOICES[voice] * generator.uniform(0.8, 1.25)
        pauses = generator.random(len(text)) < generator.random()
        utterances.append(Utterance(text, trim(flite.spell(text, voice, stretch, pitch, pauses, RATE))))
    return utterances


def speak_codes(variants, count: int, generator: np.random.Generator, longest: int = 8) -> list[Utterance]:
    """Codes spelled in one go, in a variant, accent, rate and pitch drawn for each: symbols run into one another.

    At 80 to 170 "words" a minute these are 2.5 to 5 symbols a second.
    """
    espeak, utterances = Espeak(), []
    for _ in range(count):
        text = "".join(generator.choice(list(SYMBOLS), int(generator.integers(1, longest + 1))))
        voice = f"{generator.choice(ACCENTS)}+{generator.choice(variants)}"
        rate, pitch = int(generator.integers(80, 170)), int(generator.integers(25, 76))
        utterances.append(Utterance(text, spell(espeak, text, voice, rate, pitch)))
    return utterances


# ---------------------------------------------------------------------------------------------------------------------
# Utterances
# ---------------------------------------------------------------------------------------------------------------------


def join_recordings(
    recordings,
    count: int,
    generator: np.random.Generator,
    longest: int = 8,
    shortest: int = 1,
    overlap: float = 0.0,
) -> list[Utterance]:
    """Codes of `shortest` to `longest` recordings of one speaker, in a row, with pauses of up to 0.4 seconds.

    overlap: so many seconds at most a recording begins before the one in front of it has ended, as in fluent speech.
    Speakers are equally frequent, however many recordings each has.
    """
    speakers: dict[str, list[Recording]] = {}
    for recording in recordings:
        speakers.setdefault(recording.speaker, []).append(recording)
    names = sorted(speakers)
    utterances = []
    for _ in range(count):
        own = speakers[names[generator.integers(len(names))]]
        chosen = [own[place] for place in generator.integers(len(own), size=generator.integers(shortest, longest + 1))]
        gap = generator.uniform(0.0, PAUSE)
        samples = _silence(gap, generator)
        for recording in chosen:
            loudness = 0.2 / max(float(np.sqrt(np.mean(recording.samples**2))), 1e-4)
            samples = _append(samples, loudness * _decibels(generator, 3) * recording.samples, overlap=-gap)
            gap = generator.uniform(-overlap, PAUSE)
            samples = _append(samples, _silence(gap, generator))
        samples = samples.astype(np.float32)
        samples *= 0.9 / max(float(np.abs(samples).max()), 1e-4)
        utterances.append(Utterance("".join(r.text for r in chosen), samples))
    return utterances


def disturb(samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """What another room, telephone and day would have made of it: speed, tone, loudness and noise, each by chance."""
    speed = generator.uniform(0.85, 1.2)
    places = np.arange(0, len(samples) - 1, speed)
    samples = np.interp(places, np.arange(len(samples)), samples)
    samples = _other_microphone(samples, generator)
    power = float(np.sqrt(np.mean(samples**2)))
    noise = generator.standard_normal(len(samples))
    if generator.random() < 0.5:  # brown: most of it low
        noise = np.cumsum(noise - noise.mean())
        noise -= np.convolve(noise, np.ones(80) / 80, mode="same")
    noise *= power * 10 ** (-generator.uniform(15, 50) / 20) / max(float(np.sqrt(np.mean(noise**2))), 1e-9)
    samples = (samples + noise) * _decibels(generator, 12)
    return samples.astype(np.float32)


def _other_microphone(samples: np.ndarray, generator, bands: int = 8, spread: float = 4.0) -> np.ndarray:
    """Each of eight bands louder or quieter by some decibels, smoothly: an equalizer set at random."""
    spectrum = np.fft.rfft(samples)
    decibels = np.interp(np.linspace(0, bands - 1, len(spectrum)), range(bands), generator.normal(0, spread, bands))
    return np.fft.irfft(spectrum * 10 ** (decibels / 20), len(samples))


def _decibels(generator, most: float) -> float:
    return 10 ** (generator.uniform(-most, most) / 20)


def _silence(seconds: float, generator) -> np.ndarray:
    """A pause that isn't quite silent; none for a negative time."""
    return 1e-4 * generator.standard_normal(max(0, int(seconds * RATE)))


def _append(samples: np.ndarray, piece: np.ndarray, overlap: float = 0.0) -> np.ndarray:
    """`piece` behind `samples`, begun `overlap` seconds before their end, where both sound."""
    both = min(max(0, int(overlap * RATE)), len(samples), len(piece))
    joined = np.concatenate([samples, piece[both:]])
    joined[len(samples) - both : len(samples)] += piece[:both]
    return joined


def character_error_rate(texts, wanted) -> float:
    """Characters to insert, delete or change, summed over all texts, for each character that was wanted."""
    return sum(edit_distance(text, right) for text, right in zip(texts, wanted, strict=True)) / sum(map(len, wanted))


def edit_distance(text: str, wanted: str) -> int:
    """The fewest insertions, deletions and changes that turn one text into the other (Levenshtein)."""
    row = list(range(len(wanted) + 1))
    for at, character in enumerate(text, start=1):
        diagonal, row[0] = row[0], at
        for place, right in enumerate(wanted, start=1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (character != right))
    return row[-1]

"""The reader's data, on recordings made here: what is held out is held out, and what is joined is what is written."""

from functools import lru_cache

import numpy as np
import pytest

from edutransformers.audio import write_wav
from edutransformers.pretrained import spoken
from edutransformers.pretrained.spoken import (
    HELD_OUT_VARIANTS,
    RATE,
    SYMBOLS,
    VARIANTS,
    Recording,
    character_error_rate,
    disturb,
    edit_distance,
    join_recordings,
    load_recordings,
    mu_law,
    trim,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """All packages, with 0.1 s of a tone between silences in each file. (Files are told apart by what is in them.)"""
    root = tmp_path_factory.mktemp("root")
    sound = np.concatenate([np.zeros(6000), 0.5 * np.sin(np.arange(800) / 3), np.zeros(800)]).astype("float32")
    for files in spoken._files().values():
        for _, file, *_ in files:
            path = root / file.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".au":
                path.write_bytes(bytes([255] * 800 + [40, 168] * 400 + [255] * 800))
            else:
                write_wav(path, sound, RATE)
    return root


@pytest.fixture
def recordings(root, monkeypatch):
    monkeypatch.setattr(spoken, "_in_package", lambda package, file: root / file)
    return load_recordings(root)


def test_nothing_is_on_two_sides(recordings):
    by_part = {part: {(r.speaker, r.name) for r in found} for part, found in recordings.items()}
    assert [len(found) for found in recordings.values()] == [100, 11, 37]
    assert not by_part["train"] & by_part["prompts"]
    assert {speaker for speaker, _ in by_part["train"]} == {"asterisk", "klettres", "captcha"}
    assert {speaker for speaker, _ in by_part["speakers"]} == {"klettres_gb", "saytime"}
    files = {source: {file for _, file, *_ in files} for source, files in spoken._files().items()}
    assert len(set().union(*files.values())) == sum(map(len, files.values())) == 148  # no file twice
    assert not set(VARIANTS) & set(HELD_OUT_VARIANTS)


def test_all_symbols_are_trained_and_tested(recordings):
    assert {r.text for r in recordings["train"]} == set(SYMBOLS)
    assert {r.text for r in recordings["speakers"]} == set(SYMBOLS)
    assert "".join(r.text for r in recordings["prompts"]) == "H323MGCPMISDNNBSAMPM56789"


def test_a_prompt_begins_at_its_second(recordings, root):
    """The tone is at 0.75 s; what comes before a prompt's second is not heard."""
    name, start = "vm-Cust4", 0.56
    path = root / f"{spoken.ALLISON.lstrip('/')}/{name}.wav"
    samples = np.zeros(8000, dtype="float32")
    samples[: round(start * RATE)] = 0.5
    samples[-900:-800] = 0.25
    before = path.read_bytes()
    write_wav(path, samples, RATE)
    try:
        (found,) = [r for r in load_recordings(root)["prompts"] if r.name == f"{name}.wav"]
    finally:
        path.write_bytes(before)
    assert np.abs(found.samples).max() == pytest.approx(0.25, rel=1e-3)


def test_silence_is_cut_off(recordings):
    for found in (r for part in recordings.values() for r in part):
        assert found.samples.dtype == np.float32
        assert 800 <= len(found.samples) <= 800 + 2 * 320


def test_a_missing_package_is_named(root, tmp_path):
    with pytest.raises(
        FileNotFoundError, match="the recordings of asterisk are not there .*: apt-get install asterisk"
    ):
        load_recordings(tmp_path)


def test_trim():
    sound = np.zeros(4000, dtype="float32")
    sound[1600:2000] = 0.5
    sound[3900] = 0.005  # below 2%
    assert len(trim(sound)) == 400 + 2 * 240
    assert trim(sound)[240] == 0.5
    assert len(trim(np.zeros(500, dtype="float32"))) == 500  # nothing is loud
    assert len(trim(np.ones(7, dtype="float32"))) == 7


def test_mu_law():
    """The ends and the middle of ITU-T G.711's table, and that positive and negative codes mirror each other."""
    assert (mu_law(bytes([0x00, 0x7F, 0x80, 0xFF, 0x2A, 0xD0])) * 32768).tolist() == [-32124, 0, 32124, 0, -5372, 876]
    codes = np.arange(128, dtype=np.uint8)
    np.testing.assert_array_equal(mu_law(codes.tobytes()), -mu_law((codes + 128).tobytes()))
    assert (np.diff(mu_law(codes.tobytes())) > 0).all()


def speakers():
    """Three speakers: the length of a recording says which symbol it is, its sign who speaks."""
    rows = []
    for number, speaker in enumerate(("ann", "ben", "eve")):
        for symbol in SYMBOLS[: 3 + number]:
            samples = np.full(1000, (-1) ** number * 0.1 * (number + 1), dtype="float32")
            rows.append(Recording(symbol, samples, speaker, symbol))
    return rows


def test_joined_recordings_are_one_speakers(rng):
    joined = join_recordings(speakers(), 200, rng, longest=5)
    assert {len(u.text) for u in joined} == {1, 2, 3, 4, 5}
    for utterance in joined:
        loud = utterance.samples[np.abs(utterance.samples) > 0.01]
        assert len(loud) == 1000 * len(utterance.text)
        assert len(np.unique(np.sign(loud))) == 1
        pauses = len(utterance.samples) - len(loud)
        assert 0 <= pauses < 0.4 * RATE * (len(utterance.text) + 1)
        assert np.abs(utterance.samples).max() == pytest.approx(0.9, rel=1e-3)
        assert utterance.samples.dtype == np.float32


def test_recordings_may_overlap():
    """With an overlap gaps are as much shorter as they should be, and where two recordings sound they add up."""
    one = [r for r in speakers() if r.speaker == "ann"]
    apart, close = (
        [len(u.samples) for u in join_recordings(one, 3000, np.random.default_rng(4), 5, 5, overlap)]
        for overlap in (0.0, 0.1)
    )
    shorter = (np.mean(apart) - np.mean(close)) / RATE
    # Four gaps between recordings are 0.15 s on average, no more 0.2; the one at the end, none where below 0, is 0.16.
    assert shorter == pytest.approx(4 * 0.05 + 0.04, abs=0.03)


def test_what_overlaps_adds_up():
    joined = spoken._append(np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0]), overlap=1 / RATE)
    assert joined.tolist() == [1, 2, 13, 20]
    assert spoken._append(np.array([1.0]), np.array([10.0, 20.0]), overlap=5 / RATE).tolist() == [11, 20]
    assert spoken._append(np.array([1.0]), np.array([10.0, 20.0]), overlap=-5 / RATE).tolist() == [1, 10, 20]


def test_speakers_are_equally_frequent(rng):
    joined = join_recordings(speakers(), 600, rng, longest=1)
    assert 130 < sum(u.text == "4" for u in joined) * 5 + 130 < 430  # eve alone says 4: one in fifteen
    assert 150 < sum(bool((u.samples < -0.01).any()) for u in joined) < 250  # ben: one in three


@lru_cache
def made(seed):
    generator = np.random.default_rng(seed)
    return [(u.text, disturb(u.samples, generator)) for u in join_recordings(speakers(), 8, generator)]


def test_a_seed_makes_the_same_data():
    first, made_again, other = made(5), made.__wrapped__(5), made(6)
    for (text, samples), (text_again, samples_again) in zip(first, made_again):
        assert text == text_again
        np.testing.assert_array_equal(samples, samples_again)
    assert [text for text, _ in first] != [text for text, _ in other]


def test_disturbed_sounds_keep_their_text(rng):
    """Another speed, loudness and noise: still a sound of about that length, and not the same twice."""
    clean = (0.5 * np.sin(np.arange(8000) / 4)).astype("float32")
    found = [disturb(clean, rng) for _ in range(30)]
    assert all(8000 / 1.21 < len(x) < 8000 / 0.83 for x in found)
    assert all(x.dtype == np.float32 and np.isfinite(x).all() for x in found)
    loudness = [np.abs(x).max() for x in found]
    assert max(loudness) > 3 * min(loudness)
    assert len({x.tobytes() for x in found}) == 30


def test_no_two_microphones_alike(rng):
    """What was as loud below as above differs by many decibels, this way and that; noise and speed don't do that."""
    time = np.arange(8000) / RATE
    clean = (0.3 * np.sin(6.28 * 500 * time) + 0.3 * np.sin(6.28 * 2500 * time)).astype("float32")
    ratios = []
    for _ in range(30):
        power = np.abs(np.fft.rfft(disturb(clean, rng))) ** 2
        low, high = np.split(power, [len(power) * 3 // 8])
        ratios.append(10 * np.log10(low.max() / high.max()))
    assert max(ratios) > 4
    assert min(ratios) < -4


def naive_distance(text, wanted):
    if not text or not wanted:
        return len(text) + len(wanted)
    if text[0] == wanted[0]:
        return naive_distance(text[1:], wanted[1:])
    return 1 + min(
        naive_distance(text[1:], wanted), naive_distance(text, wanted[1:]), naive_distance(text[1:], wanted[1:])
    )


def test_edit_distance(rng):
    for _ in range(60):
        text, wanted = ("".join(rng.choice(list("AB4"), rng.integers(0, 6))) for _ in range(2))
        assert edit_distance(text, wanted) == naive_distance(text, wanted), (text, wanted)


def test_character_error_rate():
    assert character_error_rate(["4B7", "AA"], ["4B7", "AA"]) == 0
    assert character_error_rate(["4B", "AAC", ""], ["4B7", "AA", "X"]) == pytest.approx(3 / 6)

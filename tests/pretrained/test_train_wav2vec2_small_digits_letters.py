"""The script that makes the reader of digits and letters, on made-up recordings: from sounds to a checkpoint."""

from types import SimpleNamespace

import numpy as np
import pytest

from edutransformers import Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2Processor
from edutransformers.audio import load_audio
from edutransformers.pretrained import train_wav2vec2_small_digits_letters as script
from edutransformers.pretrained.spoken import RATE, SYMBOLS, Recording, Utterance, join_recordings

SMALL = {
    **script.CONFIG, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
    "conv_dim": (4, 4, 8), "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


def tones(speaker, symbols=SYMBOLS):
    """Each symbol as a tone of its own, for 0.1 seconds."""
    time = np.arange(RATE // 10) / RATE
    return [
        Recording(symbol, np.sin(6.28 * (200 + 60 * place) * time).astype("float32"), speaker, symbol)
        for place, symbol in enumerate(symbols)
    ]


RNG = np.random.default_rng


def spell(variants, count, generator, longest=8):
    return join_recordings(tones(variants[0]), count, generator, longest)


class Tones:
    """In the place of eSpeak NG: tones, with silence behind them."""

    sampling_rate = RATE

    def spell(self, text, voice, words_per_minute, pitch):
        sounds = {recording.text: recording.samples for recording in tones(voice)}
        return np.concatenate([*(sounds[symbol] for symbol in text), np.zeros(RATE, "float32")])


@pytest.fixture
def small(monkeypatch):
    recordings = {"train": tones("ann"), "prompts": tones("ann", "AB"), "speakers": tones("ben")}
    monkeypatch.setattr(script, "CONFIG", SMALL)
    monkeypatch.setattr(script, "HELD_OUT_CODES", 20)
    monkeypatch.setattr(script, "load_recordings", lambda root: recordings)
    monkeypatch.setattr(script, "speak_symbols", lambda variants, generator: tones("voice"))
    monkeypatch.setattr(script, "speak_codes", lambda variants, count, *rest: spell(variants, 60, *rest))
    monkeypatch.setattr(script, "speak_with_flite", lambda count, *rest: spell(["voice"], 60, *rest[:2]))
    monkeypatch.setattr(script, "Espeak", Tones)
    return recordings


def test_it_writes_a_checkpoint(small, tmp_path):
    rates = script.main(["--output", str(tmp_path), "--scratch", str(tmp_path / "scratch"), "--codes", "16"])
    assert set(rates) == {"prompts", "speakers", "voices"}
    model, processor = Wav2Vec2ForCTC.from_pretrained(tmp_path), Wav2Vec2Processor.from_pretrained(tmp_path)
    assert model.config.vocab_size == 41 == len(processor.tokenizer)
    assert model.num_parameters() < 2_000_000
    assert processor.feature_extractor.sampling_rate == RATE
    assert processor.feature_extractor.return_attention_mask
    assert 0.8 * RATE <= len(load_audio(tmp_path / "BERT2018.wav", RATE)) < 0.9 * RATE  # 8 tones; silence is cut off


def run_stages(monkeypatch, folder, *options):
    """The stages that a run learns: of each its number, learning rate, overlap, seed, and codes."""
    learned = []

    def learn(model, processor, stage, codes, scratch):
        assert codes.overlap == stage.overlap
        assert codes.seed == stage.seed
        learned.append((scratch.name, stage.learning_rate, stage.overlap, stage.seed, len(codes)))
        model.head.linear.bias.data += 1.0

    monkeypatch.setattr(script, "learn", learn)
    script.main(["--output", str(folder), "--scratch", str(folder / "scratch"), *options])
    return learned


def test_two_stages(small, monkeypatch, tmp_path):
    """The second goes on from what the first has learned, or from a checkpoint, whose place isn't written down."""
    first, second = ("stage-1", 1e-3, 0.0, 0, 240000), ("stage-2", 4e-4, 0.12, 1, 64000)
    assert run_stages(monkeypatch, tmp_path / "whole") == [first, second]
    assert run_stages(monkeypatch, tmp_path / "on", "--start-from", str(tmp_path / "whole")) == [second]
    models = [Wav2Vec2ForCTC.from_pretrained(tmp_path / name) for name in ("whole", "on")]
    np.testing.assert_allclose(models[1].head.linear.bias.data, models[0].head.linear.bias.data + 1.0, atol=1e-2)
    np.testing.assert_array_equal(models[1].head.linear.weight.data, models[0].head.linear.weight.data)
    assert str(tmp_path) not in (tmp_path / "on" / "config.json").read_text(encoding="utf-8")


def test_the_model_that_ships_has_less_than_two_million_parameters():
    assert Wav2Vec2ForCTC(Wav2Vec2Config(**script.CONFIG)).num_parameters() < 2_000_000  # 4 MB in float16
    assert np.prod(script.CONFIG["conv_stride"]) == 0.02 * RATE


def test_codes_are_new_each_time_and_the_same_in_each_run():
    texts = ["P", "DE", "LLL", "SPEL", "SPELL", "LEDPES"]
    spelled = [[Utterance(text, np.ones(900, dtype="float32")) for text in texts], spell(["v"], 200, RNG(0), 6)]
    joined = [tones("real", "AB"), tones("synthetic", "789")]
    codes, again = (script.SpokenCodes(joined, spelled, 400) for _ in "12")
    texts = [codes[number]["text"] for number in range(len(codes))]
    assert [len(text) for text in texts] == codes["length"]
    assert set(codes["length"]) == {1, 2, 3, 4, 5, 6}
    np.testing.assert_array_equal(codes[7]["samples"], again[7]["samples"])
    assert not np.array_equal(codes[7]["samples"][:500], codes[8]["samples"][:500])
    kinds = [sum(set(text) <= set(symbols) for text in texts) for symbols in ("AB", "789", "SPELD")]
    assert all(70 < kind < 135 for kind in kinds)
    assert 70 < 400 - sum(kinds) < 135


def test_batches():
    rows = [
        {"text": "4B", "samples": np.ones(500, "float32")},
        {"text": "Z", "samples": np.arange(800.0, dtype="float32")},
    ]
    batch = script.Listen(script.make_processor())(rows)
    assert batch["input_values"].shape == batch["attention_mask"].shape == (2, 800)
    assert batch["attention_mask"].sum(axis=1).tolist() == [500, 800]
    assert batch["input_values"].dtype == np.float32
    assert batch["labels"].tolist() == [[5 + 4, 5 + 11], [5 + 35, -100]]


def test_what_was_heard_is_read_up_to_the_last_frame():
    """Frames behind an utterance's end hold whatever the padding sounded like."""
    processor = script.make_processor()
    path = np.zeros((2, 6), dtype=int)
    path[0, :5] = [9, 9, 0, 9, 16]
    path[1, :2], path[1, 2:] = [40, 40], 9

    class Model:
        def __call__(self, input_values, attention_mask):
            return SimpleNamespace(logits=np.eye(41)[path])

        def _get_feat_extract_output_lengths(self, samples):
            return samples // 100

    utterances = [Utterance("", np.ones(600, "float32")), Utterance("", np.ones(200, "float32"))]
    assert script.read_aloud(Model(), processor, utterances) == ["44B", "Z"]

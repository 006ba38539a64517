"""A processor is its parts: it sorts what it gets, and is saved and read as one."""

import json
import shutil

import numpy as np
import pytest

from edutransformers import AutoProcessor, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2Processor

VOCAB = {token: i for i, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", "A", "B", "C"])}
SOUNDS = [np.sin(np.arange(6, dtype=np.float32)), np.cos(np.arange(4, dtype=np.float32))]
TEXTS = ["AB", "A CB"]


@pytest.fixture
def processor():
    return Wav2Vec2Processor(
        Wav2Vec2FeatureExtractor(return_attention_mask=True), tokenizer=Wav2Vec2CTCTokenizer(vocab=VOCAB)
    )


def test_sound(processor):
    expected = processor.feature_extractor(SOUNDS, padding=True, sampling_rate=16000, return_tensors="np")
    for batch in (
        processor(SOUNDS, padding=True, sampling_rate=16000, return_tensors="np"),
        processor(audio=SOUNDS, padding=True, sampling_rate=16000, return_tensors="np"),
        processor(raw_speech=SOUNDS, padding=True, sampling_rate=16000, return_tensors="np"),
    ):
        assert list(batch) == ["input_values", "attention_mask"]
        assert all(np.array_equal(batch[name], expected[name]) for name in batch)


def test_text(processor):
    assert dict(processor(text="A CB")) == {"input_ids": [5, 4, 7, 6], "attention_mask": [1, 1, 1, 1]}
    assert processor(text=TEXTS, padding=True)["input_ids"] == [[5, 6, 0, 0], [5, 4, 7, 6]]


def test_both(processor):
    batch = processor(SOUNDS, text=TEXTS, sampling_rate=16000, padding=True, return_tensors="np")
    assert list(batch) == processor.model_input_names == ["input_values", "attention_mask", "labels"]
    assert batch.input_values.shape == (2, 6)
    assert batch.labels.tolist() == [[5, 6, 0, 0], [5, 4, 7, 6]]


def test_arguments_for_one_part(processor):
    batch = processor(
        SOUNDS, text=TEXTS, sampling_rate=16000, audio_kwargs={"padding": "max_length", "max_length": 9},
        text_kwargs={"padding": True}, return_tensors="np",
    )  # fmt: skip
    assert batch.input_values.shape == (2, 9)
    assert batch.labels.shape == (2, 4)
    batch = processor(SOUNDS, text=TEXTS, sampling_rate=16000, common_kwargs={"padding": True, "return_tensors": "np"})
    assert (batch.input_values.shape, batch.labels.shape) == ((2, 6), (2, 4))
    with pytest.raises(ValueError, match="padding is given twice: in text_kwargs, and for all parts"):
        processor(SOUNDS, text=TEXTS, padding=True, text_kwargs={"padding": False})
    with pytest.raises(TypeError, match="Wav2Vec2Processor got an unknown argument 'colour'"):
        processor(SOUNDS, colour=3)


def test_padding_what_calls_gave(processor):
    features = [{"input_values": sound} for sound in SOUNDS]
    labels = [{"input_ids": [5, 6]}, {"input_ids": [7]}]
    batch = processor.pad(features, labels=labels, padding=True, return_tensors="np")
    assert batch.input_values.shape == batch.attention_mask.shape == (2, 6)
    assert batch.labels.tolist() == [[5, 6], [7, 0]]
    assert processor.pad(labels=labels)["input_ids"] == [[5, 6], [7, 0]]
    assert processor.pad(input_features=features, max_length=3, truncation=True).input_values.shape == (2, 3)


def test_back_to_text(processor):
    heard = np.array([[5, 5, 0, 5, 4, 7, 7], [6, 0, 0, 0, 0, 0, 0]])
    assert processor.batch_decode(heard) == ["AA C", "B"]
    assert processor.decode(heard[0]) == "AA C"


def test_files(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "preprocessor_config.json").read_text())["processor_class"] == "Wav2Vec2Processor"
    for again in (AutoProcessor.from_pretrained(tmp_path), Wav2Vec2Processor.from_pretrained(tmp_path)):
        assert type(again) is Wav2Vec2Processor
        assert repr(again.feature_extractor) == repr(processor.feature_extractor)
        assert again.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
    other = Wav2Vec2Processor.from_pretrained(tmp_path, do_normalize=False, pad_token="|")
    assert not other.feature_extractor.do_normalize
    assert other.tokenizer.pad_token_id == 4


def test_a_folder_of_transformers_5(processor, tmp_path):
    """It keeps the feature extractor's settings in the processor's file, which an older save must not hide."""
    processor.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "preprocessor_config.json").read_text())
    del settings["processor_class"]
    nested = {"feature_extractor": {**settings, "sampling_rate": 8000}, "processor_class": "Wav2Vec2Processor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    (tmp_path / "preprocessor_config.json").unlink()
    read = AutoProcessor.from_pretrained(tmp_path)
    assert type(read) is Wav2Vec2Processor
    assert read.feature_extractor.sampling_rate == 8000
    processor.save_pretrained(tmp_path)
    assert AutoProcessor.from_pretrained(tmp_path).feature_extractor.sampling_rate == 16000


def test_a_missing_part(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    shutil.move(tmp_path / "preprocessor_config.json", tmp_path / "elsewhere.json")
    with pytest.raises(OSError, match="has no preprocessor_config.json"):
        Wav2Vec2Processor.from_pretrained(tmp_path)


def test_what_is_wrong(processor, tmp_path):
    extractor, tokenizer = processor.feature_extractor, processor.tokenizer
    with pytest.raises(ValueError, match="got Wav2Vec2CTCTokenizer as its feature_extractor; expected what AutoFeat"):
        Wav2Vec2Processor(tokenizer, extractor)
    with pytest.raises(ValueError, match="got nothing as its tokenizer"):
        Wav2Vec2Processor(extractor)
    for wrong in ((extractor, tokenizer, 3), (extractor,)):
        with pytest.raises(TypeError, match="takes feature_extractor, tokenizer"):
            Wav2Vec2Processor(*wrong, image_processor=3)
    with pytest.raises(ValueError, match="nothing to process: pass audio, text, or both"):
        processor()
    with pytest.raises(ValueError, match="nothing to pad"):
        processor.pad()
    with pytest.raises(AttributeError, match=r"pass the labels' texts as processor\(text=texts\)"):
        processor.as_target_processor()
    with pytest.raises(ValueError, match="call push_to_hub"):
        processor.save_pretrained(tmp_path, push_to_hub=True)


def test_how_it_looks(processor):
    assert repr(processor).startswith("Wav2Vec2Processor:\n- feature_extractor: Wav2Vec2FeatureExtractor {")

"""The shipped reader of digits and letters, read by the original from the same folder: transformers 5.x and 4.34.1."""

import numpy as np
import pytest

from edutransformers import AutoModelForCTC, AutoProcessor, pipeline
from edutransformers.audio import load_audio
from edutransformers.checkpoints.packaged import SHIPPED_FOLDER
from edutransformers.teaching.spoken_digits import spoken_digits

from .common import torch, transformers

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]
NAME = "edutransformers/wav2vec2-small-digits-letters"
FOLDER = SHIPPED_FOLDER / "wav2vec2-small-digits-letters"


@pytest.fixture(scope="module")
def sounds():
    """The recording that ships, and five voices that say some digits: of other lengths."""
    voices = list(spoken_digits().values())[:5]
    codes = [np.concatenate(digits[start : 2 * start + 1]) for start, digits in enumerate(voices)]
    return [load_audio(FOLDER / "BERT2018.wav", 8000), *codes]


def test_samples_logits_and_texts(sounds):
    theirs, report = transformers.Wav2Vec2ForCTC.from_pretrained(FOLDER, output_loading_info=True)
    assert not any(report.values()), report
    processor = transformers.Wav2Vec2Processor.from_pretrained(FOLDER)
    ours = AutoProcessor.from_pretrained(NAME)
    mine = ours(sounds, sampling_rate=8000, padding=True, return_tensors="np")
    other = processor(sounds, sampling_rate=8000, padding=True, return_tensors="pt")
    np.testing.assert_allclose(mine["input_values"], other["input_values"].numpy(), atol=1e-5)
    np.testing.assert_array_equal(mine["attention_mask"], other["attention_mask"].numpy())
    with torch.no_grad():
        expected = theirs.float().eval()(**other).logits.numpy()
    found = AutoModelForCTC.from_pretrained(NAME)(**mine).logits
    np.testing.assert_allclose(found, expected, atol=2e-4)
    texts = ours.batch_decode(found.argmax(axis=-1))
    assert texts == processor.batch_decode(expected.argmax(axis=-1))
    assert texts[0] == "BERT2018"


def test_the_pipeline(sounds):
    theirs = transformers.pipeline("automatic-speech-recognition", model=str(FOLDER), torch_dtype=torch.float32)
    mine = pipeline("automatic-speech-recognition")
    for samples in sounds:
        for timestamps in (False, "char", "word"):
            kept = {} if timestamps is False else {"return_timestamps": timestamps}
            assert mine(samples.copy(), **kept) == theirs(samples.copy(), **kept)

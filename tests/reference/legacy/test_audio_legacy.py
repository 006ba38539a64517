"""Sound against transformers 4.34.1, whose checkpoints keep the feature extractor's settings in a file of their own."""

import pytest

from .. import audio_suite as suite
from ..common import MAJOR

pytestmark = [
    pytest.mark.legacy,
    pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.mark.parametrize("settings", suite.SETTINGS, ids=str)
class TestFeatureExtractor:
    def test_calls(self, settings):
        suite.check_feature_extractor(settings)

    def test_padding(self, settings):
        suite.check_padding(settings)


def test_spectrograms():
    suite.check_spectrograms()


def test_files(tmp_path):
    suite.check_files(tmp_path)


def test_processor(tmp_path):
    suite.check_processor(tmp_path)


@pytest.mark.parametrize("norm", suite.NORMS)
class TestPipelines:
    def test_speech_recognition(self, norm, tmp_path):
        suite.check_speech_recognition(tmp_path, norm)

    def test_audio_classification(self, norm, tmp_path):
        suite.check_audio_classification(tmp_path, norm)

"""Sound against transformers 5: feature extractor, padding, processor, files, and both pipelines."""

import pytest

from . import audio_suite as suite
from .common import MAJOR

pytestmark = [pytest.mark.reference, pytest.mark.skipif(MAJOR < 5, reason="needs transformers 5.x")]


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


def test_what_is_refused(tmp_path):
    suite.check_what_is_refused(tmp_path)

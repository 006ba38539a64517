"""Whisper's tokenizer against transformers' class. (The times of words are those of 4.34: see legacy/.)"""

import importlib.metadata
import json
import random
from functools import lru_cache

import numpy as np
import pytest

transformers = pytest.importorskip("transformers")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from transformers.models.whisper import english_normalizer, tokenization_whisper  # noqa: E402

import edutransformers  # noqa: E402
from edutransformers.tokenizers import read_tiktoken  # noqa: E402
from edutransformers.tokenizers.classes import whisper_numbers  # noqa: E402
from edutransformers.tokenizers.classes.whisper_asr import _find_longest_common_sequence  # noqa: E402
from edutransformers.tokenizers.classes.whisper_languages import LANGUAGES, TO_LANGUAGE_CODE  # noqa: E402
from edutransformers.tokenizers.classes.whisper_text import BasicTextNormalizer, EnglishTextNormalizer  # noqa: E402
from tests.tokenizers.texts import ADVERSARIAL  # noqa: E402

from . import tokenizer_suite as suite  # noqa: E402
from .corpus import corpus  # noqa: E402
from .test_byte_level_tokenizers_reference import as_in_4, path_of, vocabulary  # noqa: E402

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

NAMES = ("translate", "transcribe", "startoflm", "startofprev", "nocaptions", "notimestamps")
SPECIAL = ["<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES), *(f"<|{name}|>" for name in NAMES)]
TIMES = [f"<|{place * 0.02:.2f}|>" for place in range(1501)]


def pair_of(vocab, merges, times=True, **options):
    pair = []
    for library in (edutransformers, transformers):
        tokenizer = library.WhisperTokenizer(vocab=vocab, merges=merges, additional_special_tokens=SPECIAL, **options)
        if times:
            tokenizer.add_tokens([library.AddedToken(token, normalized=False) for token in TIMES])
        pair.append(tokenizer)
    return pair[0], as_in_4("WhisperTokenizer", pair[1])


@lru_cache
def small_pair(**options):
    return pair_of(*vocabulary(300, 900), **options)


@pytest.mark.parametrize("times", [True, False])
def test_a_class(times, tmp_path):
    ours, theirs = pair_of(*vocabulary(), times)
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs)
    suite.assert_same_decoding(ours, theirs)
    suite.assert_same_methods(ours, theirs)
    suite.assert_same_texts(ours, theirs, corpus(500_000), pairs=False)
    ours.pad_token, theirs.pad_token = ours.eos_token, theirs.eos_token
    suite.assert_same_calls(ours, theirs)
    suite.assert_same_files(ours, theirs, tmp_path)


@pytest.mark.parametrize("language", [None, "french", "YUE", "haw", "Burmese"])
@pytest.mark.parametrize("task", [None, "translate", "transcribe"])
@pytest.mark.parametrize("predict_timestamps", [True, False])
def test_prefixes(language, task, predict_timestamps):
    options = {"language": language, "task": task, "predict_timestamps": predict_timestamps}
    ours, theirs = pair_of(*vocabulary(300, 900), times=False, **options)
    suite.assert_same_texts(ours, theirs, ["the fox", ""])
    for tokenizer in (ours, theirs):
        tokenizer.set_prefix_tokens(language="german", predict_timestamps=not predict_timestamps)
    suite.assert_same_texts(ours, theirs, ["the fox", ""])
    assert ours.prefix_tokens == theirs.prefix_tokens
    prompts = {"task": "translate", "no_timestamps": predict_timestamps}
    assert ours.get_decoder_prompt_ids(**prompts) == theirs.get_decoder_prompt_ids(**prompts)


def test_languages():
    assert LANGUAGES == tokenization_whisper.LANGUAGES
    assert list(LANGUAGES) == list(tokenization_whisper.LANGUAGES)
    assert TO_LANGUAGE_CODE == tokenization_whisper.TO_LANGUAGE_CODE


def test_what_is_refused():
    for tokenizer in small_pair():
        with pytest.raises(ValueError, match="language"):
            tokenizer.set_prefix_tokens(language="klingon")
        tokenizer.language = None
        with pytest.raises(ValueError, match="task"):
            tokenizer.set_prefix_tokens(task="summarize")
        tokenizer.task = None
        with pytest.raises(ValueError, match=r"special token.*<\|en\|>"):
            tokenizer.get_prompt_ids("a <|en|> b")


def test_prompts():
    ours, theirs = small_pair()
    for text in ["the fox", "  the fox ", "é", *ADVERSARIAL[:12]]:
        np.testing.assert_array_equal(ours.get_prompt_ids(text), theirs.get_prompt_ids(text))
    assert ours.timestamp_ids() == theirs.timestamp_ids()
    assert ours.timestamp_ids(0.04) == theirs.timestamp_ids(0.04)


# ----- ids to text ---------------------------------------------------------------------------------------------------


def spoken(tokenizer, rng, start=0.0, segments=3):
    """Ids of a transcript as a model makes it, with times that don't go back."""
    begin = tokenizer.convert_tokens_to_ids("<|notimestamps|>") + 1
    words = ["", "the", "fox.", "Hello,", "world!", "don't", "123", "é我", "\n", "quick", "brown", "fox's"]
    step, ids = int(start * 50), []
    for _ in range(segments):
        text = " " + " ".join(rng.choice(words) for _ in range(rng.randrange(1, 6)))
        stop = step + rng.randrange(0, 100)
        ids += [begin + step, *tokenizer.encode(text, add_special_tokens=False), begin + stop]
        step = stop + rng.choice([0, 0, 20])
        if rng.random() < 0.2:
            ids.pop()
    return ids


@pytest.mark.parametrize("times", [True, False])
def test_decoding(times):
    ours, theirs = small_pair(times=times)
    rng = random.Random(0)
    for _ in range(60):
        before = rng.choice(
            [[], theirs.prefix_tokens, [*theirs.get_prompt_ids("a fox").tolist(), *theirs.prefix_tokens]]
        )
        ids = [*before, *spoken(theirs, rng), *rng.choice([[], [theirs.eos_token_id]])]
        for skip in (True, False):
            for options in (
                {},
                {"clean_up_tokenization_spaces": False},
                {"decode_with_timestamps": True, "time_precision": 0.04},
                {"basic_normalize": True, "remove_diacritics": True},
                {"output_offsets": True},
            ):
                options = {"skip_special_tokens": skip, **options}
                assert ours.decode(ids, **options) == theirs.decode(ids, **options), options
                assert ours.decode(np.array(ids), **options) == theirs.decode(ids, **options)


def test_normalizing(tmp_path):
    path = tmp_path / "normalizer.json"
    path.write_text(json.dumps({"colour": "color", "grey": "gray"}), encoding="utf-8")
    ours, theirs = pair_of(*vocabulary(300, 900), normalizer_file=str(path))
    for text in ["Mr. Grey's 21 colours; 5 per cent", *ADVERSARIAL]:
        assert ours.normalize(text) == theirs.normalize(text)
        assert ours.basic_normalize(text) == theirs.basic_normalize(text)
        ids = theirs.encode(text)
        assert ours.decode(ids, normalize=True) == theirs.decode(ids, normalize=True)
    suite.assert_same_files(ours, theirs, tmp_path / "saved")


ENGLISH = st.lists(
    st.one_of(
        st.sampled_from(sorted(whisper_numbers.WORDS)),
        st.sampled_from(["fox", "mr.", "it's", "uh", "(x)", "[y]", "half", "a", "it", "%", ".", "½", "e\u0301"]),
        st.sampled_from(["1,000", "3.5", "$20", "¢5", "£0.07", "-7", "1960s", "1.2.3", "0", "5", "12", "100"]),
        st.sampled_from(["and a half", "won't", "he'd been", "colour", "ǅ", "٣", "\x1c"]),
    ),
    max_size=9,
).map(" ".join)


@settings(max_examples=1000, deadline=None)
@given(st.one_of(ENGLISH, ENGLISH, suite.ANY_TEXT))
def test_normalizers(text):
    spelling = {"colour": "color"}
    assert EnglishTextNormalizer(spelling)(text) == english_normalizer.EnglishTextNormalizer(spelling)(text)
    for remove, split in ((False, False), (True, False), (False, True)):
        theirs = english_normalizer.BasicTextNormalizer(remove, split)
        assert BasicTextNormalizer(remove, split)(text) == theirs(text)
    assert whisper_numbers.EnglishNumberNormalizer()(text) == english_normalizer.EnglishNumberNormalizer()(text)


def test_words_of_numbers():
    theirs = english_normalizer.EnglishNumberNormalizer()
    assert theirs.words == whisper_numbers.WORDS
    assert theirs.prefixes == whisper_numbers.PREFIXES


# ----- windows -------------------------------------------------------------------------------------------------------


@settings(max_examples=500, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), max_size=12), min_size=1, max_size=4))
def test_joined_versions(versions):
    assert _find_longest_common_sequence(versions) == tokenization_whisper._find_longest_common_sequence(versions)


@pytest.mark.parametrize("return_timestamps", [False, True])
@pytest.mark.parametrize("return_language", [False, True])
def test_transcripts(return_timestamps, return_language):
    ours, theirs = small_pair()
    rng = random.Random(0)
    options = {"return_timestamps": return_timestamps, "return_language": return_language, "time_precision": 0.02}
    for _ in range(150):
        outputs, stride = [], rng.choice([None, 2.0, 5.0])
        count = rng.randrange(1, 5)
        for number in range(count):
            language = rng.choice(["<|en|>", "<|en|>", "<|fr|>", None])
            before = theirs.prefix_tokens[:1] + ([theirs.convert_tokens_to_ids(language)] if language else [])
            ids = spoken(theirs, rng, rng.choice([0.0, 0.3]), rng.randrange(0, 6))
            if outputs and rng.random() < 0.7:  # what the window before had at its end
                heard = outputs[-1]["tokens"][0][-rng.randrange(2, 12) :].tolist()
                ids[1:1] = [i for i in heard if i < theirs.eos_token_id]
            if rng.random() < 0.3:  # a model that gives no times
                ids = [i for i in ids if i <= theirs.convert_tokens_to_ids("<|notimestamps|>")]
            output = {"tokens": np.array([[*before, *ids, theirs.eos_token_id]])}
            if stride is not None:
                output["stride"] = (20.0, stride if number else 0.0, stride if number < count - 1 else 0.0)
            outputs.append(output)
        assert ours._decode_asr(outputs, **options) == theirs._decode_asr(outputs, **options)


# ----- the real vocabulary -------------------------------------------------------------------------------------------


def test_the_vocabulary_of_whisper():
    vocab, merges = read_tiktoken(path_of("openai-whisper", "multilingual.tiktoken"))
    ours, theirs = pair_of(vocab, merges, language="de", task="transcribe")
    assert (len(vocab), ours.eos_token_id) == (50257, 50257)
    assert ours.prefix_tokens == [50258, 50261, 50360, 50364]  # large-v3's: with Cantonese
    suite.assert_same_texts(ours, theirs)
    suite.assert_same_texts(ours, theirs, corpus(500_000), pairs=False)


def test_the_spelling_of_whisper():
    files = importlib.metadata.files("openai-whisper")
    path = next(file.locate() for file in files if file.name == "english.json")
    spelling = json.loads(path.read_text(encoding="utf-8"))
    ours, theirs = EnglishTextNormalizer(spelling), english_normalizer.EnglishTextNormalizer(spelling)
    for text in corpus(500_000):
        assert ours(text) == theirs(text), text


def originals():
    # Few languages and no timestamps: all of them would make the fixture large. And one prefix token less than the
    # smallest max_length of the frozen calls has room for: below that the original doesn't truncate at all.
    special = [token for token in SPECIAL if token not in [f"<|{code}|>" for code in list(LANGUAGES)[10:]]]
    vocab, merges = vocabulary(300, 700)
    theirs = transformers.WhisperTokenizer(
        vocab=vocab, merges=merges, additional_special_tokens=special, task="translate"
    )
    theirs.pad_token = theirs.eos_token
    return {"whisper": as_in_4("WhisperTokenizer", theirs)}

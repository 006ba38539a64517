"""Whisper's tokenizer: prefixes, timestamps, transcripts. How texts are normalized: test_whisper_text.py."""

import json

import numpy as np
import pytest

from edutransformers import AddedToken, AutoTokenizer, WhisperTokenizer
from edutransformers.tokenizers.classes.whisper_asr import _find_longest_common_sequence, words_of
from edutransformers.tokenizers.classes.whisper_languages import LANGUAGES, TO_LANGUAGE_CODE

from .byte_level import DECODED, MERGES, VOCAB
from .suite import TokenizerSuite

SPECIAL = [
    "<|startoftranscript|>",
    *(f"<|{code}|>" for code in ("en", "zh", "fr", "ja")),
    *(f"<|{name}|>" for name in ("translate", "transcribe", "startoflm", "startofprev", "nocaptions", "notimestamps")),
]
TIMES = [f"<|{place / 50:.2f}|>" for place in range(1501)]
END = len(VOCAB)  # the id of <|endoftext|>
ID = {token: END + 1 + place for place, token in enumerate(SPECIAL)}
START, NO_TIMES = ID["<|startoftranscript|>"], ID["<|notimestamps|>"]
ZERO = NO_TIMES + 1  # the id of <|0.00|>
SPELLING = {"colour": "color", "grey": "gray"}


def build(times_are_tokens=False, **options):
    special = [AddedToken(token, normalized=False, special=True) for token in ["<|endoftext|>", *SPECIAL]]
    times = [AddedToken(token, normalized=False) for token in TIMES] if times_are_tokens else []
    return WhisperTokenizer(
        **{
            "vocab": VOCAB,
            "merges": MERGES,
            "added_tokens_decoder": {END + place: token for place, token in enumerate([*special, *times])},
            "additional_special_tokens": SPECIAL,
            **options,
        }
    )


@pytest.fixture(scope="module")
def timed():
    """One whose timestamps are tokens. No test changes it."""
    return build(times_are_tokens=True)


def ids_of(tokenizer, text):
    """Ids of a text with timestamps in it."""
    return tokenizer.encode(text, add_special_tokens=False)


class TestWhisperTokenizer(TokenizerSuite):
    decoded = DECODED
    options_for_words = {"add_prefix_space": True}
    new_vocab_size = 340 + len(SPECIAL) + 1

    def build(self, **options):
        return build(**options)

    def test_an_id_that_is_not_there(self, tokenizer):
        super().test_an_id_that_is_not_there(build(times_are_tokens=True))
        assert tokenizer.decode([ZERO + 1500]) == ""  # a timestamp, though no token
        with pytest.raises(ValueError, match="not in the vocabulary"):
            tokenizer.decode([ZERO + 1501])

    def test_layout(self):
        tokenizer = self.build()
        assert tokenizer("the").tokens() == ["<|startoftranscript|>", "<|notimestamps|>", "the", "<|endoftext|>"]
        pair = tokenizer("the", "the", return_token_type_ids=True)
        assert pair.input_ids == [START, NO_TIMES, VOCAB["the"], VOCAB["the"], END]
        assert pair.token_type_ids == [0, 0, 0, 1, 1]
        assert list(tokenizer("the")) == ["input_ids", "attention_mask"]
        assert tokenizer.pad_token is None

    def test_files(self, tmp_path):
        (tmp_path / "normalizer.json").write_text(json.dumps(SPELLING), encoding="utf-8")
        tokenizer = build(normalizer_file=tmp_path / "normalizer.json", language="french", task="transcribe")
        tokenizer.save_pretrained(tmp_path)
        text = (tmp_path / "normalizer.json").read_text(encoding="utf-8")
        assert text == '{\n  "colour": "color",\n  "grey": "gray"\n}\n'
        for _ in range(2):
            loaded = AutoTokenizer.from_pretrained(tmp_path)
            assert loaded.english_spelling_normalizer == SPELLING
            assert loaded.prefix_tokens == tokenizer.prefix_tokens
            assert loaded("the") == tokenizer("the")
            (tmp_path / "tokenizer.json").unlink(missing_ok=True)

    def test_a_new_vocabulary_keeps_the_spelling(self, tmp_path):
        (tmp_path / "normalizer.json").write_text(json.dumps(SPELLING), encoding="utf-8")
        tokenizer = build(normalizer_file=tmp_path / "normalizer.json", language="ja")
        new = tokenizer.train_new_from_iterator(["the fox"], 300, show_progress=False)
        assert new.english_spelling_normalizer == SPELLING
        assert new.convert_ids_to_tokens(new.prefix_tokens) == ["<|startoftranscript|>", "<|ja|>", "<|notimestamps|>"]
        assert new("the").input_ids[:3] == new.prefix_tokens


# ----- prefixes ------------------------------------------------------------------------------------------------------


def prefix_of(tokenizer):
    assert tokenizer("the").input_ids == [*tokenizer.prefix_tokens, VOCAB["the"], END]
    return [token[2:-2] for token in tokenizer.convert_ids_to_tokens(tokenizer.prefix_tokens)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["notimestamps"]),
        ({"predict_timestamps": True}, []),
        ({"language": "French"}, ["fr", "notimestamps"]),
        ({"language": "mandarin", "task": "translate"}, ["zh", "translate", "notimestamps"]),
        ({"language": "JA", "task": "transcribe", "predict_timestamps": True}, ["ja", "transcribe"]),
        ({"task": "transcribe"}, ["transcribe", "notimestamps"]),
    ],
)
def test_prefix(options, expected):
    tokenizer = build(**options)
    assert prefix_of(tokenizer) == ["startoftranscript", *expected]
    changed = build(language="en", task="translate" if options.get("task") else None)
    if "language" in options:
        changed.set_prefix_tokens(**options)
        assert prefix_of(changed) == ["startoftranscript", *expected]


def test_what_is_not_given_stays():
    tokenizer = build(language="fr", task="translate", predict_timestamps=True)
    tokenizer.set_prefix_tokens(task="transcribe")
    assert prefix_of(tokenizer) == ["startoftranscript", "fr", "transcribe"]
    tokenizer.set_prefix_tokens(predict_timestamps=False)
    assert prefix_of(tokenizer) == ["startoftranscript", "fr", "transcribe", "notimestamps"]


def test_prefix_and_file(tmp_path):
    """A file's layout holds where no argument says otherwise."""
    tokenizer = build(language="fr")
    tokenizer.set_prefix_tokens(task="transcribe")
    tokenizer.save_pretrained(tmp_path)
    assert prefix_of(AutoTokenizer.from_pretrained(tmp_path)) == [
        "startoftranscript",
        "fr",
        "transcribe",
        "notimestamps",
    ]
    changed = AutoTokenizer.from_pretrained(tmp_path, language="english")
    assert prefix_of(changed) == ["startoftranscript", "en", "transcribe", "notimestamps"]
    bare = WhisperTokenizer(tokenizer_file=tmp_path / "tokenizer.json")
    assert bare("the") == tokenizer("the")
    (tmp_path / "tokenizer.json").unlink()
    assert prefix_of(AutoTokenizer.from_pretrained(tmp_path))[1:] == ["fr", "transcribe", "notimestamps"]


def test_unknown_languages_and_tasks():
    tokenizer = build(language="fr")
    with pytest.raises(ValueError, match="'klingon' is no language that Whisper knows; expected one of english, chin"):
        tokenizer.set_prefix_tokens(language="klingon")
    with pytest.raises(ValueError, match="'xx' is no language that Whisper knows; expected one of en, zh"):
        tokenizer.set_prefix_tokens(language="xx")
    with pytest.raises(ValueError, match="'summarize' is no task that Whisper knows"):
        tokenizer.set_prefix_tokens(task="summarize")
    with pytest.raises(ValueError, match=r"The vocabulary has no token '<\|de\|>'"):
        tokenizer.set_prefix_tokens(language="german")
    assert prefix_of(tokenizer) == ["startoftranscript", "fr", "notimestamps"]  # an error changes nothing
    with pytest.raises(
        ValueError, match=r"no token '<\|startoftranscript\|>'.* pass them as additional_special_tokens"
    ):
        WhisperTokenizer(vocab=VOCAB, merges=MERGES)


def test_languages():
    assert len(LANGUAGES) == 100
    assert set(TO_LANGUAGE_CODE.values()) == set(LANGUAGES)
    assert list(LANGUAGES)[:3] == ["en", "zh", "de"]


def test_forced_ids():
    tokenizer = build()
    expected = [(1, ID["<|fr|>"]), (2, ID["<|translate|>"]), (3, NO_TIMES)]
    assert tokenizer.get_decoder_prompt_ids(language="fr", task="translate") == expected
    assert tokenizer.get_decoder_prompt_ids(no_timestamps=False) == expected[:2]
    assert prefix_of(tokenizer) == ["startoftranscript", "fr", "translate"]


def test_prompt(timed):
    ids = timed.get_prompt_ids("  the fox ")
    assert isinstance(ids, np.ndarray)
    assert ids.tolist() == [ID["<|startofprev|>"], *ids_of(timed, " the fox")]
    assert timed.get_prompt_ids("the fox", return_tensors=None) == ids.tolist()
    for text in ("the <|en|> fox", "<|startofprev|>", "the <|1.00|>", "<|endoftext|>"):
        with pytest.raises(ValueError, match="this one has the special token"):
            timed.get_prompt_ids(text)


# ----- ids to text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times_are_tokens", [True, False])
def test_timestamps_are_not_shown(times_are_tokens):
    tokenizer = build(times_are_tokens)
    ids = [START, ID["<|en|>"], ZERO, *ids_of(tokenizer, " the fox"), ZERO + 60, END]
    assert tokenizer.decode(ids) == "<|startoftranscript|><|en|> the fox<|endoftext|>"
    assert tokenizer.decode(np.array(ids), skip_special_tokens=True) == " the fox"
    assert tokenizer.decode({"input_ids": ids}, decode_with_timestamps=True) == (
        "<|startoftranscript|><|en|><|0.00|> the fox<|1.20|><|endoftext|>"
    )
    assert tokenizer.decode(ids[:-1], skip_special_tokens=True, decode_with_timestamps=True, time_precision=0.04) == (
        "<|0.00|> the fox<|2.40|>"
    )


def test_ids_of_timestamps(timed):
    assert timed.timestamp_ids() == list(range(ZERO, ZERO + 1501))
    assert timed.timestamp_ids(0.04)[:3] == [ZERO, ZERO + 2, ZERO + 4]
    assert set(build().timestamp_ids()) == {END}
    assert timed.timestamp_begin == build().timestamp_begin == ZERO


def test_segments(timed):
    first, second = ids_of(timed, " the fox."), ids_of(timed, " hello")
    ids = [START, ZERO, *first, ZERO + 50, ZERO + 60, *second, ZERO + 100, END]
    assert timed.decode(ids, skip_special_tokens=True, output_offsets=True) == {
        "text": " the fox. hello",
        "offsets": [
            {"text": " the fox.", "timestamp": (0.0, 1.0)},
            {"text": " hello", "timestamp": (1.2, 2.0)},
        ],
    }
    assert timed.batch_decode([ids, [ZERO, *second]], output_offsets=True)[1]["offsets"] == []
    assert timed.decode([ZERO, ZERO, *second, ZERO + 5], output_offsets=True)["offsets"] == [
        {"text": " hello", "timestamp": (0.0, 0.1)}
    ]
    assert timed.decode(first, output_offsets=True)["offsets"] == []


def test_the_prompt_is_left_out(timed):
    prompt = timed.get_prompt_ids("hello", return_tensors=None)
    ids = [*prompt, *timed(" the fox").input_ids]
    assert timed.decode(ids, skip_special_tokens=True) == " the fox"
    assert timed.decode(ids).startswith("<|startofprev|> hello<|startoftranscript|>")
    assert timed.decode(prompt, skip_special_tokens=True) == ""


def test_normalized_text(tmp_path):
    (tmp_path / "normalizer.json").write_text(json.dumps(SPELLING), encoding="utf-8")
    tokenizer = build(normalizer_file=tmp_path / "normalizer.json")
    ids = ids_of(tokenizer, " Twenty-one Grey Foxes, Café!")
    assert tokenizer.decode(ids, normalize=True) == "21 gray foxes cafe"
    assert tokenizer.decode(ids, basic_normalize=True) == " twenty one grey foxes café "
    assert tokenizer.decode(ids, basic_normalize=True, remove_diacritics=True) == " twenty one grey foxes cafe "
    with pytest.raises(ValueError, match="pass it as normalizer_file"):
        build().decode(ids, normalize=True)
    for content, message in (("[]", "must hold a JSON object of spellings"), ("{", "is not valid JSON")):
        (tmp_path / "normalizer.json").write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            build(normalizer_file=tmp_path / "normalizer.json")


# ----- transcripts of several windows --------------------------------------------------------------------------------


def transcript(tokenizer, *windows, **options):
    options = {"return_timestamps": False, "return_language": False, "time_precision": 0.02, **options}
    outputs = []
    for text, stride, *times in windows:
        output = {"tokens": np.array([ids_of(tokenizer, text)])}
        if stride is not None:
            output["stride"] = stride
        if times:
            output["token_timestamps"] = np.array(times)
        outputs.append(output)
    return tokenizer._decode_asr(outputs, **options)


def test_one_window(timed):
    text = "<|startoftranscript|><|en|><|transcribe|><|0.00|> the fox.<|1.00|><|1.00|> hello<|2.40|><|endoftext|>"
    assert transcript(timed, (text, None)) == (" the fox. hello", {})
    assert transcript(timed, (text, None), return_timestamps=True) == (
        " the fox. hello",
        {"chunks": [{"timestamp": (0.0, 1.0), "text": " the fox."}, {"timestamp": (1.0, 2.4), "text": " hello"}]},
    )
    _, languages = transcript(timed, (text, None), return_language=True)
    assert languages["chunks"][1] == {"language": "english", "text": " hello"}


def test_windows_that_overlap(timed):
    """What two windows both have is there once, and the times are those of the whole recording."""
    windows = (
        ("<|0.00|> the quick brown<|4.00|><|4.00|> fox jumps<|9.00|>", (10.0, 0.0, 4.0)),
        ("<|0.00|> fox jumps<|3.00|><|3.00|> over the dog<|6.00|>", (10.0, 4.0, 0.0)),
    )
    text, found = transcript(timed, *windows, return_timestamps=True)
    assert text == " the quick brown fox jumps over the dog"
    assert found["chunks"] == [
        {"timestamp": (0.0, 4.0), "text": " the quick brown"},
        {"timestamp": (4.0, 8.0), "text": " fox jumps over the dog"},
    ]


def test_a_segment_that_ends_in_the_overlap(timed):
    """Its end there and its beginning in the next window, which hears all of it, are both of no use."""
    windows = (
        ("<|0.00|> the quick<|5.00|><|5.00|> fox jumps<|9.00|>", (10.0, 0.0, 4.0)),
        ("<|5.00|> fox jumps<|7.00|><|7.00|> over<|8.00|>", (10.0, 4.0, 0.0)),
    )
    text, found = transcript(timed, *windows, return_timestamps=True)
    assert text == " the quick fox jumps over"
    assert found["chunks"] == [
        {"timestamp": (0.0, 5.0), "text": " the quick"},
        {"timestamp": (5.0, 9.0), "text": " fox jumps"},
        {"timestamp": (9.0, 10.0), "text": " over"},
    ]


def test_a_time_that_is_said_twice(timed):
    _, found = transcript(timed, ("<|0.40|><|0.40|> the fox<|1.00|>", None), return_timestamps=True)
    assert found["chunks"] == [{"timestamp": (0.4, 1.0), "text": " the fox"}]


def test_an_end_that_is_missing(caplog, timed):
    with caplog.at_level("WARNING"):
        text, found = transcript(timed, ("<|0.00|> the fox", None), return_timestamps=True)
    assert "did not predict an ending timestamp" in caplog.text
    assert text == " the fox"
    assert found["chunks"] == [{"timestamp": (0.0, None), "text": " the fox"}]


def test_another_language(timed):
    text = "<|en|> the fox<|fr|> hello"
    _, found = transcript(timed, (text, None), return_language=True)
    assert found["chunks"] == [{"language": "english", "text": " the fox"}, {"language": "french", "text": " hello"}]
    assert transcript(timed, ("", None)) == ("", {})
    # with times it doesn't end a segment
    _, found = transcript(timed, (f"<|0.00|>{text}<|1.00|>", None), return_timestamps=True, return_language=True)
    assert found["chunks"] == [{"language": "french", "timestamp": (0.0, 1.0), "text": " the fox hello"}]


def test_times_of_words(timed):
    text = '<|0.00|> "hello, the fox!"<|3.00|>'
    ids = ids_of(timed, text)
    times = [place / 10 for place in range(len(ids))]
    _, found = transcript(timed, (text, None, times), return_timestamps="word")
    words = found["chunks"]
    assert [word["text"] for word in words] == [' "hello,', " the", ' fox!"']
    starts, stops = zip(*(word["timestamp"] for word in words))
    assert starts[0] == 0.1  # the first token behind the timestamp
    assert stops == (*starts[1:], (len(ids) - 1) / 10)  # a word ends where the token behind it begins


def test_words_without_blanks():
    tokenizer = build(language="zh")
    ids = ids_of(tokenizer, "我爱 fox。")
    assert [word for word, _ in words_of(tokenizer, ids)][:2] == ["我", "爱"]
    assert [word for word, _ in words_of(tokenizer, ids, "english")] == ["我爱", " fox。"]
    places = [place for _, places in words_of(tokenizer, ids) for place in places]
    assert places == list(range(len(ids)))
    broken = [VOCAB["æ"], VOCAB["Ī"]]  # two of the three bytes of a character
    assert [places for _, places in words_of(tokenizer, broken)] == [[0], [1]]


def test_joined_versions():
    assert _find_longest_common_sequence([[1, 2, 3, 4, 5], [3, 4, 9, 6]]) == [1, 2, 3, 4, 9, 6]
    assert _find_longest_common_sequence([[1, 2], [3, 4]]) == [1, 2, 3, 4]
    assert _find_longest_common_sequence([[1, 2], [2, 3]]) == [1, 2, 2, 3]  # one token may agree by chance
    assert _find_longest_common_sequence([[1, 1, 1, 1], [1, 1, 1, 2]]) == [1, 1, 1, 1, 2]  # the longest that agrees
    assert _find_longest_common_sequence([[1, 2, 3], []]) == [1, 2, 3]
    assert _find_longest_common_sequence([[1, 2, 3]], []) == ([1, 2, 3], [])
    assert _find_longest_common_sequence([[1, 2, 3], [2, 3, 4]], [["a", "b", "c"], ["d", "e", "f"]]) == (
        [1, 2, 3, 4],
        ["a", "b", "e", "f"],
    )

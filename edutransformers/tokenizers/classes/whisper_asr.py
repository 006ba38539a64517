"""From Whisper's tokens for overlapping windows of a recording to one transcript with times.

A recording longer than 30 seconds is cut into windows that overlap. Each window's tokens are text, special tokens, and
timestamps <|0.00|> … <|30.00|> in pairs around each segment. A `Transcript` reads the windows in order, moves each
one's times to where it begins in the recording, holds segments open that end in an overlap, and joins the two versions
of what was said there where they agree best (`_find_longest_common_sequence`).

Its decisions are those of transformers 4.34's ASR pipeline. Source of the idea: Patrick von Platen and Nicolas Patry,
"Making automatic speech recognition work on large files", 2022.
"""

import numpy as np

from edutransformers.backend import to_numpy
from edutransformers.logging import get_logger
from edutransformers.tokenizers.classes.whisper_languages import LANGUAGES, WITHOUT_BLANKS, language_code

logger = get_logger(__name__)

_BEFORE_A_WORD = "\"'“¡¿([{-"
_BEHIND_A_WORD = "\"'.。,，!！?？:：”)]}、"
_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def decode_asr(tokenizer, model_outputs, return_timestamps, return_language: bool, time_precision: float):
    """(text, {"chunks": [...]}) of the windows' outputs, the second empty unless times or languages are asked for.

    model_outputs      [{"tokens": (1, T) ids, "stride": (seconds, of them overlap left, right),
                       "token_timestamps": (1, T) seconds}, ...]; the last two may be missing, but "word" needs the last
    return_timestamps  False, True for segments, "word" for words
    return_language    tell the language of each chunk
    time_precision     seconds of one timestamp's step

    A word begins at its first token's time and ends at the time of the token behind its last one, as in transformers
    4.34; later releases read `token_timestamps` as the times at which tokens end.
    """
    transcript = Transcript(tokenizer, return_timestamps, time_precision)
    for output in model_outputs:
        transcript.read(output)
    chunks = transcript.finish()
    text = "".join(chunk["text"] for chunk in chunks)
    if return_timestamps == "word":
        return text, {"chunks": [word for chunk in chunks for word in chunk["words"]]}
    if not return_timestamps and not return_language:
        return text, {}
    for chunk in chunks:
        if return_timestamps:
            chunk["timestamp"] = tuple(chunk["timestamp"])
        else:
            del chunk["timestamp"]
        if not return_language:
            del chunk["language"]
    return text, {"chunks": chunks}


class Transcript:
    """What has been read: complete chunks, and the versions of the text since then, one from each window."""

    def __init__(self, tokenizer, return_timestamps, time_precision: float):
        self.tokenizer = tokenizer
        self.with_times = bool(return_timestamps)
        self.with_words = return_timestamps == "word"
        self.time_precision = time_precision
        self.first_timestamp_id = tokenizer.timestamp_begin
        self.special_ids = set(tokenizer.all_special_ids)
        self.begin = 0.0  # of the window, in seconds of the recording
        self.language: str | None = None
        self.chunks: list[dict] = []
        self.skips_next = False  # of a pair of timestamps, the second of which is of no use without the first
        self._open_chunk()

    def _open_chunk(self) -> None:
        self.chunk = {"language": self.language, "timestamp": [None, None], "text": ""}
        self.versions: list[list[int]] = []
        self.times: list[list[tuple]] = []

    def read(self, output: dict) -> None:
        """Read a window."""
        ids = _row(output["tokens"])
        token_times = _row(output["token_timestamps"]) if self.with_words else None
        earliest, latest = self.first_timestamp_id, None  # timestamps that aren't in the overlaps
        if "stride" in output:
            length, left, right = output["stride"]
            self.begin -= left
            if left:
                earliest = self.first_timestamp_id + left / self.time_precision
            if right:
                latest = self._latest_timestamp(ids, length - right)
        version, times = [], []
        for place, i in enumerate(ids):
            if i in self.special_ids:
                language = LANGUAGES.get(self.tokenizer.decode([i])[2:-2])
                if language is not None:
                    if self.language and language != self.language and not self.with_times:
                        self.versions.append(version)
                        self._close_chunk()
                        version = []
                    self.language = self.chunk["language"] = language
            elif i < self.first_timestamp_id:
                version.append(i)
                if self.with_words:
                    following = token_times[place + 1] if place + 1 < len(token_times) else None
                    times.append((self._in_recording(token_times[place]), self._in_recording(following)))
            elif latest and i >= latest:
                self.skips_next = True  # the next window has this segment's end, too
            elif self.skips_next or (self.versions and i < earliest):
                self.skips_next = False
            else:
                time = self._in_recording((i - self.first_timestamp_id) * self.time_precision)
                start = self.chunk["timestamp"][0]
                if start is None:
                    self.chunk["timestamp"][0] = time
                elif time != start:  # a model that says a time twice means the beginning both times
                    self.chunk["timestamp"][1] = time
                    self.versions.append(version)
                    self.times.append(times)
                    self._close_chunk()
                    version, times = [], []
        if "stride" in output:
            self.begin += length - right
        if version:
            self.versions.append(version)
            self.times.append(times)
        elif not any(self.versions):
            self._open_chunk()

    def _latest_timestamp(self, ids: list[int], end: float) -> int | None:
        """The first timestamp that stands in the right overlap, which begins at `end`; the last one always does."""
        latest = None
        for i in reversed(ids):
            if i >= self.first_timestamp_id:
                if latest is not None and (i - self.first_timestamp_id) * self.time_precision < end:
                    break
                latest = i
        return latest

    def _in_recording(self, seconds: float | None) -> float | None:
        return None if seconds is None else round(seconds + self.begin, 2)

    def _close_chunk(self) -> None:
        ids, times = _find_longest_common_sequence(self.versions, self.times if self.with_words else [])
        self.chunk["text"] = self.tokenizer.decode(ids)
        if self.with_words:
            self.chunk["words"] = [
                {"text": word, "timestamp": (times[places[0]][0], times[places[-1]][1])}
                for word, places in words_of(self.tokenizer, ids, self.language)
            ]
        self.chunks.append(self.chunk)
        self._open_chunk()

    def finish(self) -> list[dict]:
        """The chunks, with what was left open."""
        if self.versions:
            if self.with_times:
                logger.warning(
                    "Whisper did not predict an ending timestamp, which can happen if audio is cut off in the middle "
                    "of a word. Also make sure WhisperTimeStampLogitsProcessor was used during generation."
                )
            self._close_chunk()
        return self.chunks


def _row(values) -> list:
    """The one row of an array of any library or of nested lists."""
    return to_numpy(values[0]).tolist() if hasattr(values[0], "shape") else list(values[0])


def _find_longest_common_sequence(sequences: list[list[int]], token_timestamp_sequences=None):
    """Several versions of one text, each of which goes on where the one before was cut, as one.

        the quick brown ox           the end of each is unsure, as was the beginning of the next
              quick brown fox jumps
        the quick brown fox jumps

    The second is slid along the first. Where most neighbours agree (with a small bonus for long overlaps) they are
    joined: the left half of the overlap comes from the first, the right half from the second.

    Returns the ids; with `token_timestamp_sequences` (ids, times), the times cut as the ids are.
    """
    has_times = bool(token_timestamp_sequences)
    left, left_times = sequences[0], token_timestamp_sequences[0] if has_times else []
    ids, times = [], []
    for number, right in enumerate(sequences[1:], start=1):
        left_array, right_array = np.asarray(left), np.asarray(right)
        best, left_middle, right_middle = 0.0, len(left), 0  # without an overlap: one behind the other
        for shift in range(1, len(left) + len(right)):
            left_start, left_stop = max(0, len(left) - shift), min(len(left), len(left) + len(right) - shift)
            right_start, right_stop = max(0, shift - len(left)), min(len(right), shift)
            equal = int(np.sum(left_array[left_start:left_stop] == right_array[right_start:right_stop]))
            score = equal / shift + shift / 10000
            if equal > 1 and score > best:
                best = score
                left_middle, right_middle = (left_start + left_stop) // 2, (right_start + right_stop) // 2
        ids += left[:left_middle]
        left = right[right_middle:]
        if has_times:
            times += left_times[:left_middle]
            left_times = token_timestamp_sequences[number][right_middle:]
    ids += left
    return ids if token_timestamp_sequences is None else (ids, times + left_times)


# ---------------------------------------------------------------------------------------------------------------------
# Words
# ---------------------------------------------------------------------------------------------------------------------


def words_of(tokenizer, ids: list[int], language: str | None = None) -> list[tuple[str, list[int]]]:
    """(word, places of its tokens) of the text that ids stand for; punctuation belongs to the word it touches.

    Languages without blanks are cut into characters. `language` is a name, by default that of the tokenizer.
    """
    if language is None and tokenizer.language is not None:
        language = LANGUAGES[language_code(tokenizer.language)]
    pieces = _characters_of(tokenizer, ids)
    if language not in WITHOUT_BLANKS:
        pieces = _joined_between_blanks(tokenizer, ids, pieces)
    return _with_punctuation(pieces)


def _characters_of(tokenizer, ids):
    """The smallest groups of tokens that are whole characters: one may be spread over several byte-level tokens."""
    whole = tokenizer.decode(ids, decode_with_timestamps=True)
    pieces, first, done = [], 0, 0
    for place in range(len(ids)):
        text = tokenizer.decode(ids[first : place + 1], decode_with_timestamps=True)
        broken = text.find("\ufffd")
        # a broken character that is broken in the whole text as well won't become whole
        if broken < 0 or whole[done + broken : done + broken + 1] in ("\ufffd", ""):
            pieces.append((text, list(range(first, place + 1))))
            first, done = place + 1, done + len(text)
    return pieces


def _joined_between_blanks(tokenizer, ids, pieces):
    words: list[tuple[str, list[int]]] = []
    for text, places in pieces:
        begins = ids[places[0]] >= tokenizer.eos_token_id or text.startswith(" ") or text.strip() in _PUNCTUATION
        if begins or not words:
            words.append((text, places))
        else:
            word, word_places = words[-1]
            words[-1] = (word + text, word_places + places)
    return words


def _with_punctuation(words):
    """Opening marks join the word behind them, closing ones the word before."""
    opened: list[tuple[str, list[int]]] = []
    for word, places in reversed(words):
        if opened and word.startswith(" ") and word.strip() in _BEFORE_A_WORD:
            behind, behind_places = opened[-1]
            opened[-1] = (word + behind, places + behind_places)
        else:
            opened.append((word, places))
    closed: list[tuple[str, list[int]]] = []
    for word, places in reversed(opened):
        if closed and not closed[-1][0].endswith(" ") and word in _BEHIND_A_WORD:
            before, before_places = closed[-1]
            closed[-1] = (before + word, before_places + places)
        else:
            closed.append((word, places))
    return [(word, places) for word, places in closed if word]

"""Whisper's tokenizer: GPT-2's byte-level BPE behind tokens for the language, the task and the times.

<|startoftranscript|> <|fr|> <|transcribe|> <|notimestamps|> Bonjour ! <|endoftext|>
<|startoftranscript|> <|fr|> <|transcribe|> <|0.00|> Bonjour !<|1.20|> <|endoftext|>
"""

import json
import re
from pathlib import Path as FilePath

from edutransformers.tokenizers.added_tokens import AddedToken, special_token
from edutransformers.tokenizers.batch_encoding import BatchEncoding
from edutransformers.tokenizers.classes.byte_level_bpe import TEXTS_WITH_ENDS, ByteLevelBPETokenizer, Path
from edutransformers.tokenizers.classes.whisper_asr import decode_asr
from edutransformers.tokenizers.classes.whisper_languages import TASKS, language_code
from edutransformers.tokenizers.classes.whisper_text import BasicTextNormalizer, EnglishTextNormalizer
from edutransformers.tokenizers.inputs import read_ids
from edutransformers.tokenizers.post_processors import template

Token = str | AddedToken

TIMESTAMPS = 1501  # <|0.00|>, <|0.02|>, … <|30.00|>
_TIMESTAMP = re.compile(r"<\|(\d+\.\d+)\|>")


class WhisperTokenizer(ByteLevelBPETokenizer):
    """Byte-level BPE as Whisper does it; a call makes labels, from `<|startoftranscript|>` on.

    normalizer_file      normalizer.json, {British spelling: American}, which `normalize` needs
    language             of the transcripts: a name ("french") or code ("fr"); None puts no language token there
    task                 "transcribe" or "translate" (into English); None puts no task token there
    predict_timestamps   leave out `<|notimestamps|>`: the text has timestamps

    Where one of these three is given it outranks what a tokenizer.json says. The other arguments are
    `ByteLevelBPETokenizer`'s. The vocabulary must have Whisper's special tokens, or `additional_special_tokens` bring
    them along. Timestamps may be tokens (checkpoints since transformers 4.34) or ids behind the vocabulary's end.

    Raises ValueError for a language or task that it doesn't know or has no token for.

    Source: Radford et al. 2022, "Robust speech recognition via large-scale weak supervision", section 2.3.
    """

    default_chat_template = TEXTS_WITH_ENDS
    vocab_files_names = {**ByteLevelBPETokenizer.vocab_files_names, "normalizer_file": "normalizer.json"}

    def __init__(
        self,
        vocab_file: Path | None = None,
        merges_file: Path | None = None,
        normalizer_file: Path | None = None,
        errors: str = "replace",
        unk_token: Token = "<|endoftext|>",
        bos_token: Token = "<|endoftext|>",
        eos_token: Token = "<|endoftext|>",
        pad_token: Token | None = None,
        add_prefix_space: bool = False,
        language: str | None = None,
        task: str | None = None,
        predict_timestamps: bool = False,
        **kwargs,
    ):
        super().__init__(
            vocab_file,
            merges_file,
            errors,
            add_prefix_space,
            unk_token=special_token(unk_token, normalized=False),
            bos_token=special_token(bos_token, normalized=False),
            eos_token=special_token(eos_token, normalized=False),
            pad_token=special_token(pad_token, normalized=False),
            language=language,
            task=task,
            predict_timestamps=predict_timestamps,
            **kwargs,
        )
        self.english_spelling_normalizer = None if normalizer_file is None else _read_spelling(normalizer_file)
        self.language = language
        self.task = task
        self.predict_timestamps = predict_timestamps
        if self._engine.post_processor is None or language is not None or task is not None or predict_timestamps:
            self.set_prefix_tokens()

    # ----- the tokens before the text --------------------------------------------------------------------------------

    def set_prefix_tokens(
        self, language: str | None = None, task: str | None = None, predict_timestamps: bool | None = None
    ) -> None:
        """Change the tokens before a text; None leaves the language, the task or the timestamps as they are.

        >>> tokenizer.set_prefix_tokens(language="spanish", task="translate")                  # doctest: +SKIP
        """
        before = self.language, self.task, self.predict_timestamps
        self.language = before[0] if language is None else language
        self.task = before[1] if task is None else task
        self.predict_timestamps = before[2] if predict_timestamps is None else predict_timestamps
        try:
            ids = self.prefix_tokens
        except ValueError:
            self.language, self.task, self.predict_timestamps = before
            raise
        self.init_kwargs.update(language=self.language, task=self.task, predict_timestamps=self.predict_timestamps)
        prefix = {f"prefix{place}": (self._token(i), i) for place, i in enumerate(ids)}
        before_text = " ".join(prefix)
        self._engine.post_processor = template(
            f"{before_text} A eos", f"{before_text} A B:1 eos:1", **prefix, eos=(self.eos_token, self.eos_token_id)
        )

    @property
    def prefix_tokens(self) -> list[int]:
        """The ids before a text: of `<|startoftranscript|>`, language, task and `<|notimestamps|>`."""
        tokens = ["<|startoftranscript|>"]
        if self.language is not None:
            tokens.append(f"<|{language_code(self.language)}|>")
        if self.task is not None:
            if self.task not in TASKS:
                raise ValueError(f"{self.task!r} is no task that Whisper knows; expected 'translate' or 'transcribe'.")
            tokens.append(f"<|{self.task}|>")
        if not self.predict_timestamps:
            tokens.append("<|notimestamps|>")
        return [self._id_of(token) for token in tokens]

    def get_decoder_prompt_ids(
        self, task: str | None = None, language: str | None = None, no_timestamps: bool = True
    ) -> list[tuple[int, int]]:
        """[(place, id), ...] that generation forces behind `<|startoftranscript|>`; sets the prefix tokens, too."""
        self.set_prefix_tokens(task=task, language=language, predict_timestamps=not no_timestamps)
        return list(enumerate(self.prefix_tokens))[1:]

    def get_prompt_ids(self, text: str, return_tensors: str | None = "np"):
        """`<|startofprev|>` and the ids of a text: what was said before, or names to be spelled so.

        Raises ValueError for a text with special tokens in it.
        """
        ids = self.encode(" " + text.strip(), add_special_tokens=False)
        found = next((i for i in ids if i >= self.eos_token_id), None)
        if found is not None:
            raise ValueError(
                f"A prompt is plain text, but this one has the special token {self._token(found)!r} in it."
            )
        return BatchEncoding({"input_ids": [self._id_of("<|startofprev|>"), *ids]}, tensor_type=return_tensors)[
            "input_ids"
        ]

    def _id_of(self, token: str) -> int:
        found = self._engine.token_to_id(token)
        if found is None:
            raise ValueError(
                f"The vocabulary has no token {token!r}. Whisper's special tokens stand in tokenizer.json or "
                "added_tokens.json; with vocab_file and merges_file alone pass them as additional_special_tokens."
            )
        return found

    # ----- ids to text -----------------------------------------------------------------------------------------------

    @property
    def timestamp_begin(self) -> int:
        """The id of `<|0.00|>`; those of the other timestamps follow it."""
        return self._id_of("<|notimestamps|>") + 1

    def timestamp_ids(self, time_precision: float = 0.02) -> list[int]:
        """The ids of the tokens `<|0.00|>` … `<|30.00|>`; the unknown token's where they are no tokens."""
        return self.convert_tokens_to_ids([f"<|{place * time_precision:.2f}|>" for place in range(TIMESTAMPS)])

    def decode(
        self,
        token_ids,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        output_offsets: bool = False,
        time_precision: float = 0.02,
        decode_with_timestamps: bool = False,
        normalize: bool = False,
        basic_normalize: bool = False,
        remove_diacritics: bool = False,
        **kwargs,
    ) -> str | dict:
        """The text of ids, without timestamps.

        skip_special_tokens      leave out special tokens and, with them, a prompt before `<|startoftranscript|>`
        output_offsets           return {"text": ..., "offsets": [{"text": ..., "timestamp": (start, stop)}, ...]}, the
                                 segments between timestamps in seconds
        decode_with_timestamps   write timestamps into the text: "<|1.08|>"
        time_precision           seconds of one timestamp's step
        normalize                as `normalize` does
        basic_normalize          as `basic_normalize` does, with its argument remove_diacritics
        """
        if isinstance(token_ids, dict | BatchEncoding):
            token_ids = token_ids["input_ids"]
        ids = read_ids(token_ids)
        kept = self._without_prompt(ids) if skip_special_tokens else ids
        if decode_with_timestamps:
            text = self._text_with_timestamps(kept, skip_special_tokens, time_precision)
        else:
            text = super().decode(self._with_tokens(kept), skip_special_tokens, clean_up_tokenization_spaces)
            if normalize:
                text = self.normalize(text)
            elif basic_normalize:
                text = self.basic_normalize(text, remove_diacritics)
            text = _TIMESTAMP.sub("", text)
        return {"text": text, "offsets": self._offsets(ids, time_precision)} if output_offsets else text

    def normalize(self, text: str) -> str:
        """English as transcripts are compared: no case or symbols, numbers in digits, American spelling."""
        if self.english_spelling_normalizer is None:
            raise ValueError(
                "normalize needs the table of British and American spellings, which this tokenizer was loaded without; "
                "pass it as normalizer_file (normalizer.json), or use basic_normalize."
            )
        return EnglishTextNormalizer(self.english_spelling_normalizer)(text)

    @staticmethod
    def basic_normalize(text: str, remove_diacritics: bool = False) -> str:
        """A text of any language without case, symbols and remarks in brackets."""
        return BasicTextNormalizer(remove_diacritics=remove_diacritics)(text)

    def _with_tokens(self, ids: list[int]) -> list[int]:
        """Without timestamps that are no tokens of the vocabulary."""
        last_before = self._engine.token_to_id("<|notimestamps|>")
        if last_before is None:
            return ids
        timestamps = range(last_before + 1, last_before + 1 + TIMESTAMPS)
        return [i for i in ids if i not in timestamps or self._engine.id_to_token(i) is not None]

    def _without_prompt(self, ids: list[int]) -> list[int]:
        if not ids or ids[0] != self._engine.token_to_id("<|startofprev|>"):
            return ids
        start = self._id_of("<|startoftranscript|>")
        return ids[ids.index(start) :] if start in ids else []

    def _text_with_timestamps(self, ids: list[int], skip_special_tokens: bool, time_precision: float) -> str:
        begin = self.timestamp_begin
        parts, segment = [], []
        for i in ids:
            if i < begin:
                segment.append(i)
            else:
                parts += [self.decode(segment, skip_special_tokens), f"<|{(i - begin) * time_precision:.2f}|>"]
                segment = []
        return "".join([*parts, self.decode(segment, skip_special_tokens)])

    def _offsets(self, ids: list[int], time_precision: float) -> list[dict]:
        """A segment goes from a timestamp to the last one before the next segment, or of all."""
        begin = self.timestamp_begin
        places = [place for place, i in enumerate(ids) if i >= begin]
        if len(places) < 2:
            return []
        stops = [second for first, second in zip(places, places[1:]) if second == first + 1] + [places[-1] + 1]
        offsets = []
        for start, stop in zip([places[0], *stops], stops):
            if stop - start > 1:
                first, last = ((i - begin) * time_precision for i in (ids[start], ids[stop - 1]))
                offsets.append({"text": self.decode(ids[start:stop]), "timestamp": (first, last)})
        return offsets

    def _decode_asr(self, model_outputs, *, return_timestamps, return_language, time_precision):
        """For the speech recognition pipeline: see `whisper_asr.decode_asr`."""
        return decode_asr(self, model_outputs, return_timestamps, return_language, time_precision)

    # ----- files and training ----------------------------------------------------------------------------------------

    def vocabulary_files(self) -> dict[str, str]:
        files = super().vocabulary_files()
        if self.english_spelling_normalizer is not None:
            text = json.dumps(self.english_spelling_normalizer, indent=2, sort_keys=True, ensure_ascii=False)
            files["normalizer.json"] = text + "\n"
        return files

    def train_new_from_iterator(self, *args, **kwargs) -> "WhisperTokenizer":
        new = super().train_new_from_iterator(*args, **kwargs)
        new.english_spelling_normalizer = self.english_spelling_normalizer
        return new


class WhisperTokenizerFast(WhisperTokenizer):
    """The same under the original's other name: this library has one kind of tokenizer."""


def _read_spelling(path: Path) -> dict[str, str]:
    try:
        spelling = json.loads(FilePath(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); was it downloaded completely?") from None
    if not isinstance(spelling, dict):
        raise ValueError(f"{path} must hold a JSON object of spellings, not a {type(spelling).__name__}.")
    return spelling

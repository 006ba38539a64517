"""Streamers: a text's words as they are written, to the screen or to another thread."""

from __future__ import annotations

import sys
from queue import Queue

from ..backend import to_numpy


class BaseStreamer:
    """`put(ids)` gets the prompt, then each new token; `end()` closes the text."""

    def put(self, value) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError


class TextStreamer(BaseStreamer):
    """Prints a text word by word.

    A token may be half a word, or a third of a character, so what is printed is the text up to its last blank; Chinese,
    Japanese and Korean characters, between which there are none, are printed at once. For a batch of one.

    skip_prompt      don't print what was there before
    decode_kwargs    for `tokenizer.decode`, e.g. skip_special_tokens=True

    >>> model.generate(**tokenizer("Once", return_tensors="np"), streamer=TextStreamer(tokenizer))   # doctest: +SKIP
    """

    def __init__(self, tokenizer, skip_prompt: bool = False, **decode_kwargs):
        self.tokenizer, self.skip_prompt, self.decode_kwargs = tokenizer, skip_prompt, decode_kwargs
        self._tokens: list[int] = []  # of the line that is being written
        self._printed = 0  # how much of its text was handed on
        self._prompt_is_next = True

    def put(self, value) -> None:
        ids = to_numpy(value)
        if ids.ndim > 1 and len(ids) > 1:
            raise ValueError(f"{type(self).__name__} writes one text, but the batch has {len(ids)}")
        if self._prompt_is_next and self.skip_prompt:
            self._prompt_is_next = False
            return
        self._prompt_is_next = False
        self._tokens += ids.reshape(-1).tolist()
        text = self.tokenizer.decode(self._tokens, **self.decode_kwargs)
        if text.endswith("\n"):
            self._hand_on(text[self._printed :])
            self._tokens, self._printed = [], 0
            return
        stop = len(text) if text and _is_cjk(text[-1]) else text.rfind(" ") + 1
        if stop > self._printed:
            self._hand_on(text[self._printed : stop])
            self._printed = stop

    def end(self) -> None:
        text = self.tokenizer.decode(self._tokens, **self.decode_kwargs) if self._tokens else ""
        self._hand_on(text[self._printed :], stream_end=True)
        self._tokens, self._printed, self._prompt_is_next = [], 0, True

    def _hand_on(self, text: str, stream_end: bool = False) -> None:
        if text or stream_end:
            self.on_finalized_text(text, stream_end=stream_end)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """What is done with each piece: print it. Override it to do something else."""
        print(text, flush=True, end="\n" if stream_end else "", file=sys.stdout)


class TextIteratorStreamer(TextStreamer):
    """The same pieces from an iterator, for a program that writes them elsewhere while `generate` runs in a thread.

    >>> streamer = TextIteratorStreamer(tokenizer)                                               # doctest: +SKIP
    >>> Thread(target=model.generate, kwargs={**inputs, "streamer": streamer}).start()           # doctest: +SKIP
    >>> for piece in streamer: ...                                                               # doctest: +SKIP

    timeout: seconds to wait for a piece; queue.Empty is raised after them.
    """

    def __init__(self, tokenizer, skip_prompt: bool = False, timeout: float | None = None, **decode_kwargs):
        super().__init__(tokenizer, skip_prompt, **decode_kwargs)
        self.text_queue: Queue = Queue()
        self.timeout = timeout

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self.text_queue.put(text)
        if stream_end:
            self.text_queue.put(None)

    def __iter__(self):
        return self

    def __next__(self) -> str:
        piece = self.text_queue.get(timeout=self.timeout)
        if piece is None:
            raise StopIteration
        return piece


def _is_cjk(character: str) -> bool:
    code = ord(character)
    return (
        0x2E80 <= code <= 0x9FFF or 0xAC00 <= code <= 0xD7AF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x3FFFF
    )

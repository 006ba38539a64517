"""eSpeak NG, a speech synthesizer: text to sound in a hundred voices. `pip install espeakng-loader` brings it.

eSpeak NG is under GPL-3; what it speaks is not bound by that.
"""

from __future__ import annotations

import ctypes

import numpy as np

_SYNCHRONOUS, _RATE, _PITCH, _UTF8, _SSML = 2, 1, 3, 0x01, 0x10  # numbers of espeak-ng/speak_lib.h
_Receive = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The synthesizer: one for the whole process.

    Its state goes on from call to call, so the same calls make the same sounds in every process, but not twice in one.

    samples = Espeak().spell("4B7", voice="en-us+f3", words_per_minute=160, pitch=50)     # (N,) float32
    """

    def __init__(self):
        try:
            import espeakng_loader
        except ImportError:
            raise ImportError("voices are made by eSpeak NG: pip install espeakng-loader") from None
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.sampling_rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0)
        if self.sampling_rate < 1:
            raise RuntimeError(f"eSpeak NG can't read its data in {data.decode()}")
        self._pieces: list[np.ndarray] = []
        self._receive = _Receive(self._keep)  # kept here, since the library holds only a pointer to it
        self._library.espeak_SetSynthCallback(self._receive)

    def _keep(self, samples, count, events) -> int:
        if samples and count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def spell(self, text: str, voice: str, words_per_minute: int = 160, pitch: int = 50) -> np.ndarray:
        """The characters of a text, by their names. Voices are "language+variant": "en-us+f3" or "en+m1"."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"eSpeak NG has no voice {voice!r}")
        self._library.espeak_SetParameter(_RATE, words_per_minute, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(0))  # hisses and breath are noise
        self._pieces.clear()
        markup = f'<say-as interpret-as="characters">{text}</say-as>'.encode()
        self._library.espeak_Synth(markup, len(markup) + 1, 0, 1, 0, _UTF8 | _SSML, None, None)
        self._library.espeak_Synchronize()
        return np.concatenate(self._pieces).astype(np.float32) / 32768

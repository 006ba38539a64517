"""A Wav2Vec2 that ships with the package writes down what a voice spells, and shows when it heard each symbol."""

from __future__ import annotations

from pathlib import Path

from .. import plots
from ..alignment_plots import plot_alignment
from .section import section

MODEL = "edutransformers/wav2vec2-small-digits-letters"
RECORDING = "BERT2018.wav"  # a voice spells the file's name; it ships with the model


def transcribe(folder: Path) -> str:
    """Sound: a Wav2Vec2 writes down what it hears."""
    from ... import AutoModelForCTC, AutoProcessor
    from ...audio import forced_alignment, load_audio
    from ...checkpoints import resolve_file

    processor = AutoProcessor.from_pretrained(MODEL)
    model = AutoModelForCTC.from_pretrained(MODEL)
    print(f"   {MODEL}: {model.num_parameters():,} parameters, learned from digits and letters read aloud")
    rate = processor.feature_extractor.sampling_rate
    samples = load_audio(resolve_file(MODEL, RECORDING), rate)
    (logits,) = model(**processor(samples, sampling_rate=rate, return_tensors="np")).logits
    spelled, text = Path(RECORDING).stem, processor.decode(logits.argmax(axis=-1))
    print(f"   a voice that it has never heard spells {spelled}; it writes {text}")

    tokens = processor.tokenizer(text)["input_ids"]
    alignment = forced_alignment(logits, tokens, blank=model.config.pad_token_id)
    names = processor.tokenizer.convert_ids_to_tokens(range(model.config.vocab_size))
    figure = plot_alignment(alignment, names, logits, samples, rate, title=f"“{text}”: when it heard what")
    plots.save(figure, folder / "alignment.png")
    print("   wrote alignment.png (when it heard each symbol)")
    return section(
        "hearing",
        hearer=MODEL,
        hearer_parameters=f"{model.num_parameters():,}",
        seconds=f"{len(samples) / rate:.1f}",
        frames=str(len(logits)),
        spelled=spelled,
        heard=text,
    )

"""How the shipped checkpoint `edutransformers/wav2vec2-small-digits-letters` is made. Run it to make it again:

    pip install "edutransformers[audio]" espeakng-loader captcha
    apt-get install asterisk-core-sounds-en-wav klettres-data saytime flite
    python -m edutransformers.pretrained.train_wav2vec2_small_digits_letters --output wav2vec2-small-digits-letters \\
        --scratch scratch

A Wav2Vec2 of 1.6 million parameters starts from nothing, hears codes of spelled digits and letters (spoken.py), and
learns by CTC to write them down. Each code that it hears is a new one: other symbols, another voice, speed, noise. In a
second stage, at a lower learning rate, joined recordings overlap and three times as many codes are spelled in one go. A
run that was stopped goes on from its last checkpoint in `--scratch` when the same command is given again. All seeds are
fixed; the last digits still depend on the machine's BLAS.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import (
    Trainer,
    TrainingArguments,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
    inference_mode,
    speed,
)
from ..audio import write_wav
from ..training.checkpointing import get_last_checkpoint
from .espeak import Espeak
from .spoken import (
    HELD_OUT_VARIANTS,
    RATE,
    SYMBOLS,
    VARIANTS,
    Utterance,
    character_error_rate,
    disturb,
    join_recordings,
    load_recordings,
    speak_codes,
    speak_symbols,
    speak_with_flite,
    spell,
)


class Stage(NamedTuple):
    """One run of the Trainer."""

    codes: int  # to hear, in batches of 16
    spelled: int  # codes that eSpeak NG spells in one go
    overlap: float  # seconds by which joined recordings may overlap
    learning_rate: float
    seed: int


STAGES = (Stage(240000, 6000, 0.0, 1e-3, seed=0), Stage(64000, 18000, 0.12, 4e-4, seed=1))
HELD_OUT_CODES = 300  # of speakers, and of voices
LONGEST = 6  # symbols of a code in training; longer ones are read as well
VOCABULARY = {token: place for place, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *SYMBOLS])}
CONFIG = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 160,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 640,
    # 160 samples, 0.02 seconds a frame at 8,000 hertz. The original's seven short kernels have to learn in several
    # layers what a spectrum is; one long kernel, of 0.016 seconds, learns filters for its bands at once.
    "conv_dim": (160, 160, 160),
    "conv_kernel": (128, 5, 5),
    "conv_stride": (40, 2, 2),
    "conv_bias": True,
    "feat_extract_norm": "layer",  # padding changes nothing
    "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 32,
    "num_conv_pos_embedding_groups": 8,
    "hidden_dropout": 0.1,
    "attention_dropout": 0.05,
    "activation_dropout": 0.0,
    "final_dropout": 0.0,
    "layerdrop": 0.0,
    "mask_time_prob": 0.05,
    "mask_time_length": 5,
    "ctc_loss_reduction": "mean",
    "ctc_zero_infinity": True,
}


class SpokenCodes:
    """Codes for the Trainer, by number: number i is made when it is asked for, the same in every run.

    joined   recordings of which a code is put together, and
    spelled  codes that were spelled in one go, each in several lists: every list is used equally often
    overlap  seconds by which joined recordings may overlap

    The column "length" says how many symbols each code has, so that codes of about one length can share a batch.
    """

    column_names = ("length",)

    def __init__(self, joined, spelled, count: int, overlap: float = 0.0, seed: int = 0):
        self.joined, self.count, self.overlap, self.seed = joined, count, overlap, seed
        lengths = range(1, LONGEST + 1)
        self.spelled = [{n: [u for u in codes if len(u.text) == n] for n in lengths} for codes in spelled]
        self.lengths = np.random.default_rng(seed).choice(lengths, count).tolist()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int | str):
        if number == "length":
            return self.lengths
        generator, length = np.random.default_rng((self.seed, number)), self.lengths[number]
        kind = int(generator.integers(len(self.joined) + len(self.spelled)))
        if kind < len(self.joined):
            (utterance,) = join_recordings(self.joined[kind], 1, generator, length, length, self.overlap)
        else:
            codes = self.spelled[kind - len(self.joined)][length]
            utterance = codes[generator.integers(len(codes))]
        return {"text": utterance.text, "samples": disturb(utterance.samples, generator)}


class Listen:
    """Makes batches: samples normalized and padded, texts as labels, −100 where there is none."""

    def __init__(self, processor: Wav2Vec2Processor):
        self.processor = processor

    def __call__(self, codes) -> dict[str, np.ndarray]:
        batch = self.processor(
            [code["samples"] for code in codes], sampling_rate=RATE, padding=True, return_tensors="np"
        )
        labels = np.full((len(codes), max(len(code["text"]) for code in codes)), -100)
        for row, code in zip(labels, codes):
            row[: len(code["text"])] = [VOCABULARY[symbol] for symbol in code["text"]]
        return {**batch, "labels": labels}


def make_processor() -> Wav2Vec2Processor:
    extractor = Wav2Vec2FeatureExtractor(sampling_rate=RATE, return_attention_mask=True)
    return Wav2Vec2Processor(extractor, Wav2Vec2CTCTokenizer(vocab=VOCABULARY))


def held_out_codes(recordings) -> dict[str, list[Utterance]]:
    """What no training step hears, without any disturbance (spoken.py): the prompts as they are, and codes of speakers
    and voices."""
    return {
        "prompts": [Utterance(r.text, np.pad(r.samples, RATE // 10)) for r in recordings["prompts"]],
        "speakers": join_recordings(recordings["speakers"], HELD_OUT_CODES, np.random.default_rng(1)),
        "voices": speak_codes(HELD_OUT_VARIANTS, HELD_OUT_CODES, np.random.default_rng(2)),
    }


def read_aloud(model, processor, utterances, batch_size: int = 25) -> list[str]:
    """What the model hears in each utterance: the best path."""
    texts = []
    with inference_mode():
        for start in range(0, len(utterances), batch_size):
            samples = [utterance.samples for utterance in utterances[start : start + batch_size]]
            batch = processor(samples, sampling_rate=RATE, padding=True, return_tensors="np")
            logits = model(**batch).logits
            frames = model._get_feat_extract_output_lengths(batch["attention_mask"].sum(axis=-1))
            texts += [processor.decode(row[:n].argmax(axis=-1)) for row, n in zip(logits, frames)]
    return texts


def write_sample(folder: str | Path, text: str = "BERT2018", voice: str = "en-us+Annie") -> None:
    """A recording to try the model on: `folder`/BERT2018.wav, spelled at leisure by a voice that no training heard."""
    write_wav(Path(folder) / f"{text}.wav", spell(Espeak(), text, voice, rate=100), RATE)


def prepare_codes(stage: Stage, real, variants, root) -> SpokenCodes:
    """Everything that a stage's codes are made of: the real recordings, and what the voices say."""
    generator = np.random.default_rng(stage.seed)
    synthetic = speak_symbols(variants, generator)
    spelled = [
        speak_codes(variants, stage.spelled, generator, LONGEST),
        speak_with_flite(1200, generator, LONGEST, root),
    ]
    return SpokenCodes([real, synthetic], spelled, stage.codes, stage.overlap, stage.seed)


def learn(model, processor, stage: Stage, codes: SpokenCodes, scratch: Path) -> None:
    """Train the model on them; a run that was stopped goes on from its last checkpoint."""
    trainer = Trainer(
        model,
        TrainingArguments(
            str(scratch),
            learning_rate=stage.learning_rate,
            per_device_train_batch_size=16,
            num_train_epochs=1,
            group_by_length=True,
            warmup_ratio=0.05,
            weight_decay=0.01,
            save_steps=500,
            save_total_limit=2,
            logging_steps=50,
            disable_tqdm=True,
            remove_unused_columns=False,
            seed=stage.seed,
        ),
        data_collator=Listen(processor),
        train_dataset=codes,
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(scratch))


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="the folder for the checkpoint")
    parser.add_argument("--scratch", required=True, help="the folder for the run's own checkpoints")
    parser.add_argument("--root", default="/", help="where the Debian packages are installed or unpacked")
    parser.add_argument("--start-from", help="leave the first stage out: go on from this checkpoint")
    parser.add_argument("--codes", type=int, help="hear only so many codes a stage (to try the script)")
    parser.add_argument("--threads", type=int, default=2, help="threads over which each batch is split")
    parser.add_argument("--limit", type=int, help="use only so many voices (to try the script)")
    options = parser.parse_args(arguments)

    speed.keep_freed_memory()
    speed.use_batch_threads(options.threads)
    recordings = load_recordings(options.root)
    held_out = held_out_codes(recordings)

    processor, stages = make_processor(), list(enumerate(STAGES, start=1))
    if options.start_from:
        model = Wav2Vec2ForCTC.from_pretrained(options.start_from)
        model.config.name_or_path = ""  # of this machine: it would be written down
        stages = stages[1:]
    else:
        model = Wav2Vec2ForCTC(Wav2Vec2Config(**CONFIG), generator=np.random.default_rng(0))
    print(f"{model.num_parameters():,} parameters", flush=True)
    for number, stage in stages:
        stage = stage._replace(codes=options.codes or stage.codes)
        codes = prepare_codes(stage, recordings["train"], VARIANTS[: options.limit], options.root)
        learn(model, processor, stage, codes, Path(options.scratch) / f"stage-{number}")
    model.save_pretrained(options.output, dtype="float16")
    processor.save_pretrained(options.output)
    write_sample(options.output)

    # What ships is the float16 file: that is what must be right on what was held out.
    model = Wav2Vec2ForCTC.from_pretrained(options.output).eval()
    rates = {}
    for part, utterances in held_out.items():
        heard = read_aloud(model, processor, utterances)
        rates[part] = character_error_rate(heard, [utterance.text for utterance in utterances])
        print(f"character error rate on held-out {part}: {rates[part]:.1%} ({len(utterances)} codes)")
    return rates


if __name__ == "__main__":
    main()

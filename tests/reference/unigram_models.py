"""SentencePiece models as those of T5, ALBERT, XLNet, XLM-RoBERTa and DeBERTa-v2, trained when they are needed."""

import io
from functools import lru_cache

import pytest

sentencepiece = pytest.importorskip("sentencepiece")

# The trainer's arguments that give the ids of the published models, and the class's name of the file.
TRAINING = {
    "T5Tokenizer": ("spiece.model", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    "AlbertTokenizer": (
        "spiece.model",
        {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": "[CLS],[SEP],[MASK]"},
    ),
    "XLNetTokenizer": (
        "spiece.model",
        {"control_symbols": "<cls>,<sep>,<pad>,<mask>,<eod>", "user_defined_symbols": '<eop>,.,(,),",-,–,£,€'},
    ),
    "XLMRobertaTokenizer": ("sentencepiece.bpe.model", {}),
    "DebertaV2Tokenizer": (
        "spm.model",
        {
            "pad_id": 0,
            "bos_id": 1,
            "eos_id": 2,
            "unk_id": 3,
            "pad_piece": "[PAD]",
            "bos_piece": "[CLS]",
            "eos_piece": "[SEP]",
            "unk_piece": "[UNK]",
        },
    ),
}


@lru_cache
def model_bytes(name: str, texts: tuple[str, ...], vocab_size: int, rule: str = "nmt_nfkc") -> bytes:
    """A `.model` for the class of that name. `rule`: the normalization, whose map of replacements it holds."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=written,
        vocab_size=vocab_size,
        character_coverage=0.98,
        normalization_rule_name=rule,
        num_threads=1,
        minloglevel=2,
        hard_vocab_limit=False,
        **TRAINING[name][1],
    )
    return written.getvalue()


def write_model(folder, name: str, data: bytes):
    """Write it under the class's file name; returns the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / TRAINING[name][0]
    path.write_bytes(data)
    return path

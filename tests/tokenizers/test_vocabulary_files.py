"""vocab.txt, vocab.json, merges.txt and tiktoken's rank files: read, written, and broken ones."""

import base64
import json
import random

import pytest

from edutransformers.tokenizers.bpe import BPE
from edutransformers.tokenizers.byte_level import CHARACTERS, to_characters
from edutransformers.tokenizers.vocabulary_files import (
    merges_of_ranks,
    merges_text,
    read_merges,
    read_tiktoken,
    read_vocab_json,
    read_vocabulary,
    vocab_json_text,
    vocabulary_text,
)


@pytest.fixture
def write(tmp_path):
    def put(content, name="file"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return put


# ----- vocab.txt -----------------------------------------------------------------------------------------------------


def test_vocab_txt(write):
    vocab = {"[PAD]": 0, "é": 1, "##a": 2, "\u2028": 3, "": 4, " ": 5}
    path = write(vocabulary_text(vocab))
    assert path.read_bytes() == "[PAD]\né\n##a\n\u2028\n\n \n".encode()
    assert read_vocabulary(path) == vocab
    assert read_vocabulary(write("a\nb")) == {"a": 0, "b": 1}


@pytest.mark.parametrize("vocab", [{"a": 0, "b": 2}, {"a": 1}, {"a\n": 0}, {"\r": 0, "a": 1}])
def test_what_vocab_txt_cannot_say(vocab):
    assert vocabulary_text(vocab) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the vocabulary is empty"),
        ("a\nb\na\n", "the vocabulary has 'a' twice, as entries 0 and 2"),
        (b"a\n\xff\n", "is not UTF-8"),
    ],
)
def test_errors_of_vocab_txt(write, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_vocabulary(write(content, "vocab.txt"))
    assert "vocab.txt" in str(caught.value)


# ----- vocab.json and merges.txt ------------------------------------------------------------------------------------

VOCAB = {"e": 1, "l": 0, "Ġ": 7, 'é"\\': 4, "\n\u2028\x01": 5, "el": 3}


def test_vocab_json(write):
    text = vocab_json_text(VOCAB)
    assert text == '{"l":0,"e":1,"el":3,"é\\"\\\\":4,"\\n\u2028\\u0001":5,"Ġ":7}'
    assert read_vocab_json(write(text)) == VOCAB
    assert read_vocab_json(write(json.dumps(VOCAB, indent=2))) == VOCAB


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not valid JSON"),
        ('{"a": 0, "b"', "not valid JSON .* downloaded completely"),
        ("[" * 100_000, "not valid JSON"),
        (b'{"\xff": 0}', "is not UTF-8"),
        ('["a", "b"]', "must hold a JSON object of tokens and ids, not a list"),
        ("{}", "vocabulary is empty"),
        ('{"a": 0, "b": 1, "a": 2}', "it names 'a' twice, with 0 and 2"),
        ('{"a": 0, "b": 0}', "gives the id 0 to both 'a' and 'b'"),
        ('{"a": -1}', "maps 'a' to -1; expected a string and an id of 0 or more"),
        ('{"a": 0.0}', "maps 'a' to 0.0"),
        ('{"a": true}', "maps 'a' to True"),
        ('{"a": "0"}', "maps 'a' to '0'"),
        ('{"a": null}', "maps 'a' to None"),
        (r'{"a\ud83d": 0}', "a token with a lone surrogate"),
        ('{"a": {"b": 1}}', "maps 'a' to {'b': 1}"),
    ],
)
def test_errors_of_vocab_json(write, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_vocab_json(write(content, "vocab.json"))
    assert "vocab.json" in str(caught.value)


def test_merges_txt(write):
    merges = [("Ġ", "l"), ("e", "l"), ("\u3000", "é</w>")]
    text = merges_text(merges)
    assert text == "#version: 0.2\nĠ l\ne l\n\u3000 é</w>\n"
    assert read_merges(write(text)) == merges
    assert read_merges(write(text.removeprefix("#version: 0.2\n"))) == merges
    assert read_merges(write(text.replace("\n", "\r\n") + "\n\n")) == merges
    assert read_merges(write("#version: 0.2\n# #\n#a b\n"), {"#": 0, "#a": 1, "b": 2}) == [("#", "#"), ("#a", "b")]
    assert read_merges(write("")) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("#version: 0.2\na b\na\n", "line 3: 'a' is no merge; expected two tokens with a blank between them"),
        ("a b c\n", "line 1: 'a b c' is no merge"),
        ("a  b\n", "line 1: 'a  b' is no merge"),
        ("a b\n\nb a\n", "line 2: '' is no merge"),
        ("a b\na x\n", "line 2: 'a x' merges 'x', which is not in the vocabulary"),
        ("zz a\n", "line 1: 'zz a' merges 'zz'"),
        (b"a \xe6\n", "is not UTF-8"),
    ],
)
def test_errors_of_merges_txt(write, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_merges(write(content, "merges.txt"), {"a": 0, "b": 1})
    assert "merges.txt" in str(caught.value)


# ----- tiktoken ------------------------------------------------------------------------------------------------------


def rank_file(ranks):
    return "".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items())


def random_ranks(generator):
    """A vocabulary as training makes it: each token out of two older ones."""
    tokens = [bytes([byte]) for byte in generator.sample(range(256), 256)]
    letters = [b"a", b"b", b"c", "é".encode(), b" "]
    while len(tokens) < 330:
        pool = [*letters, *tokens[256:]]
        token = generator.choice(pool) + generator.choice(pool)
        if token not in tokens and len(token) < 12:
            tokens.append(token)
    return {token: rank for rank, token in enumerate(tokens)}


def cut(word: bytes, ranks: dict[bytes, int]) -> list[int]:
    """tiktoken's way, naively: join the neighbours whose joined bytes have the lowest rank, the leftmost of equals."""
    parts = [word[i : i + 1] for i in range(len(word))]
    while True:
        ranked = [(ranks[a + b], place) for place, (a, b) in enumerate(zip(parts, parts[1:])) if a + b in ranks]
        if not ranked:
            return [ranks[part] for part in parts]
        _, place = min(ranked)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


@pytest.mark.parametrize("seed", range(8))
def test_tiktoken(write, seed):
    generator = random.Random(seed)
    ranks = random_ranks(generator)
    vocab, merges = read_tiktoken(write(rank_file(ranks)))
    assert vocab == {"".join(CHARACTERS[byte] for byte in token): rank for token, rank in ranks.items()}
    model = BPE(vocab, merges)
    for _ in range(150):
        word = "".join(generator.choices("aabcé ", k=generator.randrange(1, 40)))
        assert [token.id for token in model.tokenize(to_characters(word))] == cut(word.encode(), ranks), word


def test_merges_of_ranks():
    assert merges_of_ranks({"a": 0, "b": 1, "ab": 2, "aba": 3, "ba": 9}) == [
        ("a", "b"),
        ("a", "ba"),
        ("ab", "a"),
        ("b", "a"),
    ]


def test_tiktoken_by_hand(write):
    bytes_of = {bytes([byte]): byte for byte in range(256)}
    text = rank_file({**bytes_of, b" t": 256, b"he": 257}).replace("\n", "\r\n") + "\n= 258\n"
    vocab, merges = read_tiktoken(write(text))  # a lone "=" is the empty token, as in Whisper's multilingual file
    assert (vocab["Ġt"], vocab["he"], vocab[""], len(vocab)) == (256, 257, 258, 259)
    assert merges == [("Ġ", "t"), ("h", "e")]


BYTES = rank_file({bytes([byte]): byte for byte in range(256)})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no token for 256 of the 256 bytes, the first 0x00"),
        (BYTES[:500], "line 64: the rank 6 came before, in line 7"),
        (BYTES.replace("/w== 255\n", ""), "no token for 1 of the 256 bytes, the first 0xFF; was it downloaded"),
        (BYTES + "YWI=\n", "line 257: 'YWI=' is no rank"),
        (BYTES + "YWI= 256 1\n", "line 257: .* is no rank"),
        (BYTES + "YWI= -256\n", "line 257: .* is no rank"),
        (BYTES + "YWI= 2_56\n", "line 257: .* is no rank"),
        (BYTES + "YWI= " + "9" * 5000, "line 257: .* is no rank"),
        (BYTES + "YW!I= 256\n", "line 257: 'YW!I=' is not valid base64"),
        (BYTES + "YWI 256\n", "line 257: 'YWI' is not valid base64"),
        (BYTES + "YWI= 25", "line 257: the rank 25 came before, in line 26"),
        (BYTES + "YWI= 256\nYWI= 257\n", "line 258: the token b'ab' came before, with rank 256"),
        (BYTES.encode() + b"\xff= 256\n", "is not UTF-8"),
        (BYTES + "é= 256\n", "is not valid base64"),
    ],
)
def test_errors_of_tiktoken(write, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_tiktoken(write(content, "a.tiktoken"))
    assert "a.tiktoken" in str(caught.value)


@pytest.mark.parametrize("read", [read_vocabulary, read_vocab_json, read_merges, read_tiktoken])
def test_no_file(read, tmp_path):
    with pytest.raises(OSError, match="There is no vocabulary file .*none"):
        read(tmp_path / "none")
    with pytest.raises(OSError, match="There is no vocabulary file"):
        read(tmp_path)

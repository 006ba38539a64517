"""The look of tokens: what is shown, in the terminal, as a page and as a picture, and the command around it."""

import io
import re
import unicodedata
import warnings
from html.parser import HTMLParser

import pytest
from PIL import Image

from edutransformers import TokenPicture, show_tokens
from edutransformers.cli import main
from edutransformers.teaching import tokens_command, tokens_figure, tokens_html
from edutransformers.teaching.tokens import COLOURS, columns, visible, visible_bytes
from edutransformers.tokenizers import BPE, BertTokenizer, ByteLevel, Engine
from edutransformers.tokenizers.base import PreTrainedTokenizer
from edutransformers.tokenizers.byte_level import ByteLevelDecoder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "dog", "##s", *"<>&$你'\"a", "script"]
ESCAPES = re.compile("\x1b\\[[0-9;]*m")


@pytest.fixture
def tokenizer():
    return BertTokenizer(vocab=WORDS, name_or_path="a <b> folder")


def byte_level():
    vocab = {character: i for i, character in enumerate(ByteLevel.alphabet())}
    engine = Engine(BPE(vocab, []), pre_tokenizer=ByteLevel(add_prefix_space=False), decoder=ByteLevelDecoder())
    return PreTrainedTokenizer(engine, additional_special_tokens=["<|é|>"])


def cells(text):
    """{(token, id, offsets)} of a picture without colours, read by columns."""
    found = []
    blocks = [block.split("\n") for block in text.split("\n\n")[1:]]
    for tokens, ids, spans in blocks:
        for match in re.finditer(r"\S+", ids):
            # Where a column of `ids` begins, a cell begins in the other lines too, counted in columns.
            found.append((_at(tokens, match.start()), int(match[0]), _at(spans, match.start())))
    return found


def _at(line, column):
    used = 0
    for place, character in enumerate(line):
        if used == column and not unicodedata.combining(character):
            return line[place:].split(" ")[0]
        used += columns(character)
    return ""


# ----- what is shown --------------------------------------------------------------------------------------------------


def test_kinds_and_colours(tokenizer):
    (row,) = show_tokens(tokenizer, "The dogs zz dogs").rows
    assert [token.shown for token in row.tokens] == ["[CLS]", "the", "dog", "##s", "zz", "dog", "##s", "[SEP]"]
    assert [token.id for token in row.tokens] == [2, 5, 6, 7, 1, 6, 7, 3]
    assert [token.span for token in row.tokens] == [
        None, (0, 3), (4, 7), (7, 8), (9, 11), (12, 15), (15, 16), None
    ]  # fmt: skip
    kinds = ["special", "text", "text", "text", "unknown", "text", "text", "special"]
    assert [token.kind for token in row.tokens] == kinds
    colours = [token.colour for token in row.tokens if token.kind != "special"]
    assert all(first != second for first, second in zip(colours, colours[1:]))
    many = show_tokens(tokenizer, "the " * 20, add_special_tokens=False).rows[0].tokens
    assert {token.colour for token in many} == set(range(COLOURS))
    assert row.summary == (
        "a·<b>·folder (BertTokenizer, 17 in the vocabulary): 8 tokens for 16 characters, 2.7 characters a token, "
        "2 special, 1 unknown"
    )


def test_pairs_and_no_special_tokens(tokenizer):
    (row,) = show_tokens(tokenizer, "the dog", "zz").rows
    assert [token.sequence for token in row.tokens] == [None, 0, 0, None, 1, None]
    assert row.tokens[4].shown == "zz"
    (row,) = show_tokens(tokenizer, "the dog", add_special_tokens=False).rows
    assert [token.kind for token in row.tokens] == ["text", "text"]
    (row,) = show_tokens(tokenizer, "").rows
    assert [token.kind for token in row.tokens] == ["special", "special"]
    (row,) = show_tokens(tokenizer, "[MASK] dog").rows
    assert (row.tokens[1].kind, row.tokens[1].span) == ("special", (0, 6))


def test_bytes(tokenizer):
    (row,) = show_tokens(byte_level(), "a é\n<|é|>").rows
    assert [token.shown for token in row.tokens] == ["a", "·", "⟨C3⟩", "⟨A9⟩", "↵", "<|é|>"]
    assert [token.span for token in row.tokens] == [(0, 1), (1, 2), (2, 3), (2, 3), (3, 4), (4, 9)]
    assert [token.kind for token in row.tokens] == ["text"] * 5 + ["special"]


@pytest.mark.parametrize(
    ("text", "shown", "width"),
    [
        ("a b\tc\r\n", "a·b⇥c⇤↵", 7),
        ("·↵⟨", "⟨B7⟩⟨21B5⟩⟨", 11),
        ("\x1b[31mred\x00", "⟨1B⟩[31mred⟨00⟩", 15),
        ("a\u0301", "a\u0301", 1),
        ("\u0301", "◌\u0301", 1),
        (" \u0301", "·◌\u0301", 2),
        ("你好", "你好", 4),
        ("한국", "한국", 4),
        ("\u1100\u1161\u11a8", "\u1100\u1161\u11a8", 2),
        ("👩\u200d👧", "👩⟨200D⟩👧", 10),
        ("👍🏽", "👍⟨1F3FD⟩", 9),
        ("☺\ufe0f", "☺⟨FE0F⟩", 7),
        ("\u00a0\u2028\ufeff\ue000\ud83d\u0378", "⟨A0⟩⟨2028⟩⟨FEFF⟩⟨E000⟩⟨D83D⟩⟨378⟩", 33),
    ],
)
def test_nothing_is_invisible(text, shown, width):
    assert visible(text) == shown
    assert columns(shown) == width
    if "\ud83d" not in text:
        assert visible_bytes(text.encode()) == shown


def test_bytes_that_are_no_text():
    assert visible_bytes("你".encode()[:2] + b"a\xff " + "é".encode()) == "⟨E4⟩⟨BD⟩a⟨FF⟩·é"


# ----- the terminal ---------------------------------------------------------------------------------------------------


def test_columns_are_right(tokenizer):
    text = show_tokens(tokenizer, "你 a\u0301 the 你 dogs").as_text(width=30)
    assert cells(text) == [
        ("[CLS]", 2, ""), ("你", 12, "0-1"), ("a", 15, "2-3"), ("the", 5, "5-8"), ("你", 12, "9-10"),
        ("dog", 6, "11-14"), ("##s", 7, "14-15"), ("[SEP]", 3, ""),
    ]  # fmt: skip
    assert str(show_tokens(tokenizer, "the")) == repr(show_tokens(tokenizer, "the"))


@pytest.mark.parametrize("colours", [24, 256])
def test_colours(tokenizer, colours):
    picture = show_tokens(tokenizer, "the dogs zz 你" + " dog" * 20)
    painted = picture.as_text(width=40, colours=colours)
    assert ESCAPES.sub("", painted).replace(" ", "") == picture.as_text(width=40).replace(" ", "")
    lines = painted.split("\n")
    assert "\x1b[2J" not in show_tokens(byte_level(), "a\x1b[2Jb").as_text(colours=colours)
    backgrounds = re.findall(r"\x1b\[38;[\d;]*?48;([\d;]+)m", painted)
    assert len(backgrounds) == len(picture.rows[0].tokens)
    assert all(first != second for first, second in zip(backgrounds, backgrounds[1:]))
    assert len(set(backgrounds)) == COLOURS + 2
    assert max(columns(ESCAPES.sub("", line)) for line in lines) <= 40
    assert all(line.count("\x1b[0m") * 2 == line.count("\x1b[") for line in lines)


def test_narrow_terminals_and_long_tokens(tokenizer):
    tokenizer.add_tokens(["supercalifragilisticexpialidocious你你你"])
    text = show_tokens(tokenizer, "supercalifragilisticexpialidocious你你你 dog").as_text(width=5)
    assert max(map(columns, text.split("\n"))) <= 20
    assert "supercalifragilisti…" in text
    assert "... and 3 more tokens" in show_tokens(tokenizer, "the dog the").as_text(most=2)
    assert "more tokens" not in show_tokens(tokenizer, "the " * 1500).as_text(most=0)


# ----- page and picture -----------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.tokens, self.inside = [], [], None

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "bdi":
            self.tokens.append("")
        self.inside = tag

    def handle_data(self, data):
        if self.inside == "bdi":
            self.tokens[-1] += data

    def handle_endtag(self, tag):
        self.inside = None


def test_page(tokenizer, tmp_path):
    picture = show_tokens([tokenizer, byte_level()], "<script> \"the\" & 'dog'")
    picture.save(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(page)
    assert reader.tokens == [token.shown for row in picture.rows for token in row.tokens]
    tags = {tag for tag, _ in reader.tags}
    assert "script" not in tags
    assert "b" not in tags  # the model's name holds one
    assert "a·&lt;b&gt;·folder" in page
    assert not re.search(r"https?:|src=|href=|url\(|@import", page)  # it needs no other file
    assert "prefers-color-scheme: dark" in page
    titles = [attributes["title"] for tag, attributes in reader.tags if attributes.get("class", "").startswith("cell ")]
    assert titles[1] == "text token 8, characters 0 to 1 of the first text"
    assert picture._repr_html_() in page


def test_picture_needs_no_other_fonts(tokenizer, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        show_tokens([tokenizer, byte_level()], "the $x^2$ 你 𠀀 שלום กำ a\u0301\u0323 👍🏽 \\alpha $").save(
            tmp_path / "t.png"
        )
    with Image.open(tmp_path / "t.png") as picture:
        assert picture.size[0] == 1260
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
    for background in tokens_figure._BACKGROUNDS:
        assert tuple(bytes.fromhex(background[1:])) in colours
    assert tokens_figure.drawable("aé你ש\u0301") == "aé⟨4F60⟩⟨5E9⟩⟨301⟩"
    assert tokens_figure.drawable("·↵⇥⇤⟨⟩…") == "·↵⇥⇤⟨⟩…"
    with pytest.raises(ValueError, match=r"t\.jpg' must end in \.html .* or \.png"):
        show_tokens(tokenizer, "the").save("t.jpg")


def test_very_long_texts(tokenizer, monkeypatch):
    monkeypatch.setattr(tokens_figure, "MOST", 40)
    monkeypatch.setattr(tokens_html, "MOST", 100)
    picture = show_tokens(tokenizer, "the dog " * 100)
    height = picture.figure().get_size_inches()[1]
    assert height == show_tokens(tokenizer, "the dog " * 1000).figure().get_size_inches()[1]
    assert picture.page().count("<bdi>") == 100
    assert "102 more tokens" in picture.page()


def test_bad_arguments(tokenizer):
    with pytest.raises(ValueError, match="at least one tokenizer"):
        show_tokens([], "the")
    with pytest.raises(ValueError, match="lone surrogate"):
        show_tokens(tokenizer, "\ud83d")
    assert isinstance(show_tokens((tokenizer, tokenizer), "the"), TokenPicture)


# ----- the command ----------------------------------------------------------------------------------------------------


def run(capsys, *arguments):
    status = main(["tokenize", *arguments])
    return (status, *capsys.readouterr())


def test_command(capsys, tokenizer, tmp_path):
    status, out, err = run(capsys, "The film")
    assert (status, err) == (0, "")
    assert "edutransformers/bert-small-imdb (Bert" in out.replace("\n", " ")
    assert "\x1b" not in out
    tokenizer.save_pretrained(tmp_path)
    status, out, _ = run(capsys, "--model", str(tmp_path), "--model", "bert-small-imdb", "--pair", "dogs", "the")
    assert status == 0
    assert [(token, i) for token, i, _ in cells(out.split("\n\nbert-small")[0])] == [
        ("[CLS]", 2), ("the", 5), ("[SEP]", 3), ("dog", 6), ("##s", 7), ("[SEP]", 3)
    ]  # fmt: skip
    assert "bert-small-imdb (Bert" in out
    assert "[CLS]" not in run(capsys, "--no-special", "the")[1]
    assert "[CLS]" in run(capsys, "")[1]
    assert "and 8 more tokens" in run(capsys, "--most", "2", "the dog " * 4)[1]


def test_command_reads_files_and_pipes(capsys, tmp_path, monkeypatch):
    (tmp_path / "text").write_bytes("die Tür\n".encode())
    expected = run(capsys, "die Tür\n")
    assert run(capsys, "--file", str(tmp_path / "text")) == expected
    for arguments in ([], ["--file", "-"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("die Tür\n".encode())))
        assert run(capsys, *arguments) == expected


def test_command_writes_files(capsys, tmp_path):
    html, png = str(tmp_path / "a.html"), str(tmp_path / "a.png")
    assert run(capsys, "--html", html, "--picture", png, "the film") == (0, f"wrote {html}\nwrote {png}\n", "")
    assert "<bdi>film</bdi>" in (tmp_path / "a.html").read_text(encoding="utf-8")
    with Image.open(png) as picture:
        assert picture.format == "PNG"


def test_command_refuses(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for arguments, says in [
        (["--model", str(tmp_path / "none"), "a"], "there is no folder"),
        (["--file", str(tmp_path / "none")], "there is no file"),
        (["--file", str(tmp_path / "bytes")], "bytes is not UTF-8"),
        (["bad \udcff"], "the text is not UTF-8 at character 4"),
        (["--html", str(tmp_path / "none" / "a.html"), "a"], "No such file"),
    ]:
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (1, "")
        assert err.startswith("edutransformers tokenize: ")
        assert says in err
        assert err.count("\n") == 1
    for arguments, says in [
        (["a", "--file", "b"], "not both"),
        (["a", "--html", "b.txt"], "must end in .html"),
        (["a", "--most", "-3"], "0 or more"),
        (["a", "--most", "²"], "0 or more"),
    ]:
        with pytest.raises(SystemExit) as caught:
            main(["tokenize", *arguments])
        assert caught.value.code == 2
        assert says in capsys.readouterr().err


def test_when_there_are_colours():
    class Stream(io.StringIO):
        def __init__(self, is_terminal):
            super().__init__()
            self.isatty = lambda: is_terminal

    terminal = {"TERM": "xterm-256color"}
    assert tokens_command._colours(Stream(True), terminal) == 256
    assert tokens_command._colours(Stream(True), {**terminal, "COLORTERM": "truecolor"}) == 24
    assert tokens_command._colours(Stream(True), {**terminal, "NO_COLOR": "1"}) is None
    assert tokens_command._colours(Stream(True), {"TERM": "dumb"}) is None
    assert tokens_command._colours(Stream(True), {}) is None
    assert tokens_command._colours(Stream(False), terminal) is None

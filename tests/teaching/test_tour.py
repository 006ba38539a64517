"""The tour: runs offline, says what is true, and writes a page whose pictures exist."""

import html
import io
import re
from contextlib import redirect_stdout

import pytest
from PIL import Image

from edutransformers.cli import main
from edutransformers.teaching.tour import STATIONS, tour, training
from edutransformers.teaching.tour.reading import REVIEWS
from edutransformers.teaching.tour.writing import MODEL, NEW_TOKENS, PROMPT


@pytest.fixture(scope="module")
def toured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tour") / "page"
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
        patch.setattr(training, "EPOCHS", 2)
        status = tour(str(folder))
    return status, folder, printed.getvalue()


def test_page_names_pictures_that_exist(toured):
    status, folder, _ = toured
    assert status == 0
    page = (folder / "index.html").read_text(encoding="utf-8")
    pictures = re.findall(r'<img src="([^"]+)"', page)
    assert len(pictures) == len(set(pictures)) == 8
    for name in pictures:
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 200
            low, high = picture.convert("L").getextrema()
            assert low < 100 < 250 < high, f"{name} is blank"
    assert len(re.findall(r"<img [^>]*alt=\"[^\"]{20,}\"", page)) == len(pictures)
    assert "$" not in page  # every place of the template was filled


def test_page_tells_the_truth(toured):
    page = (toured[1] / "index.html").read_text(encoding="utf-8")
    for review in REVIEWS:
        assert review in page
    verdicts = re.findall(r"<td class='(good|bad)'>", page)
    assert [verdicts[n] for n in (0, 1, 3)] == ["good", "bad", "bad"]  # the third is a trap, and may go either way
    assert "<strong>0 1 2 3 4 5 6 7 8 9</strong>: 10 right" in page
    assert "spells BERT2018. It writes <strong>BERT2018</strong>" in page
    assert "input 0" in page  # the wrong gradient was caught, and named
    # written.png has a bar for each token; the text has a shade for each, and is what was printed
    tokens = re.findall(r'<span style="background: rgb\(11 83 148 / ([\d.]+)\)" title="([^"]+)">([^<]*)</span>', page)
    assert 5 < len(tokens) <= NEW_TOKENS
    assert all(0 <= float(shade) <= 0.5 and title.count("%") == 3 for shade, title, _ in tokens)
    assert 1 < float(re.search(r"a draw from (\d+) equally", page).group(1)) < 500
    accuracy = float(re.search(r"<strong>([\d.]+)%</strong>", page).group(1))
    assert accuracy > 50  # guessing would be 25


def test_terminal_shows_each_station(toured):
    _, folder, printed = toured
    headings = re.findall(r"^(\d)\. .+", printed, flags=re.M)
    assert headings == [str(number) for number in range(1, len(STATIONS) + 1)]
    assert len(re.findall("<h2>", (folder / "index.html").read_text(encoding="utf-8"))) == len(STATIONS) + 1
    assert f"   {MODEL}: " in printed
    written = re.search(rf"^   {PROMPT}.*?(?=^   as surprising)", printed, flags=re.M | re.S).group()
    page = (folder / "index.html").read_text(encoding="utf-8")
    shown = "".join(re.findall(r'<span style="background[^>]+>([^<]*)</span>', page))
    assert html.unescape(shown).split() == written.split()[len(PROMPT.split()) :]
    assert max(map(len, written.splitlines())) <= 100


def test_command_line(capsys):
    assert main([]) == 2
    assert "tour" in capsys.readouterr().out
    assert main(["bench"]) == 0
    assert "bert" in capsys.readouterr().out
    assert main(["bench", "nothing"]) == 2
    assert "unknown workload 'nothing'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["no-such-command"])
    assert stop.value.code == 2

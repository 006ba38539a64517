"""The tour: runs offline, says what is true, and writes a page whose pictures exist."""

import re

import pytest
from PIL import Image

from edutransformers.cli import main
from edutransformers.teaching.tour import REVIEWS, tour


@pytest.fixture(scope="module")
def toured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tour") / "page"
    status = tour(str(folder), epochs=2)
    return status, folder


def test_page_names_pictures_that_exist(toured):
    status, folder = toured
    assert status == 0
    page = (folder / "index.html").read_text(encoding="utf-8")
    pictures = re.findall(r'<img src="([^"]+)"', page)
    assert len(pictures) == len(set(pictures)) == 5
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
    assert "input 0" in page  # the wrong gradient was caught, and named
    accuracy = float(re.search(r"<strong>([\d.]+)%</strong>", page).group(1))
    assert accuracy > 50  # guessing would be 25


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

"""How Whisper's transcripts are normalized before they are compared."""

import pytest

from edutransformers.tokenizers.classes.whisper_numbers import EnglishNumberNormalizer
from edutransformers.tokenizers.classes.whisper_text import BasicTextNormalizer, EnglishTextNormalizer

SPELLING = {"colour": "color", "mould": "mold"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # whole numbers
        ("two", "2"),
        ("twenty one", "21"),
        ("one hundred and five", "105"),
        ("two thousand three hundred", "2300"),
        ("one million two hundred thousand", "1200000"),
        ("five hundred thousand and one", "500001"),
        # digits said one by one, years
        ("one oh one", "101"),
        ("nineteen eighty four", "1984"),
        ("twenty twenty one", "2021"),
        ("double oh seven", "007"),
        ("triple five", "555"),
        ("double trouble", "double trouble"),
        # endings
        ("twenty first", "21st"),
        ("the third", "the 3rd"),
        ("nineteen sixties", "1960s"),
        ("two hundredth", "200th"),
        ("thousands", "1000s"),
        ("1960 s", "1960s"),
        # decimals
        ("three point one four", "3.14"),
        ("two and a half", "2.5"),
        ("a day and a half later", "a day and a half later"),
        ("one point five million", "1500000"),
        ("1.2 thousand", "1200"),
        ("192 point 168 point 0", "192.168.0"),
        ("the point is", "the point is"),
        # signs, currencies, percent
        ("minus five", "-5"),
        ("plus one", "+one"),
        ("minus this", "minus this"),
        ("twenty dollars", "$20"),
        ("three dollars and seven cents", "$3.07"),
        ("zero dollars", "$0"),
        ("$ 0.07", "$ 0.07"),
        ("$0.07", "¢7"),
        ("some dollars", "some dollars"),
        ("five percent", "5%"),
        ("five per cent", "5%"),
        ("five per day", "5 per day"),
        ("per cent", "per cent"),
        # what stays
        ("one and two", "one and 2"),
        ("ones", "ones"),
        ("this and that", "this and that"),
        ("", ""),
        ("x2", "x 2"),
        ("zero 5", "0 5"),
    ],
)
def test_numbers(text, expected):
    assert EnglishNumberNormalizer()(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mr. Brown's here, isn't he?", "mister brown is here is not he"),
        ("y 'all come", "you all come"),
        ("I've won't gonna let's", "i have will not going to let us"),
        ("He'd been; she's gone", "he had been she has gone"),
        ("um, well [laughter] (inaudible) <noise> yes", "well yes"),
        ("Colour the mould", "color the mold"),
        ("It costs $1,000.50!", "it costs $1000.50"),
        ("No. 5 at 3.5%, not %", "no 5 at 3.5% not "),
        ("Straße, Ærø, naïve", "strasse aero naive"),
        ("St. Paul, Dr. Who", "saint paul doctor who"),
    ],
)
def test_english(text, expected):
    assert EnglishTextNormalizer(SPELLING)(text) == expected


def test_any_language():
    text = "  Ça va? [rires] Très BIEN… Straße (oui) ①"
    assert BasicTextNormalizer()(text) == " ça va très bien straße 1"
    assert BasicTextNormalizer(remove_diacritics=True)(text) == " ca va tres bien strasse 1"
    assert BasicTextNormalizer(split_letters=True)("e\u0301t") == "é t"
    assert BasicTextNormalizer(split_letters=True)("日本") == "日 本"

"""English numbers in digits: "twenty twenty-one" -> "2021", "two hundred and three dollars" -> "$203".

`Number` is the number that is being read; words are read one by one, and each either goes on with it or ends it.
"""

import re
from fractions import Fraction

_ONES = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_THOUSANDS = (
    "thousand", "million", "billion", "trillion", "quadrillion", "quintillion", "sextillion", "septillion",
    "octillion", "nonillion", "decillion",
)  # fmt: skip

ZEROS = ("o", "oh", "zero")
ONES = {name: value for value, name in enumerate(_ONES, start=1)}
TENS = {name: 10 * value for value, name in enumerate(_TENS, start=2)}
MULTIPLIERS = {"hundred": 100, **{name: 1000**power for power, name in enumerate(_THOUSANDS, start=1)}}
SIGNS = {"minus": "-", "negative": "-", "plus": "+", "positive": "+"}
CURRENCIES = {
    **dict.fromkeys(("pound", "pounds"), "£"),
    **dict.fromkeys(("euro", "euros"), "€"),
    **dict.fromkeys(("dollar", "dollars"), "$"),
    **dict.fromkeys(("cent", "cents"), "¢"),
}
REPEATS = {"double": 2, "triple": 3}
PREFIXES = {*SIGNS.values(), *CURRENCIES.values()}

# With an ending a number is complete: {word: (value, ending)}.
_IRREGULAR = {"first": "one", "second": "two", "third": "three", "fifth": "five", "twelfth": "twelve"}
ONES_ENDED = {
    **{name + ("es" if name == "six" else "s"): (value, "s") for name, value in ONES.items()},
    "zeroth": (0, "th"),
    **{ordinal: (ONES[name], "th") for ordinal, name in _IRREGULAR.items()},
    "first": (1, "st"),
    "second": (2, "nd"),
    "third": (3, "rd"),
    **{
        name + ("h" if name.endswith("t") else "th"): (value, "th")
        for name, value in ONES.items()
        if value > 3 and name not in _IRREGULAR.values()
    },
}
TENS_ENDED = {
    name[:-1] + ending: (value, short)
    for ending, short in (("ies", "s"), ("ieth", "th"))
    for name, value in TENS.items()
}
MULTIPLIERS_ENDED = {name + ending: (value, ending) for ending in ("s", "th") for name, value in MULTIPLIERS.items()}

WORDS = {
    *ZEROS, *ONES, *ONES_ENDED, *TENS, *TENS_ENDED, *MULTIPLIERS, *MULTIPLIERS_ENDED, *SIGNS, *CURRENCIES, *REPEATS,
    "and", "point", "per", "percent",
}  # fmt: skip
DECIMALS = {*ZEROS, *ONES, *TENS}  # what may stand behind "point"
_DIGITS = re.compile(r"\d+(\.\d+)?")


class EnglishNumberNormalizer:
    """Spelled numbers of a lower-case text in digits.

    Endings stay ("sixties" -> "60s", "twenty first" -> "21st"), a currency comes before ("$20"), digits said one by one
    are joined ("one oh one" -> "101"), and "one" and "ones" alone stay words.
    """

    def __call__(self, text: str) -> str:
        words = self._prepare(text).split()
        reader = Number()
        place = 0
        while place < len(words):
            before = words[place - 1] if place else None
            behind = words[place + 1] if place + 1 < len(words) else None
            place += reader.read(before, words[place], behind)
        reader.end()
        return self._finish(" ".join(reader.done))

    def _prepare(self, text: str) -> str:
        """Halves in digits, a blank between digits and letters but before endings such as "1960s"."""
        first, *others = re.split(r"\band\s+a\s+half\b", text)
        parts = [first] if first.strip() else []
        for before, segment in zip([first, *others], others):
            if before.strip():
                last = before.split()[-1]
                parts.append("point five" if last in DECIMALS or last in MULTIPLIERS else "and a half")
            if segment.strip():
                parts.append(segment)
        text = " ".join(parts)
        text = re.sub(r"([a-z])([0-9])", r"\1 \2", text)
        text = re.sub(r"([0-9])([a-z])", r"\1 \2", text)
        return re.sub(r"([0-9])\s+(st|nd|rd|th|s)\b", r"\1\2", text)

    def _finish(self, text: str) -> str:
        """ "$2 and ¢7" -> "$2.07", "$0.07" -> "¢7", "1" -> "one"."""
        text = re.sub(
            r"([€£$])([0-9]+) (?:and )?¢([0-9]{1,2})\b", lambda match: f"{match[1]}{match[2]}.{int(match[3]):02d}", text
        )
        text = re.sub(r"[€£$]0.([0-9]{1,2})\b", lambda match: f"¢{int(match[1])}", text)
        return re.sub(r"\b1(s?)\b", r"one\1", text)


class Number:
    """The number being read, and what has been read.

    value    None, an int that further words may add to or multiply, or digits (str) that further words may follow
    prefix   a sign or currency to be written before it
    done     the words read, numbers among them in digits
    """

    def __init__(self):
        self.value: int | str | None = None
        self.prefix = ""
        self.done: list[str] = []

    def write(self, what) -> None:
        self.done.append(f"{self.prefix}{what}")
        self.value, self.prefix = None, ""

    def end(self) -> None:
        """End the number, if there is one."""
        if self.value is not None:
            self.write(self.value)

    def read(self, before: str | None, word: str, behind: str | None) -> int:
        """Read a word, knowing its neighbours; returns how many words have been read, 1 or 2."""
        behind_is_number = behind in WORDS or (behind is not None and _DIGITS.fullmatch(behind) is not None)
        if _DIGITS.fullmatch(word[1:] if word[0] in PREFIXES else word):
            self._digits(word)
        elif word not in WORDS:
            self.end()
            self.write(word)
        elif word in ZEROS:
            self._append("0")
        elif word in ONES:
            self.value = self._with_ones(ONES[word], before)
        elif word in TENS:
            self.value = self._with_tens(TENS[word])
        elif word in ONES_ENDED:
            value, ending = ONES_ENDED[word]
            self.write(f"{self._with_ones(value, before)}{ending}")
        elif word in TENS_ENDED:
            value, ending = TENS_ENDED[word]
            self.write(f"{self._with_tens(value)}{ending}")
        elif word in MULTIPLIERS:
            self.value = self._times(MULTIPLIERS[word])
        elif word in MULTIPLIERS_ENDED:
            value, ending = MULTIPLIERS_ENDED[word]
            self.write(f"{self._times(value)}{ending}")
        elif word in SIGNS:
            self.end()
            if behind_is_number:
                self.prefix = SIGNS[word]
            else:
                self.write(word)
        elif word in CURRENCIES:
            if self.value is None:
                self.write(word)
            else:
                self.prefix = CURRENCIES[word]
                self.end()
        elif word in ("per", "percent"):
            return self._percent(word, behind)
        elif not behind_is_number:  # "and", "point", "double", "triple" before no number are words
            self.end()
            self.write(word)
        elif word == "and":
            if before not in MULTIPLIERS:  # "two hundred and one"
                self.end()
                self.write(word)
        elif word == "point":
            if behind in DECIMALS or _DIGITS.fullmatch(behind):
                self._append(".")
        elif behind in ONES or behind in ZEROS:
            self._append(str(ONES.get(behind, 0)) * REPEATS[word])
            return 2
        else:
            self.end()
            self.write(word)
        return 1

    def _digits(self, word: str) -> None:
        if isinstance(self.value, str) and self.value.endswith("."):  # decimals, or the next part of an IP address
            self.value += word
            return
        self.end()
        if word[0] in PREFIXES:
            self.prefix, word = word[0], word[1:]
        number = Fraction(word)
        self.value = number.numerator if number.denominator == 1 else word

    def _append(self, digits: str) -> None:
        self.value = f"{self.value or ''}{digits}"

    def _with_ones(self, ones: int, before: str | None) -> int | str:
        if self.value is None:
            return ones
        if isinstance(self.value, str) or before in ONES:
            if before in TENS and ones < 10:  # "twenty twenty one": the last zero makes room
                return f"{self.value[:-1]}{ones}"
            return f"{self.value}{ones}"
        return self._added(ones, 10 if ones < 10 else 100)

    def _with_tens(self, tens: int) -> int | str:
        if self.value is None:
            return tens
        return f"{self.value}{tens}" if isinstance(self.value, str) else self._added(tens, 100)

    def _added(self, number: int, room: int) -> int | str:
        """Added where there are zeros for it ("hundred" "five"), else written behind ("fifteen" "five")."""
        return self.value + number if self.value % room == 0 else f"{self.value}{number}"

    def _times(self, multiplier: int) -> int:
        if self.value is None:
            return multiplier
        if isinstance(self.value, int) and self.value != 0:
            return self.value // 1000 * 1000 + self.value % 1000 * multiplier
        product = _product(self.value, multiplier)  # "1.5" "million"
        if product is not None:
            return product
        self.write(self.value)
        return multiplier

    def _percent(self, word: str, behind: str | None) -> int:
        is_percent = word == "percent" or behind == "cent"
        if self.value is not None and is_percent:
            self.write(f"{self.value}%")
            return 1 if word == "percent" else 2
        self.end()
        self.write(word)
        return 1


def _product(value: int | str, multiplier: int) -> int | None:
    """The product if it is a whole number."""
    try:
        product = Fraction(value) * multiplier
    except ValueError:  # digits with several points
        return None
    return product.numerator if product.denominator == 1 else None

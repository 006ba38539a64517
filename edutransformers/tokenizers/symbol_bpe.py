"""BPE as subword-nmt and fastBPE do it, whose merges join symbols that need not be tokens: CTRL's and XLM's.

    merges       l o    lo w    e r</w>            symbols end with "</w>" where the word ends
    vocabulary   low@@  er                         CTRL's; XLM's writes the same pieces as  low  er</w>

Their vocabulary is what was counted in a text after the merges. A symbol that is always merged further ("lo") is no
token then, and a rare one is none either: so merges and vocabulary are two things, and only the pieces that are left
when all merges are done are looked up. (`BPE` knows its merges as pairs of ids, which need every symbol in the
vocabulary.)

Source: Sennrich, Haddow and Birch 2016 (subword-nmt).
"""

from edutransformers.tokenizers.bpe import SHORT, merge_short, merge_with_heap
from edutransformers.tokenizers.wordpiece import Token, check_vocabulary

END = "</w>"  # ends the last symbol of a word in the merges
_NO_SYMBOL = -1  # a character that no merge has


class SymbolBPE:
    """BPE over merges [(left symbol, right symbol), ...], earliest first, and a vocabulary {piece: id}.

    inside     what is written behind a piece that doesn't end its word: "@@" in CTRL's vocabulary
    last       what is written behind one that does: "</w>" in XLM's
    unk_token  stands for every piece that the vocabulary lacks

    Raises ValueError for an empty vocabulary, two tokens with one id, and an unknown piece without an unknown token.
    """

    is_random = False

    def __init__(
        self,
        vocab: dict[str, int],
        merges: list[tuple[str, str]],
        unk_token: str = "<unk>",
        inside: str = "",
        last: str = END,
    ):
        check_vocabulary(vocab)
        self.vocab = vocab
        self.merge_list = merges
        self.unk_token = unk_token
        self.inside, self.last = inside, last
        self.id_to_token = {i: token for token, i in vocab.items()}
        self._symbols: dict[str, int] = {}
        number = self._symbols.setdefault
        self._merges = {}
        for rank, (left, right) in enumerate(merges):
            pair = number(left, len(self._symbols)), number(right, len(self._symbols))
            self._merges[pair] = (rank, number(left + right, len(self._symbols)))

    def tokenize(self, word: str) -> list[Token]:
        if not word:
            return []
        symbols = [*word[:-1], word[-1] + END]
        ids = [self._symbols.get(symbol, _NO_SYMBOL) for symbol in symbols]
        spans = [(place, place + 1) for place in range(len(word))]
        merge = merge_short if len(ids) <= SHORT else merge_with_heap
        merge(ids, spans, self._merges)
        return [self._token(word, start, stop) for start, stop in spans]

    def _token(self, word: str, start: int, stop: int) -> Token:
        piece = word[start:stop] + (self.last if stop == len(word) else self.inside)
        i = self.vocab.get(piece)
        if i is not None:
            return Token(i, start, stop)
        unknown = self.vocab.get(self.unk_token)
        if unknown is None:
            raise ValueError(
                f"The piece {piece[:40]!r} is not in the vocabulary, and neither is the unknown token "
                f"{self.unk_token!r}: add it to the vocabulary or pass the right unk_token."
            )
        return Token(unknown, start, stop, piece)

    def name(self, symbol: str) -> str:
        """A symbol of the merges as the vocabulary writes it."""
        return symbol.removesuffix(END) + self.last if symbol.endswith(END) else symbol + self.inside

    def writable_merges(self) -> list[tuple[str, str]]:
        """The merges, for merges.txt. Raises ValueError for one that a line of it can't hold."""
        for pair in self.merge_list:
            if any(character.isspace() for symbol in pair for character in symbol):
                raise ValueError(f"merges.txt can't hold the merge {pair!r}: it has white space in it.")
        return self.merge_list

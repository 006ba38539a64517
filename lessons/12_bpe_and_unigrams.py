# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: "Byte-pair encoding and unigrams, trained by hand"
#     minutes: 100
#     goal: You train a vocabulary in both ways that are in use, by merging frequent pairs and by expectation maximization over all cuts of a word, and your merges, cuts and counts are the library's.
#     needs: [1, 5]
# ---

# %% [markdown]
# In lesson 05 the vocabulary was given. Where does it come from? Nobody writes it by hand: it is *learned* from a text, before
# any model is trained, by looking at what occurs often. There are two schools, and nearly every model of today uses one of
# them:
#
# | | **byte-pair encoding** (BPE) | **unigram language model** |
# |---|---|---|
# | begins with | single characters | far too many pieces |
# | then | joins the most frequent pair, again and again | drops the piece that is missed least, again and again |
# | a word is cut | by making the same joins in the same order | in the most probable way |
# | used by | GPT-2 and its family, RoBERTa, Llama, Whisper | T5, ALBERT, XLNet, XLM-RoBERTa |
#
# The first needs counting and nothing else. The second is a small probabilistic model, and training it needs a sum over *all*
# cuts of a word. That sum has a gradient, and the gradient turns out to be just what we look for.

# %%
import inspect
import math
import re
from collections import Counter

import numpy as np
import regex

from edutransformers import AutoTokenizer
from edutransformers.teaching import lesson_plots, plots
from edutransformers.teaching.tokens import show_tokens

plots.show(
    lesson_plots.flow(
        [("text", "a str"), "split, count", ("words", "with counts"), "train, once", ("pieces", "V of them"),
         "cut each word", ("ids", "(B, T)")],
    ),
    alt="Four boxes from left to right: a text is split into words with counts, from which a vocabulary of V pieces is "
    "trained, once; with it each word is cut, which gives ids of shape B by T.",
)  # fmt: skip

# %% [markdown]
# ## 1 · Joining a pair
#
# Both schools start by splitting the text into words and counting them: no piece will reach across the border of two words,
# and a word that comes a thousand times is looked at once. Here is a text of six different words:

# %%
word_counts = {"film": 6, "films": 3, "filming": 2, "cut": 5, "cutting": 4, "sitting": 2}

# %% [markdown]
# BPE writes each word as its characters, `f i l m`, and then joins neighbours. The tool for that comes first. Joining the pair
# (`t`, `t`) in `c u t t i n g` gives `c u tt i n g`. It goes from left to right, and what was joined is not joined again in the
# same walk: with the pair (`a`, `a`), `a a a` becomes `aa a`, and `a a a a` becomes `aa aa`.
#
# **Exercise 1.** Write `join_pair(pieces, pair)`: a list of pieces and a pair (left, right) to a new list.


# %% exercise="join_pair"
def join_pair(pieces, pair):
    """["c", "u", "t", "t"], ("t", "t") -> ["c", "u", "tt"]"""
    ### BEGIN SOLUTION
    joined, place = [], 0
    while place < len(pieces):
        if tuple(pieces[place : place + 2]) == tuple(pair):
            joined.append(pieces[place] + pieces[place + 1])
            place += 2
        else:
            joined.append(pieces[place])
            place += 1
    return joined
    ### END SOLUTION


# %% check="join_pair" points=2
from edutransformers.teaching.checks.lesson12 import check_join_pair

check_join_pair(join_pair)

# %% [markdown] hints="join_pair"
# Walk with a place that sometimes goes on by one and sometimes by two. A `for` loop over the pieces can't skip; `while` can.
# ---
# At each place: do the next two pieces equal the pair? Then keep their sum (strings add up to a longer string) and go on by
# two. Otherwise keep the one piece and go on by one. At the last place there are no two pieces: `pieces[place : place + 2]` is
# just shorter then, and equals no pair.
# ---
# ```python
# joined, place = [], 0
# while place < len(pieces):
#     if tuple(pieces[place : place + 2]) == tuple(pair):
#         joined.append(pieces[place] + pieces[place + 1])
#         place += ...
#     else:
#         ...
# return joined
# ```

# %% [markdown]
# ## 2 · Learning the merges
#
# Now the training, which is a loop over one thought: **which two neighbours stand together most often? Make them one.**
#
# 1. Count every pair of neighbours, in every word, each as often as the word occurs. In our text (`i`, `n`) stands in
#    "filming" (2), "cutting" (4) and "sitting" (2), so its count is 8.
# 2. Take the pair with the highest count, note it as the next **merge**, and join it in all words.
# 3. Count *anew*, because the pairs have changed, and so on.
#
# Equal counts are frequent, and then somebody has to decide, or two runs give two vocabularies. The rule of the `tokenizers`
# library: every piece has a number, characters in the order of their code points (`sorted`), then new pieces as they are made.
# Of equally frequent pairs, the one whose *left* piece has the smaller number goes first; if that is the same, the one whose
# *right* piece has the smaller number.
#
# In our text `f i`, `i l` and `l m` all stand together 11 times. The numbers are c 0, f 1, g 2, i 3, l 4, m 5 …, so `f i` goes
# first, and becomes number 10, as there are ten characters.
#
# **Exercise 2.** Write `learn_merges(word_counts, number)`: a dictionary {word: count} to the list of the first `number`
# merges, as pairs (left, right). If no pair is left, there are fewer. It may use `join_pair`.


# %% exercise="learn_merges"
def learn_merges(word_counts, number):
    """{"aab": 2}, 2 -> [("a", "a"), ("aa", "b")]"""
    ### BEGIN SOLUTION
    words = {word: list(word) for word in word_counts}
    numbers = {character: i for i, character in enumerate(sorted(set("".join(word_counts))))}
    merges = []
    for _ in range(number):
        counts = Counter()
        for word, pieces in words.items():
            for pair in zip(pieces, pieces[1:]):
                counts[pair] += word_counts[word]
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], numbers[pair[0]], numbers[pair[1]]))
        merges.append(best)
        numbers.setdefault("".join(best), len(numbers))
        for word, pieces in words.items():
            if best[0] in pieces:
                words[word] = join_pair(pieces, best)
    return merges
    ### END SOLUTION


# %% check="learn_merges" points=3
from edutransformers.teaching.checks.lesson12 import check_learn_merges

check_learn_merges(learn_merges)

# %% [markdown] hints="learn_merges"
# Keep three things: the words as lists of pieces, the number of every piece, and the merges so far. `zip(pieces, pieces[1:])`
# goes through the neighbours.
# ---
# `Counter()` counts: `counts[pair] += word_counts[word]`. The best pair is a minimum: of `(-count, number of the left, number
# of the right)`, because Python compares tuples entry by entry. `min(counts, key=...)`.
# ---
# ```python
# words = {word: list(word) for word in word_counts}
# numbers = {character: i for i, character in enumerate(sorted(set("".join(word_counts))))}
# merges = []
# for _ in range(number):
#     counts = Counter()
#     ...                                                  # step 1
#     if not counts:
#         break
#     best = min(counts, key=lambda pair: (-counts[pair], numbers[pair[0]], numbers[pair[1]]))
#     merges.append(best)
#     numbers.setdefault("".join(best), len(numbers))      # a new piece has the next number
#     words = {word: ... for word, pieces in words.items()}
# return merges
# ```

# %%
merges = [tuple(pair) for pair in learn_merges(word_counts, 12)]
words = {word: list(word) for word in word_counts}
for number, pair in enumerate(merges, 1):
    words = {word: join_pair(pieces, pair) for word, pieces in words.items()}
    print(f"{number:2}. {' + '.join(pair):11}", *(f"{' '.join(pieces):13}" for pieces in words.values()))

# %% [markdown]
# Look at what came out by counting alone: a stem, `film`, an ending, `ing`, and a doubled consonant's `ting`. And at what
# didn't: nothing says that "filming" should not be one piece; it is only too rare so far.
#
# ### The same merges as the library's, and as the original's
#
# The list below is what `tokenizers` 0.23 (the original's Rust library) learns from the same words. Then a real text: NumPy's
# documentation, and the package's own trainer.

# %%
from edutransformers.tokenizers.training import bpe_from_counts

ORIGINAL_MERGES = ["f i", "l m", "fi lm", "c u", "cu t", "i n", "in g", "t ing", "cut ting", "film s", "i t", "s it"]
assert [" ".join(pair) for pair in merges] == ORIGINAL_MERGES


def documentation_of(module):
    """The docstrings of all that a module offers."""
    found = {inspect.getdoc(getattr(module, name, None)) for name in dir(module) if not name.startswith("_")}
    return sorted(text for text in found if text)


text = " ".join(documentation_of(np))
corpus = Counter(word for word in re.findall("[a-z]+", text.lower()) if len(word) <= 14)
corpus = {word: count for word, count in corpus.items() if count >= 5}
alphabet = sorted(set("".join(corpus)))
MERGES = 374
learned = [tuple(pair) for pair in learn_merges(corpus, MERGES)]
_, library_merges = bpe_from_counts(corpus, vocab_size=1000, show_progress=False)
print(f"{len(corpus)} different words, {sum(corpus.values()) // 1000} thousand in all")
print(f"merge for merge the library's: {learned == library_merges[:MERGES]}")
print("first:", *("".join(pair) for pair in learned[:14]))
print("last: ", *("".join(pair) for pair in learned[-8:]))

# %% [markdown]
# The library learns the same list, but doesn't count anew. A merge changes pairs only in the words that have it, so each pair
# knows its words, and a heap keeps the most frequent pair at hand. Ours looks at every word for every merge: fine for 2,000
# words and 374 merges, hopeless for a million words and 50,000.
#
# ## 3 · Cutting a word by its merges
#
# A new word comes, "sittings". It is cut by **replaying the training**: start with characters, and make the merges in the order
# in which they were learned. Its frequency plays no part any more, only the **rank** of each merge, its place in the list.
#
# Going through a list of 50,000 merges for each word would be slow. The same result comes from looking at the word: of all
# pairs of neighbours in it, join the one with the *lowest rank*; repeat until no pair is a merge.
#
# This is not "the longest first", as in lesson 05. Suppose the merges are `b c`, then `a b`, then `ab d`. "abc" is cut
# `a bc`, because `b c` was learned earlier; longest-first would take `ab`. Each tokenizer has to cut as the one that its
# model was trained with.
#
# **Exercise 3.** Write `merge_word(word, ranks)`: `ranks` is a dictionary {(left, right): rank}, 0 for the first merge.


# %% exercise="merge_word"
def merge_word(word, ranks):
    """ "cuts", {("c", "u"): 0, ("cu", "t"): 1} -> ["cut", "s"]"""
    ### BEGIN SOLUTION
    pieces = list(word)
    while True:
        known = [pair for pair in zip(pieces, pieces[1:]) if pair in ranks]
        if not known:
            return pieces
        pieces = join_pair(pieces, min(known, key=ranks.get))
    ### END SOLUTION


# %% check="merge_word" points=2
from edutransformers.teaching.checks.lesson12 import check_merge_word

check_merge_word(merge_word)

# %% [markdown] hints="merge_word"
# A loop that ends when there is nothing to join. In each turn: which pairs of neighbours are among the merges, and which of
# them was learned first?
# ---
# `[pair for pair in zip(pieces, pieces[1:]) if pair in ranks]` are the candidates; `min(candidates, key=ranks.get)` is the one
# with the lowest rank. You have a function that joins it.
# ---
# ```python
# pieces = list(word)
# while True:
#     known = [pair for pair in zip(pieces, pieces[1:]) if pair in ranks]
#     if not known:
#         return ...
#     pieces = ...
# ```

# %%
ranks = {pair: rank for rank, pair in enumerate(merges)}
for word in ("films", "sittings", "filmcut", "mist"):
    print(f"{word:10}", *merge_word(word, ranks))

# %% [markdown] instructor=true
# Have the class find a word where "longest first" and "lowest rank first" differ with the real vocabulary; it takes some
# looking, and shows how alike they mostly are. A second question: must all places of a pair be joined at once, or one after the
# other? With merges that were learned as above both give the same, since what a merge makes has no merge of lower rank; the
# checker accepts either.

# %% [markdown]
# ## 4 · Bytes: nothing is unknown
#
# What of a character that was in no training text: 東, or 😀? With characters as the alphabet it is `[UNK]`, and all
# 150,000 of Unicode would fill GPT-2's vocabulary of 50,257 three times over. GPT-2's answer is to look one level deeper. A text in a
# file is bytes anyway; UTF-8 writes each character as one to four of them. **There are only 256 bytes**, so with these as the
# alphabet *every* text can be written, and frequent sequences of bytes (a whole "é", a whole word) are joined like anything
# else.
#
# One practical matter: bytes 0 to 32 are control characters and the blank, and merges are stored in a text file with blanks
# between the pieces. So each byte gets a *visible* character: printable ones stand for themselves, the 68 others become the
# characters from U+0100 on, in order. The blank, byte 32, becomes `Ġ`, and a line's end `Ċ`.

# %%
printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
others = [byte for byte in range(256) if byte not in printable]
shown_as = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
assert len(set(shown_as.values())) == 256


def as_bytes(text):
    """The text's UTF-8 bytes, each as its visible character."""
    return "".join(shown_as[byte] for byte in text.encode("utf-8"))


for character in ("e", " ", "\n", "é", "東", "😀"):
    print(f"{character!r:5} {list(character.encode('utf-8'))} shown as {as_bytes(character)}")

# %% [markdown]
# The other half of GPT-2's tokenizer is how it finds words. **The blank belongs to the word behind it**: " film" and "film" are
# two words, `Ġfilm` and `film`. So nothing is thrown away, no case, no blank, no line's end, and decoding is exact. That is
# what a model needs which *writes*. With its pattern, your `merge_word` and the merges that ship with the package's small GPT-2
# you have its tokenizer:

# %%
gpt2 = AutoTokenizer.from_pretrained("edutransformers/gpt2-small-imdb")
gpt2_vocabulary = gpt2.get_vocab()
gpt2_ranks = {pair: rank for rank, pair in enumerate(gpt2._engine.model.merge_list())}
# A short ending behind an apostrophe; letters, digits or other signs, each with one blank before; or blanks by themselves.
WORDS = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


def gpt2_ids(text):
    """A text -> GPT-2's ids."""
    words = [as_bytes(word) for word in WORDS.findall(text)]
    cut = {word: merge_word(word, gpt2_ranks) for word in set(words)}  # each different word is cut once
    return [gpt2_vocabulary[piece] for word in words for piece in cut[word]]


def gpt2_text(ids):
    """GPT-2's ids -> the text, exactly."""
    byte_of = {character: byte for byte, character in shown_as.items()}
    pieces = sorted(gpt2_vocabulary, key=gpt2_vocabulary.get)
    return bytes(byte_of[character] for i in ids for character in pieces[i]).decode("utf-8")


# With tokenizers 0.23, the original's Rust library, from the same merges:
ORIGINAL_IDS = [41, 84, 325, 493, 659, 752, 84, 541, 26, 221, 258, 275, 65, 70, 1633, 293, 221, 163, 252, 110, 161, 119,
                106, 221, 173, 254, 247, 223, 1, 199]  # fmt: skip
strange = "It's unforgettable:  a café in 東京 😀!\n"
assert gpt2_ids(strange) == ORIGINAL_IDS
assert gpt2_text(gpt2_ids(strange)) == strange

texts = documentation_of(np)[::40]
print(
    f"{len(texts)} docstrings, all ids as the library's:",
    all(gpt2_ids(text) == gpt2(text, verbose=False)["input_ids"] for text in texts),
)
print("all of them come back exactly:", all(gpt2_text(gpt2_ids(text)) == text for text in texts))

# %%
bert = AutoTokenizer.from_pretrained("edutransformers/bert-small-imdb")
plots.show(
    show_tokens([bert, gpt2], "Unforgettable: a café in 東京 😀!", add_special_tokens=False).figure(),
    alt="The same sentence cut by two tokenizers. BERT's WordPiece has the lower-cased word unforgettable whole, and three red "
    "unknown tokens for two Chinese characters and an emoji. GPT-2's byte-level BPE has more tokens, among them single bytes "
    "for those characters, and none is unknown.",
)

# %% [markdown]
# The price is length: a script that the training text hardly had costs two or three tokens for each *character*, and whoever
# pays by the token pays more for Thai than for English.
#
# ## 5 · Unigrams: the most probable cut
#
# The other school asks a different question: *how probable* is a cut? Suppose a word comes about by drawing pieces one after
# the other, each by itself, with probability $p(\text{piece})$. Then a cut into pieces $e_1, \dots, e_n$ has the probability
#
# $$P(e_1, \dots, e_n) = \prod_{i=1}^{n} p(e_i), \qquad \log P = \sum_i s(e_i) \quad\text{with the scores } s = \log p .$$
#
# ("Unigram" means that each piece is drawn without looking at the one before.) The best cut is the one with the highest sum of
# scores. Few pieces are good, as each one costs; probable pieces are good, as they cost less.

# %%
p = {
    "f": 0.03, "i": 0.06, "l": 0.05, "m": 0.04, "s": 0.06, "n": 0.05, "g": 0.04, "c": 0.03, "u": 0.03, "t": 0.05,
    "film": 0.10, "films": 0.03, "ing": 0.12, "in": 0.06, "cut": 0.08, "ming": 0.02, "tt": 0.02, "ting": 0.05,
    "sit": 0.04, "fil": 0.04,
}  # fmt: skip
scores = {piece: math.log(probability) for piece, probability in p.items()}


def all_cuts(word, scores):
    """Every way to cut the word into pieces that have a score."""
    if not word:
        return [[]]
    return [
        [word[:stop], *rest]
        for stop in range(1, len(word) + 1) if word[:stop] in scores
        for rest in all_cuts(word[stop:], scores)
    ]  # fmt: skip


def score_of(cut, scores):
    return sum(scores[piece] for piece in cut)


cuts = sorted(all_cuts("filming", scores), key=lambda cut: -score_of(cut, scores))
print(f"{len(cuts)} cuts of filming; the best and the worst:")
for cut in [*cuts[:4], cuts[-1]]:
    print(f"{math.exp(score_of(cut, scores)):.1e}  {' '.join(cut)}")

# %% [markdown]
# A word of n characters has up to $2^{n-1}$ cuts (between any two characters: cut or don't), which for a long word is hopeless.
# But the cuts share their parts. They are all ways through one **lattice**: a node before, between and behind the characters,
# and an arc for each piece that fits there.

# %%
best = cuts[0]
borders = np.cumsum([0, *map(len, best)])
chosen = set(zip(borders[:-1].tolist(), borders[1:].tolist()))
word = "filming"
arcs = [
    (start, stop, f"{word[start:stop]} {p[word[start:stop]]:g}", (start, stop) in chosen)
    for start in range(len(word)) for stop in range(start + 1, len(word) + 1) if word[start:stop] in p
]  # fmt: skip
plots.show(
    lesson_plots.lattice(word, arcs, "All cuts of “filming”; the most probable one in blue"),
    alt="Eight nodes in a row, with the characters of filming between them. Arcs over them are the pieces with their "
    "probabilities: flat ones for single characters, wider and higher ones for fil, film, in, ing and ming. The arcs film and "
    "ing are blue and thick: together they lead from the left end to the right.",
)

# %% [markdown]
# Now the idea that makes it fast (Viterbi, 1967). Let $b(\textit{stop})$ be the score of the best cut of the first
# $\textit{stop}$ characters. Its last piece begins at some $\textit{start}$, and what comes before that piece must itself be
# the *best* cut up to $\textit{start}$; otherwise we could replace it by a better one. So
#
# $$b(0) = 0, \qquad b(\textit{stop}) = \max_{\textit{start} < \textit{stop}} \; b(\textit{start}) + s(\text{word}[\textit{start}{:}\textit{stop}])$$
#
# over the starts for which the piece exists. One walk from left to right fills in all $b$; at each place note *where the best
# last piece began*, and walk back from the end along these notes.
#
# **Exercise 4.** Write `best_cut(word, scores)`: the list of pieces of the best cut. All single characters of the word have
# scores, so there always is one. Words may have 40 characters, so don't list all cuts.


# %% exercise="best_cut"
def best_cut(word, scores):
    """ "filming" -> ["film", "ing"]"""
    ### BEGIN SOLUTION
    best = [0.0] + [-math.inf] * len(word)
    begins = [0] * (len(word) + 1)
    for stop in range(1, len(word) + 1):
        for start in range(stop):
            piece = word[start:stop]
            if piece in scores and best[start] + scores[piece] > best[stop]:
                best[stop], begins[stop] = best[start] + scores[piece], start
    cut, stop = [], len(word)
    while stop > 0:
        cut.append(word[begins[stop] : stop])
        stop = begins[stop]
    return cut[::-1]
    ### END SOLUTION


# %% check="best_cut" points=3
from edutransformers.teaching.checks.lesson12 import check_best_cut

check_best_cut(best_cut)

# %% [markdown] hints="best_cut"
# Two lists with an entry for every place from 0 to `len(word)`: the best score so far, and where the last piece began. Two
# loops, over `stop` and over `start < stop`, fill them.
# ---
# `best = [0.0] + [-math.inf] * len(word)`: minus infinity stands for "not reached", and anything is better. For each pair of
# places whose piece has a score: is `best[start] + scores[piece]` larger than `best[stop]`? Then write down both, the score and
# `start`. The cut is then read from the *end*: the last piece is `word[begins[-1]:]`.
# ---
# ```python
# best = [0.0] + [-math.inf] * len(word)
# begins = [0] * (len(word) + 1)
# for stop in range(1, len(word) + 1):
#     for start in range(stop):
#         piece = word[start:stop]
#         if piece in scores and best[start] + scores[piece] > best[stop]:
#             best[stop], begins[stop] = ...
# cut, stop = [], len(word)
# while stop > 0:
#     cut.append(word[begins[stop] : stop])
#     stop = ...
# return cut[::-1]
# ```

# %%
from edutransformers.tokenizers import Unigram

ORIGINAL_CUTS = {
    "filming": "film ing",
    "cutting": "cut ting",
    "sitting": "sit ting",
    "films": "films",
    "cuttings": "cut ting s",
}
library = Unigram([("<unk>", 0.0), *scores.items()], unk_id=0)
for word, original in ORIGINAL_CUTS.items():  # by tokenizers 0.23, models.Unigram
    cut = list(best_cut(word, scores))
    assert cut == [library.id_to_token[edge.id] for edge in library.best_cut(word)] == original.split(" ")
    print(f"{word:10}", *cut)

# %% [markdown]
# ## 6 · Where the probabilities come from
#
# So far the $p$ were invented. They should make the text probable:
#
# $$L(p) = \sum_{\text{words } w} \text{count}(w)\, \log Z(w), \qquad Z(w) = \sum_{\text{cuts of } w} \; \prod_{e \text{ in the cut}} p(e)$$
#
# $Z(w)$ is the probability that the word comes about *at all*, by whatever cut. Had somebody told us how each word of the text
# was cut, it would be easy: count the pieces, divide by the total. But nobody has, and to cut well we need the probabilities.
# The way out of this circle is **expectation maximization** (EM):
#
# * **E-step.** With the $p$ as they are: how often is each piece *expected* in the text? Each word is shared out among all its
#   cuts, each by its share of $Z$.
# * **M-step.** Take these expected counts $c(e)$ as if they had been counted: $p(e) = c(e) / \sum_{e'} c(e')$.
#
# Why does that help? Given counts, the $p$ that make $\sum_e c(e) \log p(e)$ largest under $\sum_e p(e) = 1$ are just those:
# at the maximum the derivatives $c(e)/p(e)$ must all be equal to one number $\lambda$ (otherwise moving some probability from a
# piece with a small derivative to one with a large would gain), so $p(e) = c(e)/\lambda$, and $\lambda$ is the total. And no
# step makes the text less probable: with $P'$ and $Z'$ for the new probabilities of a cut and a word,
#
# $$\log \frac{Z'}{Z} = \log \sum_{\text{cuts}} \frac{P}{Z} \cdot \frac{P'}{P} \;\ge\; \sum_{\text{cuts}} \frac{P}{Z}\, \log \frac{P'}{P} .$$
#
# The shares $P/Z$ add up to 1, and the logarithm of a mean is never below the mean of the logarithms, as its curve bends
# downwards (Jensen's inequality). Summed over all words, the right side is $\sum_e c(e) \log p'(e) - \sum_e c(e) \log p(e)$.
# The M-step makes that as large as it can be; keeping the old $p$ would make it 0, so it isn't negative.
#
# ### The sum over all cuts, forward
#
# As in Viterbi's walk, with a sum in place of the maximum. Let $\alpha(\textit{stop})$ be the summed probability of all cuts of
# the first $\textit{stop}$ characters:
#
# $$\alpha(0) = 1, \qquad \alpha(\textit{stop}) = \sum_{\textit{start} < \textit{stop}} \alpha(\textit{start})\; p(\text{word}[\textit{start}{:}\textit{stop}]), \qquad Z = \alpha(\text{end})$$
#
# ### Backward: the expected counts are a gradient
#
# **Step 1: the derivative of $\log Z$ by a score.** With $s = \log p$, a cut's probability is $e^{\sum s}$, and a piece that is
# $k$ times in the cut gives the derivative $k \cdot e^{\sum s}$. So
#
# $$\frac{\partial \log Z}{\partial s(e)} = \frac{1}{Z} \sum_{\text{cuts}} k_e(\text{cut})\; P(\text{cut}) = \sum_{\text{cuts}} k_e(\text{cut})\; \frac{P(\text{cut})}{Z} = c(e).$$
#
# Each cut counts by its share. *The gradient of $\log Z$ is the expected count*; there is nothing else to derive for the
# E-step. (The same happens in lesson 16, where the sum is over all ways to align a sound with its letters.)
#
# **Step 2: backward through the sum.** Let $\texttt{d}\alpha(t)$ be the gradient of $\log Z$ with respect to $\alpha(t)$. At the
# end $\log Z = \log \alpha(\text{end})$, so $\texttt{d}\alpha(\text{end}) = 1/Z$. Each $\alpha(\textit{start})$ goes into all
# $\alpha(\textit{stop})$ behind it, multiplied by $p$. By the chain rule, walking from the right to the left,
#
# $$\texttt{d}\alpha(\textit{start}) = \sum_{\textit{stop} > \textit{start}} \texttt{d}\alpha(\textit{stop})\; p(\text{word}[\textit{start}{:}\textit{stop}]).$$
#
# **Step 3: the score of one arc.** In the sum for $\alpha(\textit{stop})$ the arc's term is $\alpha(\textit{start})\, e^{s}$, and
# its derivative by $s$ is the term itself. The same piece may lie over several arcs, and then their parts add up:
#
# $$\boxed{\;c(e) = \sum_{\text{arcs of } e} \alpha(\textit{start})\; p(e)\; \texttt{d}\alpha(\textit{stop})\;}$$
#
# Read it: all ways to get to the arc, times the arc, times all ways from it to the end, as a share of all ways.
#
# **Exercise 5.** Write `expected_counts(word, p)`: the pair of $\log Z$ and a dictionary {piece: expected count} for one word.
# `p` is a dictionary {piece: probability} (*not* logarithms) that has all single characters.


# %% exercise="expected_counts"
def expected_counts(word, p):
    """ "ab", {"a": 0.5, "b": 0.2, "ab": 0.3} -> log 0.4, {"a": 0.25, "b": 0.25, "ab": 0.75}"""
    ### BEGIN SOLUTION
    n = len(word)
    arcs = [(start, stop) for stop in range(1, n + 1) for start in range(stop) if word[start:stop] in p]
    alpha = [1.0] + [0.0] * n
    for start, stop in arcs:  # by their right ends, so that alpha[start] is complete
        alpha[stop] += alpha[start] * p[word[start:stop]]
    d_alpha = [0.0] * n + [1 / alpha[n]]
    counts = {}
    for start, stop in reversed(arcs):
        piece = word[start:stop]
        d_alpha[start] += d_alpha[stop] * p[piece]
        counts[piece] = counts.get(piece, 0.0) + alpha[start] * p[piece] * d_alpha[stop]
    return math.log(alpha[n]), counts
    ### END SOLUTION


# %% check="expected_counts" points=3
from edutransformers.teaching.checks.lesson12 import check_expected_counts

check_expected_counts(expected_counts)

# %% [markdown] hints="expected_counts"
# First list all arcs `(start, stop)` whose piece is in `p`, sorted by `stop`. The forward walk goes through this list, the
# backward walk through the same list in the opposite order.
# ---
# Forward: `alpha[stop] += alpha[start] * p[piece]`. Backward: begin with `d_alpha[n] = 1 / alpha[n]` and zeros elsewhere; each
# arc adds to `d_alpha[start]`, and to its piece's count. Adding, not assigning: several arcs meet at a node, and a piece may
# occur twice.
# ---
# ```python
# n = len(word)
# arcs = [(start, stop) for stop in range(1, n + 1) for start in range(stop) if word[start:stop] in p]
# alpha = [1.0] + [0.0] * n
# for start, stop in arcs:
#     alpha[stop] += ...
# d_alpha = [0.0] * n + [1 / alpha[n]]
# counts = {}
# for start, stop in reversed(arcs):
#     piece = word[start:stop]
#     d_alpha[start] += ...
#     counts[piece] = counts.get(piece, 0.0) + ...
# return math.log(alpha[n]), counts
# ```

# %% [markdown] instructor=true
# The most common wrong answer counts the pieces of the best cut only. It is called hard EM, runs, and even trains something
# usable; ask what happens to a piece that is never quite in the best cut. The second: forgetting 1/Z, so that rare words hardly
# count. Both agree with the right answer for words that have one cut only, so small tests pass.

# %% [markdown]
# ### Checked twice
#
# Against the naive way, which lists all cuts; and as a gradient, with central differences, as in lesson 01.


# %%
def expected_counts_naively(word, p):
    scores = {piece: math.log(value) for piece, value in p.items()}
    cuts = all_cuts(word, scores)
    weights = [math.exp(score_of(cut, scores)) for cut in cuts]
    counts = Counter()
    for cut, weight in zip(cuts, weights):
        for piece in cut:
            counts[piece] += weight / sum(weights)
    return math.log(sum(weights)), counts


h = 1e-5
print("piece    two walks   all cuts   (log Z(s + h) − log Z(s − h)) / 2h")
word = "sitting"
log_z, counts = expected_counts(word, p)
for piece in ("t", "tt", "sit", "ting", "ing"):
    up, down = ({**p, piece: p[piece] * math.exp(step)} for step in (h, -h))
    numerical = (expected_counts(word, up)[0] - expected_counts(word, down)[0]) / (2 * h)
    naive = expected_counts_naively(word, p)[1][piece]
    print(f"{piece:8}{counts[piece]:10.6f}{naive:11.6f}{numerical:16.6f}")
    assert abs(counts[piece] - naive) < 1e-12
    assert abs(counts[piece] - numerical) < 1e-8

# %%
arcs = [
    (start, stop, f"{word[start:stop]} {counts[word[start:stop]]:.3f}", word[start:stop] in best_cut(word, scores),
     counts[word[start:stop]])
    for start in range(len(word)) for stop in range(start + 1, len(word) + 1)
    if word[start:stop] in p and word.count(word[start:stop]) == 1
]  # fmt: skip
plots.show(
    lesson_plots.lattice(
        word, arcs, "How often each piece is expected in “sitting” (i and t, which come twice, left out)"
    ),
    alt="The lattice of sitting, its arcs as thick as the expected count of their piece. The best cut, sit and ting, is blue "
    "and thick, with 0.99 and 0.89; ing has 0.11, and tt and most single characters are hair-thin.",
)

# %% [markdown]
# ## 7 · Training a unigram vocabulary
#
# **Start too large.** Every substring of up to eight characters that stands often enough in the text is a candidate, and all
# single characters. How often it occurs is its first weight. **Then EM:**

# %%
substrings = Counter()
for word, count in corpus.items():
    for start in range(len(word)):
        for stop in range(start + 1, min(start + 8, len(word)) + 1):
            substrings[word[start:stop]] += count
seed = {piece: count for piece, count in substrings.items() if len(piece) == 1 or count >= 50}


def normalized(counts):
    total = sum(counts.values())
    return {piece: count / total for piece, count in counts.items()}


def em_step(p):
    """-> (L, new p): one E-step over all words, one M-step. Pieces expected less than once vanish; characters stay."""
    log_likelihood, expected = 0.0, Counter()
    for word, count in corpus.items():
        log_z, counts = expected_counts(word, p)
        log_likelihood += count * log_z
        for piece, value in counts.items():
            expected[piece] += count * value
    kept = {piece: max(c, 0.1) for piece, c in expected.items() if c >= 1 or len(piece) == 1}
    return log_likelihood, normalized(kept)


p = normalized(seed)
words_in_all = sum(corpus.values())
costs = []
for _ in range(8):
    log_likelihood, p = em_step(p)
    costs.append(-log_likelihood / words_in_all)
print(f"{len(seed)} candidates; {len(p)} are left after 8 steps")
print("−L for each word, step by step:", *(f"{cost:.2f}" for cost in costs))
assert all(after <= before + 0.01 for before, after in zip(costs, costs[1:]))
print("probabilities in thousandths, before and after:")
for piece in ("retur", "return", "arra", "array"):
    print(f"{piece:8}{1000 * normalized(seed)[piece]:6.2f}{1000 * p.get(piece, 0):8.2f}")

# %% [markdown]
# The text gets more probable with each step, and most of it in the first few. (Dropping pieces that are expected less than
# once may cost a trifle now and then; without it no step could ever lose.) Candidates that were frequent only as *parts* of
# others fade away by themselves: "retur" stands in the text as often as "return", but no good cut needs it.
#
# **Then prune.** Which piece would be missed least? If piece $e$ weren't there, its occurrences would be written by the best cut
# of its own characters into other pieces. That costs
#
# $$\text{loss}(e) = c(e)\, \Big( s(e) - \sum_{e' \text{ in the alternative}} s(e') \Big)$$
#
# So: drop the quarter with the smallest loss, take two steps of EM to settle, and so on until the size is right.
# Single characters have no alternative and stay, so that every word can be written. We stop at the size of our BPE vocabulary.


# %%
def prune(p, size):
    """Keep the `size` pieces whose loss would be largest, all single characters among them."""
    scores = {piece: math.log(value) for piece, value in p.items()}
    losses = {}
    for piece in [piece for piece in p if len(piece) > 1]:
        own = scores.pop(piece)
        losses[piece] = p[piece] * (own - score_of(best_cut(piece, scores), scores))
        scores[piece] = own
    characters = [piece for piece in p if len(piece) == 1]
    kept = sorted(losses, key=losses.get, reverse=True)[: size - len(characters)]
    return normalized({piece: p[piece] for piece in [*characters, *kept]})


target = len(alphabet) + MERGES
pruned = [(len(p), costs[-1])]
while len(p) > target:
    p = prune(p, max(target, len(p) * 3 // 4))
    _, p = em_step(p)
    log_likelihood, p = em_step(p)
    pruned.append((len(p), -log_likelihood / words_in_all))
unigram = {piece: math.log(value) for piece, value in p.items()}

sizes, prices = zip(*pruned)
plots.show(
    lesson_plots.curves(
        sizes, {"−log P of a word": prices}, "pieces in the vocabulary", "nats for each word",
        "Pruning: a smaller vocabulary describes the text worse",
    ),
    alt="The mean cost of a word, minus log of its probability, over the number of pieces. From the right, where the "
    "vocabulary is large, the curve rises slowly to the left, and faster where few pieces are left.",
)  # fmt: skip

# %% [markdown]
# Both schools now have a vocabulary of the same size from the same words. How do they cut?

# %%
corpus_ranks = {pair: rank for rank, pair in enumerate(learned)}
print(f"{'':15}{'BPE':26}unigram")
for word in ("numbers", "dimensional", "broadcasting", "unspecified", "arrays", "reshaped", "transformers"):
    print(f"{word:15}{' '.join(merge_word(word, corpus_ranks)):26}{' '.join(best_cut(word, unigram))}")
lengths = {
    "BPE": sum(count * len(merge_word(word, corpus_ranks)) for word, count in corpus.items()),
    "unigram": sum(count * len(best_cut(word, unigram)) for word, count in corpus.items()),
}
for school, length in lengths.items():
    print(f"{school}: {length / words_in_all:.2f} pieces a word")
shared = {"".join(pair) for pair in learned} & set(unigram)
print(f"{len(shared) / MERGES:.0%} of BPE's merged pieces are in both vocabularies")
used = {piece for word in corpus for piece in merge_word(word, corpus_ranks)}
steps = ["".join(pair) for pair in learned if "".join(pair) not in used]
print("BPE's pieces that no word of the text is cut into:", *steps)

# %% [markdown]
# They agree on what is frequent. Where they differ, BPE has *steps*: pieces that are there only because a longer one had to be
# built from them, and that keep their place for ever; the last line lists those that are never used at all. Unigram drops
# them, and spends the room on something else: here it needs fewer pieces for the same text. On the other hand BPE is simpler
# and leaves nothing to choose; a unigram's training has many knobs.
#
# That shows in the comparison with the library. Its E-step and its cuts are yours to the last digit. Its *vocabulary* is
# another: it follows SentencePiece, where a candidate's first weight counts each *different* word once, what only ever ends
# words is no candidate, and the M-step is another (see the end). On so small a text such choices decide about half of the
# pieces:

# %%
from edutransformers.tokenizers.training import unigram_from_counts
from edutransformers.tokenizers.unigram_training import expected_counts_naively as library_expected_counts

model = Unigram([("<unk>", 0.0), *unigram.items()], unk_id=0)
sample = dict(list(corpus.items())[::40])
library_likelihood, library_counts = library_expected_counts(model, sample)
ours, expected = 0.0, Counter()
for word, count in sample.items():
    log_z, counts = expected_counts(word, p)
    ours += count * log_z
    for piece, value in counts.items():
        expected[piece] += count * value
assert np.isclose(ours, library_likelihood, rtol=1e-12)
assert all(np.isclose(expected[model.id_to_token[i]], value, rtol=1e-9) for i, value in library_counts.items())
for word in corpus:
    library_score = sum(edge.score for edge in model.best_cut(word))
    assert np.isclose(score_of(best_cut(word, unigram), unigram), library_score, rtol=1e-12)
library_pieces = {piece for piece, _ in unigram_from_counts(corpus, vocab_size=target)[0]}
print("expected counts and best cuts: as the library's")
print(f"{len(library_pieces & set(unigram)) / len(unigram):.0%} of our pieces are in the library's vocabulary")

# %% [markdown]
# ### What only unigrams can do
#
# A probabilistic model knows not only the best cut but how probable the others are, so one can *draw* a cut. A model that sees
# its training text cut differently each time learns that "cut ting" and "cutting" are one word, and gets more robust
# (*subword regularization*). The exponent α makes the draws bolder (near 0) or more careful (large).

# %%
import random

generator = random.Random(0)
for alpha in (0.2, 1.0):
    cuts = [model.draw_cut("reshaped", alpha, generator) for _ in range(200)]
    drawn = Counter(" ".join(model.id_to_token[edge.id] for edge in cut) for cut in cuts)
    print(f"α = {alpha}:", ", ".join(f"{count} × {cut}" for cut, count in drawn.most_common(4)))

# %% [markdown]
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | two runs give two vocabularies | no rule for equally frequent pairs, or one that depends on the order of a dictionary |
# | cuts differ from the original's in few words | merges replayed as "longest first", or from left to right, instead of by rank |
# | "film" at the start of a text is another id than inside | the blank belongs to the word: `film` and `Ġfilm` (`add_prefix_space`) |
# | broken characters while a model writes | a token may be *part* of a character: decode bytes together, not token by token |
# | log of zero in EM | a character without a piece; or probabilities of a long word multiplied until they are 0: add logarithms |
# | unigram training keeps rare junk | pieces expected less than once were not dropped |
# | counts are right for short words only | the best cut counted instead of all cuts |
#
# ## What the library does more than you did
#
# * its BPE trainer **corrects counts** instead of counting anew, with a heap; cutting a long word uses a heap and a linked list:
#   $n \log n$ steps in place of $n^2$;
# * its unigram trainer walks the lattices of **all words at once**, as arrays, and in logarithms, so that long words don't
#   become 0;
# * seeds come from a **suffix array**, which knows every repeated substring of a text without listing them all;
# * the M-step is $e^{\psi(c)}$ instead of $c$, with the digamma function ψ: about $c - \frac12$ for large counts and far less for
#   small ones, so that rare pieces fade faster;
# * **dropout** for BPE (leave merges out at random), n best cuts for unigrams, unknown characters written as bytes
#   (`byte_fallback`);
# * it reads and writes `tokenizer.json`, `merges.txt` and SentencePiece's `.model` files.

# %%
from edutransformers.teaching.read_on import read_on
from edutransformers.tokenizers.bpe import merge_naively, merge_with_heap
from edutransformers.tokenizers.byte_level import ByteLevel
from edutransformers.tokenizers.lattices import Lattices
from edutransformers.tokenizers.merge_training import train_merges
from edutransformers.tokenizers.substrings import RepeatedSubstrings
from edutransformers.tokenizers.unigram_training import ExpectationMaximization

read_on(
    train_merges,
    merge_naively,
    merge_with_heap,
    ByteLevel,
    Unigram,
    RepeatedSubstrings,
    Lattices,
    ExpectationMaximization,
)

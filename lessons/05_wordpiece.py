# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: "Words to ids: WordPiece from scratch, padding and truncation"
#     minutes: 85
#     goal: You write BERT's tokenizer, from a text to a batch of ids with its mask, make it agree id for id with the original, and see on a real model what padding and truncation can do to an answer.
#     needs: [0]
# ---

# %% [markdown]
# A model computes with arrays of numbers, and a text is not one. A **tokenizer** cuts the text into pieces from a fixed list,
# the **vocabulary**, and hands over each piece's place in the list, its **id**. Lesson 04 turns ids into vectors by picking
# rows of a table. So two questions decide everything here: *into which pieces*, and *what if a piece isn't in the list*?
#
# | pieces | vocabulary | tokens of "unforgettable cinematography" | unknown words |
# |---|---|---|---|
# | characters | about 100 | 28 | none, but each token says little, and rows get long |
# | words | 100,000 and more | 2 | every typo, every name, every new word |
# | **pieces of words** | 2,000 to 50,000, as you like | 2 to 10 | nearly none |
#
# The third way takes frequent words whole and builds rare ones out of parts. BERT's form of it is **WordPiece**. No gradient
# passes through what we build today: a cut is a choice, not a number that could be a little larger. (What learns is the
# table's row that an id picks.) All the more it has to be *exactly* right. A model that was trained with one tokenizer reads
# nonsense from another, and it gives no error.

# %%
import string
import unicodedata

import numpy as np

from edutransformers import AutoModelForSequenceClassification, AutoTokenizer
from edutransformers.teaching import lesson_plots, plots
from edutransformers.teaching.tokens import show_tokens

plots.show(
    lesson_plots.flow(
        [("text", "a str"), "normalize", ("text", "a str"), "split", ("words", "spans"), "cut",
         ("pieces", "T of them"), "look up, pad", ("ids", "(B, T)")],
    ),
    alt="Five boxes from left to right: a text is normalized to another text, that is split into words, these are cut into "
    "T pieces, and the pieces are looked up and padded to an array of ids of shape B by T.",
)  # fmt: skip

# %% [markdown]
# B is the number of texts in a batch, T the number of tokens in a row, V the number of entries in the vocabulary. The one we
# use ships with the package: 8,000 entries that were learned from film reviews, for a small BERT that says whether a review is
# positive. (How a vocabulary is learned is lesson 12.)

# %%
name = "edutransformers/bert-small-imdb"
tokenizer = AutoTokenizer.from_pretrained(name)
vocabulary = tokenizer.get_vocab()  # a dictionary {piece: id}
pieces = sorted(vocabulary, key=vocabulary.get)
print(len(pieces), "entries. The first, some from the middle, the last:")
print(*pieces[:7], "…", *pieces[45:50], "…", *pieces[147:158], "…", *pieces[-5:])

# %% [markdown]
# Special tokens come first, then single characters, then pieces in the order in which they were learned, so roughly from
# frequent to rare. `##` in front means: *this stands inside a word*. "the" and "##the" are two entries with two ids.
#
# ## 1 · Normalization: what looks the same should be the same
#
# To a computer "Café", "café", "CAFE" and "cafe\u0301" are four texts. (`\u0301` is an accent of its own, which goes on top of
# the letter before it: Unicode has both ways to write é, and they look alike.) A vocabulary can't have each word in all its
# forms. The *uncased* BERT makes them one, in five steps:
#
# 1. **drop control characters**: those whose Unicode category begins with `C` (`unicodedata.category(c)`), such as `\x00` or
#    the zero-width space `\u200b`, but not tab, `\n` and `\r`;
# 2. **make every white-space character a plain blank** (`c.isspace()`), one for one;
# 3. **set Chinese characters apart**, with a blank on each side: Chinese has no blanks between words, and so each character
#    becomes a word;
# 4. **strip accents**: decompose to the form NFD (`unicodedata.normalize("NFD", text)` makes `e` and `\u0301` of `é`), then
#    drop the marks, which have the category `Mn` (*mark, non-spacing*);
# 5. **lower-case**.
#
# Why decompose first? Because `é` as one character has the category `Ll`, a lower-case letter: there is no mark to be dropped
# until it is taken apart. For step 3, this is the test:


# %%
def is_chinese(c):
    """Whether it is one of the Chinese characters that BERT sets apart."""
    return "\u3400" <= c <= "\u4dbf" or "\u4e00" <= c <= "\u9fff" or "\uf900" <= c <= "\ufaff"


for form in ("é", "e\u0301"):
    apart = unicodedata.normalize("NFD", form)
    print(f"{form!r} has the length {len(form)}; as NFD:", [(hex(ord(c)), unicodedata.category(c)) for c in apart])

# %% [markdown]
# **Exercise 1.** Write `normalize_text(text)`, the five steps. Nothing else: blanks at the ends, or several in a row, stay.


# %% exercise="normalize_text"
def normalize_text(text):
    """ "  Café\\t東" -> "  cafe  東 " """
    ### BEGIN SOLUTION
    cleaned = []
    for c in text:
        if unicodedata.category(c).startswith("C") and c not in "\t\n\r":
            continue
        if c.isspace():
            cleaned.append(" ")
        elif is_chinese(c):
            cleaned.append(f" {c} ")
        else:
            cleaned.append(c)
    decomposed = unicodedata.normalize("NFD", "".join(cleaned))
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn").lower()
    ### END SOLUTION


# %% check="normalize_text" points=2
from edutransformers.teaching.checks.lesson05 import check_normalize_text

check_normalize_text(normalize_text)

# %% [markdown] hints="normalize_text"
# Two walks through the text. The first goes character by character and collects what becomes of each: a blank, a Chinese
# character between blanks, nothing, or the character itself. The second is about accents, and needs the decomposed text.
# ---
# Tab and line ends have the category `Cc`, too. They are the exception in step 1, `c not in "\t\n\r"`; without it two words
# on two lines become one. The accents: `unicodedata.normalize` of the whole text, then a second walk.
# ---
# ```python
# cleaned = []
# for c in text:
#     if unicodedata.category(c).startswith("C") and c not in "\t\n\r":
#         continue
#     if c.isspace():
#         cleaned.append(" ")
#     elif is_chinese(c):
#         ...
#     else:
#         cleaned.append(c)
# decomposed = unicodedata.normalize("NFD", "".join(cleaned))
# return "".join(c for c in decomposed if unicodedata.category(c) != ...)      # and the fifth step?
# ```

# %% [markdown]
# ## 2 · Words
#
# Next the text is split at blanks, and every punctuation character is a word of its own: "don't!" becomes `don`, `'`, `t`,
# `!`. Otherwise the vocabulary would need "film", "film.", "film,", "film!" and "(film".
#
# Punctuation is what ASCII has besides letters and digits (`string.punctuation`: also `$`, `+` and `^`), and all that Unicode
# files under a category that begins with `P`, such as "¿" and "…".
#
# We don't keep the words but *where they are*: the span `(start, stop)`, so that `text[start:stop]` is the word. The text is
# still there, but from a list of words nobody could find the way back to it.
#
# **Exercise 2.** Write `split_words(text)`: the list of spans, from left to right.


# %% exercise="split_words"
def split_words(text):
    """ "so, no" -> [(0, 2), (2, 3), (4, 6)]"""
    ### BEGIN SOLUTION
    spans, start = [], None  # start: where the word began that we are in
    for place, c in enumerate(text):
        punctuation = c in string.punctuation or unicodedata.category(c).startswith("P")
        if punctuation or c.isspace():
            if start is not None:
                spans.append((start, place))
                start = None
            if punctuation:
                spans.append((place, place + 1))
        elif start is None:
            start = place
    if start is not None:
        spans.append((start, len(text)))
    return spans
    ### END SOLUTION


# %% check="split_words" points=2
from edutransformers.teaching.checks.lesson05 import check_split_words

check_split_words(split_words)

# %% [markdown] hints="split_words"
# Walk through the text and remember where the current word began; `None` while you are in no word. A blank or a punctuation
# character ends the word, and a punctuation character is one by itself.
# ---
# At a place that is no blank and no punctuation: if you are in no word, one begins here. And behind the loop: a text may end
# in the middle of a word.
# ---
# ```python
# spans, start = [], None
# for place, c in enumerate(text):
#     punctuation = c in string.punctuation or unicodedata.category(c).startswith("P")
#     if punctuation or c.isspace():
#         if start is not None:
#             spans.append((start, place))
#             start = None
#         ...                                  # and the punctuation character itself?
#     elif start is None:
#         start = place
# ...                                          # the last word
# return spans
# ```

# %%
text = normalize_text("So naïve …  isn't it?")
print([text[start:stop] for start, stop in split_words(text)])

# %% [markdown]
# ## 3 · Pieces: the longest first
#
# Now each word is cut into entries of the vocabulary. WordPiece is **greedy**: it takes the longest beginning of the word that
# is in the vocabulary, then goes on behind it, and never comes back. From the second piece on it looks for entries with `##`.
# Here is how "overacted" is cut; the vocabulary is the one above.
#
#     overacted   no          ##ed   yes -> ##ed
#     overacte    no
#     overact     yes -> overact
#
# With "rewatch" there are more steps, because no long beginning is there:
#
#     rewatch … rew   no      ##watch   no        ##atch   yes -> ##atch
#     re   yes -> re          ##watc    no
#                             ##wat, ##wa   no
#                             ##w   yes -> ##w
#
# If at some place not even one character fits, the **whole word** becomes the one token `[UNK]`, *unknown*, whatever was found
# before. Half a word would pretend to be another word.
#
# Greed has a price. Let the vocabulary have `ab`, `abc`, `##cd` and nothing else: "abcd" could be `ab ##cd`, but the search
# takes `abc`, finds no `##d`, and gives up: `[UNK]`. Should one go back and try? The model was *trained* on greedy cuts, so the
# right answer is `[UNK]`. (In real vocabularies single characters are entries, so it hardly ever comes to this.)
#
# **Exercise 3.** Write `longest_pieces(word, vocabulary)`: the list of pieces, as they stand in the vocabulary, or
# `["[UNK]"]`. `vocabulary` is a dictionary {piece: id}; the word is not empty. (A `while` loop may never end: the square button
# in the toolbar interrupts it.)


# %% exercise="longest_pieces"
def longest_pieces(word, vocabulary):
    """ "overacted" -> ["overact", "##ed"]"""
    ### BEGIN SOLUTION
    found, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        for stop in range(len(word), start, -1):
            if prefix + word[start:stop] in vocabulary:
                break
        else:
            return ["[UNK]"]
        found.append(prefix + word[start:stop])
        start = stop
    return found
    ### END SOLUTION


# %% check="longest_pieces" points=3
from edutransformers.teaching.checks.lesson05 import check_longest_pieces

check_longest_pieces(longest_pieces)

# %% [markdown] hints="longest_pieces"
# Two loops, one in the other. The outer one moves `start` from 0 to the word's end, piece by piece; the inner one tries
# `stop = len(word)`, then one less, and so on down to `start + 1`.
# ---
# What is looked up is `word[start:stop]` for the first piece, and `"##" + word[start:stop]` for all others. When the inner
# loop finds nothing, the function is done.
# ---
# `for … else` is made for this: `else` is what happens if the loop was never broken off.
# ```python
# found, start = [], 0
# while start < len(word):
#     prefix = ...
#     for stop in range(len(word), start, -1):
#         if prefix + word[start:stop] in vocabulary:
#             break
#     else:
#         return ["[UNK]"]
#     ...                                      # keep the piece, and go on behind it
# return found
# ```

# %% [markdown] instructor=true
# Three mistakes come up again and again: forgetting `##` in the look-up (it works for whole words, so simple tests pass);
# returning what was found before an unknown rest; going back when greed fails. The last is a *better* search and still wrong,
# which is worth a discussion: a tokenizer is part of the trained model. Ask for the running time, too: the double loop is
# quadratic in the word's length, and that is why libraries stop at 100 characters, or at the longest entry's length.

# %%
words = "unforgettable overacted rewatch heartwarmingly transformer embedding antidisestablishmentarianism 東"
for word in words.split(" "):
    print(f"{word:30}", *longest_pieces(word, vocabulary))

# %% [markdown]
# What was frequent in film reviews is one piece; "transformer" is three. The cuts are not grammar: nothing told the
# vocabulary what a prefix is, only what occurs often.
#
# ## 4 · All together, with the way back
#
# The three functions in a row make a tokenizer. One thing more: which characters *of the text that was given* does a token
# stand for? Whoever marks names in a text, or answers a question with a passage of it, needs these **offsets**. Normalizing
# changes lengths, so places in the normalized text are of no use. But each of our five steps treats every character by itself.
# So we normalize character by character, and note for each result the place that it came from.


# %%
def tokens_and_offsets(text, vocabulary):
    """-> the pieces of the text, and for each the (start, stop) of the characters of `text` that it stands for."""
    characters = [(c, place) for place, original in enumerate(text) for c in normalize_text(original)]
    normalized = "".join(c for c, _ in characters)
    tokens, offsets = [], []
    for start, stop in split_words(normalized):
        for piece in longest_pieces(normalized[start:stop], vocabulary):
            length = stop - start if piece == "[UNK]" else len(piece.removeprefix("##"))
            tokens.append(piece)
            offsets.append((characters[start][1], characters[start + length - 1][1] + 1))
            start += length
    return tokens, offsets


text = "Naïve,\tOVERACTED… 東京!"
tokens, offsets = tokens_and_offsets(text, vocabulary)
for token, (start, stop) in zip(tokens, offsets):
    print(f"{token:10} {vocabulary[token]:5}   {start:2}–{stop:<2}  {text[start:stop]!r}")

# %% [markdown]
# BERT wants **special tokens** around it. `[CLS]` at the beginning is a place where the model gathers what it has to say about
# the whole text; `[SEP]` ends a text and separates two. Some tasks read a *pair*: a question and a passage, two sentences that
# may mean the same. A row of **token types** then says which text a token belongs to:
#
#     [CLS] was it unforgettable ? [SEP] no ; the cinematography was . [SEP]
#       0    0   0       0       0   0    1  1  1        1         1  1   1


# %%
def encode(first, second=None):
    """-> (ids, token types) of a text or a pair of texts, with special tokens."""
    tokens = ["[CLS]", *tokens_and_offsets(first, vocabulary)[0], "[SEP]"]
    types = [0] * len(tokens)
    if second is not None:
        more = [*tokens_and_offsets(second, vocabulary)[0], "[SEP]"]
        tokens += more
        types += [1] * len(more)
    return [vocabulary[token] for token in tokens], types


plots.show(
    show_tokens(tokenizer, "Was it unforgettable?", "No; the naïve, OVERACTED ending… wasn't. 東!").figure(),
    alt="The tokens of a pair of texts, each a coloured cell with its id and its offsets below. The three special tokens are "
    "grey, the Chinese character, which is unknown, is red. Overacted, written in capitals, is two cells: overact and ##ed.",
)

# %% [markdown]
# ### The same ids as the library's, and as the original's
#
# Equal means *equal* here; there is no tolerance. The numbers below were made with transformers 5.23 (`BertTokenizer`, whose
# work is done by the `tokenizers` library in Rust) from the same vocabulary.

# %%
ORIGINAL_IDS = [2, 148, 2236, 321, 11, 61, 615, 1099, 129, 30, 4231, 16, 414, 500, 3027, 10, 1, 1, 17, 1405, 5, 3]
ORIGINAL_OFFSETS = [(0, 3), (4, 6), (6, 8), (8, 9), (9, 10), (11, 14), (16, 19), (19, 20), (20, 21), (22, 27), (27, 28),
                    (29, 33), (33, 35), (35, 39), (40, 41), (42, 43), (43, 44), (44, 45), (45, 50), (50, 51)]  # fmt: skip
ORIGINAL_PAIR = [2, 207, 173, 6283, 35, 3, 355, 31, 148, 1973, 207, 18, 3]

text = "The café's new\u200b menu: naïve, OVERPRICED & 東京-style!"
assert encode(text)[0] == ORIGINAL_IDS
assert tokens_and_offsets(text, vocabulary)[1] == ORIGINAL_OFFSETS
ids, types = encode("Was it unforgettable?", "No; the cinematography was.")
assert (ids, types) == (ORIGINAL_PAIR, [0] * 6 + [1] * 7)
print("ids, offsets and token types are those of the original")

# %% [markdown]
# Three texts prove little. NumPy's documentation is most of a million characters of real English, mixed with code, and you
# have it installed. Every eighth of its docstrings:

# %%
import inspect


def documentation_of(module):
    """The docstrings of all that a module offers."""
    found = {inspect.getdoc(getattr(module, name, None)) for name in dir(module) if not name.startswith("_")}
    return sorted(text for text in found if text)


texts = documentation_of(np)[::8]
library = tokenizer(texts, return_offsets_mapping=True, verbose=False)
same = [
    encode(text)[0] == row.ids and tokens_and_offsets(text, vocabulary)[1] == list(row.offsets[1:-1])
    for text, row in zip(texts, library.encodings)
]
print(
    f"{len(texts)} docstrings, {sum(map(len, texts)) // 1000} thousand characters; equal in all ids and offsets: {all(same)}"
)

# %% [markdown]
# ### The way back
#
# Decoding glues `##` pieces to what stands before them and puts blanks between all others. It is *not* the inverse: case,
# accents and the exact blanks were thrown away in step 1, and what was unknown is gone. BERT reads and doesn't write, so it can
# afford that. A model that writes can't, which is a reason for GPT-2's way (lesson 12).


# %%
def decode(ids):
    """Ids -> a text, without special tokens."""
    tokens = [pieces[i] for i in ids if pieces[i] not in ("[CLS]", "[SEP]", "[PAD]")]
    return " ".join(tokens).replace(" ##", "")


print(decode(encode("Naïve,\tOVERACTED… isn't it? 東")[0]))

# %% [markdown]
# ## 5 · Truncation: what doesn't fit is cut off
#
# Our BERT has 256 rows for positions, so a row may have 256 tokens, `[CLS]` and `[SEP]` included. What is longer must lose
# something, and *which end* loses is a decision about meaning. Watch the model:

# %%
model = AutoModelForSequenceClassification.from_pretrained(name)


def positive(ids, mask=None):
    """Rows of ids (B, T), maybe with a mask of the same shape -> the probability that each is a positive review (B,)."""
    logits = model(np.asarray(ids), attention_mask=mask).logits  # (B, 2): negative, positive
    return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))  # softmax of two


story = (
    "The first hour is a delight, the actors are charming, and the music is lovely. Then it falls apart: the ending is "
    "a boring, stupid mess, and I wanted my money back."
)
middle = encode(story)[0][1:-1]
print(f"{len(middle)} tokens and 2 special ones")
for what, kept in (("all", middle), ("the first 20", middle[:20]), ("the last 20", middle[-20:])):
    row = [vocabulary["[CLS]"], *kept, vocabulary["[SEP]"]]
    print(f"{what:13} positive: {positive([row])[0]:4.0%}   … {decode(kept[-20:])}")

# %% [markdown]
# The same review, and the opposite answer. No error, no warning. For reviews the end often has the verdict, for news the
# beginning has it all; it is worth a thought, once for each data set. (Note that we cut *before* adding special tokens. Cutting
# a finished row would take `[SEP]` off, and the model has never seen a row without it.)
#
# For a **pair** there are more choices. `only_first` and `only_second` cut one text: in question answering one never cuts the
# question. The usual one is `longest_first`: take a token off the end of the *longer* text, and again, until both fit
# together. A short question so stays whole as long as the passage is longer.
#
# **Exercise 4.** Write `truncate_pair(first, second, room)`: two lists of ids to two lists with no more than `room` ids
# together. What fits is left as it is. Where both are equally long, cut whichever you like. `second` may be empty, and the
# caller's lists must not change.


# %% exercise="truncate_pair"
def truncate_pair(first, second, room):
    """[1, 2, 3, 4], [5, 6], room 4 -> ([1, 2], [5, 6])"""
    ### BEGIN SOLUTION
    first, second = list(first), list(second)
    while len(first) + len(second) > room:
        longer = first if len(first) > len(second) else second
        longer.pop()
    return first, second
    ### END SOLUTION


# %% check="truncate_pair" points=2
from edutransformers.teaching.checks.lesson05 import check_truncate_pair

check_truncate_pair(truncate_pair)

# %% [markdown] hints="truncate_pair"
# Do what the sentence says, literally: *while* together they are too long, take one off the end of the longer one.
# ---
# `list.pop()` takes the last entry off a list, in place. Work on copies (`list(first)`): the lists belong to the caller.
# ---
# ```python
# first, second = list(first), list(second)
# while ... > room:
#     longer = first if len(first) > len(second) else ...
#     longer.pop()
# return first, second
# ```

# %%
question = "Who fell apart, the actors or the ending, and did anybody want money back?"
first = encode(question)[0][1:-1]
print(f"before: {len(first)} tokens of the question, {len(middle)} of the review")
for room in (60, 40, 28, 20):
    a, b = truncate_pair(first, middle, room)
    library_ids = tokenizer(question, story, truncation="longest_first", max_length=room + 3)["input_ids"]
    as_library = library_ids == [2, *a, 3, *b, 3]  # [CLS] is 2, [SEP] is 3: three special tokens
    print(f"room for {room}: {len(a)} of the question, {len(b)} of the review; as the library: {as_library}")

# %% [markdown]
# ## 6 · Padding: rows of different length in one array
#
# An array has rows of one length, and texts don't. So short rows are filled up with `[PAD]`, and a second array, the
# **attention mask**, says what is real: 1 for a token, 0 for padding. Lesson 07 shows what attention does with it. Here you
# make it.
#
# On which side? BERT is padded on the right. A model that *writes on*, such as GPT-2, is padded on the left, because the next
# word has to come directly behind the last real one.
#
# **Exercise 5.** Write `pad_batch(rows, pad_id, side="right")`: lists of ids of different lengths to two arrays of whole
# numbers, `ids` (B, T) and `mask` (B, T), where T is the longest row's length.


# %% exercise="pad_batch"
def pad_batch(rows, pad_id, side="right"):
    """[[7, 8], [9]], 0 -> [[7, 8], [9, 0]], [[1, 1], [1, 0]]"""
    ### BEGIN SOLUTION
    T = max(len(row) for row in rows)
    ids = np.full((len(rows), T), pad_id)
    mask = np.zeros((len(rows), T), dtype=int)
    for b, row in enumerate(rows):
        real = slice(0, len(row)) if side == "right" else slice(T - len(row), T)
        ids[b, real] = row
        mask[b, real] = 1
    return ids, mask
    ### END SOLUTION


# %% check="pad_batch" points=2
from edutransformers.teaching.checks.lesson05 import check_pad_batch

check_pad_batch(pad_batch)

# %% [markdown] hints="pad_batch"
# Make both arrays first, full of padding: `ids` full of `pad_id`, `mask` full of 0. Then write each row's real part.
# ---
# `np.full((B, T), pad_id)` and `np.zeros((B, T), dtype=int)`. A row of n ids goes to the places `0:n` on the left if padding is
# on the right, and to `T - n:T` if padding is on the left. The mask can't be found from the ids: GPT-2 pads with a token that
# may stand in a text as well.
# ---
# ```python
# T = max(len(row) for row in rows)
# ids = np.full((len(rows), T), pad_id)
# mask = np.zeros((len(rows), T), dtype=int)
# for b, row in enumerate(rows):
#     real = slice(0, len(row)) if side == "right" else ...
#     ids[b, real] = row
#     ...
# return ids, mask
# ```

# %% [markdown] instructor=true
# The mask as `ids != pad_id` is the answer that most find first, and it works for BERT, whose `[PAD]` stands in no text. The
# checker refuses it on purpose: with GPT-2, which has no padding token and borrows the end-of-text token, it hides the end of
# every text from the model. Good to discuss: what else in a program works only because of a habit of the data?

# %%
reviews = ["A wonderful film.", "Dull, and far too long.", "I loved it!"]
ids, mask = map(np.asarray, pad_batch([encode(review)[0] for review in reviews], vocabulary["[PAD]"]))
library = tokenizer(reviews, padding=True, return_tensors="np")
np.testing.assert_array_equal(ids, library["input_ids"])
np.testing.assert_array_equal(mask, library["attention_mask"])

plots.show(
    lesson_plots.matrices([ids, mask], ["ids", "attention mask"], rows=["a", "b", "c"], form="{:d}",
                          marked=[mask == 0, mask == 0], note="framed: padding"),
    alt="A batch of three reviews: ids on the left, the attention mask on the right, each with three rows of equal length. "
    "Rows a and c are shorter than row b and end with framed zeros, in the ids and in the mask.",
)  # fmt: skip

# %% [markdown]
# Does it matter? Padding *should* change nothing: a text means the same, whatever stands beside it in the batch. With the mask
# it is so. Without it the model reads `[PAD] [PAD] [PAD] …` as part of the review:

# %%
row = encode("I loved it!")[0]
counts = np.arange(0, 250, 25)
padded = [row + [vocabulary["[PAD]"]] * count for count in counts]
with_mask = [positive([ids], np.array([[1] * len(row) + [0] * count]))[0] for ids, count in zip(padded, counts)]
without = [positive([ids])[0] for ids in padded]
assert max(with_mask) - min(with_mask) < 1e-4

plots.show(
    lesson_plots.curves(
        counts, {"with the attention mask": with_mask, "mask forgotten": without}, "[PAD] tokens behind the review",
        "probability of: positive", "“I loved it!”, padded",
    ),
    alt="The probability that 'I loved it!' is positive over the number of padding tokens. With the mask it is a straight line "
    "just below 1. Without the mask it wanders up and down, and behind many padding tokens it is far below one half.",
)  # fmt: skip

# %% [markdown]
# This is the meanest mistake of this lesson. The answer of a forgotten mask depends on *the longest text in the batch*: it
# changes with the batch size and with the order of the data, and on one text alone everything looks fine.
#
# ## 7 · What a vocabulary costs, and what it saves
#
# Entries were learned in order, so the first V of them are about what a smaller vocabulary would have been. (Each keeps all
# single characters: they come first.) We can ask what each size would give, on text like that it was made for and on text that
# it wasn't.

# %%
films = """
The plot is thin, but the actors are so charming that I hardly noticed. I watched it twice, and cried both times.
What a waste of a talented cast: the dialogue is wooden, the pacing is glacial, and the special effects look like a school
project. A quiet, beautifully photographed drama about a father and his daughter. The director knows exactly when to hold a
shot and when to cut. I have seen better acting in commercials. It is one of those rare sequels that are better than the
original. The soundtrack alone is worth the price of admission. My husband fell asleep after twenty minutes, and I envied him.
If you like zombies, gore and bad jokes, you will have a great evening; everybody else should stay away. The ending is
predictable from the first scene. She gives the performance of her career, and deserved the award. Somewhere in there is a good
movie, but three screenwriters have buried it under clichés. A masterpiece, and sadly underrated.
"""
domains = {"film reviews": films, "NumPy's documentation": " ".join(documentation_of(np)[::12])}
words_of = {
    domain: [text[start:stop] for text in [normalize_text(text)] for start, stop in split_words(text)]
    for domain, text in domains.items()
}
words_of = {domain: [word for word in words if word.isalpha()] for domain, words in words_of.items()}
sizes = [147, 300, 500, 1000, 2000, 4000, 8000]
D = 128  # this model's width: an entry costs one row of D numbers


def pieces_per_word(size, words):
    first = {piece: i for piece, i in vocabulary.items() if i < size}
    cuts = {word: len(longest_pieces(word, first)) for word in set(words)}
    return np.mean([cuts[word] for word in words])


rates = {domain: [pieces_per_word(size, words) for size in sizes] for domain, words in words_of.items()}
print("   V   pieces a word (films)   pieces a word (NumPy)   numbers in the table")
for size, film, numpy_ in zip(sizes, *rates.values()):
    print(f"{size:5}{film:16.2f}{numpy_:24.2f}{size * D:24,}")

figure = lesson_plots.curves(
    sizes, rates, "entries V of the vocabulary", "pieces for each word", "What more entries save", logarithmic="x"
)
figure.axes[0].set_xticks(sizes, sizes)
figure.axes[0].minorticks_off()
plots.show(
    figure,
    alt="Pieces for each word over the size of the vocabulary, on a logarithmic axis. Both curves fall, from more than four "
    "pieces with single characters; that of film reviews comes close to one at 8,000 entries, that of NumPy's documentation "
    "stays about half a piece above it.",
)

# %% [markdown]
# Doubling V saves less each time and costs twice the rows: at 8,000 the table has a million numbers, and that is more than two
# thirds of this small BERT. What is saved is length, and length is dear: each token passes through all layers, and attention
# compares every token with every other, so its work grows with T². The second curve is the price of reading what the
# vocabulary was not made for.
#
# Lengths are not one number but a distribution, and it decides where to truncate. Here it is for the first sentences of
# NumPy's docstrings:

# %%
summaries = [
    next((part for part in text.split("\n\n") if "=" not in part and " " in part), "") for text in documentation_of(np)
]
normalized = [normalize_text(text) for text in summaries]
lengths = {
    "words": np.array([len(split_words(text)) for text in normalized]),
    "WordPiece, V = 8,000": np.array([len(tokens_and_offsets(text, vocabulary)[0]) for text in summaries]),
    "characters": np.array([len(text) for text in normalized]),
}
limits = np.arange(1, 81)
plots.show(
    lesson_plots.curves(
        limits, {name: [np.mean(of <= limit) for limit in limits] for name, of in lengths.items()},
        "longest row that is allowed, in tokens", "share of texts that fit", "How many texts are not truncated",
    ),
    alt="The share of texts that fit whole over the longest row allowed, three rising curves. Words rise first, WordPiece a "
    "little to the right of them, characters far to the right: with rows of twenty tokens most texts fit as pieces, and "
    "hardly any as characters.",
)  # fmt: skip

# %%
with_special = lengths["WordPiece, V = 8,000"] + 2


def share_of_padding(lengths, size=32):
    """If texts of these lengths are put into batches of `size`, in this order."""
    batches = [lengths[start : start + size] for start in range(0, len(lengths), size)]
    return 1 - lengths.sum() / sum(len(batch) * batch.max() for batch in batches)


print(f"padding, in batches of 32 as the texts come: {share_of_padding(with_special):.0%} of all places")
print(f"and with texts of similar length together:   {share_of_padding(np.sort(with_special)):.0%}")

# %% [markdown]
# Padding is computed like any token and then thrown away; putting texts of similar length together saves most of it.
#
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | a good model is no better than chance | another model's vocabulary, or a cased one with lower-cased text |
# | many `[UNK]` | accents not decomposed before they were dropped; `##` missing in the look-up |
# | answers change with the batch size | the attention mask was forgotten, or made of the ids |
# | the model ignores the end of long texts | truncation, in silence: look at the distribution of lengths first |
# | highlighted words are shifted by some characters | offsets into the normalized text instead of the original |
# | "index out of range", or garbage on a GPU | ids ≥ V: tokens were added, but the table wasn't enlarged |
# | ids are floats | `np.zeros` without `dtype=int` |
#
# ## What the library does more than you did
#
# * Unicode's classes come **from its own tables**, so that every Python version cuts a text at the same places, and lower case
#   goes character by character ("Σ" at a word's end is "ς" to Python, and "σ" to BERT);
# * offsets are carried **through the whole text** as spans, for normalizers that don't treat each character by itself;
# * it looks for pieces only as long as the **longest entry**, calls words of more than 100 characters unknown without a
#   search, and **remembers** the pieces of words that it has seen: most of a text are words seen before;
# * special tokens and **added tokens** inside a text ("[MASK]") are found before anything is normalized;
# * long texts can be cut into **overlapping windows** (`stride=`) instead of being cut off, and rows padded to a multiple of 8;
# * of two equally long texts it knows which one the original would cut.

# %%
from edutransformers.teaching.read_on import read_on
from edutransformers.tokenizers import BertNormalizer, BertTokenizer, WordPiece
from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.padding import pad_encoding
from edutransformers.tokenizers.pre_tokenizers import BertPreTokenizer
from edutransformers.tokenizers.truncation import kept_lengths, windows

read_on(BertNormalizer, AlignedText, BertPreTokenizer, WordPiece, kept_lengths, windows, pad_encoding, BertTokenizer)

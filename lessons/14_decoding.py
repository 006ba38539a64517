# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   lesson:
#     title: "Decoding: greedy, sampling, beams, and the key/value cache measured"
#     minutes: 90
#     goal: You make a language model write, in every way that is in use (greedily, by drawing, with beams), token for token as the library does it, see why the likeliest text is a dull one, and build the cache that makes writing cheap.
#     needs: [13]
# ---

# %% [markdown]
# The model of lesson 13 does not write. It says, for a text, how likely each of V tokens is as the next one; that is all. To
# write, somebody has to *choose* a token, put it behind the text, and ask again. How to choose is called **decoding**, and
# the same model writes like a bore or like a madman, depending on nothing else.

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(
    lesson_plots.flow(
        [("ids", "T tokens"), "the model", ("scores", "(V,)"), "a rule", ("p", "(V,)"), "choose", ("token", "one id"),
         "put it behind", ("ids", "T + 1 tokens")],
    ),
    alt="From left to right: T token ids, the model, V scores, a rule that makes probabilities of them, one token chosen, "
    "put behind the ids, which are T plus 1 then. The same begins again from there.",
)  # fmt: skip

# %% [markdown]
# We take the small GPT-2 that ships with the package, in float64, and hide it behind one function, `next_scores(ids)`: from a
# list of token ids to the scores (V,) of the next one. (The file comes with settings of its own for writing; we set them
# aside, to make all choices ourselves.)

# %%
from edutransformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from edutransformers.functional.softmax import log_softmax, softmax

checkpoint = "edutransformers/gpt2-small-imdb"
tokenizer = AutoTokenizer.from_pretrained(checkpoint)
model = AutoModelForCausalLM.from_pretrained(checkpoint).astype("float64")
model.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=0, top_k=0)
END = tokenizer.eos_token_id  # <|endoftext|>: the model says that the text is over


def next_scores(ids):
    return model(np.array([ids]), use_cache=False, logits_to_keep=1).logits[0, -1]  # the last place's scores alone


def ids_of(text):
    return tokenizer(text)["input_ids"]


def library(prompt, **settings):
    """What the library's `generate` writes behind the prompt, as a list of ids."""
    settings = {"do_sample": False, "top_k": 50, **settings}
    return model.generate(np.array([prompt]), **settings)[0].tolist()


p = softmax(next_scores(ids_of("This movie is one of the")))
for token in np.argsort(-p)[:5]:
    print(f"{tokenizer.decode([token])!r:10} {p[token]:.2f}")

# %% [markdown]
# ## 1 · Greedy: always the likeliest
#
# The first idea is to take the token with the highest score, again and again. No softmax is needed: it keeps the order. There
# are two ways to stop: after so many tokens, or when the model itself chooses the **end token**, which stood behind every
# text it has learned from.

# %% [markdown]
# **Exercise 1.** Write `greedy_decode(next_scores, ids, count, end)`. It returns the list of all ids, prompt first. At
# most `count` tokens are written; if `end` is written, it is the last.


# %% exercise="greedy_decode"
def greedy_decode(next_scores, ids, count, end):
    """A function, a list of ids, two numbers -> the list of ids, continued"""
    ### BEGIN SOLUTION
    ids = list(ids)
    for _ in range(count):
        ids.append(int(np.argmax(next_scores(ids))))
        if ids[-1] == end:
            break
    return ids
    ### END SOLUTION


# %% check="greedy_decode" points=1
from edutransformers.teaching.checks.lesson14 import check_greedy_decode

check_greedy_decode(greedy_decode)

# %% [markdown] hints="greedy_decode"
# A loop of `count` rounds over a copy of the list: ask, choose, append, and perhaps stop.
# ---
# `next_scores(ids)` must be asked with *all* ids there are by now, not with the prompt. `np.argmax` gives the place of the
# largest score, and the place is the id.
# ---
# ```python
# ids = list(ids)
# for _ in range(count):
#     ids.append(int(np.argmax(next_scores(...))))
#     if ids[-1] == ...:
#         break
# return ids
# ```

# %%
for prompt in ("This film", "The acting is"):
    written = greedy_decode(next_scores, ids_of(prompt), 40, END)
    assert written == library(ids_of(prompt), max_new_tokens=40)
    print(tokenizer.decode(written), "\n")

# %% [markdown]
# Token for token what the library's `generate` writes. And the second one has got stuck. Let us look at each step: how likely
# was the token it took, and what else could have come?

# %%
start = ids_of("The acting is")
written = greedy_decode(next_scores, start, 30, END)
words, chances, others = [], [], []
for place in range(len(start), len(written)):
    p = softmax(next_scores(written[:place]))
    words.append(tokenizer.decode([written[place]]).strip())
    chances.append(p[written[place]])
    others.append("  ".join(f"{tokenizer.decode([i]).strip()} {p[i]:.0%}" for i in np.argsort(-p)[:4]))

plots.show(
    plots.chosen_words(words, chances, others, "Greedy, behind 'The acting is'"),
    alt="A bar for each of thirty tokens written: its probability, and beside it the four likeliest. Most tokens have less than "
    "half of the probability, 'is' somewhat more, 'awful' only 6 to 8 percent each time. In the repeated sentences 'The' and "
    "'acting' are about twice as likely as the first time.",
)  # fmt: skip

# %% [markdown]
# Two things to see. *The* and *acting* are about twice as likely in the later rounds as in the first: the model has
# attention, finds that what it writes now has stood before, and writes it once more. And *awful* never has more than 8
# percent: in more than nine of ten texts something else would come. But it is the likeliest, so greedy decoding takes it every
# single time, and never leaves the circle. Real texts leave it by chance. So, chance.
#
# ## 2 · Drawing, and the temperature
#
# The model gives probabilities, so we can draw the next token with them. That is honest: texts come out as often as the model
# thinks they should. But it is hard on a small model. Each of the 2,048 tokens has *some* probability, and the 1,900 least
# likely ones, hardly possible each, have between 5 and 27 percent *together* at the places that this lesson looks at. So
# every ten tokens or so comes an accident, and the model goes on from it as if it had been meant.
#
# Two remedies. The **temperature** $\tau$ divides all scores before the softmax:
#
# $$p_i = \frac{e^{x_i/\tau}}{\sum_j e^{x_j/\tau}}, \qquad \frac{p_i}{p_j} = \left(\frac{p_i^{(1)}}{p_j^{(1)}}\right)^{1/\tau}$$
#
# where $p^{(1)}$ are the probabilities at $\tau = 1$. Odds of 4 to 1 become 16 to 1 at $\tau = \tfrac12$, and 2 to 1 at $\tau = 2$.
# For $\tau \to 0$ only the likeliest is left (greedy), for $\tau \to \infty$ all are alike. The second remedy, **top-k**, cuts
# off the tail: only the $k$ likeliest may be drawn, the rest get the score $-\infty$, and the softmax shares out the
# probability among those that are left.

# %% [markdown]
# **Exercise 2.** Write `tempered_top_k(scores, temperature, k)`: scores (V,) to probabilities (V,), zero outside the k
# likeliest. The tokens keep their places.


# %% exercise="tempered_top_k"
def tempered_top_k(scores, temperature, k):
    """scores (V,), two numbers -> probabilities (V,)"""
    ### BEGIN SOLUTION
    scores = scores / temperature
    smallest_kept = np.sort(scores)[-k]
    return softmax(np.where(scores >= smallest_kept, scores, -np.inf))
    ### END SOLUTION


# %% check="tempered_top_k" points=2
from edutransformers.teaching.checks.lesson14 import check_tempered_top_k

check_tempered_top_k(tempered_top_k)

# %% [markdown] hints="tempered_top_k"
# Three steps, and the softmax is the last: divide, replace what is cut off by $-\infty$, softmax.
# ---
# Which score is the smallest that stays? Sort them; the k-th from the end. Then compare all scores with it.
# ---
# ```python
# scores = scores / temperature
# smallest_kept = np.sort(scores)[...]
# return softmax(np.where(scores >= smallest_kept, scores, ...))
# ```

# %% [markdown]
# ## 3 · Top-p: as many as are needed
#
# How large should $k$ be? Look at two places in a text. After *This movie is one of the*, three tokens have nearly four fifths of
# the probability. After *I have never seen such a*, hundreds of tokens are possible. A $k$ of 3 would be a gag for the second,
# a $k$ of 300 lets nonsense into the first. **Top-p**, or nucleus sampling (Holtzman et al. 2019), fixes the share in place of
# the number: keep the likeliest tokens until together they have at least the probability `mass`, and no more.
#
# With the tokens in falling order, $p_{(1)} \ge p_{(2)} \ge \dots$, the kept ones are the first $m$, where $m$ is the smallest
# number with
#
# $$p_{(1)} + p_{(2)} + \dots + p_{(m)} \;\ge\; \text{mass}.$$
#
# The token that crosses the line belongs to them. Said the other way, which is handier in code: **a token stays if all the
# likelier ones together are still below the line.** The likeliest has none before it, so it always stays.

# %% [markdown]
# **Exercise 3.** Write `nucleus(p, mass)`: probabilities (V,) to probabilities (V,), zero for what is cut off, and together 1
# again.


# %% exercise="nucleus"
def nucleus(p, mass):
    """p (V,), a number from 0 to 1 -> probabilities (V,) of the likeliest tokens that together reach the mass"""
    ### BEGIN SOLUTION
    order = np.argsort(-p)
    likelier = np.cumsum(p[order]) - p[order]  # the probability of all that stand before
    kept = np.zeros_like(p)
    kept[order] = np.where(likelier < mass, p[order], 0)
    return kept / kept.sum()
    ### END SOLUTION


# %% check="nucleus" points=2
from edutransformers.teaching.checks.lesson14 import check_nucleus

check_nucleus(nucleus)

# %% [markdown] hints="nucleus"
# Sort from the likeliest down, add up as you go, decide, and put everything back at its own place.
# ---
# `order = np.argsort(-p)` lists the ids from the likeliest down, `np.cumsum(p[order])` is the running sum with each token's own
# probability in it; subtract that again, and you have the sum of all the likelier ones. `kept[order] = …` writes sorted
# values back to their ids.
# ---
# ```python
# order = np.argsort(-p)
# likelier = np.cumsum(p[order]) - p[order]
# kept = np.zeros_like(p)
# kept[order] = np.where(likelier ... mass, p[order], 0)
# return kept / ...
# ```

# %%
settings = {
    "as the model says": lambda x: softmax(x),
    "temperature 0.5": lambda x: tempered_top_k(x, 0.5, len(x)),
    "temperature 2": lambda x: tempered_top_k(x, 2.0, len(x)),
    "top-k, k = 3": lambda x: tempered_top_k(x, 1.0, 3),
    "top-p, mass 0.8": lambda x: nucleus(softmax(x), 0.8),
}


def before_and_after(text):
    """The likeliest tokens behind a text, and in percent what each setting makes of them."""
    scores = next_scores(ids_of(text))
    likeliest = np.argsort(-scores)[:7]
    rows = []
    for setting in settings.values():
        p = setting(scores)
        rows.append([*100 * p[likeliest], 100 * (1 - p[likeliest].sum()), (p > 0).sum()])
    return np.array(rows), [*(tokenizer.decode([i]).strip() for i in likeliest), "others", "allowed"]


for text in ("This movie is one of the", "I have never seen such a"):
    rows, names = before_and_after(text)
    print(f"{text} …  (percent; the last column: how many of {len(p):,} tokens may come)")
    print(" " * 18 + "".join(f"{name:>9}" for name in names))
    for name, row in zip(settings, rows):
        print(f"{name:18}" + "".join(f"{number:9.1f}" for number in row[:-1]) + f"{row[-1]:9.0f}")
    print()

# %%
sure, unsure = (np.sort(softmax(next_scores(ids_of(text))))[::-1] for text in
                ("This movie is one of the", "I have never seen such a"))  # fmt: skip
ranks = np.arange(1, 401)
figure = lesson_plots.curves(
    ranks, {
        "one of the …": np.cumsum(sure)[:400],
        "such a …": np.cumsum(unsure)[:400],
        "the line of top-p, mass 0.8": np.full(400, 0.8),
    },
    "so many of the likeliest tokens", "have together this probability", "Why one k can't be right", "x",
)  # fmt: skip
plots.show(
    figure,
    alt="The summed probability of the likeliest tokens over their number, on a logarithmic axis. Behind 'one of the' it "
    "reaches 0.8 within a few tokens; behind 'such a' it needs more than a hundred.",
)

# %% [markdown]
# ### Drawing one
#
# To draw with probabilities, lay them end to end on a line from 0 to 1 and see where a uniform random number falls: the token
# is the first whose running sum exceeds it. (The last sum may be 0.9999999 for lack of digits; multiplying the random number
# with it leaves no gap.) The library does the same with the same generator, so the same seed gives the same text.


# %%
def draw(p, rng):
    """One token, with the probabilities p (V,)"""
    sums = np.cumsum(p)
    return int((sums <= rng.random() * sums[-1]).sum())


def sample(rule, ids, count, end, rng):
    """Like greedy_decode, but the token is drawn with the probabilities rule(scores)."""
    ids = list(ids)
    for _ in range(count):
        ids.append(draw(rule(next_scores(ids)), rng))
        if ids[-1] == end:
            break
    return ids


start = ids_of("This film")
texts = {}
for name, rule, same_in_library in (
    ("as the model says", softmax, {"top_k": 0}),
    ("temperature 0.7, k = 50", lambda x: tempered_top_k(x, 0.7, 50), {"temperature": 0.7, "top_k": 50}),
    ("top-p 0.9", lambda x: nucleus(softmax(x), 0.9), {"top_p": 0.9, "top_k": 0}),
):
    texts[name] = sample(rule, start, 40, END, np.random.default_rng(4))
    theirs = library(start, max_new_tokens=40, do_sample=True, generator=np.random.default_rng(4), **same_in_library)
    assert texts[name] == theirs
    print(f"{name}:\n  {tokenizer.decode(texts[name])}\n")

# %% [markdown]
# Against circles there is a cruder way too, the **repetition penalty** (Keskar et al. 2019): the score of every token that
# stands in the text already is made worse by a factor, divided if it is positive and multiplied if it is negative. It works
# with greedy decoding, and it does not ask whether a repetition is bad: *the* and the full stop are punished like
# *awful*.


# %%
def penalized(next_scores, penalty):
    def changed(ids):
        scores, seen = next_scores(ids).copy(), sorted(set(ids))
        scores[seen] = np.where(scores[seen] > 0, scores[seen] / penalty, scores[seen] * penalty)
        return scores

    return changed


start = ids_of("The acting is")
for penalty in (1.0, 1.15, 1.5):
    written = greedy_decode(penalized(next_scores, penalty), start, 30, END)
    assert written == library(start, max_new_tokens=30, repetition_penalty=penalty)
    print(f"{penalty:4}: {tokenizer.decode(written)}")

# %% [markdown] instructor=true
# Let everybody sample ten texts at temperatures of 0.3, 0.7, 1 and 1.5 and vote, without seeing which is which, for the one
# they would rather read; there is usually a clear peak below 1. Then ask *why* below 1, if the model's own probabilities are
# at 1: because its mistakes sit in the tail, and the temperature shifts weight away from where it is least reliable.

# %% [markdown]
# ## 4 · Beams: the likeliest text
#
# Greedy takes the likeliest token at each step. Is the text that comes out the likeliest text? No. A text's probability is the
# product of its tokens' probabilities, and the likeliest first token may lead to where nothing is likely:
#
# | first | then | together |
# |---|---|---|
# | *nice* 0.5 | the best is 0.3 | 0.15 |
# | *one* 0.4 | *of* 0.9 | **0.36** |
#
# There are $V^n$ texts of $n$ tokens, so we can't try all. **Beam search** keeps the $n$ best beginnings, the *beams*. At each
# step every beam is continued with every token; of these $n \cdot V$ texts the $n$ best stay. A beam may thus have several
# successors, or none. What is compared is the sum of the logarithms, since products of many probabilities become 0 for a
# computer:
#
# $$\text{score}(w_1 \dots w_m) = \sum_{t=1}^{m} \log p(w_t \mid \text{prompt}, w_1 \dots w_{t-1})$$
#
# where $p(a \mid b)$ is the probability that $a$ comes behind $b$.

# %% [markdown]
# **Exercise 4.** Write `beam_search(next_log_p, ids, n, count)`. `next_log_p(ids)` gives log-probabilities (V,). Return the n
# best texts as a list of pairs `(ids, score)`, best first; the ids with the prompt, the score of what was written. Here a
# text has exactly `count` new tokens; ends come later.


# %% exercise="beam_search"
def beam_search(next_log_p, ids, n, count):
    """A function, a list of ids, two numbers -> [(ids, score), …], the n best, best first"""
    ### BEGIN SOLUTION
    running = [(list(ids), 0.0)]
    for _ in range(count):
        log_p = np.array([next_log_p(ids) for ids, _ in running])  # (beams, V)
        totals = log_p + np.array([[score] for _, score in running])
        best = np.argsort(-totals, axis=None)[:n]  # places in all beams · V continuations
        beams, tokens = np.unravel_index(best, totals.shape)
        running = [([*running[b][0], int(v)], float(totals[b, v])) for b, v in zip(beams, tokens)]
    return running
    ### END SOLUTION


# %% check="beam_search" points=3
from edutransformers.teaching.checks.lesson14 import check_beam_search

check_beam_search(beam_search)

# %% [markdown] hints="beam_search"
# Keep a list `running` of pairs (ids, score). It begins with *one* pair, the prompt with score 0. (With n equal ones, all beams
# would stay equal for ever.) Each round makes all continuations of all beams and keeps the n best of them all.
# ---
# The continuations' scores are `next_log_p(ids) + score`, an array (V,) for each beam. Stack them, (beams, V), and
# `np.argsort(-totals, axis=None)[:n]` are the best places, counted through the whole array; place // V is the beam, place % V the
# token. Or collect triples (score, ids, token) in one plain list, and sort it.
# ---
# ```python
# running = [(list(ids), 0.0)]
# for _ in range(count):
#     candidates = []
#     for ids, score in running:
#         log_p = next_log_p(ids)
#         for token in np.argsort(-log_p)[:n]:       # more than n of one beam can't be needed
#             candidates.append(([*ids, int(token)], score + ...))
#     candidates.sort(key=lambda pair: ...)
#     running = candidates[...]
# return running
# ```


# %%
def next_log_p(ids):
    return log_softmax(next_scores(ids))


start = ids_of("I think that this")
found = beam_search(next_log_p, start, 3, 12)
assert found[0][0] == library(start, num_beams=3, max_new_tokens=12, eos_token_id=None)
for ids, score in found:
    print(f"{score:7.2f}  {tokenizer.decode(ids)}")
greedy = greedy_decode(next_scores, start, 12, None)
greedy_score = sum(next_log_p(greedy[:place])[greedy[place]] for place in range(len(start), len(greedy)))
print(f"{greedy_score:7.2f}  {tokenizer.decode(greedy)}   (greedy)")

# %% [markdown]
# Three beams find a text that the model holds for likelier than the greedy one. How, the tree shows: two beams, four
# steps, and for each beam its three best continuations. In each column the two best *of all* stay (blue); a branch that
# looked good may die out two steps later.


# %%
def tree_of(prompt, n, count, shown=3):
    """The nodes of a beam search, for lesson_plots.tree"""
    nodes, running = [(None, "…" + tokenizer.decode(prompt[-1:]), True)], [(0, list(prompt), 0.0)]
    for _ in range(count):
        candidates = []
        for parent, ids, score in running:
            log_p = next_log_p(ids)
            best = np.argsort(-log_p)[:shown]
            candidates += [(score + float(log_p[v]), parent, [*ids, int(v)]) for v in best]
        kept = sorted(candidates, key=lambda candidate: -candidate[0])[:n]
        running = []
        for candidate in candidates:
            score, parent, ids = candidate
            nodes.append((parent, f"{tokenizer.decode(ids[-1:]).strip()}\n{score:.1f}", candidate in kept))
            if candidate in kept:
                running.append((len(nodes) - 1, ids, score))
    return nodes


plots.show(
    lesson_plots.tree(tree_of(start, n=2, count=4), "Two beams behind 'I think that this'"),
    alt="A tree from left to right, four steps deep. At each step every one of two beams has three continuations, with their "
    "summed log-probabilities; the two best of all six are blue and go on, the others are grey and end there.",
)

# %% [markdown]
# ### Texts that end
#
# When a beam writes the end token, it leaves the race. Now texts of different lengths must be compared, and there is a
# catch: every further token has $\log p < 0$, so a longer text is *always* less likely than its own beginning. The plain sum
# prefers the shortest text there is. The remedy is to divide by a power of the length, the **length penalty** $\alpha$:
#
# $$\text{final score} = \frac{1}{m^{\alpha}} \sum_{t=1}^{m} \log p(w_t \mid \dots)$$
#
# With $\alpha = 0$ it is the sum, with $\alpha = 1$ the mean per token; larger ones favour long texts. (The name misleads: since
# scores are negative, dividing by more makes them *better*.) Here is the whole search, with the library's rule when to
# stop: when there are n finished texts and the best running one could not enter among them as it stands.


# %%
def beam_search_to_the_end(ids, n, count, end, alpha):
    """-> [(ids, final score), …] of n finished texts, best first"""
    running, finished = [(list(ids), 0.0)], []
    for written in range(1, count + 1):
        totals = np.array([next_log_p(ids) + score for ids, score in running])
        best = np.argsort(-totals, axis=None)[: 2 * n]  # twice as many, so that n can go on even if n end
        candidates = [
            ([*running[b][0], int(v)], float(totals[b, v])) for b, v in zip(*np.unravel_index(best, totals.shape))
        ]
        done = [(ids, score / written**alpha) for ids, score in candidates[:n] if ids[-1] == end or written == count]
        finished = sorted(finished + done, key=lambda pair: -pair[1])[:n]
        running = [(ids, score) for ids, score in candidates if ids[-1] != end][:n]
        if len(finished) == n and running[0][1] / written**alpha <= finished[-1][1]:
            break
    return finished


for n, alpha in ((4, 0.0), (4, 1.0), (8, 1.0)):
    (best, score), *_ = beam_search_to_the_end(start, n, 40, END, alpha)
    assert best == library(start, num_beams=n, max_new_tokens=40, length_penalty=alpha)
    total = score * (len(best) - len(start)) ** alpha
    print(f"{n} beams, α = {alpha:.0f}: log P = {total:.1f}, {total / (len(best) - len(start)):.2f} a token")
    print(f"   {tokenizer.decode(best)}\n")

# %% [markdown]
# ## 5 · Why the likeliest text is dull
#
# Eight beams have found a text that is likelier than all that four could find: the search is a better one, but never sure.
# And what has it found? *This is one of the worst movies I've ever seen.* Of all that was tried it is the likeliest, and
# not by accident: it says what thousands have said. A text that says something costs bits; that is what saying something
# means (lesson 13). People do not write the likeliest text. They would have no reason to.
#
# Measure it. For texts written in different ways, behind the same prompt: the mean surprise of a token, and how much
# of the text is repetition: the share of its groups of four tokens that had stood in it before. Beside them the review that a
# person wrote for lesson 13.

# %%
review = ids_of(
    "I went into this film with low hopes, and for the first half hour it did little to raise them. The plot is thin and the "
    "jokes are old. But then the two leads finally share a scene, and the whole thing comes alive."
)


def costs_of(ids, begin):
    """−log p of each token behind the first `begin`"""
    log_p = log_softmax(model(np.array([ids]), use_cache=False).logits[0, :-1])
    return -log_p[np.arange(begin - 1, len(ids) - 1), ids[begin:]]


def repeated(ids, group=4):
    groups = [tuple(ids[i : i + group]) for i in range(len(ids) - group + 1)]
    return 1 - len(set(groups)) / len(groups)


start = ids_of("The acting is")
rng = np.random.default_rng(0)
ways = {
    "greedy": [greedy_decode(next_scores, start, 40, None)],
    "4 beams": [library(start, num_beams=4, max_new_tokens=40, eos_token_id=None)],
    "temperature 0.7": [sample(lambda x: tempered_top_k(x, 0.7, len(x)), start, 40, None, rng) for _ in range(2)],
    "top-p 0.9": [sample(lambda x: nucleus(softmax(x), 0.9), start, 40, None, rng) for _ in range(2)],
    "as the model says": [sample(softmax, start, 40, None, rng) for _ in range(2)],
    "a person": [review],
}
surprise = {name: np.mean([costs_of(ids, len(start)).mean() for ids in found]) for name, found in ways.items()}
print(f"{'':18}{'surprise a token':>18}{'repeated':>12}")
for name, found in ways.items():
    print(f"{name:18}{surprise[name]:18.2f}{np.mean([repeated(ids) for ids in found]):12.0%}")

# %%
length = 38
person, beams = np.exp(-costs_of(review, 3)[:length]), np.exp(-costs_of(ways["4 beams"][0], 3)[:length])
plots.show(
    lesson_plots.curves(
        np.arange(1, length + 1), {"a person": person, "4 beams": beams}, "token", "its probability",
        "How likely each token was to the model",
    ),
    alt="The probability of each of some forty tokens. For the text of the beams it is never near zero, and high where the text "
    "repeats itself. For the person's text it jumps up and down, and is nearly zero every few tokens.",
)  # fmt: skip

# %% [markdown]
# Every few tokens a person writes what the model held for hardly possible: there the text says something. The text of the
# beams never does, and where it repeats itself it is nearly sure. So beams are for tasks where the text is all but fixed by its source:
# translation, transcription of speech. Stories and talk are drawn.
#
# ## 6 · The key/value cache
#
# All of this asks the model once for each token, and each time it reads the *whole* text again. Nearly all of that work is
# the same as a step before. Which part exactly? In each block a token's query meets the keys and values of those before it
# and its own. Thanks to the causal mask nothing that comes later can change a token's vector, in any block; so **its keys and
# values are final as soon as it has been read once**. Keep them, and for a new token compute one query, one key, one value.
# The queries of old tokens are never needed again. (With BERT none of this is possible: there every new token changes all.)

# %%
plots.show(
    lesson_plots.shapes(
        [("q, new", (1, 4), "T K"), "·", ("keysᵀ, kept and new", (4, 9), "K S+T"), "→", ("weights", (1, 9), "T S+T"), "·",
         ("values", (9, 4), "S+T K"), "=", ("context", (1, 4), "T K")],
        "One new token (T = 1) behind S = 8 that were read before",
    ),
    alt="One query of width K times the transposed keys of S plus T tokens gives weights over S plus T tokens; times the values "
    "of S plus T tokens gives one context vector of width K.",
)  # fmt: skip

# %% [markdown]
# Now T is the number of *new* tokens and S the number of those that were read before. New token $t$ (counted from 0) stands
# at place $S + t$ of the text, so it sees $S + t + 1$ keys: all old ones, and the new ones up to itself. For the prompt, S is 0
# and T its length; afterwards T is 1.

# %% [markdown]
# **Exercise 5.** Write `attend_with_past(q, k, v, past)`. `q`, `k`, `v` (B, H, T, K) are those of the new tokens. `past` is None
# or a pair (keys, values), each (B, H, S, K). Return two things: the context (B, H, T, K), and the pair (keys, values) to keep,
# each (B, H, S + T, K).


# %% exercise="attend_with_past"
def attend_with_past(q, k, v, past):
    """q, k, v (B, H, T, K), past None or two (B, H, S, K) -> context (B, H, T, K), (keys, values) (B, H, S + T, K)"""
    ### BEGIN SOLUTION
    if past is not None:
        k = np.concatenate([past[0], k], axis=2)
        v = np.concatenate([past[1], v], axis=2)
    T, K = q.shape[2:]
    S = k.shape[2] - T
    visible = np.arange(S + T) <= S + np.arange(T)[:, None]  # (T, S + T)
    scores = q @ k.swapaxes(-1, -2) / K**0.5
    return softmax(np.where(visible, scores, -np.inf).astype(q.dtype)) @ v, (k, v)
    ### END SOLUTION


# %% check="attend_with_past" points=3
from edutransformers.teaching.checks.lesson14 import check_attend_with_past

check_attend_with_past(attend_with_past)

# %% [markdown] hints="attend_with_past"
# First put the new keys and values behind the old ones, along the axis of the tokens (axis 2). The rest is attention as in
# lesson 13, with another mask.
# ---
# The mask has T rows and S + T columns. `np.tri(T, S + T)` would begin its staircase at the left edge, as if nothing had been
# read before; it has to be moved by S: `np.tri(T, S + T, k=S, dtype=bool)`, or compare the key's place with the query's.
# ---
# ```python
# if past is not None:
#     k = np.concatenate([past[0], k], axis=2)
#     v = ...
# T, K = q.shape[2:]
# S = k.shape[2] - T
# visible = np.arange(S + T) <= ... + np.arange(T)[:, None]
# scores = q @ k.swapaxes(-1, -2) / K**0.5
# return softmax(np.where(visible, scores, -np.inf)) @ v, (...)
# ```

# %% [markdown]
# The model of lesson 13 around it, forward only. `past` is a list with one entry a block; the function fills it. The positions
# go on where the old tokens ended.

# %%
from edutransformers.functional.activations import gelu_new
from edutransformers.functional.normalization import layer_norm

weights = {name.removeprefix("transformer."): p.data for name, p in model.named_parameters()}


def linear(x, p, name):
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def norm(x, p, name):
    return layer_norm(x, p[f"{name}.weight"], p[f"{name}.bias"], 1e-5)[0]


def gpt2_with_past(ids, p, H, past):
    """ids (B, T) of new tokens -> logits (B, T, V); `past`, a list of L entries, is brought up to date"""
    B, T = ids.shape
    S = 0 if past[0] is None else past[0][0].shape[2]
    x = p["wte.weight"][ids] + p["wpe.weight"][S : S + T]
    for layer in range(len(past)):
        name = f"h.{layer}"
        qkv = linear(norm(x, p, f"{name}.ln_1"), p, f"{name}.attn.c_attn").reshape(B, T, 3, H, -1)
        q, k, v = qkv.transpose(2, 0, 3, 1, 4)
        context, past[layer] = attend_with_past(q, k, v, past[layer])
        x = x + linear(context.transpose(0, 2, 1, 3).reshape(x.shape), p, f"{name}.attn.c_proj")
        x = x + linear(gelu_new(linear(norm(x, p, f"{name}.ln_2"), p, f"{name}.mlp.c_fc")), p, f"{name}.mlp.c_proj")
    return norm(x, p, "ln_f") @ p["wte.weight"].T


ids = np.array([review])
at_once = gpt2_with_past(ids, weights, 4, [None] * 3)
past = [None] * 3
pieces = [gpt2_with_past(ids[:, a:b], weights, 4, past) for a, b in ((0, 20), (20, 21), (21, 30), (30, ids.shape[1]))]
in_pieces = np.concatenate(pieces, axis=1)
print(f"logits {at_once.shape}, read at once and in four pieces: {np.abs(at_once - in_pieces).max():.0e} apart")
print(f"and from the package's: {np.abs(at_once - model(ids).logits).max():.0e}")
assert np.allclose(at_once, in_pieces, atol=1e-10)
assert np.allclose(at_once, model(ids).logits, atol=1e-10)


# %%
def greedy_with_cache(ids, count):
    ids, past, new = list(ids), [None] * 3, list(ids)  # at first the whole prompt is new
    for _ in range(count):
        logits = gpt2_with_past(np.array([new]), weights, 4, past)
        new = [int(logits[0, -1].argmax())]  # from now on one token a step
        ids += new
    return ids


assert greedy_with_cache(start, 30) == greedy_decode(next_scores, start, 30, None)
print("the same 30 tokens with the cache and without")

# %% [markdown]
# ### What it saves: counted, and measured
#
# Count the multiplications for one more token behind T. In one block the four linear layers have $3D^2 + D^2 + 4D^2 + 4D^2 =
# 12 D^2$ weights, each used once for every token that goes through; attention needs $2D$ for each pair of a query and a key.
#
# | | linear layers | attention | the table, for the scores |
# |---|---|---|---|
# | reading all T tokens again | $12 D^2 L \cdot T$ | $2 D L \cdot T^2$ | $D V \cdot T$ |
# | with the cache | $12 D^2 L$ | $2 D L \cdot T$ | $D V$ |
#
# Every entry is T times smaller. The price is memory: $2 \cdot L \cdot D$ numbers for each token, keys and values. To
# measure it, a model with random weights that is longer than ours; each time is the best of some runs.

# %%
import time

D, L, H, V = 128, 3, 4, 512
rng = np.random.default_rng(0)
large = {"wte.weight": rng.standard_normal((V, D)), "wpe.weight": rng.standard_normal((512, D))}
for layer in range(L):
    for part, rows, columns in (
        ("attn.c_attn", D, 3 * D),
        ("attn.c_proj", D, D),
        ("mlp.c_fc", D, 4 * D),
        ("mlp.c_proj", 4 * D, D),
    ):
        large[f"h.{layer}.{part}.weight"] = rng.standard_normal((rows, columns)) / rows**0.5
        large[f"h.{layer}.{part}.bias"] = np.zeros(columns)
    for part in ("ln_1", "ln_2"):
        large[f"h.{layer}.{part}.weight"], large[f"h.{layer}.{part}.bias"] = np.ones(D), np.zeros(D)
large["ln_f.weight"], large["ln_f.bias"] = np.ones(D), np.zeros(D)
large = {name: w.astype("float32") for name, w in large.items()}


def work(new, old):
    """Multiplications for `new` tokens behind `old` ones"""
    return new * (12 * D * D * L + 2 * D * L * (new + old) + D * V)


def seconds(new, past):
    """The best of at least three runs, each with the same past, in the processor's time: other programs don't count"""
    times = []
    while len(times) < 3 or sum(times) < 0.1:
        kept = list(past)
        started = time.process_time()
        gpt2_with_past(new, large, H, kept)
        times.append(time.process_time() - started)
    return min(times)


lengths, counted, measured = [4, 8, 16, 32, 64, 128, 256, 512], [], []
for T in lengths:
    ids = rng.integers(0, V, (1, T))
    past = [None] * L
    gpt2_with_past(ids[:, :-1], large, H, past)
    counted.append(work(T, 0) / work(1, T - 1))
    measured.append(seconds(ids, [None] * L) / seconds(ids[:, -1:], past))

plots.show(
    lesson_plots.curves(
        lengths, {"counted: multiplications": counted, "measured: time": measured}, "tokens in the text",
        "without the cache / with it", "One more token: what reading all again costs", "xy",
    ),
    alt="How many times as much one more token costs without the cache, over the length of the text, both axes logarithmic. The "
    "counted ratio is the length itself. The measured one is smaller, and rises with the length too.",
)  # fmt: skip

# %% [markdown]
# The counted ratio is exactly T. The measured one is smaller, and for a reason worth knowing: with one token every matrix
# product becomes a matrix times a *vector*. Each weight is fetched from memory and used once, so the machine waits for
# memory and not for arithmetic; reading 500 tokens at once uses each fetched weight 500 times. That is why
# services that run such models write for many people at once, a batch of B tokens a step, which costs hardly more than one.
#
# And the memory? For the smallest original GPT-2 with its full text:

# %%
numbers = 2 * 12 * 768 * 1024
print(
    f"{numbers / 1e6:.1f} million numbers, {4 * numbers / 1e6:.0f} MB a text in float32; its weights: {4 * 124e6 / 1e6:.0f} MB"
)

# %% [markdown]
# Beams need one thing more. When a beam has two successors and another has none, the cache must follow: the rows of the batch
# are re-ordered, `keys[rows]`, at every step. Forgetting it is a famous bug: the texts look almost right.
#
# ## Pitfalls
#
# | what one sees | what it was |
# |---|---|
# | it writes one sentence for ever | greedy, or too low a temperature; a text can't leave its most likely circle by itself |
# | every second text has a word salad in it | no cut at all: top-p 0.9 or so, or a temperature below 1 |
# | a temperature of 0 gives `nan` | division by 0; greedy is meant |
# | top-p 0.01 gives an error or zeros | the token that crosses the line was left out |
# | beam search gives empty or very short texts | no length penalty: the sum only falls |
# | more beams, worse texts | not a bug: likelier texts are shorter and duller |
# | the first token behind the prompt is right, the others not | the positions begin at 0 again with a cache |
# | right with T = 1, wrong when a longer piece is read with a cache | the mask's staircase was not moved by S |
# | beams with a cache differ from beams without | the cache was not re-ordered |
#
# ## What the library does more than you did
#
# * one loop for many texts at once, of different lengths (padding on the left, with the mask and positions that belong to it),
#   where texts that have ended wait for the others;
# * a dozen more rules: minimum probabilities, typical sampling, forbidden and forced words, no repeated groups, shortest
#   lengths; all are functions from (ids, scores) to scores, one behind the other, in the original's order;
# * beams that are drawn, several texts a prompt, streaming of words as they are written, criteria for stopping;
# * its cache **grows in blocks of 256 tokens**, so that most steps copy nothing (yours copies all keys for each token),
#   is re-ordered with the beams, can be cropped and copied, and takes a prompt that many texts share only once;
# * scores are made for the last token only: with V = 50,257 the table is the largest product of a step.

# %%
from edutransformers.generation import (
    GenerationMixin,
    RepetitionPenaltyLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from edutransformers.generation.beam_search import BeamSearch
from edutransformers.layers import KeyValueCache
from edutransformers.teaching.read_on import read_on

read_on(
    GenerationMixin.generate,
    TopKLogitsWarper,
    TopPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    BeamSearch,
    KeyValueCache,
)

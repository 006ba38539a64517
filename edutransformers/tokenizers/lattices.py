"""The lattices of many words at once, for training: sums over all cuts and best cuts, as array operations.

A lattice has a node for each place between two characters of a word and an edge for each piece that could stand
between two nodes; a cut is a way from the first node to the last. All words take their step from place t−1 to place t
together, so the loop in Python is over places and not over words.

**Forward**: Z(stop) sums the probabilities of all ways to a node, over its incoming edges,

    Z(stop) = Σ_e Z(start_e) p(e)          share_e = Z(start_e) p(e) / Z(stop)

in logarithms, because Z of a long word is too small for a float. `share` is the probability that a way to this node
comes by this edge.

**Backward**: as with every forward pass of this library, its gradient is a walk in the other direction. With log Z of a
word and s_e = log p(e),

    d log Z / d s_e = share_e · flow(stop_e)      flow(start) = Σ_outgoing e  share_e · flow(stop_e)      flow(end) = 1

This gradient is what EM's expectation asks for: d log Z / d s_e = Σ over cuts with e of p(cut) / Z, the probability
that the piece is used there. So the word's probability flows back from its end, and at each node divides by shares.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

NODES = 1 << 18  # of a block, so that what is computed at once stays small


class Matches(NamedTuple):
    """Which pieces stand where in a text: those at place p are [offsets[p] : offsets[p + 1]], the shortest first."""

    offsets: np.ndarray
    lengths: np.ndarray
    ids: np.ndarray

    @classmethod
    def of(cls, found: list[tuple[int, np.ndarray, np.ndarray]], size: int) -> "Matches":
        """From (length, places, ids) of the matches of each length, the shortest first, in a text of `size` characters.

        No two pieces of the same length stand at one place.
        """
        counts = sum(np.bincount(places, minlength=size) for _, places, _ in found)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        lengths, ids = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int32)
        free = offsets[:-1].copy()  # where the next match of each place goes
        for length, places, ids_found in found:
            at = free[places]
            lengths[at], ids[at] = length, ids_found
            free[places] += 1
        return cls(offsets, lengths, ids)

    def renamed(self, new_ids: np.ndarray) -> "Matches":
        """With each piece's new id, and without those whose new id is −1."""
        ids = new_ids[self.ids]
        kept = ids >= 0
        before = np.concatenate([[0], np.cumsum(kept)])
        return Matches(before[self.offsets], self.lengths[kept], ids[kept])


class Lattices:
    """A block of words: word w's node at place t has the number t · W + w.

    starts, lengths  where the words stand in the text, and how many characters they have: one or more
    with_whole       False leaves out the pieces that are a whole word, of words of two characters or more

    Edges are ordered by the place where they stop, then by word, then by where they start.
    """

    def __init__(self, matches: Matches, starts: np.ndarray, lengths: np.ndarray, with_whole: bool = True):
        count = len(starts)
        word, place = ranges(lengths)
        edge_of, nth = ranges(matches.offsets[starts[word] + place + 1] - matches.offsets[starts[word] + place])
        match = matches.offsets[starts[word] + place][edge_of] + nth
        word, start = word[edge_of], place[edge_of]
        stop = start + matches.lengths[match]
        inside = (stop <= lengths[word]) & (with_whole | (stop - start < lengths[word]))
        word, start, stop, match = word[inside], start[inside], stop[inside], match[inside]
        longest = int(lengths.max())
        # A stable sort by 16 bits is a radix sort: several times quicker than one that compares.
        order = np.argsort(stop.astype(np.uint16 if longest < 1 << 16 else np.int64), kind="stable")
        self.start = (start * count + word)[order].astype(np.int32)
        self.stop = (stop * count + word)[order].astype(np.int32)
        self.ids = matches.ids[match][order]
        self.first = np.arange(count)
        self.last = lengths * count + self.first
        self.nodes = (longest + 1) * count
        # `heads`: the first edge of each node but the words' first ones. `steps`: (edges, heads) of each place.
        self.heads = np.flatnonzero(np.concatenate([[True], self.stop[1:] != self.stop[:-1]]))
        edges = np.searchsorted(self.stop, np.arange(1, longest + 2) * count)
        heads = np.searchsorted(self.heads, edges)
        self.steps = [(slice(*of), slice(*pair)) for of, pair in zip(zip(edges, edges[1:]), zip(heads, heads[1:]))]

    def forward(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(log Z of each word, share of each edge) for the pieces' log-probabilities."""
        log_z = np.full(self.nodes, -np.inf)
        log_z[self.first] = 0.0
        share = scores[self.ids]
        for edges, heads in self.steps:
            values = share[edges]  # a view: what is computed in place stays in `share`
            values += log_z[self.start[edges]]
            begins = self.heads[heads] - edges.start
            sizes = np.diff(begins, append=len(values))
            largest = np.maximum.reduceat(values, begins)
            values -= np.repeat(largest, sizes)
            np.exp(values, out=values)
            total = np.add.reduceat(values, begins)
            values /= np.repeat(total, sizes)
            log_z[self.stop[self.heads[heads]]] = largest + np.log(total)
        return log_z[self.last], share

    def backward(self, d_log_z: np.ndarray, share: np.ndarray) -> np.ndarray:
        """d loss / d score of each edge; with d_log_z = how often each word occurs, the edges' expected counts."""
        flow = np.zeros(self.nodes)
        flow[self.last] = d_log_z
        d_score = np.empty_like(share)
        for edges, _ in reversed(self.steps):
            d_score[edges] = share[edges] * flow[self.stop[edges]]
            np.add.at(flow, self.start[edges], d_score[edges])
        return d_score

    def best_cuts(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(score of each word's best cut, word, id): the last two list all pieces of all best cuts.

        Of equal cuts the one whose last piece is the longest, and so on.
        """
        best = np.full(self.nodes, -np.inf)
        best[self.first] = 0.0
        best_edge = np.full(self.nodes, -1)
        for edges, heads in self.steps:
            values = best[self.start[edges]] + scores[self.ids[edges]]
            begins = self.heads[heads] - edges.start
            largest = np.maximum.reduceat(values, begins)
            places = np.flatnonzero(values == np.repeat(largest, np.diff(begins, append=len(values))))
            nodes = self.stop[edges][places]
            nodes, earliest = np.unique(nodes, return_index=True)
            best[nodes], best_edge[nodes] = largest, edges.start + places[earliest]
        words, ids = [], []
        node = self.last
        word = self.first
        while len(node):
            edge = best_edge[node]
            reached = edge >= 0
            word, edge = word[reached], edge[reached]
            words.append(word)
            ids.append(self.ids[edge])
            node = self.start[edge]
        return best[self.last], np.concatenate(words[::-1]), np.concatenate(ids[::-1])


def lattices_in_blocks(
    matches: Matches, starts: np.ndarray, lengths: np.ndarray, with_whole: bool = True
) -> Iterator[tuple[np.ndarray, Lattices]]:
    """(which words, their lattices), words of similar length together."""
    order = np.argsort(-lengths, kind="stable")
    done = 0
    while done < len(order):
        size = max(1, NODES // (int(lengths[order[done]]) + 1))
        block = order[done : done + size]
        yield block, Lattices(matches, starts[block], lengths[block], with_whole)
        done += size


def ranges(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(which range, place in it) of each entry of ranges of the given sizes, one behind the other."""
    which = np.repeat(np.arange(len(sizes)), sizes)
    begins = np.cumsum(sizes) - sizes
    return which, np.arange(len(which)) - begins[which]

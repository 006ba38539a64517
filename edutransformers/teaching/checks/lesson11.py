"""Lesson 11: what a training step holds in memory, checkpoints, and gradients of a batch in parts."""

import copy
import weakref

import numpy as np

from ...losses import CrossEntropyLoss
from ..checker import CheckFailed, call, draw, exercise, holds, same, same_all


@exercise(lesson=11)
def check_layer_activations(answer):
    for _ in range(3):
        B, T, D, H, F = (int(n) for n in np.random.default_rng().choice(np.arange(2, 90), 5, replace=False))
        narrow, wide, weights = B * T * D, B * T * F, B * H * T * T
        wanted = 8 * narrow + 2 * wide + weights
        rest = 2 * wide + weights
        _same_or_counted(
            answer,
            (B, T, D, H, F),
            wanted,
            {
                "those are bytes; numbers are asked for": 4 * wanted,
                "B is missing: every text has caches of its own": wanted // B,
                "two too many: q, k and v have one common input, kept once; a residual keeps nothing": 10 * narrow
                + rest,
                "the heads are missing: each has (T, T) softmax weights of its own": 8 * narrow + 2 * wide + B * T * T,
                "the softmax weights are missing: attention keeps (B, H, T, T)": 8 * narrow + 2 * wide,
                "only one wide array is counted; GELU keeps its slope, and the map after it its input": 8 * narrow
                + wide
                + weights,
                "q, k and v are missing: attention's backward needs all three": 5 * narrow + rest,
                "of q, k and v only one is counted": 6 * narrow + rest,
                "one norm is missing; the layer has two": 7 * narrow + rest,
                "the norms' one number for each token is neglected here": wanted + 2 * B * T,
                "q, k and v have the width D for all heads together, not for each": (5 + 3 * H) * narrow + rest,
                "the feed-forward's first map keeps its input, which is narrow; three wide ones are counted": 7 * narrow
                + 3 * wide
                + weights,
            },
        )


def _same_or_counted(answer, sizes, wanted, mistakes):
    """`same`; and where no mistake has a name, of which shape too few or too many arrays were counted."""
    name = "layer_activations({}, {}, {}, {}, {})".format(*sizes)
    try:
        same(call(answer, *sizes), np.asarray(wanted), name, mistakes=mistakes)
    except CheckFailed as failure:
        if "→" in str(failure) or " is wrong\n" not in str(failure):
            raise
        rows, values = [], []
        for _ in range(6):
            B, T, D, H, F = (int(n) for n in np.random.default_rng().integers(2, 30, 5))
            rows.append([B * T * D, B * T * F, B * H * T * T])
            values.append(float(answer(B, T, D, H, F)))
        rows, values = np.array(rows, dtype=float), np.array(values)
        counts = np.linalg.lstsq(rows, values, rcond=None)[0]
        if not np.allclose(rows @ counts, values) or not np.allclose(counts, counts.round(), atol=1e-6):
            raise
        words = [
            f"{'too few' if count < right else 'too many'} arrays of {shape}"
            for count, right, shape in zip(counts.round(), (8, 2, 1), ("(B, T, D)", "(B, T, F)", "(B, H, T, T)"))
            if count != right
        ]
        raise CheckFailed(f"{failure}\n  → you count {' and '.join(words)}") from None


# ---------------------------------------------------------------------------------------------------------------------
# Checkpoints
# ---------------------------------------------------------------------------------------------------------------------


class _Cache:
    """What a layer keeps. It can be watched: is it still there?"""

    def __init__(self, layer, x, y, mask):
        self.layer, self.x, self.y, self.mask = layer, x, y, mask


class _Layer:
    """y = tanh(x W) · mask. It notes its calls, and how many caches of its stack exist at one time."""

    def __init__(self, number: int, width: int, watch: dict):
        self.number, self.weight, self.watch = number, draw(width, width), watch
        self.grad = np.zeros_like(self.weight)

    def forward(self, x, generator):
        y, mask = np.tanh(x @ self.weight), 2.0 * (generator.random(x.shape) < 0.5)
        cache = _Cache(self.number, x, y, mask)
        self.watch["alive"].add(cache)
        self.watch["most"] = max(self.watch["most"], len(self.watch["alive"]))
        self.watch["forward"].append(self.number)
        return y * mask, cache

    def backward(self, dy, cache):
        if not isinstance(cache, _Cache):
            raise CheckFailed(f"layer {self.number}.backward was given no cache of a layer, but {type(cache).__name__}")
        if cache.layer != self.number:
            raise CheckFailed(
                f"layer {self.number}.backward was given the cache of layer {cache.layer}\n"
                "  → backward begins with the last layer, and so with the cache that was made last: caches.pop()"
            )
        self.watch["backward"].append(self.number)
        self.watch["masks"][self.number] = cache.mask
        du = dy * cache.mask * (1 - cache.y**2)
        self.grad += cache.x.T @ du
        return du @ self.weight.T


def _stack(count: int, width: int) -> tuple[list[_Layer], dict]:
    watch: dict = {"forward": [], "backward": [], "masks": {}, "most": 0, "alive": weakref.WeakSet()}
    return [_Layer(number, width, watch) for number in range(count)], watch


def _plain(layers, x, seed):
    """What a step in the plain way sees: each layer's input, the generator as it was before it, its cache; and y."""
    generator, seen = np.random.default_rng(seed), []
    for layer in layers:
        before = copy.deepcopy(generator)
        y, cache = layer.forward(x, generator)
        seen.append((x, before, cache))
        x = y
    return seen, x


def _reset(watch):
    watch["forward"], watch["backward"], watch["masks"], watch["most"] = [], [], {}, 0


STACKS = ((6, 3), (7, 3), (5, 1), (4, 9), (7, 2))  # layers, size of a segment


@exercise(lesson=11)
def check_forward_in_segments(answer):
    for count, size in STACKS:
        layers, watch = _stack(count, 6)
        x, seed = draw(8, 6), int(np.random.default_rng().integers(1 << 30))
        seen, y = _plain(layers, x, seed)
        wanted = [(seen[start][0], seen[start][1]) for start in range(0, count, size)]
        masks = [cache.mask for _, _, cache in seen]
        states = [before.bit_generator.state for _, before, _ in seen]
        inputs = [before for before, _, _ in seen] + [y]
        del seen
        _reset(watch)
        generator = np.random.default_rng(seed)
        got = call(answer, layers, x, size, generator)
        holds(isinstance(got, (tuple, list)) and len(got) == 2, "two things should be returned: y, kept")
        got_y, kept = got
        repeated = x  # what the first segment's masks, repeated in each segment, would give
        for number, layer in enumerate(layers):
            repeated = np.tanh(repeated @ layer.weight) * masks[number % size]
        always = x  # what the first layer's mask in each layer would give
        for layer in layers:
            always = np.tanh(always @ layer.weight) * masks[0]
        mistakes = {"that is x; each layer's output is the next one's input": x}
        if size < count:
            mistakes["every segment drops the same numbers: pass the generator itself on, and keep the copy"] = repeated
        if count > 1:
            mistakes["every layer drops the same numbers: pass the generator itself on, and keep the copy"] = always
        same(got_y, y, "y", mistakes=mistakes)
        holds(
            isinstance(kept, (list, tuple))
            and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in kept),
            "kept should be a list of pairs (input of the segment, copy of the generator)",
        )
        if len(kept) != len(wanted):
            because = ""
            if len(kept) == count:
                because = "\n  → that is one for each layer; keep one for each segment, where number % size == 0"
            elif len(kept) == len(wanted) + 1:
                because = "\n  → one is too many: is an input kept after the last layer, or before the loop as well?"
            elif len(kept) == count // size:
                because = "\n  → the last segment is shorter than the others, but it has an input as well"
            raise CheckFailed(
                f"kept has {len(kept)} pairs, expected {len(wanted)}, for {count} layers and size = {size}{because}"
            )
        for number, ((got_x, got_generator), (wanted_x, wanted_generator)) in enumerate(zip(kept, wanted)):
            after = min((number + 1) * size, count)
            mistakes = {"the first layer of the segment has run already: keep x before that": inputs[number * size + 1]}
            if size > 1:
                mistakes[
                    "that is the input of the segment's last layer; of its first, where number % size == 0, it is"
                ] = inputs[after - 1]
            if number + 1 < len(wanted):
                mistakes["that is the next segment's input: keep x before the layers of the segment run"] = wanted[
                    number + 1
                ][0]
            else:
                mistakes["that is y: keep x before the layers of the segment run"] = y
            same(got_x, wanted_x, f"the input of segment {number}", mistakes=mistakes)
            holds(
                got_generator is not generator,
                "the generator itself was kept\n  → it moves on with every draw, so it must be remembered as it was: "
                "copy.deepcopy(generator)",
            )
            holds(hasattr(got_generator, "bit_generator"), "the second thing of each pair should be a generator")
            if got_generator.bit_generator.state != wanted_generator.bit_generator.state:
                late = after < count and got_generator.bit_generator.state == states[after]
                late = late or (after == count and got_generator.bit_generator.state == generator.bit_generator.state)
                because = "it was copied after the segment; copy it before" if late else "it has drawn something else"
                if got_generator.bit_generator is generator.bit_generator:
                    because = "copy.copy makes a copy that draws from the same source; copy.deepcopy doesn't"
                raise CheckFailed(
                    f"the generator of segment {number} is not as it was before the segment\n  → {because}"
                )
        holds(
            len(watch["forward"]) == count,
            f"the layers ran forward {len(watch['forward'])} times; {count} layers should run once each",
        )
        holds(
            len(watch["alive"]) == 0 or watch["most"] < max(3, count),
            "the numbers are right, but all layers' caches existed at one time\n"
            "  → let each cache go at once: `x, _ = layer.forward(x, generator)`",
        )


@exercise(lesson=11)
def check_backward_in_segments(answer):
    for count, size in STACKS:
        layers, watch = _stack(count, 3)
        x, dy, seed = draw(4, 3), draw(4, 3), int(np.random.default_rng().integers(1 << 30))
        seen, _ = _plain(layers, x, seed)
        dx = dy
        for layer, (_, _, cache) in zip(reversed(layers), reversed(seen)):
            dx = layer.backward(dx, cache)
        grads = [layer.grad for layer in layers]
        masks = [cache.mask for _, _, cache in seen]
        kept = [(seen[start][0], seen[start][1]) for start in range(0, count, size)]
        del seen, cache
        _reset(watch)
        for layer in layers:
            layer.grad = np.zeros_like(layer.weight)
        got = call(answer, dy, layers, kept, size)
        _went_back(watch, count, size)
        for number, mask in enumerate(masks):
            holds(
                bool(np.array_equal(watch["masks"][number], mask)),
                f"in layer {number} other numbers were dropped than in the first forward pass\n"
                "  → pass the generator that was kept with the segment to its layers, one after the other",
            )
        unchained = dy  # each layer's backward with the dy that came in: the first layer's is what remains
        if count > 1:
            first = layers[0]
            unchained = (dy * masks[0] * (1 - np.tanh(x @ first.weight) ** 2)) @ first.weight.T
        same(
            got,
            dx,
            "dx",
            mistakes={
                "that is the dy that came in: return what the first layer gave back": dy,
                "each layer got the dy that came in; it gets what the layer after it gave back: dy = …": unchained,
            },
        )
        same_all(
            [layer.grad for layer in layers],
            {f"the gradient of layer {number}": grad for number, grad in enumerate(grads)},
            mistakes={
                f"the gradient of layer {number}": {"it was added twice": 2 * grad} for number, grad in enumerate(grads)
            },
        )
        if count > 4 and size < count:
            holds(
                watch["most"] <= min(2 * size + 1, count - 1),
                f"the numbers are right, but {watch['most']} caches existed at one time, with segments of {size}\n"
                "  → make a segment's caches when its turn comes, and let them go before the next",
            )


def _went_back(watch, count, size):
    """CheckFailed unless every layer ran forward once and then backward once, from the last to the first."""
    forward, backward = watch["forward"], watch["backward"]
    if len(forward) > count:
        raise CheckFailed(
            f"the layers ran forward {len(forward)} times; {count} is enough: each segment once, from its kept input"
        )
    if not backward:
        raise CheckFailed("no layer's backward was called")
    if sorted(backward) != list(range(count)):
        missing = sorted(set(range(count)) - set(backward))
        if missing:
            raise CheckFailed(f"backward was never called for the layers {missing}, with segments of {size}")
        raise CheckFailed(f"backward was called for the layers {backward}: once for each is expected")
    if backward != list(range(count))[::-1]:
        segments = [range(start, min(start + size, count)) for start in range(0, count, size)]
        because = ""
        if backward == [number for segment in segments for number in reversed(segment)]:
            because = "\n  → the segments go from the last to the first"
        elif backward == [number for segment in reversed(segments) for number in segment]:
            because = "\n  → inside a segment, too, backward goes from its last layer to its first"
        raise CheckFailed(f"backward was called for the layers {backward}, in this order{because}")


# ---------------------------------------------------------------------------------------------------------------------
# Accumulation
# ---------------------------------------------------------------------------------------------------------------------


@exercise(lesson=11)
def check_accumulate(answer):
    rng = np.random.default_rng()
    for lengths in ((2, 7), (9, 3, 5), (6, 1, 8, 2), (4,)):
        T, D, C = max(lengths) + 2, 4, 5
        weight = draw(D, C)

        def loss_and_gradient(x, labels, weight=weight, C=C):
            loss = CrossEntropyLoss()
            value, cache = loss.forward((x @ weight).reshape(-1, C), labels.reshape(-1))
            dlogits = loss.backward(1.0, cache)
            return float(value), x.reshape(len(dlogits), -1).T @ dlogits

        parts = []
        for place, length in enumerate(lengths):
            B = 1 + place % 2
            labels = np.full((B, T), -100)
            labels[:, :length] = rng.integers(0, C, (B, length))
            labels[0, 0] = -100 if length > 1 else labels[0, 0]  # not only at the end
            parts.append((draw(B, T, D), labels))
        counts = np.array([(labels != -100).sum() for _, labels in parts])
        pairs = [loss_and_gradient(*part) for part in parts]

        def weighed(shares, pairs=pairs):
            return [sum(share * pair[which] for share, pair in zip(shares, pairs)) for which in (0, 1)]

        P, examples = len(parts), np.array([len(labels) for _, labels in parts])
        ignored = np.array([(labels == -100).sum() for _, labels in parts])
        loss, gradient = weighed(counts / counts.sum())
        mistakes = {"loss": {}, "gradient": {}}
        if P > 1:
            wrong = {
                "that is the mean of the parts' means: a part with few labels counts too much; weigh with N_p/N": (
                    weighed([1 / P] * P)
                ),
                "that is the sum over the parts: each part's loss is a mean already; weigh with N_p/N": weighed(
                    [1] * P
                ),
                "the parts are weighed with their texts, or padding; what is averaged are labels that count": weighed(
                    examples / examples.sum()
                ),
                "the labels of −100 were counted; those are the ones that don't count": weighed(
                    ignored / ignored.sum()
                ),
                "(labels != -100).mean() is a share of the part's places; their number is the sum": weighed(
                    [(labels != -100).mean() / counts.sum() for _, labels in parts]
                ),
                "the parts are divided by the last part's number of labels; N counts those of all parts": weighed(
                    counts / counts[-1]
                ),
                "it isn't divided by the number of all counted labels": weighed(counts),
                "that is the last part's alone": list(pairs[-1]),
            }
            mistakes["loss"] = {words: np.asarray(values[0]) for words, values in wrong.items()}
            mistakes["gradient"] = {words: values[1] for words, values in wrong.items()}
            mistakes["gradient"]["that is the last part's, weighed: add up, gradient = gradient + …"] = (
                counts[-1] / counts.sum() * pairs[-1][1]
            )
        same_all(
            call(answer, loss_and_gradient, parts),
            {"loss": np.asarray(loss), "gradient": gradient},
            mistakes=mistakes,
            sizes={"P": P, "N": int(counts.sum())},
        )

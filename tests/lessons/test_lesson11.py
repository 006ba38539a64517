"""Lesson 11's checkers: the memory of training, checkpoints, accumulation."""

import copy

import numpy as np

from tests.lessons.common import suite_of


def activations(B, T, D, H, F):
    return 8 * B * T * D + 2 * B * T * F + B * H * T * T


def activations_part_by_part(B, T, D, H, F):
    x = B * T * D
    kept = [x, x, x, x, B * H * T * T, x, x, x, B * T * F, B * T * F, x]
    return sum(kept)


def forward_in_segments(layers, x, size, generator):
    kept = []
    for number, layer in enumerate(layers):
        if number % size == 0:
            kept.append((x, copy.deepcopy(generator)))
        x, _ = layer.forward(x, generator)
    return x, kept


def forward_slice_by_slice(layers, x, size, generator):
    kept = []
    for start in range(0, len(layers), size):
        kept += [[x.copy(), copy.deepcopy(generator)]]
        for layer in layers[start : start + size]:
            x = layer.forward(x, generator)[0]
    return [x, kept]


def forward_with_a_new_generator(layers, x, size, generator):
    kept = ()
    for number in range(len(layers)):
        if number % size == 0:
            twin = np.random.default_rng()
            twin.bit_generator.state = generator.bit_generator.state
            kept += ((x, twin),)
        x, cache = layers[number].forward(x, generator)
        del cache
    return x, kept


def forward_that_keeps_caches(layers, x, size, generator, caches=[]):  # noqa: B006  (that is the mistake)
    kept, caches[:] = [], []
    for number, layer in enumerate(layers):
        if number % size == 0:
            kept.append((x, copy.deepcopy(generator)))
        x, cache = layer.forward(x, generator)
        caches.append(cache)
    return x, kept


def forward_that_keeps(layers, x, size, generator, what):
    """`what(generator)` in place of a copy."""
    kept = []
    for number, layer in enumerate(layers):
        if number % size == 0:
            kept.append((x, what(generator)))
        x, _ = layer.forward(x, generator)
    return x, kept


def forward_that_keeps_too_late(layers, x, size, generator):
    kept = []
    for start in range(0, len(layers), size):
        before = x
        for layer in layers[start : start + size]:
            x, _ = layer.forward(x, generator)
        kept.append((before, copy.deepcopy(generator)))
    return x, kept


def forward_that_keeps_outputs(layers, x, size, generator):
    kept = []
    for start in range(0, len(layers), size):
        before = copy.deepcopy(generator)
        for layer in layers[start : start + size]:
            x, _ = layer.forward(x, generator)
        kept.append((x, before))
    return x, kept


def forward_that_keeps_after_a_layer(layers, x, size, generator):
    kept = []
    for number, layer in enumerate(layers):
        before = copy.deepcopy(generator)
        x, _ = layer.forward(x, generator)
        if number % size == 0:
            kept.append((x, before))
    return x, kept


def forward_that_passes_copies_on(layers, x, size, generator):
    kept = []
    for start in range(0, len(layers), size):
        kept.append((x, copy.deepcopy(generator)))
        twin = copy.deepcopy(generator)
        for layer in layers[start : start + size]:
            x, _ = layer.forward(x, twin)
    return x, kept


def forward_without_the_rest(layers, x, size, generator):
    y, kept = forward_in_segments(layers, x, size, generator)
    return y, kept[: max(1, len(layers) // size)]


def forward_layer_by_layer(layers, x, size, generator):
    return forward_in_segments(layers, x, 1, generator)


def backward_in_segments(dy, layers, kept, size):
    for number in reversed(range(len(kept))):
        segment = layers[number * size : (number + 1) * size]
        x, generator = kept[number]
        caches = []
        for layer in segment:
            x, cache = layer.forward(x, generator)
            caches.append(cache)
        for layer in reversed(segment):
            dy = layer.backward(dy, caches.pop())
    return dy


def backward_with_copies(dy, layers, kept, size):
    starts = list(range(0, len(layers), size))
    for start, (x, generator) in list(zip(starts, kept))[::-1]:
        twin, stack = copy.deepcopy(generator), []
        for layer in layers[start : start + size]:
            x, cache = layer.forward(x, twin)
            stack.append((layer, cache))
        while stack:
            layer, cache = stack.pop()
            dy = layer.backward(dy, cache)
    return dy


def backward_by_recursion(dy, layers, kept, size):
    def through(x, generator, rest, dy):
        if not rest:
            return dy
        y, cache = rest[0].forward(x, generator)
        return rest[0].backward(through(y, generator, rest[1:], dy), cache)

    for number in range(len(kept) - 1, -1, -1):
        dy = through(*kept[number], layers[number * size : (number + 1) * size], dy)
    return dy


def backward_that_makes_all_first(dy, layers, kept, size):
    caches = []
    for number, (x, generator) in enumerate(kept):
        for layer in layers[number * size : (number + 1) * size]:
            x, cache = layer.forward(x, generator)
            caches.append(cache)
    for layer in reversed(layers):
        dy = layer.backward(dy, caches.pop())
    return dy


def backward_with(order_of_segments, order_of_layers, generator_for, order_of_caches=None, passed_on=True):
    """backward_in_segments with parts exchanged; `passed_on=False` gives each layer the dy that came in."""

    def answer(dy, layers, kept, size):
        dx = dy
        for number in order_of_segments(range(len(kept))):
            segment = layers[number * size : (number + 1) * size]
            x, generator = kept[number]
            generator, caches = generator_for(generator), []
            for layer in segment:
                x, cache = layer.forward(x, generator)
                caches.append(cache)
            for layer, cache in zip(order_of_layers(segment), (order_of_caches or order_of_layers)(caches)):
                dx = layer.backward(dx if passed_on else dy, cache)
        return dx

    return answer


def forth(sequence):
    return list(sequence)


def back(sequence):
    return list(sequence)[::-1]


def itself(generator):
    return generator


def accumulate(loss_and_gradient, parts, share=lambda labels: (labels != -100).sum()):
    shares = np.array([share(labels) for _, labels in parts], dtype=float)
    shares /= shares.sum()
    pairs = [loss_and_gradient(*part) for part in parts]
    return sum(s * loss for s, (loss, _) in zip(shares, pairs)), sum(
        s * gradient for s, (_, gradient) in zip(shares, pairs)
    )


def accumulate_and_divide_at_the_end(loss_and_gradient, parts):
    total, loss, gradient = 0, 0.0, None
    for x, labels in parts:
        count = int(np.count_nonzero(labels >= 0))
        part_loss, part_gradient = loss_and_gradient(x, labels)
        total += count
        loss += count * part_loss
        gradient = count * part_gradient if gradient is None else gradient + count * part_gradient
    return loss / total, gradient / total


def accumulate_as_one(loss_and_gradient, parts):
    return loss_and_gradient(np.concatenate([x for x, _ in parts]), np.concatenate([labels for _, labels in parts]))


def accumulate_in_float32(loss_and_gradient, parts):
    loss, gradient = accumulate(loss_and_gradient, parts)
    return [np.float32(loss), gradient.astype("float32")]


def forward_that_keeps_the_last(layers, x, size, generator):
    kept = []
    for number, layer in enumerate(layers):
        if (number + 1) % size == 0 or number + 1 == len(layers):
            kept.append((x, copy.deepcopy(generator)))
        x, _ = layer.forward(x, generator)
    return x, kept


def forward_that_always_copies(layers, x, size, generator):
    for layer in layers:
        x, _ = layer.forward(x, copy.deepcopy(generator))
    return x, []


def backward_that_pops(dy, layers, kept, size):
    while kept:
        dy = backward_in_segments(dy, layers[(len(kept) - 1) * size : len(kept) * size], [kept.pop()], size)
    return dy


def accumulate_with_total(loss_and_gradient, parts, count, total=None):
    total = total or sum((labels != -100).sum() for _, labels in parts)
    loss, gradient = 0.0, 0.0
    for x, labels in parts:
        part_loss, part_gradient = loss_and_gradient(x, labels)
        loss = loss + count(labels) / total * part_loss
        gradient = gradient + count(labels) / total * part_gradient
    return loss, gradient


def accumulate_without_adding(loss_and_gradient, parts):
    loss, _ = accumulate(loss_and_gradient, parts)
    x, labels = parts[-1]
    share = (labels != -100).sum() / sum((labels != -100).sum() for _, labels in parts)
    return loss, share * loss_and_gradient(x, labels)[1]


RIGHT = {
    "layer_activations": {
        "a formula": activations,
        "part by part": activations_part_by_part,
        "a NumPy number": lambda *sizes: np.int64(activations(*sizes)),
        "a float": lambda *sizes: float(activations(*sizes)),
    },
    "forward_in_segments": {
        "the solution's way": forward_in_segments,
        "slices, lists, copies of x": forward_slice_by_slice,
        "another generator with the same state": forward_with_a_new_generator,
    },
    "backward_in_segments": {
        "the solution's way": backward_in_segments,
        "copies of the generators": backward_with_copies,
        "recursion": backward_by_recursion,
        "kept is taken apart": backward_that_pops,
    },
    "accumulate": {
        "shares": accumulate,
        "divided at the end": accumulate_and_divide_at_the_end,
        "float32": accumulate_in_float32,
        "all at once": accumulate_as_one,
    },
}

WRONG = {
    "layer_activations": {
        "bytes": (lambda *sizes: 4 * activations(*sizes), "those are bytes"),
        "no heads": (lambda B, T, D, H, F: 8 * B * T * D + 2 * B * T * F + B * T * T, "the heads are missing"),
        "three inputs": (lambda B, T, D, H, F: activations(B, T, D, H, F) + 2 * B * T * D, "kept once"),
        "one wide": (lambda B, T, D, H, F: activations(B, T, D, H, F) - B * T * F, "GELU keeps its slope"),
        "no q, k, v": (lambda B, T, D, H, F: activations(B, T, D, H, F) - 3 * B * T * D, "q, k and v are missing"),
        "something else": (
            lambda B, T, D, H, F: 4 * B * T * D + 3 * B * T * F + B * H * T * T,
            "too few arrays of (B, T, D)",
        ),
        "the norms' numbers": (lambda B, T, D, H, F: activations(B, T, D, H, F) + 2 * B * T, "is neglected here"),
        "one text": (lambda B, T, D, H, F: activations(1, T, D, H, F), "B is missing"),
    },
    "forward_in_segments": {
        "the generator itself": (
            lambda *inputs: forward_that_keeps(*inputs, what=lambda generator: generator),
            "the generator itself was kept",
        ),
        "copied too late": (forward_that_keeps_too_late, "copied after the segment"),
        "a fresh generator": (
            lambda *inputs: forward_that_keeps(*inputs, what=lambda generator: np.random.default_rng(7)),
            "is not as it was before",
        ),
        "copies passed on": (forward_that_passes_copies_on, "every segment drops the same numbers"),
        "the last layer of a segment": (forward_that_keeps_the_last, "the input of the segment's last layer"),
        "a copy for each layer": (forward_that_always_copies, "every layer drops the same numbers"),
        "after a layer": (forward_that_keeps_after_a_layer, "keep x before"),
        "outputs": (forward_that_keeps_outputs, "keep x before the layers of the segment run"),
        "every layer": (forward_layer_by_layer, "one for each layer"),
        "the rest left out": (forward_without_the_rest, "the last segment is shorter"),
        "caches kept": (forward_that_keeps_caches, "all layers' caches existed"),
    },
    "backward_in_segments": {
        "segments forth": (backward_with(forth, back, itself), "the segments go from the last to the first"),
        "layers forth": (backward_with(back, forth, itself), "inside a segment, too"),
        "other draws": (
            backward_with(back, back, lambda generator: np.random.default_rng(0)),
            "other numbers were dropped",
        ),
        "caches from the wrong end": (
            backward_with(back, back, itself, order_of_caches=forth),
            "that was made last: caches.pop()",
        ),
        "dy not passed on": (backward_with(back, back, itself, passed_on=False), "each layer got the dy that came in"),
        "all caches first": (backward_that_makes_all_first, "caches existed at one time"),
        "dy returned": (
            lambda dy, layers, kept, size: (backward_in_segments(dy, layers, kept, size), dy)[1],
            "that is the dy that came in",
        ),
        "nothing": (lambda dy, layers, kept, size: dy, "no layer's backward was called"),
    },
    "accumulate": {
        "mean of means": (lambda f, parts: accumulate(f, parts, lambda labels: 1), "mean of the parts' means"),
        "by texts": (lambda f, parts: accumulate(f, parts, len), "what is averaged are labels"),
        "sum": (
            lambda f, parts: tuple(len(parts) * value for value in accumulate(f, parts, lambda labels: 1)),
            "that is the sum over the parts",
        ),
        "with padding": (lambda f, parts: accumulate(f, parts, np.size), "what is averaged are labels"),
        "the last alone": (lambda f, parts: f(*parts[-1]), "that is the last part's alone"),
        "labels that don't count": (
            lambda f, parts: accumulate(f, parts, lambda labels: (labels == -100).sum()),
            "those are the ones that don't count",
        ),
        "a mean for a number": (
            lambda f, parts: accumulate_with_total(f, parts, lambda labels: (labels != -100).mean()),
            "their number is the sum",
        ),
        "the last part's number": (
            lambda f, parts: accumulate_with_total(
                f, parts, lambda labels: (labels != -100).sum(), (parts[-1][1] != -100).sum()
            ),
            "N counts those of all parts",
        ),
        "gradient not added": (accumulate_without_adding, "gradient = gradient + …"),
    },
}


def copies_share_their_source():
    """Whether copy.copy makes a generator that draws from the first one's source: in NumPy 2 it does, in 1.26 not."""
    generator = np.random.default_rng(0)
    return copy.copy(generator).bit_generator is generator.bit_generator


def keeps_a_flat_copy(*inputs):
    return forward_that_keeps(*inputs, what=copy.copy)


if copies_share_their_source():
    WRONG["forward_in_segments"]["copy.copy"] = keeps_a_flat_copy, "draws from the same source"
else:
    RIGHT["forward_in_segments"]["copy.copy"] = keeps_a_flat_copy

test_right, test_wrong, test_complete = suite_of(11, RIGHT, WRONG)

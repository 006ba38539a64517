"""The key/value cache: what attention remembers of the tokens that a decoder has already read.

A decoder that writes one token after another would compute the keys and values of all earlier tokens again at each
step. They don't change (no token sees what comes behind it), so they are kept: a step then costs one token's products,
and only the attention itself still grows with the text.

    past = KeyValueCache()
    model(prompt, past_key_values=past, use_cache=True)         reads the prompt and fills the cache
    model(next_token, past_key_values=past, use_cache=True)     reads one token, sees all before it
"""

from __future__ import annotations

from ..backend import Array, array_module, as_array_like

BLOCK = 256  # the arrays grow by this many tokens at a time, so that most steps copy nothing


class LayerPast:
    """One layer's keys and values (B, H, S, K), of S tokens so far, in arrays with room for more.

    With cross-attention also the source's, which are computed once.
    """

    def __init__(self):
        self.length = 0
        self._keys: Array | None = None
        self._values: Array | None = None
        self.source: tuple[Array, Array] | None = None

    @property
    def keys(self) -> Array:
        return self._keys[:, :, : self.length]

    @property
    def values(self) -> Array:
        return self._values[:, :, : self.length]

    def append(self, keys: Array, values: Array) -> tuple[Array, Array]:
        """Add T tokens' (B, H, T, K) -> those of all S + T tokens. Views: they are good until the next call."""
        if self._keys is None:
            self._keys, self._values, self.length = keys, values, keys.shape[2]  # the first need no copy
            return keys, values
        if keys.shape[0] != self._keys.shape[0]:
            raise ValueError(
                f"past_key_values is of a batch of {self._keys.shape[0]}, but this one has {keys.shape[0]} texts"
            )
        (_, heads, _, width), (_, past_heads, _, past_width) = keys.shape, self._keys.shape
        if (heads, width) != (past_heads, past_width):
            raise ValueError(
                f"past_key_values has {past_heads} heads of width {past_width}, but this model {heads} of width "
                f"{width}; is it another model's?"
            )
        start, stop = self.length, self.length + keys.shape[2]
        if stop > self._keys.shape[2]:
            room = -(-stop // BLOCK) * BLOCK
            self._keys, self._values = _grown(self.keys, room), _grown(self.values, room)
        self._keys[:, :, start:stop] = keys
        self._values[:, :, start:stop] = values
        self.length = stop
        return self.keys, self.values

    def take(self, rows: Array) -> None:
        """Make row b of the batch what row rows[b] was."""
        self._keys, self._values = self._keys[rows], self._values[rows]
        if self.source is not None:
            keys, values = self.source
            self.source = (keys[rows], values[rows])

    def copy(self) -> LayerPast:
        twin = LayerPast()
        twin.length, twin.source = self.length, self.source
        twin._keys, twin._values = self._keys.copy(), self._values.copy()
        return twin


class KeyValueCache:
    """The keys and values of all layers: `past_key_values` of a model's input and output.

    `past[i]` is layer i's (keys, values), each (B, H, S, K); with cross-attention (keys, values, source's keys,
    source's values). A tuple of such tuples, as transformers 4 has it, is taken wherever a cache is.
    """

    def __init__(self):
        self.layers: list[LayerPast] = []

    @classmethod
    def of(cls, past) -> KeyValueCache | None:
        """A cache as it is, a tuple of tuples as a cache, None as None."""
        if past is None or isinstance(past, KeyValueCache):
            return past
        if not isinstance(past, (tuple, list)) or not all(
            isinstance(layer, (tuple, list)) and len(layer) in (2, 4) for layer in past
        ):
            raise TypeError(
                f"past_key_values must be a KeyValueCache or one (keys, values) a layer, got {type(past).__name__}"
            )
        cache = cls()
        for index, (keys, values, *source) in enumerate(past):
            if keys.ndim != 4 or keys.shape[:3] != values.shape[:3]:
                raise ValueError(
                    f"past_key_values has keys of shape {keys.shape} and values of shape {values.shape} in layer "
                    f"{index}, expected (batch, heads, tokens, width) for both"
                )
            layer = cache.layer(index)
            layer.append(keys, values)
            layer.source = tuple(source) or None
        return cache

    def layer(self, index: int) -> LayerPast:
        """Layer `index`, empty if it is new."""
        while len(self.layers) <= index:
            self.layers.append(LayerPast())
        return self.layers[index]

    @property
    def length(self) -> int:
        """How many tokens were read."""
        return self.layers[0].length if self.layers else 0

    def check(self, layers: int) -> None:
        """Raises ValueError if this can't be what a model of so many layers has read. An empty cache can."""
        if self.layers and len(self) != layers:
            raise ValueError(f"past_key_values has {len(self)} layers, but this model {layers}; is it another model's?")
        lengths = {layer.length for layer in self.layers}
        if len(lengths) > 1:
            raise ValueError(
                f"past_key_values has layers of {min(lengths)} to {max(lengths)} tokens, expected the same for all"
            )

    def get_seq_length(self) -> int:
        """The same, by the original's name."""
        return self.length

    def reorder(self, rows) -> KeyValueCache:
        """Row b of the batch becomes what row rows[b] was: for beams, which continue the best rows. Returns self.

        `rows` may be longer or shorter than the batch: np.repeat(np.arange(B), n) gives each text n rows.
        """
        for layer in self.layers:
            layer.take(as_array_like(rows, layer._keys))
        return self

    def crop(self, length: int) -> KeyValueCache:
        """Forget all but the first `length` tokens; a negative number forgets so many of the last. Returns self."""
        kept = length if length >= 0 else max(self.length + length, 0)
        for layer in self.layers:
            layer.length = min(layer.length, kept)
        return self

    def copy(self) -> KeyValueCache:
        """A cache that goes its own way."""
        twin = KeyValueCache()
        twin.layers = [layer.copy() for layer in self.layers]
        return twin

    @classmethod
    def join(cls, parts: list[KeyValueCache]) -> KeyValueCache:
        """The caches of several shares of a batch as one."""
        joined = cls()
        for index, layers in enumerate(zip(*(part.layers for part in parts))):
            xp = array_module(layers[0].keys)
            layer = joined.layer(index)
            layer.append(*(xp.concatenate([getattr(one, name) for one in layers]) for name in ("keys", "values")))
            if layers[0].source is not None:
                layer.source = tuple(xp.concatenate(pair) for pair in zip(*(one.source for one in layers)))
        return joined

    def __getitem__(self, index: int) -> tuple[Array, ...]:
        layer = self.layers[index]
        return (layer.keys, layer.values, *(layer.source or ()))

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"KeyValueCache({len(self)} layers, {self.length} tokens)"


def _grown(x: Array, room: int) -> Array:
    B, H, S, K = x.shape
    larger = array_module(x).empty((B, H, room, K), dtype=x.dtype)
    larger[:, :, :S] = x
    return larger

"""Numbers in 8 bits: a code book of 256 values, and one scale for every block of 256 numbers.

    codes, scales = quantize_blockwise(x, SIGNED)        uint8, and a float32 for each block
    x ≈ dequantize_blockwise(codes, scales, SIGNED)      values[code] · the block's scale

Dettmers, Lewis, Shleifer & Zettlemoyer 2021, "8-bit Optimizers via Block-wise Quantization". AdamW8bit keeps its states
so.
"""

from __future__ import annotations

import numpy as np

from ...backend import Array, array_module

BLOCK = 256  # numbers with one scale; the paper has 2048, bitsandbytes 256 since 0.44
TINY = 1e-38  # in place of a scale of 0


def dynamic_values(signed: bool) -> np.ndarray:
    """(256,) float32, sorted: the dynamic tree quantization's code book, values from −1 (or 0) to 1.

    What a running mean of gradients holds goes over many orders of magnitude, and a small number must not become 0: in
    the divisor of Adam's step that would be a huge step. 256 values at equal distances would make everything below
    1/256 of the largest number 0. So here each power of ten has its share of the values, the top one the most:

        10⁻⁶ … 10⁻⁵    1 value   (unsigned: 2)
        10⁻⁵ … 10⁻⁴    2 values  (4)
        …
        10⁻¹ … 1       64 values (128)                   and 0, and 1

    In bits: leading zeros count the exponent, the first 1 ends them, what remains is a fraction in equal steps. Small
    numbers spend their bits on the exponent, large ones on the fraction. Within a power of ten the values are the
    middles of equal intervals of [0.1, 1].
    """
    values = [0.0, 1.0]
    for exponent in range(7):
        count = 2**exponent if signed else 2 ** (exponent + 1)
        edges = np.linspace(0.1, 1.0, count + 1)
        middles = 10.0 ** (exponent - 6) * (edges[:-1] + edges[1:]) / 2
        values += [*middles, *(-middles if signed else ())]
    return np.sort(np.array(values, dtype=np.float32))


class CodeBook:
    """256 sorted values, and how to find the nearest one without searching.

    The upper 16 bits of a float32 (sign, exponent, 7 digits of the fraction) number narrow intervals, each with at most
    one border between two codes in it. So two tables with 65,536 entries are enough: the code at an interval's lower
    end, and the border, above which it is the next code.
    """

    def __init__(self, values: np.ndarray):
        borders = (values[:-1] + values[1:]) / 2
        upper = np.arange(65536, dtype=np.uint32) << 16
        ends = np.stack([upper, upper | 0xFFFF]).view(np.float32)
        ends[:, ~np.isfinite(ends).all(axis=0)] = 0  # nan gets some code: it has reached the weights by then
        first, last = np.searchsorted(borders, ends.min(axis=0)), np.searchsorted(borders, ends.max(axis=0))
        assert (last - first <= 1).all()
        inside = np.where(last > first, borders[np.minimum(first, 254)], np.inf).astype(np.float32)
        self._tables = {None: (values, first.astype(np.uint8), inside)}

    def tables(self, like: Array) -> tuple[Array, Array, Array]:
        """(values, code of each interval, border in each interval), where `like` lives."""
        device = None if isinstance(like, np.ndarray) else like.device.id
        if device not in self._tables:
            self._tables[device] = tuple(array_module(like).asarray(table) for table in self._tables[None])
        return self._tables[device]


SIGNED = CodeBook(dynamic_values(signed=True))
UNSIGNED = CodeBook(dynamic_values(signed=False))


def quantize_blockwise(x: Array, book: CodeBook) -> tuple[Array, Array]:
    """x (…) -> codes, uint8 of the same shape, and scales (⌈size/256⌉,) float32: the largest |x| of each block.

    Blocks run over the flat array, the last may be shorter. The largest number of a block is exact: an outlier spoils
    the accuracy of 255 neighbours, not of the whole array.
    """
    xp = array_module(x)
    codes, scales = xp.empty(x.shape, dtype=np.uint8), xp.empty(-(-x.size // BLOCK), dtype=np.float32)
    flat = x.reshape(-1).astype(np.float32)  # a copy
    quantize_into(flat, book, codes.reshape(-1), scales, scratch_of_quantization(x.size, xp))
    return codes, scales


def dequantize_blockwise(codes: Array, scales: Array, book: CodeBook) -> Array:
    """The numbers that codes and scales stand for, float32."""
    xp = array_module(codes)
    x = xp.empty(codes.shape, dtype=np.float32)
    dequantize_into(codes.reshape(-1), scales, book, x.reshape(-1), scratch_of_quantization(codes.size, xp))
    return x


BUFFERS = (np.float32, np.intp, np.uint8)  # number types of the scratch arrays


def scratch_of_quantization(size: int, xp) -> list[Array]:
    return [xp.empty(size, dtype=dtype) for dtype in BUFFERS]


def quantize_into(x: Array, book: CodeBook, codes: Array, scales: Array, scratch: list[Array]) -> None:
    """x (n,) float32, overwritten -> codes (n,), scales (⌈n/256⌉,)."""
    xp = array_module(x)
    border, interval, above = scratch
    _, code_of, border_in = book.tables(x)
    for part, size, scale in zip(_in_blocks(x), _in_blocks(border), _of_blocks(scales, x.size)):
        xp.absolute(part, out=size)
        scale[...] = size.max(axis=1)
        part /= xp.maximum(scale, TINY)[:, None]
    xp.right_shift(x.view(np.uint32), 16, out=interval)
    _take(code_of, interval, codes)
    _take(border_in, interval, border)
    xp.greater(x, border, out=above.view(bool))
    codes += above


def dequantize_into(codes: Array, scales: Array, book: CodeBook, x: Array, scratch: list[Array]) -> None:
    """codes (n,), scales (⌈n/256⌉,) -> x (n,) float32."""
    _, index, _ = scratch
    index[...] = codes
    _take(book.tables(x)[0], index, x)
    for part, scale in zip(_in_blocks(x), _of_blocks(scales, x.size)):
        part *= scale[:, None]


def _in_blocks(x: Array) -> list[Array]:
    """(n,) as (blocks, 256), and what remains as (1, rest): views."""
    whole = x.size // BLOCK * BLOCK
    parts = (x[:whole].reshape(-1, BLOCK), x[whole:].reshape(1, -1))
    return [part for part in parts if part.size]


def _of_blocks(scales: Array, size: int) -> list[Array]:
    """The scales of those two parts."""
    return [part for part in (scales[: size // BLOCK], scales[size // BLOCK :]) if part.size]


def _take(table: Array, index: Array, out: Array) -> None:
    """out = table[index]; NumPy writes into `out` directly only if it need not raise for an index out of range."""
    if isinstance(table, np.ndarray):
        np.take(table, index, out=out, mode="clip")
    else:
        array_module(table).take(table, index, out=out)

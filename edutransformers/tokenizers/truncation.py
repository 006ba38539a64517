"""Truncation: how many tokens of each text stay, and which windows of a text the overflowing rows show."""

from typing import NamedTuple

from edutransformers.tokenizers.strategies import TruncationStrategy


class Truncation(NamedTuple):
    """What the caller asked for; `max_length` includes special tokens, `side` is where tokens are cut off."""

    max_length: int
    strategy: TruncationStrategy = TruncationStrategy.LONGEST_FIRST
    stride: int = 0
    side: str = "right"
    odd_to_first: bool = False  # see kept_lengths

    def to_json(self) -> dict:
        return {
            "direction": self.side.capitalize(),
            "max_length": self.max_length,
            "strategy": "".join(word.capitalize() for word in self.strategy.value.split("_")),
            "stride": self.stride,
        }


def kept_lengths(
    first: int, second: int | None, room: int, strategy: TruncationStrategy, odd_to_first: bool = False
) -> tuple[int, int]:
    """How many of `first` tokens and, for a pair, of `second` tokens fit into `room`.

    longest_first cuts the longer text down to the shorter one's length before it touches the shorter one; if both must
    be cut, the room is halved, and of an odd room the longer text gets one token more; of equally long ones the second,
    with `odd_to_first` (as in the original's Python tokenizers) always the first. only_first and only_second cut one
    text and raise ValueError when that isn't enough.
    """
    total = first + (second or 0)
    if room == 0:
        return 0, 0
    if total <= room:
        return first, second or 0
    excess = total - room
    if strategy is TruncationStrategy.LONGEST_FIRST:
        if second is None:
            return room, 0
        shorter, longer = min(first, second), max(first, second)
        longer = shorter if shorter > room else max(shorter, room - shorter)
        if shorter + longer > room:
            shorter = room // 2
            longer = shorter + room % 2
            if odd_to_first:
                return longer, shorter
        return (longer, shorter) if first > second else (shorter, longer)
    if strategy is TruncationStrategy.ONLY_SECOND and second is None:
        raise ValueError("truncation='only_second' needs a text_pair; use 'only_first' or True for single texts.")
    target = first if strategy is TruncationStrategy.ONLY_FIRST else second
    if target <= excess:
        name = "first" if strategy is TruncationStrategy.ONLY_FIRST else "second"
        raise ValueError(
            f"truncation='only_{name}' can't cut {excess} tokens off the {name} text, which has only {target}: the "
            "other text and the special tokens leave no room. Use truncation='longest_first' or a larger max_length."
        )
    if strategy is TruncationStrategy.ONLY_FIRST:
        return first - excess, second or 0
    return first, second - excess


def windows(length: int, size: int, stride: int, side: str) -> list[tuple[int, int]]:
    """Stretches [start, stop) that cover `length` tokens, `size` at a time, each sharing `stride` with the one before.

    The first window is what stays after truncation, the others are the overflow. side="left" starts at the end.
    """
    if size >= length:
        return [(0, length)]
    if size == 0:
        return [(0, 0), (0, length)]  # nothing stays, so all of it overflows at once
    if stride >= size:
        raise ValueError(
            f"stride={stride} must be smaller than the {size} tokens of this text that fit beside the special tokens "
            "and the other text; use a smaller stride or a larger max_length."
        )
    result = []
    step = size - stride
    if side == "right":
        for start in range(0, length, step):
            result.append((start, min(start + size, length)))
            if result[-1][1] == length:
                break
    else:
        for stop in range(length, 0, -step):
            result.append((max(stop - size, 0), stop))
            if result[-1][0] == 0:
                break
    return result

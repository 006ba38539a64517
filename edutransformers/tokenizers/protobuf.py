"""Protocol Buffers' wire format, as much of it as a SentencePiece model needs.

A message is a row of fields. A field is a tag and a value; the tag is a varint, number · 8 + wire type, and the wire
type says how long the value is:

    0  a varint: 7 bits a byte, the lowest first, and the top bit set in all bytes but the last    150 -> 96 01
    1  8 bytes                              5  4 bytes
    2  a varint n and n bytes: a string, bytes, or a message in itself

The names of the fields are not in the file: number 1 of a piece is its text because sentencepiece_model.proto says so.
(Wire types 3 and 4, groups, went out of use before SentencePiece was written.)

Source: Protocol Buffers documentation, "Encoding".
"""

from collections.abc import Iterable
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LENGTHS = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT = 10  # bytes of a number of 64 bits


class Field(NamedTuple):
    """`value` is an int of 64 bits without sign for a varint, else the bytes as they stand in the file."""

    number: int
    wire_type: int
    value: int | bytes


def read_fields(data: bytes) -> list[Field]:
    """The fields of a message in the order of the file. Raises ValueError where it is none."""
    fields, place = [], 0
    while place < len(data):
        tag, place = _read_varint(data, place)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise ValueError(f"a field has the number 0 (byte {place} of the message)")
        if wire_type == VARINT:
            value, place = _read_varint(data, place)
        else:
            if wire_type == BYTES:
                length, place = _read_varint(data, place)
            elif wire_type in _LENGTHS:
                length = _LENGTHS[wire_type]
            else:
                raise ValueError(f"field {number} is of wire type {wire_type}; expected 0, 1, 2 or 5")
            if length > len(data) - place:
                raise ValueError(
                    f"field {number} is said to have {length} bytes, but only {len(data) - place} are left"
                )
            value = data[place : place + length]
            place += length
        fields.append(Field(number, wire_type, value))
    return fields


def write_fields(fields: Iterable[Field]) -> bytes:
    """The message that `read_fields` reads."""
    parts = []
    for number, wire_type, value in fields:
        parts.append(_varint(number << 3 | wire_type))
        if wire_type == VARINT:
            parts.append(_varint(value))
        else:
            if wire_type == BYTES:
                parts.append(_varint(len(value)))
            parts.append(value)
    return b"".join(parts)


def signed(value: int) -> int:
    """A varint as an int with sign: −1 is written as 2⁶⁴ − 1, in ten bytes."""
    return value - (1 << 64) if value >> 63 else value


def unsigned(value: int) -> int:
    return value & ((1 << 64) - 1)


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    """The number, and the place behind it."""
    if place < len(data) and data[place] < 0x80:  # most numbers are short
        return data[place], place + 1
    value = 0
    for i, byte in enumerate(data[place : place + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value & ((1 << 64) - 1), place + i + 1
    if len(data) - place < _LONGEST_VARINT:
        raise ValueError("it ends in the middle of a number")
    raise ValueError(f"a number has more than {_LONGEST_VARINT} bytes (byte {place} of the message)")


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)

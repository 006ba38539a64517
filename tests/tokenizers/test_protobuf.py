"""The wire format by hand: every kind of field, and what is no message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edutransformers.tokenizers.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Field,
    read_fields,
    signed,
    unsigned,
    write_fields,
)

EXAMPLES = [  # the first three are those of the format's own documentation
    ("08 96 01", [Field(1, VARINT, 150)]),
    ("12 07 74 65 73 74 69 6e 67", [Field(2, BYTES, b"testing")]),
    ("1a 03 08 96 01", [Field(3, BYTES, b"\x08\x96\x01")]),
    ("", []),
    ("15 00 00 20 c0", [Field(2, FIXED32, b"\x00\x00\x20\xc0")]),
    ("19 01 02 03 04 05 06 07 08", [Field(3, FIXED64, bytes(range(1, 9)))]),
    ("80 01 00 0a 00", [Field(16, VARINT, 0), Field(1, BYTES, b"")]),
    ("d8 02 ff ff ff ff ff ff ff ff ff 01", [Field(43, VARINT, 2**64 - 1)]),
]


@pytest.mark.parametrize(("written", "fields"), EXAMPLES, ids=[written for written, _ in EXAMPLES])
def test_both_ways(written, fields):
    data = bytes.fromhex(written)
    assert read_fields(data) == fields
    assert write_fields(fields) == data


def test_of_ten_bytes_only_64_bits_count():
    assert read_fields(bytes.fromhex("08 ff ff ff ff ff ff ff ff ff 7f")) == [Field(1, VARINT, 2**64 - 1)]


def test_numbers_with_a_sign():
    assert signed(2**64 - 1) == -1
    assert signed(5) == 5
    assert unsigned(-1) == 2**64 - 1
    assert signed(unsigned(-(2**31))) == -(2**31)


FIELDS = st.lists(
    st.one_of(
        st.builds(Field, st.integers(1, 2**29 - 1), st.just(VARINT), st.integers(0, 2**64 - 1)),
        st.builds(Field, st.integers(1, 2**29 - 1), st.just(BYTES), st.binary(max_size=200)),
        st.builds(Field, st.integers(1, 2**29 - 1), st.just(FIXED32), st.binary(min_size=4, max_size=4)),
        st.builds(Field, st.integers(1, 2**29 - 1), st.just(FIXED64), st.binary(min_size=8, max_size=8)),
    )
)


@given(fields=FIELDS)
def test_what_is_written_is_read(fields):
    assert read_fields(write_fields(fields)) == fields


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("08", "ends in the middle of a number"),
        ("80", "ends in the middle of a number"),
        ("08 96", "ends in the middle of a number"),
        ("12 07 74 65", "field 2 is said to have 7 bytes, but only 2 are left"),
        ("12 ff ff ff ff ff ff ff ff 7f", "field 2 is said to have 9223372036854775807 bytes, but only 0 are left"),
        ("15 00 00 20", "field 2 is said to have 4 bytes, but only 3 are left"),
        ("19 00", "field 3 is said to have 8 bytes, but only 1 are left"),
        ("0b 0c", "field 1 is of wire type 3; expected 0, 1, 2 or 5"),
        ("0e", "field 1 is of wire type 6"),
        ("00 01", "a field has the number 0"),
        ("08 ff ff ff ff ff ff ff ff ff ff 01", "a number has more than 10 bytes"),
    ],
)
def test_errors(written, message):
    with pytest.raises(ValueError, match=message):
        read_fields(bytes.fromhex(written))

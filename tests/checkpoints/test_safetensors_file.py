import contextlib
import io
import json

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from edutransformers.checkpoints.errors import CheckpointFormatError
from edutransformers.checkpoints.safetensors_file import read_metadata, read_safetensors, write_safetensors

ARRAYS = {
    "int8": np.arange(3, dtype=np.int8),
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3) / 3,
    "float16": np.arange(5, dtype=np.float16),
    "float64": np.arange(2, dtype=np.float64) / 7,
    "int64": np.array(2**62),
    "bool": np.array([[True, False]]),
    "uint8": np.arange(4, dtype=np.uint8),
    "empty": np.zeros((0, 3), dtype=np.float32),
    "name with ü, \" and 🤗": np.ones(1, dtype=np.float32),
}  # fmt: skip


def made(header, data=b"", length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def written(arrays, dtype=None):
    file = io.BytesIO()
    write_safetensors(file, arrays, dtype)
    return file.getvalue()


def read(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    return {name: tensor.read() for name, tensor in read_safetensors(path).items()}


class TestReading:
    def test_what_the_safetensors_package_writes(self, tmp_path):
        safetensors.numpy.save_file(ARRAYS, tmp_path / "model.safetensors", metadata={"format": "pt"})
        tensors = read_safetensors(tmp_path / "model.safetensors")
        assert tensors.keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            assert tensors[name].shape == array.shape
            assert tensors[name].dtype == array.dtype.name
            assert tensors[name].read().dtype == array.dtype
            np.testing.assert_array_equal(tensors[name].read(), array)
        assert read_metadata(tmp_path / "model.safetensors") == {"format": "pt"}

    def test_into_another_number_type(self, tmp_path):
        safetensors.numpy.save_file(ARRAYS, tmp_path / "model.safetensors")
        tensor = read_safetensors(tmp_path / "model.safetensors")["float16"]
        assert tensor.read(np.float64).dtype == np.float64
        assert np.asarray(tensor, dtype=np.float32).dtype == np.float32

    def test_bfloat16_becomes_float32(self, tmp_path):
        bits = np.array([0x3F80, 0xC020, 0x7F80, 0x0001], dtype="<u2")
        (values,) = read(tmp_path, made({"x": entry("BF16", (4,), (0, 8))}, bits.tobytes())).values()
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, np.array([1.0, -2.5, np.inf, 2.0**-133], dtype=np.float32))

    def test_float8_is_refused_when_read(self, tmp_path):
        with pytest.raises(CheckpointFormatError, match="F8_E4M3, which this library can't read"):
            read(tmp_path, made({"x": entry("F8_E4M3", (2,), (0, 2))}, b"ab"))

    def test_nothing_but_the_header_is_read_before(self, tmp_path):
        path = tmp_path / "model.safetensors"
        path.write_bytes(made({"x": entry()}, b"\0" * 8))
        tensor = read_safetensors(path)["x"]
        path.write_bytes(made({"y": entry()}, b"\1" * 9))
        with pytest.raises(CheckpointFormatError, match="changed while it was being read"):
            tensor.read()


class TestWriting:
    def test_the_safetensors_package_reads_it(self, tmp_path):
        (tmp_path / "model.safetensors").write_bytes(written(ARRAYS))
        arrays = safetensors.numpy.load_file(tmp_path / "model.safetensors")
        assert arrays.keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            assert arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(arrays[name], array)

    def test_what_is_not_contiguous(self, tmp_path):
        table = np.arange(12, dtype=np.float32).reshape(3, 4)
        arrays = read(tmp_path, written({"t": table.T, "c": table[:, 1]}))
        np.testing.assert_array_equal(arrays["t"], table.T)
        np.testing.assert_array_equal(arrays["c"], table[:, 1])

    def test_dtype_changes_floats_only(self, tmp_path):
        arrays = read(tmp_path, written(ARRAYS, "float16"))
        assert {x.dtype.name for x in arrays.values()} == {"float16", "int8", "int64", "bool", "uint8"}

    @pytest.mark.parametrize(
        ("number", "rounded"),
        [
            (1.0, 0x3F80),
            (1.00390625, 0x3F80),  # exactly between 0x3F80 and 0x3F81: to the even one
            (1.01171875, 0x3F82),
            (1.0039064, 0x3F81),
            (3.4028235e38, 0x7F80),  # the largest float32 rounds to infinity
            (-0.0, 0x8000),
            (np.inf, 0x7F80),
        ],
    )
    def test_bfloat16_rounds_to_nearest_even(self, number, rounded):
        data = written({"x": np.array([number], dtype=np.float32)}, "bfloat16")[-2:]
        assert int.from_bytes(data, "little") == rounded

    def test_bfloat16_keeps_nan(self, tmp_path):
        nans = np.array([0x7F800001, 0xFFFFFFFF, 0x7FC00000], dtype=np.uint32).view(np.float32)
        assert np.isnan(read(tmp_path, written({"x": nans}, "bfloat16"))["x"]).all()

    def test_a_type_without_a_name_is_refused(self):
        with pytest.raises(ValueError, match="an array of complex128 can't be saved"):
            written({"x": np.zeros(2, dtype=complex)})


BAD = {
    "empty": (b"", "it is empty"),
    "short": (b"\x01\x02", "has 2 bytes"),
    "header length absurd": (made(b"{}", length=2**63), "says? that the header has 9223372036854775808 bytes"),
    "header cut off": (made(b"{}", length=50), "the header has 50 bytes, but the file has 10"),
    "zip": (b"PK\x03\x04" + b"\0" * 50, "it is a zip file, as torch.save writes it"),
    "pickle": (b"\x80\x02" + b"\xff" * 50, "it is a pickle, not a safetensors file"),
    "web page": (b"\n<!DOCTYPE html><html>404 not found</html>", "it is a web page"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 438\n", "git-lfs pointer"),
    "not JSON": (made(b"{nonsense"), "its header is not JSON"),
    "not UTF-8": (made(b'{"\xff": 1}'), "its header is not JSON"),
    "deep": (made(b"[" * 100_000), "its header is not JSON"),
    "a list": (made([]), "its header is a JSON list"),
    "twice": (made(b'{"a": 1, "a": 1}'), "a name occurs twice"),
    "no dtype": (made({"x": {"shape": [], "data_offsets": [0, 0]}}), "lacks dtype, shape or data_offsets"),
    "not an entry": (made({"x": 5}), "lacks dtype, shape or data_offsets"),
    "unknown dtype": (made({"x": entry("F99")}, b"\0" * 8), "the number type 'F99'"),
    "dtype no text": (made({"x": entry([])}, b"\0" * 8), "the number type"),
    "negative side": (made({"x": entry(shape=[-2])}, b"\0" * 8), "expected a list of natural numbers"),
    "fraction": (made({"x": entry(shape=[2.0])}, b"\0" * 8), "expected a list of natural numbers"),
    "side is true": (made({"x": entry(shape=[2, True])}, b"\0" * 8), "expected a list of natural numbers"),
    "huge shape": (made({"x": entry(shape=[2**40, 2**40])}, b"\0" * 8), "expected a list of natural numbers"),
    "many axes": (made({"x": entry(shape=[1] * 65 + [2])}, b"\0" * 8), "expected a list of natural numbers"),
    "too large": (made({"x": entry(shape=[2**40], offsets=(0, 8))}, b"\0" * 8), "needs 4398046511104"),
    "offsets behind": (made({"x": entry(offsets=(0, 8))}, b"\0" * 7), "it is truncated"),
    "offsets reversed": (made({"x": entry(offsets=(8, 0))}, b"\0" * 8), "lies at bytes 8 to 0"),
    "three offsets": (made({"x": entry(offsets=(0, 4, 8))}, b"\0" * 8), "expected two natural numbers"),
    "overlap": (made({"x": entry(offsets=(0, 8)), "y": entry(offsets=(4, 12))}, b"\0" * 12), "'x' and 'y' overlap"),
    "hole": (made({"x": entry(offsets=(4, 12))}, b"\0" * 12), "no tensor owns the bytes before 'x'"),
    "bytes left over": (made({"x": entry()}, b"\0" * 9), "its tensors end at byte 8 of 9"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_say_what_is_wrong(tmp_path, case):
    content, message = BAD[case]
    with pytest.raises(CheckpointFormatError, match=message) as caught:
        read(tmp_path, content)
    assert str(tmp_path / "model.safetensors") in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data())
def test_damaged_files_never_do_anything_else(tmp_path_factory, data):
    """Whatever bytes change or are cut off: the tensors come out, or a CheckpointFormatError."""
    content = bytearray(written(ARRAYS))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(len(content) // 2, len(content)))]
    path = tmp_path_factory.mktemp("damaged")
    with contextlib.suppress(CheckpointFormatError):
        read(path, bytes(content))

import contextlib
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edutransformers.checkpoints.errors import CheckpointFormatError
from edutransformers.checkpoints.pickle_reader import ALLOWED
from edutransformers.checkpoints.torch_bin import read_torch_bin
from edutransformers.checkpoints.torch_bin_writer import write_torch_bin

FIXTURES = Path(__file__).parents[1] / "fixtures" / "checkpoints"
TABLE = np.arange(12, dtype=np.float32).reshape(3, 4)
EXPECTED = {  # what tests/fixtures/checkpoints/make.py has saved
    "float32": TABLE,
    "transposed": TABLE.T,
    "column": TABLE[:, 1],
    "tail": TABLE[1:],
    "parameter": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
    "float64": np.arange(3) / 3,
    "float16": (np.arange(5) / 8).astype(np.float16),
    "bfloat16": np.array([1.0, -2.5, 3.140625, 1.0002555517425873e30], dtype=np.float32),
    "int64": np.arange(4).reshape(1, 4),
    "int32": np.arange(3, dtype=np.int32),
    "int16": np.arange(3, dtype=np.int16),
    "int8": np.arange(3, dtype=np.int8),
    "uint8": np.arange(3, dtype=np.uint8),
    "bool": np.array([True, False, True]),
    "scalar": np.array(7.0, dtype=np.float32),
    "empty": np.zeros((0, 5), dtype=np.float32),
}


@pytest.mark.parametrize("file", ["zip.bin", "legacy.bin"])
def test_what_torch_writes_in_its_new_and_its_old_format(file):
    tensors = read_torch_bin(FIXTURES / file)
    assert list(tensors) == list(EXPECTED)
    for name, array in EXPECTED.items():
        values = tensors[name].read()
        assert values.dtype == array.dtype
        assert values.flags.c_contiguous
        np.testing.assert_array_equal(values, array)
    assert tensors["bfloat16"].dtype == "bfloat16"
    assert tensors["float16"].read(np.float32).dtype == np.float32


def test_what_this_library_writes(tmp_path):
    with open(tmp_path / "pytorch_model.bin", "wb") as file:
        write_torch_bin(file, EXPECTED)
    tensors = read_torch_bin(tmp_path / "pytorch_model.bin")
    for name, array in EXPECTED.items():
        np.testing.assert_array_equal(tensors[name].read(), array)
    with open(tmp_path / "half.bin", "wb") as file:
        write_torch_bin(file, EXPECTED, dtype="bfloat16")
    tensors = read_torch_bin(tmp_path / "half.bin")
    assert tensors["float64"].dtype == "bfloat16"
    np.testing.assert_array_equal(tensors["transposed"].read(), EXPECTED["transposed"])


def test_number_types_that_torch_has_no_storage_for_are_refused():
    with pytest.raises(ValueError, match="x holds uint16"):
        write_torch_bin(io.BytesIO(), {"x": np.zeros(2, dtype=np.uint16)})


# -- files that want more than tensors --------------------------------------------------------------------------------


class Call:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def zipped(path, pickled: bytes, data=b"\0" * 16, **names):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", data)
        for name, content in names.items():
            archive.writestr(f"archive/{name}", content)
    return path


def legacy(path, pickled: bytes):
    magic = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    path.write_bytes(b"".join(magic) + pickled + pickle.dumps([], 2))
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("make", [zipped, legacy])
@pytest.mark.parametrize(
    ("function", "named"),
    [(os.system, f"{os.system.__module__}.system"), (eval, "builtins.eval"), (getattr, "getattr")],
)
def test_a_call_of_something_is_named_and_not_executed(tmp_path, make, function, named, protocol):
    mark = tmp_path / "executed"
    argument = f"touch {mark}" if function is os.system else f"open({str(mark)!r}, 'w').close()"
    call = Call(function, argument) if function is not getattr else Call(getattr, "x", "upper")
    pickled = pickle.dumps({"weight": call}, protocol)
    pickle.loads(pickled)  # the attack works: Python's own pickle executes it
    assert mark.exists() or function is getattr
    mark.unlink(missing_ok=True)

    path = make(tmp_path / "pytorch_model.bin", pickled)
    # The oldest protocols know `builtins` as `__builtin__`, and 0 has an instruction that no file of torch uses.
    with pytest.raises(CheckpointFormatError, match=rf"{named}|__builtin__|instruction") as caught:
        read_torch_bin(path)
    assert len(str(caught.value).splitlines()) == 1
    assert not mark.exists()


@pytest.mark.parametrize(
    "name", ["torch.nn.Linear", "argparse.Namespace", "numpy.core.multiarray._reconstruct", "torch._utils._rebuild_x"]
)
def test_any_other_name_is_an_error_that_names_it(tmp_path, name):
    module, _, attribute = name.rpartition(".")
    path = zipped(tmp_path / "x.bin", f"\x80\x02c{module}\n{attribute}\n.".encode("latin-1"))
    with pytest.raises(CheckpointFormatError, match=f"names {name}, which is neither a tensor"):
        read_torch_bin(path)


def test_a_file_that_is_only_a_pickle_is_not_executed(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(pickle.dumps(Call(os.system, f"touch {tmp_path / 'executed'}"), 2))
    with pytest.raises(CheckpointFormatError, match="system"):
        read_torch_bin(path)
    path.write_bytes(pickle.dumps({"a": 1}, 2))
    with pytest.raises(CheckpointFormatError, match="not one of torch.save"):
        read_torch_bin(path)
    assert not (tmp_path / "executed").exists()


def test_every_allowed_name_is_about_tensors():
    assert all(name.startswith("torch.") or name == "collections.OrderedDict" for name in ALLOWED)


def test_a_training_state_is_no_model():
    with pytest.raises(CheckpointFormatError, match="a dict under 'model'; expected tensors only"):
        read_torch_bin(FIXTURES / "several.bin")


# -- tensors that reach outside of their storage ----------------------------------------------------------------------


def tensor_pickle(
    length=4, offset=0, shape=(4,), strides=(1,), kind="FloatStorage", key="0", function="_rebuild_tensor_v2"
):
    """A pickle of {"w": tensor} as torch writes it, put together from its instructions."""

    def number(n):
        return pickle.dumps(n, 2)[2:-1]

    storage = (
        b"(X\x07\0\0\0storagectorch\n" + kind.encode() + b"\n" + number(key)[:-2] + b"X\x03\0\0\0cpu" + number(length)
    )
    arguments = b"(" + storage + b"tQ" + number(offset) + pickle.dumps(shape, 2)[2:-1] + pickle.dumps(strides, 2)[2:-1]
    tensor = b"ctorch._utils\n" + function.encode() + b"\n" + arguments + b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02}X\x01\0\0\0w" + tensor + b"s."


def test_the_tensor_above_is_right(tmp_path):
    data = np.arange(4, dtype="<f4").tobytes()
    (tensor,) = read_torch_bin(zipped(tmp_path / "x.bin", tensor_pickle(), data)).values()
    np.testing.assert_array_equal(tensor.read(), np.arange(4))
    (tensor,) = read_torch_bin(
        zipped(tmp_path / "y.bin", tensor_pickle(offset=1, shape=(2,), strides=(2,)), data)
    ).values()
    np.testing.assert_array_equal(tensor.read(), [1, 3])


OUTSIDE = {
    "offset": ({"offset": 1}, "reaches number 5 of a storage that has 4"),
    "stride": ({"shape": (2, 2), "strides": (3, 1)}, "reaches number 5"),
    "shape": ({"shape": (5,)}, "reaches number 5"),
    "blown up": ({"shape": (10**6,), "strides": (0,)}, "from a storage of only 4 numbers"),
    "negative stride": ({"strides": (-1,)}, "are not natural numbers"),
    "negative offset": ({"offset": -1}, "are not natural numbers"),
    "negative side": ({"shape": (-4,)}, "are not natural numbers"),
    "float": ({"shape": (4.0,)}, "are not natural numbers"),
    "strides missing": ({"shape": (2, 2)}, "don't fit together"),
    "huge": ({"shape": (2**60,), "length": 2**61}, "proper key and length"),
    "storage longer than its file": ({"length": 5, "shape": (5,)}, "have 16 bytes, but 5 of float32 need 20"),
    "no such storage": ({"key": "7"}, r"storage '7'\) are not in it"),
    "unknown storage": ({"kind": "QInt8Storage"}, "names torch.QInt8Storage"),
    "unknown function": ({"function": "_rebuild_tensor_v3"}, "names torch._utils._rebuild_tensor_v3"),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_tensor_stays_inside_its_storage(tmp_path, case):
    fields, message = OUTSIDE[case]
    with pytest.raises(CheckpointFormatError, match=message):
        read_torch_bin(zipped(tmp_path / "x.bin", tensor_pickle(**fields)))


BAD_PICKLES = {
    "no end": (b"\x80\x02}", "damaged"),
    "empty stack": (b"\x80\x02.", "damaged"),
    "huge memo": (b"\x80\x02Nr\xff\xff\xff\x7f.", "holds a NoneType"),  # Python's own unpickler asks for 34 GB
    "memo missing": (b"\x80\x02h\x05.", "damaged"),
    "tuple as key": (b"\x80\x02}))s.", "a tuple as the key"),
    "items of a list": (b"\x80\x02]K\x01K\x02s.", "no dictionary"),
    "append to a dict": (b"\x80\x02}K\x01a.", "no list"),
    "call of a text": (b"\x80\x02X\x01\0\0\0a)R.", "is no function here"),
    "call of a storage": (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls torch.FloatStorage"),
    "object": (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "instruction NEWOBJ"),
    "extension": (b"\x80\x02\x82\x01.", "instruction EXT1"),
    "instance": (b"(ios\nsystem\n.", "instruction INST"),
    "no tensors": (b"\x80\x02K\x05.", "it holds a int; expected tensors by name"),
    "strange id": (b"\x80\x02(X\x01\0\0\0a)X\x01\0\0\0bX\x01\0\0\0cK\x01tQ.", "no storage of a tensor"),
    "doubling": (b"\x80\x02)" + b"q\x01h\x01\x86" * 500 + b"Q.", "damaged|no storage"),
}


@pytest.mark.parametrize("case", BAD_PICKLES)
def test_bad_pickles(tmp_path, case):
    pickled, message = BAD_PICKLES[case]
    with pytest.raises(CheckpointFormatError, match=message) as caught:
        read_torch_bin(zipped(tmp_path / "x.bin", pickled))
    assert len(str(caught.value)) < 500


def test_bad_archives(tmp_path):
    path = tmp_path / "x.bin"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor_pickle() + b" " * 10_000_000)  # a zip bomb is not unpacked
    with pytest.raises(CheckpointFormatError, match="compressed, which torch.save never does"):
        read_torch_bin(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("something.txt", "else")
    with pytest.raises(CheckpointFormatError, match="without one data.pkl"):
        read_torch_bin(path)
    with pytest.raises(CheckpointFormatError, match="big-endian"):
        read_torch_bin(zipped(path, tensor_pickle(), byteorder=b"big"))
    whole = (FIXTURES / "zip.bin").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointFormatError, match="zip archive is damaged"):
        read_torch_bin(path)
    whole = (FIXTURES / "legacy.bin").read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(CheckpointFormatError, match="it is truncated"):
        read_torch_bin(path)
    for content, message in ((b"", "it is empty"), (b"<html>", "web page"), (b"what?", "not a file of torch.save")):
        path.write_bytes(content)
        with pytest.raises(CheckpointFormatError, match=message):
            read_torch_bin(path)


@pytest.mark.parametrize("file", ["zip.bin", "legacy.bin"])
@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data())
def test_damaged_files_never_do_anything_else(tmp_path_factory, file, data):
    content = bytearray((FIXTURES / file).read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "pytorch_model.bin"
    path.write_bytes(content)
    with contextlib.suppress(CheckpointFormatError):
        for tensor in read_torch_bin(path).values():
            tensor.read()


def test_a_storage_that_is_a_part_of_another_one(tmp_path):
    """Files of torch before 1.0 have such."""
    view = b"X\x04\0\0\0partX\x03\0\0\0cpuK\x02(X\x04\0\0\0rootK\x03K\x02t"  # key, device, 2 numbers, part of root
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\n" + view + b"tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor\n(" + storage + b"K\0K\x02\x85K\x01\x85tR"
    magic = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    numbers = (6).to_bytes(8, "little") + np.arange(6, dtype="<f4").tobytes()
    path = tmp_path / "pytorch_model.bin"
    pickled = b"\x80\x02}X\x01\0\0\0w" + tensor + b"s."
    path.write_bytes(b"".join(magic) + pickled + pickle.dumps(["root"], 2) + numbers)
    np.testing.assert_array_equal(read_torch_bin(path)["w"].read(), [3, 4])
    path.write_bytes(
        b"".join(magic) + pickled.replace(b"K\x03K\x02t", b"K\x05K\x02t") + pickle.dumps(["root"], 2) + numbers
    )
    with pytest.raises(CheckpointFormatError, match="have 4 bytes, but 2 of float32 need 8"):
        read_torch_bin(path)


def test_state_dicts_of_python_2_and_old_views():
    """An OrderedDict was pickled as a call with a list of pairs."""
    from edutransformers.checkpoints.pickle_reader import read_pickle

    pickled = pickle.dumps(OrderedDict(a=1, b=[2, None, True]), 2)
    assert read_pickle(io.BytesIO(pickled)) == {"a": 1, "b": [2, None, True]}
    assert read_pickle(io.BytesIO(b"\x80\x02ccollections\nOrderedDict\n](U\x01aK\x01\x86e\x85R.")) == {"a": 1}

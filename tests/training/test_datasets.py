"""Dataset: the table itself. That it means what Hugging Face's `datasets` means is in tests/extras."""

import pickle

import numpy as np
import pytest

from edutransformers.training import (
    Audio,
    ClassLabel,
    DataCollatorWithPadding,
    DataLoader,
    Dataset,
    DatasetDict,
    Image,
    IterableDataset,
    concatenate_datasets,
)

ROWS = {"a": [1, 2, 3, 4], "b": ["x", "y", "x", None], "c": [[1], [2, 3], [], [4]]}


def data():
    return Dataset.from_dict(ROWS)


# -- looking ----------------------------------------------------------------------------------------------------------


def test_rows_batches_columns():
    d = data()
    assert len(d) == d.num_rows == 4
    assert d.shape == (4, 3)
    assert d.column_names == ["a", "b", "c"]
    assert d[0] == {"a": 1, "b": "x", "c": [1]}
    assert d[-1] == d[np.int64(3)] == {"a": 4, "b": None, "c": [4]}
    assert d[1:3] == d[[1, 2]] == d[range(1, 3)] == {"a": [2, 3], "b": ["y", "x"], "c": [[2, 3], []]}
    assert d["b"] == ["x", "y", "x", None]
    assert [row["a"] for row in d] == [1, 2, 3, 4]
    assert d.__getitems__([2, 0]) == [d[2], d[0]]
    assert list(d.iter(3)) == [d[:3], d[3:]]
    assert len(list(d.iter(3, drop_last_batch=True))) == 1
    assert d.to_dict() == ROWS
    assert Dataset.from_list(d.to_list()).to_dict() == ROWS
    assert d.unique("b") == ["x", "y", None]
    assert repr(d) == "Dataset({\n    features: ['a', 'b', 'c'],\n    num_rows: 4\n})"


def test_what_is_not_there():
    d = data()
    with pytest.raises(IndexError, match="row 4 of a data set with 4 rows"):
        d[4]
    with pytest.raises(IndexError, match="row -5"):
        d[[0, -5]]
    with pytest.raises(KeyError, match="no column 'q'"):
        d["q"]
    with pytest.raises(TypeError, match=r"for a mask use numpy\.flatnonzero"):
        d[np.array([True, False, True, True])]
    with pytest.raises(TypeError, match="row .* or a column"):
        d[1.5]


def test_arrays_stay_arrays_and_numbers_become_pythons():
    pixels = np.arange(12.0, dtype=np.float32).reshape(3, 2, 2)
    d = Dataset.from_dict({"pixels": pixels, "n": np.array([1, 2, 3]), "s": np.array(["a", "b", "c"])})
    assert type(d[0]["n"]) is int
    assert d["s"] == ["a", "b", "c"]
    assert np.shares_memory(d[1]["pixels"], pixels)
    chosen = d.select([2, 1]).shuffle(seed=0).select([0])
    assert np.shares_memory(chosen[0]["pixels"], pixels)  # indices, no copies
    np.testing.assert_array_equal(d.select([2])[0]["pixels"], pixels[2])


def test_the_given_list_is_not_shared():
    values = [1, 2]
    d = Dataset.from_dict({"a": values})
    values.append(3)
    assert d["a"] == [1, 2]


def test_making_it_of_something_else():
    with pytest.raises(ValueError, match="'a' 1, 'b' 2 rows"):
        Dataset.from_dict({"a": [1], "b": [1, 2]})
    with pytest.raises(TypeError, match="column 'a' is 'text'"):
        Dataset.from_dict({"a": "text"})
    with pytest.raises(TypeError, match="got generator"):
        Dataset.from_generator({"a": n} for n in range(2))
    assert Dataset.from_list([{"a": 1}, {"b": 2}]).to_list() == [{"a": 1, "b": None}, {"a": None, "b": 2}]
    assert Dataset.from_generator(lambda n: ({"a": k} for k in range(n)), gen_kwargs={"n": 2})["a"] == [0, 1]
    assert len(Dataset.from_list([])) == 0


# -- columns and rows -------------------------------------------------------------------------------------------------


def test_columns():
    d = data()
    assert d.select_columns(["c", "a"]).column_names == ["c", "a"]
    assert d.select_columns("c").column_names == ["c"]
    assert d.remove_columns(["a", "c"]).column_names == ["b"]
    assert d.rename_column("b", "text").column_names == ["a", "text", "c"]
    assert d.rename_columns({"a": "b", "b": "a"})[0] == {"b": 1, "a": "x", "c": [1]}
    assert d.add_column("n", np.arange(4)).column_names == ["a", "b", "c", "n"]
    assert d.select([3, 0]).add_column("n", [7, 8])[1] == {"a": 1, "b": "x", "c": [1], "n": 8}
    assert d.column_names == ["a", "b", "c"]  # nothing changes in place
    with pytest.raises(ValueError, match="can't be renamed 'b'"):
        d.rename_column("a", "b")
    with pytest.raises(ValueError, match="has 2 values"):
        d.add_column("n", [1, 2])
    with pytest.raises(ValueError, match="already"):
        d.add_column("a", [1, 2, 3, 4])
    with pytest.raises(KeyError, match="no column 'z'"):
        d.remove_columns("z")


def test_selections_of_selections():
    d = data().select([3, 2, 1]).select([2, 0])
    assert d["a"] == [2, 4]
    assert d.add_column("new", [0, 1]).select([1])[0] == {"a": 4, "b": None, "c": [4], "new": 1}
    assert data().skip(3)["a"] == [4]
    assert data().take(2)["a"] == [1, 2]
    assert [data().shard(3, n)["a"] for n in range(3)] == [[1, 2], [3], [4]]
    assert [data().shard(3, n, contiguous=False)["a"] for n in range(3)] == [[1, 4], [2], [3]]
    with pytest.raises(ValueError, match="shard 3 of 3"):
        data().shard(3, 3)


def test_sort():
    d = Dataset.from_dict({"k": [2, None, 1, 2, 1], "i": [0, 1, 2, 3, 4]})
    assert d.sort("k")["i"] == [2, 4, 0, 3, 1]
    assert d.sort("k", reverse=True)["i"] == [0, 3, 2, 4, 1]
    assert d.sort(["k", "i"], reverse=[True, True], null_placement="at_start")["i"] == [1, 3, 0, 4, 2]
    with pytest.raises(ValueError, match="reverse has 2 values for 1"):
        d.sort("k", reverse=[True, False])


def test_shuffle_and_split_are_the_seeds_alone():
    d = Dataset.from_dict({"i": list(range(10))})
    assert d.shuffle(seed=3)["i"] == [9, 6, 0, 2, 1, 4, 7, 5, 3, 8]  # frozen: that of `datasets`
    parts = d.train_test_split(test_size=0.25, seed=3)
    assert isinstance(parts, DatasetDict)
    assert (parts["test"]["i"], parts["train"]["i"]) == ([9, 6, 0], [2, 1, 4, 7, 5, 3, 8])
    assert d.train_test_split(test_size=3, shuffle=False)["test"]["i"] == [7, 8, 9]
    sizes = {name: len(part) for name, part in d.train_test_split(test_size=3, train_size=0.5, seed=0).items()}
    assert sizes == {"train": 5, "test": 3}
    for bad in ({"test_size": 1.5}, {"test_size": 0}, {"train_size": 10}, {"test_size": True}):
        with pytest.raises(ValueError, match=f"{next(iter(bad))} is"):
            d.train_test_split(**bad)
    with pytest.raises(ValueError, match="more than the 10 there are"):
        d.train_test_split(test_size=6, train_size=6)
    with pytest.raises(ValueError, match="neither part may be empty"):
        d.take(1).train_test_split(test_size=0.5)


def test_stratified_split():
    classes = ["rare"] * 10 + ["common"] * 80 + ["other"] * 30
    d = Dataset.from_dict({"label": classes, "i": list(range(120))}).class_encode_column("label")
    parts = d.train_test_split(test_size=0.25, seed=0, stratify_by_column="label")
    counts = {name: np.bincount(part["label"]).tolist() for name, part in parts.items()}
    # common, other, rare: of 10 rare ones 2.5 belong to the test, of 30 others 7.5. A tie, decided by chance.
    assert counts["test"] in ([20, 8, 2], [20, 7, 3])
    assert sorted(parts["train"]["i"] + parts["test"]["i"]) == list(range(120))
    assert parts["test"]["i"] != sorted(parts["test"]["i"])
    with pytest.raises(ValueError, match="which is no ClassLabel"):
        d.train_test_split(stratify_by_column="i")
    with pytest.raises(ValueError, match="needs shuffle=True"):
        d.train_test_split(stratify_by_column="label", shuffle=False)
    with pytest.raises(ValueError, match="has only one row"):
        d.select([0, 20, 21, 100, 101]).train_test_split(test_size=2, stratify_by_column="label", seed=0)


def test_concatenate():
    d = data()
    assert concatenate_datasets([d.take(1), d.skip(3)])["a"] == [1, 4]
    assert concatenate_datasets([d.take(1), d.skip(3).remove_columns("b")])["b"] == ["x", None]
    assert concatenate_datasets([d.select_columns("a"), d.select_columns("b")], axis=1)[0] == {"a": 1, "b": "x"}
    with pytest.raises(ValueError, match="a name of its own"):
        concatenate_datasets([d, d], axis=1)
    first, second = (Dataset.from_dict({"y": [name]}).class_encode_column("y") for name in "pq")
    with pytest.raises(ValueError, match="in one data set and"):
        concatenate_datasets([first, second])


# -- map and filter ---------------------------------------------------------------------------------------------------


def test_map():
    d = data()
    assert d.map(lambda row: {"n": row["a"] * 2})["n"] == [2, 4, 6, 8]
    assert d.map(lambda row: {"a": 0, "new": 1}).column_names == ["a", "b", "c", "new"]
    assert d.map(lambda a, n: {"sum": a + n}, input_columns="a", with_indices=True)["sum"] == [1, 3, 5, 7]
    assert d.map(lambda row, by: {"a": row["a"] * by}, fn_kwargs={"by": 3})["a"] == [3, 6, 9, 12]
    assert d.map(lambda row: None).to_dict() == ROWS
    assert d.select([3, 1]).map(lambda row: {"twice": 2 * row["a"]})[0] == {"a": 4, "b": None, "c": [4], "twice": 8}
    assert d.map(lambda row: (row.pop("a"), row)[1]).column_names == ["b", "c"]
    assert d.map(lambda row: {"a": row["b"]}, remove_columns=["a", "b"]).column_names == ["a", "c"]
    assert d.to_dict() == ROWS
    with pytest.raises(TypeError, match="returned int for row 0"):
        d.map(lambda row: 3)
    with pytest.raises(TypeError, match="None for some rows, but not for row 1"):
        d.map(lambda row: None if row["a"] == 1 else {"n": 1} if row["a"] == 2 else {"n": 2}).to_dict()


def test_map_in_batches():
    d, sizes = data(), []
    mapped = d.map(
        lambda batch: sizes.append(len(batch["a"])) or {"n": [-a for a in batch["a"]]}, batched=True, batch_size=3
    )
    assert sizes == [3, 1]
    assert mapped["n"] == [-1, -2, -3, -4]
    grown = d.map(lambda batch: {"n": batch["a"] * 2}, batched=True, batch_size=2, remove_columns=d.column_names)
    assert grown["n"] == [1, 2, 1, 2, 3, 4, 3, 4]
    assert d.map(lambda batch: {"x": np.ones((len(batch["a"]), 2))}, batched=True)[0]["x"].shape == (2,)
    assert d.map(lambda batch, n: {"n": n}, batched=True, with_indices=True, batch_size=3, drop_last_batch=True,
                 remove_columns=["a", "b", "c"])["n"] == [0, 1, 2]  # fmt: skip
    with pytest.raises(ValueError, match=r"made 8 rows of 4.*remove_columns=\['a', 'b', 'c'\]"):
        d.map(lambda batch: {"n": batch["a"] * 2}, batched=True)
    with pytest.raises(TypeError, match="returned 1 for 'x'"):
        d.map(lambda batch: {"x": 1}, batched=True)
    with pytest.raises(ValueError, match="different lengths"):
        d.map(lambda batch: {"x": [1], "y": [1, 2]}, batched=True)


def test_filter():
    d = data()
    assert d.filter(lambda row: row["b"] == "x")["a"] == [1, 3]
    assert d.filter(lambda a, n: n != 1, input_columns=["a"], with_indices=True)["a"] == [1, 3, 4]
    assert d.filter(lambda batch: [a > 2 for a in batch["a"]], batched=True)["a"] == [3, 4]
    assert d.filter(lambda row: False).to_list() == []
    with pytest.raises(ValueError, match="1 answers for 4 rows"):
        d.filter(lambda batch: [True], batched=True)


# -- formats ----------------------------------------------------------------------------------------------------------


def test_numpy_format():
    d = Dataset.from_dict(
        {"i": [1, 2], "f": [0.5, None], "l": [[1, 2], [3, 4]], "ragged": [[1], [2, 3]], "s": ["p", "q"]}
    )
    shown = d.with_format("numpy")
    batch = shown[:]
    kinds = {name: (array.dtype.name, array.shape) for name, array in batch.items()}
    assert kinds == {"i": ("int64", (2,)), "f": ("float32", (2,)), "l": ("int64", (2, 2)), "ragged": ("object", (2,)),
                     "s": ("str32", (2,))}  # fmt: skip
    assert np.isnan(batch["f"][1])
    assert shown[0]["l"].tolist() == [1, 2]
    assert type(shown[0]["i"]) is np.int64
    assert type(d[0]["i"]) is int
    only = d.with_format("numpy", columns=["l"])
    assert list(only[0]) == ["l"]
    assert only.column_names == d.column_names
    everything = d.with_format("numpy", columns=["l"], output_all_columns=True)[0]
    assert (everything["i"], type(everything["i"]), type(everything["l"])) == (1, int, np.ndarray)
    assert only.map(lambda row: {"sum": row["l"].sum()}).format == {
        "type": "numpy", "columns": ["l", "sum"], "output_all_columns": False,
    }  # fmt: skip
    d.set_format("np")
    assert d.format["type"] == "numpy"
    d.reset_format()
    assert d.format["type"] is None
    with pytest.raises(ValueError, match="no format 'torch'"):
        d.set_format("torch")
    with pytest.raises(KeyError):
        d.set_format("numpy", columns=["nothing"])


def test_transform():
    d, calls = data(), []
    shown = d.with_transform(lambda batch: calls.append(len(batch["a"])) or {"t": [2 * a for a in batch["a"]]})
    assert shown[1] == {"t": 4}
    assert shown[1:3] == {"t": [4, 6]}
    assert shown.__getitems__([3, 0]) == [{"t": 8}, {"t": 2}]
    assert calls == [1, 2, 2]  # a batch is one call
    assert shown.select([2])[0] == {"t": 6}
    d.set_transform(lambda batch: {"t": batch["a"]}, columns=["a"], output_all_columns=True)
    assert d[0] == {"t": 1, "b": "x", "c": [1]}
    d.set_transform(None)
    assert d.to_dict() == ROWS
    with pytest.raises(TypeError, match="the transform returned int"):
        data().with_transform(lambda batch: 1)[0]


# -- classes ----------------------------------------------------------------------------------------------------------


def test_classes():
    label = ClassLabel(names=["neg", "pos"])
    assert label.num_classes == 2
    assert (label.str2int("pos"), label.str2int(["neg", "pos"]), label.str2int("1")) == (1, [0, 1], 1)
    assert (label.int2str(1), label.int2str(np.array([0, 1]))) == ("pos", ["neg", "pos"])
    d = Dataset.from_dict({"y": ["pos", "neg", None, 1]}, features={"y": label})
    assert d["y"] == [1, 0, None, 1]
    assert d.features["y"].int2str(d[0]["y"]) == "pos"
    assert d.map(lambda row: {"y": 0}).features == {"y": label}
    assert d.map(lambda row: {"y": 7}).features == {}
    assert d.rename_column("y", "label").features == {"label": label}
    encoded = Dataset.from_dict({"k": [10, 9, None, 10]}).class_encode_column("k")
    assert (encoded.features["k"].names, encoded["k"]) == (["10", "9"], [0, 1, None, 0])
    with_none = Dataset.from_dict({"k": ["b", None]}).class_encode_column("k", include_nulls=True)
    assert (with_none.features["k"].names, with_none["k"]) == (["None", "b"], [1, 0])
    assert ClassLabel(num_classes=2).names == ["0", "1"]
    for bad in (lambda: label.str2int("neutral"), lambda: label.int2str(2), lambda: label.encode(2)):
        with pytest.raises(ValueError, match="is no class"):
            bad()
    with pytest.raises(ValueError, match="'a' twice"):
        ClassLabel(names=["a", "a"])
    with pytest.raises(ValueError, match="needs names"):
        ClassLabel()
    with pytest.raises(TypeError, match="is cast to ClassLabel, Image or Audio"):
        d.cast_column("y", int)


def test_dictionary_of_splits():
    parts = DatasetDict({"train": Dataset.from_dict({"y": ["b", "a"]}), "test": Dataset.from_dict({"y": ["c"]})})
    encoded = parts.class_encode_column("y")
    assert encoded["test"].features["y"].names == ["a", "b", "c"]  # the same numbers in every split
    assert {name: part["y"] for name, part in encoded.items()} == {"train": [1, 0], "test": [2]}
    mapped = parts.map(lambda row: {"n": len(row["y"])}).filter(lambda row: row["y"] != "b")
    assert mapped.num_rows == {"train": 1, "test": 1}
    assert mapped.column_names == {"train": ["y", "n"], "test": ["y", "n"]}
    assert parts.unique("y") == {"train": ["b", "a"], "test": ["c"]}
    assert parts.shape == {"train": (2, 1), "test": (1, 1)}
    parts.set_format("numpy")
    assert parts["test"].format["type"] == "numpy"
    parts.reset_format()
    parts.set_transform(lambda batch: {"z": batch["y"]})
    assert parts["train"][0] == {"z": "b"}
    assert "    train: Dataset({" in repr(parts)


# -- pictures and sounds are opened late ------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path):
    from PIL import Image as pillow

    for number in range(3):
        pillow.new("RGB", (4 + number, 3), (number, 0, 0)).save(tmp_path / f"{number}.png")
    paths = [str(tmp_path / f"{number}.png") for number in range(3)]
    return Dataset.from_dict({"image": paths, "n": [0, 1, 2]}, features={"image": Image()})


def test_pictures_are_opened_when_looked_at(pictures, tmp_path):
    assert pictures[1]["image"].size == (5, 3)
    assert [picture.size for picture in pictures["image"]] == [(4, 3), (5, 3), (6, 3)]
    assert pictures.with_format("numpy")[0]["image"].shape == (3, 4, 3)
    assert pictures.cast_column("image", Image(mode="L"))[0]["image"].mode == "L"
    (tmp_path / "2.png").unlink()
    assert pictures.map(lambda row: {"n": -row["n"]})["n"] == [0, -1, -2]  # no file is opened that nobody looks at
    assert pictures.filter(lambda row: row["n"] < 2)[1]["image"].size == (5, 3)
    with pytest.raises(FileNotFoundError):
        pictures[2]


def test_mapping_pictures(pictures):
    sizes = pictures.map(lambda row: {"width": row["image"].width})
    assert sizes["width"] == [4, 5, 6]
    assert isinstance(sizes.to_dict()["image"][0], str)  # still paths
    smaller = pictures.map(lambda batch: {"image": [x.resize((2, 2)) for x in batch["image"]]}, batched=True)
    assert smaller[0]["image"].size == (2, 2)

    def untouched(row):
        row["n"] += 1
        return row

    assert isinstance(pictures.map(untouched).to_dict()["image"][0], str)
    with_arrays = pictures.with_transform(lambda b: {"x": [np.asarray(image).sum() for image in b["image"]]})
    assert [row["x"] for row in with_arrays] == [0, 15, 36]


def test_a_picture_lies_as_its_camera_was_held(tmp_path):
    from PIL import Image as pillow

    exif = pillow.Exif()
    exif[0x0112] = 6  # turn by 90°
    pillow.new("RGB", (4, 2)).save(tmp_path / "a.jpg", exif=exif)
    assert Image().decode(tmp_path / "a.jpg").size == (2, 4)
    assert Image().decode({"path": None, "bytes": (tmp_path / "a.jpg").read_bytes()}).size == (2, 4)
    assert Image().decode(np.zeros((2, 5, 3), dtype=np.uint8)).size == (5, 2)
    assert Image().decode(None) is None


@pytest.mark.parametrize(("width", "expected"), [(1, 2**-7), (2, 2**-15), (3, 2**-23), (4, 2**-31)])
def test_sounds(tmp_path, width, expected):
    import wave

    path = tmp_path / "a.wav"
    samples = [0, 1, -1, 2 ** (8 * width - 1) - 1, -(2 ** (8 * width - 1)), 0]  # three of two channels
    with wave.open(str(path), "wb") as file:
        file.setparams((2, width, 8000, 0, "NONE", ""))
        zero = 128 if width == 1 else 0
        file.writeframes(b"".join((s + zero).to_bytes(width, "little", signed=width > 1) for s in samples))
    both = Audio(mono=False).decode(path)
    assert (both["sampling_rate"], both["array"].dtype, both["array"].shape) == (8000, np.float32, (2, 3))
    np.testing.assert_allclose(both["array"], [[0, -expected, -1], [expected, 1 - expected, 0]], rtol=1e-6)
    d = Dataset.from_dict({"audio": [str(path)]}, features={"audio": Audio()})
    np.testing.assert_allclose(d[0]["audio"]["array"], both["array"].mean(axis=0))
    assert d[0]["audio"]["path"] == str(path)
    content = Audio().decode({"path": None, "bytes": path.read_bytes()})
    np.testing.assert_array_equal(content["array"], d[0]["audio"]["array"])
    assert (content["path"], content["sampling_rate"]) == (None, 8000)


def test_bad_sounds(tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"a\.wav has no fmt chunk; it is cut off"):
        Audio().decode(tmp_path / "a.wav")
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    (tmp_path / "a.flac").write_bytes(b"fLaC")
    with pytest.raises(ImportError, match=r"reading .*a\.flac, .* needs soundfile: pip install"):
        Audio().decode(tmp_path / "a.flac")


# -- around -----------------------------------------------------------------------------------------------------------


def test_it_can_be_pickled_and_loaded_in_batches():
    d = pickle.loads(pickle.dumps(data().select([2, 0, 1])))
    assert d["a"] == [3, 1, 2]

    class Tokenizer:
        def pad(self, rows, **options):
            return {"input_ids": np.array([row["input_ids"] for row in rows])}

    items = Dataset.from_dict({"input_ids": np.arange(12).reshape(6, 2), "label": list(range(6))})
    loader = DataLoader(items.with_format("numpy"), 4, collate_fn=DataCollatorWithPadding(Tokenizer()))
    batches = list(loader)
    assert batches[1]["input_ids"].tolist() == [[8, 9], [10, 11]]
    assert batches[0]["labels"].tolist() == [0, 1, 2, 3]


def test_iterable_data_set():
    read = []

    def rows(count):
        for n in range(count):
            read.append(n)
            yield {"n": n, "text": "w" * n}

    d = IterableDataset.from_generator(rows, {"count": 10})
    small = d.map(lambda row: {"length": len(row["text"])}, remove_columns="text").filter(lambda row: row["n"] % 2)
    assert read == []
    assert list(small.skip(1).take(2)) == [{"n": 3, "length": 3}, {"n": 5, "length": 5}]
    assert read == list(range(6))  # no more than needed
    assert len(list(d)) == len(list(d)) == 10
    batched = d.map(lambda batch: {"sum": [sum(batch["n"])]}, batched=True, batch_size=4, remove_columns=["n", "text"])
    assert list(batched) == [{"sum": 6}, {"sum": 22}, {"sum": 17}]
    with pytest.raises(ValueError, match="different lengths"):
        list(d.map(lambda batch: {"sum": [1]}, batched=True))
    shuffled = d.shuffle(seed=1, buffer_size=4)
    order = [row["n"] for row in shuffled]
    assert sorted(order) == list(range(10)) != order
    assert order == [row["n"] for row in shuffled]
    assert order.index(9) >= 6  # what is not in the buffer can't come early
    shuffled.map(lambda row: row).set_epoch(1)  # reaches the shuffling below
    assert [row["n"] for row in shuffled] != order
    with pytest.raises(TypeError, match="can be read only once"):
        IterableDataset.from_generator(rows(3))

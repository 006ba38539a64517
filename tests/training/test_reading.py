"""Files to data sets: types, quotes, splits, folders; and errors that say where."""

import csv
import json

import pytest

from edutransformers.training import ClassLabel, Dataset, load_dataset


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# -- CSV --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-2", "+3", "007", " 4 "], [1, -2, 3, 7, 4]),
        (["1", "2.5", "1e3", ".5", "inf"], [1.0, 2.5, 1000.0, 0.5, float("inf")]),
        (["1", ""], [1.0, None]),
        (["0.5", "NA"], [0.5, None]),
        (["true", "FALSE", "null"], [True, False, None]),
        (["true", "1"], ["true", "1"]),
        (["1", "x", "2.5"], ["1", "x", "2.5"]),
        ([" a ", "None", "b"], [" a ", None, "b"]),
        (["", "nan"], [None, None]),
        (["1_000", "0x10"], ["1_000", "0x10"]),
        (["99999999999999999999", "1"], ["99999999999999999999", "1"]),
        (["١", "2"], ["١", "2"]),  # other scripts' digits are text
    ],
)
def test_types_of_csv_columns(write, texts, values):
    path = write("a.csv", "x,y\n" + "".join(f"{text},.\n" for text in texts))
    read = Dataset.from_csv(path)["x"]
    assert read == values
    assert [type(v) for v in read] == [type(v) for v in values]


def test_quotes_line_breaks_and_blank_lines(write):
    path = write("a.csv", '\ufefftext,n\r\n"a, ""b""\r\nc",1\r\n\r\nd,2\r\n')
    assert Dataset.from_csv(path).to_list() == [{"text": 'a, "b"\r\nc', "n": 1}, {"text": "d", "n": 2}]


def test_csv_options(write):
    one, other = write("1.csv", "1;2\n"), write("2.csv", "3;x\n")
    d = Dataset.from_csv([one, str(other)], sep=";", column_names=["p", "q"])
    assert d.to_dict() == {"p": [1, 3], "q": ["2", "x"]}  # the type follows from all files
    assert load_dataset("csv", data_files=one, delimiter=";", column_names=["p", "q"], split="train").shape == (1, 2)
    assert Dataset.from_csv(write("head.csv", "a,b\n")).shape == (0, 2)


def test_long_fields(write):
    limit = csv.field_size_limit()
    path = write("a.csv", f"text\n{'w ' * 100_000}\n")
    assert len(Dataset.from_csv(path)[0]["text"]) == 200_000
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n1,2,3\n", r"a\.csv, line 3: 3 fields, but there are 2 columns"),
        ('a,b\n"1,2\n', r"a\.csv, line 2: unexpected end"),
        ("a,a\n1,2\n", r"a\.csv, line 1: the column name 'a' occurs twice"),
        ("", r"a\.csv is empty"),
        (b"a\nb\xff\n", r"a\.csv, line 2: byte 0xff is no utf-8 text"),
    ],
)
def test_csv_errors_name_file_and_line(write, content, message):
    with pytest.raises(ValueError, match=message):
        Dataset.from_csv(write("a.csv", content))


def test_csv_files_of_other_columns(write):
    with pytest.raises(ValueError, match=r"2\.csv has the columns \['b'\]"):
        Dataset.from_csv([write("1.csv", "a\n1\n"), write("2.csv", "b\n1\n")])


# -- JSON and text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('{"a": 1}\n\n{"a": 2.5, "b": "x\\ny"}\n', [{"a": 1.0, "b": None}, {"a": 2.5, "b": "x\ny"}]),
        ('[{"a": [1]}, {"a": null}]', [{"a": [1]}, {"a": None}]),
        ('{\n "a": 1\n}', [{"a": 1}]),
        ('{"a": {"b": 1}}', [{"a": {"b": 1}}]),
        ("", []),
    ],
)
def test_json(write, content, rows):
    assert Dataset.from_json(write("a.json", content)).to_list() == rows


def test_json_field(write):
    path = write("a.json", json.dumps({"version": 1, "data": [{"a": 1}, {"a": 2}]}))
    assert Dataset.from_json(path, field="data")["a"] == [1, 2]
    with pytest.raises(ValueError, match=r"no field 'rows', only \['data', 'version'\]"):
        Dataset.from_json(path, field="rows")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n{"a":\n', r"a\.json, line 2: this is no JSON"),
        ('{"a": 1}\n3\n', r"a\.json, line 2: 3 is no object"),
        ("[1]", r"a\.json: item 0 is 1, expected an object"),
        ('[{"a": 1},\n oops]', r"a\.json, line 2: this is no JSON"),
    ],
)
def test_json_errors_name_file_and_line(write, content, message):
    with pytest.raises(ValueError, match=message):
        Dataset.from_json(write("a.json", content))


def test_text(write):
    path = write("a.txt", "a\r\n\nb\u2028c\nd\n\n\ne")
    assert Dataset.from_text(path)["text"] == ["a", "", "b\u2028c", "d", "", "", "e"]
    assert Dataset.from_text(path, sample_by="paragraph")["text"] == ["a", "b\u2028c\nd", "e"]
    assert len(Dataset.from_text([path, path], sample_by="document")) == 2
    assert Dataset.from_text(path, keep_linebreaks=True)["text"][0] == "a\n"
    with pytest.raises(ValueError, match="sample_by is 'word'"):
        Dataset.from_text(path, sample_by="word")


# -- load_dataset -----------------------------------------------------------------------------------------------------


def test_splits(write, tmp_path):
    for name in ("train-1", "train-2", "test"):
        write(f"data/{name}.csv", f"x\n{name}\n")
    files = {"train": [tmp_path / "data/train-1.csv", tmp_path / "data/train-2.csv"], "test": "test.csv"}
    files["train"] = [path.name for path in files["train"]]
    for loaded in (
        load_dataset("csv", data_files=files, data_dir=tmp_path / "data"),
        load_dataset("csv", data_dir=tmp_path / "data"),
        load_dataset("csv", data_files={"train": f"{tmp_path}/data/train-*.csv", "test": tmp_path / "data/test.csv"}),
    ):
        assert {name: part["x"] for name, part in loaded.items()} == {"train": ["train-1", "train-2"], "test": ["test"]}
    only = load_dataset("csv", data_dir=tmp_path / "data", split="test")
    assert only["x"] == ["test"]
    assert load_dataset("csv", data_files=str(tmp_path / "data/*.csv"))["train"].num_rows == 3


def test_parts_of_splits(write):
    path = write("a.txt", "".join(f"{n}\n" for n in range(20)))
    load = lambda split: [int(x) for x in load_dataset("text", data_files=path, split=split)["text"]]  # noqa: E731
    assert load("train[:3]") == [0, 1, 2]
    assert load("train[-2:]") == [18, 19]
    assert load("train[50%:60%]") == [10, 11]
    assert load("train[:1]+train[19:]") == [0, 19]
    with pytest.raises(ValueError, match="no split 'test', only train"):
        load("test")
    with pytest.raises(ValueError, match="split is"):
        load("train[3]")


def test_what_can_not_be_loaded(tmp_path, write):
    with pytest.raises(ValueError, match="not 'imdb'; for data sets of the hub"):
        load_dataset("imdb")
    with pytest.raises(ValueError, match="needs data_files"):
        load_dataset("csv")
    with pytest.raises(ValueError, match="needs data_dir"):
        load_dataset("imagefolder", data_files="x.png")
    with pytest.raises(FileNotFoundError, match="no file fits"):
        load_dataset("csv", data_files=str(tmp_path / "*.csv"))
    with pytest.raises(FileNotFoundError, match=r"there is no file .*a\.csv"):
        load_dataset("csv", data_files=tmp_path / "a.csv")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load_dataset("csv", data_dir=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"holds no \.csv"):
        load_dataset("csv", data_dir=tmp_path)
    with pytest.raises(ValueError, match="data_files is empty"):
        load_dataset("csv", data_files=[])


# -- folders ----------------------------------------------------------------------------------------------------------


def names(data, column="image"):
    return [path.replace("\\", "/").split("/")[-1] for path in data.to_dict()[column]]


def test_labels_from_folders(write, tmp_path):
    for path in (
        "train/cat/1.png",
        "train/dog/2.PNG",
        "train/cat/readme.txt",
        "test/cat/3.jpg",
        "train/dog/.hidden.png",
    ):
        write(path, b"not looked at")
    both = load_dataset("imagefolder", data_dir=tmp_path)
    assert {name: names(part) for name, part in both.items()} == {"train": ["1.png", "2.PNG"], "test": ["3.jpg"]}
    assert both["train"]["label"] == [0, 1]
    assert both["test"].features["label"] == ClassLabel(names=["cat", "dog"])
    assert Dataset.from_image_folder(tmp_path, split="test")["label"] == [0]
    assert "label" not in Dataset.from_image_folder(tmp_path, split="test", drop_labels=True).column_names
    with pytest.raises(ValueError, match="holds the splits train, test: say which"):
        Dataset.from_image_folder(tmp_path)
    with pytest.raises(ValueError, match="has no split 'validation'"):
        Dataset.from_image_folder(tmp_path, split="validation")


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["1.png", "2.png"], None),
        (["cat/1.png", "cat/2.png"], None),  # one class is none
        (["cat/1.png", "dog/big/2.png"], None),  # not equally deep
        (["x/cat/1.png", "x/dog/2.png", "y/cat/3.png"], ["cat", "dog", "cat"]),
    ],
)
def test_when_there_are_labels(write, tmp_path, paths, labels):
    for path in paths:
        write(path, b"")
    d = Dataset.from_image_folder(tmp_path)
    assert d.num_rows == len(paths)
    found = d.features["label"].int2str(d["label"]) if "label" in d.column_names else None
    assert found == labels


def test_metadata(write, tmp_path):
    for path in ("a/1.wav", "2.wav", "3.wav"):
        write(path, b"")
    write("metadata.csv", "file_name,text,n\n2.wav,two,2\na/1.wav,one,1\n")
    d = Dataset.from_audio_folder(tmp_path)
    assert names(d, "audio") == ["2.wav", "1.wav"]
    assert d.remove_columns("audio").to_dict() == {"text": ["two", "one"], "n": [2, 1]}
    (tmp_path / "metadata.csv").unlink()
    write("metadata.jsonl", '{"file_name": "3.wav", "words": ["a"]}\n')
    assert Dataset.from_audio_folder(tmp_path)["words"] == [["a"]]


@pytest.mark.parametrize(
    ("metadata", "error", "message"),
    [
        ("name\n1.png\n", ValueError, "no column file_name, only name"),
        ("file_name\n9.png\n", FileNotFoundError, r"metadata\.csv, row 1: there is no file .*9\.png"),
        ("file_name\n1.png\n../secret.png\n", ValueError, r"row 2: '\.\./secret\.png' leads out of the folder"),
        ("file_name,image\n1.png,x\n", ValueError, "a column 'image'"),
    ],
)
def test_bad_metadata(write, tmp_path, metadata, error, message):
    write("photos/1.png", b"")
    write("secret.png", b"")
    write("photos/metadata.csv", metadata)
    with pytest.raises(error, match=message):
        Dataset.from_image_folder(tmp_path / "photos")


def test_bad_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        Dataset.from_image_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no file of this kind"):
        Dataset.from_audio_folder(tmp_path)

"""Our Dataset and Hugging Face's `datasets`: the same calls give the same rows; and theirs go into our Trainer."""

import json

import numpy as np
import pytest

from edutransformers.training import Dataset, IterableDataset, Trainer, TrainingArguments, load_dataset
from edutransformers.training import concatenate_datasets as concatenate
from tests.training.toy import accuracy, toy_data, toy_model, weights_of

NEEDS = ("datasets",)
pytestmark = pytest.mark.extras

import datasets  # noqa: E402

datasets.disable_progress_bars()

ROWS = {
    "n": [3, 1, 2, 3, None, 0],
    "text": ["b", "a", "", "b", "c", None],
    "list": [[1], [2, 3], [], [4], [5], [6, 7]],
    "y": ["pos", "neg", "pos", "neg", "pos", "neg"],
}


def plain(value):
    """Rows, tables, dictionaries of splits and arrays as Python values, to be compared."""
    if isinstance(value, (Dataset, datasets.Dataset)):
        return {"columns": value.column_names, "rows": plain(list(value))}
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return (str(value.dtype), plain(value.tolist()))
    if hasattr(value, "names"):
        return value.names
    if isinstance(value, (str, int, float, type(None))):
        return "nan" if value != value else value
    return [plain(inner) for inner in value]


CASES = {
    "rows": lambda d: [d[0], d[-1], d[1:3], d[[5, 0]], d[::2], list(d["n"]), d.unique("n"), list(d.iter(4))],
    "columns": lambda d: d.select_columns(["y", "n"]).rename_column("n", "m").add_column("k", list("abcdef")),
    "remove": lambda d: d.remove_columns(["n", "list"]).rename_columns({"text": "y", "y": "text"}),
    "select": lambda d: d.select([4, 0, 4]).select([2, 1]),
    "skip, take": lambda d: [d.skip(2), d.take(2), d.skip(9), d.take(9)],
    "sort": lambda d: [d.sort("n"), d.sort("n", reverse=True), d.sort(["y", "n"], reverse=[True, False]),
                       d.sort("n", null_placement="at_start")],
    "shuffle": lambda d: [d.shuffle(seed=0), d.shuffle(seed=7).select([1, 2])],
    "shard": lambda d: [d.shard(4, n) for n in range(4)] + [d.shard(4, n, contiguous=False) for n in range(4)],
    "split": lambda d: [d.train_test_split(0.3, seed=1), d.train_test_split(test_size=2, train_size=0.4, seed=2),
                        d.train_test_split(test_size=0.5, shuffle=False), d.train_test_split(train_size=4, seed=3)],
    "map": lambda d: d.map(lambda row: {"n": 0, "new": len(row["list"])}),
    "map, removing": lambda d: d.map(lambda row: {"new": row["y"], "n": 1}, remove_columns=["y", "n"]),
    "map, in place": lambda d: d.map(lambda row: (row.pop("list"), row.update(n=5), row)[-1]),
    "map, nothing": lambda d: d.map(lambda row: None),
    "map, indices": lambda d: d.map(lambda n, i: {"i": i}, with_indices=True, input_columns=["n"]),
    "map, arguments": lambda d: d.map(lambda row, k: {"k": k}, fn_kwargs={"k": 4}),
    "map, batched": lambda d: d.map(lambda b: {"size": [len(b["n"])] * len(b["n"])}, batched=True, batch_size=4),
    "map, more rows": lambda d: d.map(lambda b: {"x": [x for row in b["list"] for x in row]}, batched=True,
                                      batch_size=2, remove_columns=d.column_names),
    "map, fewer rows": lambda d: d.map(lambda b, i: {"first": i[:1]}, batched=True, batch_size=4, with_indices=True,
                                       remove_columns=["n", "text", "list", "y"]),
    "map, drop last": lambda d: d.map(lambda b: {"x": b["n"]}, batched=True, batch_size=4, drop_last_batch=True,
                                      remove_columns=d.column_names),
    "map, selected": lambda d: d.select([5, 3, 1]).map(lambda row: {"twice": row["list"] * 2}),
    "filter": lambda d: [d.filter(lambda row: row["y"] == "pos"),
                         d.filter(lambda n, i: i % 2, with_indices=True, input_columns=["n"]),
                         d.filter(lambda b: [len(x) > 1 for x in b["list"]], batched=True, batch_size=4)],
    "classes": lambda d: [d.class_encode_column("y"), d.class_encode_column("y").features["y"],
                          d.class_encode_column("y").map(lambda row: {"y": 1}).features["y"]],
    "numpy": lambda d: [d.with_format("numpy", columns=["list", "y"])[k] for k in (0, slice(1, 3), [0, 3])],
    "numpy, rest": lambda d: d.with_format("numpy", columns=["list"], output_all_columns=True)[1],
    "numpy, map": lambda d: d.with_format("numpy", columns=["list"]).map(lambda row: {"s": row["list"].sum()}),
    "numpy, numbers": lambda d: d.select([0, 1, 2]).with_format("numpy")[:],
    "transform": lambda d: [d.with_transform(lambda b: {"t": [len(x) for x in b["list"]]})[k] for k in (1, slice(3))],
    "transform, columns": lambda d: d.with_transform(lambda b: b, columns=["n"], output_all_columns=True)[0],
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_same_calls_give_the_same(case):
    assert plain(CASES[case](Dataset.from_dict(ROWS))) == plain(CASES[case](datasets.Dataset.from_dict(ROWS)))


def test_concatenated():
    def both(kind, join):
        d = kind.from_dict(ROWS)
        return [join([d.take(2), d.remove_columns("y")]), join([d.select_columns("n"), d.select_columns("y")], axis=1)]

    assert plain(both(Dataset, concatenate)) == plain(both(datasets.Dataset, datasets.concatenate_datasets))


def test_stratified():
    rows = {"y": [0] * 10 + [1] * 30 + [2] * 60}
    counts = []
    for kind in (Dataset, datasets.Dataset):
        parts = kind.from_dict(rows).class_encode_column("y").train_test_split(0.2, seed=1, stratify_by_column="y")
        counts.append({name: np.bincount(part["y"]).tolist() for name, part in parts.items()})
    assert counts[0] == counts[1] == {"train": [8, 24, 48], "test": [2, 6, 12]}


FILES = {
    "types.csv": "a,b,c,d,e\n1,1.5,True,x,007\n2,2,False,\"q, \"\"z\"\"\nnl\",1\n",
    "missing.csv": "a,b,c,d\n1,1.5,True,x\n,,,\nNA,null,True,None\n",
    "short.csv": "a,b\n1\n2,3\n",
    "blank.csv": "a, b\n 1, x\n\n2 ,y \n",
    "mixed.csv": "a,b,c\ntrue,1,inf\nfalse,True,1e3\n",
    "lines.json": '{"a":1,"b":"x"}\n{"a":2.5,"b":null,"c":[1]}\n',
    "array.json": '[{"a":1},{"b":2}]',
    "pretty.json": '{\n "a": [1, 2],\n "b": 2\n}',
    "a.txt": "a\n\nb c \r\nd\n\n\n\ne\u2028f",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_same_files_give_the_same(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(FILES[name].encode())
    kind = {"csv": "csv", "json": "json", "txt": "text"}[name.split(".")[1]]
    theirs = datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert plain(load_dataset(kind, data_files=str(path), split="train")) == plain(theirs)


FOLDERS = {
    "classes": ["cat/1.png", "dog/2.png", "cat/3.jpg", "readme.txt"],
    "splits": ["train/cat/1.png", "train/dog/2.png", "test/cat/3.png", "validation/dog/4.png"],
    "flat": ["1.png", "2.png"],
    "one class": ["cat/1.png", "cat/2.png"],
    "depths": ["cat/1.png", "dog/x/2.png"],
    "deep": ["x/cat/1.png", "x/dog/2.png", "y/cat/3.png"],
    "metadata": ["1.png", "2.png", "3.png", "metadata.jsonl"],
}


@pytest.mark.parametrize("name", FOLDERS)
def test_the_same_folders_give_the_same(name, tmp_path):
    from PIL import Image

    for number, file in enumerate(FOLDERS[name]):
        path = tmp_path / "photos" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if file == "metadata.jsonl":
            path.write_text("".join(json.dumps({"file_name": f"{n}.png", "boxes": [[n]]}) + "\n" for n in (2, 1)))
        elif not file.endswith(".txt"):
            Image.new("RGB", (2 + number, 3), (number, 9, 9)).save(path)
    theirs = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "photos"), cache_dir=str(tmp_path / "cache"))
    ours = load_dataset("imagefolder", data_dir=tmp_path / "photos")
    assert list(ours) == list(theirs)
    for split in ours:
        assert plain(ours[split].with_format("numpy")) == plain(theirs[split].with_format("numpy"))


# -- theirs in the Trainer --------------------------------------------------------------------------------------------


def columns():
    items = toy_data(20)
    table = {name: [np.asarray(item[name]).tolist() for item in items] for name in items[0]}
    return {**table, "text": ["unused"] * 20}


def train(folder, data, **arguments):
    defaults = {"max_steps": 8, "per_device_train_batch_size": 4, "disable_tqdm": True, "save_strategy": "no"}
    trainer = Trainer(
        toy_model(), TrainingArguments(str(folder), **{**defaults, **arguments}), train_dataset=data, eval_dataset=data,
        compute_metrics=accuracy,
    )  # fmt: skip
    trainer.train()
    return trainer


@pytest.mark.parametrize("arguments", [{}, {"group_by_length": True}, {"dataloader_num_workers": 2}])
def test_their_tables_train_as_lists_do(tmp_path, arguments):
    table = datasets.Dataset.from_dict(columns())
    expected = train(tmp_path, toy_data(20), **arguments)
    as_numpy = table.with_format("numpy", columns=["input_ids", "attention_mask", "label"])
    transformed = table.with_transform(lambda batch: {**batch, "input_ids": [np.array(x) for x in batch["input_ids"]]})
    for data in (table, as_numpy, transformed, Dataset.from_dict(columns())):
        if arguments.get("group_by_length") and data is transformed:
            continue  # a transform has no columns to be looked at
        trainer = train(tmp_path, data, **arguments)
        for name, value in weights_of(trainer.model).items():
            np.testing.assert_array_equal(value, weights_of(expected.model)[name])
        assert trainer.evaluate()["eval_loss"] == expected.evaluate()["eval_loss"]


def test_their_iterables_train_as_ours_do(tmp_path):
    table = datasets.Dataset.from_dict(columns())
    expected = train(tmp_path, IterableDataset.from_generator(lambda: iter(toy_data(20))))
    for data in (table.to_iterable_dataset(), table.to_iterable_dataset().map(lambda row: {"more": 1})):
        trainer = train(tmp_path, data)
        assert trainer.state.global_step == 8  # more than one pass of five batches
        for name, value in weights_of(trainer.model).items():
            np.testing.assert_array_equal(value, weights_of(expected.model)[name])
        assert trainer.evaluate()["eval_accuracy"] == expected.evaluate()["eval_accuracy"]


def test_their_shuffled_iterable_changes_from_epoch_to_epoch(tmp_path):
    """The Trainer tells it which epoch it is, so a resumed run sees what an uninterrupted one does."""
    table = datasets.Dataset.from_dict(columns())
    make = lambda: table.to_iterable_dataset().shuffle(seed=3, buffer_size=10)  # noqa: E731
    arguments = {"save_strategy": "steps", "save_steps": 7}
    whole = train(tmp_path / "whole", make(), max_steps=9)
    train(tmp_path / "parts", make(), max_steps=9, **arguments)
    resumed = Trainer(
        toy_model(5),
        TrainingArguments(str(tmp_path / "parts"), max_steps=9, per_device_train_batch_size=4, disable_tqdm=True,
                          **arguments),
        train_dataset=make(),
    )  # fmt: skip
    resumed.train(resume_from_checkpoint=str(tmp_path / "parts" / "checkpoint-7"))
    for name, value in weights_of(resumed.model).items():
        np.testing.assert_array_equal(value, weights_of(whole.model)[name])

"""The live picture in notebooks: what is shown, how often, and that nothing of it happens elsewhere."""

import base64
import io
import sys
import types

import numpy as np
import pytest
from PIL import Image

from edutransformers import logging
from edutransformers.training import ProgressCallback, TrainerCallback
from edutransformers.training.callbacks import NotebookProgressCallback, history_figure, notebook
from edutransformers.training.callbacks.history import history_table
from edutransformers.training.callbacks.notebook import Throttle, clock_text, progress_html, table_html
from tests.training.toy import accuracy, toy_data, toy_trainer

RUN = {
    "max_steps": 6, "logging_strategy": "steps", "logging_steps": 1, "evaluation_strategy": "steps", "eval_steps": 3,
    "disable_tqdm": False,
}  # fmt: skip


class Output:
    """A notebook's output: the texts that were shown at each of its places."""

    def __init__(self):
        self.places = []

    def display(self, html, display_id):
        assert display_id is True
        texts = [html]
        self.places.append(texts)
        return types.SimpleNamespace(update=texts.append)


@pytest.fixture
def output(monkeypatch):
    """IPython as in a notebook. (It isn't installed here: only the three names that are used.)"""
    shown = Output()
    ipython = types.ModuleType("IPython")
    ipython.version_info = (9, 0)  # matplotlib asks for it
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel="a kernel")
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.HTML, ipython.display.display = str, shown.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    monkeypatch.setattr(logging, "_bars", True)
    return shown


def picture_in(text):
    start = text.index("base64,") + len("base64,")
    image = Image.open(io.BytesIO(base64.b64decode(text[start : text.index('"', start)])))
    return np.asarray(image.convert("RGB"))


# -- in a notebook ----------------------------------------------------------------------------------------------------


def test_a_run_in_a_notebook(output, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(notebook, "PAGE_SHARE", 1e9)  # every update is shown
    trainer = toy_trainer(tmp_path, arguments=RUN, compute_metrics=accuracy)
    trainer.train()
    page, picture = output.places
    assert 'value="0" max="6"' in page[0]
    assert 'value="6" max="6"' in page[-1]
    assert "6/6, epoch 1.20 of 2, 00:0" in page[-1]
    first, last = (log for log in trainer.log_history if "eval_loss" in log)
    assert "<th>Step</th><th>Training Loss</th><th>Validation Loss</th><th>Accuracy</th>" in page[-1]
    row = f"<td>{last['eval_loss']:.6f}</td><td>{last['eval_accuracy']:.6f}</td></tr>"
    assert row in page[-1]
    assert any('value="1" max="2"' in text and "evaluation" in text for text in page)
    assert "evaluation" not in page[-1]  # its bar is gone
    before, after = picture_in(picture[0]), picture_in(picture[-1])
    assert before.shape[1] < after.shape[1]  # the accuracy has got a panel
    assert capsys.readouterr() == ("", "")  # and nothing else is printed


def test_the_picture_has_the_curves(output, tmp_path):
    """Blue where the training loss is and orange where the held-out loss is, in the last picture only."""

    def counts(picture):
        blue = np.abs(picture.astype(int) - [0x0B, 0x53, 0x94]).sum(axis=-1) < 10
        orange = np.abs(picture.astype(int) - [0xD9, 0x73, 0x0D]).sum(axis=-1) < 10
        return blue.sum(), orange.sum()

    toy_trainer(tmp_path, arguments=RUN).train()
    picture = output.places[1]
    assert counts(picture_in(picture[0])) == (0, 0)
    assert min(counts(picture_in(picture[-1]))) > 50


def test_evaluation_and_prediction_alone_have_a_bar_that_goes(output, tmp_path, capsys):
    trainer = toy_trainer(tmp_path, arguments=RUN)
    trainer.evaluate()
    trainer.predict(toy_data(30))
    evaluation, prediction = output.places
    assert 'value="1" max="2"' in evaluation[0]
    assert 'value="1" max="4"' in prediction[0]
    assert evaluation[-1] == prediction[-1] == ""
    assert capsys.readouterr() == ("", "")


def test_an_interrupted_run_shows_how_far_it_came(output, tmp_path):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 4:
                raise KeyboardInterrupt

    trainer = toy_trainer(tmp_path, arguments=RUN, callbacks=[Stop])
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert 'value="4" max="6"' in output.places[0][-1]
    assert trainer.pop_callback(NotebookProgressCallback).tracker is None


def test_a_resumed_run_shows_what_was_before(output, tmp_path):
    arguments = {**RUN, "save_strategy": "steps", "save_steps": 3}
    toy_trainer(tmp_path, arguments=arguments).train()
    output.places.clear()
    toy_trainer(tmp_path, arguments=arguments).train(str(tmp_path / "checkpoint-3"))
    page, picture = output.places
    assert 'value="3" max="6"' in page[0]
    assert "<td>3</td>" in page[0]
    assert picture_in(picture[0]).min() < 100


def test_other_processes_show_nothing(output, tmp_path):
    class Second(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            state.is_local_process_zero = False

    trainer = toy_trainer(tmp_path, arguments=RUN, callbacks=[Second, NotebookProgressCallback])
    trainer.pop_callback(NotebookProgressCallback)  # the default one, which comes before Second
    trainer.train()
    assert output.places == []


# -- elsewhere --------------------------------------------------------------------------------------------------------


def test_which_one_a_trainer_has(output, tmp_path, monkeypatch):
    def shown(**arguments):
        return toy_trainer(tmp_path, arguments=arguments).callback_handler.callback_list.split(", ")[1]

    assert shown(disable_tqdm=False) == "NotebookProgressCallback"
    assert shown(disable_tqdm=True) == "PrinterCallback"
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: types.SimpleNamespace())  # IPython in a terminal
    assert shown(disable_tqdm=False) == "ProgressCallback"
    monkeypatch.delitem(sys.modules, "IPython")
    assert shown(disable_tqdm=False) == "ProgressCallback"


@pytest.mark.parametrize("why", ["no notebook", "no bars"])
def test_without_a_notebook_logs_are_printed(output, tmp_path, capsys, monkeypatch, why):
    trainer = toy_trainer(tmp_path, arguments=RUN, callbacks=[])
    assert trainer.pop_callback(ProgressCallback) is None
    if why == "no notebook":
        monkeypatch.delitem(sys.modules, "IPython")
    else:
        logging.disable_progress_bar()
    trainer.train()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(trainer.log_history)
    assert lines[0].startswith("{'loss': ")
    assert output.places == []


# -- how often --------------------------------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("share", "cost"), [(0.01, 1.0), (0.007, 0.3), (0.002, 0.001)])
def test_the_throttle_keeps_to_its_share(share, cost):
    clock, spent, times = Clock(), [], []

    def work():
        clock.now += cost
        spent.append(cost)
        times.append(clock.now)

    throttle = Throttle(share, clock)
    for _ in range(20_000):
        clock.now += 0.05
        throttle(work)
    assert 0.8 * share < sum(spent) / clock.now <= share
    gaps = np.diff(times)[1:]  # the first time comes at once, and is paid for afterwards
    assert gaps.max() - gaps.min() < 0.06  # evenly, not all at the end

    def expensive():
        clock.now += 100 * cost

    throttle(expensive, always=True)
    seen = len(times)
    throttle(work)
    assert len(times) == seen  # and what was done all the same is paid for later


# -- history, as a table and as a figure ------------------------------------------------------------------------------

HISTORY = [
    {"loss": 0.7, "learning_rate": 1e-3, "epoch": 0.5, "step": 5},
    {
        "eval_loss": 0.6,
        "eval_f1_macro": 0.5,
        "eval_runtime": 3.0,
        "eval_steps_per_second": 1.0,
        "epoch": 0.6,
        "step": 6,
    },
    {"loss": 0.5, "epoch": 1.0, "step": 10},
    {"eval_loss": 0.4, "eval_f1_macro": 0.9, "eval_note": "fine", "epoch": 1.2, "step": 12},
    {"train_runtime": 9.0, "train_loss": 0.6, "epoch": 1.2, "step": 12},
]


def test_history_table():
    columns, rows = history_table(HISTORY)
    assert columns == ["Step", "Training Loss", "Validation Loss", "F1 Macro"]
    assert rows == [[6, 0.7, 0.6, 0.5], [12, 0.5, 0.4, 0.9]]
    assert history_table(HISTORY[:1]) == (["Step", "Training Loss"], [[5, 0.7]])
    assert history_table(HISTORY[1:2])[1] == [[6, None, 0.6, 0.5]]
    assert history_table([])[1] == []


def test_history_of_several_data_sets():
    history = [{"eval_a_loss": 1.0, "eval_a_f1": 0.1, "step": 1}, {"eval_b_loss": 2.0, "eval_b_f1": 0.2, "step": 1}]
    columns, rows = history_table(history)
    assert columns == ["Step", "Training Loss", "A Loss", "B Loss", "A F1", "B F1"]
    assert rows == [[1, None, 1.0, 2.0, 0.1, 0.2]]
    labels = [text.get_text() for text in history_figure(history).axes[0].get_legend().get_texts()]
    assert labels == ["A Loss", "B Loss"]


def test_history_figure():
    figure = history_figure(HISTORY)
    losses, f1 = figure.axes
    training, held_out = losses.get_lines()
    np.testing.assert_array_equal(training.get_xydata(), [[5, 0.7], [10, 0.5]])
    np.testing.assert_array_equal(held_out.get_xydata(), [[6, 0.6], [12, 0.4]])
    assert losses.get_ylim()[0] == 0
    np.testing.assert_array_equal(f1.get_lines()[0].get_xydata(), [[6, 0.5], [12, 0.9]])
    assert f1.get_title(loc="left") == "f1 macro"
    many = [{f"eval_{name}": 1.0 for name in "abcdef"} | {"step": 1}]
    assert len(history_figure(many).axes) == 4
    assert len(history_figure([]).axes) == 1
    assert Image.open(io.BytesIO(figure._repr_png_())).format == "PNG"


def test_html():
    assert clock_text(75.9) == "01:15"
    assert clock_text(3675) == "1:01:15"
    assert 'value="2" max="5"' in progress_html(2, 5, "a<b")
    assert progress_html(2, 5, "a<b").endswith(" 2/5, a&lt;b</div>")
    assert progress_html(2, None, "").startswith('<div><progress style="')  # of a stream
    assert table_html(["Step"], []) == ""
    text = table_html(["Step", "a<b"], [[number, "x&y"] for number in range(40)])
    assert "<th>a&lt;b</th>" in text
    assert "x&amp;y" in text
    assert text.count("<tr>") == 1 + 1 + notebook.MOST_ROWS  # the head, "…", and the newest
    assert "<td>39</td>" in text
    assert "<td>27</td>" not in text

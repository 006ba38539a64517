"""The pictures of CTC: what they draw is what was found."""

import numpy as np
import pytest

from edutransformers.audio import forced_alignment
from edutransformers.functional.ctc import ctc_loss
from edutransformers.teaching.alignment_plots import plot_alignment, plot_lattice

NAMES = {1: "h", 2: "i"}
PATH = [0, 1, 1, 0, 2, 0, 2, 2]


@pytest.fixture
def heard(rng):
    logits = rng.normal(0, 0.1, (len(PATH), 4))
    logits[np.arange(len(PATH)), PATH] += 6
    return logits, forced_alignment(logits, [1, 2, 2])


def texts_of(ax):
    return [text.get_text() for text in ax.texts]


def spans_of(ax):
    """Where the axes are shaded."""
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches if hasattr(patch, "get_x")]


def test_tokens_stand_where_they_were_said(heard):
    logits, alignment = heard
    figure = plot_alignment(alignment, NAMES, logits, samples=np.zeros(800), sampling_rate=100)  # 8 s: a frame is 1 s
    sound, table = figure.axes
    assert texts_of(sound) == ["h", "i", "i"]
    assert spans_of(sound) == [(1, 3), (4, 5), (6, 8)]
    assert [label.get_text() for label in table.get_yticklabels()] == ["blank", "h", "i"]
    (steps,) = [patch for patch in table.patches if hasattr(patch, "get_data")]
    np.testing.assert_array_equal(steps.get_data().values, PATH)
    assert table.get_xlabel() == "seconds"


def test_without_a_sound_time_is_in_frames(heard):
    logits, alignment = heard
    (table,) = plot_alignment(alignment, NAMES, logits).axes
    assert table.get_xlabel() == "frame"
    assert texts_of(table) == ["h", "i", "i"]


def test_without_a_map(heard):
    (sound,) = plot_alignment(heard[1], NAMES, samples=np.zeros(80), sampling_rate=10).axes
    assert sound.get_xlim() == (0, 8)


def test_nothing_to_draw_on(heard):
    with pytest.raises(ValueError, match="pass logits, samples or both"):
        plot_alignment(heard[1], NAMES)
    with pytest.raises(ValueError, match="samples without their sampling_rate"):
        plot_alignment(heard[1], NAMES, samples=np.zeros(8))


def test_a_lattice_has_the_steps_that_paths_may_take(rng):
    """No line skips the blank between two equal labels; dots are as large as they are probable."""
    logits = rng.standard_normal((1, 4, 3))
    _, cache = ctc_loss(logits, np.array([[1, 1]]), np.array([4]), np.array([2]))
    visits, labels = cache.visits[0], [None, "a", None, "a", None]
    (ax,) = plot_lattice(visits, labels).axes
    steps = {tuple(line.get_ydata()) for line in ax.lines}
    assert steps == {(s, s) for s in range(5)} | {(s, s + 1) for s in range(4)}
    (dots,) = ax.collections
    np.testing.assert_array_equal(np.argsort(dots.get_sizes()), np.argsort(visits.ravel()))
    (ax,) = plot_lattice(visits, [None, "a", None, "b", None]).axes
    assert (1, 3) in {tuple(line.get_ydata()) for line in ax.lines}

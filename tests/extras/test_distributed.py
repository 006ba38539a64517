"""Several processes under mpiexec: the numbers of one process, one rank that writes, and no hang when a rank dies."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edutransformers import BertForSequenceClassification
from edutransformers.training.distributed import launched_under_mpi, run_in_threads
from tests.extras.distributed_jobs import CASES, WAYS_TO_DIE
from tests.training import test_accelerator as accelerator_tests
from tests.training import test_nccl
from tests.training.toy import assert_same_weights, toy_data, toy_model

NEEDS = ("mpi4py",)
pytestmark = pytest.mark.extras

ROOT = Path(__file__).resolve().parents[2]
MPIEXEC = Path(sys.prefix) / "bin" / "mpiexec"  # of the package mpich


def launch(ranks, job, folder, *arguments, timeout=300):
    """Run a job of distributed_jobs.py on some ranks. A hang fails by its timeout."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [MPIEXEC, "-n", ranks, sys.executable, "-m", "tests.extras.distributed_jobs", job, folder, *arguments]
    return subprocess.run(
        list(map(str, command)), cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=timeout, check=False,
    )  # fmt: skip


def results_of(ranks, job, folder, *arguments):
    """What each rank wrote, of a job that ends well."""
    done = launch(ranks, job, folder, *arguments)
    assert done.returncode == 0, done.stderr
    return [dict(np.load(folder / f"rank-{rank}.npz")) for rank in range(ranks)]


@pytest.mark.parametrize("ranks", [2, 3])
def test_loss_curves_are_those_of_one_process(ranks, tmp_path):
    """Uneven last batches, accumulation, a tied table with token counts, frozen layers: 1e-6 in float64."""
    results = results_of(ranks, "curves", tmp_path)
    for result in results[1:]:  # all ranks have the same weights and report the same losses, bit for bit
        for name, value in result.items():
            np.testing.assert_array_equal(value, results[0][name], err_msg=name)
    for name, case in CASES.items():
        alone = {key: value for key, value in case.items() if key != "gradient_accumulation_steps"}
        losses, weights, _ = accelerator_tests.train(batch_size=12, **alone)
        assert len(losses) == 4
        np.testing.assert_allclose(results[0][f"{name} losses"], losses, rtol=1e-6, err_msg=name)
        for key, value in weights.items():
            np.testing.assert_allclose(results[0][f"{name} {key}"], value, rtol=0, atol=1e-6, err_msg=f"{name} {key}")


def test_a_layer_that_one_rank_does_not_use(tmp_path):
    for result in results_of(2, "unused", tmp_path):
        for name, value in accelerator_tests.two_ways_alone().items():
            np.testing.assert_allclose(result[name], value, rtol=0, atol=1e-12, err_msg=name)


def test_metrics_are_gathered_and_the_main_process_writes(tmp_path):
    done = launch(2, "metrics", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("printed once") == 1
    model, data = toy_model().eval(), toy_data(11)
    expected = np.concatenate([model(input_ids=item["input_ids"][None]).logits for item in data])
    for rank in range(2):
        result = np.load(tmp_path / f"rank-{rank}.npz")
        np.testing.assert_allclose(result["logits"], expected, rtol=0, atol=1e-6)
        assert result["labels"].tolist() == [item["label"] for item in data]
    assert_same_weights(BertForSequenceClassification.from_pretrained(tmp_path / "model"), model)


def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    """Dropout, shuffling, schedule, accumulation: from the last save_state, in an epoch's middle."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole = results_of(2, "resume", tmp_path / "whole", 0)
    assert launch(2, "resume", tmp_path / "broken", 8).returncode != 0
    assert not (tmp_path / "broken" / "rank-0.npz").exists()
    for mine, theirs in zip(results_of(2, "resume", tmp_path / "broken", 0), whole):
        for name, value in theirs.items():
            np.testing.assert_array_equal(mine[name], value, err_msg=name)
    assert (whole[0]["draws"] != whole[1]["draws"]).any()


def test_device_arrays_go_through_nccl(tmp_path):
    """On doubles of CuPy and NCCL: the weights of two ranks on the CPU."""
    (_, expected), _ = run_in_threads(test_nccl.train, 2)
    for rank, result in enumerate(results_of(2, "nccl", tmp_path)):
        assert result["device"] == f"cuda:{rank}"
        for name, value in expected.items():
            np.testing.assert_allclose(result[name], value, rtol=0, atol=1e-12, err_msg=name)


def test_the_trainer(tmp_path):
    """Two ranks with half the batch: the logs of one process. SIGTERM to one rank: all stop, and go on bit for bit."""
    folders = {name: tmp_path / name for name in ("alone", "two", "stopped")}
    for folder in folders.values():
        folder.mkdir()
    (alone,) = results_of(1, "trainer", folders["alone"])
    first, second = results_of(2, "trainer", folders["two"])
    stopped = launch(2, "trainer", folders["stopped"], "interrupted")
    assert stopped.returncode != 0
    assert [path.name for path in folders["stopped"].glob("*8*")] == ["checkpoint-8"], stopped.stderr
    assert not (folders["stopped"] / "rank-0.npz").exists()
    resumed = results_of(2, "trainer", folders["stopped"])
    for name, value in first.items():
        for result in (second, *resumed):
            np.testing.assert_array_equal(result[name], value, err_msg=name)
    logs, expected = ([json.loads(line) for line in result["logs"]] for result in (first, alone))
    assert [list(log) for log in logs] == [list(log) for log in expected]
    assert len(logs) == 9


@pytest.mark.parametrize("how", [how for how in WAYS_TO_DIE if how != "nothing"])
def test_a_rank_that_dies_ends_the_job(how, tmp_path):
    done = launch(3, "die", tmp_path, how)
    assert done.returncode != 0
    assert not list(tmp_path.iterdir()), "some rank went on to its end"
    expected = {
        "exception": "[rank 1] ZeroDivisionError: a slip of rank 1\n[rank 1] rank 1 of 3 failed",
        "Ctrl-C": "[rank 1] rank 1 of 3 failed",
        "sys.exit": "RuntimeError: rank 1 of 3 has ended while rank",
        "SystemExit": "RuntimeError: rank 1 of 3 has ended while rank",
        "os._exit": "[rank 1] rank 1 of 3 left by os._exit(3)",
        "SIGKILL": "rank 1 is process",  # mpiexec names the process
    }
    assert expected[how] in done.stderr
    if how == "SIGKILL":
        assert "BAD TERMINATION" in done.stdout + done.stderr


def test_nobody_dies(tmp_path):
    """The same job when nothing happens: so the tests above see what they say they see."""
    assert launch(3, "die", tmp_path, "nothing").returncode == 0
    assert len(list(tmp_path.iterdir())) == 3


def test_ranks_are_known_from_the_environment(tmp_path):
    assert launch(2, "who", tmp_path).returncode == 0
    written = [(tmp_path / f"rank-{rank}.json").read_text() for rank in range(2)]
    assert written == ["[0, 2, 0, 2, true]", "[1, 2, 1, 2, true]"]
    assert launch(1, "who", tmp_path).returncode == 0
    assert (tmp_path / "rank-0.json").read_text() == "[0, 1, 0, 1, false]"
    assert not launched_under_mpi()

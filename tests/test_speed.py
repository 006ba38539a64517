"""The process-wide switches: what they promise, and that they refuse nonsense."""

import platform
import subprocess
import sys
import threading

import numpy as np
import pytest

from edutransformers import speed
from edutransformers.module import inference_mode, keeping


@pytest.fixture(autouse=True)
def _one_thread_again():
    yield
    speed.use_batch_threads(1)


def test_use_batch_threads_sets_and_tells():
    assert speed.use_batch_threads(3) == 3
    assert speed.use_batch_threads() == 3
    with pytest.raises(ValueError, match="the number of batch threads is 0: expected 1 or more"):
        speed.use_batch_threads(0)
    assert speed.use_batch_threads() == 3


@pytest.mark.parametrize(("value", "expected"), [("4", "4"), ("0", "ValueError"), ("many", "ValueError")])
def test_environment_variable(value, expected):
    code = (
        "from edutransformers import speed\n"
        "try:\n    print(speed.use_batch_threads())\n"
        "except ValueError as error:\n    assert 'EDUTRANSFORMERS_BATCH_THREADS' in str(error); print('ValueError')"
    )
    environment = {"EDUTRANSFORMERS_BATCH_THREADS": value, "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_run_side_by_side_runs_in_threads_and_keeps_the_order():
    barrier = threading.Barrier(3, timeout=30)  # passes only if all three tasks run at the same time

    def task(number):
        barrier.wait()
        return number, threading.get_ident()

    results = speed.run_side_by_side([lambda n=n: task(n) for n in range(3)])
    assert [number for number, _ in results] == [0, 1, 2]
    assert len({ident for _, ident in results}) == 3


def test_run_side_by_side_sees_the_callers_context():
    assert speed.run_side_by_side([keeping] * 3) == [True] * 3
    with inference_mode():
        assert speed.run_side_by_side([keeping] * 3) == [False] * 3


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_in_any_task_is_raised_after_all_have_ended(failing):
    ended = []

    def task(number):
        if number == failing:
            raise KeyError(f"task {number}")
        ended.append(number)

    with pytest.raises(KeyError, match=f"task {failing}"):
        speed.run_side_by_side([lambda n=n: task(n) for n in range(3)])
    assert sorted(ended) == [n for n in range(3) if n != failing]


def test_one_blas_thread():
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    with speed.one_blas_thread():
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        assert pools
        assert all(pool["num_threads"] == 1 for pool in pools)


def test_one_blas_thread_from_several_threads_at_once():
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    threads_now = lambda: [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]  # noqa: E731
    before = threads_now()
    first, second = speed.one_blas_thread(), speed.one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # out in the order in which they came in: overlapping, not nested
    assert set(threads_now()) == {1}
    second.__exit__(None, None, None)
    assert threads_now() == before


def test_keep_freed_memory_only_where_there_is_glibc():
    code = "from edutransformers import speed; print(speed.keep_freed_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    glibc = platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"
    assert done.stdout.strip() == str(glibc)

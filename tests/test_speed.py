"""The process-wide switches: what they promise, and that they refuse nonsense."""

import mmap
import platform
import subprocess
import sys
import threading
from typing import ClassVar

import numpy as np
import pytest

from edutransformers import AdamW, GPT2Config, GPT2LMHeadModel, speed
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


# ----- weights laid out for writing ----------------------------------------------------------------------------------


class Memory(mmap.mmap):
    """Remembers what the system was asked for."""

    asked: ClassVar[list] = []

    def madvise(self, advice):
        Memory.asked.append(advice)
        return super().madvise(advice)


class OldMemory(mmap.mmap):
    def madvise(self, advice):
        raise OSError(22, "Invalid argument")


def small_model(seed=0):
    config = GPT2Config(vocab_size=40, n_positions=16, n_embd=12, n_layer=2, n_head=2)
    return GPT2LMHeadModel(config, generator=np.random.default_rng(seed)).eval()


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="Linux alone has large pages")
def test_weights_move_to_large_pages(monkeypatch):
    monkeypatch.setattr(mmap, "mmap", Memory)
    Memory.asked.clear()
    model = small_model()
    assert speed.arrange_weights(model)
    assert Memory.asked == [mmap.MADV_HUGEPAGE]
    places = [(weight.data.ctypes.data, weight.data.nbytes) for weight in model.parameters()]
    assert places[0][0] % speed.LARGE_PAGE == 0
    assert all(place % 64 == 0 for place, _ in places)
    for (place, size), (following, _) in zip(places, places[1:]):
        assert place + size <= following < place + size + 64  # one behind the other, none over another


def test_each_matrix_has_its_longer_axis_innermost():
    model, twin = small_model(), small_model()
    speed.arrange_weights(model)
    seen = set()
    for (name, weight), other in zip(model.named_parameters(), twin.parameters()):
        assert weight.data.dtype == other.data.dtype, name
        assert weight.data.flags.writeable
        np.testing.assert_array_equal(weight.data, other.data, err_msg=name)
        if weight.data.ndim == 2:
            rows, columns = weight.shape
            steps = (4, 4 * rows) if rows > columns else (4 * columns, 4)
            assert weight.data.strides == steps, name
            seen.add(rows > columns)
    assert seen == {True, False}


def test_rearranged_weights_compute_the_same_and_learn(tmp_path):
    ids = np.array([[3, 1, 4, 1, 5]])
    model, twin = small_model().astype(np.float64), small_model().astype(np.float64)
    speed.arrange_weights(model)
    same = {"rtol": 1e-10, "atol": 1e-14}
    np.testing.assert_allclose(model(ids).logits, twin(ids).logits, **same)
    written = model.generate(ids, max_new_tokens=6)
    np.testing.assert_array_equal(written, twin.generate(ids, max_new_tokens=6))

    model.save_pretrained(tmp_path)
    loaded = GPT2LMHeadModel.from_pretrained(tmp_path, dtype="float64")
    for (name, weight), other in zip(loaded.named_parameters(), twin.parameters()):
        np.testing.assert_array_equal(weight.data, other.data, err_msg=name)

    for each in (model, twin):
        output, cache = each.forward(ids, labels=ids)
        each.backward({"loss": 1.0}, cache)
        for weight in each.parameters():
            assert weight.grad.flags.c_contiguous
        AdamW(each, lr=0.01).step()
    for (name, weight), other in zip(model.named_parameters(), twin.parameters()):
        np.testing.assert_allclose(weight.data, other.data, err_msg=name, **same)
    speed.arrange_weights(model)  # laid out again after training
    np.testing.assert_allclose(model(ids).logits, twin(ids).logits, **same)


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="Linux alone has large pages")
def test_a_changed_child_process_leaves_the_weights_alone():
    code = (
        "import os, numpy as np\n"
        "from edutransformers import speed\n"
        "from edutransformers.layers import Linear\n"
        "layer = Linear(3, 3, generator=np.random.default_rng(0))\n"
        "before = layer.weight.data.copy()\n"
        "assert speed.arrange_weights(layer)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    layer.weight.data[...] = 7\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print(np.array_equal(layer.weight.data, before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_without_large_pages_weights_are_laid_out_all_the_same(monkeypatch):
    def laid_out(model):
        return model.transformer.wte.weight.data.strides == (4, 4 * 40)

    model, twin = small_model(), small_model()
    with monkeypatch.context() as patch:
        patch.setattr(mmap, "mmap", OldMemory)
        patch.setattr(mmap, "MADV_HUGEPAGE", 14, raising=False)
        assert not speed.arrange_weights(model)
    assert laid_out(model)
    model = small_model()
    monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    assert not laid_out(model)
    assert not speed.arrange_weights(model)
    assert laid_out(model)
    for weight, other in zip(model.parameters(), twin.parameters()):
        np.testing.assert_array_equal(weight.data, other.data)

"""Sums over GPUs, on doubles of CuPy and NCCL: the same training as on the CPU, and no waiting for the GPU."""

import numpy as np
import pytest

from edutransformers import use_backend
from edutransformers.backend import to_numpy
from edutransformers.training import Accelerator, AdamW, DataLoader
from edutransformers.training.distributed import NcclCommunicator, communicator, run_in_threads, use_communicator
from tests import fakecupy, fakenccl
from tests.training.toy import toy_data, toy_model, weights_of


def on_gpus(function, ranks, devices=None):
    """function() on ranks that have a GPU each. Ranks are threads."""

    def run():
        with use_communicator(NcclCommunicator(communicator())):
            return function()

    exchange = lambda value: communicator().gather_objects(value)  # noqa: E731
    with fakenccl.installed(ranks if devices is None else devices, exchange), use_backend("cupy"):
        return run_in_threads(run, ranks)


def train(watch_syncs=False):
    accelerator = Accelerator()
    model = toy_model(seed=accelerator.process_index, dropout=0.0).astype("float64")
    model, optimizer, loader = accelerator.prepare(model, AdamW(model, lr=1e-2), DataLoader(toy_data(18), 4))
    for batch in loader:
        _, cache = model.forward(**batch)
        if watch_syncs:
            with fakecupy.no_sync():
                accelerator.backward(model, {"loss": 1.0}, cache)
                accelerator.clip_grad_norm_(model, 0.1)
                optimizer.step()
        else:
            accelerator.backward(model, {"loss": 1.0}, cache)
            accelerator.clip_grad_norm_(model, 0.1)
            optimizer.step()
        optimizer.zero_grad()
    return accelerator.device, {name: to_numpy(weights) for name, weights in weights_of(model).items()}


def test_training_on_two_gpus_is_training_on_two_cpus(fake_cupy):
    expected = [weights for _, weights in run_in_threads(train, 2)]
    for rank, (device, weights) in enumerate(on_gpus(train, 2)):
        assert device == f"cuda:{rank}"
        for name, value in expected[rank].items():
            np.testing.assert_allclose(weights[name], value, rtol=0, atol=1e-12, err_msg=name)


def test_the_host_does_not_wait_for_the_gpu(fake_cupy):
    """Not in backward, nor in the sum, the clipping and the step. (On one rank: threads share the double's switch.)"""
    on_gpus(lambda: train(watch_syncs=True), 1)


def test_all_kinds_of_arrays(fake_cupy):
    def run():
        at = communicator()
        results = []
        for value in (np.float32([at.rank, 1]), np.arange(3) * at.rank, np.array([at.rank == 0, True])):
            array = fake_cupy.asarray(value)
            at.broadcast_(array, root=1)
            results.append(to_numpy(array).tolist())
        total = fake_cupy.asarray(np.float32([[at.rank, 1]]))
        at.allreduce_(total)
        host = np.array([at.rank + 1.0])
        at.allreduce_(host)
        at.broadcast_(host)
        at.barrier()
        return (
            results,
            to_numpy(total).tolist(),
            host.tolist(),
            at.gather_objects(at.rank),
            at.broadcast_object(at.rank),
        )

    for results, total, host, objects, one in on_gpus(run, 2):
        assert results == [[1, 1], [0, 1, 2], [False, True]]
        assert total == [[1, 2]]
        assert host == [3]
        assert (objects, one) == ([0, 1], 0)


def test_gathered_predictions_stay_on_the_gpu(fake_cupy):
    def run():
        accelerator = Accelerator()
        loader = accelerator.prepare(DataLoader([{"x": float(n)} for n in range(5)], 2))
        gathered = [accelerator.gather_for_metrics(fake_cupy.asarray(batch["x"])) for batch in loader]
        total = accelerator.reduce(fake_cupy.asarray(np.ones(2)))
        assert all(isinstance(array, fake_cupy.ndarray) for array in [*gathered, total])
        return np.concatenate([to_numpy(array) for array in gathered]).tolist(), to_numpy(total).tolist()

    assert on_gpus(run, 2) == [([0, 1, 2, 3, 4], [2, 2])] * 2


def test_a_gpu_for_each_rank(fake_cupy):
    with pytest.raises(RuntimeError, match=r"2 ranks on a machine with 1 GPU\(s\): NCCL needs a GPU for each rank"):
        on_gpus(lambda: None, 2, devices=1)

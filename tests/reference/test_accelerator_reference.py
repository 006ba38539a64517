"""Shares of a loader against accelerate: with even_batches each rank gets the same items in each batch."""

import pytest
import torch
from accelerate.data_loader import BatchSamplerShard

from edutransformers.training.distributed import positions_of_rank

pytestmark = pytest.mark.reference


def of_accelerate(length, batch_size, rank, size, drop_last, split):
    sampler = torch.utils.data.BatchSampler(range(length), batch_size * size if split else batch_size, drop_last)
    return list(BatchSamplerShard(sampler, size, rank, split_batches=split, even_batches=True))


@pytest.mark.parametrize("split", [False, True], ids=["batch of a rank", "split batches"])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_even_batches_are_accelerates(size, drop_last, split):
    for length in range(1, 40):
        for batch_size in (1, 2, 3, 5):
            for rank in range(size):
                part = positions_of_rank(length, batch_size, rank, size, even_batches=True, drop_last=drop_last)
                batches = part.positions.reshape(-1, batch_size).tolist()
                assert batches == of_accelerate(length, batch_size, rank, size, drop_last, split), (length, batch_size)

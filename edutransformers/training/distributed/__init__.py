"""Training on several processes: who talks to whom, who sees which items, whose gradients count how much.

To read: communicator.py (the interface), sharding.py (items), gradients.py (one sum a step), mpi.py (real processes).
"""

from .communicator import Communicator, communicator, use_communicator
from .gradients import GradientAverager
from .mpi import MpiCommunicator, launched_under_mpi
from .nccl import NcclCommunicator
from .sharding import ShardedSampler, positions_of_rank
from .threads import ThreadCommunicator, run_in_threads
from .weights import own_stream, share_weights

__all__ = [
    "Communicator",
    "GradientAverager",
    "MpiCommunicator",
    "NcclCommunicator",
    "ShardedSampler",
    "ThreadCommunicator",
    "communicator",
    "launched_under_mpi",
    "own_stream",
    "positions_of_rank",
    "run_in_threads",
    "share_weights",
    "use_communicator",
]

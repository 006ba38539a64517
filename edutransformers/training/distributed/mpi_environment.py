"""Was this process launched by mpiexec (or srun)? Told by the environment: nothing has to be imported for it."""

from __future__ import annotations

import os

SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")  # MPICH, Intel, Slurm (pmi2); Open MPI; MVAPICH
RANKS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")  # launchers that tell the rank alone: Slurm and others (PMIx)


def launched_under_mpi(environment=os.environ) -> bool:
    """True for one of several processes that an MPI launcher has started."""
    sizes = [environment[name] for name in SIZES if name in environment]
    if sizes:
        return any(size != "1" for size in sizes)
    return any(name in environment for name in RANKS)

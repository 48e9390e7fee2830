"""The jobs of the simulated cluster: who submits what, for how long, and how it ends.

A job is a function of the seed and its number, so that history and state files need to keep numbers only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ccserver.demo import noise
from ccserver.demo.clusters import ACCELERATORS, SIMULATED, THREADS

MINUTE = 60
HOUR = 3600
THREADS_PER_ACCELERATOR = THREADS // len(ACCELERATORS)


@dataclass(frozen=True, slots=True)
class Kind:
    """A way jobs of a partition behave; times in seconds, `weight` against the others of the partition."""

    name: str
    partition: str
    weight: float
    nodes: tuple[int, ...]
    runtime: tuple[int, int]  # median, longest
    names: tuple[str, ...]
    command: str
    module: str
    accelerators: tuple[int, ...] = (0,)
    endings: tuple[tuple[str, float], ...] = (("completed", 0.9), ("failed", 0.06), ("cancelled", 0.04))


KINDS = (
    Kind(
        "compute-bound",
        "batch",
        3.0,
        (1, 1, 1, 2, 4),
        (40 * MINUTE, 5 * HOUR),
        ("dgemm-scan", "qchem-opt", "lqcd-prop"),
        "srun ./solver --input case.in",
        "openblas/0.3.26",
    ),
    Kind(
        "memory-bound",
        "batch",
        3.0,
        (1, 1, 2, 4),
        (45 * MINUTE, 5 * HOUR),
        ("stencil3d", "fv-cavity", "spmv-bench"),
        "srun --cpu-bind=cores ./stencil 1024 1024 1024",
        "openmpi/4.1.6",
    ),
    Kind(
        "mpi",
        "batch",
        4.0,
        (2, 2, 4, 4, 8, 12),
        (50 * MINUTE, 6 * HOUR),
        ("md-membrane", "climate-ens", "turb-channel", "md-protein"),
        "srun ./md_mpi -deffnm production -maxh 5.5",
        "openmpi/4.1.6",
        endings=(("completed", 0.82), ("timeout", 0.12), ("failed", 0.04), ("cancelled", 0.02)),
    ),
    Kind(
        "imbalanced",
        "batch",
        1.5,
        (2, 4, 4),
        (35 * MINUTE, 3 * HOUR),
        ("amr-blast", "graph-part"),
        "srun ./amr --levels 6 --no-rebalance",
        "openmpi/4.1.6",
    ),
    Kind(
        "memory-leak",
        "batch",
        0.8,
        (1, 2),
        (30 * MINUTE, 2 * HOUR),
        ("mesh-import", "etl-tracks"),
        "srun ./import --all",
        "gcc/13.2",
        endings=(("out_of_memory", 0.8), ("failed", 0.2)),
    ),
    Kind(
        "one-thread",
        "batch",
        1.0,
        (1,),
        (40 * MINUTE, 4 * HOUR),
        ("postproc", "merge-results"),
        "python merge.py results/*.h5",
        "python/3.11",
    ),
    Kind(
        "file-io",
        "batch",
        0.8,
        (1, 2),
        (30 * MINUTE, 2 * HOUR),
        ("stage-in", "repack"),
        "srun ./repack --jobs 16",
        "hdf5/1.14",
    ),
    Kind(
        "single-core",
        "serial",
        1.0,
        (1,),
        (30 * MINUTE, 2 * HOUR),
        ("scan-param", "bootstrap", "fit-event"),
        "./fit --seed $SLURM_ARRAY_TASK_ID",
        "gcc/13.2",
    ),
    Kind(
        "training",
        "gpu",
        4.0,
        (1,),
        (80 * MINUTE, 10 * HOUR),
        ("train-resnet", "finetune-lm", "unet-seg"),
        "python train.py --epochs 90 --amp",
        "cuda/12.4",
        accelerators=(1, 1, 2, 4),
    ),
    Kind(
        "training",
        "gpu",
        1.0,
        (2, 2, 4),
        (90 * MINUTE, 8 * HOUR),
        ("pretrain-lm",),
        "srun torchrun --nnodes=$SLURM_NNODES train.py --fsdp",
        "cuda/12.4",
        accelerators=(4,),
    ),
    Kind(
        "idle-gpu",
        "gpu",
        1.2,
        (1,),
        (70 * MINUTE, 6 * HOUR),
        ("jupyter", "debug-env"),
        "jupyter lab --no-browser",
        "python/3.11",
        accelerators=(1, 2, 4),
        endings=(("completed", 0.3), ("timeout", 0.4), ("cancelled", 0.3)),
    ),
    Kind(
        "gpu-bursts",
        "gpu",
        2.0,
        (1,),
        (50 * MINUTE, 5 * HOUR),
        ("rl-pong", "mc-dose", "raytrace"),
        "python run.py --envs 32",
        "cuda/12.4",
        accelerators=(1, 1, 2),
    ),
)

# Twelve people in four projects; what each likes to run falls out of the draw.
USERS = (
    ("alice", "climate"),
    ("bosek", "climate"),
    ("chandra", "climate"),
    ("duarte", "biophys"),
    ("eriksen", "biophys"),
    ("fontaine", "biophys"),
    ("gallo", "plasma"),
    ("haddad", "plasma"),
    ("ito", "plasma"),
    ("jansen", "vision"),
    ("kowalska", "vision"),
    ("lindqvist", "vision"),
)


@dataclass(frozen=True, slots=True)
class Job:
    """One job as submitted; `key` seeds everything that is random about it, `runtime` is known to nobody."""

    number: int
    key: int
    kind: Kind
    user: str
    project: str
    name: str
    nodes: int
    threads: int  # per node
    accelerators: int  # per node
    walltime: int
    runtime: int
    ending: str
    submitted: int

    @property
    def partition(self) -> str:
        return self.kind.partition


@dataclass(frozen=True, slots=True)
class Placement:
    """A job on its nodes: one first hwthread and one first accelerator index per host; `end` is planned."""

    job: Job
    start: int
    end: int
    hosts: tuple[str, ...]
    first_thread: tuple[int, ...]

    def threads(self, rank: int) -> range:
        return range(self.first_thread[rank], self.first_thread[rank] + self.job.threads)

    def accelerators(self, rank: int) -> range:
        first = self.first_thread[rank] // THREADS_PER_ACCELERATOR
        return range(first, first + self.job.accelerators)


def submitted_job(seed: int, number: int, partition: str, now: int) -> Job:
    """The job that becomes `number` when somebody submits to `partition`."""
    base = noise.key(seed, "job", number, partition)
    kind = _kind(base, partition)
    user, project = USERS[int(noise.draw(base, "user") ** 1.3 * len(USERS))]
    nodes = kind.nodes[int(noise.draw(base, "nodes") * len(kind.nodes))]
    accelerators = kind.accelerators[int(noise.draw(base, "accelerators") * len(kind.accelerators))]
    median, longest = kind.runtime
    spread = math.exp(1.8 * (noise.draw(base, "runtime") + noise.draw(base, "runtime 2") - 1.0))
    runtime = int(min(max(6 * MINUTE, median * spread), longest))
    ending = _ending(base, kind)
    if ending in ("failed", "cancelled"):
        runtime = max(4 * MINUTE, int(runtime * noise.draw(base, "early")))
    walltime = _round_up(
        runtime if ending == "timeout" else int(runtime * (1.2 + 2 * noise.draw(base, "margin")))
    )
    return Job(
        number=number,
        key=base,
        kind=kind,
        user=user,
        project=project,
        name=kind.names[int(noise.draw(base, "name") * len(kind.names))],
        nodes=nodes,
        threads={"serial": 1, "gpu": THREADS_PER_ACCELERATOR * accelerators}.get(partition, THREADS),
        accelerators=accelerators,
        walltime=walltime,
        runtime=walltime if ending == "timeout" else runtime,
        ending=ending,
        submitted=now,
    )


def start_request(placement: Placement) -> dict[str, Any]:
    """Body of `start_job` as a Slurm adapter writes it, empty members included (spec/rest-api.md 7)."""
    job = placement.job
    shared = job.threads < THREADS
    resources: list[dict[str, Any]] = []
    for rank, host in enumerate(placement.hosts):
        resource: dict[str, Any] = {"hostname": host, "hwthreads": list(placement.threads(rank))}
        if job.accelerators:
            resource["accelerators"] = [ACCELERATORS[index] for index in placement.accelerators(rank)]
        resources.append(resource)
    return {
        "cluster": SIMULATED,
        "subCluster": "",
        "partition": job.partition,
        "project": job.project,
        "user": job.user,
        "shared": "multi_user" if shared else "none",
        "jobState": "",
        "resources": resources,
        "energyFootprint": None,
        "footprint": None,
        "metaData": {
            "jobName": job.name,
            "jobScript": job_script(job),
            "slurmInfo": _slurm_info(placement),
            "submitTime": str(job.submitted),
        },
        "concurrentJobs": {"items": None, "count": 0},
        "energy": 0,
        "arrayJobId": 0,
        "walltime": job.walltime,
        "jobId": job.number,
        "duration": 0,
        "numHwthreads": job.threads * job.nodes,
        "numAcc": job.accelerators * job.nodes,
        "numNodes": job.nodes,
        "statistics": None,
        "startTime": placement.start,
    }


def stop_request(placement: Placement, end: int, state: str) -> dict[str, Any]:
    """Body of `stop_job`; the start time is left out as the Slurm adapter does."""
    return {"jobId": placement.job.number, "cluster": SIMULATED, "jobState": state, "stopTime": end}


def job_script(job: Job) -> str:
    """The batch script of a job."""
    lines = ["#!/bin/bash -l", f"#SBATCH --job-name={job.name}", f"#SBATCH --partition={job.partition}"]
    lines += [f"#SBATCH --account={job.project}", f"#SBATCH --time={_clock(job.walltime)}"]
    if job.partition == "batch":
        lines += [
            f"#SBATCH --nodes={job.nodes}",
            f"#SBATCH --ntasks-per-node={THREADS}",
            "#SBATCH --exclusive",
        ]
    elif job.partition == "gpu":
        lines += [f"#SBATCH --nodes={job.nodes}", f"#SBATCH --gres=gpu:{job.accelerators}"]
    else:
        lines += ["#SBATCH --ntasks=1", "#SBATCH --mem=4G"]
    lines += ["", "module purge", f"module load {job.kind.module}", "", f"cd $HOME/{job.project}/{job.name}"]
    return "\n".join([*lines, job.kind.command, ""])


def _slurm_info(placement: Placement) -> str:
    job = placement.job
    return (
        f"JobId={job.number} JobName={job.name}\n"
        f"   UserId={job.user} Account={job.project} Partition={job.partition}\n"
        f"   TimeLimit={_clock(job.walltime)} NumNodes={job.nodes} NumCPUs={job.threads * job.nodes}\n"
        f"   NodeList={','.join(placement.hosts)}\n"
    )


def _kind(base: int, partition: str) -> Kind:
    kinds = [kind for kind in KINDS if kind.partition == partition]
    point = noise.draw(base, "kind") * sum(kind.weight for kind in kinds)
    for kind in kinds:
        point -= kind.weight
        if point < 0:
            return kind
    return kinds[-1]


def _ending(base: int, kind: Kind) -> str:
    point = noise.draw(base, "ending")
    for state, share in kind.endings:
        point -= share
        if point < 0:
            return state
    return kind.endings[0][0]


def _round_up(seconds: int) -> int:
    return -(-seconds // (10 * MINUTE)) * 10 * MINUTE


def _clock(seconds: int) -> str:
    return f"{seconds // HOUR:02d}:{seconds % HOUR // MINUTE:02d}:00"

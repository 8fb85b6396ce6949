"""Number and size of the workers of a training."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.job_config import JobConfig

Share = Annotated[float, Field(gt=0, le=1)]


def _whole_or_share(cpus: float) -> float:
    """Ray gives out whole CPUs, or a part of one."""
    if cpus > 1 and not cpus.is_integer():
        raise ValueError("takes a whole number of CPUs, or a share of one, such as 0.5")
    return cpus


Cpus = Annotated[float, Field(gt=0), AfterValidator(_whole_or_share)]


class ResourcesConfig(JobConfig):
    """Number and size of the training workers."""

    num_workers: int = Field(default=1, ge=1)
    """Number of worker processes. Each batch is divided among them."""

    cpus_per_worker: Cpus | None = None
    """CPUs of one worker, which is also its number of threads: a whole number, or a share of one such as 0.5, with one
    thread. If not given, a machine's workers share its CPUs."""

    use_gpu: bool = False
    """Give each worker one GPU, or gpus_per_worker of one."""

    gpus_per_worker: Share = 1.0
    """With use_gpu: share of a GPU of the worker, so that several small trainings of a search use one side by side.
    Below 1 a training has a single worker. Nothing divides the GPU's memory: they must fit it together."""

    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Precision of matrix products: float32, bf16, or auto (bf16 on GPUs that support it, float32 elsewhere)."""

    compile: bool = False
    """Compile the model with torch.compile. The first step is slow; on GPUs the following ones are faster."""

    cuda_graphs: bool = False
    """With compile and one worker on a GPU: launch the model's kernels at once, as CUDA graphs, one for each size of
    batches, of which an epoch has two. Has not run on a GPU yet."""

    bf16_gradients: bool = False
    """Let several workers send each other gradients in bf16, half the bytes, for slow networks between machines."""

    deterministic: bool = False
    """Only use algorithms whose results are the same every time on the same kind of machine; slower on GPUs. Without it
    GPUs add in any order, and two trainings with the same seed end with other last digits."""

    max_restarts: int = Field(default=3, ge=0)
    """How many times dead workers are replaced. Training then continues from the last checkpoint."""

    stall_s: float = Field(default=600.0, ge=10)
    """How long workers wait for one of them that stands still, s; then all are replaced, as dead ones are. After half
    of it the job says where each of them is."""

    wait_s: float = Field(default=0.0, ge=0)
    """How long to wait for machines that are not there yet, s, such as 1800 where an autoscaler adds them: it is asked
    for what the workers need. With 0, workers that do not fit the present machines are refused."""

    @property
    def gpus(self) -> float:
        """GPUs of a worker."""
        return self.gpus_per_worker if self.use_gpu else 0.0

    @model_validator(mode="after")
    def _graphs_of_one_gpu(self) -> Self:
        if self.cuda_graphs and not (self.compile and self.use_gpu):
            raise ValueError("cuda_graphs=true needs compile=true and use_gpu=true")
        if self.cuda_graphs and self.num_workers > 1:
            raise ValueError(
                f"cuda_graphs=true: a graph cannot hold what {self.num_workers} workers send each other; give "
                "num_workers=1, or compile=true alone"
            )
        return self

    @model_validator(mode="after")
    def _share_of_a_gpu(self) -> Self:
        if self.gpus_per_worker < 1 and not self.use_gpu:
            raise ValueError(f"gpus_per_worker={self.gpus_per_worker:g} needs use_gpu=true")
        if self.gpus_per_worker < 1 and self.num_workers > 1:
            raise ValueError(
                f"gpus_per_worker={self.gpus_per_worker:g}: workers of one training cannot share a GPU; give "
                "num_workers=1"
            )
        return self

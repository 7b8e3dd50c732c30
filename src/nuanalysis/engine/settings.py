"""Where trials run, as settings: imported by every start of the command line, so that executors are not."""

from pathlib import Path
from typing import Any, Literal

from nuanalysis.records import Settings, setting

Name = Literal["serial", "threads", "processes", "dask", "slurm", "htcondor"]


class EngineSettings(Settings):
    """Where trials run: the same words on the command line, in notebooks and in Python.  It does not change a digit."""

    executor: Name = setting("threads", help="serial, threads, processes, dask, slurm or htcondor")
    workers: int = setting(2, low=1, high=256, help="workers of threads, processes and dask")
    scheduler: str = setting("", help="address of a running Dask scheduler; without: a cluster of its own")
    cluster: str = setting("", help="TOML file with what a job of slurm or htcondor asks for")

    def open(self) -> Any:
        """The executor; nothing starts before it is entered.  Raises InputError for what does not go together."""
        from nuanalysis.engine.executors import open_executor

        jobs = Path(self.cluster) if self.cluster else None
        return open_executor(self.executor, workers=self.workers, scheduler=self.scheduler or None, cluster=jobs)

"""The cluster file: what a job on a batch system asks for, a small strict record read from TOML.

    queue = "short"                 # SLURM alone: the partition
    account = "neutrinos"
    memory = "4 GB"                 # of a job
    cores = 2                       # workers of a job, one core each
    walltime = "02:00:00"
    job_script_prologue = ["module load gcc"]

Keys have the names and meanings they have in dask-jobqueue.  Where one is left out that has no default, the site's own
settings of dask-jobqueue hold, if there are any.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nuanalysis.errors import InputError, did_you_mean

Word = Annotated[str, Field(pattern=r"^\S+$")]
Lines = Annotated[tuple[str, ...], Field(strict=False)]
Size = Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?[kMGT]i?B$")]

_NO_QUEUE = " HTCondor has no queues; what picks machines there goes into job_extra_directives."


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    memory: Size = Field(description="of a job, for example '4 GB'")
    cores: Annotated[int, Field(ge=1, le=1024)] = Field(1, description="workers of a job, one core and thread each")
    walltime: Annotated[str, Field(pattern=r"^(\d+-)?\d{1,2}:[0-5]\d:[0-5]\d$")] = Field(
        "01:00:00", description="of a job, as hours:minutes:seconds or days-hours:minutes:seconds"
    )
    account: Word | None = Field(None, description="who pays: SLURM's account, HTCondor's accounting group")
    interface: Word | None = Field(None, description="network between here and the workers, for example 'ib0'")
    local_directory: Word | None = Field(None, description="scratch on the worker's own disk, for example '$TMPDIR'")
    log_directory: Word | None = Field(None, description="where the output of the jobs goes")
    job_script_prologue: Lines = Field((), description="list of shell lines before the worker starts")

    def _common(self, *without: str) -> dict[str, Any]:
        given = self.model_dump(exclude={"job_script_prologue", "job_extra_directives", *without})
        return {**given, "processes": self.cores, "job_name": "nuanalysis"}


class SlurmOptions(_Options):
    """A SLURM job."""

    queue: Word | None = Field(None, description="the partition")
    job_extra_directives: Lines = Field((), description="list of what else stands after #SBATCH")

    def arguments(self) -> dict[str, Any]:
        """Arguments of dask-jobqueue's job, but for its prologue; None: as the site has set it."""
        return {**self._common(), "job_extra_directives": list(self.job_extra_directives) or None}


class HTCondorOptions(_Options):
    """An HTCondor job."""

    disk: Size = Field("1 GB", description="of a job, for example '1 GB'")
    job_extra_directives: dict[str, str] = Field(
        default_factory=dict, description="table of what else stands in the submit file, { name = 'value' }"
    )

    def arguments(self) -> dict[str, Any]:
        """Arguments of dask-jobqueue's job, but for its prologue; None: as the site has set it."""
        account = {"accounting_group": self.account} if self.account else {}
        directives = {**account, "allowed_job_duration": _seconds(self.walltime), **self.job_extra_directives}
        return {**self._common("account", "walltime"), "job_extra_directives": directives}


JobOptions = SlurmOptions | HTCondorOptions
_OPTIONS: dict[str, type[SlurmOptions] | type[HTCondorOptions]] = {"slurm": SlurmOptions, "htcondor": HTCondorOptions}


def _seconds(walltime: str) -> int:
    days, _, clock = walltime.rpartition("-")
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return ((24 * int(days or 0) + hours) * 60 + minutes) * 60 + seconds


def read_cluster_file(executor: str, path: Path) -> JobOptions:
    """Read what a job of that executor asks for.  Raises InputError with all faults in one message."""
    try:
        return _OPTIONS[executor].model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the cluster file {path} cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the cluster file {path} is not TOML: {error}") from error
    except ValidationError as error:
        faults = "\n  - ".join(_sentence(executor, dict(fault)) for fault in error.errors())
        raise InputError(
            f"{path} is not a valid cluster file of the executor '{executor}':\n  - {faults}\nNothing was run."
        ) from error


def _sentence(executor: str, fault: dict[str, Any]) -> str:
    fields = _OPTIONS[executor].model_fields
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        no_queue = executor == "htcondor" and key == "queue"
        return f"unknown key '{key}'.{_NO_QUEUE if no_queue else did_you_mean(key, fields)}"
    found = "" if fault["type"] == "missing" else f" (found {fault.get('input')!r})"
    return f"'{key}' ({fields[str(fault['loc'][0])].description}): {fault['msg']}{found}"

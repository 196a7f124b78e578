"""How is a job run? `run(job, dataset)` once, or an `Engine` for many jobs with the same workers.

```text
run: check job -> plan input -> claim output folder -> pack job -> plan tasks -> drive -> commit output -> Result
```
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from mapreduce.errors import UsageError, near
from mapreduce.job import Chain, Fold, Job, check_job
from mapreduce.settings import available_cpus, settings_from

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mapreduce.dataset import Dataset
    from mapreduce.engines.cluster_start import Cluster
    from mapreduce.engines.hosts import HostAgents
    from mapreduce.engines.partials import SplitPartial
    from mapreduce.engines.remote import TrackerClient
    from mapreduce.engines.runs import Runs
    from mapreduce.engines.steps import Steps
    from mapreduce.result import Result
    from mapreduce.tracker.observer import Observer
    from mapreduce.workers.pool import Pool
    from mapreduce.workers.process import Start


logger = logging.getLogger(__name__)

EngineKind = Literal["local", "inline", "cluster"]
KINDS = ("local", "inline", "cluster")


class Engine:
    """Runs jobs, one after the other, on the same workers.

    `kind` is "local" (worker processes on this machine), "inline" (this process, one task at a time: for pdb) or
    "cluster" (worker processes on several hosts: those of `hosts`, such as "a,b:4", which are begun over ssh, and those
    that join by hand where the engine is told to `listen`; docs/hosts.md). `workers` defaults to the CPUs that this
    process may use, and on a cluster to those of each host; they start with the first job and end with `close`.
    `memory` bounds each worker, such as "512MB". `start` forces how workers begin (by fork or in a fresh interpreter);
    left alone, they are forked where that is safe. With `tracker` ("host:port") jobs are given to a tracker that stays
    (`mapreduce tracker`): inputs and outputs are paths on its host, and `workers` is the most that a job may use there.
    If that tracker shares its workers fairly, a job with a `share` of 2 gets twice those of one with 1.
    `replicas`: on how many hosts map outputs lie, for jobs that don't say otherwise.

    ```python
    with mr.Engine(workers=8) as engine:
        points = engine.cache(mr.read_parquet("points/"))
        for _ in range(20):
            centers = engine.run(KMeansStep(centers), points).value
    ```
    """

    def __init__(
        self,
        kind: EngineKind = "local",
        *,
        workers: int | None = None,
        memory: int | str | None = None,
        start: Start | None = None,
        hosts: str | Sequence[str] = (),
        listen: str = "",
        ssh: str | None = None,
        key: str | Path | None = None,
        tracker: str | None = None,
        share: float | None = None,
        replicas: int | None = None,
    ) -> None:
        if kind not in KINDS:
            raise UsageError(f"no engine {kind!r}; {near(kind, KINDS)}")
        settings = settings_from({"workers": workers, "memory": memory, "replicas": replicas})
        self.kind = kind
        self._resources = ExitStack()
        self.workers = 1 if kind == "inline" else settings.workers or available_cpus()
        self.memory_bytes = settings.memory_bytes
        self._start = start
        if kind == "cluster":
            from mapreduce.engines.hosts import ClusterOptions

            self._cluster_options = ClusterOptions(hosts, listen, ssh, key, settings.workers)
            self._cluster_options.check()
            self._agents = self._begin_agents()  # each takes 0.2 s, as much as all else before a job
            self._resources.callback(self._agents.close)
            from mapreduce.engines.host_inputs import find_when_asked

            self._resources.callback(find_when_asked(self._meet_hosts))
        elif hosts or listen:
            raise UsageError(f'the engine {kind!r} has no hosts; they are for Engine("cluster")')
        if tracker is not None and kind != "local":
            raise UsageError(f"a tracker chooses by itself where its jobs run; leave out {kind!r}")
        if share is not None and tracker is None:
            raise UsageError("a share is one of a tracker's workers; name it with tracker= (--tracker)")
        self._tracker_address = tracker
        self._share = share
        self._tracker_key = key
        self._tracker: TrackerClient | None = None
        self._asked_workers = settings.workers
        self._asked_memory = memory
        self._replicas = replicas
        self._cluster: Cluster | None = None
        self._pool: Pool | None = None
        self._cache_folder: Path | None = None
        self._made_ready: list[tuple[Any, Dataset]] = []
        self._steps: Steps | None = None
        self._runs: Runs | None = None

    def run(
        self,
        job: Job | Fold | Chain,
        dataset: Dataset,
        *,
        output: str | Path | None = None,
        observer: Observer | None = None,
        **settings: Any,
    ) -> Result:
        """Run a job on a dataset and return its Result.

        With `output` the result is written to that folder and committed once; without, it lives as long as the Result.
        Settings: `reducers`, `split_size`, `memory`, `block_size`, `max_attempts`, `task_timeout_seconds`,
        `output_format` (tsv, csv, jsonl, parquet; text, raw), `sort` (total order by key), `fresh` (replace an
        output that exists), `incremental` (reuse map outputs of earlier runs where the input is unchanged), `replicas`
        (on how many hosts map outputs lie). Raises a MapReduceError whose class says who must act.
        """
        started = time.monotonic()
        check_job(job)
        settings = {"replicas": self._replicas, **settings}
        asked = settings_from({"workers": self.workers, "memory": self.memory_bytes, **settings})
        if self._tracker_address is not None:
            return self._run_on_tracker(job, dataset, output, observer, settings)
        if dataset.is_vertical:
            dataset = self._ready(dataset, asked.split_bytes)
        if asked.replicas > 1 and self.kind != "cluster":
            raise UsageError("replicas (--replicas) are copies on other hosts, and this engine has one; leave it out")
        if asked.chaos:
            from mapreduce.engines.chaos import check_chaos

            check_chaos(asked, self.kind)
        self._start_workers(job, dataset.bytes_at_hand())  # they load what they need while we do
        try:
            self._runs = runs = self._runs or self._make_runs()
            runs.workers, runs.pool, runs.cluster, runs.steps = self.workers, self._pool, self._cluster, self._steps
            try:
                return runs.run(job, dataset, asked, output, observer, started)
            finally:
                self.workers = runs.workers
        finally:
            if self._pool is not None:
                self._pool.inherits = False  # the caller goes on, and may change what workers have of it

    def partials(
        self,
        fold: Fold,
        dataset: Dataset,
        *,
        known: Collection[str] = (),
        observer: Observer | None = None,
        **settings: Any,
    ) -> list[SplitPartial]:
        """The partial of each split, for who keeps partials: of those whose `content` is not among `known`.

        Files are cut where they were cut before they grew, so that what is appended makes new splits and changes one.
        """
        from mapreduce.engines.partials import partials_of

        split_bytes = settings_from(settings).split_bytes

        def run(by_split: Fold, some: Dataset) -> Result:
            return self.run(by_split, some, observer=observer, **settings)

        return partials_of(fold, dataset, known, split_bytes, run)

    def lineage(self, learner: object, dataset: Dataset | None = None) -> dict[str, Any]:
        """What a model is made from: hashes of the learner's code and of what the splits of its input hold. Without a
        dataset that of the code alone."""
        from mapreduce.engines.lineage import lineage_of

        return lineage_of(learner, dataset)

    def _run_on_tracker(
        self,
        job: Job | Fold | Chain,
        dataset: Dataset,
        output: str | Path | None,
        observer: Observer | None,
        settings: dict[str, Any],
    ) -> Result:
        from mapreduce.engines.remote import TrackerClient, run_on_tracker

        if self._tracker is None:
            self._tracker = TrackerClient(self._tracker_address, self._tracker_key)
            self._resources.callback(self._tracker.close)
        asked = {"workers": self._asked_workers, "memory": self._asked_memory, **settings}
        client = self._tracker

        def run_there(where: Path | None = None) -> Result:
            result, self.workers = run_on_tracker(
                client, job, dataset, output, asked, self._tell_log, observer, share=self._share
            )
            return result

        if self._steps is None or output is not None or not isinstance(job, Fold):
            return run_there()
        once = settings_from({**asked, "fresh": None})
        return self._steps.run(job, dataset, once, run_there)

    def _tell_log(self, line: str) -> None:
        """A line of the log of a job that runs on a tracker."""
        logger.info("%s", line)

    def cache(self, dataset: Dataset) -> Dataset:
        """The dataset, parsed at most once: who reads a block first leaves it for the next, in files that workers
        map into memory. The cache goes when the engine is closed. Jobs of a tracker have none: they read the files."""
        if self._tracker_address is not None:
            return dataset
        from tempfile import mkdtemp

        from mapreduce.storage.block_cache import CachedFormat, forget_mapped
        from mapreduce.storage.leftovers import make_temporary_folder, remove_temporary_folder

        if self._cache_folder is None:
            self._cache_folder = make_temporary_folder("cache")
            self._resources.callback(remove_temporary_folder, self._cache_folder)
            self._resources.callback(forget_mapped, self._cache_folder)
        if dataset.is_vertical:
            dataset = self._ready(dataset, None)
        folder = mkdtemp(dir=self._cache_folder)
        planned = dataset.spooled(folder).plan(None)
        return planned.as_dataset(CachedFormat(planned.format, folder))

    def _ready(self, dataset: Dataset, split_bytes: int | None) -> Dataset:
        """Tables beside each other as jobs of this engine read them. What that takes is done once for all jobs."""
        from mapreduce.engines.join_tables import make_ready

        asked = (dataset, split_bytes, dataset.files())
        for known, ready in self._made_ready:
            if known == asked:
                return ready
        ready = make_ready(dataset, split_bytes, self.run)
        self._made_ready.append((asked, ready))
        return ready

    @contextmanager
    def resumable(self, folder: str | Path, *, fresh: bool = False) -> Iterator[None]:
        """Within it, each fold that is run without an output is a step towards what will be written to `folder`.

        Values of finished steps are kept there. If this process is killed, the same program is given them again and
        goes on with the first step that was not finished; they are removed when the block ends without an exception. A
        step that is made from something else (input, source, options) starts afresh, and says why. `fresh` forgets what
        an earlier run without it left. Raises ResourceError if another run is writing to `folder`.

        ```python
        with mr.Engine() as engine, engine.resumable("model/"):
            model = KMeans(n_clusters=8).fit(mr.read_parquet("points/"), engine=engine)
            model.save("model/")
        ```
        """
        from mapreduce.engines.steps import Steps

        if self._steps is not None:
            raise UsageError("engine.resumable is not to be nested: its steps are counted for one folder")
        self._steps = steps = Steps(Path(folder), fresh=fresh)
        try:
            yield
            steps.finish()
        except BaseException as error:
            steps.fail(error)
            raise
        finally:
            self._steps = None
            steps.close()

    def close(self) -> None:
        """End the workers and remove the cache. A second call is harmless."""
        self._resources.close()
        self._tracker = None
        self._pool = None
        self._cluster = None
        self._cache_folder = None
        self._made_ready.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_runs(self) -> Runs:
        """Who sees jobs through."""
        from mapreduce.engines.runs import Runs

        return Runs(self.kind)

    def _start_workers(self, job: Job | Fold | Chain, input_bytes: int) -> None:
        """Start the workers if they are not there yet: they load what the job will need while it is planned."""
        if self.kind == "local" and self._pool is None:
            from mapreduce.dataflow.warm_up import load_shared, warm_up_for
            from mapreduce.workers.pool import Pool
            from mapreduce.workers.process import Entry

            warm_up = warm_up_for(job, input_bytes)
            load_shared(warm_up)
            entry = Entry(warm_up=warm_up)
            self._pool = Pool(self.workers, memory_bytes=self.memory_bytes, start=self._start, entry=entry)
            self._resources.callback(self._pool.close)
        self._meet_hosts()

    def _begin_agents(self) -> HostAgents:
        return self._cluster_options.begin_agents()

    def _meet_hosts(self) -> None:
        """Begin the cluster, if this is an engine of one: some inputs can only be looked up there."""
        if self.kind != "cluster":
            return
        if self._cluster is None:
            from mapreduce.engines.cluster_start import Cluster

            self._cluster = Cluster(self._cluster_options, self._agents)
            self._resources.callback(self._cluster.close)
            self.workers = self._cluster.worker_count()
        self._cluster.use()


def run(
    job: Job | Fold | Chain,
    dataset: Dataset,
    *,
    output: str | Path | None = None,
    engine: EngineKind | Engine = "local",
    workers: int | None = None,
    memory: int | str | None = None,
    observer: Observer | None = None,
    **settings: Any,
) -> Result:
    """Run one job: as `Engine.run`, on an engine that is made for it (or on the one given)."""
    if isinstance(engine, Engine):
        return engine.run(job, dataset, output=output, observer=observer, **settings)
    with Engine(engine, workers=workers, memory=memory) as made:
        return made.run(job, dataset, output=output, observer=observer, **settings)

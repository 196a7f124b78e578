"""What is there to see of a job that ran? One HTML page that needs nothing else: no script, no network, no font.

`render_page` takes a job's log and gives the page as text. What each section shows:

    figures      how it ended, time, input and output, memory, what failed
    timeline     a lane a worker, a rectangle an attempt; what failed, was cancelled or was a backup looks different
    throughput   bytes of the input read a second
    tasks        a histogram of task seconds a stage: a long tail is a straggler
    skew         what each reduce task was given: one high bar is one heavy key or an unlucky partition
    scaling      Amdahl's curve for the measured parallel fraction, and what the simulator makes of the tasks
    failures     each with its reason and what was done
    passed on    bytes and seconds by link: through shared memory, between hosts, in messages
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from mapreduce.report.charts import Line, Mark, area, bars, lines, timeline
from mapreduce.report.job_log import AttemptRecord, AttemptState, JobLog, RunLog
from mapreduce.report.measures import (
    done,
    histogram,
    key_skew,
    lanes,
    middle,
    parallel_fraction,
    task_seconds,
    throughput,
)
from mapreduce.report.page_style import STYLE
from mapreduce.report.scaling import amdahl
from mapreduce.report.units import format_bytes, format_count, format_plural, format_rate, format_seconds

RUNS_SHOWN = 5
"""Runs drawn in full, the last ones; a fit of a hundred steps has a hundred."""

ROWS_SHOWN = 200
LANES_SHOWN = 64
LONG_CHARS = 32  # cells that may be broken into lines
CURVE = (1, 2, 4, 8, 16, 32, 64)

Speedups = Sequence[tuple[int, float]]


def render_page(log: JobLog, simulated: Speedups = ()) -> str:
    """The page of a job. `simulated` are speed-ups of the last run's tasks, by number of workers."""
    last = log.last
    shown = log.runs[-RUNS_SHOWN:]
    title = f"{last.head.job}: {last.outcome}"
    body = [f"<h1>{escape(last.head.job)} <span class='outcome {last.outcome}'>{escape(last.outcome)}</span></h1>"]
    body.append(f"<p class='sub'>{escape(_origin(last))}</p>")
    if log.unreadable_lines:
        body.append(f"<p class='warn'>{log.unreadable_lines:,} lines of the log were damaged and are left out.</p>")
    if len(log.runs) > 1:
        body.append(_runs_table(log))
    for run in shown:
        body.append(_run_section(run, headed=len(log.runs) > 1, simulated=simulated if run is last else ()))
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _run_section(run: RunLog, *, headed: bool, simulated: Speedups) -> str:
    parts = [f"<h2 class='run'>Run {run.head.number}: {escape(run.outcome)}</h2>"] if headed else []
    parts += [_tiles(run), _reason(run), _notes(run), _timeline(run), _throughput(run)]
    parts += [_task_histograms(run), _skew(run), _scaling(run, simulated), _failures(run), _losses(run)]
    parts += [_stages(run), _passed(run), _pairs("Counters", run.end.counters if run.end else {})]
    parts += [_pairs("Options of the job", run.head.options), _pairs("Settings", run.head.settings)]
    return "".join(parts)


def _origin(run: RunLog) -> str:
    head = run.head
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(head.at))
    files = format_plural(head.input_files, "file")
    return (
        f"{when} on {head.host} · {format_plural(head.workers, 'worker')} · {format_bytes(head.input_bytes)} in {files}"
        f" · mapreduce {head.version}"
    )


def _tiles(run: RunLog) -> str:
    end = run.end
    tiles = [("time", format_seconds(run.seconds))]
    if end is not None:
        totals = end.totals
        rate = format_rate(totals.bytes_in, run.seconds)
        tiles += [
            ("read", f"{format_bytes(totals.bytes_in)} · {rate}"),
            ("records in", format_count(totals.records_in)),
            ("records out", format_count(totals.records_out)),
            ("peak memory of a worker", format_bytes(totals.memory_bytes)),
            ("CPU", format_seconds(totals.cpu_seconds)),
            ("failed attempts", format_count(end.failed_attempts)),
            ("lost workers", format_count(end.lost_workers)),
        ]
        if end.backups:
            tiles.append(("backups", f"{end.backups_won:,} of {end.backups:,} came first"))
        if end.past_tasks:
            tiles.append(("done before", format_plural(end.past_tasks, "task")))
        if totals.spills:
            tiles.append(("spills", format_count(totals.spills)))
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in tiles)
    return f"<section class='tiles'>{cells}</section>"


def _reason(run: RunLog) -> str:
    if run.end is None:
        return "<p class='warn'>This run has no end in the log: it was killed, or is still going on.</p>"
    return f"<pre class='warn'>{escape(run.end.reason)}</pre>" if run.end.reason else ""


def _notes(run: RunLog) -> str:
    notes = run.end.notes if run.end is not None else ()
    return f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else ""


# --- pictures


def _timeline(run: RunLog) -> str:
    by_lane = lanes(run)
    if not by_lane or run.seconds <= 0:
        return ""
    hidden = len(by_lane) - LANES_SHOWN
    lane_of = {worker: number for number, lane in enumerate(by_lane[:LANES_SHOWN]) for worker in lane}
    marks = [
        Mark(lane_of[attempt.worker], attempt.start, attempt.end, _kind(attempt), _tip(attempt))
        for attempt in run.attempts
        if attempt.worker in lane_of and attempt.began
    ]
    losses = [
        Mark(lane_of[worker.worker], worker.lost, worker.lost, "loss", f"worker {worker.worker}: {worker.why}")
        for worker in run.workers
        if worker.lost is not None and worker.worker in lane_of
    ]
    names = ["worker " + (str(lane[0]) if len(lane) == 1 else f"{lane[0]}…{lane[-1]}") for lane in by_lane]
    kinds = [(f"stage{number % 6}", stage.name) for number, stage in enumerate(run.head.stages) if stage.tasks]
    present = {word for mark in marks for word in mark.kind.split()}
    kinds += [(kind, name) for kind, name in _STATES if kind in present]
    legend = "".join(f"<span><i class='{kind}'></i>{escape(name)}</span>" for kind, name in kinds)
    more = f"<p class='sub'>{hidden} further workers are not drawn.</p>" if hidden > 0 else ""
    drawn = timeline(names[:LANES_SHOWN], marks, losses, run.seconds)
    return _figure("Timeline", f"<div class='legend'>{legend}</div>{drawn}{more}")


_STATES = (
    ("backup", "backup attempt"),
    ("failed", "failed"),
    ("unwanted", "cancelled, or finished second"),
    ("running", "running when the log ends"),
)


def _kind(attempt: AttemptRecord) -> str:
    if attempt.state is AttemptState.FAILED:
        kind = "failed"
    elif attempt.state in (AttemptState.CANCELLED, AttemptState.DISCARDED, AttemptState.DROPPED):
        kind = "unwanted"
    elif attempt.state is AttemptState.RUNNING:
        kind = "running"
    else:
        kind = f"stage{attempt.stage % 6}"
    return f"{kind} backup" if attempt.backup else kind


def _tip(attempt: AttemptRecord) -> str:
    parts = [f"{attempt.task}, attempt {attempt.number + 1} on worker {attempt.worker}"]
    parts.append(f"{format_seconds(attempt.end - attempt.start)}, {attempt.state.value}")
    if attempt.figures.records_in:
        parts.append(f"{format_count(attempt.figures.records_in)} records")
    if attempt.failure is not None:
        parts.append(f"{attempt.failure.type_name}: {attempt.failure.message}; {attempt.failure.then}")
    return "\n".join([*parts, *filter(None, (attempt.why, attempt.input))])


def _throughput(run: RunLog) -> str:
    rates = throughput(run)
    if not any(rates):
        return ""
    return _figure("Input read a second", area(rates, run.seconds, lambda rate: f"{format_bytes(rate)}/s"))


def _task_histograms(run: RunLog) -> str:
    drawn = []
    for number, stage in enumerate(run.head.stages):
        seconds = task_seconds(run, number)
        if len(seconds) < 2:
            continue
        counted = histogram(seconds)
        tips = [
            f"{count:,} of {len(seconds):,} tasks took {format_seconds(index * counted.width)} to "
            f"{format_seconds((index + 1) * counted.width)}"
            for index, count in enumerate(counted.counts)
        ]
        labels = [
            (index * len(counted.counts) / 4, format_seconds(counted.high * index / 4) if index else "0")
            for index in range(5)
        ]
        told = f"{stage.name}: median {format_seconds(middle(seconds))}, longest {format_seconds(max(seconds))}"
        chart = bars(counted.counts, tips, labels, _whole, kind=f"stage{number % 6}")
        drawn.append(f"<h4>{escape(told)}</h4>{chart}")
    return _figure("How long tasks took", "".join(drawn)) if drawn else ""


def _skew(run: RunLog) -> str:
    skew = key_skew(run)
    if skew is None:
        return ""
    mean = sum(skew.shares) / len(skew.shares)
    tips = [f"reduce {index}: {share:,} {skew.unit}" for index, share in enumerate(skew.shares)]
    step = max(1, len(skew.shares) // 8)
    labels = [(index + 0.5, str(index)) for index in range(0, len(skew.shares), step)]
    told = f"The largest part has {skew.worst:.2f} times the mean; 1.00 is even."
    chart = bars(skew.shares, tips, labels, format_count, line_at=(mean, "mean"))
    return _figure("What each reduce was given", f"<p>{told}</p>{chart}")


def _scaling(run: RunLog, simulated: Speedups) -> str:
    p = parallel_fraction(run)
    if p is None:
        return ""
    top = max([*CURVE, *(workers for workers, _ in simulated)])
    counts = [count for count in CURVE if count <= top]
    at = {count: float(position) for position, count in enumerate(counts)}
    drawn = [
        Line("ideal", "ideal", [(at[n], float(n)) for n in counts if n <= 2 * amdahl(p, counts[-1])]),
        Line(f"Amdahl, p = {p:.4f}", "amdahl", [(at[n], amdahl(p, n)) for n in counts]),
    ]
    if simulated:
        points = [(at[n], speedup) for n, speedup in simulated if n in at]
        drawn.append(Line("simulated with these tasks", "simulated", points))
    chart = lines(drawn, [(at[n], f"{n:,}") for n in counts], lambda speedup: f"{speedup:g}×")
    told = (
        f"p = {p:.4f} of the work of one worker lies within tasks. Amdahl: n workers are at most "
        f"1 / ((1 - p) + p / n) times as fast. The simulation knows the tasks: once there are as many workers as "
        f"tasks, or one task lasts longer than all others together, more workers gain nothing."
    )
    return _figure("Speed-up by number of workers", f"<p>{told}</p>{chart}")


def _figure(title: str, content: str) -> str:
    return f"<section><h3>{escape(title)}</h3>{content}</section>"


# --- tables


def _failures(run: RunLog) -> str:
    rows = [
        (
            format_seconds(attempt.end),
            attempt.task,
            str(attempt.number + 1),
            str(attempt.worker),
            f"{attempt.failure.type_name}: {attempt.failure.message}" if attempt.failure else "",
            attempt.failure.place if attempt.failure else "",
            attempt.failure.then if attempt.failure else "",
        )
        for attempt in sorted(run.failed, key=lambda attempt: attempt.end)
    ]
    return _table("Failed attempts", ("at", "task", "attempt", "worker", "why", "where", "then"), rows)


def _losses(run: RunLog) -> str:
    lost = [(worker.lost, f"worker {worker.worker} was lost", worker.why) for worker in run.workers if worker.lost]
    lost += [(each.seconds, f"output of {each.task} was lost", "it ran again") for each in run.lost_outputs]
    rows = [
        (format_seconds(when), what, why) for when, what, why in sorted(lost, key=lambda row: row[0] or 0.0) if when
    ]
    return _table("What was lost", ("at", "what", "why"), rows)


def _stages(run: RunLog) -> str:
    rows = []
    for number, stage in enumerate(run.head.stages):
        finished = done(run.of_stage(number))
        seconds = [attempt.figures.seconds for attempt in finished]
        rows.append(
            (
                stage.name,
                f"{len(finished):,} of {stage.tasks:,}",
                str(len(run.of_stage(number))),
                format_seconds(sum(seconds)),
                format_seconds(middle(seconds)) if seconds else "",
                format_seconds(max(seconds)) if seconds else "",
                format_bytes(sum(attempt.figures.bytes_out for attempt in finished)),
            )
        )
    head = ("stage", "tasks done", "attempts", "seconds in tasks", "median", "longest", "written")
    return _table("Stages", head, rows)


def _passed(run: RunLog) -> str:
    rows = [
        (each.source, each.reader, each.words, format_bytes(each.bytes), format_seconds(each.seconds))
        for each in (run.end.passed if run.end is not None else ())
    ]
    return _table("What was passed on", ("from", "to", "how", "bytes", "seconds"), rows)


def _pairs(title: str, values: Mapping[str, Any]) -> str:
    rows = [(name, f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))
            for name, value in sorted(values.items()) if value is not None]  # fmt: skip
    return _table(title, ("name", "value"), rows)


def _runs_table(log: JobLog) -> str:
    rows = [
        (
            str(run.head.number),
            run.head.job,
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.head.at)),
            run.outcome,
            format_seconds(run.seconds),
            str(len([attempt for attempt in run.attempts if attempt.state is AttemptState.FINISHED])),
        )
        for run in log.runs
    ]
    return _table("Runs", ("run", "job", "began", "outcome", "time", "tasks finished"), rows[-ROWS_SHOWN:])


def _table(title: str, head: Sequence[str], rows: Sequence[Iterable[str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines_of = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows[:ROWS_SHOWN])
    more = f"<p class='sub'>and {len(rows) - ROWS_SHOWN:,} more</p>" if len(rows) > ROWS_SHOWN else ""
    table = f"<div class='wide'><table><thead><tr>{cells}</tr></thead><tbody>{lines_of}</tbody></table></div>"
    return f"<section><h3>{escape(title)}</h3>{table}{more}</section>"


def _cell(text: str) -> str:
    return f"<td{' class=long' if len(text) > LONG_CHARS else ''}>{escape(text)}</td>"


def _whole(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else ""

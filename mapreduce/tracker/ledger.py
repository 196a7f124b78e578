"""Where does every task stand, and which is ready next?

Built for a million tasks: nine bytes a task (state, attempts started, committed attempt), counters instead of searches.

    needs ALL       one number for the stage: tasks of the stage before that are not done. While it is above 0 the whole
                    stage is shut; when it reaches 0, or leaves it because an output was lost, the states of all tasks
                    change in one `translate`.
    needs GROUPS    the same number for each group.
    ready tasks     those never touched lie behind a cursor; those that come back (retries, lost outputs, groups) are in
                    a heap. Entries are never removed from its middle: whoever takes one looks at the task's state.
"""

from __future__ import annotations

from array import array
from heapq import heappop, heappush

from mapreduce.ids import AttemptId, TaskId
from mapreduce.tracker.plan import NeedsKind, Plan
from mapreduce.tracker.states import ILLEGAL, TaskCause, TaskState, illegal_task_step, task_row

_ROWS = {cause: task_row(cause) for cause in TaskCause}
_READY = TaskState.READY.value
_RESTING = TaskState.RESTING.value
_DONE = TaskState.DONE.value
_WAITING = TaskState.WAITING.value


class _Book:
    """One stage of the ledger."""

    __slots__ = (
        "committed",
        "cursor",
        "done",
        "fan_in",
        "heap",
        "missing",
        "number",
        "shut",
        "started",
        "states",
        "tasks",
    )

    def __init__(self, number: int, plan: Plan, first_attempt: int) -> None:
        stage = plan.stages[number]
        kind = stage.needs.kind
        self.number = number
        self.tasks = stage.tasks
        self.fan_in = stage.needs.fan_in  # 0 unless GROUPS
        self.shut = plan.stages[number - 1].tasks if kind is NeedsKind.ALL else 0
        self.missing = array("I")  # needed tasks not done yet, by task; GROUPS only
        self.heap: list[int] = []
        self.cursor = 0
        self.done = 0
        self.started = array("I", [first_attempt]) * stage.tasks  # the next attempt's number
        self.committed = array("I", bytes(4 * stage.tasks))  # number of the committed attempt plus 1; 0 for none
        if kind is NeedsKind.GROUPS:
            tasks = range(stage.tasks)
            self.missing = array("I", (len(plan.needed_indices(TaskId(number, index))) for index in tasks))
            self.states = bytearray(_WAITING if count else _READY for count in self.missing)
            self.heap = [index for index in tasks if not self.missing[index]]
            self.cursor = stage.tasks
        else:
            self.states = bytearray([_WAITING if self.shut else _READY]) * stage.tasks

    def inputs_missing(self, index: int) -> bool:
        return bool(self.missing[index] if self.fan_in else self.shut)

    def first_ready(self) -> int | None:
        """Lowest ready task. It stays in the queue, which passes over it once it has started."""
        if self.shut:
            return None
        states, heap, cursor = self.states, self.heap, self.cursor
        while heap and states[heap[0]] != _READY:
            heappop(heap)
        while cursor < self.tasks and states[cursor] != _READY:
            cursor += 1
        self.cursor = cursor
        if cursor < self.tasks and (not heap or cursor <= heap[0]):
            return cursor
        return heap[0] if heap else None


class Ledger:
    """The states of all tasks of a plan. Each method is one cause of the table in `states` and what follows from it.
    Attempts are numbered from `first_attempt`: a run that goes on uses no number of the run before."""

    def __init__(self, plan: Plan, first_attempt: int = 0) -> None:
        self._plan = plan
        self._books = [_Book(number, plan, first_attempt) for number in range(len(plan.stages))]
        self._deepest_first = self._books[::-1]
        self._rests: list[tuple[float, TaskId]] = []  # a heap, by when they are over
        self.came_back: list[TaskId] | None = None
        """Tasks that are, or will be, ready not for the first time: for whoever sets a list here, and clears it."""

    def state(self, task: TaskId) -> TaskState:
        return TaskState(self._books[task.stage].states[task.index])

    def is_done(self, task: TaskId) -> bool:
        return self._books[task.stage].states[task.index] == _DONE

    def is_ready(self, task: TaskId) -> bool:
        return self._books[task.stage].states[task.index] == _READY

    def done(self, stage: int) -> int:
        """Number of tasks of the stage whose output is committed."""
        return self._books[stage].done

    @property
    def complete(self) -> bool:
        """Whether all outputs of the last stage are committed."""
        last = self._books[-1]
        return last.done == last.tasks

    def attempts_started(self, task: TaskId) -> int:
        return self._books[task.stage].started[task.index]

    def is_committed(self, attempt: AttemptId) -> bool:
        """Whether this very attempt's output is the task's."""
        return self._books[attempt.task.stage].committed[attempt.task.index] == attempt.number + 1

    def committed(self, task: TaskId) -> AttemptId | None:
        """The attempt whose output is the task's; None if it has none."""
        number = self._books[task.stage].committed[task.index]
        return AttemptId(task, number - 1) if number else None

    def next_ready(self) -> TaskId | None:
        """The ready task to start next. It stays so until the caller calls `start` or `hold_back`.

        The deepest stage goes first, because its tasks use up what others made; within it the lowest index.
        """
        for book in self._deepest_first:
            index = book.first_ready()
            if index is not None:
                return TaskId(book.number, index)
        return None

    def has_inputs(self, task: TaskId) -> bool:
        """Whether all that the task needs is committed: what was lost meanwhile keeps a backup from starting."""
        return not self._books[task.stage].inputs_missing(task.index)

    def start(self, task: TaskId) -> AttemptId:
        """Another attempt of a ready or running task."""
        book, index = self._books[task.stage], task.index
        self._move(book, index, TaskCause.ATTEMPT_STARTED)
        number = book.started[index]
        book.started[index] = number + 1
        return AttemptId(task, number)

    def adopt(self, attempt: AttemptId) -> None:
        """Take note of an attempt that the tracker before us started, so that its number is not used again."""
        book, index = self._books[attempt.task.stage], attempt.task.index
        book.started[index] = max(book.started[index], attempt.number + 1)

    def commit(self, attempt: AttemptId) -> None:
        """The task is done by this attempt; tasks that waited for it may become ready."""
        task = attempt.task
        book, index = self._books[task.stage], task.index
        self._move(book, index, TaskCause.ATTEMPT_COMMITTED)
        book.committed[index] = attempt.number + 1
        book.done += 1
        if book.number + 1 == len(self._books):
            return
        after = self._books[book.number + 1]
        if after.fan_in:
            group = index // after.fan_in
            after.missing[group] -= 1
            if not after.missing[group]:
                self._move(after, group, TaskCause.INPUTS_COMPLETE)
                heappush(after.heap, group)
        elif after.shut:
            after.shut -= 1
            if not after.shut:
                self._move_all(after, TaskCause.INPUTS_COMPLETE)

    def last_attempt_died(self, task: TaskId) -> bool:
        """No attempt is left. Whether the task is ready again: if not, it waits for lost inputs."""
        book, index = self._books[task.stage], task.index
        self._move(book, index, TaskCause.LAST_ATTEMPT_DIED)
        self._ready_again(book, index)
        return book.states[index] == _READY

    def hold_back(self, task: TaskId, until: float) -> None:
        """A ready task rests, until the first `wake` from that time on."""
        self._move(self._books[task.stage], task.index, TaskCause.HELD_BACK)
        heappush(self._rests, (until, task))

    @property
    def next_rest_over(self) -> float | None:
        """When `wake` is due; None if no task rests."""
        return self._rests[0][0] if self._rests else None

    def wake(self, time: float) -> None:
        """Whoever has rested long enough is ready, or waits if an input was lost meanwhile."""
        while self._rests and self._rests[0][0] <= time:
            _, (stage, index) = heappop(self._rests)
            book = self._books[stage]
            if book.states[index] == _RESTING:  # else it is done meanwhile
                self._move(book, index, TaskCause.REST_OVER)
                self._ready_again(book, index)

    def fail(self, task: TaskId) -> None:
        self._move(self._books[task.stage], task.index, TaskCause.BUDGET_SPENT)

    def lose_output(self, task: TaskId) -> bool:
        """The committed output is gone. Whether it was still needed, so that the task runs again.

        If all who need it are done it stays DONE: should one of them have to run again, it will report the loss.
        """
        book, index = self._books[task.stage], task.index
        if book.states[index] != _DONE:
            return False
        after = self._books[book.number + 1] if book.number + 1 < len(self._books) else None
        if after is not None and not self._needed(after, index):
            return False
        self._move(book, index, TaskCause.OUTPUT_LOST)
        book.committed[index] = 0
        book.done -= 1
        self._ready_again(book, index)
        if after is None:
            return True
        if after.fan_in:
            group = index // after.fan_in
            if not after.missing[group]:
                self._move(after, group, TaskCause.INPUT_LOST)
            after.missing[group] += 1
        else:
            if not after.shut:
                self._move_all(after, TaskCause.INPUT_LOST)
            after.shut += 1
        return True

    def _needed(self, after: _Book, index: int) -> bool:
        if after.fan_in:
            return after.states[index // after.fan_in] != _DONE
        return self._plan.stages[after.number].needs.kind is NeedsKind.ALL and after.done < after.tasks

    def _ready_again(self, book: _Book, index: int) -> None:
        if book.inputs_missing(index):
            self._move(book, index, TaskCause.INPUT_LOST)
        if self.came_back is not None:
            self.came_back.append(TaskId(book.number, index))
        heappush(book.heap, index)

    def _move(self, book: _Book, index: int, cause: TaskCause) -> None:
        state = book.states[index]
        after = _ROWS[cause][state]
        if after == ILLEGAL:
            raise illegal_task_step(self._plan.task_name(TaskId(book.number, index)), state, cause)
        book.states[index] = after

    def _move_all(self, book: _Book, cause: TaskCause) -> None:
        states = book.states.translate(_ROWS[cause])
        bad = states.find(ILLEGAL)
        if bad >= 0:
            raise illegal_task_step(self._plan.task_name(TaskId(book.number, bad)), book.states[bad], cause)
        book.states = states

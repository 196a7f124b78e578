"""What would the tracker do on machines that we don't have? The real tracker, simulated hosts, a virtual clock.

Reading order: timetable (the clock), workload (what tasks take), cluster (hosts), network, faults (what befalls them),
simulation (the loop), results; then what is built on it: presets, replay (a past job's tasks) and speedup.

The tracker is the one that runs every job, with the same policies. What is simulated is everything around it: an
attempt takes the time that its task needs on its host, and reports come, or don't, as they would from real workers.
Nothing waits; the same seed gives the same run, event for event.

Where a network is given (`network`), what a task reads of other hosts takes as long as links and other flows let it;
else that is part of the task's own seconds, and it is no matter where its input lies.

What the model leaves out: a host's disk and processors are its own (tasks do not slow one another down). Reduces begin
when all maps are done, as they do in this engine.
"""

"""What would the tracker do on machines that we don't have? The real tracker, simulated hosts, a virtual clock.

Reading order: timetable (the clock), workload (what tasks take), cluster (hosts) and faults (what befalls them),
simulation (the loop), results; then what is built on it: presets, replay (a past job's tasks) and speedup.

The tracker is the one that runs every job, with the same policies. What is simulated is everything around it: an
attempt takes the time that its task needs on its host, and reports come, or don't, as they would from real workers.
Nothing waits; the same seed gives the same run, event for event.

What the model leaves out: a host's disk, network and processors are its own (tasks do not slow one another down, and
the network has no bottleneck but a host's share of it), a task takes no notice of where its input lies, and reduces
begin when all maps are done, as they do in this engine.
"""

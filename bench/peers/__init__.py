"""What would a user of another tool write? A script each, idiomatic for it: `python -m bench.peers.X INPUT OUTPUT`.

A script reads INPUT, writes OUTPUT (a file or a directory, as its tool likes) and uses two CPUs. Nothing in it is there
for the benchmark's sake: answers are compared from what was written, after the clock has stopped.
"""

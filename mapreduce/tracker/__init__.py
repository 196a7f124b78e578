"""Who decides? The tracker: what happened goes in, what to do comes out.

Reading order: plan, states, events, commands, tracker; then what it stands on (ledger, slots) and the policies
(scheduling, recovery, speculation, figures in policy); then journal, and driver, the one loop that does things.
"""

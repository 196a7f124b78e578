"""A tracker that stays: it owns agents and a queue of jobs, and outlives those who submit them."""

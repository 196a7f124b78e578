"""Property tests of this folder have no deadline an example: the first one loads pyarrow, on a busy machine slowly."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

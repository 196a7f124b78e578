"""How fast are we beside the best tools that do the same work? One file a question; `python -m bench` asks them all."""

"""The object that `inspect` shows of a container."""

"""The process that owns a running container, from the start of its init to the last of its cleaning."""

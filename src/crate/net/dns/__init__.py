"""The names of containers: the resolver in the owner of a sandbox, and what it stands on."""

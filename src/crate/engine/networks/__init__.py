"""Containers and networks: the verbs on networks, connecting, links, names, published ports."""

"""Bridges, addresses, ports, nftables, and the files that name hosts."""

"""crate's nftables table, its elements, and the firewalls of others beside it."""

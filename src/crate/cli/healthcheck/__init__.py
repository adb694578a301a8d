"""`crate healthcheck …`."""

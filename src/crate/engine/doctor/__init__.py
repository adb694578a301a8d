"""The doctor: what crate needs of a host, looked at one by one."""

"""The commands of `crate container`, one file each."""

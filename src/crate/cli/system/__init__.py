"""The commands of `crate system`, one file each."""

"""The commands of `crate manifest`, one file each."""

"""The commands of `crate network`, one file each."""

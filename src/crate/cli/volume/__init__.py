"""The commands of `crate volume`, one file each."""

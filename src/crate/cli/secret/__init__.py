"""The commands of `crate secret`, one file each."""

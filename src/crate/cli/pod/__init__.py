"""The commands of `crate pod`, one file each."""

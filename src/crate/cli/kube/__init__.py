"""The commands of `crate kube`, one file each."""

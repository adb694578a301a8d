"""The commands of `crate image`, one file each."""

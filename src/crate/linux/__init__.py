"""One typed function a system call, named as its manual page; no policy."""

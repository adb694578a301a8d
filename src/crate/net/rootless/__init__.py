"""Networks without a right on the host: pasta and slirp4netns, and an ordinary user's own bridges."""

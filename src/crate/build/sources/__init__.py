"""What a build takes files from: contexts, git repositories, servers, archives, other stages."""

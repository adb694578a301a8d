"""What is on disk: content, layers, drivers, containers' directories, volumes, locks, durability."""

"""Commands of the OCI runtime half: bundles, without images and records."""

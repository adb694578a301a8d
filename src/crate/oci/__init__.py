"""The OCI specifications as data: runtime-spec, image-spec, references, digests, JSON text."""

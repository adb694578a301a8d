"""Which images are trusted: containers-policy.json(5), signatures of GPG and of sigstore, and where they lie."""

"""The client of the OCI distribution specification: requests, credentials, mirrors; writes into a sink it is given."""

"""The issuers of access tokens, and their keys."""

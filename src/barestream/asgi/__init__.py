"""The contract between the application and this project's server."""

"""The servers of the tests: the service and its parts, Valkey, Docker, proxies."""

"""What tests run: the service and its parts, Valkey, Docker, proxies."""

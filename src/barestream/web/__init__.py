"""Endpoints and pages on bareASGI."""

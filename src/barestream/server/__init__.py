"""The server: everything that uses uvicorn and Gunicorn."""

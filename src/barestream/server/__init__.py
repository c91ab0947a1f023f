"""What touches uvicorn and Gunicorn."""

"""What the application and our server agree on."""

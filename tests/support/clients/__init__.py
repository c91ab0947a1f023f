"""What tests connect by: browsers, readers of streams, publishers."""

"""What tests judge by: events, ticks and logs."""

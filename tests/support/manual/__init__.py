"""The manual as a reader sees it: its pages, their samples, and a machine to run them on."""

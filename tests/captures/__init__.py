"""What commands show on a terminal, drawn for the manual."""

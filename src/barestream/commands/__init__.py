"""The commands of the command line, one in a file; each is imported when it is called."""

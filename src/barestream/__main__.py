"""``python -m barestream``."""

from barestream.cli import main

main(prog_name="barestream")

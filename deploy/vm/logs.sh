# shellcheck shell=bash
# What the containers have written, as far back as the engine keeps it.

logs() { /opt/barestream/compose logs "$@"; }

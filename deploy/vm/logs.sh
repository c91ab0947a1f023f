# shellcheck shell=bash
# What the containers have written, as far back as Docker keeps it.

logs() { /opt/barestream/compose logs "$@"; }

# shellcheck shell=bash
# Shows the containers' logs, as far back as Docker keeps them.

logs() { /opt/barestream/compose logs "$@"; }

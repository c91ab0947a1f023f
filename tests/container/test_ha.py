"""deploy/ha.yml: what is lost when a Valkey dies, and who takes its place."""

from compose import ROOT

HA = ROOT / "deploy/ha.yml"

"""Packages of npm that tests use, at the versions of a lock."""

import subprocess
from pathlib import Path

from support.servers.programs import give_up, path_of


def install(folder: Path) -> Path:
    """Have the packages of a folder's package-lock.json in its node_modules; return that."""
    npm = path_of("npm", "npm")
    lock = (folder / "package-lock.json").read_bytes()
    installed = folder / "node_modules" / ".installed-from"
    if not installed.exists() or installed.read_bytes() != lock:
        options = ["--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            [npm, "ci", *options],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            give_up(f"npm ci: {done.returncode}\n{done.stdout}{done.stderr}")
        installed.write_bytes(lock)
    return installed.parent

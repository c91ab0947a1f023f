"""Packages of npm that tests use, at the versions of a lock, and our own client among them."""

import fcntl
import os
import subprocess
from pathlib import Path

from support.servers.programs import give_up, path_of
from support.servers.service import ROOT

CLIENT = ROOT / "client"

# What the tests of the client are built with, and its adapters are made for.
CLIENT_TOOLS = ROOT / "tests/client"


def install(folder: Path) -> Path:
    """Have the packages of a folder's package-lock.json in its node_modules; return that."""
    npm = path_of("npm", "npm")
    lock = (folder / "package-lock.json").read_bytes()
    installed = folder / "node_modules" / ".installed-from"
    # Tests of several processes may want the same folder at the same time.
    with (folder / "package.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
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


def project_with_client(folder: Path) -> Path:
    """Make a project in which the client is installed from its package, beside CLIENT_TOOLS.

    Args:
        folder: An empty one.

    Returns:
        Its node_modules.
    """
    others = install(CLIENT_TOOLS)
    npm = path_of("npm", "npm")
    command = [npm, "pack", "--silent", "--pack-destination", folder, CLIENT]
    name = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    packages = folder / "node_modules"
    packages.mkdir()
    for each in others.iterdir():
        (packages / each.name).symlink_to(each)
    subprocess.run(["tar", "-xzf", name.stdout.strip()], cwd=folder, check=True)
    # The archive has all below a folder of this name.
    (folder / "package").rename(packages / "barestream")
    (folder / "package.json").write_text('{"type": "module"}')
    return packages


def bundle(node_modules: Path, entry: Path, out: Path, *options: str) -> str:
    """Build a module with all that it imports, by esbuild; return what it says.

    Args:
        node_modules: Its packages.
        entry: The module.
        out: The file to be written, or a folder, for what is loaded on demand beside it.
        options: Further ones of esbuild.
    """
    written = f"--outdir={out}" if out.is_dir() else f"--outfile={out}"
    done = subprocess.run(
        [node_modules / ".bin/esbuild", entry, "--bundle", written, *options],
        cwd=node_modules.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def build_page(node_modules: Path, entry: Path, out: Path) -> None:
    """Build a page's script, with JSX and the components of Vue and Svelte, by build.mjs."""
    done = subprocess.run(
        [path_of("node", "nodejs"), CLIENT_TOOLS / "build.mjs", entry, out],
        cwd=node_modules.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

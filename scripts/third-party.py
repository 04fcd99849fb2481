#!/usr/bin/env python3
"""Prints the licences of every crate that is linked into the binary; each text once, with the crates that it is for."""
import json
import pathlib
import subprocess

root = pathlib.Path(__file__).resolve().parent.parent
versions = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
host = next(line.removeprefix("host: ") for line in versions.splitlines() if line.startswith("host: "))
# Only what is built for this machine: libraries of other systems aren't in the binary, nor have they been fetched.
call = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host]
metadata = json.loads(subprocess.run(call, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}


def linked(package_id, seen):
    """What is built into the program: no tools of the build, no tests."""
    if package_id in seen:
        return
    seen.add(package_id)
    for dependency in nodes[package_id]["deps"]:
        if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
            linked(dependency["pkg"], seen)


found = set()
linked(next(i for i, p in packages.items() if p["name"] == "floodtide"), found)
others = sorted((packages[i] for i in found if packages[i]["source"]), key=lambda p: (p["name"], p["version"]))
texts = {}
print("Libraries in Floodtide, each under a licence of its own. The texts follow.\n")
for package in others:
    name = f"{package['name']} {package['version']}"
    print(f"{name}: {package['license'] or 'see below'}, {package['repository'] or package['homepage'] or ''}")
    folder = pathlib.Path(package["manifest_path"]).parent
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT")):
            texts.setdefault(file.read_text(errors="replace").strip(), []).append(name)
for text, names in texts.items():
    print(f"\n{'=' * 100}\n{', '.join(dict.fromkeys(names))}\n{'=' * 100}\n\n{text}")

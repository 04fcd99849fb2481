#!/usr/bin/env bash
# Line coverage of the pure crates by their own unit, golden, pair and fuzz tests. Fails below 85 %.
# Needs rustup (for llvm-tools); installs cargo-llvm-cov into target/test-tools.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=target/test-tools/cargo
rustup component add llvm-tools >/dev/null 2>&1
[[ -x $tools/bin/cargo-llvm-cov ]] || cargo install --quiet --locked --root "$tools" cargo-llvm-cov@0.9.1
PATH=$PWD/$tools/bin:$PATH

packages=(-p media -p mux -p hls -p rtmp -p hub)
# What is only there for tests is not what is measured.
skip='(/tests?\.rs$|/tests/|crates/testkit/|crates/xtask/)'
CARGO_TARGET_DIR=target/coverage cargo llvm-cov --quiet "${packages[@]}" \
    --ignore-filename-regex "$skip" --fail-under-lines 85 "$@"

#!/usr/bin/env bash
# Installs what the tests need, builds everything, runs every check and test. `.ci/run` calls it.
# On Debian with Rust and as root (or with sudo); about 35 minutes on two cores from a cold clone.
set -euo pipefail
cd "$(dirname "$0")/.."

began=$SECONDS
step() { printf '\n== %s (after %d s)\n' "$1" $((SECONDS - began)); }

step "tools"
scripts/install-test-tools.sh

step "checks, unit and end-to-end tests"
cargo xtask ci --e2e

# The relay between them and the server was built with the end-to-end tests.
step "the pages in Chromium"
(cd e2e/browser && npm ci --no-audit --no-fund --loglevel=error && npm run --silent check && npm test --silent)

step "benchmarks run (short; the figures of docs/performance.md come from longer runs), and a mixed load for two minutes"
bench/smoke.sh

step "everything passed"

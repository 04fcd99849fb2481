#!/bin/sh
# Copies the player page's libraries from locked npm packages into web/vendor/, with their licences.
# The server embeds web/ as it is, so a build needs neither npm nor this script. Run it after a version in
# e2e/browser/package.json changes; it writes the same bytes every time.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
packages=$root/e2e/browser/node_modules
vendor=$root/web/vendor

(cd "$root/e2e/browser" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
rm -rf "$vendor"
mkdir -p "$vendor"

# copy PACKAGE FILE NAME [sed script]: one library, without its source map, under a line that says what it is.
copy() {
    version=$(sed -n 's/^ *"version": "\(.*\)",*$/\1/p' "$packages/$1/package.json" | head -n 1)
    licence=$(sed -n 's/^ *"license": "\(.*\)",*$/\1/p' "$packages/$1/package.json" | head -n 1)
    {
        echo "// @ts-nocheck $1 $version, $licence, see $1.LICENSE; copied by scripts/vendor-web.sh"
        sed -e '/^\/\/# sourceMappingURL=/d' -e "${4:-}" "$packages/$1/$2"
        echo
    } > "$vendor/$3"
    cp "$packages/$1/LICENSE" "$vendor/$1.LICENSE"
}

# Bare module names need an import map, an import map is an inline script, and the page allows none.
relative='s/from *"preact"/from".\/preact.mjs"/g'
copy preact dist/preact.mjs preact.mjs
copy preact hooks/dist/hooks.mjs preact-hooks.mjs "$relative"
copy htm dist/htm.module.js htm.mjs
copy hls.js dist/hls.min.mjs hls.min.mjs
copy mpegts.js dist/mpegts.js mpegts.js
copy uplot dist/uPlot.esm.js uplot.mjs
{
    sed -n '1s|^// @ts-nocheck \(.*\)$|/* \1 */|p' "$vendor/uplot.mjs"
    cat "$packages/uplot/dist/uPlot.min.css"
} > "$vendor/uplot.css"
# mpegts.js carries a polyfill with a licence of its own.
cp "$packages/mpegts.js/dist/mpegts.js.LICENSE.txt" "$vendor/mpegts.js.LICENSE.txt"

cd "$vendor" && wc -c -- *

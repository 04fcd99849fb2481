// Runs the tests, several files at a time, but those that measure alone. A file that fails is run once more, since browsers now and
// then fail for reasons of their own on a busy machine; it then is listed as flaky, and is a bug to be looked at.
// usage: node run.js [FILE…] [options of node --test]

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { basename } from "node:path";

/** Files that hold the server or the network to a time, or keep the machine busy: nothing beside them. */
const ALONE = ["latency", "network", "playback", "stage", "webrtc"];
/** The longest begin first, so that none of them is waited for alone at the end. */
const LONGEST = ["players", "publisher", "page", "playlists", "console-look"];
/** Other files wait most of their time: three of them keep two cores two thirds busy. */
const AT_ONCE = 3;

const options = process.argv.slice(2).filter((argument) => argument.startsWith("-"));
const named = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const files = named.length > 0 ? named : readdirSync("tests").filter((name) => name.endsWith(".test.js")).sort().map((name) => `tests/${name}`);

/** Runs one file, and prints what it said once it is over. @param {string} file */
async function passes(file) {
  const began = Date.now();
  const child = spawn(process.execPath, ["--test", "--test-reporter=spec", ...options, file], { stdio: ["ignore", "pipe", "pipe"] });
  const said = /** @type {Buffer[]} */ ([]);
  for (const pipe of [child.stdout, child.stderr]) pipe.on("data", (bytes) => said.push(bytes));
  const [code] = await once(child, "close");
  process.stdout.write(Buffer.concat(said));
  console.log(`${code === 0 ? "passed" : "FAILED"} ${file} (${Math.round((Date.now() - began) / 1000)} s)\n`);
  return code === 0;
}

/**
 * Those of these files that fail.
 * @param {string[]} left
 * @param {number} at_once
 */
async function failing(left, at_once) {
  const [waiting, failed] = [[...left], /** @type {string[]} */ ([])];
  const lane = async () => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      if (!await passes(file)) failed.push(file);
    }
  };
  await Promise.all(Array.from({ length: at_once }, lane));
  return failed;
}

/** @param {string[]} names */
const named_in = (names) => files.filter((file) => names.includes(basename(file, ".test.js")))
  .toSorted((a, b) => names.indexOf(basename(a, ".test.js")) - names.indexOf(basename(b, ".test.js")));
const [alone, longest] = [named_in(ALONE), named_in(LONGEST)];
const others = files.filter((file) => ![...alone, ...longest].includes(file));
const once_failed = [...await failing([...longest, ...others], AT_ONCE), ...await failing(alone, 1)];
const failed = await failing(once_failed, 1);
const flaky = once_failed.filter((file) => !failed.includes(file));
if (flaky.length > 0) console.log(`FLAKY: ${flaky.join(", ")}`);
console.log(failed.length > 0 ? `FAILED: ${failed.join(", ")}` : `${files.length} files passed`);
process.exit(failed.length > 0 ? 1 : 0);

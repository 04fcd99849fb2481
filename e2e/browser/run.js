// Runs the tests, one file after the other. A file that fails is run once more, since browsers now and then fail for reasons of
// their own on a busy machine; it then is listed as flaky, and is a bug to be looked at.
// usage: node run.js [FILE…] [options of node --test]

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";

const options = process.argv.slice(2).filter((argument) => argument.startsWith("-"));
const named = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const files = named.length > 0 ? named : readdirSync("tests").filter((name) => name.endsWith(".test.js")).sort().map((name) => `tests/${name}`);

/** @param {string} file */
async function passes(file) {
  const began = Date.now();
  const child = spawn(process.execPath, ["--test", "--test-reporter=spec", ...options, file], { stdio: "inherit" });
  const [code] = await once(child, "exit");
  console.log(`${code === 0 ? "passed" : "FAILED"} ${file} (${Math.round((Date.now() - began) / 1000)} s)\n`);
  return code === 0;
}

const flaky = /** @type {string[]} */ ([]);
const failed = /** @type {string[]} */ ([]);
for (const file of files) {
  if (await passes(file)) continue;
  (await passes(file) ? flaky : failed).push(file);
}
if (flaky.length > 0) console.log(`FLAKY: ${flaky.join(", ")}`);
console.log(failed.length > 0 ? `FAILED: ${failed.join(", ")}` : `${files.length} files passed`);
process.exit(failed.length > 0 ? 1 : 0);

/**
 * The real server, started for a test and stopped after it.
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

const BINARY = process.env.FLOODTIDE ?? fileURLToPath(new URL("../../../target/release/floodtide", import.meta.url));
const START_MS_MAX = 15_000;

/** A port that was free a moment ago. @returns {Promise<number>} */
async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (probe.address());
  probe.close();
  await once(probe, "close");
  return port;
}

/**
 * `floodtide demo` on free ports, answering.
 * @param {{ clip?: boolean, ports?: { rtmp: number, http: number, admin: number } }} options `clip: false` publishes
 *   nothing
 */
export async function startDemo({ clip = true, ports } = {}) {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: cargo build --release, or set FLOODTIDE`);
  const at = ports ?? { rtmp: await freePort(), http: await freePort(), admin: await freePort(), webrtc: await freePort() };
  const flags = Object.entries(at).flatMap(([name, port]) => [`--${name}`, `127.0.0.1:${port}`]);
  const child = spawn(BINARY, ["demo", ...flags, ...(clip ? [] : ["--no-clip"])], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const pipe of [child.stdout, child.stderr]) pipe.on("data", (text) => (output += text));
  const url = `http://127.0.0.1:${at.http}`;
  const server = {
    url,
    ports: at,
    /** What it printed. */
    output: () => output,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      const hurry = setTimeout(() => child.kill("SIGKILL"), 5000);
      await exited;
      clearTimeout(hurry);
    },
  };
  const deadline = Date.now() + START_MS_MAX;
  while (!(await ready(url, clip))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await server.stop();
      throw new Error(`the server did not start:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return server;
}

/** @param {string} url @param {boolean} clip */
async function ready(url, clip) {
  try {
    const { broadcasts } = await (await fetch(`${url}/api/broadcasts`)).json();
    return !clip || broadcasts.length > 0;
  } catch {
    return false;
  }
}

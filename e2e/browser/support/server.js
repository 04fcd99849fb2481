/**
 * The real server, started for a test and stopped after it.
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

const BINARY = process.env.FLOODTIDE ?? fileURLToPath(new URL("../../../target/release/floodtide", import.meta.url));
const START_MS_MAX = 15_000;
const LIVE_MS_MAX = 20_000;

/** A port that was free a moment ago. @returns {Promise<number>} */
async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (probe.address());
  probe.close();
  await once(probe, "close");
  return port;
}

/** @typedef {{ rtmp: number, http: number, admin: number, webrtc: number, srt: number }} Ports */

/** @typedef {Awaited<ReturnType<typeof start>>} Server */

/**
 * `floodtide demo` on free ports, answering.
 * @param {{ clip?: boolean, ports?: Ports }} options `clip: false` publishes nothing
 */
export async function startDemo({ clip = true, ports } = {}) {
  const at = ports ?? await freePorts();
  const flags = Object.entries(at).flatMap(([name, port]) => [`--${name}`, `127.0.0.1:${port}`]);
  return start(["demo", ...flags, ...(clip ? [] : ["--no-clip"])], at, { broadcasts: clip ? 1 : 0 });
}

/**
 * `floodtide serve` on free ports with a configuration and a state folder of its own.
 * @param {string} config TOML; `[rtmp]`, `[http]`, `[admin]` get their `listen`, and `[state]` its folder, before it
 */
export async function startServer(config) {
  const folder = mkdtempSync(`${tmpdir()}/floodtide-test-`);
  const at = await freePorts();
  const file = `${folder}/floodtide.toml`;
  const listen = Object.entries(at).map(([name, port]) => `${name}.listen = "127.0.0.1:${port}"\n`).join("");
  const write = (/** @type {string} */ more) => writeFileSync(file, `${listen}state.folder = "${folder}"\n${more}`);
  write(config);
  const server = await start(["serve", "--config", file], at, { broadcasts: 0 });
  return {
    ...server,
    /** Writes another configuration; a reload takes it. */
    write,
    /** Another process that takes over from this one, once it serves. */
    async succeed() {
      const successor = await start(["serve", "--config", file, "--take-over"], at, { broadcasts: 0 });
      // Until then the old one answers.
      for (const deadline = Date.now() + START_MS_MAX; !successor.output().includes("floodtide is ready"); await pause()) {
        if (Date.now() > deadline) throw new Error(`nobody took over:\n${successor.output()}`);
      }
      return successor;
    },
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** @returns {Promise<Ports>} */
async function freePorts() {
  return { rtmp: await freePort(), http: await freePort(), admin: await freePort(), webrtc: await freePort(), srt: await freePort() };
}

/**
 * @param {string[]} args
 * @param {Ports} ports
 * @param {{ broadcasts: number }} awaited what is live once it is ready
 */
async function start(args, ports, { broadcasts }) {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: cargo build --release, or set FLOODTIDE`);
  const child = spawn(BINARY, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const pipe of [child.stdout, child.stderr]) pipe.on("data", (text) => (output += text));
  const url = `http://127.0.0.1:${ports.http}`;
  const server = {
    url,
    /** Where administrators go. */
    admin: `http://127.0.0.1:${ports.admin}`,
    ports,
    /** What it printed. */
    output: () => output,
    /** Waits until a broadcast with pictures is live. @param {string} path */
    async live(path) {
      for (const deadline = Date.now() + LIVE_MS_MAX; !(await shows(url, path)); await pause()) {
        if (Date.now() > deadline) throw new Error(`${path} is not live:\n${output}`);
      }
    },
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
  while (!(await ready(url, broadcasts))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await server.stop();
      throw new Error(`the server did not start:\n${output}`);
    }
    await pause();
  }
  return server;
}

/** @param {string} url @param {number} awaited */
async function ready(url, awaited) {
  try {
    const { broadcasts } = await (await fetch(`${url}/api/broadcasts`)).json();
    return broadcasts.length >= awaited;
  } catch {
    return false;
  }
}

/** @param {string} url @param {string} path */
async function shows(url, path) {
  const { broadcasts } = await (await fetch(`${url}/api/broadcasts`)).json();
  return broadcasts.some((/** @type {{ path: string, video: string | null }} */ one) => one.path === path && one.video);
}

/** Between two looks. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 50));

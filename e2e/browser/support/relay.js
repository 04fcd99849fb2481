/**
 * A bad network between browsers and the server's WebRTC port.
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../../../target/debug", import.meta.url));
const BINARY = process.env.RELAY ?? `${FOLDER}/relay`;

/** @typedef {{ delay_ms?: number, jitter_ms?: number, loss_permille?: number, bits_per_second?: number }} Impairment */

/**
 * Listens at `at` and passes datagrams on to `server`, unchanged at first. Addresses are `IP:PORT`.
 * @param {string} at @param {string} server
 */
export async function startRelay(at, server) {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: cargo build -p e2e --bin relay, or set RELAY`);
  const child = spawn(BINARY, [at, server], { stdio: ["pipe", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return {
    /** How bad both ways are from now on. @param {Impairment} to */
    impair({ delay_ms = 0, jitter_ms = 0, loss_permille = 0, bits_per_second = 0 }) {
      child.stdin.write(`${delay_ms} ${jitter_ms} ${loss_permille} ${bits_per_second}\n`);
    },
    /** Every client gets another address, as from a new network. */
    rebind() {
      child.stdin.write("rebind\n");
    },
    async stop() {
      const exited = once(child, "exit");
      child.stdin.end();
      await exited;
    },
  };
}

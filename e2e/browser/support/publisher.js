/**
 * ffmpeg as a publisher.
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * @param {{ ports: { rtmp: number } }} server
 * @param {string} name behind the app, with its query
 * @param {{ keyframes?: number, rate?: number, app?: string, encoder?: string[], size?: string, pictures?: boolean }} options frames from
 *   one keyframe to the next, and a second, what stands before the name, how to encode, and whether there is more than sound
 */
export function publish(server, name, { keyframes = 50, rate = 25, app = "live", encoder = ["-preset", "ultrafast"], size = "320x180", pictures = true } = {}) {
  const child = spawn("ffmpeg", [
    "-v", "error", "-re", ...(pictures ? ["-f", "lavfi", "-i", `testsrc2=s=${size}:r=${rate}`] : []), "-f", "lavfi", "-i", "sine",
    ...(pictures ? ["-c:v", "libx264", ...encoder, "-g", String(keyframes), "-sc_threshold", "0"] : []), "-c:a", "aac",
    "-f", "flv", `rtmp://127.0.0.1:${server.ports.rtmp}/${app}/${name}`,
  ], { stdio: "ignore" });
  return {
    runs: () => child.exitCode === null && child.signalCode === null,
    /** Ends by itself when the server does not want it any more. @returns {Promise<void>} */
    async ended() {
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
    /** The connection breaks; nothing is said. */
    async vanish() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

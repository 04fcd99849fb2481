// A new process takes over while somebody watches: the picture goes on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, pass, reading, startBrowser, untilPlaying } from "../support/browser.js";
import { publish } from "../support/publisher.js";
import { startServer } from "../support/server.js";

const WATCHED_MS = 8000;

for (const { via, name } of [{ via: "hls", name: "LL-HLS" }, { via: "flv", name: "FLV" }]) {
  test(`a viewer over ${name} sees no error when a new process takes over`, async () => {
    const server = await startServer("publish.stream_key = \"k\"\n");
    const publisher = publish(server, "x?key=k");
    const browser = await startBrowser();
    /** @type {Awaited<ReturnType<typeof server.succeed>> | undefined} */
    let successor;
    try {
      await server.live("live/x");
      const { page, complaints } = await openPage(browser);
      await page.goto(`${server.url}/?path=live/x&via=${via}`);
      await untilPlaying(page);
      await pass(3000);
      const before = await reading(page);
      successor = await server.succeed();
      await pass(WATCHED_MS);
      const after = await reading(page);
      assert.deepEqual(complaints, []);
      assert.equal(after.phase, "playing");
      assert.equal(after.rebuffers, before.rebuffers, "rebuffers");
      assert.ok(after.currentTime - before.currentTime >= WATCHED_MS / 1000 - 2, `from ${before.currentTime} to ${after.currentTime} s`);
      assert.ok(after.frames - before.frames >= 25 * (WATCHED_MS / 1000 - 2), `${after.frames - before.frames} frames`);
    } finally {
      await browser.close();
      await publisher.vanish();
      await successor?.stop();
      await server.stop();
    }
  });
}

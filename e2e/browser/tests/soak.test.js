// Five minutes of LL-HLS. Long, so only with LONG=1.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, pass, reading, startBrowser, untilPlaying } from "../support/browser.js";
import { startDemo } from "../support/server.js";

const WATCHED_MS = 300_000;

test("hls.js stays at most 3 s behind for five minutes without a stall", { skip: process.env.LONG !== "1" && "LONG=1 runs it" }, async (t) => {
  const server = await startDemo();
  const browser = await startBrowser();
  try {
    const { page, complaints } = await openPage(browser);
    await page.goto(`${server.url}/?path=live/demo&via=hls`);
    await untilPlaying(page);
    await page.waitForSelector('[data-figure="latency"]:not([data-value=""])');
    const begin = await reading(page);
    let worst = 0;
    const end = Date.now() + WATCHED_MS;
    while (Date.now() < end) {
      await pass(1000);
      worst = Math.max(worst, (await reading(page)).latency ?? Infinity);
    }
    const last = await reading(page);
    t.diagnostic(`worst latency ${worst.toFixed(2)} s, ${last.rebuffers} rebuffers, ${last.dropped} frames dropped`);
    assert.ok(worst <= 3, `${worst} s behind`);
    assert.equal(last.rebuffers, 0);
    assert.ok(last.currentTime - begin.currentTime >= WATCHED_MS / 1000 - 3);
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
    await server.stop();
  }
});

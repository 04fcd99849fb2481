// The demo plays in Chromium by every delivery that the page offers.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage, pass, reading, startBrowser, untilPlaying } from "../support/browser.js";
import { startDemo } from "../support/server.js";

/** @type {Awaited<ReturnType<typeof startDemo>>} */
let server;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
before(async () => {
  server = await startDemo();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const WATCHED_MS = 12_000;

for (const { via, name, latency_s_max } of [
  { via: "hls", name: "LL-HLS", latency_s_max: 3 },
  { via: "webrtc", name: "WebRTC", latency_s_max: 0.5 },
  { via: "flv", name: "FLV", latency_s_max: 1.5 },
  { via: "ws", name: "WS-FLV", latency_s_max: 1.5 },
]) {
  test(`the demo plays over ${name}, at most ${latency_s_max} s behind, without an error`, async () => {
    const { page, context, complaints } = await openPage(browser);
    await page.goto(`${server.url}/?path=live/demo&via=${via}`);
    await untilPlaying(page);
    // The figures follow the picture by up to a sample.
    await page.waitForSelector('[data-figure="latency"]:not([data-value=""])');
    const begin = await reading(page);
    const latencies = [];
    const end = Date.now() + WATCHED_MS;
    while (Date.now() < end) {
      await pass(500);
      latencies.push((await reading(page)).latency ?? Infinity);
    }
    const last = await reading(page);
    assert.deepEqual(complaints, []);
    assert.equal(last.phase, "playing");
    assert.ok(last.currentTime - begin.currentTime >= 10, `advanced ${last.currentTime - begin.currentTime} s`);
    assert.ok(last.frames - begin.frames >= 200, `showed ${last.frames - begin.frames} frames`);
    assert.ok(Math.max(...latencies) <= latency_s_max, `latencies ${latencies.map((s) => s.toFixed(2))}`);
    assert.equal(last.rebuffers, 0, "rebuffers");
    assert.ok(last.bitrate !== null && last.bitrate > 400_000 && last.bitrate < 1_600_000, `bitrate ${last.bitrate}`);
    await context.close();
  });
}

test("sound comes on with one click, and the delivery can be changed while playing", async () => {
  const { page, context, complaints } = await openPage(browser);
  await page.goto(`${server.url}/?path=live/demo&via=flv`);
  await untilPlaying(page);
  await page.click("[data-action=sound]");
  assert.equal(await page.evaluate(() => document.querySelector("video")?.muted), false);
  await page.waitForSelector("[data-action=sound]", { state: "detached" });
  for (const via of ["ws", "webrtc", "hls", "flv"]) {
    await page.check(`input[value=${via}]`);
    await page.waitForFunction((wanted) => location.search === `?path=live/demo&via=${wanted}`, via);
    await page.waitForSelector("[data-phase=playing]");
    await untilPlaying(page);
  }
  assert.equal(await page.evaluate(() => document.querySelector("video")?.muted), false, "sound stays on");
  assert.deepEqual(complaints, []);
  await context.close();
});

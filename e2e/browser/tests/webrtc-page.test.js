// The player page over WebRTC: what it can't show, and a publisher who goes and comes back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage, reading, startBrowser, untilPlaying } from "../support/browser.js";
import { publish } from "../support/publisher.js";
import { startDemo } from "../support/server.js";

/** @type {Awaited<ReturnType<typeof startDemo>>} */
let server;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
before(async () => {
  server = await startDemo({ clip: false });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test("pictures that are coded in another order are no black screen: the page says why, and what plays", async () => {
  const publisher = publish(server, "reordered", { encoder: ["-preset", "veryfast", "-x264-params", "bframes=3:b-adapt=0:b-pyramid=strict"] });
  const { page, context } = await openPage(browser);
  try {
    await page.goto(`${server.url}/?path=live/reordered&via=webrtc`);
    await page.waitForSelector("[data-trouble=unfit]", { timeout: 20_000 });
    await page.getByRole("status").filter({ hasText: "Choose LL-HLS" }).waitFor();
    assert.match(String(await page.textContent(".status .detail")), /B-frames that others build on/, "what the server said");
    await page.check("input[value=hls]");
    await untilPlaying(page);
  } finally {
    await context.close();
    await publisher.vanish();
  }
});

test("a publisher that went away is waited for, and played again in real time", async () => {
  let publisher = publish(server, "comes-back");
  const { page, context } = await openPage(browser);
  const moving = async () => {
    await untilPlaying(page);
    const { frames } = await reading(page);
    await page.waitForFunction((then) => (document.querySelector("video")?.getVideoPlaybackQuality().totalVideoFrames ?? 0) > then + 30, frames);
  };
  try {
    // The viewer is early: the page waits and starts by itself.
    await page.goto(`${server.url}/?path=live/comes-back&via=webrtc`);
    await moving();
    await publisher.vanish();
    await page.getByRole("status").filter({ hasText: "Playback starts by itself" }).waitFor({ timeout: 40_000 });
    publisher = publish(server, "comes-back");
    await moving();
    await page.waitForSelector('[data-figure="latency"]:not([data-value=""])');
    const { latency } = await reading(page);
    assert.ok(latency !== null && latency < 0.5, `${latency} s`);
  } finally {
    await context.close();
    await publisher.vanish();
  }
});

test("who stops watching is gone at once, even if the answer was on its way", async () => {
  const publisher = publish(server, "left");
  const { page, context } = await openPage(browser);
  const viewers = async () => {
    const { broadcasts } = await (await fetch(`${server.url}/api/broadcasts`)).json();
    return broadcasts.find((/** @type {{ path: string }} */ one) => one.path === "live/left")?.viewers;
  };
  const settled = async (/** @type {number} */ wanted) => {
    for (let tries = 0; (await viewers()) !== wanted; tries += 1) {
      assert.ok(tries < 50, `${await viewers()} viewers instead of ${wanted}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  try {
    await page.goto(`${server.url}/?path=live/left&via=webrtc`);
    await untilPlaying(page);
    await settled(1);
    await page.click(".brand");
    // A connection without a word would be there for 15 s.
    await settled(0);
    await page.route("**/whep", async (route) => {
      const answer = await route.fetch();
      await new Promise((resolve) => setTimeout(resolve, 500));
      await route.fulfill({ response: answer });
    });
    await page.goto(`${server.url}/?path=live/left&via=webrtc`);
    await page.waitForRequest("**/whep");
    await page.click(".brand");
    await page.waitForRequest((request) => request.method() === "DELETE");
    await settled(0);
  } finally {
    await context.close();
    await publisher.vanish();
  }
});

// Publishing from the browser at /publish, watched by the player page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { PHONE, openPage, reading, screenshot, startBrowser, untilPlaying, violations } from "../support/browser.js";
import { startServer } from "../support/server.js";

/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
before(async () => {
  server = await startServer('publish.stream_key = "secret"\n');
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Presses Start. @param {Record<string, string>} fields @param {{ simulcast?: boolean }} options */
async function studio({ source = "pattern", name = "mine", key = "secret", codec = "H264", bitrate = "0.8" }, { simulcast = false } = {}) {
  const { page, context, complaints } = await openPage(browser);
  await page.goto(`${server.url}/publish`);
  await page.selectOption("[name=source]", source);
  await page.selectOption("[name=codec]", codec);
  await page.fill("[name=name]", name);
  await page.fill("[name=key]", key);
  await page.fill("[name=bitrate]", bitrate);
  if (simulcast) await page.check("[name=simulcast]");
  await page.click("[data-action=start]");
  return { page, context, complaints, phase: (/** @type {string} */ phase) => page.waitForSelector(`[data-status=${phase}]`) };
}

/** Plays a broadcast by all the ways given. @param {string} path @param {string[]} vias */
async function plays(path, vias) {
  const { page, context } = await openPage(browser);
  for (const via of vias) {
    await page.goto(`${server.url}/?path=${path}&via=${via}`);
    await untilPlaying(page);
    const { frames } = await reading(page);
    await page.waitForFunction((then) => (document.querySelector("video")?.getVideoPlaybackQuality().totalVideoFrames ?? 0) > then + 20, frames);
  }
  await context.close();
}

test("the test pattern is published, shown by every way, and ends with Stop", async () => {
  const { page, context, complaints, phase } = await studio({ name: "pattern" });
  await phase("live");
  assert.equal(await page.inputValue("[name=name]"), "pattern", "what was entered stays");
  await plays("live/pattern", ["webrtc", "flv", "hls"]);
  await page.waitForFunction(() => Number(document.querySelector("[data-figure=bitrate]")?.getAttribute("data-value")) > 50_000);
  await page.waitForFunction(() => Number(document.querySelector("[data-figure=fps]")?.getAttribute("data-value")) > 5);
  assert.equal(await page.getAttribute("text=Watch it", "href"), "/?path=live/pattern&via=webrtc");
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "studio-live");
  await page.click("[data-action=stop]");
  await phase("idle");
  // Gone at once, not when nobody answers checks any more.
  for (let tries = 0; ; tries += 1) {
    const viewer = await fetch(`${server.url}/live/pattern/whep`, { method: "POST", headers: { "Content-Type": "application/sdp" }, body: "v=0" });
    if (viewer.status === 404) break;
    assert.ok(tries < 150, `${viewer.status} ${await viewer.text()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.deepEqual(complaints, []);
  await context.close();
});

test("a camera is published in three qualities", async () => {
  const { context, phase } = await studio({ source: "camera", name: "camera" }, { simulcast: true });
  await phase("live");
  await plays("live/camera", ["webrtc"]);
  await context.close();
});

test("a wrong key is told in the server's words, and nothing is published", async () => {
  const { page, context, phase } = await studio({ name: "refused", key: "wrong" });
  await phase("refused");
  assert.match(String(await page.textContent("[role=status]")), /the stream key is wrong/);
  await page.fill("[name=key]", "secret");
  await page.click("[data-action=start]");
  await phase("live");
  await context.close();
});

test("the page is accessible and fits a phone, in both languages", async () => {
  const { page, context, complaints } = await openPage(browser, PHONE);
  await page.goto(`${server.url}/publish`);
  await page.waitForSelector("[data-view=studio]");
  assert.deepEqual(await violations(page), []);
  await page.selectOption("[data-action=language]", "zh-CN");
  await page.getByRole("heading", { name: "用此浏览器推流" }).waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  assert.ok(!wide, "it is wider than the screen");
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "studio-phone");
  assert.deepEqual(complaints, []);
  await context.close();
});

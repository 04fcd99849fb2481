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
  // The tests reach what the page sends.
  await page.addInitScript(() => {
    const all = /** @type {any} */ (window);
    all.senders = [];
    const add = RTCPeerConnection.prototype.addTransceiver;
    RTCPeerConnection.prototype.addTransceiver = function (...args) {
      const made = add.apply(this, args);
      all.senders.push(made.sender);
      return made;
    };
  });
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

/** Waits until a figure of the server is like this. @param {import("playwright-core").Page} page @param {string} name @param {RegExp} like */
async function fact(page, name, like) {
  const value = page.locator("[data-part=health] .facts-list > div").filter({ has: page.getByText(name, { exact: true }) }).locator("dd");
  await value.filter({ hasText: like }).waitFor({ timeout: 20_000 }).catch(async () => assert.fail(`${name}: ${await value.textContent()}`));
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
  // What the server sees of it, in the words and figures of the console.
  const health = page.locator("[data-part=health]");
  await health.locator("[data-health=ok], [data-health=warning]").waitFor();
  await fact(page, "Picture", /comes · [1-9][\d.]* (k|M)bit\/s/);
  await fact(page, "Frames per second", /^[1-9]/);
  await fact(page, "Last keyframe", /\d\.\d s ago/);
  await fact(page, "B-frames", /^off$/);
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

test("a publisher whose sound stops is told so on its own page, in its language", async () => {
  const { page, context, complaints, phase } = await studio({ name: "silent" });
  await phase("live");
  await fact(page, "Sound", /^comes/);
  // The microphone is pulled out: nothing comes any more, not even silence.
  await page.evaluate(() => /** @type {any} */ (window).senders.filter((/** @type {RTCRtpSender} */ one) => one.track?.kind === "audio")
    .forEach((/** @type {RTCRtpSender} */ one) => one.replaceTrack(null)));
  const advice = page.locator("[data-part=health] [data-advice=audio_missing]");
  await advice.waitFor({ timeout: 30_000 });
  assert.match(await advice.innerText(), /No sound[^]*look at the audio source/);
  await fact(page, "Sound", /^stopped/);
  await screenshot(page, "studio-advice");
  assert.deepEqual(await violations(page), []);
  await page.selectOption("[data-action=language]", "zh-CN");
  await advice.filter({ hasText: "没有收到声音" }).waitFor();
  await screenshot(page, "studio-advice-chinese");
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
  const picture = await page.locator(".screen").boundingBox();
  assert.deepEqual([picture?.x, picture?.width], [0, PHONE.viewport.width], "the picture goes from edge to edge");
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "studio-phone");
  assert.deepEqual(complaints, []);
  await context.close();
});

// The page itself: finding a broadcast, links, keyboard, phones, both colour schemes, accessibility, coming back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { PHONE, openPage, reading, screenshot, startBrowser, untilPlaying, violations } from "../support/browser.js";
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

test("the list shows the broadcast, and the keyboard alone starts it", async () => {
  const { page, context, complaints } = await openPage(browser);
  await page.goto(server.url);
  const link = page.locator('[data-broadcast="live/demo"]');
  await link.waitFor();
  assert.match(await link.innerText(), /live\/demo[^]*H\.264/);
  assert.equal(await page.getAttribute("[data-live-count]", "data-live-count"), "1");
  for (let presses = 0; presses < 10; presses += 1) {
    await page.keyboard.press("Tab");
    if (await link.evaluate((element) => element === document.activeElement)) break;
  }
  assert.notEqual(await link.evaluate((element) => getComputedStyle(element).outlineStyle), "none", "focus is seen");
  await page.keyboard.press("Enter");
  await untilPlaying(page);
  assert.equal(new URL(page.url()).search, "?path=live/demo&via=hls");
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "H1", "focus is at the new content");
  await page.goBack();
  await link.waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

test("arrow keys change the delivery, and the address keeps it", async () => {
  const { page, context } = await openPage(browser);
  await page.goto(`${server.url}/?path=live/demo&via=flv`);
  await untilPlaying(page);
  await page.focus("input[value=flv]");
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => location.search.endsWith("via=ws"));
  await untilPlaying(page);
  await page.reload();
  await untilPlaying(page);
  assert.equal(await page.isChecked("input[value=ws]"), true);
  await context.close();
});

test("a browser that refuses to start by itself gets a Play button", async () => {
  const strict = await startBrowser({ autoplay: false });
  const { page } = await openPage(strict);
  // Chromium starts muted pictures in any case; this one is made to refuse like stricter browsers do.
  await page.addInitScript(() => {
    const play = HTMLMediaElement.prototype.play;
    let clicked = false;
    addEventListener("click", () => (clicked = true), true);
    Object.defineProperty(HTMLMediaElement.prototype, "autoplay", { get: () => false, set: () => {} });
    document.addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
      document.querySelector("video[autoplay]")?.removeAttribute("autoplay");
    }).observe(document, { subtree: true, childList: true, attributes: true }));
    HTMLMediaElement.prototype.play = function () {
      return clicked ? play.call(this) : Promise.reject(new DOMException("click first", "NotAllowedError"));
    };
  });
  await page.goto(`${server.url}/?path=live/demo&via=flv`);
  await page.click("[data-action=play]");
  await untilPlaying(page);
  await strict.close();
});

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  test(`no horizontal scrolling at 360 pixels, and no serious accessibility violation (${colorScheme})`, async () => {
    const phone = await openPage(browser, { ...PHONE, colorScheme });
    const desk = await openPage(browser, { colorScheme });
    for (const [view, address] of [["home", "/"], ["watch", "/?path=live/demo&via=flv"]]) {
      await phone.page.goto(server.url + address);
      await settled(phone.page, view);
      const width = await phone.page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 360, `${view} is ${width} wide`);
      await screenshot(phone.page, `phone-${view}-${colorScheme}`);
      await desk.page.goto(server.url + address);
      await settled(desk.page, view);
      await screenshot(desk.page, `desk-${view}-${colorScheme}`);
      for (const { page } of [phone, desk]) assert.deepEqual(await violations(page), [], view);
    }
    assert.deepEqual([...phone.complaints, ...desk.complaints], []);
    await phone.context.close();
    await desk.context.close();
  });
}

test("a Chinese browser reads Chinese, and a choice of language holds over visits", async () => {
  const { page, context, complaints } = await openPage(browser, { ...PHONE, locale: "zh-CN" });
  await page.goto(`${server.url}/?path=live/demo&via=flv`);
  await settled(page, "watch");
  assert.equal(await page.getAttribute("html", "lang"), "zh-CN");
  assert.equal(await page.locator("[data-figure=latency]").evaluate((figure) => figure.previousSibling?.textContent), "延迟");
  assert.match(await page.locator("[role=status]").innerText(), /正在播放直播/);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360);
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "phone-watch-chinese");
  const begin = await reading(page);
  await page.getByLabel("语言").selectOption("en");
  await page.getByRole("status").filter({ hasText: "Playing live" }).waitFor();
  assert.ok((await reading(page)).currentTime >= begin.currentTime, "the picture goes on");
  await page.goto(server.url);
  await page.getByRole("heading", { name: "Live now" }).waitFor();
  assert.equal(await page.getAttribute("html", "lang"), "en");
  assert.deepEqual(complaints, []);
  await context.close();
});

test("an empty server shows how to publish, also on a phone", async () => {
  const empty = await startDemo({ clip: false });
  try {
    const { page, context, complaints } = await openPage(browser, PHONE);
    await page.goto(empty.url);
    await page.locator(".publish").waitFor();
    const shown = await page.locator(".publish").innerText();
    const at = `rtmp://127.0.0.1:${empty.ports.rtmp}/live`;
    assert.match(shown, new RegExp(`ffmpeg -re[^]*${at}/mine\\n[^]*OBS[^]*${at}\\n`), "with the port of this server");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360);
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(complaints, []);
    await screenshot(page, "phone-empty-light");
    await context.close();
  } finally {
    await empty.stop();
  }
});

for (const via of ["hls", "flv", "ws"]) {
  test(`a viewer waits for the publisher in words, and plays when the server is back (${via})`, async () => {
    let own = await startDemo();
    const { page, context } = await openPage(browser);
    try {
      await page.goto(`${own.url}/?path=live/demo&via=${via}`);
      await untilPlaying(page);
      await own.stop();
      await page.locator("[data-phase=retrying]").waitFor({ timeout: 40_000 });
      await page.getByRole("status").filter({ hasText: "The server does not answer" }).waitFor();
      own = await startDemo({ clip: false, ports: own.ports });
      await page.getByRole("status").filter({ hasText: "Waiting for the publisher" }).waitFor({ timeout: 20_000 });
      await own.stop();
      own = await startDemo({ ports: own.ports });
      await page.locator("[data-phase=playing]").waitFor({ timeout: 20_000 });
      const { currentTime } = await reading(page);
      await page.waitForFunction((then) => (document.querySelector("video")?.currentTime ?? 0) > then + 1, currentTime);
    } finally {
      await context.close();
      await own.stop();
    }
  });
}

/** @param {import("playwright-core").Page} page @param {string} view */
async function settled(page, view) {
  if (view === "watch") {
    await untilPlaying(page);
    await page.waitForSelector('[data-figure="bitrate"]:not([data-value=""])');
  } else {
    await page.waitForSelector("[data-broadcast]");
  }
}

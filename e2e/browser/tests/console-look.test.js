// The console: keyboard, languages, phones, and what axe-core finds.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PHONE, openPage, screenshot, violations } from "../support/browser.js";
import { login, settled, stage, tabTo, unexpected, watch } from "../support/console.js";
import { publish } from "../support/publisher.js";

const on = stage({ demo: true, bad: true });

test("the keyboard alone goes from the list to a broadcast and ends it", async () => {
  const { page, context } = await openPage(on.browser);
  const publisher = publish(on.server, "keyboard?key=secret");
  try {
    await login(on, page, "operator");
    const link = page.locator('[data-broadcast="live/keyboard"] a');
    await link.waitFor();
    await page.locator("h1").focus();
    await tabTo(page, '[data-broadcast="live/keyboard"] a');
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "live/keyboard" }).waitFor();
    // Focus is at the new content.
    await page.waitForFunction(() => document.activeElement?.tagName === "H1");
    await page.locator("[data-action=end]").waitFor();
    await tabTo(page, "[data-action=end]");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    // Focus comes back.
    await page.waitForFunction(() => document.activeElement?.getAttribute("data-action") === "end");
    await page.keyboard.press("Enter");
    await tabTo(page, "[data-action=confirm]");
    await page.keyboard.press("Enter");
    await publisher.ended();
    await page.getByText("This broadcast is over").waitFor();
  } finally {
    await publisher.vanish();
    await context.close();
  }
});

test("Chinese by the browser's wish, English by choice, for all that is read", async () => {
  const { page, context, complaints } = await openPage(on.browser, { locale: "zh-CN" });
  const viewer = await watch(`${on.demo.url}/live/demo.flv`);
  await page.goto(`${on.demo.admin}/console`);
  await page.getByRole("heading", { name: "直播", exact: true }).waitFor();
  for (const view of ["broadcasts", "broadcast&path=live/demo", "stages", "node", "activity", "keys", "config"]) {
    await page.goto(`${on.demo.admin}/console?view=${view}`);
    await settled(page);
    await unfolded(page);
    assert.deepEqual(await englishWords(page), [], view);
    await screenshot(page, `console-${view.split("&")[0]}-chinese`);
  }
  await viewer.leave();
  await page.getByLabel("语言").selectOption("en");
  await page.getByRole("heading", { name: "Configuration" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Configuration" }).waitFor();
  await page.goto(on.demo.url);
  // Another port is another origin, which knows nothing of the choice.
  await page.getByRole("heading", { name: "正在直播" }).waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  test(`every view fits 360 pixels and has no serious accessibility violation (${colorScheme})`, async () => {
    const phone = await openPage(on.browser, { ...PHONE, colorScheme });
    const desk = await openPage(on.browser, { colorScheme, viewport: { width: 1440, height: 900 } });
    for (const { page } of [phone, desk]) await login(on, page, "admin");
    const viewer = await watch(`${on.server.url}/live/bad.flv`);
    for (const view of ["broadcasts", "broadcast&path=live/bad", "stages", "node", "activity", "keys", "config"]) {
      for (const [name, { page }] of /** @type {const} */ ([["phone", phone], ["desk", desk]])) {
        await page.goto(`${on.server.admin}/console?view=${view}`);
        await settled(page);
        await unfolded(page);
        assert.deepEqual(await violations(page), [], `${view} on a ${name}`);
        await screenshot(page, `console-${view.split("&")[0]}-${name}-${colorScheme}`);
      }
      if (view === "broadcasts") {
        for (const { page } of [phone, desk]) await page.locator("[data-broadcast] .spark polyline").waitFor();
      }
      for (const { page } of [phone, desk]) {
        const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(excess <= 0, `${view} is ${excess} pixels too wide`);
        const below = await page.evaluate(() => document.documentElement.scrollHeight - Math.max(document.body.offsetHeight, innerHeight));
        assert.ok(below <= 0, `${view} has ${below} pixels of nothing below it`);
      }
    }
    await viewer.leave();
    assert.deepEqual(unexpected([...phone.complaints, ...desk.complaints]), []);
    await phone.context.close();
    await desk.context.close();
  });
}

/** Opens whatever is folded, so that it is looked at too. @param {import("playwright-core").Page} page */
async function unfolded(page) {
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => {
    details.open = true;
  }));
  // Of a broadcast that is watched, whoever watches is in the picture.
  if (await page.locator("#viewers").count() > 0) await page.locator('[aria-labelledby="viewers"] [data-row]').first().waitFor();
}

/** Shown words in Latin letters that no reader of Chinese would expect. @param {import("playwright-core").Page} page */
function englishWords(page) {
  return page.evaluate(() => {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      // Values, names, lines of the log and names of languages are as they are.
      if (node.parentElement?.closest("noscript, code, [lang=en], option, .name, time, td, dd, a")) continue;
      found.push(...(node.textContent ?? "").matchAll(/[A-Za-z]{3,}/g));
    }
    const names = /^(Floodtide|AAC|kHz|kbit|Mbit|KiB|MiB|GiB|CPU|RTMP|HLS|FLV|HTTP|JWT|URL|OBS|WebRTC|live|show|auth|jwt|url)$/;
    return found.map(([word]) => word).filter((word) => !names.test(word));
  });
}

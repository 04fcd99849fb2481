// The console, served by the real server: every view, what an operator does, languages, accessibility, and how it looks.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { openPage, screenshot, startBrowser } from "../support/browser.js";
import { startDemo } from "../support/server.js";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
const VIEWS = ["broadcasts", "broadcast", "node", "activity", "keys", "config"];

/** @type {Awaited<ReturnType<typeof startDemo>>} */
let server;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
/** @type {string} */
let consoleUrl;
before(async () => {
  server = await startDemo();
  browser = await startBrowser();
  consoleUrl = `http://127.0.0.1:${server.ports.admin}/console`;
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** @param {string} view */
const addressOf = (view) => `${consoleUrl}?view=${view}${view === "broadcast" ? "&path=live/demo" : ""}`;

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  test(`every view is there, wide and on a phone, ${colorScheme}, and nobody is shut out`, async () => {
    const desk = await openPage(browser, { colorScheme });
    const phone = await openPage(browser, { ...PHONE, colorScheme });
    for (const [name, { page }] of /** @type {const} */ ([["desk", desk], ["phone", phone]])) {
      for (const view of VIEWS) {
        await page.goto(addressOf(view));
        await page.locator(`[data-view=${view}]`).waitFor();
        await page.waitForLoadState("networkidle", { timeout: 1500 }).catch(() => undefined);
        await screenshot(page, `console-${name}-${view}-${colorScheme}`);
        assert.deepEqual(await violations(page), [], `${name} ${view}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${name} ${view} is ${wide} pixels too wide`);
      }
    }
    assert.deepEqual([...desk.complaints, ...phone.complaints], []);
    await desk.context.close();
    await phone.context.close();
  });
}

test("the list shows the live broadcast with its bitrate and health", async () => {
  const { page, context } = await openPage(browser);
  await page.goto(consoleUrl);
  const entry = page.locator("[data-view=broadcasts] a", { hasText: "live/demo" }).first();
  await entry.waitFor();
  await page.getByText(/\d+ kbit\/s/).first().waitFor();
  await entry.click();
  await page.locator("[data-view=broadcast]").waitFor();
  await page.getByRole("heading", { name: "Input health" }).waitFor();
  await context.close();
});

test("a reader of Chinese gets Chinese, and can switch", async () => {
  const { page, context } = await openPage(browser, { locale: "zh-CN" });
  await page.goto(consoleUrl);
  await page.getByRole("heading", { name: "直播" }).waitFor();
  await page.getByLabel("语言").selectOption("en");
  await page.getByRole("heading", { name: "Broadcasts" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Broadcasts" }).waitFor();
  await context.close();
});

test("a key that is made is shown once, disabled and removed", async () => {
  const { page, context, complaints } = await openPage(browser);
  await page.goto(addressOf("keys"));
  await page.locator("summary").first().click();
  const form = page.locator("form", { has: page.locator("input[name=note]") });
  await form.locator("input[name=path]").fill("live/console-test");
  await form.locator("input[name=note]").fill("made by a test");
  await form.locator("button[type=submit], button:not([type=button])").first().click();
  await page.getByText(/console-test\?key=[\w-]{20,}/).waitFor();
  const row = page.getByRole("row", { name: /made by a test/ });
  await row.waitFor();
  await page.reload();
  await row.waitFor();
  assert.equal(await page.getByText(/\?key=[\w-]{20,}/).count(), 0, "the secret is shown once");
  await row.getByRole("button", { name: "Disable" }).click();
  await row.getByRole("button", { name: "Enable" }).waitFor();
  await row.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await row.waitFor({ state: "detached" });
  assert.deepEqual(complaints, []);
  await context.close();
});

/** What axe finds that shuts people out. @param {import("playwright-core").Page} page */
async function violations(page) {
  await page.evaluate(readFileSync(AXE, "utf8"));
  const { violations: found } = await page.evaluate(() => /** @type {any} */ (window).axe.run());
  return found
    .filter((/** @type {{ impact: string }} */ violation) => ["serious", "critical"].includes(violation.impact))
    .map((/** @type {any} */ violation) => `${violation.id}: ${violation.nodes.map((/** @type {any} */ node) => node.html)}`);
}

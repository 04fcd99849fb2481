// The console: login, what is live, input health, kicking, keys, configuration, languages, keyboard, phones.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { PHONE, openPage, screenshot, startBrowser, violations } from "../support/browser.js";
import { publish } from "../support/publisher.js";
import { startDemo, startServer } from "../support/server.js";

const TOKENS = { viewer: randomBytes(24).toString("hex"), operator: randomBytes(24).toString("hex"), admin: randomBytes(24).toString("hex") };
const CONFIG = `
publish.stream_key = "secret"
${Object.entries(TOKENS).map(([role, token]) => `[[admin.token]]\nname = "${role}-1"\nrole = "${role}"\ntoken = "${token}"\n`).join("")}
[[auth.jwt]]
secret = "${randomBytes(32).toString("hex")}"
`;
/** A few groups of ten seconds have to come in before they are told. */
const HEALTH_MS_MAX = 40_000;

/** @type {Awaited<ReturnType<typeof startDemo>>} the built-in broadcast, no login */
let demo;
/** @type {Awaited<ReturnType<typeof startServer>>} closed to strangers */
let server;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
/** @type {ReturnType<typeof publish>} with keyframes ten seconds apart */
let bad;
before(async () => {
  demo = await startDemo();
  server = await startServer(CONFIG);
  bad = publish(server, "bad?key=secret", { keyframes: 250 });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await bad?.vanish();
  await server?.stop();
  await demo?.stop();
});

/**
 * @param {import("playwright-core").Page} page
 * @param {keyof typeof TOKENS} role
 * @param {string} place
 */
async function login(page, role, place = "/console") {
  await page.goto(server.admin + place);
  await page.getByLabel("Administrator's token").fill(TOKENS[role]);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("button", { name: "Log out" }).waitFor();
}

/** What the browser itself says about refused requests. @param {string[]} complaints @param {number} status */
const without = (complaints, status) => complaints.filter((line) => !line.includes(`the server responded with a status of ${status}`));

test("a wrong token is told, a right one opens, and logging out closes", async () => {
  const { page, context, complaints } = await openPage(browser);
  await page.goto(`${server.admin}/console?view=node`);
  await page.getByLabel("Administrator's token").fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "This token is wrong" }).waitFor();
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "console-login");
  await page.getByLabel("Administrator's token").fill(TOKENS.viewer);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Server", exact: true }).waitFor();
  assert.equal(await page.evaluate(() => document.cookie + JSON.stringify(localStorage)), "{}", "scripts can't read the credential");
  await page.reload();
  await page.getByRole("heading", { name: "Server", exact: true }).waitFor();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByLabel("Administrator's token").waitFor();
  assert.deepEqual(without(complaints, 401), []);
  await context.close();
});

test("what begins and ends appears and disappears without a reload", async () => {
  const { page, context, complaints } = await openPage(browser);
  await login(page, "viewer");
  const row = page.locator('[data-broadcast="live/new"]');
  await page.locator("[data-broadcast]").first().waitFor();
  assert.equal(await row.count(), 0);
  const publisher = publish(server, "new?key=secret");
  try {
    await row.filter({ hasText: "H.264 · 320×180" }).waitFor();
    await row.filter({ hasText: "bit/s" }).waitFor();
    await row.getByRole("link").click();
    await page.getByRole("heading", { name: "live/new" }).waitFor();
    await page.getByRole("row", { name: /Video.*H\.264.*320×180/ }).waitFor();
    assert.equal(await page.locator("[data-action=kick]").count(), 0, "a viewer's role only looks");
    const watching = await fetch(`${server.url}/live/new.flv`);
    await page.getByRole("row", { name: /HTTP-FLV.*127\.0\.0\.1/ }).waitFor();
    await watching.body?.cancel();
    await page.getByText("Nobody watches now.").waitFor();
  } finally {
    await publisher.vanish();
  }
  await page.locator("[data-health=waiting]").waitFor();
  await page.getByRole("link", { name: "← Broadcasts" }).click();
  await row.waitFor();
  await row.waitFor({ state: "detached", timeout: 25_000 });
  assert.deepEqual(without(complaints, 401), []);
  await context.close();
});

test("a publisher with rare keyframes is told what to do, and an operator kicks it", async () => {
  const { page, context, complaints } = await openPage(browser);
  await login(page, "operator", "/console?view=broadcast&path=live/bad");
  const advice = page.locator("[data-advice=keyframes_rare]");
  await advice.waitFor({ timeout: HEALTH_MS_MAX });
  assert.match(await advice.innerText(), /Keyframes too far apart[^]*Set the keyframe interval to 2 s \(OBS: Settings → Output/);
  await page.goto(`${server.admin}/console`);
  const row = page.locator('[data-broadcast="live/bad"]');
  await row.filter({ hasText: /(Warning|Problem)[^]*Keyframes too far apart/ }).waitFor();
  await row.getByRole("link").click();
  await page.locator("[data-action=kick]").click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.locator("dialog[open]").waitFor({ state: "hidden" });
  await page.locator("[data-action=kick]").click();
  await page.getByRole("dialog").getByRole("button", { name: "Kick" }).click();
  await page.getByRole("status").filter({ hasText: "The publisher was kicked." }).waitFor();
  await bad.ended();
  await page.locator("[data-health=waiting]").waitFor();
  await page.getByRole("link", { name: "Activity" }).click();
  await page.locator('[data-event="session.ended"]').filter({ hasText: "kicked" }).first().waitFor();
  await page.locator("[data-line]").first().waitFor();
  assert.deepEqual(without(complaints, 401), []);
  await context.close();
  bad = publish(server, "bad?key=secret", { keyframes: 250 });
});

test("a stream key is made, shown once, works, is disabled and deleted", async () => {
  const { page, context, complaints } = await openPage(browser);
  await login(page, "admin", "/console?view=keys");
  await page.locator("[data-making=key] summary").click();
  await page.getByRole("textbox", { name: /^Path/ }).first().fill("live/keyed");
  await page.getByRole("textbox", { name: "Note" }).fill("<b>camera</b> 2");
  await page.getByRole("button", { name: "New stream key" }).click();
  const shown = page.locator("[data-secret]");
  await shown.waitFor();
  await screenshot(page, "console-key");
  const secret = await shown.locator("dd code").first().innerText();
  assert.match(await shown.innerText(), new RegExp(`rtmp://127\\.0\\.0\\.1:${server.ports.rtmp}/live[^]*keyed\\?key=${secret}`));
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await shown.getByRole("button", { name: /Copy Secret/ }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await page.getByRole("button", { name: "Done" }).click();
  assert.equal(await page.getByText(secret).count(), 0);
  await page.reload();
  const row = page.getByRole("row", { name: /live\/keyed/ });
  await row.filter({ hasText: "<b>camera</b> 2" }).waitFor();

  const publisher = publish(server, `keyed?key=${secret}`);
  try {
    await page.getByRole("link", { name: "Broadcasts" }).click();
    await page.locator('[data-broadcast="live/keyed"]').waitFor();
    await page.getByRole("link", { name: "Keys and tokens" }).click();
    await row.getByRole("button", { name: /Disable/ }).click();
    await row.filter({ hasText: "disabled" }).waitFor();
    await publisher.ended();
  } finally {
    await publisher.vanish();
  }
  await row.getByRole("button", { name: /Delete/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await row.waitFor({ state: "detached" });

  await page.locator("[data-making=token] summary").click();
  await page.locator("[data-making=token]").getByRole("textbox", { name: "Path" }).fill("live/*");
  await page.getByRole("button", { name: "New token" }).click();
  assert.match(await shown.locator("dd code").innerText(), /^ey[\w-]+\.[\w-]+\.[\w-]+$/);
  assert.deepEqual(without(complaints, 401), []);
  await context.close();
});

test("the configuration is shown without secrets, and a reload tells what it did", async () => {
  const { page, context, complaints } = await openPage(browser);
  await login(page, "admin", "/console?view=config");
  await page.getByRole("heading", { name: "[publish]" }).waitFor();
  const text = await page.locator("main").innerText();
  assert.match(text, new RegExp(`127\\.0\\.0\\.1:${server.ports.http}`));
  for (const secret of [...Object.values(TOKENS), '"secret"']) assert.ok(!text.includes(secret), "a secret is shown");
  const result = page.locator("[data-result]");
  await page.locator("[data-action=reload]").click();
  await result.filter({ hasText: "Nothing has changed." }).waitFor();
  server.write(CONFIG.replace("[[auth.jwt]]", "[hls]\nlow_latency = 3\n[[auth.jwt]]"));
  await page.locator("[data-action=reload]").click();
  await result.filter({ hasText: /the old one stays[^]*line 2\d[^]*low_latency/ }).waitFor();
  server.write(CONFIG.replace("[[auth.jwt]]", "[log]\nlevel = \"debug\"\n[[auth.jwt]]"));
  await page.locator("[data-action=reload]").click();
  // The server sees the file change too, and may have been first.
  await result.filter({ hasText: /Now in force:[^]*log\.level|Nothing has changed\./ }).waitFor();
  await page.reload();
  await page.getByRole("region", { name: "[log]" }).filter({ hasText: "debug" }).waitFor();
  assert.deepEqual(without(without(complaints, 401), 409), []);
  await context.close();
});

test("the keyboard alone goes from the list to a broadcast and ends it", async () => {
  const { page, context } = await openPage(browser);
  const publisher = publish(server, "keyboard?key=secret");
  try {
    await login(page, "operator");
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
  const { page, context, complaints } = await openPage(browser, { locale: "zh-CN" });
  await page.goto(`${demo.admin}/console`);
  await page.getByRole("heading", { name: "直播", exact: true }).waitFor();
  for (const view of ["broadcasts", "broadcast&path=live/demo", "node", "activity", "keys", "config"]) {
    await page.goto(`${demo.admin}/console?view=${view}`);
    await settled(page);
    assert.deepEqual(await englishWords(page), [], view);
    await screenshot(page, `console-${view.split("&")[0]}-chinese`);
  }
  await page.getByLabel("语言").selectOption("en");
  await page.getByRole("heading", { name: "Configuration" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Configuration" }).waitFor();
  await page.goto(demo.url);
  // Another port is another origin, which knows nothing of the choice.
  await page.getByRole("heading", { name: "正在直播" }).waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  test(`every view fits 360 pixels and has no serious accessibility violation (${colorScheme})`, async () => {
    const phone = await openPage(browser, { ...PHONE, colorScheme });
    const desk = await openPage(browser, { colorScheme, viewport: { width: 1440, height: 900 } });
    for (const { page } of [phone, desk]) await login(page, "admin");
    for (const view of ["broadcasts", "broadcast&path=live/bad", "node", "activity", "keys", "config"]) {
      for (const [name, { page }] of /** @type {const} */ ([["phone", phone], ["desk", desk]])) {
        await page.goto(`${server.admin}/console?view=${view}`);
        await settled(page);
        assert.deepEqual(await violations(page), [], `${view} on a ${name}`);
        await screenshot(page, `console-${view.split("&")[0]}-${name}-${colorScheme}`);
      }
      for (const { page } of [phone, desk]) {
        const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(excess <= 0, `${view} is ${excess} pixels too wide`);
      }
    }
    assert.deepEqual(without([...phone.complaints, ...desk.complaints], 401), []);
    await phone.context.close();
    await desk.context.close();
  });
}

test("where there is no API, the console says where it is", async () => {
  const { page, context } = await openPage(browser);
  await page.goto(`${demo.url}/console`);
  await page.getByRole("status").filter({ hasText: "http://127.0.0.1:9080/console" }).waitFor();
  await context.close();
});

/** Until a view has what it shows. @param {import("playwright-core").Page} page */
async function settled(page) {
  await page.locator("[data-view] h1").waitFor();
  await page.locator({
    broadcasts: "[data-broadcast] [data-health]", broadcast: ".facts-list", node: "meter", activity: "[data-line]",
    keys: "[data-making=key]", config: ".config",
  }[await page.locator("[data-view]").getAttribute("data-view") ?? ""] ?? "h1").first().waitFor({ state: "attached" });
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
    const names = /^(Floodtide|AAC|kHz|kbit|Mbit|KiB|MiB|GiB|CPU|RTMP|HLS|FLV|HTTP|JWT|URL|OBS|live|show|auth|jwt|url)$/;
    return found.map(([word]) => word).filter((word) => !names.test(word));
  });
}

/** @param {import("playwright-core").Page} page @param {string} selector */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 30; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
  }
  assert.fail(`thirty tabs don't reach ${selector}`);
}

// The console: stream keys, tokens and signed URLs, and what is said about bad input.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, screenshot, violations } from "../support/browser.js";
import { login, stage, unexpected, watch } from "../support/console.js";
import { publish } from "../support/publisher.js";

const on = stage();

test("a stream key is made, shown once, works, is disabled and deleted", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  await login(on, page, "admin", "/console?view=keys");
  await page.locator("[data-making=key] summary").click();
  await page.getByRole("textbox", { name: /^Path/ }).first().fill("live/keyed");
  await page.getByRole("textbox", { name: "Note" }).fill("<b>camera</b> 2");
  await page.getByRole("button", { name: "New stream key" }).click();
  const shown = page.locator("[data-secret]");
  await shown.waitFor();
  await screenshot(page, "console-key");
  const secret = await shown.locator("dd code").first().innerText();
  assert.match(await shown.innerText(), new RegExp(`rtmp://127\\.0\\.0\\.1:${on.server.ports.rtmp}/live[^]*keyed\\?key=${secret}`));
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await shown.getByRole("button", { name: /Copy Secret/ }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await page.getByRole("button", { name: "Done" }).click();
  assert.equal(await page.getByText(secret).count(), 0);
  await page.reload();
  const row = page.getByRole("row", { name: /live\/keyed/ });
  await row.filter({ hasText: "<b>camera</b> 2" }).waitFor();

  const publisher = publish(on.server, `keyed?key=${secret}`);
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
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

test("a token that is made opens what it is for", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  const publisher = publish(on.server, "x?key=secret", { app: "closed" });
  try {
    await login(on, page, "admin");
    await page.locator('[data-broadcast="closed/x"]').waitFor();
    const token = await make(page, { kind: "jwt", path: "closed/x" });
    assert.match(token, /^ey[\w-]+\.[\w-]+\.[\w-]+$/);
    await plays("closed/x", `token=${token}`);
  } finally {
    await publisher.vanish();
  }
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

test("a signed URL that is made plays what it is for, and nothing else", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  const publishers = ["x", "y"].map((name) => publish(on.server, `${name}?key=secret`, { app: "closed" }));
  try {
    await login(on, page, "admin");
    for (const name of ["x", "y"]) await page.locator(`[data-broadcast="closed/${name}"]`).waitFor();
    const query = await make(page, { kind: "url", path: "closed/x" });
    await plays("closed/x", query);
    assert.equal((await fetch(`${on.server.url}/closed/y.flv?${query}`)).status, 403, "another broadcast");
    assert.equal((await fetch(`${on.server.url}/closed/x.flv?${query.replace("closed", "clos*d")}`)).status, 403, "it was changed");
    // Who publishes by it needs another one.
    const publishing = await make(page, { kind: "url", path: "closed/z", act: "publish" });
    const third = publish(on.server, `z?${publishing}`, { app: "closed" });
    publishers.push(third);
    await page.getByRole("link", { name: "Broadcasts" }).click();
    await page.locator('[data-broadcast="closed/z"]').waitFor();
  } finally {
    for (const publisher of publishers) await publisher.vanish();
  }
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

test("what is wrong in a form stands beside its field, and nothing is made", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  await login(on, page, "admin", "/console?view=keys");
  const form = page.locator("[data-making=key]");
  await form.locator("summary").click();
  const path = form.getByRole("textbox", { name: "Path" });
  const send = () => form.getByRole("button", { name: "New stream key" }).click();
  assert.equal(await path.getAttribute("aria-invalid"), null);
  assert.match(await description(path), /^A path as in live\/show/);

  await send();
  await isWrong(path, /Fill this in\./);
  await path.fill("live/a*");
  await isRight(path);
  await send();
  await isWrong(path, /This is not a path: a \* stands for one whole element, as in "live\/\*"/);
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "console-key-wrong");
  await path.fill("alone");
  await send();
  await isWrong(path, /a pattern is app\/name/);
  await page.getByText("No key yet.").waitFor();
  assert.equal(await page.locator("[data-secret]").count(), 0);
  await path.fill("live/mended");
  await send();
  await page.locator("[data-secret]").waitFor();
  await isRight(path);
  await page.getByRole("row", { name: /live\/mended/ }).waitFor();
  assert.deepEqual(unexpected(complaints, 400), []);
  await context.close();
});

test("the token form says beside each field what is wrong in it, also in Chinese", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  await login(on, page, "admin", "/console?view=keys");
  const form = page.locator("[data-making=token]");
  await form.locator("summary").click();
  const path = form.locator("input[name=path]");
  const address = form.locator("input[name=ip]");
  const send = form.locator("button[type=submit]");
  await send.click();
  await isWrong(path, /Fill this in\./);
  await path.fill("live/show");
  await address.fill("300.1.2.3");
  await send.click();
  await isWrong(address, /This is not an address: write an address, or a network/);
  await isRight(path);
  await path.fill("**/x");
  await send.click();
  await isWrong(path, /This is not a path: \*\* stands only at the end/);
  await isRight(address);
  await page.getByLabel("Language").selectOption("zh-CN");
  await send.click();
  await isWrong(path, /路径无效：/);
  await path.fill(" ");
  await send.click();
  await isWrong(path, /请填写此项。/);
  assert.deepEqual(await violations(page), []);
  assert.equal(await page.locator("[data-secret]").count(), 0, "nothing is made");
  assert.deepEqual(unexpected(complaints, 400), []);
  await context.close();
});

/** What a screen reader says after the name. @param {import("playwright-core").Locator} input */
function description(input) {
  return input.evaluate((element) => (element.getAttribute("aria-describedby") ?? "").split(" ")
    .map((id) => document.getElementById(id)?.textContent?.trim().replaceAll(/\s+/g, " ")).join(" "));
}

/** The field is marked, described by its mistake, and has the focus. @param {import("playwright-core").Locator} input @param {RegExp} words */
async function isWrong(input, words) {
  const field = input.locator("xpath=..");
  await field.locator("[data-wrong]").filter({ hasText: words }).waitFor();
  await field.locator("input[aria-invalid=true]:focus").waitFor();
  assert.match(await description(input), words);
}

/** @param {import("playwright-core").Locator} input */
async function isRight(input) {
  const field = input.locator("xpath=..");
  await field.locator("input:not([aria-invalid])").waitFor();
  await field.locator("[data-wrong]").waitFor({ state: "detached" });
}

/**
 * Makes a token or a signed URL's query.
 * @param {import("playwright-core").Page} page
 * @param {{ kind: "jwt" | "url", path: string, act?: "play" | "publish" }} wanted
 */
async function make(page, { kind, path, act = "play" }) {
  if (await page.locator("[data-view=keys]").count() === 0) await page.getByRole("link", { name: "Keys and tokens" }).click();
  const form = page.locator("[data-making=token]");
  await form.waitFor();
  if (await form.getAttribute("open") === null) await form.locator("summary").click();
  await form.getByLabel("Kind").selectOption(kind);
  await form.getByLabel("It allows to").selectOption(act);
  await form.getByRole("textbox", { name: "Path" }).fill(path);
  await form.getByRole("button", { name: "New token" }).click();
  const shown = page.locator("[data-secret]");
  const text = await shown.locator("dd code").innerText();
  await shown.getByRole("button", { name: "Done" }).click();
  await shown.waitFor({ state: "detached" });
  return text;
}

/** A broadcast that is closed to strangers plays with this query, over FLV and HLS. @param {string} path @param {string} query */
async function plays(path, query) {
  for (const target of [`${path}.flv`, `${path}/index.m3u8`]) {
    assert.equal((await fetch(`${on.server.url}/${target}`)).status, 403, "strangers are let in");
  }
  const viewer = await watch(`${on.server.url}/${path}.flv?${query}`);
  assert.equal(viewer.status, 200);
  await viewer.plays();
  await viewer.leave();
  const list = await fetch(`${on.server.url}/${path}/index.m3u8?${query}`);
  assert.equal(list.status, 200);
  assert.match(await list.text(), /^#EXTM3U/);
}

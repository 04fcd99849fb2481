// The console: what is live as it changes, and what an operator can end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage } from "../support/browser.js";
import { login, stage, unexpected, watch } from "../support/console.js";
import { publish } from "../support/publisher.js";

const on = stage({ bad: true });
/** A few groups of ten seconds have to come in before they are told. */
const HEALTH_MS_MAX = 40_000;

test("what begins and ends appears and disappears without a reload", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  await login(on, page, "viewer");
  const row = page.locator('[data-broadcast="live/new"]');
  await page.locator("[data-broadcast]").first().waitFor();
  assert.equal(await row.count(), 0);
  const publisher = publish(on.server, "new?key=secret");
  try {
    await row.filter({ hasText: "H.264 · 320×180" }).waitFor();
    await row.filter({ hasText: "bit/s" }).waitFor();
    await row.getByRole("link").click();
    await page.getByRole("heading", { name: "live/new" }).waitFor();
    await page.getByRole("row", { name: /Video.*H\.264.*320×180/ }).waitFor();
    const viewer = await watch(`${on.server.url}/live/new.flv`);
    await page.getByRole("row", { name: new RegExp(`HTTP-FLV.*${viewer.address}`) }).waitFor();
    assert.equal(await page.locator("[data-action^=kick], [data-action=takeover], [data-action=end]").count(), 0,
      "a viewer's role only looks");
    await viewer.leave();
    await page.getByText("Nobody watches now.").waitFor();
  } finally {
    await publisher.vanish();
  }
  await page.locator("[data-health=waiting]").waitFor();
  await page.getByRole("link", { name: "← Broadcasts" }).click();
  await row.waitFor();
  await row.waitFor({ state: "detached", timeout: 25_000 });
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

test("a publisher with rare keyframes is told what to do, and an operator kicks it", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  await login(on, page, "operator", "/console?view=broadcast&path=live/bad");
  const advice = page.locator("[data-advice=keyframes_rare]");
  await advice.waitFor({ timeout: HEALTH_MS_MAX });
  assert.match(await advice.innerText(), /Keyframes too far apart[^]*Set the keyframe interval to 2 s \(OBS: Settings → Output/);
  await page.getByText("Figures", { exact: true }).click();
  const figures = page.locator("dl").and(page.getByLabel("Figures"));
  for (const [name, like] of /** @type {[string, RegExp][]} */ ([
    ["Picture", /^comes · [1-9][\d.]* [kM]bit\/s/],
    ["Sound", /^comes · [1-9]/],
    ["Frames per second", /^2[45]\.\d of 25$/],
    ["Keyframe interval", /^(9\.9|10\.\d) s, at most (9\.9|10\.\d) s$/],
    ["Last keyframe", /^\d\.\d s ago$|^10\.\d s ago$/],
    ["Keyframe gaps", /^[1-9] in the last minute$/],
    ["B-frames", /^off$/],
    ["Latest frame", /^[\d,]+ ms$/],
    ["Mended timestamps", /^0, 0 in the last minute$/],
    ["Reconnects", /^0, 0 in the last minute$/],
  ])) {
    const value = figures.locator("div").filter({ has: page.getByText(name, { exact: true }) }).locator("dd");
    await value.filter({ hasText: like }).waitFor({ timeout: 15_000 }).catch(async () => assert.fail(`${name}: ${await value.textContent()}`));
  }
  await page.goto(`${on.server.admin}/console`);
  const row = page.locator('[data-broadcast="live/bad"]');
  await row.filter({ hasText: /(Warning|Problem)[^]*Keyframes too far apart/ }).waitFor();
  await row.getByRole("link").click();
  await page.locator("[data-action=kick]").click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.locator("dialog[open]").waitFor({ state: "hidden" });
  await page.locator("[data-action=kick]").click();
  await confirm(page, "Kick");
  await page.getByRole("status").filter({ hasText: "The publisher was kicked." }).waitFor();
  await on.bad.ended();
  await page.locator("[data-health=waiting]").waitFor();
  await page.getByRole("link", { name: "Activity" }).click();
  await page.locator('[data-event="session.ended"]').filter({ hasText: "kicked" }).first().waitFor();
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

test("a viewer who is kicked ends, and nobody else", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  const publisher = publish(on.server, "watched?key=secret");
  try {
    await login(on, page, "operator");
    await page.locator('[data-broadcast="live/watched"] a').click();
    await page.getByText("Nobody watches now.").waitFor();
    const url = `${on.server.url}/live/watched.flv`;
    const [kicked, stays] = [await watch(url), await watch(url)];
    const row = (/** @type {typeof stays} */ viewer) => page.getByRole("row").filter({ hasText: viewer.address });
    await row(stays).waitFor();
    await row(kicked).getByRole("button", { name: `Kick ${kicked.address}` }).click();
    await page.getByRole("dialog").filter({ hasText: "Kick this viewer?" }).waitFor();
    await confirm(page, "Kick");
    await page.getByRole("status").filter({ hasText: "The viewer was kicked." }).waitFor();
    await kicked.ended();
    await row(kicked).waitFor({ state: "detached" });
    await row(stays).waitFor();
    await stays.plays();
    await page.getByRole("link", { name: "Activity" }).click();
    const ended = page.locator('[data-event="session.ended"]').filter({ hasText: "live/watched" });
    await ended.filter({ hasText: "kicked" }).waitFor();
    assert.equal(await ended.count(), 1, "one session ended");
    await stays.plays();
    await stays.leave();
  } finally {
    await publisher.vanish();
  }
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

test("another publisher takes a broadcast over once it is let, and viewers stay", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  const first = publish(on.server, "handed?key=secret");
  let next = first;
  try {
    await login(on, page, "operator");
    await page.locator('[data-broadcast="live/handed"] a').click();
    await page.locator("[data-action=takeover]").waitFor();
    const viewer = await watch(`${on.server.url}/live/handed.flv`);
    // Nobody may yet.
    await publish(on.server, "handed?key=secret").ended();
    assert.ok(first.runs());
    await page.locator("[data-action=takeover]").click();
    await page.getByRole("dialog").filter({ hasText: "For 60 seconds" }).waitFor();
    await confirm(page, "Allow");
    await page.getByRole("status").filter({ hasText: "may take over within 60 seconds" }).waitFor();
    next = publish(on.server, "handed?key=secret");
    await first.ended();
    await page.locator("[data-health=ok], [data-health=warning]").waitFor();
    await viewer.plays();
    assert.ok(next.runs());
    await viewer.leave();
    await page.getByRole("link", { name: "Activity" }).click();
    await page.locator('[data-event="session.ended"]').filter({ hasText: /live\/handed.*another publisher took over/ }).waitFor();
  } finally {
    await first.vanish();
    await next.vanish();
  }
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

test("a line comes into the log as it is written, if its level is asked for", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  await login(on, page, "viewer", "/console?view=activity");
  await page.locator("[data-line]").first().waitFor();
  const lines = page.locator("[data-line]").filter({ hasText: "live/logged" });
  assert.equal(await lines.count(), 0);
  const publisher = publish(on.server, "logged?key=secret");
  try {
    await lines.first().waitFor();
    // Its level is said, not only shown.
    assert.match(await lines.first().textContent() ?? "", /Info/);
    await page.getByLabel("At least").selectOption("warn");
    await lines.first().waitFor({ state: "detached" });
    const wrong = await fetch(`${on.server.admin}/v1/whoami`, { headers: { authorization: "Bearer wrong" } });
    assert.equal(wrong.status, 401);
    await page.locator("[data-line].warn").filter({ hasText: "credential is wrong" }).last().waitFor();
    assert.equal(await page.locator("[data-line].info").count(), 0, "lines below the level");
  } finally {
    await publisher.vanish();
  }
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

test("the server's figures and plots follow what happens", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  await login(on, page, "viewer", "/console?view=node");
  const figure = (/** @type {string} */ name) => page.getByRole("listitem").filter({ has: page.getByText(name, { exact: true }) }).locator("b");
  // Nobody else comes in this test; who was there before may still go.
  await figure("Publishers").filter({ hasText: /^0$/ }).waitFor();
  await figure("Viewers").filter({ hasText: /^0$/ }).waitFor();
  const plot = page.getByRole("img", { name: /^Outgoing over the last minute/ });
  await plot.locator("canvas").waitFor();
  const drawn = () => plot.locator("canvas").evaluate((canvas) => /** @type {HTMLCanvasElement} */ (canvas).toDataURL());
  const before = await drawn();
  const publisher = publish(on.server, "counted?key=secret");
  try {
    await figure("Publishers").filter({ hasText: /^1$/ }).waitFor();
    await figure("Incoming").filter({ hasText: /^[1-9]/ }).waitFor();
    const viewer = await watch(`${on.server.url}/live/counted.flv`);
    await figure("Viewers").filter({ hasText: /^1$/ }).waitFor();
    await figure("Outgoing").filter({ hasText: /^[1-9]/ }).waitFor();
    // The curve says in words what it draws.
    await page.getByRole("img", { name: /^Outgoing over the last minute: [1-9].*Incoming over the last minute: [1-9]/ }).waitFor();
    assert.notEqual(await drawn(), before, "the curve is drawn anew");
    await viewer.leave();
    await figure("Viewers").filter({ hasText: /^0$/ }).waitFor();
  } finally {
    await publisher.vanish();
  }
  await figure("Publishers").filter({ hasText: /^0$/ }).waitFor();
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

/** @param {import("playwright-core").Page} page @param {string} name */
const confirm = (page, name) => page.getByRole("dialog").getByRole("button", { name }).click();

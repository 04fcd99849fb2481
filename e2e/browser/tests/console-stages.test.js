// The console: a stage is opened, somebody is invited, muted and removed; a match begins and ends.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, screenshot, violations } from "../support/browser.js";
import { login, stage, unexpected } from "../support/console.js";

const on = stage();

test("a stage is opened, its guest comes by the address that is shown, is muted and removed, and the stage ends", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  await login(on, page, "operator", "/console?view=stages");
  await page.locator("[data-none]").waitFor();
  await page.locator("[data-making=stage] summary").click();
  await page.locator("[data-making=stage] input[name=path]").fill("live/talk");
  await page.locator("[data-making=stage] input[name=title]").fill("Evening <b>talk</b>");
  await page.locator("[data-making=stage] button[type=submit]").click();
  const panel = page.locator('[data-stage="live/talk"]');
  await panel.filter({ hasText: "Evening <b>talk</b>" }).waitFor();
  await panel.locator("summary").click();
  await panel.locator("input[name=name]").fill("Alice!");
  await panel.locator("button[type=submit]").click();
  await panel.locator("[data-wrong=name]").filter({ hasText: "small letters" }).waitFor();
  await panel.locator("input[name=name]").fill("alice");
  await panel.locator("button[type=submit]").click();
  const link = await panel.locator("[data-secret] code").innerText();
  const port = on.server.ports.http;
  assert.match(link, new RegExp(`^http://127\\.0\\.0\\.1:${port}/stage\\?path=live%2Ftalk#invitation=`));
  await panel.getByRole("row", { name: /alice/ }).filter({ hasText: "invited" }).waitFor();

  const guest = await openPage(on.browser);
  await guest.page.goto(link);
  await guest.page.click("[data-action=come]");
  await guest.page.waitForSelector("[data-phase=here]");
  const row = panel.getByRole("row", { name: /alice/ });
  await row.filter({ hasText: "on the stage" }).waitFor();
  await screenshot(page, "console-stages");
  assert.deepEqual(await violations(page), []);
  await row.locator("[data-action=audio]").click();
  await row.filter({ hasText: "Sound on" }).waitFor();
  await guest.page.getByRole("status").filter({ hasText: "Your sound was turned off" }).waitFor();
  await row.locator("[data-action=remove]").click();
  await page.locator("dialog[open] [data-action=confirm]").click();
  await row.waitFor({ state: "detached" });
  await guest.page.waitForSelector("[data-phase=gone]");
  await guest.context.close();

  const matches = page.locator("[data-matches]");
  await matches.locator("summary").click();
  await matches.locator("input[name=between]").fill("live/talk");
  await matches.locator("input[name=other]").fill("live/b");
  await matches.locator("button[type=submit]").click();
  await matches.getByRole("row", { name: /live\/talk · live\/b/ }).waitFor();
  await matches.locator("[data-action=end-match]").click();
  await page.locator("dialog[open] [data-action=confirm]").click();
  await matches.getByRole("row", { name: /live\/b/ }).waitFor({ state: "detached" });
  await panel.locator("[data-action=end-stage]").click();
  await page.locator("dialog[open] [data-action=confirm]").click();
  await panel.waitFor({ state: "detached" });
  assert.deepEqual(unexpected(complaints, 400), []);
  await context.close();
});

test("who may only look sees the stages and no buttons", async () => {
  const { page, context } = await openPage(on.browser);
  await login(on, page, "viewer", "/console?view=stages");
  await page.locator("[data-none]").waitFor();
  assert.equal(await page.locator("[data-making]").count(), 0);
  await context.close();
});

// The console: the configuration that holds, and reading it again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage } from "../support/browser.js";
import { CONFIG, TOKENS, login, stage, unexpected } from "../support/console.js";

const on = stage();

test("the configuration is shown without secrets, and a reload tells what it did", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  await login(on, page, "admin", "/console?view=config");
  await page.getByRole("heading", { name: "[publish]" }).waitFor();
  const text = await page.locator("main").innerText();
  assert.match(text, new RegExp(`127\\.0\\.0\\.1:${on.server.ports.http}`));
  for (const secret of [...Object.values(TOKENS), '"secret"']) assert.ok(!text.includes(secret), "a secret is shown");
  const result = page.locator("[data-result]");
  await page.locator("[data-action=reload]").click();
  await result.filter({ hasText: "Nothing has changed." }).waitFor();
  on.server.write(CONFIG.replace("[[auth.jwt]]", "[hls]\nlow_latency = 3\n[[auth.jwt]]"));
  await page.locator("[data-action=reload]").click();
  await result.filter({ hasText: /the old one stays[^]*line \d+[^]*low_latency/ }).waitFor();
  on.server.write(CONFIG.replace("[[auth.jwt]]", "[log]\nlevel = \"debug\"\n[[auth.jwt]]"));
  await page.locator("[data-action=reload]").click();
  // The server sees the file change too, and may have been first.
  await result.filter({ hasText: /Now in force:[^]*log\.level|Nothing has changed\./ }).waitFor();
  await page.reload();
  await page.getByRole("region", { name: "[log]" }).filter({ hasText: "debug" }).waitFor();
  assert.deepEqual(unexpected(complaints, 409), []);
  await context.close();
});

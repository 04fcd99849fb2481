// The console: who gets in, and what each role is shown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, screenshot, violations } from "../support/browser.js";
import { TOKENS, login, stage, unexpected } from "../support/console.js";

const on = stage({ demo: true });

test("a wrong token is told, a right one opens, and logging out closes", async () => {
  const { page, context, complaints } = await openPage(on.browser);
  await page.goto(`${on.server.admin}/console?view=node`);
  const token = page.getByLabel("Administrator's token");
  await token.fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "This token is wrong" }).waitFor();
  assert.equal(await token.getAttribute("aria-invalid"), "true");
  assert.match(await description(token), /This token is wrong/);
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "console-login");
  await token.fill(TOKENS.viewer);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Server", exact: true }).waitFor();
  assert.equal(await page.evaluate(() => document.cookie + JSON.stringify(localStorage)), "{}", "scripts can't read the credential");
  await page.reload();
  await page.getByRole("heading", { name: "Server", exact: true }).waitFor();
  await page.getByRole("button", { name: "Log out" }).click();
  await token.waitFor();
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

for (const role of /** @type {const} */ (["viewer", "operator"])) {
  test(`keys and tokens are not for the role ${role}, who is told whom they need`, async () => {
    const { page, context, complaints } = await openPage(on.browser);
    await login(on, page, role, "/console?view=keys");
    await page.getByText("Keys and tokens need an administrator of the role admin.").waitFor();
    assert.equal(await page.locator("form, [data-making], table").count(), 0, "there is nothing to try");
    assert.deepEqual(await violations(page), []);
    // Nothing was asked for that would have been refused.
    assert.deepEqual(unexpected(complaints), []);
    await context.close();
  });
}

test("where there is no API, the console says where it is", async () => {
  const { page, context } = await openPage(on.browser);
  await page.goto(`${on.demo.url}/console`);
  await page.getByRole("status").filter({ hasText: "http://127.0.0.1:9080/console" }).waitFor();
  await context.close();
});

/** What a screen reader says after the name. @param {import("playwright-core").Locator} input */
async function description(input) {
  return input.evaluate((element) => (element.getAttribute("aria-describedby") ?? "").split(" ")
    .map((id) => document.getElementById(id)?.textContent).join(" "));
}

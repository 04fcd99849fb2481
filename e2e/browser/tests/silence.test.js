// When the player takes a silence for a lost way: soon, but rarely, and not when that is how the broadcast comes.

import assert from "node:assert/strict";
import { test } from "node:test";

const { LOOK_MS, Silence } = await import(/** @type {string} */ ("../../../web/player/silence.js"));

/**
 * When the way was tried anew, in ms, of what came at these times.
 * @param {number} until_ms
 * @param {(ms: number) => boolean} comes whether something came since the look before
 * @param {(ms: number) => boolean} looks whether the browser looked
 */
function attempts(until_ms, comes, looks = () => true) {
  const [silence, found] = [new Silence(), /** @type {number[]} */ ([])];
  let bytes = 0;
  for (let ms = 0; ms <= until_ms; ms += LOOK_MS) {
    if (comes(ms)) bytes += 1000;
    if (looks(ms) && silence.hear(1e6 + ms, bytes)) found.push(ms);
  }
  return found;
}

test("what comes all the time is left alone", () => {
  assert.deepEqual(attempts(60_000, () => true), []);
  assert.deepEqual(attempts(60_000, (ms) => ms % 600 === 0), [], "in pieces");
});

test("before anything came there is nothing to miss", () => {
  assert.deepEqual(attempts(20_000, () => false), []);
  assert.deepEqual(attempts(20_000, (ms) => ms === 400), []);
});

test("a silence is tried twice, soon and once more, and then waited out", () => {
  const [first, second, ...more] = attempts(60_000, (ms) => ms <= 5000);
  assert.ok(first - 5000 >= 700 && first - 5000 <= 1000, `${first}`);
  assert.ok(second - first >= 1000 && second - first <= 2000, `${second}`);
  assert.deepEqual(more, []);
});

test("a way that is lost again soon is tried again as soon", () => {
  const lost = (/** @type {number} */ ms) => (ms > 5000 && ms < 6200) || (ms > 12_000 && ms < 13_200);
  const found = attempts(20_000, (ms) => !lost(ms));
  assert.equal(found.length, 2, `${found}`);
  assert.ok(found[0] < 6100 && found[1] < 13_100, `${found}`);
});

test("a publisher who comes and goes makes two attempts in half a minute, not more", () => {
  const found = attempts(60_000, (ms) => ms % 3000 < 1200);
  assert.ok(found.length <= 4, `${found}`);
});

test("pictures that come every second are known to do so", () => {
  const found = attempts(60_000, (ms) => ms % 1000 === 0);
  assert.ok(found.length <= 2 && found.every((ms) => ms < 4000), `${found}`);
  const [lost] = attempts(60_000, (ms) => ms % 1000 === 0 && ms <= 40_000).filter((ms) => ms > 10_000);
  assert.ok(lost > 41_900 && lost < 42_500, `${lost}`);
});

test("a browser that slept missed nothing", () => {
  assert.deepEqual(attempts(60_000, () => true, (ms) => ms < 5000 || ms > 20_000), []);
  const [first] = attempts(60_000, (ms) => ms < 5000, (ms) => ms < 5000 || ms > 20_000);
  assert.ok(first > 20_400, `${first}: it listens first`);
});

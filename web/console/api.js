/**
 * The administrators' API of the origin that this page came from. The login is a cookie that scripts can't read.
 * @module
 */

/** An answer that takes longer counts as none. */
const ANSWER_MS_MAX = 10_000;

/** Tells `login` when the server wants a credential. */
export const refusals = new EventTarget();

/** Why something was refused: the status (0: no answer at all), the server's words, and the field that they are about. */
export class Refused extends Error {
  /** @param {number} status @param {string} detail @param {string | null} field */
  constructor(status, detail, field = null) {
    super(detail);
    this.status = status;
    this.field = field;
  }
}

/**
 * @param {string} path below `/v1`
 * @param {{ method?: string, body?: unknown, text?: string }} options `body` goes as JSON, `text` as it is
 * @returns {Promise<any>} the JSON of the answer, or null if it has none
 */
export async function ask(path, { method = "GET", body, text } = {}) {
  const headers = body !== undefined ? { "content-type": "application/json" } : undefined;
  /** @type {Response} */
  let answer;
  try {
    answer = await fetch(`/v1/${path}`, {
      method, headers, body: body !== undefined ? JSON.stringify(body) : text,
      cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
  } catch {
    throw new Refused(0, "");
  }
  const json = /json/.test(answer.headers.get("content-type") ?? "") ? await answer.json() : null;
  if (answer.ok) return json;
  if (answer.status === 401 && path !== "login") refusals.dispatchEvent(new Event("login"));
  throw new Refused(answer.status, json?.detail ?? "", json?.field ?? null);
}

/** A broadcast's address in the API: its path in one element. @param {string} path */
export const ofBroadcast = (path) => `broadcasts/${encodeURIComponent(path)}`;

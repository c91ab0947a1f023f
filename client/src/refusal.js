/**
 * Why a request got no events.
 */

// What a request of the same kind would get again. A proxy's own page with such a status may be
// gone in a moment, so only the hub's answers count.
const FINAL = [400, 403, 404, 405, 413, 414, 415, 431];

const PROBLEM = 'application/problem+json';

export class Refusal extends Error {
  name = 'Refusal';
  /** Of the answer; null where there was none. @type {?number} */
  status = null;
  /** As the answer says it. @type {?number} */
  retryAfterMs = null;
  /** Whether asking again cannot help. */
  isFinal = false;
}

/**
 * Reads what an answer says that is not the one that was asked for.
 * @param {Response} response
 * @param {string} [type] the content type that was asked for; without one, any is taken
 * @param {any} [env]
 * @returns {Promise<?Refusal>} null where the answer is as it should be
 */
export async function refusalOf(response, type = '', env = globalThis) {
  const { status, headers } = response;
  const got = headers.get('Content-Type') ?? '';
  if (response.ok && got.startsWith(type)) return null;
  const isProblem = got.startsWith(PROBLEM);
  const { detail, title } = isProblem ? await problemOf(response) : {};
  const reason = response.ok ? `expected ${type}, got ${got || 'no type'}` : `status ${status}`;
  return Object.assign(new Refusal(detail || title || reason), {
    status,
    retryAfterMs: millisecondsOf(headers.get('Retry-After'), env.Date.now()),
    // A hub of the release before, after a rollback, refuses what it cannot include; it may go.
    isFinal: isProblem && FINAL.includes(status) && !/^include/.test(detail),
  });
}

async function problemOf(response) {
  try {
    return (await response.json()) ?? {};
  } catch {
    return {};
  }
}

function millisecondsOf(retryAfter, nowMs) {
  if (!retryAfter) return null;
  const ms = /^\d+$/.test(retryAfter) ? retryAfter * 1_000 : Date.parse(retryAfter) - nowMs;
  return ms > 0 ? ms : null;
}

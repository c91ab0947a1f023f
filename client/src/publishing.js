/**
 * Publishes an update. Each has an id, so that the hub takes it once, however often it is sent.
 */

import { checkOptions, ofType, SIGNAL } from './options.js';
import { refusalOf } from './refusal.js';
import { Backoff, pause } from './timing.js';

const RETRIES = 3;

/** @type {Record<string, import('./options.js').Check>} */
const PUBLISH_OPTIONS = {
  private: ofType('boolean'),
  id: ofType('string'),
  type: ofType('string'),
  retry: ofType('number'),
  keep: [(value) => value === 'forever' || typeof value === 'number', "a number or 'forever'"],
  end: [(value) => value === true || typeof value === 'number', 'true or a number'],
  signal: SIGNAL,
};

/**
 * @param {object} update
 * @param {string[]} update.topics
 * @param {any} update.data a string as it is, anything else as JSON
 * @param {any} [update.options] as Hub.publish takes them
 * @param {{url: string, token: import('./token.js').Token, credentials?: RequestCredentials}} hub
 * @param {any} env
 * @returns {Promise<string>} the update's id
 * @throws {TypeError} where the update cannot be one
 * @throws {import('./refusal.js').Refusal} where the hub refuses, or does not answer to the last attempt
 */
export async function publish({ topics, data, options = {} }, { url, token, credentials }, env) {
  checkOptions('publish', options, PUBLISH_OPTIONS);
  const body = formOf(topics, data, { id: randomId(env), ...options });
  const { signal = new AbortController().signal } = options;
  const backoff = new Backoff(env);
  let mayRenew = true;
  for (let retries = 0; ; retries += 1) {
    const headers = await token.headers();
    signal.throwIfAborted();
    const answer = await post(url, { body, headers, credentials, signal }, env);
    if (typeof answer === 'string') return answer;
    signal.throwIfAborted();
    if (answer.status === 401 && mayRenew && (await token.refused(headers))) {
      mayRenew = false;
      continue;
    }
    // Without an answer the hub may have taken the update; then it answers with the same id.
    if (retries >= RETRIES || ![null, 200, 502, 503].includes(answer.status)) throw answer;
    await pause(Math.max(backoff.next(), answer.retryAfterMs ?? 0), signal, env);
    signal.throwIfAborted();
  }
}

/** Returns the id, or a Refusal. */
async function post(url, { headers, ...rest }, env) {
  try {
    const response = await env.fetch(url, { ...rest, method: 'POST', headers, cache: 'no-store' });
    // A page of HTML is a proxy's, and the hub has no part in it.
    return (await refusalOf(response, 'text/plain', env)) ?? (await response.text()).trim();
  } catch (error) {
    return Object.assign(error, { status: null });
  }
}

function formOf(topics, data, { id, private: isPrivate, signal, ...fields }) {
  const form = new URLSearchParams();
  for (const topic of topics) form.append('topic', topic);
  form.set('data', typeof data === 'string' ? data : (JSON.stringify(data) ?? ''));
  form.set('id', id);
  if (isPrivate) form.set('private', 'on');
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) form.set(name, value);
  }
  return form;
}

/** Not randomUUID, which does not exist on plain HTTP. */
function randomId(env) {
  const bytes = env.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

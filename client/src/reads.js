/**
 * Answers that end: the events that a stream would send, as one answer of JSON.
 */

import { ask, unbroken } from './asking.js';
import { rawEvent, rawGap } from './raw_event.js';
import { Backoff, orAborted, pause } from './timing.js';

/**
 * @typedef {object} Answer
 * @property {import('./raw_event.js').RawEvent[]} events `replay` is true
 * @property {?import('./raw_event.js').RawGap} gap
 * @property {boolean} more whether more events may be there at once
 * @property {boolean} ended
 * @property {string} cursor
 */

/**
 * @typedef {object} Question
 * @property {import('./request.js').HubRequest} request
 * @property {import('./token.js').Token} [token] not for readWith
 * @property {RequestCredentials} [credentials]
 * @property {string[]} keys
 * @property {Record<string, any>} [params] rewind, last_event_id, wait, limit
 * @property {AbortSignal} [signal]
 */

/**
 * Asks once; after a 401 once more, if there is another token.
 * @param {Question} question
 * @param {any} [env]
 * @returns {Promise<Answer>}
 * @throws {import('./refusal.js').Refusal} or what the token's function throws, or the signal's reason
 */
export async function read(question, env = globalThis) {
  const { token, signal = new AbortController().signal } = question;
  const headers = await orAborted(token.headers(), signal);
  try {
    return await readWith(headers, { ...question, signal }, env);
  } catch (error) {
    if (error.status !== 401 || !(await orAborted(token.refused(headers), signal))) throw error;
  }
  return readWith(await orAborted(token.headers(), signal), { ...question, signal }, env);
}

/**
 * Yields answers until one is not full. Where trying again can help, it does so for ever.
 * @param {Question} question
 * @param {any} [env]
 * @returns {AsyncGenerator<Answer, void, void>}
 * @throws {import('./refusal.js').Refusal} where the hub refuses for good, or after a 401 where there is no other token; the
 *   signal's reason
 */
export async function* pages(question, env = globalThis) {
  const { signal = new AbortController().signal } = question;
  const backoff = new Backoff(env);
  let params = question.params ?? {};
  for (;;) {
    let answer = null;
    try {
      answer = await read({ ...question, params, signal }, env);
    } catch (error) {
      signal.throwIfAborted();
      if (error.isFinal || error.status === 401) throw error;
      await pause(backoff.next() + (error.retryAfterMs ?? 0), signal, env);
      signal.throwIfAborted();
      continue;
    }
    backoff.reset();
    yield answer;
    if (!answer.more) return;
    // The next page goes on from this one; a rewind is never left for it.
    const { rewind, ...others } = params;
    params = { ...others, last_event_id: answer.cursor };
  }
}

/**
 * Asks once, with these headers.
 * @param {Record<string, string>} headers
 * @param {Question} question
 * @param {any} env
 * @returns {Promise<Answer>}
 * @throws {import('./refusal.js').Refusal} or the signal's reason
 */
export async function readWith(headers, { request, credentials, keys, params, signal }, env) {
  const address = request.address(keys, { include: 'match', ...params });
  const response = await ask(address, 'application/json', { headers, credentials, signal }, env);
  return unbroken(
    response.json().then((content) => answerOf(content, keys)),
    signal,
  );
}

function answerOf({ events, gap, more, ended, cursor }, keys) {
  return {
    events: events.map((event) => rawEvent(event, event.place, keys, true)),
    gap: gap && rawGap(gap, gap.to, cursor),
    more,
    ended,
    cursor,
  };
}

/**
 * Answers that end: the events that a stream would send, as one answer of JSON.
 */

import { ask, insist, unbroken, withToken } from './asking.js';
import { rawEvent, rawGap } from './raw_event.js';

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
 * @property {import('./token.js').Token} token
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
  const { request, token, credentials, keys, params, signal = new AbortController().signal } = question;
  const address = request.address(keys, { include: 'match', ...params });
  const send = (headers) => ask(address, 'application/json', { headers, credentials, signal }, env);
  return answerOf(await withToken(send, token, signal), keys, signal);
}

/**
 * Yields answers until one is not full. Where trying again can help, it does so for ever.
 * @param {Question} question
 * @param {any} [env]
 * @returns {AsyncGenerator<Answer, void, void>}
 * @throws {import('./refusal.js').Refusal} where the hub refuses for good; the signal's reason
 */
export async function* pages(question, env = globalThis) {
  const { signal = new AbortController().signal } = question;
  const isOver = ({ isFinal }) => isFinal;
  for (let { params = {} } = question; ; ) {
    const answer = await insist(() => read({ ...question, params, signal }, env), isOver, signal, env);
    yield answer;
    if (!answer.more) return;
    // The next page goes on from this one; a rewind is never left for it.
    params = { ...params, rewind: null, last_event_id: answer.cursor };
  }
}

/**
 * @param {Response} response to a read
 * @param {string[]} keys of the request
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 * @throws {import('./refusal.js').Refusal} where it breaks off, or the signal's reason
 */
export function answerOf(response, keys, signal) {
  return unbroken(
    response.json().then(({ events, gap, more, ended, cursor }) => ({
      events: events.map((event) => rawEvent(event, event.place, keys, true)),
      gap: gap && rawGap(gap, gap.to, cursor),
      more,
      ended,
      cursor,
    })),
    signal,
  );
}

/**
 * One connection: a request whose answer stays open, until it ends.
 *
 * It uses fetch and not EventSource, with cookies too, because fetch shows the status and the
 * headers of an answer, and can send a QUERY.
 */

import { ask, unbroken } from './asking.js';
import { EventParser } from './event_parser.js';

/**
 * @param {ReturnType<import('./request.js').HubRequest['address']>} address
 * @param {any} options as ask() takes them
 * @param {object} on
 * @param {(turnedAway: ?string) => void} on.open the headers are there; why the hub has no stream now
 * @param {() => void} on.bytes
 * @param {(events: import('./event_parser.js').ParsedEvent[]) => Promise<void>} on.events the next
 *   bytes are read once its promise is resolved
 * @param {any} env
 * @returns {Promise<{isOver: boolean, retryMs?: ?number}>} how it ended; isOver says that nothing more
 *   will come
 * @throws {import('./refusal.js').Refusal} where there was no stream, or it broke off; or the signal's
 *   reason
 */
export async function connection(address, options, on, env) {
  const response = await ask(address, 'text/event-stream', options, env);
  if (!response) return { isOver: true };
  const { signal } = options;
  signal.throwIfAborted();
  on.open(response.headers.get('Barestream-Turned-Away'));
  const parser = new EventParser();
  const reader = response.body.getReader();
  const cancel = () => reader.cancel().catch(() => {});
  signal.addEventListener('abort', cancel);
  try {
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await unbroken(reader.read(), signal);
      if (done) return { isOver: false, retryMs: parser.retryMs };
      on.bytes();
      await on.events(parser.push(value));
    }
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

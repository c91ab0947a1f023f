/**
 * One connection: a request whose answer stays open, until it ends.
 *
 * It uses fetch and not EventSource, with cookies too, because fetch shows the status and the
 * headers of an answer, and can send a QUERY.
 */

import { unbroken } from './asking.js';
import { EventParser } from './event_parser.js';
import { rawOf } from './raw_event.js';

// The hub sends the first event at once; another server only its headers.
const FIRST_EVENT_MS = 8_000;
const HEADERS_MS = 15_000;

/**
 * @param {import('./link.js').Link} link
 * @param {any} env
 * @returns {Promise<{isOver: boolean, retryMs?: ?number}>} how it ended; isOver says that nothing more
 *   will come
 * @throws {import('./refusal.js').Refusal} where there was no stream, or it broke off; or the signal's
 *   reason
 */
export async function connect(link, env) {
  const { request, keys, signal } = link;
  const firstMs = request.isOurs ? FIRST_EVENT_MS : HEADERS_MS;
  const response = await link.ask(request.stream(keys, link.cursor(), link.client), 'text/event-stream', firstMs);
  if (!response) return { isOver: true };
  signal.throwIfAborted();
  link.open(response.headers.get('Barestream-Turned-Away'));
  const parser = new EventParser();
  const reader = response.body.getReader();
  signal.addEventListener('abort', () => reader.cancel().catch(() => {}));
  // Another server does not say where the replay ends.
  let isReady = !request.isOurs;
  const rawAt = (event) => {
    const raw = rawOf(event, keys, !isReady);
    isReady ||= raw.kind === 'ready';
    return raw;
  };
  for (;;) {
    signal.throwIfAborted();
    const { done, value } = await unbroken(reader.read(), signal);
    if (done) return { isOver: false, retryMs: parser.retryMs };
    link.bytes();
    await link.raws(parser.push(value).map(rawAt));
  }
}

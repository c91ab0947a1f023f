/**
 * What a stream or a read tells of: plain objects, which can be posted to other tabs.
 */

import { isAfter, parseId } from './place.js';

/**
 * @typedef {object} RawEvent
 * @property {'event'} kind
 * @property {?string} place null where the id names none (only in the dialect mercure)
 * @property {?string} cursor what the hub takes back to go on after this event
 * @property {string[]} keys which of the wanted topics it is for
 * @property {?string} topic
 * @property {string} id the publisher's, else the place
 * @property {string} type
 * @property {string} data
 * @property {boolean} replay
 * @property {boolean} ends whether its first topic has ended
 */

/**
 * @typedef {object} RawGap
 * @property {'gap'} kind
 * @property {?string} place up to where events are gone
 * @property {?string} cursor
 * @property {?number} missed
 * @property {?string} from
 * @property {boolean} isBack whether it leads to an earlier place: the hub's clock was set back, and
 *   what follows is new although its places are not
 */

/**
 * @typedef {object} Sign tells only how far the stream has come
 * @property {'heartbeat' | 'ready'} kind
 * @property {?string} place
 * @property {?string} cursor
 *
 * @typedef {RawEvent | RawGap | Sign} Raw
 */

/**
 * @param {import('./event_parser.js').ParsedEvent} event
 * @param {string[]} keys those of the request
 * @param {boolean} replay
 * @returns {Raw}
 */
export function rawOf({ type, data, id, hasId }, keys, replay) {
  const parsed = parseId(id);
  const place = parsed?.place ?? null;
  const cursor = parsed?.cursor ?? (id || null);
  const [, kind] = /^barestream\.(gap|heartbeat|ready)$/.exec(type) ?? [];
  if (kind === 'gap') return rawGap(gapOf(data), place, cursor);
  if (kind) return { kind: /** @type {Sign['kind']} */ (kind), place, cursor };
  const { topic = null, matches = null, isEnd: end } = parsed ?? {};
  // Another server's id is the publisher's as a whole. An event without one has that of an event
  // before, which does not name it.
  const own = parsed ? parsed.ownId ?? place : hasId ? id : '';
  return rawEvent({ id: own, place, topic, type, data, matches, end }, cursor, keys, replay);
}

/**
 * @param {any} entry of a read's `events`
 * @param {?string} cursor
 * @param {string[]} keys those of the request
 * @param {boolean} replay
 * @returns {RawEvent}
 */
export function rawEvent({ id, place, topic, type, data, matches, end }, cursor, keys, replay) {
  // Without numbers each topic may be meant.
  const matched = matches?.map((number) => keys[number]).filter((key) => key != null) ?? keys;
  return { kind: 'event', place, cursor, keys: matched, topic, id, type, data, replay, ends: !!end };
}

/**
 * @param {{from: ?string, to: ?string, missed: ?number}} gap its data
 * @param {?string} place
 * @param {?string} cursor
 * @returns {RawGap}
 */
export function rawGap({ from = null, missed = null }, place, cursor) {
  const isBack = Boolean(from && place && isAfter(from, place));
  return { kind: 'gap', place, cursor, missed, from, isBack };
}

function gapOf(data) {
  try {
    return JSON.parse(data) ?? {};
  } catch {
    return {};
  }
}

/**
 * Ids of the hub, and the places in its history that they name.
 *
 * Forms: docs/http.md, "Ids". A cursor is sent back as it is; only places have an order.
 */

/**
 * @typedef {object} ParsedId
 * @property {string} cursor what the hub takes back: `#ms-seq`, with a tilde while a rewind is not over
 * @property {string} place `#ms-seq`: that of the update, or of the id itself where it has no update
 * @property {?string} topic the first of the update's topics that the request asked for
 * @property {?string} ownId the publisher's id
 * @property {?number[]} matches which of the request's topics the update matched, from 0
 * @property {boolean} isEnd whether the first topic of the update has ended with it
 */

const ID = /^#(\d+-\d+)(?:([~=])(\d+-\d+)?)?(;.*)?$/s;

/**
 * @param {?string} id
 * @returns {?ParsedId} null where the id is not of the hub's making
 */
export function parseId(id) {
  const match = ID.exec(id ?? '');
  if (!match) return null;
  const [, at, mark, own, rest = ''] = match;
  const [, topic = null, ownId = '', matches = '', end] = rest.split(';').map(decoded);
  return {
    cursor: `#${at}${mark === '~' ? mark : ''}`,
    place: `#${own ?? at}`,
    topic,
    ownId: ownId || null,
    matches: matches ? matches.split('.').map(Number) : null,
    isEnd: end === 'end',
  };
}

/**
 * Whether a place comes after another. Ids that name no place have no order and count as after.
 * @param {?string} place
 * @param {?string} other
 */
export function isAfter(place, other) {
  const a = numbers(place);
  const b = numbers(other);
  return !a || !b || a[0] > b[0] || (a[0] === b[0] && a[1] > b[1]);
}

/**
 * @param {?string} place
 * @returns {?number} milliseconds since 1970, null where the text names no place
 */
export function stampOf(place) {
  return numbers(place)?.[0] ?? null;
}

function numbers(place) {
  const match = /^#(\d+)-(\d+)/.exec(place ?? '');
  return match && [Number(match[1]), Number(match[2])];
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

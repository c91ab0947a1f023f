/**
 * How far a stream or a subscription has been told.
 */

import { isAfter, parseId } from './place.js';

// Of ids without an order, so many are known again after a reconnection.
const KNOWN_IDS = 200;

export class Progress {
  /** Where the next connection goes on. @type {?string} */
  cursor;

  /** @type {?string} */
  place;
  #ids = [];
  #knownIds = new Set();

  /** @param {?string} cursor */
  constructor(cursor) {
    this.reset(cursor);
  }

  /** @param {?string} cursor */
  reset(cursor) {
    this.cursor = cursor;
    this.place = parseId(cursor)?.place ?? null;
  }

  /** A connection begins. Only across connections may an event come again. */
  reconnect() {
    this.#knownIds = new Set(this.#ids);
  }

  /**
   * Goes on to what came, unless that or what follows it had come before.
   * @param {any} raw an event or a gap
   * @returns {boolean} whether it is new
   */
  take({ place, cursor, id, isBack }) {
    const isNew = place
      ? isAfter(place, this.place) || (isBack && place !== this.place)
      : !this.#knownIds.has(id);
    if (!isNew) return false;
    this.cursor = cursor ?? this.cursor;
    this.place = place ?? this.place;
    if (!place && id) this.#ids = [...this.#ids, id].slice(-KNOWN_IDS);
    return true;
  }
}

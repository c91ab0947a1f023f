/**
 * How a stream is, as a page is told.
 */

/**
 * @typedef {object} Detail
 * @property {'idle' | 'connecting' | 'catching up' | 'live' | 'waiting' | 'offline' | 'denied'
 *   | 'ended'} state
 * @property {?string} reason
 * @property {?number} retryAt in milliseconds since 1970
 * @property {?number} status of the answer that is the reason
 * @property {'stream' | 'reads'} via
 */

/** @type {Detail} */
export const IDLE = { state: 'idle', reason: null, retryAt: null, status: null, via: 'stream' };

/** @param {any} error what was thrown @returns {string} the reason */
export function reasonOf(error) {
  return String(error?.message ?? error);
}

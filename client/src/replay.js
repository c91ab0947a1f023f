/**
 * What a server without reads has of the past: a stream that is stopped once it has caught up.
 */

import { isAfter, stampOf } from './place.js';

// A server that no longer has the event would be waited for in vain.
const CAUGHT_UP_WITHIN_MS = 15_000;

/**
 * @param {import('./stream.js').Stream} stream not started
 * @param {object} range
 * @param {string} range.until the id of an event of this stream
 * @param {(batch: object[]) => void} range.pass
 * @param {AbortSignal} range.signal
 * @param {any} env
 * @returns {Promise<boolean>} whether it came as far as that event
 */
export function replay(stream, { until, pass, signal }, env) {
  const isThere = ({ place, cursor }) =>
    cursor === until || (stampOf(until) !== null && stampOf(place) !== null && !isAfter(until, place));
  return new Promise((resolve) => {
    const stop = (isWhole) => {
      stream.onBatch = () => {};
      stream.stop();
      env.clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      resolve(isWhole);
    };
    const timer = env.setTimeout(() => stop(false), CAUGHT_UP_WITHIN_MS);
    signal.addEventListener('abort', stop);
    stream.onBatch = (batch) => {
      pass(batch);
      if (batch.some(isThere)) stop(true);
    };
    stream.start();
  });
}

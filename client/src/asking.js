/**
 * Requests to the hub: one, one with the token that the hub takes, and as many as it needs.
 */

import { Refusal, refusalOf } from './refusal.js';
import { Backoff, orAborted, pause } from './timing.js';

/**
 * Asks once, until the answer begins.
 * @param {{url: string, method: string, body?: any, headers?: Record<string, string>}} address
 * @param {string} type the content type that is asked for
 * @param {object} options
 * @param {Record<string, string>} options.headers
 * @param {RequestCredentials} [options.credentials]
 * @param {AbortSignal} options.signal
 * @param {any} env
 * @returns {Promise<?Response>} null where nothing more will come (204)
 * @throws {Refusal} or the signal's reason
 */
export async function ask({ url, ...address }, type, { headers, credentials, signal }, env) {
  signal.throwIfAborted();
  const asked = {
    ...address,
    headers: { Accept: type, ...address.headers, ...headers },
    credentials,
    cache: 'no-store',
    signal,
  };
  // A fetch of the page's own may throw.
  const fetched = new Promise((resolve) => resolve(env.fetch(url, asked)));
  const response = await unbroken(fetched, signal);
  if (response.status === 204) return null;
  const refusal = await refusalOf(response, type, env);
  if (refusal) throw refusal;
  return response;
}

/**
 * Returns what the network gives. Browsers say nothing more about a network that fails, each in words
 * of its own.
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} signal what comes after it does not count: a fetch of the page's own may not
 *   know the signal
 * @returns {Promise<T>}
 * @throws {Refusal} or the signal's reason
 */
export async function unbroken(promise, signal) {
  const result = await promise.catch(() => null);
  if (signal.aborted) result?.body?.cancel().catch(() => {});
  signal.throwIfAborted();
  if (!result) throw new Refusal('no connection');
  return result;
}

/**
 * Asks with the token; after a 401 once more, if there is another token.
 * @template T
 * @param {(headers: Record<string, string>) => Promise<T>} attempt
 * @param {import('./token.js').Token} token
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 * @throws {Refusal} final where there is no other token; or what the token's function throws, or the
 *   signal's reason
 */
export async function withToken(attempt, token, signal) {
  const headers = await orAborted(token.headers(), signal);
  try {
    return await attempt(headers);
  } catch (error) {
    if (error.status !== 401) throw error;
    error.isFinal = !(await orAborted(token.refused(headers), signal));
    if (error.isFinal) throw error;
  }
  return attempt(await orAborted(token.headers(), signal));
}

/**
 * Tries until it succeeds, with a pause after each failure.
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {(error: any, delayMs: number) => boolean | void} isOver whether another attempt is useless
 * @param {AbortSignal} signal
 * @param {any} env
 * @returns {Promise<T>}
 * @throws {any} the last error, or the signal's reason
 */
export async function insist(attempt, isOver, signal, env) {
  const backoff = new Backoff(env);
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      const delayMs = backoff.next() + (error?.retryAfterMs ?? 0);
      if (isOver(error, delayMs)) throw error;
      await pause(delayMs, signal, env);
    }
  }
}

/**
 * One request for events, until its answer begins.
 */

import { Refusal, refusalOf } from './refusal.js';

/**
 * @param {ReturnType<import('./request.js').HubRequest['address']>} address
 * @param {string} type the content type that is asked for
 * @param {object} options
 * @param {Record<string, string>} options.headers
 * @param {RequestCredentials} [options.credentials]
 * @param {AbortSignal} options.signal
 * @param {any} env
 * @returns {Promise<?Response>} null where nothing more will come (204)
 * @throws {Refusal} or the signal's reason
 */
export async function ask(address, type, { headers, credentials, signal }, env) {
  signal.throwIfAborted();
  const { url, ...rest } = address;
  const asked = {
    ...rest,
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

/**
 * barestream.js: live updates of a hub in a page, over one stream for all tabs.
 */

import { Hub } from './hub.js';

export { DeniedError } from './denied_error.js';

/**
 * @param {string | URL} [url] of the hub; a relative one is resolved against the page
 * @param {any} [options] see barestream.d.ts
 * @returns {Hub}
 */
export function connect(url = '/.well-known/mercure', options = {}) {
  const base = globalThis.document?.baseURI;
  const address = new URL(url, base).href;
  return new Hub(address, options, options.fetch ? withFetch(options.fetch) : globalThis);
}

/** What the client uses of the outside, with another fetch. Functions of a window need it as `this`. */
function withFetch(fetch) {
  return new Proxy(globalThis, {
    get(target, name) {
      if (name === 'fetch') return fetch;
      const value = target[name];
      return typeof value === 'function' && !value.prototype ? value.bind(target) : value;
    },
  });
}

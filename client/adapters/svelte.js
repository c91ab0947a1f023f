// Stores for Svelte. Each subscribes to its topics while something in the page uses it.

import { readable } from 'svelte/store';

import { collectEvents, reduceEvents } from './collect.js';

/** @type {typeof import('./svelte.js').events} */
export function events(hub, topics, options = {}) {
  return readable(/** @type {import('../barestream.js').HubEvent[]} */ ([]), (set) => {
    const subscription = collectEvents(hub, topics, options, set);
    return () => {
      subscription.close();
      set([]);
    };
  });
}

/** @type {typeof import('./svelte.js').liveState} */
export function liveState(hub, topics, options) {
  return readable(/** @type {any} */ (undefined), (set) => {
    const subscription = reduceEvents(hub, topics, options, set);
    return () => {
      subscription.close();
      set(undefined);
    };
  });
}

/** @type {typeof import('./svelte.js').hubState} */
export function hubState(hub) {
  return readable(hub.detail, (set) => {
    const tell = () => set(hub.detail);
    tell();
    hub.addEventListener('statechange', tell);
    return () => hub.removeEventListener('statechange', tell);
  });
}

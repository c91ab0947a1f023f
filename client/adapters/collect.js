// What the adapters share: subscriptions that gather their events into one value.

/** @typedef {import('../barestream.js').Hub} Hub */
/** @typedef {import('../barestream.js').Topic} Topic */
/** @typedef {import('../barestream.js').HubEvent} HubEvent */
/** @typedef {import('../barestream.js').Subscription} Subscription */

// A page that shows a list shows about so many.
const LIMIT = 100;

/**
 * Subscribe, and tell the newest events after each batch.
 *
 * @param {Hub} hub
 * @param {Topic | Topic[]} topics
 * @param {import('./collect.js').EventsOptions} options
 * @param {(events: HubEvent[]) => void} tell
 * @returns {Subscription}
 */
export function collectEvents(hub, topics, { limit = LIMIT, ...options }, tell) {
  /** @type {HubEvent[]} */
  let shown = [];
  return hub.subscribe(topics, {
    ...options,
    onEvents(events) {
      shown = [...shown, ...events].slice(-limit);
      tell(shown);
      options.onEvents?.(events);
    },
    onGap(gap) {
      // The rewind comes again, and would repeat what is shown.
      if (options.rewind !== undefined) tell((shown = []));
      options.onGap?.(gap);
    },
  });
}

/**
 * Subscribe, and tell the state after each batch.
 *
 * @template S
 * @param {Hub} hub
 * @param {Topic | Topic[]} topics
 * @param {import('./collect.js').LiveStateOptions<S>} options
 * @param {(state: S) => void} tell
 * @returns {Subscription}
 */
export function reduceEvents(hub, topics, { reduce, ...options }, tell) {
  /** @type {S} */
  let state;
  return hub.subscribe(topics, {
    ...options,
    onState(first) {
      tell((state = first));
      options.onState?.(first);
    },
    onEvents(events) {
      tell((state = events.reduce(reduce, state)));
      options.onEvents?.(events);
    },
  });
}

// What the adapters share: subscriptions that gather their events into one value.

/** @typedef {import('../barestream.js').Hub} Hub */
/** @typedef {import('../barestream.js').Topic} Topic */
/** @typedef {import('../barestream.js').HubEvent} HubEvent */

// A page that shows a list shows about so many.
const LIMIT = 100;

/**
 * Subscribe, and tell the newest events after each batch.
 *
 * @param {Hub} hub
 * @param {Topic | Topic[]} topics
 * @param {import('./collect.js').EventsOptions} options
 * @param {(events: HubEvent[]) => void} tell
 * @returns {{ close(): void }}
 */
export function collectEvents(hub, topics, { limit = LIMIT, ...options }, tell) {
  /** @type {HubEvent[]} */
  let shown = [];
  const followed = {
    ...options,
    /** @param {HubEvent[]} events */
    onEvents(events) {
      shown = [...shown, ...events].slice(-limit);
      tell(shown);
      options.onEvents?.(events);
    },
    /** @param {import('../barestream.js').Gap} gap */
    onGap(gap) {
      // The rewind comes again, and would repeat what is shown.
      if (options.rewind !== undefined) tell((shown = []));
      options.onGap?.(gap);
    },
  };
  return subscribeForUser(hub, topics, followed, () => tell((shown = [])));
}

/**
 * Subscribe, and tell the state after each batch.
 *
 * @template S
 * @param {Hub} hub
 * @param {Topic | Topic[]} topics
 * @param {import('./collect.js').LiveStateOptions<S>} options
 * @param {(state: S | undefined) => void} tell
 * @returns {{ close(): void }}
 */
export function reduceEvents(hub, topics, { reduce, ...options }, tell) {
  /** @type {any} */
  let state;
  const followed = {
    ...options,
    /** @param {S} first */
    onState(first) {
      tell((state = first));
      options.onState?.(first);
    },
    /** @param {HubEvent[]} events */
    onEvents(events) {
      tell((state = events.reduce(reduce, state)));
      options.onEvents?.(events);
    },
  };
  return subscribeForUser(hub, topics, followed, () => tell((state = undefined)));
}

/**
 * Subscribe, and forget what was gathered when another user is here.
 *
 * @param {Hub} hub
 * @param {Topic | Topic[]} topics
 * @param {any} options
 * @param {() => void} forget
 */
function subscribeForUser(hub, topics, options, forget) {
  const subscription = hub.subscribe(topics, options);
  hub.addEventListener('userchange', forget);
  return {
    close() {
      hub.removeEventListener('userchange', forget);
      subscription.close();
    },
  };
}

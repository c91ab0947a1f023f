// Hooks for React.

import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';

import { collectEvents, reduceEvents } from './collect.js';

/** @type {import('../barestream.js').Detail} */
const IDLE = { state: 'idle', reason: null, retryAt: null, status: null, via: 'stream' };

/**
 * The options with functions that call those of the newest render, so that a render opens nothing
 * anew.
 *
 * @param {{ current: any }} latest
 */
function following(latest) {
  const options = { ...latest.current };
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== 'function') continue;
    options[name] = (/** @type {any[]} */ ...given) => latest.current[name]?.(...given);
  }
  return options;
}

/**
 * @param {import('../barestream.js').Hub | null} hub
 * @param {import('../barestream.js').Topic | import('../barestream.js').Topic[]} topics
 * @param {any} options
 * @param {(topics: any, options: any) => { close(): void }} subscribe
 * @param {() => void} [reset]
 */
function useFollowed(hub, topics, options, subscribe, reset) {
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  // An array written in the component is another object at each render.
  const wanted = JSON.stringify([topics, options.rewind]);
  useEffect(() => {
    if (!hub) return;
    const subscription = subscribe(JSON.parse(wanted)[0], following(latest));
    return () => {
      subscription.close();
      reset?.();
    };
  }, [hub, wanted]);
}

/** @type {typeof import('./react.js').useSubscription} */
export function useSubscription(hub, topics, options = {}) {
  useFollowed(hub, topics, options, (wanted, latest) =>
    /** @type {import('../barestream.js').Hub} */ (hub).subscribe(wanted, latest),
  );
}

/** @type {typeof import('./react.js').useEvents} */
export function useEvents(hub, topics, options = {}) {
  const [events, setEvents] = useState(/** @type {import('../barestream.js').HubEvent[]} */ ([]));
  useFollowed(
    hub,
    topics,
    options,
    (wanted, latest) =>
      collectEvents(/** @type {import('../barestream.js').Hub} */ (hub), wanted, latest, setEvents),
    () => setEvents([]),
  );
  return events;
}

/** @type {typeof import('./react.js').useLiveState} */
export function useLiveState(hub, topics, options) {
  const [state, setState] = useState(/** @type {any} */ (undefined));
  useFollowed(
    hub,
    topics,
    options,
    (wanted, latest) =>
      reduceEvents(
        /** @type {import('../barestream.js').Hub} */ (hub),
        wanted,
        latest,
        // A state may be a function, which React would call.
        (told) => setState(() => told),
      ),
    () => setState(undefined),
  );
  return state;
}

/** @type {typeof import('./react.js').useHubState} */
export function useHubState(hub) {
  const listen = useCallback(
    (/** @type {() => void} */ tell) => {
      hub?.addEventListener('statechange', tell);
      return () => hub?.removeEventListener('statechange', tell);
    },
    [hub],
  );
  return useSyncExternalStore(
    listen,
    () => hub?.detail ?? IDLE,
    () => IDLE,
  );
}

// Composables for Vue.

import { getCurrentInstance, onMounted, onScopeDispose, shallowRef, toRaw, toValue, watch } from 'vue';

import { collectEvents, reduceEvents } from './collect.js';

/**
 * @param {any} topics
 * @param {any} options
 * @param {(topics: any) => { close(): void }} subscribe
 */
function follow(topics, options, subscribe) {
  const start = () =>
    watch(
      () => JSON.stringify([toValue(topics), options.rewind]),
      (wanted, _, onCleanup) => {
        const subscription = subscribe(JSON.parse(wanted)[0]);
        onCleanup(() => subscription.close());
      },
      { immediate: true },
    );
  // A component that is rendered on a server is never mounted.
  if (getCurrentInstance()) onMounted(() => void start());
  else start();
}

/** @type {typeof import('./vue.js').useSubscription} */
export function useSubscription(hub, topics, options = {}) {
  follow(topics, options, (wanted) => toRaw(hub).subscribe(wanted, options));
}

/** @type {typeof import('./vue.js').useEvents} */
export function useEvents(hub, topics, options = {}) {
  const events = shallowRef(/** @type {import('../barestream.js').HubEvent[]} */ ([]));
  follow(topics, options, (wanted) => {
    events.value = [];
    return collectEvents(toRaw(hub), wanted, options, (told) => (events.value = told));
  });
  return events;
}

/** @type {typeof import('./vue.js').useLiveState} */
export function useLiveState(hub, topics, options) {
  const state = shallowRef(/** @type {any} */ (undefined));
  follow(topics, options, (wanted) => {
    state.value = undefined;
    return reduceEvents(toRaw(hub), wanted, options, (told) => (state.value = told));
  });
  return state;
}

/** @type {typeof import('./vue.js').useHubState} */
export function useHubState(hub) {
  const of = toRaw(hub);
  const detail = shallowRef(of.detail);
  const tell = () => (detail.value = of.detail);
  of.addEventListener('statechange', tell);
  onScopeDispose(() => of.removeEventListener('statechange', tell));
  return detail;
}

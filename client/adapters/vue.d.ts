import type { MaybeRefOrGetter, ShallowRef } from 'vue';

import type { Detail, Hub, HubEvent, SubscribeOptions, Topic } from '../barestream.js';
import type { EventsOptions, LiveStateOptions } from './collect.js';

export type { EventsOptions, LiveStateOptions };

type Topics = MaybeRefOrGetter<Topic | Topic[]>;

/**
 * Subscribe while the component is mounted, or until the effect scope ends. If the topics change,
 * it subscribes anew.
 */
export function useSubscription<S = unknown>(hub: Hub, topics: Topics, options?: SubscribeOptions<S>): void;

/** The newest events of some topics, oldest first. */
export function useEvents(hub: Hub, topics: Topics, options?: EventsOptions): ShallowRef<HubEvent[]>;

/** What `getState` returns, brought up to date by each event; `undefined` before it is there. */
export function useLiveState<S>(
  hub: Hub,
  topics: Topics,
  options: LiveStateOptions<S>,
): ShallowRef<S | undefined>;

/** What the hub's stream is doing, to show it. */
export function useHubState(hub: Hub): ShallowRef<Detail>;

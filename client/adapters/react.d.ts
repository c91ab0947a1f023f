import type { Detail, Hub, HubEvent, SubscribeOptions, Topic } from '../barestream.js';
import type { EventsOptions, LiveStateOptions } from './collect.js';

export type { EventsOptions, LiveStateOptions };

/**
 * Subscribe while the component is mounted. Other topics or another `rewind` subscribe anew; other
 * callbacks do not.
 *
 * @param hub Made outside of the component, by `connect`; `null` on a server.
 */
export function useSubscription<S = unknown>(
  hub: Hub | null,
  topics: Topic | Topic[],
  options?: SubscribeOptions<S>,
): void;

/** The newest events of some topics, oldest first. */
export function useEvents(hub: Hub | null, topics: Topic | Topic[], options?: EventsOptions): HubEvent[];

/** What `getState` returns, brought up to date by each event; `undefined` before it is there. */
export function useLiveState<S>(
  hub: Hub | null,
  topics: Topic | Topic[],
  options: LiveStateOptions<S>,
): S | undefined;

/** What the hub's stream is doing, to show it. */
export function useHubState(hub: Hub | null): Detail;

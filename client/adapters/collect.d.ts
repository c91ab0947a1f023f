import type { Callbacks, FromHere, FromState, Hub, HubEvent, Topic } from '../barestream.js';

export type EventsOptions = Callbacks &
  FromHere & {
    /** How many of the newest events are kept. Default: 100. */
    limit?: number;
  };

export type LiveStateOptions<S> = Callbacks &
  FromState<S> & {
    /** Returns the state after an event; another object, not the changed one. */
    reduce(state: S, event: HubEvent): S;
  };

export function collectEvents(
  hub: Hub,
  topics: Topic | Topic[],
  options: EventsOptions,
  tell: (events: HubEvent[]) => void,
): { close(): void };

export function reduceEvents<S>(
  hub: Hub,
  topics: Topic | Topic[],
  options: LiveStateOptions<S>,
  tell: (state: S | undefined) => void,
): { close(): void };

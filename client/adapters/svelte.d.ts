import type { Readable } from 'svelte/store';

import type { Detail, Hub, HubEvent, Topic } from '../barestream.js';
import type { EventsOptions, LiveStateOptions } from './collect.js';

export type { EventsOptions, LiveStateOptions };

/** The newest events of some topics, oldest first. */
export function events(hub: Hub, topics: Topic | Topic[], options?: EventsOptions): Readable<HubEvent[]>;

/** What `getState` returns, brought up to date by each event; `undefined` before it is there. */
export function liveState<S>(
  hub: Hub,
  topics: Topic | Topic[],
  options: LiveStateOptions<S>,
): Readable<S | undefined>;

/** What the hub's stream is doing, to show it. */
export function hubState(hub: Hub): Readable<Detail>;

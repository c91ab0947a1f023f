// Each of these is a mistake: the compiler must refuse it.

import { connect } from 'barestream';

// @ts-expect-error: a token is a text or a function
connect('/hub', { token: 7 });
// @ts-expect-error: an option of another name
connect('/hub', { tokens: 'a.jwt' });
// @ts-expect-error: no version of Mercure
connect('/hub', { protocol: '2.0' });
// @ts-expect-error: an expiry is a date or a number
connect('/hub', { renew: () => '2026-11-27' });

const hub = connect();
// @ts-expect-error: only the hub sets its state
hub.state = 'live';
// @ts-expect-error: no state of this name
export const isOpen = hub.state === 'open';
// @ts-expect-error: a topic is missing
hub.subscribe();
// @ts-expect-error: a pattern is a text
hub.subscribe({ pattern: 1 });
// @ts-expect-error: seconds end in s
hub.subscribe('/a', { rewind: '30' });
// @ts-expect-error: rewind and from exclude each other
hub.subscribe('/a', { rewind: 1, from: 'earliest' });
// @ts-expect-error: rewind and getState exclude each other
hub.subscribe('/a', { rewind: 1, getState: () => ({ state: 1, cursor: '#1-0' }) });
// @ts-expect-error: from and getState exclude each other
hub.subscribe('/a', { from: 'earliest', getState: () => ({ state: 1, cursor: '#1-0' }) });
// @ts-expect-error: onState needs getState
hub.subscribe('/a', { onState: () => {} });
// @ts-expect-error: a state has its cursor
hub.subscribe('/a', { getState: () => ({ state: 1 }) });
hub.subscribe('/a', {
  getState: () => ({ state: 1, cursor: '#1-0' }),
  // @ts-expect-error: the state is a number
  onState: (state) => state.length,
});
// @ts-expect-error: data is missing
hub.publish('/a');
// @ts-expect-error: a kept value is kept for seconds or forever
hub.publish('/a', 1, { keep: true });
// @ts-expect-error: the callback gets one event
hub.subscribe('/a', { onEvent: (events) => events.map(String) });
// @ts-expect-error: who is there is known of one exact topic
hub.presence({ pattern: '/rooms/:id' });
// @ts-expect-error: a callback of another name
hub.presence('/rooms/1', { onJoin: () => {} });
// @ts-expect-error: only the hub changes the members
hub.presence('/rooms/1').members.clear();
// @ts-expect-error: topics are texts
hub.leave(1);

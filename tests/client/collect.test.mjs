import assert from 'node:assert/strict';
import { test } from 'node:test';

import { collectEvents, reduceEvents } from '../../client/adapters/collect.js';

class FakeHub extends EventTarget {
  closed = 0;

  subscribe(_topics, options) {
    this.options = options;
    return { close: () => (this.closed += 1) };
  }
}

test('a list forgets the events of the user before', () => {
  const hub = new FakeHub();
  const told = [];
  const followed = collectEvents(hub, 'a', {}, (events) => told.push(events));
  hub.options.onEvents(['of ada']);
  hub.dispatchEvent(new Event('userchange'));
  hub.options.onEvents(['of bob']);
  assert.deepEqual(told, [['of ada'], [], ['of bob']]);
  followed.close();
  hub.dispatchEvent(new Event('userchange'));
  assert.equal(told.length, 3);
  assert.equal(hub.closed, 1);
});

test('a state of the user before is forgotten until that of the other is there', () => {
  const hub = new FakeHub();
  const told = [];
  reduceEvents(hub, 'a', { reduce: (sum, one) => sum + one }, (state) => told.push(state));
  hub.options.onState(1);
  hub.options.onEvents([2]);
  hub.dispatchEvent(new Event('userchange'));
  hub.options.onState(10);
  assert.deepEqual(told, [1, 3, undefined, 10]);
});

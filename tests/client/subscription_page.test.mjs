import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { DeniedError } from '../../client/src/denied_error.js';
import { keyOf } from '../../client/src/request.js';
import { FakeHost, replayed, secondOf } from './fake_host.mjs';
import { gap, placeOf, update } from './fake_stream.mjs';

let host;

beforeEach(() => {
  host = new FakeHost();
});

test('two subscriptions share an update of two topics, each told once', async () => {
  const a = host.subscribe(['news', 'sport']);
  const b = host.subscribe(['sport', 'weather']);
  await host.browser.settle();
  host.say(update(101, { keys: ['news', 'sport'] }), update(102, { keys: ['weather'] }));
  assert.deepEqual(a.record.seconds, [101]);
  assert.deepEqual(b.record.seconds, [101, 102]);
});

test('a pattern is told apart from a topic of the same text', async () => {
  const { record } = host.subscribe({ pattern: '/orders/:id' });
  await host.browser.settle();
  host.say(update(101, { keys: ['/orders/:id'] }), update(102, { keys: [keyOf({ pattern: '/orders/:id' })] }));
  assert.deepEqual(record.seconds, [102]);
});

test('the end is told once all topics have ended, after their last updates', async () => {
  const order = [];
  const { record } = host.subscribe(['a', 'b'], {
    onEvent: (event) => order.push(secondOf(event)),
    onEnd: () => order.push('end'),
  });
  await host.browser.settle();
  host.say(update(101, { keys: ['a'], ends: true }));
  host.say(update(102, { keys: ['b'] }), update(103, { keys: ['b'], ends: true }));
  assert.deepEqual(order, [101, 102, 103, 'end']);
  assert.equal(host.parts.size, 0);
  assert.equal(host.ended, true);
  assert.equal(record.gaps.length, 0);
});

test('an end that comes during a read is told after what was read', async () => {
  const order = [];
  host.subscribe('news', {
    rewind: 5,
    onEvent: (event) => order.push(secondOf(event)),
    onEnd: () => order.push('end'),
  });
  await host.browser.settle();
  for (const part of host.parts) part.ended(['news']);
  assert.deepEqual(order, []);
  await host.answer({ events: replayed(99), cursor: placeOf(100) });
  assert.deepEqual(order, [99, 'end']);
});

test('of a topic with a pattern beside it no end is told', async () => {
  const { record } = host.subscribe(['a', { pattern: '/b/:id' }]);
  await host.browser.settle();
  host.say(update(101, { keys: ['a'], ends: true }));
  assert.equal(record.ends, 0);
});

test('a callback that throws is reported, and stops nothing', async () => {
  const { record } = host.subscribe('news', {
    onEvent: () => {
      throw new Error('a fault of the page');
    },
    onGap: async () => {
      throw new Error('another fault');
    },
  });
  await host.browser.settle();
  host.say(101, 102, gap(103));
  await host.answer({ cursor: placeOf(103) });
  assert.deepEqual(record.batches, [2]);
  assert.deepEqual(host.reported.map(({ message }) => message), [
    'a fault of the page',
    'a fault of the page',
    'another fault',
  ]);
});

test('close() in a callback stops the rest of the batch', async () => {
  const seconds = [];
  const { subscription } = host.subscribe('news', {
    onEvent(event) {
      seconds.push(secondOf(event));
      subscription.close();
    },
  });
  await host.browser.settle();
  host.say(101, 102);
  assert.deepEqual(seconds, [101]);
  assert.equal(subscription.cursor, placeOf(101));
});

test('the signal closes, and one that is aborted already opens nothing', async () => {
  const controller = new AbortController();
  const { record } = host.subscribe('news', { signal: controller.signal, rewind: 3 });
  await host.browser.settle();
  controller.abort();
  assert.equal(host.parts.size, 0);
  await host.browser.settle();
  const { subscription } = host.subscribe('news', { signal: controller.signal });
  assert.equal(host.parts.size, 0);
  for await (const event of subscription) assert.fail(`no event: ${event}`);
  assert.deepEqual(record.seconds, []);
  assert.equal(host.reported.length, 0);
});

test('a long replay comes in batches, and the page breathes between', async () => {
  const { record } = host.subscribe('news', { from: 'earliest' });
  await host.browser.settle();
  const seconds = Array.from({ length: 1_000 }, (_, index) => index + 1);
  host.reads[0].resolve({ events: replayed(...seconds), gap: null, more: false, cursor: placeOf(1_000) });
  for (let round = 0; round < 20; round += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(record.batches, [500]);
  await host.browser.settle();
  assert.deepEqual(record.batches, [500, 500]);
});

test('a loop gets the events in order, and ends with the topic', async () => {
  const { subscription } = host.subscribe('news');
  const seconds = [];
  const loop = (async () => {
    for await (const event of subscription) seconds.push(secondOf(event));
  })();
  await host.browser.settle();
  host.say(101, 102);
  await host.browser.settle();
  host.say(update(103, { ends: true }));
  await loop;
  assert.deepEqual(seconds, [101, 102, 103]);
});

test('a loop that is left closes the subscription', async () => {
  const { subscription } = host.subscribe('news');
  const events = subscription[Symbol.asyncIterator]();
  const loop = (async () => {
    for await (const event of events) return secondOf(event);
  })();
  await host.browser.settle();
  host.say(101, 102);
  assert.equal(await loop, 101);
  assert.equal((await events.next()).done, true);
  assert.equal(host.parts.size, 0);
});

test('while a loop is behind, the cursor is that of what it has taken', async () => {
  const { subscription } = host.subscribe('news');
  const loop = subscription[Symbol.asyncIterator]();
  await host.browser.settle();
  host.say(101, 102);
  await loop.next();
  assert.equal(subscription.cursor, placeOf(101));
  await loop.next();
  assert.equal(subscription.cursor, placeOf(102));
});

test('a loop that is refused throws, what came before is still taken', async () => {
  const { subscription } = host.subscribe('news');
  const loop = subscription[Symbol.asyncIterator]();
  await host.browser.settle();
  host.say(101);
  for (const part of host.parts) part.deny(new DeniedError('no', 403));
  assert.equal(secondOf((await loop.next()).value), 101);
  await assert.rejects(loop.next(), (error) => error instanceof DeniedError && error.status === 403);
  assert.equal((await loop.next()).done, true);
  assert.equal(host.parts.size, 0);
});

test('a read that is refused for good is reported, and kept for whoever logs in', async () => {
  const { record } = host.subscribe('news', { rewind: 1 });
  await host.browser.settle();
  host.reads[0].reject(Object.assign(new Error('the token covers nothing'), { status: 401 }));
  await host.browser.settle();
  assert.equal(host.reported[0].message, 'the token covers nothing');
  const [part] = host.parts;
  assert.equal(part.refusal.status, 401);
  part.begin();
  await host.answer({ events: replayed(99), cursor: placeOf(100) });
  assert.equal(part.refusal, null);
  assert.deepEqual(record.seconds, [99]);
});

test('a loop that is much too slow gets what comes by a read, once it has room', async () => {
  const { subscription, record } = host.subscribe('news', { onEvent: undefined, onEvents: undefined });
  const loop = subscription[Symbol.asyncIterator]();
  await host.browser.settle();
  const [first, last, lastQueued] = [101, 10_700, 10_101];
  for (let second = first; second <= last; second += 1) host.say(second);
  await host.browser.settle();
  assert.equal(host.reads.length, 1);
  assert.equal(host.reads[0].params.last_event_id, placeOf(lastQueued));
  const rest = Array.from({ length: last - lastQueued }, (_, index) => lastQueued + 1 + index);
  await host.answer({ events: replayed(...rest), cursor: placeOf(last) });
  for (let second = first; second <= last; second += 1) {
    assert.equal(secondOf((await loop.next()).value), second);
    if (second % 500 === 0) await host.browser.settle();
  }
  host.say(last + 1);
  assert.equal(secondOf((await loop.next()).value), last + 1);
  assert.equal(record.gaps.length, 0);
});

test('a long replay waits for a slow loop, and loses nothing', async () => {
  const { subscription, record } = host.subscribe('news', {
    from: 'earliest',
    onEvent: undefined,
    onEvents: undefined,
  });
  const loop = subscription[Symbol.asyncIterator]();
  await host.browser.settle();
  const count = 12_000;
  const seconds = Array.from({ length: count }, (_, index) => index + 1);
  host.reads[0].resolve({ events: replayed(...seconds), gap: null, more: false, cursor: placeOf(count) });
  for (let second = 1; second <= count; second += 1) {
    if (second % 500 === 1) await host.browser.settle();
    assert.equal(secondOf((await loop.next()).value), second);
  }
  assert.equal(record.gaps.length, 0);
});

test('begun anew for another user, nothing that was held or queued is told', async () => {
  const { subscription, record } = host.subscribe('news', { rewind: 1 });
  const loop = subscription[Symbol.asyncIterator]();
  await host.answer({ events: replayed(99), cursor: placeOf(100) });
  const [part] = host.parts;
  part.begin();
  host.say(101);
  await host.browser.settle();
  await host.answer({ events: replayed(200), cursor: placeOf(200) });
  assert.deepEqual(record.seconds, [99, 200]);
  assert.equal(secondOf((await loop.next()).value), 200);
});

test('ids that name no place are told once each', async () => {
  host.hasReads = false;
  const ids = [];
  host.subscribe('news', { onEvent: ({ id }) => ids.push(id) });
  await host.browser.settle();
  const told = (id) => ({ ...update(1), place: null, cursor: id, id });
  for (const part of host.parts) {
    part.receive([told('urn:a'), told('urn:b')]);
    part.receive([told('urn:b'), told('urn:c')]);
  }
  assert.deepEqual(ids, ['urn:a', 'urn:b', 'urn:c']);
});

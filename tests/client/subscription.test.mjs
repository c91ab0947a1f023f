import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { FakeHost, replayed } from './fake_host.mjs';
import { gap, placeOf, update } from './fake_stream.mjs';

let host;

beforeEach(() => {
  host = new FakeHost();
});

test('without a start, what comes after the stream covers the topic is told', async () => {
  const { subscription, record } = host.subscribe('news');
  await host.browser.settle();
  assert.equal(host.reads.length, 0);
  assert.equal(subscription.cursor, placeOf(100));
  host.say(101, update(102, { keys: ['other'] }), 103);
  assert.deepEqual(record.seconds, [101, 103]);
  assert.deepEqual(record.batches, [2]);
  assert.equal(subscription.cursor, placeOf(103));
});

test('a rewind is read, and what the stream told meanwhile follows without loss or repeats', async () => {
  const { subscription, record } = host.subscribe('news', { rewind: 10 });
  await host.browser.settle();
  assert.deepEqual(host.reads[0].params, { rewind: 10, last_event_id: null });
  host.say(101, 102, 103);
  assert.deepEqual(record.seconds, []);
  await host.answer({ events: replayed(90, 101), cursor: placeOf(102) });
  assert.deepEqual(record.seconds, [90, 101, 103]);
  assert.deepEqual(record.replays, [true, true, false]);
  host.say(103, 104);
  assert.deepEqual(record.seconds, [90, 101, 103, 104]);
  assert.equal(subscription.cursor, placeOf(104));
});

test('what is told from a cursor on comes in pages, and the cursor moves with them', async () => {
  const { subscription, record } = host.subscribe('news', { from: placeOf(7) });
  await host.browser.settle();
  assert.equal(host.reads[0].params.last_event_id, placeOf(7));
  await host.answer({ events: replayed(8, 9), cursor: placeOf(9), more: true });
  assert.equal(subscription.cursor, placeOf(9));
  await host.answer({ events: replayed(10), cursor: placeOf(100) });
  assert.deepEqual(record.seconds, [8, 9, 10]);
});

test('the state comes first, and then what is after its cursor', async () => {
  const gaps = [];
  const getState = async (told) => {
    gaps.push(told);
    return { state: 'rows', cursor: placeOf(95) };
  };
  const { record } = host.subscribe('news', { getState });
  await host.browser.settle();
  assert.deepEqual(record.states, ['rows']);
  assert.equal(host.reads[0].params.last_event_id, placeOf(95));
  await host.answer({ events: replayed(96), cursor: placeOf(101) });
  host.say(101, 102);
  assert.deepEqual(record.seconds, [96, 102]);
  assert.deepEqual(gaps, [null]);
});

test('a state that cannot be had is asked for again, and the error is reported', async () => {
  let calls = 0;
  const getState = () => {
    calls += 1;
    if (calls === 1) throw new Error('the database is away');
    if (calls === 2) return { state: 'rows' };
    return { state: 'rows', cursor: placeOf(95) };
  };
  const { record } = host.subscribe('news', { getState });
  await host.browser.pass(30_000);
  assert.deepEqual(host.reported.map(({ message }) => message), [
    'the database is away',
    'cursor must be a string',
  ]);
  assert.deepEqual(record.states, ['rows']);
});

test('after a gap the state is asked for again, with the gap', async () => {
  const gaps = [];
  const getState = (told) => {
    gaps.push(told);
    return { state: gaps.length, cursor: placeOf(gaps.length * 100) };
  };
  const { record } = host.subscribe('news', { getState });
  await host.answer({ cursor: placeOf(100) });
  host.say(101, gap(150, { from: placeOf(101), missed: 40 }), 201);
  await host.answer({ events: replayed(200), cursor: placeOf(200) });
  const told = { missed: 40, from: placeOf(101), isBack: false };
  assert.deepEqual(record.gaps, [told]);
  assert.deepEqual(gaps, [null, told]);
  assert.deepEqual(record.states, [1, 2]);
  assert.deepEqual(record.seconds, [101, 200, 201]);
});

test('a state whose cursor the hub no longer knows is asked for again, not in a hurry', async () => {
  let calls = 0;
  const getState = () => ({ state: (calls += 1), cursor: placeOf(1) });
  const { record } = host.subscribe('news', { getState });
  await host.answer({ gap: gap(50, { from: placeOf(1) }), events: replayed(60), cursor: placeOf(60) });
  assert.equal(calls, 1);
  await host.browser.pass(3_000);
  assert.equal(calls, 2);
  await host.answer({ events: replayed(70), cursor: placeOf(101) });
  assert.equal(record.gaps.length, 1);
  assert.deepEqual(record.seconds, [70]);
});

test('after a gap a rewind is read anew', async () => {
  const { record } = host.subscribe('news', { rewind: 'kept' });
  await host.answer({ events: replayed(90), cursor: placeOf(100) });
  host.say(gap(150), 151);
  await host.browser.settle();
  assert.deepEqual(host.reads[1].params, { rewind: 'kept', last_event_id: null });
  await host.answer({ events: replayed(90, 140), cursor: placeOf(151) });
  assert.equal(record.gaps.length, 1);
  assert.deepEqual(record.seconds, [90, 90, 140]);
  host.say(152);
  assert.deepEqual(record.seconds.at(-1), 152);
});

test('after a gap without a state, what came since is read from it', async () => {
  const { subscription, record } = host.subscribe('news');
  await host.browser.settle();
  host.say(101, gap(150), 151);
  await host.browser.settle();
  assert.equal(host.reads[0].params.last_event_id, placeOf(150));
  await host.answer({ events: replayed(151), cursor: placeOf(151), ended: true });
  assert.deepEqual(record.seconds, [101, 151]);
  assert.equal(record.gaps.length, 1);
  assert.equal(record.ends, 1);
  assert.equal(subscription.cursor, placeOf(151));
});

test('a gap that two tabs were told of is told once', async () => {
  const { record } = host.subscribe('news');
  await host.browser.settle();
  host.say(gap(150));
  await host.answer({ cursor: placeOf(150) });
  host.say(gap(150), 151);
  assert.equal(record.gaps.length, 1);
  assert.deepEqual(record.seconds, [151]);
});

test('after a clock that was set back, earlier places are told', async () => {
  const { record } = host.subscribe('news');
  await host.browser.settle();
  host.say(5_000);
  host.say(gap(1_400, { from: placeOf(5_000), isBack: true }), 1_401);
  await host.answer({ cursor: placeOf(1_400) });
  host.say(1_402);
  assert.deepEqual(record.seconds, [5_000, 1_401, 1_402]);
  assert.deepEqual(record.gaps.map(({ isBack }) => isBack), [true]);
});

test('a clock that is set back during a read makes the read begin again', async () => {
  const { record } = host.subscribe('news', { rewind: 2 });
  await host.browser.settle();
  host.say(101, gap(50, { from: placeOf(101), isBack: true }), 51);
  await host.browser.settle();
  assert.equal(host.reads.length, 2);
  await host.answer({ events: replayed(49), cursor: placeOf(50) });
  assert.deepEqual(record.seconds, [49, 51]);
});

test('a gap of a read is told before its events', async () => {
  const { record } = host.subscribe('news', { from: placeOf(1) });
  await host.answer({ gap: gap(50, { from: placeOf(1) }), events: replayed(51), cursor: placeOf(100) });
  assert.equal(record.gaps.length, 1);
  assert.deepEqual(record.seconds, [51]);
});

test('a hole is read from the position, and held updates are not told twice', async () => {
  const { record } = host.subscribe('news');
  await host.browser.settle();
  host.say(101);
  for (const part of host.parts) part.hole();
  host.say(103);
  await host.browser.settle();
  assert.equal(host.reads[0].params.last_event_id, placeOf(101));
  await host.answer({ events: replayed(102, 103), cursor: placeOf(103) });
  host.say(104);
  assert.deepEqual(record.seconds, [101, 102, 103, 104]);
});

test('a hole during a read is read after it', async () => {
  const { record } = host.subscribe('news', { rewind: 1 });
  await host.browser.settle();
  for (const part of host.parts) part.hole();
  await host.answer({ events: replayed(99), cursor: placeOf(101) });
  assert.deepEqual(host.reads[1].params, { rewind: 1, last_event_id: placeOf(101) });
  await host.answer({ events: replayed(102), cursor: placeOf(102) });
  assert.deepEqual(record.seconds, [99, 102]);
});

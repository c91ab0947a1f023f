import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { FakeEnv, entry, heartbeat, idOf, jwt, ready } from './fake_env.mjs';
// Loaded on demand by the client: here at once, as the clock of these tests does not wait for it.
import '../../client/src/reading.js';
import { NOTHING_LEFT, delayMs, live, started } from './opened_stream.mjs';

let env;

beforeEach(() => {
  env = new FakeEnv();
});

const HTML = { 'Content-Type': 'text/html' };

/**
 * A token function whose answers the test gives, and how often it was asked. The cookie that is
 * asked for at first comes at once, and nobody knows when it ends.
 */
function asking(name = 'token') {
  const calls = [];
  let isFirst = name === 'renew';
  const ask = () => {
    if (isFirst) {
      isFirst = false;
      return null;
    }
    return new Promise((resolve, reject) => {
      calls.push({
        give: async (value) => {
          resolve(value);
          await env.settle();
        },
        fail: async (text) => {
          reject(new Error(text));
          await env.settle();
        },
      });
    });
  };
  return { calls, token: { [name]: ask } };
}

const endingIn = (seconds) => jwt({ exp: env.nowMs / 1_000 + seconds, jti: Math.random() });

// Delays.

test('delays grow to ten seconds, with jitter from one second up', async () => {
  const ceilingsMs = [3_000, 6_000, 10_000, 10_000];
  for (const random of [0, 0.5, 1]) {
    env = new FakeEnv();
    env.Math.random = () => random;
    const { stream } = await started(env);
    for (const ceilingMs of ceilingsMs) {
      await env.last.fail();
      assert.equal(delayMs(env, stream), 1_000 + random * (ceilingMs - 1_000));
      await env.advance(delayMs(env, stream));
    }
    stream.stop();
  }
});

test('a retry is made when it is due, and not before', async () => {
  const { stream, told } = await live(env);
  await env.last.cut();
  assert.deepEqual([stream.detail.state, stream.detail.reason], ['waiting', 'no connection']);
  assert.equal(delayMs(env, stream), 2_000);
  await env.advance(1_999);
  assert.equal(env.requests.length, 1);
  await env.advance(1);
  assert.equal(env.requests.length, 2);
  assert.equal(told.states.at(-1), 'connecting');
  assert.equal(stream.detail.retryAt, null);
});

test('an answer alone does not reset the delay, the first event does', async () => {
  const { stream } = await started(env);
  for (const expectedMs of [2_000, 3_500, 5_500]) {
    await env.last.stream();
    await env.last.cut();
    assert.equal(delayMs(env, stream), expectedMs);
    await env.advance(expectedMs);
  }
  await env.last.stream();
  await env.last.say(heartbeat(1));
  await env.last.cut();
  assert.equal(delayMs(env, stream), 2_000);
});

test('after a clean end the delay is what the server said last', async () => {
  const { stream } = await live(env);
  await env.last.say('retry: 700\n\n');
  await env.last.end();
  assert.deepEqual([stream.detail.state, stream.detail.reason], ['waiting', 'the stream ended']);
  assert.equal(delayMs(env, stream), 700);
});

test('a server that says no delay is not asked without a pause', async () => {
  const { stream } = await live(env);
  await env.last.say('retry: 0\n\n');
  await env.last.end();
  assert.equal(delayMs(env, stream), 100);
});

test('a connection that breaks off has no word in its delay', async () => {
  const { stream } = await live(env);
  await env.last.say('retry: 700\n\n');
  await env.last.cut();
  assert.equal(delayMs(env, stream), 2_000);
});

test('a stream that is turned away waits as long as it is told, and says why', async () => {
  const { stream } = await started(env);
  for (let turn = 0; turn < 4; turn += 1) {
    await env.last.stream({ 'Barestream-Turned-Away': 'full' });
    await env.last.say('retry: 2500\n\n');
    await env.last.end();
    assert.deepEqual([stream.detail.state, stream.detail.reason], ['waiting', 'full']);
    assert.equal(delayMs(env, stream), 2_500);
    await env.advance(2_500);
  }
  assert.equal(stream.detail.via, 'stream');
});

// Answers that are no stream.

test('a proxy, a busy hub and a page of HTML are waited for, with the reason', async () => {
  const { stream } = await started(env);
  for (const [reply, status, reason] of [
    [() => env.last.answer(502, '<html>', HTML), 502, 'status 502'],
    [() => env.last.problem(503, 'The worker stops.'), 503, 'The worker stops.'],
    [() => env.last.answer(429), 429, 'status 429'],
    [() => env.last.answer(404, '<html>', HTML), 404, 'status 404'],
    [() => env.last.answer(200, '<html>', HTML), 200, 'expected text/event-stream, got text/html'],
    [() => env.last.answer(200), 200, 'expected text/event-stream, got no type'],
    [() => env.last.fail(), null, 'no connection'],
  ]) {
    await reply();
    const { detail } = stream;
    assert.deepEqual([detail.state, detail.status, detail.reason], ['waiting', status, reason]);
    await env.advance(10_000);
  }
  await env.last.begin(1);
  assert.deepEqual([stream.detail.state, stream.detail.reason, stream.detail.status], ['live', null, null]);
});

test('Retry-After is kept to', async () => {
  const { stream } = await started(env);
  await env.last.answer(503, '', { 'Retry-After': '30' });
  assert.equal(delayMs(env, stream), 32_000);
});

test('what the hub refuses for good is denied, and not asked again until other topics are wanted', async () => {
  for (const status of [400, 403, 404, 405, 413, 414, 415, 431]) {
    env = new FakeEnv();
    const { stream } = await started(env);
    await env.last.problem(status, 'No such thing.');
    const { state, reason, retryAt } = stream.detail;
    assert.deepEqual([state, reason, retryAt], ['denied', 'No such thing.', null]);
    await env.goOnline();
    await env.fire('visibilitychange');
    await env.advance(600_000);
    assert.equal(env.requests.length, 1);
    assert.equal(env.rest.timers, 0);
    stream.want(['b']);
    await env.advance(0);
    assert.equal(env.requests.length, 2);
  }
});

// Tokens.

test('a token is asked for before the first request, and goes with it', async () => {
  const { calls, token } = asking();
  const { stream } = await started(env, { token });
  assert.deepEqual([env.requests.length, stream.detail.state], [0, 'connecting']);
  await calls[0].give('abc');
  assert.equal(env.last.headers.Authorization, 'Bearer abc');
});

test('a 401 without anything to ask is denied for good', async () => {
  for (const token of [{}, { token: 'abc' }]) {
    env = new FakeEnv();
    const { stream } = await started(env, { token });
    await env.last.problem(401, 'The token has ended.');
    const { state, reason, status, retryAt } = stream.detail;
    assert.deepEqual([state, reason, status, retryAt], ['denied', 'The token has ended.', 401, null]);
    await env.advance(600_000);
    assert.equal(env.requests.length, 1);
  }
});

test('after a 401 another token is asked for, and the stream goes on at once from its cursor', async () => {
  for (const name of ['token', 'renew']) {
    env = new FakeEnv();
    const { calls, token } = asking(name);
    await started(env, { token, cursor: idOf(4) });
    if (name === 'token') await calls.shift().give('one');
    await env.last.answer(401);
    assert.equal(calls.length, 1);
    assert.equal(env.requests.length, 1);
    await calls[0].give(name === 'token' ? 'two' : null);
    assert.equal(env.requests.length, 2);
    assert.equal(env.last.params.get('last_event_id'), idOf(4));
    assert.equal(env.last.headers.Authorization, name === 'token' ? 'Bearer two' : undefined);
  }
});

test('a token that is refused twice is denied for ten seconds and more, and then asked for anew', async () => {
  const { calls, token } = asking('renew');
  const { stream } = await started(env, { token });
  await env.last.answer(401);
  await calls[0].give(null);
  await env.last.problem(401, 'No.');
  assert.deepEqual([stream.detail.state, stream.detail.reason], ['denied', 'No.']);
  const first = delayMs(env, stream);
  assert.ok(first >= 10_000 && first <= 60_000);
  assert.equal(calls.length, 1);
  await env.advance(first);
  await env.last.answer(401);
  assert.equal(calls.length, 2);
  await calls[1].give(null);
  await env.last.answer(401);
  assert.ok(delayMs(env, stream) > first);
});

test('a renewal that fails is shown and tried again, and heals', async () => {
  const { calls, token } = asking('renew');
  const { stream } = await started(env, { token });
  await env.last.answer(401);
  await calls[0].fail('log in again');
  const { state, reason, status } = stream.detail;
  assert.deepEqual([state, reason, status], ['denied', 'log in again', 401]);
  const first = delayMs(env, stream);
  assert.ok(first >= 10_000 && first <= 60_000);
  await env.advance(first);
  await env.last.answer(401);
  await calls[1].give(null);
  await env.last.begin(1);
  assert.equal(stream.detail.state, 'live');
  await env.last.end();
  await env.advance(2_000);
  await env.last.answer(401);
  assert.equal(calls.length, 3);
});

test('a token function that fails at first is shown, and tried again', async () => {
  const { calls, token } = asking();
  const { stream } = await started(env, { token });
  await calls[0].fail('the backend is away');
  assert.deepEqual([stream.detail.state, stream.detail.reason], ['denied', 'the backend is away']);
  await env.advance(delayMs(env, stream));
  await calls[1].give('abc');
  assert.equal(env.last.headers.Authorization, 'Bearer abc');
});

test('a token function that never answers is shown, and called again', async () => {
  const { calls, token } = asking();
  const { stream } = await started(env, { token });
  await env.advance(32_000);
  assert.deepEqual([stream.detail.state, stream.detail.reason], ['waiting', 'no token came in time']);
  await env.advance(10_000);
  assert.equal(calls.length, 2);
  await calls[1].give('abc');
  assert.equal(env.last.headers.Authorization, 'Bearer abc');
  assert.equal(stream.detail.via, 'stream');
});

test('a renewal after a 401 that never answers is no silent start', async () => {
  const { calls, token } = asking('renew');
  const { stream } = await started(env, { token });
  for (let turn = 0; turn < 4; turn += 1) {
    await env.last.answer(401);
    await env.advance(32_000);
    assert.equal(stream.detail.reason, 'no token came in time');
    await env.advance(delayMs(env, stream));
  }
  assert.equal(stream.detail.via, 'stream');
  assert.ok(calls.length > 1);
});

test('before a token ends the stream is opened anew with another one, from its cursor', async () => {
  for (const name of ['token', 'renew']) {
    env = new FakeEnv();
    const { calls, token } = asking(name);
    const { stream, told } = await started(env, { token });
    const give = (call) =>
      call.give(name === 'token' ? endingIn(100) : new Date(env.nowMs + 100_000));
    if (name === 'renew') await env.last.answer(401);
    await give(calls[0]);
    await env.last.begin(5);
    for (let second = 0; second < 79; second += 10) {
      await env.advance(10_000);
      await env.last.say(heartbeat(5));
    }
    await env.advance(1_000);
    assert.equal(calls.length, 2);
    assert.equal(stream.detail.state, 'live');
    const before = env.last;
    await give(calls[1]);
    assert.ok(before.isAborted);
    assert.equal(env.last.params.get('last_event_id'), idOf(5));
    await env.last.begin(5);
    assert.ok(!told.states.includes('denied') && !told.states.includes('waiting'));
  }
});

test('a renewal ahead that fails leaves the stream live, says why, and is tried again', async () => {
  const { calls, token } = asking();
  const { stream } = await started(env, { token });
  await calls[0].give(endingIn(100));
  await env.last.begin(5);
  await env.advance(81_000);
  await calls[1].fail('away');
  assert.deepEqual([stream.detail.state, stream.detail.reason], ['live', 'away']);
  const open = env.last;
  await env.last.say(heartbeat(6));
  await env.advance(3_000);
  assert.equal(calls.length, 3);
  await calls[2].give(endingIn(100));
  assert.ok(open.isAborted);
  await env.last.begin(6);
  assert.deepEqual([stream.detail.state, stream.detail.reason], ['live', null]);
});

test('a stop while a token is renewed opens nothing, also when the renewal comes or fails later', async () => {
  for (const end of ['give', 'fail']) {
    env = new FakeEnv();
    const { calls, token } = asking('renew');
    const { stream } = await started(env, { token });
    await env.last.answer(401);
    stream.stop();
    await calls[0][end]('x');
    await env.advance(100_000);
    assert.equal(env.requests.length, 1);
    assert.deepEqual([stream.detail.state, env.rest], ['idle', NOTHING_LEFT]);
  }
});

test('topics that are wanted while a token is renewed ask for it once', async () => {
  const { calls, token } = asking('renew');
  const { stream } = await started(env, { token });
  await env.last.answer(401);
  stream.want(['a', 'b']);
  await env.advance(0);
  await env.last.answer(401);
  assert.equal(calls.length, 1);
  await calls[0].give(null);
  assert.equal(env.open.length, 1);
  await env.last.begin(1);
  assert.equal(stream.detail.state, 'live');
});

// A proxy that holds streams back.

/** Brings a stream that starts silently to reads. */
async function heldBack(options) {
  const both = await started(env, options);
  for (let start = 0; start < 3; start += 1) {
    await env.last.stream();
    await env.advance(10_000);
    if (start < 2) await env.advance(delayMs(env, both.stream));
  }
  return both;
}

test('after three silent starts reads take over, say so, and tell events in order', async () => {
  const { stream, told } = await heldBack({ keys: ['a', 'b'], cursor: idOf(1) });
  assert.equal(env.open.length, 1);
  assert.ok(env.last.isRead);
  assert.deepEqual([stream.detail.via, stream.detail.reason], ['reads', 'a proxy holds streams back']);
  assert.deepEqual([env.last.params.get('wait'), env.last.params.get('last_event_id')], ['0', idOf(1)]);
  const event = (second) => ({
    id: idOf(second),
    place: idOf(second),
    topic: 'b',
    type: 'message',
    data: '',
    matches: [1],
  });
  await env.last.json({ events: [event(2)], gap: null, more: true, ended: false, cursor: idOf(2) });
  assert.equal(stream.detail.state, 'catching up');
  await env.last.json({ events: [event(3)], gap: null, more: false, ended: false, cursor: idOf(4) });
  assert.deepEqual([stream.detail.state, stream.detail.via], ['live', 'reads']);
  assert.deepEqual([env.last.params.get('wait'), env.last.params.get('last_event_id')], ['25', idOf(4)]);
  await env.last.json({ events: [event(5)], gap: null, more: false, ended: false, cursor: idOf(5) });
  assert.deepEqual(told.events.map(({ place, keys, replay }) => [place, keys, replay]), [
    [idOf(2), ['b'], true],
    [idOf(3), ['b'], true],
    [idOf(5), ['b'], false],
  ]);
});

test('a start is silent too where not even the headers come', async () => {
  const { stream } = await started(env);
  for (let start = 0; start < 3; start += 1) {
    await env.advance(10_000);
    if (start < 2) await env.advance(delayMs(env, stream));
  }
  assert.equal(stream.detail.via, 'reads');
});

test('an event between silent starts begins the count anew, and other faults do not end it', async () => {
  const { stream } = await started(env);
  const silent = async () => {
    await env.last.stream();
    await env.advance(10_000);
    if (stream.detail.retryAt !== null) await env.advance(delayMs(env, stream));
  };
  await silent();
  await silent();
  await env.last.begin(1);
  await env.last.cut();
  await env.advance(10_000);
  await silent();
  await env.last.answer(502);
  await env.advance(10_000);
  await silent();
  assert.equal(stream.detail.via, 'stream');
  await silent();
  assert.equal(stream.detail.via, 'reads');
});

test('topics are covered, and come and go, by reads too', async () => {
  const { stream } = await heldBack();
  const covered = stream.covered(['a']);
  await env.last.json(nothing(7));
  assert.equal(await covered, idOf(7));
  const waiting = env.last;
  stream.want(['a', 'b']);
  const other = stream.covered(['b']);
  await env.advance(0);
  assert.equal(await other, idOf(7));
  assert.ok(waiting.isAborted);
  assert.deepEqual([env.last.params.getAll('topic'), env.last.params.get('last_event_id')], [['a', 'b'], idOf(7)]);
});

test('by reads too a gap comes before its events, a 401 renews, an end ends, a fault waits', async () => {
  const { calls, token } = asking('renew');
  const { stream, told } = await heldBack({ token, cursor: idOf(1) });
  await env.last.answer(401);
  await calls[0].give(null);
  assert.ok(env.last.isRead);
  await env.last.answer(502);
  assert.deepEqual([stream.detail.state, stream.detail.status, stream.detail.via], ['waiting', 502, 'reads']);
  await env.advance(10_000);
  assert.ok(env.last.isRead);
  const event = { id: idOf(9), place: idOf(9), topic: 'a', type: 'message', data: '', matches: [0] };
  await env.last.json({
    events: [event],
    gap: { from: idOf(1), to: idOf(8), missed: null },
    more: false,
    ended: true,
    cursor: idOf(9),
  });
  assert.deepEqual(told.batches.at(-1).map(({ kind }) => kind), ['gap', 'event']);
  assert.deepEqual([stream.detail.state, told.ended], ['ended', [['a']]]);
  await env.advance(600_000);
  assert.deepEqual([env.rest.timers, env.rest.requests], [0, 0]);
});

test('events of an answer that come before its gap are told before it', async () => {
  const { told } = await heldBack({ cursor: idOf(1) });
  const missed = { from: null, to: idOf(3), missed: null };
  await env.last.json({ ...nothing(4), events: [entry(2), entry(4)], gap: missed });
  assert.deepEqual(told.batches.flat().map(({ kind, place }) => [kind, place]), [
    ['event', idOf(2)],
    ['gap', idOf(3)],
    ['event', idOf(4)],
  ]);
  await env.last.json({ ...nothing(1), gap: { from: idOf(4), to: idOf(0), missed: null }, events: [entry(1)] });
  assert.deepEqual(told.seconds, [2, 4, 1]);
});

test('a read that does not answer in time is given up and asked again', async () => {
  const { stream } = await heldBack();
  await env.advance(17_000);
  assert.deepEqual([stream.detail.state, stream.detail.reason], ['waiting', 'nothing came in time']);
  await env.advance(10_000);
  assert.ok(env.last.isRead);
});

/** Answers reads for a time, or until there is a request that is none. */
async function readFor(seconds, { untilStream = false } = {}) {
  for (let passed = 0; passed < seconds; passed += 5) {
    if (untilStream && !env.last.isRead) return;
    if (env.last.isRead && env.last.isOpen) await env.last.json(nothing(2));
    await env.advance(5_000);
  }
}

function nothing(second) {
  return { events: [], gap: null, more: false, ended: false, cursor: idOf(second) };
}

test('a stream is tried again after five minutes, then ten, at most an hour, and one silent start ends that', async () => {
  const { stream } = await heldBack({ cursor: idOf(2) });
  let beganMs = env.nowMs;
  const before = env.requests.length;
  await readFor(12_000);
  const pauses = [];
  for (const { atMs } of env.requests.slice(before).filter(({ isRead }) => !isRead)) {
    pauses.push(Math.round((atMs - beganMs) / 60_000));
    beganMs = atMs;
  }
  assert.deepEqual(pauses, [5, 10, 20, 40, 60, 60]);
  assert.equal(stream.detail.via, 'reads');
});

test('a stream that streams again ends the reads', async () => {
  const { stream } = await heldBack({ cursor: idOf(2) });
  await readFor(400, { untilStream: true });
  await env.last.stream();
  await env.last.say(heartbeat(2) + ready(2));
  assert.deepEqual([stream.detail.via, stream.detail.state, stream.detail.reason], ['stream', 'live', null]);
});

test('a network that comes back has a stream tried at once', async () => {
  const { stream } = await heldBack({ cursor: idOf(2) });
  await env.last.json(nothing(2));
  await env.goOnline();
  assert.ok(!env.last.isRead);
  assert.equal(stream.detail.via, 'stream');
  assert.equal(env.open.length, 1);
});

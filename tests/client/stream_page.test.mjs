import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { FakeEnv, gap, heartbeat, idOf } from './fake_env.mjs';
// Loaded on demand by the client: here at once, as the clock of these tests does not wait for it.
import '../../client/src/reading.js';
import { NOTHING_LEFT, delayMs, live, newStream, seen, started } from './opened_stream.mjs';

let env;

beforeEach(() => {
  env = new FakeEnv();
});

/** A live stream whose hub sends heartbeats after each two seconds of silence. */
async function beating() {
  const both = await live(env);
  for (let beat = 0; beat < 3; beat += 1) {
    await env.advance(2_000);
    await env.last.say(heartbeat(1));
  }
  return both;
}

// Silence.

test('silence is accepted for 90 seconds while the interval of heartbeats is not known', async () => {
  const { stream } = await live(env);
  await env.advance(89_000);
  assert.equal(stream.detail.state, 'live');
  await env.advance(3_000);
  assert.deepEqual([stream.detail.state, stream.detail.reason], ['waiting', 'nothing came in time']);
  assert.deepEqual([stream.detail.via, env.open.length], ['stream', 0]);
});

test('silence is accepted for three intervals of heartbeats, and for ten seconds at least', async () => {
  const { stream } = await beating();
  await env.advance(9_000);
  assert.equal(stream.detail.state, 'live');
  await env.advance(3_000);
  assert.equal(stream.detail.state, 'waiting');
});

test('after 15 seconds of silence between heartbeats it is accepted for 45', async () => {
  const { stream } = await live(env);
  for (let beat = 0; beat < 3; beat += 1) {
    await env.advance(15_000);
    await env.last.say(heartbeat(1));
  }
  await env.advance(44_000);
  assert.equal(stream.detail.state, 'live');
  await env.advance(3_000);
  assert.equal(stream.detail.state, 'waiting');
});

test('events that follow each other closely do not shorten the silence that is accepted', async () => {
  const { stream } = await live(env);
  for (let second = 2; second < 30; second += 1) {
    await env.last.update(second);
    await env.last.say(heartbeat(second));
    await env.advance(100);
  }
  await env.advance(85_000);
  assert.equal(stream.detail.state, 'live');
});

test('after an alarm the interval is learnt anew, for it may be another one', async () => {
  const { stream } = await beating();
  await env.advance(14_000);
  assert.equal(env.requests.length, 2);
  await env.last.begin(1);
  await env.advance(30_000);
  assert.equal(stream.detail.state, 'live');
});

test('a comment is a sign of life', async () => {
  const { stream } = await live(env);
  for (let turn = 0; turn < 4; turn += 1) {
    await env.advance(60_000);
    await env.last.say(':\n');
  }
  assert.equal(stream.detail.state, 'live');
});

test('a request that gets no event is given up after eight seconds', async () => {
  const { stream } = await started(env);
  await env.last.stream();
  await env.last.say('retry: 1500\n\n:\n');
  await env.advance(7_900);
  assert.equal(stream.detail.state, 'connecting');
  await env.advance(2_200);
  assert.equal(stream.detail.state, 'waiting');
  assert.ok(env.last.isAborted);
});

test('a page that is busy with many events for long does not take its stream for silent', async () => {
  const { stream, told } = await beating();
  stream.onBatch = (batch) => {
    told.batches.push(batch);
    env.nowMs += 40_000;
  };
  await env.last.update(2);
  await env.advance(2_500);
  assert.equal(stream.detail.state, 'live');
  assert.equal(env.requests.length, 1);
});

// Sleep, and the clock.

test('after a sleep, events that were queued come before the stream is judged', async () => {
  const { stream, told } = await beating();
  env.sleep(3_600_000);
  await env.fire('visibilitychange');
  assert.equal(stream.detail.state, 'live');
  await env.last.update(4);
  await env.advance(5_000);
  assert.equal(stream.detail.state, 'live');
  assert.deepEqual(told.seconds, [4]);
});

test('after a sleep, a stream that is open and dead is reopened within seconds', async () => {
  const { stream } = await beating();
  env.sleep(3_600_000);
  await env.fire('visibilitychange');
  await env.advance(2_000);
  assert.equal(stream.detail.state, 'waiting');
});

test('after a sleep, a retry that fell due is made at the next check', async () => {
  await live(env);
  await env.last.cut();
  env.sleep(3_600_000);
  await env.fire('pageshow');
  assert.equal(env.requests.length, 2);
});

test('a wall clock that is set back neither delays a retry nor blinds the watchdog', async () => {
  const { stream } = await beating();
  await env.advance(2_000);
  env.sleep(-3_600_000);
  await env.advance(12_000);
  assert.equal(stream.detail.state, 'waiting');
  env.sleep(-3_600_000);
  await env.advance(1_000);
  assert.equal(env.requests.length, 2);
});

test('a wall clock that is set back does not disturb a live stream', async () => {
  const { stream } = await beating();
  env.sleep(-3_600_000);
  for (let turn = 0; turn < 10; turn += 1) {
    await env.advance(2_000);
    await env.last.say(heartbeat(1));
  }
  assert.deepEqual([stream.detail.state, env.requests.length], ['live', 1]);
});

test('a wall clock that was set back while the page was put away causes no alarm', async () => {
  const { stream } = await live(env);
  await env.advance(2_000);
  await env.fire('freeze');
  env.sleep(-3_600_000);
  await env.fire('resume');
  await env.advance(5_000);
  assert.deepEqual([stream.detail.state, env.requests.length], ['connecting', 2]);
});

// The network.

test('without a network the state is offline, and the stream is back with the network', async () => {
  const { stream } = await live(env);
  await env.goOffline();
  assert.deepEqual([stream.detail.state, env.open.length], ['offline', 0]);
  await env.goOnline();
  assert.equal(stream.detail.state, 'connecting');
  assert.equal(env.last.params.get('last_event_id'), idOf(1));
});

test('offline it keeps trying, still says offline, and accepts an event', async () => {
  const { stream } = await live(env);
  await env.goOffline();
  await env.advance(2_000);
  assert.deepEqual([env.requests.length, stream.detail.state], [2, 'offline']);
  await env.last.fail();
  assert.equal(stream.detail.state, 'offline');
  await env.advance(delayMs(env, stream));
  await env.last.begin(2);
  assert.equal(stream.detail.state, 'live');
});

test('silent starts without a network do not count', async () => {
  const { stream } = await live(env);
  await env.goOffline();
  await env.advance(120_000);
  assert.deepEqual([stream.detail.via, stream.detail.state], ['stream', 'offline']);
});

test('a stream that waits is offline once the network is gone, and keeps its retry', async () => {
  const { stream } = await live(env);
  await env.last.cut();
  const { retryAt } = stream.detail;
  await env.goOffline();
  assert.deepEqual([stream.detail.state, stream.detail.retryAt], ['offline', retryAt]);
});

test('the event online does not disturb a live stream', async () => {
  await live(env);
  await env.goOnline();
  assert.equal(env.requests.length, 1);
});

// The page.

test('a page that is put away holds no request and no timer, and resumes from the cursor', async () => {
  for (const [away, back] of [
    ['pagehide', 'pageshow'],
    ['freeze', 'resume'],
  ]) {
    env = new FakeEnv();
    const { stream } = await live(env);
    await env.fire(away);
    assert.deepEqual([env.rest.requests, env.rest.timers], [0, 0]);
    assert.deepEqual([stream.detail.state, stream.detail.reason], ['waiting', 'the page is put away']);
    await env.advance(600_000);
    await env.goOnline();
    stream.check();
    assert.equal(env.requests.length, 1);
    await env.fire(back, { persisted: true });
    assert.equal(env.last.params.get('last_event_id'), idOf(1));
    await env.fire('pageshow');
    assert.equal(env.requests.length, 2);
  }
});

test('topics that are wanted while the page is put away are carried once it is back', async () => {
  const { stream } = await live(env);
  await env.fire('freeze');
  stream.want(['a', 'b']);
  const covered = stream.covered(['b']);
  await env.advance(1_000);
  assert.equal(env.requests.length, 1);
  await env.fire('resume');
  assert.deepEqual(env.last.params.getAll('topic'), ['a', 'b']);
  assert.equal(await seen(env, covered), idOf(1));
});

test('a stream that has ended, is denied or idle is not asked again because the page is back', async () => {
  for (const reach of [
    (stream) => env.last.answer(204),
    (stream) => env.last.problem(400, 'no'),
    (stream) => stream.want([]),
  ]) {
    env = new FakeEnv();
    const { stream } = await started(env);
    await reach(stream);
    await env.advance(0);
    const { state } = stream.detail;
    await env.fire('pagehide');
    await env.fire('pageshow', { persisted: true });
    assert.deepEqual([stream.detail.state, env.requests.length], [state, 1]);
  }
});

test('the first pageshow of a page does not disturb its stream', async () => {
  const { stream } = newStream(env);
  stream.start();
  await env.fire('pageshow');
  await env.advance(1_000);
  assert.equal(env.requests.length, 1);
});

test('a place without pages, such as Node, has a stream too', async () => {
  env.addEventListener = env.document = env.navigator = undefined;
  const { stream } = await live(env);
  await env.last.cut();
  await env.advance(2_000);
  await env.last.begin(2);
  assert.equal(stream.detail.state, 'live');
});

// Another server.

const OTHER = { dialect: 'mercure', url: 'https://example.com/events', keys: [] };

test('a stream of another server is live once its headers are there, without any topics', async () => {
  const { stream, told } = await started(env, OTHER);
  const covered = stream.covered([]);
  assert.equal(env.last.url, OTHER.url);
  await env.last.stream();
  assert.equal(stream.detail.state, 'live');
  assert.equal(await covered, null);
  await env.last.say('data: 1\n\nid: x\ndata: 2\n\ndata: 3\n\n');
  assert.deepEqual(told.events.map(({ id, data, place, replay }) => [id, data, place, replay]), [
    ['', '1', null, false],
    ['x', '2', null, false],
    ['', '3', null, false],
  ]);
  await env.last.cut();
  await env.advance(2_000);
  assert.equal(env.last.params.get('lastEventID'), 'x');
});

test('another server that gives no headers is asked again for ever, and never by reads', async () => {
  const { stream } = await started(env, OTHER);
  await env.advance(14_000);
  assert.equal(stream.detail.state, 'connecting');
  await env.advance(600_000);
  assert.equal(stream.detail.via, 'stream');
  assert.ok(env.requests.length > 10 && env.requests.every(({ isRead }) => !isRead));
});

test('ids without an order are known again after a reconnection, and only then', async () => {
  const { told } = await started(env, OTHER);
  await env.last.stream();
  await env.last.say('id: x\ndata: 1\n\nid: x\ndata: 2\n\nid: y\ndata: 3\n\n');
  await env.last.cut();
  await env.advance(2_000);
  await env.last.stream();
  await env.last.say('id: y\ndata: 3\n\nid: z\ndata: 4\n\ndata: 5\n\n');
  assert.deepEqual(told.data, ['1', '2', '3', '4', '5']);
});

test('of ids without an order the last 200 are known', async () => {
  const { told } = await started(env, OTHER);
  await env.last.stream();
  const all = Array.from({ length: 300 }, (_, index) => `id: n${index}\ndata: ${index}\n\n`);
  await env.last.say(all.join(''));
  await env.last.cut();
  await env.advance(2_000);
  await env.last.stream();
  await env.last.say(all.slice(100).join(''));
  assert.equal(told.events.length, 300);
});

test('ids that are places keep their order on another server, and gaps are understood', async () => {
  const { told } = await started(env, { ...OTHER, cursor: idOf(5) });
  await env.last.stream();
  const tick = (second) => `id: ${idOf(second)}\ndata: ${second}\n\n`;
  await env.last.say(tick(5) + gap(8, { from: 5, missed: 2 }) + tick(9) + tick(9));
  assert.deepEqual([told.data, told.gaps.map(({ missed }) => missed)], [['9'], [2]]);
});

test('the clock of another server is learnt from two equal steps, and its silence noticed', async () => {
  const { stream } = await started(env, OTHER);
  await env.last.stream();
  for (let second = 1; second <= 3; second += 1) {
    await env.last.say(`id: ${idOf(second)}\ndata: tick\n\n`);
    await env.advance(1_000);
  }
  await env.advance(8_000);
  assert.equal(stream.detail.state, 'live');
  await env.advance(3_000);
  assert.equal(stream.detail.state, 'waiting');
});

test('another server with unequal steps may be silent for 150 seconds', async () => {
  const { stream } = await started(env, OTHER);
  await env.last.stream();
  for (const second of [1, 2, 4, 5]) await env.last.say(`id: ${idOf(second)}\ndata: x\n\n`);
  await env.advance(149_000);
  assert.equal(stream.detail.state, 'live');
  await env.advance(3_000);
  assert.equal(stream.detail.state, 'waiting');
  assert.notEqual(delayMs(env, stream), null);
});

test('a stream of another server that is stopped leaves nothing', async () => {
  const { stream } = await started(env, OTHER);
  await env.last.stream();
  stream.stop();
  assert.deepEqual(env.rest, NOTHING_LEFT);
});

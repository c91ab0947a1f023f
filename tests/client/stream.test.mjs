import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { FakeEnv, gap, heartbeat, idOf, ready, update } from './fake_env.mjs';
import { NOTHING_LEFT, delayMs, live, newStream, seen, started } from './opened_stream.mjs';

let env;

beforeEach(() => {
  env = new FakeEnv();
});

// Events and the cursor.

test('a stream without a cursor asks without one, with cookies of the own origin, past caches', async () => {
  await started(env, { keys: ['a', 'b'] });
  const { params, headers, options } = env.last;
  assert.deepEqual([params.getAll('topic'), params.get('last_event_id')], [['a', 'b'], null]);
  assert.equal(headers.Accept, 'text/event-stream');
  assert.deepEqual([options.credentials, options.cache], ['same-origin', 'no-store']);
});

test('the states lead from connecting over catching up to live', async () => {
  const { told } = await started(env);
  await env.last.stream();
  assert.deepEqual(told.states, ['connecting']);
  await env.last.say(`retry: 1500\n\n${heartbeat(1)}`);
  assert.deepEqual(told.states, ['connecting', 'catching up']);
  await env.last.say(ready(1));
  assert.deepEqual(told.states, ['connecting', 'catching up', 'live']);
});

test('an event is told whole, with the topics that it matched', async () => {
  const { told } = await live(env, { keys: ['a', 'b', 'c'] });
  await env.last.update(2, { own: 'x1', matches: '0.2', end: 'end', topic: 'a;1' });
  assert.deepEqual(told.events, [
    {
      kind: 'event',
      place: idOf(2),
      cursor: idOf(2),
      keys: ['a', 'c'],
      topic: 'a;1',
      id: 'x1',
      type: 'message',
      data: 'data of 2',
      replay: false,
      ends: true,
    },
  ]);
});

test('events before the ready are replay, also in one piece with it', async () => {
  const { told } = await started(env, { cursor: idOf(1) });
  await env.last.stream();
  await env.last.say(update(2) + update(3) + ready(3) + update(4));
  assert.deepEqual(told.events.map(({ replay }) => replay), [true, true, false]);
  assert.deepEqual(told.seconds, [2, 3, 4]);
});

test('what one piece of the network brings is one batch', async () => {
  const { told } = await live(env);
  await env.last.say(update(2) + update(3));
  await env.last.say(update(4));
  assert.deepEqual(told.batches.map((batch) => batch.length), [2, 1]);
});

test('a stream comes back from its last event, or from a later heartbeat', async () => {
  const { stream } = await live(env);
  await env.last.update(5);
  await env.last.cut();
  await env.advance(2_000);
  assert.equal(env.last.params.get('last_event_id'), idOf(5));
  await env.last.begin(5);
  await env.last.say(heartbeat(8));
  assert.equal(stream.cursor, idOf(8));
  await env.last.cut();
  await env.advance(2_000);
  assert.equal(env.last.params.get('last_event_id'), idOf(8));
});

test('an event that was told before, or an older one, is not told again', async () => {
  const { told, stream } = await live(env);
  await env.last.say(update(5) + update(5) + update(4) + heartbeat(3) + update(6));
  assert.deepEqual(told.seconds, [5, 6]);
  assert.equal(stream.cursor, idOf(6));
});

test('a gap is told once, in the order of events, and moves the cursor', async () => {
  const { told, stream } = await started(env, { cursor: idOf(1) });
  await env.last.stream();
  const missed = gap(100, { from: 1, missed: 99 });
  await env.last.say(missed + missed + update(101) + ready(101));
  assert.deepEqual(told.batches, [[told.gaps[0], told.events[0]]]);
  assert.deepEqual(told.gaps[0], {
    kind: 'gap',
    place: idOf(100),
    cursor: idOf(100),
    missed: 99,
    from: idOf(1),
    isBack: false,
  });
  assert.equal(stream.cursor, idOf(101));
});

test('a gap that leads back moves the cursor, and what follows is new', async () => {
  const { told, stream } = await live(env, { second: 5_000 });
  const back = gap(1_400, { from: 5_000 });
  await env.last.say(back + back + update(1_401));
  assert.deepEqual([told.gaps.length, told.gaps[0].isBack, told.seconds], [1, true, [1_401]]);
  assert.equal(stream.cursor, idOf(1_401));
});

test('an older gap that leads forward does not move the cursor back', async () => {
  const { stream, told } = await live(env, { second: 5_000 });
  await env.last.say(gap(4_000, { from: 100 }));
  assert.deepEqual([stream.cursor, told.gaps], [idOf(5_000), []]);
});

test('a gap whose data cannot be read is a gap of unknown size', async () => {
  const { told } = await live(env);
  await env.last.say(`event: barestream.gap\nid: ${idOf(9)}\ndata: no\n\n`);
  assert.deepEqual([told.gaps[0].missed, told.gaps[0].from], [null, null]);
});

test('an exception of a listener is reported, and stops nothing', async () => {
  const { stream, told } = await live(env);
  const error = new Error('of the page');
  stream.onBatch = () => {
    throw error;
  };
  await env.last.update(2);
  stream.onBatch = (batch) => told.batches.push(batch);
  await env.last.update(3);
  assert.deepEqual([env.errors, told.seconds], [[error], [3]]);
});

// Topics come and go.

test('changes within a tick open the stream anew once, from its cursor, with all topics', async () => {
  const { stream } = await live(env, { second: 7 });
  stream.want(['a', 'b']);
  stream.want(['a', 'b', 'c']);
  assert.equal(env.requests.length, 1);
  await env.advance(0);
  assert.equal(env.requests.length, 2);
  assert.ok(env.requests[0].isAborted);
  assert.deepEqual(env.last.params.getAll('topic'), ['a', 'b', 'c']);
  assert.equal(env.last.params.get('last_event_id'), idOf(7));
});

test('a change that is taken back within the tick, or of the order alone, opens nothing', async () => {
  const { stream } = await live(env, { keys: ['a', 'b'] });
  stream.want(['a']);
  stream.want(['b', 'a', 'b']);
  await env.advance(0);
  assert.equal(env.requests.length, 1);
});

test('topics whose names have a comma are not taken for others', async () => {
  const { stream } = await live(env, { keys: ['a,b'] });
  stream.want(['a', 'b']);
  await env.advance(0);
  assert.deepEqual(env.last.params.getAll('topic'), ['a', 'b']);
});

test('topics that are wanted while it connects replace the request', async () => {
  const { stream, told } = await started(env);
  stream.want(['a', 'b']);
  await env.advance(0);
  const [first, second] = env.requests;
  assert.ok(first.isAborted);
  await second.begin(3);
  await second.update(4, { matches: '1', topic: 'b' });
  assert.deepEqual(told.events[0].keys, ['b']);
});

test('what is told on the old connection counts with the old topics', async () => {
  const { stream, told } = await live(env, { keys: ['a', 'b'] });
  stream.want(['b']);
  await env.last.update(2, { matches: '1', topic: 'b' });
  await env.advance(0);
  assert.equal(env.last.params.get('last_event_id'), idOf(2));
  await env.last.begin(2);
  await env.last.update(3, { matches: '0', topic: 'b' });
  assert.deepEqual(told.events.map(({ keys }) => keys), [['b'], ['b']]);
});

test('without topics it is idle, and a topic that is wanted later begins then', async () => {
  const { stream } = await live(env);
  stream.want([]);
  await env.advance(0);
  assert.deepEqual([stream.detail.state, stream.cursor], ['idle', null]);
  assert.deepEqual([env.rest.timers, env.rest.requests], [0, 0]);
  stream.want(['b']);
  await env.advance(0);
  assert.deepEqual([env.last.params.get('topic'), env.last.params.get('last_event_id')], ['b', null]);
});

test('other topics do not make it ask sooner a hub that has failed', async () => {
  const { stream } = await live(env);
  await env.last.cut();
  stream.want(['a', 'b']);
  await env.advance(1_999);
  assert.equal(env.requests.length, 1);
  await env.advance(1);
  assert.deepEqual(env.last.params.getAll('topic'), ['a', 'b']);
});

test('many topics go by QUERY, with the topics in the body', async () => {
  await started(env, { keys: ['a'.repeat(5_000), 'b'.repeat(5_000)], cursor: idOf(4) });
  const { method, url, headers, params } = env.last;
  assert.deepEqual([method, new URL(url).search], ['QUERY', '']);
  assert.equal(headers['Content-Type'], 'application/x-www-form-urlencoded');
  assert.deepEqual([params.getAll('topic').length, params.get('last_event_id')], [2, idOf(4)]);
});

// covered()

test('topics are covered once the first id has come', async () => {
  const { stream } = await started(env);
  const covered = stream.covered(['a']);
  await env.last.stream();
  assert.equal(await seen(env, covered), 'pending');
  await env.last.say(heartbeat(3) + update(4));
  assert.equal(await covered, idOf(3));
});

test('topics are covered at once where the stream carries them', async () => {
  const { stream } = await live(env, { second: 3, keys: ['a', 'b'] });
  assert.equal(await seen(env, stream.covered(['b'])), idOf(3));
});

test('topics that are wanted are covered once the old connection is closed, before the new one answers', async () => {
  const { stream, told } = await live(env, { second: 3 });
  stream.want(['a', 'b']);
  const covered = stream.covered(['b']);
  assert.equal(await seen(env, covered), 'pending');
  await env.last.update(5);
  await env.advance(0);
  assert.equal(await seen(env, covered), idOf(5));
  await env.requests[0].update(6);
  assert.deepEqual(told.seconds, [5]);
});

test('topics that nobody wants yet are covered when they are wanted', async () => {
  const { stream } = await live(env, { second: 3 });
  const covered = stream.covered(['b']);
  await env.advance(5_000);
  assert.equal(await seen(env, covered), 'pending');
  stream.want(['a', 'b']);
  await env.advance(0);
  assert.equal(await seen(env, covered), idOf(3));
});

test('two who ask at once, for different topics, are both told', async () => {
  const { stream } = await started(env);
  const one = stream.covered(['a']);
  stream.want(['a', 'b']);
  const other = stream.covered(['b']);
  await env.advance(0);
  await env.last.begin(4);
  assert.deepEqual(await Promise.all([one, other]), [idOf(4), idOf(4)]);
});

test('while it waits for the hub topics are covered from its cursor', async () => {
  const { stream } = await live(env, { second: 3 });
  await env.last.cut();
  stream.want(['a', 'b']);
  assert.equal(await seen(env, stream.covered(['b'])), idOf(3));
});

test('who asks before a stop is told after the next start', async () => {
  const { stream } = await started(env);
  const covered = stream.covered(['a']);
  stream.stop();
  await env.advance(60_000);
  assert.equal(await seen(env, covered), 'pending');
  stream.start();
  await env.advance(0);
  await env.last.begin(6);
  assert.equal(await covered, idOf(6));
});

// The end of all topics.

test('a 204 ends it: this is told once, and nothing is asked any more', async () => {
  const { stream, told } = await started(env, { keys: ['a', 'b'] });
  const covered = stream.covered(['a']);
  await env.last.answer(204);
  assert.deepEqual([stream.detail.state, told.ended], ['ended', [['a', 'b']]]);
  assert.equal(await covered, null);
  await env.advance(600_000);
  assert.equal(env.requests.length, 1);
  assert.deepEqual([env.rest.timers, env.rest.requests], [0, 0]);
});

test('after the end the same topics are not asked for again, and others are', async () => {
  const { stream, told } = await live(env, { second: 3, keys: ['a', 'b'] });
  await env.last.end();
  await env.advance(1_500);
  await env.last.answer(204);
  stream.want(['b', 'a']);
  await env.advance(1_000);
  assert.deepEqual([env.requests.length, stream.detail.state], [2, 'ended']);
  stream.want(['a', 'c']);
  await env.advance(0);
  assert.equal(env.last.params.get('last_event_id'), idOf(3));
  await env.last.answer(204);
  assert.deepEqual(told.ended, [['a', 'b'], ['a', 'c']]);
});

test('topics that are wanted after the end, without a cursor, are covered when they are carried', async () => {
  const { stream } = await started(env);
  await env.last.answer(204);
  stream.want(['b']);
  const covered = stream.covered(['b']);
  await env.advance(0);
  assert.equal(await seen(env, covered), 'pending');
  await env.last.begin(4);
  assert.equal(await covered, idOf(4));
});

test('the same topics do not ask again a hub that refused them for good', async () => {
  const { stream } = await started(env);
  await env.last.problem(400, 'no');
  stream.want(['a']);
  await env.advance(1_000);
  assert.deepEqual([env.requests.length, stream.detail.state], [1, 'denied']);
});

test('topics that are wanted at the moment of the end are carried', async () => {
  const { stream } = await started(env);
  stream.onDetail = ({ state }) => state === 'ended' && stream.want(['b']);
  await env.last.answer(204);
  await env.advance(0);
  assert.equal(env.last.params.get('topic'), 'b');
});

// start() and stop()

test('a stream that is started twice has one connection', async () => {
  const { stream } = await live(env);
  stream.start();
  await env.advance(5_000);
  assert.equal(env.requests.length, 1);
});

test('a stop leaves no timer, request or listener, at whatever moment it comes', async () => {
  const never = new Promise(() => {});
  const moments = {
    'before the first tick': async ({ stream }) => stream,
    'while a token is awaited': async () => env.advance(0),
    connecting: async () => env.advance(0),
    'with an open answer': async () => {
      await env.advance(0);
      await env.last.stream();
    },
    live: async () => {
      await env.advance(0);
      await env.last.begin(1);
    },
    waiting: async () => {
      await env.advance(0);
      await env.last.answer(503);
    },
    denied: async () => {
      await env.advance(0);
      await env.last.problem(400, 'no');
    },
    'with other topics due': async ({ stream }) => {
      await env.advance(0);
      await env.last.begin(1);
      stream.want(['b']);
    },
    frozen: async () => {
      await env.advance(0);
      await env.fire('freeze');
    },
  };
  for (const [moment, reach] of Object.entries(moments)) {
    env = new FakeEnv();
    const token = moment.includes('token') ? { token: () => never } : {};
    const both = newStream(env, { token });
    both.stream.start();
    await reach(both);
    both.stream.stop();
    await env.settle();
    assert.deepEqual(env.rest, NOTHING_LEFT, moment);
    const { length } = env.requests;
    await env.goOnline();
    await env.fire('pageshow');
    both.stream.check();
    await env.advance(600_000);
    assert.equal(env.requests.length, length, moment);
    assert.equal(both.stream.detail.state, 'idle', moment);
  }
});

test('a listener may stop the stream in each of its calls', async () => {
  for (const call of ['onBatch', 'onDetail', 'onEnded']) {
    env = new FakeEnv();
    const { stream } = newStream(env, { cursor: idOf(1) });
    stream[call] = () => stream.stop();
    stream.start();
    await env.advance(0);
    if (env.last?.isOpen) {
      await (call === 'onEnded' ? env.last.answer(204) : env.last.begin(2));
      await env.last.update?.(3);
    }
    await env.advance(60_000);
    assert.deepEqual(env.rest, NOTHING_LEFT, call);
  }
});

test('a listener that stops the stream when it catches up misses nothing after the next start', async () => {
  const { stream, told } = newStream(env, { cursor: idOf(1) });
  let isFirst = true;
  stream.onDetail = ({ state }) => {
    if (state === 'catching up' && isFirst) stream.stop();
    if (state === 'catching up') isFirst = false;
  };
  stream.start();
  await env.advance(0);
  await env.last.stream();
  await env.last.say(update(2) + ready(2));
  assert.deepEqual(told.seconds, []);
  stream.start();
  await env.advance(0);
  assert.equal(env.last.params.get('last_event_id'), idOf(1));
  await env.last.stream();
  await env.last.say(update(2) + ready(2));
  assert.deepEqual(told.seconds, [2]);
});

test('a stop at whatever moment after an answer tells nothing more', async () => {
  const other = { dialect: 'mercure', url: 'https://example.com/events' };
  const answers = [
    [{}, (request) => request.answer(204)],
    [{}, (request) => request.answer(502)],
    [{}, (request) => request.fail()],
    [{ token: { renew: () => null } }, (request) => request.answer(401)],
    [other, (request) => request.stream()],
  ];
  for (const [options, give] of answers) {
    for (let turns = 0; turns < 40; turns += 1) {
      env = new FakeEnv();
      const { stream, told } = await started(env, options);
      const given = give(env.last);
      for (let turn = 0; turn < turns; turn += 1) await null;
      stream.stop();
      const { length } = told.details;
      const ended = told.ended.length;
      await given;
      await env.advance(60_000);
      assert.deepEqual([told.details.length, told.ended.length], [length, ended]);
      assert.deepEqual([stream.detail.state, env.rest], ['idle', NOTHING_LEFT]);
    }
  }
});

test('a stream that is started again goes on from its cursor', async () => {
  const { stream } = await live(env, { second: 2 });
  stream.stop();
  stream.start();
  await env.advance(0);
  assert.equal(env.last.params.get('last_event_id'), idOf(2));
});

test('a fetch that knows no signal, and answers or fails after the next one began, changes nothing', async () => {
  env.isDeaf = true;
  const { stream, told } = await started(env);
  const late = [env.last];
  for (const keys of [['a', 'b'], ['a', 'b', 'c']]) {
    stream.want(keys);
    await env.advance(0);
    late.push(env.last);
  }
  const [first, second, third] = late;
  await third.begin(5);
  await first.begin(9);
  await first.update(10);
  await second.fail();
  await third.update(6);
  assert.deepEqual([told.seconds, stream.cursor, stream.detail.state], [[6], idOf(6), 'live']);
  assert.deepEqual(env.open, [third]);
  assert.equal(delayMs(env, stream), null);
});

// Much at once.

test('10,000 events come in order, in batches of at most 500, and no work is longer than 50 ms', async () => {
  for (const costMs of [0.01, 0.1, 1]) {
    env = new FakeEnv();
    const { stream, told } = await started(env, { cursor: idOf(1) });
    let sliceBeganMs = env.nowMs;
    let longestMs = 0;
    const breathe = env.setTimeout;
    env.setTimeout = (callback, ms) =>
      breathe(() => {
        sliceBeganMs = env.nowMs;
        callback();
      }, ms);
    stream.onBatch = (batch) => {
      told.batches.push(batch);
      env.nowMs += batch.length * costMs;
      longestMs = Math.max(longestMs, env.nowMs - sliceBeganMs);
    };
    await env.last.stream();
    sliceBeganMs = env.nowMs;
    const all = Array.from({ length: 10_000 }, (_, index) => update(index + 2));
    await env.last.say(all.join('') + ready(10_001));
    // Each breath is a timer of no time.
    for (let turn = 0; turn < 2_000 && stream.detail.state !== 'live'; turn += 1) await env.advance(0);
    assert.equal(stream.detail.state, 'live');
    assert.deepEqual(told.seconds, all.map((_, index) => index + 2));
    assert.ok(Math.max(...told.batches.map((batch) => batch.length)) <= 500);
    assert.ok(longestMs > 0 && longestMs <= 50, `${longestMs} ms at ${costMs} ms an event`);
  }
});

test('a listener that turns slow gets fewer events at once', async () => {
  const { stream, told } = await started(env, { cursor: idOf(1) });
  let costMs = 0;
  stream.onBatch = (batch) => {
    told.batches.push(batch);
    env.nowMs += batch.length * costMs;
  };
  await env.last.stream();
  const some = (from, count) => Array.from({ length: count }, (_, index) => update(from + index)).join('');
  await env.last.say(some(2, 5_000));
  assert.equal(Math.max(...told.batches.map((batch) => batch.length)), 500);
  costMs = 1;
  await env.last.say(some(5_002, 5_000));
  for (let turn = 0; turn < 500; turn += 1) await env.advance(0);
  assert.equal(told.events.length, 10_000);
  assert.ok(told.batches.slice(-20).every((batch) => batch.length <= 16));
});

test('a stop within 10,000 events leaves the cursor at the last that was told', async () => {
  const { stream, told } = await started(env, { cursor: idOf(1) });
  stream.onBatch = (batch) => {
    told.batches.push(batch);
    env.nowMs += batch.length;
  };
  await env.last.stream();
  await env.last.say(Array.from({ length: 10_000 }, (_, index) => update(index + 2)).join(''));
  stream.stop();
  assert.equal(stream.cursor, idOf(told.seconds.at(-1)));
  assert.ok(told.seconds.length < 10_000);
  await env.advance(1_000);
  assert.equal(stream.cursor, idOf(told.seconds.at(-1)));
  assert.deepEqual(env.rest, NOTHING_LEFT);
});

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

// Loaded on demand by the client: here at once, as the clock of these tests does not wait for it.
import '../../client/src/worker_lock.js';
import '../../client/src/hiding.js';
import { Tabs } from '../../client/src/tabs.js';
import { FakeBrowser } from './fake_browser.mjs';
import { FakeStream, placeOf, update } from './fake_stream.mjs';

let browser;
let streams;
// The newest place of the hub: where a stream without a cursor begins.
let newest;

beforeEach(() => {
  browser = new FakeBrowser();
  streams = [];
  newest = 0;
});

async function openTab(keys = ['news'], { cursor = null, ...options } = {}) {
  const env = browser.openTab(options);
  const makeStream = (start) => {
    const stream = new FakeStream(start, newest);
    stream.env = env;
    streams.push(stream);
    return stream;
  };
  const record = { seconds: [], details: [], ended: [], holes: 0, covered: [], left: [] };
  const tellLeft = async (...left) => record.left.push(left);
  const tabs = new Tabs({ name: 'tabs of a user', makeStream, tellLeft, keys, cursor }, env);
  tabs.onBatch = (batch) => record.seconds.push(...batch.map(({ place }) => Number(place.slice(1, -5))));
  tabs.onDetail = (detail) => record.details.push(detail);
  tabs.onEnded = (ended) => record.ended.push(ended);
  tabs.onHole = () => (record.holes += 1);
  tabs.start();
  tabs.covered(keys).then((covered) => record.covered.push(covered));
  await browser.settle();
  return { env, tabs, record };
}

function openStreams() {
  return streams.filter(({ isOpen }) => isOpen);
}

async function say(...seconds) {
  const [stream] = openStreams();
  newest = seconds.at(-1);
  stream.tell(...seconds.map((second) => update(second)));
  await browser.settle();
}

async function goLive() {
  openStreams()[0].goLive();
  await browser.settle();
}

/** Messages that are posted meanwhile do not reach the tab. */
async function withoutMessages(tab, work) {
  const channel = channelOf(tab);
  const { onmessage } = channel;
  channel.onmessage = null;
  await work();
  channel.onmessage = onmessage;
}

function channelOf({ env }) {
  const index = browser.tabs.indexOf(env);
  return [...browser.channels][index];
}

for (const [where, options] of [
  ['with web locks', {}],
  ['with a shared worker', { hasLocks: false }],
]) {
  test(`${where}, three tabs have one stream with the topics of all, and are told the same`, async () => {
    const tabs = [await openTab(['a'], options), await openTab(['b'], options), await openTab(['a', 'c'], options)];
    await goLive();
    await say(1, 2);
    assert.equal(openStreams().length, 1);
    assert.deepEqual(openStreams()[0].keys, ['a', 'b', 'c']);
    for (const { record } of tabs) {
      assert.deepEqual(record.seconds, [1, 2]);
      assert.equal(record.details.at(-1).state, 'live');
      assert.deepEqual(record.covered, [placeOf(0)]);
      assert.equal(record.holes, 0);
    }
  });

  test(`${where}, when the leader closes, the next tab goes on from its cursor`, async () => {
    const leader = await openTab(['a'], options);
    const next = await openTab(['b'], options);
    const third = await openTab(['c'], options);
    await goLive();
    await say(1, 2);
    leader.env.fire('pagehide', { persisted: false });
    await browser.settle();
    assert.equal(openStreams().length, 1);
    assert.equal(openStreams()[0].cursor, placeOf(2));
    assert.deepEqual(openStreams()[0].keys.toSorted(), ['b', 'c']);
    await say(3);
    for (const { record } of [next, third]) {
      assert.deepEqual(record.seconds, [1, 2, 3]);
      assert.equal(record.holes, 0);
    }
  });

  test(`${where}, a leader that does not answer is replaced, and follows once it answers`, async () => {
    const replaced = await openTab(['a'], options);
    const follower = await openTab(['b'], options);
    await goLive();
    await say(1);
    const channel = channelOf(replaced);
    const { onmessage } = channel;
    channel.onmessage = null;
    channel.postMessage = () => {};
    await browser.pass(26_000);
    delete channel.postMessage;
    channel.onmessage = onmessage;
    await browser.pass(6_000);
    assert.equal(openStreams().length, 1);
    assert.equal(openStreams()[0].env, follower.env);
    await goLive();
    await say(2);
    assert.deepEqual(follower.record.seconds, [1, 2]);
    assert.deepEqual(replaced.record.seconds, [1, 2]);
    assert.deepEqual(openStreams()[0].keys.toSorted(), ['a', 'b']);
  });

  test(`${where}, a tab that stops holds no timer, channel, lock or listener`, async () => {
    const leader = await openTab(['a'], options);
    const follower = await openTab(['b'], options);
    await goLive();
    for (const { tabs } of [leader, follower]) tabs.stop();
    await browser.settle();
    assert.equal(browser.channels.size, 0);
    assert.equal(browser.timerCount, 0);
    assert.equal(browser.locks.isHeld, false);
    assert.deepEqual(browser.tabs.map(({ listenerCount }) => listenerCount), [0, 0]);
    assert.equal(openStreams().length, 0);
  });
}

test('a leader that freezes hands over, and reads what it has missed when it wakes', async () => {
  const first = await openTab(['a']);
  const second = await openTab(['b']);
  await goLive();
  await say(1);
  first.env.fire('freeze');
  await browser.settle();
  await say(2);
  first.env.fire('resume');
  await browser.settle();
  await say(3);
  assert.equal(openStreams().length, 1);
  assert.deepEqual(second.record.seconds, [1, 2, 3]);
  assert.deepEqual(first.record.seconds, [1, 3]);
  assert.equal(first.record.holes, 1);
});

test('a follower that missed a message is told of a hole before the next update', async () => {
  await openTab(['a']);
  const follower = await openTab(['b']);
  await goLive();
  await say(1);
  await withoutMessages(follower, () => say(2));
  assert.equal(follower.record.holes, 0);
  await say(3);
  assert.equal(follower.record.holes, 1);
  assert.deepEqual(follower.record.seconds, [1, 3]);
});

test('the answer to what a follower wants also shows a missed message', async () => {
  await openTab(['a']);
  const follower = await openTab(['b']);
  await goLive();
  await say(1);
  await withoutMessages(follower, () => say(2));
  await browser.pass(5_000);
  assert.equal(follower.record.holes, 1);
});

test('a new leader whose cursor is after that of a follower makes a hole there', async () => {
  const leader = await openTab(['a']);
  const next = await openTab(['b']);
  const behind = await openTab(['c']);
  await goLive();
  await say(1);
  await withoutMessages(behind, () => say(2, 3));
  leader.tabs.stop();
  await browser.settle();
  assert.equal(next.record.holes, 0);
  assert.equal(behind.record.holes, 1);
});

test('a follower whose topics the leader had forgotten has a hole', async () => {
  await openTab(['a']);
  const follower = await openTab(['b']);
  await goLive();
  await say(1);
  // Its messages do not leave it for longer than a tab counts.
  follower.env.document.visibilityState = 'hidden';
  const channel = channelOf(follower);
  channel.postMessage = () => {};
  await browser.pass(170_000);
  assert.deepEqual(openStreams()[0].keys, ['a']);
  delete channel.postMessage;
  await browser.pass(25_000);
  assert.deepEqual(openStreams()[0].keys, ['a', 'b']);
  assert.equal(follower.record.holes, 1);
});

test('topics that a follower wants later are covered once the leader has them', async () => {
  await openTab(['a']);
  const follower = await openTab(['b']);
  await goLive();
  await say(1);
  follower.tabs.want(['b', 'c']);
  const covered = follower.tabs.covered(['c']);
  await browser.settle();
  assert.deepEqual(openStreams()[0].keys, ['a', 'b', 'c']);
  assert.equal(await covered, placeOf(1));
});

test('a topic that is not wanted for a moment is covered once the leader has it again', async () => {
  await openTab(['a']);
  const follower = await openTab(['b']);
  await goLive();
  follower.tabs.want([]);
  follower.tabs.want(['b']);
  let isCovered = false;
  follower.tabs.covered(['b']).then(() => (isCovered = true));
  await Promise.resolve();
  assert.equal(isCovered, false);
  await browser.settle();
  assert.equal(isCovered, true);
});

test('what the stream of a tab that leads no more would cover does not count', async () => {
  const { env, record } = await openTab(['a']);
  const [old] = streams;
  env.fire('freeze');
  await browser.settle();
  old.goLive(3);
  await browser.settle();
  assert.deepEqual(record.covered, []);
  env.fire('resume');
  await browser.settle();
  openStreams()[0].goLive(5);
  await browser.settle();
  assert.deepEqual(record.covered, [placeOf(5)]);
});

test('what was asked of a leader that goes is promised by the next', async () => {
  const leader = await openTab(['a']);
  const follower = await openTab(['b']);
  assert.deepEqual(follower.record.covered, []);
  leader.tabs.stop();
  await browser.settle();
  newest = 7;
  openStreams()[0].goLive(7);
  await browser.settle();
  assert.deepEqual(follower.record.covered, [placeOf(7)]);
});

test('a tab that joins late is told the state at once', async () => {
  await openTab(['a']);
  await goLive();
  await say(1, 2);
  const late = await openTab(['a']);
  assert.equal(late.record.details.at(-1).state, 'live');
  assert.deepEqual(late.record.covered, [placeOf(2)]);
  await say(3);
  assert.deepEqual(late.record.seconds, [3]);
  assert.equal(late.record.holes, 0);
});

test('a tab that goes takes its topics with it', async () => {
  await openTab(['a']);
  const follower = await openTab(['b']);
  await goLive();
  follower.tabs.stop();
  await browser.settle();
  assert.deepEqual(openStreams()[0].keys, ['a']);
});

test('an end of topics is told in every tab', async () => {
  const tabs = [await openTab(['a']), await openTab(['a'])];
  openStreams()[0].onEnded(['a']);
  await browser.settle();
  for (const { record } of tabs) assert.deepEqual(record.ended, [['a']]);
});

test('a visible follower wakes a leader whose timers run late', async () => {
  await openTab(['a']);
  await openTab(['b']);
  const before = openStreams()[0].checkCount;
  await browser.pass(6_000);
  assert.ok(openStreams()[0].checkCount > before);
});

test('a hidden follower does not replace a leader', async () => {
  const leader = await openTab(['a']);
  const follower = await openTab(['b']);
  follower.env.document.visibilityState = 'hidden';
  channelOf(leader).onmessage = null;
  await browser.pass(90_000);
  assert.equal(streams.length, 1);
});

test('where the browser refuses the lock, the tab has a stream of its own', async () => {
  const env = browser.openTab();
  env.navigator.locks = {
    request: async () => {
      throw new DOMException('no data is kept for this site', 'SecurityError');
    },
  };
  const stream = new FakeStream({});
  const tabs = new Tabs({ name: 'refused', makeStream: () => stream }, env);
  tabs.start();
  await browser.settle();
  assert.ok(stream.isOpen);
  assert.equal(browser.channels.size, 0);
  tabs.stop();
  assert.equal(stream.isOpen, false);
});

test('where tabs cannot share, one that is hidden for a minute lets go until it is seen', async () => {
  const alone = { hasLocks: false, hasWorkers: false };
  const { env, record } = await openTab(['a'], alone);
  await openTab(['a'], alone);
  assert.equal(openStreams().length, 2);
  env.hide();
  await browser.pass(30_000);
  env.show();
  await browser.pass(70_000);
  assert.equal(openStreams().length, 2);
  env.hide();
  await browser.pass(61_000);
  assert.equal(openStreams().length, 1);
  assert.equal(record.details.at(-1).state, 'waiting');
  assert.equal(record.details.at(-1).reason, 'hidden');
  env.show();
  assert.equal(openStreams().length, 2);
});

test('a page from the back/forward cache takes part again', async () => {
  const { env, record } = await openTab(['a']);
  await goLive();
  await say(1);
  env.fire('pagehide', { persisted: true });
  env.fire('visibilitychange');
  env.fire('pageshow', { persisted: true });
  await browser.settle();
  assert.equal(openStreams()[0].cursor, placeOf(1));
  await say(2);
  assert.deepEqual(record.seconds, [1, 2]);
  assert.equal(streams.length, 2);
});

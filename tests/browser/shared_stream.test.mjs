import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { LiveStream } from '../../src/barestream/web/static/live_stream.js';
import { SharedStream, openStream } from '../../src/barestream/web/static/shared_stream.js';
import { FakeBrowser, idOf, recorded } from './fake_window.mjs';

let browser;

beforeEach(() => {
  browser = new FakeBrowser();
});

async function openTab({ cursor = null } = {}) {
  const window = browser.openTab();
  const stream = new SharedStream('/events', { cursor, window });
  const record = recorded(stream);
  stream.start();
  await browser.settle();
  return { window, stream, record };
}

async function tick(...seconds) {
  const [source] = browser.openSources;
  for (const second of seconds) source.tick(second);
  await browser.settle();
}

test('tabs share the stream in a browser with locks and channels', () => {
  assert.ok(openStream('/events', { window: browser.openTab() }) instanceof SharedStream);
});

test('on plain http, where there are no locks, each tab has a stream of its own', () => {
  const window = browser.openTab();
  window.navigator.locks = undefined;
  assert.ok(openStream('/events', { cursor: null, window }) instanceof LiveStream);
});

test('three tabs have one connection and show the same', async () => {
  const tabs = [await openTab(), await openTab(), await openTab()];
  await tick(1, 2);
  assert.equal(browser.sources.length, 1);
  for (const { stream, record } of tabs) {
    assert.deepEqual(record.ticks, [1, 2]);
    assert.equal(stream.state, 'live');
  }
});

test('a tab that comes later first gets the newest event, as a snapshot', async () => {
  await openTab();
  await tick(1, 2);
  const late = await openTab();
  await tick(3);
  assert.deepEqual(late.record.ticks, [2, 3]);
  assert.deepEqual(late.record.details.map(({ isSnapshot }) => isSnapshot), [true, false]);
});

test('an event that the server sends again is dropped and counted, for good', async () => {
  const { stream, record } = await openTab();
  await tick(1, 2, 2, 1, 3);
  assert.deepEqual(record.ticks, [1, 2, 3]);
  assert.equal(stream.droppedCount, 2);
  stream.stop();
  assert.equal(stream.droppedCount, 2);
});

test('a follower shows how the leader is, with its countdown', async () => {
  const leader = await openTab();
  const follower = await openTab();
  await tick(1);
  browser.lastSource.fail();
  await browser.settle();
  assert.equal(follower.stream.state, 'reconnecting');
  assert.equal(follower.stream.retryAtMs, leader.stream.retryAtMs);
});

test('a gap is reported in every tab', async () => {
  const tabs = [await openTab({ cursor: idOf(1) }), await openTab({ cursor: idOf(1) })];
  browser.lastSource.gap(50, 49);
  await browser.settle();
  for (const { record } of tabs) assert.deepEqual(record.gaps, [49]);
});

test('a clock that was set back is followed in every tab', async () => {
  const tabs = [await openTab(), await openTab()];
  await tick(5000);
  browser.lastSource.gapBack(5000, 1400);
  await tick(1401, 1402);
  for (const { record } of tabs) assert.deepEqual(record.ticks, [5000, 1401, 1402]);
  // One that knows the time before alone.
  const late = await openTab({ cursor: idOf(5000) });
  assert.deepEqual(late.record.gaps, [0]);
  assert.deepEqual(late.record.ticks, [1401, 1402]);
});

test('when the leader closes, the next tab leads, with nothing missed or shown twice', async () => {
  const leader = await openTab();
  const follower = await openTab();
  const third = await openTab();
  await tick(1, 2);
  leader.window.fire('pagehide', { persisted: false });
  await browser.settle();
  assert.equal(browser.openSources.length, 1);
  assert.equal(browser.openSources[0].cursor, idOf(2));
  await tick(2, 3, 4);
  for (const { record } of [follower, third]) assert.deepEqual(record.ticks, [1, 2, 3, 4]);
});

test('the last message of the old leader, sent to one tab, reaches the others', async () => {
  const leader = await openTab();
  const next = await openTab();
  const behind = await openTab({ cursor: null });
  await tick(1);
  const unheard = [...browser.channels].at(-1);
  const listener = unheard.onmessage;
  unheard.onmessage = null;
  await tick(2, 3);
  unheard.onmessage = listener;
  leader.stream.stop();
  await browser.settle();
  await tick(4);
  assert.deepEqual(next.record.ticks, [1, 2, 3, 4]);
  assert.deepEqual(behind.record.ticks, [1, 2, 3, 4]);
});

test('a leader that freezes hands over, and follows when it wakes', async () => {
  const first = await openTab();
  const second = await openTab();
  await tick(1);
  first.window.fire('freeze');
  await browser.settle();
  await tick(2, 3);
  first.window.fire('resume');
  await browser.settle();
  await tick(4);
  assert.equal(browser.openSources.length, 1);
  assert.equal(browser.openSources[0].tabId, 1);
  for (const { record } of [first, second]) assert.deepEqual(record.ticks, [1, 2, 3, 4]);
});

test('the only tab, frozen and woken, goes on from its cursor', async () => {
  const { window, record } = await openTab();
  await tick(1);
  window.fire('freeze');
  await browser.settle();
  assert.equal(browser.openSources.length, 0);
  window.fire('resume');
  await browser.settle();
  assert.equal(browser.openSources[0].cursor, idOf(1));
  await tick(2);
  assert.deepEqual(record.ticks, [1, 2]);
});

test('a page restored from the back/forward cache takes part again', async () => {
  const { window, stream } = await openTab();
  await tick(1);
  window.fire('pagehide', { persisted: true });
  window.fire('visibilitychange');
  window.fire('pageshow', { persisted: true });
  await browser.settle();
  await tick(2);
  assert.equal(stream.state, 'live');
  assert.equal(browser.openSources.length, 1);
});

test('a stop in the leader leaves the stream to the others', async () => {
  const leader = await openTab();
  const follower = await openTab();
  await tick(1);
  leader.stream.stop();
  await browser.settle();
  await tick(2);
  assert.equal(leader.stream.state, 'stopped');
  assert.deepEqual(leader.record.ticks, [1]);
  assert.deepEqual(follower.record.ticks, [1, 2]);
});

test('a stop in a follower stops that tab alone, and a start gets the missed events', async () => {
  const leader = await openTab();
  const follower = await openTab();
  await tick(1);
  follower.stream.stop();
  await tick(2, 3);
  assert.deepEqual(follower.record.ticks, [1]);
  follower.stream.start();
  await browser.settle();
  await tick(4);
  assert.deepEqual(follower.record.ticks, [1, 2, 3, 4]);
  assert.deepEqual(leader.record.ticks, [1, 2, 3, 4]);
  assert.equal(browser.sources.length, 1);
});

test('the last tab that stops ends the connection', async () => {
  const tabs = [await openTab(), await openTab()];
  for (const { stream } of tabs) stream.stop();
  await browser.settle();
  assert.equal(browser.openSources.length, 0);
});

test('a tab that lacks more than the leader knows has the server replay it', async () => {
  const leader = await openTab();
  await tick(50);
  const returning = await openTab({ cursor: idOf(47) });
  assert.equal(browser.openSources.length, 1);
  assert.equal(browser.openSources[0].cursor, idOf(47));
  await tick(48, 49, 50, 51);
  assert.deepEqual(returning.record.ticks, [48, 49, 50, 51]);
  assert.deepEqual(leader.record.ticks, [50, 51]);
});

test('a replay longer than the leader remembers reaches the tab that asked for it', async () => {
  await openTab();
  await tick(5_000);
  const returning = await openTab({ cursor: idOf(4_000) });
  await tick(...Array.from({ length: 1_000 }, (_, index) => 4_001 + index));
  await browser.pass(6_000);
  assert.equal(returning.record.ticks.length, 1_000);
  assert.equal(browser.sources.length, 2);
});

test('a visible follower wakes the overdue retry of a leader whose timers run late', async () => {
  const leader = await openTab();
  const follower = await openTab();
  await tick(1);
  leader.window.setTimeout = () => 0;
  browser.lastSource.fail();
  await browser.pass(6_000);
  assert.equal(browser.sources.length, 2);
  await tick(2);
  assert.deepEqual(follower.record.ticks, [1, 2]);
});

test('a leader that does not answer is replaced by a visible tab', async () => {
  await openTab();
  const [leaderChannel] = browser.channels;
  const follower = await openTab();
  await tick(1, 2, 3);
  leaderChannel.onmessage = null;
  leaderChannel.postMessage = () => {};
  await browser.pass(21_000);
  const [source] = browser.openSources.filter(({ tabId }) => tabId === 1);
  assert.equal(source.cursor, idOf(3));
  source.tick(4);
  assert.deepEqual(follower.record.ticks, [1, 2, 3, 4]);
});

test('a leader that was replaced closes its connection and follows', async () => {
  const replaced = await openTab();
  const [replacedChannel] = browser.channels;
  const follower = await openTab();
  await tick(1);
  const { onmessage } = replacedChannel;
  replacedChannel.onmessage = null;
  replacedChannel.postMessage = () => {};
  await browser.pass(21_000);
  delete replacedChannel.postMessage;
  replacedChannel.onmessage = onmessage;
  await browser.pass(6_000);
  await tick(2);
  assert.equal(browser.openSources.length, 1);
  assert.equal(browser.openSources[0].tabId, 1);
  for (const { record } of [replaced, follower]) assert.deepEqual(record.ticks, [1, 2]);
});

test('a hidden follower neither hails nor replaces the leader', async () => {
  await openTab();
  const [leaderChannel] = browser.channels;
  const follower = await openTab();
  await tick(1);
  follower.window.document.visibilityState = 'hidden';
  leaderChannel.onmessage = null;
  await browser.pass(60_000);
  assert.equal(browser.openSources[0].tabId, 0);
  assert.equal(browser.sources.length, 1);
});

test('where the browser refuses the lock, the tab has a stream of its own', async () => {
  const window = browser.openTab();
  window.navigator.locks = {
    request: async () => {
      throw new DOMException('no data is kept for this site', 'SecurityError');
    },
  };
  const stream = new SharedStream('/events', { window });
  const record = recorded(stream);
  stream.start();
  await browser.settle();
  await tick(1);
  assert.deepEqual(record.ticks, [1]);
  stream.stop();
  assert.equal(browser.openSources.length, 0);
});

test('a stream that is started and stopped at once holds no connection', async () => {
  const { stream } = await openTab();
  stream.stop();
  stream.start();
  stream.stop();
  await browser.settle();
  assert.equal(browser.openSources.length, 0);
  assert.equal(browser.channels.size, 0);
  assert.equal(stream.state, 'stopped');
});

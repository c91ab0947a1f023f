import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { LiveStream, isAfter, placeOf } from '../../src/barestream/web/static/live_stream.js';
import { FakeBrowser, idOf, recorded } from './fake_window.mjs';

let browser;
let tab;

beforeEach(() => {
  browser = new FakeBrowser();
  tab = browser.openTab();
});

function started({ url = '/events', cursor = null } = {}) {
  const stream = new LiveStream(url, { cursor, window: tab });
  const record = recorded(stream);
  stream.start();
  return { stream, record };
}

function live(...seconds) {
  const both = started();
  browser.lastSource.open();
  for (const second of seconds) browser.lastSource.tick(second);
  return both;
}

function delayMs(stream) {
  return stream.retryAtMs - browser.nowMs;
}

test('an id names its place', () => {
  assert.deepEqual(placeOf('#1795363200000-12'), { ms: 1_795_363_200_000, seq: 12 });
});

test('an id of another form names no place', () => {
  for (const id of [null, '', 'order-7', '#1-', '1-0', '#1-0 ']) assert.equal(placeOf(id), null);
});

test('places are ordered by milliseconds and then by sequence', () => {
  assert.ok(isAfter('#10-0', '#9-5'));
  assert.ok(isAfter('#9-10', '#9-9'));
  assert.ok(!isAfter('#9-9', '#9-9'));
  assert.ok(!isAfter('#9-0', '#10-0'));
});

test('an id without a place is always new', () => {
  assert.ok(isAfter('order-7', '#9-0'));
  assert.ok(isAfter('#9-0', 'order-7'));
  assert.ok(isAfter('#9-0', null));
});

test('a new client asks without a cursor', () => {
  started();
  assert.equal(browser.lastSource.url, '/events');
});

test('a client with a cursor sends it percent-encoded in the query', () => {
  started({ cursor: '#5000-0' });
  assert.equal(browser.lastSource.url, '/events?lastEventID=%235000-0');
});

test('a url that has a query keeps it', () => {
  started({ url: '/events?topic=a', cursor: '#5000-0' });
  assert.equal(browser.lastSource.url, '/events?topic=a&lastEventID=%235000-0');
});

test('the stream is live at the first event, not at open', () => {
  const { stream } = started();
  browser.lastSource.open();
  assert.equal(stream.state, 'connecting');
  browser.lastSource.tick(1);
  assert.equal(stream.state, 'live');
});

test('a message carries its id, data and time of arrival', () => {
  const { record } = live(1);
  assert.deepEqual(record.details, [
    { id: idOf(1), data: 'data of 1', receivedAtMs: browser.nowMs, isSnapshot: true },
  ]);
});

test('only the first event of a client without a cursor is a snapshot', () => {
  const { record } = live(1, 2);
  browser.lastSource.fail();
  browser.advance(3_000);
  browser.lastSource.tick(3);
  assert.deepEqual(record.details.map(({ isSnapshot }) => isSnapshot), [true, false, false]);
});

test('an event that was delivered before, or an older one, is dropped and counted', () => {
  const { stream, record } = live(5, 6, 6, 4, 7);
  assert.deepEqual(record.ticks, [5, 6, 7]);
  assert.equal(stream.droppedCount, 2);
});

test('a dropped event still shows that the stream is live', () => {
  const { stream } = started({ cursor: idOf(9) });
  browser.lastSource.open();
  browser.lastSource.tick(9);
  assert.equal(stream.state, 'live');
});

test('a gap is reported once and moves the cursor', () => {
  const { stream, record } = started({ cursor: idOf(1) });
  browser.lastSource.gap(100, 99);
  browser.lastSource.gap(100, 99);
  assert.deepEqual(record.gaps, [99]);
  assert.equal(stream.cursor, idOf(100));
});

test('a gap that leads back moves the cursor, and what follows is new', () => {
  const { stream, record } = live(5000, 5001);
  browser.lastSource.gapBack(5001, 1400);
  browser.lastSource.gapBack(5001, 1400);
  browser.lastSource.tick(1401);
  browser.lastSource.tick(1402);
  assert.deepEqual(record.ticks, [5000, 5001, 1401, 1402]);
  assert.deepEqual(record.gaps, [0]);
  assert.equal(stream.cursor, idOf(1402));
  assert.equal(stream.droppedCount, 1);
});

test('an older gap that leads forward does not move the cursor back', () => {
  const { stream } = live(5000);
  browser.lastSource.gapBack(100, 4000);
  assert.equal(stream.cursor, idOf(5000));
});

test('a gap of unknown size, or one that cannot be read, has missed null', () => {
  const { record } = started();
  browser.lastSource.gap(100, null);
  browser.lastSource.gapWithData(101, 'not json');
  assert.deepEqual(record.gaps, [null, null]);
});

test('a lost stream is reopened from the last event, after a delay that is reported', () => {
  const { stream } = live(1, 2);
  browser.lastSource.fail();
  assert.equal(stream.state, 'reconnecting');
  assert.equal(delayMs(stream), 2_000);
  browser.advance(1_999);
  assert.equal(browser.sources.length, 1);
  browser.advance(1);
  assert.equal(browser.lastSource.cursor, idOf(2));
  assert.equal(stream.retryAtMs, null);
});

test('a lost EventSource is closed, so that the browser does not retry as well', () => {
  live(1);
  browser.lastSource.fail();
  assert.equal(browser.openSources.length, 0);
});

test('delays grow to ten seconds, with jitter from one second up', () => {
  const ceilingsMs = [3_000, 6_000, 10_000, 10_000];
  for (const random of [0, 0.5, 1]) {
    tab.Math.random = () => random;
    const { stream } = started();
    for (const ceilingMs of ceilingsMs) {
      browser.lastSource.fail();
      assert.equal(delayMs(stream), 1_000 + random * (ceilingMs - 1_000));
      browser.advance(delayMs(stream));
    }
    stream.stop();
  }
});

test('open alone does not reset the delay: the stand-in for an absent app opens too', () => {
  const { stream } = started();
  for (const expectedMs of [2_000, 3_500, 5_500]) {
    browser.lastSource.open();
    browser.lastSource.fail();
    assert.equal(delayMs(stream), expectedMs);
    browser.advance(expectedMs);
  }
});

test('the first event resets the delay', () => {
  const { stream } = started();
  browser.lastSource.fail();
  browser.advance(2_000);
  browser.lastSource.tick(1);
  browser.lastSource.fail();
  assert.equal(delayMs(stream), 2_000);
});

test('the state stays reconnecting, not connecting, until the first event', () => {
  const { record } = live(1);
  browser.lastSource.fail();
  browser.advance(2_000);
  browser.lastSource.open();
  browser.lastSource.tick(2);
  assert.deepEqual(record.states, ['connecting', 'live', 'reconnecting', 'reconnecting', 'live']);
});

test('a connect that hangs is abandoned after fifteen seconds', () => {
  const { stream } = started();
  browser.advance(14_000);
  assert.equal(stream.state, 'connecting');
  browser.advance(3_000);
  assert.equal(stream.state, 'reconnecting');
});

test('the stream of a new client that gets nothing at once is reopened', () => {
  const { stream } = started();
  browser.lastSource.open();
  browser.advance(17_000);
  assert.equal(stream.state, 'reconnecting');
});

test('a client that resumes waits as long as the unknown interval may be', () => {
  const { stream } = started({ cursor: idOf(1) });
  browser.lastSource.open();
  browser.advance(149_000);
  assert.equal(stream.state, 'connecting');
  browser.advance(3_000);
  assert.equal(stream.state, 'reconnecting');
});

test('silence is accepted for 150 seconds while the interval is unknown', () => {
  const { stream } = live(120);
  browser.advance(149_000);
  assert.equal(stream.state, 'live');
  browser.advance(3_000);
  assert.equal(stream.state, 'reconnecting');
});

test('silence is accepted for ten seconds from a ticker of one second', () => {
  const { stream } = live(1, 2, 3);
  browser.advance(9_000);
  assert.equal(stream.state, 'live');
  browser.advance(3_000);
  assert.equal(stream.state, 'reconnecting');
});

test('silence is accepted for three intervals from a ticker of two minutes', () => {
  const { stream } = live(120, 240, 360);
  browser.advance(359_000);
  assert.equal(stream.state, 'live');
  browser.advance(3_000);
  assert.equal(stream.state, 'reconnecting');
});

test('one long step between ticks does not put the watchdog to sleep', () => {
  const { stream } = live(1, 2, 3, 5_000);
  browser.advance(12_000);
  assert.equal(stream.state, 'reconnecting');
});

test('a new interval of the server is learnt from two steps', () => {
  const { stream } = live(1, 2, 3, 123, 243);
  browser.advance(300_000);
  assert.equal(stream.state, 'live');
});

test('the step over a gap is no interval', () => {
  const { stream } = live(1, 2);
  browser.lastSource.gap(5_000, 4_998);
  for (const second of [5_001, 5_002]) browser.lastSource.tick(second);
  browser.advance(12_000);
  assert.equal(stream.state, 'reconnecting');
});

test('the interval outlives the connection on which it was learnt', () => {
  const { stream, record } = live(1, 2, 3);
  browser.lastSource.fail();
  browser.advance(2_000);
  browser.lastSource.open();
  browser.advance(12_000);
  assert.equal(stream.state, 'reconnecting');
  assert.equal(record.states.filter((state) => state === 'live').length, 1);
});

test('after a sleep, events that were queued come before the stream is judged', () => {
  const { stream, record } = live(1, 2, 3);
  browser.sleep(3_600_000);
  tab.fire('visibilitychange');
  assert.equal(stream.state, 'live');
  browser.lastSource.tick(4);
  browser.advance(5_000);
  assert.equal(stream.state, 'live');
  assert.deepEqual(record.ticks, [1, 2, 3, 4]);
});

test('after a sleep, a stream that is open and dead is reopened within seconds', () => {
  const { stream } = live(1, 2, 3);
  browser.sleep(3_600_000);
  tab.fire('visibilitychange');
  browser.advance(2_000);
  assert.equal(stream.state, 'reconnecting');
});

test('after a sleep, a retry that fell due is made at the next check', () => {
  live(1);
  browser.lastSource.fail();
  browser.sleep(3_600_000);
  tab.fire('pageshow');
  assert.equal(browser.sources.length, 2);
});

test('a wall clock that is set back neither delays a retry nor blinds the watchdog', () => {
  const { stream } = live(1, 2, 3);
  browser.advance(2_000);
  browser.sleep(-3_600_000);
  browser.advance(12_000);
  assert.equal(stream.state, 'reconnecting');
  browser.sleep(-3_600_000);
  browser.advance(1_000);
  assert.equal(browser.sources.length, 2);
});

test('without a network the state is offline, and the stream is back with the network', () => {
  const { stream } = live(1);
  tab.goOffline();
  assert.equal(stream.state, 'offline');
  assert.equal(browser.openSources.length, 0);
  tab.goOnline();
  assert.equal(stream.state, 'reconnecting');
  assert.equal(browser.lastSource.cursor, idOf(1));
});

test('offline the stream keeps retrying, still reports offline, and accepts an event', () => {
  const { stream } = live(1);
  tab.goOffline();
  browser.advance(2_000);
  assert.equal(browser.sources.length, 2);
  assert.equal(stream.state, 'offline');
  browser.lastSource.fail();
  assert.equal(stream.state, 'offline');
  browser.advance(30_000);
  browser.lastSource.tick(2);
  assert.equal(stream.state, 'live');
});

test('the event online does not disturb a live stream', () => {
  live(1);
  tab.goOnline();
  assert.equal(browser.sources.length, 1);
});

test('a stopped stream holds no connection and opens none', () => {
  const { stream } = live(1);
  stream.stop();
  tab.goOnline();
  tab.fire('pageshow', { persisted: true });
  browser.advance(600_000);
  assert.equal(stream.state, 'stopped');
  assert.equal(browser.sources.length, 1);
  assert.equal(browser.openSources.length, 0);
});

test('a stream that is stopped while it waits does not retry', () => {
  const { stream } = live(1);
  browser.lastSource.fail();
  stream.stop();
  browser.advance(60_000);
  assert.equal(browser.sources.length, 1);
  assert.equal(stream.retryAtMs, null);
});

test('a listener may stop the stream when the loss is reported to it', () => {
  const { stream } = live(1);
  stream.addEventListener('statechange', ({ detail: { state } }) => {
    if (state === 'reconnecting') stream.stop();
  });
  browser.lastSource.fail();
  browser.advance(60_000);
  assert.equal(browser.sources.length, 1);
});

test('a stream that is started again goes on from the cursor', () => {
  const { stream, record } = live(1, 2);
  stream.stop();
  stream.start();
  assert.equal(browser.lastSource.cursor, idOf(2));
  assert.equal(record.states.at(-1), 'connecting');
});

test('a stream that is started twice has one connection', () => {
  const { stream } = live(1);
  stream.start();
  assert.equal(browser.sources.length, 1);
});

test('a page in the back/forward cache holds no connection, and resumes from the cursor', () => {
  const { stream } = live(1);
  tab.fire('pagehide');
  assert.equal(browser.openSources.length, 0);
  tab.fire('pageshow', { persisted: true });
  assert.equal(browser.lastSource.cursor, idOf(1));
  assert.equal(stream.state, 'connecting');
});

test('events of an abandoned EventSource are ignored', () => {
  const { record } = live(1);
  const abandoned = browser.lastSource;
  abandoned.fail();
  browser.advance(2_000);
  abandoned.tick(2);
  abandoned.fail();
  assert.deepEqual(record.ticks, [1]);
  assert.equal(browser.openSources.length, 1);
});

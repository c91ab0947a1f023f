import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

// Loaded on demand by the client: here at once, as the clock of these tests does not wait for it.
import '../../client/src/worker_lock.js';
import '../../client/src/hiding.js';
import { openLock } from '../../client/src/lock.js';
import { FakeBrowser } from './fake_browser.mjs';

let browser;
let told;

beforeEach(() => {
  browser = new FakeBrowser();
  told = [];
});

function candidate(name, options) {
  const tab = browser.openTab(options);
  const tell = (what) => () => told.push(`${name} ${what}`);
  const handlers = { onHeld: tell('held'), onLost: tell('lost'), onRefused: tell('refused') };
  return openLock('the lock', handlers, tab);
}

for (const [kind, options] of [
  ['a web lock', {}],
  ['the lock of a shared worker', { hasLocks: false }],
]) {
  test(`${kind} is held by one tab, and then by the next in the queue`, async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => candidate(name, options));
    for (const lock of [a, b, c]) {
      lock.request();
      await browser.settle();
    }
    assert.deepEqual(told, ['a held']);
    b.release();
    a.release();
    await browser.settle();
    assert.deepEqual(told, ['a held', 'c held']);
  });

  test(`${kind} can be stolen, and the tab that lost it can ask again`, async () => {
    const [a, b] = ['a', 'b'].map((name) => candidate(name, options));
    a.request();
    b.request();
    await browser.settle();
    b.request(true);
    await browser.settle();
    assert.deepEqual([...told].sort(), ['a held', 'a lost', 'b held']);
    a.request();
    await browser.settle();
    b.release();
    await browser.settle();
    assert.equal(told.at(-1), 'a held');
  });
}

test('the worker takes the lock from a tab that is silent for 15 s', async () => {
  const a = candidate('a', { hasLocks: false });
  const b = candidate('b', { hasLocks: false });
  a.request();
  await browser.settle();
  b.request();
  await browser.pass(60_000);
  assert.deepEqual(told, ['a held']);
  browser.tabs[0].freezePorts();
  await browser.pass(21_000);
  assert.deepEqual(told, ['a held', 'b held']);
});

test('a lock that the browser refuses is told', async () => {
  const tab = browser.openTab();
  const refuse = async () => {
    throw new DOMException('no data is kept for this site', 'SecurityError');
  };
  tab.navigator.locks = { request: refuse };
  openLock('a lock', { onRefused: () => told.push('refused') }, tab).request();
  await browser.settle();
  assert.deepEqual(told, ['refused']);
});

test('a worker whose script is of another origin is told as a refusal', async () => {
  const tab = browser.openTab({ hasLocks: false });
  tab.SharedWorker = class {
    constructor() {
      throw new DOMException('of another origin', 'SecurityError');
    }
  };
  openLock('a lock', { onRefused: () => told.push('refused') }, tab).request();
  await browser.settle();
  assert.deepEqual(told, ['refused']);
});

test('without locks, workers or channels there is no lock', () => {
  assert.equal(openLock('a lock', {}, browser.openTab({ hasLocks: false, hasWorkers: false })), null);
  const tab = browser.openTab();
  tab.BroadcastChannel = undefined;
  assert.equal(openLock('a lock', {}, tab), null);
});

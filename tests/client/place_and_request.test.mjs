import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isAfter, parseId, stampOf } from '../../client/src/place.js';
import { HubRequest, keyOf, topicOf } from '../../client/src/request.js';

const NOTHING = { topic: null, ownId: null, matches: null, isEnd: false };
const HUB = 'https://example.com/.well-known/mercure';

test('each form of an id names its cursor and its place', () => {
  const forms = {
    '#1795-3': { cursor: '#1795-3', place: '#1795-3', ...NOTHING },
    '#1795-3~': { cursor: '#1795-3~', place: '#1795-3', ...NOTHING },
    '#5-0;a%3Bb': { cursor: '#5-0', place: '#5-0', ...NOTHING, topic: 'a;b' },
    '#5-0;a;8f%20': { cursor: '#5-0', place: '#5-0', ...NOTHING, topic: 'a', ownId: '8f ' },
    '#0-0~7-1;a': { cursor: '#0-0~', place: '#7-1', ...NOTHING, topic: 'a' },
    '#9-0=7-1;a': { cursor: '#9-0', place: '#7-1', ...NOTHING, topic: 'a' },
    '#5-0;a;;0.3': { cursor: '#5-0', place: '#5-0', ...NOTHING, topic: 'a', matches: [0, 3] },
    '#5-0;a;x;12;end': {
      cursor: '#5-0',
      place: '#5-0',
      topic: 'a',
      ownId: 'x',
      matches: [12],
      isEnd: true,
    },
  };
  for (const [id, expected] of Object.entries(forms)) assert.deepEqual(parseId(id), expected, id);
});

test('an id that the hub did not make is none', () => {
  for (const id of [null, undefined, '', 'order-7', '#1-', '1-0', '#1-0 ', '#a-0', 'earliest']) {
    assert.equal(parseId(id), null, String(id));
  }
});

test('a topic with a broken percent sign is taken as it is', () => {
  assert.equal(parseId('#5-0;50%').topic, '50%');
});

test('places are ordered by milliseconds and then by sequence', () => {
  assert.ok(isAfter('#10-0', '#9-5'));
  assert.ok(isAfter('#9-10', '#9-9'));
  assert.ok(!isAfter('#9-9', '#9-9'));
  assert.ok(!isAfter('#9-0', '#10-0'));
});

test('what has no place counts as after', () => {
  assert.ok(isAfter('order-7', '#9-0'));
  assert.ok(isAfter('#9-0', null));
  assert.equal(stampOf('order-7'), null);
  assert.equal(stampOf('#9-5'), 9);
});

test('a pattern has another key than a topic of the same text', () => {
  assert.notEqual(keyOf('/a'), keyOf({ pattern: '/a' }));
  for (const topic of ['/a', { pattern: '/a/:id' }]) assert.deepEqual(topicOf(keyOf(topic)), topic);
});

test('topics of 0.x are asked for as topic, those of 1.0 as match and match_urlpattern', () => {
  const old = new HubRequest({ url: HUB });
  assert.equal(old.address(['/a&b', 'c']).url, `${HUB}?topic=%2Fa%26b&topic=c`);
  const recent = new HubRequest({ url: HUB, protocol: '1.0' });
  const { searchParams } = new URL(recent.address(['a', keyOf({ pattern: '/b' })]).url);
  assert.deepEqual([...searchParams], [['match', 'a'], ['match_urlpattern', '/b']]);
});

test('a stream asks for heartbeats, topics and matches, from its cursor, and for no rewind', () => {
  const { url, method } = new HubRequest({ url: HUB }).stream(['a'], '#5-0');
  assert.equal(method, 'GET');
  assert.deepEqual(Object.fromEntries(new URL(url).searchParams), {
    topic: 'a',
    include: 'topic,match,ready',
    heartbeat: 'event',
    last_event_id: '#5-0',
  });
});

test('parameters without a value are left out, and those of the URL stay behind the topics', () => {
  const request = new HubRequest({ url: `${HUB}?tenant=7#part` });
  const { url } = request.address(['a'], { rewind: 10, wait: null, limit: undefined });
  assert.equal(url, `${HUB}?topic=a&rewind=10&tenant=7`);
});

test('a GET of 8,000 characters stays one, and with one more it is a QUERY with a body', () => {
  const request = new HubRequest({ url: HUB });
  const room = 8_000 - `${HUB}?topic=`.length;
  assert.equal(request.address(['a'.repeat(room)]).method, 'GET');
  const long = request.address(['a'.repeat(room + 1), 'b'], { limit: 5 });
  assert.equal(long.method, 'QUERY');
  assert.equal(long.url, HUB);
  assert.deepEqual([...new URLSearchParams(long.body).keys()], ['topic', 'topic', 'limit']);
  assert.equal(long.headers['Content-Type'], 'application/x-www-form-urlencoded');
});

test('another server is asked for nothing that it may not know', () => {
  const request = new HubRequest({ url: 'https://example.com/events', dialect: 'mercure' });
  assert.deepEqual(request.stream([], null), {
    url: 'https://example.com/events',
    method: 'GET',
    headers: {},
  });
  const long = request.stream(['a'.repeat(9_000)], null);
  assert.equal(long.method, 'GET');
});

test('another server is told the cursor as Mercure does, and by the header on the own origin', () => {
  const options = { url: 'https://example.com/events', dialect: 'mercure' };
  const own = new HubRequest(options, { location: { origin: 'https://example.com' } });
  assert.equal(own.stream([], 'é1').headers['Last-Event-ID'], 'Ã©1');
  assert.equal(own.stream([], 'é1').url, 'https://example.com/events?lastEventID=%C3%A91');
  const other = new HubRequest(options, { location: { origin: 'https://example.org' } });
  assert.deepEqual(other.stream([], 'x').headers, {});
  const recent = new HubRequest({ ...options, protocol: '1.0' }, {});
  assert.equal(recent.stream([], 'x').url, 'https://example.com/events?last_event_id=x');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EventParser } from '../../client/src/event_parser.js';

const encoder = new TextEncoder();

function parsed(...pieces) {
  const parser = new EventParser();
  return pieces.flatMap((piece) =>
    parser.push(typeof piece === 'string' ? encoder.encode(piece) : piece),
  );
}

function data(...pieces) {
  return parsed(...pieces).map((event) => event.data);
}

test('an event has a type, data and an id', () => {
  assert.deepEqual(parsed('event: add\ndata: 1\nid: x\n\n'), [
    { type: 'add', data: '1', id: 'x', hasId: true },
  ]);
});

test('lines may end with LF, with CR and with CRLF', () => {
  for (const end of ['\n', '\r', '\r\n']) {
    assert.deepEqual(data(`data: 1${end}data: 2${end}${end}data: 3${end}${end}`), ['1\n2', '3']);
  }
});

test('an event that ends with CR is told before the next byte comes', () => {
  assert.deepEqual(data('data: 1\r\r'), ['1']);
});

test('a CRLF that is cut ends one line and not two', () => {
  assert.deepEqual(data('data: 1\r', '\ndata: 2\r', '\n\r', '\n'), ['1\n2']);
});

test('a CR at the end of a piece is followed by an empty piece, and then by its LF', () => {
  assert.deepEqual(data('data: 1\r', '', '\ndata: 2\n\n'), ['1\n2']);
});

test('a BOM at the start is no part of the stream, and a later one is', () => {
  assert.deepEqual(data('\uFEFFdata: 1\n\ndata: \uFEFF2\n\n'), ['1', '\uFEFF2']);
});

test('a stream that is cut anywhere, also within a character, says the same', () => {
  const bytes = encoder.encode(
    '\uFEFF: hi\r\nretry: 7\rid: é\r\nevent: ü\ndata: ✓ 𝄞\r\ndata:\n\r\ndata: b\n\n',
  );
  const whole = parsed(bytes);
  assert.equal(whole.length, 2);
  for (let at = 1; at < bytes.length; at += 1) {
    assert.deepEqual(parsed(bytes.slice(0, at), bytes.slice(at)), whole, `cut at ${at}`);
  }
  assert.deepEqual(parsed(...[...bytes].map((byte) => Uint8Array.of(byte))), whole);
});

test('a comment is no event, and ends none', () => {
  assert.deepEqual(data(':\n: a\n\ndata: 1\n: b\ndata: 2\n\n'), ['1\n2']);
});

test('empty data is an event, and no data is none', () => {
  assert.deepEqual(data('data\n\ndata:\n\nevent: x\nid: 1\n\ndata:\ndata:\n\n'), ['', '', '\n']);
});

test('the type holds for one event, and the id until there is another', () => {
  const events = parsed('event: x\nid: 1\n\ndata: a\n\nid\ndata: b\n\n');
  assert.deepEqual(events, [
    { type: 'message', data: 'a', id: '1', hasId: false },
    { type: 'message', data: 'b', id: '', hasId: true },
  ]);
});

test('an id with NUL is not taken', () => {
  assert.equal(parsed('id: 1\nid: 2\0\ndata: a\n\n')[0].id, '1');
});

test('one space after the colon is no part of the value', () => {
  assert.deepEqual(data('data:  a\n\ndata:b\n\n'), [' a', 'b']);
});

test('an unknown field is ignored', () => {
  assert.deepEqual(data('dat: a\ndata: b\nData: c\n\n'), ['b']);
});

test('retry is a delay where it is a whole number', () => {
  const parser = new EventParser();
  assert.equal(parser.retryMs, null);
  parser.push(encoder.encode('retry: 1500\nretry: soon\nretry: -1\nretry:\n'));
  assert.equal(parser.retryMs, 1_500);
});

test('what is not ended by a blank line is no event', () => {
  assert.deepEqual(data('data: 1\n\ndata: 2\n'), ['1']);
});

test('an event of a megabyte that comes in many pieces is one event', () => {
  const piece = encoder.encode('x'.repeat(1_000));
  const events = parsed('data: ', ...Array(1_000).fill(piece), '\n\n');
  assert.equal(events[0].data.length, 1_000_000);
});

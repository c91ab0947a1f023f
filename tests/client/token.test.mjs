import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { Token } from '../../client/src/token.js';
import { FakeEnv, jwt } from './fake_env.mjs';

let env;

beforeEach(() => {
  env = new FakeEnv();
});

/** A token function whose answers the test gives. */
function asked(name, options = {}) {
  const calls = [];
  const token = new Token(
    {
      ...options,
      [name]: () =>
        new Promise((resolve, reject) => {
          calls.push({ resolve, reject });
        }),
    },
    env,
  );
  return { token, calls };
}

function endingIn(seconds, claims = {}) {
  return jwt({ exp: env.nowMs / 1_000 + seconds, ...claims });
}

test('without a token nothing is sent, and nothing can be asked', async () => {
  const token = new Token({}, env);
  assert.deepEqual(await token.headers(), {});
  assert.equal(await token.refused(await token.headers()), false);
  assert.equal(await token.identity(), '');
  assert.equal(await token.protocol(), '0.x');
});

test('a token that is a text goes into the header, and cannot be asked anew', async () => {
  const token = new Token({ token: 'abc' }, env);
  assert.deepEqual(await token.headers(), { Authorization: 'Bearer abc' });
  assert.equal(await token.refused(await token.headers()), false);
});

test('a token function is asked once, by whoever asks first', async () => {
  const { token, calls } = asked('token');
  const both = Promise.all([token.headers(), token.headers()]);
  await env.settle();
  assert.equal(calls.length, 1);
  calls[0].resolve('abc');
  const [one, other] = await both;
  assert.equal(one, other);
  assert.equal(await token.headers(), one);
  assert.equal(calls.length, 1);
});

test('a token function may throw, return a text, and return nothing', async () => {
  const failing = new Token({ token: () => assert.fail('no') }, env);
  await assert.rejects(failing.headers(), /no/);
  assert.equal(failing.problem, 'no');
  assert.deepEqual(await new Token({ token: () => 'x' }, env).headers(), { Authorization: 'Bearer x' });
  assert.deepEqual(await new Token({ token: () => null }, env).headers(), {});
});

test('another token is asked for when a fifth of its life is left, of a long life a minute', async () => {
  for (const [lifeSeconds, leftSeconds] of [
    [20, 4],
    [300, 60],
    [3_600, 60],
  ]) {
    const { token, calls } = asked('token');
    const first = token.headers();
    await env.settle();
    calls[0].resolve(endingIn(lifeSeconds));
    await first;
    env.sleep((lifeSeconds - leftSeconds) * 1_000 - 1);
    assert.equal(token.endsSoon, false);
    env.sleep(1);
    assert.equal(token.endsSoon, true);
    const second = token.headers();
    await env.settle();
    assert.equal(calls.length, 2);
    calls[1].resolve(endingIn(lifeSeconds));
    assert.notEqual(await second, await first);
    assert.equal(token.endsSoon, false);
  }
});

test('a token that is good meanwhile stays where another one cannot be had, and it is tried again', async () => {
  const { token, calls } = asked('token');
  const first = token.headers();
  await env.settle();
  calls[0].resolve(endingIn(100));
  await first;
  env.sleep(80_000);
  const second = token.headers();
  await env.settle();
  calls[1].reject(new Error('the backend is away'));
  assert.equal(await second, await first);
  assert.equal(token.problem, 'the backend is away');
  assert.equal(token.endsSoon, false);
  env.sleep(3_000);
  assert.equal(token.endsSoon, true);
  const third = token.headers();
  await env.settle();
  calls[2].resolve(endingIn(100));
  assert.notEqual(await third, await first);
  assert.equal(token.problem, null);
});

test('where the token has ended and another one cannot be had, that is an error', async () => {
  const { token, calls } = asked('token');
  const first = token.headers();
  await env.settle();
  calls[0].resolve(endingIn(100));
  await first;
  env.sleep(101_000);
  const second = token.headers();
  await env.settle();
  calls[1].reject(new Error('away'));
  await assert.rejects(second, /away/);
});

test('a backend that gives the same token again is not asked more than each three seconds', async () => {
  const askedAtMs = [];
  const text = endingIn(30);
  const token = new Token({ token: () => askedAtMs.push(env.nowMs) && text }, env);
  for (let tenth = 0; tenth < 300; tenth += 1) {
    await token.headers();
    env.sleep(100);
  }
  const steps = askedAtMs.slice(1).map((ms, index) => ms - askedAtMs[index]);
  assert.ok(steps.length > 1 && Math.min(...steps) >= 3_000, steps.join());
});

test('a token without an end is not asked for ahead of it', async () => {
  const token = new Token({ token: () => 'opaque' }, env);
  await token.headers();
  env.sleep(1e12);
  assert.equal(token.endsSoon, false);
});

test('a token that has ended by a wrong clock counts by its life', async () => {
  const text = jwt({ iat: env.nowMs / 1_000 - 7_200, exp: env.nowMs / 1_000 - 3_600 });
  const token = new Token({ token: () => text }, env);
  await token.headers();
  assert.equal(token.endsSoon, false);
  env.sleep(3_540_000);
  assert.equal(token.endsSoon, true);
});

test('after a 401 another token is asked for, once for all who were refused', async () => {
  const { token, calls } = asked('token');
  const first = token.headers();
  await env.settle();
  calls[0].resolve('one');
  const old = await first;
  const both = Promise.all([token.refused(old), token.refused(old)]);
  await env.settle();
  assert.equal(calls.length, 2);
  calls[1].resolve('two');
  assert.deepEqual(await both, [true, true]);
  assert.equal(await token.refused(old), true);
  assert.equal(calls.length, 2);
  assert.deepEqual(await token.headers(), { Authorization: 'Bearer two' });
});

test('without a cookie a request is that of a stranger, so one is asked for at first', async () => {
  const { token, calls } = asked('renew');
  const failing = token.headers();
  await env.settle();
  calls[0].reject(new Error('the backend is away'));
  await assert.rejects(failing, /the backend is away/);
  const working = token.headers();
  await env.settle();
  calls[1].resolve(null);
  assert.deepEqual(await working, {});
  await token.headers();
  assert.equal(calls.length, 2);
});

test('a renewal that fails after a 401 is an error, and may succeed later', async () => {
  const { token, calls } = asked('renew');
  const first = token.headers();
  await env.settle();
  calls[0].resolve(null);
  const old = await first;
  assert.deepEqual(old, {});
  const failing = token.refused(old);
  await env.settle();
  calls[1].reject(new Error('log in again'));
  await assert.rejects(failing, /log in again/);
  const working = token.refused(old);
  await env.settle();
  calls[2].resolve(null);
  assert.equal(await working, true);
  assert.notEqual(await token.headers(), old);
});

test('the end of a cookie may be a date, seconds, or unknown', async () => {
  for (const [end, isKnown] of [
    [() => new Date(env.nowMs + 100_000), true],
    [() => env.nowMs / 1_000 + 100, true],
    [() => null, false],
    [() => undefined, false],
  ]) {
    const token = new Token({ renew: end }, env);
    await token.headers();
    assert.equal(token.endsSoon, false);
    env.sleep(80_000);
    assert.equal(token.endsSoon, isKnown);
  }
});

test('a function that never answers is called again, and its late answer does not count', async () => {
  const { token, calls } = asked('token');
  token.headers();
  await env.settle();
  env.sleep(30_000);
  const second = token.headers();
  await env.settle();
  assert.equal(calls.length, 2);
  calls[1].resolve('two');
  assert.deepEqual(await second, { Authorization: 'Bearer two' });
  calls[0].resolve('one');
  await env.settle();
  assert.deepEqual(await token.headers(), { Authorization: 'Bearer two' });
});

test('the identity of a token is that of its user and rights, and outlives a renewal', async () => {
  const of = (claims) => new Token({ token: () => jwt(claims) }, env).identity();
  const rights = { mercure: { subscribe: ['/a'] } };
  const identity = await of({ sub: 'ann', exp: 1, ...rights });
  assert.equal(await of({ sub: 'ann', exp: 2, ...rights }), identity);
  assert.notEqual(await of({ sub: 'bob', exp: 1, ...rights }), identity);
  assert.notEqual(await of({ sub: 'ann', mercure: { subscribe: ['/b'] } }), identity);
  assert.match(identity, /^[0-9a-z]+$/);
});

test('the identity of another token is told by the whole, without telling it', async () => {
  const of = (token) => new Token({ token }, env).identity();
  assert.equal(await of('opaque'), await of(() => 'opaque'));
  assert.notEqual(await of('opaque'), await of('opaquf'));
  assert.ok(!(await of('opaque')).includes('opaque'));
});

test('an identity that the page gives counts', async () => {
  assert.equal(await new Token({ identity: 'ann' }, env).identity(), 'ann');
  assert.equal(await new Token({ identity: 'ann', token: 'x' }, env).identity(), 'ann');
});

test('the protocol is that of the page, or that of the token by its type', async () => {
  const of = (typ, options) => new Token({ token: jwt({}, { typ }), ...options }, env).protocol();
  assert.equal(await of('at+jwt'), '1.0');
  assert.equal(await of('application/at+jwt'), '1.0');
  assert.equal(await of('JWT'), '0.x');
  assert.equal(await of('JWT', { protocol: '1.0' }), '1.0');
  assert.equal(await new Token({ token: 'opaque' }, env).protocol(), '0.x');
});

/**
 * What a page passes to the client, checked at once: a misspelt option would else be noticed late.
 */

/**
 * @param {string} where the function's name, for the error
 * @param {any} options
 * @param {Record<string, string>} expected by name: types and values, with `or` between them
 * @throws {TypeError}
 */
export function checkOptions(where, options, expected) {
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(expected, name)) {
      throw new TypeError(`${where}: unknown option ${name}; known: ${Object.keys(expected).join(', ')}`);
    }
    const kinds = [`a ${typeof value}`, String(value), `an ${value?.constructor?.name}`];
    const isRight = value === undefined || expected[name].split(' or ').some((kind) => kinds.includes(kind));
    if (!isRight) throw new TypeError(`${where}: ${name} must be ${expected[name]}`);
  }
}

const HUB_OPTIONS = {
  token: 'a string or a function',
  renew: 'a function',
  credentials: 'same-origin or include or omit',
  shared: 'a boolean',
  identity: 'a string',
  protocol: '0.x or 1.0',
  dialect: 'barestream or mercure',
  fetch: 'a function',
};

const SUBSCRIBE_OPTIONS = {
  rewind: 'a number or a string',
  from: 'a string',
  getState: 'a function',
  signal: 'an AbortSignal',
  onState: 'a function',
  onEvent: 'a function',
  onEvents: 'a function',
  onGap: 'a function',
  onEnd: 'a function',
};

const PRESENCE_OPTIONS = {
  signal: 'an AbortSignal',
  onChange: 'a function',
  onJoined: 'a function',
  onLeft: 'a function',
};

/** @throws {TypeError} */
export function checkPresence(topic, options, isOurs) {
  if (!topic || typeof topic !== 'string') throw new TypeError('presence: topic must be a string');
  checkOptions('presence', options, PRESENCE_OPTIONS);
  if (!isOurs) throw new TypeError("presence: only dialect 'barestream' has it");
}

/** @throws {TypeError} */
export function checkHubOptions(options) {
  checkOptions('connect', options, HUB_OPTIONS);
}

/**
 * @param {any[]} topics each a string or {pattern: string}
 * @param {any} options
 * @param {{isOurs: boolean, protocol: ?string}} hub protocol is null while it is not known
 * @throws {TypeError}
 */
export function checkSubscription(topics, options, { isOurs, protocol }) {
  const check = (isRight, expected) => {
    if (!isRight) throw new TypeError(`subscribe: ${expected}`);
  };
  const isTopic = (topic) => (typeof topic === 'string' ? topic : typeof topic?.pattern === 'string');
  check(topics.every(isTopic) && (topics.length || !isOurs), 'topics must be a string, {pattern: string}, or an array of these');
  checkOptions('subscribe', options, SUBSCRIBE_OPTIONS);
  const { rewind, from, getState } = options;
  check([rewind, from, getState].filter((start) => start !== undefined).length < 2, 'rewind, from and getState exclude each other');
  check(rewind === undefined || /^(kept|[1-9]\d{0,5}s?)$/.test(rewind), "rewind must be 1 to 999999, '1s' to '999999s', or 'kept'");
  check(isOurs || !rewind, "only dialect 'barestream' has rewind");
  check(protocol !== '0.x' || topics.every((topic) => topic.pattern === undefined), "{pattern} needs protocol '1.0'");
}

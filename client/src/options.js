/**
 * What a page passes to the client, checked at once: a misspelt option would else be noticed late.
 */

/**
 * @param {string} where the function's name, for the error
 * @param {any} options
 * @param {Record<string, Check>} checks of each option that there is
 * @throws {TypeError}
 */
export function checkOptions(where, options, checks) {
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(checks, name)) {
      throw new TypeError(`${where}: unknown option ${name}; known: ${Object.keys(checks).join(', ')}`);
    }
    const [isRight, expected] = checks[name];
    if (value !== undefined && !isRight(value)) throw new TypeError(`${where}: ${name} must be ${expected}`);
  }
}

/** @typedef {[(value: any) => boolean, string]} Check whether a value is right, and what is expected */

/** @type {(...values: any[]) => Check} of which the option must be one */
export const oneOf = (...values) => [(value) => values.includes(value), values.join(' or ')];

/** @type {(...types: string[]) => Check} as typeof names them */
export const ofType = (...types) => [(value) => types.includes(typeof value), `a ${types.join(' or ')}`];

/** @type {Check} */
export const SIGNAL = [(value) => typeof value.addEventListener === 'function', 'an AbortSignal'];

const text = ofType('string');
const callback = ofType('function');

/** @type {Record<string, Check>} */
const HUB_OPTIONS = {
  token: ofType('string', 'function'),
  renew: callback,
  credentials: oneOf('same-origin', 'include', 'omit'),
  shared: ofType('boolean'),
  identity: text,
  protocol: oneOf('0.x', '1.0'),
  dialect: oneOf('barestream', 'mercure'),
  fetch: callback,
};

/** @type {Record<string, Check>} */
const SUBSCRIBE_OPTIONS = {
  rewind: [isRewind, "a number from 1 to 999999, such a number with s ('30s'), or 'kept'"],
  from: text,
  getState: callback,
  signal: SIGNAL,
  onState: callback,
  onEvent: callback,
  onEvents: callback,
  onGap: callback,
  onEnd: callback,
};

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
  const isTopic = (topic) => (typeof topic === 'string' ? topic : typeof topic?.pattern === 'string');
  if (!topics.every(isTopic) || (isOurs && !topics.length)) {
    throw new TypeError('subscribe: topics must be a string, {pattern: string}, or an array of these');
  }
  checkOptions('subscribe', options, SUBSCRIBE_OPTIONS);
  const starts = ['rewind', 'from', 'getState'].filter((name) => options[name] !== undefined);
  if (starts.length > 1) throw new TypeError(`subscribe: ${starts.join(' and ')} exclude each other`);
  if (!isOurs && options.rewind) throw new TypeError("subscribe: only dialect 'barestream' has rewind");
  if (protocol === '0.x' && topics.some((topic) => topic.pattern !== undefined)) {
    throw new TypeError("subscribe: {pattern} needs protocol '1.0'");
  }
}

function isRewind(value) {
  return value === 'kept' || /^[1-9]\d{0,5}s?$/.test(value);
}

/**
 * Connect to a hub. The stream opens with the first subscription and closes with the last one.
 *
 * @param url The hub's address. Default: `/.well-known/mercure` of the page's own origin.
 * @throws TypeError An option is wrong; the message says what is expected.
 */
export function connect(url?: string | URL, options?: Options): Hub;

export interface Options {
  /**
   * A JWT for the `Authorization` header, or a function that returns one. The function is called
   * before the token expires, and after the hub has answered 401.
   */
  token?: string | (() => string | Promise<string>);
  /**
   * With cookies: has your backend set another cookie, and returns when that one expires. It is
   * called before then, and after the hub has answered 401.
   */
  renew?: () => Expiry | Promise<Expiry>;
  /** Whether cookies are sent, as for `fetch`. Default: `same-origin`. */
  credentials?: RequestCredentials;
  /** Whether all tabs of one user share one stream. Default: `true`. */
  shared?: boolean;
  /**
   * With cookies: who the user is, so that only tabs of the same user share a stream. With a
   * token this is read from the token.
   */
  identity?: string;
  /**
   * The version of Mercure. Default: what the token's `typ` says; without a token `0.x`.
   */
  protocol?: '0.x' | '1.0';
  /**
   * `mercure`: another hub, or any address of Server-Sent Events. Nothing is asked of it that is
   * barestream's own, so there is no `rewind`. Default: `barestream`.
   */
  dialect?: 'barestream' | 'mercure';
  /** In place of the global `fetch`. */
  fetch?: typeof fetch;
}

/** When a cookie expires: a date, or seconds since 1970; `null` or `undefined` if not known. */
export type Expiry = Date | number | null | undefined | void;

/**
 * A topic, or all topics that a URL Pattern matches. In Mercure 0.x the text may be a URI
 * template; `{ pattern }` is for 1.0.
 */
export type Topic = string | { pattern: string };

/**
 * `idle`: there is no subscription. `connecting`: a stream was asked for. `catching up`: it sends
 * what was missed. `live`: it has sent all. `waiting`: it was lost, and is tried again at
 * `retryAt`. `offline`: the browser has no network. `denied`: the hub refuses it. `ended`: all
 * topics have ended.
 */
export type State =
  | 'idle'
  | 'connecting'
  | 'catching up'
  | 'live'
  | 'waiting'
  | 'offline'
  | 'denied'
  | 'ended';

export interface Detail {
  state: State;
  /** Why it is so, in words. */
  reason: string | null;
  /** When the next try is, in milliseconds since 1970; `null` if none is planned. */
  retryAt: number | null;
  /** The status of the hub's last answer, if it is what led here. */
  status: number | null;
  /** `reads` where a proxy holds streams back, so that the hub is asked again and again. */
  via: 'stream' | 'reads';
}

export interface Hub extends EventTarget {
  readonly url: string;
  readonly state: State;
  readonly detail: Detail;
  /**
   * Receive the events of some topics. Topics may come and go: all subscriptions have one stream.
   *
   * @throws TypeError A topic or an option is wrong.
   */
  subscribe<S = unknown>(topics: Topic | Topic[], options?: SubscribeOptions<S>): Subscription;
  /**
   * Publish an update, if the token allows it. Data that is no text is sent as JSON.
   *
   * @returns The update's id.
   */
  publish(topics: string | string[], data: unknown, options?: PublishOptions): Promise<string>;
  /** The place of the hub's newest update. */
  cursor(): Promise<string>;
  /**
   * Who has subscribed to a topic: each user once, however many tabs and devices. It needs the
   * right to subscribe to `/.well-known/mercure/presence/{topic}`. Whoever only looks is no member:
   * that takes a subscription to the topic itself.
   *
   * @throws TypeError The topic or an option is wrong.
   */
  presence<P = any>(topic: string, options?: PresenceOptions<P>): Presence<P>;
  /**
   * Say that the user leaves. The others are told at once, and not after the hub's grace. It
   * resolves when the hub has answered, and also where it does not.
   *
   * @param topics This page closes its subscriptions that have no other topics. The user has left
   *   them unless another tab follows them too. Without topics the user leaves as a whole, as at a
   *   log-out: all tabs that share the stream drop it, and wait for `identify`.
   */
  leave(topics?: Topic | Topic[]): Promise<void>;
  /**
   * Call this after a log-in or log-out. In all tabs, the stream is dropped at once, the token is
   * asked for again, and everything begins anew for the new user.
   *
   * @param identity With cookies: who the user is from here on.
   */
  identify(identity?: string): void;
  /** Close all subscriptions and the stream. */
  close(): void;
  addEventListener(
    type: 'statechange',
    listener: ((event: CustomEvent<Detail>) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  /** Another user is here, in whichever tab `identify` was called: drop what the page shows of the one before. */
  addEventListener(
    type: 'userchange',
    listener: ((event: Event) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener(
    type: 'statechange',
    listener: ((event: CustomEvent<Detail>) => void) | null,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

export interface PublishOptions {
  /** Only for those whose token covers the topic. */
  private?: boolean;
  /** An id of your own; not beginning with `#`. */
  id?: string;
  /** The event's type. */
  type?: string;
  /** The reconnection delay for clients, in milliseconds. */
  retry?: number;
  /** The update is the first topic's kept value for so many seconds; 0 clears that. */
  keep?: number | 'forever';
  /** It is the topic's last update. A number: the end is remembered for so many seconds. */
  end?: true | number;
  signal?: AbortSignal;
}

export interface PresenceOptions<P = any> {
  /** The members are known, or are others. At first with those who are there already. */
  onChange?(members: ReadonlyMap<string, Member<P>>): void;
  onJoined?(member: Member<P>): void;
  /** The last of the member's subscriptions has ended, and did not come back in time. */
  onLeft?(member: Member<P>): void;
  /** Closes it when it aborts. */
  signal?: AbortSignal;
}

/** A topic's members, kept true. */
export interface Presence<P = any> {
  readonly topic: string;
  /** By their ids. Empty until the hub has answered. */
  readonly members: ReadonlyMap<string, Member<P>>;
  close(): void;
}

export interface Member<P = any> {
  /** The `sub` of the token; without one, its payload as JSON. */
  readonly id: string;
  /** The payload of the token; `null` without one. */
  readonly payload: P | null;
}

/** `rewind`, `from` and `getState` exclude each other. */
export type SubscribeOptions<S = unknown> = Callbacks & (FromHere | FromState<S>);

export interface Callbacks {
  /** Closes the subscription. */
  signal?: AbortSignal;
  onEvent?(event: HubEvent): void;
  /** Gets events in batches: those that came together. */
  onEvents?(events: HubEvent[]): void;
  /** Events were missed, and the hub does not have them any more. */
  onGap?(gap: Gap): void;
  /** All topics have ended. Topics of a template or a pattern never end. */
  onEnd?(): void;
}

export type FromHere =
  | {
      /**
       * What comes first, of each topic: the newest so many events, those of the last seconds
       * (`'30s'`), or the kept value and what came after it (`'kept'`).
       */
      rewind?: number | `${number}s` | 'kept';
      from?: undefined;
      getState?: undefined;
      onState?: undefined;
    }
  | {
      /** Begin after this cursor; `'earliest'` is the oldest event that the hub has. */
      from?: string;
      rewind?: undefined;
      getState?: undefined;
      onState?: undefined;
    };

export interface FromState<S> {
  /**
   * Returns the state of things, and a cursor from before it was read. It is called at first, and
   * again after a gap. Events after the cursor follow.
   *
   * @param gap The gap that made it necessary; `null` at first.
   * @param signal Aborts when the state is not needed any more.
   */
  getState(gap: Gap | null, signal: AbortSignal): Snapshot<S> | Promise<Snapshot<S>>;
  /** Gets what `getState` has returned as `state`. */
  onState?(state: S): void;
  rewind?: undefined;
  from?: undefined;
}

export interface Snapshot<S> {
  state: S;
  cursor: string;
}

export interface Gap {
  /** How many updates are gone, of all topics; `null` if not known. */
  missed: number | null;
  /** The cursor after which they were. */
  from: string | null;
  /** The hub's clock or history went back. */
  isBack: boolean;
}

/** In `for await`: it ends with the topics, and throws `DeniedError` if the hub refuses it. */
export interface Subscription extends AsyncIterable<HubEvent> {
  /** Up to where events were delivered. Keep it for a reload of the page, and give it as `from`. */
  readonly cursor: string | null;
  readonly topics: Topic[];
  close(): void;
  [Symbol.asyncIterator](): AsyncIterator<HubEvent>;
}

export interface HubEvent {
  /** The publisher's id; without one, the place. */
  readonly id: string;
  /** Where it stands in the hub's one order; no two updates have the same. */
  readonly place: string;
  /**
   * The first of its topics that the stream asked for. Of an update with several topics it may be
   * one that another subscription of the user asked for. `null`: the hub names none.
   */
  readonly topic: string | null;
  readonly type: string;
  readonly data: string;
  /** It was published before you have subscribed, or while you were away. */
  readonly replay: boolean;
  /** The data, parsed as JSON. */
  json<T = any>(): T;
}

/** The hub refuses the subscription, and no other try would help. */
export class DeniedError extends Error {
  /** The status of the hub's answer. */
  readonly status: number | null;
}

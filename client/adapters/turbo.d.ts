import type { Callbacks, FromHere, Hub, Subscription, Topic } from '../barestream.js';

/**
 * Apply the `<turbo-stream>` elements in the data of each event to the page. After a gap the page
 * is refreshed, unless you give an `onGap` of your own.
 */
export function streamInto(
  hub: Hub,
  topics: Topic | Topic[],
  options?: Callbacks & FromHere,
): Subscription;

/**
 * Define an element that does so while it is in the page:
 * `<hub-stream-source topic="/orders" from="#1795366712345-0"></hub-stream-source>`.
 * `from` is the cursor of the hub before the page was made, so that nothing between that and the
 * stream is missed.
 *
 * @param name The element's name. Default: `hub-stream-source`.
 */
export function defineStreamSource(hub: Hub, name?: string): void;

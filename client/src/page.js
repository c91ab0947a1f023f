/**
 * Tells when the page is put away, by a browser that freezes it or keeps it for the way back, and when
 * it is there again.
 *
 * @param {Record<string, () => void> & {away: () => void, back: () => void}} listeners away, back, and
 *   others by the type of their event
 * @param {AbortSignal} signal ends it
 * @param {any} env
 */
export function watchPage({ away, back, ...others }, signal, env) {
  const listeners = { pagehide: away, freeze: away, pageshow: back, resume: back, ...others };
  for (const [type, listener] of Object.entries(listeners)) {
    // In the capture phase, because freeze and resume go to the document and do not bubble.
    env.addEventListener?.(type, listener, { signal, capture: true });
  }
}

/**
 * Shows an error of the page's own code where the page's errors are seen, and goes on.
 * @param {unknown} error
 * @param {any} [env]
 */
export function report(error, env = globalThis) {
  if (env.reportError) env.reportError(error);
  else console.error(error);
}

/** The hub refuses, and asking again cannot help. */
export class DeniedError extends Error {
  name = 'DeniedError';

  /** @param {string} reason @param {?number} status of the answer */
  constructor(reason, status = null) {
    super(reason);
    this.status = status;
  }
}

/**
 * Who shows the hub no token, and renews no cookie.
 */
export class Visitor {
  endsSoon = false;
  problem = null;
  #options;

  /** @param {{identity?: string, protocol?: '0.x' | '1.0'}} options */
  constructor(options) {
    this.#options = options;
  }

  async headers() {
    return {};
  }

  async refused() {
    return false;
  }

  async identity() {
    return this.#options.identity ?? '';
  }

  async protocol() {
    return this.#options.protocol ?? '0.x';
  }
}

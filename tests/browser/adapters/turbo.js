// The sample of the README.

import './sample.js';

globalThis.renders = 0;
addEventListener('turbo:render', () => (globalThis.renders += 1));

// webpack's own development server in front of the service. By default it compresses, serves what is
// in `public`, and the entry, bundled, as /main.js.
//
//   node webpack_development_server.mjs PORT TARGET

import webpack from 'webpack';
import WebpackDevServer from 'webpack-dev-server';

const [, , port, target] = process.argv;

const compiler = webpack({ mode: 'development', entry: './late_ticks.mjs' });
const proxy = [{ context: ['/events'], target, changeOrigin: true }];

await new WebpackDevServer({ host: '127.0.0.1', port, proxy }, compiler).start();

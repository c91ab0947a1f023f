// A development server in front of the service, of the parts that webpack's is made of, but newer.
//
//   node development_server.mjs PORT TARGET

import compression from 'compression';
import express from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';

const [, , port, target] = process.argv;

express()
  .use(compression())
  .use(express.static('public'))
  .get('/main.js', (_, response) => response.sendFile('late_ticks.mjs', { root: '.' }))
  .use(createProxyMiddleware({ target, changeOrigin: true }))
  .listen(Number(port), '127.0.0.1');

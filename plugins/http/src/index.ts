import { definePlugin } from '@stepwell/plugin-sdk';

import { request } from './request.js';

export default definePlugin({
  id: 'http',
  title: 'HTTP',
  description: 'Calls any public HTTP API.',
  actions: [request],
});

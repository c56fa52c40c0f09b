import { definePlugin } from '@stepwell/plugin-sdk';

import { javascript } from './javascript.js';

export default definePlugin({
  id: 'code',
  title: 'Code',
  description: 'Runs JavaScript that a plan brings along, sealed, each time in a fresh context.',
  actions: [javascript],
});

import { definePlugin } from '@stepwell/plugin-sdk';

import { webhook } from './credential.js';
import { post } from './post.js';

export default definePlugin({
  id: 'webhook',
  title: 'Webhook',
  description: 'Posts to any URL, signed on demand.',
  actions: [post],
  credentials: [webhook],
});

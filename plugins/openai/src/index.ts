import { definePlugin } from '@stepwell/plugin-sdk';

import { chatCompletion } from './chat-completion.js';
import { openai } from './credential.js';
import { embeddings } from './embeddings.js';

export default definePlugin({
  id: 'openai',
  title: 'OpenAI',
  description: 'Models of OpenAI, and of services that speak its API.',
  actions: [chatCompletion, embeddings],
  credentials: [openai],
});

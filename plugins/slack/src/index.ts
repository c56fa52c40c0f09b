import { definePlugin } from '@stepwell/plugin-sdk';

import { slack } from './credential.js';
import { listChannels, lookupUserByEmail } from './lookups.js';
import { addReaction, deleteMessage, sendMessage, updateMessage } from './messages.js';

export default definePlugin({
  id: 'slack',
  title: 'Slack',
  description: 'Messages, reactions, channels and people of a workspace, as a bot.',
  actions: [
    sendMessage,
    updateMessage,
    deleteMessage,
    addReaction,
    listChannels,
    lookupUserByEmail,
  ],
  credentials: [slack],
});

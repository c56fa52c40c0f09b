import { json, startCountingServer, type CountingServer } from './counting-server.js';

/** As much of Slack's Web API as the tests need: chat.postMessage and auth.test for one bot token. */
export async function startSlackServer(botToken: string): Promise<CountingServer> {
  return await startCountingServer((seen, response) => {
    const isKnown = seen.headers['authorization'] === `Bearer ${botToken}`;
    if (!isKnown) {
      json(response, 200, { ok: false, error: 'invalid_auth' });
    } else if (seen.url === '/api/auth.test') {
      json(response, 200, { ok: true, url: 'https://team.slack.com/', team: 'Team', user: 'bot' });
    } else if (seen.method === 'POST' && seen.url === '/api/chat.postMessage') {
      const { channel, text } = JSON.parse(seen.body) as { channel: string; text: string };
      if (channel === '#none') json(response, 200, { ok: false, error: 'channel_not_found' });
      else {
        const message = { type: 'message', user: 'U1', text, ts: '1700000000.000100' };
        json(response, 200, { ok: true, channel: 'C123', ts: message.ts, message });
      }
    } else {
      json(response, 200, { ok: false, error: 'unknown_method' });
    }
  });
}

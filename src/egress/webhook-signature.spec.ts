import { createHmac } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';

import { webhookSignature } from './webhook-signature.js';

const message = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  sentAtMs: 1_614_265_330_999,
  body: Buffer.from('{"test": 2432232314}'),
};

describe('webhookSignature', () => {
  it('signs id, timestamp and body as the test vector of Standard Webhooks does', () => {
    expect(webhookSignature('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', message)).toEqual({
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: '1614265330',
      signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('takes any other secret as it is', () => {
    const expected = createHmac('sha256', 'geheim-ß')
      .update(`${message.id}.1614265330.{"test": 2432232314}`)
      .digest('base64');
    expect(webhookSignature('geheim-ß', message)?.signature).toBe(`v1,${expected}`);
  });

  it.each(['', 'whsec_', 'whsec_not base64', 'whsec_A', 'whsec_AAAA-_AA'])(
    'has no key in "%s"',
    (secret) => {
      expect(webhookSignature(secret, message)).toBeNull();
    },
  );
});

import { createHmac, timingSafeEqual } from 'node:crypto';

import { Inject, Injectable } from '@nestjs/common';

import { deriveKey, ROOT_KEY } from '../../database/root-key.js';
import { PublicUrl } from './public-url.js';

/** A step of an execution, or one item of its `for_each`: what a token names. */
export interface WaitPlace {
  tenantId: string;
  executionId: string;
  stepId: string;
  iteration: number;
}

export const WAIT_KEY_PURPOSE = 'wait tokens';

const VERSION = 1;
const UUID_BYTES = 16;
/** Version, tenant, execution, iteration; the id of the step is what follows. */
const HEAD_BYTES = 1 + UUID_BYTES + UUID_BYTES + 4;
/** 128 bits: HMAC-SHA-256, cut to its left half (RFC 2104, section 5). */
const TAG_BYTES = 16;

/**
 * Tokens of waits. Whoever has one may say, without an account, that what a step waits for has
 * happened. It is made from the place alone, so that it can be sent before the step gets there, and
 * is the same each time; it ends with its execution.
 */
@Injectable()
export class WaitTokens {
  private readonly key: Buffer;

  constructor(
    @Inject(ROOT_KEY) rootKey: Buffer,
    private readonly publicUrl: PublicUrl,
  ) {
    this.key = deriveKey(rootKey, WAIT_KEY_PURPOSE);
  }

  /** base64url: the place and its signature, 53 bytes and the id of the step. */
  tokenOf(place: WaitPlace): string {
    const body = encodePlace(place);
    return Buffer.concat([body, this.sign(body)]).toString('base64url');
  }

  /** What to POST to when it has happened. */
  urlOf(place: WaitPlace): string {
    return `${this.publicUrl.base}/api/waits/${this.tokenOf(place)}`;
  }

  /** The place that a token names; null unless it is one of ours, whole and unchanged. */
  read(token: string): WaitPlace | null {
    const bytes = Buffer.from(token, 'base64url');
    // Decoding overlooks what isn't base64url: one place has one token.
    if (bytes.length <= HEAD_BYTES + TAG_BYTES || bytes.toString('base64url') !== token)
      return null;
    const body = bytes.subarray(0, -TAG_BYTES);
    if (!timingSafeEqual(bytes.subarray(-TAG_BYTES), this.sign(body))) return null;
    return body[0] === VERSION ? decodePlace(body) : null;
  }

  private sign(body: Buffer): Buffer {
    return createHmac('sha256', this.key).update(body).digest().subarray(0, TAG_BYTES);
  }
}

function encodePlace({ tenantId, executionId, stepId, iteration }: WaitPlace): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(VERSION, 0);
  writeUuid(head, tenantId, 1);
  writeUuid(head, executionId, 1 + UUID_BYTES);
  head.writeUInt32BE(iteration, HEAD_BYTES - 4);
  return Buffer.concat([head, Buffer.from(stepId, 'utf8')]);
}

function decodePlace(body: Buffer): WaitPlace {
  return {
    tenantId: readUuid(body, 1),
    executionId: readUuid(body, 1 + UUID_BYTES),
    stepId: body.toString('utf8', HEAD_BYTES),
    iteration: body.readUInt32BE(HEAD_BYTES - 4),
  };
}

function writeUuid(target: Buffer, uuid: string, offset: number): void {
  target.write(uuid.replaceAll('-', ''), offset, UUID_BYTES, 'hex');
}

function readUuid(source: Buffer, offset: number): string {
  return source
    .toString('hex', offset, offset + UUID_BYTES)
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

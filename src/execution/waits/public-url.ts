import type { Server } from 'node:http';
import { isIPv6 } from 'node:net';

import { Inject, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

import type { Config } from '../../config/config.js';

export type PublicUrlSettings = Pick<Config, 'publicUrl' | 'host' | 'port'>;

export const PUBLIC_URL_SETTINGS = Symbol('PublicUrlSettings');

/** What listens on all addresses is reached at each of them, and at these by no name of its own. */
const ALL_ADDRESSES: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Where others reach the API of this installation: what links that leave it begin with. */
@Injectable()
export class PublicUrl {
  constructor(
    @Inject(PUBLIC_URL_SETTINGS) private readonly settings: PublicUrlSettings,
    private readonly adapterHost: HttpAdapterHost,
  ) {}

  /** Without a slash at its end: what the operator set, else where this host listens. */
  get base(): string {
    const { publicUrl, host } = this.settings;
    if (publicUrl !== null) return publicUrl;
    const name = ALL_ADDRESSES.has(host) ? '127.0.0.1' : host;
    return `http://${isIPv6(name) ? `[${name}]` : name}:${String(this.port)}`;
  }

  /** With PORT=0 it is known when the host listens. */
  private get port(): number {
    const address = (this.adapterHost.httpAdapter.getHttpServer() as Server).address();
    return typeof address === 'object' && address ? address.port : this.settings.port;
  }
}

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

import {
  Global,
  Inject,
  Logger,
  Module,
  type DynamicModule,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';

import { messageOf, StartupError } from '../common/errors.js';
import { parseUntrustedJson } from '../common/json.js';
import type { Config } from '../config/config.js';
import { parseEgressAllow, type AllowRule } from '../egress/allow-list.js';
import { EgressGateway } from '../egress/gateway.js';
import { DeclarativeSandbox } from '../sandbox/declarative/declarative-sandbox.js';
import { IsolateSandbox } from '../sandbox/isolate/isolate-sandbox.js';
import { readMachineMemory } from '../sandbox/isolate/machine-memory.js';
import { poolSizeFor } from '../sandbox/isolate/pool-size.js';
import { SchemaValidator } from '../sandbox/schema/schema-validator.js';
import { TieredSandbox } from '../sandbox/tiered-sandbox.js';
import { ThisHost } from '../queue/this-host.js';
import { sandboxPorts } from './intake/sandbox-ports.js';
import { INTAKE_PORTS, PLUGIN_PATHS } from './plugin-tokens.js';

/**
 * Gives the sandbox and egress, which know nothing of Nest, to those that do: made here out of the
 * configuration, closed here when the host stops.
 */
@Global()
@Module({})
export class SandboxModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    @Inject(IsolateSandbox) private readonly isolates: IsolateSandbox,
    @Inject(EgressGateway) private readonly egress: EgressGateway,
    @Inject(SchemaValidator) private readonly validator: SchemaValidator,
    @Inject(ThisHost) private readonly host: ThisHost,
  ) {}

  /** @throws StartupError for wrong rules in STEPWELL_EGRESS_ALLOW. */
  static register(
    config: Pick<Config, 'egressAllow' | 'plugins' | 'maxSandboxChildren'>,
  ): DynamicModule {
    const allow = readEgressRules(config.egressAllow);
    const logger = new Logger('sandbox');
    const providers = [
      {
        provide: EgressGateway,
        useFactory: () => new EgressGateway({ version: readVersion(), allow }),
      },
      { provide: SchemaValidator, useFactory: () => new SchemaValidator() },
      {
        provide: IsolateSandbox,
        useFactory: () =>
          new IsolateSandbox({
            maxChildren: config.maxSandboxChildren ?? sizeForThisMachine(),
            log: (level, event, fields) => {
              const write = { debug: 'debug', info: 'log', warn: 'warn', error: 'error' } as const;
              logger[write[level]]({ event, ...fields });
            },
          }),
      },
      {
        provide: TieredSandbox,
        inject: [IsolateSandbox],
        useFactory: (isolate: IsolateSandbox) =>
          new TieredSandbox({ declarative: new DeclarativeSandbox(), isolate }),
      },
      {
        provide: INTAKE_PORTS,
        inject: [IsolateSandbox, SchemaValidator],
        useFactory: (isolate: IsolateSandbox, schemas: SchemaValidator) =>
          sandboxPorts({ isolate, schemas }),
      },
      { provide: PLUGIN_PATHS, useValue: config.plugins },
    ];
    return {
      module: SandboxModule,
      providers,
      exports: providers.map(({ provide }) => provide),
    };
  }

  /** The first step of the first tenant finds its child ready. */
  onApplicationBootstrap(): void {
    if (this.host.has('worker')) this.isolates.warm();
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.isolates.close(), this.egress.close(), this.validator.close()]);
  }
}

function readEgressRules(text: string): AllowRule[] {
  try {
    return parseEgressAllow(text);
  } catch (error) {
    throw new StartupError(messageOf(error), error);
  }
}

function sizeForThisMachine(): number {
  const { limitBytes } = readMachineMemory();
  return poolSizeFor({ memoryBytes: limitBytes, cores: availableParallelism() });
}

function readVersion(): string {
  const file = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = parseUntrustedJson(file) as { version: string };
  return version;
}

import { Global, Module, type DynamicModule } from '@nestjs/common';

import type { Config } from '../config/config.js';

export type TenancySettings = Pick<Config, 'legacyUsers' | 'metricsToken' | 'spool'>;

export const TENANCY_SETTINGS = Symbol('TenancySettings');

/** Apart from TenancyModule, which other rooms import as it is. */
@Global()
@Module({})
export class TenancySettingsModule {
  static register({ legacyUsers, metricsToken, spool }: TenancySettings): DynamicModule {
    return {
      module: TenancySettingsModule,
      providers: [{ provide: TENANCY_SETTINGS, useValue: { legacyUsers, metricsToken, spool } }],
      exports: [TENANCY_SETTINGS],
    };
  }
}

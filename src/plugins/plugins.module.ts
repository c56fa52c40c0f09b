import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { TenancyModule } from '../tenancy/tenancy.module.js';
import { PluginBundle } from './plugin-bundle.entity.js';
import { PluginCatalogue } from './plugin-catalogue.js';
import { PluginDiscovery } from './plugin-discovery.js';
import { PluginVersion } from './plugin-version.entity.js';
import { Plugin } from './plugin.entity.js';
import { PluginsController } from './plugins.controller.js';
import { OperatorPoliciesController } from './policy/operator-policies.controller.js';
import { OperatorPoliciesService } from './policy/operator-policies.service.js';
import { TenantPolicy } from './policy/tenant-policy.entity.js';
import { TenantRulesService } from './policy/tenant-rules.service.js';
import { ProvidersController } from './providers.controller.js';
import { ProvidersService } from './providers.service.js';
import { TenantPlugin } from './tenant-plugin.entity.js';
import { TenantPluginsService } from './tenant-plugins.service.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([Plugin, PluginBundle, PluginVersion, TenantPlugin, TenantPolicy]),
    TenancyModule,
  ],
  controllers: [ProvidersController, PluginsController, OperatorPoliciesController],
  providers: [
    PluginDiscovery,
    PluginCatalogue,
    ProvidersService,
    TenantRulesService,
    TenantPluginsService,
    OperatorPoliciesService,
  ],
  exports: [PluginCatalogue],
})
export class PluginsModule {}

import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { PluginBundle } from './plugin-bundle.entity.js';
import { PluginCatalogue } from './plugin-catalogue.js';
import { PluginDiscovery } from './plugin-discovery.js';
import { PluginVersion } from './plugin-version.entity.js';
import { Plugin } from './plugin.entity.js';
import { PluginsController } from './plugins.controller.js';
import { ProvidersController } from './providers.controller.js';
import { ProvidersService } from './providers.service.js';
import { TenantPlugin } from './tenant-plugin.entity.js';

@Module({
  imports: [TypeOrmModule.forFeature([Plugin, PluginBundle, PluginVersion, TenantPlugin])],
  controllers: [ProvidersController, PluginsController],
  providers: [PluginDiscovery, PluginCatalogue, ProvidersService],
  exports: [PluginCatalogue],
})
export class PluginsModule {}

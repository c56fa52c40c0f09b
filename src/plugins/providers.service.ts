import { Injectable } from '@nestjs/common';
import type { ActionManifest } from '@stepwell/plugin-sdk';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import type { JsonValue } from '../common/json.js';
import { PluginCatalogue, type CatalogueEntry } from './plugin-catalogue.js';

export interface ProviderDetail {
  name: string;
  title: string;
  description: string | null;
  package: string;
  version: string;
  versions: string[];
  digest: string;
  tier: string;
  hosts: JsonValue[];
  actions: ActionManifest[];
  triggers: never[];
}

export interface PluginSummary {
  id: string;
  package: string;
  version: string;
  digest: string;
  origin: string;
  enabled: boolean;
  tier: string;
  permissions: { hosts: JsonValue[] };
}

@Injectable()
export class ProvidersService {
  constructor(private readonly catalogue: PluginCatalogue) {}

  /** The providers that the caller's tenant may use, by name. */
  async listProviders(ctx: Ctx): Promise<ProviderDetail[]> {
    return (await this.catalogue.listEnabled(ctx)).map((entry) => this.toDetail(entry));
  }

  /** @throws AppError request.not_found, also for one that the tenant has not enabled. */
  async getProvider(ctx: Ctx, name: string): Promise<ProviderDetail> {
    const found = (await this.listProviders(ctx)).find((provider) => provider.name === name);
    if (!found) throw new AppError('request.not_found', `there is no provider "${name}" here`);
    return found;
  }

  /** @throws AppError request.not_found */
  async getAction(ctx: Ctx, name: string, actionId: string): Promise<ActionManifest> {
    const provider = await this.getProvider(ctx, name);
    const action = provider.actions.find(({ id }) => id === actionId);
    if (!action) {
      throw new AppError('request.not_found', `the provider "${name}" has no action "${actionId}"`);
    }
    return action;
  }

  /** Every plugin of the installation, with the tenant's decision. */
  async listPlugins(ctx: Ctx): Promise<PluginSummary[]> {
    return (await this.catalogue.listAll(ctx)).map(({ entry, enabled }) =>
      toSummary(entry, enabled),
    );
  }

  /** @throws AppError request.not_found */
  async setEnabled(ctx: Ctx, id: string, enabled: boolean): Promise<PluginSummary> {
    const found = await this.catalogue.setEnabled(ctx, id, enabled);
    const plugin = found ? (await this.listPlugins(ctx)).find((item) => item.id === id) : undefined;
    if (!plugin) throw new AppError('request.not_found', `there is no plugin "${id}"`);
    return plugin;
  }

  private toDetail({ digest, manifest }: CatalogueEntry): ProviderDetail {
    return {
      name: manifest.id,
      title: manifest.title ?? manifest.id,
      description: manifest.description ?? null,
      package: manifest.package,
      version: manifest.version,
      versions: this.catalogue.versionsOf(manifest.id).map((entry) => entry.manifest.version),
      digest,
      tier: manifest.tier,
      hosts: manifest.permissions.hosts,
      actions: manifest.actions,
      triggers: [],
    };
  }
}

function toSummary({ digest, manifest, origin }: CatalogueEntry, enabled: boolean): PluginSummary {
  return {
    id: manifest.id,
    package: manifest.package,
    version: manifest.version,
    digest,
    origin,
    enabled,
    tier: manifest.tier,
    permissions: { hosts: manifest.permissions.hosts },
  };
}

import { Injectable } from '@nestjs/common';
import type { ActionManifest, CredentialManifest } from '@stepwell/plugin-sdk';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import type { JsonValue } from '../common/json.js';
import { PluginCatalogue, type UsableEntry } from './plugin-catalogue.js';
import { decideAccess, isAllowed } from './policy/decide.js';

/** An action as its callers see it; `credential` is the type of credential that it uses, if any. */
export type ActionDetail = Omit<ActionManifest, 'credential'> & { credential: string | null };

/** What a form for a credential needs; where its secrets are placed is nobody's business. */
export type CredentialTypeDetail = Pick<CredentialManifest, 'id' | 'kind' | 'fields' | 'hosts'> & {
  title: string;
};

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
  actions: ActionDetail[];
  triggers: never[];
  credentials: CredentialTypeDetail[];
}

@Injectable()
export class ProvidersService {
  constructor(private readonly catalogue: PluginCatalogue) {}

  /** The providers that the caller's tenant may use, by name, with the actions that it allows. */
  async listProviders(ctx: Ctx): Promise<ProviderDetail[]> {
    const rules = await this.catalogue.rulesOf(ctx);
    return this.catalogue.usableUnder(rules).map((usable) => ({
      ...toDetail(usable),
      versions: this.catalogue
        .versionsOf(usable.entry.manifest.id)
        .filter((entry) => decideAccess(entry, rules).usable)
        .map((entry) => entry.manifest.version),
    }));
  }

  /** @throws AppError request.not_found, also for one that the tenant may not use. */
  async getProvider(ctx: Ctx, name: string): Promise<ProviderDetail> {
    const found = (await this.listProviders(ctx)).find((provider) => provider.name === name);
    if (!found) throw new AppError('request.not_found', `there is no provider "${name}" here`);
    return found;
  }

  /** @throws AppError request.not_found, also for one that the tenant doesn't allow. */
  async getAction(ctx: Ctx, name: string, actionId: string): Promise<ActionDetail> {
    const provider = await this.getProvider(ctx, name);
    const action = provider.actions.find(({ id }) => id === actionId);
    if (!action) {
      throw new AppError('request.not_found', `the provider "${name}" has no action "${actionId}"`);
    }
    return action;
  }
}

function toDetail({ entry, access }: UsableEntry): Omit<ProviderDetail, 'versions'> {
  const { digest, manifest } = entry;
  return {
    name: manifest.id,
    title: manifest.title ?? manifest.id,
    description: manifest.description ?? null,
    package: manifest.package,
    version: manifest.version,
    digest,
    tier: manifest.tier,
    hosts: manifest.permissions.hosts,
    actions: manifest.actions
      .filter(({ id }) => isAllowed(access, id))
      .map((action) => ({ ...action, credential: action.credential ?? null })),
    triggers: [],
    credentials: (manifest.credentials ?? []).map(({ id, title, kind, fields, hosts }) => ({
      id,
      title: title ?? id,
      kind,
      fields,
      hosts,
    })),
  };
}

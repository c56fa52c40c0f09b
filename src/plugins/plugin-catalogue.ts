import { Injectable, Logger } from '@nestjs/common';
import type { PluginManifest } from '@stepwell/plugin-sdk';
import { rcompare } from 'semver';

import { BoundedCache } from '../common/bounded-cache.js';
import { messageOf } from '../common/errors.js';
import { Database, type TxCtx } from '../database/database.js';
import { DEFAULT_TENANT } from '../tenancy/tenants.service.js';
import { manifestDigest, sha256 } from './intake/manifest.js';
import type { PackedPlugin } from './intake/pack-plugin.js';
import { PluginBundle } from './plugin-bundle.entity.js';
import { PluginVersion } from './plugin-version.entity.js';
import { Plugin, type PluginOrigin } from './plugin.entity.js';
import { PluginDiscovery, type FoundPlugin } from './plugin-discovery.js';
import type { Versions } from './policy/change-decision.js';
import {
  decideAccess,
  decideAction,
  type PluginAccess,
  type PluginGrant,
  type TenantRules,
} from './policy/decide.js';
import { permissionsOf } from './policy/permissions.js';
import { TenantRulesService } from './policy/tenant-rules.service.js';

export interface CatalogueEntry {
  digest: string;
  manifest: PluginManifest;
  origin: PluginOrigin;
  isCurrent: boolean;
}

/** A version that a tenant may use, and how much of it. */
export interface UsableEntry {
  entry: CatalogueEntry;
  access: PluginGrant;
}

interface StoredVersion extends Pick<PluginVersion, 'digest'>, Pick<Plugin, 'origin'> {
  is_current: boolean;
  /** Null: of a digest that is known here. */
  manifest: PluginManifest | null;
}

export interface QuarantinedPlugin {
  /** Where it was found. */
  source: string;
  reason: string;
}

const MAX_CACHED_BUNDLES = 100;
/** What another host stored is offered here within a second; the rest is for reading it. */
const MAX_AGE_MS = 500;

/**
 * Every plugin version that this installation knows, by digest, and what of it a tenant may use.
 * PostgreSQL holds them; this holds the manifests for as long as the host lives.
 */
@Injectable()
export class PluginCatalogue {
  /** Plugins that would not load: the host stays up, their plans wait. */
  readonly quarantined: QuarantinedPlugin[] = [];

  private readonly logger = new Logger('plugins');

  private readonly byDigest = new Map<string, CatalogueEntry>();
  /** Bundles by digest; steps run the same few over and over. */
  private readonly bundles = new BoundedCache<Promise<string>>(MAX_CACHED_BUNDLES);
  private refreshedAt = -Infinity;

  constructor(
    private readonly database: Database,
    private readonly discovery: PluginDiscovery,
    private readonly rules: TenantRulesService,
  ) {}

  get size(): number {
    return this.currentEntries().length;
  }

  /** Looks at first-party plugins and STEPWELL_PLUGINS, verifies what is new, and stores it. */
  async discover(): Promise<void> {
    await this.refresh();
    const listed = new Set<string>();
    for (const source of this.discovery.sources()) {
      try {
        const found = await this.discovery.read(source);
        const digest = manifestDigest(found.plugin.manifest);
        // A digest in the catalogue was verified when it came in.
        if (!this.byDigest.has(digest)) await this.discovery.verify(found);
        await this.register(found, digest);
        if (source.origin === 'operator') listed.add(found.plugin.manifest.id);
      } catch (error) {
        const quarantined = { source: source.path, reason: messageOf(error) };
        this.quarantined.push(quarantined);
        this.logger.warn(quarantined, 'a plugin is quarantined: its plans wait');
      }
    }
    await this.refresh();
    for (const id of listed) await this.enableByDefault(id);
  }

  /** Reads what other hosts have stored since. A digest stands for one manifest: that is read once. */
  async refresh(): Promise<void> {
    const begunAt = performance.now();
    const rows = await this.database.query<StoredVersion>(
      `select v.digest, v.is_current, p.origin,
              case when v.digest = any($1) then null else v.manifest end as manifest
         from plugin_versions v join plugins p on p.id = v.plugin_id`,
      [[...this.byDigest.keys()]],
    );
    for (const { digest, origin, is_current: isCurrent, ...row } of rows) {
      const manifest = row.manifest ?? this.byDigest.get(digest)?.manifest;
      if (manifest) this.byDigest.set(digest, { digest, manifest, origin, isCurrent });
    }
    this.refreshedAt = begunAt;
  }

  /** The entry of a digest that a plan pinned; another host may have stored it since. */
  async findByDigest(digest: string): Promise<CatalogueEntry | null> {
    if (!this.byDigest.has(digest)) await this.refresh();
    return this.byDigest.get(digest) ?? null;
  }

  /** Current versions of one provider, newest first. */
  versionsOf(pluginId: string): CatalogueEntry[] {
    return this.currentEntries()
      .filter((entry) => entry.manifest.id === pluginId)
      .sort((a, b) => rcompare(a.manifest.version, b.manifest.version));
  }

  /** The same; null: there is no such plugin. */
  findVersions(pluginId: string): Versions<CatalogueEntry> | null {
    const [newest, ...older] = this.versionsOf(pluginId);
    return newest ? [newest, ...older] : null;
  }

  /** Every plugin with its current versions, by id. */
  listVersions(): Versions<CatalogueEntry>[] {
    const ids = [...new Set(this.currentEntries().map((entry) => entry.manifest.id))].sort();
    return ids.flatMap((id) => {
      const versions = this.findVersions(id);
      return versions ? [versions] : [];
    });
  }

  /**
   * What decides now which plugins the caller's tenant may use; see `usableUnder`. Brings the
   * versions up to date as well, which may be 500 ms old.
   */
  async rulesOf(ctx: TxCtx): Promise<TenantRules> {
    if (performance.now() - this.refreshedAt >= MAX_AGE_MS) await this.refresh();
    return await this.rules.read(ctx);
  }

  /** The newest current version of each provider that these rules let a tenant use, by name. */
  usableUnder(rules: TenantRules): UsableEntry[] {
    return this.listVersions().flatMap((versions) => {
      for (const entry of versions) {
        const access = decideAccess(entry, rules);
        if (access.usable) return [{ entry, access }];
      }
      return [];
    });
  }

  /** The newest current version of each provider that the caller's tenant may use, by name. */
  async listUsable(ctx: TxCtx): Promise<UsableEntry[]> {
    return this.usableUnder(await this.rulesOf(ctx));
  }

  /** The same, without how much of it. */
  async listEnabled(ctx: TxCtx): Promise<CatalogueEntry[]> {
    return (await this.listUsable(ctx)).map(({ entry }) => entry);
  }

  /**
   * Whether a tenant may use an action of a plugin version, and which hosts at most, as of at most
   * 500 ms ago: asked again before each attempt of a step.
   */
  async accessOf(ctx: TxCtx, entry: CatalogueEntry, actionId: string): Promise<PluginAccess> {
    return decideAction(entry, actionId, await this.rules.readRecent(ctx));
  }

  /** Text of a bundle. */
  async loadBundle(digest: string): Promise<string> {
    let bundle = this.bundles.get(digest);
    if (!bundle) {
      bundle = this.readBundle(digest);
      this.bundles.set(digest, bundle);
      bundle.catch(() => {
        this.bundles.delete(digest);
      });
    }
    return await bundle;
  }

  private async readBundle(digest: string): Promise<string> {
    const [row] = await this.database.query<PluginBundle>(
      'select digest, source from plugin_bundles where digest = $1',
      [digest],
    );
    if (row && sha256(row.source) === digest) return row.source;
    throw new Error(`the bundle ${digest} is ${row ? 'not what was stored' : 'not stored'}`);
  }

  private async register(found: FoundPlugin, digest: string): Promise<void> {
    const { manifest, bundle }: PackedPlugin = found.plugin;
    const [row] = await this.database.query<{ holder: string | null }>(
      'select register_plugin($1, $2) as holder',
      [
        JSON.stringify({
          plugin_id: manifest.id,
          package: manifest.package,
          origin: found.source.origin,
          version: manifest.version,
          digest,
          bundle_digest: manifest.bundle.digest,
          manifest,
        }),
        bundle,
      ],
    );
    const holder = row?.holder ?? null;
    if (holder !== null) {
      throw new Error(
        `plugin.id_taken: the id "${manifest.id}" belongs to the package ${holder}; choose another id`,
      );
    }
  }

  /**
   * Listing a plugin is the operator's approval and consent; the operator's own tenant needs no
   * second yes. What its admin decided since stands, and so does what was agreed to.
   */
  private async enableByDefault(pluginId: string): Promise<void> {
    const newest = this.findVersions(pluginId)?.[0];
    if (!newest) return;
    await this.database.query('select enable_plugin_by_default($1, $2, $3)', [
      DEFAULT_TENANT,
      pluginId,
      JSON.stringify(permissionsOf(newest.manifest)),
    ]);
  }

  private currentEntries(): CatalogueEntry[] {
    return [...this.byDigest.values()].filter((entry) => entry.isCurrent);
  }
}

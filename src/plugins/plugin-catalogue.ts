import { Injectable } from '@nestjs/common';
import type { PluginManifest } from '@stepwell/plugin-sdk';
import { rcompare } from 'semver';

import { BoundedCache } from '../common/bounded-cache.js';
import type { Ctx } from '../common/ctx.js';
import { messageOf } from '../common/errors.js';
import { Database, type Tx, type TxCtx } from '../database/database.js';
import { DEFAULT_TENANT } from '../tenancy/tenants.service.js';
import { manifestDigest, sha256 } from './intake/manifest.js';
import type { PackedPlugin } from './intake/pack-plugin.js';
import { PluginBundle } from './plugin-bundle.entity.js';
import { PluginVersion } from './plugin-version.entity.js';
import { Plugin, type PluginOrigin } from './plugin.entity.js';
import { PluginDiscovery, type FoundPlugin } from './plugin-discovery.js';
import { TenantPlugin } from './tenant-plugin.entity.js';

export interface CatalogueEntry {
  digest: string;
  manifest: PluginManifest;
  origin: PluginOrigin;
  isCurrent: boolean;
}

export interface QuarantinedPlugin {
  /** Where it was found. */
  source: string;
  reason: string;
}

const DECISIONS_MAX_AGE_MS = 1_000;
const MAX_CACHED_TENANTS = 10_000;
const MAX_CACHED_BUNDLES = 100;

/**
 * Every plugin version that this installation knows, by digest, and what of it a tenant may use.
 * PostgreSQL holds them; this holds the manifests for as long as the host lives.
 */
@Injectable()
export class PluginCatalogue {
  /** Plugins that would not load: the host stays up, their plans wait. */
  readonly quarantined: QuarantinedPlugin[] = [];

  private readonly byDigest = new Map<string, CatalogueEntry>();
  /** Bundles by digest; steps run the same few over and over. */
  private readonly bundles = new BoundedCache<Promise<string>>(MAX_CACHED_BUNDLES);

  /** What tenants decided, for a second each: steps ask before every attempt. */
  private readonly decisions = new BoundedCache<{
    readAt: number;
    byPlugin: ReadonlyMap<string, boolean>;
  }>(MAX_CACHED_TENANTS);

  constructor(
    private readonly database: Database,
    private readonly discovery: PluginDiscovery,
  ) {}

  get size(): number {
    return this.currentEntries().length;
  }

  /** Looks at first-party plugins and STEPWELL_PLUGINS, verifies what is new, and stores it. */
  async discover(): Promise<void> {
    await this.loadKnown();
    for (const source of this.discovery.sources()) {
      try {
        const found = await this.discovery.read(source);
        const digest = manifestDigest(found.plugin.manifest);
        // A digest in the catalogue was verified when it came in.
        if (!this.byDigest.has(digest)) await this.discovery.verify(found);
        await this.register(found, digest);
      } catch (error) {
        this.quarantined.push({ source: source.path, reason: messageOf(error) });
      }
    }
    await this.loadKnown();
  }

  /** The entry of a digest that a plan pinned; another host may have stored it since. */
  async findByDigest(digest: string): Promise<CatalogueEntry | null> {
    if (!this.byDigest.has(digest)) await this.loadKnown();
    return this.byDigest.get(digest) ?? null;
  }

  /** Current versions of one provider, newest first. */
  versionsOf(pluginId: string): CatalogueEntry[] {
    return this.currentEntries()
      .filter((entry) => entry.manifest.id === pluginId)
      .sort((a, b) => rcompare(a.manifest.version, b.manifest.version));
  }

  /** The newest current version of each provider that the caller's tenant has enabled, by name. */
  async listEnabled(ctx: TxCtx): Promise<CatalogueEntry[]> {
    const decisions = await this.database.withTenant(ctx, (tx) => readDecisions(tx, ctx));
    return this.newestEntries().filter((entry) => isEnabled(entry, decisions));
  }

  /** Whether a tenant may use a plugin, as of at most a second ago; asked again before each step. */
  async isEnabledFor(ctx: TxCtx, entry: CatalogueEntry): Promise<boolean> {
    const cached = this.decisions.get(ctx.tenantId);
    if (cached && performance.now() - cached.readAt < DECISIONS_MAX_AGE_MS) {
      return isEnabled(entry, cached.byPlugin);
    }
    const byPlugin = await this.database.withTenant(ctx, (tx) => readDecisions(tx, ctx));
    this.decisions.set(ctx.tenantId, { readAt: performance.now(), byPlugin });
    return isEnabled(entry, byPlugin);
  }

  /** Every provider with the tenant's decision, by name. */
  async listAll(ctx: Ctx): Promise<{ entry: CatalogueEntry; enabled: boolean }[]> {
    const decisions = await this.database.withTenant(ctx, (tx) => readDecisions(tx, ctx));
    return this.newestEntries().map((entry) => ({ entry, enabled: isEnabled(entry, decisions) }));
  }

  /** Turns a plugin on or off for the caller's tenant. False: no such plugin. */
  async setEnabled(ctx: Ctx, pluginId: string, enabled: boolean): Promise<boolean> {
    if (this.versionsOf(pluginId).length === 0) return false;
    await this.database.withTenant(ctx, (tx) =>
      tx.upsert(
        TenantPlugin,
        { tenantId: ctx.tenantId, pluginId, enabled, updatedBy: ctx.userId, updatedAt: new Date() },
        ['tenantId', 'pluginId'],
      ),
    );
    this.decisions.delete(ctx.tenantId);
    return true;
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
    if (found.source.origin === 'operator') {
      // Listing it is the operator's approval; the operator's own tenant needs no second yes.
      await this.database.query('select enable_plugin_by_default($1, $2)', [
        DEFAULT_TENANT,
        manifest.id,
      ]);
    }
  }

  private async loadKnown(): Promise<void> {
    const rows = await this.database.query<
      Pick<PluginVersion, 'digest' | 'manifest'> & Pick<Plugin, 'origin'> & { is_current: boolean }
    >(
      `select v.digest, v.manifest, v.is_current, p.origin
         from plugin_versions v join plugins p on p.id = v.plugin_id`,
    );
    for (const { digest, manifest, origin, is_current: isCurrent } of rows) {
      this.byDigest.set(digest, { digest, manifest, origin, isCurrent });
    }
  }

  private currentEntries(): CatalogueEntry[] {
    return [...this.byDigest.values()].filter((entry) => entry.isCurrent);
  }

  private newestEntries(): CatalogueEntry[] {
    const ids = [...new Set(this.currentEntries().map((entry) => entry.manifest.id))].sort();
    return ids.flatMap((id) => this.versionsOf(id).slice(0, 1));
  }
}

async function readDecisions(tx: Tx, ctx: TxCtx): Promise<Map<string, boolean>> {
  const rows = await tx.findBy(TenantPlugin, { tenantId: ctx.tenantId });
  return new Map(rows.map((row) => [row.pluginId, row.enabled]));
}

/** First-party plugins start enabled, every other one waits for the tenant. */
function isEnabled(entry: CatalogueEntry, decisions: ReadonlyMap<string, boolean>): boolean {
  return decisions.get(entry.manifest.id) ?? entry.origin === 'first_party';
}

import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';

import { BoundedCache } from '../common/bounded-cache.js';
import { Database, type TxCtx } from '../database/database.js';
import { CredentialUnreadableError } from '../egress/credential.js';
import { CredentialSecrets, placeOf } from './credential-secrets.js';
import { Credential, type CredentialScope } from './credential.entity.js';
import { Vault } from './vault/vault.js';

const BATCH_SIZE = 100;
/** Also finds what another host left undone when it died. */
const LOOK_EVERY_MS = 5 * 60_000;
const MAX_UNREADABLE = 10_000;

interface StaleCredential {
  tenant_id: string;
  id: string;
  owner_id: string;
  scope: CredentialScope;
}

/**
 * Seals credentials anew that aren't under their tenant's newest key. Any number of hosts may do so at
 * once, and be stopped at any point: a row is either under the old key or under the new one.
 */
@Injectable()
export class Resealing implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('credentials');
  /** Revisions, by id, that the audit log was told of: once is enough. */
  private readonly unreadable = new BoundedCache<number>(MAX_UNREADABLE);
  private timer: NodeJS.Timeout | undefined;
  private underWay: Promise<void> | null = null;
  /** A key was added after the pass under way had begun. */
  private isWanted = false;
  private stopping = false;

  constructor(
    private readonly database: Database,
    private readonly vault: Vault,
    private readonly secrets: CredentialSecrets,
  ) {}

  onApplicationBootstrap(): void {
    this.begin();
    this.timer = setInterval(() => {
      this.begin();
    }, LOOK_EVERY_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    clearInterval(this.timer);
    await this.underWay;
  }

  /** Starts a pass over all that is stale, in the background. */
  begin(): void {
    this.isWanted = true;
    this.underWay ??= this.runPasses()
      .catch((error: unknown) => {
        this.logger.error(
          { err: error },
          'credentials wait to be sealed with the newest key; it is tried again in a few minutes',
        );
      })
      .finally(() => {
        this.underWay = null;
        // Asked for after the last pass had looked.
        if (this.isWanted && !this.stopping) this.begin();
      });
  }

  private async runPasses(): Promise<void> {
    while (this.isWanted && !this.stopping) {
      this.isWanted = false;
      await this.runPass();
    }
  }

  private async runPass(): Promise<void> {
    let after: string | null = null;
    while (!this.stopping) {
      const batch: StaleCredential[] = await this.database.query<StaleCredential>(
        'select * from list_stale_credentials($1, $2)',
        [after, BATCH_SIZE],
      );
      for (const stale of batch) await this.reseal(stale);
      const last = batch.at(-1);
      if (!last) return;
      after = last.id;
    }
  }

  /** As the row's owner, so that row-level security holds for this, too. */
  private async reseal({
    tenant_id: tenantId,
    id,
    owner_id,
    scope,
  }: StaleCredential): Promise<void> {
    if (this.stopping) return;
    const asOwner: TxCtx = {
      tenantId,
      userId: owner_id,
      role: scope === 'tenant' ? 'admin' : 'user',
    };
    const row = await this.database.withTenant(asOwner, (tx) =>
      tx.findOneBy(Credential, { tenantId, id }),
    );
    if (!row || this.unreadable.get(row.id) === row.revision) return;
    const clear = await this.secrets.open(asOwner, row).catch(nullWhenUnreadable);
    if (clear === null) {
      this.unreadable.set(row.id, row.revision);
      return;
    }
    const key = await this.vault.getSealingKey(asOwner).catch(nullWhenUnreadable);
    if (key === null) {
      this.logger.error(
        { tenant_id: tenantId, credential_id: id },
        "a credential stays under an older key: its tenant's newest can't be unwrapped",
      );
      return;
    }
    const { keyVersion, secrets } = this.vault.seal(key, placeOf(row), clear);
    // Whoever replaced it meanwhile did so under the newest key, and that is what stays.
    await this.database.withTenant(asOwner, (tx) =>
      tx.update(
        Credential,
        { tenantId, id, revision: row.revision },
        { keyVersion, secrets, revision: row.revision + 1 },
      ),
    );
  }
}

/** What it was to be read for stays as it is. */
function nullWhenUnreadable(error: unknown): null {
  if (error instanceof CredentialUnreadableError) return null;
  throw error;
}

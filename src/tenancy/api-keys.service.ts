import { Injectable } from '@nestjs/common';
import { IsNull } from 'typeorm';

import type { Ctx, Permission } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { isUuid, newId } from '../common/ids.js';
import { decodeCursor, toPage, type Page } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import { makeApiKey } from './api-key.js';
import { ApiKey } from './api-key.entity.js';
import type { CreateApiKeyDto, ListApiKeysQuery } from './api-keys.dto.js';
import { AuditService } from './audit/audit.service.js';
import { findUser } from './find-user.js';
import { assertAdminRemains, holdAdmins, isWholeAdminKey } from './last-admin.js';
import { Session } from './sessions/session.entity.js';
import { User } from './user.entity.js';

/** A key as the API shows it: never the key, never its hash. */
export interface ApiKeyView {
  id: string;
  user_id: string;
  name: string;
  /** Its first characters, so that people tell theirs apart. */
  prefix: string;
  /** Null: all that the user has. */
  permissions: Permission[] | null;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
}

export interface NewApiKeyView extends ApiKeyView {
  /** Shown this once. */
  key: string;
}

@Injectable()
export class ApiKeysService {
  constructor(
    private readonly database: Database,
    private readonly audit: AuditService,
  ) {}

  /**
   * Makes a key for the caller or a member. It carries what was asked for, or all that the caller's
   * own key does; each use cuts that by what the user has then.
   * @throws AppError request.not_found for a user that isn't there; auth.forbidden for permissions
   *   that the caller lacks and for an operator who is someone else; state.conflict for a disabled
   *   user; request.invalid for an end that has passed.
   */
  async createApiKey(ctx: Ctx, input: CreateApiKeyDto): Promise<NewApiKeyView> {
    const permissions = permissionsFor(ctx, input.permissions ?? null);
    const { expires_at: endsAt = null } = input;
    const expiresAt = endsAt === null ? null : new Date(endsAt);
    if (expiresAt && expiresAt.getTime() <= Date.now()) {
      throw new AppError('request.invalid', 'expires_at: must be in the future', {
        errors: [{ pointer: '/expires_at', detail: 'must be in the future' }],
      });
    }
    const { key, prefix, hash } = makeApiKey();
    const id = newId();
    return await this.database.withTenant(ctx, async (tx) => {
      const user = await getUser(tx, ctx, input.user_id ?? ctx.userId);
      assertMayHaveKey(ctx, user);
      await tx.insert(ApiKey, {
        tenantId: ctx.tenantId,
        id,
        userId: user.id,
        name: input.name,
        prefix,
        keyHash: hash,
        permissions,
        expiresAt,
      });
      await this.audit.record(tx, ctx, {
        action: 'api_key.created',
        subject: { type: 'api_key', id },
        details: {
          user_id: user.id,
          name: input.name,
          prefix,
          permissions,
          expires_at: expiresAt?.toISOString() ?? null,
        },
      });
      const { id: keyId, ...rest } = toView(await getKey(tx, ctx, id));
      return { id: keyId, key, ...rest };
    });
  }

  /** Keys of the tenant, newest first, also those that work no more. */
  async listApiKeys(ctx: Ctx, query: ListApiKeysQuery): Promise<Page<ApiKeyView>> {
    const rows = await this.database.withTenant(ctx, async (tx) => {
      const user = query.user_id === undefined ? null : await getUser(tx, ctx, query.user_id);
      return await tx
        .createQueryBuilder(ApiKey, 'k')
        .where('k.tenantId = :tenantId', { tenantId: ctx.tenantId })
        .andWhere('(:cursor::uuid is null or k.id < :cursor::uuid)', {
          cursor: decodeCursor(query.cursor),
        })
        .andWhere('(:user::uuid is null or k.userId = :user::uuid)', { user: user?.id ?? null })
        .orderBy('k.id', 'DESC')
        .limit(query.limit + 1)
        .getMany();
    });
    return toPage(rows.map(toView), query.limit);
  }

  /**
   * Ends a key and the sessions that were begun with it, from the next request on. Revoking it again
   * changes nothing.
   * @throws AppError request.not_found; auth.forbidden for a key of an operator who is someone else;
   *   state.conflict when no working admin key would be left.
   */
  async revokeApiKey(ctx: Ctx, id: string): Promise<void> {
    await this.database.withTenant(ctx, async (tx) => {
      await holdAdmins(tx, ctx);
      const key = await getKey(tx, ctx, id);
      if (key.revokedAt) return;
      const user = await getUser(tx, ctx, key.userId);
      assertMayTouchKeysOf(ctx, user);
      const revokedAt = new Date();
      const { tenantId } = ctx;
      await tx.update(ApiKey, { tenantId, id: key.id }, { revokedAt });
      await tx.update(Session, { tenantId, apiKeyId: key.id, revokedAt: IsNull() }, { revokedAt });
      if (isWholeAdminKey(key, user)) await assertAdminRemains(tx, ctx, user);
      await this.audit.record(tx, ctx, {
        action: 'api_key.revoked',
        subject: { type: 'api_key', id: key.id },
        details: { user_id: key.userId, name: key.name, prefix: key.prefix },
      });
    });
  }
}

/** What a new key lists: never more than the caller's own key carries. */
function permissionsFor(ctx: Ctx, asked: Permission[] | null): Permission[] | null {
  if (asked === null) {
    return ctx.proof.isRestricted ? [...ctx.permissions].sort() : null;
  }
  const lacking = asked.filter((one) => !ctx.permissions.has(one));
  if (lacking.length > 0) {
    throw new AppError(
      'auth.forbidden',
      `a key can't do more than yours; you lack ${lacking.join(', ')}`,
      { errors: [{ pointer: '/permissions', detail: `leave out ${lacking.join(', ')}` }] },
    );
  }
  return [...new Set(asked)].sort();
}

function assertMayHaveKey(ctx: Ctx, user: User): void {
  assertMayTouchKeysOf(ctx, user);
  if (!user.disabledAt) return;
  throw new AppError(
    'state.conflict',
    `the user ${user.externalId} is disabled; enable it first (PUT /api/users/${user.id})`,
  );
}

function assertMayTouchKeysOf(ctx: Ctx, user: User): void {
  if (!user.isOperator || user.id === ctx.userId) return;
  throw new AppError('auth.forbidden', 'the keys of an operator are his own business alone');
}

async function getUser(tx: Tx, ctx: Ctx, name: string): Promise<User> {
  const user = await findUser(tx, ctx, name);
  if (user) return user;
  throw new AppError('request.not_found', `there is no user ${name}`, {
    errors: [{ pointer: '/user_id', detail: 'give the id or external id of a member' }],
  });
}

async function getKey(tx: Tx, ctx: Ctx, id: string): Promise<ApiKey> {
  const key = isUuid(id) ? await tx.findOneBy(ApiKey, { tenantId: ctx.tenantId, id }) : null;
  if (key) return key;
  throw new AppError('request.not_found', `there is no API key ${id}`);
}

function toView(key: ApiKey): ApiKeyView {
  return {
    id: key.id,
    user_id: key.userId,
    name: key.name,
    prefix: key.prefix,
    permissions: key.permissions,
    created_at: key.createdAt.toISOString(),
    expires_at: key.expiresAt?.toISOString() ?? null,
    revoked_at: key.revokedAt?.toISOString() ?? null,
  };
}
